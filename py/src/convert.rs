//! Arguments as Python people write them, each converted by one rule and refused by its name: what is
//! of another type is a `TypeError`, what has no meaning a `ConfigError`. Values are never repeated.

use std::path::PathBuf;
use std::time::Duration;

use kaltura_app_token as core;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyString, PyType};

use crate::once::Once;
use crate::secret::Secret;

/// An argument that may be left out.
pub(crate) type Given<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// What an argument is converted to.
pub(crate) trait Argument: Sized {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self>;
}

/// An argument that may be left out; `None` counts as left out.
pub(crate) fn given<T: Argument>(name: &str, value: Given<'_, '_>) -> PyResult<Option<T>> {
    value
        .filter(|value| !value.is_none())
        .map(|value| T::read(name, value))
        .transpose()
}

/// The exception for a value that has no meaning.
pub(crate) fn config_error(py: Python<'_>, message: impl Into<String>) -> PyErr {
    static CLASS: Once<PyType> = Once::new();
    CLASS
        .class(py, "kaltura_app_token.errors", "ConfigError")
        .and_then(|class| class.call1((message.into(),)))
        .map_or_else(|error| error, PyErr::from_value)
}

pub(crate) fn wrong_type(name: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    // Without the value, which may be a secret.
    let found = value.get_type().name();
    let found = found.map_or_else(|_| "something else".to_owned(), |found| found.to_string());
    PyTypeError::new_err(format!("{name}: expected {expected}, not {found}"))
}

fn is_whole(value: &Bound<'_, PyAny>) -> bool {
    let is_number = value.is_instance_of::<PyInt>()
        || (value.hasattr("__index__").unwrap_or(false) && !value.is_instance_of::<PyType>());
    is_number && !value.is_instance_of::<PyBool>()
}

macro_rules! whole_numbers {
    ($($number:ty),*) => {$(
        impl Argument for $number {
            fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
                if !is_whole(value) {
                    return Err(wrong_type(name, "a whole number", value));
                }
                value.extract().map_err(|error: PyErr| {
                    let py = value.py();
                    if !error.is_instance_of::<PyOverflowError>(py) {
                        return error;
                    }
                    let (least, most) = (Self::MIN, Self::MAX);
                    config_error(py, format!("{name}: expected a whole number from {least} to {most}"))
                })
            }
        }
    )*};
}

whole_numbers!(u8, u16, u32, i64, usize);

impl Argument for bool {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let flag = value.cast::<PyBool>();
        flag.map(PyBoolMethods::is_true)
            .map_err(|_| wrong_type(name, "True or False", value))
    }
}

impl Argument for String {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let text = value
            .cast::<PyString>()
            .map_err(|_| wrong_type(name, "text", value))?;
        // Without Python's own error, which carries the text.
        let text = text.to_cow().map_err(|_| no_text(name, value.py()))?;
        Ok(text.into_owned())
    }
}

fn no_text(name: &str, py: Python<'_>) -> PyErr {
    config_error(
        py,
        format!("{name}: holds characters that are no text, such as half of a surrogate pair"),
    )
}

/// A file: text or a `Path`.
impl Argument for PathBuf {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = value.py();
        let text = py.import("os")?.call_method1("fspath", (value,));
        let text = text.map_err(|_| wrong_type(name, "the path of a file", value))?;
        text.extract().map_err(|error: PyErr| {
            if error.is_instance_of::<PyValueError>(py) {
                no_text(name, py)
            } else {
                wrong_type(name, "the path of a file", value)
            }
        })
    }
}

/// A credential: text or `Secret`.
impl Argument for core::Secret {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(secret) = value.cast::<Secret>() {
            return Ok(secret.get().0.clone());
        }
        if !value.is_instance_of::<PyString>() {
            return Err(wrong_type(name, "text or a Secret", value));
        }
        String::read(name, value).map(Self::new)
    }
}

/// A duration: seconds, or `timedelta`.
impl Argument for Duration {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let seconds = if is_whole(value) || value.is_instance_of::<PyFloat>() {
            value.extract::<f64>()
        } else if value.hasattr("total_seconds")? {
            value.call_method0("total_seconds")?.extract()
        } else {
            return Err(wrong_type(name, "seconds or a timedelta", value));
        };
        // What is larger than any float is not a duration either.
        let seconds = seconds.unwrap_or(f64::INFINITY);
        if !(0.0..=LONGEST).contains(&seconds) {
            return Err(config_error(
                value.py(),
                format!("{name}: expected a duration of 0 to {LONGEST} seconds"),
            ));
        }
        Ok(Self::from_secs_f64(seconds))
    }
}

/// Some 300,000 years: every sum of a moment and a few of these is a moment.
const LONGEST: f64 = 1e13;

