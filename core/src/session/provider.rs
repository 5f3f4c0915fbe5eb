//! [`SessionProvider`]: a valid session whenever one is asked for, minted only when needed.
//!
//! Decides when a session is renewed, who waits for it and what a refusal means. The exchange itself is
//! the client's. A session is minted by the callers that wait for it, and whichever of them is polled
//! carries it on; a renewal that its caller leaves is carried on by the runtime that is there.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};

use super::cache::{CachedSession, MemoryCache, SessionCache};
use super::source::{TokenCredentials, TokenSource};
use crate::client::{Cancel, Client, cancelled_error, dead_at_birth, wait_for};
use crate::clock::{FURTHEST_MS, millis};
use crate::error::{ApiCode, ApiError, Error, KsFailure, Result};
use crate::model::{HashType, Session, SessionKey, SessionRequest};
use crate::retry::{backoff, chance};
use crate::transport::BoxFuture;

/// The longest time before a session's end at which it is renewed.
const MARGIN: Duration = Duration::from_secs(300);
/// The life of a session of which neither the server nor the caller says how long it is.
const ASSUMED_LIFE: Duration = Duration::from_secs(300);
/// How far the server's clock may be ahead of what its `Date` headers, in whole seconds, say.
const DATE_ROUNDING_MS: i64 = 1000;
/// How long a caller with a good session waits for its renewal, unless told otherwise.
const RENEWAL_WAIT: Duration = Duration::from_millis(50);
/// The wait after a failed exchange: doubled for each following one, up to the longest.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// The wait after a session and its replacement were both refused as ended: their token is of no use.
const LOGGED_OUT_BACKOFF: Duration = Duration::from_secs(60);
/// How long it takes to ask the token source again while minting has to wait.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long refusals and failures are remembered beyond their wait.
const REMEMBER: Duration = Duration::from_secs(600);
/// Below this many keys with something going on nobody looks for what can be forgotten.
const SWEEP_AT_LEAST: usize = 1024;
/// Newest first: what tokens should have, what tokens have that were created without one, the rest.
const HASH_TYPES_TO_TRY: [HashType; 4] = [
    HashType::Sha256,
    HashType::Sha1,
    HashType::Sha512,
    HashType::Md5,
];

impl CachedSession {
    fn expires_ms(&self) -> i64 {
        in_ms(self.session.expiry.unwrap_or_default())
    }

    fn life_ms(&self) -> i64 {
        (self.expires_ms() - in_ms(self.started_at)).max(0)
    }

    /// Whether it can still be used, for this long at least.
    fn is_usable(&self, now: Now, min_remaining_ms: i64) -> bool {
        let remaining = self.expires_ms() - now.latest;
        remaining > 0 && remaining >= min_remaining_ms
    }

    /// Whether it is time for another one. The number, which stays the same for this session, moves
    /// that time by up to a tenth of the margin, so that not everybody renews at the same moment.
    fn is_due(&self, now: Now, number: impl FnOnce() -> u64) -> bool {
        let margin = (self.life_ms() / 10).min(millis(MARGIN));
        let spread = margin / 10;
        let left = self.expires_ms().saturating_sub(now.likely);
        left <= margin + spread
            && left <= margin - spread + number().cast_signed().rem_euclid(2 * spread + 1)
    }

    fn hand_out(&self, key: &SessionKey) -> Session {
        let mut session = self.session.clone();
        session.key.get_or_insert_with(|| Arc::new(key.clone()));
        session
    }
}

/// Settings of a [`SessionProvider`]. Cloning it makes the same provider again for another client, as
/// a forked child needs it.
#[derive(Clone, Debug)]
#[must_use = "nothing happens before build()"]
pub struct SessionProviderBuilder {
    source: TokenSource,
    hash_type: Option<HashType>,
    capacity: usize,
    cache: Option<Arc<dyn SessionCache>>,
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

