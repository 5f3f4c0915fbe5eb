//! Finding a token by what it is for, or creating it.

use super::{all_tokens, privilege_set};
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
/// `Config` without a description, by which the token is found; otherwise those of
/// [`Client::list_tokens`] and [`Client::add_token`].
pub async fn ensure(client: &Client, wanted: &NewToken) -> Result<Ensured> {
    if wanted.description.as_deref().is_none_or(str::is_empty) {
        return Err(Error::config(
            "description: a token that is to be found again needs one",
        ));
    }
    // Refuses input that the server would misread, also when a token is found.
    client.preview_add(wanted)?;
    if let Some(found) = look(client, wanted, None).await? {
        return Ok(found);
    }
    let created = client.add_token(wanted).await?;
    let seen = look(client, wanted, Some(&created)).await;
    // The token exists: a second look that fails must not take it from whoever asked for it.
    let seen = seen.unwrap_or_else(|error| {
        log::warn!(
            "{} was created; its duplicates were not looked for: {error}",
            created.id
        );
        None
    });
    Ok(seen.unwrap_or(Ensured {
        token: created,
        created: true,
        duplicates: Vec::new(),
    }))
}

async fn look(
    client: &Client,
    wanted: &NewToken,
    created: Option<&AppToken>,
) -> Result<Option<Ensured>> {
    let user_id = wanted.session_user_id.clone();
    let filter = TokenFilter {
        // The server ignores an empty one.
        session_user_id_equal: user_id.filter(|user_id| !user_id.is_empty()),
        ..TokenFilter::default()
    };
    let now = client.server_now();
    let mut alike: Vec<AppToken> = all_tokens(client, filter)
        .await?
        .into_iter()
        .filter(|token| is_what_is_wanted(token, wanted, now))
        .collect();
    alike.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    let duplicates = alike.iter().skip(1).map(|token| token.id.clone()).collect();
    let Some(first) = alike.into_iter().next() else {
        return Ok(None);
    };
    let created = created.filter(|created| created.id == first.id);
    Ok(Some(Ensured {
        created: created.is_some(),
        token: created.cloned().unwrap_or(first),
        duplicates,
    }))
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
