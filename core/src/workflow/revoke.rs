//! Deleting many tokens, in two steps: what would go, and then its going.

use futures_util::StreamExt;

use super::tokens::{DEFAULT_CONCURRENCY, all_tokens, delete};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::model::{AppToken, TokenFilter};

/// Which tokens are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationTarget {
    /// These.
    Ids(Vec<String>),
    /// Those that pass the filter.
    Filter(RevocationFilter),
}

/// Which tokens are to go. All that is set must hold; a filter with nothing set is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationFilter {
    /// Created before then, in unix seconds.
    pub created_before: Option<i64>,
    /// With exactly this description.
    pub description: Option<String>,
    /// Of this user; case does not matter.
    pub user_id: Option<String>,
}

/// What [`revoke`] would delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationPlan {
    /// The tokens, without their values.
    pub tokens: Vec<AppToken>,
    /// The ids that were asked for and are not there.
    pub missing: Vec<String>,
}

/// What became of one token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Revoked {
    /// Its id.
    pub id: String,
    /// Why it is still there; `None`: it is gone.
    pub error: Option<Error>,
}

/// Finds out which tokens would be deleted, and deletes none.
///
/// # Errors
/// `Config` for a target that names nothing; otherwise those of [`Client::list_tokens`].
pub async fn plan_revocation(client: &Client, target: &RevocationTarget) -> Result<RevocationPlan> {
    match target {
        RevocationTarget::Ids(ids) => by_ids(client, ids).await,
        RevocationTarget::Filter(filter) => {
            let tokens = by_filter(client, filter).await?;
            Ok(RevocationPlan {
                tokens,
                missing: Vec::new(),
            })
        }
    }
}

async fn by_ids(client: &Client, ids: &[String]) -> Result<RevocationPlan> {
    let mut wanted: Vec<&str> = Vec::new();
    for id in ids.iter().map(|id| id.trim()) {
        if id.is_empty() {
            return Err(Error::config("one of the ids is empty"));
        }
        if !wanted.contains(&id) {
            wanted.push(id);
        }
    }
    if wanted.is_empty() {
        return Err(Error::config("no id is given"));
    }
    let filter = TokenFilter {
        id_in: Some(wanted.iter().map(|id| (*id).to_owned()).collect()),
        ..TokenFilter::default()
    };
    let tokens = all_tokens(client, filter).await?;
    let missing = wanted
        .into_iter()
        .filter(|id| {
            let is_it = |token: &AppToken| token.id.eq_ignore_ascii_case(id);
            !tokens.iter().any(is_it)
        })
        .map(str::to_owned)
        .collect();
    Ok(RevocationPlan { tokens, missing })
}

async fn by_filter(client: &Client, wanted: &RevocationFilter) -> Result<Vec<AppToken>> {
    if *wanted == RevocationFilter::default() {
        return Err(Error::config(
            "the filter is empty: it would revoke every token of the account",
        ));
    }
    let filter = TokenFilter {
        created_at_less_than_or_equal: wanted.created_before.map(|before| before - 1),
        session_user_id_equal: wanted.user_id.clone(),
        ..TokenFilter::default()
    };
    let mut tokens = all_tokens(client, filter).await?;
    if let Some(description) = &wanted.description {
        tokens.retain(|token| token.description.as_deref().unwrap_or_default() == description);
    }
    Ok(tokens)
}

/// Deletes these tokens, a few at a time, and says of each in the same order what became of it; one
/// that is gone already counts as deleted. `progress` is called with each as it comes.
///
/// On the reference server the sessions minted from a token end with it.
pub async fn revoke<S: AsRef<str>>(
    client: &Client,
    ids: &[S],
    progress: &(dyn Fn(&Revoked) + Sync),
) -> Vec<Revoked> {
    let ids: Vec<String> = ids.iter().map(|id| id.as_ref().to_owned()).collect();
    let jobs = ids.into_iter().enumerate().map(|(at, id)| async move {
        let error = delete(client, &id).await.err();
        let revoked = Revoked { id, error };
        progress(&revoked);
        (at, revoked)
    });
    let mut revoked: Vec<_> = futures_util::stream::iter(jobs)
        .buffer_unordered(DEFAULT_CONCURRENCY)
        .collect()
        .await;
    revoked.sort_by_key(|(at, _)| *at);
    revoked.into_iter().map(|(_, revoked)| revoked).collect()
}
