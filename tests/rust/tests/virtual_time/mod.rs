//! Tokio's paused clock as the client's clock.

use std::time::Duration;

use kaltura_app_token::{BoxFuture, Clock};
use tokio::time::Instant;

/// When virtual time begins, in unix seconds.
pub(crate) const EPOCH: i64 = 1_800_000_000;

/// The time of tokio's clock, which a paused runtime moves on whenever nothing else is to be done.
#[derive(Clone, Debug)]
pub(crate) struct VirtualClock {
    start: Instant,
    /// What a unix clock shows at the start.
    epoch: Duration,
}

impl VirtualClock {
    /// A clock that begins now and is this many seconds wrong.
    pub(crate) fn new(wrong_by: i64) -> Self {
        Self {
            start: Instant::now(),
            epoch: Duration::from_secs(u64::try_from(EPOCH + wrong_by).unwrap()),
        }
    }
}

impl Clock for VirtualClock {
    fn unix_now(&self) -> Duration {
        self.epoch + self.start.elapsed()
    }

    fn steady_now(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
