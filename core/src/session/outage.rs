//! When a provider says that something is wrong: once when it begins and once when it is over, however
//! many calls fail in between. Pure; the driver writes the lines.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::Error;

/// Of more different troubles at the same time nobody has to hear.
const MOST: usize = 16;

/// One that nobody has met for so long makes room for another.
const REMEMBER: Duration = Duration::from_secs(600);

/// The sort of what goes wrong before a server is asked: no code of an API looks like it.
const SOURCE: &str = "the token source";

/// What is wrong now, by its sort.
#[derive(Debug, Default)]
pub(super) struct Outages(BTreeMap<String, Outage>);

/// By the steady clock.
#[derive(Debug)]
struct Outage {
    since: Duration,
    failed_last: Duration,
}

/// What will pass is one trouble, whatever it looks like from call to call; the rest is told apart.
fn sort(error: &Error) -> String {
    if error.is_retryable() {
        return String::new();
    }
    let code = error.code();
    code.map_or_else(|| format!("{:?}", error.kind()), str::to_owned)
}

impl Outages {
    /// Notes a failure, and answers whether it is news.
    pub(super) fn failed(&mut self, error: &Error, steady: Duration) -> bool {
        self.note(sort(error), steady)
    }

    /// The same for the token source, whatever its failure looks like.
    pub(super) fn source_failed(&mut self, steady: Duration) -> bool {
        self.note(SOURCE.to_owned(), steady)
    }

    fn note(&mut self, sort: String, steady: Duration) -> bool {
        if let Some(known) = self.0.get_mut(&sort) {
            known.failed_last = steady;
            return false;
        }
        if !sort.is_empty() && self.0.len() >= MOST {
            self.0.retain(|sort, it| {
                sort.is_empty() || steady.saturating_sub(it.failed_last) < REMEMBER
            });
            if self.0.len() >= MOST {
                return false;
            }
        }
        let outage = Outage {
            since: steady,
            failed_last: steady,
        };
        self.0.insert(sort, outage);
        true
    }

    /// Notes a success after that failure of the same key, if there was one; answers how long what is
    /// over now lasted.
    pub(super) fn succeeded(
        &mut self,
        before: Option<&Error>,
        steady: Duration,
    ) -> Option<Duration> {
        // A server that answers one key is there for all, and so is the source that had the token for it.
        let is_back = [self.0.remove(""), self.0.remove(SOURCE)];
        let over = before.and_then(|error| self.0.remove(&sort(error)));
        let over = is_back.into_iter().flatten().chain(over);
        let since = over.map(|outage| outage.since).min()?;
        Some(steady.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ApiError, ErrorKind};

    fn api(code: &str) -> Error {
        Error::from_api(ApiError {
            code: code.to_owned(),
            message: String::new(),
            args: Vec::new(),
        })
    }

    #[test]
    fn an_outage_is_said_once_and_its_end_once() {
        let mut outages = Outages::default();
        let at = Duration::from_secs;
        assert!(outages.failed(&Error::new(ErrorKind::Connect, ""), at(1)));
        for second in 2..100 {
            assert!(!outages.failed(&Error::new(ErrorKind::Timeout, ""), at(second)));
        }
        assert_eq!(outages.succeeded(None, at(101)), Some(at(100)));
        assert_eq!(outages.succeeded(None, at(102)), None);
        assert!(
            outages.failed(&Error::new(ErrorKind::Connect, ""), at(103)),
            "the next one"
        );
    }

    #[test]
    fn a_key_of_its_own_trouble_is_said_once_while_others_are_served() {
        let mut outages = Outages::default();
        let forbidden = api("SERVICE_FORBIDDEN");
        assert!(outages.failed(&forbidden, Duration::ZERO));
        for _ in 0..100 {
            assert_eq!(outages.succeeded(None, Duration::ZERO), None);
            assert!(!outages.failed(&forbidden, Duration::ZERO));
        }
        assert!(outages.failed(&api("APP_TOKEN_EXPIRED"), Duration::ZERO));
        assert!(
            outages
                .succeeded(Some(&forbidden), Duration::ZERO)
                .is_some()
        );
        assert!(outages.failed(&forbidden, Duration::ZERO));
    }

    #[test]
    fn a_source_that_fails_is_an_outage_until_a_session_can_be_started() {
        let mut outages = Outages::default();
        assert!(outages.source_failed(Duration::ZERO));
        assert!(!outages.source_failed(Duration::ZERO));
        let over = outages.succeeded(None, Duration::from_secs(5));
        assert_eq!(over, Some(Duration::from_secs(5)));
        assert!(outages.source_failed(Duration::ZERO));
    }

    #[test]
    fn no_server_makes_it_remember_ever_more() {
        let mut outages = Outages::default();
        let said =
            (0..1000).filter(|code| outages.failed(&api(&format!("CODE_{code}")), Duration::ZERO));
        assert_eq!(said.count(), MOST);
    }
}
