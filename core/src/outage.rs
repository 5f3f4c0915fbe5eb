//! Whether something is out of order, so that it is said once when it begins and once when it is over.
//! Knows neither what it is nor who is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Since when, in milliseconds of the steady clock and one more; 0: it is in order.
#[derive(Debug, Default)]
pub(crate) struct Outage(AtomicU64);

impl Outage {
    /// Notes a failure, and answers whether it is the first.
    pub(crate) fn begin(&self, now: Duration) -> bool {
        let since = u64::try_from(now.as_millis()).unwrap_or(u64::MAX - 1) + 1;
        let first = self
            .0
            .compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed);
        first.is_ok()
    }

    /// Notes a success, and answers how long what is over now lasted.
    pub(crate) fn end(&self, now: Duration) -> Option<Duration> {
        // Nearly always there is nothing to end, and nothing is written then.
        if self.0.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let since = self.0.swap(0, Ordering::Relaxed).checked_sub(1)?;
        Some(now.saturating_sub(Duration::from_millis(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_once_and_ends_once() {
        let outage = Outage::default();
        let at = Duration::from_secs;
        assert_eq!(outage.end(at(0)), None);
        assert!(outage.begin(at(0)));
        assert!(!outage.begin(at(1)));
        assert_eq!(outage.end(at(9)), Some(at(9)));
        assert_eq!(outage.end(at(9)), None);
        assert!(outage.begin(at(10)));
    }
}
