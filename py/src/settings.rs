//! `Settings`: where account, credentials and service URL come from.

use std::path::PathBuf;

use kaltura_app_token as core;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::convert::{DurationArg, SecretArg};
use crate::errors::OrRaise;
use crate::model::{Secret, not_picklable};

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
    fn new(
        partner_id: Option<i64>,
        admin_secret: Option<SecretArg>,
        ks: Option<SecretArg>,
        service_url: Option<String>,
        user_id: Option<String>,
        admin_session_duration: Option<DurationArg>,
        admin_privileges: Option<String>,
        app_token_id: Option<String>,
        app_token: Option<SecretArg>,
        profile: Option<String>,
        found: bool,
    ) -> Self {
        let source = profile.map_or(core::Source::Explicit, core::Source::Profile);
        let mut settings = core::Settings::new(source);
        settings.partner_id = partner_id;
        settings.admin_secret = admin_secret.map(|secret| secret.0);
        settings.ks = ks.map(|secret| secret.0);
        settings.service_url = service_url;
        settings.user_id = user_id;
        settings.admin_session_duration = admin_session_duration.map(|duration| duration.0);
        settings.admin_privileges = admin_privileges;
        settings.app_token_id = app_token_id;
        settings.app_token = app_token.map(|secret| secret.0);
        settings.found = found;
        Self(settings)
    }

    /// What the `KALTURA_…` variables say.
    #[staticmethod]
    fn from_env(py: Python<'_>) -> PyResult<Self> {
        read(py, core::Settings::from_env()).map(Self)
    }

    /// What a `config.json` says.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "Python hands the path over")]
    fn from_config_file(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        read(py, core::Settings::from_config_file(&path)).map(Self)
    }

    /// Joins sources, which stand in the order in which they count: the first that names an account
    /// is taken as a whole. An account, or a service URL for it, that is named in two of them is an
    /// error; an explicit service URL is for the account of any source.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "Python hands the list over")]
    fn resolve(py: Python<'_>, sources: Vec<Bound<'_, Self>>, need: &str) -> PyResult<Self> {
        let need = match need {
            "exchange" => core::Need::Exchange,
            "admin" => core::Need::Admin,
            "show" => core::Need::Show,
            _ => {
                return Err(PyValueError::new_err(
                    "need is none of 'exchange', 'admin' and 'show'",
                ));
            }
        };
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
    fn warnings(&self) -> Vec<String> {
        self.0.warnings.clone()
    }

    /// Whether these settings say whose tokens: a service URL alone does not.
    fn names_account(&self) -> bool {
        self.0.names_account()
    }

    fn __repr__(&self) -> String {
        let none = || "None".to_owned();
        let masked = |set: bool| if set { "****" } else { "None" };
        format!(
            "Settings(source={:?}, partner_id={}, admin_secret={}, service_url={})",
            self.source(),
            self.0.partner_id.map_or_else(none, |id| id.to_string()),
            masked(self.0.admin_secret.is_some()),
            self.0
                .shown_service_url()
                .map_or_else(none, |url| format!("{url:?}")),
        )
    }

    #[expect(clippy::unused_self, reason = "Python calls it on an instance")]
    fn __reduce__(&self) -> PyResult<()> {
        Err(not_picklable("Settings"))
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
#[expect(clippy::needless_pass_by_value, reason = "Python hands the path over")]
pub(crate) fn read_configuration(
    py: Python<'_>,
    path: PathBuf,
) -> PyResult<(Secret, Option<String>)> {
    let (text, warning) = read(py, core::read_configuration(&path))?;
    Ok((Secret(text), warning))
}
