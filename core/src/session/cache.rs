//! [`SessionCache`]: where sessions are kept, and the cache in memory. Decides which session is forgotten
//! when there are too many; knows nothing of when one is renewed.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use hashlink::LinkedHashMap;

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
    /// Whether the server named no expiry that can be, so that it is what was asked for, or less.
    pub is_estimated: bool,
    pub(super) made: Made,
}

/// What a program has made of a session: no part of what the session is.
#[derive(Default)]
pub(super) struct Made(OnceLock<Box<dyn Any + Send + Sync>>);

impl Clone for Made {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Made {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Made {}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Made")
    }
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
                expiry: Some(expiry),
                ..Session::of(ks.into())
            },
            started_at,
            token_id: token_id.into(),
            is_estimated: false,
            made: Made::default(),
        }
    }

    /// What was made of this session the first time that it was asked for, such as the form in which
    /// another language has it. It is dropped with the session; a session holds one such thing.
    ///
    /// # Errors
    /// Those of `make`. Nothing is kept then.
    pub fn made<T, E>(&self, make: impl FnOnce(&Session) -> Result<T, E>) -> Result<T, E>
    where
        T: Clone + Send + Sync + 'static,
    {
        if let Some(made) = self.made.0.get().and_then(|made| made.downcast_ref::<T>()) {
            return Ok(made.clone());
        }
        let fresh = make(&self.session)?;
        // Another thread may have been faster, and then both are as good.
        let _ = self.made.0.set(Box::new(fresh.clone()));
        Ok(fresh)
    }

    pub(super) fn hand_out(&self, key: &SessionKey) -> Session {
        let mut session = self.session.clone();
        session.key.get_or_insert_with(|| Arc::new(key.clone()));
        session
    }
}

/// Where sessions are kept: the seam for a cache that several processes share.
///
/// A cache may forget anything at any time, and answers what it does not have, or cannot reach, with
/// `None`: the session is then minted again. It belongs to one provider; over a store that several
/// share, an implementation keeps them apart by something of its own, such as the token's id.
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::{Arc, Mutex};
///
/// use kaltura_app_token::{
///     BoxFuture, CachedSession, Client, Secret, SessionCache, SessionKey, SessionProvider, TokenSource,
/// };
///
/// /// Keeps every session, for a program with few users.
/// #[derive(Debug, Default)]
/// struct KeepAll(Mutex<HashMap<SessionKey, Arc<CachedSession>>>);
///
/// impl SessionCache for KeepAll {
///     fn get<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Option<Arc<CachedSession>>> {
///         Box::pin(async { self.0.lock().unwrap().get(key).cloned() })
///     }
///
///     fn put<'a>(&'a self, key: &'a SessionKey, session: Arc<CachedSession>) -> BoxFuture<'a, ()> {
///         Box::pin(async move {
///             self.0.lock().unwrap().insert(key.clone(), session);
///         })
///     }
///
///     fn remove<'a>(&'a self, key: &'a SessionKey, ks: &'a Secret) -> BoxFuture<'a, bool> {
///         Box::pin(async {
///             let mut kept = self.0.lock().unwrap();
///             let is_it = kept.get(key).is_some_and(|cached| cached.session.ks == *ks);
///             is_it && kept.remove(key).is_some()
///         })
///     }
/// }
///
/// let client = Client::builder().partner_id(123_456).build()?;
/// let provider = SessionProvider::builder(TokenSource::environment())
///     .cache(Arc::new(KeepAll::default()))
///     .build(client);
/// # Ok::<(), kaltura_app_token::Error>(())
/// ```
pub trait SessionCache: fmt::Debug + Send + Sync {
    /// The session that is kept for this key.
    fn get<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Option<Arc<CachedSession>>>;

    /// Keeps a session, in place of the one that was kept for the key.
    fn put<'a>(&'a self, key: &'a SessionKey, session: Arc<CachedSession>) -> BoxFuture<'a, ()>;

    /// Forgets the key's session if it is still the one with this KS, and answers whether it was.
    fn remove<'a>(&'a self, key: &'a SessionKey, ks: &'a Secret) -> BoxFuture<'a, bool>;

    /// The cache that a [`crate::blocking::SessionProvider`] uses in a forked child; `None`: this one.
    ///
    /// A cache with locks, connections or threads of its own must give another: at the moment of the fork
    /// another thread may have held a lock, which nobody in the child will ever release.
    fn for_child(&self) -> Option<Arc<dyn SessionCache>> {
        None
    }
}

/// Keeps sessions in memory, and of more than fit those that were asked for last.
///
/// ```
/// use std::sync::Arc;
///
/// use kaltura_app_token::{Client, MemoryCache, SessionProvider, TokenSource};
///
/// let cache = Arc::new(MemoryCache::new(500));
/// let client = Client::builder().partner_id(123_456).build()?;
/// let provider = SessionProvider::builder(TokenSource::environment())
///     .cache(cache.clone())
///     .build(client);
/// assert!(cache.is_empty());
/// # Ok::<(), kaltura_app_token::Error>(())
/// ```
pub struct MemoryCache {
    capacity: usize,
    /// Those asked for last stand at the end.
    kept: Mutex<LinkedHashMap<Arc<SessionKey>, Arc<CachedSession>>>,
}

impl MemoryCache {
    /// How many sessions a provider keeps unless told otherwise.
    pub const DEFAULT_CAPACITY: usize = 10_000;

    /// A cache for this many sessions; 0 counts as 1.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        // Growing a large map would hold up whoever makes it grow; unused room costs next to no memory.
        let kept = LinkedHashMap::with_capacity(capacity.min(ROOM_AT_ONCE));
        Self {
            capacity: capacity.max(1),
            kept: Mutex::new(kept),
        }
    }

    /// How many sessions are kept, expired ones that nobody asked for since included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The session that is kept for this key, which counts as asked for.
    pub(super) fn find(&self, key: &SessionKey) -> Option<Arc<CachedSession>> {
        self.lock().to_back(key).map(|kept| Arc::clone(kept))
    }

    fn lock(&self) -> MutexGuard<'_, LinkedHashMap<Arc<SessionKey>, Arc<CachedSession>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryCache {
    fn default() -> Self {
        Self::new(Self::DEFAULT_CAPACITY)
    }
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache")
            .field("capacity", &self.capacity)
            .field("sessions", &self.len())
            .finish_non_exhaustive()
    }
}

impl SessionCache for MemoryCache {
    fn get<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Option<Arc<CachedSession>>> {
        Box::pin(async { self.find(key) })
    }

    fn put<'a>(&'a self, key: &'a SessionKey, session: Arc<CachedSession>) -> BoxFuture<'a, ()> {
        Box::pin(async {
            let shared = session.session.key.clone();
            let key = shared.unwrap_or_else(|| Arc::new(key.clone()));
            let mut kept = self.lock();
            kept.insert(key, session);
            if kept.len() > self.capacity {
                kept.pop_front();
            }
        })
    }

    fn remove<'a>(&'a self, key: &'a SessionKey, ks: &'a Secret) -> BoxFuture<'a, bool> {
        Box::pin(async {
            let mut kept = self.lock();
            let is_it = kept.get(key).is_some_and(|cached| cached.session.ks == *ks);
            is_it && kept.remove(key).is_some()
        })
    }

    fn for_child(&self) -> Option<Arc<dyn SessionCache>> {
        Some(Arc::new(Self::new(self.capacity)))
    }
}
