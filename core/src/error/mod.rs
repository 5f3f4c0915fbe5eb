//! What can go wrong, as one type: [`Error`], its [`ErrorKind`] and, for answers of the API itself,
//! the [`ApiError`] with a [`Hint`].
//!
//! Every text that enters an error has been scrubbed of credentials before it gets here, and is made one
//! printable line here; this module knows neither the network nor who asks.

mod api;
mod hint;
mod text;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use api::{ApiCode, ApiError, KsFailure};
pub use hint::Hint;

use crate::connect_cause::ConnectCause;

use text::{LONGEST, printable};

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was: the first column of the error table in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input or the configuration cannot be used; nothing was sent.
    Config,
    /// No connection came about; nothing was sent: see [`Error::connect_cause`].
    Connect,
    /// The connection broke after the request had begun to leave.
    Interrupted,
    /// An attempt or the whole call took too long.
    Timeout,
    /// The server, or something before it, answered with an HTTP status other than 200.
    Http,
    /// The answer is not what the API answers.
    Decode,
    /// The API answered with an exception: see [`Error::api`].
    Api,
    /// A token may or may not have been created: see [`Error::candidate_ids`].
    OutcomeUnknown,
    /// A file of this machine could not be written, locked or kept; nothing is wrong with the server.
    Local,
    /// A rotation's new token could not be shown to be as good as the old one.
    Unproved,
    /// The caller cancelled the call.
    Cancelled,
    /// The call was under way in the process from which this one was forked.
    Forked,
    /// The client was closed, before the call or in the middle of it.
    Closed,
}

impl ErrorKind {
    /// Every kind, in the order of the error table.
    pub const ALL: &'static [Self] = &[
        Self::Config,
        Self::Connect,
        Self::Interrupted,
        Self::Timeout,
        Self::Http,
        Self::Decode,
        Self::Api,
        Self::OutcomeUnknown,
        Self::Local,
        Self::Unproved,
        Self::Cancelled,
        Self::Forked,
        Self::Closed,
    ];

    /// The name as it stands in the error table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "Config",
            Self::Connect => "Connect",
            Self::Interrupted => "Interrupted",
            Self::Timeout => "Timeout",
            Self::Http => "Http",
            Self::Decode => "Decode",
            Self::Api => "Api",
            Self::OutcomeUnknown => "OutcomeUnknown",
            Self::Local => "Local",
            Self::Unproved => "Unproved",
            Self::Cancelled => "Cancelled",
            Self::Forked => "Forked",
            Self::Closed => "Closed",
        }
    }
}

/// In characters, of what a longer message tells of its cause, and of an id.
const LONGEST_CAUSE: usize = 500;
const LONGEST_ID: usize = 100;

