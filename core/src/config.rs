//! Where the account, its credentials and the service URL come from: the caller, the environment or a
//! `config.json`; and what a service URL looks like. Reads files and variables, sends nothing.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::ks::Ks;
use crate::secret::Secret;
use crate::transport::ProxySettings;

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
            return Err(wrong("it is empty"));
        }
        let region = REGIONS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(trimmed));
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
            return Err(wrong(
                "it holds a user name or a password, which it must not",
            ));
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
                    "http to {host} would send credentials in the clear; use https, or allow http \
                     explicitly for a host that has nothing else"
                )));
            }
            other => return Err(wrong(&format!("{other} is neither https nor http"))),
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

/// Where a group of settings comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The caller: arguments, options, setters.
    Explicit,
    /// The environment.
    Environment,
    /// A profile of that name.
    Profile(String),
    /// A `config.json`.
    ConfigFile(PathBuf),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Explicit => f.write_str("the explicit options"),
            Self::Environment => f.write_str("the environment"),
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::ConfigFile(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What the settings are going to be used for, which decides what must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Need {
    /// Exchanging a token: the account.
    Exchange,
    /// Managing tokens: the account, and its admin secret or an ADMIN session.
    Admin,
}

/// The settings of one source. What is `None` is not set there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Where they come from.
    pub source: Source,
    /// The account.
    pub partner_id: Option<i64>,
    /// Its admin secret.
    pub admin_secret: Option<Secret>,
    /// A session to use instead of the admin secret.
    pub ks: Option<Secret>,
    /// The service URL, as written.
    pub service_url: Option<String>,
    /// The user of the admin session.
    pub user_id: Option<String>,
    /// The life of the admin session.
    pub admin_session_duration: Option<Duration>,
    /// The privileges of the admin session.
    pub admin_privileges: Option<String>,
    /// The token to exchange.
    pub app_token_id: Option<String>,
    /// Its value.
    pub app_token: Option<Secret>,
    /// What is worth a warning, such as a config file that others can read.
    pub warnings: Vec<String>,
}

/// Whether settings have something.
type Has = fn(&Settings) -> bool;

