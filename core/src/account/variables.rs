//! Settings from the environment. Whose environment that is, the caller decides.

use std::ffi::OsString;
use std::path::Path;

use zeroize::Zeroizing;

use super::settings::{Settings, Source};
use super::values::{parse_partner_id, parse_seconds};
use crate::error::{Error, Hint, Result};
use crate::seam::{disk, environment};
use crate::secret::Secret;

const MAX_SECRET_BYTES: usize = 64 << 10;

/// Where systemd names the directory of a unit's credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

impl Settings {
    /// Reads the environment: `KALTURA_PARTNER_ID`, `KALTURA_ADMIN_SECRET`, `KALTURA_KS`,
    /// `KALTURA_SERVICE_URL`, `KALTURA_USER_ID`, `KALTURA_SESSION_EXPIRY` (seconds),
    /// `KALTURA_APP_TOKEN_ID` and `KALTURA_APP_TOKEN`.
    ///
    /// A secret can stand in a file instead, which `KALTURA_ADMIN_SECRET_FILE`, `KALTURA_KS_FILE` or
    /// `KALTURA_APP_TOKEN_FILE` names and which holds it alone; a newline at its end is left out. Or it
    /// stands in the directory of systemd's credentials, `CREDENTIALS_DIRECTORY`, in the file
    /// `kaltura-admin-secret`, `kaltura-ks` or `kaltura-app-token`.
    ///
    /// For the last two variables the names in use elsewhere are read too: `KALTURA_TOKEN_ID` with
    /// `KALTURA_TOKEN`, and `TOKEN_ID` with `TOKEN`, each only as a pair. An empty variable is unset.
    ///
    /// # Errors
    /// `Config` naming the variable that is not UTF-8, is not a number where one must stand, or whose
    /// file cannot be used; naming both places of a secret that stands in two.
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
}

/// Where variables are looked up.
pub(super) struct Variables<L>(pub(super) L);

impl<L: Fn(&str) -> Option<OsString>> Variables<L> {
    /// A variable's value without the blanks around it; unset when nothing is left.
    pub(super) fn text(&self, name: &str) -> Result<Option<Zeroizing<String>>> {
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
                        .with_hint(Hint::NotText),
                )
            }
        }
    }

    /// A secret from its variable, from the file that the variable with `_FILE` after it names, or from
    /// systemd's credential of the same name, which is written `kaltura-admin-secret`.
    pub(super) fn secret(&self, name: &str) -> Result<Option<Secret>> {
        let twice = |one: &str, other: &str| {
            Err(Error::config(format!("{one} and {other} are both set")).with_hint(Hint::UnsetOne))
        };
        let file = format!("{name}_FILE");
        let credential = name.to_ascii_lowercase().replace('_', "-");
        let text = self.text(name)?;
        let path = self.text(&file)?;
        let stored = self.credential(&credential)?;
        let variable = format!("the environment variable {name}");
        let credential = format!("the credential {credential} of {CREDENTIALS}");
        match (text, path, stored) {
            (Some(_), Some(_), _) => twice(&format!("the environment variables {name}"), &file),
            (Some(_), None, Some(_)) => twice(&variable, &credential),
            (None, Some(_), Some(_)) => twice(&format!("{variable}_FILE"), &credential),
            (Some(text), None, None) => Ok(Some(Secret::new(text.as_str()))),
            (None, Some(path), None) => {
                let path = Path::new(path.as_str());
                read_secret(&file, path, disk::open(path)).map(Some)
            }
            (None, None, stored) => Ok(stored),
        }
    }

    /// The secret that the service manager put into the directory of its credentials, if it did.
    fn credential(&self, name: &str) -> Result<Option<Secret>> {
        let Some(directory) = self.raw(CREDENTIALS).filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let path = Path::new(&directory).join(name);
        match disk::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            file => read_secret(CREDENTIALS, &path, file).map(Some),
        }
    }

    /// The value as it is: paths need not be UTF-8.
    pub(super) fn raw(&self, name: &str) -> Option<OsString> {
        (self.0)(name)
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        (self.0)(name).is_some_and(|value| {
            let bytes = Zeroizing::new(value.into_encoded_bytes());
            !bytes.trim_ascii().is_empty()
        })
    }
}

/// The text of a variable that is no secret.
pub(super) fn plain(mut text: Zeroizing<String>) -> String {
    std::mem::take(&mut text)
}

/// The secret in the file that a variable led to.
fn read_secret(variable: &str, path: &Path, file: std::io::Result<disk::File>) -> Result<Secret> {
    let wrong = |why: &str| {
        Error::config(format!("{variable}: {} {why}", path.display())).with_hint(Hint::SecretAlone)
    };
    let text = file.and_then(|file| disk::read_text(&file, MAX_SECRET_BYTES));
    let text = text.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => wrong(error.to_string().trim_start_matches("it ")),
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;

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
    fn somebody_elses_token_does_not_matter_whatever_it_holds() {
        let settings = Settings::from_variables(|name| {
            (name == "TOKEN").then(|| OsString::from("somebody else's"))
        });
        assert_eq!(settings.unwrap().app_token, None);
    }
}
