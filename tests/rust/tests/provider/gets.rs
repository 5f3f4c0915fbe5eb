//! Which session a caller gets, and who shares it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::stub::Stub;
use crate::virtual_time::{EPOCH, VirtualClock};
use crate::world::{ID, admin_blocking, pass, provider_on, seconds, settle, source, world};
use kaltura_app_token::{
    Cancel, Client, ErrorKind, MemoryCache, NewToken, Result, Session, SessionCache, SessionKey,
    SessionProvider, SessionRequest, TokenCredentials, TokenSource, blocking,
};
use kaltura_e2e::{admin, arrived, builder, integrator, sandbox};
use kaltura_sandbox::{Fault, FaultKind};

#[tokio::test(start_paused = true)]
async fn sessions_for_different_purposes_are_different_sessions() {
    let (stub, _, provider) = world();
    let keys = [
        SessionKey::new(),
        SessionKey::new().user_id("alice"),
        SessionKey::new().user_id("bob"),
        SessionKey::new().user_id("bob").privileges("foo:1"),
        SessionKey::new().duration(seconds(60)),
        SessionKey::new().session_type(kaltura_app_token::SessionType::User),
    ];
    let mut seen = HashSet::new();
    for key in keys.iter().chain(&keys) {
        seen.insert(provider.get(key).await.unwrap().ks.reveal().to_owned());
    }
    assert_eq!((seen.len(), stub.exchanges()), (keys.len(), keys.len()));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_at_once_make_one_exchange() {
    let (stub, _, provider) = world();
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let provider = provider.clone();
            tokio::spawn(async move { provider.get(&SessionKey::new()).await.unwrap() })
        })
        .collect();
    let mut seen = HashSet::new();
    for caller in callers {
        seen.insert(caller.await.unwrap().ks.reveal().to_owned());
    }
    assert_eq!((seen.len(), stub.exchanges()), (1, 1));
    assert!(format!("{provider:?}").contains("under_way: 0"));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_disturbs_nobody() {
    let (stub, _, provider) = world();
    stub.close();
    let mut callers: Vec<_> = (0..5)
        .map(|_| {
            let provider = provider.clone();
            tokio::spawn(async move { provider.get(&SessionKey::new()).await })
        })
        .collect();
    settle().await;
    // The first began the exchange.
    callers.remove(0).abort();
    settle().await;
    callers.remove(1).abort();
    settle().await;
    stub.open();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(stub.exchanges(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_everybody_gives_up_the_exchange_is_abandoned_and_the_next_caller_begins_another() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    stub.close();
    let give_up = async |provider: &SessionProvider| {
        let get = provider.get(&key);
        assert!(tokio::time::timeout(seconds(1), get).await.is_err());
    };
    give_up(&provider).await;
    let cancel = Cancel::new();
    let cancelled = tokio::spawn({
        let (provider, key) = (provider.with_cancel(&cancel), key.clone());
        async move { provider.get(&key).await }
    });
    settle().await;
    cancel.trigger();
    let error = cancelled.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let nothing_is_kept = format!("{provider:?}").contains("under_way: 0");
    assert!(nothing_is_kept, "{provider:?}");
    stub.open();
    provider.get(&key).await.unwrap();
    assert_eq!(stub.exchanges(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_caller_can_ask_for_a_session_that_is_good_for_some_time() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    let first = provider.get(&key).await.unwrap();
    pass(seconds(400)).await;
    assert_eq!(provider.get_with(&key, seconds(190)).await.unwrap(), first);
    assert_ne!(provider.get_with(&key, seconds(210)).await.unwrap(), first);
    assert_eq!(stub.exchanges(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_no_session_fulfils_is_served_with_a_fresh_one_and_makes_no_loop() {
    for key in [SessionKey::new(), SessionKey::new().duration(seconds(3600))] {
        let (stub, _, provider) = world();
        let first = provider.get(&key).await.unwrap();
        pass(seconds(10)).await;
        let fresh = provider.get_with(&key, seconds(4000)).await.unwrap();
        assert_ne!(fresh, first, "it might have been better");
        for _ in 0..100 {
            let session = provider.get_with(&key, seconds(4000)).await.unwrap();
            assert_eq!(session, fresh);
            pass(seconds(10)).await;
        }
        assert_eq!(stub.exchanges(), 2);
        // It is renewed like any other, and a wish that can be fulfilled still is.
        provider.get_with(&key, seconds(3000)).await.unwrap();
        assert_eq!(stub.exchanges(), 3);
        pass(seconds(3590)).await;
        assert_ne!(provider.get_with(&key, seconds(4000)).await.unwrap(), fresh);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_names_no_expiry_counts_from_the_moment_of_asking() {
    for (asked, known, life) in [
        (None, None, 300),
        (Some(1200), None, 1200),
        (None, Some(600), 600),
        (Some(1200), Some(600), 600),
        (Some(400), Some(600), 400),
    ] {
        let clock = VirtualClock::new(0);
        let stub = Stub::new(|_| r#"{"ks":"djJ8-the-guide-shows-nothing-else"}"#.to_owned());
        let source = TokenSource::callable(move || {
            let mut credentials = TokenCredentials::new(ID, "0123456789abcdef");
            credentials.session_duration = known.map(seconds);
            Ok(credentials)
        });
        let cache = Arc::new(MemoryCache::default());
        let provider = SessionProvider::builder(source)
            .cache(Arc::clone(&cache) as Arc<dyn SessionCache>)
            .build(stub.client(&clock));
        let mut key = SessionKey::new();
        key.duration = asked.map(seconds);
        let session = provider.get(&key).await.unwrap();
        assert_eq!(session.expiry, Some(EPOCH + i64::try_from(life).unwrap()));
        assert!(cache.get(&key).await.unwrap().is_estimated);
        pass(Duration::from_millis(725 * life - 1000)).await;
        provider.get(&key).await.unwrap();
        assert_eq!(stub.exchanges(), 1);
        pass(Duration::from_millis(275 * life + 2000)).await;
        provider.get(&key).await.unwrap();
        assert_eq!(stub.exchanges(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_that_are_dead_at_birth_are_an_error_and_not_a_loop() {
    let clock = VirtualClock::new(0);
    let stub = Stub::new(|_| format!(r#"{{"ks":"djJ8-session-dead-at-birth","expiry":{EPOCH}}}"#));
    let provider = SessionProvider::new(stub.client(&clock), source());
    let error = provider.get(&SessionKey::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.hint().unwrap().text().contains("sessionDuration"));
    assert_eq!(stub.exchanges(), 1);
}

#[tokio::test]
async fn expiry_is_judged_by_the_servers_clock() {
    for ahead in [-7200.0, 7200.0] {
        let sandbox = sandbox();
        sandbox.set_clock_offset(ahead);
        let (_, provider) = provider_on(&sandbox, NewToken::new()).await;
        let key = SessionKey::new().duration(seconds(600));
        let session = provider.get(&key).await.unwrap();
        assert_eq!(
            provider.get(&key).await.unwrap(),
            session,
            "not expired: {ahead}"
        );
        assert_eq!(arrived(&sandbox, "appToken.startSession"), 1);
        provider.get_with(&key, seconds(590)).await.unwrap();
        assert_eq!(arrived(&sandbox, "appToken.startSession"), 1);
    }
}

/// The `Date` has whole seconds: the server may be almost one ahead of it.
#[tokio::test(start_paused = true)]
async fn a_session_that_may_have_expired_is_not_handed_out() {
    let clock = VirtualClock::new(0);
    let stub = Stub::new(move |_| {
        format!(
            r#"{{"ks":"djJ8-session-of-the-stub","expiry":{}}}"#,
            EPOCH + 10
        )
    });
    stub.set_date("Fri, 15 Jan 2027 08:00:00 GMT");
    let client = stub.client(&clock);
    let provider = SessionProvider::new(client.clone(), source());
    let key = SessionKey::new();
    provider.get(&key).await.unwrap();
    assert_eq!(client.clock_difference_seconds(), Some(0));
    stub.close();
    pass(Duration::from_millis(8900)).await;
    provider.get(&key).await.unwrap();
    pass(Duration::from_millis(200)).await;
    let waits = || tokio::time::timeout(Duration::from_millis(100), provider.get(&key));
    let (renews, other) = tokio::join!(waits(), waits());
    assert!(renews.is_err() && other.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_cancel_of_the_client_is_not_one_of_the_provider() {
    let (stub, clock, _) = world();
    let cancel = Cancel::new();
    let client = stub.client(&clock).with_cancel(&cancel);
    let provider = SessionProvider::new(client, source());
    cancel.trigger();
    provider.get(&SessionKey::new()).await.unwrap();
}

/// The blocking client has no thread of its own: whoever waits drives the exchange, and when that
/// caller is cancelled another takes over.
#[test]
fn threads_share_an_exchange_and_survive_the_cancellation_of_the_one_that_began_it() {
    let sandbox = sandbox();
    let token = admin_blocking(&sandbox)
        .add_token(&NewToken::new())
        .unwrap();
    let client = blocking::Client::new(builder(&sandbox)).unwrap();
    let source = TokenSource::value(&token.id, token.token.unwrap());
    let provider = SessionProvider::new(client.with_client(Client::clone).unwrap(), source);
    sandbox.add_fault(Fault::new(
        "appToken.startSession",
        FaultKind::Latency { ms: 400 },
    ));

    let key = SessionKey::new();
    let get = |cancel: &Cancel, client: &blocking::Client| -> Result<Session> {
        let provider = provider.with_cancel(cancel);
        client.run(cancel, None, async |_| provider.get(&key).await)
    };
    std::thread::scope(|scope| {
        let first = Cancel::new();
        let begun = scope.spawn({
            let (client, first) = (&client, first.clone());
            move || get(&first, client)
        });
        std::thread::sleep(Duration::from_millis(100));
        let others: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| get(&Cancel::new(), &client)))
            .collect();
        std::thread::sleep(Duration::from_millis(100));
        first.trigger();
        assert_eq!(
            begun.join().unwrap().unwrap_err().kind(),
            ErrorKind::Cancelled
        );
        for other in others {
            other.join().unwrap().unwrap();
        }
    });
    assert_eq!(arrived(&sandbox, "appToken.startSession"), 1);
}

#[tokio::test]
async fn a_session_of_the_provider_is_what_an_exchange_gives() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let token = client
        .add_token(&NewToken::new().session_privileges("sview:*"))
        .await
        .unwrap();
    let value = token.token.unwrap();
    let key = SessionKey::new()
        .user_id("alice")
        .privileges("foo:1,edit:*")
        .duration(seconds(900));
    let provider = SessionProvider::new(
        integrator(&sandbox),
        TokenSource::value(&token.id, value.clone()),
    );
    let given = provider.get(&key).await.unwrap();
    let request = SessionRequest::new(&token.id, value)
        .user_id("alice")
        .privileges("foo:1,edit:*")
        .expiry(seconds(900));
    let exchanged = client.start_session(&request).await.unwrap();
    assert_eq!(given.user_id, exchanged.user_id);
    assert_eq!(given.privileges, exchanged.privileges);
    assert_eq!(given.dropped_privileges, ["edit:*"]);
    assert!(exchanged.expiry.unwrap() - given.expiry.unwrap() <= 1);
}
