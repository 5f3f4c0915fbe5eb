//! Judging tokens, finding or creating them, and revoking them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod forward;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use forward::Forward;
use kaltura_app_token::{
    AppToken, Client, ErrorKind, Finding, Fix, HashType, ListOptions, NewToken, Pager,
    RevocationFilter, RevocationTarget, SessionType, Severity, TokenField, TokenFilter,
    TokenStatus, audit, audit_tokens, ensure, plan_revocation, revoke,
};
use kaltura_e2e::{Tap, admin, arrived, builder, now, sandbox};
use kaltura_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::json;

const NOW: i64 = 1_800_000_000;

/// A token of which there is nothing to be said.
fn decent() -> AppToken {
    let mut token = AppToken::default();
    token.id = "1_decent00".into();
    token.status = Some(TokenStatus::Active);
    token.session_type = Some(SessionType::User);
    token.hash_type = Some(HashType::Sha256);
    token.session_duration = Some(3600);
    token.session_privileges = Some("sview:*,list:*,setrole:42".into());
    token.expiry = Some(NOW + 86_400);
    token.created_at = Some(NOW - 1000);
    token.description = Some("decent".into());
    token
}

fn rules(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_decent_token_is_left_in_peace() {
    assert_eq!(audit_tokens(&[decent()], NOW), []);
}

type Spoil = fn(&mut AppToken);

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_weakness_has_its_rule_its_severity_and_its_remedy() {
    let cases: [(Spoil, &str, Severity, Fix); 24] = [
        (
            |t| t.session_type = Some(SessionType::Admin),
            "admin-type",
            Severity::High,
            Fix::SessionType(SessionType::User),
        ),
        (
            |t| t.session_type = None,
            "unset-type",
            Severity::High,
            Fix::SessionType(SessionType::User),
        ),
        (
            |t| t.expiry = None,
            "no-expiry",
            Severity::Low,
            Fix::ExpireIn(Duration::from_secs(365 * 86_400)),
        ),
        (
            |t| t.expiry = Some(0),
            "expiry-zero",
            Severity::Medium,
            Fix::Clear(TokenField::Expiry),
        ),
        (
            |t| t.expiry = Some(NOW),
            "expired",
            Severity::Low,
            Fix::Delete,
        ),
        (
            |t| t.status = Some(TokenStatus::Disabled),
            "not-active",
            Severity::Low,
            Fix::Delete,
        ),
        (
            |t| t.hash_type = Some(HashType::Md5),
            "weak-hash",
            Severity::High,
            Fix::Rotate(HashType::Sha256),
        ),
        (
            |t| t.hash_type = Some(HashType::Sha1),
            "weak-hash",
            Severity::Medium,
            Fix::Rotate(HashType::Sha256),
        ),
        (
            |t| t.hash_type = None,
            "weak-hash",
            Severity::Medium,
            Fix::Rotate(HashType::Sha256),
        ),
        (
            |t| t.session_duration = Some(0),
            "session-duration-zero",
            Severity::High,
            Fix::SessionDuration(Duration::from_secs(3600)),
        ),
        (
            |t| t.session_duration = Some(-3600),
            "session-duration-zero",
            Severity::High,
            Fix::SessionDuration(Duration::from_secs(3600)),
        ),
        (
            |t| t.session_duration = None,
            "no-session-duration",
            Severity::High,
            Fix::SessionDuration(Duration::from_secs(3600)),
        ),
        (
            |t| t.session_duration = Some(86_401),
            "long-sessions",
            Severity::Low,
            Fix::SessionDuration(Duration::from_secs(86_400)),
        ),
        (
            |t| t.session_privileges = Some("*,setrole:1".into()),
            "all-privileges",
            Severity::High,
            Fix::Privileges("NAME:VALUE,NAME:VALUE".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("edit:*,setrole:1".into()),
            "wide-privileges",
            Severity::Low,
            Fix::Privileges("NAME:VALUE,NAME:VALUE".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("sview:*".into()),
            "any-action",
            Severity::Medium,
            Fix::Privileges("sview:*,setrole:ROLE_ID".to_owned()),
        ),
        (
            |t| t.session_privileges = None,
            "any-action",
            Severity::Medium,
            Fix::Privileges("setrole:ROLE_ID".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("setrole:1,disableentitlement".into()),
            "disableentitlement",
            Severity::Medium,
            Fix::Privileges("setrole:1".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("setrole:1,enableentitlement:False".into()),
            "old-script-leftover",
            Severity::Low,
            Fix::Privileges("setrole:1".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("setrole:1,enableentitlement:True".into()),
            "old-script-leftover",
            Severity::Low,
            Fix::Privileges("setrole:1,enableentitlement".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("setrole:1,enableentitlement:yes".into()),
            "flag-with-value",
            Severity::Medium,
            Fix::Privileges("setrole:1,enableentitlement".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("setrole:1,iprestrict:10.0.0.0/8".into()),
            "iprestrict-not-an-address",
            Severity::Medium,
            Fix::Privileges("setrole:1".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("urirestrict:/api_v3/*/list".into()),
            "urirestrict-inner-star",
            Severity::Medium,
            Fix::Clear(TokenField::SessionPrivileges),
        ),
        (
            |t| t.session_privileges = Some("setrole:1,downloadasset:1_a".into()),
            "downloadasset-rounds-expiry",
            Severity::Low,
            Fix::Privileges("setrole:1".to_owned()),
        ),
    ];
    for (spoil, rule, severity, fix) in cases {
        let mut token = decent();
        spoil(&mut token);
        let findings = audit_tokens(&[token], NOW);
        assert_eq!(rules(&findings), [rule]);
        let finding = &findings[0];
        assert_eq!(finding.severity, severity, "{rule}");
        assert_eq!(finding.fix, fix, "{rule}");
        assert!(
            !finding.reason.is_empty() && !finding.reason.contains('\n'),
            "{rule}"
        );
    }
}

#[test]
fn what_the_old_script_left_is_told_from_what_its_user_wanted() {
    let mut token = decent();
    token.session_privileges = Some(
        "edit:1_a,setrole:1,list:*,enableentitlement:False,disableentitlement:False,enablecategorymoderation:False"
            .into(),
    );
    let findings = audit_tokens(&[token], NOW);
    assert_eq!(rules(&findings), ["old-script-leftover"; 3]);
}

#[test]
fn of_tokens_that_are_alike_the_newest_stays() {
    let mut tokens = [decent(), decent(), decent(), decent()];
    for (number, token) in (0..).zip(&mut tokens) {
        token.id = format!("1_{number}");
        token.created_at = Some(NOW + number);
    }
    tokens[3].description = Some("another".into());
    let findings = audit_tokens(&tokens, NOW);
    let found: Vec<_> = findings
        .iter()
        .map(|finding| (finding.rule, finding.token_id.as_str()))
        .collect();
    assert_eq!(found, [("duplicate", "1_0"), ("duplicate", "1_1")]);
    assert!(findings[0].reason.contains("1_2"));
}

#[test]
fn the_most_severe_finding_comes_first() {
    let mut token = decent();
    token.session_type = None;
    token.expiry = None;
    token.session_privileges = None;
    let findings = audit_tokens(&[token], NOW);
    assert_eq!(rules(&findings), ["unset-type", "any-action", "no-expiry"]);
    assert!(Severity::High > Severity::Medium && Severity::Medium > Severity::Low);
}

#[tokio::test]
async fn an_audit_looks_at_every_token_and_fetches_no_value() {
    let sandbox = sandbox();
    let tap = Tap::on(&sandbox);
    let client = builder(&sandbox)
        .service_url(tap.service_url())
        .admin_secret(sandbox.admin_secret())
        .build()
        .unwrap();
    let rows: Vec<_> = (0..600)
        .map(|number| {
            json!({"id": format!("0_{number:08}"), "token": format!("value-of-{number}"), "status": 2, "sessionType": 0,
                "hashType": "SHA256", "sessionPrivileges": "setrole:1", "sessionDuration": 60,
                "description": number.to_string(), "createdAt": 1_700_000_000 + number, "updatedAt": 1_700_000_000,
                "expiry": if number == 77 { 1_700_000_001 } else { now(&sandbox) + 1000 }})
        })
        .collect();
    sandbox
        .add_tokens(sandbox.partner_id(), &json!(rows))
        .unwrap();
    let audited = audit(&client, TokenFilter::default()).await.unwrap();
    assert_eq!(audited.tokens, 600);
    assert_eq!(rules(&audited.findings), ["expired"]);
    assert_eq!(audited.worst(), Some(Severity::Low));
    assert!(
        !tap.answered().contains("value-of-"),
        "a value crossed the wire"
    );

    let mut filter = TokenFilter::default();
    filter.id_equal = Some("0_00000001".into());
    let audited = audit(&client, filter).await.unwrap();
    assert_eq!((audited.tokens, audited.worst()), (1, None));
}

/// The server takes the first 500 ids of a filter and drops the others without a word.
#[tokio::test]
async fn more_ids_than_the_server_takes_are_all_asked_for() {
    let sandbox = sandbox();
    let first_500 = |text: &str| text.split(',').take(500).collect::<Vec<_>>().join(",");
    let client = Forward::to(&sandbox)
        .request(move |_, field, value| match field {
            "filter[idIn]" => first_500(&value),
            _ => value,
        })
        .admin(&sandbox);
    let row = |number: i64| {
        json!({"id": format!("0_{number:08}"), "token": "t", "status": 2, "hashType": "SHA256",
        "createdAt": 1_700_000_000 - number / 3, "updatedAt": 1_700_000_000})
    };
    let rows: Vec<_> = (0..1300).map(row).collect();
    sandbox
        .add_tokens(sandbox.partner_id(), &json!(rows))
        .unwrap();
    let ids: Vec<String> = (0..1203).map(|number| format!("0_{number:08}")).collect();
    let mut filter = TokenFilter::default();
    // Named again, in the spelling of somebody who types it.
    filter.id_in = Some([ids.as_slice(), &[" 0_00000000 ".into()]].concat());

    let audited = audit(&client, filter.clone()).await.unwrap();
    assert_eq!(audited.tokens, 1203);
    let plan = plan_revocation(&client, &RevocationTarget::Ids(ids.clone()))
        .await
        .unwrap();
    assert_eq!((plan.tokens.len(), plan.missing.len()), (1203, 0));

    let mut options = ListOptions::default();
    options.filter = filter;
    let mut walk = client.tokens(options.clone());
    let mut found = Vec::new();
    while let Some(token) = walk.next_token().await {
        found.push(token.unwrap().id);
    }
    found.sort();
    assert_eq!(found, ids);

    let error = client
        .list_tokens(&options, Pager::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("500"), "{error}");
}

async fn all(client: &Client) -> BTreeSet<String> {
    let mut walk = client.tokens(ListOptions::default());
    let mut found = BTreeSet::new();
    while let Some(token) = walk.next_token().await {
        found.insert(token.unwrap().id);
    }
    found
}

#[tokio::test]
async fn a_token_that_is_wanted_is_created_once_and_then_found() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    for wanted in [
        NewToken::new().description("a"),
        NewToken::new().description("a").session_user_id("alice"),
        NewToken::new().description("a").session_user_id(""),
        NewToken::new()
            .description("a")
            .session_privileges("sview:*,edit:1_a/1_b"),
        NewToken::new()
            .description("a")
            .session_duration(Duration::from_secs(60)),
        NewToken::new()
            .description("a")
            .expiry(now(&sandbox) + 1000),
        NewToken::new()
            .description("a")
            .session_type(None)
            .hash_type(None)
            .session_user_id("b"),
        NewToken::new().description("A").hash_type(HashType::Sha512),
    ] {
        let before = all(&client).await;
        let made = ensure(&client, &wanted).await.unwrap();
        assert!(made.created && made.token.token.is_some(), "{wanted:?}");
        assert!(!before.contains(&made.token.id), "{wanted:?}");
        let found = ensure(&client, &wanted).await.unwrap();
        assert!(!found.created && found.token.token.is_none(), "{wanted:?}");
        assert_eq!(found.token.id, made.token.id, "{wanted:?}");
        assert!(found.duplicates.is_empty());
    }
    let reordered = NewToken::new()
        .description("a")
        .session_privileges("edit:1_b/1_a,sview:*");
    assert!(!ensure(&client, &reordered).await.unwrap().created);

    let nameless = ensure(&client, &NewToken::new()).await.unwrap_err();
    assert_eq!(nameless.kind(), ErrorKind::Config);
}

/// What the server stores of what it is sent: times in 32 bits, and users and privileges up to a length.
fn storing_less(sandbox: &Sandbox) -> Client {
    let cut = |text: String, length| text.chars().take(length).collect();
    Forward::to(sandbox)
        .request(move |_, field, value| match field {
            "appToken[expiry]" => value.parse::<i64>().unwrap().min(2_147_483_647).to_string(),
            "appToken[sessionUserId]" | "filter[sessionUserIdEqual]" => cut(value, 100),
            "appToken[sessionPrivileges]" => cut(value, 65_535),
            _ => value,
        })
        .admin(sandbox)
}

#[tokio::test]
async fn what_the_server_would_not_store_as_it_is_asked_for_is_refused_with_the_limit() {
    let sandbox = sandbox();
    let client = storing_less(&sandbox);
    let wanted = || NewToken::new().description("a");
    for (wanted, limit) in [
        (wanted().expiry(2_147_483_648), "2147483647"),
        (
            wanted().session_user_id("ü".repeat(101)),
            "keeps 100 of them",
        ),
        (
            wanted().session_privileges(format!("sview:{}", "é".repeat(32_765))),
            "keeps 65535 of them",
        ),
    ] {
        let error = ensure(&client, &wanted).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(limit), "{error}");
    }
    assert_eq!(arrived(&sandbox, "appToken.add"), 0);

    for wanted in [
        wanted().expiry(2_147_483_647),
        wanted().session_user_id("u".repeat(100)),
        wanted().session_privileges(format!("sview:{}", "x".repeat(65_529))),
    ] {
        assert!(ensure(&client, &wanted).await.unwrap().created);
        assert!(!ensure(&client, &wanted).await.unwrap().created);
    }
}

/// PHP takes `0` for nothing: a filter by it finds nobody.
#[tokio::test]
async fn the_token_of_the_user_0_is_found_again() {
    let sandbox = sandbox();
    let client = Forward::to(&sandbox)
        .request(|_, field, value| match (field, value.as_str()) {
            ("filter[sessionUserIdEqual]", "0") => "nobody".to_owned(),
            _ => value,
        })
        .admin(&sandbox);
    let wanted = NewToken::new().description("a").session_user_id("0");
    let made = ensure(&client, &wanted).await.unwrap();
    let found = ensure(&client, &wanted).await.unwrap();
    assert!(made.created && !found.created);
    assert_eq!(made.token.id, found.token.id);
}

#[tokio::test]
async fn what_was_created_is_named_even_when_the_look_at_the_others_fails() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let denied = FaultKind::Exception {
        code: "SERVICE_FORBIDDEN".into(),
        message: String::new(),
    };
    sandbox.add_fault(Fault::new("appToken.list", denied).skip(1));
    let wanted = NewToken::new().description("a");
    let made = ensure(&client, &wanted).await.unwrap();
    assert!(made.created && made.token.token.is_some());
    assert_eq!(all(&client).await, BTreeSet::from([made.token.id]));
}

/// A server that changes what it stores.
#[tokio::test]
async fn what_was_created_is_named_even_when_it_is_not_what_was_asked_for() {
    let sandbox = sandbox();
    let elsewhere = json!([{"id": "0_00000000", "token": "t", "status": 2, "sessionType": 0, "hashType": "SHA256",
        "description": "a", "sessionDuration": 60, "createdAt": now(&sandbox) - 1, "updatedAt": now(&sandbox)}]);
    let others = sandbox.partner_id();
    let server = Forward::to(&sandbox).request(|action, field, value| match (action, field) {
        ("apptoken.add", "appToken[description]") => value.to_uppercase(),
        _ => value,
    });
    let client = server.admin(&sandbox);
    let wanted = NewToken::new().description("a");
    let made = ensure(&client, &wanted).await.unwrap();
    assert!(made.created && made.token.token.is_some());

    // Another process creates the one that is wanted, while ours is on its way.
    sandbox.add_fault(Fault::new("appToken.add", FaultKind::Latency { ms: 200 }));
    let added = arrived(&sandbox, "appToken.add");
    let (made, ()) = tokio::join!(ensure(&client, &wanted), async {
        while arrived(&sandbox, "appToken.add") == added {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sandbox.add_tokens(others, &elsewhere).unwrap();
    });
    let made = made.unwrap();
    assert_eq!(made.token.id, "0_00000000");
    assert_eq!(made.duplicates.len(), 1, "ours is among them");
}

#[tokio::test]
async fn a_token_that_does_not_work_is_not_found() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let wanted = NewToken::new().description("a");
    let first = ensure(&client, &wanted).await.unwrap().token;
    sandbox
        .patch_token(&first.id, &json!({"status": 1}))
        .unwrap();
    let second = ensure(&client, &wanted).await.unwrap();
    assert!(second.created && second.token.id != first.id);
    // Its sessions are dead at birth.
    let mut last = second.token.id;
    for seconds in [0, -1] {
        sandbox
            .patch_token(&last, &json!({"sessionDuration": seconds}))
            .unwrap();
        let next = ensure(&client, &wanted).await.unwrap();
        assert!(next.created && next.token.id != last, "{seconds}");
        last = next.token.id;
    }
}

#[tokio::test]
async fn duplicates_are_reported_and_everybody_settles_on_the_oldest() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let wanted = NewToken::new().description("twice");
    let elsewhere = json!([{"id": "0_00000000", "token": "t", "status": 2, "sessionType": 0, "hashType": "SHA256",
        "description": "twice", "createdAt": now(&sandbox) - 1, "updatedAt": now(&sandbox)}]);
    // Another process creates one while ours is on its way.
    sandbox.add_fault(Fault::new("appToken.add", FaultKind::Latency { ms: 200 }));
    let (made, ()) = tokio::join!(ensure(&client, &wanted), async {
        while arrived(&sandbox, "appToken.add") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sandbox
            .add_tokens(sandbox.partner_id(), &elsewhere)
            .unwrap();
    });
    let made = made.unwrap();
    assert_eq!(made.token.id, "0_00000000");
    assert!(!made.created);
    assert_eq!(made.duplicates.len(), 1);
    let again = ensure(&client, &wanted).await.unwrap();
    assert_eq!(
        (again.token.id, again.duplicates),
        (made.token.id, made.duplicates)
    );
}

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
