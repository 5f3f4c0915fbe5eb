//! Exchanging tokens for sessions, and the sessions that manage tokens.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use kaltura_app_token::{
    AdminSession, ApiCode, AppToken, BoxFuture, Client, ConnectCause, ErrorKind, HashType, Ks,
    KsFailure, KsVersion, ListOptions, NewToken, Pager, Secret, SessionRequest, SessionType,
    Transport, TransportAnswer, TransportError, TransportRequest,
};
use kaltura_e2e::{admin, arrived, builder, integrator, now, sandbox};
use kaltura_sandbox::{Fault, FaultKind};

fn request(token: &AppToken) -> SessionRequest {
    SessionRequest::new(&token.id, token.token.clone().unwrap())
}

#[tokio::test]
async fn every_hash_type_exchanges_and_another_one_says_what_is_wrong() {
    let sandbox = sandbox();
    let integrator = integrator(&sandbox);
    for hash_type in HashType::KNOWN {
        let new = NewToken::new().hash_type(hash_type.clone());
        let token = admin(&sandbox).add_token(&new).await.unwrap();
        let session = integrator
            .start_session(&request(&token).hash_type(hash_type.clone()))
            .await
            .unwrap();
        assert!(!session.ks.is_empty());

        let other = HashType::KNOWN
            .iter()
            .find(|known| *known != hash_type)
            .cloned()
            .unwrap();
        let error = integrator
            .start_session(&request(&token).hash_type(other))
            .await
            .unwrap_err();
        assert_eq!(error.api().unwrap().meaning(), ApiCode::InvalidAppTokenHash);
        assert!(
            error.hint().unwrap().text().contains("hash type"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_session_says_what_was_granted_and_what_was_dropped() {
    let sandbox = sandbox();
    let new = NewToken::new()
        .session_privileges("sview:*,list:*")
        .session_duration(Duration::from_secs(3600));
    let token = admin(&sandbox).add_token(&new).await.unwrap();
    let session = integrator(&sandbox)
        .start_session(
            &request(&token)
                .user_id("alice")
                .expiry(Duration::from_secs(600))
                .privileges("edit:*,foo:bar,sview:1_abc"),
        )
        .await
        .unwrap();
    assert_eq!(session.user_id.as_deref(), Some("alice"));
    assert_eq!(session.session_type, Some(SessionType::User));
    assert_eq!(session.partner_id, Some(sandbox.partner_id()));
    let left = session.expiry.unwrap() - now(&sandbox);
    assert!((598..=600).contains(&left), "{left}");
    assert_eq!(session.dropped_privileges, ["edit:*"]);
    let granted = session.privileges.unwrap();
    assert!(
        granted.contains("foo:bar") && granted.contains("sview:1_abc"),
        "{granted}"
    );

    let info = admin(&sandbox)
        .session_info(Some(&session.ks))
        .await
        .unwrap();
    assert_eq!(info.user_id, session.user_id);
    assert_eq!(info.expiry, session.expiry);
    assert_eq!(info.privileges, Some(granted));
}

#[tokio::test]
async fn what_is_no_ks_is_refused_before_the_server_fails_over_it() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    for text in [
        "garbage",
        "",
        "?ks=djJ8MTAyfNoA4BO7oDm9jLb6Eh4v",
        "djJ8MTAyfNoA4BO7oDm9\n",
    ] {
        let error = client
            .session_info(Some(&Secret::from(text)))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(error.hint().is_some(), "{text}");
    }
    assert_eq!(arrived(&sandbox, "session.get"), 0);
}

#[tokio::test]
async fn many_exchanges_share_one_widget_session() {
    let sandbox = sandbox();
    let token = admin(&sandbox).add_token(&NewToken::new()).await.unwrap();
    let integrator = integrator(&sandbox);
    sandbox.clear_requests();
    let mut at_once = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (client, request) = (integrator.clone(), request(&token));
        at_once.spawn(async move { client.start_session(&request).await });
    }
    while let Some(session) = at_once.join_next().await {
        session.unwrap().unwrap();
    }
    assert_eq!(arrived(&sandbox, "session.startWidgetSession"), 1);
    assert_eq!(arrived(&sandbox, "appToken.startSession"), 20);
}

#[tokio::test]
async fn a_widget_session_that_is_no_longer_accepted_is_renewed_once() {
    let sandbox = sandbox();
    let token = admin(&sandbox).add_token(&NewToken::new()).await.unwrap();
    let integrator = integrator(&sandbox);
    integrator.start_session(&request(&token)).await.unwrap();
    sandbox.advance_clock(100_000.0);
    sandbox.clear_requests();
    integrator.start_session(&request(&token)).await.unwrap();
    assert_eq!(arrived(&sandbox, "session.startWidgetSession"), 1);
    assert_eq!(arrived(&sandbox, "appToken.startSession"), 2);
}

#[tokio::test]
async fn a_server_that_refuses_every_widget_session_is_not_asked_for_ever() {
    let sandbox = sandbox();
    let token = admin(&sandbox).add_token(&NewToken::new()).await.unwrap();
    let refuse = FaultKind::Exception {
        code: "INVALID_KS".into(),
        message: "Invalid KS".into(),
    };
    sandbox.add_fault(Fault::new("appToken.startSession", refuse).times(100));
    let integrator = integrator(&sandbox);
    sandbox.clear_requests();
    for _ in 0..2 {
        let error = integrator
            .start_session(&request(&token))
            .await
            .unwrap_err();
        assert_eq!(
            error.api().unwrap().ks_failure(),
            Some(KsFailure::NotAccepted)
        );
    }
    assert!(
        arrived(&sandbox, "appToken.startSession") <= 3,
        "{}",
        arrived(&sandbox, "appToken.startSession")
    );
}

/// The first of two exchanges fetches the widget session, slowly; the second waits for the same one, and
/// can give up on its own.
#[tokio::test]
async fn an_exchange_that_waits_for_anothers_widget_session_can_be_cancelled() {
    let sandbox = sandbox();
    let token = admin(&sandbox).add_token(&NewToken::new()).await.unwrap();
    let slow = FaultKind::Latency { ms: 1_000 };
    sandbox.add_fault(Fault::new("session.startWidgetSession", slow));
    let client = integrator(&sandbox);
    let cancel = kaltura_app_token::Cancel::new();
    let impatient = client.with_cancel(&cancel);
    let request = request(&token);
    let started = std::time::Instant::now();
    let (patient, (given_up, waited), ()) = tokio::join!(
        client.start_session(&request),
        async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let error = impatient.start_session(&request).await.unwrap_err();
            (error.kind(), started.elapsed())
        },
        async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            cancel.trigger();
        }
    );
    assert_eq!(given_up, ErrorKind::Cancelled);
    assert!(waited < Duration::from_millis(600), "{waited:?}");
    patient.unwrap();
    assert_eq!(arrived(&sandbox, "session.startWidgetSession"), 1);
}

