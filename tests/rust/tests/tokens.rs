//! Creating, listing, changing and deleting tokens.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kaltura_app_token::{
    ApiCode, AppToken, Client, ErrorKind, HashType, ListOptions, NewToken, Pager, ProfileFields,
    ResponseProfile, SessionType, TokenField, TokenFilter, TokenOrder, TokenStatus, TokenUpdate,
};
use kaltura_e2e::{Tap, admin, arrived, builder, now, sandbox};
use kaltura_sandbox::Sandbox;
use serde_json::json;

#[tokio::test]
async fn a_token_carries_every_field_that_was_asked_for() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let expiry = now(&sandbox) + 86_400;
    let created = client
        .add_token(
            &NewToken::new()
                .hash_type(HashType::Sha512)
                .session_type(SessionType::Admin)
                .session_duration(Duration::from_secs(1800))
                .session_privileges("edit:*,setrole:2")
                .session_user_id("alice@example.com")
                .description("Ünïcødé – 🚀 & = +")
                .expiry(expiry),
        )
        .await
        .unwrap();
    assert_eq!(created.hash_type, Some(HashType::Sha512));
    assert_eq!(created.session_type, Some(SessionType::Admin));
    assert_eq!(created.session_duration, Some(1800));
    assert_eq!(
        created.session_privileges.as_deref(),
        Some("edit:*,setrole:2")
    );
    assert_eq!(
        created.session_user_id.as_deref(),
        Some("alice@example.com")
    );
    assert_eq!(created.description.as_deref(), Some("Ünïcødé – 🚀 & = +"));
    assert_eq!(created.expiry, Some(expiry));
    assert_eq!(created.status, Some(TokenStatus::Active));
    assert_eq!(created.partner_id, Some(sandbox.partner_id()));
    assert!(created.token.is_some());
    assert_eq!(client.get_token(&created.id).await.unwrap(), created);
}

#[tokio::test]
async fn a_token_is_user_and_sha256_unless_asked_otherwise() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let created = client.add_token(&NewToken::new()).await.unwrap();
    assert_eq!(created.session_type, Some(SessionType::User));
    assert_eq!(created.hash_type, Some(HashType::Sha256));

    let left_open = NewToken::new().session_type(None).hash_type(None);
    let created = client.add_token(&left_open).await.unwrap();
    assert_eq!(created.session_type, None, "whoever exchanges it chooses");
    assert_eq!(
        created.hash_type,
        Some(HashType::Sha1),
        "the server's own choice"
    );
}

#[tokio::test]
async fn an_update_sends_only_what_changes_and_can_clear_a_field() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let token = client
        .add_token(
            &NewToken::new()
                .description("before")
                .session_privileges("sview:*")
                .session_user_id("alice")
                .expiry(now(&sandbox) + 1000),
        )
        .await
        .unwrap();

    let changed = client
        .update_token(&token.id, &TokenUpdate::new().description("after"))
        .await
        .unwrap();
    assert_eq!(changed.description.as_deref(), Some("after"));
    assert_eq!(changed.session_privileges, token.session_privileges);
    assert_eq!(changed.session_user_id, token.session_user_id);
    assert_eq!(changed.expiry, token.expiry);

    let cleared = TokenUpdate::new()
        .clear(TokenField::Expiry)
        .clear(TokenField::SessionUserId)
        .description("");
    let cleared = client.update_token(&token.id, &cleared).await.unwrap();
    assert_eq!(cleared.expiry, None);
    assert_eq!(cleared.session_user_id, None);
    assert_eq!(
        cleared.description.as_deref(),
        Some(""),
        "an empty string is a value"
    );
    assert_eq!(cleared.session_privileges, token.session_privileges);
}

