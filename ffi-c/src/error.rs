//! What went wrong, as C sees it: a status that fits into a `switch`, and an object with the rest.

use std::ffi::c_char;

use kaltura_app_token as core;
use kaltura_app_token::{ConnectCause, ErrorKind};

use crate::boundary::{Failure, Place, free, get, strike};
use crate::text::{Text, pointer};

/// What came of a call. Values are never given another meaning; a later version may add some.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum kat_status {
    /// It did what it says.
    Ok = 0,
    /// A pointer that must not be NULL is.
    NullArg = 1,
    /// The input or the configuration cannot be used. Nothing was sent.
    InvalidArg = 2,
    /// No connection came about, or it broke.
    Transport = 3,
    /// An attempt or the whole call took longer than the configuration allows.
    Timeout = 4,
    /// An HTTP status other than 200: see kat_error_http_status.
    Http = 5,
    /// The answer is not what the API answers.
    Decode = 6,
    /// The API answered with an exception: see kat_error_api_code.
    Api = 7,
    /// A token may or may not have been created: see kat_error_candidate_id. Do not just try again.
    OutcomeUnknown = 8,
    /// A kat_cancel or kat_queue_cancel ended the call.
    Cancelled = 9,
    /// The handle belongs to the process that this one was forked from.
    Forked = 10,
    /// A defect of the library. Handles that took part can still be freed.
    Panic = 11,
    /// The queue has as many operations in flight as it may have. Comes without an error object.
    QueueFull = 12,
    /// No completion came within the time. Comes without an error object.
    QueueEmpty = 13,
    /// The completion holds no such result, or it was taken already.
    WrongTake = 14,
    /// There is no further token. Comes without an error object.
    End = 15,
    /// A file of this machine could not be written, locked or kept; nothing is wrong with the server.
    Local = 16,
    /// A rotation's new token could not be shown to be as good as the old one.
    Unproved = 17,
    /// The client was closed, before the call or in the middle of it.
    Closed = 18,
}

impl kat_status {
    const ALL: [(Self, &'static std::ffi::CStr); 19] = [
        (Self::Ok, c"OK"),
        (Self::NullArg, c"NULL_ARG"),
        (Self::InvalidArg, c"INVALID_ARG"),
        (Self::Transport, c"TRANSPORT"),
        (Self::Timeout, c"TIMEOUT"),
        (Self::Http, c"HTTP"),
        (Self::Decode, c"DECODE"),
        (Self::Api, c"API"),
        (Self::OutcomeUnknown, c"OUTCOME_UNKNOWN"),
        (Self::Cancelled, c"CANCELLED"),
        (Self::Forked, c"FORKED"),
        (Self::Panic, c"PANIC"),
        (Self::QueueFull, c"QUEUE_FULL"),
        (Self::QueueEmpty, c"QUEUE_EMPTY"),
        (Self::WrongTake, c"WRONG_TAKE"),
        (Self::End, c"END"),
        (Self::Local, c"LOCAL"),
        (Self::Unproved, c"UNPROVED"),
        (Self::Closed, c"CLOSED"),
    ];
}

impl From<ErrorKind> for kat_status {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Config => Self::InvalidArg,
            ErrorKind::Connect | ErrorKind::Interrupted => Self::Transport,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Http => Self::Http,
            ErrorKind::Decode => Self::Decode,
            ErrorKind::Api => Self::Api,
            ErrorKind::OutcomeUnknown => Self::OutcomeUnknown,
            ErrorKind::Local => Self::Local,
            ErrorKind::Unproved => Self::Unproved,
            ErrorKind::Cancelled => Self::Cancelled,
            ErrorKind::Forked => Self::Forked,
            ErrorKind::Closed => Self::Closed,
            // A kind that the table does not know yet is a defect, and says so.
            _ => Self::Panic,
        }
    }
}

/// The name of a status without its prefix, such as "API"; "UNKNOWN" for any other number. Static.
#[unsafe(no_mangle)]
pub extern "C" fn kat_status_name(status: i32) -> *const c_char {
    kat_status::ALL
        .iter()
        .find(|(known, _)| *known as i32 == status)
        .map_or(c"UNKNOWN", |(_, name)| name)
        .as_ptr()
}

/// Why no connection came about: for kat_error_cause. A later version may add some.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum kat_connect_cause {
    /// The call failed in another way.
    None = 0,
    /// The server's name has no address.
    Dns = 1,
    /// The server's machine takes no connections at this port.
    Refused = 2,
    /// Nobody answered in time.
    Timeout = 3,
    /// The server's certificate is not trusted, or is another server's.
    TlsTrust = 4,
    /// What answered does not speak TLS, or no version of it that is accepted.
    TlsProtocol = 5,
    /// The proxy could not be reached, or does not let the connection through.
    Proxy = 6,
    /// The connection was closed before anything of the request was sent.
    Reset = 7,
    /// None of these, or not known.
    Other = 8,
}

impl From<Option<ConnectCause>> for kat_connect_cause {
    fn from(cause: Option<ConnectCause>) -> Self {
        match cause {
            None => Self::None,
            Some(ConnectCause::Dns) => Self::Dns,
            Some(ConnectCause::Refused) => Self::Refused,
            Some(ConnectCause::Timeout) => Self::Timeout,
            Some(ConnectCause::TlsTrust) => Self::TlsTrust,
            Some(ConnectCause::TlsProtocol) => Self::TlsProtocol,
            Some(ConnectCause::Proxy) => Self::Proxy,
            Some(ConnectCause::Reset) => Self::Reset,
            Some(_) => Self::Other,
        }
    }
}

