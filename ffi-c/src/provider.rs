//! `kat_provider`: a valid session whenever one is asked for; where its token comes from, and what can be
//! asked of it.

use std::ffi::c_char;
use std::sync::Arc;
use std::time::Duration;

use kaltura_app_token as core;
use kaltura_app_token::blocking;

use crate::boundary::{Caller, Failure, Numbered, Remembers, call, free, new, set};
use crate::client::{kat_cancel, kat_client, wait};
use crate::config::{owned, seconds};
use crate::error::{kat_error, kat_status};
use crate::operation::Operation;
use crate::params::{no_fault, number};
use crate::session::kat_session;

/// Why the API refused a session, as INVALID_KS says in its argument KSID: for kat_provider_reject.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub enum kat_ks_failure {
    /// "EXPIRED": another session helps.
    Expired = 1,
    /// "LOGOUT": it was ended, or its token deleted. Only another token helps.
    LoggedOut = 2,
    /// "EXCEEDED_ACTIONS_LIMIT": its actionslimit is used up. Another session helps.
    ActionsLimit = 3,
    /// "EXCEEDED_RESTRICTED_IP": its iprestrict does not hold this address.
    RestrictedIp = 4,
    /// "EXCEEDED_RESTRICTED_URI": its urirestrict does not hold this path.
    RestrictedUri = 5,
    /// Anything else: it is not one of this server and account.
    NotAccepted = 6,
}

impl Numbered for kat_ks_failure {
    const NAME: &'static str = "kat_ks_failure";
    const ALL: &'static [Self] = &[
        Self::Expired,
        Self::LoggedOut,
        Self::ActionsLimit,
        Self::RestrictedIp,
        Self::RestrictedUri,
        Self::NotAccepted,
    ];
    fn number(self) -> i32 {
        self as i32
    }
}

impl From<kat_ks_failure> for core::KsFailure {
    fn from(reason: kat_ks_failure) -> Self {
        match reason {
            kat_ks_failure::Expired => Self::Expired,
            kat_ks_failure::LoggedOut => Self::LoggedOut,
            kat_ks_failure::ActionsLimit => Self::ActionsLimit,
            kat_ks_failure::RestrictedIp => Self::RestrictedIp,
            kat_ks_failure::RestrictedUri => Self::RestrictedUri,
            kat_ks_failure::NotAccepted => Self::NotAccepted,
        }
    }
}

/// Where a provider gets its token's id and value from. It asks for every session that it starts, so that a
/// changed variable or file counts from the next session on. Nothing changes a source, so it may serve many
/// providers.
///
/// A source that has no token is not an error before a session is to be started: the call then returns
/// KAT_STATUS_INVALID_ARG.
#[derive(Debug)]
pub struct kat_token_source(core::TokenSource);

/// Settings of a provider.
#[derive(Debug)]
pub struct kat_provider_params {
    hash_type: Option<core::HashType>,
    capacity: usize,
    fault: Option<Failure>,
}

/// Which session is wanted of a provider. Equal keys share a session; min_remaining is a wish of the call and
/// does not tell keys apart.
#[derive(Debug, Default)]
pub struct kat_session_key {
    key: core::SessionKey,
    min_remaining: Option<Duration>,
    fault: Option<Failure>,
}

/// Hands out sessions of one token, and starts one only when there is no good one.
///
/// 1. Make one with kat_provider_new, for as long as the program runs.
/// 2. Before each use of the API ask kat_provider_get for a session: it is good now. Most calls return one that
///    is kept, without talking to the server.
/// 3. When the API refuses it with INVALID_KS, say so with kat_provider_reject, and try once more with what
///    that returns.
///
/// A session is renewed when about a quarter of its life is left: one caller does it while the others go
/// on with the old one, and once that has expired all wait for the one renewal. For equal keys there is never
/// more than one exchange at a time, however many threads or queued calls ask. A caller that cancels disturbs
/// no other. Nobody who has a good session waits longer than 50 ms for another. After a failed exchange the next
/// one for an equal key waits: 1 s, 2 s, 4 s, up to a minute, or as long as the server asks for, up to a day. Until
/// then a good session goes on for as long as it lasts, and without one the same error is returned at once.
///
/// Every function takes it as a pointer to const: one provider serves all threads. It never ends a session on the
/// server. A renewal that its caller no longer waits for is seen through by a thread that ends with it; while idle
/// there is none. After fork it works on both sides; a child begins with no session.
#[derive(Debug)]
pub struct kat_provider(blocking::SessionProvider);

impl Default for kat_provider_params {
    fn default() -> Self {
        Self {
            hash_type: Some(core::HashType::Sha256),
            capacity: core::MemoryCache::DEFAULT_CAPACITY,
            fault: None,
        }
    }
}

impl Remembers for kat_provider_params {
    fn fault(&mut self) -> &mut Option<Failure> {
        &mut self.fault
    }
}

