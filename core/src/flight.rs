//! One result, fetched once for all who ask for it meanwhile. Knows nothing of what is fetched.
//!
//! The rules that keep it right in every order of threads:
//! - One lock holds what a fetch has come to. The fetch is polled by whoever took it out of there, and by
//!   nobody else meanwhile; everybody else's code (beginning, polling and dropping the fetch, cloning and
//!   dropping the result, wakers) runs while no lock is held.
//! - The fetch is polled with a waker of the run's own, which wakes everybody who waits. So it needs no
//!   particular one of them: one that is dropped, or never polled again, holds nobody up.
//!
//! `make model` has a model checker try them in every order.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::error::{Error, Hint, Result};
use crate::seam::sync::{Arc, Mutex, lock};
use crate::transport::BoxFuture;

#[cfg(all(test, model))]
mod model;

type Fetch<T> = BoxFuture<'static, Result<T>>;

/// A place for at most one fetch at a time.
///
/// Whoever joins gets the result of the fetch that is under way, an error as well: a hundred callers
/// in front of a dead server fail after one cycle of retries, not one after the other. A caller that is
/// cancelled disturbs nobody else; when none is left, the fetch is dropped. No lock is held while
/// anybody waits.
pub(crate) struct Flight<T>(Mutex<Option<Arc<Run<T>>>>);

/// When somebody joins, by a clock that never goes back, and how old a fetch may be that is joined.
///
/// A fetch that nobody polled for a while (its callers were left half-way, or their runtime stands still)
/// may have used up its time, or wait for what will not come: whoever comes later begins another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age {
    pub(crate) now: Duration,
    pub(crate) limit: Duration,
}

/// One fetch, from its beginning until the last who joined has left.
struct Run<T> {
    what: &'static str,
    begun: Duration,
    state: Mutex<State<T>>,
}

struct State<T> {
    stage: Stage<T>,
    /// How many have joined and not left.
    joined: usize,
    next_id: u64,
    /// Those who are to be woken. Ordered: a model checker repeats what it does.
    waiting: BTreeMap<u64, Waker>,
    /// Whether the fetch can be polled with success since it was polled last.
    woken: bool,
}

enum Stage<T> {
    /// One of those who joined begins or polls the fetch.
    Taken,
    Idle(Fetch<T>),
    Ended(Arc<Result<T>>),
    /// All have left.
    Left,
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    /// Joins the fetch that is under way, or begins one when there is none or it is too old. A panic of it is
    /// an error for all.
    pub(crate) fn join(
        self: &Arc<Self>,
        what: &'static str,
        age: Age,
        begin: impl FnOnce() -> Fetch<T>,
    ) -> Joined<T> {
        let mut place = lock(&self.0);
        let young = place
            .as_ref()
            .filter(|run| age.now.saturating_sub(run.begun) <= age.limit);
        if let Some(joined) = self.join_run(young) {
            return joined;
        }
        let run = Arc::new(Run::taken(what, age.now));
        let before = place.replace(Arc::clone(&run));
        drop(place);
        drop(before);
        // From here on leaving it is taken care of, also when what follows does not come to its end.
        let joined = Joined {
            flight: Arc::clone(self),
            run,
            id: 0,
        };
        match catch_unwind(AssertUnwindSafe(begin)) {
            Ok(fetch) => joined.run.put_back(fetch, true),
            Err(_) => joined.end(joined.run.panicked()),
        }
        joined
    }

    /// Whether a fetch is under way, which [`Flight::join`] would join.
    pub(crate) fn is_under_way(&self) -> bool {
        let place = lock(&self.0);
        place
            .as_ref()
            .is_some_and(|run| lock(&run.state).is_under_way())
    }

    fn join_run(self: &Arc<Self>, run: Option<&Arc<Run<T>>>) -> Option<Joined<T>> {
        let run = run?;
        let mut state = lock(&run.state);
        if !state.is_under_way() {
            return None;
        }
        let id = state.next_id;
        state.next_id += 1;
        state.joined += 1;
        Some(Joined {
            flight: Arc::clone(self),
            run: Arc::clone(run),
            id,
        })
    }
}

