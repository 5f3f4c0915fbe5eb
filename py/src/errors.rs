//! Turns the core's errors into the exceptions of `kaltura_app_token.errors`.

use kaltura_app_token as core;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::once::Once;

static CLASSES: Once<PyDict> = Once::new();

fn classes(py: Python<'_>) -> PyResult<&Bound<'_, PyDict>> {
    CLASSES.get_or(py, || {
        py.import("kaltura_app_token.errors")?
            .getattr("_BY_KIND")?
            .cast_into::<PyDict>()
            .map_err(PyErr::from)
    })
}

/// The exception for an error of the core.
pub(crate) fn to_pyerr(py: Python<'_>, error: &core::Error) -> PyErr {
    build(py, error).unwrap_or_else(|broken| {
        let failure = PyRuntimeError::new_err(error.to_string());
        failure.set_cause(py, Some(broken));
        failure
    })
}

fn build(py: Python<'_>, error: &core::Error) -> PyResult<PyErr> {
    let classes = classes(py)?;
    let by_code = match error.api_code() {
        Some(code) => classes.get_item(format!("{code:?}"))?,
        None => None,
    };
    let class = match by_code {
        Some(class) => class,
        None => classes
            .get_item(error.kind().name())?
            .ok_or_else(|| PyRuntimeError::new_err(error.kind().name()))?,
    };
    let fields = PyDict::new(py);
    fields.set_item("hint", error.hint().map(core::Hint::text))?;
    fields.set_item("hint_name", error.hint().and_then(core::Hint::name))?;
    fields.set_item("cause", error.connect_cause().map(core::ConnectCause::name))?;
    fields.set_item("code", error.code())?;
    if let Some(api) = error.api() {
        let args = PyDict::new(py);
        for (name, value) in &api.args {
            args.set_item(name, value)?;
        }
        fields.set_item("api_args", args)?;
    }
    fields.set_item("http_status", error.http_status())?;
    fields.set_item("retryable", error.is_retryable())?;
    fields.set_item("request", error.request())?;
    fields.set_item("attempts", error.attempts())?;
    fields.set_item("candidate_ids", PyTuple::new(py, error.candidate_ids())?)?;
    if error.kind() == core::ErrorKind::Local
        && let Some(number) = system_error(error)
    {
        fields.set_item("errno", number)?;
    }
    Ok(PyErr::from_value(
        class.call((error.message(),), Some(&fields))?,
    ))
}

/// The system's number of what failed, where the failure comes from the system.
fn system_error(error: &core::Error) -> Option<i32> {
    let source = std::error::Error::source(error)?;
    source.downcast_ref::<std::io::Error>()?.raw_os_error()
}

/// `?` from the core's results to Python's.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for core::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| to_pyerr(py, &error))
    }
}
