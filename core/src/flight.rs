//! One result, fetched once for all who ask for it meanwhile. Knows nothing of what is fetched.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};

use crate::error::{Error, Result};
use crate::transport::BoxFuture;

/// A place for at most one fetch at a time.
///
/// Whoever joins gets the result of the fetch that is under way, an error as well: a hundred callers
/// in front of a dead server fail after one cycle of retries, not one after the other. A caller that is
/// cancelled disturbs nobody else; when none is left, the fetch is abandoned. No lock is held while
/// anybody waits.
pub(crate) struct Flight<T>(Mutex<Option<WeakShared<BoxFuture<'static, Result<T>>>>>);

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    /// Joins the fetch that is under way, or begins one. A panic of it is an error for all.
    pub(crate) fn join(
        self: &Arc<Self>,
        what: &'static str,
        begin: impl FnOnce() -> BoxFuture<'static, Result<T>>,
    ) -> Shared<BoxFuture<'static, Result<T>>> {
        let mut slot = self.slot();
        if let Some(under_way) = slot.as_ref().and_then(WeakShared::upgrade) {
            return under_way;
        }
        let (place, fetch) = (Arc::clone(self), AssertUnwindSafe(begin()));
        let fetch: BoxFuture<'static, _> = Box::pin(async move {
            let result = fetch
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(Error::config(format!("{what} panicked"))));
            // Whoever comes from now on begins anew, while the others collect this result.
            place.slot().take();
            result
        });
        let fetch = fetch.shared();
        *slot = fetch.downgrade();
        fetch
    }

    fn slot(&self) -> MutexGuard<'_, Option<WeakShared<BoxFuture<'static, Result<T>>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

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
                let joined = flight.join("the fetch", || {
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
            flight.join("the fetch", || {
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
}
