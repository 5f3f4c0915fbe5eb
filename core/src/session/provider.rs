//! [`SessionProvider`]: a valid session whenever one is asked for, minted only when needed.
//!
//! The door for callers: who waits for how long, and what it gets. When a session is renewed and what a
//! refusal means is decided in `decide`; minting is the driver's.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::cache::{CachedSession, MemoryCache, SessionCache};
use super::decide::{Action, Event};
use super::driver::{Carrier, Counters, Driver, Found, Seat, count};
use super::source::TokenSource;
use crate::cancel::Cancel;
use crate::client::{Client, dead_at_birth};
use crate::clock::millis;
use crate::error::{ApiError, Error, KsFailure, Result};
use crate::event;
use crate::model::{HashType, Session, SessionKey};
use crate::seam::random::chance;

/// The part of a session's life that is left when it is renewed, unless told otherwise.
const RENEW_WHEN_LEFT: f64 = 0.25;
/// How long a caller with a good session waits for its renewal, unless told otherwise.
const RENEWAL_WAIT: Duration = Duration::from_millis(50);
/// How often a caller waits for another session in place of one that does not do.
const MOST_ROUNDS: usize = 2;

/// Settings of a [`SessionProvider`]. Cloning it makes the same provider again for another client, as
/// a forked child needs it.
///
/// ```
/// use std::time::Duration;
///
/// use kaltura_app_token::{Client, SessionProvider, TokenSource};
///
/// let provider = SessionProvider::builder(TokenSource::environment())
///     .capacity(500)
///     .renew_when_left(0.4)?
///     .renewal_wait(Duration::from_millis(20))
///     .build(Client::builder().partner_id(123_456).build()?);
/// assert_eq!(provider.stats().minted, 0);
/// # Ok::<(), kaltura_app_token::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens before build()"]
pub struct SessionProviderBuilder {
    source: TokenSource,
    hash_type: Option<HashType>,
    capacity: usize,
    cache: Option<Arc<dyn SessionCache>>,
    renew_when_left: f64,
    renewal_wait: Duration,
}

impl SessionProviderBuilder {
    /// The token's hash type; SHA256 unless set.
    ///
    /// `None` finds it out: SHA256 is tried first, another only when the server answers
    /// `INVALID_APP_TOKEN_HASH`, and the one that worked is remembered. A wrong value of the token then
    /// costs four exchanges instead of one.
    pub fn hash_type(mut self, hash_type: impl Into<Option<HashType>>) -> Self {
        self.hash_type = hash_type.into();
        self
    }

    /// How many sessions are kept at most; 10,000 unless set. Those asked for longest ago go first.
    pub fn capacity(mut self, sessions: usize) -> Self {
        self.capacity = sessions;
        self
    }

