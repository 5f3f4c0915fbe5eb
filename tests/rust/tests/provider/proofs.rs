//! What the provider promises, in figures: nothing lapses, nobody waits, nothing is asked for in vain.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kaltura_app_token::{
    BoxFuture, Client, Clock, Result, SessionKey, SessionProvider, TokenCredentials, TokenSource,
    Transport, TransportAnswer, TransportError, TransportRequest,
};
use kaltura_e2e::LogKeeper;

use crate::stub::Stub;
use crate::virtual_time::{EPOCH, VirtualClock};
use crate::world::{ID, pass, seconds, source, world};

/// A network that takes its time.
#[derive(Debug)]
struct Far(Arc<Stub>, Duration);

impl Transport for Far {
    fn post(
        &self,
        request: TransportRequest,
    ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
        let answer = self.0.post(request);
        Box::pin(async {
            tokio::time::sleep(self.1).await;
            answer.await
        })
    }
}

/// A wall clock that went on while the machine was suspended, and a steady one that did not.
#[derive(Debug)]
struct SuspendedClock(VirtualClock, Arc<AtomicI64>);

impl Clock for SuspendedClock {
    fn unix_now(&self) -> Duration {
        self.0.unix_now() + seconds(self.1.load(Ordering::SeqCst).unsigned_abs())
    }

    fn steady_now(&self) -> Duration {
        self.0.steady_now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep(duration)
    }
}

