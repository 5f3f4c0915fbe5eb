//! What happens when no session can be minted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::stub::{Stub, exception};
use crate::virtual_time::VirtualClock;
use crate::world::{assert_waits, pass, seconds, settle, source, world};
use kaltura_app_token::{
    BoxFuture, Client, Clock, ConnectCause, ErrorKind, Result, SessionKey, SessionProvider,
    Transport, TransportAnswer, TransportError, TransportRequest,
};

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_keeps_the_session_and_waits_longer_each_time() {
    let clock = VirtualClock::new(0);
    let broken = Arc::new(AtomicBool::new(false));
    let (time, is_broken) = (clock.clone(), Arc::clone(&broken));
    let stub = Stub::new(move |_| {
        if is_broken.load(Ordering::SeqCst) {
            return exception("APP_TOKEN_NOT_ACTIVE");
        }
        let expiry = time.unix_now().as_secs() + 3600;
        format!(r#"{{"ks":"djJ8-session-of-the-stub-{expiry}","expiry":{expiry}}}"#)
    });
    let provider = SessionProvider::new(stub.client(&clock), source());
    let key = SessionKey::new();
    let old = provider.get(&key).await.unwrap();
    pass(seconds(3331)).await;
    broken.store(true, Ordering::SeqCst);

    let mut attempts = Vec::new();
    for tenth in 0..2680 {
        let before = stub.exchanges();
        assert_eq!(provider.get(&key).await.unwrap(), old, "{tenth} / 10 s");
        if stub.exchanges() > before {
            attempts.push(f64::from(tenth) / 10.0);
        }
        pass(Duration::from_millis(100)).await;
    }
    assert_waits(&attempts, &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]);

    pass(seconds(1)).await;
    let before = stub.exchanges();
    let error = provider.get(&key).await.unwrap_err();
    assert_eq!(error.code(), Some("APP_TOKEN_NOT_ACTIVE"), "it has expired");
    assert_eq!(
        stub.exchanges(),
        before + 1,
        "and that alone is worth another try"
    );
    broken.store(false, Ordering::SeqCst);
    provider.get(&key).await.unwrap_err();
    pass(seconds(75)).await;
    assert_ne!(provider.get(&key).await.unwrap(), old);
    assert_eq!(stub.exchanges(), before + 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_reaches_everybody_who_waits() {
    let clock = VirtualClock::new(0);
    let stub = Stub::new(|_| exception("APP_TOKEN_EXPIRED"));
    let provider = SessionProvider::new(stub.client(&clock), source());
    stub.close();
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let provider = provider.clone();
            tokio::spawn(async move { provider.get(&SessionKey::new()).await })
        })
        .collect();
    settle().await;
    stub.open();
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Some("APP_TOKEN_EXPIRED"));
    }
    assert_eq!(stub.exchanges(), 1);
}

/// A day, which is the longest that a server can ask for.
const DAY: u64 = 86_400;

