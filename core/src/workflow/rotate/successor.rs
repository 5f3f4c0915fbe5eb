//! The token that is asked for in place of an old one, and the mark by which it is found again.

use std::time::Duration;

use super::journal::JournalEntry;
use crate::error::{Error, Hint, Result};
use crate::model::{AppToken, HashType, NewToken, TokenStatus};
use crate::seam::random;

/// The token that replaces this one.
pub(super) fn successor(old: &AppToken, entry: &JournalEntry) -> Result<NewToken> {
    if old
        .status
        .is_some_and(|status| status != TokenStatus::Active)
    {
        return Err(Error::config(format!(
            "token {} is disabled, and its successor would not be",
            old.id
        )));
    }
    let mut new = NewToken::new()
        .hash_type(match &entry.hash_type {
            Some(hash_type) => Some(HashType::from(hash_type.as_str())),
            None => old.hash_type.clone(),
        })
        .session_type(old.session_type)
        .description(marked(
            old.description.as_deref().unwrap_or_default(),
            &entry.rotation,
        ));
    if let Some(seconds) = old.session_duration {
        if seconds <= 0 {
            return Err(Error::config(format!(
                "token {} has a session duration of {seconds}: its sessions are dead at birth, and \
                 its successor's would be",
                old.id
            ))
            .with_hint(Hint::DurationFirst));
        }
        new = new.session_duration(Duration::from_secs(seconds.unsigned_abs()));
    }
    if let Some(privileges) = &old.session_privileges {
        new = new.session_privileges(privileges);
    }
    if let Some(user_id) = &old.session_user_id {
        new = new.session_user_id(user_id);
    }
    if let Some(expiry) = entry.expiry.or(old.expiry) {
        new = new.expiry(expiry);
    }
    Ok(new)
}

pub(super) fn marked(description: &str, mark: &str) -> String {
    let space = if description.is_empty() { "" } else { " " };
    format!("{description}{space}[rotation {mark}]")
}

pub(super) fn new_mark() -> Result<String> {
    Ok(hex::encode(random::bytes::<8>()?))
}
