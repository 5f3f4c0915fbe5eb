//! The process's environment: the only place that reads it. What a variable means is not known here.

use std::ffi::OsString;

/// The value of a variable, however it is encoded; `None` when it is not set.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
