//! `kat_token`, `kat_token_list` and `kat_token_iter`: tokens as the server gives them.

use std::ffi::c_char;

use kaltura_app_token as core;
use kaltura_app_token::blocking;

use crate::boundary::{ABSENT, Failure, call, free, get};
use crate::client::kat_cancel;
use crate::error::{kat_error, kat_status};
use crate::text::{Text, pointer};

/// An application token. Nothing changes it, so it may be read from many threads.
///
/// One from a kat_token_list is the list's and is not freed by itself.
#[derive(Debug)]
pub struct kat_token {
    id: Text,
    value: Option<Text>,
    partner_id: i64,
    status: i64,
    session_type: i64,
    session_duration: i64,
    session_privileges: Option<Text>,
    session_user_id: Option<Text>,
    hash_type: Option<Text>,
    description: Option<Text>,
    expiry: i64,
    created_at: i64,
    updated_at: i64,
}

impl From<core::AppToken> for kat_token {
    fn from(token: core::AppToken) -> Self {
        Self {
            id: token.id.into(),
            value: token.token.as_ref().map(Text::from),
            partner_id: token.partner_id.unwrap_or(ABSENT),
            status: token.status.map_or(ABSENT, core::TokenStatus::value),
            session_type: token.session_type.map_or(ABSENT, core::SessionType::value),
            session_duration: token.session_duration.unwrap_or(ABSENT),
            session_privileges: token.session_privileges.map(Text::from),
            session_user_id: token.session_user_id.map(Text::from),
            hash_type: token.hash_type.map(|hash_type| hash_type.as_str().into()),
            description: token.description.map(Text::from),
            expiry: token.expiry.unwrap_or(ABSENT),
            created_at: token.created_at.unwrap_or(ABSENT),
            updated_at: token.updated_at.unwrap_or(ABSENT),
        }
    }
}

/// The id, such as "1_ab12cd34"; empty only when a response profile left it out. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_id(token: *const kat_token) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(token, |token| token.id.as_ptr()) }
}

/// The value, which is exchanged for sessions; NULL in lists without secrets. A secret. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_value(token: *const kat_token) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(token, |token| pointer(token.value.as_ref())) }
}

/// The account it belongs to, or KAT_ABSENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_partner_id(token: *const kat_token) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(token, |token| token.partner_id) }
}

/// Whether it can be exchanged: a kat_app_token_status, another number, or KAT_ABSENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_status(token: *const kat_token) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(token, |token| token.status) }
}

/// The type of its sessions: a kat_session_type, another number, or KAT_ABSENT, which means that whoever
/// exchanges it chooses, ADMIN included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_session_type(token: *const kat_token) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(token, |token| token.session_type) }
}

/// The longest life of its sessions in seconds, or KAT_ABSENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_session_duration(token: *const kat_token) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(token, |token| token.session_duration) }
}

/// The privileges of its sessions, or NULL. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_session_privileges(token: *const kat_token) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(token, |token| pointer(token.session_privileges.as_ref())) }
}

/// The user of its sessions, or NULL, which means that whoever exchanges it chooses. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_session_user_id(token: *const kat_token) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(token, |token| pointer(token.session_user_id.as_ref())) }
}

/// The hash type, such as KAT_HASH_SHA256, or NULL. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_hash_type(token: *const kat_token) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(token, |token| pointer(token.hash_type.as_ref())) }
}

/// A note for people, or NULL. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_description(token: *const kat_token) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(token, |token| pointer(token.description.as_ref())) }
}

/// When it stops working; KAT_ABSENT: never. 0 is ambiguous: never on some servers, long expired on
/// others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_expiry_unix(token: *const kat_token) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(token, |token| token.expiry) }
}

/// When it was created, or KAT_ABSENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_created_at_unix(token: *const kat_token) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(token, |token| token.created_at) }
}

/// When it was last changed, or KAT_ABSENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_updated_at_unix(token: *const kat_token) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(token, |token| token.updated_at) }
}

/// Wipes and frees a token, but not one of a list. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_free(token: *mut kat_token) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(token) }
}

/// One page of tokens.
#[derive(Debug)]
pub struct kat_token_list {
    tokens: Vec<kat_token>,
    total_count: i64,
}

impl From<core::TokenPage> for kat_token_list {
    fn from(page: core::TokenPage) -> Self {
        Self {
            tokens: page.tokens.into_iter().map(kat_token::from).collect(),
            total_count: page.total_count,
        }
    }
}

/// How many tokens the page holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_list_len(list: *const kat_token_list) -> usize {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(list, |list| list.tokens.len()) }
}

/// One of them, from 0; NULL beyond the last. Borrowed from the list: do not free it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_list_get(
    list: *const kat_token_list,
    index: usize,
) -> *const kat_token {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        get(list, |list| {
            list.tokens
                .get(index)
                .map_or(std::ptr::null(), std::ptr::from_ref)
        })
    }
}

/// How many tokens the server counts over all pages. KAT_ABSENT for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_list_total_count(list: *const kat_token_list) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(list, |list| list.total_count) }
}

/// Frees a page with its tokens. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_list_free(list: *mut kat_token_list) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(list) }
}

/// A walk over all tokens, made by kat_client_tokens: fetches a page when it needs one.
///
///   while ((status = kat_token_iter_next(iter, NULL, &token, &error)) == KAT_STATUS_OK) {
///       puts(kat_token_id(token));
///       kat_token_free(token);
///   }
///   if (status != KAT_STATUS_END) ...
#[derive(Debug)]
pub struct kat_token_iter(pub(crate) blocking::Tokens);

/// The next token. Every token that exists from the start of the walk to its end comes exactly once,
/// whatever is created or deleted meanwhile, oldest first.
///
/// cancel may be NULL. KAT_STATUS_END after the last; KAT_STATUS_FORKED in a child. After any other failure
/// the walk can go on from where it was. A cancel is noticed within about 50 ms.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_token_iter_next(
    iter: *mut kat_token_iter,
    cancel: *const kat_cancel,
    out: *mut *mut kat_token,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (iter, cancel, out) = (
                c.handle_mut(iter, "iter")?,
                c.optional(cancel),
                c.out(out, "out")?,
            );
            let mut go_on = || cancel.is_none_or(|cancel| !cancel.0.is_triggered());
            match iter.0.next_with(Some(&mut go_on)) {
                Some(token) => out.give(token?),
                None => return Err(Failure::Plain(kat_status::End)),
            }
            Ok(())
        })
    }
}

/// Ends a walk. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_token_iter_free(iter: *mut kat_token_iter) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(iter) }
}
