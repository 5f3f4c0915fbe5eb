//! Where the account, its credentials and the service URL come from: the caller, the environment or a
//! `config.json`; and what a service URL looks like. Reads files and variables, sends nothing.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::ks::Ks;
use crate::seam::environment;
use crate::seam::trust::{self, Steers};
use crate::secret::{MASK, Secret};
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
            .with_hint("an address without a dot is written with its scheme, as https://server"));
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

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    /// Telling people of them: nothing.
    Show,
}

/// The settings of one source. What is `None` is not set there.
#[derive(Clone, PartialEq, Eq)]
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
    /// Where that URL comes from: set by [`Settings::resolve`].
    pub service_url_source: Option<Source>,
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

/// A part of an account that may be missing.
struct Part {
    name: &'static str,
    has: Has,
    variables: &'static str,
    key: &'static str,
}

const PARTNER: Part = Part {
    name: "the partner id",
    has: |settings| settings.partner_id.is_some(),
    variables: "KALTURA_PARTNER_ID",
    key: "PARTNER_ID",
};

const CREDENTIAL: Part = Part {
    name: "the admin secret",
    has: Settings::has_credential,
    variables: "KALTURA_ADMIN_SECRET, KALTURA_ADMIN_SECRET_FILE or KALTURA_KS",
    key: "ADMIN_SECRET",
};

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
            service_url_source: None,
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
    /// A secret can stand in a file instead, which `KALTURA_ADMIN_SECRET_FILE`, `KALTURA_KS_FILE` or
    /// `KALTURA_APP_TOKEN_FILE` names and which holds it alone; a newline at its end is left out.
    ///
    /// For the last two variables the names in use elsewhere are read too: `KALTURA_TOKEN_ID` with
    /// `KALTURA_TOKEN`, and `TOKEN_ID` with `TOKEN`, each only as a pair. An empty variable is unset.
    ///
    /// # Errors
    /// `Config` naming the variable that is not UTF-8, is not a number where one must stand, is set
    /// beside the one that names its file, or whose file cannot be used.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(environment::variable)
    }

    /// As [`Settings::from_env`], from any source of variables.
    ///
    /// # Errors
    /// As there.
    pub fn from_variables(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let variables = Variables(lookup);
        let mut settings = Self::new(Source::Environment);
        if let Some(text) = variables.text("KALTURA_PARTNER_ID")? {
            settings.partner_id = Some(parse_partner_id("KALTURA_PARTNER_ID", &text)?);
        }
        settings.admin_secret = variables.secret("KALTURA_ADMIN_SECRET")?;
        settings.ks = variables.secret("KALTURA_KS")?;
        settings.service_url = variables.text("KALTURA_SERVICE_URL")?.map(plain);
        settings.user_id = variables.text("KALTURA_USER_ID")?.map(plain);
        if let Some(text) = variables.text("KALTURA_SESSION_EXPIRY")? {
            settings.admin_session_duration = Some(parse_seconds("KALTURA_SESSION_EXPIRY", &text)?);
        }
        settings.app_token_id = variables.text("KALTURA_APP_TOKEN_ID")?.map(plain);
        settings.app_token = variables.secret("KALTURA_APP_TOKEN")?;
        if settings.app_token_id.is_none() && settings.app_token.is_none() {
            let elsewhere = [("KALTURA_TOKEN_ID", "KALTURA_TOKEN"), ("TOKEN_ID", "TOKEN")];
            // One of them alone is somebody else's, whatever it holds.
            let pair = elsewhere
                .iter()
                .find(|(id, token)| variables.is_set(id) && variables.is_set(token));
            if let Some((id, token)) = pair {
                settings.app_token_id = variables.text(id)?.map(plain);
                settings.app_token = variables
                    .text(token)?
                    .map(|text| Secret::new(text.as_str()));
            }
        }
        Ok(settings)
    }

    /// Reads a `config.json` in either of the two spellings that were in use for it.
    ///
    /// It says to which server the credentials go. So on Unix it must belong to the user, to root, or
    /// to the user who became root by sudo, and not be writable by everybody; that a group can write
    /// to it is worth a warning. `KALTURA_TRUST_FILES=1` in the environment overrides this.
    ///
    /// # Errors
    /// `Config`: no such file, one that somebody else may have written, not JSON, or a value that
    /// cannot be, naming the file and the key.
    pub fn from_config_file(path: &Path) -> Result<Self> {
        Self::read_config_file(path, |file| trust::check(file, path, Steers::Configuration))
    }

    /// As [`Settings::from_config_file`], whoever may have written it.
    ///
    /// # Errors
    /// As there, but for that.
    pub fn from_trusted_config_file(path: &Path) -> Result<Self> {
        Self::read_config_file(path, |_| Ok(None))
    }

    fn read_config_file(
        path: &Path,
        check: impl FnOnce(&File) -> Result<Option<String>>,
    ) -> Result<Self> {
        let shown = path.display();
        let file = File::open(path);
        let warning = file.as_ref().map_or(Ok(None), check)?;
        let is_open_to_others = file.as_ref().is_ok_and(others_can_read);
        let text = match file.and_then(|file| read_text(file, MAX_CONFIG_BYTES)) {
            Ok(text) => text,
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
                format!(
                    "a value of the wrong kind, or a key that stands twice, in line {}",
                    error.line()
                )
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
        settings.warnings.extend(warning);
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
        let admin_secret = file
            .admin_secret
            .as_ref()
            .map(|secret| secret.reveal().trim());
        if let Some(secret) = admin_secret.filter(|secret| !secret.is_empty()) {
            if secret.starts_with('<') {
                return Err(Error::config(format!(
                    "{} still holds the template's placeholder",
                    key("ADMIN_SECRET")
                )));
            }
            settings.admin_secret = Some(Secret::new(secret));
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
        if settings.admin_secret.is_some() && is_open_to_others {
            settings.warnings.push(format!(
                "{shown} holds the admin secret and can be read by other users: chmod 600 {shown}"
            ));
        }
        Ok(settings)
    }

    /// Joins sources, which stand in the order in which they count.
    ///
    /// Partner id, credentials and service URL come from one source together: the first that names an
    /// account. A secret or a session from one place that is sent to the server of another is how they
    /// leak, and how the wrong account is changed. So it is an error when
    ///
    /// - the explicit settings name another account than a source after them, except for a config file
    ///   after the environment, which was found and not asked for. The explicit partner id of the very
    ///   account that stands there is no other account;
    /// - the account has no service URL where another source has one, or a source before the account's
    ///   has a different one. Only an explicit URL is for the account of any source.
    ///
    /// The token's id and value are a pair as well. Everything else is taken from the first source that
    /// has it.
    ///
    /// # Errors
    /// `Config` naming both sources in these cases, and when something needed is missing.
    pub fn resolve(sources: &[Self], need: Need) -> Result<Self> {
        let chosen = Self::account(sources)?;
        let mut resolved = match chosen {
            Some(chosen) => chosen.clone(),
            None if need == Need::Show => Self::new(Source::Explicit),
            None => return Err(no_account(sources)),
        };
        resolved.partner_id = resolved.partner();
        let needed: &[Part] = match need {
            Need::Exchange => &[PARTNER],
            Need::Admin => &[PARTNER, CREDENTIAL],
            Need::Show => &[],
        };
        if let Some(missing) = needed.iter().find(|part| !(part.has)(&resolved)) {
            if let Some(ks) = &resolved.ks {
                // Its own fault says more than that the partner id is missing.
                Ks::describe(ks)?;
            }
            return Err(missing.is_missing(&resolved.source, sources));
        }
        (resolved.service_url, resolved.service_url_source) = Self::host(sources, chosen)?;
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

    /// Whether this source says whose tokens: a service URL alone does not.
    #[must_use]
    pub fn names_account(&self) -> bool {
        self.partner_id.is_some() || self.has_credential()
    }

    /// The source that the account is taken from as a whole.
    fn account(sources: &[Self]) -> Result<Option<&Self>> {
        let mut naming = sources.iter().filter(|settings| settings.names_account());
        let Some(first) = naming.next() else {
            return Ok(None);
        };
        let other = naming.find(|settings| settings.source != Source::Explicit);
        let (Source::Explicit, Some(other)) = (&first.source, other) else {
            return Ok(Some(first));
        };
        if first.partner().is_some() && first.partner() == other.partner() {
            return Ok(Some(if first.has_credential() { first } else { other }));
        }
        let mut before = sources
            .iter()
            .take_while(|settings| settings.source != other.source);
        let found = matches!(other.source, Source::ConfigFile(_))
            && before.any(|settings| settings.source == Source::Environment);
        if found {
            return Ok(Some(first));
        }
        Err(Error::config(format!(
            "two accounts are named: {} in {}, {} in {}",
            first.naming(),
            first.source,
            other.naming(),
            other.source,
        ))
        .with_hint(
            "leave out one of the two; partner id, credentials and service URL come from one source \
             together",
        ))
    }

    /// The service URL for the chosen account, and the source that it stands in.
    fn host(sources: &[Self], chosen: Option<&Self>) -> Result<(Option<String>, Option<Source>)> {
        let with_url = |settings: &&Self| settings.service_url.is_some();
        let of = |settings: &Self| (settings.service_url.clone(), Some(settings.source.clone()));
        let explicit = sources
            .iter()
            .filter(|settings| settings.source == Source::Explicit)
            .find(with_url);
        if let Some(explicit) = explicit {
            return Ok(of(explicit));
        }
        let Some(chosen) = chosen else {
            return Ok(sources.iter().find(with_url).map(of).unwrap_or_default());
        };
        let mut rivals = sources
            .iter()
            .take_while(|other| chosen.service_url.is_none() || other.source != chosen.source)
            .filter(with_url);
        if let Some(rival) = rivals.find(|rival| !rival.has_same_host(chosen)) {
            return Err(Error::config(format!(
                "the service URL is in {}, but the account is in {}: they must come from one source \
                 together",
                rival.source, chosen.source
            ))
            .with_hint(
                "put the service URL beside the account, or give it explicitly: it then is for the \
                 account of any source",
            ));
        }
        Ok(match chosen.service_url {
            Some(_) => of(chosen),
            None => (None, None),
        })
    }

    fn has_same_host(&self, other: &Self) -> bool {
        let host = |settings: &Self| {
            let written = settings.service_url.as_deref()?;
            ServiceUrl::parse(written, true).ok()
        };
        host(self).is_some() && host(self) == host(other)
    }

    fn has_credential(&self) -> bool {
        self.admin_secret.is_some() || self.ks.is_some()
    }

    /// Whose settings these are, by the partner id or else by what the session says of itself.
    fn partner(&self) -> Option<i64> {
        self.partner_id
            .or_else(|| Ks::describe(self.ks.as_ref()?).ok()?.partner_id)
    }

    /// By what these settings name their account.
    fn naming(&self) -> String {
        match self.partner() {
            Some(partner) => format!("partner {partner}"),
            None if self.admin_secret.is_some() => "the admin secret".to_owned(),
            None => "the session".to_owned(),
        }
    }

    /// The service URL for people: what cannot be used as one may hold a password, or be a secret.
    #[must_use]
    pub fn shown_service_url(&self) -> Option<&str> {
        let written = self.service_url.as_deref()?;
        Some(match ServiceUrl::parse(written, true) {
            Ok(_) => written,
            Err(_) => MASK,
        })
    }
}

impl Part {
    /// The error for settings of `source` that lack this part.
    fn is_missing(&self, source: &Source, sources: &[Settings]) -> Error {
        let mut others = sources.iter().filter(|other| other.source != *source);
        if let Some(other) = others.find(|other| (self.has)(other)) {
            return Error::config(format!(
                "{} is in {}, but another part of the account is in {source}: they must come from \
                 one source together",
                self.name, other.source
            ))
            .with_hint("put partner id, secret and service URL into one of the two");
        }
        let step = match source {
            Source::Environment => format!("set {}", self.variables),
            Source::ConfigFile(_) => format!("add {} to it", self.key),
            Source::Explicit | Source::Profile(_) => "add it there".to_owned(),
        };
        Error::config(format!("{} is missing in {source}", self.name)).with_hint(step)
    }
}

/// The error for sources none of which names an account.
fn no_account(sources: &[Settings]) -> Error {
    match sources {
        [only] if matches!(only.source, Source::ConfigFile(_)) => {
            PARTNER.is_missing(&only.source, sources)
        }
        _ => Error::config("no account is configured: the partner id is missing")
            .with_hint("set KALTURA_PARTNER_ID and KALTURA_ADMIN_SECRET, or write a config.json"),
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("source", &self.source)
            .field("partner_id", &self.partner_id)
            .field("admin_secret", &self.admin_secret)
            .field("ks", &self.ks)
            .field("service_url", &self.shown_service_url())
            .field("user_id", &self.user_id)
            .field("app_token_id", &self.app_token_id)
            .field("app_token", &self.app_token)
            .finish_non_exhaustive()
    }
}

/// Where variables are looked up.
struct Variables<L>(L);

impl<L: Fn(&str) -> Option<OsString>> Variables<L> {
    /// A variable's value without the blanks around it; unset when nothing is left.
    fn text(&self, name: &str) -> Result<Option<Zeroizing<String>>> {
        let Some(value) = (self.0)(name) else {
            return Ok(None);
        };
        match String::from_utf8(value.into_encoded_bytes()) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                let trimmed = text.trim();
                Ok((!trimmed.is_empty()).then(|| Zeroizing::new(trimmed.to_owned())))
            }
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                // Taken for unset, it would leave its place to a default, which may be another server.
                Err(
                    Error::config(format!("the environment variable {name} is not UTF-8"))
                        .with_hint("set it again as plain text, or unset it"),
                )
            }
        }
    }

    /// A secret from its variable, or from the file that the variable with `_FILE` after it names.
    fn secret(&self, name: &str) -> Result<Option<Secret>> {
        let file = format!("{name}_FILE");
        match (self.text(name)?, self.text(&file)?) {
            (Some(_), Some(_)) => Err(Error::config(format!(
                "the environment variables {name} and {file} are both set"
            ))
            .with_hint("unset one of the two")),
            (Some(text), None) => Ok(Some(Secret::new(text.as_str()))),
            (None, Some(path)) => read_secret(&file, Path::new(path.as_str())).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn is_set(&self, name: &str) -> bool {
        (self.0)(name).is_some_and(|value| {
            let bytes = Zeroizing::new(value.into_encoded_bytes());
            !bytes.trim_ascii().is_empty()
        })
    }
}

/// The text of a variable that is no secret.
fn plain(mut text: Zeroizing<String>) -> String {
    std::mem::take(&mut text)
}

const MAX_SECRET_BYTES: usize = 64 << 10;
const MAX_CONFIG_BYTES: usize = 1 << 20;

/// The secret in the file that a variable names.
fn read_secret(variable: &str, path: &Path) -> Result<Secret> {
    let wrong = |why: &str| {
        Error::config(format!("{variable}: {} {why}", path.display()))
            .with_hint("it must name a file that holds the secret alone, in one line")
    };
    let text = File::open(path).and_then(|file| read_text(file, MAX_SECRET_BYTES));
    let text = text.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => wrong("is not UTF-8"),
        _ => wrong(&format!("cannot be read: {error}")),
    })?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.trim().is_empty() {
        return Err(wrong("is empty"));
    }
    if line.contains(['\n', '\r']) {
        return Err(wrong("holds more than one line"));
    }
    Ok(Secret::new(line))
}

