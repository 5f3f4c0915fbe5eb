//! Finding a token by what it is for, or creating it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::forward::Forward;
use crate::tools::all;
use kaltura_app_token::{Client, ErrorKind, HashType, NewToken, ensure};
use kaltura_e2e::{admin, arrived, now, sandbox};
use kaltura_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::json;

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
            "known to keep 65535 of them",
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
