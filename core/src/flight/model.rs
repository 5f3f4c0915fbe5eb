//! What a flight promises, in every order in which three threads can come to it. Not part of the ordinary
//! tests: `make model`.

use std::future::Future as _;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{Age, Flight, Joined};
use crate::error::{Error, Result};
use crate::seam::sync::{Arc, Mutex, lock};

/// What the fetch waits for.
#[derive(Default)]
struct Gate(Mutex<(bool, Option<Waker>)>);

impl Gate {
    fn open(&self) {
        let mut gate = lock(&self.0);
        gate.0 = true;
        let waker = gate.1.take();
        drop(gate);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn passed(&self) {
        std::future::poll_fn(|context| {
            let mut gate = lock(&self.0);
            if gate.0 {
                return Poll::Ready(());
            }
            gate.1 = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A result, or what a fetch holds: code of the user's, which would wait for itself for ever if it were
/// run under a lock of the flight's.
struct Probe(Arc<World>);

#[derive(Default)]
struct World {
    flight: Arc<Flight<Probe>>,
    gate: Gate,
    begun: AtomicUsize,
    dropped: AtomicUsize,
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        self.0.flight.is_under_way();
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.flight.is_under_way();
    }
}

/// What a fetch holds until it is dropped.
struct Held(Probe);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

type Outcome = fn(Probe) -> Result<Probe>;

impl World {
    fn join(self: &Arc<Self>, outcome: Outcome) -> Joined<Probe> {
        let age = Age {
            now: Duration::ZERO,
            limit: Duration::MAX,
        };
        self.flight.join("the fetch", age, || {
            self.flight.is_under_way();
            self.begun.fetch_add(1, Ordering::SeqCst);
            let (world, held) = (Arc::clone(self), Held(Probe(Arc::clone(self))));
            Box::pin(async move {
                world.gate.passed().await;
                held.0.0.flight.is_under_way();
                outcome(Probe(Arc::clone(&world)))
            })
        })
    }

    /// What everything comes to in the end.
    fn is_tidy(&self) {
        assert_eq!(
            self.begun.load(Ordering::SeqCst),
            self.dropped.load(Ordering::SeqCst)
        );
        assert!(!self.flight.is_under_way());
        assert!(lock(&self.flight.0).is_none());
    }
}

fn said(result: Result<Probe>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "well".to_owned())
}

fn poll_once(joined: &mut Joined<Probe>) -> Poll<Result<Probe>> {
    std::pin::Pin::new(joined).poll(&mut Context::from_waker(Waker::noop()))
}

fn all_who_join_are_told(outcome: Outcome, expected: &'static str) {
    loom::model(move || {
        let world = Arc::new(World::default());
        let ask =
            move |joined| thread::spawn(move || assert!(said(block_on(joined)).contains(expected)));
        let asking = [ask(world.join(outcome)), ask(world.join(outcome))];
        world.gate.open();
        for asking in asking {
            asking.join().unwrap();
        }
        assert_eq!(world.begun.load(Ordering::SeqCst), 1);
        world.is_tidy();
    });
}

#[test]
fn a_result_reaches_all_who_joined() {
    all_who_join_are_told(Ok, "well");
}

#[test]
fn an_error_reaches_all_who_joined() {
    all_who_join_are_told(|_| Err(Error::config("refused")), "refused");
}

#[test]
fn a_panic_is_an_error_for_all_who_joined() {
    all_who_join_are_told(|_| std::panic::resume_unwind(Box::new(())), "panicked");
}

#[test]
fn whoever_comes_at_any_time_gets_a_result() {
    loom::model(|| {
        let world = Arc::new(World::default());
        let other = Arc::clone(&world);
        let asking = thread::spawn(move || assert_eq!(said(block_on(other.join(Ok))), "well"));
        let opener = Arc::clone(&world);
        let opening = thread::spawn(move || opener.gate.open());
        assert_eq!(said(block_on(world.join(Ok))), "well");
        asking.join().unwrap();
        opening.join().unwrap();
        world.is_tidy();
    });
}

#[test]
fn whoever_polled_the_fetch_and_leaves_holds_nobody_up() {
    loom::model(|| {
        let world = Arc::new(World::default());
        let (mut first, second) = (world.join(Ok), world.join(Ok));
        let leaving = thread::spawn(move || {
            let _ = poll_once(&mut first);
            drop(first);
        });
        let opener = Arc::clone(&world);
        let opening = thread::spawn(move || opener.gate.open());
        assert_eq!(said(block_on(second)), "well");
        leaving.join().unwrap();
        opening.join().unwrap();
        assert_eq!(world.begun.load(Ordering::SeqCst), 1);
        world.is_tidy();
    });
}

#[test]
fn whoever_polled_the_fetch_and_stops_looking_holds_nobody_up() {
    loom::model(|| {
        let world = Arc::new(World::default());
        let (mut first, second) = (world.join(Ok), world.join(Ok));
        let stopping = thread::spawn(move || {
            let _ = poll_once(&mut first);
            first
        });
        let opener = Arc::clone(&world);
        let opening = thread::spawn(move || opener.gate.open());
        assert_eq!(said(block_on(second)), "well");
        let first = stopping.join().unwrap();
        assert!(first.has_ended());
        drop(first);
        opening.join().unwrap();
        world.is_tidy();
    });
}

#[test]
fn the_last_who_leaves_ends_the_fetch_and_the_next_begins_anew() {
    loom::model(|| {
        let world = Arc::new(World::default());
        let (mut first, second) = (world.join(Ok), world.join(Ok));
        let leaving = thread::spawn(move || {
            let _ = poll_once(&mut first);
            drop(first);
        });
        drop(second);
        let begun = world.begun.load(Ordering::SeqCst);
        let third = world.join(Ok);
        leaving.join().unwrap();
        world.gate.open();
        assert_eq!(said(block_on(third)), "well");
        assert!(world.begun.load(Ordering::SeqCst) - begun <= 1);
        world.is_tidy();
    });
}
