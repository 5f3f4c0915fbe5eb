//! `kat_queue`: calls for event loops. They are submitted, run elsewhere, and are collected when a file
//! descriptor says so; nothing calls back.

use std::time::Duration;

use kaltura_app_token as core;
use kaltura_app_token::{Refused, blocking};
use std::ffi::c_char;
#[cfg(unix)]
use std::os::fd::AsRawFd;

use crate::boundary::{Caller, Failure, call, free, get};
use crate::client::kat_client;
use crate::error::{kat_error, kat_status};
use crate::operation::{Answer, Operation, Take, kat_operation};
use crate::params::{kat_list_params, kat_response_profile, kat_session_params, kat_token_params};
use crate::provider::{kat_provider, kat_session_key};
use crate::session::{kat_session, kat_session_info};
use crate::token::{kat_token, kat_token_list};

/// Calls in flight, and a file descriptor that says when one has completed.
///
/// 1. Make one with kat_queue_new, and have poll, epoll or select watch kat_queue_fd for reading.
/// 2. Submit calls with the functions called ..._submit. They return at once. tag is any number
///    (or pointer, by way of uintptr_t) that the caller knows the call by; tags may repeat. *operation, which
///    may be NULL, gets a number that never repeats, for kat_queue_cancel.
/// 3. When the descriptor is readable, collect with kat_queue_next and take the result out of the
///    kat_completion.
///
/// Every accepted call has exactly one completion, also when it fails or is cancelled. The descriptor is
/// readable if and only if a completion waits (level-triggered). A call is in flight from its submission until
/// its completion is collected; beyond the limit, submit returns KAT_STATUS_QUEUE_FULL and the call is not made.
///
/// All functions may be called from many threads at once, also kat_queue_next. One queue may serve many clients and providers.
/// The first call submitted for a client starts a thread that makes this client's calls until the client and its
/// calls are gone; nothing of the caller's runs on it, no signal handler either.
/// After fork, in the child, every function answers KAT_STATUS_FORKED; kat_queue_free is harmless there.
#[derive(Debug)]
pub struct kat_queue(core::Queue<Tag, Answer>);

/// What is known of a call besides its result.
#[derive(Clone, Copy, Debug)]
struct Tag {
    caller: u64,
    kind: kat_operation,
}

/// What came of a submitted call. One thread at a time.
///
/// What is taken from it is the caller's. What is not taken is freed with it.
#[derive(Debug)]
pub struct kat_completion {
    operation: u64,
    tag: Tag,
    status: kat_status,
    result: Result<Answer, Option<Failure>>,
}

/// A queue that accepts up to limit calls at a time; limit is at least 1.
///
/// KAT_STATUS_INVALID_ARG when limit is 0 or the system gives no descriptor.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_queue_new(
    limit: usize,
    out: *mut *mut kat_queue,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let out = c.out(out, "out")?;
            out.give(kat_queue(core::Queue::new(limit)?));
            Ok(())
        })
    }
}

/// Cancels what is in flight, without waiting for the network, and frees the queue and what was not collected.
/// Whether a token that was being created exists is then unknown. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_queue_free(queue: *mut kat_queue) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(queue) }
}

/// The descriptor to watch for reading: readable if and only if a completion waits. It is the queue's: never
/// read from it and never close it. It is close-on-exec. -1 for NULL, in a child, and on Windows, where
/// completions are waited for with kat_queue_next.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_queue_fd(queue: *const kat_queue) -> i32 {
    #[cfg(unix)]
    // SAFETY: the caller keeps the header's contract.
    let descriptor = unsafe { get(queue, |queue| Some(queue.0.descriptor().ok()?.as_raw_fd())) };
    #[cfg(not(unix))]
    let (descriptor, _) = (None, queue);
    descriptor.unwrap_or(-1)
}

/// How many calls are in flight, completed but not yet collected ones included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_queue_in_flight(queue: *const kat_queue) -> usize {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(queue, |queue| queue.0.in_flight().unwrap_or(0)) }
}

/// Collects a completion, waiting for one at most timeout_ms: 0 does not wait, a negative number waits for as
/// long as it takes. Of several threads that wait, each completion goes to one.
///
/// KAT_STATUS_QUEUE_EMPTY when none came in that time.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_queue_next(
    queue: *const kat_queue,
    timeout_ms: i64,
    out: *mut *mut kat_completion,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (queue, out) = (c.handle(queue, "queue")?, c.out(out, "out")?);
            let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
            out.give(
                queue
                    .0
                    .next(timeout)?
                    .ok_or(Failure::Plain(kat_status::QueueEmpty))?,
            );
            Ok(())
        })
    }
}

/// Cancels a call. Its completion comes all the same, and soon: KAT_STATUS_CANCELLED unless the call was faster,
/// or KAT_STATUS_OUTCOME_UNKNOWN when a token was being created. KAT_STATUS_OK also when it has completed already.
///
/// KAT_STATUS_INVALID_ARG for a number that the queue never gave.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_queue_cancel(
    queue: *const kat_queue,
    operation: u64,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            Ok(c.handle(queue, "queue")?.0.cancel(operation)?)
        })
    }
}

