//! One provider and several runtimes, of which one stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use kaltura_app_token::{Client, SessionKey, SessionProvider, Transport};

use crate::stub::Stub;
use crate::world::source;

#[test]
fn a_renewal_on_a_runtime_that_stands_still_holds_up_no_other_runtime() {
    let life = 3;
    let minted = AtomicI64::new(0);
    let stub = Stub::new(move |_| {
        let now = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        let (number, expiry) = (minted.fetch_add(1, Ordering::SeqCst), now + life);
        format!(r#"{{"ks":"djJ8-session-of-the-stub-{number}","expiry":{expiry}}}"#)
    });
    let client = Client::builder()
        .service_url("https://stub.example")
        .partner_id(102)
        .max_retries(0)
        .total_timeout(Duration::from_secs(1))
        .transport(Arc::clone(&stub) as Arc<dyn Transport>)
        .build()
        .unwrap();
    let provider = SessionProvider::builder(source())
        .renew_when_left(0.5)
        .unwrap()
        .build(client);
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let (still, other) = (runtime(), runtime());
    still.block_on(provider.get(&SessionKey::new())).unwrap();
    std::thread::sleep(Duration::from_millis(1700));
    stub.close();
    // It leaves the renewal after 50 ms, to a runtime that nobody drives from here on.
    still.block_on(provider.get(&SessionKey::new())).unwrap();
    assert_eq!(stub.exchanges(), 2);
    stub.open();
    std::thread::sleep(Duration::from_millis(1700));

    let begun = Instant::now();
    let asked = other.block_on(provider.get(&SessionKey::new()));
    assert!(asked.is_ok(), "{asked:?}");
    assert!(begun.elapsed() < Duration::from_secs(1));
    drop(still);
}