/// A server whose sessions live for 300 s by this clock, and how many seconds it is ahead of it.
fn five_minutes(clock: &VirtualClock, ahead: &Arc<AtomicI64>) -> Arc<Stub> {
    let (time, ahead, number) = (clock.clone(), Arc::clone(ahead), AtomicI64::new(0));
    Stub::new(move |_| {
        let now = i64::try_from(time.unix_now().as_secs()).unwrap();
        let expiry = now + ahead.load(Ordering::SeqCst) + 300;
        let number = number.fetch_add(1, Ordering::SeqCst);
        format!(r#"{{"ks":"djJ8-session-of-the-stub-{number}","expiry":{expiry}}}"#)
    })
}

#[tokio::test(start_paused = true)]
async fn far_from_the_server_every_renewal_lands_in_time_and_no_request_is_in_vain() {
    const GETS: usize = 2000;
    let clock = VirtualClock::new(0);
    let stub = five_minutes(&clock, &Arc::default());
    let client = Client::builder()
        .service_url("https://stub.example")
        .partner_id(102)
        .clock(Arc::new(clock.clone()))
        .transport(Arc::new(Far(Arc::clone(&stub), Duration::from_millis(300))))
        .build()
        .unwrap();
    let provider = SessionProvider::new(client, source());
    let key = SessionKey::new();
    let mut last = provider.get(&key).await.unwrap();
    let (mut longest, mut renewals) = (Duration::ZERO, 0);
    for _ in 0..GETS {
        tokio::time::sleep(seconds(30)).await;
        let now = i64::try_from(clock.unix_now().as_secs()).unwrap();
        assert!(last.expiry.unwrap() > now, "it lapsed before the next one");
        let asked = tokio::time::Instant::now();
        let session = provider.get(&key).await.unwrap();
        longest = longest.max(asked.elapsed());
        renewals += usize::from(session != last);
        last = session;
    }
    tokio::time::sleep(seconds(1)).await;
    renewals += usize::from(provider.get(&key).await.unwrap() != last);
    println!(
        "{GETS} gets, {renewals} renewals, {} exchanges, at most {longest:?}",
        stub.exchanges()
    );
    assert!(longest <= Duration::from_millis(150), "{longest:?}");
    assert_eq!(stub.exchanges(), 1 + renewals);
    assert!((200..=300).contains(&renewals), "{renewals}");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_server_delays_no_get_and_three_seconds_after_it_is_back_there_is_a_fresh_session()
 {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    let old = provider.get(&key).await.unwrap();
    pass(seconds(590)).await;
    stub.close();
    let mut times = Vec::new();
    for _ in 0..1000 {
        let asked = tokio::time::Instant::now();
        assert_eq!(provider.get(&key).await.unwrap(), old);
        times.push(asked.elapsed());
        pass(Duration::from_millis(5)).await;
    }
    times.sort_unstable();
    let (p99, longest) = (times[989], times[999]);
    println!("a get took {p99:?} in 99 of 100 cases, {longest:?} at most");
    assert!(p99 <= Duration::from_millis(60) && longest <= Duration::from_millis(150));

    stub.open();
    let back = tokio::time::Instant::now();
    while provider.get(&key).await.unwrap() == old {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!(
        "a fresh session {:?} after the server's return",
        back.elapsed()
    );
    assert!(back.elapsed() <= seconds(3));
    assert_eq!(stub.exchanges(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_night_of_suspension_no_dead_session_is_handed_out_and_one_is_minted() {
    let (clock, slept) = (VirtualClock::new(0), Arc::new(AtomicI64::new(0)));
    let stub = five_minutes(&clock, &slept);
    let client = Client::builder()
        .service_url("https://stub.example")
        .partner_id(102)
        .clock(Arc::new(SuspendedClock(clock, Arc::clone(&slept))))
        .transport(Arc::clone(&stub) as Arc<dyn Transport>)
        .build()
        .unwrap();
    let provider = SessionProvider::new(client, source());
    let key = SessionKey::new();
    provider.get(&key).await.unwrap();
    slept.store(8 * 3600, Ordering::SeqCst);
    for _ in 0..100 {
        let (one, other) = tokio::join!(provider.get(&key), provider.get(&key));
        assert!(one.unwrap().expiry.unwrap() > EPOCH + 8 * 3600);
        assert!(other.unwrap().expiry.unwrap() > EPOCH + 8 * 3600);
    }
    assert_eq!(
        stub.exchanges(),
        2,
        "the first one, and exactly one after it"
    );
}

#[tokio::test(start_paused = true)]
async fn only_a_part_of_life_from_zero_to_a_half_can_be_left_at_renewal() {
    for part in [0.0, -0.1, 0.500_1, f64::NAN, f64::INFINITY] {
        let error = SessionProvider::builder(source())
            .renew_when_left(part)
            .unwrap_err();
        assert!(error.message().contains("renew_when_left"), "{error}");
    }
    let (stub, clock, _) = world();
    let builder = SessionProvider::builder(source()).renew_when_left(0.5);
    let provider = builder.unwrap().build(stub.client(&clock));
    let key = SessionKey::new().duration(seconds(600));
    provider.get(&key).await.unwrap();
    pass(seconds(269)).await;
    provider.get(&key).await.unwrap();
    assert_eq!(stub.exchanges(), 1);
    pass(seconds(62)).await;
    provider.get(&key).await.unwrap();
    assert_eq!(stub.exchanges(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_it_does_is_counted() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    provider.get(&key).await.unwrap();
    pass(seconds(550)).await;
    provider.get(&key).await.unwrap();
    stub.limit_rate("10");
    provider.get(&SessionKey::new()).await.unwrap_err();
    let stats = provider.stats();
    assert_eq!((stats.handed_out, stats.minted, stats.renewed), (2, 2, 1));
    assert_eq!((stats.failed, stats.refused, stats.waiting), (1, 0, 0));
    assert_eq!((stats.backing_off, stats.cached), (1, Some(1)));
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_said_once_when_it_begins_and_once_when_it_is_over() {
    let log = LogKeeper::install();
    let (stub, clock, _) = world();
    let source = TokenSource::value("0_outage", "0123456789abcdef");
    let provider = SessionProvider::new(stub.client(&clock), source);
    stub.limit_rate("1");
    for number in 0..500 {
        let key = SessionKey::new().user_id(format!("user-{}", number % 50));
        provider.get(&key).await.unwrap_err();
        pass(seconds(1)).await;
    }
    stub.lift_limit();
    pass(seconds(80)).await;
    for number in 0..50 {
        let key = SessionKey::new().user_id(format!("user-{number}"));
        provider.get(&key).await.unwrap();
    }
    let text = log.text();
    let said: Vec<_> = text
        .lines()
        .filter(|line| line.contains("started") && line.contains("0_outage"))
        .collect();
    println!("{said:#?}");
    assert_eq!(said.len(), 2);
    assert!(said[0].contains("cannot be started") && said[1].contains("again"));
}

/// By real time: a token source is no part of anybody's clock.
#[tokio::test]
async fn a_token_source_that_hangs_holds_up_its_own_callers_only_and_not_for_ever() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let blocks = Mutex::new(held);
    let source = TokenSource::callable(move || {
        // Until the sender is gone.
        let _ = blocks.lock().unwrap().recv();
        Ok(TokenCredentials::new(ID, "0123456789abcdef"))
    });
    let (stub, clock) = (Stub::new(|_| String::new()), VirtualClock::new(0));
    let client = Client::builder()
        .service_url("https://stub.example")
        .partner_id(102)
        .total_timeout(Duration::from_millis(300))
        .clock(Arc::new(clock))
        .transport(stub)
        .build()
        .unwrap();
    let provider = SessionProvider::new(client, source);
    let asked = std::time::Instant::now();
    let (alice, bob) = (SessionKey::new().user_id("alice"), SessionKey::new());
    let (one, other) = tokio::join!(provider.get(&alice), provider.get(&bob));
    let waited = asked.elapsed();
    for error in [one.unwrap_err(), other.unwrap_err()] {
        assert_eq!(
            error.kind(),
            kaltura_app_token::ErrorKind::Timeout,
            "{error}"
        );
        assert!(error.message().contains("token source"), "{error}");
    }
    println!("waited {waited:?} for a source that hangs");
    assert!(waited < seconds(3), "{waited:?}");
    drop(release);
}
