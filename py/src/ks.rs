//! What needs no server: hashes, session strings, privileges, URLs.

use std::time::{SystemTime, UNIX_EPOCH};

use kaltura_app_token as core;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::convert::{DurationArg, InstantArg, SecretArg, SessionTypeArg, datetime, hash_type};
use crate::errors::OrRaise;
use crate::model::Secret;

/// The hash of a session followed by a token's value, as lower-case hex.
#[pyfunction]
#[pyo3(signature = (ks, token, hash_type="SHA256"))]
#[expect(
    clippy::needless_pass_by_value,
    reason = "Python hands the arguments over"
)]
pub(crate) fn token_hash(
    py: Python<'_>,
    ks: SecretArg,
    token: SecretArg,
    hash_type: &str,
) -> PyResult<String> {
    let hash = core::token_hash(&self::hash_type(hash_type), &ks.0, &token.0).or_raise(py)?;
    Ok(hash.reveal().to_owned())
}

/// A session string as far as it could be read.
#[pyclass(frozen, eq, module = "kaltura_app_token")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KsInfo(core::KsInfo);

#[pymethods]
impl KsInfo {
    #[getter]
    fn version(&self) -> u8 {
        match self.0.version {
            core::KsVersion::V1 => 1,
            core::KsVersion::V2 => 2,
        }
    }
    #[getter]
    fn verified(&self) -> bool {
        self.0.verified
    }
    #[getter]
    fn partner_id(&self) -> Option<i64> {
        self.0.partner_id
    }
    #[getter]
    fn session_type(&self) -> Option<i64> {
        self.0.session_type.map(core::SessionType::value)
    }
    #[getter]
    fn session_type_name(&self) -> Option<String> {
        self.0.session_type.map(|kind| kind.to_string())
    }
    #[getter]
    fn user_id(&self) -> Option<&str> {
        self.0.user_id.as_deref()
    }
    #[getter]
    fn expiry(&self) -> Option<i64> {
        self.0.expiry
    }
    #[getter]
    fn expires_at(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        datetime(py, self.0.expiry)
    }
    #[getter]
    fn privileges(&self) -> Option<&str> {
        self.0.privileges.as_deref()
    }
    #[getter]
    fn master_partner_id(&self) -> Option<i64> {
        self.0.master_partner_id
    }
    #[getter]
    fn additional_data(&self) -> Option<&str> {
        self.0.additional_data.as_deref()
    }
    #[getter]
    fn random(&self) -> Option<&str> {
        self.0.random.as_deref()
    }

    fn __repr__(&self) -> String {
        format!(
            "KsInfo(version={}, verified={}, partner_id={:?}, user_id={:?}, expiry={:?})",
            self.version(),
            if self.0.verified { "True" } else { "False" },
            self.0.partner_id,
            self.0.user_id,
            self.0.expiry
        )
    }
}

#[derive(FromPyObject)]
pub(crate) enum Expiry {
    At(InstantArg),
    In(DurationArg),
}

/// Signs a session with the admin secret; nothing is sent.
#[pyfunction]
#[pyo3(signature = (secret, *, partner_id, expiry, session_type=None, user_id=None, privileges="",
    master_partner_id=None, additional_data=None, version=2))]
#[expect(
    clippy::too_many_arguments,
    clippy::needless_pass_by_value,
    reason = "keyword arguments of a Python function"
)]
pub(crate) fn sign_ks(
    py: Python<'_>,
    secret: SecretArg,
    partner_id: i64,
    expiry: Expiry,
    session_type: Option<SessionTypeArg>,
    user_id: Option<String>,
    privileges: &str,
    master_partner_id: Option<i64>,
    additional_data: Option<String>,
    version: u8,
) -> PyResult<Secret> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let expiry = match expiry {
        Expiry::At(instant) => instant.0,
        Expiry::In(duration) => core::Ks::expiry_at(
            i64::try_from(now).unwrap_or(i64::MAX),
            duration.0,
            privileges,
        ),
    };
    let fields = core::KsFields {
        partner_id,
        user_id,
        session_type: session_type.map_or(core::SessionType::User, |kind| kind.0),
        expiry,
        privileges: privileges.to_owned(),
        master_partner_id,
        additional_data,
    };
    let version = match version {
        1 => core::KsVersion::V1,
        2 => core::KsVersion::V2,
        _ => return Err(PyValueError::new_err("version is neither 1 nor 2")),
    };
    core::Ks::sign(&fields, &secret.0, version)
        .or_raise(py)
        .map(Secret)
}

/// Opens and verifies a session with the secrets that may have signed it.
#[pyfunction]
#[pyo3(signature = (ks, *secrets))]
#[expect(
    clippy::needless_pass_by_value,
    reason = "Python hands the arguments over"
)]
pub(crate) fn open_ks(py: Python<'_>, ks: SecretArg, secrets: Vec<SecretArg>) -> PyResult<KsInfo> {
    let secrets: Vec<_> = secrets.into_iter().map(|secret| secret.0).collect();
    core::Ks::open(&ks.0, &secrets).or_raise(py).map(KsInfo)
}

/// Reads what a session shows to anybody.
#[pyfunction]
#[expect(
    clippy::needless_pass_by_value,
    reason = "Python hands the arguments over"
)]
pub(crate) fn describe_ks(py: Python<'_>, ks: SecretArg) -> PyResult<KsInfo> {
    core::Ks::describe(&ks.0).or_raise(py).map(KsInfo)
}

/// One thing about privileges that will not work as it reads.
#[pyclass(frozen, eq, get_all, module = "kaltura_app_token")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PrivilegeLint {
    rule: &'static str,
    privilege: String,
    message: String,
}

#[pymethods]
impl PrivilegeLint {
    fn __repr__(&self) -> String {
        format!(
            "PrivilegeLint({}, {:?}: {})",
            self.rule, self.privilege, self.message
        )
    }
}

/// What will not work as it reads, and why.
#[pyfunction]
#[pyo3(signature = (text, r#use="token"))]
pub(crate) fn lint_privileges(text: &str, r#use: &str) -> PyResult<Vec<PrivilegeLint>> {
    let used = match r#use {
        "token" => core::PrivilegeUse::Token,
        "start_session" => core::PrivilegeUse::StartSession,
        _ => {
            return Err(PyValueError::new_err(
                "use is neither 'token' nor 'start_session'",
            ));
        }
    };
    let lints = core::Privileges::parse(text).lint(used);
    Ok(lints
        .into_iter()
        .map(|lint| PrivilegeLint {
            rule: lint.rule,
            privilege: lint.privilege,
            message: lint.message,
        })
        .collect())
}

/// The requested privileges that the granted ones do not hold in full.
#[pyfunction]
pub(crate) fn dropped_privileges(requested: &str, granted: &str) -> Vec<String> {
    core::Privileges::dropped(&requested.into(), &granted.into())
}

/// The service URL in the form in which it is used.
#[pyfunction]
#[pyo3(signature = (url, allow_http=false))]
pub(crate) fn normalize_service_url(
    py: Python<'_>,
    url: &str,
    allow_http: bool,
) -> PyResult<String> {
    core::normalize_service_url(url, allow_http).or_raise(py)
}
