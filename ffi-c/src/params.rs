//! The parameters of calls, as objects with setters: what is never set is not sent, and a field that is
//! to be cleared is told from one that is to be empty.

use std::ffi::c_char;
use std::time::Duration;

use kaltura_app_token as core;

use crate::boundary::{ABSENT, Failure, Numbered, Remembers, call, free, new, set};
use crate::config::{owned, seconds};
use crate::error::{kat_error, kat_status};

/// The type of a session.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub enum kat_session_type {
    /// May do what its privileges and role allow.
    User = 0,
    /// May do everything, managing tokens included.
    Admin = 2,
}

/// The status of a token. No call can set it: deleting is the only revocation.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub enum kat_app_token_status {
    /// Cannot be exchanged.
    Disabled = 1,
    /// Can be exchanged.
    Active = 2,
    /// Is deleted.
    Deleted = 3,
}

/// A field that kat_token_params_clear clears.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub enum kat_token_field {
    /// Only of a new token, where it leaves the hash type to the server, which takes SHA1.
    HashType = 1,
    /// Whoever exchanges the token then chooses the type, ADMIN included.
    SessionType = 2,
    /// The server then takes the account's maximum.
    SessionDuration = 3,
    /// The token then gives no privileges.
    SessionPrivileges = 4,
    /// Whoever exchanges the token then chooses the user.
    SessionUserId = 5,
    /// No note.
    Description = 6,
    /// The token then never expires.
    Expiry = 7,
}

impl Numbered for kat_token_field {
    const NAME: &'static str = "kat_token_field";
    const ALL: &'static [Self] = &[
        Self::HashType,
        Self::SessionType,
        Self::SessionDuration,
        Self::SessionPrivileges,
        Self::SessionUserId,
        Self::Description,
        Self::Expiry,
    ];
    fn number(self) -> i32 {
        self as i32
    }
}

/// A field of a token: unset, cleared or set.
#[derive(Debug, Default)]
enum Field<T> {
    #[default]
    Unset,
    Cleared,
    Set(T),
}

/// What a new token is to be, or what an update is to change.
///
/// A new token is USER and SHA256 unless set otherwise: left to itself the server would take SHA1, and would
/// let whoever exchanges the token choose ADMIN. An update changes what is set or cleared, and nothing else.
#[derive(Debug, Default)]
pub struct kat_token_params {
    hash_type: Field<core::HashType>,
    session_type: Field<core::SessionType>,
    session_duration: Field<Duration>,
    session_privileges: Field<String>,
    session_user_id: Field<String>,
    description: Field<String>,
    expiry: Field<i64>,
    profile: Option<core::ResponseProfile>,
    fault: Option<Failure>,
}

/// Which tokens to list, and how.
#[derive(Debug, Default)]
pub struct kat_list_params {
    options: core::ListOptions,
    pager: core::Pager,
    fault: Option<Failure>,
}

/// What to exchange for a session.
#[derive(Debug, Default)]
pub struct kat_session_params {
    token: Option<(String, core::Secret)>,
    hash_type: Option<core::HashType>,
    user_id: Option<String>,
    session_type: Option<core::SessionType>,
    expiry: Option<Duration>,
    privileges: Option<String>,
    fault: Option<Failure>,
}

/// Which fields an answer is to carry: one of the API's three kinds of response profiles.
#[derive(Debug)]
pub struct kat_response_profile(pub(crate) core::ResponseProfile);

impl Remembers for kat_token_params {
    fn fault(&mut self) -> &mut Option<Failure> {
        &mut self.fault
    }
}

impl Remembers for kat_list_params {
    fn fault(&mut self) -> &mut Option<Failure> {
        &mut self.fault
    }
}

impl Remembers for kat_session_params {
    fn fault(&mut self) -> &mut Option<Failure> {
        &mut self.fault
    }
}

/// Fails with what a setter refused.
pub(crate) fn no_fault(fault: Option<&Failure>) -> Result<(), Failure> {
    fault.map_or(Ok(()), |fault| Err(fault.clone()))
}

pub(crate) fn number(value: i64) -> Option<i64> {
    (value != ABSENT).then_some(value)
}

fn field<T>(given: i64, value: T) -> Field<T> {
    number(given).map_or(Field::Unset, |_| Field::Set(value))
}

