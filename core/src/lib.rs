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

mod account;
pub mod blocking;
mod cancel;
mod client;
mod clock;
mod connect_cause;
mod error;
mod event;
mod flight;
mod ks;
mod model;
mod number_or_text;
mod outage;
mod privileges;
mod queue;
mod retry;
mod seam;
mod secret;
mod session;
mod threads;
mod transport;
mod wire;
mod workflow;

pub use account::{
    DEFAULT_SERVICE_URL, Need, Settings, Source, normalize_service_url, read_configuration,
};
pub use cancel::Cancel;
pub use client::{AdminSession, Client, ClientBuilder, Tokens, token_hash};
pub use clock::Clock;
pub use connect_cause::ConnectCause;
pub use error::{ApiCode, ApiError, Error, ErrorKind, Hint, KsFailure, Result};
pub use event::Event;
pub use ks::{Ks, KsFields, KsInfo, KsVersion};
pub use model::{
    AppToken, HashType, ListOptions, NewToken, Pager, ProfileFields, ResponseProfile, Session,
    SessionInfo, SessionKey, SessionRequest, SessionType, TokenField, TokenFilter, TokenOrder,
    TokenPage, TokenStatus, TokenUpdate,
};
pub use privileges::{PrivilegeLint, PrivilegeUse, Privileges};
pub use queue::{Completion, Queue, Refused};
pub use retry::RetryPolicy;
pub use secret::Secret;
pub use session::{
    CachedSession, MemoryCache, SessionCache, SessionProvider, SessionProviderBuilder,
    SessionProviderStats, TokenCredentials, TokenSource,
};
pub use transport::{
    BoxFuture, Phase, Progress, Transport, TransportAnswer, TransportError, TransportRequest,
};
pub use wire::Action;
pub use workflow::{
    Audit, CommandSink, Ensured, FileSink, Finding, Fix, HandOver, Journal, JournalEntry, OldToken,
    Refusal, Resume, RevocationFilter, RevocationPlan, RevocationTarget, Revoked, RotateOptions,
    Rotated, RotationState, RotationStep, Rotator, Severity, Sink, WayOut, WriterSink, audit,
    audit_tokens, ensure, plan_revocation, revoke,
};

/// The README's Rust example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
