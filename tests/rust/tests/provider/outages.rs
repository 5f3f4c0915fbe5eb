//! What is said of an outage, and of what is none.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use kaltura_app_token::{Client, ErrorKind, Event, SessionKey, SessionProvider, Transport};

use crate::stub::{Stub, exception};
use crate::virtual_time::{EPOCH, VirtualClock};
use crate::world::{pass, seconds, settle, source};

/// A client of the stub, and how many outages it has said to begin.
fn client_that_tells(stub: &Arc<Stub>, clock: &VirtualClock) -> (Client, Arc<AtomicUsize>) {
    let begun = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&begun);
    let client = Client::builder()
        .service_url("https://stub.example")
        .partner_id(102)
        .max_retries(0)
        .clock(Arc::new(clock.clone()))
        .transport(Arc::clone(stub) as Arc<dyn Transport>)
        .on_event(move |event| {
            if let Event::OutageBegan { .. } = event {
                told.fetch_add(1, Ordering::SeqCst);
            }
        })
        .build()
        .unwrap();
    (client, begun)
}

#[tokio::test(start_paused = true)]
async fn a_minting_that_was_cancelled_is_no_outage_and_nobody_waits_for_it() {
    let clock = VirtualClock::new(0);
    let stub = Stub::new(|_| {
        let expiry = EPOCH + 3600;
        format!(r#"{{"ks":"djJ8-session-of-the-stub","expiry":{expiry}}}"#)
    });
    let (client, begun) = client_that_tells(&stub, &clock);
    let provider = SessionProvider::new(client.clone(), source());
    stub.close();
    let waiting = provider.clone();
    let caller = tokio::spawn(async move { waiting.get(&SessionKey::new()).await });
    settle().await;
    client.cancel_all();
    let error = caller.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(begun.load(Ordering::SeqCst), 0);
    assert_eq!(provider.stats().backing_off, 0);
    stub.open();
    provider.get(&SessionKey::new()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn many_odd_answers_hide_no_later_outage() {
    let clock = VirtualClock::new(0);
    let stub = Stub::new(|params| exception(&format!("CODE_{}", params["userId"])));
    let (client, begun) = client_that_tells(&stub, &clock);
    let provider = SessionProvider::new(client, source());
    let ask = async |name: String| {
        let key = SessionKey::new().user_id(name);
        provider.get(&key).await.unwrap_err();
        begun.load(Ordering::SeqCst)
    };
    let mut said = 0;
    for number in 0..20 {
        said = ask(format!("{number}")).await;
    }
    pass(seconds(3600)).await;
    assert_eq!(
        ask("another".to_owned()).await,
        said + 1,
        "the old are over"
    );
    stub.limit_rate("1");
    assert_eq!(ask("rate".to_owned()).await, said + 2, "what will pass");
}

#[tokio::test(start_paused = true)]
async fn whoever_hears_that_an_outage_is_over_can_have_sessions_meanwhile() {
    let clock = VirtualClock::new(0);
    let stub = Stub::new(|_| {
        let expiry = EPOCH + 3600;
        format!(r#"{{"ks":"djJ8-session-of-the-stub","expiry":{expiry}}}"#)
    });
    let place: Arc<Mutex<Option<SessionProvider>>> = Arc::default();
    let found = Arc::new(Mutex::new(None));
    let (listening, heard) = (Arc::clone(&place), Arc::clone(&found));
    let client = Client::builder()
        .service_url("https://stub.example")
        .partner_id(102)
        .max_retries(0)
        .clock(Arc::new(clock.clone()))
        .transport(Arc::clone(&stub) as Arc<dyn Transport>)
        .on_event(move |event| {
            let Event::OutageEnded { .. } = event else {
                return;
            };
            let provider = listening.lock().unwrap().clone().unwrap();
            let (sender, receiver) = mpsc::channel();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                let key = SessionKey::new().user_id("another");
                let _ = sender.send(runtime.block_on(provider.get(&key)).is_ok());
            });
            *heard.lock().unwrap() = receiver.recv_timeout(Duration::from_secs(5)).ok();
        })
        .build()
        .unwrap();
    let provider = SessionProvider::new(client, source());
    *place.lock().unwrap() = Some(provider.clone());
    stub.limit_rate("0");
    provider.get(&SessionKey::new()).await.unwrap_err();
    stub.lift_limit();
    pass(seconds(2)).await;
    provider.get(&SessionKey::new()).await.unwrap();
    assert_eq!(*found.lock().unwrap(), Some(true));
}
