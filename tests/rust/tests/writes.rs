//! What happens when the network or the server fails: nothing is created twice, nothing lost, and what
//! may be tried again is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use kaltura_app_token::{
    ApiCode, Cancel, Client, ErrorKind, ListOptions, NewToken, Pager, SessionRequest, TokenUpdate,
};
use kaltura_e2e::{admin, arrived, builder, now, sandbox};
use kaltura_sandbox::{Fault, FaultKind, Sandbox};

/// Failures after which nobody can tell whether the request was carried out.
fn failures_that_leave_it_open() -> Vec<FaultKind> {
    vec![
        FaultKind::Reset,
        FaultKind::Truncated,
        FaultKind::Garbage,
        FaultKind::Html,
        FaultKind::Empty,
        FaultKind::Huge { bytes: 2 << 20 },
        FaultKind::Status {
            status: 500,
            retry_after: None,
            body: String::new(),
        },
        FaultKind::Status {
            status: 502,
            retry_after: None,
            body: "<html>Bad Gateway</html>".into(),
        },
        FaultKind::Status {
            status: 503,
            retry_after: Some(0),
            body: String::new(),
        },
        FaultKind::Status {
            status: 408,
            retry_after: None,
            body: String::new(),
        },
        FaultKind::Status {
            status: 201,
            retry_after: None,
            body: String::new(),
        },
        FaultKind::Redirect {
            location: "https://elsewhere.example/".into(),
        },
        FaultKind::Status {
            status: 304,
            retry_after: None,
            body: String::new(),
        },
        FaultKind::Status {
            status: 499,
            retry_after: None,
            body: String::new(),
        },
        FaultKind::Status {
            status: 600,
            retry_after: None,
            body: String::new(),
        },
        FaultKind::Status {
            status: 999,
            retry_after: None,
            body: String::new(),
        },
        FaultKind::Exception {
            code: "INTERNAL_SERVERL_ERROR".into(),
            message: "after it was stored".into(),
        },
    ]
}