/// A failure: what happened, to which request, and what to do next.
///
/// `Display` is one line without any credential, and says everything; [`source`](StdError::source) is
/// there for programs. Cheap to clone.
///
/// ```
/// use kaltura_app_token::{Client, ErrorKind};
///
/// let error = Client::builder().service_url("ftp://kaltura.example.com").build().unwrap_err();
/// let exit_code = match error.kind() {
///     ErrorKind::Config => 2,
///     _ if error.is_retryable() => 75,
///     _ => 1,
/// };
/// assert_eq!(exit_code, 2);
/// assert_eq!(error.to_string(), "service URL: ftp is neither https nor http");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<Hint>,
    api: Option<ApiError>,
    http_status: Option<u16>,
    retry_after: Option<Duration>,
    request: Option<&'static str>,
    attempts: u32,
    candidate_ids: Vec<String>,
    connect_cause: Option<ConnectCause>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: printable(message.into(), LONGEST),
            hint: None,
            api: None,
            http_status: None,
            retry_after: None,
            request: None,
            attempts: 0,
            candidate_ids: Vec::new(),
            connect_cause: None,
            source: None,
        }))
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Something of this machine failed: a file could not be written, locked or kept.
    pub(crate) fn local(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Local, message)
    }

    pub(crate) fn from_api(api: ApiError) -> Self {
        let api = api.printable();
        let mut error = Self::new(ErrorKind::Api, format!("{}: {}", api.code, api.message));
        error.edit().hint = api.hint();
        error.edit().api = Some(api);
        error
    }

    /// `cause` made it impossible to know whether a token was created.
    pub(crate) fn outcome_unknown(cause: Self, candidate_ids: Vec<String>, looked: bool) -> Self {
        let candidate_ids: Vec<String> = candidate_ids
            .into_iter()
            .map(|id| printable(id, LONGEST_ID))
            .collect();
        let found = match (looked, candidate_ids.as_slice()) {
            (false, _) => "the list could not be looked at".to_owned(),
            (true, []) => "none like it is listed, which proves nothing".to_owned(),
            (true, ids) => format!("it may be {}", ids.join(", ")),
        };
        let mut error = Self::new(
            ErrorKind::OutcomeUnknown,
            format!(
                "the token may or may not have been created ({}); {found}",
                // The ids after it are what somebody has to see.
                printable(cause.to_string(), LONGEST_CAUSE)
            ),
        )
        .with_hint(Hint::ListBeforeCreating);
        let inner = error.edit();
        inner.http_status = cause.http_status();
        inner.request = cause.request();
        inner.attempts = cause.attempts();
        inner.candidate_ids = candidate_ids;
        error.with_source(cause)
    }

    fn edit(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// What the failure comes from, for [`source`](StdError::source). Its text is not shown by itself:
    /// the message says all of it that is to be known.
    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.edit().source = Some(Arc::new(source));
        self
    }

    /// Why no connection came about, and the hint that belongs to it.
    pub(crate) fn with_connect_cause(mut self, cause: ConnectCause) -> Self {
        self.edit().connect_cause = Some(cause);
        self.with_hint(Hint::Connection(cause))
    }

    /// Adds what else there is to say to the message.
    pub(crate) fn with_note(mut self, note: &str) -> Self {
        let message = format!("{}; {note}", self.message());
        self.edit().message = printable(message, LONGEST);
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<Hint>) -> Self {
        self.edit().hint = Some(hint.into());
        self
    }

    pub(crate) fn with_http_status(mut self, status: u16) -> Self {
        self.edit().http_status = Some(status);
        self
    }

    pub(crate) fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.edit().retry_after = wait;
        self
    }

    pub(crate) fn with_request(mut self, request: &'static str) -> Self {
        self.edit().request = Some(request);
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.edit().attempts = attempts;
        self
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What left the outcome of a creation in doubt.
    pub(crate) fn cause(&self) -> Option<Self> {
        let source = self.0.source.as_deref()?;
        source.downcast_ref::<Self>().cloned()
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The same line as `Display`.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The likely cause and the next step, where one is known.
    #[must_use]
    pub fn hint(&self) -> Option<&Hint> {
        self.0.hint.as_ref()
    }

    /// The API's exception, when the kind is [`ErrorKind::Api`].
    #[must_use]
    pub fn api(&self) -> Option<&ApiError> {
        self.0.api.as_ref()
    }

    /// The code of the API's exception, as the server spelled it.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.api().map(|api| api.code.as_str())
    }

    /// What the code of the API's exception means, whichever way it is spelled.
    #[must_use]
    pub fn api_code(&self) -> Option<ApiCode> {
        self.api().map(ApiError::meaning)
    }

    /// Why the server refused the KS, when that is what the API's exception says.
    #[must_use]
    pub fn ks_failure(&self) -> Option<KsFailure> {
        self.api()?.ks_failure()
    }

    /// Why no connection came about, when the kind is [`ErrorKind::Connect`] and it is known.
    #[must_use]
    pub fn connect_cause(&self) -> Option<ConnectCause> {
        self.0.connect_cause
    }

    /// The HTTP status, when the answer had one other than 200.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The request that failed, as `service.action`.
    #[must_use]
    pub fn request(&self) -> Option<&'static str> {
        self.0.request
    }

    /// How often the request was sent or tried to be sent; 0 when it never came to that.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Ids of tokens that may be the one whose creation is in doubt.
    ///
    /// Only with [`ErrorKind::OutcomeUnknown`]; an empty list proves nothing.
    #[must_use]
    pub fn candidate_ids(&self) -> &[String] {
        &self.0.candidate_ids
    }

    /// Whether the same call may succeed later without any change.
    ///
    /// The client has already used up its own retries; this is advice for whoever queues work.
    /// `appToken.add` in doubt is never retryable.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.kind() {
            ErrorKind::Connect => !self.connect_cause().is_some_and(ConnectCause::is_permanent),
            ErrorKind::Interrupted | ErrorKind::Timeout => true,
            ErrorKind::Http => self.http_status().is_some_and(is_transient_status),
            ErrorKind::Api => self.api().is_some_and(ApiError::is_transient),
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
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.0.source.as_deref()?;
        Some(source)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("hint", &self.0.hint)
            .field("request", &self.0.request)
            .field("attempts", &self.0.attempts);
        if let Some(status) = self.0.http_status {
            debug.field("http_status", &status);
        }
        if let Some(cause) = &self.0.connect_cause {
            debug.field("connect_cause", cause);
        }
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish_non_exhaustive()
    }
}