/// What the submission of every call has in common.
///
/// # Safety
/// As for [`call`].
unsafe fn submit(
    queue: *const kat_queue,
    tag: u64,
    number: *mut u64,
    err: *mut *mut kat_error,
    read: impl for<'a> FnOnce(&'a Caller) -> Result<(&'a blocking::Client, Operation), Failure>,
) -> kat_status {
    // SAFETY: as above.
    unsafe {
        call(err, |c| {
            let queue = c.handle(queue, "queue")?;
            let (client, operation) = read(c)?;
            let tag = Tag {
                caller: tag,
                kind: operation.kind(),
            };
            let accepted = queue
                .0
                .submit(client, tag, |client| operation.run(client))?;
            if let Some(number) = c.optional_out(number) {
                number.put(accepted);
            }
            Ok(())
        })
    }
}

/// As [`submit`], for the calls of a client.
///
/// # Safety
/// As for [`call`].
unsafe fn submit_of_client(
    client: *const kat_client,
    queue: *const kat_queue,
    tag: u64,
    number: *mut u64,
    err: *mut *mut kat_error,
    read: impl FnOnce(&Caller) -> Result<Operation, Failure>,
) -> kat_status {
    // SAFETY: as above.
    unsafe {
        submit(queue, tag, number, err, |c| {
            let client = c.handle(client, "client")?;
            Ok((&client.client, read(c)?))
        })
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Failed(error) => error.into(),
            // `Refused` may grow; whatever else it says, the call was not accepted.
            _ => Self::Plain(kat_status::QueueFull),
        }
    }
}

impl From<core::Completion<Tag, Answer>> for kat_completion {
    fn from(completion: core::Completion<Tag, Answer>) -> Self {
        let result = match completion.result {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Err(Failure::from(error)),
            None => Err(Failure::panicked()),
        };
        Self {
            operation: completion.operation,
            tag: completion.tag,
            status: result
                .as_ref()
                .map_or_else(Failure::status, |_| kat_status::Ok),
            result: result.map_err(Some),
        }
    }
}

impl kat_completion {
    fn take<T: Take>(&mut self) -> Result<T, Failure> {
        let answer = self.result.as_mut().map_err(|_| wrong_take())?;
        T::take(answer).ok_or_else(wrong_take)
    }

    fn take_failure(&mut self) -> Result<Failure, Failure> {
        match &mut self.result {
            Err(failure) => failure.take().ok_or_else(wrong_take),
            Ok(_) => Err(wrong_take()),
        }
    }
}

fn wrong_take() -> Failure {
    Failure::Argument(
        kat_status::WrongTake,
        "the completion holds no such result, or it was taken already".into(),
    )
}

/// The number that the call was submitted with. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_completion_tag(completion: *const kat_completion) -> u64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(completion, |completion| completion.tag.caller) }
}

/// The number that its submission gave. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_completion_operation(completion: *const kat_completion) -> u64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(completion, |completion| completion.operation) }
}

/// Which call it was: a kat_operation. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_completion_kind(completion: *const kat_completion) -> i32 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(completion, |completion| completion.tag.kind as i32) }
}

/// What the blocking call would have returned. KAT_STATUS_NULL_ARG for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_completion_status(completion: *const kat_completion) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(completion, |completion| Some(completion.status)) }.unwrap_or(kat_status::NullArg)
}

/// The token of an add, get or update.
///
/// KAT_STATUS_WRONG_TAKE when the completion holds no such result, or it was taken already; the
/// completion is then as it was.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_completion_take_token(
    completion: *mut kat_completion,
    out: *mut *mut kat_token,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (completion, out) = (c.handle_mut(completion, "completion")?, c.out(out, "out")?);
            out.give(completion.take::<core::AppToken>()?);
            Ok(())
        })
    }
}

/// The page of a list.
///
/// KAT_STATUS_WRONG_TAKE when the completion holds no such result, or it was taken already; the
/// completion is then as it was.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_completion_take_list(
    completion: *mut kat_completion,
    out: *mut *mut kat_token_list,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (completion, out) = (c.handle_mut(completion, "completion")?, c.out(out, "out")?);
            out.give(completion.take::<core::TokenPage>()?);
            Ok(())
        })
    }
}

/// The session of a start, or of a provider's get or reject.
///
/// KAT_STATUS_WRONG_TAKE when the completion holds no such result, or it was taken already; the
/// completion is then as it was.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_completion_take_session(
    completion: *mut kat_completion,
    out: *mut *mut kat_session,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (completion, out) = (c.handle_mut(completion, "completion")?, c.out(out, "out")?);
            out.give(completion.take::<core::Session>()?);
            Ok(())
        })
    }
}

/// What the server says of a session.
///
/// KAT_STATUS_WRONG_TAKE when the completion holds no such result, or it was taken already; the
/// completion is then as it was.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_completion_take_session_info(
    completion: *mut kat_completion,
    out: *mut *mut kat_session_info,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (completion, out) = (c.handle_mut(completion, "completion")?, c.out(out, "out")?);
            out.give(completion.take::<core::SessionInfo>()?);
            Ok(())
        })
    }
}

