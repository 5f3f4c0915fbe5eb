//! The transport over reqwest. Knows headers and connections; knows nothing of Kaltura, of credentials, or
//! of trying again.

use std::sync::Arc;

use reqwest::header::{self, HeaderMap, HeaderValue};

use super::body::{Gathered, LeavingBody};
use super::failure::{failure, innermost, interrupted};
use super::proxy::Proxy;
use super::resolver::Resolver;
use super::tls::tls_config;
use super::{
    BoxFuture, Transport, TransportAnswer, TransportError, TransportOptions, TransportRequest,
};
use crate::error::{Error, Result};

/// The transport that the crate brings along.
///
/// # Errors
/// `Config` naming the option that cannot be used.
pub(crate) fn over_http(options: &TransportOptions) -> Result<Arc<dyn Transport>> {
    Ok(Arc::new(HttpTransport::new(options)?))
}

/// The transport over reqwest: HTTP/1.1, pooled connections, no redirects, no retries of its own.
#[derive(Debug)]
struct HttpTransport {
    http: reqwest::Client,
    /// The same without keeping connections.
    http_once: reqwest::Client,
    proxy: Option<Proxy>,
    max_response_bytes: usize,
}

impl HttpTransport {
    fn new(options: &TransportOptions) -> Result<Self> {
        let tls = tls_config(options)?;
        let resolver = Arc::new(Resolver::default());
        let proxy = options.proxy.as_ref().map(Proxy::new).transpose()?;
        let http = Self::http(options, tls.clone(), Arc::clone(&resolver), proxy.as_ref())?;
        let once = Self::http(options, tls, resolver, proxy.as_ref())?.pool_max_idle_per_host(0);
        let build = |builder: reqwest::ClientBuilder| {
            builder
                .build()
                .map_err(|error| Error::config(format!("the HTTP client: {}", innermost(&error))))
        };
        Ok(Self {
            http: build(http)?,
            http_once: build(once)?,
            proxy,
            max_response_bytes: options.max_response_bytes,
        })
    }

    fn http(
        options: &TransportOptions,
        tls: rustls::ClientConfig,
        resolver: Arc<Resolver>,
        proxy: Option<&Proxy>,
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
        if let Some(proxy) = proxy {
            builder = builder.proxy(proxy.for_reqwest());
        }
        Ok(builder)
    }

    async fn exchange(&self, request: TransportRequest) -> Result<TransportAnswer, TransportError> {
        let progress = request.progress.clone();
        progress.connecting();
        // Nothing is asked for an empty body, so that nothing would say that it leaves.
        if request.body.is_empty() && !progress.start_sending() {
            return Err(TransportError::Interrupted(
                "the caller has gone".to_owned(),
            ));
        }
        let http = if request.new_connection {
            &self.http_once
        } else {
            &self.http
        };
        let body = reqwest::Body::wrap(LeavingBody::new(request.body, progress.clone()));
        let mut response = http
            .post(&request.url)
            .body(body)
            .send()
            .await
            .map_err(|error| {
                let through = self
                    .proxy
                    .as_ref()
                    .filter(|proxy| proxy.carries(&request.url));
                failure(&error, progress.phase(), through, request.new_connection)
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
            ..TransportAnswer::default()
        };
        let mut body = Gathered::new(self.max_response_bytes, response.content_length())?;
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| interrupted(&error))?
        {
            body.push(chunk)?;
        }
        answer.body = body.finish();
        Ok(answer)
    }
}

impl Transport for HttpTransport {
    fn post(
        &self,
        request: TransportRequest,
    ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
        Box::pin(self.exchange(request))
    }
}
