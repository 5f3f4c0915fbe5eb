//! The API's exceptions: their code in every spelling, why a session was refused, and what helps. Knows
//! neither errors nor the network.

use super::hint::Hint;
use super::text::{LONGEST, printable};

/// The API's exceptions have at most a handful.
const MOST_ARGS: usize = 32;

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

    /// The same with every text as one printable line of bounded length.
    pub(super) fn printable(self) -> Self {
        let one = |text| printable(text, LONGEST);
        Self {
            code: one(self.code),
            message: one(self.message),
            args: self
                .args
                .into_iter()
                .take(MOST_ARGS)
                .map(|(name, value)| (one(name), one(value)))
                .collect(),
        }
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
    pub fn hint(&self) -> Option<Hint> {
        Some(match self.meaning() {
            ApiCode::AppTokenIdNotFound => Hint::UnknownToken,
            ApiCode::InvalidAppTokenHash => Hint::HashDiffers,
            ApiCode::AppTokenNotActive => Hint::TokenDisabled,
            ApiCode::AppTokenExpired => Hint::TokenExpired,
            ApiCode::NotUpdatable => Hint::NotUpdatable,
            ApiCode::InvalidKs => match self.ks_failure()? {
                KsFailure::Expired => Hint::SessionExpired,
                KsFailure::LoggedOut => Hint::SessionEnded,
                KsFailure::ActionsLimit => Hint::ActionsUsedUp,
                KsFailure::RestrictedIp => Hint::OtherAddress,
                KsFailure::RestrictedUri => Hint::OtherPath,
                KsFailure::NotAccepted => Hint::ForeignSession,
            },
            ApiCode::ServiceForbidden => Hint::Forbidden,
            ApiCode::PartnerBlocked => Hint::AccountBlocked,
            ApiCode::PartnerAccessForbidden => Hint::OtherAccount,
            ApiCode::StartSessionError => Hint::WrongCredentials,
            ApiCode::InvalidWidgetId => Hint::UnknownAccount,
            ApiCode::InvalidObjectId => Hint::UnknownObject,
            ApiCode::InvalidParameterChar => Hint::ForbiddenCharacter,
            ApiCode::InvalidFieldValue => Hint::RefusedValue,
            ApiCode::InvalidEnumValue => Hint::UnknownValue,
            ApiCode::ActionBlocked => Hint::RequestsLimited,
            ApiCode::InternalServerError => Hint::ServerFailed,
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
    /// `PARTNER_ACCESS_FORBIDDEN`: the session is of another account.
    PartnerAccessForbidden,
    /// `START_SESSION_ERROR`.
    StartSessionError,
    /// `INVALID_WIDGET_ID`.
    InvalidWidgetId,
    /// `INVALID_OBJECT_ID`: an id that stands in a value, such as that of a role, is unknown.
    InvalidObjectId,
    /// `INVALID_PARAMETER_CHAR`.
    InvalidParameterChar,
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
    /// `INTERNAL_SERVERL_ERROR` (spelled so by the server) and others that say the same.
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
            "PARTNER_ACCESS_FORBIDDEN" => Self::PartnerAccessForbidden,
            "START_SESSION_ERROR" => Self::StartSessionError,
            "INVALID_WIDGET_ID" => Self::InvalidWidgetId,
            "INVALID_OBJECT_ID" => Self::InvalidObjectId,
            "INVALID_PARAMETER_CHAR" => Self::InvalidParameterChar,
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
    fn what_the_server_refuses_comes_with_a_hint() {
        for code in [
            "INVALID_APP_TOKEN_ID",
            "INVALID_APP_TOKEN_HASH",
            "APP_TOKEN_NOT_ACTIVE",
            "EXPIRED_TOKEN",
            "PROPERTY_VALIDATION_NOT_UPDATABLE",
            "INVALID_KS",
            "INVALID_OBJECT_ID",
            "INVALID_PARAMETER_CHAR",
            "PARTNER_ACCESS_FORBIDDEN",
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
}
