//! The settings of one source, and how several sources become one account. Reads nothing.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::service_url::ServiceUrl;
use crate::error::{Error, Hint, Result};
use crate::ks::Ks;
use crate::secret::{MASK, Secret};

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
///
/// ```
/// use kaltura_app_token::{Need, Settings, Source};
///
/// let mut typed = Settings::new(Source::Explicit);
/// typed.service_url = Some("eu".into());
/// let environment = Settings::from_variables(|name| match name {
///     "KALTURA_PARTNER_ID" => Some("123456".into()),
///     _ => None,
/// })?;
/// let settings = Settings::resolve(&[typed, environment], Need::Exchange)?;
/// assert_eq!(settings.partner_id, Some(123_456));
/// assert_eq!(settings.source, Source::Environment);
/// assert_eq!(settings.service_url_source, Some(Source::Explicit));
/// # Ok::<(), kaltura_app_token::Error>(())
/// ```
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
    /// Whether the source was found and nobody asked for it, such as a profile that is used by default.
    pub found: bool,
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
            found: false,
        }
    }

    /// Joins sources, which stand in the order in which they count.
    ///
    /// Partner id, credentials and service URL come from one source together: the first that names an
    /// account. A secret or a session from one place that is sent to the server of another is how they
    /// leak, and how the wrong account is changed. So it is an error when
    ///
    /// - the explicit settings name another account than a source after them, except for a config file
    ///   after the environment, and one that is [`found`](Self::found): nobody asked for them. The explicit partner id of the very
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
        let is_config_json = matches!(other.source, Source::ConfigFile(_))
            && before.any(|settings| settings.source == Source::Environment);
        if is_config_json || other.found {
            return Ok(Some(first));
        }
        Err(Error::config(format!(
            "two accounts are named: {} in {}, {} in {}",
            first.naming(),
            first.source,
            other.naming(),
            other.source,
        ))
        .with_hint(Hint::LeaveOutOne))
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
                Hint::UrlBesideAccount,
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
            .with_hint(Hint::OneSource);
        }
        let step = match source {
            Source::Environment => format!("set {}", self.variables),
            Source::ConfigFile(_) => format!("add {} to it", self.key),
            Source::Profile(_) => format!("add {} to it", self.key.to_ascii_lowercase()),
            Source::Explicit => "give it there too".to_owned(),
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
            .with_hint(Hint::NoAccount),
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