impl Settings {
    /// Nothing set yet.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            source,
            partner_id: None,
            admin_secret: None,
            ks: None,
            service_url: None,
            user_id: None,
            admin_session_duration: None,
            admin_privileges: None,
            app_token_id: None,
            app_token: None,
            warnings: Vec::new(),
        }
    }

    /// Reads the environment: `KALTURA_PARTNER_ID`, `KALTURA_ADMIN_SECRET`, `KALTURA_KS`,
    /// `KALTURA_SERVICE_URL`, `KALTURA_USER_ID`, `KALTURA_SESSION_EXPIRY` (seconds),
    /// `KALTURA_APP_TOKEN_ID` and `KALTURA_APP_TOKEN`.
    ///
    /// For the last two the names in use elsewhere are read too: `KALTURA_TOKEN_ID` with
    /// `KALTURA_TOKEN`, and `TOKEN_ID` with `TOKEN`, each only as a pair. An empty variable is unset.
    ///
    /// # Errors
    /// `Config` naming the variable that is not a number.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// As [`Settings::from_env`], from any source of variables.
    ///
    /// # Errors
    /// As there.
    pub fn from_variables(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let read = |name: &str| {
            lookup(name)
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        let mut settings = Self::new(Source::Environment);
        if let Some(text) = read("KALTURA_PARTNER_ID") {
            settings.partner_id = Some(parse_partner_id("KALTURA_PARTNER_ID", &text)?);
        }
        settings.admin_secret = read("KALTURA_ADMIN_SECRET").map(Secret::new);
        settings.ks = read("KALTURA_KS").map(Secret::new);
        settings.service_url = read("KALTURA_SERVICE_URL");
        settings.user_id = read("KALTURA_USER_ID");
        if let Some(text) = read("KALTURA_SESSION_EXPIRY") {
            settings.admin_session_duration = Some(parse_seconds("KALTURA_SESSION_EXPIRY", &text)?);
        }
        for (id, token) in [
            ("KALTURA_APP_TOKEN_ID", "KALTURA_APP_TOKEN"),
            ("KALTURA_TOKEN_ID", "KALTURA_TOKEN"),
            ("TOKEN_ID", "TOKEN"),
        ] {
            let (id_value, token_value) = (read(id), read(token));
            let primary = id == "KALTURA_APP_TOKEN_ID";
            if (primary && (id_value.is_some() || token_value.is_some()))
                || (id_value.is_some() && token_value.is_some())
            {
                settings.app_token_id = id_value;
                settings.app_token = token_value.map(Secret::new);
                break;
            }
        }
        Ok(settings)
    }

    /// Reads a `config.json` in either of the two spellings that were in use for it.
    ///
    /// # Errors
    /// `Config`: no such file, not JSON, or a value that cannot be, naming the file and the key.
    pub fn from_config_file(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => zeroize::Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(
                    Error::config(format!("Configuration file '{shown}' not found."))
                        .with_hint("copy config.template.json to config.json and fill it in"),
                );
            }
            Err(error) => {
                return Err(Error::config(format!(
                    "Configuration file '{shown}' cannot be read: {error}"
                )));
            }
        };
        let file: ConfigFile = serde_json::from_str(&text).map_err(|error| {
            let problem = if error.is_data() {
                // serde's text quotes the value, which may be a secret put under the wrong key.
                format!("a value of the wrong kind in line {}", error.line())
            } else {
                "invalid JSON".to_owned()
            };
            Error::config(format!("Configuration file '{shown}' contains {problem}.")).with_hint(
                format!(
                    "see line {}, column {}; config.template.json shows the form",
                    error.line(),
                    error.column()
                ),
            )
        })?;
        let key = |name: &str| format!("Configuration file '{shown}': {name}");
        let mut settings = Self::new(Source::ConfigFile(path.to_owned()));
        if let Some(value) = file.partner_id {
            let text = value.text();
            if text.starts_with('<') {
                return Err(Error::config(format!(
                    "{} still holds the template's placeholder {text}",
                    key("PARTNER_ID")
                )));
            }
            settings.partner_id = Some(parse_partner_id(&key("PARTNER_ID"), &text)?);
        }
        if let Some(secret) = file.admin_secret.filter(|secret| !secret.trim().is_empty()) {
            if secret.starts_with('<') {
                return Err(Error::config(format!(
                    "{} still holds the template's placeholder",
                    key("ADMIN_SECRET")
                )));
            }
            settings.admin_secret = Some(Secret::new(secret.trim()));
        }
        settings.service_url = file.service_url.filter(|url| !url.trim().is_empty());
        settings.user_id = file
            .user_id
            .or(file.script_user_id)
            .filter(|id| !id.is_empty());
        let expiry = file.expiry.map(|value| ("EXPIRY", value)).or(file
            .admin_session_expiry
            .map(|value| ("ADMIN_SESSION_EXPIRY", value)));
        if let Some((name, value)) = expiry {
            settings.admin_session_duration = Some(parse_seconds(&key(name), &value.text())?);
        }
        settings.admin_privileges = file.admin_privileges.filter(|text| !text.is_empty());
        if settings.admin_secret.is_some() && others_can_read(path) {
            settings.warnings.push(format!(
                "{shown} holds the admin secret and can be read by other users: chmod 600 {shown}"
            ));
        }
        Ok(settings)
    }

    /// Joins sources, the first one that says anything of the account winning as a whole.
    ///
    /// Account, credentials and service URL come from one source together: a secret from one place
    /// sent to a server named in another is how secrets leak. The token's id and value are such a
    /// pair as well. Everything else is taken from the first source that has it.
    ///
    /// # Errors
    /// `Config` when something needed is missing, naming both sources when the other one has it.
    pub fn resolve(sources: &[Self], need: Need) -> Result<Self> {
        let Some(chosen) = sources.iter().find(|settings| settings.names_account()) else {
            return Err(
                Error::config("no account is configured: the partner id is missing").with_hint(
                    "set KALTURA_PARTNER_ID and KALTURA_ADMIN_SECRET, or write a config.json",
                ),
            );
        };
        let mut resolved = chosen.clone();
        if resolved.partner_id.is_none()
            && let Some(ks) = &resolved.ks
        {
            resolved.partner_id = Ks::describe(ks)?.partner_id;
        }
        let partner: (&str, Has) = ("the partner id", |s| s.partner_id.is_some());
        let credential: (&str, Has) = ("the admin secret", |s| {
            s.admin_secret.is_some() || s.ks.is_some()
        });
        let all = [partner, credential];
        let needed = match need {
            Need::Exchange => &all[..1],
            Need::Admin => &all[..],
        };
        for (what, has) in needed {
            if has(&resolved) {
                continue;
            }
            let source = &chosen.source;
            return Err(match sources.iter().find(|other| other.source != *source && has(other)) {
                Some(other) => Error::config(format!(
                    "{what} is in {}, but another part of the account is in {source}: they must come \
                     from one source together",
                    other.source
                ))
                .with_hint("put partner id, secret and service URL into one of the two"),
                None => Error::config(format!("{what} is missing in {source}")),
            });
        }
        // A URL that stands by itself was meant for this account; the default would be somebody else's.
        let stray = sources.iter().find(|other| {
            other.source != chosen.source
                && other.service_url.is_some()
                && other.partner_id.is_none()
                && other.ks.is_none()
        });
        if let (None, Some(other)) = (&resolved.service_url, stray) {
            return Err(Error::config(format!(
                "the service URL is in {}, but the account is in {}: they must come from one source \
                 together",
                other.source, chosen.source
            ))
            .with_hint("put partner id, secret and service URL into one of the two"));
        }
        let first = |has: Has| sources.iter().find(|settings| has(settings));
        if let Some(other) = first(|s| s.user_id.is_some()) {
            resolved.user_id.clone_from(&other.user_id);
        }
        if let Some(other) = first(|s| s.admin_session_duration.is_some()) {
            resolved.admin_session_duration = other.admin_session_duration;
        }
        if let Some(other) = first(|s| s.admin_privileges.is_some()) {
            resolved
                .admin_privileges
                .clone_from(&other.admin_privileges);
        }
        if let Some(other) = first(|s| s.app_token_id.is_some() || s.app_token.is_some()) {
            resolved.app_token_id.clone_from(&other.app_token_id);
            resolved.app_token.clone_from(&other.app_token);
        }
        Ok(resolved)
    }

    fn names_account(&self) -> bool {
        self.partner_id.is_some()
            || self.admin_secret.is_some()
            || self.ks.is_some()
            || self.service_url.is_some()
    }
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(rename = "PARTNER_ID")]
    partner_id: Option<NumberOrText>,
    #[serde(rename = "ADMIN_SECRET")]
    admin_secret: Option<String>,
    #[serde(rename = "KALTURA_SERVICE_URL")]
    service_url: Option<String>,
    #[serde(rename = "USER_ID")]
    user_id: Option<String>,
    #[serde(rename = "SCRIPT_USER_ID")]
    script_user_id: Option<String>,
    #[serde(rename = "EXPIRY")]
    expiry: Option<NumberOrText>,
    #[serde(rename = "ADMIN_SESSION_EXPIRY")]
    admin_session_expiry: Option<NumberOrText>,
    #[serde(rename = "DEFAULT_ADMIN_PRIVILEGES")]
    admin_privileges: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(i64),
    Text(String),
}

