//! The transport over reqwest. Knows URLs and proxies; knows nothing of Kaltura, of credentials, or of
//! trying again.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use reqwest::header::{self, HeaderMap, HeaderValue};

use super::resolver::Resolver;
use super::tls::tls_config;
use super::{BoxFuture, Transport, TransportAnswer, TransportError, TransportOptions};
use crate::error::{Error, Result};

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
