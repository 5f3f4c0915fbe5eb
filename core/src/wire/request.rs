//! How what is asked for is written into a form, and what is refused because the server would read or
//! store something else.

use std::time::Duration;

use super::form::Form;
use crate::error::{Error, Hint, Result};
use crate::model::{Change, HashType, NewToken, Pager, SessionType, TokenFilter, TokenUpdate};
use crate::privileges;

/// A time field within this of zero is taken by the server as relative to now (ten years; transcripts
/// `appToken.add/expiry_relative_3600`, `…/expiry_max_relative_315360000`).
const RELATIVE_TIME_LIMIT: u64 = 315_360_000;

/// The server's times are of 32 bits, and a later one is stored as this (seen against the reference
/// server: `add` echoes the number, reads give the limit).
const LATEST_UNIX_TIME: i64 = i32::MAX as i64;
/// Users are stored and compared by this many characters.
const LONGEST_USER_ID: usize = 100;
/// Privileges are stored up to this many bytes, while `add` echoes them whole.
const MOST_PRIVILEGE_BYTES: usize = 65_535;
/// A description shares its column with more: 60,000 bytes were stored by the reference server, 65,000
/// were not.
const MOST_DESCRIPTION_BYTES: usize = 60_000;

/// A duration as whole seconds. Zero is refused: the server does not read it as "default".
pub(crate) fn seconds(field: &str, duration: Duration) -> Result<String> {
    match (duration.as_secs(), duration.subsec_nanos()) {
        (0, 0) => Err(Error::config(format!(
            "{field}: 0 seconds would give sessions that are dead at birth; leave it out for the \
             default"
        ))),
        (_, 1..) => Err(Error::config(format!("{field}: whole seconds only"))),
        (seconds, 0) if seconds > i32::MAX as u64 => Err(Error::config(format!(
            "{field}: {seconds} seconds are too many"
        ))),
        (seconds, 0) => Ok(seconds.to_string()),
    }
}

/// An instant that the server will read as the instant it is.
pub(crate) fn instant(field: &str, unix: i64) -> Result<String> {
    if unix.unsigned_abs() <= RELATIVE_TIME_LIMIT {
        let advice = if unix == 0 {
            "the server reads 0 as now; leave it out for never"
        } else {
            "the server would read so small a number as seconds from now"
        };
        return Err(Error::config(format!(
            "{field}: {unix} is not a time in unix seconds: {advice}"
        )));
    }
    Ok(unix.to_string())
}

fn future_instant(field: &str, unix: i64, now_unix: i64) -> Result<String> {
    let text = instant(field, unix)?;
    if unix <= now_unix {
        return Err(Error::config(format!(
            "{field}: {unix} is {} seconds in the past; give a later time in unix seconds, or leave \
             it out for never",
            i128::from(now_unix) - i128::from(unix)
        )));
    }
    if unix > LATEST_UNIX_TIME {
        return Err(Error::config(format!(
            "{field}: {unix} is later than {LATEST_UNIX_TIME}, the latest time that the server \
             stores; leave it out for never"
        )));
    }
    Ok(text)
}

/// Refuses what the server would cut: the token would have another user than was asked for, and would
/// not be found by what was asked for.
fn user_to_write(field: &str, user_id: &str) -> Result<String> {
    match user_id.chars().count() {
        ..=LONGEST_USER_ID => Ok(user_id.to_owned()),
        length => Err(Error::config(format!(
            "{field}: it has {length} characters, and the server keeps {LONGEST_USER_ID} of them"
        ))),
    }
}

fn text_to_write(field: &str, text: &str, most_bytes: usize) -> Result<String> {
    let length = text.len();
    if length > most_bytes {
        return Err(Error::config(format!(
            "{field}: it has {length} bytes, and the server is known to keep {most_bytes} of them"
        )));
    }
    Ok(text.to_owned())
}

fn hash_type_to_write(hash_type: &HashType) -> Result<String> {
    match hash_type {
        HashType::Other(name) => Err(Error::config(format!(
            "hashType: {name:?} is not one of MD5, SHA1, SHA256, SHA512"
        ))),
        known => Ok(known.as_str().to_owned()),
    }
}

fn session_type_to_write(session_type: SessionType) -> Result<String> {
    match session_type {
        SessionType::Other(value) => Err(Error::config(format!(
            "sessionType: {value} is neither 0 (USER) nor 2 (ADMIN)"
        ))),
        known => Ok(known.value().to_string()),
    }
}

fn privileges_to_write(text: &str) -> Result<String> {
    privileges::refuse_ks_fields("sessionPrivileges", text)?;
    text_to_write("sessionPrivileges", text, MOST_PRIVILEGE_BYTES)
}

