//! What a call can be given beside its input: less time, an end from elsewhere, and somebody who is told
//! what happens in it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kaltura_app_token::{
    AdminSession, Client, ErrorKind, Event, ListOptions, NewToken, Pager, SessionRequest,
};
use kaltura_e2e::{Reply, ScriptedServer, builder, sandbox};
use kaltura_sandbox::{Fault, FaultKind};

const ADMIN_SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A server that answers after a tenth of a second.
fn slow_server() -> ScriptedServer {
    ScriptedServer::start(|request| {
        std::thread::sleep(Duration::from_millis(100));
        Reply::json(match request.action.as_str() {
            "session.start" => r#""djJ8-an-admin-session-of-a-scripted-server""#,
            _ => r#"{"totalCount":0,"objects":[]}"#,
        })
    })
}

fn client_of(server: &ScriptedServer) -> Client {
    Client::builder()
        .service_url(server.service_url())
        .partner_id(102)
        .admin_secret(ADMIN_SECRET)
        .admin_session(AdminSession::Started)
        .retry_backoff(Duration::from_millis(50))
        .total_timeout(Duration::from_millis(600))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_client_of_less_time_ends_its_calls_earlier_and_no_others() {
    let server = slow_server();
    let client = client_of(&server);
    let impatient = client.with_total_timeout(Duration::from_millis(20));
    let (options, pager) = (ListOptions::default(), Pager::default());
    let begun = Instant::now();
    let (patient, hasty) = tokio::join!(
        client.list_tokens(&options, pager),
        impatient.list_tokens(&options, pager),
    );
    assert!(patient.is_ok(), "{patient:?}");
    let error = hasty.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains("20ms"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(2));
    let none = client.with_total_timeout(Duration::ZERO);
    let error = none.list_tokens(&options, pager).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn cancelling_all_ends_what_is_under_way_and_nothing_later() {
    let server = slow_server();
    let client = client_of(&server);
    let (options, pager) = (ListOptions::default(), Pager::default());
    let clone = client.clone();
    let (first, second, ()) = tokio::join!(
        client.list_tokens(&options, pager),
        clone.list_tokens(&options, pager),
        async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            client.cancel_all();
        }
    );
    for ended in [first, second] {
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Cancelled);
    }
    let later = client.list_tokens(&options, pager).await;
    assert!(later.is_ok(), "{later:?}");
}

