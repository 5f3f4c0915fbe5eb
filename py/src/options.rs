//! How a client reaches the server, as keyword arguments. What they mean is the core's to say.

use std::path::PathBuf;

use kaltura_app_token as core;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::convert::{Argument, config_error, one_of, unknown_argument, wrong_type};
use crate::logging;

const KNOWN: &[&str] = &[
    "admin_session",
    "allow_http",
    "user_agent",
    "connect_timeout",
    "attempt_timeout",
    "total_timeout",
    "idle_timeout",
    "max_retries",
    "retry_backoff",
    "max_response_bytes",
    "proxy",
    "ca_file",
    "ca_pem",
    "client_certificate",
    "on_event",
    "network_environment",
];

const ADMIN_SESSIONS: &[(core::AdminSession, &str)] = &[
    (core::AdminSession::Signed(core::KsVersion::V2), "signed"),
    (core::AdminSession::Signed(core::KsVersion::V1), "signed-v1"),
    (core::AdminSession::Started, "started"),
];

/// One argument by its own name.
struct Named<'a, 'py>(&'a str, Bound<'py, PyAny>);

impl Named<'_, '_> {
    fn read<T: Argument>(&self) -> PyResult<T> {
        T::read(self.0, &self.1)
    }
}

/// The options that every constructor takes, by name.
pub(crate) fn apply_options(
    mut builder: core::ClientBuilder,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<core::ClientBuilder> {
    for (name, value) in options.into_iter().flatten() {
        let name: String = name.extract()?;
        if value.is_none() && KNOWN.contains(&name.as_str()) {
            continue;
        }
        let value = Named(&name, value);
        builder = match name.as_str() {
            "admin_session" => builder.admin_session(one_of(&name, &value.1, ADMIN_SESSIONS)?),
            "allow_http" => builder.allow_http(value.read()?),
            "user_agent" => builder.user_agent(value.read::<String>()?),
            "connect_timeout" => builder.connect_timeout(value.read()?),
            "attempt_timeout" => builder.attempt_timeout(value.read()?),
            "total_timeout" => builder.total_timeout(value.read()?),
            "idle_timeout" => builder.idle_timeout(value.read()?),
            "max_retries" => builder.max_retries(value.read()?),
            "retry_backoff" => builder.retry_backoff(value.read()?),
            "max_response_bytes" => builder.max_response_bytes(value.read()?),
            "proxy" => builder.proxy(value.read::<String>()?),
            "ca_file" => builder.ca_file(value.read::<PathBuf>()?),
            "ca_pem" => builder.ca_pem(pem(&name, &value.1)?),
            "client_certificate" => {
                let (chain, key) = pair(&name, &value.1)?;
                builder.client_certificate(pem(&name, &chain)?, key_pem(&name, &key)?)
            }
            "on_event" => builder.on_event(logging::listener(&value.1)?),
            "network_environment" => builder.network_environment(value.read()?),
            _ => return Err(unknown_argument(&name, KNOWN)),
        };
    }
    Ok(builder)
}

/// A certificate and its key.
fn pair<'py>(
    name: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    value
        .extract()
        .map_err(|_| wrong_type(name, "a pair, the certificate and its key in PEM", value))
}

/// PEM as text or bytes.
fn pem(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return match std::str::from_utf8(bytes.as_bytes()) {
            Ok(text) => Ok(text.as_bytes().to_vec()),
            Err(_) => Err(config_error(
                value.py(),
                format!("{name}: expected PEM, which is text"),
            )),
        };
    }
    if value.is_instance_of::<PyString>() {
        return String::read(name, value).map(String::into_bytes);
    }
    Err(wrong_type(name, "PEM as text or bytes", value))
}

/// A private key, which no error shows.
fn key_pem(name: &str, value: &Bound<'_, PyAny>) -> PyResult<core::Secret> {
    if let Ok(bytes) = value.cast::<PyBytes>()
        && let Ok(text) = std::str::from_utf8(bytes.as_bytes())
    {
        return Ok(core::Secret::new(text));
    }
    core::Secret::read(name, value)
}