fn small_answers(sandbox: &Sandbox) -> Client {
    builder(sandbox)
        .admin_secret(sandbox.admin_secret())
        .max_response_bytes(1 << 20)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_creation_in_doubt_is_sent_once_and_names_the_token_that_it_may_be() {
    let sandbox = sandbox();
    for kind in failures_that_leave_it_open() {
        for carried_out in [true, false] {
            sandbox.reset();
            let client = small_answers(&sandbox);
            let mut fault = Fault::new("appToken.add", kind.clone());
            fault.after = carried_out;
            sandbox.add_fault(fault);
            // One more like it, from before, is not mistaken for it.
            let before = now(&sandbox) - 7200;
            let row = serde_json::json!([{"id": "0_earlier1", "token": "t", "status": 2, "hashType": "SHA256",
                "sessionType": 0, "description": "mine", "createdAt": before, "updatedAt": before}]);
            sandbox.add_tokens(sandbox.partner_id(), &row).unwrap();

            let error = client
                .add_token(&NewToken::new().description("mine"))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{kind:?}: {error}");
            assert!(!error.is_retryable());
            assert_eq!(arrived(&sandbox, "appToken.add"), 1, "{kind:?}: sent again");
            let created = usize::from(carried_out);
            assert_eq!(error.candidate_ids().len(), created, "{kind:?}: {error}");
            assert_eq!(sandbox.token_count(sandbox.partner_id()), 1 + created);
            for id in error.candidate_ids() {
                assert_eq!(
                    client.get_token(id).await.unwrap().description.as_deref(),
                    Some("mine")
                );
                assert!(error.message().contains(id.as_str()), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_creation_that_timed_out_is_in_doubt_too() {
    let sandbox = sandbox();
    sandbox.add_fault(Fault::new("appToken.add", FaultKind::Latency { ms: 400 }).after());
    let client = builder(&sandbox)
        .admin_secret(sandbox.admin_secret())
        .attempt_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    let error = client
        .add_token(&NewToken::new().description("slow"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert_eq!(error.candidate_ids().len(), 1, "{error}");
    assert_eq!(arrived(&sandbox, "appToken.add"), 1);
}

#[tokio::test]
async fn a_cancelled_creation_says_that_it_is_in_doubt() {
    let sandbox = sandbox();
    sandbox.add_fault(Fault::new("appToken.add", FaultKind::Latency { ms: 2000 }).after());
    let cancel = Cancel::new();
    let client = admin(&sandbox).with_cancel(&cancel);
    let started = Instant::now();
    let token = NewToken::new();
    let (result, ()) = tokio::join!(client.add_token(&token), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.trigger();
    });
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(result.unwrap_err().kind(), ErrorKind::OutcomeUnknown);

    let untouched = client.add_token(&NewToken::new()).await.unwrap_err();
    assert_eq!(
        untouched.kind(),
        ErrorKind::Cancelled,
        "nothing of it was sent"
    );
    assert_eq!(arrived(&sandbox, "appToken.add"), 1);
}

#[tokio::test]
async fn a_creation_that_was_refused_is_not_in_doubt() {
    let sandbox = sandbox();
    for (kind, expected) in [
        (
            FaultKind::Exception {
                code: "ACTION_BLOCKED".into(),
                message: "slow down".into(),
            },
            ErrorKind::Api,
        ),
        (
            FaultKind::Status {
                status: 429,
                retry_after: None,
                body: String::new(),
            },
            ErrorKind::Http,
        ),
        (
            FaultKind::Status {
                status: 403,
                retry_after: None,
                body: String::new(),
            },
            ErrorKind::Http,
        ),
    ] {
        sandbox.reset();
        sandbox.add_fault(Fault::new("appToken.add", kind.clone()));
        let error = admin(&sandbox)
            .add_token(&NewToken::new())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), expected, "{kind:?}: {error}");
        assert_eq!(arrived(&sandbox, "appToken.add"), 1, "{kind:?}");
    }
}

/// Every action but `add` survives every transient failure, and a fourth one in a row is final.
#[tokio::test]
async fn whatever_may_be_repeated_survives_three_failures_and_not_four() {
    let sandbox = sandbox();
    let transient = [
        FaultKind::Reset,
        FaultKind::Truncated,
        FaultKind::Status {
            status: 503,
            retry_after: None,
            body: String::new(),
        },
        FaultKind::Status {
            status: 429,
            retry_after: None,
            body: String::new(),
        },
        FaultKind::Status {
            status: 408,
            retry_after: None,
            body: String::new(),
        },
        FaultKind::Exception {
            code: "INTERNAL_SERVERL_ERROR".into(),
            message: "oops".into(),
        },
    ];
    let actions = [
        "appToken.get",
        "appToken.list",
        "appToken.update",
        "appToken.delete",
        "appToken.startSession",
        "session.startWidgetSession",
        "session.start",
        "session.get",
        "session.end",
    ];
    for kind in transient {
        for action in actions {
            for failures in [3, 4] {
                sandbox.reset();
                let client = admin(&sandbox);
                let token = client.add_token(&NewToken::new()).await.unwrap();
                sandbox.add_fault(Fault::new(action, kind.clone()).times(failures));
                let request = SessionRequest::new(&token.id, token.token.clone().unwrap());
                let result = match action {
                    "appToken.get" => client.get_token(&token.id).await.map(drop),
                    "appToken.list" => client
                        .list_tokens(&ListOptions::default(), Pager::default())
                        .await
                        .map(drop),
                    "appToken.update" => client
                        .update_token(&token.id, &TokenUpdate::new().description("x"))
                        .await
                        .map(drop),
                    "appToken.delete" => client.delete_token(&token.id).await,
                    "session.start" => client.start_admin_session().await.map(drop),
                    "session.get" => client.session_info(None).await.map(drop),
                    "session.end" => {
                        let session = client.start_admin_session().await.unwrap();
                        client.end_session(&session.ks).await
                    }
                    _ => client.start_session(&request).await.map(drop),
                };
                if failures == 3 {
                    assert!(result.is_ok(), "{action} {kind:?}: {}", result.unwrap_err());
                } else {
                    let error = result.unwrap_err();
                    assert_eq!(error.attempts(), 4, "{action} {kind:?}: {error}");
                    assert!(error.is_retryable());
                    assert_eq!(error.request(), Some(action));
                }
                assert_eq!(arrived(&sandbox, action), 4, "{action} {kind:?} {failures}");
            }
        }
    }
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_is_a_deletion() {
    let sandbox = sandbox();
    for kind in [
        FaultKind::Reset,
        FaultKind::Truncated,
        FaultKind::Status {
            status: 502,
            retry_after: None,
            body: String::new(),
        },
        FaultKind::Empty,
    ] {
        sandbox.reset();
        let client = admin(&sandbox);
        let id = client.add_token(&NewToken::new()).await.unwrap().id;
        sandbox.add_fault(Fault::new("appToken.delete", kind.clone()).after());
        client
            .delete_token(&id)
            .await
            .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(sandbox.token_count(sandbox.partner_id()), 0);
    }
}

#[tokio::test]
async fn an_empty_answer_is_not_taken_for_a_deletion_that_did_not_happen() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let id = client.add_token(&NewToken::new()).await.unwrap().id;
    sandbox.add_fault(Fault::new("appToken.delete", FaultKind::Empty));
    let error = client.delete_token(&id).await.unwrap_err();
    assert!(error.message().contains("still there"), "{error}");
    assert_eq!(sandbox.token_count(sandbox.partner_id()), 1);
}

#[tokio::test]
async fn what_will_not_get_better_is_not_tried_again() {
    let sandbox = sandbox();
    let exception = |code: &str| FaultKind::Exception {
        code: code.into(),
        message: "no".into(),
    };
    for kind in [
        exception("INVALID_APP_TOKEN_HASH"),
        exception("EXPIRED_TOKEN"),
        exception("APP_TOKEN_NOT_ACTIVE"),
        exception("INVALID_APP_TOKEN_ID"),
        exception("PROPERTY_VALIDATION_NOT_UPDATABLE"),
        exception("SERVICE_FORBIDDEN"),
        FaultKind::Garbage,
        FaultKind::Html,
        FaultKind::Empty,
        FaultKind::Huge { bytes: 2 << 20 },
        FaultKind::Status {
            status: 404,
            retry_after: None,
            body: String::new(),
        },
        FaultKind::Redirect {
            location: "/elsewhere".into(),
        },
    ] {
        sandbox.reset();
        sandbox.add_fault(Fault::new("appToken.get", kind.clone()).times(9));
        let error = small_answers(&sandbox)
            .get_token("0_abcdefgh")
            .await
            .unwrap_err();
        assert_eq!(
            (error.attempts(), arrived(&sandbox, "appToken.get")),
            (1, 1),
            "{kind:?}: {error}"
        );
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn both_spellings_of_a_code_mean_the_same() {
    let sandbox = sandbox();
    for (server, guide, meaning) in [
        (
            "APP_TOKEN_ID_NOT_FOUND",
            "INVALID_APP_TOKEN_ID",
            ApiCode::AppTokenIdNotFound,
        ),
        (
            "APP_TOKEN_EXPIRED",
            "EXPIRED_TOKEN",
            ApiCode::AppTokenExpired,
        ),
    ] {
        for spelling in [server, guide] {
            let kind = FaultKind::Exception {
                code: spelling.into(),
                message: "m".into(),
            };
            sandbox.add_fault(Fault::new("appToken.get", kind));
            let error = admin(&sandbox).get_token("0_abcdefgh").await.unwrap_err();
            assert_eq!(error.api().unwrap().meaning(), meaning);
            assert_eq!(error.code(), Some(spelling), "the raw code is kept");
        }
    }
}

#[tokio::test]
async fn the_server_decides_how_long_to_wait() {
    let sandbox = sandbox();
    let wait = FaultKind::Status {
        status: 503,
        retry_after: Some(1),
        body: String::new(),
    };
    sandbox.add_fault(Fault::new("session.startWidgetSession", wait));
    let started = Instant::now();
    admin(&sandbox).start_widget_session().await.unwrap();
    assert!(
        started.elapsed() >= Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn an_attempt_and_a_whole_call_have_their_limits() {
    let sandbox = sandbox();
    let slow = || Fault::new("appToken.list", FaultKind::Latency { ms: 300 });
    let client = builder(&sandbox)
        .admin_secret(sandbox.admin_secret())
        .attempt_timeout(Duration::from_millis(100))
        .total_timeout(Duration::from_millis(450))
        .build()
        .unwrap();
    let list = async || {
        client
            .list_tokens(&ListOptions::default(), Pager::default())
            .await
    };

    sandbox.add_fault(slow());
    list().await.expect("the second attempt is fast");

    sandbox.add_fault(slow().times(20));
    let started = Instant::now();
    let error = list().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(
        started.elapsed() < Duration::from_millis(700),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_redirect_is_refused_and_its_target_never_visited() {
    let sandbox = sandbox();
    let target = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    target.set_nonblocking(true).unwrap();
    let location = format!(
        "http://user:pass@{}/api_v3?x=1",
        target.local_addr().unwrap()
    );
    sandbox.add_fault(Fault::new(
        "*",
        FaultKind::Redirect {
            location: location.clone(),
        },
    ));
    let error = admin(&sandbox).get_token("0_abcdefgh").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.http_status()),
        (ErrorKind::Http, Some(302))
    );
    assert!(
        error
            .message()
            .contains(&target.local_addr().unwrap().to_string()),
        "{error}"
    );
    assert!(!error.message().contains("pass"), "{error}");
    assert!(target.accept().is_err(), "somebody followed the redirect");
}

#[tokio::test]
async fn an_unreachable_server_is_named_with_the_next_step() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let client = Client::builder()
        .service_url(format!("http://{closed}"))
        .partner_id(102)
        .max_retries(0)
        .build()
        .unwrap();
    let error = client.start_widget_session().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.message().contains(&closed.to_string()), "{error}");
    assert!(error.hint().unwrap().text().contains("service URL"));
}

/// A refusal before, and the id is mistyped: nothing was deleted, and nobody is told that it was.
#[tokio::test]
async fn a_refusal_is_not_a_lost_answer() {
    let sandbox = sandbox();
    sandbox.add_fault(Fault::new(
        "appToken.delete",
        FaultKind::Status {
            status: 429,
            retry_after: None,
            body: String::new(),
        },
    ));
    let error = admin(&sandbox)
        .delete_token("0_mistyped")
        .await
        .unwrap_err();
    assert_eq!(error.api().unwrap().meaning(), ApiCode::AppTokenIdNotFound);
}

#[tokio::test]
async fn no_limit_is_a_limit_that_is_never_reached() {
    let sandbox = sandbox();
    let client = builder(&sandbox)
        .admin_secret(sandbox.admin_secret())
        .total_timeout(Duration::MAX)
        .attempt_timeout(Duration::MAX)
        .retry_backoff(Duration::MAX)
        .build()
        .unwrap();
    client.add_token(&NewToken::new()).await.unwrap();
    let policy_is_asked = FaultKind::Reset;
    sandbox.add_fault(Fault::new("appToken.get", policy_is_asked).times(9));
    let call = client.get_token("0_abcdefgh");
    let waiting = tokio::time::timeout(Duration::from_millis(200), call).await;
    assert!(waiting.is_err(), "it waits for a day, and does not panic");
}

#[tokio::test]
async fn what_the_server_would_store_as_something_else_is_refused_with_the_limit_named() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let kept = client.add_token(&NewToken::new()).await.unwrap();
    let longest = "u".repeat(100);
    let too_long = format!("{longest}u");
    let text = "x".repeat(65_536);
    for (limit, new, update) in [
        (
            "2147483647",
            NewToken::new().expiry(2_147_483_648),
            TokenUpdate::new().expiry(2_147_483_648),
        ),
        (
            "100",
            NewToken::new().session_user_id(&too_long),
            TokenUpdate::new().session_user_id(&too_long),
        ),
        (
            "65535",
            NewToken::new().session_privileges(&text),
            TokenUpdate::new().session_privileges(&text),
        ),
        (
            "60000",
            NewToken::new().description(&text),
            TokenUpdate::new().description(&text),
        ),
    ] {
        for result in [
            client.add_token(&new).await,
            client.update_token(&kept.id, &update).await,
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{limit}: {error}");
            assert!(error.message().contains(limit), "{error}");
        }
    }
    let fits = NewToken::new()
        .expiry(2_147_483_647)
        .session_user_id(longest.clone());
    let created = client.add_token(&fits).await.unwrap();
    assert_eq!(created.session_user_id, Some(longest));
}
