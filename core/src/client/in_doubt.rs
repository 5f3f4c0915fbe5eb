//! Which listed tokens may be the one whose creation is in doubt. Over a function that gives a page;
//! knows neither a client nor how pages are fetched.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{AppToken, ListOptions, NewToken, TokenFilter, TokenOrder, TokenPage};

/// How far before our own idea of the time a token in doubt may have been created.
const LOOK_BACK_SECONDS: i64 = 5;
const LOOK_BACK_UNKNOWN_CLOCK_SECONDS: i64 = 600;

/// Adds to a creation in doubt the ids of tokens that may be the one, as `to_show` writes them.
///
/// `asked_at` is the earliest that the server's clock may have said when the request was sent, in unix
/// seconds; without having heard from the server, it may be far off.
pub(crate) async fn look_for_it(
    error: Error,
    token: &NewToken,
    asked_at: i64,
    server_has_told_its_time: bool,
    page: impl AsyncFnOnce(ListOptions) -> Result<TokenPage>,
    to_show: impl Fn(&str) -> String,
) -> Error {
    let Some(cause) = error.cause() else {
        return error;
    };
    // A caller that has cancelled, or closed the client, waits for nothing more.
    if matches!(cause.kind(), ErrorKind::Cancelled | ErrorKind::Closed) {
        return error;
    }
    let look_back = if server_has_told_its_time {
        LOOK_BACK_SECONDS
    } else {
        LOOK_BACK_UNKNOWN_CLOCK_SECONDS
    };
    let options = ListOptions {
        filter: TokenFilter {
            created_at_greater_than_or_equal: Some(asked_at - look_back),
            order_by: Some(TokenOrder::CreatedAtDescending),
            ..TokenFilter::default()
        },
        ..ListOptions::default()
    };
    match page(options).await {
        Ok(page) => {
            let alike = page
                .tokens
                .iter()
                .filter(|listed| matches_request(listed, token));
            let ids = alike.map(|listed| to_show(&listed.id)).collect();
            Error::outcome_unknown(cause, ids, true)
        }
        Err(_) => error,
    }
}

/// Whether a listed token has everything that was asked for a new one.
fn matches_request(listed: &AppToken, asked: &NewToken) -> bool {
    fn same<T: PartialEq>(listed: Option<&T>, asked: Option<&T>) -> bool {
        asked.is_none() || listed == asked
    }
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).ok();
    listed.description.as_deref().unwrap_or_default()
        == asked.description.as_deref().unwrap_or_default()
        && listed.session_privileges.as_deref().unwrap_or_default()
            == asked.session_privileges.as_deref().unwrap_or_default()
        && same(
            listed.session_user_id.as_ref(),
            asked.session_user_id.as_ref(),
        )
        && same(listed.hash_type.as_ref(), asked.hash_type.as_ref())
        && same(listed.session_type.as_ref(), asked.session_type.as_ref())
        && same(listed.expiry.as_ref(), asked.expiry.as_ref())
        && asked
            .session_duration
            .is_none_or(|duration| listed.session_duration == seconds(duration))
}