/// Why the call failed. KAT_STATUS_WRONG_TAKE, without an error object, when it did not, or when this was taken
/// already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_completion_take_error(
    completion: *mut kat_completion,
    out: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(std::ptr::null_mut(), |c| {
            let (completion, out) = (c.handle_mut(completion, "completion")?, c.out(out, "out")?);
            out.give(completion.take_failure()?);
            Ok(())
        })
    }
}

/// Frees a completion with what was not taken. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_completion_free(completion: *mut kat_completion) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(completion) }
}

/// Submits what kat_client_add_token does. operation may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_add_token_submit(
    client: *const kat_client,
    params: *const kat_token_params,
    queue: *const kat_queue,
    tag: u64,
    operation: *mut u64,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        submit_of_client(client, queue, tag, operation, err, |c| {
            Operation::add_token(c, params)
        })
    }
}

/// Submits what kat_client_get_token does. operation may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_get_token_submit(
    client: *const kat_client,
    id: *const c_char,
    profile: *const kat_response_profile,
    queue: *const kat_queue,
    tag: u64,
    operation: *mut u64,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        submit_of_client(client, queue, tag, operation, err, |c| {
            Operation::get_token(c, id, profile)
        })
    }
}

/// Submits what kat_client_update_token does. operation may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_update_token_submit(
    client: *const kat_client,
    id: *const c_char,
    params: *const kat_token_params,
    queue: *const kat_queue,
    tag: u64,
    operation: *mut u64,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        submit_of_client(client, queue, tag, operation, err, |c| {
            Operation::update_token(c, id, params)
        })
    }
}

/// Submits what kat_client_delete_token does. operation may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_delete_token_submit(
    client: *const kat_client,
    id: *const c_char,
    queue: *const kat_queue,
    tag: u64,
    operation: *mut u64,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        submit_of_client(client, queue, tag, operation, err, |c| {
            Operation::delete_token(c, id)
        })
    }
}

/// Submits what kat_client_list_tokens does. operation may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_list_tokens_submit(
    client: *const kat_client,
    params: *const kat_list_params,
    queue: *const kat_queue,
    tag: u64,
    operation: *mut u64,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        submit_of_client(client, queue, tag, operation, err, |c| {
            Operation::list_tokens(c, params)
        })
    }
}

/// Submits what kat_client_start_session does. operation may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_start_session_submit(
    client: *const kat_client,
    params: *const kat_session_params,
    queue: *const kat_queue,
    tag: u64,
    operation: *mut u64,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        submit_of_client(client, queue, tag, operation, err, |c| {
            Operation::start_session(c, params)
        })
    }
}

/// Submits what kat_client_start_widget_session does. operation may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_start_widget_session_submit(
    client: *const kat_client,
    queue: *const kat_queue,
    tag: u64,
    operation: *mut u64,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        submit_of_client(client, queue, tag, operation, err, |_| {
            Ok(Operation::StartWidgetSession)
        })
    }
}

/// Submits what kat_client_start_admin_session does. operation may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_start_admin_session_submit(
    client: *const kat_client,
    queue: *const kat_queue,
    tag: u64,
    operation: *mut u64,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        submit_of_client(client, queue, tag, operation, err, |_| {
            Ok(Operation::StartAdminSession)
        })
    }
}

/// Submits what kat_client_session_info does. operation may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_session_info_submit(
    client: *const kat_client,
    ks: *const c_char,
    queue: *const kat_queue,
    tag: u64,
    operation: *mut u64,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        submit_of_client(client, queue, tag, operation, err, |c| {
            Operation::session_info(c, ks)
        })
    }
}

/// Submits what kat_client_end_session does. operation may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_client_end_session_submit(
    client: *const kat_client,
    ks: *const c_char,
    queue: *const kat_queue,
    tag: u64,
    operation: *mut u64,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        submit_of_client(client, queue, tag, operation, err, |c| {
            Operation::end_session(c, ks)
        })
    }
}

/// Submits what kat_provider_get does. operation may be NULL. However many wait for one session, it is started
/// once; kat_queue_cancel cancels the one call and none of the others.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_provider_get_submit(
    provider: *const kat_provider,
    key: *const kat_session_key,
    queue: *const kat_queue,
    tag: u64,
    operation: *mut u64,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        submit(queue, tag, operation, err, |c| {
            let provider = c.handle(provider, "provider")?;
            Ok((provider.client(), provider.get(c, key)?))
        })
    }
}

/// Submits what kat_provider_reject does. operation may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_provider_reject_submit(
    provider: *const kat_provider,
    session: *const kat_session,
    reason: i32,
    queue: *const kat_queue,
    tag: u64,
    operation: *mut u64,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        submit(queue, tag, operation, err, |c| {
            let provider = c.handle(provider, "provider")?;
            Ok((provider.client(), provider.reject(c, session, reason)?))
        })
    }
}
