//! What can go wrong, as one type: [`Error`], its [`ErrorKind`] and, for answers of the API itself,
//! the [`ApiError`] with a hint.
//!
//! Every text that enters an error has been scrubbed before it gets here; this module knows neither
//! the network nor who asks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was: the first column of the error table in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input or the configuration cannot be used; nothing was sent.
    Config,
    /// No connection came about; nothing was sent.
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
        }
    }
}

/// A failure: what happened, to which request, and what to do next.
///
/// `Display` is one line without any credential. Cheap to clone.
#[derive(Clone, thiserror::Error)]
#[error("{}", .0.message)]
pub struct Error(Arc<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    api: Option<ApiError>,
    http_status: Option<u16>,
    retry_after: Option<Duration>,
    request: Option<&'static str>,
    attempts: u32,
    candidate_ids: Vec<String>,
    cause: Option<Error>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            api: None,
            http_status: None,
            retry_after: None,
            request: None,
            attempts: 0,
            candidate_ids: Vec::new(),
            cause: None,
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
        let mut error = Self::new(ErrorKind::Api, format!("{}: {}", api.code, api.message));
        error.edit().hint = api.hint().map(str::to_owned);
        error.edit().api = Some(api);
        error
    }

    /// `cause` made it impossible to know whether a token was created.
    pub(crate) fn outcome_unknown(cause: Self, candidate_ids: Vec<String>, looked: bool) -> Self {
        let found = match (looked, candidate_ids.as_slice()) {
            (false, _) => "the list could not be looked at".to_owned(),
            (true, []) => "none like it is listed, which proves nothing".to_owned(),
            (true, ids) => format!("it may be {}", ids.join(", ")),
        };
        let mut error = Self::new(
            ErrorKind::OutcomeUnknown,
            format!("the token may or may not have been created ({cause}); {found}"),
        );
        let inner = error.edit();
        inner.hint = Some(
            "list the tokens before creating another, and delete the one that is not needed"
                .to_owned(),
        );
        inner.http_status = cause.http_status();
        inner.request = cause.request();
        inner.attempts = cause.attempts();
        inner.candidate_ids = candidate_ids;
        inner.cause = Some(cause);
        error
    }

    fn edit(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
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
        self.0.cause.clone()
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
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
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
            ErrorKind::Connect | ErrorKind::Interrupted | ErrorKind::Timeout => true,
            ErrorKind::Http => self.http_status().is_some_and(is_transient_status),
            ErrorKind::Api => self.api().is_some_and(ApiError::is_transient),
            ErrorKind::Config
            | ErrorKind::Decode
            | ErrorKind::OutcomeUnknown
            | ErrorKind::Local
            | ErrorKind::Unproved
            | ErrorKind::Cancelled
            | ErrorKind::Forked => false,
        }
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
        if let Some(cause) = &self.0.cause {
            debug.field("cause", cause);
        }
        debug.finish_non_exhaustive()
    }
}

/// 408, 429 and every 5xx: the statuses of the guide's retry strategy (section 10).
pub(crate) fn is_transient_status(status: u16) -> bool {
    status == 408 || status == 429 || (500..600).contains(&status)
}

/// An exception of the API. The server sends it with HTTP status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiError {
    /// The code as the server spelled it.
    pub code: String,
    /// The message, without credentials.
    pub message: String,
    /// The arguments by name, without credentials.
    pub args: Vec<(String, String)>,
}

impl ApiError {
    /// One variant for every spelling of a code that matters here.
    #[must_use]
    pub fn meaning(&self) -> ApiCode {
        ApiCode::from_code(&self.code)
    }

