//! A token's fields, a list's filter and its options, as keyword arguments of several methods.

use kaltura_app_token as core;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::{DurationArg, InstantArg, SessionTypeArg, hash_type};
use crate::model::ResponseProfile;
use crate::options::unknown_argument;

/// The filter of a list, by the API's names in Python's spelling.
pub(crate) fn apply_filters(
    filter: &mut core::TokenFilter,
    filters: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    for (name, value) in filters.into_iter().flatten() {
        let name: String = name.extract()?;
        if value.is_none() {
            continue;
        }
        let instant = || value.extract::<InstantArg>().map(|instant| Some(instant.0));
        match name.as_str() {
            "id_equal" => filter.id_equal = value.extract()?,
            "id_in" => filter.id_in = Some(value.extract()?),
            "status_equal" => filter.status_equal = Some(value.extract::<i64>()?.into()),
            "status_in" => {
                let statuses = value.extract::<Vec<i64>>()?;
                filter.status_in = Some(statuses.into_iter().map(Into::into).collect());
            }
            "created_at_greater_than_or_equal" => {
                filter.created_at_greater_than_or_equal = instant()?;
            }
            "created_at_less_than_or_equal" => filter.created_at_less_than_or_equal = instant()?,
            "updated_at_greater_than_or_equal" => {
                filter.updated_at_greater_than_or_equal = instant()?;
            }
            "updated_at_less_than_or_equal" => filter.updated_at_less_than_or_equal = instant()?,
            "session_user_id_equal" => filter.session_user_id_equal = value.extract()?,
            "hash_type_equal" => {
                filter.hash_type_equal = Some(hash_type(&value.extract::<String>()?));
            }
            "session_type_equal" => {
                filter.session_type_equal = Some(value.extract::<SessionTypeArg>()?.0);
            }
            "order_by" => {
                let wanted: String = value.extract()?;
                let order = core::TokenOrder::ALL
                    .iter()
                    .copied()
                    .find(|(_, name)| *name == wanted);
                let (order, _) = order.ok_or_else(|| {
                    PyValueError::new_err(format!(
                        "order_by: {wanted:?} is none of +createdAt, -createdAt, +updatedAt, -updatedAt"
                    ))
                })?;
                filter.order_by = Some(order);
            }
            _ => return Err(unknown_argument(&name)),
        }
    }
    Ok(())
}

pub(crate) fn list_options(
    with_secrets: bool,
    profile: Option<&Bound<'_, ResponseProfile>>,
    filters: Option<&Bound<'_, PyDict>>,
) -> PyResult<core::ListOptions> {
    let mut options = core::ListOptions::default();
    options.with_secrets = with_secrets;
    options.response_profile = core_profile(profile);
    apply_filters(&mut options.filter, filters)?;
    Ok(options)
}

pub(crate) fn core_profile(
    profile: Option<&Bound<'_, ResponseProfile>>,
) -> Option<core::ResponseProfile> {
    profile.map(|profile| profile.get().0.clone())
}

pub(crate) fn new_token(
    description: Option<String>,
    hash_type: Option<&str>,
    session_type: Option<SessionTypeArg>,
    session_duration: Option<DurationArg>,
    session_privileges: Option<String>,
    session_user_id: Option<String>,
    expiry: Option<InstantArg>,
) -> core::NewToken {
    let mut token = core::NewToken::new()
        .hash_type(hash_type.map(self::hash_type))
        .session_type(session_type.map(|kind| kind.0));
    if let Some(text) = description {
        token = token.description(text);
    }
    if let Some(duration) = session_duration {
        token = token.session_duration(duration.0);
    }
    if let Some(text) = session_privileges {
        token = token.session_privileges(text);
    }
    if let Some(text) = session_user_id {
        token = token.session_user_id(text);
    }
    if let Some(instant) = expiry {
        token = token.expiry(instant.0);
    }
    token
}

#[expect(
    clippy::too_many_arguments,
    reason = "the keyword arguments of two Python methods"
)]
pub(crate) fn token_update(
    description: Option<String>,
    hash_type: Option<&str>,
    session_type: Option<SessionTypeArg>,
    session_duration: Option<DurationArg>,
    session_privileges: Option<String>,
    session_user_id: Option<String>,
    expiry: Option<InstantArg>,
    clear: Vec<String>,
) -> PyResult<core::TokenUpdate> {
    let mut update = core::TokenUpdate::new();
    if let Some(text) = description {
        update = update.description(text);
    }
    if let Some(name) = hash_type {
        update = update.hash_type(self::hash_type(name));
    }
    if let Some(kind) = session_type {
        update = update.session_type(kind.0);
    }
    if let Some(duration) = session_duration {
        update = update.session_duration(duration.0);
    }
    if let Some(text) = session_privileges {
        update = update.session_privileges(text);
    }
    if let Some(text) = session_user_id {
        update = update.session_user_id(text);
    }
    if let Some(instant) = expiry {
        update = update.expiry(instant.0);
    }
    for name in clear {
        let field = core::TokenField::ALL
            .iter()
            .copied()
            .find(|(_, known)| *known == name);
        let (field, _) = field.ok_or_else(|| {
            PyValueError::new_err(format!(
                "clear: {name:?} is not a field that can be cleared"
            ))
        })?;
        update = update.clear(field);
    }
    Ok(update)
}