/// 408, 429 and every 5xx: the statuses of the guide's retry strategy (section 10).
pub(crate) fn is_transient_status(status: u16) -> bool {
    status == 408 || status == 429 || (500..600).contains(&status)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io;

    use serde_json::Value;

    use super::*;

    /// Every text of an error, of its hint and of what the API said.
    fn texts(error: &Error) -> Vec<String> {
        let api: Option<Vec<_>> = error.api().map(|api| {
            let args = api.args.iter().flat_map(|(name, value)| [name, value]);
            [&api.code, &api.message]
                .into_iter()
                .chain(args)
                .cloned()
                .collect()
        });
        let hint = error.hint().map(|hint| hint.text().to_owned());
        [error.to_string()]
            .into_iter()
            .chain(hint)
            .chain(api.unwrap_or_default())
            .chain(error.candidate_ids().iter().cloned())
            .collect()
    }

    #[test]
    fn every_text_of_an_error_is_one_printable_line_of_bounded_length() {
        let rough = "a\r\n\u{1b}[2J\u{202e}z\u{2028}".to_owned();
        let endless = "x".repeat(100_000);
        for text in [rough, endless] {
            let api = ApiError {
                code: text.clone(),
                message: text.clone(),
                args: vec![(text.clone(), text.clone()); 1_000],
            };
            let cause = Error::new(ErrorKind::Timeout, text.clone());
            for error in [
                Error::new(ErrorKind::Decode, text.clone()),
                Error::local(text.clone()).with_hint(text.clone()),
                Error::from_api(api),
                Error::outcome_unknown(cause, vec![text.clone(); 3], true),
            ] {
                let texts = texts(&error);
                assert!(texts.len() < 100, "{}", texts.len());
                for text in texts {
                    assert!(text.chars().count() <= LONGEST);
                    assert_eq!(printable(text.clone(), LONGEST), text);
                }
            }
        }
    }

    #[test]
    fn the_ids_of_a_creation_in_doubt_are_said_however_long_its_cause_is() {
        let cause = Error::new(ErrorKind::Http, "x".repeat(100_000));
        let error = Error::outcome_unknown(cause, vec!["1_ab12cd34".into()], true);
        assert!(error.message().ends_with("it may be 1_ab12cd34"));
    }

    #[test]
    fn the_source_of_an_error_can_be_asked_for() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = Error::local("the journal cannot be written").with_source(full);
        let source = error.clone().source().unwrap().to_string();
        assert_eq!(
            source,
            io::Error::from(io::ErrorKind::StorageFull).to_string()
        );
        let kind = error.source().unwrap().downcast_ref::<io::Error>();
        assert_eq!(kind.unwrap().kind(), io::ErrorKind::StorageFull);
        assert!(error.cause().is_none());

        let cause = Error::new(ErrorKind::Timeout, "no answer");
        let doubt = Error::outcome_unknown(cause, Vec::new(), false);
        let source = doubt.source().unwrap().downcast_ref::<Error>().unwrap();
        assert_eq!(source.kind(), ErrorKind::Timeout);
        assert!(source.source().is_none());
    }

    #[test]
    fn what_the_api_says_is_asked_of_the_error_itself() {
        let api = |code: &str| {
            Error::from_api(ApiError {
                code: code.into(),
                message: String::new(),
                args: vec![("KSID".into(), "EXPIRED".into())],
            })
        };
        let expired = api("INVALID_KS");
        assert_eq!(expired.api_code(), Some(ApiCode::InvalidKs));
        assert_eq!(expired.ks_failure(), Some(KsFailure::Expired));
        assert_eq!(
            api("EXPIRED_TOKEN").api_code(),
            Some(ApiCode::AppTokenExpired)
        );
        assert_eq!(api("EXPIRED_TOKEN").ks_failure(), None);
        assert_eq!(Error::config("").api_code(), None);
    }

    /// The failure of that kind that a row of the table describes.
    fn of_row(kind: ErrorKind, row: &Value) -> Error {
        if let Some(code) = row["code"].as_str() {
            return Error::from_api(ApiError {
                code: code.into(),
                message: String::new(),
                args: Vec::new(),
            });
        }
        let mut error = Error::new(kind, "");
        if let Some(status) = row["http_status"].as_u64() {
            error = error.with_http_status(status.try_into().unwrap());
        }
        if let Some(name) = row["cause"].as_str() {
            let mut causes = ConnectCause::ALL.iter();
            let cause = causes.find(|cause| cause.name() == name);
            error = error.with_connect_cause(*cause.expect(name));
        }
        error
    }

    #[test]
    fn the_table_says_of_every_kind_whether_the_same_call_is_worth_another_try() {
        let text = include_str!("../../../tests/scenarios/errors.json");
        let table: Value = serde_json::from_str(text).unwrap();
        let rows = table["kinds"].as_array().unwrap();
        let names: Vec<_> = rows.iter().map(|row| row["kind"].as_str()).collect();
        let kinds: Vec<_> = ErrorKind::ALL
            .iter()
            .map(|kind| Some(kind.name()))
            .collect();
        assert_eq!(names, kinds);
        for (kind, row) in ErrorKind::ALL.iter().zip(rows) {
            for way in row["of"].as_array().unwrap() {
                let error = of_row(*kind, way);
                assert_eq!(error.kind(), *kind);
                assert_eq!(
                    Some(error.is_retryable()),
                    way["retryable"].as_bool(),
                    "{way}"
                );
            }
        }
    }

    #[test]
    fn a_connection_that_cannot_come_about_is_not_worth_another_try() {
        for &cause in ConnectCause::ALL {
            let error = Error::new(ErrorKind::Connect, "no connection").with_connect_cause(cause);
            assert_eq!(error.connect_cause(), Some(cause));
            assert_eq!(error.is_retryable(), !cause.is_permanent(), "{cause:?}");
            assert!(error.hint().is_some(), "{cause:?}");
        }
        assert!(Error::new(ErrorKind::Connect, "").is_retryable());
    }

    #[test]
    fn errors_can_cross_threads_and_stay_small() {
        fn assert_send_sync<T: Send + Sync + 'static>() {}
        assert_send_sync::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