#[tokio::test]
async fn every_reason_not_to_exchange_a_token_has_its_own_code_and_hint() {
    let sandbox = sandbox();
    let admin = admin(&sandbox);
    let integrator = integrator(&sandbox);
    let token = admin.add_token(&NewToken::new()).await.unwrap();
    let exchange = async |request: SessionRequest| {
        let error = integrator.start_session(&request).await.unwrap_err();
        assert!(error.hint().is_some(), "{error:?}");
        (
            error.kind(),
            error.api().map(kaltura_app_token::ApiError::meaning),
        )
    };
    let api = |code| (ErrorKind::Api, Some(code));
    let unknown = SessionRequest::new("0_nosuchid", "0".repeat(32));
    assert_eq!(exchange(unknown).await, api(ApiCode::AppTokenIdNotFound));
    let wrong_value = SessionRequest::new(&token.id, "0".repeat(32));
    assert_eq!(
        exchange(wrong_value).await,
        api(ApiCode::InvalidAppTokenHash)
    );

    sandbox
        .patch_token(&token.id, &serde_json::json!({"status": 1}))
        .unwrap();
    assert_eq!(
        exchange(request(&token)).await,
        api(ApiCode::AppTokenNotActive)
    );

    let short = NewToken::new().expiry(now(&sandbox) + 50);
    let token = admin.add_token(&short).await.unwrap();
    sandbox.advance_clock(60.0);
    assert_eq!(
        exchange(request(&token)).await,
        api(ApiCode::AppTokenExpired)
    );

    for value in ["", "0123456789abcdef0123456789abcdef\n", " x"] {
        let before = sandbox.requests().len();
        let error = integrator
            .start_session(&SessionRequest::new("0_abcdefgh", value))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{value:?}");
        assert_eq!(sandbox.requests().len(), before);
    }
}

#[tokio::test]
async fn the_admin_session_comes_about_in_each_of_the_three_ways() {
    let sandbox = sandbox();
    for how in [
        AdminSession::Signed(KsVersion::V2),
        AdminSession::Signed(KsVersion::V1),
        AdminSession::Started,
    ] {
        let client = builder(&sandbox)
            .admin_secret(sandbox.admin_secret())
            .user_id("manager@example.com")
            .admin_session(how)
            .build()
            .unwrap();
        sandbox.clear_requests();
        let info = client.session_info(None).await.unwrap();
        assert_eq!(
            info.user_id.as_deref(),
            Some("manager@example.com"),
            "{how:?}"
        );
        client
            .list_tokens(&ListOptions::default(), Pager::default())
            .await
            .unwrap();
        let starts = usize::from(how == AdminSession::Started);
        assert_eq!(arrived(&sandbox, "session.start"), starts, "{how:?}");
    }
}

