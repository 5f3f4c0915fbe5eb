//! What a service URL looks like, whatever people write for it, and when it would leak credentials.
//! Reads nothing and sends nothing.

use std::net::IpAddr;

use url::Url;

use crate::error::{Error, Hint, Result};

/// The service URL when none is named.
pub const DEFAULT_SERVICE_URL: &str = "https://www.kaltura.com/api_v3";

/// Short names of Kaltura's regions and their hosts.
const REGIONS: [(&str, &str); 6] = [
    ("us", "www.kaltura.com"),
    ("de", "api.de.kaltura.com"),
    ("eu", "api.eu.kaltura.com"),
    ("sg", "api.sg.kaltura.com"),
    ("ca", "api.ca.kaltura.com"),
    ("ap", "api.ap.kaltura.com"),
];

/// A service URL in the one form in which it is used: scheme, host, path, `/api_v3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceUrl {
    text: String,
    tls: bool,
    loopback: bool,
}

impl ServiceUrl {
    /// Reads what people write: with or without scheme, `/api_v3`, `/service`, `/index.php`, a slash
    /// at the end; with a path of its own; or a region's short name.
    pub(crate) fn parse(written: &str, allow_http: bool) -> Result<Self> {
        let wrong = |why: &str| Error::config(format!("service URL: {why}"));
        let trimmed = written.trim();
        if trimmed.is_empty() {
            return Err(wrong("it is empty").with_hint(Hint::NameServer));
        }
        let region = REGIONS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(trimmed));
        // Tried as a host, a region's typo would only fail after all retries. It is not quoted: a single
        // word may be a secret that was put into the wrong place.
        let word = trimmed
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if region.is_none() && word && !trimmed.eq_ignore_ascii_case("localhost") {
            let names = REGIONS.map(|(name, _)| name).join(" ");
            return Err(wrong(&format!(
                "this is neither a region ({names}) nor the address of a server"
            ))
            .with_hint(Hint::WriteTheScheme));
        }
        let full = match region {
            Some((_, host)) => format!("https://{host}"),
            None if trimmed.contains("://") => trimmed.to_owned(),
            // Without a scheme it is https, but on this machine there is rarely a certificate.
            None => {
                let https = format!("https://{trimmed}");
                match Url::parse(&https) {
                    Ok(url) if is_loopback(&url) => format!("http://{trimmed}"),
                    _ => https,
                }
            }
        };
        let url =
            Url::parse(&full).map_err(|error| wrong(&format!("this is not a URL ({error})")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                wrong("it holds a user name or a password, which it must not")
                    .with_hint(Hint::NameServer),
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(
                "it holds a query or a fragment; give the address up to /api_v3",
            ));
        }
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| wrong("it names no host"))?;
        let loopback = is_loopback(&url);
        let tls = match url.scheme() {
            "https" => true,
            "http" if loopback || allow_http => false,
            "http" => {
                return Err(wrong(&format!(
                    "http to {host} would send credentials in the clear"
                ))
                .with_hint(Hint::HttpNotAllowed));
            }
            other => {
                let why = format!("{other} is neither https nor http");
                return Err(wrong(&why).with_hint(Hint::NameServer));
            }
        };
        let port = url
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        let text = format!(
            "{}://{host}{port}{}/api_v3",
            url.scheme(),
            base_path(url.path())
        );
        Ok(Self {
            text,
            tls,
            loopback,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.loopback
    }
}

/// The path before the API's own part of it.
fn base_path(path: &str) -> String {
    let mut kept = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if ["api_v3", "service", "index.php"].contains(&part) {
            break;
        }
        kept.push('/');
        kept.push_str(part);
    }
    kept
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The service URL in the form in which it is used.
///
/// ```
/// use kaltura_app_token::normalize_service_url;
///
/// assert_eq!(normalize_service_url("eu", false)?, "https://api.eu.kaltura.com/api_v3");
/// assert_eq!(
///     normalize_service_url("https://video.example.com/api_v3/service/", false)?,
///     "https://video.example.com/api_v3",
/// );
/// assert!(normalize_service_url("http://video.example.com", false).is_err());
/// # Ok::<(), kaltura_app_token::Error>(())
/// ```
///
/// # Errors
/// `Config` when it is no URL, holds credentials or a query, or is plain http to another machine and
/// `allow_http` is not set.
pub fn normalize_service_url(written: &str, allow_http: bool) -> Result<String> {
    ServiceUrl::parse(written, allow_http).map(|url| url.text)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn service_urls_are_understood_as_people_write_them() {
        for (written, expected) in [
            ("https://www.kaltura.com", "https://www.kaltura.com/api_v3"),
            ("https://www.kaltura.com/", "https://www.kaltura.com/api_v3"),
            (
                "https://www.kaltura.com/api_v3",
                "https://www.kaltura.com/api_v3",
            ),
            (
                "https://www.kaltura.com/api_v3/",
                "https://www.kaltura.com/api_v3",
            ),
            (
                "https://www.kaltura.com/api_v3/service",
                "https://www.kaltura.com/api_v3",
            ),
            (
                "https://www.kaltura.com/api_v3/index.php",
                "https://www.kaltura.com/api_v3",
            ),
            (
                "https://www.kaltura.com/api_v3/api_v3",
                "https://www.kaltura.com/api_v3",
            ),
            (
                "  cdnapisec.kaltura.com\n",
                "https://cdnapisec.kaltura.com/api_v3",
            ),
            (
                "https://api.kaltura.nordu.net/",
                "https://api.kaltura.nordu.net/api_v3",
            ),
            (
                "https://video.example.com:8443/kaltura/api_v3/",
                "https://video.example.com:8443/kaltura/api_v3",
            ),
            (
                "HTTPS://Video.Example.com",
                "https://video.example.com/api_v3",
            ),
            (
                "http://127.0.0.1:8080/api_v3",
                "http://127.0.0.1:8080/api_v3",
            ),
            ("127.0.0.1:8080", "http://127.0.0.1:8080/api_v3"),
            ("localhost:8080/x", "http://localhost:8080/x/api_v3"),
            ("http://[::1]:8080", "http://[::1]:8080/api_v3"),
            ("us", "https://www.kaltura.com/api_v3"),
            ("DE", "https://api.de.kaltura.com/api_v3"),
            ("eu", "https://api.eu.kaltura.com/api_v3"),
            ("sg", "https://api.sg.kaltura.com/api_v3"),
            ("ca", "https://api.ca.kaltura.com/api_v3"),
            ("ap", "https://api.ap.kaltura.com/api_v3"),
        ] {
            assert_eq!(
                normalize_service_url(written, false).unwrap(),
                expected,
                "{written}"
            );
        }
    }

    #[test]
    fn service_urls_that_would_leak_or_cannot_be_are_refused() {
        for written in [
            "",
            "   ",
            "http://www.kaltura.com",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "ftp://www.kaltura.com",
            "https://user:pass@www.kaltura.com",
            "https://www.kaltura.com/?ks=abc",
            "https://",
            "https:// /",
            "uk",
            "a-word",
        ] {
            let error = normalize_service_url(written, false).unwrap_err();
            assert!(error.message().starts_with("service URL: "), "{error}");
        }
        assert_eq!(
            normalize_service_url("http://intranet.example", true).unwrap(),
            "http://intranet.example/api_v3"
        );
    }
}