#[tokio::test]
async fn a_call_that_is_left_half_way_holds_up_no_other_one() {
    // What the two calls share takes a second attempt, which somebody has to make meanwhile.
    let asked = AtomicUsize::new(0);
    let server = ScriptedServer::start(move |request| match request.action.as_str() {
        "session.start" if asked.fetch_add(1, Ordering::SeqCst) == 0 => Reply::new(503, &[], ""),
        "session.start" => Reply::json(r#""djJ8-an-admin-session-of-a-scripted-server""#),
        _ => Reply::json(r#"{"totalCount":0,"objects":[]}"#),
    });
    let client = client_of(&server);
    let (options, pager) = (ListOptions::default(), Pager::default());
    let mut left = pin!(client.list_tokens(&options, pager));
    tokio::select! {
        biased;
        _ = &mut left => panic!("nothing has come yet"),
        () = tokio::time::sleep(Duration::from_millis(20)) => {}
    }
    // Longer than any call may take: what the two share must not have waited for the first one.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let other = client.list_tokens(&options, pager).await;
    assert!(other.is_ok(), "{other:?}");
    assert_eq!(server.arrived("session.start"), 2);
}

#[tokio::test]
async fn what_happens_within_calls_is_told() {
    let sandbox = sandbox();
    let (events, told) = mpsc::channel();
    let client = builder(&sandbox)
        .admin_secret(sandbox.admin_secret())
        .on_event(move |event| {
            let _ = events.send(event.clone());
            panic!("a listener's own trouble");
        })
        .build()
        .unwrap();
    let token = client
        .add_token(&NewToken::new().session_privileges("sview:1_a"))
        .await
        .unwrap();
    sandbox.add_fault(Fault::new("appToken.get", FaultKind::Reset).times(1));
    client.get_token(&token.id).await.unwrap();
    let request = SessionRequest::new(&token.id, token.token.unwrap()).privileges("edit:1_b");
    let session = client.start_session(&request).await.unwrap();
    assert_eq!(session.dropped_privileges, ["edit:1_b"]);
    sandbox.add_fault(Fault::new("appToken.add", FaultKind::Reset).times(1));
    let doubt = client.add_token(&NewToken::new()).await.unwrap_err();
    assert_eq!(doubt.kind(), ErrorKind::OutcomeUnknown);

    let told: Vec<Event> = told.try_iter().collect();
    let [
        Event::Retry {
            request: again,
            attempts: 1,
            error,
            ..
        },
        Event::SessionFetched { request: fetched },
        Event::DroppedPrivileges { privileges, .. },
        Event::InDoubt { error: in_doubt },
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(*again, "appToken.get");
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(*fetched, "session.startWidgetSession");
    assert_eq!(privileges, &["edit:1_b"]);
    assert_eq!(in_doubt.message(), doubt.message());
    for event in &told {
        assert!(!event.to_string().contains(session.ks.reveal()), "{event}");
    }
}

#[tokio::test]
async fn a_call_right_after_cancelling_all_shares_nothing_that_was_cancelled() {
    let server = slow_server();
    let client = client_of(&server);
    let (options, pager) = (ListOptions::default(), Pager::default());
    let mut first = pin!(client.list_tokens(&options, pager));
    tokio::select! {
        biased;
        _ = &mut first => panic!("nothing has come yet"),
        () = tokio::time::sleep(Duration::from_millis(20)) => client.cancel_all(),
    }
    let (cancelled, later) = tokio::join!(first, client.list_tokens(&options, pager));
    assert_eq!(cancelled.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(later.is_ok(), "{later:?}");
}

#[test]
fn what_another_runtime_began_ends_with_nobody_elses_call() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let (one, other, server) = (runtime(), runtime(), slow_server());
    let client = client_of(&server);
    let (options, pager) = (ListOptions::default(), Pager::default());
    // The first one asks for the session that both need, and is then no longer driven, and gone.
    let mut left = Box::pin(client.list_tokens(&options, pager));
    one.block_on(async {
        tokio::select! {
            biased;
            _ = &mut left => panic!("nothing has come yet"),
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    });
    let asked = other.block_on(async {
        let asking = client.list_tokens(&options, pager);
        let ending = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            one.shutdown_background();
        };
        tokio::join!(asking, ending).0
    });
    assert!(asked.is_ok(), "{asked:?}");
    drop(left);
}

#[tokio::test]
async fn the_id_in_a_doubtful_answer_is_told_and_holds_no_credential() {
    let server = ScriptedServer::start(|request| {
        Reply::json(match request.action.as_str() {
            "session.start" => r#""djJ8-an-admin-session-of-a-scripted-server""#,
            _ => r#"{"id":"0123456789abcdef0123456789abcdef"}"#,
        })
    });
    let (events, told) = mpsc::channel();
    let client = Client::builder()
        .service_url(server.service_url())
        .partner_id(102)
        .admin_secret(ADMIN_SECRET)
        .on_event(move |event| events.send(event.clone()).unwrap())
        .build()
        .unwrap();
    let doubt = client.add_token(&NewToken::new()).await.unwrap_err();
    assert_eq!(doubt.kind(), ErrorKind::OutcomeUnknown);
    let shown = format!("{doubt} {doubt:?} {:?}", doubt.candidate_ids());
    assert!(!shown.contains(ADMIN_SECRET), "{shown}");
    let told: Vec<Event> = told.try_iter().collect();
    assert!(matches!(&told[..], [Event::InDoubt { .. }]), "{told:?}");
}
