//! Whether a new token does what the old one does, shown by exchanging both. Knows neither the journal nor
//! the rotator.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::model::{AppToken, HashType, Session, SessionRequest, SessionType};
use crate::privileges::Privileges;
use crate::secret::Secret;
use crate::workflow::tokens::is_not_found;

/// A real exchange of the new token, and a comparison of what it gives with what the old one gives.
pub(super) async fn prove(client: &Client, old_id: &str, new: &AppToken) -> Result<()> {
    let session = exchange(client, new).await?;
    let old = match client.get_token(old_id).await {
        Err(error) if is_not_found(&error) => return Ok(()),
        old => old?,
    };
    let given = effective(client, session).await?;
    let expected = match exchange(client, &old).await {
        // What cannot be exchanged any more is held against what is written on it.
        Err(error) if error.kind() == ErrorKind::Api && !error.is_retryable() => {
            given.as_ref().map(|given| Effective {
                privileges: privilege_set(old.session_privileges.as_deref().unwrap_or_default()),
                ..given.clone()
            })
        }
        session => effective(client, session?).await?,
    };
    let (new_id, old_id) = (&new.id, old_id);
    let (why, hint) = match (given, expected) {
        (Some(given), Some(expected)) if given == expected => return Ok(()),
        (Some(given), Some(expected)) => (
            format!("the server's new token {new_id} gives {given}, but {old_id} gives {expected}"),
            Hint::CompareTokens,
        ),
        _ => (
            format!(
                "the server does not say what sessions of {new_id} and {old_id} may do, neither \
                 when they are started nor when asked"
            ),
            Hint::RotateByHand,
        ),
    };
    Err(Error::new(
        ErrorKind::Unproved,
        format!("not proved, and {old_id} stays as it is: {why}"),
    )
    .with_hint(hint))
}

/// What a session gives: what was said when it was started, else what the server says when it is asked,
/// else what the session itself says to whoever has the admin secret. `None` where none of them tells.
async fn effective(client: &Client, session: Session) -> Result<Option<Effective>> {
    let said = session.privileges.as_deref();
    if let Some(known) = Effective::read(said, session.session_type, session.user_id) {
        return Ok(Some(known));
    }
    let asked = client.session_info(Some(&session.ks)).await;
    if let Ok(info) = &asked {
        let said = info.privileges.as_deref();
        if let Some(known) = Effective::read(said, info.session_type, info.user_id.clone()) {
            return Ok(Some(known));
        }
    }
    if let Some(info) = client.opened(&session.ks) {
        let said = info.privileges.as_deref();
        return Ok(Effective::read(said, info.session_type, info.user_id));
    }
    match asked {
        // The next answer may be another one.
        Err(error) if error.kind() != ErrorKind::Api || error.is_retryable() => Err(error),
        _ => Ok(None),
    }
}

pub(super) async fn exchange(client: &Client, token: &AppToken) -> Result<Session> {
    let value = value_of(token)?;
    let hash_type = token.hash_type.clone().unwrap_or(HashType::Sha1);
    let request = SessionRequest::new(&token.id, value).hash_type(hash_type);
    client.start_session(&request).await
}

pub(super) fn value_of(token: &AppToken) -> Result<Secret> {
    let value = token.token.as_ref().filter(|value| !value.is_empty());
    value.cloned().ok_or_else(|| {
        Error::new(
            ErrorKind::Unproved,
            format!("the server does not show the value of token {}", token.id),
        )
    })
}

/// Whether the same proof would fail the same way again.
pub(super) fn is_final(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Api => !error.is_retryable() && !is_not_found(error),
        ErrorKind::Unproved => true,
        _ => false,
    }
}

/// What a token gives to whoever exchanges it.
#[derive(Clone, PartialEq)]
struct Effective {
    privileges: PrivilegeSet,
    session_type: SessionType,
    user_id: Option<String>,
}

impl Effective {
    fn read(
        privileges: Option<&str>,
        session_type: Option<SessionType>,
        user_id: Option<String>,
    ) -> Option<Self> {
        Some(Self {
            privileges: privilege_set(privileges?),
            session_type: session_type?,
            user_id: user_id.filter(|user_id| !user_id.is_empty()),
        })
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "type {}, user {:?}, privileges {:?}",
            self.session_type.value(),
            self.user_id.as_deref().unwrap_or_default(),
            self.privileges
        )
    }
}

pub(in crate::workflow) type PrivilegeSet = BTreeMap<String, BTreeSet<String>>;

/// Privileges without order, and without those that name the token itself.
pub(in crate::workflow) fn privilege_set(text: &str) -> PrivilegeSet {
    Privileges::parse(text)
        .iter()
        .filter(|(name, values)| {
            let is_empty = name.is_empty() && values.is_empty();
            !is_empty && !matches!(*name, "sessionid" | "apptoken")
        })
        .map(|(name, values)| (name.to_owned(), values.iter().cloned().collect()))
        .collect()
}