#[tokio::test]
async fn input_that_the_server_would_misread_is_refused_before_anything_is_sent() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let id = client.add_token(&NewToken::new()).await.unwrap().id;
    let before = sandbox.requests().len();
    let present = now(&sandbox);

    for (token, field) in [
        (NewToken::new().expiry(0), "expiry"),
        (NewToken::new().expiry(3600), "expiry"),
        (NewToken::new().expiry(present - 60), "expiry"),
        (
            NewToken::new().session_duration(Duration::ZERO),
            "sessionDuration",
        ),
        (
            NewToken::new().session_duration(Duration::from_millis(500)),
            "sessionDuration",
        ),
        (
            NewToken::new().hash_type(HashType::from("SHA3")),
            "hashType",
        ),
        (
            NewToken::new().session_type(SessionType::Other(7)),
            "sessionType",
        ),
        (
            NewToken::new().session_privileges("sview:*,_t:2"),
            "sessionPrivileges",
        ),
    ] {
        let error = client.add_token(&token).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().starts_with(field), "{error}");
    }
    for update in [
        TokenUpdate::new(),
        TokenUpdate::new().expiry(0),
        TokenUpdate::new().session_duration(Duration::ZERO),
    ] {
        assert_eq!(
            client.update_token(&id, &update).await.unwrap_err().kind(),
            ErrorKind::Config
        );
    }
    assert_eq!(
        client.get_token("  ").await.unwrap_err().kind(),
        ErrorKind::Config
    );
    assert_eq!(
        client.delete_token("").await.unwrap_err().kind(),
        ErrorKind::Config
    );
    let filter = |filter: TokenFilter| {
        let mut options = ListOptions::default();
        options.filter = filter;
        options
    };
    let mut empty_id = TokenFilter::default();
    empty_id.id_equal = Some(String::new());
    let mut relative = TokenFilter::default();
    relative.created_at_greater_than_or_equal = Some(0);
    for options in [filter(empty_id), filter(relative)] {
        assert_eq!(
            client
                .list_tokens(&options, Pager::default())
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::Config
        );
    }
    for pager in [
        Pager {
            page_size: 0,
            page_index: 1,
        },
        Pager {
            page_size: 501,
            page_index: 1,
        },
        Pager {
            page_size: 1,
            page_index: 0,
        },
    ] {
        let listed = client.list_tokens(&ListOptions::default(), pager).await;
        assert_eq!(listed.unwrap_err().kind(), ErrorKind::Config);
    }
    assert_eq!(sandbox.requests().len(), before);
}

#[tokio::test]
async fn a_deleted_token_is_gone_and_a_second_deletion_says_so() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let id = client.add_token(&NewToken::new()).await.unwrap().id;
    client.delete_token(&id).await.unwrap();
    for error in [
        client.delete_token(&id).await.unwrap_err(),
        client.get_token(&id).await.unwrap_err(),
    ] {
        assert_eq!(error.api().unwrap().meaning(), ApiCode::AppTokenIdNotFound);
        assert_eq!(error.code(), Some("APP_TOKEN_ID_NOT_FOUND"));
        assert!(error.hint().is_some());
        assert!(!error.is_retryable());
    }
}

type Narrow = fn(&mut TokenFilter);

