//! A token's fields, a list's filter and its options, as keyword arguments of several functions.

use std::time::Duration;

use kaltura_app_token as core;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::{Argument, Given, Instant, PrivilegeText, given, one_of, unknown_argument};
use crate::model::{TokenId, TokenIds};

/// The one list of the fields of a token that can be given: what each is, and what a new token has
/// without it. The methods that set them, their signatures and their messages are made from it.
macro_rules! token_fields {
    ($first:ident: $first_kind:ty = $first_default:literal,
     $($field:ident: $kind:ty $(=> $part:tt)? = $default:literal,)*) => {
        pub(crate) const TOKEN_FIELDS: &[&str] = &[stringify!($first), $(stringify!($field)),*];

        /// The fields of a new token, as a signature has them.
        macro_rules! new_fields {
            () => { concat!(stringify!($first), "=", $first_default, $(", ", stringify!($field), "=", $default),*) };
        }

        /// The same where the first of them must be given.
        macro_rules! wanted_fields {
            () => { concat!(stringify!($first), $(", ", stringify!($field), "=", $default),*) };
        }

        /// The fields of an update.
        macro_rules! changed_fields {
            () => { concat!(stringify!($first), "=None", $(", ", stringify!($field), "=None"),*) };
        }

        fn set_new(token: core::NewToken, name: &str, value: &Bound<'_, PyAny>) -> PyResult<core::NewToken> {
            Ok(match name {
                stringify!($first) => token.$first(<$first_kind>::read(name, value)?),
                $(stringify!($field) => token.$field(<$kind>::read(name, value)?$(.$part)?),)*
                _ => return Err(unknown_argument(name, TOKEN_FIELDS)),
            })
        }

        fn set_changed(update: core::TokenUpdate, name: &str, value: &Bound<'_, PyAny>) -> PyResult<core::TokenUpdate> {
            Ok(match name {
                stringify!($first) => update.$first(<$first_kind>::read(name, value)?),
                $(stringify!($field) => update.$field(<$kind>::read(name, value)?$(.$part)?),)*
                _ => return Err(unknown_argument(name, TOKEN_FIELDS)),
            })
        }
    };
}

token_fields! {
    description: String = "None",
    hash_type: core::HashType = "'SHA256'",
    session_type: core::SessionType = "'USER'",
    session_duration: Duration = "None",
    session_privileges: PrivilegeText => 0 = "None",
    session_user_id: String = "None",
    expiry: Instant => 0 = "None",
}

pub(crate) fn new_token(fields: Option<&Bound<'_, PyDict>>) -> PyResult<core::NewToken> {
    let mut token = core::NewToken::new();
    for (name, value) in fields.into_iter().flatten() {
        let name: String = name.extract()?;
        token = match name.as_str() {
            // Left to the server, instead of our own.
            "hash_type" if value.is_none() => token.hash_type(None),
            "session_type" if value.is_none() => token.session_type(None),
            known if value.is_none() && TOKEN_FIELDS.contains(&known) => token,
            name => set_new(token, name, &value)?,
        };
    }
    Ok(token)
}

pub(crate) fn token_update(
    fields: Option<&Bound<'_, PyDict>>,
    clear: Given<'_, '_>,
) -> PyResult<core::TokenUpdate> {
    let mut update = core::TokenUpdate::new();
    for (name, value) in fields.into_iter().flatten() {
        let name: String = name.extract()?;
        if !(value.is_none() && TOKEN_FIELDS.contains(&name.as_str())) {
            update = set_changed(update, &name, &value)?;
        }
    }
    let cleared: Vec<Cleared> = given("clear", clear)?.unwrap_or_default();
    let cleared = cleared.into_iter();
    Ok(cleared.fold(update, |update, field| update.clear(field.0)))
}

/// A field that an update can set to null, by the API's name.
struct Cleared(core::TokenField);

impl Argument for Cleared {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        one_of(name, value, core::TokenField::ALL).map(Self)
    }
}

const FILTERS: &[&str] = &[
    "id_equal",
    "id_in",
    "status_equal",
    "status_in",
    "created_at_greater_than_or_equal",
    "created_at_less_than_or_equal",
    "updated_at_greater_than_or_equal",
    "updated_at_less_than_or_equal",
    "session_user_id_equal",
    "hash_type_equal",
    "session_type_equal",
    "order_by",
];

/// The filter of a list, by the API's names in Python's spelling.
pub(crate) fn apply_filters(
    filter: &mut core::TokenFilter,
    filters: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    for (name, value) in filters.into_iter().flatten() {
        let name: String = name.extract()?;
        let known = FILTERS.contains(&name.as_str());
        if known && value.is_none() {
            continue;
        }
        let instant = || Instant::read(&name, &value).map(|instant| Some(instant.0));
        match name.as_str() {
            "id_equal" => filter.id_equal = Some(TokenId::read(&name, &value)?.0),
            "id_in" => filter.id_in = Some(TokenIds::read(&name, &value)?.0),
            "status_equal" => filter.status_equal = Some(Argument::read(&name, &value)?),
            "status_in" => filter.status_in = Some(Argument::read(&name, &value)?),
            "created_at_greater_than_or_equal" => {
                filter.created_at_greater_than_or_equal = instant()?;
            }
            "created_at_less_than_or_equal" => filter.created_at_less_than_or_equal = instant()?,
            "updated_at_greater_than_or_equal" => {
                filter.updated_at_greater_than_or_equal = instant()?;
            }
            "updated_at_less_than_or_equal" => filter.updated_at_less_than_or_equal = instant()?,
            "session_user_id_equal" => {
                filter.session_user_id_equal = Some(Argument::read(&name, &value)?);
            }
            "hash_type_equal" => filter.hash_type_equal = Some(Argument::read(&name, &value)?),
            "session_type_equal" => {
                filter.session_type_equal = Some(Argument::read(&name, &value)?);
            }
            "order_by" => {
                filter.order_by = Some(one_of(&name, &value, core::TokenOrder::ALL)?);
            }
            _ => return Err(unknown_argument(&name, FILTERS)),
        }
    }
    Ok(())
}

pub(crate) fn list_options(
    with_secrets: Given<'_, '_>,
    profile: Given<'_, '_>,
    filters: Option<&Bound<'_, PyDict>>,
) -> PyResult<core::ListOptions> {
    let mut options = core::ListOptions::default();
    options.with_secrets = given("with_secrets", with_secrets)?.unwrap_or_default();
    options.response_profile = given("response_profile", profile)?;
    apply_filters(&mut options.filter, filters)?;
    Ok(options)
}