    /// Keeps the sessions elsewhere than in this provider's memory.
    pub fn cache(mut self, cache: Arc<dyn SessionCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// The part of a session's life that is left when it is renewed, a tenth of that sooner or later; a
    /// quarter unless set.
    ///
    /// # Errors
    /// `Config` unless it is more than 0 and at most a half.
    pub fn renew_when_left(mut self, part_of_life: f64) -> Result<Self> {
        if !(part_of_life > 0.0 && part_of_life <= 0.5) {
            return Err(Error::config(format!(
                "renew_when_left: {part_of_life} is not more than 0 and at most 0.5"
            )));
        }
        self.renew_when_left = part_of_life;
        Ok(self)
    }

    /// How long a caller that has a good session waits for its renewal before it goes on with the one
    /// that it has; 50 ms unless set. The renewal goes on in any case.
    pub fn renewal_wait(mut self, wait: Duration) -> Self {
        self.renewal_wait = wait;
        self
    }

    /// Makes the provider. Asks for nothing yet, neither the server nor the token source. A `Cancel` of
    /// the client does not hold for it: see [`SessionProvider::with_cancel`].
    #[must_use]
    pub fn build(self, client: Client) -> SessionProvider {
        self.build_with(client, None)
    }

    /// The same for a forked child.
    pub(crate) fn for_child(mut self) -> Self {
        let own = self.cache.as_ref().and_then(|cache| cache.for_child());
        self.cache = own.or(self.cache);
        self
    }

    /// Makes the provider. Renewals that their caller leaves go to the carrier, or without one to the
    /// tokio runtime that the caller is in.
    pub(crate) fn build_with(self, client: Client, carrier: Option<Carrier>) -> SessionProvider {
        let memory = self
            .cache
            .is_none()
            .then(|| Arc::new(MemoryCache::new(self.capacity)));
        let own = memory.clone().unwrap_or_default() as Arc<dyn SessionCache>;
        SessionProvider {
            driver: Arc::new(Driver {
                client: client.for_provider(),
                source: self.source,
                hash_type: self.hash_type,
                cache: self.cache.unwrap_or(own),
                memory,
                renew_when_left: self.renew_when_left,
                renewal_wait: self.renewal_wait,
                carrier,
                found: Found::default(),
                counters: Counters::default(),
            }),
            cancel: None,
        }
    }
}

/// Hands out sessions of one token, and mints one only when there is no good one.
///
/// - A session is renewed when a quarter of its life is left
///   ([`SessionProviderBuilder::renew_when_left`]), and a tenth of that sooner or later. From then on one
///   caller renews it and the others go on with it; once it has expired all wait for that renewal. There
///   is never more than one at a time for the same [`SessionKey`].
/// - Nobody who has a good session waits longer for another than 50 ms
///   ([`SessionProviderBuilder::renewal_wait`]). The caller who began the renewal then goes on with the
///   old one, and the tokio runtime that it is in carries the renewal on; so does that of
///   [`crate::blocking::SessionProvider`], on a thread that ends with the renewal. Outside of a runtime
///   the caller waits for it.
/// - Expiry is the server's, by the server's clock, at the latest time that it can be there. When its
///   answer names none, it is counted from the moment of asking with the shorter of what was asked for
///   and what the token source knows of the token, or with five minutes
///   ([`CachedSession::is_estimated`](crate::CachedSession::is_estimated)).
/// - After a failed exchange the next one for the key waits a little: 1 s, 2 s, 4 s, up to a minute,
///   each a quarter more or less, or as long as the server asks for, up to a day. Until then a good
///   session goes on for as long as it lasts, and without one [`SessionProvider::get`] fails at once
///   with the same error, whose hint says when the next try is. Another token in the source is tried
///   without that wait. What goes wrong in the source alone is not held against the next caller. A source
///   that does not answer is waited for as long as the client's total timeout.
/// - One warning goes to the log when that begins, and one line when it is over.
/// - Callers that leave (drop the future) disturb nobody who waits for the same session. When nobody
///   is left and there is no good session, the exchange is abandoned, which harms nothing, and the next
///   caller begins another.
/// - A panic of what it was given (token source, cache, clock, transport) while a session is minted is
///   an error for all who wait for that session, and the next call begins anew.
/// - It never ends a session, and has no thread and no task while it is idle.
///
/// Cheap to clone; clones share everything.
///
/// ```no_run
/// use kaltura_app_token::{Client, SessionKey, SessionProvider, TokenSource};
///
/// # async fn call_the_api(_: &str) -> Result<(), kaltura_app_token::KsFailure> { Ok(()) }
/// # async fn run() -> kaltura_app_token::Result<()> {
/// let client = Client::builder().partner_id(123_456).build()?;
/// let provider = SessionProvider::new(client, TokenSource::file("/run/secrets/kaltura.json"));
///
/// let mut session = provider.get(&SessionKey::new().user_id("alice")).await?;
/// if let Err(reason) = call_the_api(session.ks.reveal()).await {
///     session = provider.reject(&session, reason).await?;
///     call_the_api(session.ks.reveal()).await.ok();
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionProvider {
    driver: Arc<Driver>,
    cancel: Option<Cancel>,
}

/// What a provider has done since it was made, and what it is doing: see [`SessionProvider::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionProviderStats {
    /// How often a session was handed out.
    pub handed_out: u64,
    /// How many sessions were minted, renewals included.
    pub minted: u64,
    /// How many of them replaced one that was kept.
    pub renewed: u64,
    /// How often an exchange failed, after the client's own retries.
    pub failed: u64,
    /// How many refusals of sessions were reported.
    pub refused: u64,
    /// How many callers wait for a session now.
    pub waiting: usize,
    /// For how many keys minting waits now, after a failure.
    pub backing_off: usize,
    /// How many sessions are kept in memory; unknown of a cache of one's own.
    pub cached: Option<usize>,
}

