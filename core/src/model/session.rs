//! Sessions: what is asked for, what was started, and what the server reads from one.

use std::sync::Arc;
use std::time::Duration;

use super::kinds::{HashType, SessionType};
use crate::secret::Secret;

/// An exchange of a token for a session.
///
/// ```
/// use kaltura_app_token::{SessionRequest, HashType};
/// use std::time::Duration;
///
/// let request = SessionRequest::new("1_ab12cd34", "0123456789abcdef0123456789abcdef")
///     .user_id("alice")
///     .expiry(Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    pub(crate) id: String,
    pub(crate) token: Secret,
    pub(crate) hash_type: HashType,
    pub(crate) user_id: Option<String>,
    pub(crate) session_type: Option<SessionType>,
    pub(crate) expiry: Option<Duration>,
    pub(crate) privileges: Option<String>,
}

impl SessionRequest {
    /// An exchange of the token with this id and value, hashed with SHA256.
    #[must_use]
    pub fn new(id: impl Into<String>, token: impl Into<Secret>) -> Self {
        Self {
            id: id.into(),
            token: token.into(),
            hash_type: HashType::Sha256,
            user_id: None,
            session_type: None,
            expiry: None,
            privileges: None,
        }
    }

    /// The token's hash type.
    #[must_use]
    pub fn hash_type(mut self, hash_type: HashType) -> Self {
        self.hash_type = hash_type;
        self
    }

    /// The session's user; a user id on the token wins.
    #[must_use]
    pub fn user_id(mut self, user_id: impl Into<String>) -> Self {
        self.user_id = Some(user_id.into());
        self
    }

    /// The session's type; a type on the token wins.
    #[must_use]
    pub fn session_type(mut self, session_type: SessionType) -> Self {
        self.session_type = Some(session_type);
        self
    }

    /// How long the session is to live, in whole seconds; capped by the token.
    #[must_use]
    pub fn expiry(mut self, duration: Duration) -> Self {
        self.expiry = Some(duration);
        self
    }

    /// Privileges in addition to the token's; see [`Session::dropped_privileges`].
    #[must_use]
    pub fn privileges(mut self, privileges: impl Into<String>) -> Self {
        self.privileges = Some(privileges.into());
        self
    }
}

/// What a session is wanted for: the sessions of a provider are told apart by this.
///
/// What is unset is left to the token.
///
/// ```
/// use kaltura_app_token::SessionKey;
/// use std::time::Duration;
///
/// let key = SessionKey::new().user_id("alice").duration(Duration::from_secs(3600));
/// assert_ne!(key, SessionKey::new().user_id("bob"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SessionKey {
    /// The session's user; a user id on the token wins.
    pub user_id: Option<String>,
    /// The session's type; a type on the token wins.
    pub session_type: Option<SessionType>,
    /// Privileges in addition to the token's.
    pub privileges: Option<String>,
    /// How long a session is to live, in whole seconds; capped by the token.
    pub duration: Option<Duration>,
}

impl SessionKey {
    /// Sessions as the token gives them.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`SessionKey::user_id`].
    #[must_use]
    pub fn user_id(mut self, user_id: impl Into<String>) -> Self {
        self.user_id = Some(user_id.into());
        self
    }

    /// Sets [`SessionKey::session_type`].
    #[must_use]
    pub fn session_type(mut self, session_type: SessionType) -> Self {
        self.session_type = Some(session_type);
        self
    }

    /// Sets [`SessionKey::privileges`].
    #[must_use]
    pub fn privileges(mut self, privileges: impl Into<String>) -> Self {
        self.privileges = Some(privileges.into());
        self
    }

    /// Sets [`SessionKey::duration`].
    #[must_use]
    pub fn duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }
}

/// A session that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// The session itself, for the `ks` parameter of API calls.
    pub ks: Secret,
    /// Its type, where the server says it.
    pub session_type: Option<SessionType>,
    /// Its account, where the server says it.
    pub partner_id: Option<i64>,
    /// Its user, where the server says it.
    pub user_id: Option<String>,
    /// When it expires, in unix seconds by the server's clock, where the server says it.
    pub expiry: Option<i64>,
    /// Its effective privileges, where the server says them.
    pub privileges: Option<String>,
    /// The privileges that were asked for and are not among the effective ones. Empty also when the
    /// server does not say the effective ones.
    pub dropped_privileges: Vec<String>,
    /// What a session provider was asked for when it handed this session out.
    pub(crate) key: Option<Arc<SessionKey>>,
}

impl Session {
    /// A session of which nothing else is known.
    pub(crate) fn of(ks: Secret) -> Self {
        Self {
            ks,
            session_type: None,
            partner_id: None,
            user_id: None,
            expiry: None,
            privileges: None,
            dropped_privileges: Vec::new(),
            key: None,
        }
    }
}

/// What the server reads from a session (`session.get`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its type.
    pub session_type: Option<SessionType>,
    /// Its account.
    pub partner_id: Option<i64>,
    /// Its user; empty for the anonymous one.
    pub user_id: Option<String>,
    /// When it expires, in unix seconds.
    pub expiry: Option<i64>,
    /// Its privileges.
    pub privileges: Option<String>,
}
