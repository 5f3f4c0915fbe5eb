//! Tokens, sessions and secrets as frozen Python classes. No `repr` shows a credential, and what holds
//! one refuses to be pickled.

use kaltura_app_token as core;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::convert::{SecretArg, datetime};

/// A credential.
#[pyclass(frozen, eq, module = "kaltura_app_token")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) core::Secret);

#[pymethods]
impl Secret {
    #[new]
    fn new(value: SecretArg) -> Self {
        Self(value.0)
    }

    /// The value itself. Whoever calls this answers for where it goes.
    fn reveal(&self) -> &str {
        self.0.reveal()
    }

    fn __bool__(&self) -> bool {
        !self.0.is_empty()
    }

    #[expect(clippy::unused_self, reason = "Python calls it on an instance")]
    fn __repr__(&self) -> &'static str {
        "Secret('****')"
    }

    #[expect(clippy::unused_self, reason = "Python calls it on an instance")]
    fn __str__(&self) -> &'static str {
        "****"
    }

    #[expect(clippy::unused_self, reason = "Python calls it on an instance")]
    fn __reduce__(&self) -> PyResult<()> {
        Err(not_picklable("Secret"))
    }
}

pub(crate) fn not_picklable(class: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "{class} holds a credential and is not pickled: send its id, or reveal() what must travel"
    ))
}

/// `Name(field=value, …)` without the fields that are unset.
struct Repr(String);

impl Repr {
    fn new(class: &str) -> Self {
        Self(format!("{class}("))
    }

    fn field<'py>(
        mut self,
        py: Python<'py>,
        name: &str,
        value: Option<impl IntoPyObjectExt<'py>>,
    ) -> PyResult<Self> {
        let Some(value) = value else { return Ok(self) };
        let shown = value.into_bound_py_any(py)?.repr()?.to_string();
        if !self.0.ends_with('(') {
            self.0.push_str(", ");
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(&shown);
        Ok(self)
    }

    fn end(mut self) -> String {
        self.0.push(')');
        self.0
    }
}

/// An application token.
#[pyclass(frozen, eq, module = "kaltura_app_token")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AppToken(pub(crate) core::AppToken);

#[pymethods]
impl AppToken {
    #[getter]
    fn id(&self) -> &str {
        &self.0.id
    }
    #[getter]
    fn token(&self) -> Option<Secret> {
        self.0.token.clone().map(Secret)
    }
    #[getter]
    fn partner_id(&self) -> Option<i64> {
        self.0.partner_id
    }
    #[getter]
    fn status(&self) -> Option<i64> {
        self.0.status.map(core::TokenStatus::value)
    }
    #[getter]
    fn status_name(&self) -> Option<String> {
        self.0.status.map(|status| status.to_string())
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
    fn session_duration(&self) -> Option<i64> {
        self.0.session_duration
    }
    #[getter]
    fn session_privileges(&self) -> Option<&str> {
        self.0.session_privileges.as_deref()
    }
    #[getter]
    fn session_user_id(&self) -> Option<&str> {
        self.0.session_user_id.as_deref()
    }
    #[getter]
    fn hash_type(&self) -> Option<&str> {
        self.0.hash_type.as_ref().map(core::HashType::as_str)
    }
    #[getter]
    fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }
    #[getter]
    fn expiry(&self) -> Option<i64> {
        self.0.expiry
    }
    #[getter]
    fn created_at(&self) -> Option<i64> {
        self.0.created_at
    }
    #[getter]
    fn updated_at(&self) -> Option<i64> {
        self.0.updated_at
    }
    #[getter]
    fn expires_at(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        datetime(py, self.0.expiry)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(Repr::new("AppToken")
            .field(py, "id", Some(self.id()))?
            .field(py, "description", self.description())?
            .field(py, "status", self.status_name())?
            .field(py, "session_type", self.session_type_name())?
            .field(py, "hash_type", self.hash_type())?
            .field(py, "session_privileges", self.session_privileges())?
            .field(py, "expiry", self.expiry())?
            .field(py, "token", self.token())?
            .end())
    }

    #[expect(clippy::unused_self, reason = "Python calls it on an instance")]
    fn __reduce__(&self) -> PyResult<()> {
        Err(not_picklable("AppToken"))
    }
}

/// One page of tokens.
#[pyclass(frozen, module = "kaltura_app_token")]
pub(crate) struct TokenPage {
    tokens: Py<PyTuple>,
    total_count: i64,
}

