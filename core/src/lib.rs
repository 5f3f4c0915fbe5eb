//! Kaltura application tokens: create, list, update and delete them, and exchange them for sessions.
//!
//! ```no_run
//! use kaltura_app_token::{Client, NewToken, SessionRequest};
//!
//! # async fn run() -> kaltura_app_token::Result<()> {
//! let client = Client::builder()
//!     .partner_id(123_456)
//!     .admin_secret(std::env::var("KALTURA_ADMIN_SECRET").unwrap_or_default())
//!     .build()?;
//! let token = client.add_token(&NewToken::new().description("nightly export")).await?;
//!
//! // Whoever has the token's id and value needs no admin secret:
//! let integration = Client::builder().partner_id(123_456).build()?;
//! let value = token.token.expect("add answers with the value");
//! let session = integration.start_session(&SessionRequest::new(token.id, value)).await?;
//! println!("{}", session.ks.reveal());
//! # Ok(())
//! # }
//! ```
//!
//! Credentials are [`Secret`]s: they are not printed by `Debug`, not part of any error, and wiped when
//! dropped. Failures are [`Error`]s with a kind, for exceptions of the API a code, and a hint.

mod audit;
pub mod blocking;
mod client;
mod clock;
mod config;
mod error;
mod exchange;
mod flight;
mod ks;
mod model;
mod privileges;
#[cfg(unix)]
mod queue;
mod retry;
mod rotate;
mod seam;
mod secret;
mod session;
mod threads;
mod transport;
mod wire;

pub use audit::{Audit, Finding, Severity, audit, audit_tokens};
pub use client::{AdminSession, Cancel, Client, ClientBuilder, Tokens};
pub use config::{DEFAULT_SERVICE_URL, Need, Settings, Source, normalize_service_url};
pub use error::{ApiCode, ApiError, Error, ErrorKind, KsFailure, Result};
pub use exchange::token_hash;
pub use ks::{Ks, KsFields, KsInfo, KsVersion};
pub use model::{
    AppToken, HashType, ListOptions, NewToken, Pager, ProfileFields, ResponseProfile, Session,
    SessionInfo, SessionKey, SessionRequest, SessionType, TokenField, TokenFilter, TokenOrder,
    TokenPage, TokenStatus, TokenUpdate,
};
pub use privileges::{PrivilegeLint, PrivilegeUse, Privileges};
#[cfg(unix)]
pub use queue::{Completion, Queue, Refused};
pub use retry::{Clock, RetryPolicy};
pub use rotate::{
    CommandSink, Ensured, FileSink, HandOver, Journal, JournalEntry, OldToken, Resume,
    RevocationFilter, RevocationPlan, RevocationTarget, Revoked, RotateOptions, Rotated,
    RotationState, RotationStep, Rotator, Sink, WriterSink, ensure, plan_revocation, revoke,
};
pub use secret::Secret;
pub use session::{
    CachedSession, MemoryCache, SessionCache, SessionProvider, SessionProviderBuilder,
    SessionProviderStats, TokenCredentials, TokenSource,
};
pub use transport::{BoxFuture, Transport, TransportAnswer, TransportError};
pub use wire::Action;

/// The README's Rust example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