    /// Makes the provider. Renewals that their caller leaves go to the carrier, or without one to the
    /// tokio runtime that the caller is in.
    pub(crate) fn build_with(self, client: Client, carrier: Option<Carrier>) -> SessionProvider {
        SessionProvider {
            inner: Arc::new(Inner {
                client: client.without_cancel(),
                source: self.source,
                hash_type: self.hash_type,
                hash_type_found: Mutex::new(None),
                cache: self
                    .cache
                    .unwrap_or_else(|| Arc::new(MemoryCache::new(self.capacity))),
                lanes: Mutex::new(Lanes {
                    by_key: HashMap::new(),
                    sweep_at: SWEEP_AT_LEAST,
                }),
                renewal_wait: self.renewal_wait,
                carrier,
                random: RandomState::new(),
            }),
            cancel: None,
        }
    }
}

/// Hands out sessions of one token, and mints one only when there is no good one.
///
/// - A session is renewed when a tenth of its life is left, at most five minutes, and a tenth of that
///   sooner or later. From then on one caller renews it and the others go on with it; once it has
///   expired all wait for that renewal. There is never more than one at a time for the same
///   [`SessionKey`].
/// - Nobody who has a good session waits longer for another than 50 ms
///   ([`SessionProviderBuilder::renewal_wait`]). The caller who began the renewal then goes on with the
///   old one, and the tokio runtime that it is in carries the renewal on; so does that of
///   [`crate::blocking::SessionProvider`], on a thread that ends with the renewal. Outside of a runtime
///   the caller waits for it.
/// - Expiry is the server's, by the server's clock. When its answer names none, it is counted from the
///   moment of asking with the duration that was asked for, or with five minutes.
/// - After a failed exchange the next one for the key waits a little: 1 s, 2 s, 4 s, up to a minute,
///   each a quarter more or less, or as long as the server asks for, up to a day. Until then a good
///   session goes on for as long as it lasts, and without one [`SessionProvider::get`] fails at once
///   with the same error, whose hint says when the next try is. Another token in the source is tried
///   without that wait. What goes wrong in the source alone is not held against the next caller.
/// - Callers that give up (drop the future) disturb nobody who waits for the same session. When nobody
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
    inner: Arc<Inner>,
    cancel: Option<Cancel>,
}

struct Inner {
    client: Client,
    source: TokenSource,
    hash_type: Option<HashType>,
    hash_type_found: Mutex<Option<HashType>>,
    cache: Arc<dyn SessionCache>,
    lanes: Mutex<Lanes>,
    renewal_wait: Duration,
    carrier: Option<Carrier>,
    /// What makes the numbers of this provider its own.
    random: RandomState,
}

/// Sees work through whose caller has left.
pub(crate) type Carrier = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

type Flight = Shared<BoxFuture<'static, Result<Arc<CachedSession>>>>;

/// The keys for which something is going on.
struct Lanes {
    by_key: HashMap<Arc<SessionKey>, Lane>,
    sweep_at: usize,
}

#[derive(Default)]
struct Lane {
    // Weak: a flight is kept in the air by those who wait for it, or who carry it on.
    flight: Option<WeakShared<BoxFuture<'static, Result<Arc<CachedSession>>>>>,
    failure: Option<Failure>,
    refusal: Option<Refusal>,
    /// When the source may be asked again while minting has to wait, by the steady clock.
    look_at: Duration,
}

/// How often in a row something went wrong, and when to try again, by the steady clock.
#[derive(Clone, Copy)]
struct Trouble {
    count: u32,
    until: Duration,
}

/// With these credentials no session could be minted.
struct Failure {
    trouble: Trouble,
    error: Error,
    fingerprint: u64,
}

/// A session of this token was refused by the API, and perhaps its replacements, too.
struct Refusal {
    trouble: Trouble,
    error: Error,
    token_id: String,
}

impl Trouble {
    fn is_recent(self, steady: Duration) -> bool {
        steady < self.until.saturating_add(REMEMBER)
    }
}

impl Lane {
    fn is_empty(&self) -> bool {
        self.flight.is_none() && self.failure.is_none() && self.refusal.is_none()
    }