impl<T> Flight<T> {
    /// Forgets a run that is over, so that its result lives no longer than those who wait for it.
    fn forget(&self, run: &Arc<Run<T>>) {
        let mut place = lock(&self.0);
        let over = place.take_if(|current| Arc::ptr_eq(current, run));
        drop(place);
        drop(over);
    }
}

impl<T> State<T> {
    fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::Taken | Stage::Idle(_))
    }
}

impl<T> Run<T> {
    /// A run of one who has joined and is about to begin.
    fn taken(what: &'static str, begun: Duration) -> Self {
        let state = State {
            stage: Stage::Taken,
            joined: 1,
            next_id: 1,
            waiting: BTreeMap::new(),
            woken: false,
        };
        Self {
            what,
            begun,
            state: Mutex::new(state),
        }
    }

    /// Leaves the fetch to whoever comes first: at once when it has something to do.
    fn put_back(&self, fetch: Fetch<T>, woken: bool) {
        let mut state = lock(&self.state);
        state.stage = Stage::Idle(fetch);
        state.woken |= woken;
        let waiting = if state.woken {
            // Those who were woken while it was taken found nothing to do.
            std::mem::take(&mut state.waiting)
        } else {
            BTreeMap::new()
        };
        drop(state);
        waiting.into_values().for_each(Waker::wake);
    }

    fn panicked(&self) -> Result<T> {
        Err(Error::config(format!("{} panicked", self.what)).with_hint(Hint::BegunAnew))
    }
}

impl<T: Send + Sync + 'static> Wake for Run<T> {
    fn wake(self: Arc<Self>) {
        let mut state = lock(&self.state);
        state.woken = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
    }
}

/// Somebody's part in a flight, and the future of its result. Dropping it is leaving.
pub(crate) struct Joined<T> {
    flight: Arc<Flight<T>>,
    run: Arc<Run<T>>,
    id: u64,
}

impl<T> Joined<T> {
    /// Whether there is a result, so that waiting for it takes no time.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(lock(&self.run.state).stage, Stage::Ended(_))
    }

    /// Gives all who joined their result. The fetch must be gone by then.
    fn end(&self, result: Result<T>) {
        let mut state = lock(&self.run.state);
        state.stage = Stage::Ended(Arc::new(result));
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.flight.forget(&self.run);
        waiting.into_values().for_each(Waker::wake);
    }
}

impl<T: Clone + Send + Sync + 'static> Future for Joined<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let (run, waker) = (&self.run, context.waker().clone());
        let mut state = lock(&run.state);
        if let Stage::Ended(result) = &state.stage {
            let result = Arc::clone(result);
            drop(state);
            return Poll::Ready((*result).clone());
        }
        let before = state.waiting.insert(self.id, waker);
        let is_mine = state.woken && matches!(state.stage, Stage::Idle(_));
        let taken = if is_mine {
            state.woken = false;
            std::mem::replace(&mut state.stage, Stage::Taken)
        } else {
            Stage::Taken
        };
        drop(state);
        drop(before);
        let Stage::Idle(mut fetch) = taken else {
            return Poll::Pending;
        };
        let waker = Waker::from(Arc::clone(run));
        let polled = catch_unwind(AssertUnwindSafe(|| {
            match fetch.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => {
                    drop(fetch);
                    Ok(result)
                }
                Poll::Pending => Err(fetch),
            }
        }));
        match polled {
            Ok(Err(fetch)) => {
                run.put_back(fetch, false);
                return Poll::Pending;
            }
            Ok(Ok(result)) => self.end(result),
            Err(_) => self.end(run.panicked()),
        }
        // The result is there now, and this one is no longer among those who wait.
        self.poll(context)
    }
}

impl<T> Drop for Joined<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.run.state);
        let waker = state.waiting.remove(&self.id);
        state.joined -= 1;
        let is_last = state.joined == 0;
        let left = is_last.then(|| std::mem::replace(&mut state.stage, Stage::Left));
        drop(state);
        if is_last {
            self.flight.forget(&self.run);
        }
        drop((waker, left));
    }
}

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> fmt::Debug for Flight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flight")
    }
}

