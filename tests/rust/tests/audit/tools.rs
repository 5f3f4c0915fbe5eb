//! What an account holds, and when.

use std::collections::BTreeSet;

use kaltura_app_token::{Client, ListOptions};

pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) async fn all(client: &Client) -> BTreeSet<String> {
    let mut walk = client.tokens(ListOptions::default());
    let mut found = BTreeSet::new();
    while let Some(token) = walk.next_token().await {
        found.insert(token.unwrap().id);
    }
    found
}