impl TokenPage {
    pub(crate) fn new(py: Python<'_>, page: core::TokenPage) -> PyResult<Self> {
        let total_count = page.total_count;
        let tokens = page
            .tokens
            .into_iter()
            .map(|token| Py::new(py, AppToken(token)));
        let tokens = tokens.collect::<PyResult<Vec<_>>>()?;
        Ok(Self {
            tokens: PyTuple::new(py, tokens)?.unbind(),
            total_count,
        })
    }
}

#[pymethods]
impl TokenPage {
    #[getter]
    fn tokens(&self, py: Python<'_>) -> Py<PyTuple> {
        self.tokens.clone_ref(py)
    }
    #[getter]
    fn total_count(&self) -> i64 {
        self.total_count
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let shown = self.tokens.bind(py).len();
        format!(
            "TokenPage({shown} tokens, total_count={})",
            self.total_count
        )
    }
}

/// A session that was started.
#[pyclass(frozen, eq, module = "kaltura_app_token")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Session(pub(crate) core::Session);

#[pymethods]
impl Session {
    #[getter]
    fn ks(&self) -> Secret {
        Secret(self.0.ks.clone())
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
    fn partner_id(&self) -> Option<i64> {
        self.0.partner_id
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
    fn dropped_privileges(&self) -> Vec<String> {
        self.0.dropped_privileges.clone()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(Repr::new("Session")
            .field(py, "ks", Some(self.ks()))?
            .field(py, "session_type", self.session_type_name())?
            .field(py, "partner_id", self.partner_id())?
            .field(py, "user_id", self.user_id())?
            .field(py, "expiry", self.expiry())?
            .field(py, "privileges", self.privileges())?
            .end())
    }

    #[expect(clippy::unused_self, reason = "Python calls it on an instance")]
    fn __reduce__(&self) -> PyResult<()> {
        Err(not_picklable("Session"))
    }
}

/// What the server reads from a session.
#[pyclass(frozen, eq, module = "kaltura_app_token")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SessionInfo(pub(crate) core::SessionInfo);

#[pymethods]
impl SessionInfo {
    #[getter]
    fn session_type(&self) -> Option<i64> {
        self.0.session_type.map(core::SessionType::value)
    }
    #[getter]
    fn session_type_name(&self) -> Option<String> {
        self.0.session_type.map(|kind| kind.to_string())
    }
    #[getter]
    fn partner_id(&self) -> Option<i64> {
        self.0.partner_id
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

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(Repr::new("SessionInfo")
            .field(py, "session_type", self.session_type_name())?
            .field(py, "partner_id", self.partner_id())?
            .field(py, "user_id", self.user_id())?
            .field(py, "expiry", self.expiry())?
            .field(py, "privileges", self.privileges())?
            .end())
    }
}

/// Which fields an answer is to carry.
#[pyclass(frozen, eq, module = "kaltura_app_token")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ResponseProfile(pub(crate) core::ResponseProfile);

#[pymethods]
impl ResponseProfile {
    /// Only these fields, by the API's names.
    #[staticmethod]
    #[pyo3(signature = (*fields))]
    fn include(fields: Vec<String>) -> Self {
        Self(core::ResponseProfile::Detached(
            core::ProfileFields::Include(fields),
        ))
    }

    /// All but these fields, by the API's names.
    #[staticmethod]
    #[pyo3(signature = (*fields))]
    fn exclude(fields: Vec<String>) -> Self {
        Self(core::ResponseProfile::Detached(
            core::ProfileFields::Exclude(fields),
        ))
    }

    /// A profile stored on the server, by its id or its system name.
    #[staticmethod]
    #[pyo3(signature = (*, id=None, system_name=None))]
    fn stored(id: Option<i64>, system_name: Option<String>) -> PyResult<Self> {
        match (id, system_name) {
            (Some(id), None) => Ok(Self(core::ResponseProfile::HolderId(id))),
            (None, Some(name)) => Ok(Self(core::ResponseProfile::HolderSystemName(name))),
            _ => Err(PyValueError::new_err("give either id or system_name")),
        }
    }

    /// A named profile given with the request.
    #[staticmethod]
    #[pyo3(signature = (name, system_name, *, include=None, exclude=None))]
    fn full(
        name: String,
        system_name: String,
        include: Option<Vec<String>>,
        exclude: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let fields = match (include, exclude) {
            (Some(fields), None) => core::ProfileFields::Include(fields),
            (None, Some(fields)) => core::ProfileFields::Exclude(fields),
            _ => return Err(PyValueError::new_err("give either include or exclude")),
        };
        Ok(Self(core::ResponseProfile::Full {
            name,
            system_name,
            fields,
        }))
    }

    fn __repr__(&self) -> String {
        format!("ResponseProfile({:?})", self.0)
    }
}
