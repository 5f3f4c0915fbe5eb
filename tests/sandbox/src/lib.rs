//! A local Kaltura: the `session` and `appToken` services of API v3, in memory, on loopback, answering as
//! the recorded reference server does.
//!
//! ```
//! use kaltura_sandbox::{Fault, FaultKind, Sandbox};
//!
//! let sandbox = Sandbox::start()?;
//! println!("{} partner {}", sandbox.service_url(), sandbox.partner_id());
//! sandbox.add_fault(Fault::new("appToken.add", FaultKind::Reset).after());
//! sandbox.advance_clock(3600.0);
//! # std::io::Result::Ok(())
//! ```
//!
//! It serves `session` (start, startWidgetSession, get, end), `appToken` (add, get, list, update, delete,
//! startSession), `multirequest`, `system` (ping, getTime, getVersion), and `media.list` and
//! `baseEntry.list`, which answer an empty page to any session that is good. Sessions are really signed,
//! and really expire, are ended, counted and restricted.
//!
//! # The control interface
//! Under `/_sandbox` on the same port, JSON in and out, only when asked for and only on loopback. A
//! malformed order answers 400 and `{"error":"<field>: …"}`. [`Sandbox`] has the same calls as methods.
//!
//! | call | what it does |
//! |---|---|
//! | `POST /_sandbox/reset` | forgets tokens, ended sessions, faults, requests; sets the clock right |
//! | `PATCH /_sandbox/tokens/{id}` | sets stored fields: `{"status":1}`, `{"sessionUserId":null}` |
//! | `POST /_sandbox/partners/{id}/tokens` | stores a list of tokens as given |
//! | `DELETE /_sandbox/partners/{id}/tokens` | removes a partner's tokens |
//! | `POST /_sandbox/faults` | orders one fault or a list of them |
//! | `DELETE /_sandbox/faults` | cancels what has not struck yet |
//! | `POST /_sandbox/clock` | `{"offset":s}` from real time, `{"now":unix}` to stand still, `{"advance":s}` |
//! | `GET /_sandbox/requests` | what arrived, secrets masked, the latest 10,000 or 64 MiB: see [`RecordedRequest`] |
//! | `DELETE /_sandbox/requests` | forgets what arrived |
//!
//! The clock shows 1970 to 9999; an order that would take it out of that changes nothing. A web page cannot
//! make control calls: `Host` has to be `localhost`, an address of 127.0.0.0/8 or `[::1]`, and `Origin`, if
//! there is one, the same; anything else is answered with 403.
//!
//! # Limits
//! As PHP sets them unless told otherwise: a body is at most 8 MiB (413) and arrives within 60 s (408), of a
//! form the first 1,000 fields are read, and a name that is nested deeper than 64 levels is dropped. JSON
//! that is nested deeper than 127 levels or holds more than 150,000 values is not read. What a multirequest copies and answers is at most 128 MiB; the
//! requests of it that do not fit answer `INTERNAL_SERVERL_ERROR`.
//!
//! # Faults
//! A fault is `{"action":"appToken.add","fault":"reset","times":1,"skip":0,"probability":1,"after":false}`;
//! only `action` and `fault` are needed. `action` is `service.action` in any case, `multirequest`, or `*`.
//! With `after` the request takes effect before the fault strikes. The faults and their own fields:
//!
//! | `fault` | fields | what happens |
//! |---|---|---|
//! | `latency` | `ms` | the right answer, late |
//! | `status` | `status`, `retryAfter`, `body` | an HTTP error |
//! | `reset` | | the connection is reset (RST), nothing sent |
//! | `truncated` | | half of the body that `Content-Length` announces, then the connection closes |
//! | `garbage` | | HTTP 200, `application/json`, and no JSON in it |
//! | `html` | | HTTP 200 and an HTML page |
//! | `empty` | | HTTP 200 and nothing |
//! | `huge` | `bytes` | HTTP 200 and a JSON string of that size, streamed |
//! | `ks_echo` | | `INVALID_KS` with the request's KS in message and arguments |
//! | `redirect` | `location` | HTTP 302 |
//! | `exception` | `code`, `message` | that application error |

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod accounts;
mod answer;
mod app_token;
mod arguments;
mod body;
mod cli;
mod clock;
mod control;
mod dispatch;
mod exception;
mod fault;
mod foreign;
mod ks;
mod ordered;
mod params;
mod privileges;
mod random;
mod record;
mod sandbox;
mod server;
mod session;
mod state;

pub use accounts::{Account, Accounts};
pub use cli::main_with_args;
pub use clock::TimeSource;
pub use fault::{Fault, FaultKind};
pub use record::RecordedRequest;
pub use sandbox::{Sandbox, SandboxBuilder};
