//! `kat_client`, its blocking calls, and `kat_cancel` to give them up.

use std::ffi::c_char;
use std::sync::Arc;

use kaltura_app_token as core;
use kaltura_app_token::blocking;

use crate::boundary::{ABSENT, Failure, call, free, get, new};
use crate::config::kat_config;
use crate::error::{kat_error, kat_status};
use crate::operation::{Operation, Take};
use crate::params::{kat_list_params, kat_response_profile, kat_session_params, kat_token_params};
use crate::session::{kat_session, kat_session_info};
use crate::text::Text;
use crate::token::{kat_token, kat_token_iter, kat_token_list};

/// Manages an account's tokens and exchanges tokens for sessions.
///
/// Every function takes it as a pointer to const: one client serves all threads, and should, because they
/// share its connections and its widget session. A call blocks the thread that makes it until the answer
/// is there, the deadline of kat_config_set_total_timeout_ms has passed, or a kat_cancel ends it. In an event
/// loop use the functions called ..._submit.
#[derive(Debug)]
pub struct kat_client {
    pub(crate) client: Arc<blocking::Client>,
    service_url: Text,
}

/// Cancels calls from another thread.
///
/// 1. Make one with kat_cancel_new, and pass it to any number of calls.
/// 2. kat_cancel_trigger makes all of them, and every later one, end with KAT_STATUS_CANCELLED.
/// 3. Free it with kat_cancel_free when those calls have returned.
#[derive(Debug)]
pub struct kat_cancel(pub(crate) core::Cancel);

impl kat_client {
    /// Makes a call and waits for it on this thread.
    fn wait<T: Take>(
        &self,
        cancel: Option<&kat_cancel>,
        operation: Operation,
    ) -> Result<T, Failure> {
        wait(&self.client, cancel, operation)
    }
}

/// Makes a call of this client's and waits for it on this thread.
pub(crate) fn wait<T: Take>(
    client: &blocking::Client,
    cancel: Option<&kat_cancel>,
    operation: Operation,
) -> Result<T, Failure> {
    let cancel = cancel.map_or_else(core::Cancel::new, |cancel| cancel.0.clone());
    let mut answer = client.run(&cancel, None, async |client| operation.run(client).await)?;
    // Every operation has one kind of answer; another one is a defect.
    T::take(&mut answer).ok_or_else(Failure::panicked)
}

/// A client for what the config says. Connects to nothing yet, and keeps nothing of the config.
///
/// KAT_STATUS_INVALID_ARG names what cannot be used, the first refused setter of the config included.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_new(
    config: *const kat_config,
    out: *mut *mut kat_client,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (config, out) = (c.handle(config, "config")?, c.out(out, "out")?);
            let client = config.connect()?;
            let service_url = client.service_url()?.into();
            out.give(kat_client {
                client: Arc::new(client),
                service_url,
            });
            Ok(())
        })
    }
}

/// Closes the connections and frees a client that no call uses any more. Operations that were submitted to a
/// queue go on, and so do providers; the connections are then closed with the last of them. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_client_free(client: *mut kat_client) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(client) }
}

/// The service URL in use. Borrowed from the client.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_client_service_url(client: *const kat_client) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(client, |client| client.service_url.as_ptr()) }
}

/// The account, or KAT_ABSENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_client_partner_id(client: *const kat_client) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        get(client, |client| {
            client.client.partner_id().ok().flatten().unwrap_or(ABSENT)
        })
    }
}

/// How many seconds the server's clock is ahead of this machine's; KAT_ABSENT before its first answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_client_clock_difference(client: *const kat_client) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        get(client, |client| {
            let difference = client
                .client
                .with_client(core::Client::clock_difference_seconds);
            difference.ok().flatten().unwrap_or(ABSENT)
        })
    }
}

/// Creates a token (appToken.add). Its value is in the answer.
///
/// The request is never sent a second time once it may have arrived: KAT_STATUS_OUTCOME_UNKNOWN when nobody
/// can tell whether the token exists, also after a cancel. After any other failure there is none.
///
/// cancel may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_add_token(
    client: *const kat_client,
    params: *const kat_token_params,
    cancel: *const kat_cancel,
    out: *mut *mut kat_token,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (client, out) = (c.handle(client, "client")?, c.out(out, "out")?);
            let operation = Operation::add_token(c, params)?;
            out.give(client.wait::<core::AppToken>(c.optional(cancel), operation)?);
            Ok(())
        })
    }
}

/// One token by its id (appToken.get), with its value. profile may be NULL.
///
/// KAT_STATUS_API with "APP_TOKEN_ID_NOT_FOUND" for an unknown or deleted one.
///
/// cancel may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_get_token(
    client: *const kat_client,
    id: *const c_char,
    profile: *const kat_response_profile,
    cancel: *const kat_cancel,
    out: *mut *mut kat_token,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (client, out) = (c.handle(client, "client")?, c.out(out, "out")?);
            let operation = Operation::get_token(c, id, profile)?;
            out.give(client.wait::<core::AppToken>(c.optional(cancel), operation)?);
            Ok(())
        })
    }
}

/// Changes a token (appToken.update): only what is set or cleared in params is sent. Returns it as it is then.
///
/// KAT_STATUS_INVALID_ARG when nothing is to change.
///
/// cancel may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_update_token(
    client: *const kat_client,
    id: *const c_char,
    params: *const kat_token_params,
    cancel: *const kat_cancel,
    out: *mut *mut kat_token,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (client, out) = (c.handle(client, "client")?, c.out(out, "out")?);
            let operation = Operation::update_token(c, id, params)?;
            out.give(client.wait::<core::AppToken>(c.optional(cancel), operation)?);
            Ok(())
        })
    }
}

