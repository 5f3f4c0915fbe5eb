//! What the core answers, as the classes of `kaltura_app_token/model.py`; and what is read back of them.

use std::vec::IntoIter;

use kaltura_app_token as core;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::convert::{Argument, config_error};
use crate::fill::build;
use crate::once::Once;
use crate::secret::Secret;

pub(crate) type Built = PyResult<Py<PyAny>>;

/// The member of an enumeration for a number; made by it when the number has no name.
fn member<'py>(
    py: Python<'py>,
    known: &Once<PyDict>,
    class: &str,
    number: i64,
) -> PyResult<Bound<'py, PyAny>> {
    let class = || py.import("kaltura_app_token.model")?.getattr(class);
    let known = known.get_or(py, || {
        let known = PyDict::new(py);
        for member in class()?.try_iter()? {
            let member = member?;
            known.set_item(member.extract::<i64>()?, &member)?;
        }
        PyResult::Ok(known)
    })?;
    match known.get_item(number)? {
        Some(member) => Ok(member),
        None => class()?.call1((number,)),
    }
}

fn session_type(
    py: Python<'_>,
    kind: Option<core::SessionType>,
) -> PyResult<Option<Bound<'_, PyAny>>> {
    static KNOWN: Once<PyDict> = Once::new();
    kind.map(|kind| member(py, &KNOWN, "SessionType", kind.value()))
        .transpose()
}

fn token_status(
    py: Python<'_>,
    status: Option<core::TokenStatus>,
) -> PyResult<Option<Bound<'_, PyAny>>> {
    static KNOWN: Once<PyDict> = Once::new();
    status
        .map(|status| member(py, &KNOWN, "TokenStatus", status.value()))
        .transpose()
}

pub(crate) fn token(py: Python<'_>, token: core::AppToken) -> Built {
    build!(
        py,
        AppToken {
            id: token.id,
            token: token.token.map(Secret),
            partner_id: token.partner_id,
            status: token_status(py, token.status)?,
            session_type: session_type(py, token.session_type)?,
            session_duration: token.session_duration,
            session_privileges: token.session_privileges,
            session_user_id: token.session_user_id,
            hash_type: token.hash_type.as_ref().map(core::HashType::as_str),
            description: token.description,
            expiry: token.expiry,
            created_at: token.created_at,
            updated_at: token.updated_at,
        }
    )
    .map(Bound::unbind)
}

/// A tuple of what each of these becomes.
pub(crate) fn each<'py, T>(
    py: Python<'py>,
    all: impl IntoIterator<Item = T, IntoIter = IntoIter<T>>,
    one: impl Fn(Python<'py>, T) -> Built,
) -> PyResult<Bound<'py, PyTuple>> {
    let made = all.into_iter().map(|each| one(py, each));
    PyTuple::new(py, made.collect::<PyResult<Vec<_>>>()?)
}

pub(crate) fn token_page(py: Python<'_>, page: core::TokenPage) -> Built {
    build!(
        py,
        TokenPage {
            tokens: each(py, page.tokens, token)?,
            total_count: page.total_count,
        }
    )
    .map(Bound::unbind)
}

/// What a session was, by which a provider knows it again.
#[pyclass(frozen, module = "kaltura_app_token._native")]
pub(crate) struct Origin(core::Session);

pub(crate) fn session(py: Python<'_>, session: core::Session) -> Built {
    let origin = Origin(session.clone());
    build!(
        py,
        Session {
            ks: Secret(session.ks),
            session_type: session_type(py, session.session_type)?,
            partner_id: session.partner_id,
            user_id: session.user_id,
            expiry: session.expiry,
            privileges: session.privileges,
            dropped_privileges: PyTuple::new(py, session.dropped_privileges)?,
            _origin: origin,
        }
    )
    .map(Bound::unbind)
}

pub(crate) fn session_info(py: Python<'_>, info: core::SessionInfo) -> Built {
    build!(
        py,
        SessionInfo {
            session_type: session_type(py, info.session_type)?,
            partner_id: info.partner_id,
            user_id: info.user_id,
            expiry: info.expiry,
            privileges: info.privileges,
        }
    )
    .map(Bound::unbind)
}