/// Why a call failed, without any credential in it.
///
/// 1. Set a kat_error pointer to NULL and pass its address as the last argument, or pass NULL.
/// 2. When the status is not KAT_STATUS_OK, the pointer names a new error (but see KAT_STATUS_QUEUE_FULL,
///    KAT_STATUS_QUEUE_EMPTY and KAT_STATUS_END). Otherwise it is as it was.
/// 3. Read it from any thread, and free it with kat_error_free.
#[derive(Debug)]
pub struct kat_error {
    status: kat_status,
    message: Text,
    hint: Option<Text>,
    api_code: Option<Text>,
    request: Option<Text>,
    candidate_ids: Vec<Text>,
    cause: kat_connect_cause,
    http_status: i32,
    attempts: u32,
    retryable: bool,
}

impl From<Failure> for kat_error {
    fn from(failure: Failure) -> Self {
        let status = failure.status();
        match failure {
            Failure::Core(error) => Self::from_core(&error, status),
            Failure::Argument(_, message) => Self::bare(status, &message),
            Failure::Plain(_) => Self::bare(status, ""),
        }
    }
}

impl kat_error {
    fn bare(status: kat_status, message: &str) -> Self {
        Self {
            status,
            message: message.into(),
            hint: None,
            api_code: None,
            request: None,
            candidate_ids: Vec::new(),
            cause: kat_connect_cause::None,
            http_status: 0,
            attempts: 0,
            retryable: false,
        }
    }

    fn from_core(error: &core::Error, status: kat_status) -> Self {
        strike(Place::Error);
        Self {
            hint: error.hint().map(|hint| Text::new(hint.text())),
            api_code: error.code().map(Text::from),
            request: error.request().map(Text::from),
            candidate_ids: error
                .candidate_ids()
                .iter()
                .map(|id| Text::new(id))
                .collect(),
            cause: error.connect_cause().into(),
            http_status: error.http_status().map_or(0, i32::from),
            attempts: error.attempts(),
            retryable: error.is_retryable(),
            ..Self::bare(status, error.message())
        }
    }
}

/// The status that the failed call returned. KAT_STATUS_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_error_status(error: *const kat_error) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(error, |error| error.status) }
}

/// What happened, in one line. Borrowed from the error. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_error_message(error: *const kat_error) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(error, |error| error.message.as_ptr()) }
}

/// The likely cause and the next step, or NULL. Borrowed from the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_error_hint(error: *const kat_error) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(error, |error| pointer(error.hint.as_ref())) }
}

/// The API's code as the server spelled it, such as "INVALID_APP_TOKEN_HASH"; NULL unless the status is
/// KAT_STATUS_API. Borrowed from the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_error_api_code(error: *const kat_error) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(error, |error| pointer(error.api_code.as_ref())) }
}

/// Why no connection came about, with KAT_STATUS_TRANSPORT; KAT_CONNECT_CAUSE_NONE when one did and broke.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_error_cause(error: *const kat_error) -> kat_connect_cause {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(error, |error| error.cause) }
}

/// The HTTP status, when the answer had one other than 200; otherwise 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_error_http_status(error: *const kat_error) -> i32 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(error, |error| error.http_status) }
}

/// Whether the same call may succeed later without any change. The library has used up its own retries.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_error_retryable(error: *const kat_error) -> bool {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(error, |error| error.retryable) }
}

/// The request that failed, such as "appToken.add", or NULL. Borrowed from the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_error_request(error: *const kat_error) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(error, |error| pointer(error.request.as_ref())) }
}

/// How often the request was sent or tried to be sent; 0 when it never came to that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_error_attempts(error: *const kat_error) -> u32 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(error, |error| error.attempts) }
}

/// How many tokens may be the one whose creation is in doubt. 0 proves nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_error_candidate_count(error: *const kat_error) -> usize {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(error, |error| error.candidate_ids.len()) }
}

/// The id of one of them, from 0; NULL beyond the last. Borrowed from the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_error_candidate_id(
    error: *const kat_error,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(error, |error| pointer(error.candidate_ids.get(index))) }
}

/// Frees an error. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_error_free(error: *mut kat_error) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(error) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::Value;

    use super::*;

    fn table() -> Value {
        serde_json::from_str(include_str!("../../tests/scenarios/errors.json")).unwrap()
    }

    #[test]
    fn every_kind_of_the_error_table_has_its_status() {
        for (kind, row) in ErrorKind::ALL
            .iter()
            .zip(table()["kinds"].as_array().unwrap())
        {
            assert_eq!(row["kind"], kind.name());
            let status = kat_status::from(*kind);
            let known = kat_status::ALL.iter().find(|(known, _)| *known == status);
            let (_, name) = known.unwrap();
            assert_eq!(row["status"], name.to_str().unwrap());
            assert_eq!(row["number"], status as i32, "{kind:?}");
        }
    }

    #[test]
    fn every_cause_of_the_error_table_has_its_number() {
        let table = table();
        let rows = table["kinds"].as_array().unwrap();
        let ways = rows.iter().flat_map(|row| row["of"].as_array().unwrap());
        let causes: Vec<_> = ways.filter(|way| way["cause"].is_string()).collect();
        assert_eq!(causes.len(), ConnectCause::ALL.len());
        for (cause, way) in ConnectCause::ALL.iter().zip(causes) {
            assert_eq!(way["cause"], cause.name());
            assert_eq!(way["number"], kat_connect_cause::from(Some(*cause)) as i32);
        }
        assert_eq!(kat_connect_cause::from(None) as i32, 0);
    }
}
