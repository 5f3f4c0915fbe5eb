//! Which failure of which action is tried again, when, and within which budget. Is told the time and the
//! chance, sends nothing itself, and waits for nothing.

mod budget;

use std::time::{Duration, SystemTime};

use crate::error::{Error, ErrorKind};
use crate::wire::Action;

pub(crate) use budget::RetryBudget;

/// No wait is longer, whoever asks for it, so that none is too long to be added or multiplied.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// How often and how fast to try again: by default three times, after 1, 2 and 4 seconds, each a little
/// more or less (section 10 of the guide).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How many times a request is sent again at most.
    pub max_retries: u32,
    /// The first wait; each following one is twice as long.
    pub backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 3,
            backoff: Duration::from_secs(1),
        }
    }
}

impl RetryPolicy {
    /// How long to wait before the next attempt; `None`: this failure is final.
    ///
    /// `chance` is a number from 0 to 1, `left` the time that the whole call has left.
    pub(crate) fn next(
        &self,
        action: Action,
        error: &Error,
        attempts: u32,
        left: Duration,
        chance: f64,
    ) -> Option<Duration> {
        if attempts > self.max_retries || !may_repeat(action, error) {
            return None;
        }
        let wait = backoff(self.backoff, attempts, LONGEST_WAIT, chance)
            .max(error.retry_after().unwrap_or_default());
        (wait < left).then_some(wait)
    }
}

/// The last column of the error table. Whoever can still answer a `true` here has not been sent, or is
/// an action that may be sent twice.
fn may_repeat(action: Action, error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Connect => error.is_retryable(),
        ErrorKind::Interrupted | ErrorKind::Timeout | ErrorKind::Http | ErrorKind::Api => {
            action.is_repeatable() && error.is_retryable()
        }
        ErrorKind::Config
        | ErrorKind::Decode
        | ErrorKind::OutcomeUnknown
        | ErrorKind::Local
        | ErrorKind::Unproved
        | ErrorKind::Cancelled
        | ErrorKind::Forked
        | ErrorKind::Closed => false,
    }
}

/// The wait after that many failures in a row: doubled with each, up to the longest, and a quarter more
/// or less by `chance`, a number from 0 to 1.
pub(crate) fn backoff(first: Duration, failures: u32, longest: Duration, chance: f64) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
    first
        .saturating_mul(factor)
        .min(longest.min(LONGEST_WAIT))
        .mul_f64(0.75 + chance / 2.0)
}

