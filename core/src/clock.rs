//! Time: our own two clocks, and the server's as far as its answers tell it. The latter is a range, because
//! a `Date` header has whole seconds and travels. Decides which of the dates are believed; knows neither
//! actions nor sessions.
//!
//! A machine that sleeps while a call is under way: the steady clock goes on meanwhile, the timers that wait
//! for the network and between attempts do not. So a wait ends later than the call's deadline says, by as
//! long as the machine slept, and what comes back in it is taken; an attempt that failed is not followed by
//! another, because the call's time is over; the date of the answer says too little and is not believed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::transport::BoxFuture;

/// Time, as the client sees it. For tests, or for a host with a clock of its own.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Time since the unix epoch. May be set, forward and back.
    fn unix_now(&self) -> Duration;
    /// Time since some moment in the past; never goes back, and counts the time that the machine slept
    /// where the system can tell. How long a call may still take is measured by it.
    fn steady_now(&self) -> Duration;
    /// Waits, as long as the machine is awake.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's clocks, and tokio's timer.
#[derive(Debug, Default)]
pub(crate) struct SystemClock(());

impl Clock for SystemClock {
    fn unix_now(&self) -> Duration {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn steady_now(&self) -> Duration {
        since_boot()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// The clocks to ask for what has passed since the start of the machine, the best first: the second one
/// stands still while the machine sleeps, and is for kernels and jails that do not have the first.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SINCE_BOOT: [libc::clockid_t; 2] = [libc::CLOCK_BOOTTIME, libc::CLOCK_MONOTONIC];
/// `CLOCK_MONOTONIC_RAW` is what `mach_continuous_time` counts, in nanoseconds.
#[cfg(target_vendor = "apple")]
const SINCE_BOOT: [libc::clockid_t; 2] = [libc::CLOCK_MONOTONIC_RAW, libc::CLOCK_MONOTONIC];

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
#[expect(
    unsafe_code,
    reason = "what rustix asks instead of the C library, a debugger of memory does not map"
)]
fn since_boot() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    for clock in SINCE_BOOT {
        // SAFETY: it writes to the time alone.
        if unsafe { libc::clock_gettime(clock, &raw mut time) } == 0 {
            break;
        }
    }
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn since_boot() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;

    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    BEGINNING.get_or_init(Instant::now).elapsed()
}

/// A step of the clock that is larger is not believed, and nothing is signed for a time that is
/// further from our own.
pub(crate) const LARGEST_STEP_MS: i64 = 86_400_000;
/// An answer that took longer says too little about the time.
const LONGEST_ROUND_TRIP_MS: i64 = 5_000;
/// The header's precision.
const DATE_ROUNDING_MS: i64 = 1_000;
/// Less is no difference of clocks: the header is rounded down, and travels.
const TOLERANCE_MS: i64 = 2_000;

/// No time or span is taken for more, so that two of them can be added.
pub(crate) const FURTHEST_MS: i64 = i64::MAX / 4;

/// The server's time in unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerTime {
    /// The earliest that it can be: for looking back.
    pub(crate) earliest: i64,
    /// What it likely is.
    pub(crate) likely: i64,
    /// The latest that it can be: for judging whether something has expired.
    pub(crate) latest: i64,
}

/// Both of our clocks at one moment, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    steady: i64,
    wall: i64,
}

impl Moment {
    /// The least that has passed since an earlier one.
    pub(crate) fn least_since(self, earlier: Self) -> i64 {
        (self.steady - earlier.steady).max(0)
    }

    /// The most that has passed since an earlier one: a machine that is stopped by its host stops the
    /// steady clock too, and a wall clock may be set back.
    fn most_since(self, earlier: Self) -> i64 {
        self.least_since(earlier)
            .max(self.wall.saturating_sub(earlier.wall))
    }
}

/// What an answer said of the server's time, which was so at some moment between the two.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// When the request was sent: by then it was no later than `latest`.
    sent: Moment,
    /// When the answer had come: by then it was no earlier than `earliest`.
    received: Moment,
    earliest: i64,
    latest: i64,
    /// Whether the server said so; otherwise it is our own clock's time.
    by_server: bool,
}

