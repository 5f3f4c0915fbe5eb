//! Many tasks, short sessions and a bad network for a whole day, on one virtual clock that drives both
//! the provider and the sandbox. `KALTURA_SOAK_HOURS` says for how many hours; one unless set.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod virtual_time;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Error, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use kaltura_app_token::{
    BoxFuture, Client, Clock, ErrorKind, NewToken, SessionKey, SessionProvider, TokenSource,
    Transport, TransportAnswer, TransportError, TransportRequest,
};
use kaltura_e2e::builder;
use kaltura_sandbox::{Fault, FaultKind, Sandbox};
use virtual_time::{EPOCH, VirtualClock};

const TASKS: usize = 200;
/// How wrong the provider's clock is, in seconds.
const CLOCK_WRONG_BY: i64 = -137;
/// The lives of sessions, in seconds; two users share each.
const LIVES: [u32; 10] = [30, 45, 60, 90, 120, 180, 300, 600, 1200, 3600];

/// Numbers without a pattern, the same ones every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// Real sockets under a virtual clock: while a request is on a blocking thread tokio does not move its
/// paused clock, so that a request takes no virtual time.
#[derive(Debug)]
struct Wire {
    port: u16,
    clock: VirtualClock,
    /// The sandbox's time, in milliseconds.
    server_time: Arc<AtomicU64>,
    idle: Arc<Mutex<Vec<BufReader<TcpStream>>>>,
    under_way: Mutex<HashMap<String, usize>>,
    most_under_way: AtomicUsize,
    minted: Mutex<HashMap<String, usize>>,
    failed: AtomicUsize,
}

/// An exchange that is under way, until it is dropped.
struct UnderWay<'a>(&'a Wire, String);

impl<'a> UnderWay<'a> {
    fn new(wire: &'a Wire, user: String) -> Self {
        let mut under_way = wire.under_way.lock().unwrap();
        let count = under_way.entry(user.clone()).or_default();
        *count += 1;
        wire.most_under_way.fetch_max(*count, Ordering::SeqCst);
        Self(wire, user)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *self.0.under_way.lock().unwrap().get_mut(&self.1).unwrap() -= 1;
    }
}

impl Transport for Wire {
    fn post(
        &self,
        request: TransportRequest,
    ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
        let (_, path) = request.url().split_once("/api_v3").unwrap();
        let path = format!("/api_v3{path}");
        let body = request.body().clone();
        let user = form_urlencoded::parse(&body)
            .find(|(name, _)| name == "userId")
            .map(|(_, user)| user.into_owned());
        Box::pin(async move {
            let _under_way = user.clone().map(|user| UnderWay::new(self, user));
            let now = millis(server_now(&self.clock));
            self.server_time.store(now, Ordering::SeqCst);
            let (port, idle) = (self.port, Arc::clone(&self.idle));
            let answer = tokio::task::spawn_blocking(move || {
                let connection = idle.lock().unwrap().pop();
                let mut connection = match connection {
                    Some(connection) => connection,
                    None => BufReader::new(TcpStream::connect(("127.0.0.1", port))?),
                };
                let answer = exchange(&mut connection, &path, &body)?;
                idle.lock().unwrap().push(connection);
                Ok(answer)
            })
            .await
            .unwrap();
            let answer = answer
                .map_err(|error: Error| TransportError::Interrupted(error.to_string()))
                .inspect_err(|_| {
                    self.failed.fetch_add(1, Ordering::SeqCst);
                })?;
            let minted = answer.body.windows(5).any(|text| text == b"\"ks\":");
            if let (Some(user), true) = (user, minted) {
                *self.minted.lock().unwrap().entry(user).or_default() += 1;
            } else if !minted {
                self.failed.fetch_add(1, Ordering::SeqCst);
            }
            Ok(answer)
        })
    }
}

