//! Proxies and certificate authorities, from the usual variables.

use std::ffi::OsString;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::service_url::ServiceUrl;
use super::variables::{Variables, plain};
use crate::error::Result;
use crate::secret::Secret;
use crate::transport::ProxySettings;

/// What the usual variables say of proxies and certificate authorities.
#[derive(Clone, Debug, Default)]
pub(crate) struct NetworkSettings {
    pub(crate) proxy: Option<ProxySettings>,
    pub(crate) ca_file: Option<PathBuf>,
}

impl NetworkSettings {
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` are read where the system's certificates are loaded.
    ///
    /// # Errors
    /// `Config` naming the variable that is not UTF-8: taken for unset, it would let requests go past
    /// the proxy.
    pub(crate) fn from_variables(
        url: &ServiceUrl,
        lookup: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        let variables = Variables(lookup);
        let first = |names: &[&str]| -> Result<Option<Zeroizing<String>>> {
            for name in names {
                if let Some(text) = variables.text(name)? {
                    return Ok(Some(text));
                }
            }
            Ok(None)
        };
        // HTTP_PROXY in capitals can be set by a request's Proxy header in CGI programs.
        let scheme: &[&str] = if url.is_tls() {
            &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        } else {
            &["http_proxy", "all_proxy", "ALL_PROXY"]
        };
        let proxy = match first(scheme)? {
            Some(proxy) => Some(ProxySettings {
                url: Secret::new(proxy.as_str()),
                no_proxy: first(&["no_proxy", "NO_PROXY"])?.map(plain),
            }),
            None => None,
        };
        // Paths, which need not be UTF-8.
        let first_set =
            |names: [&'static str; 2]| names.into_iter().find(|it| variables.is_set(it));
        let system_roots = first_set(["SSL_CERT_FILE", "SSL_CERT_DIR"]).is_some();
        let bundle = first_set(["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]).filter(|_| !system_roots);
        Ok(Self {
            proxy,
            ca_file: bundle
                .and_then(|name| variables.raw(name))
                .map(PathBuf::from),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn proxies_come_from_the_usual_variables_by_scheme() {
        let https = ServiceUrl::parse("https://www.kaltura.com", false).unwrap();
        let http = ServiceUrl::parse("http://intranet.example", true).unwrap();
        let variables = |name: &str| match name {
            "HTTPS_PROXY" => Some(OsString::from("http://secure-proxy:3128")),
            "HTTP_PROXY" => Some(OsString::from("http://from-a-request-header:1")),
            "NO_PROXY" => Some(OsString::from("example.com")),
            "REQUESTS_CA_BUNDLE" => Some(OsString::from("/ca.pem")),
            _ => None,
        };
        let settings = NetworkSettings::from_variables(&https, variables).unwrap();
        assert_eq!(
            settings.proxy.unwrap().url.reveal(),
            "http://secure-proxy:3128"
        );
        assert_eq!(settings.ca_file, Some(PathBuf::from("/ca.pem")));
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStringExt;
            let unreadable = |name: &str| {
                (name == "https_proxy").then(|| OsString::from_vec(b"http://proxy\xff:1".into()))
            };
            let error = NetworkSettings::from_variables(&https, unreadable).unwrap_err();
            assert!(error.message().contains("https_proxy is not UTF-8"));
        }
        assert!(
            NetworkSettings::from_variables(&http, variables)
                .unwrap()
                .proxy
                .is_none()
        );
    }
}