/// Follows the server's clock by the answers that it gives.
///
/// What has passed since an answer is the larger of what our two clocks say: a machine that was
/// suspended, and a wall clock that was set back, must not make an expired session look good. A wall
/// clock that was set forward makes it look expired until the next answer.
#[derive(Debug)]
pub(crate) struct ServerClock {
    clock: Arc<dyn Clock>,
    anchor: Mutex<Anchor>,
}

impl ServerClock {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let at = moment(&*clock);
        Self {
            clock,
            anchor: Mutex::new(Anchor {
                sent: at,
                received: at,
                earliest: at.wall,
                latest: at.wall,
                by_server: false,
            }),
        }
    }

    /// To be taken when a request is sent.
    pub(crate) fn moment(&self) -> Moment {
        moment(&*self.clock)
    }

    /// What it is now.
    pub(crate) fn now(&self) -> ServerTime {
        self.anchor().at(self.moment())
    }

    /// Takes the time from the `Date` of an answer of the API itself to a request sent at `sent`.
    pub(crate) fn believe(&self, date: SystemTime, sent: Moment) {
        let received = self.moment();
        let took = received.most_since(sent);
        let date = millis(date.duration_since(UNIX_EPOCH).unwrap_or_default());
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let now = anchor.at(received);
        // Our own clock may have been set since the last answer, or have been wrong before it.
        let is_plausible = [now.earliest, now.likely, received.wall]
            .iter()
            .any(|known| date.saturating_sub(*known).abs() <= LARGEST_STEP_MS);
        if took > LONGEST_ROUND_TRIP_MS || !is_plausible {
            log::debug!(
                "the answer's date is not believed: {} s from ours, after {took} ms",
                date.saturating_sub(now.likely) / 1000
            );
            return;
        }
        *anchor = Anchor {
            sent,
            received,
            earliest: date,
            latest: date.saturating_add(DATE_ROUNDING_MS),
            by_server: true,
        };
    }

    /// How many seconds the server's clock is ahead of ours; `None` until it has told.
    pub(crate) fn difference_seconds(&self) -> Option<i64> {
        let (anchor, now) = (self.anchor(), self.moment());
        // The header's seconds are rounded down, as ours are here.
        let ours = now.wall.div_euclid(1000);
        let server = (anchor.latest - DATE_ROUNDING_MS)
            .saturating_add(now.steady - anchor.sent.steady)
            .div_euclid(1000);
        let within = (server.saturating_sub(ours)).abs() * 1000 <= TOLERANCE_MS;
        anchor.by_server.then_some(if within {
            0
        } else {
            server.saturating_sub(ours)
        })
    }

    /// The time in unix seconds: the server's, or ours where there is no difference to speak of.
    pub(crate) fn seconds(&self) -> i64 {
        let (likely, ours) = (self.now().likely, self.moment().wall);
        let now = if likely.saturating_sub(ours).abs() <= TOLERANCE_MS {
            ours
        } else {
            likely
        };
        now.div_euclid(1000)
    }

    /// The time to sign with, in unix seconds: no answer moves it further than a day from our own, so
    /// that what is signed never lasts longer than was asked for by more than that.
    pub(crate) fn seconds_to_sign(&self) -> i64 {
        let ours = self.moment().wall / 1000;
        let most = LARGEST_STEP_MS / 1000;
        self.seconds().clamp(ours - most, ours.saturating_add(most))
    }

    fn anchor(&self) -> Anchor {
        *self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Anchor {
    fn at(&self, now: Moment) -> ServerTime {
        let (earliest, latest) = (now.least_since(self.received), now.most_since(self.sent));
        ServerTime {
            earliest: self.earliest.saturating_add(earliest),
            likely: self.earliest.saturating_add(now.most_since(self.received)),
            latest: self.latest.saturating_add(latest),
        }
    }
}

fn moment(clock: &dyn Clock) -> Moment {
    Moment {
        steady: millis(clock.steady_now()),
        wall: millis(clock.unix_now()),
    }
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).map_or(FURTHEST_MS, |millis| millis.min(FURTHEST_MS))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const HOUR: i64 = 3_600;
    const DAY: i64 = 86_400;

    /// Clocks that are set by hand, in milliseconds.
    #[derive(Debug, Default)]
    struct Hands {
        wall: AtomicI64,
        steady: AtomicI64,
    }

    impl Hands {
        fn at_now() -> Arc<Self> {
            let hands = Self::default();
            hands.wall.store(NOW * 1000, Ordering::SeqCst);
            Arc::new(hands)
        }

        fn set(&self, wall_seconds: i64) {
            self.wall.fetch_add(wall_seconds * 1000, Ordering::SeqCst);
        }

        fn pass(&self, millis: i64) {
            self.wall.fetch_add(millis, Ordering::SeqCst);
            self.steady.fetch_add(millis, Ordering::SeqCst);
        }
    }

    impl Clock for Hands {
        fn unix_now(&self) -> Duration {
            Duration::from_millis(self.wall.load(Ordering::SeqCst).unsigned_abs())
        }

        fn steady_now(&self) -> Duration {
            Duration::from_millis(self.steady.load(Ordering::SeqCst).unsigned_abs())
        }

        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(async {})
        }
    }

    fn date(unix: i64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(unix.unsigned_abs())
    }

    /// A clock after an answer that said `NOW + ahead` and took this long.
    fn after_an_answer(ahead: i64, took_ms: i64) -> (Arc<Hands>, ServerClock) {
        let hands = Hands::at_now();
        let clock = ServerClock::new(Arc::clone(&hands) as Arc<dyn Clock>);
        let sent = clock.moment();
        hands.pass(took_ms);
        clock.believe(date(NOW + ahead), sent);
        (hands, clock)
    }

    #[test]
    fn the_range_holds_the_servers_time_however_long_the_answer_took() {
        let (hands, clock) = after_an_answer(HOUR, 3_000);
        // The server wrote its date at some time of the three seconds, and rounded it down.
        let now = clock.now();
        assert_eq!(now.earliest, (NOW + HOUR) * 1000);
        assert_eq!(now.latest, (NOW + HOUR) * 1000 + 3_000 + 1_000);
        hands.pass(10_000);
        assert_eq!(clock.now().earliest, now.earliest + 10_000);
        assert_eq!(clock.now().latest, now.latest + 10_000);
        assert_eq!(clock.difference_seconds(), Some(HOUR));
    }

    #[test]
    fn an_implausible_date_and_a_slow_answer_change_nothing() {
        for (ahead, took_ms) in [
            (3 * DAY, 10),
            (-3 * DAY, 10),
            (73 * 365 * DAY, 10),
            (HOUR, 5_001),
        ] {
            let (_, clock) = after_an_answer(ahead, took_ms);
            assert_eq!(clock.difference_seconds(), None, "{ahead} {took_ms}");
            assert_eq!(clock.seconds(), NOW + took_ms / 1000);
        }
        let (_, clock) = after_an_answer(DAY - 60, 10);
        assert_eq!(clock.difference_seconds(), Some(DAY - 60));
    }

    #[test]
    fn a_wall_clock_that_is_set_back_or_a_suspended_machine_never_makes_it_earlier() {
        for (wall, steady) in [(-HOUR, 900_000), (8 * HOUR, 0)] {
            let (hands, clock) = after_an_answer(0, 0);
            let passed = (wall * 1000).max(steady);
            hands.set(wall);
            hands.steady.fetch_add(steady, Ordering::SeqCst);
            assert!(clock.now().latest >= NOW * 1000 + passed, "{wall}");
            assert!(clock.now().earliest <= NOW * 1000 + passed, "{wall}");
        }
    }

    /// What the machine goes through in an hour in which the server's clock goes on.
    #[test]
    fn a_session_that_died_meanwhile_never_looks_good() {
        let expiry = (NOW + HOUR - 1) * 1000;
        for (what, wall, steady) in [
            ("nothing", HOUR, HOUR),
            ("sleeps, and the boot time counts it", HOUR, HOUR),
            ("sleeps, and the steady clock stands still", HOUR, 0),
            ("sleeps, and the wall clock is not set after it", 0, HOUR),
            ("is paused by its host, and set right after it", HOUR, 1),
            ("has its wall clock set back", -DAY, HOUR),
            ("has its wall clock set forward", DAY, HOUR),
        ] {
            let (hands, clock) = after_an_answer(0, 200);
            hands.set(wall);
            hands.steady.fetch_add(steady * 1000, Ordering::SeqCst);
            assert!(clock.now().latest >= expiry, "{what}");
            assert!(clock.now().earliest <= (NOW + HOUR) * 1000 + 200, "{what}");
        }
    }

    #[test]
    fn after_a_jump_forward_a_session_looks_dead_until_the_next_answer_and_then_good_again() {
        for by_server in [true, false] {
            let expiry = (NOW + HOUR) * 1000;
            let (hands, clock) = after_an_answer(0, 0);
            if by_server {
                clock.believe(date(NOW + 2 * HOUR), clock.moment());
            } else {
                hands.set(2 * HOUR);
            }
            assert!(clock.now().latest >= expiry);
            // The answer of the one minting that this costs.
            clock.believe(date(NOW), clock.moment());
            assert!(clock.now().latest < expiry, "{by_server}");
        }
    }

    #[test]
    fn a_jump_of_the_servers_clock_is_followed_with_the_first_answer_that_tells() {
        for ahead in [-HOUR, -60, 60, HOUR] {
            let (hands, clock) = after_an_answer(0, 0);
            let sent = clock.moment();
            hands.pass(100);
            clock.believe(date(NOW + ahead), sent);
            let (now, server) = (clock.now(), (NOW + ahead) * 1000);
            assert!(
                now.earliest <= server && server + 999 + 100 <= now.latest,
                "{ahead}"
            );
        }
    }

    #[test]
    fn the_date_of_an_answer_that_a_pause_of_the_machine_delayed_is_not_believed() {
        for (wall, steady) in [(HOUR, 0), (HOUR, HOUR), (0, HOUR)] {
            let hands = Hands::at_now();
            let clock = ServerClock::new(Arc::clone(&hands) as Arc<dyn Clock>);
            let sent = clock.moment();
            hands.set(wall);
            hands.steady.fetch_add(steady * 1000, Ordering::SeqCst);
            clock.believe(date(NOW), sent);
            assert_eq!(clock.difference_seconds(), None, "{wall} {steady}");
            assert!(clock.now().latest >= (NOW + HOUR) * 1000, "{wall} {steady}");
        }
    }

    #[tokio::test]
    async fn the_machines_steady_clock_goes_on_and_never_back() {
        let clock = SystemClock::default();
        let before = clock.steady_now();
        clock.sleep(Duration::from_millis(2)).await;
        assert!(clock.steady_now() >= before + Duration::from_millis(2));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_machines_steady_clock_counts_the_time_since_it_was_started() {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        assert!((SystemClock::default().steady_now().as_secs_f64() - uptime).abs() < 5.0);
    }

    #[test]
    fn after_a_jump_of_our_clock_the_next_answer_is_believed_again() {
        for wall in [3 * DAY, -3 * DAY] {
            let (hands, clock) = after_an_answer(0, 0);
            hands.set(wall);
            clock.believe(date(NOW), clock.moment());
            assert_eq!(clock.now().latest, NOW * 1000 + 1_000, "{wall}");
        }
    }

    #[test]
    fn nothing_is_signed_for_a_time_further_than_a_day_from_our_own() {
        let (hands, clock) = after_an_answer(DAY - 60, 0);
        assert_eq!(clock.seconds_to_sign(), NOW + DAY - 60);
        hands.set(-DAY);
        assert_eq!(clock.seconds_to_sign(), NOW - DAY + DAY);
    }
}