#[tokio::test]
async fn every_filter_narrows_the_list_to_what_it_names() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let rows = json!([
        {"id": "0_aaaaaaaa", "token": "ta", "createdAt": 1_700_000_000, "updatedAt": 1_700_000_300, "status": 2,
         "hashType": "SHA1", "sessionType": 0, "sessionUserId": "alice", "sessionDuration": 60},
        {"id": "0_bbbbbbbb", "token": "tb", "createdAt": 1_700_000_100, "updatedAt": 1_700_000_200, "status": 1,
         "hashType": "SHA256", "sessionType": 2, "sessionUserId": "bob", "sessionDuration": 60},
        {"id": "0_cccccccc", "token": "tc", "createdAt": 1_700_000_200, "updatedAt": 1_700_000_200, "status": 2,
         "hashType": "SHA256", "sessionDuration": 60},
    ]);
    sandbox.add_tokens(sandbox.partner_id(), &rows).unwrap();

    let cases: [(&str, Narrow, &[&str]); 12] = [
        ("all", |_| {}, &["a", "b", "c"]),
        (
            "idEqual",
            |f| f.id_equal = Some("0_bbbbbbbb".into()),
            &["b"],
        ),
        (
            "idIn",
            |f| f.id_in = Some(vec!["0_aaaaaaaa".into(), " 0_cccccccc".into()]),
            &["a", "c"],
        ),
        (
            "statusEqual",
            |f| f.status_equal = Some(TokenStatus::Disabled),
            &["b"],
        ),
        (
            "statusIn",
            |f| f.status_in = Some(vec![TokenStatus::Active]),
            &["a", "c"],
        ),
        (
            "created >=",
            |f| f.created_at_greater_than_or_equal = Some(1_700_000_100),
            &["b", "c"],
        ),
        (
            "created <=",
            |f| f.created_at_less_than_or_equal = Some(1_700_000_100),
            &["a", "b"],
        ),
        (
            "updated >=",
            |f| f.updated_at_greater_than_or_equal = Some(1_700_000_300),
            &["a"],
        ),
        (
            "updated <=",
            |f| f.updated_at_less_than_or_equal = Some(1_700_000_200),
            &["b", "c"],
        ),
        (
            "user",
            |f| f.session_user_id_equal = Some("ALICE".into()),
            &["a"],
        ),
        (
            "hash type, which the server ignores",
            |f| f.hash_type_equal = Some(HashType::Sha256),
            &["b", "c"],
        ),
        (
            "session type, which the server ignores",
            |f| f.session_type_equal = Some(SessionType::Admin),
            &["b"],
        ),
    ];
    for (name, narrow, expected) in cases {
        let mut options = ListOptions::default();
        narrow(&mut options.filter);
        let mut walked = Vec::new();
        let mut tokens = client.tokens(options.clone());
        while let Some(token) = tokens.next_token().await {
            walked.push(token.unwrap().id);
        }
        options.filter.order_by = Some(TokenOrder::CreatedAtAscending);
        let page = client
            .list_tokens(&options, Pager::default())
            .await
            .unwrap();
        let listed: Vec<_> = page.tokens.into_iter().map(|token| token.id).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|letter| format!("0_{}", letter.repeat(8)))
            .collect();
        assert_eq!(listed, expected, "{name}");
        assert_eq!(walked, expected, "{name}, walked");
    }
    let mut options = ListOptions::default();
    options.filter.session_user_id_equal = Some("nobody".into());
    let none = client
        .list_tokens(&options, Pager::default())
        .await
        .unwrap();
    assert!(
        none.tokens.is_empty(),
        "an unknown user has no tokens, and no error"
    );
}

#[tokio::test]
async fn a_value_that_nobody_knows_yet_is_kept() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let rows = json!([{"id": "0_zzzzzzzz", "token": "t", "createdAt": 1_700_000_000, "updatedAt": 1_700_000_000,
        "status": 9, "hashType": "SHA3", "sessionType": 5, "sessionDuration": -1, "expiry": 0}]);
    sandbox.add_tokens(sandbox.partner_id(), &rows).unwrap();
    let token = client.get_token("0_zzzzzzzz").await.unwrap();
    assert_eq!(token.status, Some(TokenStatus::Other(9)));
    assert_eq!(token.hash_type, Some(HashType::Other("SHA3".into())));
    assert_eq!(token.session_type, Some(SessionType::Other(5)));
    assert_eq!(token.session_duration, Some(-1));
    assert_eq!(
        token.expiry,
        Some(0),
        "ambiguous, and therefore kept as it came"
    );
}