/// Deletes a token (appToken.delete), the only way to revoke it.
///
/// KAT_STATUS_API with "APP_TOKEN_ID_NOT_FOUND" for an unknown one.
///
/// cancel may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_delete_token(
    client: *const kat_client,
    id: *const c_char,
    cancel: *const kat_cancel,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let client = c.handle(client, "client")?;
            let operation = Operation::delete_token(c, id)?;
            client.wait::<()>(c.optional(cancel), operation)
        })
    }
}

/// One page of tokens (appToken.list). params may be NULL: the first page of all of them.
///
/// cancel may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_list_tokens(
    client: *const kat_client,
    params: *const kat_list_params,
    cancel: *const kat_cancel,
    out: *mut *mut kat_token_list,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (client, out) = (c.handle(client, "client")?, c.out(out, "out")?);
            let operation = Operation::list_tokens(c, params)?;
            out.give(client.wait::<core::TokenPage>(c.optional(cancel), operation)?);
            Ok(())
        })
    }
}

/// Exchanges a token for a session: widget session, hash, appToken.startSession. The client needs a partner id
/// and no admin secret. All exchanges of a client share one widget session.
///
/// KAT_STATUS_API with "INVALID_APP_TOKEN_HASH", "APP_TOKEN_ID_NOT_FOUND", "APP_TOKEN_NOT_ACTIVE" or
/// "APP_TOKEN_EXPIRED"; each comes with a hint.
///
/// cancel may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_start_session(
    client: *const kat_client,
    params: *const kat_session_params,
    cancel: *const kat_cancel,
    out: *mut *mut kat_session,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (client, out) = (c.handle(client, "client")?, c.out(out, "out")?);
            let operation = Operation::start_session(c, params)?;
            out.give(client.wait::<core::Session>(c.optional(cancel), operation)?);
            Ok(())
        })
    }
}

/// A new widget session (session.startWidgetSession): anonymous, for anybody who knows the account.
///
/// cancel may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_start_widget_session(
    client: *const kat_client,
    cancel: *const kat_cancel,
    out: *mut *mut kat_session,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (client, out) = (c.handle(client, "client")?, c.out(out, "out")?);
            let operation = Operation::StartWidgetSession;
            out.give(client.wait::<core::Session>(c.optional(cancel), operation)?);
            Ok(())
        })
    }
}

/// An ADMIN session from the server (session.start), which sends it the admin secret. To sign one here instead:
/// kat_client_sign_admin_session.
///
/// cancel may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_start_admin_session(
    client: *const kat_client,
    cancel: *const kat_cancel,
    out: *mut *mut kat_session,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (client, out) = (c.handle(client, "client")?, c.out(out, "out")?);
            let operation = Operation::StartAdminSession;
            out.give(client.wait::<core::Session>(c.optional(cancel), operation)?);
            Ok(())
        })
    }
}

/// What the server reads from a session (session.get), asked with the client's admin session. ks may be NULL: that
/// session itself.
///
/// cancel may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_session_info(
    client: *const kat_client,
    ks: *const c_char,
    cancel: *const kat_cancel,
    out: *mut *mut kat_session_info,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (client, out) = (c.handle(client, "client")?, c.out(out, "out")?);
            let operation = Operation::session_info(c, ks)?;
            out.give(client.wait::<core::SessionInfo>(c.optional(cancel), operation)?);
            Ok(())
        })
    }
}

/// Ends a session (session.end).
///
/// A session minted from a token takes the token with it: every later one of the same token is refused.
///
/// cancel may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_end_session(
    client: *const kat_client,
    ks: *const c_char,
    cancel: *const kat_cancel,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let client = c.handle(client, "client")?;
            let operation = Operation::end_session(c, ks)?;
            client.wait::<()>(c.optional(cancel), operation)
        })
    }
}

/// An ADMIN session signed here with the admin secret, as a KS of this version, 1 or 2. Nothing is sent.
///
/// KAT_STATUS_INVALID_ARG without partner id and admin secret.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_sign_admin_session(
    client: *const kat_client,
    version: i32,
    out: *mut *mut kat_session,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (client, out) = (c.handle(client, "client")?, c.out(out, "out")?);
            let version = crate::ks::version(version)?;
            out.give(
                client
                    .client
                    .with_client(|client| client.sign_admin_session(version))??,
            );
            Ok(())
        })
    }
}

/// A walk over all tokens that pass the filters of params, which may be NULL. Page and order are the walk's
/// own. Nothing is sent before the first kat_token_iter_next; the walk keeps what it needs of the client.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_tokens(
    client: *const kat_client,
    params: *const kat_list_params,
    out: *mut *mut kat_token_iter,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (client, out) = (c.handle(client, "client")?, c.out(out, "out")?);
            let (options, _) = kat_list_params::read(c.optional(params))?;
            out.give(kat_token_iter(client.client.tokens(options)?));
            Ok(())
        })
    }
}

/// A cancel that is not triggered.
#[unsafe(no_mangle)]
pub extern "C" fn kat_cancel_new() -> *mut kat_cancel {
    new(|| kat_cancel(core::Cancel::new()))
}

/// Ends every call that was given the cancel, and every later one. From any thread, as often as one likes, but
/// not from a signal handler. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_cancel_trigger(cancel: *const kat_cancel) {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        get(cancel, |cancel| {
            cancel.0.trigger();
            true
        });
    }
}

/// Whether it has been triggered. false for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_cancel_is_triggered(cancel: *const kat_cancel) -> bool {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(cancel, |cancel| cancel.0.is_triggered()) }
}

/// Frees a cancel that no call uses any more. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_cancel_free(cancel: *mut kat_cancel) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(cancel) }
}
