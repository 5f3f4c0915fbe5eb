//! What a provider owns (cache, token source, client, flights) and how it carries out what is decided in
//! `decide`. Decides nothing about time, waiting or refusals itself.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::cache::{CachedSession, Made, MemoryCache, SessionCache};
use super::decide::{Action, Event, KeyState, Life, Now, Token};
use super::outage::Outages;
use super::source::{TokenCredentials, TokenSource};
use crate::client::{Client, dead_at_birth};
use crate::clock::{FURTHEST_MS, millis};
use crate::error::{ApiCode, Error, ErrorKind, Result};
use crate::event;
use crate::flight::{Flight, Joined};
use crate::model::{HashType, Session, SessionKey, SessionRequest};
use crate::seam::random::chance;
use crate::transport::BoxFuture;

/// The life of a session of which nobody says how long it is.
const ASSUMED_LIFE: Duration = Duration::from_secs(300);
/// How much longer than it was asked to a session may live before its expiry is not believed.
const TOLERATED: Duration = Duration::from_secs(86_400);
/// No session lives longer, a hundred years: an expiry beyond counts as none where nothing was asked for.
const LONGEST_LIFE: Duration = Duration::from_secs(100 * 365 * 86_400);
/// Below this many keys with something going on nobody looks for what can be forgotten.
const SWEEP_AT_LEAST: usize = 1024;
/// Newest first: what tokens should have, what tokens have that were created without one, the rest.
const HASH_TYPES_TO_TRY: [HashType; 4] = [
    HashType::Sha256,
    HashType::Sha1,
    HashType::Sha512,
    HashType::Md5,
];

/// Sees work through whose caller has left.
pub(crate) type Carrier = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

/// What a provider is made of.
pub(super) struct Driver {
    pub(super) client: Client,
    pub(super) source: TokenSource,
    pub(super) hash_type: Option<HashType>,
    pub(super) cache: Arc<dyn SessionCache>,
    /// The cache, where it is this provider's own.
    pub(super) memory: Option<Arc<MemoryCache>>,
    pub(super) renew_when_left: f64,
    pub(super) renewal_wait: Duration,
    pub(super) carrier: Option<Carrier>,
    pub(super) found: Found,
    pub(super) counters: Counters,
}

/// What a provider learns.
#[derive(Default)]
pub(super) struct Found {
    keys: Mutex<Keys>,
    outages: Mutex<Outages>,
    hash_type: Mutex<Option<HashType>>,
    said_short: AtomicBool,
    /// What makes the numbers of this provider its own.
    random: RandomState,
}

/// How often something happened.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) handed_out: AtomicU64,
    pub(super) minted: AtomicU64,
    pub(super) renewed: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) waiting: AtomicUsize,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The keys for which something is going on.
#[derive(Default)]
struct Keys {
    by_key: HashMap<Arc<SessionKey>, Slot>,
    sweep_at: usize,
}

#[derive(Default)]
struct Slot {
    state: KeyState,
    flight: Arc<Flight<Landed>>,
    /// Whether the fetch under way has its credentials.
    sourced: Option<watch::Receiver<bool>>,
}

/// What a flight came to.
#[derive(Clone)]
pub(super) struct Landed {
    pub(super) session: Arc<CachedSession>,
    /// Whether it was minted, rather than found in a cache that others fill as well.
    pub(super) is_fresh: bool,
}

/// A caller's place in a flight. A renewal that the caller leaves goes on without it; any other flight
/// ends with the last of those who wait for it.
pub(super) struct Seat {
    driver: Arc<Driver>,
    key: Arc<SessionKey>,
    joined: Option<Joined<Landed>>,
    sourced: Option<watch::Receiver<bool>>,
    is_renewal: bool,
    /// Who carries the flight on, if it is a renewal.
    carrier: Option<Carrier>,
}

impl Seat {
    pub(super) fn key(&self) -> &Arc<SessionKey> {
        &self.key
    }

    /// Whether there is a good session meanwhile.
    pub(super) fn is_renewal(&self) -> bool {
        self.is_renewal
    }

    /// Whether the flight goes on when the caller leaves.
    pub(super) fn can_leave(&self) -> bool {
        self.carrier.is_some()
    }

