//! Tokens: what the server gives, what a new one is to be, what an update changes. Knows no wire format.

use std::time::Duration;

use super::kinds::{HashType, SessionType, TokenStatus};
use crate::secret::Secret;

/// An application token, as the server gives it.
///
/// A field is `None` when the server left it out: it is null there, or a response profile excluded it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppToken {
    /// Its id, such as `1_ab12cd34`. Empty only when a response profile left it out.
    pub id: String,
    /// Its value, which is hashed with a widget session to get a session.
    pub token: Option<Secret>,
    /// The account it belongs to.
    pub partner_id: Option<i64>,
    /// Whether it can be exchanged.
    pub status: Option<TokenStatus>,
    /// The type of every session minted from it; `None`: whoever exchanges it chooses, ADMIN included.
    pub session_type: Option<SessionType>,
    /// The longest life of a session minted from it, in seconds; 0 mints sessions that are dead at birth.
    pub session_duration: Option<i64>,
    /// The privileges of every session minted from it.
    pub session_privileges: Option<String>,
    /// The user of every session minted from it; `None`: whoever exchanges it chooses.
    pub session_user_id: Option<String>,
    /// The algorithm of the hash that proves knowledge of its value.
    pub hash_type: Option<HashType>,
    /// Whatever its creator noted down.
    pub description: Option<String>,
    /// When it stops working, in unix seconds; `None`: never. 0 is ambiguous: never on some servers,
    /// long expired on others.
    pub expiry: Option<i64>,
    /// When it was created, in unix seconds.
    pub created_at: Option<i64>,
    /// When it was last changed, in unix seconds.
    pub updated_at: Option<i64>,
}

/// What a new token is to be.
///
/// USER and SHA256 unless asked otherwise: left to itself the server would take SHA1, and would let
/// whoever exchanges the token choose ADMIN. Everything else is unset, and what is unset is not sent.
///
/// ```
/// use kaltura_app_token::{NewToken, Privileges};
/// use std::time::Duration;
///
/// let token = NewToken::new()
///     .description("nightly export")
///     .session_privileges(Privileges::new().with("sview", "*")?.with("list", "*")?)
///     .session_duration(Duration::from_secs(3600));
/// # Ok::<(), kaltura_app_token::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    pub(crate) hash_type: Option<HashType>,
    pub(crate) session_type: Option<SessionType>,
    pub(crate) session_duration: Option<Duration>,
    pub(crate) session_privileges: Option<String>,
    pub(crate) session_user_id: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) expiry: Option<i64>,
}

impl Default for NewToken {
    fn default() -> Self {
        Self {
            hash_type: Some(HashType::Sha256),
            session_type: Some(SessionType::User),
            session_duration: None,
            session_privileges: None,
            session_user_id: None,
            description: None,
            expiry: None,
        }
    }
}

impl NewToken {
    /// A USER, SHA256 token without anything else.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The hash type; `None` leaves it to the server, which takes SHA1.
    #[must_use]
    pub fn hash_type(mut self, hash_type: impl Into<Option<HashType>>) -> Self {
        self.hash_type = hash_type.into();
        self
    }

    /// The type of its sessions; `None` lets whoever exchanges the token choose, ADMIN included.
    #[must_use]
    pub fn session_type(mut self, session_type: impl Into<Option<SessionType>>) -> Self {
        self.session_type = session_type.into();
        self
    }

    /// The longest life of its sessions, in whole seconds; unset, the account's maximum.
    #[must_use]
    pub fn session_duration(mut self, duration: Duration) -> Self {
        self.session_duration = Some(duration);
        self
    }

    /// The privileges of its sessions: [`Privileges`](crate::Privileges), or their text such as
    /// `sview:*,list:*`.
    #[must_use]
    pub fn session_privileges(mut self, privileges: impl Into<String>) -> Self {
        self.session_privileges = Some(privileges.into());
        self
    }