fn order_by(name: &str) -> Result<core::TokenOrder, Failure> {
    core::TokenOrder::ALL
        .iter()
        .copied()
        .find(|(_, known)| *known == name)
        .map(|(order, _)| order)
        .ok_or_else(|| {
            Failure::invalid("order: none of +createdAt, -createdAt, +updatedAt, -updatedAt")
        })
}

impl kat_token_params {
    fn clear(&mut self, which: i32) -> Result<(), Failure> {
        use kat_token_field as F;
        match F::from_number(which, "which")? {
            F::HashType => self.hash_type = Field::Cleared,
            F::SessionType => self.session_type = Field::Cleared,
            F::SessionDuration => self.session_duration = Field::Cleared,
            F::SessionPrivileges => self.session_privileges = Field::Cleared,
            F::SessionUserId => self.session_user_id = Field::Cleared,
            F::Description => self.description = Field::Cleared,
            F::Expiry => self.expiry = Field::Cleared,
        }
        Ok(())
    }

    pub(crate) fn profile(&self) -> Option<core::ResponseProfile> {
        self.profile.clone()
    }

    pub(crate) fn new_token(&self) -> Result<core::NewToken, Failure> {
        no_fault(self.fault.as_ref())?;
        let mut token = core::NewToken::new();
        token = match &self.hash_type {
            Field::Unset => token,
            Field::Cleared => token.hash_type(None),
            Field::Set(hash_type) => token.hash_type(hash_type.clone()),
        };
        token = match self.session_type {
            Field::Unset => token,
            Field::Cleared => token.session_type(None),
            Field::Set(session_type) => token.session_type(session_type),
        };
        if let Field::Set(duration) = self.session_duration {
            token = token.session_duration(duration);
        }
        if let Field::Set(text) = &self.session_privileges {
            token = token.session_privileges(text);
        }
        if let Field::Set(text) = &self.session_user_id {
            token = token.session_user_id(text);
        }
        if let Field::Set(text) = &self.description {
            token = token.description(text);
        }
        if let Field::Set(expiry) = self.expiry {
            token = token.expiry(expiry);
        }
        Ok(token)
    }

    pub(crate) fn update(&self) -> Result<core::TokenUpdate, Failure> {
        fn apply<T: Clone>(
            update: core::TokenUpdate,
            change: &Field<T>,
            field: core::TokenField,
            set: impl FnOnce(core::TokenUpdate, T) -> core::TokenUpdate,
        ) -> core::TokenUpdate {
            match change {
                Field::Unset => update,
                Field::Cleared => update.clear(field),
                Field::Set(value) => set(update, value.clone()),
            }
        }
        use core::{TokenField as F, TokenUpdate as U};
        no_fault(self.fault.as_ref())?;
        let update = match &self.hash_type {
            Field::Unset => U::new(),
            Field::Cleared => return Err(Failure::invalid("an update cannot clear the hash type")),
            Field::Set(hash_type) => U::new().hash_type(hash_type.clone()),
        };
        let update = apply(update, &self.session_type, F::SessionType, U::session_type);
        let update = apply(
            update,
            &self.session_duration,
            F::SessionDuration,
            U::session_duration,
        );
        let update = apply(
            update,
            &self.session_privileges,
            F::SessionPrivileges,
            U::session_privileges,
        );
        let update = apply(
            update,
            &self.session_user_id,
            F::SessionUserId,
            U::session_user_id,
        );
        let update = apply(update, &self.description, F::Description, U::description);
        Ok(apply(update, &self.expiry, F::Expiry, U::expiry))
    }
}

impl kat_list_params {
    pub(crate) fn read(params: Option<&Self>) -> Result<(core::ListOptions, core::Pager), Failure> {
        let Some(params) = params else {
            return Ok(Default::default());
        };
        no_fault(params.fault.as_ref())?;
        Ok((params.options.clone(), params.pager))
    }
}