impl Remembers for kat_session_key {
    fn fault(&mut self) -> &mut Option<Failure> {
        &mut self.fault
    }
}

impl kat_provider {
    fn new(
        client: &kat_client,
        source: &kat_token_source,
        params: &kat_provider_params,
    ) -> Result<Self, Failure> {
        no_fault(params.fault.as_ref())?;
        let builder = core::SessionProvider::builder(source.0.clone())
            .hash_type(params.hash_type.clone())
            .capacity(params.capacity);
        Ok(Self(blocking::SessionProvider::new(
            Arc::clone(&client.client),
            builder,
        )))
    }

    pub(crate) fn client(&self) -> &blocking::Client {
        self.0.client()
    }

    pub(crate) fn get(
        &self,
        c: &Caller,
        key: *const kat_session_key,
    ) -> Result<Operation, Failure> {
        let (key, min_remaining) = match c.optional(key) {
            None => Default::default(),
            Some(key) => {
                no_fault(key.fault.as_ref())?;
                (key.key.clone(), key.min_remaining.unwrap_or_default())
            }
        };
        let provider = self.0.provider()?;
        Ok(Operation::ProviderGet(provider, key, min_remaining))
    }

    pub(crate) fn reject(
        &self,
        c: &Caller,
        session: *const kat_session,
        reason: i32,
    ) -> Result<Operation, Failure> {
        let session = c.handle(session, "session")?.started.clone();
        let reason = kat_ks_failure::from_number(reason, "reason")?;
        let provider = self.0.provider()?;
        Ok(Operation::ProviderReject(provider, session, reason.into()))
    }
}

/// This token, for good.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_token_source_value(
    id: *const c_char,
    value: *const c_char,
    out: *mut *mut kat_token_source,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (id, value) = (c.text(id, "id")?, c.text(value, "value")?);
            let source = core::TokenSource::value(id, value);
            c.out(out, "out")?.give(kat_token_source(source));
            Ok(())
        })
    }
}

/// KALTURA_APP_TOKEN_ID and KALTURA_APP_TOKEN. They are read whenever a session is started, on any thread that
/// waits for it or on a queue's: the program must not change its environment meanwhile.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_token_source_environment(
    out: *mut *mut kat_token_source,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let source = core::TokenSource::environment();
            c.out(out, "out")?.give(kat_token_source(source));
            Ok(())
        })
    }
}

/// A token with this id, whose value is in the environment variable called name. Read as by
/// kat_token_source_environment; an empty variable is unset.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_token_source_variable(
    id: *const c_char,
    name: *const c_char,
    out: *mut *mut kat_token_source,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (id, name) = (c.text(id, "id")?, c.text(name, "name")?);
            let source = core::TokenSource::variable(id, name);
            c.out(out, "out")?.give(kat_token_source(source));
            Ok(())
        })
    }
}

/// A JSON file with "id", "token" and, if it is known, "hashType", which wins over the provider's. Read again
/// for every session that is started.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_token_source_file(
    path: *const c_char,
    out: *mut *mut kat_token_source,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let source = core::TokenSource::file(c.text(path, "path")?);
            c.out(out, "out")?.give(kat_token_source(source));
            Ok(())
        })
    }
}

/// A token with this id, whose value is all that is in the file, such as a mounted secret; a newline at its end
/// is left out. Read again for every session that is started.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_token_source_value_file(
    id: *const c_char,
    path: *const c_char,
    out: *mut *mut kat_token_source,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (id, path) = (c.text(id, "id")?, c.text(path, "path")?);
            let source = core::TokenSource::value_file(id, path);
            c.out(out, "out")?.give(kat_token_source(source));
            Ok(())
        })
    }
}

/// Frees a source; providers that were made with it go on. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_source_free(source: *mut kat_token_source) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(source) }
}

/// Parameters with nothing set.
#[unsafe(no_mangle)]
pub extern "C" fn kat_provider_params_new() -> *mut kat_provider_params {
    new(kat_provider_params::default)
}

/// Frees parameters. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_provider_params_free(params: *mut kat_provider_params) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(params) }
}

/// The token's hash type: one of KAT_HASH_SHA256 and the like. "auto" finds it out: SHA256 is tried first, another only
/// after INVALID_APP_TOKEN_HASH, and the one that works is remembered; a wrong value of the token then costs
/// four exchanges. NULL: unset, which means SHA256.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_provider_params_set_hash_type(
    params: *mut kat_provider_params,
    hash_type: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.hash_type = match c.optional_text(hash_type, "hash_type")? {
                None => Some(core::HashType::Sha256),
                Some("auto") => None,
                Some(name) => Some(name.into()),
            };
            Ok(())
        })
    }
}

