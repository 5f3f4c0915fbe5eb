//! No credential gets into an error, a log line or a debug print, whatever the server sends back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use kaltura_app_token::{Error, ListOptions, NewToken, Pager, Secret, SessionRequest, TokenUpdate};
use kaltura_e2e::{LogKeeper, arrived, builder};
use kaltura_sandbox::{Account, Accounts, Fault, FaultKind, Sandbox};

const ADMIN_SECRET: &str = "canary-admin-secret-5d41402abc4b";
const USER_SECRET: &str = "canary-user-secret-7d793037a0760";

/// Everything that can be printed of an error.
fn shown(error: &Error) -> String {
    format!(
        "{error} {error:?} {:?} {:?} {:?} {:?}",
        error.hint(),
        error.api(),
        error.candidate_ids(),
        std::error::Error::source(error).map(ToString::to_string),
    )
}

#[tokio::test]
async fn no_failure_shows_a_credential() {
    let log = LogKeeper::install();
    let accounts = Accounts::one(Account::new(102, ADMIN_SECRET, USER_SECRET));
    let sandbox = Sandbox::builder().accounts(accounts).start().unwrap();
    let client = builder(&sandbox)
        .admin_secret(ADMIN_SECRET)
        .max_retries(1)
        .max_response_bytes(1 << 20)
        .build()
        .unwrap();
    let token = client
        .add_token(&NewToken::new().description("d"))
        .await
        .unwrap();
    let value = token.token.clone().unwrap();
    let session = client
        .start_session(&SessionRequest::new(&token.id, value.clone()))
        .await
        .unwrap();
    let admin = client.start_admin_session().await.unwrap();
    let mut printed = format!("{token:?} {session:?} {admin:?} {client:?}");

    let faults = [
        FaultKind::KsEcho,
        FaultKind::Garbage,
        FaultKind::Html,
        FaultKind::Truncated,
        FaultKind::Reset,
        FaultKind::Huge { bytes: 2 << 20 },
        FaultKind::Status {
            status: 500,
            retry_after: None,
            body: format!("{ADMIN_SECRET} {}", value.reveal()),
        },
        FaultKind::Exception {
            code: format!("X{}", session.ks.reveal()),
            message: format!(
                "you sent {ADMIN_SECRET} and {} and {}",
                session.ks.reveal(),
                admin.ks.reveal()
            ),
        },
    ];
    let mut failures = 0;
    for kind in faults {
        sandbox.clear_faults();
        sandbox.add_fault(Fault::new("*", kind.clone()).times(1000).after());
        let request = SessionRequest::new(&token.id, value.clone());
        let errors = [
            client.get_token(&token.id).await.map(drop),
            client
                .list_tokens(&ListOptions::default(), Pager::default())
                .await
                .map(drop),
            client
                .update_token(&token.id, &TokenUpdate::new().description("x"))
                .await
                .map(drop),
            client.add_token(&NewToken::new()).await.map(drop),
            client.start_session(&request).await.map(drop),
            client.start_admin_session().await.map(drop),
            client.session_info(Some(&session.ks)).await.map(drop),
            client.end_session(&session.ks).await,
            client.delete_token("0_nosuchid").await,
        ];
        for error in errors.into_iter().filter_map(Result::err) {
            failures += 1;
            printed.push_str(&shown(&error));
        }
    }
    assert!(failures > 60, "{failures}");
    sandbox.clear_faults();
    let wrong = builder(&sandbox)
        .admin_secret(format!("{ADMIN_SECRET}x"))
        .build()
        .unwrap();
    printed.push_str(&shown(&wrong.get_token("x").await.unwrap_err()));

    let log = log.text();
    assert!(log.contains("appToken.get"), "the log is kept: {log}");
    for (what, secret) in [
        ("admin secret", ADMIN_SECRET.to_owned()),
        ("user secret", USER_SECRET.to_owned()),
        ("token value", value.reveal().to_owned()),
        ("session", session.ks.reveal().to_owned()),
        ("part of a session", session.ks.reveal()[..40].to_owned()),
        ("admin session", admin.ks.reveal().to_owned()),
    ] {
        assert!(!printed.contains(&secret), "{what} in a print");
        assert!(!log.contains(&secret), "{what} in the log");
    }
    assert!(arrived(&sandbox, "appToken.get") > 0);
}

#[test]
fn a_client_and_its_builder_do_not_print_what_they_hold() {
    let builder = kaltura_app_token::Client::builder()
        .partner_id(1)
        .admin_secret(ADMIN_SECRET)
        .ks(Secret::from("djJ8canaryks"))
        .proxy("http://user:canary-password@proxy.example:3128");
    let printed = format!("{builder:?}");
    for secret in [ADMIN_SECRET, "djJ8canaryks", "canary-password"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