    /// The user of its sessions, which whoever exchanges it can then not change.
    #[must_use]
    pub fn session_user_id(mut self, user_id: impl Into<String>) -> Self {
        self.session_user_id = Some(user_id.into());
        self
    }

    /// A note for people.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// When it stops working, in unix seconds; unset, never.
    #[must_use]
    pub fn expiry(mut self, unix_seconds: i64) -> Self {
        self.expiry = Some(unix_seconds);
        self
    }
}

/// What an update does to one field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Change<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

/// The changes of an update: only these fields are sent.
///
/// Setting a field to the empty string is not the same as clearing it: a token with an empty user id
/// gives every session the anonymous user, one without lets the caller choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenUpdate {
    pub(crate) hash_type: Change<HashType>,
    pub(crate) session_type: Change<SessionType>,
    pub(crate) session_duration: Change<Duration>,
    pub(crate) session_privileges: Change<String>,
    pub(crate) session_user_id: Change<String>,
    pub(crate) description: Change<String>,
    pub(crate) expiry: Change<i64>,
}

/// A field of a token that an update can clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenField {
    /// Whoever exchanges the token then chooses the type, ADMIN included.
    SessionType,
    /// On an account without a maximum of its own, sessions are then dead at birth.
    SessionDuration,
    /// The token then gives no privileges.
    SessionPrivileges,
    /// Whoever exchanges the token then chooses the user.
    SessionUserId,
    /// No note.
    Description,
    /// The token then never expires.
    Expiry,
}

impl TokenField {
    /// Every one, with the API's name for it.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::SessionType, "sessionType"),
        (Self::SessionDuration, "sessionDuration"),
        (Self::SessionPrivileges, "sessionPrivileges"),
        (Self::SessionUserId, "sessionUserId"),
        (Self::Description, "description"),
        (Self::Expiry, "expiry"),
    ];
}

impl TokenUpdate {
    /// No change yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is to be changed; such an update is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Another hash type. The reference server takes it at once; a server that does not answers
    /// `PROPERTY_VALIDATION_NOT_UPDATABLE`.
    #[must_use]
    pub fn hash_type(mut self, hash_type: HashType) -> Self {
        self.hash_type = Change::Set(hash_type);
        self
    }

    /// Another session type; servers differ as for [`TokenUpdate::hash_type`].
    #[must_use]
    pub fn session_type(mut self, session_type: SessionType) -> Self {
        self.session_type = Change::Set(session_type);
        self
    }

    /// Another longest life of its sessions, in whole seconds.
    #[must_use]
    pub fn session_duration(mut self, duration: Duration) -> Self {
        self.session_duration = Change::Set(duration);
        self
    }

    /// Other privileges, which replace the old ones as a whole.
    #[must_use]
    pub fn session_privileges(mut self, privileges: impl Into<String>) -> Self {
        self.session_privileges = Change::Set(privileges.into());
        self
    }

    /// Another user.
    #[must_use]
    pub fn session_user_id(mut self, user_id: impl Into<String>) -> Self {
        self.session_user_id = Change::Set(user_id.into());
        self
    }

    /// Another note.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Change::Set(description.into());
        self
    }

    /// Another time to stop working, in unix seconds.
    #[must_use]
    pub fn expiry(mut self, unix_seconds: i64) -> Self {
        self.expiry = Change::Set(unix_seconds);
        self
    }

    /// Sets a field to null.
    #[must_use]
    pub fn clear(mut self, field: TokenField) -> Self {
        match field {
            TokenField::SessionType => self.session_type = Change::Clear,
            TokenField::SessionDuration => self.session_duration = Change::Clear,
            TokenField::SessionPrivileges => self.session_privileges = Change::Clear,
            TokenField::SessionUserId => self.session_user_id = Change::Clear,
            TokenField::Description => self.description = Change::Clear,
            TokenField::Expiry => self.expiry = Change::Clear,
        }
        self
    }
}
