//! `Settings`: where account, credentials and service URL come from.

use std::path::PathBuf;

use kaltura_app_token as core;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::convert::{Argument, Given, PrivilegeText, given, one_of};
use crate::errors::OrRaise;
use crate::model::TokenArg;
use crate::secret::{Secret, not_picklable};

/// The settings of one source, or of several joined by `resolve`.
#[pyclass(frozen, eq, module = "kaltura_app_token")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Settings(pub(crate) core::Settings);

#[pymethods]
impl Settings {
    #[new]
    #[pyo3(signature = (*, partner_id=None, admin_secret=None, ks=None, service_url=None, user_id=None,
        admin_session_duration=None, admin_privileges=None, app_token_id=None, app_token=None, profile=None,
        found=false))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of a Python constructor"
    )]
    pub(crate) fn new(
        partner_id: Given<'_, '_>,
        admin_secret: Given<'_, '_>,
        ks: Given<'_, '_>,
        service_url: Given<'_, '_>,
        user_id: Given<'_, '_>,
        admin_session_duration: Given<'_, '_>,
        admin_privileges: Given<'_, '_>,
        app_token_id: Given<'_, '_>,
        app_token: Given<'_, '_>,
        profile: Given<'_, '_>,
        found: bool,
    ) -> PyResult<Self> {
        let profile = given("profile", profile)?;
        let source = profile.map_or(core::Source::Explicit, core::Source::Profile);
        let mut settings = core::Settings::new(source);
        settings.partner_id = given("partner_id", partner_id)?;
        settings.admin_secret = given("admin_secret", admin_secret)?;
        settings.ks = given("ks", ks)?;
        settings.service_url = given("service_url", service_url)?;
        settings.user_id = given("user_id", user_id)?;
        settings.admin_session_duration = given("admin_session_duration", admin_session_duration)?;
        let privileges: Option<PrivilegeText> = given("admin_privileges", admin_privileges)?;
        settings.admin_privileges = privileges.map(|privileges| privileges.0);
        let token: Option<TokenArg> = given("app_token_id", app_token_id)?;
        (settings.app_token_id, settings.app_token) =
            token.map_or((None, None), |token| (Some(token.id), token.value));
        settings.app_token = given("app_token", app_token)?.or(settings.app_token);
        settings.found = found;
        Ok(Self(settings))
    }

    /// What the `KALTURA_…` variables say.
    #[staticmethod]
    fn from_env(py: Python<'_>) -> PyResult<Self> {
        read(py, core::Settings::from_env()).map(Self)
    }

    /// What a `config.json` says.
    #[staticmethod]
    fn from_config_file(py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<Self> {
        let path = PathBuf::read("path", path)?;
        read(py, core::Settings::from_config_file(&path)).map(Self)
    }

    /// Joins sources, which stand in the order in which they count: the first that names an account
    /// is taken as a whole. An account, or a service URL for it, that is named in two of them is an
    /// error; an explicit service URL is for the account of any source.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "Python hands the list over")]
    fn resolve(
        py: Python<'_>,
        sources: Vec<Bound<'_, Self>>,
        need: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let need = one_of(
            "need",
            need,
            &[
                (core::Need::Exchange, "exchange"),
                (core::Need::Admin, "admin"),
                (core::Need::Show, "show"),
            ],
        )?;
        let sources: Vec<_> = sources
            .iter()
            .map(|source| source.get().0.clone())
            .collect();
        core::Settings::resolve(&sources, need)
            .or_raise(py)
            .map(Self)
    }

    #[getter]
    fn source(&self) -> String {
        self.0.source.to_string()
    }
    #[getter]
    fn partner_id(&self) -> Option<i64> {
        self.0.partner_id
    }
    #[getter]
    fn admin_secret(&self) -> Option<Secret> {
        self.0.admin_secret.clone().map(Secret)
    }
    #[getter]
    fn ks(&self) -> Option<Secret> {
        self.0.ks.clone().map(Secret)
    }
    #[getter]
    fn service_url(&self) -> Option<&str> {
        self.0.service_url.as_deref()
    }
    /// Where the service URL comes from, once it is resolved.
    #[getter]
    fn service_url_source(&self) -> Option<String> {
        let source = self.0.service_url_source.as_ref();
        source.map(ToString::to_string)
    }
    #[getter]
    fn user_id(&self) -> Option<&str> {
        self.0.user_id.as_deref()
    }
    #[getter]
    fn admin_session_duration(&self) -> Option<u64> {
        self.0.admin_session_duration.map(|life| life.as_secs())
    }
    #[getter]
    fn admin_privileges(&self) -> Option<&str> {
        self.0.admin_privileges.as_deref()
    }
    #[getter]
    fn app_token_id(&self) -> Option<&str> {
        self.0.app_token_id.as_deref()
    }
    #[getter]
    fn app_token(&self) -> Option<Secret> {
        self.0.app_token.clone().map(Secret)
    }
    #[getter]
    fn warnings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.warnings)
    }

    /// Whether these settings say whose tokens: a service URL alone does not.
    fn names_account(&self) -> bool {
        self.0.names_account()
    }

    fn __copy__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __deepcopy__(this: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        this
    }

    /// What is set, credentials masked, a service URL that cannot be used as well: it may hold one.
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut shown = vec![("source", self.source().into_bound_py_any(py)?)];
        let mut add = |name, value: Bound<'_, PyAny>| {
            if !value.is_none() {
                shown.push((name, value.clone().unbind().into_bound(py)));
            }
        };
        add("partner_id", self.partner_id().into_bound_py_any(py)?);
        add("admin_secret", self.admin_secret().into_bound_py_any(py)?);
        add("ks", self.ks().into_bound_py_any(py)?);
        add(
            "service_url",
            self.0.shown_service_url().into_bound_py_any(py)?,
        );
        add("user_id", self.user_id().into_bound_py_any(py)?);
        add("app_token_id", self.app_token_id().into_bound_py_any(py)?);
        add("app_token", self.app_token().into_bound_py_any(py)?);
        let shown = shown.into_iter().map(|(name, value)| {
            let value = value.repr()?;
            Ok(format!("{name}={value}"))
        });
        let shown: Vec<_> = shown.collect::<PyResult<_>>()?;
        Ok(format!("Settings({})", shown.join(", ")))
    }

    #[expect(clippy::unused_self, reason = "Python calls it on an instance")]
    fn __reduce__(&self) -> PyResult<()> {
        Err(not_picklable(
            "Settings",
            "each process reads its own, or takes what reveal() gives",
        ))
    }
}

/// What was read. A signal that came while a pipe was waited for is handled first.
fn read<T>(py: Python<'_>, result: core::Result<T>) -> PyResult<T> {
    py.check_signals()?;
    result.or_raise(py)
}

/// The text of a file that says where credentials go, and what is worth a warning about it; refused
/// when somebody else may have written it.
#[pyfunction]
pub(crate) fn read_configuration(
    py: Python<'_>,
    path: &Bound<'_, PyAny>,
) -> PyResult<(Secret, Option<String>)> {
    let path = PathBuf::read("path", path)?;
    let (text, warning) = read(py, core::read_configuration(&path))?;
    Ok((Secret(text), warning))
}
