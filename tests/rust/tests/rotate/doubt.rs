//! Creations whose answer was lost, and journals that were begun by somebody else.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::tools::{Hands, Refusing, all, ids, mode, options, scratch};
use kaltura_app_token::{
    ErrorKind, Journal, NewToken, OldToken, Resume, RotateOptions, RotationState, RotationStep,
    Rotator,
};
use kaltura_e2e::{admin, builder, now, sandbox};
use kaltura_sandbox::{Fault, FaultKind};
use serde_json::json;

#[tokio::test]
async fn a_creation_in_doubt_is_found_by_its_mark() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let folder = scratch("doubt");

    // The answer is lost: the look-up that follows finds the token.
    let old = client
        .add_token(&NewToken::new().description("a"))
        .await
        .unwrap();
    sandbox.add_fault(Fault::new("appToken.add", FaultKind::Reset).after());
    let journal = Journal::open(folder.join("a")).unwrap();
    let hands = Arc::new(Hands::default());
    let rotated = Rotator::new(&client, &journal, hands.clone())
        .rotate(&[&old.id], &options(OldToken::DeleteNow))
        .await;
    assert!(rotated.unwrap()[0].error.is_none());
    assert_eq!(all(&client).await.len(), 1);

    // The look-up fails, too: resuming finds it.
    let old = client
        .add_token(&NewToken::new().description("b"))
        .await
        .unwrap();
    sandbox.add_fault(Fault::new("appToken.add", FaultKind::Reset).after());
    sandbox.add_fault(Fault::new("appToken.list", FaultKind::Empty));
    let journal = Journal::open(folder.join("b")).unwrap();
    let rotator = Rotator::new(&client, &journal, hands.clone());
    let rotated = rotator
        .rotate(&[&old.id], &options(OldToken::DeleteNow))
        .await
        .unwrap();
    assert_eq!(
        rotated[0].error.as_ref().unwrap().kind(),
        ErrorKind::OutcomeUnknown
    );
    assert_eq!(rotated[0].state, Some(RotationState::Intended));
    assert_eq!(all(&client).await.len(), 3);
    let resumed = rotator.resume(Resume::Finish).await.unwrap();
    assert!(resumed[0].old_deleted);
    let left = all(&client).await;
    assert_eq!(left.len(), 2);
    assert!(
        left.iter()
            .any(|token| token.description.as_deref() == Some("b"))
    );
}

#[tokio::test]
async fn a_creation_that_seemed_lost_and_was_not_leaves_nothing_behind() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let old = client.add_token(&NewToken::new()).await.unwrap();
    let journal = Journal::open(scratch("late").join("journal")).unwrap();
    sandbox.add_fault(Fault::new("appToken.add", FaultKind::Reset));
    let hands = Arc::new(Hands::default());
    let rotator = Rotator::new(&client, &journal, hands.clone());
    let rotated = rotator
        .rotate(&[&old.id], &RotateOptions::default())
        .await
        .unwrap();
    assert_eq!(
        rotated[0].error.as_ref().unwrap().kind(),
        ErrorKind::OutcomeUnknown
    );
    let first_mark = journal.unfinished()[0].rotation.clone();

    // The first request is carried out after all, while the second one is on its way.
    let late = |_: &str, step: RotationStep| {
        if step == RotationStep::Created {
            let row = json!([{"id": "0_latecome", "token": "t", "status": 2, "hashType": "SHA256",
                "createdAt": now(&sandbox), "updatedAt": now(&sandbox), "description": format!("[rotation {first_mark}]")}]);
            sandbox.add_tokens(sandbox.partner_id(), &row).unwrap();
        }
    };
    let resumed = Rotator::new(&client, &journal, hands.clone())
        .progress(&late)
        .resume(Resume::Finish)
        .await
        .unwrap();
    assert!(resumed[0].error.is_none(), "{resumed:?}");
    assert_eq!(journal.entries()[0].earlier_marks, [first_mark]);
    assert_eq!(
        ids(&all(&client).await),
        BTreeSet::from([old.id, hands.taken()[0].id.clone()])
    );
}

#[tokio::test]
async fn the_journal_holds_no_secret_and_survives_a_torn_last_line() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let old = client
        .add_token(&NewToken::new().session_user_id("alice"))
        .await
        .unwrap();
    let path = scratch("journal").join("journal");
    let hands = Arc::new(Hands::default());
    let journal = Journal::open(&path).unwrap();
    let rotated = Rotator::new(&client, &journal, hands.clone())
        .rotate(&[&old.id], &RotateOptions::default())
        .await;
    assert!(rotated.unwrap()[0].error.is_none());
    assert_eq!(mode(&path), 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    for secret in [
        old.token.unwrap(),
        hands.taken()[0].token.clone(),
        sandbox.admin_secret().into(),
    ] {
        assert!(!text.contains(secret.reveal()));
    }
    assert!(text.contains(&old.id) && text.contains(&hands.taken()[0].id));

    drop(journal);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines.len(),
        6,
        "intended, created, proved, delivering, handed over, done"
    );
    std::fs::write(&path, format!("{}\n{}", lines[0], &lines[1][..20])).unwrap();
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.unfinished()[0].state, RotationState::Intended);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        format!("{}\n", lines[0])
    );

    assert_eq!(
        Journal::open("/no/such/folder/journal").unwrap_err().kind(),
        ErrorKind::Local
    );
}

#[tokio::test]
async fn a_journal_is_resumed_only_for_its_account() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let old = client.add_token(&NewToken::new()).await.unwrap();
    let journal = Journal::open(scratch("account").join("journal")).unwrap();
    let rotator = Rotator::new(&client, &journal, Arc::new(Refusing));
    rotator
        .rotate(&[old.id], &RotateOptions::default())
        .await
        .unwrap();
    let other = builder(&sandbox)
        .partner_id(9)
        .admin_secret("x")
        .build()
        .unwrap();
    let error = Rotator::new(&other, &journal, Arc::new(Refusing))
        .resume(Resume::Undo)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

/// It wrote `proved` before the hand-over and nothing until after it.
#[tokio::test]
async fn a_journal_of_the_first_version_is_finished_and_not_undone() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let old = client.add_token(&NewToken::new()).await.unwrap();
    let new = client.add_token(&NewToken::new()).await.unwrap();
    let path = scratch("first-version").join("journal");
    let line = |state: &str| {
        format!(
            "{{\"rotation\":\"00112233445566ff\",\"state\":\"{state}\",\"partnerId\":{},\"oldId\":\"{}\",\
             \"newId\":\"{}\",\"askedAt\":{},\"hashType\":null,\"expiry\":null,\"old\":\"delete\",\"deleteAt\":null}}\n",
            sandbox.partner_id(),
            old.id,
            new.id,
            now(&sandbox)
        )
    };
    std::fs::write(&path, line("created") + &line("proved")).unwrap();
    let journal = Journal::open(&path).unwrap();
    let hands = Arc::new(Hands::default());
    let rotator = Rotator::new(&client, &journal, hands.clone());
    let refused = rotator.resume(Resume::Undo).await.unwrap().remove(0);
    let error = refused.error.unwrap();
    assert!(error.message().contains("may be in use"), "{error}");
    assert_eq!(all(&client).await.len(), 2);
    rotator.resume(Resume::Finish).await.unwrap();
    assert_eq!(hands.taken()[0].id, new.id);
    assert_eq!(ids(&all(&client).await), BTreeSet::from([new.id]));
}
