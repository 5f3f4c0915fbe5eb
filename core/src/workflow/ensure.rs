//! Finding a token by what it is for, or creating it.

use super::rotate::privilege_set;
use super::tokens::all_tokens;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::model::{AppToken, HashType, NewToken, TokenFilter, TokenStatus};

/// What [`ensure`] found or made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ensured {
    /// The token. Its value is there when it was created now; of one that was found,
    /// [`Client::get_token`] answers it.
    pub token: AppToken,
    /// Whether it was created now.
    pub created: bool,
    /// The ids of other tokens that are just like it.
    pub duplicates: Vec<String>,
}

/// The token with this description, user and exactly these properties: the oldest one that works, or a
/// new one.
///
/// An unset session duration matches any, because the server writes its account's maximum in its place;
/// the order of privileges does not matter. The expiry is an instant: give the same one each time.
///
/// The server has no lock: two processes that ask at the same moment can both create a token. The
/// second look that follows a creation makes both settle on the older one and report the other among
/// the duplicates.
///
/// # Errors
/// `Config` without a description, by which the token is found, and for what the server would not store
/// as it is; otherwise those of [`Client::list_tokens`] and [`Client::add_token`].
pub async fn ensure(client: &Client, wanted: &NewToken) -> Result<Ensured> {
    if wanted.description.as_deref().is_none_or(str::is_empty) {
        return Err(Error::config(
            "description: a token that is to be found again needs one",
        ));
    }
    // Refuses input that the server would misread or cut, also when a token is found.
    client.preview_add(wanted)?;
    if let Some(found) = settle(look(client, wanted).await?, None) {
        return Ok(found);
    }
    let created = client.add_token(wanted).await?;
    // It is there and must be named, whatever becomes of this second look.
    let id = &created.id;
    let mut alike = look(client, wanted).await.unwrap_or_else(|error| {
        log::warn!("token {id} is created; whether others are just like it is unknown: {error}");
        vec![created.clone()]
    });
    if let Some(listed) = alike.iter_mut().find(|token| token.id == *id) {
        listed.token.clone_from(&created.token);
    } else {
        log::warn!("the server stored token {id} otherwise than asked: it is not found again");
        alike.push(created.clone());
    }
    let settled = settle(alike, Some(id));
    Ok(settled.unwrap_or(Ensured {
        token: created,
        created: true,
        duplicates: Vec::new(),
    }))
}

/// The tokens that work and are what is wanted.
async fn look(client: &Client, wanted: &NewToken) -> Result<Vec<AppToken>> {
    // The server ignores an empty one, and finds nobody by 0, which is nothing to it.
    let user_id = wanted.session_user_id.clone();
    let filter = TokenFilter {
        session_user_id_equal: user_id.filter(|user_id| !matches!(user_id.as_str(), "" | "0")),
        ..TokenFilter::default()
    };
    let now = client.server_now();
    let mut tokens = all_tokens(client, filter).await?;
    tokens.retain(|token| is_what_is_wanted(token, wanted, now));
    Ok(tokens)
}

/// The oldest of these, and the others as its duplicates.
fn settle(mut alike: Vec<AppToken>, created: Option<&str>) -> Option<Ensured> {
    alike.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    let mut alike = alike.into_iter();
    let token = alike.next()?;
    Some(Ensured {
        created: created == Some(token.id.as_str()),
        token,
        duplicates: alike.map(|token| token.id).collect(),
    })
}

fn is_what_is_wanted(token: &AppToken, wanted: &NewToken, now: i64) -> bool {
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    let privileges = |text: Option<&String>| privilege_set(text.map_or("", String::as_str));
    let duration = wanted
        .session_duration
        .map(|duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX));
    token
        .status
        .is_none_or(|status| status == TokenStatus::Active)
        // Its sessions would be dead at birth.
        && token.session_duration.is_none_or(|seconds| seconds > 0)
        && token.expiry == wanted.expiry
        && token.expiry.is_none_or(|expiry| expiry > now)
        && text(token.description.as_ref()) == text(wanted.description.as_ref())
        && token.session_user_id == wanted.session_user_id
        && token.session_type == wanted.session_type
        // The server's own choice.
        && token.hash_type.as_ref().unwrap_or(&HashType::Sha1)
            == wanted.hash_type.as_ref().unwrap_or(&HashType::Sha1)
        && (duration.is_none() || token.session_duration == duration)
        && privileges(token.session_privileges.as_ref())
            == privileges(wanted.session_privileges.as_ref())
}