pub(crate) fn ks_info(py: Python<'_>, info: core::KsInfo) -> Built {
    let version = match info.version {
        core::KsVersion::V1 => 1,
        core::KsVersion::V2 => 2,
    };
    build!(
        py,
        KsInfo {
            version: version,
            verified: info.verified,
            partner_id: info.partner_id,
            session_type: session_type(py, info.session_type)?,
            user_id: info.user_id,
            expiry: info.expiry,
            privileges: info.privileges,
            master_partner_id: info.master_partner_id,
            additional_data: info.additional_data,
            random: info.random,
        }
    )
    .map(Bound::unbind)
}

fn class<'py>(
    py: Python<'py>,
    name: &str,
    known: &'static Once<PyType>,
) -> PyResult<&'py Bound<'py, PyType>> {
    known.class(py, "kaltura_app_token.model", name)
}

fn is_token(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static CLASS: Once<PyType> = Once::new();
    value.is_instance(class(value.py(), "AppToken", &CLASS)?)
}

/// A token: its id, or what a call answered, from which its value and its hash type are taken too.
pub(crate) struct TokenArg {
    pub(crate) id: String,
    pub(crate) value: Option<core::Secret>,
    pub(crate) hash_type: Option<core::HashType>,
}

impl TokenArg {
    /// The refusal to exchange a token whose value nobody gave.
    pub(crate) fn without_value(&self, py: Python<'_>) -> PyErr {
        let id = &self.id;
        config_error(
            py,
            format!(
                "token: the value of {id:?} is missing: lists leave it on the server, get_token() has it"
            ),
        )
    }
}

impl Argument for TokenArg {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if !is_token(value)? {
            return Ok(Self {
                id: String::read(name, value)?,
                value: None,
                hash_type: None,
            });
        }
        let field = |field: &str| {
            let value = value.getattr(field)?;
            PyResult::Ok((!value.is_none()).then_some(value))
        };
        let id = String::read(name, &value.getattr("id")?)?;
        if id.is_empty() {
            return Err(config_error(
                value.py(),
                format!("{name}: the AppToken has no id: its response profile left it out"),
            ));
        }
        let named = |part: &str| format!("{name}.{part}");
        Ok(Self {
            id,
            value: field("token")?
                .map(|value| core::Secret::read(&named("token"), &value))
                .transpose()?,
            hash_type: field("hash_type")?
                .map(|value| core::HashType::read(&named("hash_type"), &value))
                .transpose()?,
        })
    }
}

/// A token's id: itself, or of what a call answered.
pub(crate) struct TokenId(pub(crate) String);

impl Argument for TokenId {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        TokenArg::read(name, value).map(|token| Self(token.id))
    }
}

/// Ids of tokens: a list of what `TokenId` takes, or a plan to revoke them.
pub(crate) struct TokenIds(pub(crate) Vec<String>);

impl Argument for TokenIds {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        static CLASS: Once<PyType> = Once::new();
        let plan = class(value.py(), "RevocationPlan", &CLASS)?;
        let ids = if value.is_instance(plan)? {
            Vec::<TokenId>::read(name, &value.getattr("tokens")?)?
        } else {
            Vec::<TokenId>::read(name, value)?
        };
        Ok(Self(ids.into_iter().map(|id| id.0).collect()))
    }
}

/// A session that a call answered.
pub(crate) struct SessionArg(pub(crate) core::Session);

impl Argument for SessionArg {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        static CLASS: Once<PyType> = Once::new();
        if !value.is_instance(class(value.py(), "Session", &CLASS)?)? {
            return Err(crate::convert::wrong_type(name, "a Session", value));
        }
        // One that was made or changed by hand has none.
        let origin = value.getattr_opt("_origin")?;
        let origin = origin.and_then(|origin| origin.cast_into::<Origin>().ok());
        origin
            .map(|origin| Self(origin.get().0.clone()))
            .ok_or_else(|| {
                config_error(
                    value.py(),
                    format!("{name}: the session was not handed out by a session provider"),
                )
            })
    }
}
