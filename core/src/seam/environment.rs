//! The process's environment: the only place that reads it. What a variable means is not known here.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The value of a variable, however it is encoded; `None` when it is not set.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// The paths of a list, separated as the system separates those of `PATH`.
pub(crate) fn split_paths(list: &OsStr) -> impl Iterator<Item = PathBuf> {
    std::env::split_paths(list)
}