#[tokio::test]
async fn an_admin_session_started_by_the_server_can_be_read_and_ended() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let session = client.start_admin_session().await.unwrap();
    assert_eq!(session.session_type, Some(SessionType::Admin));
    assert!(session.expiry.unwrap() > now(&sandbox) + 80_000);
    let with_it = builder(&sandbox).ks(session.ks.clone()).build().unwrap();
    with_it
        .list_tokens(&ListOptions::default(), Pager::default())
        .await
        .unwrap();
    client.end_session(&session.ks).await.unwrap();
    let error = with_it
        .list_tokens(&ListOptions::default(), Pager::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.api().unwrap().ks_failure(),
        Some(KsFailure::LoggedOut)
    );
}

#[tokio::test]
async fn a_widget_session_alone_manages_nothing() {
    let sandbox = sandbox();
    let widget = integrator(&sandbox).start_widget_session().await.unwrap();
    let with_it = builder(&sandbox).ks(widget.ks).build().unwrap();
    let error = with_it.add_token(&NewToken::new()).await.unwrap_err();
    assert_eq!(error.api().unwrap().meaning(), ApiCode::ServiceForbidden);
}

/// Our clock is hours behind the server's: what we sign has expired when it arrives. The server's Date
/// tells, and the call succeeds.
#[tokio::test]
async fn a_wrong_clock_is_noticed_and_the_admin_session_signed_anew() {
    let sandbox = sandbox();
    sandbox.set_clock_offset(20.0 * 3_600.0);
    let client = builder(&sandbox)
        .admin_secret(sandbox.admin_secret())
        .admin_session_duration(Duration::from_secs(3_600))
        .build()
        .unwrap();
    client
        .list_tokens(&ListOptions::default(), Pager::default())
        .await
        .unwrap();
    assert_eq!(arrived(&sandbox, "appToken.list"), 2);
    let difference = client.clock_difference_seconds().unwrap();
    assert!((71_999..=72_001).contains(&difference), "{difference}");
    let created = client.add_token(&NewToken::new()).await.unwrap();
    assert_eq!(arrived(&sandbox, "appToken.add"), 1);
    assert!(created.created_at.unwrap() > now(&sandbox) - 5);
}

#[tokio::test]
async fn a_wrong_secret_is_refused_with_a_hint_and_changes_nothing() {
    let sandbox = sandbox();
    let client = builder(&sandbox)
        .admin_secret("0".repeat(32))
        .build()
        .unwrap();
    let error = client.add_token(&NewToken::new()).await.unwrap_err();
    assert_eq!(
        error.api().unwrap().ks_failure(),
        Some(KsFailure::NotAccepted)
    );
    assert!(error.hint().unwrap().text().contains("admin secret"));
    let started = builder(&sandbox)
        .admin_secret("0".repeat(32))
        .admin_session(AdminSession::Started)
        .build()
        .unwrap();
    let error = started.add_token(&NewToken::new()).await.unwrap_err();
    assert_eq!(error.api().unwrap().meaning(), ApiCode::StartSessionError);
    assert_eq!(sandbox.token_count(sandbox.partner_id()), 0);
}

#[tokio::test]
async fn without_an_account_or_a_secret_the_error_says_which_is_missing() {
    let sandbox = sandbox();
    let nobody = Client::builder()
        .service_url(sandbox.service_url())
        .build()
        .unwrap();
    let error = nobody.start_widget_session().await.unwrap_err();
    assert!(error.message().contains("partner id"), "{error}");
    let error = integrator(&sandbox)
        .add_token(&NewToken::new())
        .await
        .unwrap_err();
    assert!(error.message().contains("admin secret"), "{error}");
    assert_eq!(sandbox.requests().len(), 0);
}

/// Answers what it was told to, and keeps what it was asked.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<Vec<Result<TransportAnswer, TransportError>>>,
    asked: Mutex<Vec<(String, Bytes)>>,
}