/// How many sessions are kept at most, one for each key; 10,000 unless set, and 0 counts as 1. Those that were
/// asked for longest ago go first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_provider_params_set_capacity(
    params: *mut kat_provider_params,
    sessions: usize,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.capacity = sessions;
            Ok(())
        })
    }
}

/// A key with nothing set: sessions as the token gives them.
#[unsafe(no_mangle)]
pub extern "C" fn kat_session_key_new() -> *mut kat_session_key {
    new(kat_session_key::default)
}

/// Frees a key. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_key_free(key: *mut kat_session_key) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(key) }
}

/// The session's user; one of the token's own wins. NULL: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_key_set_user_id(
    key: *mut kat_session_key,
    user_id: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(key, |key, c| {
            key.key.user_id = owned(c, user_id, "user_id")?;
            Ok(())
        })
    }
}

/// The session's type, a kat_session_type; one of the token's own wins. KAT_ABSENT: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_key_set_session_type(
    key: *mut kat_session_key,
    session_type: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(key, |key, _| {
            key.key.session_type = number(session_type).map(Into::into);
            Ok(())
        })
    }
}

/// Privileges in addition to the token's, such as "sview:1_abc". NULL: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_key_set_privileges(
    key: *mut kat_session_key,
    privileges: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(key, |key, c| {
            key.key.privileges = owned(c, privileges, "privileges")?;
            Ok(())
        })
    }
}

/// How long sessions are to live, in seconds; the token's own limit caps it. KAT_ABSENT: unset, which leaves it
/// to the server.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_key_set_duration(
    key: *mut kat_session_key,
    duration: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(key, |key, _| {
            key.key.duration = seconds(duration, "duration")?;
            Ok(())
        })
    }
}

/// For how many seconds the session that is handed out must still be good; when no session lives that long, a
/// fresh one is handed out. Near to a session's whole life it starts one with almost every call.
/// KAT_ABSENT: unset, which means that it is good now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_key_set_min_remaining(
    key: *mut kat_session_key,
    min_remaining: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(key, |key, _| {
            key.min_remaining = seconds(min_remaining, "min_remaining")?;
            Ok(())
        })
    }
}

/// A provider of sessions of the source's token. params may be NULL. Asks neither the server nor the source yet.
/// It keeps what it needs of client and source, which may be freed before it.
///
/// KAT_STATUS_INVALID_ARG for what a setter of params refused.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_provider_new(
    client: *const kat_client,
    source: *const kat_token_source,
    params: *const kat_provider_params,
    out: *mut *mut kat_provider,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (client, source) = (c.handle(client, "client")?, c.handle(source, "source")?);
            let out = c.out(out, "out")?;
            out.give(match c.optional(params) {
                Some(params) => kat_provider::new(client, source, params)?,
                None => kat_provider::new(client, source, &kat_provider_params::default())?,
            });
            Ok(())
        })
    }
}

/// Wipes the sessions that are kept and frees a provider that no call uses any more. Calls that were submitted
/// to a queue go on, and sessions that were handed out stay good. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_provider_free(provider: *mut kat_provider) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(provider) }
}

/// A session that is good now, and for the key's min_remaining. key may be NULL: the session as the token gives
/// it. Blocks only while a session has to be started for it.
///
/// KAT_STATUS_INVALID_ARG when the source has no token.
///
/// cancel may be NULL. It ends this call only: others that wait for the same session get it.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_provider_get(
    provider: *const kat_provider,
    key: *const kat_session_key,
    cancel: *const kat_cancel,
    out: *mut *mut kat_session,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (provider, out) = (c.handle(provider, "provider")?, c.out(out, "out")?);
            let operation = provider.get(c, key)?;
            let cancel = c.optional(cancel);
            out.give(wait::<core::Session>(provider.client(), cancel, operation)?);
            Ok(())
        })
    }
}

/// Takes back a session of this provider that the API refused, for a reason that is a kat_ks_failure, and
/// returns the one to try again with, once. The refused one is still the caller's to free.
///
/// Another session is started only for KAT_KS_FAILURE_EXPIRED and _ACTIONS_LIMIT, and not again and again; for
/// _LOGGED_OUT only if the source has another token by now. When somebody has replaced the session meanwhile,
/// that replacement is returned.
///
/// KAT_STATUS_API with "INVALID_KS" when another session would not help. KAT_STATUS_INVALID_ARG for a session
/// that no provider handed out. Otherwise as kat_provider_get.
///
/// cancel may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_provider_reject(
    provider: *const kat_provider,
    session: *const kat_session,
    reason: i32,
    cancel: *const kat_cancel,
    out: *mut *mut kat_session,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (provider, out) = (c.handle(provider, "provider")?, c.out(out, "out")?);
            let operation = provider.reject(c, session, reason)?;
            let cancel = c.optional(cancel);
            out.give(wait::<core::Session>(provider.client(), cancel, operation)?);
            Ok(())
        })
    }
}