impl fmt::Debug for SessionProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionProvider")
            .field("source", &self.driver.source)
            .field("cache", &self.driver.cache)
            .field("under_way", &self.driver.under_way())
            .finish_non_exhaustive()
    }
}

impl SessionProvider {
    /// A provider with the settings of [`SessionProvider::builder`].
    #[must_use]
    pub fn new(client: Client, source: TokenSource) -> Self {
        Self::builder(source).build(client)
    }

    /// A builder: SHA256, and 10,000 sessions in memory.
    pub fn builder(source: TokenSource) -> SessionProviderBuilder {
        SessionProviderBuilder {
            source,
            hash_type: Some(HashType::Sha256),
            capacity: MemoryCache::DEFAULT_CAPACITY,
            cache: None,
            renew_when_left: RENEW_WHEN_LEFT,
            renewal_wait: RENEWAL_WAIT,
        }
    }

    /// The same provider, whose callers leave with `Cancelled` once `cancel` is triggered.
    ///
    /// Dropping the future does the same. Neither disturbs others who wait for the same session.
    #[must_use]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            driver: Arc::clone(&self.driver),
            cancel: Some(cancel.clone()),
        }
    }

    /// What it has done until now, all clones together.
    #[must_use]
    pub fn stats(&self) -> SessionProviderStats {
        let counters = &self.driver.counters;
        SessionProviderStats {
            handed_out: counters.handed_out.load(Ordering::Relaxed),
            minted: counters.minted.load(Ordering::Relaxed),
            renewed: counters.renewed.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            waiting: counters.waiting.load(Ordering::Relaxed),
            backing_off: self.driver.backing_off(),
            cached: self.driver.memory.as_ref().map(|memory| memory.len()),
        }
    }

    /// A session that is good now.
    ///
    /// # Errors
    /// Those of [`Client::start_session`], when there is no good session and none can be minted, and
    /// then again until it is time for the next try, which the hint names; `Config` when the token
    /// source has no token, its sessions are dead at birth, or something panicked; `Timeout` when the
    /// source does not answer.
    pub async fn get(&self, key: &SessionKey) -> Result<Session> {
        self.get_with(key, Duration::ZERO).await
    }

    /// A session that is good for at least this long.
    ///
    /// A wish near to a session's whole life mints one with almost every call. One that not even a fresh
    /// session fulfils is not an error: that session is handed out, one line of the log says so, and the
    /// wish no longer makes for renewals.
    ///
    /// # Errors
    /// As [`SessionProvider::get`].
    pub async fn get_with(&self, key: &SessionKey, min_remaining: Duration) -> Result<Session> {
        let session = self.find(key, min_remaining).await?;
        count(&self.driver.counters.handed_out);
        Ok(session.hand_out(key))
    }

    /// The session that [`SessionProvider::get_with`] would answer at once, from memory and with nothing
    /// else to be done: what nearly every call comes to, without async. `None` says nothing of whether
    /// there is a session: `get_with` finds out.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use kaltura_app_token::{Client, SessionKey, SessionProvider, TokenSource};
    ///
    /// let client = Client::builder().partner_id(102).build()?;
    /// let provider = SessionProvider::new(client, TokenSource::environment());
    /// assert!(provider.at_hand(&SessionKey::new(), Duration::ZERO).is_none());
    /// # Ok::<(), kaltura_app_token::Error>(())
    /// ```
    #[must_use]
    pub fn at_hand(&self, key: &SessionKey, min_remaining: Duration) -> Option<Arc<CachedSession>> {
        let session = self.driver.at_hand(key, millis(min_remaining))?;
        count(&self.driver.counters.handed_out);
        Some(session)
    }

    async fn find(&self, key: &SessionKey, min_remaining: Duration) -> Result<Arc<CachedSession>> {
        let client = &self.driver.client;
        let found = self.find_or_wait(key, min_remaining);
        client
            .sender()
            .wait_for_shared(self.cancel.as_ref(), found)
            .await
    }

    async fn find_or_wait(
        &self,
        key: &SessionKey,
        min_remaining: Duration,
    ) -> Result<Arc<CachedSession>> {
        let (driver, wanted) = (&self.driver, millis(min_remaining));
        let mut kept = driver
            .client
            .sender()
            .in_time(driver.cache.get(key))
            .await?;
        let mut rounds = 0..MOST_ROUNDS;
        loop {
            let is_last = rounds.next().is_none();
            let (action, seat) = driver.ask(key, kept.as_ref(), wanted);
            let seat = match (action, seat, &kept) {
                (Action::Refuse(error), ..) => return Err(error),
                (_, Some(seat), _) => seat,
                (_, None, Some(session)) => return Ok(Arc::clone(session)),
                (_, None, None) => return Err(Error::config("there is no session to hand out")),
            };
            let found = self.wait(seat, kept.as_ref(), wanted).await?;
            match found {
                Outcome::Good(session) => return Ok(session),
                Outcome::Short(session) => {
                    driver.say_short(&session, min_remaining);
                    return Ok(session);
                }
                // Others fill the cache with sessions that are too short, or everything takes too long.
                Outcome::Old(session) if is_last => {
                    if session.life().left(&driver.now()) <= 0 {
                        return Err(dead_at_birth(&session.token_id));
                    }
                    driver.say_short(&session, min_remaining);
                    return Ok(session);
                }
                // Somebody else's, who had a smaller wish, or one that has ended. The next one is fresh.
                Outcome::Old(session) => kept = Some(session),
            }
        }
    }

    async fn wait(
        &self,
        mut seat: Seat,
        kept: Option<&Arc<CachedSession>>,
        wanted: i64,
    ) -> Result<Outcome> {
        let driver = &self.driver;
        let good = kept.filter(|_| seat.is_renewal());
        // A wish that cannot be fulfilled is none.
        let attainable = good.map_or(wanted, |good| {
            if good.life().is_good(&driver.now(), wanted) {
                wanted
            } else {
                0
            }
        });
        let goes_on = |session: &CachedSession| session.life().is_good(&driver.now(), attainable);
        let can_leave = seat.can_leave();
        let patience = async {
            if let Some(session) = good.filter(|_| can_leave) {
                driver.client.clock().sleep(driver.renewal_wait).await;
                if goes_on(session) {
                    return Arc::clone(session);
                }
            }
            std::future::pending().await
        };
        let landed = tokio::select! {
            biased;
            landed = seat.landed() => landed,
            session = patience => return Ok(Outcome::Good(session)),
        };
        let landed = match (landed, good) {
            (Ok(landed), _) => landed,
            (Err(error), Some(session)) if goes_on(session) => {
                let failed = event::Event::RenewalFailed { error };
                driver.client.events().tell(&failed);
                return Ok(Outcome::Good(Arc::clone(session)));
            }
            (Err(error), _) => return Err(error),
        };
        let event = Event::Landed {
            session: landed.session.life(),
            is_fresh: landed.is_fresh,
            min_remaining: wanted,
        };
        Ok(match driver.tell(seat.key(), &event) {
            Action::Again => Outcome::Old(landed.session),
            Action::HandOutShort if wanted > 0 => Outcome::Short(landed.session),
            _ => Outcome::Good(landed.session),
        })
    }

    /// Takes back a session of this provider that the API refused, and answers the one to try the same
    /// call with once more.
    ///
    /// Only `Expired` and `ActionsLimit` are cured by another session. One that was ended
    /// (`LoggedOut`) is forgotten without another try, for its token's new sessions would be refused
    /// too; unless the token source has another token by now. A session that has been replaced
    /// meanwhile is simply answered with its replacement.
    ///
    /// When replacements are refused as well, they are replaced ever more rarely: after 1 s, 2 s, 4 s, up
    /// to a minute. Until then whoever reports it gets the refusal as an error, and
    /// [`SessionProvider::get`] goes on with the session for those who have no trouble with it. Nothing is
    /// ever ended on the server.
    ///
    /// # Errors
    /// `Api` with `INVALID_KS` and the reason when another session would not help, or would be too early;
    /// `Config` for a session that is not of a provider; otherwise as [`SessionProvider::get`].
    pub async fn reject(&self, session: &Session, reason: KsFailure) -> Result<Session> {
        let client = &self.driver.client;
        let replaced = self.replace(session, reason);
        client
            .sender()
            .wait_for_shared(self.cancel.as_ref(), replaced)
            .await
    }

    async fn replace(&self, session: &Session, reason: KsFailure) -> Result<Session> {
        let Some(key) = &session.key else {
            return Err(Error::config(
                "the session was not handed out by a session provider",
            ));
        };
        let (driver, error) = (&self.driver, refused(reason));
        count(&driver.counters.refused);
        let number = |ks: &Session| driver.number(ks.ks.reveal());
        let kept = driver
            .client
            .sender()
            .in_time(driver.cache.get(key))
            .await?;
        let current = kept.as_ref();
        let event = Event::Rejected {
            reason,
            error: &error,
            ks: number(session),
            kept: current.map(|kept| (kept.token_id.as_str(), number(&kept.session))),
            has_expired: session
                .expiry
                .is_some_and(|expiry| driver.now().likely >= expiry.saturating_mul(1000)),
            chance: chance(),
        };
        match driver.tell(key, &event) {
            Action::Refuse(error) => return Err(error),
            Action::FindToken { forget } => {
                if forget {
                    let remove = driver.cache.remove(key, &session.ks);
                    driver.client.sender().in_time(remove).await?;
                }
                let credentials = driver.credentials().await;
                let is_another = |kept: &Arc<CachedSession>| {
                    credentials.is_ok_and(|credentials| credentials.id != kept.token_id)
                };
                if !current.is_some_and(is_another) {
                    return Err(error);
                }
            }
            _ => {}
        }
        let remove = driver.cache.remove(key, &session.ks);
        driver.client.sender().in_time(remove).await?;
        self.get(key).await
    }
}

/// What a caller waited for.
enum Outcome {
    Good(Arc<CachedSession>),
    /// Fresh, and still not good for as long as was wanted.
    Short(Arc<CachedSession>),
    /// Not good for as long as was wanted, which a fresh one may be.
    Old(Arc<CachedSession>),
}

/// The API's exception as the server spells it, for a refusal that was reported here.
fn refused(reason: KsFailure) -> Error {
    let (ks, code) = match reason {
        KsFailure::Expired => ("EXPIRED", "-5"),
        KsFailure::LoggedOut => ("LOGOUT", "-6"),
        KsFailure::ActionsLimit => ("EXCEEDED_ACTIONS_LIMIT", "-8"),
        KsFailure::RestrictedIp => ("EXCEEDED_RESTRICTED_IP", "-9"),
        KsFailure::RestrictedUri => ("EXCEEDED_RESTRICTED_URI", "-11"),
        KsFailure::NotAccepted => (crate::secret::MASK, "-1"),
    };
    Error::from_api(ApiError {
        code: "INVALID_KS".to_owned(),
        message: format!("the API refused the session ({ks})"),
        args: vec![
            ("KSID".to_owned(), ks.to_owned()),
            ("ERR_CODE".to_owned(), code.to_owned()),
        ],
    })
}
