//! What happens within calls and is told by no result: for the log, and for whoever listens. Knows
//! neither who sends nor what is sent.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;

/// Something that happened within a call: see [`crate::ClientBuilder::on_event`]. `Display` is the line
/// that the log gets, without any credential.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A request failed, and is sent again after a wait.
    Retry {
        /// The request, as `service.action`.
        request: &'static str,
        /// How often it has been sent or tried to be sent.
        attempts: u32,
        /// What went wrong.
        error: Error,
        /// How long it takes to the next attempt.
        wait: Duration,
    },
    /// A session that the client keeps was fetched: the widget session or the admin session.
    SessionFetched {
        /// The request, as `service.action`.
        request: &'static str,
    },
    /// The server granted fewer privileges than were asked for.
    DroppedPrivileges {
        /// The request, as `service.action`.
        request: &'static str,
        /// What is missing.
        privileges: Vec<String>,
    },
    /// A token may or may not have been created: the error that the caller gets, if it has not left.
    InDoubt {
        /// Names the candidates.
        error: Error,
    },
    /// Calls fail that may succeed later without any change, after their retries; said once, however many
    /// fail. Those that a session provider makes are not among them: see
    /// [`OutageBegan`](Event::OutageBegan).
    CallsFail {
        /// What went wrong first.
        error: Error,
    },
    /// A call succeeded again.
    CallsSucceed {
        /// How long they failed.
        lasted: Duration,
    },
    /// A session provider can start no sessions any more; said once, however many calls fail.
    OutageBegan {
        /// The id of the token; empty when the token source does not name one.
        token_id: String,
        /// What went wrong first.
        error: Error,
    },
    /// It can again.
    OutageEnded {
        /// The id of the token.
        token_id: String,
        /// How long it could not.
        lasted: Duration,
    },
    /// A session provider could not renew a session, and goes on with the one it has.
    RenewalFailed {
        /// What went wrong.
        error: Error,
    },
}

impl Event {
    fn level(&self) -> log::Level {
        match self {
            Self::DroppedPrivileges { .. }
            | Self::InDoubt { .. }
            | Self::CallsFail { .. }
            | Self::OutageBegan { .. } => log::Level::Warn,
            Self::CallsSucceed { .. } | Self::OutageEnded { .. } => log::Level::Info,
            Self::Retry { .. } | Self::SessionFetched { .. } | Self::RenewalFailed { .. } => {
                log::Level::Debug
            }
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry {
                request,
                attempts,
                error,
                wait,
            } => write!(
                f,
                "{request} attempt {attempts}: {error}; again in {wait:?}"
            ),
            Self::SessionFetched { request } => write!(f, "{request}: a session to keep"),
            Self::DroppedPrivileges {
                request,
                privileges,
            } => {
                write!(f, "{request}: the server dropped {}", privileges.join(","))
            }
            Self::InDoubt { error } => {
                write!(f, "{}: {error}", error.request().unwrap_or_default())
            }
            Self::CallsFail { error } => write!(
                f,
                "calls fail ({} after {} attempts): {error}",
                error.request().unwrap_or_default(),
                error.attempts()
            ),
            Self::CallsSucceed { lasted } => {
                write!(f, "calls succeed again, after {} s", lasted.as_secs())
            }
            Self::OutageBegan { token_id, error } if token_id.is_empty() => {
                write!(f, "sessions cannot be started: {error}")
            }
            Self::OutageBegan { token_id, error } => {
                write!(
                    f,
                    "sessions cannot be started with token {token_id}: {error}"
                )
            }
            Self::OutageEnded { token_id, lasted } => write!(
                f,
                "sessions can be started again with token {token_id}, after {} s",
                lasted.as_secs()
            ),
            Self::RenewalFailed { error } => {
                write!(
                    f,
                    "a session could not be renewed, the old one goes on: {error}"
                )
            }
        }
    }
}

type Listener = dyn Fn(&Event) + Send + Sync;

/// Who is told.
#[derive(Clone, Default)]
pub(crate) struct Events(Option<Arc<Listener>>);

impl Events {
    pub(crate) fn to(listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    pub(crate) fn tell(&self, event: &Event) {
        log::log!(event.level(), "{event}");
        if let Some(listener) = &self.0 {
            // What a listener does is no reason for a call to fail.
            let _ = catch_unwind(AssertUnwindSafe(|| listener(event)));
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
