//! Deleting many tokens, in two steps.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::tools::{NOW, all};
use kaltura_app_token::{
    ErrorKind, NewToken, RevocationFilter, RevocationTarget, plan_revocation, revoke,
};
use kaltura_e2e::{admin, arrived, sandbox};
use kaltura_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::json;

fn some_tokens(sandbox: &Sandbox) {
    let row = |id: &str, created: i64, description: &str, user: &str| {
        json!({"id": id, "token": "t", "status": 2, "hashType": "SHA256", "createdAt": created, "updatedAt": created,
            "description": description, "sessionUserId": user})
    };
    let rows = json!([
        row("0_a", NOW - 300, "export", "alice"),
        row("0_b", NOW - 200, "export", "bob"),
        row("0_c", NOW - 100, "import", "alice"),
    ]);
    sandbox.add_tokens(sandbox.partner_id(), &rows).unwrap();
}

type Narrow = fn(&mut RevocationFilter);

#[tokio::test]
async fn a_plan_names_what_would_be_revoked_and_revokes_nothing() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    some_tokens(&sandbox);
    let filters: [(Narrow, &[&str]); 5] = [
        (|f| f.created_before = Some(NOW - 200), &["0_a"]),
        (|f| f.description = Some("export".into()), &["0_a", "0_b"]),
        (|f| f.user_id = Some("ALICE".into()), &["0_a", "0_c"]),
        (
            |f| {
                f.user_id = Some("alice".into());
                f.description = Some("import".into());
            },
            &["0_c"],
        ),
        (|f| f.description = Some("exp".into()), &[]),
    ];
    for (narrow, expected) in filters {
        let mut filter = RevocationFilter::default();
        narrow(&mut filter);
        let plan = plan_revocation(&client, &RevocationTarget::Filter(filter.clone()))
            .await
            .unwrap();
        let named: Vec<_> = plan.tokens.iter().map(|token| token.id.as_str()).collect();
        assert_eq!(named, expected, "{filter:?}");
        assert!(plan.tokens.iter().all(|token| token.token.is_none()));
    }
    let ids = ["0_c", " 0_A ", "0_x", "0_c"].map(str::to_owned).to_vec();
    let plan = plan_revocation(&client, &RevocationTarget::Ids(ids))
        .await
        .unwrap();
    assert_eq!(plan.tokens.len(), 2);
    assert_eq!(plan.missing, ["0_x"]);

    let mut nobody = RevocationFilter::default();
    nobody.user_id = Some(String::new());
    for target in [
        RevocationTarget::Filter(RevocationFilter::default()),
        RevocationTarget::Filter(nobody),
        RevocationTarget::Ids(Vec::new()),
        RevocationTarget::Ids(vec!["0_a".into(), " ".into()]),
    ] {
        let error = plan_revocation(&client, &target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{target:?}");
    }
    assert_eq!(all(&client).await.len(), 3);
    assert_eq!(arrived(&sandbox, "appToken.delete"), 0);
}

#[tokio::test]
async fn revoking_deletes_and_says_of_each_what_became_of_it() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    some_tokens(&sandbox);
    let blocked = FaultKind::Exception {
        code: "SERVICE_FORBIDDEN".into(),
        message: String::new(),
    };
    let seen = Mutex::new(BTreeSet::new());
    let revoked = revoke(&client, &["0_a", "0_gone", "0_b"], &|revoked| {
        seen.lock().unwrap().insert(revoked.id.clone());
    })
    .await;
    let named: Vec<_> = revoked.iter().map(|revoked| revoked.id.as_str()).collect();
    assert_eq!(named, ["0_a", "0_gone", "0_b"]);
    assert!(revoked.iter().all(|revoked| revoked.error.is_none()));
    assert_eq!(seen.into_inner().unwrap().len(), 3);
    assert_eq!(all(&client).await, BTreeSet::from(["0_c".to_owned()]));

    sandbox.add_fault(Fault::new("appToken.delete", blocked));
    let revoked = revoke(&client, &["0_c"], &|_| {}).await;
    assert_eq!(
        revoked[0].error.as_ref().unwrap().code(),
        Some("SERVICE_FORBIDDEN")
    );
}

/// The server does not tell small letters from capitals.
#[tokio::test]
async fn an_id_in_small_letters_and_in_capitals_is_revoked_once() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let id = client.add_token(&NewToken::new()).await.unwrap().id;
    let missing = ["0_NOSUCHID", "0_nosuchid"];
    let ids = [id.clone(), id.to_uppercase()]
        .into_iter()
        .chain(missing.map(str::to_owned));
    let target = RevocationTarget::Ids(ids.collect());
    let plan = plan_revocation(&client, &target).await.unwrap();
    assert_eq!(plan.tokens.len(), 1);
    assert_eq!(plan.missing, ["0_NOSUCHID"]);
}