impl NumberOrText {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.trim().to_owned(),
        }
    }
}

/// Reads a partner id, naming where it stood when it is none.
pub(crate) fn parse_partner_id(named: &str, text: &str) -> Result<i64> {
    text.parse()
        .ok()
        .filter(|id| *id > 0)
        // Not quoted: what stands there instead may be a secret that was pasted into the wrong place.
        .ok_or_else(|| {
            Error::config(format!(
                "{named} is not a partner id, a whole number such as 123456"
            ))
        })
}

fn parse_seconds(named: &str, text: &str) -> Result<Duration> {
    text.parse()
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(|| Error::config(format!("{named} is not a number of seconds above 0")))
}

#[cfg(unix)]
fn others_can_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_can_read(_path: &Path) -> bool {
    false
}

/// What the usual variables say of proxies and certificate authorities.
#[derive(Clone, Debug, Default)]
pub(crate) struct NetworkSettings {
    pub(crate) proxy: Option<ProxySettings>,
    pub(crate) ca_file: Option<PathBuf>,
}

impl NetworkSettings {
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` are read where the system's certificates are loaded.
    pub(crate) fn from_variables(
        url: &ServiceUrl,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let first = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| lookup(name).filter(|text| !text.trim().is_empty()))
        };
        // HTTP_PROXY in capitals can be set by a request's Proxy header in CGI programs.
        let scheme: &[&str] = if url.is_tls() {
            &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        } else {
            &["http_proxy", "all_proxy", "ALL_PROXY"]
        };
        let system_roots = first(&["SSL_CERT_FILE", "SSL_CERT_DIR"]).is_some();
        Self {
            proxy: first(scheme).map(|proxy| ProxySettings {
                url: Secret::new(proxy),
                no_proxy: first(&["no_proxy", "NO_PROXY"]),
            }),
            ca_file: (!system_roots)
                .then(|| first(&["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]))
                .flatten()
                .map(PathBuf::from),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::collections::HashMap;

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
        ] {
            let error = normalize_service_url(written, false).unwrap_err();
            assert!(error.message().starts_with("service URL: "), "{error}");
        }
        assert_eq!(
            normalize_service_url("http://intranet.example", true).unwrap(),
            "http://intranet.example/api_v3"
        );
    }

    fn environment(pairs: &[(&str, &str)]) -> Settings {
        let variables: HashMap<_, _> = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Settings::from_variables(|name| variables.get(name).cloned()).unwrap()
    }

    #[test]
    fn the_environment_is_read_under_all_names_in_use() {
        let all = environment(&[
            ("KALTURA_PARTNER_ID", " 102 "),
            ("KALTURA_ADMIN_SECRET", "secret\n"),
            ("KALTURA_SERVICE_URL", "eu"),
            ("KALTURA_USER_ID", "alice"),
            ("KALTURA_SESSION_EXPIRY", "600"),
            ("KALTURA_KS", ""),
        ]);
        assert_eq!(all.partner_id, Some(102));
        assert_eq!(all.admin_secret, Some(Secret::from("secret")));
        assert_eq!(all.admin_session_duration, Some(Duration::from_secs(600)));
        assert_eq!(all.ks, None);
        for (id, token) in [
            ("KALTURA_APP_TOKEN_ID", "KALTURA_APP_TOKEN"),
            ("KALTURA_TOKEN_ID", "KALTURA_TOKEN"),
            ("TOKEN_ID", "TOKEN"),
        ] {
            let settings = environment(&[(id, "1_abc"), (token, "value")]);
            assert_eq!(settings.app_token_id.as_deref(), Some("1_abc"), "{id}");
            assert_eq!(settings.app_token, Some(Secret::from("value")), "{token}");
        }
        assert_eq!(environment(&[("TOKEN", "somebody else's")]).app_token, None);
    }

    #[test]
    fn a_number_that_is_none_is_named_and_not_quoted() {
        let error = Settings::from_variables(|name| {
            (name == "KALTURA_PARTNER_ID").then(|| "s3cret".into())
        })
        .unwrap_err();
        assert!(error.message().contains("KALTURA_PARTNER_ID"), "{error}");
        assert!(!error.message().contains("s3cret"), "{error}");
    }

    #[test]
    fn an_account_is_taken_from_one_source_as_a_whole() {
        let environment =
            environment(&[("KALTURA_PARTNER_ID", "1"), ("KALTURA_ADMIN_SECRET", "env")]);
        let mut file = Settings::new(Source::ConfigFile("config.json".into()));
        file.partner_id = Some(2);
        file.admin_secret = Some(Secret::from("file"));
        file.service_url = Some("eu".into());
        file.user_id = Some("bob".into());

        let resolved =
            Settings::resolve(&[environment.clone(), file.clone()], Need::Admin).unwrap();
        assert_eq!(resolved.partner_id, Some(1));
        assert_eq!(
            resolved.service_url, None,
            "the other source's URL is not for this secret"
        );
        assert_eq!(resolved.user_id.as_deref(), Some("bob"));

        let mut explicit = Settings::new(Source::Explicit);
        explicit.service_url = Some("https://evil.example".into());
        let error =
            Settings::resolve(&[explicit.clone(), environment, file], Need::Admin).unwrap_err();
        assert!(error.message().contains("the environment"), "{error}");
        assert!(error.message().contains("the explicit options"), "{error}");

        let mut complete = Settings::new(Source::Explicit);
        complete.partner_id = Some(3);
        complete.admin_secret = Some(Secret::from("explicit"));
        let mut stray = Settings::new(Source::Environment);
        stray.service_url = Some("https://video.example".into());
        let error = Settings::resolve(&[complete, stray], Need::Admin).unwrap_err();
        assert!(error.message().contains("the environment"), "{error}");

        explicit.service_url = None;
        explicit.partner_id = Some(3);
        assert!(Settings::resolve(&[explicit.clone()], Need::Exchange).is_ok());
        let error = Settings::resolve(&[explicit], Need::Admin).unwrap_err();
        assert!(
            error.message().contains("the admin secret is missing"),
            "{error}"
        );
    }

    #[test]
    fn proxies_come_from_the_usual_variables_by_scheme() {
        let https = ServiceUrl::parse("https://www.kaltura.com", false).unwrap();
        let http = ServiceUrl::parse("http://intranet.example", true).unwrap();
        let variables = |name: &str| match name {
            "HTTPS_PROXY" => Some("http://secure-proxy:3128".to_owned()),
            "HTTP_PROXY" => Some("http://from-a-request-header:1".to_owned()),
            "NO_PROXY" => Some("example.com".to_owned()),
            "REQUESTS_CA_BUNDLE" => Some("/ca.pem".to_owned()),
            _ => None,
        };
        let settings = NetworkSettings::from_variables(&https, variables);
        assert_eq!(
            settings.proxy.unwrap().url.reveal(),
            "http://secure-proxy:3128"
        );
        assert_eq!(settings.ca_file, Some(PathBuf::from("/ca.pem")));
        assert!(
            NetworkSettings::from_variables(&http, variables)
                .proxy
                .is_none()
        );
    }
}
