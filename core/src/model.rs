//! What the API speaks of: tokens, sessions, filters and pages, as typed values.
//!
//! Enumerations are open: a value that this crate does not know is kept, never an error. Every field
//! of an answer is optional, because the server leaves out what is null and a response profile can
//! leave out anything. How these are written to and read from the wire is in `wire`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::secret::Secret;

/// The algorithm of a token's hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashType {
    /// `MD5`: broken, for tokens that already have it.
    Md5,
    /// `SHA1`: what a token has that was created without one.
    Sha1,
    /// `SHA256`: what this crate creates tokens with.
    Sha256,
    /// `SHA512`.
    Sha512,
    /// One that this crate cannot compute.
    Other(String),
}

impl HashType {
    /// Those that can be computed here.
    pub const KNOWN: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// The API's name for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for HashType {
    /// Case does not matter for the known ones (the server itself accepts only upper case).
    fn from(name: &str) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(name.trim()))
            .unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl fmt::Display for HashType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An open enumeration over integers.
macro_rules! open_integer_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A value that this crate does not know.
            Other(i64),
        }

        impl $name {
            /// The API's number for it.
            #[must_use]
            pub fn value(self) -> i64 {
                match self {
                    $(Self::$variant => $value,)*
                    Self::Other(value) => value,
                }
            }
        }

        impl From<i64> for $name {
            fn from(value: i64) -> Self {
                match value {
                    $($value => Self::$variant,)*
                    other => Self::Other(other),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)*
                    Self::Other(value) => write!(f, "{value}"),
                }
            }
        }
    };
}

open_integer_enum! {
    /// The type of a session.
    SessionType {
        /// 0: may do what its privileges and role allow.
        User = 0 "USER",
        /// 2: may do everything, managing tokens included.
        Admin = 2 "ADMIN",
    }
}

open_integer_enum! {
    /// The status of a token. No call can set it: deleting is the only revocation.
    TokenStatus {
        /// 1: cannot be exchanged.
        Disabled = 1 "DISABLED",
        /// 2: can be exchanged.
        Active = 2 "ACTIVE",
        /// 3: deleted.
        Deleted = 3 "DELETED",
    }
}

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
///     .session_privileges("sview:*,list:*")
///     .session_duration(Duration::from_secs(3600));
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

    /// The privileges of its sessions, such as `sview:*,list:*`.
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
    pub const ALL: [(Self, &'static str); 6] = [
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

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenOrder {
    /// `+createdAt`: oldest first.
    CreatedAtAscending,
    /// `-createdAt`: newest first.
    CreatedAtDescending,
    /// `+updatedAt`.
    UpdatedAtAscending,
    /// `-updatedAt`.
    UpdatedAtDescending,
}

impl TokenOrder {
    /// Every order, with the API's name for it.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::CreatedAtAscending, "+createdAt"),
        (Self::CreatedAtDescending, "-createdAt"),
        (Self::UpdatedAtAscending, "+updatedAt"),
        (Self::UpdatedAtDescending, "-updatedAt"),
    ];

    pub(crate) fn as_str(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(order, _)| *order == self)
            .map_or("", |(_, name)| name)
    }
}

/// Which tokens to list. What is unset does not narrow the list.
///
/// The server filters by all of these but two: it ignores a filter by hash type or session type, so
/// those are applied here, to each page that it sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenFilter {
    /// This id only.
    pub id_equal: Option<String>,
    /// These ids only.
    pub id_in: Option<Vec<String>>,
    /// This status only.
    pub status_equal: Option<TokenStatus>,
    /// These statuses only.
    pub status_in: Option<Vec<TokenStatus>>,
    /// Created then or later, in unix seconds.
    pub created_at_greater_than_or_equal: Option<i64>,
    /// Created then or earlier, in unix seconds.
    pub created_at_less_than_or_equal: Option<i64>,
    /// Changed then or later, in unix seconds.
    pub updated_at_greater_than_or_equal: Option<i64>,
    /// Changed then or earlier, in unix seconds.
    pub updated_at_less_than_or_equal: Option<i64>,
    /// Of this user only; case does not matter.
    pub session_user_id_equal: Option<String>,
    /// With this hash type only (applied here).
    pub hash_type_equal: Option<HashType>,
    /// With this session type only (applied here).
    pub session_type_equal: Option<SessionType>,
    /// The order; unset, the server promises none.
    pub order_by: Option<TokenOrder>,
}

impl TokenFilter {
    /// Whether a token passes the two filters that the server does not have.
    pub(crate) fn accepts(&self, token: &AppToken) -> bool {
        (self.hash_type_equal.is_none() || self.hash_type_equal == token.hash_type)
            && (self.session_type_equal.is_none() || self.session_type_equal == token.session_type)
    }
}

/// Which fields an answer is to carry: the three response profiles of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseProfile {
    /// `KalturaDetachedResponseProfile`: fields named with the request.
    Detached(ProfileFields),
    /// `KalturaResponseProfileHolder`: a profile stored on the server, by id.
    HolderId(i64),
    /// `KalturaResponseProfileHolder`: a profile stored on the server, by system name.
    HolderSystemName(String),
    /// `KalturaResponseProfile`: a named profile given with the request.
    Full {
        /// Its name.
        name: String,
        /// Its system name.
        system_name: String,
        /// Its fields.
        fields: ProfileFields,
    },
}

/// The fields of a response profile, by the API's names (`id`, `sessionPrivileges`, …).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileFields {
    /// Only these.
    Include(Vec<String>),
    /// All but these.
    Exclude(Vec<String>),
}

impl ResponseProfile {
    /// Leaves the tokens' values on the server.
    #[must_use]
    pub fn without_secrets() -> Self {
        Self::Detached(ProfileFields::Exclude(vec!["token".to_owned()]))
    }

    /// Whether the profile is known to keep this field; `None` for one stored on the server.
    pub(crate) fn keeps(&self, field: &str) -> Option<bool> {
        match self {
            Self::Detached(fields) | Self::Full { fields, .. } => Some(match fields {
                ProfileFields::Include(names) => names.iter().any(|name| name == field),
                ProfileFields::Exclude(names) => !names.iter().any(|name| name == field),
            }),
            Self::HolderId(_) | Self::HolderSystemName(_) => None,
        }
    }
}

/// What to list and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListOptions {
    /// Which tokens.
    pub filter: TokenFilter,
    /// Whether the tokens' values are to be sent too. They stay on the server unless this is set.
    pub with_secrets: bool,
    /// Which fields; unset, all but the value.
    pub response_profile: Option<ResponseProfile>,
}

/// One page of a list, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pager {
    /// How many tokens at most, 1 to 500.
    pub page_size: u32,
    /// Which page, from 1.
    pub page_index: u32,
}

impl Pager {
    /// The most that the server puts on a page.
    pub const MAX_PAGE_SIZE: u32 = 500;
}

impl Default for Pager {
    fn default() -> Self {
        Self {
            page_size: Self::MAX_PAGE_SIZE,
            page_index: 1,
        }
    }
}

/// One page of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenPage {
    /// The tokens of this page that pass the whole filter.
    pub tokens: Vec<AppToken>,
    /// How many tokens the server counts over all pages, by the filters that it has.
    pub total_count: i64,
}

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
