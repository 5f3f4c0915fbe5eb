//! A server that does not answer, real threads and real time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::world::{admin_blocking, seconds};
use kaltura_app_token::{
    BoxFuture, ClientBuilder, Clock, NewToken, Queue, Session, SessionKey, SessionProvider,
    TokenSource, blocking,
};
use kaltura_e2e::{arrived, builder, sandbox};
use kaltura_sandbox::{Fault, FaultKind, Sandbox};

/// The machine's clock, which can be put forward.
#[derive(Debug)]
struct ForwardClock {
    start: Instant,
    forward: AtomicU64,
}

impl ForwardClock {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            forward: AtomicU64::new(0),
        })
    }

    fn shift(&self) -> Duration {
        seconds(self.forward.load(Ordering::SeqCst))
    }
}

impl Clock for ForwardClock {
    fn unix_now(&self) -> Duration {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        now + self.shift()
    }

    fn steady_now(&self) -> Duration {
        self.start.elapsed() + self.shift()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// How long it takes the server to answer a renewal, in milliseconds.
const STALL: u64 = 2000;

/// A sandbox that is about to stall, a client's builder for it, the clock to put forward and a token.
fn about_to_stall() -> (Sandbox, ClientBuilder, Arc<ForwardClock>, TokenSource) {
    let sandbox = sandbox();
    let token = admin_blocking(&sandbox)
        .add_token(&NewToken::new())
        .unwrap();
    let clock = ForwardClock::new();
    let builder = builder(&sandbox).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    (
        sandbox,
        builder,
        clock,
        TokenSource::value(token.id, token.token.unwrap()),
    )
}

/// Five seconds before the end of a session that lives for sixty.
fn stall(sandbox: &Sandbox, clock: &ForwardClock) {
    clock.forward.store(55, Ordering::SeqCst);
    sandbox.set_clock_offset(55.0);
    sandbox.add_fault(Fault::new(
        "appToken.startSession",
        FaultKind::Latency { ms: STALL },
    ));
}

fn assert_short(mut times: Vec<Duration>) {
    times.sort_unstable();
    let (p99, longest) = (times[times.len() * 99 / 100], times[times.len() - 1]);
    println!("a get took up to {p99:?} in 99 of 100 cases, {longest:?} at most");
    assert!(p99 <= Duration::from_millis(60), "{p99:?}");
    assert!(longest <= Duration::from_millis(150), "{longest:?}");
}

/// For tests that count the threads of this process.
static COUNTS_THREADS: Mutex<()> = Mutex::new(());

/// Threads of this process that carry on what their callers left.
fn helper_threads() -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("kaltura-renew"))
        .count()
}

#[test]
fn a_stalled_server_holds_up_no_thread_that_has_a_good_session() {
    let _alone = COUNTS_THREADS
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let (sandbox, builder, clock, source) = about_to_stall();
    let client = Arc::new(blocking::Client::new(builder).unwrap());
    let provider = blocking::SessionProvider::new(client, SessionProvider::builder(source));
    let key = SessionKey::new().duration(seconds(60));
    let old = provider.get(&key).unwrap();
    stall(&sandbox, &clock);
    let mut times = Vec::new();
    for _ in 0..1000 {
        let asked = Instant::now();
        assert_eq!(provider.get(&key).unwrap(), old);
        times.push(asked.elapsed());
        std::thread::sleep(Duration::from_micros(500));
    }
    assert_short(times);
    assert_eq!(helper_threads(), 1);

    // Nobody calls, and it goes on.
    std::thread::sleep(Duration::from_millis(STALL));
    assert_eq!(helper_threads(), 0, "it ends with what it is there for");
    let asked = Instant::now();
    assert_ne!(provider.get(&key).unwrap(), old);
    assert!(asked.elapsed() < Duration::from_millis(20), "it was there");
    assert_eq!(arrived(&sandbox, "appToken.startSession"), 2);
}

#[test]
fn a_blocking_client_that_is_closed_takes_its_renewals_with_it() {
    let _alone = COUNTS_THREADS
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let (sandbox, builder, clock, source) = about_to_stall();
    let client = Arc::new(blocking::Client::new(builder).unwrap());
    let provider = blocking::SessionProvider::new(client, SessionProvider::builder(source));
    let key = SessionKey::new().duration(seconds(60));
    let old = provider.get(&key).unwrap();
    stall(&sandbox, &clock);
    let stalled = Instant::now();
    assert_eq!(provider.get(&key).unwrap(), old);
    let wait_for_helper_threads = |count| {
        while helper_threads() != count {
            assert!(stalled.elapsed() < Duration::from_millis(STALL / 2));
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    wait_for_helper_threads(1);
    drop(provider);
    wait_for_helper_threads(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_server_holds_up_no_task_that_has_a_good_session() {
    // Not a blocking thread of the runtime's, where the blocking client refuses to work.
    let prepared = std::thread::spawn(about_to_stall).join().unwrap();
    let (sandbox, builder, clock, source) = prepared;
    let provider = SessionProvider::new(builder.build().unwrap(), source);
    let key = SessionKey::new().duration(seconds(60));
    let old = provider.get(&key).await.unwrap();
    stall(&sandbox, &clock);
    let mut times = Vec::new();
    for _ in 0..1000 {
        let asked = Instant::now();
        assert_eq!(provider.get(&key).await.unwrap(), old);
        times.push(asked.elapsed());
    }
    assert_short(times);
    tokio::time::sleep(Duration::from_millis(STALL)).await;
    assert_ne!(provider.get(&key).await.unwrap(), old);
    assert_eq!(arrived(&sandbox, "appToken.startSession"), 2);
}

#[test]
fn a_queues_thread_carries_on_the_renewals_of_its_calls() {
    let (sandbox, builder, clock, source) = about_to_stall();
    let client = Arc::new(blocking::Client::new(builder).unwrap());
    let provider = SessionProvider::builder(source);
    let provider = blocking::SessionProvider::new(Arc::clone(&client), provider);
    let key = SessionKey::new().duration(seconds(60));
    let queue = Queue::<(), Session>::new(10).unwrap();
    let get = || {
        let (provider, key) = (provider.provider().unwrap(), key.clone());
        let get = |_| async move { provider.get(&key).await };
        queue.submit(&client, (), get).unwrap();
        let done = queue.next(Some(seconds(20))).unwrap().unwrap();
        done.result.unwrap().unwrap()
    };
    let old = get();
    stall(&sandbox, &clock);
    let asked = Instant::now();
    assert_eq!(get(), old);
    assert!(asked.elapsed() < Duration::from_millis(150));
    std::thread::sleep(Duration::from_millis(STALL + 200));
    let asked = Instant::now();
    assert_ne!(get(), old);
    assert!(asked.elapsed() < Duration::from_millis(20), "it was there");
    assert_eq!(arrived(&sandbox, "appToken.startSession"), 2);
}
