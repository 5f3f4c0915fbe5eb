//! Panics of what the provider is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::stub::Stub;
use crate::virtual_time::VirtualClock;
use crate::world::{ID, pass, seconds, source, world};
use kaltura_app_token::{
    BoxFuture, CachedSession, Client, Clock, MemoryCache, Result, Secret, SessionCache, SessionKey,
    SessionProvider, TokenCredentials, TokenSource, Transport, TransportAnswer, TransportError,
    TransportRequest,
};

/// What panics in a flight, and until when.
#[derive(Clone, Debug)]
struct Panics {
    what: &'static str,
    now: Arc<AtomicBool>,
}

impl Panics {
    fn at(&self, what: &str) {
        assert!(
            self.what != what || !self.now.load(Ordering::SeqCst),
            "on purpose"
        );
    }
}

#[derive(Debug)]
struct PanickingCache(MemoryCache, Panics);

impl SessionCache for PanickingCache {
    fn get<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Option<Arc<CachedSession>>> {
        self.0.get(key)
    }

    fn put<'a>(&'a self, key: &'a SessionKey, session: Arc<CachedSession>) -> BoxFuture<'a, ()> {
        self.1.at("cache");
        self.0.put(key, session)
    }

    fn remove<'a>(&'a self, key: &'a SessionKey, ks: &'a Secret) -> BoxFuture<'a, bool> {
        self.0.remove(key, ks)
    }
}

#[derive(Debug)]
struct PanickingClock(VirtualClock, Panics);

impl Clock for PanickingClock {
    fn unix_now(&self) -> Duration {
        self.0.unix_now()
    }

    fn steady_now(&self) -> Duration {
        self.0.steady_now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // The deadline of a request: nobody else waits for so long.
        assert!(
            duration < seconds(10) || self.1.what != "clock" || !self.1.now.load(Ordering::SeqCst),
            "on purpose"
        );
        self.0.sleep(duration)
    }
}

#[derive(Debug)]
struct PanickingTransport(Arc<Stub>, Panics);

impl Transport for PanickingTransport {
    fn post(
        &self,
        request: TransportRequest,
    ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
        let answer = self.0.post(request);
        Box::pin(async {
            let answer = answer.await;
            self.1.at("transport");
            answer
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_what_it_is_given_is_an_error_for_all_who_wait_and_over_with_the_next_call() {
    for what in ["cache", "clock", "transport", "token source"] {
        let panics = Panics {
            what,
            now: Arc::new(AtomicBool::new(true)),
        };
        let (stub, clock, _) = world();
        let client = Client::builder()
            .service_url("https://stub.example")
            .partner_id(102)
            .max_retries(0)
            .clock(Arc::new(PanickingClock(clock, panics.clone())))
            .transport(Arc::new(PanickingTransport(
                Arc::clone(&stub),
                panics.clone(),
            )))
            .build()
            .unwrap();
        let source = TokenSource::callable({
            let panics = panics.clone();
            move || {
                panics.at("token source");
                Ok(TokenCredentials::new(ID, "0123456789abcdef"))
            }
        });
        let provider = SessionProvider::builder(source)
            .cache(Arc::new(PanickingCache(
                MemoryCache::new(10),
                panics.clone(),
            )))
            .build(client);
        let key = SessionKey::new().duration(seconds(600));
        let callers: Vec<_> = (0..10)
            .map(|_| {
                let (provider, key) = (provider.clone(), key.clone());
                tokio::spawn(async move { provider.get(&key).await })
            })
            .collect();
        for caller in callers {
            let error = caller
                .await
                .expect("the caller does not panic")
                .unwrap_err();
            assert!(error.message().contains("panicked"), "{what}: {error}");
        }
        // The client contains a panic of its transport, which is then a failed exchange like others.
        let waits = what == "transport";
        assert_eq!(
            format!("{provider:?}").contains("under_way: 0"),
            !waits,
            "{what}"
        );
        panics.now.store(false, Ordering::SeqCst);
        if waits {
            pass(seconds(2)).await;
        }
        let good = provider.get(&key).await.unwrap();

        pass(seconds(590)).await;
        panics.now.store(true, Ordering::SeqCst);
        assert_eq!(provider.get(&key).await.unwrap(), good, "{what}");
    }
}

/// On several threads, where a caller may look at an exchange at the moment at which it panics.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_ever_for_an_exchange_that_panicked() {
    let clock = VirtualClock::new(0);
    let stub = Stub::new(|_| {
        std::thread::sleep(Duration::from_millis(2));
        panic!("on purpose")
    });
    let provider = SessionProvider::new(stub.client(&clock), source());
    for round in 0..20 {
        let key = SessionKey::new().user_id(format!("user-{round}"));
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let (provider, key) = (provider.clone(), key.clone());
                tokio::spawn(async move { provider.get(&key).await })
            })
            .collect();
        for caller in callers {
            let ended = tokio::time::timeout(seconds(20), caller).await;
            let error = ended
                .expect("it ends")
                .expect("without a panic")
                .unwrap_err();
            assert!(error.message().contains("panicked"), "{error}");
        }
    }
}
