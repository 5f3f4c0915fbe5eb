//! [`SessionCache`]: where sessions are kept, and the cache in memory. Decides which session is forgotten
//! when there are too many; knows nothing of when one is renewed.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{Session, SessionKey};
use crate::secret::Secret;
use crate::transport::BoxFuture;

/// For how many sessions a cache has room from the beginning.
const ROOM_AT_ONCE: usize = 1 << 17;

/// A session as a [`SessionCache`] keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedSession {
    /// The session. Its expiry is always set.
    pub session: Session,
    /// When it was asked for, in unix seconds by the server's clock.
    pub started_at: i64,
    /// The id of the token that it was minted from.
    pub token_id: String,
}

impl CachedSession {
    /// A session that was kept elsewhere: its KS, the id of its token, when it was asked for and when
    /// it expires (both in unix seconds by the server's clock). Its other fields can be set after.
    #[must_use]
    pub fn new(
        ks: impl Into<Secret>,
        token_id: impl Into<String>,
        started_at: i64,
        expiry: i64,
    ) -> Self {
        Self {
            session: Session {
                ks: ks.into(),
                session_type: None,
                partner_id: None,
                user_id: None,
                expiry: Some(expiry),
                privileges: None,
                dropped_privileges: Vec::new(),
                key: None,
            },
            started_at,
            token_id: token_id.into(),
        }
    }
}

/// Where sessions are kept: the seam for a cache that several processes share.
///
/// A cache may forget anything at any time, and answers what it does not have, or cannot reach, with
/// `None`: the session is then minted again. It belongs to one provider; over a store that several
/// share, an implementation keeps them apart by something of its own, such as the token's id.
pub trait SessionCache: fmt::Debug + Send + Sync {
    /// The session that is kept for this key.
    fn get<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Option<Arc<CachedSession>>>;

    /// Keeps a session, in place of the one that was kept for the key.
    fn put<'a>(&'a self, key: &'a SessionKey, session: Arc<CachedSession>) -> BoxFuture<'a, ()>;

    /// Forgets the key's session if it is still the one with this KS, and answers whether it was.
    fn remove<'a>(&'a self, key: &'a SessionKey, ks: &'a Secret) -> BoxFuture<'a, bool>;
}

/// Keeps sessions in memory, and of more than fit those that were asked for last.
#[derive(Debug)]
pub struct MemoryCache {
    capacity: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_key: HashMap<Arc<SessionKey>, (u64, Arc<CachedSession>)>,
    by_use: BTreeMap<u64, Arc<SessionKey>>,
    uses: u64,
}

impl MemoryCache {
    /// How many sessions a provider keeps unless told otherwise.
    pub const DEFAULT_CAPACITY: usize = 10_000;

    /// A cache for this many sessions; 0 counts as 1.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            kept: Mutex::new(Kept {
                // Growing a large map would hold up whoever makes it grow; unused room costs next to
                // no memory.
                by_key: HashMap::with_capacity(capacity.min(ROOM_AT_ONCE)),
                ..Kept::default()
            }),
        }
    }

    /// How many sessions are kept, expired ones that nobody asked for since included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().by_key.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryCache {
    fn default() -> Self {
        Self::new(Self::DEFAULT_CAPACITY)
    }
}

impl Kept {
    fn touch(&mut self, key: &SessionKey) -> Option<Arc<CachedSession>> {
        self.uses += 1;
        let (last_use, session) = self.by_key.get_mut(key)?;
        let key = self.by_use.remove(last_use)?;
        *last_use = self.uses;
        let session = Arc::clone(session);
        self.by_use.insert(self.uses, key);
        Some(session)
    }

    fn remove(&mut self, key: &SessionKey) {
        if let Some((last_use, _)) = self.by_key.remove(key) {
            self.by_use.remove(&last_use);
        }
    }

    fn insert(&mut self, key: Arc<SessionKey>, session: Arc<CachedSession>, capacity: usize) {
        self.remove(&key);
        while self.by_key.len() >= capacity
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.by_key.remove(&oldest);
        }
        self.uses += 1;
        self.by_use.insert(self.uses, Arc::clone(&key));
        self.by_key.insert(key, (self.uses, session));
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sessions", self.by_key.len())
    }
}

impl SessionCache for MemoryCache {
    fn get<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Option<Arc<CachedSession>>> {
        Box::pin(async { self.lock().touch(key) })
    }

    fn put<'a>(&'a self, key: &'a SessionKey, session: Arc<CachedSession>) -> BoxFuture<'a, ()> {
        Box::pin(async {
            let shared = session.session.key.clone();
            let key = shared.unwrap_or_else(|| Arc::new(key.clone()));
            self.lock().insert(key, session, self.capacity);
        })
    }

    fn remove<'a>(&'a self, key: &'a SessionKey, ks: &'a Secret) -> BoxFuture<'a, bool> {
        Box::pin(async {
            let mut kept = self.lock();
            let is_it = kept
                .by_key
                .get(key)
                .is_some_and(|(_, cached)| cached.session.ks == *ks);
            if is_it {
                kept.remove(key);
            }
            is_it
        })
    }
}
