//! The sandbox's idea of now: the real clock, shifted or frozen, or a clock of the caller's own.
//!
//! Everything that depends on time (expiry, `createdAt`, the `Date` header) asks this clock, so that a
//! test can move it. It knows nothing about requests.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a clock gets its time from: unix seconds, with a fraction.
pub type TimeSource = Arc<dyn Fn() -> f64 + Send + Sync>;

#[derive(Clone, Copy)]
enum Mode {
    Shifted(f64),
    Frozen(f64),
}

/// The last second that a `Date` header can tell.
const LAST: f64 = 253_402_300_799.0;

/// A change of the clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Change {
    /// Runs with the source again, this many seconds away from it.
    Offset(f64),
    /// Stands still at this moment.
    Now(f64),
    /// Jumps, without changing whether the clock runs.
    Advance(f64),
}

impl Change {
    /// Reads a field of an order.
    pub(crate) fn named(name: &str, value: f64) -> Option<Self> {
        match name {
            "offset" => Some(Self::Offset(value)),
            "now" => Some(Self::Now(value)),
            "advance" => Some(Self::Advance(value)),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Offset(_) => "offset",
            Self::Now(_) => "now",
            Self::Advance(_) => "advance",
        }
    }
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

    fn mode(&self) -> MutexGuard<'_, Mode> {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The source's time, brought into the range of the clock.
    fn source(&self) -> f64 {
        let now = (self.source)();
        if now.is_nan() {
            0.0
        } else {
            now.clamp(0.0, LAST)
        }
    }

    /// Unix seconds with a fraction.
    pub(crate) fn precise(&self) -> f64 {
        let mode = *self.mode();
        match mode {
            // A clock that was set within its range can run out of it.
            Mode::Shifted(offset) => (self.source() + offset).clamp(0.0, LAST),
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

    /// Carries out changes one after the other, or none of them and says which is out of range.
    pub(crate) fn change(&self, changes: &[Change]) -> Result<(), String> {
        let real = self.source();
        let mut mode = self.mode();
        let mut next = *mode;
        for change in changes {
            next = match (*change, next) {
                (Change::Offset(seconds), _) => Mode::Shifted(seconds),
                (Change::Now(at), _) => Mode::Frozen(at),
                (Change::Advance(seconds), Mode::Shifted(offset)) => {
                    Mode::Shifted(offset + seconds)
                }
                (Change::Advance(seconds), Mode::Frozen(at)) => Mode::Frozen(at + seconds),
            };
            let now = match next {
                Mode::Shifted(offset) => real + offset,
                Mode::Frozen(at) => at,
            };
            // Not a number is in no range either.
            if !(0.0..=LAST).contains(&now) {
                return Err(format!(
                    "{}: would take the clock out of its range, 0 to {LAST} (the end of the year 9999)",
                    change.name()
                ));
            }
        }
        *mode = next;
        Ok(())
    }

    /// Sets the clock right.
    pub(crate) fn reset(&self) {
        *self.mode() = Mode::Shifted(0.0);
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
        let after = |changes: &[Change]| clock.change(changes).map(|()| clock.now());
        assert_eq!(after(&[Change::Offset(60.0)]), Ok(1060));
        assert_eq!(after(&[Change::Now(5.0), Change::Advance(2.0)]), Ok(7));
        assert_eq!(after(&[Change::Offset(0.0)]), Ok(1000));
    }

    #[test]
    fn a_clock_that_runs_out_of_its_range_stands_at_the_end() {
        let ticks = Mutex::new(0.0);
        let clock = Clock::new(Some(Arc::new(move || {
            let mut ticks = ticks.lock().unwrap();
            *ticks += 1.0;
            *ticks
        })));
        clock.change(&[Change::Offset(LAST - 2.0)]).unwrap();
        assert_eq!(
            (clock.now(), clock.now()),
            (253_402_300_799, 253_402_300_799)
        );
    }
}
