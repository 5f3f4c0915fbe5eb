//! The session provider for callers without an async runtime. Knows of forks, and not how sessions are
//! minted.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::Client;
use super::process::{Process, forked};
use crate::error::{KsFailure, Result};
use crate::model::{Session, SessionKey};
use crate::session::{CachedSession, SessionProviderBuilder, SessionProviderStats};

/// A [`crate::SessionProvider`] for callers without an async runtime, usable on both sides of a fork: a
/// child begins with no session.
pub struct SessionProvider {
    client: Arc<Client>,
    builder: SessionProviderBuilder,
    made_in: u32,
    current: ArcSwapOption<Provider>,
}

struct Provider {
    process: Arc<Process>,
    provider: Option<crate::SessionProvider>,
}

impl fmt::Debug for SessionProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.current.load_full();
        // A parent's locks may be held for ever.
        let current = current.as_ref().filter(|current| current.process.is_ours());
        f.debug_struct("SessionProvider")
            .field("client", &self.client)
            .field("provider", &current.map(|current| &current.provider))
            .finish_non_exhaustive()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if !self.process.is_ours() {
            // Its sessions are being waited for with the parent's connections.
            std::mem::forget(self.provider.take());
        }
    }
}

impl SessionProvider {
    /// A provider over this client, which other callers may go on using.
    #[must_use]
    pub fn new(client: Arc<Client>, builder: SessionProviderBuilder) -> Self {
        Self {
            client,
            builder,
            made_in: std::process::id(),
            current: ArcSwapOption::empty(),
        }
    }

    /// The client that mints the sessions.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What a call would answer at once: see [`crate::SessionProvider::at_hand`].
    #[must_use]
    pub fn at_hand(&self, key: &SessionKey, min_remaining: Duration) -> Option<Arc<CachedSession>> {
        if self.client.is_closed() {
            return None;
        }
        let current = self.current.load();
        let current = current.as_ref().filter(|it| it.process.is_ours())?;
        current.provider.as_ref()?.at_hand(key, min_remaining)
    }

    /// What it has done in this process until now.
    ///
    /// # Errors
    /// `Config`, in a child, when the client cannot be made anew.
    pub fn stats(&self) -> Result<SessionProviderStats> {
        self.provider().map(|provider| provider.stats())
    }

    /// The provider of this process, to be awaited in [`Client::run`] or on a [`crate::Queue`].
    ///
    /// # Errors
    /// `Config`, in a child, when the client cannot be made anew.
    pub fn provider(&self) -> Result<crate::SessionProvider> {
        loop {
            let current = self.current.load_full();
            if let Some(current) = &current
                && current.process.is_ours()
                && let Some(provider) = &current.provider
            {
                return Ok(provider.clone());
            }
            let process = self.client.process()?;
            let client = process.client.clone().ok_or_else(forked)?;
            let carrier = Some(process.carrier());
            let mut builder = self.builder.clone();
            if self.made_in != std::process::id() {
                builder = builder.for_child();
            }
            let provider = Some(builder.build_with(client, carrier));
            let fresh = Some(Arc::new(Provider { process, provider }));
            // Whoever was first keeps its provider: there must be one only.
            drop(self.current.compare_and_swap(&current, fresh));
        }
    }

    /// A session that is good now, waiting for it where there is none. Waits for [`crate::SessionProvider::get`].
    ///
    /// # Errors
    /// Its kinds; `Config` in async code, which would be stopped.
    pub fn get(&self, key: &SessionKey) -> Result<Session> {
        let provider = self.provider()?;
        self.client.wait(async |_| provider.get(key).await)
    }

    /// A session that is good for at least this long. Waits for [`crate::SessionProvider::get_with`].
    ///
    /// # Errors
    /// Its kinds; `Config` in async code, which would be stopped.
    pub fn get_with(&self, key: &SessionKey, min_remaining: Duration) -> Result<Session> {
        let provider = self.provider()?;
        self.client
            .wait(async |_| provider.get_with(key, min_remaining).await)
    }

    /// Takes back a session that the API refused, and answers the one to try once more with. Waits for [`crate::SessionProvider::reject`].
    ///
    /// # Errors
    /// Its kinds; `Config` in async code, which would be stopped.
    pub fn reject(&self, session: &Session, reason: KsFailure) -> Result<Session> {
        let provider = self.provider()?;
        self.client
            .wait(async |_| provider.reject(session, reason).await)
    }
}