#[tokio::test]
async fn a_list_leaves_the_values_on_the_server_unless_they_are_asked_for() {
    let sandbox = sandbox();
    let tap = Tap::on(&sandbox);
    let through_tap = builder(&sandbox)
        .service_url(tap.service_url())
        .admin_secret(sandbox.admin_secret())
        .build()
        .unwrap();
    let created = admin(&sandbox).add_token(&NewToken::new()).await.unwrap();
    let value = created.token.clone().unwrap();

    let mut options = ListOptions::default();
    let page = through_tap
        .list_tokens(&options, Pager::default())
        .await
        .unwrap();
    assert_eq!(page.tokens.len(), 1);
    assert_eq!(page.tokens[0].token, None);
    let mut walk = through_tap.tokens(options.clone());
    assert_eq!(walk.next_token().await.unwrap().unwrap().token, None);
    assert!(tap.answered().contains(&created.id));
    assert!(
        !tap.answered().contains(value.reveal()),
        "a value crossed the wire unasked"
    );

    options.with_secrets = true;
    let page = through_tap
        .list_tokens(&options, Pager::default())
        .await
        .unwrap();
    assert_eq!(page.tokens[0].token, Some(value));
}

#[tokio::test]
async fn managing_tokens_sends_no_admin_secret_unless_the_session_is_asked_of_the_server() {
    use kaltura_app_token::AdminSession;
    let sandbox = sandbox();
    for (how, sends_secret) in [
        (AdminSession::default(), false),
        (AdminSession::Started, true),
    ] {
        let tap = Tap::on(&sandbox);
        let client = builder(&sandbox)
            .service_url(tap.service_url())
            .admin_secret(sandbox.admin_secret())
            .admin_session(how)
            .build()
            .unwrap();
        let token = client.add_token(&NewToken::new()).await.unwrap();
        client.get_token(&token.id).await.unwrap();
        client
            .list_tokens(&ListOptions::default(), Pager::default())
            .await
            .unwrap();
        client
            .update_token(&token.id, &TokenUpdate::new().description("x"))
            .await
            .unwrap();
        client.session_info(None).await.unwrap();
        client.delete_token(&token.id).await.unwrap();
        let sent = tap.sent();
        assert!(sent.contains("appToken"), "the tap works");
        assert_eq!(
            sent.contains(sandbox.admin_secret()),
            sends_secret,
            "{how:?}"
        );
        assert!(
            !sent
                .lines()
                .any(|line| line.starts_with("POST") && line.contains("ks=")),
            "no KS in a URL"
        );
    }
}

#[tokio::test]
async fn all_three_response_profiles_reach_the_server() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let id = client
        .add_token(&NewToken::new().description("d"))
        .await
        .unwrap()
        .id;
    let include = || ProfileFields::Include(vec!["id".into(), "description".into()]);
    for (profile, object_type) in [
        (
            ResponseProfile::Detached(include()),
            "KalturaDetachedResponseProfile",
        ),
        (ResponseProfile::HolderId(7), "KalturaResponseProfileHolder"),
        (
            ResponseProfile::HolderSystemName("mine".into()),
            "KalturaResponseProfileHolder",
        ),
        (
            ResponseProfile::Full {
                name: "n".into(),
                system_name: "s".into(),
                fields: include(),
            },
            "KalturaResponseProfile",
        ),
    ] {
        let _ = client.get_token_with_profile(&id, Some(&profile)).await;
        let last = sandbox.requests().pop().unwrap();
        assert!(
            last.params.to_string().contains(object_type),
            "{profile:?}: {}",
            last.params
        );
    }
    let only = ResponseProfile::Detached(include());
    let token = client
        .get_token_with_profile(&id, Some(&only))
        .await
        .unwrap();
    assert_eq!(
        (token.description.as_deref(), token.token, token.status),
        (Some("d"), None, None)
    );
    let updated = client
        .update_token_with_profile(&id, &TokenUpdate::new().description("e"), Some(&only))
        .await
        .unwrap();
    assert_eq!(updated.description.as_deref(), Some("e"));
    let lost = ResponseProfile::without_secrets();
    let error = client
        .add_token_with_profile(&NewToken::new(), Some(&lost))
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Config,
        "a new token's value is not thrown away"
    );
}

