//! How a client reaches the server, as keyword arguments. What they mean is the core's to say.

use std::path::PathBuf;

use kaltura_app_token as core;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::DurationArg;

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
            "network_environment" => builder.network_environment(value.extract()?),
            _ => return Err(unknown_argument(&name)),
        };
    }
    Ok(builder)
}

pub(crate) fn unknown_argument(name: &str) -> PyErr {
    PyTypeError::new_err(format!("got an unexpected keyword argument {name:?}"))
}
