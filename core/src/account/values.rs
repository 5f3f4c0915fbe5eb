//! How single values are read, wherever they stand.

use std::time::Duration;

use crate::error::{Error, Result};

/// Reads a partner id, naming where it stood when it is none.
pub(crate) fn parse_partner_id(named: &str, text: &str) -> Result<i64> {
    text.parse()
        .ok()
        .filter(|id| *id > 0)
        // Not quoted: what stands there instead may be a secret that was pasted into the wrong place.
        .ok_or_else(|| {
            Error::config(format!(
                "{named} is not a partner id, a whole number such as 123456"
            ))
        })
}

pub(super) fn parse_seconds(named: &str, text: &str) -> Result<Duration> {
    text.parse()
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(|| Error::config(format!("{named} is not a number of seconds above 0")))
}