impl kat_session_params {
    pub(crate) fn request(&self) -> Result<core::SessionRequest, Failure> {
        no_fault(self.fault.as_ref())?;
        let (id, value) = self
            .token
            .clone()
            .ok_or_else(|| Failure::invalid("the token to exchange is not set"))?;
        let mut request = core::SessionRequest::new(id, value);
        if let Some(hash_type) = &self.hash_type {
            request = request.hash_type(hash_type.clone());
        }
        if let Some(text) = &self.user_id {
            request = request.user_id(text);
        }
        if let Some(session_type) = self.session_type {
            request = request.session_type(session_type);
        }
        if let Some(duration) = self.expiry {
            request = request.expiry(duration);
        }
        if let Some(text) = &self.privileges {
            request = request.privileges(text);
        }
        Ok(request)
    }
}

/// Parameters with nothing set.
#[unsafe(no_mangle)]
pub extern "C" fn kat_token_params_new() -> *mut kat_token_params {
    new(kat_token_params::default)
}

/// Frees parameters. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_params_free(params: *mut kat_token_params) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(params) }
}

/// The hash type: one of KAT_HASH_SHA256 and the like. NULL: unset, which means SHA256 for a new token and no
/// change for an update.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_params_set_hash_type(
    params: *mut kat_token_params,
    hash_type: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.hash_type = owned(c, hash_type, "hash_type")?
                .map(|name| Field::Set(name.as_str().into()))
                .unwrap_or_default();
            Ok(())
        })
    }
}

/// The type of the token's sessions: a kat_session_type. KAT_ABSENT: unset, which means USER for a new
/// token and no change for an update.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_params_set_session_type(
    params: *mut kat_token_params,
    session_type: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.session_type = field(session_type, session_type.into());
            Ok(())
        })
    }
}

/// The longest life of the token's sessions, in seconds. KAT_ABSENT: unset, which means for a new token the
/// account's maximum. 0 is refused by the call: its sessions would be dead at birth.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_params_set_session_duration(
    params: *mut kat_token_params,
    duration: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.session_duration = seconds(duration, "duration")?
                .map(Field::Set)
                .unwrap_or_default();
            Ok(())
        })
    }
}

/// The privileges of the token's sessions, such as "sview:*,list:*". NULL: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_params_set_session_privileges(
    params: *mut kat_token_params,
    privileges: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.session_privileges = owned(c, privileges, "privileges")?
                .map(Field::Set)
                .unwrap_or_default();
            Ok(())
        })
    }
}

/// The user of the token's sessions. NULL: unset, which means for a new token that whoever exchanges it
/// chooses; "" is the anonymous user.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_params_set_session_user_id(
    params: *mut kat_token_params,
    user_id: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.session_user_id = owned(c, user_id, "user_id")?
                .map(Field::Set)
                .unwrap_or_default();
            Ok(())
        })
    }
}

/// A note for people. NULL: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_params_set_description(
    params: *mut kat_token_params,
    description: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.description = owned(c, description, "description")?
                .map(Field::Set)
                .unwrap_or_default();
            Ok(())
        })
    }
}

/// When the token stops working. KAT_ABSENT: unset, which means for a new token never.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_params_set_expiry_unix(
    params: *mut kat_token_params,
    expiry_unix: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.expiry = field(expiry_unix, expiry_unix);
            Ok(())
        })
    }
}

/// Clears a field, a kat_token_field: an update sets it to null, which is neither the empty string nor
/// unset. For a new token, clearing the hash type leaves it to the server (SHA1), and clearing the session
/// type lets whoever exchanges the token choose ADMIN; other fields of a new token are then just unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_params_clear(
    params: *mut kat_token_params,
    which: i32,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.clear(which)?;
            Ok(())
        })
    }
}

/// Which fields the answer is to carry. Copied. NULL: unset, which means all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_params_set_response_profile(
    params: *mut kat_token_params,
    profile: *const kat_response_profile,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.profile = c.optional(profile).map(|profile| profile.0.clone());
            Ok(())
        })
    }
}

/// Parameters that list every token, 500 to a page, without their values.
#[unsafe(no_mangle)]
pub extern "C" fn kat_list_params_new() -> *mut kat_list_params {
    new(kat_list_params::default)
}

/// Frees parameters. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_free(params: *mut kat_list_params) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(params) }
}

/// How many tokens a page holds at most, 1 to 500.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_set_page_size(
    params: *mut kat_list_params,
    size: u32,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.pager.page_size = size;
            Ok(())
        })
    }
}

/// Which page kat_client_list_tokens fetches, from 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_set_page_index(
    params: *mut kat_list_params,
    index: u32,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.pager.page_index = index;
            Ok(())
        })
    }
}

