//! When a session is renewed, and who waits for that.

use std::collections::HashSet;
use std::time::Duration;

use crate::world::{pass, seconds, settle, source, world};
use kaltura_app_token::{Cancel, ErrorKind, SessionKey, SessionProvider};

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_when_about_a_quarter_of_its_life_is_left() {
    for life in [10, 30, 600, 3600, 86_400] {
        let (stub, _, provider) = world();
        let key = SessionKey::new().duration(seconds(life));
        let first = provider.get(&key).await.unwrap();
        pass(Duration::from_millis(725 * life - 10)).await;
        assert_eq!(provider.get(&key).await.unwrap(), first, "{life}");
        assert_eq!(stub.exchanges(), 1, "{life}");
        pass(Duration::from_millis(50 * life + 20)).await;
        assert_ne!(provider.get(&key).await.unwrap(), first, "{life}");
        assert_eq!(stub.exchanges(), 2, "{life}");
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_session_is_good_one_caller_renews_it_and_the_others_go_on() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    let old = provider.get(&key).await.unwrap();
    pass(seconds(550)).await;
    stub.close();
    let renews = tokio::spawn({
        let (provider, key) = (provider.clone(), key.clone());
        async move { provider.get(&key).await.unwrap() }
    });
    settle().await;
    for _ in 0..10 {
        assert_eq!(provider.get(&key).await.unwrap(), old);
    }
    stub.open();
    let new = renews.await.unwrap();
    assert_ne!(new, old);
    assert_eq!(provider.get(&key).await.unwrap(), new);
    assert_eq!(stub.exchanges(), 2);
}

#[tokio::test(start_paused = true)]
async fn once_it_has_expired_all_wait_for_one_renewal() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    let old = provider.get(&key).await.unwrap();
    pass(seconds(600)).await;
    stub.close();
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let (provider, key) = (provider.clone(), key.clone());
            tokio::spawn(async move { provider.get(&key).await.unwrap() })
        })
        .collect();
    settle().await;
    assert!(callers.iter().all(|caller| !caller.is_finished()));
    stub.open();
    for caller in callers {
        assert_ne!(caller.await.unwrap(), old);
    }
    assert_eq!(stub.exchanges(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_has_a_good_session_waits_50_ms_for_its_renewal_which_goes_on_without_anybody() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    let old = provider.get(&key).await.unwrap();
    pass(seconds(570)).await;
    stub.close();
    let asked = tokio::time::Instant::now();
    assert_eq!(provider.get(&key).await.unwrap(), old);
    let waited = asked.elapsed();
    // Tokio's timers are exact to a millisecond.
    assert!(waited <= Duration::from_millis(51), "{waited:?}");
    for _ in 0..100 {
        let asked = tokio::time::Instant::now();
        assert_eq!(provider.get(&key).await.unwrap(), old);
        assert_eq!(asked.elapsed(), Duration::ZERO, "the others do not wait");
    }
    stub.open();
    settle().await;
    assert_ne!(provider.get(&key).await.unwrap(), old);
    assert_eq!(stub.exchanges(), 2, "the one that the first of them began");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_is_not_lost_with_the_caller_who_began_it() {
    for by_cancel in [false, true] {
        let (stub, _, provider) = world();
        let key = SessionKey::new().duration(seconds(600));
        let old = provider.get(&key).await.unwrap();
        pass(seconds(570)).await;
        stub.close();
        let cancel = Cancel::new();
        let caller = tokio::spawn({
            let (provider, key) = (provider.with_cancel(&cancel), key.clone());
            async move { provider.get(&key).await }
        });
        settle().await;
        if by_cancel {
            cancel.trigger();
            let error = caller.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled);
        } else {
            caller.abort();
        }
        settle().await;
        stub.open();
        settle().await;
        assert_ne!(provider.get(&key).await.unwrap(), old);
        assert_eq!(stub.exchanges(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_while_its_renewal_is_waited_for_is_not_handed_out() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    let old = provider.get(&key).await.unwrap();
    pass(Duration::from_millis(599_980)).await;
    stub.close();
    let caller = tokio::spawn({
        let (provider, key) = (provider.clone(), key.clone());
        async move { provider.get(&key).await.unwrap() }
    });
    tokio::time::sleep(seconds(5)).await;
    assert!(!caller.is_finished());
    stub.open();
    assert_ne!(caller.await.unwrap(), old);
    assert_eq!(stub.exchanges(), 2);
}

#[tokio::test(start_paused = true)]
async fn not_everybody_renews_at_the_same_moment() {
    let mut renewed_at = HashSet::new();
    for _ in 0..30 {
        let (stub, _, provider) = world();
        let key = SessionKey::new().duration(seconds(600));
        provider.get(&key).await.unwrap();
        pass(seconds(430)).await;
        let mut second = 430;
        while stub.exchanges() == 1 {
            provider.get(&key).await.unwrap();
            pass(seconds(1)).await;
            second += 1;
        }
        assert!((434..=467).contains(&second), "{second}");
        renewed_at.insert(second);
    }
    assert!(renewed_at.len() > 3, "{renewed_at:?}");
}

#[tokio::test(start_paused = true)]
async fn how_long_a_renewal_is_waited_for_can_be_set() {
    let (stub, clock, _) = world();
    for wait in [Duration::ZERO, seconds(2)] {
        let provider = SessionProvider::builder(source())
            .renewal_wait(wait)
            .build(stub.client(&clock));
        let key = SessionKey::new().duration(seconds(600));
        let old = provider.get(&key).await.unwrap();
        pass(seconds(570)).await;
        stub.close();
        let asked = tokio::time::Instant::now();
        assert_eq!(provider.get(&key).await.unwrap(), old);
        let waited = asked.elapsed();
        assert!(waited >= wait && waited <= wait + Duration::from_millis(1));
        stub.open();
        settle().await;
    }
}