    /// Waits for what the flight comes to.
    ///
    /// It ends in its own time, unless whoever drives the connections has stopped doing so. So there is a
    /// limit, of twice what a call may take, counted from when the token source has answered: that has a
    /// limit of its own.
    pub(super) async fn landed(&mut self) -> Result<Landed> {
        let Some(joined) = &mut self.joined else {
            return Err(Error::config("the wait for a session is over"));
        };
        let client = &self.driver.client;
        let sourced = &mut self.sourced;
        let too_long = async {
            let is_minting = match sourced {
                Some(sourced) => sourced.wait_for(|sourced| *sourced).await.is_ok(),
                None => false,
            };
            if !is_minting {
                // It ends, or has ended.
                std::future::pending::<()>().await;
            }
            let limit = client.total_timeout().saturating_mul(2);
            client.clock().sleep(limit).await;
            limit
        };
        tokio::select! {
            biased;
            landed = joined => landed,
            limit = too_long => Err(Error::new(
                ErrorKind::Timeout,
                format!("no session within {limit:?}"),
            )),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.driver.counters.waiting.fetch_sub(1, Ordering::Relaxed);
        let (driver, key) = (Arc::clone(&self.driver), Arc::clone(&self.key));
        if let (Some(joined), Some(carry)) = (
            self.joined.take_if(|joined| !joined.has_ended()),
            &self.carrier,
        ) {
            carry(Box::pin(async move {
                // Those who waited for it know how it ended, and the next ones find out.
                let _ = joined.await;
                driver.tidy(&key);
            }));
        } else {
            self.joined = None;
            driver.tidy(&key);
        }
    }
}

impl CachedSession {
    pub(super) fn life(&self) -> Life {
        Life {
            started: in_ms(self.started_at),
            expires: in_ms(self.session.expiry.unwrap_or_default()),
        }
    }
}

impl Driver {
    pub(super) fn now(&self) -> Now {
        let time = self.client.server_time();
        Now {
            steady: self.client.clock().steady_now(),
            likely: time.likely,
            latest: time.latest,
        }
    }

    /// A number of this provider's for something, by which it is known again.
    pub(super) fn number(&self, of: impl Hash) -> u64 {
        self.found.random.hash_one(of)
    }

    /// Tells what happened to a key.
    pub(super) fn tell(&self, key: &Arc<SessionKey>, event: &Event<'_>) -> Action {
        let now = self.now();
        let mut keys = self.keys();
        keys.tell(key, event, &now)
    }

    /// What a caller who has looked into the cache is to do; its seat, where that is to wait.
    pub(super) fn ask(
        self: &Arc<Self>,
        key: &SessionKey,
        kept: Option<&Arc<CachedSession>>,
        min_remaining: i64,
    ) -> (Action, Option<Seat>) {
        let now = self.now();
        let mut keys = self.keys();
        keys.sweep(&now);
        let known = keys.by_key.get_key_value(key);
        let under_way = known.is_some_and(|(_, slot)| slot.flight.is_under_way());
        let event = self.asked(key, kept, min_remaining, under_way);
        let Some((shared, _)) = known else {
            // Most calls end here, and leave nothing behind.
            let (_, action) = KeyState::default().step(&event, &now);
            if matches!(action, Action::HandOut) {
                return (action, None);
            }
            let key = Arc::new(key.clone());
            let is_renewal = matches!(action, Action::Renew);
            let seat = self.seat(&mut keys, key, kept, min_remaining, is_renewal);
            return (action, Some(seat));
        };
        let key = Arc::clone(shared);
        let action = keys.tell(&key, &event, &now);
        let is_renewal = matches!(action, Action::Renew);
        let seat = (is_renewal || matches!(action, Action::Wait))
            .then(|| self.seat(&mut keys, key, kept, min_remaining, is_renewal));
        (action, seat)
    }