/// One request and its answer, as much of HTTP/1.1 as the sandbox speaks.
fn exchange(
    connection: &mut BufReader<TcpStream>,
    path: &str,
    body: &[u8],
) -> Result<TransportAnswer, Error> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut request = head.into_bytes();
    request.extend_from_slice(body);
    connection.get_mut().write_all(&request)?;

    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let mut answer = TransportAnswer::new(
        status.ok_or_else(|| Error::other("the connection was closed"))?,
        Bytes::new(),
    );
    let mut length = 0;
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().map_err(Error::other)?,
            "content-type" => answer.content_type = Some(value.to_owned()),
            "date" => answer.date = Some(value.to_owned()),
            "retry-after" => answer.retry_after = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    answer.body = body.into();
    Ok(answer)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

/// The right time since the epoch, which the provider's clock does not show.
fn server_now(clock: &VirtualClock) -> Duration {
    Duration::from_secs(u64::try_from(EPOCH).unwrap()) + clock.steady_now()
}

/// Kilobytes of memory that this process has in use.
fn resident_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[derive(Debug, Default)]
struct Counts {
    gets: AtomicUsize,
    errors: AtomicUsize,
    given_up: AtomicUsize,
}

/// What one of the tasks does all day: ask, look closely at what it gets, and pause.
async fn work(
    number: usize,
    provider: SessionProvider,
    clock: VirtualClock,
    end: Duration,
    counts: Arc<Counts>,
) {
    let mut numbers = Numbers(number as u64);
    let mut last_expiry = Duration::ZERO;
    while clock.steady_now() < end {
        let life = LIVES[number % LIVES.len()];
        let user = user_of(number % (2 * LIVES.len()));
        let key = SessionKey::new()
            .user_id(user)
            .duration(Duration::from_secs(life.into()));
        // Less than the quarter at which sessions are renewed anyway.
        let min_remaining = match numbers.below(10) {
            0 => Duration::from_secs(u64::from(life) / 15),
            _ => Duration::ZERO,
        };
        let asked_at = tokio::time::Instant::now();
        let asked = provider.get_with(&key, min_remaining);
        counts.gets.fetch_add(1, Ordering::SeqCst);
        // Now and then somebody has no patience.
        let patience = match numbers.below(50) {
            0 => Duration::from_millis(500),
            _ => Duration::from_secs(3600),
        };
        match tokio::time::timeout(patience, asked).await {
            Err(_) => {
                counts.given_up.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Err(error)) => {
                assert!(
                    error.is_retryable() || error.kind() == ErrorKind::Decode,
                    "{error:?}"
                );
                counts.errors.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Ok(session)) => {
                let expiry = Duration::from_secs(u64::try_from(session.expiry.unwrap()).unwrap());
                let now = server_now(&clock);
                assert!(expiry > now, "an expired session was handed out");
                // The server counts in whole seconds.
                assert!(expiry + Duration::from_secs(1) >= now + min_remaining);
                // The last one of this task, or a later one, was good all the time.
                if last_expiry > now + min_remaining + 2 * Duration::from_secs(1) {
                    assert!(asked_at.elapsed() <= Duration::from_millis(51));
                }
                last_expiry = expiry;
            }
        }
        let pause = Duration::from_millis(1000 + numbers.below(8000));
        tokio::time::sleep(pause).await;
    }
}

fn user_of(key: usize) -> String {
    format!("user-{key}")
}

fn sandbox_on(server_time: &Arc<AtomicU64>) -> Sandbox {
    let server_time = Arc::clone(server_time);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
    let time_source = Arc::new(move || server_time.load(Ordering::SeqCst) as f64 / 1000.0);
    Sandbox::builder().time_source(time_source).start().unwrap()
}

fn new_token(sandbox: &Sandbox) -> TokenSource {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let token = runtime
        .block_on(async {
            // By the sandbox's time, which is not ours.
            let clock = VirtualClock::new(0);
            let admin = builder(sandbox)
                .admin_secret(sandbox.admin_secret())
                .clock(Arc::new(clock))
                .build()
                .unwrap();
            admin.add_token(&NewToken::new()).await
        })
        .unwrap();
    TokenSource::value(token.id, token.token.unwrap())
}

