//! Carrying one request's bytes to the server and the answer's bytes back: the [`Transport`] trait, what
//! it is given and what it answers. Knows nothing of Kaltura, of credentials, or of trying again; how the
//! bytes travel is the business of the transport over reqwest, which the feature of that name brings.

#[cfg(feature = "reqwest")]
mod body;
#[cfg(feature = "reqwest")]
mod failure;
#[cfg(feature = "reqwest")]
mod http;
#[cfg(not(feature = "reqwest"))]
mod none;
mod progress;
#[cfg(feature = "reqwest")]
mod proxy;
#[cfg(feature = "reqwest")]
mod resolver;
#[cfg(feature = "reqwest")]
mod tls;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use crate::connect_cause::ConnectCause;
use crate::error::Result;
use crate::secret::Secret;

#[cfg(feature = "reqwest")]
pub(crate) use http::over_http;
#[cfg(not(feature = "reqwest"))]
pub(crate) use none::over_http;
pub use progress::{Phase, Progress};

/// A future that can be sent to another thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Carries requests. The seam at which tests, and embedders with an HTTP stack of their own, come in.
///
/// ```
/// use kaltura_app_token::{
///     BoxFuture, ConnectCause, Transport, TransportAnswer, TransportError, TransportRequest,
/// };
///
/// /// A network without a server.
/// #[derive(Debug)]
/// struct Nowhere;
///
/// impl Transport for Nowhere {
///     fn post(
///         &self,
///         request: TransportRequest,
///     ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
///         Box::pin(async move {
///             request.progress().connecting();
///             Err(TransportError::NotSent(ConnectCause::Refused, "nobody is there".to_owned()))
///         })
///     }
/// }
/// ```
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends the body as a form by POST and reads the whole answer.
    ///
    /// Dropping the future abandons the request. Time limits are the caller's business, but for the
    /// one on connecting. A transport that tells [`TransportRequest::progress`] how far it has come lets
    /// the client make a creation again that was cut off before anything of it had left.
    ///
    /// # Errors
    /// [`TransportError`], which says whether any of the request may have left.
    fn post(
        &self,
        request: TransportRequest,
    ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>>;
}

/// What a [`Transport`] is to send.
#[derive(Clone)]
pub struct TransportRequest {
    url: String,
    body: Bytes,
    new_connection: bool,
    progress: Progress,
}

impl TransportRequest {
    /// A request that may travel on any connection.
    pub fn new(url: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            url: url.into(),
            body: body.into(),
            new_connection: false,
            progress: Progress::default(),
        }
    }

    /// The same request on a connection of its own.
    #[must_use]
    pub fn on_new_connection(mut self) -> Self {
        self.new_connection = true;
        self
    }

    /// Where it goes.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The form, encoded. It holds credentials.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether it wants a connection that no other request has used or will use.
    ///
    /// For what must not be done twice: an answer that was left on a kept connection is not taken for
    /// this request's own, and no connection is found closed when half of the request is on its way.
    /// A transport without connections of its own need not care.
    #[must_use]
    pub fn needs_new_connection(&self) -> bool {
        self.new_connection
    }

    /// Where the transport says how far the request has come.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}

/// Without the body, which holds credentials.
impl fmt::Debug for TransportRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportRequest")
            .field("url", &self.url)
            .field("bytes", &self.body.len())
            .field("new_connection", &self.new_connection)
            .field("phase", &self.progress.phase())
            .finish_non_exhaustive()
    }
}

/// An answer, whatever its status.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct TransportAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// The `Date` header.
    pub date: Option<String>,
    /// Whether a cache says that it answered, by an `Age` header.
    pub is_from_cache: bool,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// The `Location` header.
    pub location: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl TransportAnswer {
    /// An answer with this status and body and no headers.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }
}

/// Without what may hold credentials: the body, and an address.
impl fmt::Debug for TransportAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportAnswer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Nothing of the request has left: no connection came about. Why, and the same in words.
    #[error("no connection: {1}")]
    NotSent(ConnectCause, String),
    /// The request, or some of it, may have arrived. What happened, in words.
    #[error("the connection broke: {0}")]
    Interrupted(String),
    /// The answer is larger than the limit, in bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// How to reach the server.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "reqwest"),
    allow(dead_code, reason = "only the transport over reqwest reads them")
)]
pub(crate) struct TransportOptions {
    pub(crate) user_agent: String,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_response_bytes: usize,
    pub(crate) proxy: Option<ProxySettings>,
    /// Certificate authorities to trust instead of the system's: a PEM file, PEM in memory, or both.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) ca_pem: Option<Pem>,
    pub(crate) client_certificate: Option<ClientCertificate>,
    /// Whether `SSL_CERT_FILE` and `SSL_CERT_DIR` say where the system's authorities are.
    pub(crate) read_environment: bool,
    /// Whether the server is reached over TLS; without it no authority is ever loaded.
    pub(crate) tls: bool,
}

/// A proxy and the hosts that are reached without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxySettings {
    /// May hold credentials.
    pub(crate) url: Secret,
    pub(crate) no_proxy: Option<String>,
}

/// Certificates in PEM.
#[derive(Clone)]
pub(crate) struct Pem(pub(crate) Vec<u8>);

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({} bytes)", self.0.len())
    }
}

/// What shows the server who is calling.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "reqwest"),
    allow(dead_code, reason = "only the transport over reqwest reads it")
)]
pub(crate) struct ClientCertificate {
    /// The client's own certificate first.
    pub(crate) chain: Pem,
    /// The first one's private key, in PEM.
    pub(crate) key: Secret,
}