/// Whether the tokens' values are sent too. No unless set: they stay on the server.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_set_with_secrets(
    params: *mut kat_list_params,
    with: bool,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.options.with_secrets = with;
            Ok(())
        })
    }
}

/// Which fields the answer is to carry. Copied. NULL: unset, which means all but the value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_set_response_profile(
    params: *mut kat_list_params,
    profile: *const kat_response_profile,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.options.response_profile = c.optional(profile).map(|profile| profile.0.clone());
            Ok(())
        })
    }
}

/// Only the token with this id. NULL: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_set_id_equal(
    params: *mut kat_list_params,
    id: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.options.filter.id_equal = owned(c, id, "id")?;
            Ok(())
        })
    }
}

/// Only tokens with this id, or another one that is added.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_add_id_in(
    params: *mut kat_list_params,
    id: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            let id = c.text(id, "id")?.to_owned();
            params.options.filter.id_in.get_or_insert_default().push(id);
            Ok(())
        })
    }
}

/// Only tokens with this kat_app_token_status. KAT_ABSENT: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_set_status_equal(
    params: *mut kat_list_params,
    status: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.options.filter.status_equal = number(status).map(Into::into);
            Ok(())
        })
    }
}

/// Only tokens with this kat_app_token_status, or another one that is added.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_add_status_in(
    params: *mut kat_list_params,
    status: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params
                .options
                .filter
                .status_in
                .get_or_insert_default()
                .push(status.into());
            Ok(())
        })
    }
}

/// Only tokens created then or later. KAT_ABSENT: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_set_created_at_greater_than_or_equal_unix(
    params: *mut kat_list_params,
    instant: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.options.filter.created_at_greater_than_or_equal = number(instant);
            Ok(())
        })
    }
}

/// Only tokens created then or earlier. KAT_ABSENT: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_set_created_at_less_than_or_equal_unix(
    params: *mut kat_list_params,
    instant: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.options.filter.created_at_less_than_or_equal = number(instant);
            Ok(())
        })
    }
}

/// Only tokens changed then or later. KAT_ABSENT: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_set_updated_at_greater_than_or_equal_unix(
    params: *mut kat_list_params,
    instant: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.options.filter.updated_at_greater_than_or_equal = number(instant);
            Ok(())
        })
    }
}

/// Only tokens changed then or earlier. KAT_ABSENT: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_set_updated_at_less_than_or_equal_unix(
    params: *mut kat_list_params,
    instant: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.options.filter.updated_at_less_than_or_equal = number(instant);
            Ok(())
        })
    }
}

/// Only tokens of this user; case does not matter. NULL: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_set_session_user_id_equal(
    params: *mut kat_list_params,
    user_id: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.options.filter.session_user_id_equal = owned(c, user_id, "user_id")?;
            Ok(())
        })
    }
}

/// Only tokens with this hash type. Filtered here, since servers ignore it: a page may hold fewer tokens than
/// its size. NULL: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_set_hash_type_equal(
    params: *mut kat_list_params,
    hash_type: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.options.filter.hash_type_equal =
                c.optional_text(hash_type, "hash_type")?.map(Into::into);
            Ok(())
        })
    }
}

/// Only tokens with this kat_session_type. Filtered here, as the hash type is. KAT_ABSENT: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_set_session_type_equal(
    params: *mut kat_list_params,
    session_type: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.options.filter.session_type_equal = number(session_type).map(Into::into);
            Ok(())
        })
    }
}

/// The order of kat_client_list_tokens: "+createdAt", "-createdAt", "+updatedAt" or "-updatedAt". NULL: unset,
/// which means none in particular.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_list_params_set_order_by(
    params: *mut kat_list_params,
    order: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.options.filter.order_by =
                c.optional_text(order, "order")?.map(order_by).transpose()?;
            Ok(())
        })
    }
}

/// Parameters with nothing set; the token must be, with kat_session_params_set_token.
#[unsafe(no_mangle)]
pub extern "C" fn kat_session_params_new() -> *mut kat_session_params {
    new(kat_session_params::default)
}

/// Frees parameters. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_params_free(params: *mut kat_session_params) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(params) }
}