    /// The argument of that name.
    #[must_use]
    pub fn arg(&self, name: &str) -> Option<&str> {
        self.args
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Why the server refused the KS, when it says `INVALID_KS`.
    ///
    /// The reference server puts the reason in the place of the KS and always sends `-1`
    /// (transcripts `session.end/…`, `ks/…`); other installations send `-2` to `-11`.
    #[must_use]
    pub fn ks_failure(&self) -> Option<KsFailure> {
        if self.meaning() != ApiCode::InvalidKs {
            return None;
        }
        Some(match (self.arg("KSID"), self.arg("ERR_CODE")) {
            (Some("EXPIRED"), _) | (_, Some("-5")) => KsFailure::Expired,
            (Some("LOGOUT"), _) | (_, Some("-6")) => KsFailure::LoggedOut,
            (Some("EXCEEDED_ACTIONS_LIMIT"), _) | (_, Some("-8")) => KsFailure::ActionsLimit,
            (Some("EXCEEDED_RESTRICTED_IP"), _) | (_, Some("-9")) => KsFailure::RestrictedIp,
            (Some("EXCEEDED_RESTRICTED_URI"), _) | (_, Some("-11")) => KsFailure::RestrictedUri,
            _ => KsFailure::NotAccepted,
        })
    }

    /// Whether the server may answer differently a moment later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self.meaning(),
            ApiCode::InternalServerError | ApiCode::ActionBlocked
        )
    }

    /// The likely cause and the next step.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self.meaning() {
            ApiCode::AppTokenIdNotFound => {
                "the id is unknown here: mistyped, deleted, of another account, or of another \
                 region's server; check the partner id and the service URL, or list the tokens"
            }
            ApiCode::InvalidAppTokenHash => {
                "the hash differs: check the hash type of the token (SHA1 when it was created \
                 without one) and that its value has no newline or space at the end"
            }
            ApiCode::AppTokenNotActive => {
                "the token is disabled and no call can enable it again: create a new one"
            }
            ApiCode::AppTokenExpired => {
                "the token's own expiry has passed: create a new one with a later expiry or none, \
                 or move this one's with an update"
            }
            ApiCode::NotUpdatable => {
                "this server does not let the field change: create a new token with the value that \
                 is wanted and delete the old one"
            }
            ApiCode::InvalidKs => match self.ks_failure()? {
                KsFailure::Expired => "the session has expired: start a new one",
                KsFailure::LoggedOut => {
                    "the session was ended, or its token was deleted; after session.end every later \
                     session of the same token is refused too: use another token"
                }
                KsFailure::ActionsLimit => "the session's actionslimit is used up: start a new one",
                KsFailure::RestrictedIp => {
                    "the session's iprestrict does not hold this address: it is compared exactly, \
                     ranges are not understood"
                }
                KsFailure::RestrictedUri => {
                    "the session's urirestrict does not hold this path: it is compared exactly, or \
                     by its beginning when it ends in *"
                }
                KsFailure::NotAccepted => {
                    "the session is not one of this server: check the admin secret, the partner id \
                     and the service URL's region"
                }
            },
            ApiCode::ServiceForbidden => {
                "the session may not call this: managing tokens needs an ADMIN session (type 2), \
                 and a role set by setrole must allow the action"
            }
            ApiCode::PartnerBlocked => {
                "the account is blocked or unknown on this server: check the partner id and the \
                 service URL's region"
            }
            ApiCode::StartSessionError => {
                "the partner id, the secret and the session type do not belong together: an ADMIN \
                 session needs the admin secret"
            }
            ApiCode::InvalidWidgetId => {
                "the partner id is unknown to this server: check it and the service URL's region"
            }
            ApiCode::InvalidFieldValue => {
                "the server refused a value; on a new account a token needs a session user id (it \
                 has no anonymous user yet), and user ids may not hold every character"
            }
            ApiCode::InvalidEnumValue => "the value is not one this server knows",
            ApiCode::ActionBlocked => "the server is limiting requests: wait and try again",
            ApiCode::InternalServerError => {
                "the server failed by itself: try again, and check for very long values"
            }
            ApiCode::MissingParameter | ApiCode::UnknownAction | ApiCode::Other => return None,
        })
    }
}

/// What an API code means, whichever way it is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApiCode {
    /// `APP_TOKEN_ID_NOT_FOUND`, in the guide `INVALID_APP_TOKEN_ID`.
    AppTokenIdNotFound,
    /// `INVALID_APP_TOKEN_HASH`.
    InvalidAppTokenHash,
    /// `APP_TOKEN_NOT_ACTIVE`.
    AppTokenNotActive,
    /// `APP_TOKEN_EXPIRED`, in the guide `EXPIRED_TOKEN`.
    AppTokenExpired,
    /// `PROPERTY_VALIDATION_NOT_UPDATABLE`.
    NotUpdatable,
    /// `INVALID_KS`; [`ApiError::ks_failure`] says why.
    InvalidKs,
    /// `SERVICE_FORBIDDEN`.
    ServiceForbidden,
    /// `SERVICE_FORBIDDEN_CONTENT_BLOCKED`.
    PartnerBlocked,
    /// `START_SESSION_ERROR`.
    StartSessionError,
    /// `INVALID_WIDGET_ID`.
    InvalidWidgetId,
    /// `INVALID_FIELD_VALUE`.
    InvalidFieldValue,
    /// `INVALID_ENUM_VALUE`.
    InvalidEnumValue,
    /// `ACTION_BLOCKED`: rate limited.
    ActionBlocked,
    /// `MISSING_MANDATORY_PARAMETER`.
    MissingParameter,
    /// `SERVICE_DOES_NOT_EXISTS`, `ACTION_DOES_NOT_EXISTS`, `SERVICE_NOT_SPECIFIED`.
    UnknownAction,
    /// `INTERNAL_SERVERL_ERROR` (spelled so by the server) and its kin.
    InternalServerError,
    /// Any other.
    Other,
}