    /// What makes it too early to mint once more: with the token of this id and fingerprint, where
    /// they are known.
    fn obstacle(&self, steady: Duration, token: Option<(&str, u64)>) -> Option<Obstacle<'_>> {
        let failure = self
            .failure
            .as_ref()
            .filter(|failure| token.is_none_or(|(_, known)| known == failure.fingerprint))
            .map(|failure| (failure.trouble.until, &failure.error));
        let refusal = self
            .refusal
            .as_ref()
            .filter(|refusal| token.is_none_or(|(id, _)| id == refusal.token_id))
            .map(|refusal| (refusal.trouble.until, &refusal.error));
        let (until, error) = failure
            .into_iter()
            .chain(refusal)
            .max_by_key(|(until, _)| *until)?;
        let left = until.checked_sub(steady).filter(|left| !left.is_zero())?;
        Some(Obstacle { error, left })
    }
}

/// Why nothing is minted for a while.
struct Obstacle<'a> {
    error: &'a Error,
    left: Duration,
}

impl Obstacle<'_> {
    /// The same error, which says when the next try is.
    fn to_error(&self) -> Error {
        let seconds = self.left.as_secs() + u64::from(self.left.subsec_nanos() > 0);
        let next =
            format!("the next try is in {seconds} s, or when the token source has another token");
        let hint = match self.error.hint() {
            Some(hint) => format!("{hint}; {next}"),
            None => next,
        };
        let error = self.error.clone().with_hint(hint);
        error.with_retry_after(Some(self.left))
    }
}

/// The server's time in milliseconds: what it likely is, and the latest that it can be.
#[derive(Clone, Copy)]
struct Now {
    likely: i64,
    latest: i64,
}

/// What a caller is to do who found no session that is good and not due.
enum Turn<'a> {
    /// Somebody else is at it, or it is too early to try again.
    GoOn(Arc<CachedSession>),
    Wait(Seat<'a>),
}

/// A caller's place in a flight. A renewal that the caller leaves goes on without it; any other flight
/// ends with the last of those who wait for it.
struct Seat<'a> {
    flight: Flight,
    /// Who carries the flight on, if it is a renewal.
    carrier: Option<Carrier>,
    // After the flight: only then is it known whether anybody else is in it.
    _tidy: Tidy<'a>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Some(carry) = &self.carrier
            && self.flight.peek().is_none()
        {
            carry(Box::pin(self.flight.clone().map(drop)));
        }
    }
}

/// Clears the lane of a flight that was abandoned.
struct Tidy<'a> {
    inner: &'a Inner,
    key: Arc<SessionKey>,
}

impl Drop for Tidy<'_> {
    fn drop(&mut self) {
        let mut lanes = self.inner.lanes();
        if let Some(lane) = lanes.by_key.get_mut(&self.key) {
            lane.flight.take_if(|flight| flight.upgrade().is_none());
            lanes.forget_if_empty(&self.key);
        }
    }
}

