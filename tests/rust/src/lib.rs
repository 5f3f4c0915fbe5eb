//! What the end-to-end tests share: clients for a sandbox, a tap on the wire, and secrets to look for.

mod scripted_server;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kaltura_app_token::{Client, ClientBuilder};
use kaltura_sandbox::Sandbox;

pub use scripted_server::{Reply, Request, ScriptedServer};

/// A sandbox with the recorded accounts' one account.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn sandbox() -> Sandbox {
    Sandbox::start().expect("the sandbox starts")
}

/// A builder for a client of this sandbox that does not dawdle between retries.
pub fn builder(sandbox: &Sandbox) -> ClientBuilder {
    Client::builder()
        .service_url(sandbox.service_url())
        .partner_id(sandbox.partner_id())
        .retry_backoff(Duration::from_millis(2))
}

/// A client that manages tokens.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn admin(sandbox: &Sandbox) -> Client {
    builder(sandbox)
        .admin_secret(sandbox.admin_secret())
        .build()
        .expect("a client")
}

/// A client that knows the account and nothing else.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn integrator(sandbox: &Sandbox) -> Client {
    builder(sandbox).build().expect("a client")
}

/// The sandbox's time in whole unix seconds.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "no test lives in so far a future"
)]
pub fn now(sandbox: &Sandbox) -> i64 {
    sandbox.now() as i64
}

/// How many requests for `service.action` have arrived.
#[must_use]
pub fn arrived(sandbox: &Sandbox, name: &str) -> usize {
    sandbox
        .requests()
        .iter()
        .filter(|request| {
            format!("{}.{}", request.service, request.action).eq_ignore_ascii_case(name)
        })
        .count()
}

/// A tap between client and sandbox that keeps every byte of both directions.
#[derive(Debug)]
pub struct Tap {
    port: u16,
    seen: Arc<Mutex<(Vec<u8>, Vec<u8>)>>,
}

impl Tap {
    /// Listens, and passes everything on to the sandbox.
    ///
    /// # Panics
    /// When no socket can be had.
    #[must_use]
    pub fn on(sandbox: &Sandbox) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let target = sandbox.port();
        let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else {
                    return;
                };
                for sent in [true, false] {
                    let (Ok(client), Ok(server)) = (client.try_clone(), server.try_clone()) else {
                        return;
                    };
                    let (mut from, mut to) = if sent {
                        (client, server)
                    } else {
                        (server, client)
                    };
                    let kept = Arc::clone(&kept);
                    std::thread::spawn(move || {
                        let mut buffer = [0; 16 << 10];
                        while let Ok(length @ 1..) = from.read(&mut buffer) {
                            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                            let side = if sent { &mut kept.0 } else { &mut kept.1 };
                            side.extend_from_slice(&buffer[..length]);
                            drop(kept);
                            if to.write_all(&buffer[..length]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
            }
        });
        Self { port, seen }
    }

    /// The sandbox's service URL by way of the tap.
    #[must_use]
    pub fn service_url(&self) -> String {
        format!("http://127.0.0.1:{}/api_v3", self.port)
    }

    /// What clients sent.
    #[must_use]
    pub fn sent(&self) -> String {
        let kept = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept.0).into_owned()
    }

    /// What the sandbox answered.
    #[must_use]
    pub fn answered(&self) -> String {
        let kept = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept.1).into_owned()
    }
}

/// Keeps every line that is logged in this process, at the most talkative level.
#[derive(Debug, Default)]
pub struct LogKeeper(Mutex<String>);

impl LogKeeper {
    /// Installs it; once per process.
    ///
    /// # Panics
    /// When another logger is installed.
    #[must_use]
    pub fn install() -> &'static Self {
        let keeper: &'static Self = Box::leak(Box::default());
        log::set_logger(keeper).expect("the only logger");
        log::set_max_level(log::LevelFilter::Trace);
        keeper
    }

    /// Everything so far.
    #[must_use]
    pub fn text(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl log::Log for LogKeeper {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(text, "{} {}", record.target(), record.args());
    }

    fn flush(&self) {}
}