#[cfg(all(test, not(model)))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;

    use super::*;

    const YOUNG: Age = Age {
        now: Duration::ZERO,
        limit: Duration::MAX,
    };

    #[tokio::test]
    async fn all_who_join_share_one_fetch_its_error_and_its_panic() {
        type Outcome = fn() -> Result<u8>;
        let outcomes: [(Outcome, &str); 3] = [
            (|| Ok(7), "Ok(7)"),
            (|| Err(Error::config("refused")), "refused"),
            (|| panic!("on purpose"), "the fetch panicked"),
        ];
        let flight = Arc::new(Flight::default());
        for (outcome, expected) in outcomes {
            let begun = Arc::new(AtomicUsize::new(0));
            let ask = async || {
                let begun = Arc::clone(&begun);
                let joined = flight.join("the fetch", YOUNG, || {
                    Box::pin(async move {
                        begun.fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                        outcome()
                    })
                });
                joined.await
            };
            let (first, second, third) = tokio::join!(ask(), ask(), ask());
            assert_eq!(begun.load(Ordering::SeqCst), 1);
            for result in [first, second, third, ask().await] {
                assert!(format!("{result:?}").contains(expected), "{result:?}");
            }
            assert_eq!(begun.load(Ordering::SeqCst), 2, "a later one begins anew");
        }
    }

    #[tokio::test]
    async fn whoever_leaves_disturbs_nobody_and_the_last_one_ends_the_fetch() {
        let flight = Arc::new(Flight::default());
        let held = Arc::new(());
        let begin = || {
            let held = Arc::clone(&held);
            flight.join("the fetch", YOUNG, || {
                Box::pin(async move {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    drop(held);
                    Ok(1)
                })
            })
        };
        let (first, second) = (begin(), begin());
        drop(first);
        assert_eq!(second.await.unwrap(), 1);
        drop(begin());
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn a_caller_that_stops_looking_holds_nobody_up() {
        let flight = Arc::new(Flight::default());
        let begin = || {
            flight.join("the fetch", YOUNG, || {
                Box::pin(async {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                    Ok(1)
                })
            })
        };
        let (mut first, second) = (begin(), begin());
        // It polls the fetch, and then neither goes on nor leaves.
        assert!((&mut first).now_or_never().is_none());
        assert_eq!(second.await.unwrap(), 1);
        assert!(first.has_ended());
        assert_eq!(first.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_panic_in_the_beginning_is_an_error_too() {
        let flight = Arc::new(Flight::<u8>::default());
        let joined = flight.join("the fetch", YOUNG, || panic!("on purpose"));
        let error = joined.await.unwrap_err();
        assert!(error.to_string().contains("the fetch panicked"), "{error}");
        assert!(!flight.is_under_way());
    }

    #[tokio::test]
    async fn it_is_known_whether_a_fetch_is_under_way() {
        let flight = Arc::new(Flight::<u8>::default());
        assert!(!flight.is_under_way());
        let first = flight.join("the fetch", YOUNG, || Box::pin(async { Ok(1) }));
        assert!(flight.is_under_way());
        assert_eq!(first.await.unwrap(), 1);
        assert!(!flight.is_under_way());
    }

    #[tokio::test]
    async fn a_fetch_that_is_too_old_is_joined_by_nobody_and_goes_on_for_those_who_have() {
        let flight = Arc::new(Flight::<u8>::default());
        let at = |seconds| Age {
            now: Duration::from_secs(seconds),
            limit: Duration::from_secs(60),
        };
        let (done, waiting) = tokio::sync::oneshot::channel();
        let first = flight.join("the fetch", at(0), || {
            Box::pin(async { Ok(waiting.await.unwrap()) })
        });
        let second = flight.join("the fetch", at(60), || unreachable!("the first is young"));
        let third = flight.join("the fetch", at(61), || Box::pin(async { Ok(3) }));
        assert_eq!(third.await.unwrap(), 3);
        done.send(1).unwrap();
        assert_eq!(first.await.unwrap(), 1);
        assert_eq!(second.await.unwrap(), 1);
    }
}