/// One request in twenty goes wrong.
fn order_faults(sandbox: &Sandbox) {
    for kind in [
        FaultKind::Status {
            status: 503,
            retry_after: None,
            body: String::new(),
        },
        FaultKind::Reset,
        FaultKind::Truncated,
        FaultKind::Empty,
        FaultKind::Exception {
            code: "INTERNAL_SERVERL_ERROR".into(),
            message: String::new(),
        },
    ] {
        sandbox.add_fault(Fault::new("*", kind).times(u64::MAX).probability(0.01));
    }
}

#[test]
fn sessions_never_lapse_in_a_day_of_faults() {
    let hours: u64 = std::env::var("KALTURA_SOAK_HOURS").map_or(1, |hours| hours.parse().unwrap());
    let end = Duration::from_secs(hours * 3600);

    let server_time = Arc::new(AtomicU64::new(u64::try_from(EPOCH).unwrap() * 1000));
    let sandbox = sandbox_on(&server_time);
    let source = new_token(&sandbox);
    order_faults(&sandbox);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let wire = Arc::new(Wire {
            port: sandbox.port(),
            clock: VirtualClock::new(0),
            server_time,
            idle: Arc::default(),
            under_way: Mutex::default(),
            most_under_way: AtomicUsize::new(0),
            minted: Mutex::default(),
            failed: AtomicUsize::new(0),
        });
        let clock = VirtualClock::new(CLOCK_WRONG_BY);
        let client = Client::builder()
            .service_url(sandbox.service_url())
            .partner_id(sandbox.partner_id())
            .clock(Arc::new(clock.clone()))
            .transport(Arc::clone(&wire) as Arc<dyn Transport>)
            .build()
            .unwrap();
        let provider = SessionProvider::new(client, source);
        let counts = Arc::new(Counts::default());
        let tasks: Vec<_> = (0..TASKS)
            .map(|number| {
                let work = work(number, provider.clone(), clock.clone(), end, Arc::clone(&counts));
                tokio::spawn(work)
            })
            .collect();
        let begin = tokio::time::Instant::now();
        tokio::time::sleep(end / 4).await;
        sandbox.clear_requests();
        let memory = resident_kilobytes();
        for quarter in 2..=4 {
            tokio::time::sleep_until(begin + end * quarter / 4).await;
            sandbox.clear_requests();
        }
        let growth = resident_kilobytes().saturating_sub(memory);
        for task in tasks {
            task.await.unwrap();
        }

        let minted = wire.minted.lock().unwrap();
        let (mut expected_in_all, mut minted_in_all) = (0, 0);
        for key in 0..2 * LIVES.len() {
            let life = u64::from(LIVES[key % LIVES.len()]) * 1000;
            let renewed_after = life - life / 4;
            let expected = millis(end) / renewed_after;
            let minted = minted[&user_of(key)] as u64;
            println!("{:>5} s: {minted} minted, {expected} expected", life / 1000);
            expected_in_all += expected;
            minted_in_all += minted;
        }
        println!(
            "{hours} h, {} gets, {minted_in_all} minted where {expected_in_all} are expected, {} requests \
             failed, {} gets failed, {} were given up, at most {} exchange at a time for a key, memory \
             grew by {growth} kB",
            counts.gets.load(Ordering::SeqCst),
            wire.failed.load(Ordering::SeqCst),
            counts.errors.load(Ordering::SeqCst),
            counts.given_up.load(Ordering::SeqCst),
            wire.most_under_way.load(Ordering::SeqCst),
        );
        // Every key begins with one that is not a renewal.
        let first_ones = 2 * LIVES.len() as u64;
        let difference = minted_in_all.saturating_sub(first_ones).abs_diff(expected_in_all);
        assert!(difference * 100 <= expected_in_all * 5, "{difference} too many or too few");
        assert_eq!(wire.most_under_way.load(Ordering::SeqCst), 1);
        assert!(wire.failed.load(Ordering::SeqCst) as u64 * 40 > minted_in_all, "there were faults");
        assert!(counts.errors.load(Ordering::SeqCst) * 1000 <= counts.gets.load(Ordering::SeqCst));
        assert!(growth < 8 * 1024, "memory grew by {growth} kB");
    });
}