/// `Retry-After`: seconds, or a date held against the server's own. At most a day, however much the
/// server asks for.
pub(crate) fn retry_after(value: Option<&str>, server_now: SystemTime) -> Option<Duration> {
    let value = value?.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than can be counted are as good as the most that can.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let until = httpdate::parse_http_date(value).ok()?;
        until.duration_since(server_now).unwrap_or_default()
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::connect_cause::ConnectCause;
    use crate::error::ApiError;

    fn connect(cause: ConnectCause) -> Error {
        Error::new(ErrorKind::Connect, "").with_connect_cause(cause)
    }

    fn api(code: &str) -> Error {
        Error::from_api(ApiError {
            code: code.into(),
            message: String::new(),
            args: Vec::new(),
        })
    }

    fn http(status: u16) -> Error {
        Error::new(ErrorKind::Http, "").with_http_status(status)
    }

    /// The error table, kind by kind and action by action.
    #[test]
    fn only_what_cannot_harm_is_tried_again() {
        let failures = [
            (Error::new(ErrorKind::Connect, ""), true, true),
            (connect(ConnectCause::Dns), true, true),
            (connect(ConnectCause::Refused), true, true),
            (connect(ConnectCause::Timeout), true, true),
            (connect(ConnectCause::Proxy), true, true),
            (connect(ConnectCause::Reset), true, true),
            (connect(ConnectCause::Other), true, true),
            (connect(ConnectCause::TlsTrust), false, false),
            (connect(ConnectCause::TlsProtocol), false, false),
            (Error::new(ErrorKind::Interrupted, ""), true, false),
            (Error::new(ErrorKind::Timeout, ""), true, false),
            (http(408), true, false),
            (http(429), true, false),
            (http(500), true, false),
            (http(503), true, false),
            (http(302), false, false),
            (http(403), false, false),
            (http(404), false, false),
            (api("INTERNAL_SERVERL_ERROR"), true, false),
            (api("ACTION_BLOCKED"), true, false),
            (api("INVALID_APP_TOKEN_HASH"), false, false),
            (api("INVALID_KS"), false, false),
            (api("APP_TOKEN_EXPIRED"), false, false),
            (api("EXPIRED_TOKEN"), false, false),
            (api("PROPERTY_VALIDATION_NOT_UPDATABLE"), false, false),
            (Error::new(ErrorKind::Config, ""), false, false),
            (Error::new(ErrorKind::Decode, ""), false, false),
            (Error::new(ErrorKind::OutcomeUnknown, ""), false, false),
            (Error::local(""), false, false),
            (Error::new(ErrorKind::Unproved, ""), false, false),
            (Error::new(ErrorKind::Cancelled, ""), false, false),
            (Error::new(ErrorKind::Forked, ""), false, false),
            (Error::new(ErrorKind::Closed, ""), false, false),
        ];
        for kind in ErrorKind::ALL {
            assert!(
                failures.iter().any(|(error, ..)| error.kind() == *kind),
                "{kind:?}"
            );
        }
        for (error, repeatable, add) in failures {
            for &action in Action::ALL {
                let expected = if action == Action::TokenAdd {
                    add
                } else {
                    repeatable
                };
                assert_eq!(may_repeat(action, &error), expected, "{action:?} {error:?}");
            }
        }
    }

    #[test]
    fn waits_double_from_one_second_with_a_quarter_of_jitter_and_end_after_three() {
        let policy = RetryPolicy::default();
        let error = http(503);
        let hour = Duration::from_secs(3600);
        let wait = |attempts, chance| policy.next(Action::TokenGet, &error, attempts, hour, chance);
        for (attempts, seconds) in [(1, 1.0), (2, 2.0), (3, 4.0)] {
            assert_eq!(
                wait(attempts, 0.0),
                Some(Duration::from_secs_f64(seconds * 0.75))
            );
            assert_eq!(wait(attempts, 0.5), Some(Duration::from_secs_f64(seconds)));
            assert_eq!(
                wait(attempts, 1.0),
                Some(Duration::from_secs_f64(seconds * 1.25))
            );
        }
        assert_eq!(wait(4, 0.5), None);
    }

    #[test]
    fn the_server_may_ask_for_more_time_but_not_for_more_than_there_is() {
        let policy = RetryPolicy::default();
        let error = http(429).with_retry_after(Some(Duration::from_secs(7)));
        let wait = |left| policy.next(Action::TokenList, &error, 1, Duration::from_secs(left), 0.5);
        assert_eq!(wait(60), Some(Duration::from_secs(7)));
        assert_eq!(wait(5), None);
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, seconds) in [
            (Some("120"), Some(120)),
            (Some("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10)),
            (Some("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0)),
            (Some("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0)),
            (Some("Mon, 01 Jan 0001 00:00:00 GMT"), None),
            (Some("-5"), None),
            (Some("1.5"), None),
            (Some("soon"), None),
            (Some(""), None),
            (None, None),
        ] {
            assert_eq!(
                retry_after(value, now),
                seconds.map(Duration::from_secs),
                "{value:?}"
            );
        }
    }

    #[test]
    fn no_server_can_ask_for_more_than_a_day() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for value in [
            "86401",
            "18446744073709551615",
            "18446744073709551616",
            "999999999999999999999999999999",
            "Fri, 31 Dec 9999 23:59:59 GMT",
        ] {
            let day = Duration::from_secs(86_400);
            assert_eq!(retry_after(Some(value), now), Some(day), "{value}");
        }
    }

    #[test]
    fn no_backoff_overflows() {
        for first in [Duration::ZERO, Duration::from_secs(1), Duration::MAX] {
            for failures in [0, 1, 64, u32::MAX] {
                let wait = backoff(first, failures, Duration::MAX, 1.0);
                assert!(wait <= LONGEST_WAIT.mul_f64(1.25), "{first:?} {failures}");
            }
        }
    }
}
