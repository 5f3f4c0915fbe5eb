//! How many retries the calls of one client may make together, so that an outage is not answered with
//! several times the usual load. Knows no clock and no request: it is told the time and the failure.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::connect_cause::ConnectCause;
use crate::error::{Error, ErrorKind};

// Counted in thousandths, of which one comes back with every millisecond.
const FULL: u64 = 500_000;
const RETRY: u64 = 5_000;
const RETRY_AFTER_TIMEOUT: u64 = 10_000;
const SUCCESS: u64 = 1_000;
/// How many retries a call that is the only one under way can always make.
const ALONE: u32 = 3;

/// What the calls of one client share: 500 tokens, of which a retry takes 5, and 10 after a time-out. One
/// comes back with every second; a success brings back what its last retry took, or one.
///
/// A call that is the only one under way can make three retries whatever is left: it cannot be a crowd.
#[derive(Debug)]
pub(crate) struct RetryBudget(Mutex<State>);

#[derive(Debug)]
struct State {
    left: u64,
    /// When the time that has passed was last counted.
    counted: Duration,
    under_way: usize,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Mutex::new(State {
            left: FULL,
            counted: Duration::ZERO,
            under_way: 0,
        }))
    }
}

impl RetryBudget {
    /// What an error says whose call would have been made again but for the budget.
    pub(crate) const EXHAUSTED: &'static str =
        "not tried again, because too many of this client's requests fail at once";

    /// A call begins; it ends when what this gives is dropped.
    pub(crate) fn call(&self) -> Draw<'_> {
        self.lock().under_way += 1;
        Draw {
            budget: self,
            retries: 0,
            last: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pass_to(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.counted).as_millis();
        self.give(u64::try_from(passed).unwrap_or(FULL));
        self.counted = self.counted.max(now);
    }

    fn give(&mut self, tokens: u64) {
        self.left = self.left.saturating_add(tokens).min(FULL);
    }
}

/// A call under way, and what it takes from the budget.
#[derive(Debug)]
pub(crate) struct Draw<'a> {
    budget: &'a RetryBudget,
    retries: u32,
    last: Option<u64>,
}

impl Draw<'_> {
    /// Takes a retry after this failure; `false`: there is none left. `now` never goes back.
    pub(crate) fn retry(&mut self, error: &Error, now: Duration) -> bool {
        let timed_out = error.kind() == ErrorKind::Timeout
            || error.connect_cause() == Some(ConnectCause::Timeout);
        let price = if timed_out {
            RETRY_AFTER_TIMEOUT
        } else {
            RETRY
        };
        let mut state = self.budget.lock();
        state.pass_to(now);
        let alone = state.under_way == 1 && self.retries < ALONE;
        if state.left < price && !alone {
            return false;
        }
        let taken = price.min(state.left);
        state.left -= taken;
        self.last = Some(taken);
        self.retries += 1;
        true
    }

    /// The call has succeeded.
    pub(crate) fn succeeded(&mut self, now: Duration) {
        let mut state = self.budget.lock();
        state.pass_to(now);
        state.give(self.last.take().unwrap_or(0).max(SUCCESS));
    }
}

impl Drop for Draw<'_> {
    fn drop(&mut self) {
        self.budget.lock().under_way -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Error {
        Error::new(ErrorKind::Connect, "").with_connect_cause(ConnectCause::Refused)
    }

    fn timed_out() -> Error {
        Error::new(ErrorKind::Timeout, "")
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// How many of its retries a call is granted at this time.
    fn granted(draw: &mut Draw<'_>, wanted: u32, error: &Error, now: Duration) -> u32 {
        (0..wanted)
            .take_while(|_| draw.retry(error, now))
            .count()
            .try_into()
            .unwrap_or(0)
    }

    /// A budget of which another call, which is still under way, has left this many tokens at second 0.
    fn used_up(budget: &RetryBudget, left: u64) -> Draw<'_> {
        let other = budget.call();
        budget.lock().left = left * 1_000;
        other
    }

    #[test]
    fn together_the_calls_of_a_client_have_a_hundred_retries_or_fifty_after_timeouts() {
        for (error, retries) in [
            (refused(), 100),
            (timed_out(), 50),
            (
                Error::new(ErrorKind::Connect, "").with_connect_cause(ConnectCause::Timeout),
                50,
            ),
        ] {
            let budget = RetryBudget::default();
            let mut calls: Vec<_> = (0..60).map(|_| budget.call()).collect();
            let made: u32 = calls
                .iter_mut()
                .map(|call| granted(call, 3, &error, at(0)))
                .sum();
            assert_eq!(made, retries, "{error:?}");
        }
    }

    #[test]
    fn a_lone_call_always_has_its_three() {
        for (what, left, error) in [
            ("full", 500, timed_out()),
            ("nearly empty", 4, refused()),
            ("empty", 0, refused()),
            ("empty, and time-outs", 0, timed_out()),
        ] {
            let budget = RetryBudget::default();
            drop(used_up(&budget, left));
            for second in 0..100 {
                let mut lone = budget.call();
                assert_eq!(
                    granted(&mut lone, 3, &error, at(second)),
                    3,
                    "{what} {second}"
                );
            }
        }
        let budget = RetryBudget::default();
        drop(used_up(&budget, 0));
        assert_eq!(
            granted(&mut budget.call(), 9, &refused(), at(0)),
            3,
            "and no more"
        );
    }

    #[test]
    fn beside_another_call_a_retry_needs_its_tokens() {
        for (left, error, second, expected) in [
            (0, refused(), 0, 0),
            (4, refused(), 0, 0),
            (5, refused(), 0, 1),
            (0, refused(), 4, 0),
            (0, refused(), 5, 1),
            (0, refused(), 15, 3),
            (0, timed_out(), 15, 1),
            (0, timed_out(), 30, 3),
            (0, refused(), 100_000, 100),
        ] {
            let budget = RetryBudget::default();
            let _other = used_up(&budget, left);
            let made = granted(&mut budget.call(), 1_000, &error, at(second));
            assert_eq!(made, expected, "{left} {error:?} {second}");
        }
    }

    #[test]
    fn a_success_brings_back_what_its_last_retry_took_or_one() {
        for (failures, expected) in [
            (vec![], 101),
            (vec![refused()], 100),
            (vec![timed_out()], 100),
            (vec![timed_out(), refused()], 90),
        ] {
            let budget = RetryBudget::default();
            let _other = used_up(&budget, 100);
            let mut call = budget.call();
            for error in &failures {
                assert!(call.retry(error, at(0)));
            }
            call.succeeded(at(0));
            assert_eq!(budget.lock().left, expected * 1_000, "{failures:?}");
        }
        let budget = RetryBudget::default();
        budget.call().succeeded(at(0));
        assert_eq!(budget.lock().left, FULL, "never more than full");
    }

    #[test]
    fn time_that_has_been_counted_is_not_counted_again() {
        let budget = RetryBudget::default();
        let _other = used_up(&budget, 0);
        let mut call = budget.call();
        assert!(!call.retry(&refused(), at(4)));
        assert!(!call.retry(&refused(), at(4)));
        assert!(
            !call.retry(&refused(), at(3)),
            "a late report of an earlier time"
        );
        assert!(call.retry(&refused(), at(5)));
        assert!(!call.retry(&refused(), at(5)));
    }
}