    fn asked<'a>(
        &self,
        key: &SessionKey,
        kept: Option<&Arc<CachedSession>>,
        min_remaining: i64,
        under_way: bool,
    ) -> Event<'a> {
        let number = kept.map_or(0, |kept| self.number((key, kept.session.expiry)));
        Event::Asked {
            kept: kept.map(|kept| kept.life()),
            min_remaining,
            renew_when_left: self.renew_when_left,
            #[expect(clippy::cast_precision_loss, reason = "any number near it will do")]
            number: number as f64 / u64::MAX as f64,
            under_way,
        }
    }

    /// The session in memory, when there is nothing to do for its key but to hand it out.
    pub(super) fn at_hand(
        &self,
        key: &SessionKey,
        min_remaining: i64,
    ) -> Option<Arc<CachedSession>> {
        let kept = self.memory.as_ref()?.find(key)?;
        if self.keys().by_key.contains_key(key) {
            return None;
        }
        let event = self.asked(key, Some(&kept), min_remaining, false);
        let (_, action) = KeyState::default().step(&event, &self.now());
        matches!(action, Action::HandOut).then_some(kept)
    }

    fn seat(
        self: &Arc<Self>,
        keys: &mut Keys,
        key: Arc<SessionKey>,
        kept: Option<&Arc<CachedSession>>,
        min_remaining: i64,
        is_renewal: bool,
    ) -> Seat {
        let slot = keys.by_key.entry(Arc::clone(&key)).or_default();
        let wish = slot.state.attainable(min_remaining);
        let sourced = &mut slot.sourced;
        let joined = slot.flight.join(MINTING, self.client.sender().age(), || {
            let (tell, told) = watch::channel(false);
            *sourced = Some(told);
            let (this, key) = (Arc::clone(self), Arc::clone(&key));
            Box::pin(this.mint_or_reuse(key, kept.cloned(), wish, tell))
        });
        self.counters.waiting.fetch_add(1, Ordering::Relaxed);
        Seat {
            driver: Arc::clone(self),
            key,
            joined: Some(joined),
            sourced: slot.sourced.clone(),
            is_renewal,
            carrier: is_renewal.then(|| self.carrier()).flatten(),
        }
    }

    fn carrier(&self) -> Option<Carrier> {
        self.carrier.clone().or_else(|| {
            let runtime = tokio::runtime::Handle::try_current().ok()?;
            Some(Arc::new(move |work| drop(runtime.spawn(work))))
        })
    }

    /// Forgets a key for which nothing is going on any more.
    fn tidy(&self, key: &SessionKey) {
        let mut keys = self.keys();
        if keys.by_key.get(key).is_some_and(Slot::is_idle) {
            keys.by_key.remove(key);
        }
    }

    /// How many keys there is something to remember of.
    pub(super) fn under_way(&self) -> usize {
        self.keys().by_key.len()
    }

    pub(super) fn backing_off(&self) -> usize {
        let now = self.now();
        let keys = self.keys();
        let backs_off = keys
            .by_key
            .values()
            .filter(|slot| slot.state.backs_off(&now));
        backs_off.count()
    }

    /// Says that a wish for a session of so long a life cannot be fulfilled.
    pub(super) fn say_short(&self, session: &CachedSession, min_remaining: Duration) {
        if !self.found.said_short.swap(true, Ordering::Relaxed) {
            let left = session.life().left(&self.now()).max(0) / 1000;
            log::warn!(
                "min_remaining: sessions of token {} that are good for {min_remaining:?} are wanted, and new \
                 ones live for {left} s: they are handed out all the same; ask for less, or for a longer \
                 duration, which the token's sessionDuration caps",
                session.token_id
            );
        }
    }

    /// Mints a session, unless somebody else has done so since the caller looked, and it lives for as long
    /// as this caller wants.
    async fn mint_or_reuse(
        self: Arc<Self>,
        key: Arc<SessionKey>,
        replaces: Option<Arc<CachedSession>>,
        min_remaining: i64,
        sourced: watch::Sender<bool>,
    ) -> Result<Landed> {
        let kept = self.client.sender().in_time(self.cache.get(&key)).await?;
        let kept = kept.filter(|kept| {
            let is_another = replaces
                .as_ref()
                .is_none_or(|replaces| replaces.session.ks != kept.session.ks);
            is_another && kept.life().is_good(&self.now(), min_remaining)
        });
        if let Some(session) = kept {
            self.settle(&key, &session.token_id, false);
            return Ok(Landed {
                session,
                is_fresh: false,
            });
        }
        // What goes wrong in the source costs the server nothing and is not held against the next caller.
        let credentials = self.credentials().await.inspect_err(|error| {
            let is_news = self.outages().source_failed(self.steady());
            self.say_outage(is_news, "", error);
        })?;
        sourced.send_replace(true);
        let token = Token {
            id: credentials.id.clone(),
            fingerprint: self.number((
                &credentials.id,
                credentials.token.reveal(),
                &credentials.hash_type,
            )),
        };
        if let Action::Refuse(error) = self.tell(&key, &Event::Sourced { token: &token }) {
            return Err(error);
        }
        match self.mint(&credentials, &key).await {
            Ok(session) => {
                let session = Arc::new(session);
                // Whoever waits for the session gets it, whatever a cache does with it.
                let put = self.cache.put(&key, Arc::clone(&session));
                let _ = self.client.sender().in_time(put).await;
                count(&self.counters.minted);
                if replaces.is_some() {
                    count(&self.counters.renewed);
                }
                self.settle(&key, &token.id, replaces.is_some());
                Ok(Landed {
                    session,
                    is_fresh: true,
                })
            }
            Err(error) => {
                count(&self.counters.failed);
                let kept = replaces.map(|kept| kept.life());
                let failed = Event::Failed {
                    token: &token,
                    error: &error,
                    kept,
                    chance: chance(),
                };
                self.tell(&key, &failed);
                let is_news = self.outages().failed(&error, self.steady());
                self.say_outage(is_news, &token.id, &error);
                Err(error)
            }
        }
    }

    fn steady(&self) -> Duration {
        self.client.clock().steady_now()
    }

    fn say_outage(&self, is_news: bool, token_id: &str, error: &Error) {
        if is_news {
            self.client.events().tell(&event::Event::OutageBegan {
                token_id: token_id.to_owned(),
                error: error.clone(),
            });
        }
    }

    /// The token as the source has it now.
    pub(super) async fn credentials(&self) -> Result<TokenCredentials> {
        self.source.ask(self.client.total_timeout()).await
    }

    /// Notes that there is a session.
    fn settle(&self, key: &Arc<SessionKey>, token_id: &str, replaces: bool) {
        let failure = {
            let keys = self.keys();
            let slot = keys.by_key.get(key);
            slot.and_then(|slot| slot.state.failure().cloned())
        };
        self.tell(key, &Event::Minted { replaces });
        // The lock is not held while others are told.
        let over = self.outages().succeeded(failure.as_ref(), self.steady());
        if let Some(lasted) = over {
            self.client.events().tell(&event::Event::OutageEnded {
                token_id: token_id.to_owned(),
                lasted,
            });
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
        let known = key.duration.into_iter().chain(credentials.session_duration);
        let asked = known.min();
        let life = |life: Duration| started_at.saturating_add(millis(life) / 1000);
        // Of one that lives for much longer than was asked for, either the expiry lies or the clocks do.
        let named = match asked {
            Some(asked) => {
                let furthest = life(asked.saturating_add(TOLERATED));
                session.expiry.map(|expiry| expiry.min(furthest))
            }
            None => session.expiry.filter(|expiry| *expiry < life(LONGEST_LIFE)),
        };
        let is_estimated = named.is_none();
        let expiry = named.unwrap_or_else(|| life(asked.unwrap_or(ASSUMED_LIFE)));
        session.expiry = Some(expiry);
        if in_ms(expiry) <= now {
            return Err(dead_at_birth(&credentials.id));
        }
        session.key = Some(Arc::clone(key));
        Ok(CachedSession {
            session,
            started_at,
            token_id: credentials.id.clone(),
            is_estimated,
            made: Made::default(),
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

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.found
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn outages(&self) -> MutexGuard<'_, Outages> {
        let outages = &self.found.outages;
        outages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash_type_found(&self) -> MutexGuard<'_, Option<HashType>> {
        let found = &self.found.hash_type;
        found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a flight does, in errors.
const MINTING: &str =
    "minting a session, or the token source, session cache, clock or transport that it uses,";

impl Keys {
    fn tell(&mut self, key: &Arc<SessionKey>, event: &Event<'_>, now: &Now) -> Action {
        let slot = self.by_key.get_mut(key);
        let before = slot.map(|slot| std::mem::take(&mut slot.state));
        let (state, action) = before.unwrap_or_default().step(event, now);
        if let Some(slot) = self.by_key.get_mut(key) {
            slot.state = state;
        } else if !state.is_empty() {
            self.by_key.entry(Arc::clone(key)).or_default().state = state;
        }
        action
    }

    /// Forgets old troubles when there are many, so that keys nobody asks for again do not add up.
    fn sweep(&mut self, now: &Now) {
        if self.by_key.len() < self.sweep_at.max(SWEEP_AT_LEAST) {
            return;
        }
        self.by_key.retain(|_, slot| {
            slot.state.forget_old(now);
            !slot.is_idle()
        });
        self.sweep_at = self.by_key.len() * 2;
    }
}

impl Slot {
    fn is_idle(&self) -> bool {
        self.state.is_empty() && !self.flight.is_under_way()
    }
}

/// An instant of whole seconds in milliseconds.
fn in_ms(seconds: i64) -> i64 {
    seconds
        .saturating_mul(1000)
        .clamp(-FURTHEST_MS, FURTHEST_MS)
}

fn is_hash_mismatch(error: &Error) -> bool {
    error.api_code() == Some(ApiCode::InvalidAppTokenHash)
}
