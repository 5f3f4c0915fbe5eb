//! What needs no server: hashes, session strings, privileges, URLs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kaltura_app_token as core;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::convert::{Argument, Given, Instant, PrivilegeText, config_error, given, one_of};
use crate::errors::OrRaise;
use crate::fill::build;
use crate::model::{Built, each, ks_info};
use crate::secret::Secret;

/// The hash of a session followed by a token's value, as lower-case hex.
#[pyfunction]
#[pyo3(signature = (ks, token, hash_type=None), text_signature = "(ks, token, hash_type='SHA256')")]
pub(crate) fn token_hash(
    py: Python<'_>,
    ks: &Bound<'_, PyAny>,
    token: &Bound<'_, PyAny>,
    hash_type: Given<'_, '_>,
) -> PyResult<String> {
    let ks = core::Secret::read("ks", ks)?;
    let token = core::Secret::read("token", token)?;
    let hash_type = given("hash_type", hash_type)?.unwrap_or(core::HashType::Sha256);
    let hash = core::token_hash(&hash_type, &ks, &token).or_raise(py)?;
    Ok(hash.reveal().to_owned())
}

/// Signs a session with the admin secret; nothing is sent.
///
/// Args:
///     secret: The account's admin secret, or its user secret.
///     partner_id: The account.
///     duration: How long the session lives: seconds or a `timedelta`. Either this or `expiry`.
///     expiry: When it ends: unix seconds or an aware `datetime`.
///     session_type: USER unless asked otherwise.
///     user_id: Its user.
///     privileges: A text, or a list of them.
///     master_partner_id: The account on whose behalf it is used.
///     additional_data: Any text that is to travel along.
///     version: The format: 2, or 1 for what is old.
///
/// Example:
///     >>> kat.sign_ks("any", partner_id=102, duration=3600, privileges=["list:*", "edit:*"])
///     Secret('****')
#[pyfunction]
#[pyo3(signature = (secret, *, partner_id, duration=None, expiry=None, session_type=None, user_id=None,
    privileges=None, master_partner_id=None, additional_data=None, version=None),
    text_signature = "(secret, *, partner_id, duration=None, expiry=None, session_type=None, user_id=None, \
    privileges='', master_partner_id=None, additional_data=None, version=2)")]
#[expect(
    clippy::too_many_arguments,
    reason = "keyword arguments of a Python function"
)]
pub(crate) fn sign_ks(
    py: Python<'_>,
    secret: &Bound<'_, PyAny>,
    partner_id: &Bound<'_, PyAny>,
    duration: Given<'_, '_>,
    expiry: Given<'_, '_>,
    session_type: Given<'_, '_>,
    user_id: Given<'_, '_>,
    privileges: Given<'_, '_>,
    master_partner_id: Given<'_, '_>,
    additional_data: Given<'_, '_>,
    version: Given<'_, '_>,
) -> PyResult<Secret> {
    let secret = core::Secret::read("secret", secret)?;
    let partner_id = i64::read("partner_id", partner_id)?;
    let privileges: Option<PrivilegeText> = given("privileges", privileges)?;
    let privileges = privileges.map_or_else(String::new, |privileges| privileges.0);
    let life: Option<Duration> = given("duration", duration)?;
    let end: Option<Instant> = given("expiry", expiry)?;
    let expiry = match (life, end) {
        (Some(life), None) => core::Ks::expiry_at(now(), life, &privileges),
        (None, Some(end)) => end.0,
        _ => {
            let advice = "give either duration, how long it lives, or expiry, when it ends";
            return Err(config_error(py, advice));
        }
    };
    let fields = core::KsFields {
        partner_id,
        user_id: given("user_id", user_id)?,
        session_type: given("session_type", session_type)?.unwrap_or(core::SessionType::User),
        expiry,
        privileges,
        master_partner_id: given("master_partner_id", master_partner_id)?,
        additional_data: given("additional_data", additional_data)?,
    };
    let version = given("version", version)?.unwrap_or_default();
    core::Ks::sign(&fields, &secret, version)
        .or_raise(py)
        .map(Secret)
}

fn now() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// Opens and verifies a session with the secrets that may have signed it.
#[pyfunction]
#[pyo3(signature = (ks, *secrets))]
pub(crate) fn open_ks(
    py: Python<'_>,
    ks: &Bound<'_, PyAny>,
    secrets: &Bound<'_, PyTuple>,
) -> Built {
    let ks = core::Secret::read("ks", ks)?;
    let secrets = Vec::<core::Secret>::read("secrets", secrets)?;
    ks_info(py, core::Ks::open(&ks, &secrets).or_raise(py)?)
}

/// Reads what a session shows to anybody.
#[pyfunction]
pub(crate) fn describe_ks(py: Python<'_>, ks: &Bound<'_, PyAny>) -> Built {
    let ks = core::Secret::read("ks", ks)?;
    ks_info(py, core::Ks::describe(&ks).or_raise(py)?)
}

/// What will not work as it reads, and why.
#[pyfunction]
#[pyo3(signature = (text, r#use=None), text_signature = "(text, use='token')")]
pub(crate) fn lint_privileges<'py>(
    py: Python<'py>,
    text: &Bound<'py, PyAny>,
    r#use: Given<'_, 'py>,
) -> PyResult<Bound<'py, PyTuple>> {
    const USES: &[(core::PrivilegeUse, &str)] = &[
        (core::PrivilegeUse::Token, "token"),
        (core::PrivilegeUse::StartSession, "start_session"),
    ];
    let text = PrivilegeText::read("text", text)?;
    let used = r#use.map_or(Ok(core::PrivilegeUse::Token), |value| {
        one_of("use", value, USES)
    })?;
    let lints = core::Privileges::parse(&text.0).lint(used);
    each(py, lints, |py, lint| {
        build!(
            py,
            PrivilegeLint {
                rule: lint.rule,
                privilege: lint.privilege,
                message: lint.message,
            }
        )
        .map(Bound::unbind)
    })
}

/// The requested privileges that the granted ones do not hold in full.
#[pyfunction]
pub(crate) fn dropped_privileges<'py>(
    py: Python<'py>,
    requested: &Bound<'py, PyAny>,
    granted: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyTuple>> {
    let requested = PrivilegeText::read("requested", requested)?.0;
    let granted = PrivilegeText::read("granted", granted)?.0;
    let dropped = core::Privileges::dropped(&requested.as_str().into(), &granted.as_str().into());
    PyTuple::new(py, dropped)
}

/// The service URL in the form in which it is used.
#[pyfunction]
#[pyo3(signature = (url, allow_http=None), text_signature = "(url, allow_http=False)")]
pub(crate) fn normalize_service_url(
    py: Python<'_>,
    url: &Bound<'_, PyAny>,
    allow_http: Given<'_, '_>,
) -> PyResult<String> {
    let url = String::read("url", url)?;
    let allow_http = given("allow_http", allow_http)?.unwrap_or_default();
    core::normalize_service_url(&url, allow_http).or_raise(py)
}