impl Scripted {
    fn new(answers: Vec<Result<TransportAnswer, TransportError>>) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Transport for Scripted {
    fn post(
        &self,
        request: TransportRequest,
    ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
        let asked = (request.url().to_owned(), request.body().clone());
        self.asked.lock().unwrap().push(asked);
        let answer = self.answers.lock().unwrap().remove(0);
        Box::pin(async move { answer })
    }
}

#[expect(clippy::unnecessary_wraps, reason = "one entry of a script of results")]
fn ok(body: &str) -> Result<TransportAnswer, TransportError> {
    Ok(TransportAnswer::new(200, body.to_owned()))
}

/// The guide shows less in its answers than the recorded server sends; both are understood.
#[tokio::test]
async fn answers_in_the_guides_shape_are_understood() {
    for widget in [
        r#"{"ks":"djJ8d2lkZ2V0LXNlc3Npb24","partnerId":123456,"userId":"0","objectType":"KalturaStartWidgetSessionResponse"}"#,
        r#"{"result":{"ks":"djJ8d2lkZ2V0LXNlc3Npb24"}}"#,
    ] {
        let script = Scripted::new(vec![
            ok(widget),
            ok(r#"{"ks":"djJ8bWludGVkLXNlc3Npb24","objectType":"KalturaSessionInfo"}"#),
        ]);
        let client = Client::builder()
            .partner_id(123_456)
            .transport(script.clone())
            .build()
            .unwrap();
        let session = client
            .start_session(&SessionRequest::new("1_abc123def4", "value").privileges("edit:*"))
            .await
            .unwrap();
        assert_eq!(session.ks, Secret::from("djJ8bWludGVkLXNlc3Npb24"));
        assert_eq!((session.expiry, session.privileges), (None, None));
        assert!(
            session.dropped_privileges.is_empty(),
            "nobody said what was granted"
        );
    }
}

#[tokio::test]
async fn a_connection_that_never_came_about_is_tried_again_even_for_a_creation() {
    let refused = || {
        Err(TransportError::NotSent(
            ConnectCause::Refused,
            "connection refused".into(),
        ))
    };
    let script = Scripted::new(vec![
        refused(),
        refused(),
        ok(r#"{"id":"1_a","token":"t"}"#),
    ]);
    let client = Client::builder()
        .partner_id(1)
        .admin_secret("secret")
        .retry_backoff(Duration::from_millis(1))
        .transport(script.clone())
        .build()
        .unwrap();
    assert_eq!(client.add_token(&NewToken::new()).await.unwrap().id, "1_a");
    assert_eq!(script.asked(), 3);

    let script = Scripted::new(vec![refused(), refused(), refused(), refused()]);
    let client = Client::builder()
        .partner_id(1)
        .admin_secret("secret")
        .retry_backoff(Duration::from_millis(1))
        .transport(script.clone())
        .build()
        .unwrap();
    let error = client.add_token(&NewToken::new()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::Connect, 4),
        "the outcome is known: none"
    );
}

#[tokio::test]
async fn in_an_outage_the_calls_of_a_client_share_their_retries_and_a_lone_one_keeps_its_own() {
    let refused = || {
        Err(TransportError::NotSent(
            ConnectCause::Refused,
            String::new(),
        ))
    };
    let script = Scripted::new((0..400).map(|_| refused()).collect());
    let client = Client::builder()
        .partner_id(1)
        .admin_secret("secret")
        .retry_backoff(Duration::from_millis(10))
        .transport(script.clone())
        .build()
        .unwrap();
    let crowd = (0..60).map(|_| client.get_token("1_a"));
    let errors = futures_util::future::join_all(crowd).await;
    let attempts = script.asked();
    assert!(
        (160..=165).contains(&attempts),
        "60 calls and 100 retries: {attempts}"
    );
    let said = |error: &kaltura_app_token::Error| error.message().contains("not tried again");
    let refused = errors
        .into_iter()
        .map(Result::unwrap_err)
        .filter(said)
        .count();
    assert!(refused > 0, "an exhausted budget is said");

    let error = client.get_token("1_a").await.unwrap_err();
    assert_eq!((error.attempts(), said(&error)), (4, false), "{error}");
}

#[tokio::test]
async fn a_locally_signed_session_is_what_the_sandbox_reads_from_it() {
    let sandbox = sandbox();
    let client = builder(&sandbox)
        .admin_secret(sandbox.admin_secret())
        .admin_privileges("list:*,disableentitlement")
        .build()
        .unwrap();
    for version in [KsVersion::V1, KsVersion::V2] {
        let session = client.sign_admin_session(version).unwrap();
        let read = client.session_info(Some(&session.ks)).await.unwrap();
        assert_eq!(read.expiry, session.expiry);
        assert_eq!(read.privileges, session.privileges);
        let opened = Ks::open(&session.ks, &[Secret::from(sandbox.admin_secret())]).unwrap();
        assert_eq!((opened.version, opened.expiry), (version, session.expiry));
    }
}
