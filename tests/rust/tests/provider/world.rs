//! What the tests of the provider share: a server that is a function, its clock, and token sources.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::stub::Stub;
use crate::virtual_time::VirtualClock;
use kaltura_app_token::{
    Client, Clock, NewToken, SessionProvider, TokenCredentials, TokenSource, blocking,
};
use kaltura_e2e::{admin, builder, integrator};
use kaltura_sandbox::Sandbox;

pub(crate) const ID: &str = "0_aaaaaaaa";

pub(crate) fn source() -> TokenSource {
    TokenSource::value(ID, "0123456789abcdef")
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server whose sessions live for as long as they are asked to, and a provider for it.
pub(crate) fn world() -> (Arc<Stub>, VirtualClock, SessionProvider) {
    let clock = VirtualClock::new(0);
    let (time, count) = (clock.clone(), AtomicUsize::new(0));
    let stub = Stub::new(move |params| {
        let life: i64 = params
            .get("expiry")
            .map_or(3600, |expiry| expiry.parse().unwrap());
        let expiry = i64::try_from(time.unix_now().as_secs()).unwrap() + life;
        let number = count.fetch_add(1, Ordering::SeqCst);
        let user = params.get("userId").map_or("", String::as_str);
        format!(
            r#"{{"ks":"djJ8-session-of-the-stub-{number}","expiry":{expiry},"privileges":"","userId":"{user}"}}"#
        )
    });
    let provider = SessionProvider::new(stub.client(&clock), source());
    (stub, clock, provider)
}

/// Lets everything that can go on do so, without moving the clock.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn pass(duration: Duration) {
    tokio::time::advance(duration).await;
}

pub(crate) async fn provider_on(sandbox: &Sandbox, token: NewToken) -> (Client, SessionProvider) {
    let client = admin(sandbox);
    let token = client.add_token(&token).await.unwrap();
    let source = TokenSource::value(token.id, token.token.unwrap());
    (client, SessionProvider::new(integrator(sandbox), source))
}

pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("provider-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub(crate) fn admin_blocking(sandbox: &Sandbox) -> blocking::Client {
    blocking::Client::new(builder(sandbox).admin_secret(sandbox.admin_secret())).unwrap()
}

/// Each wait is what is expected, a quarter more or less, and seen a tenth of a second too late.
pub(crate) fn assert_waits(attempts: &[f64], expected: &[f64]) {
    let mut waits: Vec<f64> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    waits.truncate(expected.len());
    let fits = |(wait, expected): (&f64, &f64)| {
        (expected * 0.75 - 0.001..=expected * 1.25 + 0.101).contains(wait)
    };
    assert_eq!(waits.len(), expected.len(), "{attempts:?}");
    assert!(waits.iter().zip(expected).all(fits), "{waits:?}");
}

/// A source whose token can be changed, and which counts how often it is asked.
#[derive(Clone, Default)]
pub(crate) struct Changing {
    answer: Arc<Mutex<Option<(String, String)>>>,
    pub(crate) asked: Arc<AtomicUsize>,
}

impl Changing {
    pub(crate) fn new(id: &str, token: &str) -> Self {
        let changing = Self::default();
        changing.set(id, token);
        changing
    }

    pub(crate) fn set(&self, id: &str, token: &str) {
        *self.answer.lock().unwrap() = Some((id.to_owned(), token.to_owned()));
    }

    pub(crate) fn source(&self) -> TokenSource {
        let this = self.clone();
        TokenSource::callable(move || {
            this.asked.fetch_add(1, Ordering::SeqCst);
            match this.answer.lock().unwrap().clone() {
                Some((id, token)) => Ok(TokenCredentials::new(id, token)),
                None => Err("the vault is sealed".into()),
            }
        })
    }
}