/// The text of a file, without the byte order mark that editors on Windows put first.
fn read_text(file: File, limit: usize) -> std::io::Result<Zeroizing<String>> {
    use std::io::{Error, ErrorKind};
    // As large as it may become: growing would leave copies behind that are not wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        let what = format!("it is larger than {limit} bytes");
        return Err(Error::new(ErrorKind::FileTooLarge, what));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))?;
    Ok(Zeroizing::new(
        text.trim_start_matches('\u{feff}').to_owned(),
    ))
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(rename = "PARTNER_ID")]
    partner_id: Option<NumberOrText>,
    #[serde(rename = "ADMIN_SECRET")]
    admin_secret: Option<Secret>,
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
fn others_can_read(file: &File) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_can_read(_file: &File) -> bool {
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
                .and_then(|name| (variables.0)(name))
                .map(PathBuf::from),
        })
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

    fn environment(pairs: &[(&str, &str)]) -> Settings {
        let variables: HashMap<_, _> = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Settings::from_variables(|name| variables.get(name).map(OsString::from)).unwrap()
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
    fn a_service_url_that_may_hold_a_password_is_not_shown() {
        for written in [
            "https://jane:canary@example.com",
            "https://x/?ks=canary",
            "canary",
        ] {
            let mut settings = Settings::new(Source::Explicit);
            settings.service_url = Some(written.into());
            assert_eq!(settings.shown_service_url(), Some("****"));
            assert!(!format!("{settings:?}").contains("canary"));
        }
    }

    #[test]
    fn somebody_elses_token_does_not_matter_whatever_it_holds() {
        let settings = Settings::from_variables(|name| {
            (name == "TOKEN").then(|| OsString::from("somebody else's"))
        });
        assert_eq!(settings.unwrap().app_token, None);
    }

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
