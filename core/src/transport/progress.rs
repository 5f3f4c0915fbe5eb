//! How far a request has come, told by whoever carries it to whoever waits for it. Knows nothing of
//! requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const UNKNOWN: u8 = 0;
const CONNECTING: u8 = 1;
const SENDING: u8 = 2;
const ABANDONED: u8 = 3;

/// How far a request has come: see [`Progress::phase`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The transport has not said. The request may have left.
    Unknown,
    /// Nothing of the request has left: names, TCP, proxy and TLS come first.
    Connecting,
    /// The request, or some of it, may have left.
    Sending,
    /// The caller went away before anything left, and nothing will.
    Abandoned,
}

/// How far a request has come, shared by the transport that carries it and the client that waits.
///
/// It is what tells a time-out while connecting, after which a creation can be made again, from one after
/// sending, which leaves it in doubt. A transport that does not use it is taken to have sent.
///
/// ```
/// use kaltura_app_token::{Phase, Progress};
///
/// let progress = Progress::default();
/// progress.connecting();
/// // … the connection stands …
/// if progress.start_sending() {
///     // … and the request leaves.
/// }
/// assert_eq!(progress.phase(), Phase::Sending);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU8>);

impl Progress {
    /// The transport promises that nothing has left, and to call [`Progress::start_sending`] before
    /// anything does.
    pub fn connecting(&self) {
        self.change(UNKNOWN, CONNECTING);
    }

    /// The transport is about to send the first byte. `false`: the caller has gone and may be making the
    /// request again, so nothing must leave.
    #[must_use = "when it is false, nothing must leave"]
    pub fn start_sending(&self) -> bool {
        self.change(UNKNOWN, SENDING);
        self.change(CONNECTING, SENDING);
        self.phase() == Phase::Sending
    }

    /// How far the request has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::SeqCst) {
            UNKNOWN => Phase::Unknown,
            CONNECTING => Phase::Connecting,
            SENDING => Phase::Sending,
            _ => Phase::Abandoned,
        }
    }

    /// The caller goes away. `true`: nothing has left, and nothing will any more.
    pub(crate) fn abandon(&self) -> bool {
        self.change(CONNECTING, ABANDONED);
        self.phase() == Phase::Abandoned
    }

    fn change(&self, from: u8, to: u8) {
        // Whoever comes second finds the other's phase and leaves it.
        let _ = self
            .0
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_the_request_leaves_or_the_caller_knows_that_it_never_will() {
        for _ in 0..2_000 {
            let progress = Progress::default();
            progress.connecting();
            let sender = progress.clone();
            let sent = std::thread::spawn(move || sender.start_sending());
            let abandoned = progress.abandon();
            let Ok(sent) = sent.join() else {
                panic!("the sender panicked")
            };
            assert_ne!(sent, abandoned);
        }
    }

    #[test]
    fn a_transport_that_says_nothing_is_taken_to_have_sent() {
        let silent = Progress::default();
        assert!(!silent.abandon());
        assert_eq!(silent.phase(), Phase::Unknown);
        assert!(
            silent.start_sending(),
            "a caller cannot stop what it does not know"
        );
        silent.connecting();
        assert_eq!(
            silent.phase(),
            Phase::Sending,
            "what has left cannot be taken back"
        );
    }
}