/// A token's id as it is sent: without the blanks around it.
pub(crate) fn check_id(id: &str) -> Result<&str> {
    let id = id.trim();
    if id.is_empty() {
        return Err(Error::config("the token's id is empty"));
    }
    Ok(id)
}

/// Writes the fields of a new token; `now_unix` is the server's time.
pub(crate) fn push_new_token(form: &mut Form, token: &NewToken, now_unix: i64) -> Result<()> {
    form.push("appToken[objectType]", "KalturaAppToken");
    if let Some(hash_type) = &token.hash_type {
        form.push("appToken[hashType]", hash_type_to_write(hash_type)?);
    }
    if let Some(session_type) = token.session_type {
        form.push(
            "appToken[sessionType]",
            session_type_to_write(session_type)?,
        );
    }
    if let Some(duration) = token.session_duration {
        form.push(
            "appToken[sessionDuration]",
            seconds("sessionDuration", duration)?,
        );
    }
    if let Some(privileges) = &token.session_privileges {
        form.push(
            "appToken[sessionPrivileges]",
            privileges_to_write(privileges)?,
        );
    }
    if let Some(user_id) = &token.session_user_id {
        form.push(
            "appToken[sessionUserId]",
            user_to_write("sessionUserId", user_id)?,
        );
    }
    if let Some(description) = &token.description {
        form.push(
            "appToken[description]",
            text_to_write("description", description, MOST_DESCRIPTION_BYTES)?,
        );
    }
    if let Some(expiry) = token.expiry {
        form.push(
            "appToken[expiry]",
            future_instant("expiry", expiry, now_unix)?,
        );
    }
    Ok(())
}

/// Writes the changed fields of a token; `now_unix` is the server's time.
pub(crate) fn push_token_update(
    form: &mut Form,
    update: &TokenUpdate,
    now_unix: i64,
) -> Result<()> {
    if update.is_empty() {
        return Err(Error::config(
            "the update changes nothing: name at least one field",
        ));
    }
    form.push("appToken[objectType]", "KalturaAppToken");
    let mut write = |name: &str, change: Change<String>| match change {
        Change::Keep => {}
        // An empty string is a value to the server; null is spelled so (transcript
        // appToken.update/description__null).
        Change::Clear => form.push(format!("appToken[{name}__null]"), ""),
        Change::Set(text) => form.push(format!("appToken[{name}]"), text),
    };
    write("hashType", update.hash_type.try_map(hash_type_to_write)?);
    write(
        "sessionType",
        update.session_type.try_map(|t| session_type_to_write(*t))?,
    );
    write(
        "sessionDuration",
        update
            .session_duration
            .try_map(|d| seconds("sessionDuration", *d))?,
    );
    write(
        "sessionPrivileges",
        update
            .session_privileges
            .try_map(|text| privileges_to_write(text))?,
    );
    write(
        "sessionUserId",
        update
            .session_user_id
            .try_map(|id| user_to_write("sessionUserId", id))?,
    );
    write(
        "description",
        update
            .description
            .try_map(|text| text_to_write("description", text, MOST_DESCRIPTION_BYTES))?,
    );
    write(
        "expiry",
        update
            .expiry
            .try_map(|t| future_instant("expiry", *t, now_unix))?,
    );
    Ok(())
}

impl<T> Change<T> {
    fn try_map(&self, write: impl FnOnce(&T) -> Result<String>) -> Result<Change<String>> {
        Ok(match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(value) => Change::Set(write(value)?),
        })
    }
}

/// The server takes so many ids of a filter, and drops the others without a word.
pub(crate) const MAX_FILTER_IDS: usize = 500;

