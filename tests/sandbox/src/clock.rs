//! The sandbox's idea of now: the real clock, shifted or frozen, or a clock of the caller's own.
//!
//! Everything that depends on time (expiry, `createdAt`, the `Date` header) asks this clock, so that a
//! test can move it. It knows nothing about requests.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a clock gets its time from: unix seconds, with a fraction.
pub type TimeSource = Arc<dyn Fn() -> f64 + Send + Sync>;

#[derive(Clone, Copy)]
enum Mode {
    Shifted(f64),
    Frozen(f64),
}

/// A settable clock.
pub(crate) struct Clock {
    source: TimeSource,
    mode: Mutex<Mode>,
}

impl Clock {
    pub(crate) fn new(source: Option<TimeSource>) -> Self {
        let source = source.unwrap_or_else(|| Arc::new(system_time));
        Self {
            source,
            mode: Mutex::new(Mode::Shifted(0.0)),
        }
    }

    fn mode(&self) -> Mode {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_mode(&self, mode: Mode) {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    /// Unix seconds with a fraction.
    pub(crate) fn precise(&self) -> f64 {
        match self.mode() {
            Mode::Shifted(offset) => (self.source)() + offset,
            Mode::Frozen(at) => at,
        }
    }

    /// Whole unix seconds.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a unix time in seconds fits an i64"
    )]
    pub(crate) fn now(&self) -> i64 {
        self.precise().floor() as i64
    }

    /// Runs with the source again, this many seconds away from it.
    pub(crate) fn set_offset(&self, seconds: f64) {
        self.set_mode(Mode::Shifted(seconds));
    }

    /// Stands still at this moment.
    pub(crate) fn freeze(&self, at: f64) {
        self.set_mode(Mode::Frozen(at));
    }

    /// Jumps, without changing whether the clock runs.
    pub(crate) fn advance(&self, seconds: f64) {
        let mode = match self.mode() {
            Mode::Shifted(offset) => Mode::Shifted(offset + seconds),
            Mode::Frozen(at) => Mode::Frozen(at + seconds),
        };
        self.set_mode(mode);
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("now", &self.precise())
            .finish()
    }
}

fn system_time() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_can_be_shifted_frozen_and_advanced() {
        let clock = Clock::new(Some(Arc::new(|| 1000.5)));
        assert_eq!(clock.now(), 1000);
        clock.set_offset(60.0);
        assert_eq!(clock.now(), 1060);
        clock.freeze(5.0);
        clock.advance(2.0);
        assert_eq!(clock.now(), 7);
        clock.set_offset(0.0);
        assert_eq!(clock.now(), 1000);
    }
}