/// An instant: unix seconds, or an aware `datetime`.
pub(crate) struct Instant(pub(crate) i64);

impl Argument for Instant {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if is_whole(value) {
            return i64::read(name, value).map(Self);
        }
        if value.hasattr("total_seconds")? {
            let expected = "an instant, which is unix seconds or an aware datetime,";
            return Err(wrong_type(name, expected, value));
        }
        if !value.hasattr("utcoffset")? || !value.hasattr("timestamp")? {
            let expected = "whole unix seconds or an aware datetime";
            return Err(wrong_type(name, expected, value));
        }
        if value.call_method0("utcoffset")?.is_none() {
            return Err(config_error(
                value.py(),
                format!(
                    "{name}: a datetime without a time zone is ambiguous: give it one, such as timezone.utc"
                ),
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

/// A part of something: a number.
impl Argument for f64 {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if !is_whole(value) && !value.is_instance_of::<PyFloat>() {
            return Err(wrong_type(name, "a number", value));
        }
        // What is larger than any float is no part of anything.
        Ok(value.extract().unwrap_or(f64::INFINITY))
    }
}

macro_rules! named_numbers {
    ($($kind:ty, $names:literal;)*) => {$(
        impl Argument for $kind {
            fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
                if value.is_instance_of::<PyString>() {
                    let text = String::read(name, value)?;
                    return text.parse().map_err(|error: core::Error| {
                        config_error(value.py(), format!("{name}: {}", error.message()))
                    });
                }
                if !is_whole(value) {
                    return Err(wrong_type(name, concat!("one of ", $names, " or the API's number"), value));
                }
                i64::read(name, value).map(Self::from)
            }
        }
    )*};
}

named_numbers! {
    core::SessionType, "USER, ADMIN";
    core::TokenStatus, "DISABLED, ACTIVE, DELETED";
}

/// A hash type by its name.
impl Argument for core::HashType {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        String::read(name, value).map(|text| Self::from(text.as_str()))
    }
}

/// A format of a KS by its number.
impl Argument for core::KsVersion {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if !is_whole(value) {
            return Err(wrong_type(name, "1 or 2", value));
        }
        match value.extract::<u8>() {
            Ok(1) => Ok(Self::V1),
            Ok(2) => Ok(Self::V2),
            _ => Err(config_error(value.py(), format!("{name}: expected 1 or 2"))),
        }
    }
}

/// Several of a kind: anything that can be walked over, but text.
impl<T: Argument> Argument for Vec<T> {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let is_one = value.is_instance_of::<PyString>()
            || value.is_instance_of::<PyBytes>()
            || value.is_instance_of::<PyByteArray>()
            || value.is_instance_of::<PyDict>();
        let walk = if is_one { None } else { value.try_iter().ok() };
        let walk = walk.ok_or_else(|| wrong_type(name, "a list", value))?;
        walk.enumerate()
            .map(|(at, item)| T::read(&format!("{name}[{at}]"), &item?))
            .collect()
    }
}

/// Privileges: their text, or a list of them.
pub(crate) struct PrivilegeText(pub(crate) String);

impl Argument for PrivilegeText {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if value.is_instance_of::<PyString>() {
            return String::read(name, value).map(Self);
        }
        let items = Vec::<String>::read(name, value).map_err(|error| {
            if error.is_instance_of::<PyTypeError>(value.py()) && value.try_iter().is_err() {
                wrong_type(name, "text or a list of texts", value)
            } else {
                error
            }
        })?;
        for (at, item) in items.iter().enumerate() {
            if item.trim().is_empty() || item.contains(',') {
                let fault = if item.contains(',') {
                    "holds a comma, which ends a privilege: make two of it"
                } else {
                    "is empty"
                };
                return Err(config_error(value.py(), format!("{name}[{at}]: {fault}")));
            }
        }
        Ok(Self(items.join(",")))
    }
}

/// One of a few words.
pub(crate) fn one_of<T: Copy>(
    name: &str,
    value: &Bound<'_, PyAny>,
    words: &[(T, &str)],
) -> PyResult<T> {
    let text = String::read(name, value)?;
    let found = words.iter().find(|(_, word)| *word == text);
    found.map(|(meaning, _)| *meaning).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(_, word)| format!("'{word}'")).collect();
        config_error(
            value.py(),
            format!("{name}: expected one of {}", words.join(", ")),
        )
    })
}

/// The `TypeError` for a keyword argument that does not exist.
pub(crate) fn unknown_argument(name: &str, known: &[&str]) -> PyErr {
    PyTypeError::new_err(format!(
        "got an unexpected keyword argument '{name}'; there are {}",
        known.join(", ")
    ))
}
