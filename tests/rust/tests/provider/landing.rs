//! What a minting comes to may have ended by the time that its caller looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use kaltura_app_token::{
    BoxFuture, CachedSession, Clock, MemoryCache, Secret, SessionCache, SessionKey, SessionProvider,
};

use crate::stub::Stub;
use crate::virtual_time::VirtualClock;
use crate::world::{ID, pass, seconds, settle, source, world};

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_left_half_way_gets_no_session_that_has_ended_since() {
    let (stub, clock, provider) = world();
    let key = SessionKey::new();
    stub.close();
    let mut left = Box::pin(provider.get(&key));
    assert!((&mut left).now_or_never().is_none());
    let other = provider.get(&key);
    settle().await;
    stub.open();
    // The other one sees the minting through, and the first looks two hours later.
    other.await.unwrap();
    pass(seconds(7200)).await;
    let session = left.await.unwrap();
    let now = i64::try_from(clock.unix_now().as_secs()).unwrap();
    assert!(session.expiry.unwrap() > now, "{session:?} at {now}");
}

const KS: &str = "djJ8-session-of-the-stub";

/// Takes its time to keep a session.
#[derive(Debug)]
struct Slow(MemoryCache, Duration);

impl SessionCache for Slow {
    fn get<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Option<Arc<CachedSession>>> {
        self.0.get(key)
    }

    fn put<'a>(&'a self, key: &'a SessionKey, session: Arc<CachedSession>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            tokio::time::sleep(self.1).await;
            self.0.put(key, session).await;
        })
    }

    fn remove<'a>(&'a self, key: &'a SessionKey, ks: &'a Secret) -> BoxFuture<'a, bool> {
        self.0.remove(key, ks)
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_lives_shorter_than_it_takes_to_keep_it_is_an_error() {
    let (stub, clock, _) = world();
    let cache = Arc::new(Slow(MemoryCache::default(), seconds(30)));
    let provider = SessionProvider::builder(source())
        .cache(cache)
        .build(stub.client(&clock));
    let key = SessionKey::new().duration(seconds(20));
    let error = provider.get(&key).await.unwrap_err();
    assert!(error.message().contains("dead at birth"), "{error}");
    assert!(stub.exchanges() <= 3, "{}", stub.exchanges());
}

/// A store of two copies that do not agree, both with sessions of a hundred seconds.
#[derive(Debug)]
struct Flickering(AtomicUsize, i64);

impl SessionCache for Flickering {
    fn get<'a>(&'a self, _: &'a SessionKey) -> BoxFuture<'a, Option<Arc<CachedSession>>> {
        let ks = format!(
            "djJ8-session-of-a-replica-{}",
            self.0.fetch_add(1, Ordering::SeqCst) % 2
        );
        let session = CachedSession::new(ks, ID, self.1 - 100, self.1 + 100);
        Box::pin(async { Some(Arc::new(session)) })
    }

    fn put<'a>(&'a self, _: &'a SessionKey, _: Arc<CachedSession>) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn remove<'a>(&'a self, _: &'a SessionKey, _: &'a Secret) -> BoxFuture<'a, bool> {
        Box::pin(async { true })
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_copies_do_not_agree_makes_no_loop() {
    let (stub, clock, _) = world();
    let now = i64::try_from(clock.unix_now().as_secs()).unwrap();
    let cache = Arc::new(Flickering(AtomicUsize::new(0), now));
    let provider = SessionProvider::builder(source())
        .cache(cache.clone())
        .build(stub.client(&clock));
    let session = provider.get_with(&SessionKey::new(), seconds(1000)).await;
    let left = session.unwrap().expiry.unwrap() - now;
    assert!(
        left >= 1000,
        "{left} s, although a fresh one lives for longer"
    );
    let looks = cache.0.load(Ordering::SeqCst);
    assert!(looks <= 8, "{looks}");
}

#[tokio::test(start_paused = true)]
async fn an_expiry_far_beyond_what_was_asked_for_does_not_make_a_session_immortal() {
    // In milliseconds, and the last that there is.
    for expiry in ["1800003600000", "9223372036854775807"] {
        let clock = VirtualClock::new(0);
        let stub = Stub::new(move |_| format!(r#"{{"ks":"{KS}","expiry":{expiry}}}"#));
        let provider = SessionProvider::new(stub.client(&clock), source());
        let key = SessionKey::new().duration(seconds(600));
        provider.get(&key).await.unwrap();
        pass(seconds(2 * 86_400)).await;
        provider.get(&key).await.unwrap();
        assert_eq!(stub.exchanges(), 2, "{expiry}");
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_one_that_cannot_be_where_nothing_was_asked_for() {
    for expiry in ["1800003600000", "9223372036854775807"] {
        let clock = VirtualClock::new(0);
        let stub = Stub::new(move |_| format!(r#"{{"ks":"{KS}","expiry":{expiry}}}"#));
        let provider = SessionProvider::new(stub.client(&clock), source());
        provider.get(&SessionKey::new()).await.unwrap();
        pass(seconds(2 * 86_400)).await;
        provider.get(&SessionKey::new()).await.unwrap();
        assert_eq!(stub.exchanges(), 2, "{expiry}");
    }
}