async fn walk(client: &Client) -> Vec<AppToken> {
    let mut found = Vec::new();
    let mut tokens = client.tokens(ListOptions::default());
    while let Some(token) = tokens.next_token().await {
        found.push(token.unwrap());
    }
    found
}

fn add_rows(sandbox: &Sandbox, prefix: &str, count: i64, created_at: impl Fn(i64) -> i64) {
    let rows: Vec<_> = (0..count)
        .map(|n| {
            json!({"id": format!("0_{prefix}{n:06}"), "token": "t", "status": 2, "sessionDuration": 60,
                   "createdAt": created_at(n), "updatedAt": created_at(n)})
        })
        .collect();
    sandbox
        .add_tokens(sandbox.partner_id(), &json!(rows))
        .unwrap();
}

#[tokio::test]
async fn a_walk_meets_every_token_once_even_with_thousands_in_one_second() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    assert!(walk(&client).await.is_empty());
    add_rows(&sandbox, "early", 30, |n| 1_600_000_000 + n);
    add_rows(&sandbox, "bulk", 2_300, |_| 1_700_000_000);
    add_rows(&sandbox, "late", 700, |n| 1_700_000_001 + n / 3);
    let found = walk(&client).await;
    let distinct: HashSet<_> = found.iter().map(|token| token.id.as_str()).collect();
    assert_eq!((found.len(), distinct.len()), (3_030, 3_030));
    assert!(found.is_sorted_by_key(|token| token.created_at));
}

/// While the walk goes on, another client deletes and creates tokens; those that were there all the
/// time must come exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_meets_every_lasting_token_once_whatever_comes_and_goes_meanwhile() {
    let sandbox = Arc::new(sandbox());
    let client = admin(&sandbox);
    let mut unexpected = 0;
    for round in 0..6 {
        sandbox.reset();
        add_rows(&sandbox, "gone", 400, |n| 1_700_000_000 + n / 200);
        add_rows(&sandbox, "keep", 1_500, |n| 1_700_000_000 + n / 750);
        add_rows(&sandbox, "more", 300, |n| 1_700_000_001 + n / 150);
        let over = Arc::new(AtomicBool::new(false));
        let disturber = tokio::spawn({
            let (client, sandbox, over) = (client.clone(), Arc::clone(&sandbox), Arc::clone(&over));
            async move {
                for n in 0..400 {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    client.delete_token(&format!("0_gone{n:06}")).await.unwrap();
                    if n % 3 == round % 3 {
                        add_rows(&sandbox, &format!("new{round}{n}"), 2, |_| 1_700_000_001);
                    }
                }
            }
        });
        let found = walk(&client).await;
        over.store(true, Ordering::Relaxed);
        disturber.await.unwrap();
        let distinct: HashSet<_> = found.iter().map(|token| token.id.as_str()).collect();
        assert_eq!(
            distinct.len(),
            found.len(),
            "round {round}: something came twice"
        );
        for lasting in ["keep", "more"] {
            let expected = if lasting == "keep" { 1_500 } else { 300 };
            let met = distinct.iter().filter(|id| id.contains(lasting)).count();
            assert_eq!(met, expected, "round {round}: {lasting}");
        }
        unexpected += found.len() - 1_800;
    }
    assert!(
        unexpected > 0,
        "nothing came or went: the test shows nothing"
    );
}

#[tokio::test]
async fn a_walk_asks_for_pages_of_five_hundred_and_no_more_often_than_needed() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    add_rows(&sandbox, "many", 10_000, |n| 1_700_000_000 + n);
    sandbox.clear_requests();
    assert_eq!(walk(&client).await.len(), 10_000);
    assert!(
        arrived(&sandbox, "appToken.list") <= 22,
        "{}",
        arrived(&sandbox, "appToken.list")
    );
}
