//! The local Kaltura inside a Python process, and its command.

use std::path::PathBuf;

use arc_swap::ArcSwapOption;
use kaltura_sandbox as sandbox;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::convert::{Given, config_error, given};
use crate::interpreter::Inside;

/// A local Kaltura on a thread of its own, in memory, until it is closed.
#[pyclass(frozen, module = "kaltura_app_token")]
pub(crate) struct Sandbox(ArcSwapOption<sandbox::Sandbox>);

impl Sandbox {
    fn running(&self) -> PyResult<std::sync::Arc<sandbox::Sandbox>> {
        self.0
            .load_full()
            .ok_or_else(|| PyRuntimeError::new_err("the sandbox is closed"))
    }
}

#[pymethods]
impl Sandbox {
    #[new]
    #[pyo3(signature = (*, host=None, port=None, accounts=None, control=None),
        text_signature = "(*, host='127.0.0.1', port=0, accounts=None, control=True)")]
    fn new(
        host: Given<'_, '_>,
        port: Given<'_, '_>,
        accounts: Given<'_, '_>,
        control: Given<'_, '_>,
    ) -> PyResult<Self> {
        let mut builder = sandbox::Sandbox::builder()
            .host(given("host", host)?.unwrap_or_else(|| "127.0.0.1".to_owned()))
            .port(given("port", port)?.unwrap_or_default())
            .control(given("control", control)?.unwrap_or(true));
        if let Some(path) = given::<PathBuf>("accounts", accounts)? {
            builder = builder
                .accounts(sandbox::Accounts::from_file(&path).map_err(PyValueError::new_err)?);
        }
        let running = builder
            .start()
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Self(ArcSwapOption::from_pointee(running)))
    }

    #[getter]
    fn service_url(&self) -> PyResult<String> {
        Ok(self.running()?.service_url())
    }
    #[getter]
    fn partner_id(&self) -> PyResult<i64> {
        Ok(self.running()?.partner_id())
    }
    #[getter]
    fn admin_secret(&self) -> PyResult<String> {
        Ok(self.running()?.admin_secret().to_owned())
    }

    /// A call of the control interface, JSON in and out.
    fn control(&self, py: Python<'_>, method: &str, path: &str, body: &str) -> PyResult<String> {
        let answer = self.running()?.control(method, path, body);
        answer
            .map(|answer| answer.to_string())
            .map_err(|error| config_error(py, error))
    }

    /// Stops serving. A second call does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let running = self.0.swap(None);
        Inside::enter(py).detach(move || drop(running))
    }
}

/// The command `kaltura-app-token sandbox`: serves until Ctrl-C or SIGTERM, returns the exit code.
#[pyfunction]
pub(crate) fn sandbox_main(py: Python<'_>, arguments: Vec<String>) -> PyResult<i32> {
    Inside::enter(py).detach(|| sandbox::main_with_args("kaltura-app-token sandbox", arguments))
}
