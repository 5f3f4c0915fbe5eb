//! How a client reaches the server, as keyword arguments. What they mean is the core's to say.

use std::path::PathBuf;

use kaltura_app_token as core;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::convert::{DurationArg, SecretArg};
use crate::logging;

/// The options that every constructor takes, by name.
pub(crate) fn apply_options(
    mut builder: core::ClientBuilder,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<core::ClientBuilder> {
    let Some(options) = options else {
        return Ok(builder);
    };
    for (name, value) in options {
        let name: String = name.extract()?;
        if value.is_none() {
            continue;
        }
        let duration = || value.extract::<DurationArg>().map(|duration| duration.0);
        builder = match name.as_str() {
            "admin_session" => builder.admin_session(match value.extract::<String>()?.as_str() {
                "signed" => core::AdminSession::Signed(core::KsVersion::V2),
                "signed-v1" => core::AdminSession::Signed(core::KsVersion::V1),
                "started" => core::AdminSession::Started,
                _ => {
                    return Err(PyValueError::new_err(
                        "admin_session is neither 'signed', 'signed-v1' nor 'started'",
                    ));
                }
            }),
            "allow_http" => builder.allow_http(value.extract()?),
            "user_agent" => builder.user_agent(value.extract::<String>()?),
            "connect_timeout" => builder.connect_timeout(duration()?),
            "attempt_timeout" => builder.attempt_timeout(duration()?),
            "total_timeout" => builder.total_timeout(duration()?),
            "idle_timeout" => builder.idle_timeout(duration()?),
            "max_retries" => builder.max_retries(value.extract()?),
            "retry_backoff" => builder.retry_backoff(duration()?),
            "max_response_bytes" => builder.max_response_bytes(value.extract()?),
            "proxy" => builder.proxy(value.extract::<String>()?),
            "ca_file" => builder.ca_file(value.extract::<PathBuf>()?),
            "ca_pem" => builder.ca_pem(pem("ca_pem", &value)?),
            "client_certificate" => {
                let (chain, key) = value.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>().map_err(|_| {
                    PyTypeError::new_err(
                        "client_certificate: expected a pair, the certificate and its key in PEM",
                    )
                })?;
                builder.client_certificate(pem("client_certificate", &chain)?, key_pem(&key)?)
            }
            "on_event" => {
                let listener = logging::listener(&value)?;
                builder.on_event(listener)
            }
            "network_environment" => builder.network_environment(value.extract()?),
            _ => return Err(unknown_argument(&name)),
        };
    }
    Ok(builder)
}

/// PEM as text or bytes.
fn pem(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_cow()?.into_owned().into_bytes());
    }
    Err(PyTypeError::new_err(format!(
        "{name}: expected str or bytes, not {}",
        value.get_type().name()?
    )))
}

/// A private key, which no error shows.
fn key_pem(value: &Bound<'_, PyAny>) -> PyResult<core::Secret> {
    if let Ok(bytes) = value.cast::<PyBytes>()
        && let Ok(text) = std::str::from_utf8(bytes.as_bytes())
    {
        return Ok(core::Secret::new(text));
    }
    value.extract::<SecretArg>().map(|key| key.0)
}

pub(crate) fn unknown_argument(name: &str) -> PyErr {
    PyTypeError::new_err(format!("got an unexpected keyword argument {name:?}"))
}
