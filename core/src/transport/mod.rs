//! Carrying one request's bytes to the server and the answer's bytes back: the [`Transport`] trait, what
//! it is given and what it answers. Knows nothing of Kaltura, of credentials, or of trying again; how the
//! bytes travel is [`http`]'s business.

mod http;
mod resolver;
mod tls;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use crate::secret::Secret;

pub(crate) use http::HttpTransport;

/// A future that can be sent to another thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Carries requests. The seam at which tests, and embedders with an HTTP stack of their own, come in.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends the body as a form by POST and reads the whole answer.
    ///
    /// Dropping the future abandons the request. Time limits are the caller's business, but for the
    /// one on connecting.
    ///
    /// # Errors
    /// [`TransportError`], which says whether any of the request may have left.
    fn post(
        &self,
        url: &str,
        body: Bytes,
    ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>>;

    /// As [`Transport::post`], on a connection that no other request has used or will use.
    ///
    /// For what must not be done twice: an answer that was left on a kept connection is not taken for
    /// this request's own, and no connection is found closed when half of the request is on its way.
    /// A transport without connections of its own need not implement it.
    ///
    /// # Errors
    /// As there.
    fn post_on_new_connection(
        &self,
        url: &str,
        body: Bytes,
    ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
        self.post(url, body)
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
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TransportError {
    /// Nothing of the request has left: no connection came about.
    NotSent(String),
    /// The request, or some of it, may have arrived.
    Interrupted(String),
    /// The answer is larger than the limit, in bytes.
    TooLarge(usize),
}

/// How to reach the server.
#[derive(Clone, Debug)]
pub(crate) struct TransportOptions {
    pub(crate) user_agent: String,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_response_bytes: usize,
    pub(crate) proxy: Option<ProxySettings>,
    /// A PEM file of certificate authorities to trust instead of the system's.
    pub(crate) ca_file: Option<std::path::PathBuf>,
    /// Whether the server is reached over TLS; without it no certificate is ever loaded.
    pub(crate) tls: bool,
}

/// A proxy and the hosts that are reached without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxySettings {
    /// May hold credentials.
    pub(crate) url: Secret,
    pub(crate) no_proxy: Option<String>,
}
