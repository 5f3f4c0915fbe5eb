//! Where sessions are kept.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::stub::Stub;
use crate::virtual_time::{EPOCH, VirtualClock};
use crate::world::{seconds, source, world};
use kaltura_app_token::{
    BoxFuture, CachedSession, KsFailure, MemoryCache, Secret, SessionCache, SessionKey,
    SessionProvider,
};

#[tokio::test(start_paused = true)]
async fn of_more_sessions_than_fit_those_asked_for_last_are_kept() {
    let (stub, clock, _) = world();
    let provider = SessionProvider::builder(source())
        .capacity(3)
        .build(stub.client(&clock));
    let key = |name: &str| SessionKey::new().user_id(name);
    for name in ["a", "b", "c", "a", "d"] {
        provider.get(&key(name)).await.unwrap();
    }
    assert_eq!(stub.exchanges(), 4);
    for (name, minted) in [("a", 0), ("c", 0), ("d", 0), ("b", 1), ("a", 1)] {
        let before = stub.exchanges();
        provider.get(&key(name)).await.unwrap();
        assert_eq!(stub.exchanges() - before, minted, "{name}");
    }
}

/// Kilobytes of memory that this process has in use.
fn resident_kilobytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_users_are_served_without_a_stall() {
    const USERS: usize = 100_000;
    let clock = VirtualClock::new(0);
    // As long as real ones are: 280 characters, and the privileges of a usual token.
    let ks = "x".repeat(270);
    let stub = Stub::new(move |params| {
        let user = &params["userId"];
        format!(
            r#"{{"ks":"{ks}{user}","expiry":{},"userId":"{user}","partnerId":"102","sessionType":0,
                "privileges":"sessionid:0_aaaaaaaa,apptoken:0_aaaaaaaa,sview:*,list:*,setrole:42"}}"#,
            EPOCH + 86_400
        )
    });
    let cache = Arc::new(MemoryCache::new(USERS));
    let provider = SessionProvider::builder(source())
        .cache(Arc::clone(&cache) as Arc<dyn SessionCache>)
        .build(stub.client(&clock));
    let key = |user: usize| SessionKey::new().user_id(format!("user-{user:06}"));
    provider.get(&key(0)).await.unwrap();

    let before = resident_kilobytes();
    let mut times = Vec::with_capacity(2 * USERS);
    for round in 0..2 {
        for user in 0..USERS {
            let started = Instant::now();
            provider.get(&key(user)).await.unwrap();
            times.push(started.elapsed());
        }
        assert_eq!(stub.exchanges(), USERS, "round {round}");
    }
    let bytes = (resident_kilobytes() - before) * 1024 / USERS;
    times.sort_unstable();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{bytes} bytes for each session; a get took {median:?}, the longest {longest:?}");
    assert_eq!(cache.len(), USERS);
    assert!(bytes < 2500, "{bytes} bytes for each session");
    assert!(longest < Duration::from_millis(500), "{longest:?}");

    provider
        .get(&SessionKey::new().user_id("one-more"))
        .await
        .unwrap();
    assert_eq!(cache.len(), USERS);
}

/// A cache as two processes could share it: it keeps what a store could keep.
#[derive(Debug, Default)]
struct SharedStore(Mutex<HashMap<SessionKey, (String, String, i64, i64)>>);

impl SessionCache for SharedStore {
    fn get<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Option<Arc<CachedSession>>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            let (ks, token, started, expiry) = self.0.lock().unwrap().get(key)?.clone();
            Some(Arc::new(CachedSession::new(ks, token, started, expiry)))
        })
    }

    fn put<'a>(&'a self, key: &'a SessionKey, cached: Arc<CachedSession>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let row = (
                cached.session.ks.reveal().to_owned(),
                cached.token_id.clone(),
                cached.started_at,
                cached.session.expiry.unwrap(),
            );
            self.0.lock().unwrap().insert(key.clone(), row);
        })
    }

    fn remove<'a>(&'a self, key: &'a SessionKey, ks: &'a Secret) -> BoxFuture<'a, bool> {
        Box::pin(async {
            let mut rows = self.0.lock().unwrap();
            let is_it = rows.get(key).is_some_and(|row| row.0 == ks.reveal());
            is_it && rows.remove(key).is_some()
        })
    }
}

/// A cache that takes its time with what it has read: ten seconds for the first reader.
#[derive(Debug, Default)]
struct SlowCache {
    memory: MemoryCache,
    readers: AtomicUsize,
}

impl SessionCache for SlowCache {
    fn get<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Option<Arc<CachedSession>>> {
        Box::pin(async {
            let found = self.memory.get(key).await;
            if self.readers.fetch_add(1, Ordering::SeqCst) == 0 {
                tokio::time::sleep(seconds(10)).await;
            }
            found
        })
    }

    fn put<'a>(&'a self, key: &'a SessionKey, session: Arc<CachedSession>) -> BoxFuture<'a, ()> {
        self.memory.put(key, session)
    }

    fn remove<'a>(&'a self, key: &'a SessionKey, ks: &'a Secret) -> BoxFuture<'a, bool> {
        self.memory.remove(key, ks)
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_minted_while_a_caller_was_looking_is_not_minted_again() {
    let (stub, clock, _) = world();
    let provider = SessionProvider::builder(source())
        .cache(Arc::new(SlowCache::default()))
        .build(stub.client(&clock));
    let key = SessionKey::new();
    let (first, second) = tokio::join!(provider.get(&key), provider.get(&key));
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(stub.exchanges(), 1);
}

#[tokio::test(start_paused = true)]
async fn providers_can_share_a_cache_of_their_own() {
    let (stub, clock, _) = world();
    let store: Arc<dyn SessionCache> = Arc::new(SharedStore::default());
    let builder = SessionProvider::builder(source()).cache(store);
    let here = builder.clone().build(stub.client(&clock));
    let there = builder.build(stub.client(&clock));
    let key = SessionKey::new();
    let session = here.get(&key).await.unwrap();
    assert_eq!(there.get(&key).await.unwrap().ks, session.ks);
    assert_eq!(stub.exchanges(), 1);

    let renewed = there.reject(&session, KsFailure::Expired).await.unwrap();
    assert_eq!(here.get(&key).await.unwrap().ks, renewed.ks);
    assert_eq!(stub.exchanges(), 2);
}

#[tokio::test]
async fn a_memory_gives_a_forked_child_an_empty_one_of_the_same_size() {
    let parents = MemoryCache::new(2);
    let keep = async |cache: &dyn SessionCache, user: &str| {
        let session = CachedSession::new("djJ8-session-of-the-stub", "0_aaaaaaaa", 0, 60);
        cache
            .put(&SessionKey::new().user_id(user), Arc::new(session))
            .await;
    };
    keep(&parents, "a").await;
    let childs = parents.for_child().unwrap();
    let has = async |user: &str| childs.get(&SessionKey::new().user_id(user)).await.is_some();
    assert!(!has("a").await);
    for user in ["b", "c", "d"] {
        keep(&*childs, user).await;
    }
    assert!(!has("b").await && has("c").await && has("d").await);
    assert_eq!(parents.len(), 1);
}
