//! The walk over all tokens for callers without an async runtime. Knows of forks, and not how pages are
//! fetched.

use std::sync::Arc;

use super::process::{Process, Tick, forked};
use crate::cancel::{Cancel, cancelled};
use crate::error::Result;
use crate::model::AppToken;

/// A walk over all tokens that waits for each page: see [`crate::Client::tokens`].
#[derive(Debug)]
pub struct Tokens {
    process: Arc<Process>,
    walk: Option<crate::Tokens>,
}

impl Tokens {
    pub(super) fn new(process: Arc<Process>, walk: Option<crate::Tokens>) -> Self {
        Self { process, walk }
    }

    /// As `next` of the iterator, asking now and then whether to go on; `false` ends the walk.
    ///
    /// # Errors
    /// The kinds of [`crate::Client::list_tokens`]; `Forked` in a child.
    pub fn next_with(&mut self, tick: Option<Tick<'_>>) -> Option<Result<AppToken>> {
        if !self.process.is_ours() {
            // Not dropped either: its connections are the parent's.
            return self.walk.take().map(|walk| {
                std::mem::forget(walk);
                Err(forked())
            });
        }
        let walk = self.walk.as_mut()?;
        let cancel = Cancel::new();
        let stopped = async {
            cancel.triggered().await;
            Err(cancelled())
        };
        let next = async |_| {
            tokio::select! {
                biased;
                token = walk.next_token() => token.transpose(),
                stopped = stopped => stopped,
            }
        };
        self.process.run(&cancel, tick, next).transpose()
    }
}

impl Iterator for Tokens {
    type Item = Result<AppToken>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_with(None)
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        if !self.process.is_ours() {
            std::mem::forget(self.walk.take());
        }
    }
}