#[tokio::test(start_paused = true)]
async fn no_retry_after_takes_the_provider_down_or_stops_it_for_longer_than_a_day() {
    for (retry_after, longest) in [
        ("18446744073709551615", DAY),
        ("18446744073709551616", DAY),
        ("999999999999999999999999999999", DAY),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
        ("86401", DAY),
        ("600", 600),
        ("-1", 2),
        ("-18446744073709551616", 2),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 2),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 2),
        ("", 2),
        ("soon", 2),
    ] {
        let (stub, _, provider) = world();
        let key = SessionKey::new().duration(seconds(600));
        let old = provider.get(&key).await.unwrap();
        pass(seconds(570)).await;
        stub.limit_rate(retry_after);
        assert_eq!(provider.get(&key).await.unwrap(), old, "{retry_after}");
        assert_eq!(stub.exchanges(), 2, "{retry_after}");

        let nothing_in_hand = SessionKey::new();
        let error = provider.get(&nothing_in_hand).await.unwrap_err();
        assert_eq!(error.http_status(), Some(429), "{retry_after}");
        assert_eq!(stub.exchanges(), 3, "{retry_after}");
        if longest > 2 {
            pass(seconds(longest - 2)).await;
            provider.get(&nothing_in_hand).await.unwrap_err();
            assert_eq!(stub.exchanges(), 3, "{retry_after}");
        }
        pass(seconds(3)).await;
        stub.lift_limit();
        provider.get(&nothing_in_hand).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_session_a_failure_is_told_again_until_it_is_time_for_another_try() {
    let (stub, _, provider) = world();
    stub.limit_rate("600");
    for _ in 0..100 {
        let error = provider.get(&SessionKey::new()).await.unwrap_err();
        assert_eq!(error.http_status(), Some(429));
        pass(seconds(5)).await;
    }
    assert_eq!(stub.exchanges(), 1, "100 calls in 500 seconds");
    let error = provider.get(&SessionKey::new()).await.unwrap_err();
    let hint = error.hint().unwrap().text();
    assert!(hint.contains("100 s"), "when the next try is: {hint}");

    stub.lift_limit();
    pass(seconds(99)).await;
    provider.get(&SessionKey::new()).await.unwrap_err();
    pass(seconds(1)).await;
    provider.get(&SessionKey::new()).await.unwrap();
    assert_eq!(stub.exchanges(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_gone_is_tried_ever_more_rarely_and_found_again_within_75_seconds() {
    let clock = VirtualClock::new(0);
    let gone = Arc::new(AtomicBool::new(true));
    let (time, is_gone) = (clock.clone(), Arc::clone(&gone));
    let stub = Stub::new(move |_| {
        if is_gone.load(Ordering::SeqCst) {
            return exception("APP_TOKEN_ID_NOT_FOUND");
        }
        let expiry = time.unix_now().as_secs() + 3600;
        format!(r#"{{"ks":"djJ8-session-of-the-stub-{expiry}","expiry":{expiry}}}"#)
    });
    let provider = SessionProvider::new(stub.client(&clock), source());
    let mut attempts = Vec::new();
    for tenth in 0..6000 {
        let before = stub.exchanges();
        let error = provider.get(&SessionKey::new()).await.unwrap_err();
        assert_eq!(error.code(), Some("APP_TOKEN_ID_NOT_FOUND"));
        if stub.exchanges() > before {
            attempts.push(f64::from(tenth) / 10.0);
        }
        pass(Duration::from_millis(100)).await;
    }
    assert_waits(
        &attempts,
        &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0],
    );

    gone.store(false, Ordering::SeqCst);
    pass(seconds(75)).await;
    provider.get(&SessionKey::new()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_after_its_caller_has_left_is_not_begun_again_at_once() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    let old = provider.get(&key).await.unwrap();
    pass(seconds(570)).await;
    stub.close();
    stub.limit_rate("10");
    assert_eq!(provider.get(&key).await.unwrap(), old);
    stub.open();
    settle().await;
    for _ in 0..9 {
        assert_eq!(provider.get(&key).await.unwrap(), old);
        pass(seconds(1)).await;
    }
    assert_eq!(stub.exchanges(), 2);
    stub.lift_limit();
    pass(seconds(2)).await;
    assert_ne!(provider.get(&key).await.unwrap(), old);
}

/// A network without a server.
#[derive(Debug, Default)]
struct Nowhere(AtomicUsize);

impl Transport for Nowhere {
    fn post(&self, _: TransportRequest) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            Err(TransportError::NotSent(
                ConnectCause::Refused,
                "no route".to_owned(),
            ))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_few_calls_wait_for_the_clients_retries() {
    let (clock, nowhere) = (VirtualClock::new(0), Arc::new(Nowhere::default()));
    let client = Client::builder()
        .service_url("https://stub.example")
        .partner_id(102)
        .clock(Arc::new(clock.clone()))
        .transport(Arc::clone(&nowhere) as Arc<dyn Transport>)
        .build()
        .unwrap();
    let provider = SessionProvider::new(client, source());
    let (mut at_once, mut waited) = (0, 0);
    while clock.steady_now() < seconds(600) {
        let asked = tokio::time::Instant::now();
        let error = provider.get(&SessionKey::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        match asked.elapsed() {
            Duration::ZERO => at_once += 1,
            _ => waited += 1,
        }
        pass(Duration::from_millis(100)).await;
    }
    assert!(waited <= 18, "{waited} calls waited");
    assert!(at_once >= 4000, "{at_once} calls had their answer at once");
    assert_eq!(nowhere.0.load(Ordering::SeqCst), 4 * waited);
}
