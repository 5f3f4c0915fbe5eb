//! `kat_session` and `kat_session_info`: sessions that were started, and what the server says of one.

use std::ffi::c_char;

use kaltura_app_token as core;

use crate::boundary::{ABSENT, free, get};
use crate::text::{Text, pointer};

/// What is told of a session.
#[derive(Debug)]
struct Fields {
    session_type: i64,
    partner_id: i64,
    user_id: Option<Text>,
    expiry: i64,
    privileges: Option<Text>,
}

/// A session that was started. Nothing changes it, so it may be read from many threads.
#[derive(Debug)]
pub struct kat_session {
    /// What a provider knows the session by: without what C reads from here.
    pub(crate) started: core::Session,
    ks: Text,
    fields: Fields,
    dropped_privileges: Vec<Text>,
}

impl From<core::Session> for kat_session {
    fn from(mut session: core::Session) -> Self {
        Self {
            ks: (&session.ks).into(),
            fields: Fields {
                session_type: session
                    .session_type
                    .map_or(ABSENT, core::SessionType::value),
                partner_id: session.partner_id.unwrap_or(ABSENT),
                user_id: session.user_id.take().map(Text::from),
                expiry: session.expiry.unwrap_or(ABSENT),
                privileges: session.privileges.take().map(Text::from),
            },
            dropped_privileges: std::mem::take(&mut session.dropped_privileges)
                .into_iter()
                .map(Text::from)
                .collect(),
            started: session,
        }
    }
}

/// The session itself, for the ks parameter of API calls. A secret. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_ks(session: *const kat_session) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(session, |session| session.ks.as_ptr()) }
}

/// Its type: a kat_session_type, another number, or KAT_ABSENT where the server does not say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_session_type(session: *const kat_session) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(session, |session| session.fields.session_type) }
}

/// Its account, or KAT_ABSENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_partner_id(session: *const kat_session) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(session, |session| session.fields.partner_id) }
}

/// Its user, or NULL. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_user_id(session: *const kat_session) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(session, |session| pointer(session.fields.user_id.as_ref())) }
}

/// When it expires by the server's clock, or KAT_ABSENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_expiry_unix(session: *const kat_session) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(session, |session| session.fields.expiry) }
}

/// Its effective privileges, or NULL. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_privileges(session: *const kat_session) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        get(session, |session| {
            pointer(session.fields.privileges.as_ref())
        })
    }
}

/// How many of the privileges that were asked for the server did not grant. 0 also when it does not say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_dropped_privilege_count(session: *const kat_session) -> usize {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(session, |session| session.dropped_privileges.len()) }
}

/// One of them, from 0, such as "edit:1_a"; NULL beyond the last. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_dropped_privilege(
    session: *const kat_session,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        get(session, |session| {
            pointer(session.dropped_privileges.get(index))
        })
    }
}

/// Wipes and frees a session here; on the server it lives on: see kat_client_end_session. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_free(session: *mut kat_session) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(session) }
}

/// What the server reads from a session: the answer of kat_client_session_info.
#[derive(Debug)]
pub struct kat_session_info(Fields);

impl From<core::SessionInfo> for kat_session_info {
    fn from(info: core::SessionInfo) -> Self {
        Self(Fields {
            session_type: info.session_type.map_or(ABSENT, core::SessionType::value),
            partner_id: info.partner_id.unwrap_or(ABSENT),
            user_id: info.user_id.map(Text::from),
            expiry: info.expiry.unwrap_or(ABSENT),
            privileges: info.privileges.map(Text::from),
        })
    }
}

/// The session's type: a kat_session_type, another number, or KAT_ABSENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_info_session_type(info: *const kat_session_info) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| info.0.session_type) }
}

/// The session's account, or KAT_ABSENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_info_partner_id(info: *const kat_session_info) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| info.0.partner_id) }
}

/// The session's user, empty for the anonymous one, or NULL. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_info_user_id(info: *const kat_session_info) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| pointer(info.0.user_id.as_ref())) }
}

/// When the session expires, or KAT_ABSENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_info_expiry_unix(info: *const kat_session_info) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| info.0.expiry) }
}

/// The session's privileges, or NULL. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_info_privileges(
    info: *const kat_session_info,
) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| pointer(info.0.privileges.as_ref())) }
}

/// Frees it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_session_info_free(info: *mut kat_session_info) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(info) }
}
