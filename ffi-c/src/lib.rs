//! Kaltura application tokens: create, list, update and delete them, and exchange them for sessions.
//!
//! A complete program, which prints a session:
//!
//!     #include <kaltura_app_token.h>
//!     #include <stdio.h>
//!
//!     int main(void) {
//!         kat_config *config = NULL;
//!         kat_client *client = NULL;
//!         kat_session *session = NULL;
//!         kat_error *error = NULL;
//!
//!         /* KALTURA_PARTNER_ID, KALTURA_SERVICE_URL, KALTURA_APP_TOKEN_ID, KALTURA_APP_TOKEN */
//!         kat_status status = kat_config_from_env(&config, &error);
//!         if (status == KAT_STATUS_OK)
//!             status = kat_client_new(config, &client, &error);
//!         if (status == KAT_STATUS_OK) {
//!             kat_session_params *params = kat_session_params_new();
//!             kat_session_params_set_token(params, kat_config_token_id(config), kat_config_token_value(config));
//!             status = kat_client_start_session(client, params, NULL, &session, &error);
//!             kat_session_params_free(params);
//!         }
//!         if (status == KAT_STATUS_OK)
//!             puts(kat_session_ks(session));
//!         else
//!             fprintf(stderr, "%s: %s\n", kat_status_name(status), kat_error_message(error));
//!         kat_session_free(session);
//!         kat_client_free(client);
//!         kat_config_free(config);
//!         kat_error_free(error);
//!         return status == KAT_STATUS_OK ? 0 : 1;
//!     }
//!
//!     cc program.c $(pkg-config --cflags --libs kaltura-app-token)
//!
//! CONVENTIONS
//!
//! Handles. Every type but the enumerations is opaque. What a function returns through an out-parameter, and
//! what a function called ..._new returns, is the caller's, who frees it once with the ..._free of its
//! type. ..._free takes NULL and does nothing then. What a function returns as a pointer to const
//! (strings, the tokens of a list) is borrowed: it is valid until the handle that it was asked of is
//! freed or changed, and is never freed by itself.
//!
//! NULL. A pointer must not be NULL unless its function says so. NULL where it must not be gives
//! KAT_STATUS_NULL_ARG, or from a function without a status NULL, 0, false or KAT_ABSENT; never a crash.
//! Pointers that are neither NULL nor valid are undefined behaviour, as everywhere in C.
//!
//! Statuses. A function that can fail returns a kat_status and takes as its last parameter the place for a
//! kat_error, which may be NULL. Out-parameters come last before it, and are written only on
//! KAT_STATUS_OK. Any function that returns a status can return KAT_STATUS_NULL_ARG,
//! KAT_STATUS_INVALID_ARG and KAT_STATUS_PANIC; each one says what else. Functions that talk to the
//! server can also return KAT_STATUS_TRANSPORT, _TIMEOUT, _HTTP, _DECODE, _API and _CANCELLED.
//!
//! Setters return a status too, but need not be checked: an object remembers the first thing that a
//! setter refused, and the call that uses the object fails with it.
//!
//! Strings. In: UTF-8 with a NUL at the end, copied before the function returns; anything but UTF-8 gives
//! KAT_STATUS_INVALID_ARG. Out: UTF-8 with a NUL at the end, borrowed; NULL when the server left the
//! field out. A NUL in the middle of a text from the server becomes U+FFFD.
//!
//! Numbers. Instants are seconds since 1970 (..._unix), durations are seconds, timeouts milliseconds
//! (..._ms). KAT_ABSENT is a number that is not there. Unset is not zero: what was never set is not
//! sent, and setting NULL or KAT_ABSENT makes a parameter unset again. Enumerations are passed as
//! integers, and an unknown value from the server is kept as it is.
//!
//! Threads. A function that takes a handle as a pointer to const may be called for that handle from many
//! threads at once. One that takes it as a pointer to non-const wants it for itself. Results may be
//! handed to another thread.
//!
//! The library starts a thread for each client that something was submitted to a kat_queue for, until client
//! and calls are gone; for each host's name that a client is looking up, until it is found or the system gives
//! up; and for each token file that a kat_provider is reading. Nothing of the caller's runs on them.
//!
//! Signals. The library installs no signal handler and ignores no signal. Its threads block every signal but
//! SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT and SIGPROF: the program's handlers run on the
//! program's threads. Writing to a connection that the server has closed raises no SIGPIPE in the program. While
//! it makes a call a thread blocks SIGPIPE, and takes one that was raised meanwhile back before the mask is again
//! what it was; one that was pending before stays.
//!
//! Secrets. Token values, sessions (KS) and admin secrets are in no error text and are wiped when their
//! handle is freed. Copies that the caller makes are the caller's.
//!
//! Processes. After fork a child may use and must not share: a kat_client works on both sides, each with
//! connections of its own, and so does a kat_provider, which begins with no session in the child. A
//! kat_queue or kat_token_iter answers KAT_STATUS_FORKED in the child, which may free it. The library prints
//! nothing, never exits, and has no global state. It reads the environment only in kat_config_from_env,
//! after kat_config_set_network_environment, for a kat_token_source that says so, and, for https without a
//! CA file, SSL_CERT_FILE and SSL_CERT_DIR as OpenSSL does.
//!
//! Versions. 0.x promises nothing from one minor version to the next; the soname says 0.MINOR. From 1.0 on
//! functions, statuses and constants are only added.

#![allow(
    unsafe_code,
    reason = "a C library is made of pointers; `boundary` is where they are read"
)]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
#![allow(non_camel_case_types, reason = "types are named as C sees them")]
#![allow(
    clippy::missing_safety_doc,
    clippy::missing_errors_doc,
    clippy::doc_markdown,
    clippy::too_long_first_doc_paragraph,
    rustdoc::invalid_rust_codeblocks,
    rustdoc::bare_urls,
    reason = "the documentation is the header's: written for C, with the contract stated once above"
)]
#![allow(
    clippy::must_use_candidate,
    reason = "a getter whose result is not used harms nobody"
)]

pub mod boundary;
pub mod client;
pub mod config;
pub mod error;
pub mod ks;
pub mod operation;
pub mod params;
pub mod privileges;
pub mod provider;
pub mod queue;
pub mod session;
pub mod text;
pub mod token;

use std::ffi::c_char;

/// The version of the library that is running, such as "0.1.0"; KAT_VERSION is the one compiled against.
/// Static.
#[unsafe(no_mangle)]
pub extern "C" fn kat_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// The same as one number, to be compared with KAT_VERSION_NUMBER: major * 1000000 + minor * 1000 + patch.
#[unsafe(no_mangle)]
pub extern "C" fn kat_version_number() -> u32 {
    const fn number(text: &str) -> u32 {
        let mut digits = text.as_bytes();
        let mut value = 0;
        while let [digit, rest @ ..] = digits {
            value = value * 10 + (*digit - b'0') as u32;
            digits = rest;
        }
        value
    }
    const {
        number(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
            + number(env!("CARGO_PKG_VERSION_MINOR")) * 1_000
            + number(env!("CARGO_PKG_VERSION_PATCH"))
    }
}
