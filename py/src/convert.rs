//! Arguments as Python people write them: secrets as text or `Secret`, durations as seconds or
//! `timedelta`, instants as unix seconds or aware `datetime`. Refuses what is ambiguous.

use std::time::Duration;

use kaltura_app_token as core;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};

use crate::model::Secret;

/// A credential: text or `Secret`.
pub(crate) struct SecretArg(pub(crate) core::Secret);

impl<'a, 'py> FromPyObject<'a, 'py> for SecretArg {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(secret) = value.cast::<Secret>() {
            return Ok(Self(secret.get().0.clone()));
        }
        if let Ok(text) = value.cast::<PyString>() {
            // Without Python's own error, which carries the text.
            let text = text
                .to_cow()
                .map_err(|_| PyValueError::new_err("a secret holds characters that are no text"))?;
            return Ok(Self(core::Secret::new(text)));
        }
        // Without the value, which may be a secret of another type.
        Err(PyTypeError::new_err(format!(
            "expected str or Secret, not {}",
            value.get_type().name()?
        )))
    }
}

/// A duration: seconds, or `timedelta`.
pub(crate) struct DurationArg(pub(crate) Duration);

impl<'a, 'py> FromPyObject<'a, 'py> for DurationArg {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let is_number = (value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>())
            && !value.is_instance_of::<PyBool>();
        let seconds: f64 = if is_number {
            value.extract()?
        } else if value.hasattr("total_seconds")? {
            value.call_method0("total_seconds")?.extract()?
        } else {
            return Err(PyTypeError::new_err(format!(
                "expected seconds or a timedelta, not {}",
                value.get_type().name()?
            )));
        };
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| PyValueError::new_err(format!("{seconds} seconds is not a duration")))
    }
}

/// An instant: unix seconds, or an aware `datetime`.
pub(crate) struct InstantArg(pub(crate) i64);

impl<'a, 'py> FromPyObject<'a, 'py> for InstantArg {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
            return value.extract().map(Self);
        }
        if !value.hasattr("timestamp")? {
            return Err(PyTypeError::new_err(format!(
                "expected unix seconds or a datetime, not {}",
                value.get_type().name()?
            )));
        }
        if value.call_method0("utcoffset")?.is_none() {
            return Err(PyValueError::new_err(
                "a datetime without a time zone is ambiguous: give it one, such as timezone.utc",
            ));
        }
        let seconds: f64 = value.call_method0("timestamp")?.extract()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a datetime ends in the year 9999"
        )]
        Ok(Self(seconds.floor() as i64))
    }
}

/// A session type: `"USER"`, `"ADMIN"` or the API's number.
pub(crate) struct SessionTypeArg(pub(crate) core::SessionType);

impl<'a, 'py> FromPyObject<'a, 'py> for SessionTypeArg {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = value.cast::<PyString>() {
            let text = text.to_cow()?;
            return [core::SessionType::User, core::SessionType::Admin]
                .into_iter()
                .find(|known| known.to_string().eq_ignore_ascii_case(&text))
                .map(Self)
                .ok_or_else(|| {
                    PyValueError::new_err(format!(
                        "session type {text:?} is neither USER nor ADMIN"
                    ))
                });
        }
        value.extract::<i64>().map(|number| Self(number.into()))
    }
}

/// A hash type by its name.
pub(crate) fn hash_type(name: &str) -> core::HashType {
    core::HashType::from(name)
}

/// Unix seconds as an aware `datetime`, for the getters called `…_at`.
pub(crate) fn datetime(py: Python<'_>, unix: Option<i64>) -> PyResult<Option<Py<PyAny>>> {
    let Some(unix) = unix else { return Ok(None) };
    let datetime = py.import("datetime")?;
    let utc = datetime.getattr("timezone")?.getattr("utc")?;
    let at = datetime
        .getattr("datetime")?
        .call_method1("fromtimestamp", (unix, utc))?;
    Ok(Some(at.unbind()))
}
