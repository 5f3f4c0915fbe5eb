//! Which requests go by a proxy, and by which. Knows nothing of the environment: the settings come from
//! the account's room.

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use super::ProxySettings;
use crate::error::{Error, Result};

/// A proxy that requests can be sent by.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    /// For reqwest, which matches by the same rules.
    for_reqwest: reqwest::Proxy,
    matcher: std::sync::Arc<Matcher>,
    address: String,
}

impl Proxy {
    /// # Errors
    /// `Config` when the URL is none, or its scheme is not one that is spoken here.
    pub(super) fn new(settings: &ProxySettings) -> Result<Self> {
        let unusable = || Error::config("proxy: this is not a URL that a proxy can have");
        let written = settings.url.reveal().trim();
        let url = match written.split_once("://") {
            Some((scheme, _)) => {
                if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
                    return Err(unsupported(scheme));
                }
                Url::parse(written)
            }
            None => Url::parse(&format!("http://{written}")),
        }
        .map_err(|_| unusable())?;
        let host = url.host_str().ok_or_else(unusable)?;
        let address = match url.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let except = settings.no_proxy.as_deref().unwrap_or_default();
        let matcher = Matcher::builder().all(url.as_str()).no(except).build();
        let for_reqwest = reqwest::Proxy::all(url)
            .map_err(|_| unusable())?
            .no_proxy(reqwest::NoProxy::from_string(except));
        Ok(Self {
            for_reqwest,
            matcher: std::sync::Arc::new(matcher),
            address,
        })
    }

    /// Whether a request to this URL goes by it.
    pub(super) fn carries(&self, url: &str) -> bool {
        url.parse()
            .is_ok_and(|url| self.matcher.intercept(&url).is_some())
    }

    /// Host and port, without credentials.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn for_reqwest(&self) -> reqwest::Proxy {
        self.for_reqwest.clone()
    }
}

/// The scheme is shown only when it cannot be a part of a credential.
fn unsupported(scheme: &str) -> Error {
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let what = if is_scheme { scheme } else { "this" };
    Error::config(format!("proxy: {what}:// is not supported"))
        .with_hint("name a proxy that speaks http or https; check https_proxy and all_proxy")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn proxy(url: &str, no_proxy: Option<&str>) -> Result<Proxy> {
        Proxy::new(&ProxySettings {
            url: Secret::from(url),
            no_proxy: no_proxy.map(str::to_owned),
        })
    }

    #[test]
    fn a_proxy_carries_everything_but_what_it_is_told_to_leave() {
        let proxy = proxy(
            "http://user:password@proxy.example:3128",
            Some(".inner.example"),
        )
        .unwrap();
        assert!(proxy.carries("https://video.example/api_v3"));
        assert!(!proxy.carries("https://video.inner.example/api_v3"));
        assert_eq!(proxy.address(), "proxy.example:3128");
    }

    #[test]
    fn a_proxy_without_a_scheme_is_an_http_one() {
        for (written, address) in [
            ("proxy.example:3128", "proxy.example:3128"),
            ("proxy.example", "proxy.example:80"),
            ("https://proxy.example", "proxy.example:443"),
            (" http://[::1]:8080 ", "[::1]:8080"),
        ] {
            assert_eq!(proxy(written, None).unwrap().address(), address);
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_by_name_and_without_its_credentials() {
        for (url, name) in [
            ("socks5://user:password@proxy.example:1080", "socks5://"),
            ("ftp://user:password@proxy.example", "ftp://"),
            ("user:password@x://proxy.example", "proxy"),
            ("::", "proxy"),
        ] {
            let error = proxy(url, None).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Config);
            assert!(error.message().contains(name), "{error}");
            assert!(!format!("{error:?}").contains("password"), "{error:?}");
        }
    }
}
