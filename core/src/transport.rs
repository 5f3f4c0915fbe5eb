//! Carrying one request's bytes to the server and the answer's bytes back: the [`Transport`] trait and
//! the one over reqwest. Knows URLs, TLS and proxies; knows nothing of Kaltura, of credentials, or of
//! trying again.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{FutureExt, Shared};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{self, HeaderMap, HeaderValue};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::threads::aside;

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

/// The transport over reqwest: HTTP/1.1, pooled connections, no redirects, no retries of its own.
#[derive(Debug)]
pub(crate) struct HttpTransport {
    http: reqwest::Client,
    /// The same without keeping connections.
    http_once: reqwest::Client,
    max_response_bytes: usize,
}

impl HttpTransport {
    pub(crate) fn new(options: &TransportOptions) -> Result<Self> {
        let tls = tls_config(options)?;
        let resolver = Arc::new(Resolver::default());
        let once =
            Self::http(options, tls.clone(), Arc::clone(&resolver))?.pool_max_idle_per_host(0);
        let build = |builder: reqwest::ClientBuilder| {
            builder
                .build()
                .map_err(|error| Error::config(format!("the HTTP client: {}", root_cause(&error))))
        };
        Ok(Self {
            http: build(Self::http(options, tls, resolver)?)?,
            http_once: build(once)?,
            max_response_bytes: options.max_response_bytes,
        })
    }

    fn http(
        options: &TransportOptions,
        tls: rustls::ClientConfig,
        resolver: Arc<Resolver>,
    ) -> Result<reqwest::ClientBuilder> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let user_agent = HeaderValue::from_str(&options.user_agent)
            .map_err(|_| Error::config("user agent: it holds a character that a header cannot"))?;
        let mut builder = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(user_agent)
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(options.idle_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .tcp_nodelay(true)
            .tls_backend_preconfigured(tls)
            .dns_resolver(resolver)
            // Only the proxy that the settings name, never the environment behind their back.
            .no_proxy();
        if let Some(settings) = &options.proxy {
            let proxy = reqwest::Proxy::all(settings.url.reveal())
                .map_err(|_| Error::config("proxy: this is not a URL that a proxy can have"))?;
            let except = settings
                .no_proxy
                .as_deref()
                .and_then(reqwest::NoProxy::from_string);
            builder = builder.proxy(proxy.no_proxy(except));
        }
        Ok(builder)
    }

    async fn exchange(
        &self,
        http: &reqwest::Client,
        url: &str,
        body: Bytes,
    ) -> Result<TransportAnswer, TransportError> {
        let mut response = http.post(url).body(body).send().await.map_err(|error| {
            let cause = root_cause(&error);
            if error.is_connect() {
                TransportError::NotSent(cause)
            } else {
                TransportError::Interrupted(cause)
            }
        })?;
        let text = |name| {
            let value: Option<&HeaderValue> = response.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let mut answer = TransportAnswer {
            status: response.status().as_u16(),
            content_type: text(header::CONTENT_TYPE),
            date: text(header::DATE),
            is_from_cache: response.headers().contains_key(header::AGE),
            retry_after: text(header::RETRY_AFTER),
            location: text(header::LOCATION),
            body: Bytes::new(),
        };
        // Most answers are one chunk, which is then not copied.
        let mut rest = BytesMut::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| TransportError::Interrupted(root_cause(&error)))?
        {
            if answer.body.len() + rest.len() + chunk.len() > self.max_response_bytes {
                return Err(TransportError::TooLarge(self.max_response_bytes));
            }
            if answer.body.is_empty() {
                answer.body = chunk;
            } else {
                rest.extend_from_slice(&chunk);
            }
        }
        if !rest.is_empty() {
            let mut body = BytesMut::with_capacity(answer.body.len() + rest.len());
            body.extend_from_slice(&answer.body);
            body.extend_from_slice(&rest);
            answer.body = body.freeze();
        }
        Ok(answer)
    }
}

impl Transport for HttpTransport {
    fn post(
        &self,
        url: &str,
        body: Bytes,
    ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
        let url = url.to_owned();
        Box::pin(async move { self.exchange(&self.http, &url, body).await })
    }

    fn post_on_new_connection(
        &self,
        url: &str,
        body: Bytes,
    ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
        let url = url.to_owned();
        Box::pin(async move { self.exchange(&self.http_once, &url, body).await })
    }
}

/// Looks names up on threads of the library's own. Those of tokio's pool would stay for a while after
/// it, and run the signal handlers of the host.
///
/// A name takes one thread, however many wait for it and however many have given up waiting, and the
/// thread ends with the look-up.
#[derive(Default)]
struct Resolver {
    under_way: Arc<Mutex<HashMap<String, LookUp>>>,
}

type LookUp = Shared<BoxFuture<'static, Result<Vec<SocketAddr>, String>>>;

impl Resolver {
    fn look_up(&self, host: &str) -> LookUp {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(look_up) = under_way.get(host)
            && look_up.peek().is_none()
        {
            return look_up.clone();
        }
        let (name, others) = (host.to_owned(), Arc::downgrade(&self.under_way));
        let look_up = async move {
            let work = move || {
                let found = (name.as_str(), 0).to_socket_addrs();
                // Whoever asks from now on asks anew.
                if let Some(others) = others.upgrade() {
                    others
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .remove(&name);
                }
                found
            };
            let found = aside("looking up the server's name", work).await;
            match found {
                Ok(Ok(addresses)) => Ok(addresses.collect()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        };
        let look_up: BoxFuture<'static, _> = Box::pin(look_up);
        let look_up = look_up.shared();
        under_way.insert(host.to_owned(), look_up.clone());
        look_up
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let look_up = self.look_up(name.as_str());
        Box::pin(async move { Ok(Box::new(look_up.await?.into_iter()) as Addrs) })
    }
}

/// The innermost text of an error, without the URL that reqwest puts around it.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if std::ptr::addr_eq(std::ptr::from_ref(cause), std::ptr::from_ref(error)) {
        if error.is_timeout() {
            return "connecting took too long".to_owned();
        }
        return "the connection failed".to_owned();
    }
    cause.to_string()
}

fn tls_config(options: &TransportOptions) -> Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    if options.tls {
        add_roots(&mut roots, options)?;
    }
    // The provider is named here rather than installed for the whole process: a library leaves the
    // process's choice alone.
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
        .map_err(|error| Error::config(format!("TLS: {error}")))
}

fn add_roots(roots: &mut rustls::RootCertStore, options: &TransportOptions) -> Result<()> {
    if let Some(path) = &options.ca_file {
        let unusable = |why: String| Error::config(format!("CA file {}: {why}", path.display()));
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
            .map_err(|error| unusable(error.to_string()))?;
        if certificates.is_empty() {
            return Err(unusable("there is no certificate in it".into()));
        }
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| unusable(error.to_string()))?;
        }
        return Ok(());
    }
    // SSL_CERT_FILE and SSL_CERT_DIR are honoured here, as by OpenSSL.
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        // A container without a certificate package: Mozilla's roots, which come with the program.
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(())
}