/// Writes the part of a filter that the server has.
pub(crate) fn push_filter(form: &mut Form, filter: &TokenFilter) -> Result<()> {
    // The server ignores a filter that is an empty string, and would list everything.
    let not_empty = |field: &str, text: &str| {
        if text.is_empty() {
            Err(Error::config(format!(
                "{field}: the server ignores an empty filter; leave it out"
            )))
        } else {
            Ok(text.to_owned())
        }
    };
    if let Some(id) = &filter.id_equal {
        form.push("filter[idEqual]", not_empty("idEqual", id)?);
    }
    if let Some(ids) = &filter.id_in {
        if ids.len() > MAX_FILTER_IDS {
            return Err(Error::config(format!(
                "idIn: {} ids are more than the {MAX_FILTER_IDS} that the server takes at once",
                ids.len()
            ))
            .with_hint(Hint::WalkInstead));
        }
        let ids: Vec<&str> = ids.iter().map(|id| id.trim()).collect();
        form.push("filter[idIn]", not_empty("idIn", &ids.join(","))?);
    }
    form.push_some(
        "filter[statusEqual]",
        filter.status_equal.map(|s| s.value().to_string()),
    );
    if let Some(statuses) = &filter.status_in {
        let statuses: Vec<String> = statuses.iter().map(|s| s.value().to_string()).collect();
        form.push(
            "filter[statusIn]",
            not_empty("statusIn", &statuses.join(","))?,
        );
    }
    for (name, bound) in [
        (
            "createdAtGreaterThanOrEqual",
            filter.created_at_greater_than_or_equal,
        ),
        (
            "createdAtLessThanOrEqual",
            filter.created_at_less_than_or_equal,
        ),
        (
            "updatedAtGreaterThanOrEqual",
            filter.updated_at_greater_than_or_equal,
        ),
        (
            "updatedAtLessThanOrEqual",
            filter.updated_at_less_than_or_equal,
        ),
    ] {
        let Some(unix) = bound else { continue };
        if unix > LATEST_UNIX_TIME && name.ends_with("GreaterThanOrEqual") {
            return Err(Error::config(format!(
                "{name}: {unix} is later than {LATEST_UNIX_TIME}, the latest time that the server \
                 stores: no token matches"
            )));
        }
        form.push(format!("filter[{name}]"), instant(name, unix)?);
    }
    if let Some(user_id) = &filter.session_user_id_equal {
        let name = "sessionUserIdEqual";
        not_empty(name, user_id)?;
        if user_id == "0" {
            return Err(Error::config(format!(
                "{name}: the server takes the user id 0 for none, and finds no token by it"
            )));
        }
        form.push("filter[sessionUserIdEqual]", user_to_write(name, user_id)?);
    }
    form.push_some(
        "filter[orderBy]",
        filter.order_by.map(crate::model::TokenOrder::as_str),
    );
    Ok(())
}

/// Writes the place of a page.
pub(crate) fn push_pager(form: &mut Form, pager: Pager) -> Result<()> {
    if pager.page_size == 0 || pager.page_size > Pager::MAX_PAGE_SIZE {
        return Err(Error::config(format!(
            "pageSize: {} is not within 1 to {}",
            pager.page_size,
            Pager::MAX_PAGE_SIZE
        )));
    }
    if pager.page_index == 0 {
        return Err(Error::config("pageIndex: pages are counted from 1"));
    }
    form.push("pager[pageSize]", pager.page_size.to_string());
    form.push("pager[pageIndex]", pager.page_index.to_string());
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn filtered(narrow: impl FnOnce(&mut TokenFilter)) -> Result<()> {
        let mut filter = TokenFilter::default();
        narrow(&mut filter);
        push_filter(&mut Form::new(), &filter)
    }

    #[test]
    fn every_number_that_is_no_time_is_refused_to_the_last() {
        for unix in [0, -1, 315_360_000, -315_360_000] {
            let error = instant("expiry", unix).unwrap_err();
            assert!(error.message().contains("not a time"), "{error}");
        }
        for unix in [i64::MIN, i64::MAX] {
            assert_eq!(instant("expiry", unix).unwrap(), unix.to_string());
        }
    }

    #[test]
    fn a_new_time_is_one_that_the_server_stores() {
        let now = 1_700_000_000;
        assert!(future_instant("expiry", LATEST_UNIX_TIME, now).is_ok());
        for unix in [LATEST_UNIX_TIME + 1, i64::MAX] {
            let error = future_instant("expiry", unix, now).unwrap_err();
            assert!(error.message().contains("2147483647"), "{error}");
        }
        for unix in [i64::MIN, now] {
            let error = future_instant("expiry", unix, now).unwrap_err();
            assert!(error.message().contains("in the past"), "{error}");
        }
    }

    #[test]
    fn a_filter_that_no_stored_token_can_match_is_refused_with_the_limit_named() {
        let later = LATEST_UNIX_TIME + 1;
        for (limit, result) in [
            (
                "100",
                filtered(|f| f.session_user_id_equal = Some("ü".repeat(101))),
            ),
            (
                "user id 0",
                filtered(|f| f.session_user_id_equal = Some("0".into())),
            ),
            (
                "2147483647",
                filtered(|f| f.created_at_greater_than_or_equal = Some(later)),
            ),
            (
                "2147483647",
                filtered(|f| f.updated_at_greater_than_or_equal = Some(later)),
            ),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(limit), "{error}");
        }
        assert!(filtered(|f| f.session_user_id_equal = Some("ü".repeat(100))).is_ok());
        assert!(filtered(|f| f.created_at_less_than_or_equal = Some(later)).is_ok());
    }
}