/// The token to exchange: its id and its value. Neither may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_params_set_token(
    params: *mut kat_session_params,
    id: *const c_char,
    value: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            let (id, value) = (c.text(id, "id")?, c.text(value, "value")?);
            params.token = Some((id.to_owned(), value.into()));
            Ok(())
        })
    }
}

/// The token's hash type. NULL: unset, which means SHA256.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_params_set_hash_type(
    params: *mut kat_session_params,
    hash_type: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.hash_type = owned(c, hash_type, "hash_type")?.map(|name| name.as_str().into());
            Ok(())
        })
    }
}

/// The session's user; a user id on the token wins. NULL: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_params_set_user_id(
    params: *mut kat_session_params,
    user_id: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.user_id = owned(c, user_id, "user_id")?;
            Ok(())
        })
    }
}

/// The session's type, a kat_session_type; a type on the token wins. KAT_ABSENT: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_params_set_session_type(
    params: *mut kat_session_params,
    session_type: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.session_type = number(session_type).map(Into::into);
            Ok(())
        })
    }
}

/// How long the session is to live, in seconds; capped by the token. (The API calls it expiry.) KAT_ABSENT:
/// unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_params_set_duration(
    params: *mut kat_session_params,
    duration: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.expiry = seconds(duration, "duration")?;
            Ok(())
        })
    }
}

/// Privileges in addition to the token's; see kat_session_dropped_privilege. NULL: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_params_set_privileges(
    params: *mut kat_session_params,
    privileges: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.privileges = owned(c, privileges, "privileges")?;
            Ok(())
        })
    }
}

/// How the fields of kat_response_profile_new are meant.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub enum kat_profile_fields {
    /// Only these.
    Include = 1,
    /// All but these.
    Exclude = 2,
}

impl Numbered for kat_profile_fields {
    const NAME: &'static str = "kat_profile_fields";
    const ALL: &'static [Self] = &[Self::Include, Self::Exclude];
    fn number(self) -> i32 {
        self as i32
    }
}

/// A profile given with the request (KalturaDetachedResponseProfile): which says a kat_profile_fields, and
/// fields names them as the API does, separated by commas, such as "id,token".
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_response_profile_new(
    which: i32,
    fields: *const c_char,
    out: *mut *mut kat_response_profile,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (fields, out) = (c.text(fields, "fields")?, c.out(out, "out")?);
            out.give(kat_response_profile(core::ResponseProfile::Detached(
                profile_fields(which, fields)?,
            )));
            Ok(())
        })
    }
}

/// A named profile given with the request (KalturaResponseProfile).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_response_profile_new_named(
    name: *const c_char,
    system_name: *const c_char,
    which: i32,
    fields: *const c_char,
    out: *mut *mut kat_response_profile,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let profile = core::ResponseProfile::Full {
                name: c.text(name, "name")?.to_owned(),
                system_name: c.text(system_name, "system_name")?.to_owned(),
                fields: profile_fields(which, c.text(fields, "fields")?)?,
            };
            c.out(out, "out")?.give(kat_response_profile(profile));
            Ok(())
        })
    }
}

/// A profile stored on the server (KalturaResponseProfileHolder), by its id.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_response_profile_by_id(
    id: i64,
    out: *mut *mut kat_response_profile,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            c.out(out, "out")?
                .give(kat_response_profile(core::ResponseProfile::HolderId(id)));
            Ok(())
        })
    }
}

/// A profile stored on the server (KalturaResponseProfileHolder), by its system name.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_response_profile_by_system_name(
    system_name: *const c_char,
    out: *mut *mut kat_response_profile,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let name = c.text(system_name, "system_name")?.to_owned();
            c.out(out, "out")?.give(kat_response_profile(
                core::ResponseProfile::HolderSystemName(name),
            ));
            Ok(())
        })
    }
}

/// Frees a profile; parameters that it was set on keep their copy. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_response_profile_free(profile: *mut kat_response_profile) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(profile) }
}

fn profile_fields(which: i32, names: &str) -> Result<core::ProfileFields, Failure> {
    let names = names
        .split(',')
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    Ok(match kat_profile_fields::from_number(which, "which")? {
        kat_profile_fields::Include => core::ProfileFields::Include(names),
        kat_profile_fields::Exclude => core::ProfileFields::Exclude(names),
    })
}
