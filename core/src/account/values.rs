//! How single values are read, wherever they stand.

use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// The text of a file, without the byte order mark that editors on Windows put first.
pub(super) fn read_text(file: File, limit: usize) -> std::io::Result<Zeroizing<String>> {
    use std::io::{Error, ErrorKind};
    // As large as it may become: growing would leave copies behind that are not wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        let what = format!("it is larger than {limit} bytes");
        return Err(Error::new(ErrorKind::FileTooLarge, what));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))?;
    Ok(Zeroizing::new(
        text.trim_start_matches('\u{feff}').to_owned(),
    ))
}

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