impl fmt::Debug for SessionProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionProvider")
            .field("source", &self.inner.source)
            .field("cache", &self.inner.cache)
            .field("under_way", &self.inner.lanes().by_key.len())
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
            renewal_wait: RENEWAL_WAIT,
        }
    }

    /// The same provider, whose callers give up waiting with `Cancelled` once `cancel` is triggered.
    ///
    /// Dropping the future does the same. Neither disturbs others who wait for the same session.
    #[must_use]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            cancel: Some(cancel.clone()),
        }
    }

    /// A session that is good now.
    ///
    /// # Errors
    /// Those of [`Client::start_session`], when there is no good session and none can be minted, and
    /// then again until it is time for the next try, which the hint names; `Config` when the token
    /// source has no token, its sessions are dead at birth, or something panicked; `Api` with
    /// `INVALID_KS` for a while after sessions were refused again and again
    /// (see [`SessionProvider::reject`]).
    pub async fn get(&self, key: &SessionKey) -> Result<Session> {
        self.get_with(key, Duration::ZERO).await
    }

    /// A session that is good for at least this long, to the precision of the server's whole seconds.
    ///
    /// A wish near to a session's whole life mints one with almost every call.
    ///
    /// # Errors
    /// As [`SessionProvider::get`]; `Config` when sessions do not live that long.
    pub async fn get_with(&self, key: &SessionKey, min_remaining: Duration) -> Result<Session> {
        if let Some(duration) = key.duration
            && min_remaining > duration
        {
            return Err(lives_too_short(min_remaining, duration));
        }
        let inner = &*self.inner;
        let min_remaining_ms = millis(min_remaining);
        let current = inner.cache.get(key).await;
        let now = inner.now();
        let good = current
            .as_ref()
            .filter(|session| session.is_usable(now, min_remaining_ms));
        match (&current, good) {
            (_, Some(session)) if !session.is_due(now, || inner.number(key, session)) => {
                return Ok(session.hand_out(key));
            }
            (Some(session), None)
                if session.is_usable(now, 0) && min_remaining_ms > session.life_ms() =>
            {
                return Err(lives_too_short(
                    min_remaining,
                    Duration::from_millis(session.life_ms().unsigned_abs()),
                ));
            }
            _ => {}
        }
        let seat = match self.turn(key, current.as_ref(), good)? {
            Turn::GoOn(session) => return Ok(session.hand_out(key)),
            Turn::Wait(seat) => seat,
        };
        let patience = async {
            if let Some(session) = good.filter(|_| seat.carrier.is_some()) {
                inner.client.clock().sleep(inner.renewal_wait).await;
                if session.is_usable(inner.now(), min_remaining_ms) {
                    return session;
                }
            }
            std::future::pending().await
        };
        let landed = tokio::select! {
            biased;
            landed = seat.flight.clone() => landed,
            () = wait_for(self.cancel.as_ref()) => return Err(cancelled_error()),
            session = patience => return Ok(session.hand_out(key)),
        };
        drop(seat);
        match (landed, current) {
            (Ok(session), _) => {
                let remaining = session.expires_ms().saturating_sub(inner.now().likely);
                if remaining.saturating_add(DATE_ROUNDING_MS) < min_remaining_ms {
                    let life = Duration::from_millis(remaining.max(0).unsigned_abs());
                    return Err(lives_too_short(min_remaining, life));
                }
                Ok(session.hand_out(key))
            }
            (Err(error), Some(session)) if session.is_usable(inner.now(), min_remaining_ms) => {
                log::debug!("a session could not be renewed, the old one goes on: {error}");
                Ok(session.hand_out(key))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Takes back a session of this provider that the API refused, and answers the one to try the same
    /// call with once more.
    ///
    /// Only `Expired` and `ActionsLimit` are cured by another session. One that was ended
    /// (`LoggedOut`) is given up without another try, for its token's new sessions would be refused
    /// too; unless the token source has another token by now. A session that has been replaced
    /// meanwhile is simply answered with its replacement. When replacements are refused as well,
    /// minting waits longer each time, and until then [`SessionProvider::get`] fails with the same
    /// error. Nothing is ever ended on the server.
    ///
    /// # Errors
    /// `Api` with `INVALID_KS` and the reason when another session would not help; `Config` for a
    /// session that is not of a provider; otherwise as [`SessionProvider::get`].
    pub async fn reject(&self, session: &Session, reason: KsFailure) -> Result<Session> {
        let Some(key) = &session.key else {
            return Err(Error::config(
                "the session was not handed out by a session provider",
            ));
        };
        let inner = &*self.inner;
        let refused = refused(reason);
        let cured = match reason {
            KsFailure::Expired | KsFailure::ActionsLimit => true,
            KsFailure::LoggedOut => false,
            KsFailure::RestrictedIp | KsFailure::RestrictedUri | KsFailure::NotAccepted => {
                return Err(refused);
            }
        };
        let current = inner.cache.get(key).await;
        if let Some(current) = &current
            && current.session.ks != session.ks
        {
            return self.get(key).await;
        }
        let was_current = inner.cache.remove(key, &session.ks).await;
        let lived_its_life = session
            .expiry
            .is_some_and(|expiry| inner.now().likely >= in_ms(expiry));
        if let Some(current) = current
            && was_current
            && !lived_its_life
            && reason != KsFailure::ActionsLimit
        {
            let again = inner.note_refusal(key, &refused, reason, &current.token_id);
            let replaced = !cured && inner.source.ask().await?.id != current.token_id;
            if (cured && !again) || replaced {
                return self.get(key).await;
            }
            return Err(refused);
        }
        if cured {
            self.get(key).await
        } else {
            Err(refused)
        }
    }

    /// Joins the flight for a key or begins one, unless it is too early for that.
    fn turn(
        &self,
        key: &SessionKey,
        current: Option<&Arc<CachedSession>>,
        good: Option<&Arc<CachedSession>>,
    ) -> Result<Turn<'_>> {
        let inner = &self.inner;
        let steady = inner.client.clock().steady_now();
        let mut lanes = inner.lanes();
        lanes.sweep(steady);
        let known = lanes.by_key.get_key_value(key);
        let flight = known.and_then(|(_, lane)| lane.flight.as_ref()?.upgrade());
        let obstacle = known.and_then(|(_, lane)| lane.obstacle(steady, None));
        if let Some(good) = good
            && (flight.is_some() || obstacle.is_some())
        {
            return Ok(Turn::GoOn(Arc::clone(good)));
        }
        let looks = obstacle.is_some();
        if let (Some(obstacle), Some((_, lane))) = (obstacle, known)
            && (flight.is_some() || steady < lane.look_at)
        {
            // Whether the source has another token is for one caller to find out.
            return Err(obstacle.to_error());
        }
        let key = known.map_or_else(|| Arc::new(key.clone()), |(key, _)| Arc::clone(key));
        let flight = flight.unwrap_or_else(|| {
            let flight = Arc::clone(inner).fly(Arc::clone(&key), current.cloned());
            let flight: BoxFuture<'static, _> = Box::pin(flight);
            let flight = flight.shared();
            let lane = lanes.by_key.entry(Arc::clone(&key)).or_default();
            lane.flight = flight.downgrade();
            if looks {
                lane.look_at = steady.saturating_add(LOOK_AGAIN);
            }
            flight
        });
        Ok(Turn::Wait(Seat {
            flight,
            carrier: good.and_then(|_| inner.carrier()),
            _tidy: Tidy { inner, key },
        }))
    }
}

impl Lanes {
    /// Forgets old troubles when there are many, so that keys nobody asks for again do not add up.
    fn sweep(&mut self, steady: Duration) {
        if self.by_key.len() < self.sweep_at {
            return;
        }
        self.by_key.retain(|_, lane| {
            lane.failure
                .take_if(|failure| !failure.trouble.is_recent(steady));
            lane.refusal
                .take_if(|refusal| !refusal.trouble.is_recent(steady));
            !lane.is_empty()
        });
        self.sweep_at = (self.by_key.len() * 2).max(SWEEP_AT_LEAST);
    }

    /// Notes that there is a session.
    fn settle(&mut self, key: &SessionKey, clears_refusal: bool) {
        if let Some(lane) = self.by_key.get_mut(key) {
            lane.failure = None;
            lane.refusal.take_if(|_| clears_refusal);
        }
    }

    fn forget_if_empty(&mut self, key: &SessionKey) {
        if self.by_key.get(key).is_some_and(Lane::is_empty) {
            self.by_key.remove(key);
        }
    }
}

impl Inner {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number of this provider's for this session.
    fn number(&self, key: &SessionKey, session: &CachedSession) -> u64 {
        self.random.hash_one((key, session.session.expiry))
    }

    /// What tells these credentials from others without keeping their value.
    fn fingerprint(&self, credentials: &TokenCredentials) -> u64 {
        let TokenCredentials {
            id,
            token,
            hash_type,
        } = credentials;
        self.random.hash_one((id, token.reveal(), hash_type))
    }

    fn carrier(&self) -> Option<Carrier> {
        self.carrier.clone().or_else(|| {
            let runtime = tokio::runtime::Handle::try_current().ok()?;
            Some(Arc::new(move |work| drop(runtime.spawn(work))))
        })
    }

    fn now(&self) -> Now {
        let time = self.client.server_time();
        Now {
            likely: time.likely,
            latest: time.latest,
        }
    }

    /// Comes to a session or an error for all who wait, whatever panics on the way.
    async fn fly(
        self: Arc<Self>,
        key: Arc<SessionKey>,
        replaces: Option<Arc<CachedSession>>,
    ) -> Result<Arc<CachedSession>> {
        let minted = AssertUnwindSafe(self.mint_or_reuse(&key, replaces.as_deref()))
            .catch_unwind()
            .await;
        let mut lanes = self.lanes();
        if let Some(lane) = lanes.by_key.get_mut(&key) {
            // Whoever comes from now on begins anew.
            lane.flight = None;
            lanes.forget_if_empty(&key);
        }
        minted.unwrap_or_else(|_| {
            Err(Error::config(
                "minting a session panicked in the token source, the session cache, the clock or the \
                 transport",
            )
            .with_hint("the process's standard error says where; the next call begins anew"))
        })
    }

    /// Mints a session, unless somebody else has done so since the caller looked.
    async fn mint_or_reuse(
        &self,
        key: &Arc<SessionKey>,
        replaces: Option<&CachedSession>,
    ) -> Result<Arc<CachedSession>> {
        let kept = self.cache.get(key).await.filter(|kept| {
            replaces.is_none_or(|replaces| replaces.session.ks != kept.session.ks)
                && kept.is_usable(self.now(), 0)
        });
        if let Some(kept) = kept {
            self.lanes().settle(key, false);
            return Ok(kept);
        }
        // What goes wrong in the source costs the server nothing and is not held against the next caller.
        let credentials = self.source.ask().await?;
        let fingerprint = self.fingerprint(&credentials);
        let steady = self.client.clock().steady_now();
        if let Some(lane) = self.lanes().by_key.get(key)
            && let Some(obstacle) = lane.obstacle(steady, Some((&credentials.id, fingerprint)))
        {
            return Err(obstacle.to_error());
        }
        match self.mint(&credentials, key).await {
            Ok(session) => {
                let session = Arc::new(session);
                self.cache.put(key, Arc::clone(&session)).await;
                // A session that could live until it was renewed was good: that ends a row of refusals.
                self.lanes().settle(key, replaces.is_some());
                Ok(session)
            }
            Err(error) => {
                self.note_failure(key, fingerprint, &error, replaces);
                Err(error)
            }
        }
    }

    async fn mint(
        &self,
        credentials: &TokenCredentials,
        key: &Arc<SessionKey>,
    ) -> Result<CachedSession> {
        let asked = self.client.clock().steady_now();
        let mut session = self.exchange(credentials, key).await?;
        let took = self.client.clock().steady_now().saturating_sub(asked);
        let now = self.now().likely;
        let started_at = now.saturating_sub(millis(took)).div_euclid(1000);
        let assumed = key.duration.unwrap_or(ASSUMED_LIFE);
        let expiry = *session
            .expiry
            .get_or_insert(started_at.saturating_add(millis(assumed) / 1000));
        if in_ms(expiry) <= now {
            return Err(dead_at_birth(&credentials.id));
        }
        session.key = Some(Arc::clone(key));
        Ok(CachedSession {
            session,
            started_at,
            token_id: credentials.id.clone(),
        })
    }

    async fn exchange(&self, credentials: &TokenCredentials, key: &SessionKey) -> Result<Session> {
        let request = |hash_type: &HashType| SessionRequest {
            id: credentials.id.clone(),
            token: credentials.token.clone(),
            hash_type: hash_type.clone(),
            user_id: key.user_id.clone(),
            session_type: key.session_type,
            expiry: key.duration,
            privileges: key.privileges.clone(),
        };
        if let Some(hash_type) = credentials.hash_type.as_ref().or(self.hash_type.as_ref()) {
            return self.client.start_session(&request(hash_type)).await;
        }
        let found = self.hash_type_found().clone();
        let others = HASH_TYPES_TO_TRY
            .into_iter()
            .filter(|hash_type| found.as_ref() != Some(hash_type));
        let mut mismatch = None;
        for hash_type in found.clone().into_iter().chain(others) {
            match self.client.start_session(&request(&hash_type)).await {
                Err(error) if is_hash_mismatch(&error) => {
                    mismatch.get_or_insert(error);
                }
                Err(error) => return Err(error),
                Ok(session) => {
                    *self.hash_type_found() = Some(hash_type);
                    return Ok(session);
                }
            }
        }
        Err(mismatch.unwrap_or_else(|| Error::config("there is no hash type to try")))
    }

    fn hash_type_found(&self) -> MutexGuard<'_, Option<HashType>> {
        self.hash_type_found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn note_failure(
        &self,
        key: &SessionKey,
        fingerprint: u64,
        error: &Error,
        replaces: Option<&CachedSession>,
    ) {
        let steady = self.client.clock().steady_now();
        let now = self.now();
        let mut lanes = self.lanes();
        let Some(lane) = lanes.by_key.get_mut(key) else {
            return;
        };
        let before = lane.failure.as_ref().filter(|failure| {
            failure.trouble.is_recent(steady) && failure.fingerprint == fingerprint
        });
        let count = before.map_or(1, |failure| failure.trouble.count.saturating_add(1));
        let mut wait = backoff(FIRST_BACKOFF, count, LONGEST_BACKOFF, chance());
        if let Some(good) = replaces.filter(|replaces| replaces.is_usable(now, 0)) {
            // Once it has ended there is nothing to go on with: that is worth another try.
            let left = good.expires_ms().saturating_sub(now.latest).unsigned_abs();
            wait = wait.min(Duration::from_millis(left));
        }
        let wait = wait.max(error.retry_after().unwrap_or_default());
        lane.failure = Some(Failure {
            trouble: Trouble {
                count,
                until: steady.saturating_add(wait),
            },
            error: error.clone(),
            fingerprint,
        });
        lane.look_at = steady;
    }

    /// Notes that a current session was refused, and answers whether the one before it was, too.
    fn note_refusal(
        &self,
        key: &Arc<SessionKey>,
        error: &Error,
        reason: KsFailure,
        token_id: &str,
    ) -> bool {
        let steady = self.client.clock().steady_now();
        let mut lanes = self.lanes();
        let lane = lanes.by_key.entry(Arc::clone(key)).or_default();
        let before = lane
            .refusal
            .as_ref()
            .filter(|refusal| refusal.trouble.is_recent(steady) && refusal.token_id == token_id);
        let again = before.map_or(0, |refusal| refusal.trouble.count);
        let first = match reason {
            KsFailure::LoggedOut => LOGGED_OUT_BACKOFF,
            _ => FIRST_BACKOFF,
        };
        let wait = match again {
            0 => Duration::ZERO,
            again => backoff(first, again, LONGEST_BACKOFF, chance()),
        };
        lane.look_at = steady;
        lane.refusal = Some(Refusal {
            trouble: Trouble {
                count: again.saturating_add(1),
                until: steady.saturating_add(wait),
            },
            error: error.clone(),
            token_id: token_id.to_owned(),
        });
        again > 0
    }
}

/// An instant of whole seconds in milliseconds.
fn in_ms(seconds: i64) -> i64 {
    seconds
        .saturating_mul(1000)
        .clamp(-FURTHEST_MS, FURTHEST_MS)
}

fn is_hash_mismatch(error: &Error) -> bool {
    error
        .api()
        .is_some_and(|api| api.meaning() == ApiCode::InvalidAppTokenHash)
}

fn lives_too_short(wanted: Duration, life: Duration) -> Error {
    Error::config(format!(
        "min_remaining: a session is wanted that is good for {wanted:?}, but sessions live for {life:?}"
    ))
    .with_hint("ask for less, or for a longer duration; the token's sessionDuration caps it")
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
