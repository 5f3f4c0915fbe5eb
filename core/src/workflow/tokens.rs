//! What the workflows share about tokens: walking all of them, and deleting one however often it is asked.
//! Knows no workflow.

use crate::client::Client;
use crate::error::{ApiCode, Error, Result};
use crate::model::{AppToken, ListOptions, TokenFilter};

/// How many tokens a workflow works on at a time unless it is told.
pub(super) const DEFAULT_CONCURRENCY: usize = 4;

/// All tokens that pass a filter, without their values.
pub(super) async fn all_tokens(client: &Client, filter: TokenFilter) -> Result<Vec<AppToken>> {
    let options = ListOptions {
        filter,
        ..ListOptions::default()
    };
    let mut walk = client.tokens(options);
    let mut tokens = Vec::new();
    while let Some(token) = walk.next_token().await {
        tokens.push(token?);
    }
    Ok(tokens)
}

/// Deletes a token; one that is gone already counts as deleted.
pub(super) async fn delete(client: &Client, id: &str) -> Result<()> {
    match client.delete_token(id).await {
        Err(error) if is_not_found(&error) => Ok(()),
        other => other,
    }
}

pub(super) fn is_not_found(error: &Error) -> bool {
    error
        .api()
        .is_some_and(|api| api.meaning() == ApiCode::AppTokenIdNotFound)
}