impl ApiCode {
    /// Both the server's and the guide's spelling map to one variant.
    #[must_use]
    pub fn from_code(code: &str) -> Self {
        match code {
            "APP_TOKEN_ID_NOT_FOUND" | "INVALID_APP_TOKEN_ID" => Self::AppTokenIdNotFound,
            "INVALID_APP_TOKEN_HASH" => Self::InvalidAppTokenHash,
            "APP_TOKEN_NOT_ACTIVE" => Self::AppTokenNotActive,
            "APP_TOKEN_EXPIRED" | "EXPIRED_TOKEN" => Self::AppTokenExpired,
            "PROPERTY_VALIDATION_NOT_UPDATABLE" => Self::NotUpdatable,
            "INVALID_KS" => Self::InvalidKs,
            "SERVICE_FORBIDDEN" => Self::ServiceForbidden,
            "SERVICE_FORBIDDEN_CONTENT_BLOCKED" => Self::PartnerBlocked,
            "START_SESSION_ERROR" => Self::StartSessionError,
            "INVALID_WIDGET_ID" => Self::InvalidWidgetId,
            "INVALID_FIELD_VALUE" => Self::InvalidFieldValue,
            "INVALID_ENUM_VALUE" => Self::InvalidEnumValue,
            "ACTION_BLOCKED" => Self::ActionBlocked,
            "MISSING_MANDATORY_PARAMETER" => Self::MissingParameter,
            "SERVICE_DOES_NOT_EXISTS" | "ACTION_DOES_NOT_EXISTS" | "SERVICE_NOT_SPECIFIED" => {
                Self::UnknownAction
            }
            "INTERNAL_SERVERL_ERROR" | "INTERNAL_SERVER_ERROR" | "INTERNAL_DATABASE_ERROR" => {
                Self::InternalServerError
            }
            _ => Self::Other,
        }
    }
}

/// Why the server refused a KS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KsFailure {
    /// It has expired. The only reason that a new session cures by itself.
    Expired,
    /// It was ended, or the token it was minted from was deleted.
    LoggedOut,
    /// Its `actionslimit` is used up.
    ActionsLimit,
    /// Its `iprestrict` does not hold the caller's address.
    RestrictedIp,
    /// Its `urirestrict` does not hold the request's path.
    RestrictedUri,
    /// Anything else: malformed, of another secret, of another server.
    NotAccepted,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid_ks(ksid: &str, code: &str) -> ApiError {
        ApiError {
            code: "INVALID_KS".into(),
            message: String::new(),
            args: vec![
                ("KSID".into(), ksid.into()),
                ("ERR_CODE".into(), code.into()),
            ],
        }
    }

    #[test]
    fn every_reason_for_a_refused_ks_is_told_apart_in_both_dialects() {
        for (ksid, code, reason) in [
            ("EXPIRED", "-1", KsFailure::Expired),
            ("****", "-5", KsFailure::Expired),
            ("LOGOUT", "-1", KsFailure::LoggedOut),
            ("****", "-6", KsFailure::LoggedOut),
            ("EXCEEDED_ACTIONS_LIMIT", "-1", KsFailure::ActionsLimit),
            ("****", "-8", KsFailure::ActionsLimit),
            ("EXCEEDED_RESTRICTED_IP", "-1", KsFailure::RestrictedIp),
            ("****", "-9", KsFailure::RestrictedIp),
            ("EXCEEDED_RESTRICTED_URI", "-1", KsFailure::RestrictedUri),
            ("****", "-11", KsFailure::RestrictedUri),
            ("****", "-1", KsFailure::NotAccepted),
            ("****", "-2", KsFailure::NotAccepted),
        ] {
            assert_eq!(
                invalid_ks(ksid, code).ks_failure(),
                Some(reason),
                "{ksid} {code}"
            );
            assert!(invalid_ks(ksid, code).hint().is_some());
        }
    }

    #[test]
    fn every_code_of_the_guides_table_has_a_hint() {
        for code in [
            "INVALID_APP_TOKEN_ID",
            "INVALID_APP_TOKEN_HASH",
            "APP_TOKEN_NOT_ACTIVE",
            "EXPIRED_TOKEN",
            "PROPERTY_VALIDATION_NOT_UPDATABLE",
            "INVALID_KS",
        ] {
            let api = ApiError {
                code: code.into(),
                message: String::new(),
                args: Vec::new(),
            };
            assert_ne!(api.meaning(), ApiCode::Other, "{code}");
            assert!(api.hint().is_some(), "{code}");
        }
    }

    #[test]
    fn errors_can_cross_threads_and_stay_small() {
        fn assert_send_sync<T: Send + Sync + 'static>() {}
        assert_send_sync::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
