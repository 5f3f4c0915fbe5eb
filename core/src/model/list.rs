//! Lists of tokens: which, in which order, with which fields, and one page of them.

use super::kinds::{HashType, SessionType, TokenStatus};
use super::token::AppToken;

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
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::CreatedAtAscending, "+createdAt"),
        (Self::CreatedAtDescending, "-createdAt"),
        (Self::UpdatedAtAscending, "+updatedAt"),
        (Self::UpdatedAtDescending, "-updatedAt"),
    ];

    pub(crate) fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(order, _)| *order == self)
            .map_or("", |&(_, name)| name)
    }
}

/// Which tokens to list. What is unset does not narrow the list.
///
/// ```
/// use kaltura_app_token::{TokenFilter, TokenStatus};
///
/// let filter = TokenFilter::new()
///     .status_equal(TokenStatus::Active)
///     .session_user_id_equal("alice")
///     .created_at_less_than_or_equal(1_700_000_000);
/// assert_eq!(filter.session_user_id_equal.as_deref(), Some("alice"));
/// ```
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
    /// All tokens, in no order.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`TokenFilter::id_equal`](#structfield.id_equal).
    #[must_use]
    pub fn id_equal(mut self, id: impl Into<String>) -> Self {
        self.id_equal = Some(id.into());
        self
    }

    /// Sets [`TokenFilter::id_in`](#structfield.id_in).
    #[must_use]
    pub fn id_in(mut self, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.id_in = Some(ids.into_iter().map(Into::into).collect());
        self
    }

    /// Sets [`TokenFilter::status_equal`](#structfield.status_equal).
    #[must_use]
    pub fn status_equal(mut self, status: TokenStatus) -> Self {
        self.status_equal = Some(status);
        self
    }

    /// Sets [`TokenFilter::status_in`](#structfield.status_in).
    #[must_use]
    pub fn status_in(mut self, statuses: impl IntoIterator<Item = TokenStatus>) -> Self {
        self.status_in = Some(statuses.into_iter().collect());
        self
    }

    /// Sets [`TokenFilter::created_at_greater_than_or_equal`](#structfield.created_at_greater_than_or_equal).
    #[must_use]
    pub fn created_at_greater_than_or_equal(mut self, unix_seconds: i64) -> Self {
        self.created_at_greater_than_or_equal = Some(unix_seconds);
        self
    }

    /// Sets [`TokenFilter::created_at_less_than_or_equal`](#structfield.created_at_less_than_or_equal).
    #[must_use]
    pub fn created_at_less_than_or_equal(mut self, unix_seconds: i64) -> Self {
        self.created_at_less_than_or_equal = Some(unix_seconds);
        self
    }

    /// Sets [`TokenFilter::updated_at_greater_than_or_equal`](#structfield.updated_at_greater_than_or_equal).
    #[must_use]
    pub fn updated_at_greater_than_or_equal(mut self, unix_seconds: i64) -> Self {
        self.updated_at_greater_than_or_equal = Some(unix_seconds);
        self
    }

    /// Sets [`TokenFilter::updated_at_less_than_or_equal`](#structfield.updated_at_less_than_or_equal).
    #[must_use]
    pub fn updated_at_less_than_or_equal(mut self, unix_seconds: i64) -> Self {
        self.updated_at_less_than_or_equal = Some(unix_seconds);
        self
    }

    /// Sets [`TokenFilter::session_user_id_equal`](#structfield.session_user_id_equal).
    #[must_use]
    pub fn session_user_id_equal(mut self, user_id: impl Into<String>) -> Self {
        self.session_user_id_equal = Some(user_id.into());
        self
    }

    /// Sets [`TokenFilter::hash_type_equal`](#structfield.hash_type_equal).
    #[must_use]
    pub fn hash_type_equal(mut self, hash_type: HashType) -> Self {
        self.hash_type_equal = Some(hash_type);
        self
    }

    /// Sets [`TokenFilter::session_type_equal`](#structfield.session_type_equal).
    #[must_use]
    pub fn session_type_equal(mut self, session_type: SessionType) -> Self {
        self.session_type_equal = Some(session_type);
        self
    }

    /// Sets [`TokenFilter::order_by`](#structfield.order_by).
    #[must_use]
    pub fn order_by(mut self, order: TokenOrder) -> Self {
        self.order_by = Some(order);
        self
    }

    /// Whether a token passes the two filters that the server does not have.
    pub(crate) fn accepts(&self, token: &AppToken) -> bool {
        (self.hash_type_equal.is_none() || self.hash_type_equal == token.hash_type)
            && (self.session_type_equal.is_none() || self.session_type_equal == token.session_type)
    }
}

/// Which fields an answer is to carry: the three response profiles of the API.
///
/// ```
/// use kaltura_app_token::{ProfileFields, ResponseProfile};
///
/// let names = ["id", "description"].map(String::from).to_vec();
/// let short = ResponseProfile::Detached(ProfileFields::Include(names));
/// assert_ne!(short, ResponseProfile::without_secrets());
/// ```
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
///
/// ```
/// use kaltura_app_token::{ListOptions, TokenFilter};
///
/// let options = ListOptions::new().filter(TokenFilter::new().id_in(["1_ab12cd34", "1_cd34ab12"]));
/// assert!(!options.with_secrets, "the values stay on the server");
/// ```
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

impl ListOptions {
    /// All tokens without their values.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`ListOptions::filter`](#structfield.filter).
    #[must_use]
    pub fn filter(mut self, filter: TokenFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets [`ListOptions::with_secrets`](#structfield.with_secrets).
    #[must_use]
    pub fn with_secrets(mut self, with_secrets: bool) -> Self {
        self.with_secrets = with_secrets;
        self
    }

    /// Sets [`ListOptions::response_profile`](#structfield.response_profile).
    #[must_use]
    pub fn response_profile(mut self, profile: ResponseProfile) -> Self {
        self.response_profile = Some(profile);
        self
    }
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
