//! Settings from a `config.json`: who may have written it, and what is in it.

use std::path::Path;

use serde::Deserialize;

use super::settings::{Settings, Source};
use super::values::{parse_partner_id, parse_seconds};
use crate::error::{Error, Hint, Result};
use crate::number_or_text::NumberOrText;
use crate::seam::disk;
use crate::seam::trust::{self, Steers};
use crate::secret::Secret;

const MAX_CONFIG_BYTES: usize = 1 << 20;

/// The text of another file that says where credentials go, such as one of profiles, and what is worth a
/// warning about it. Who may have written it is checked as by [`Settings::from_config_file`].
///
/// # Errors
/// `Config`: it cannot be read, somebody else may have written it, or it is not UTF-8.
pub fn read_configuration(path: &Path) -> Result<(Secret, Option<String>)> {
    let unreadable = |error: std::io::Error| {
        Error::config(format!("{} cannot be read: {error}", path.display())).with_source(error)
    };
    let file = disk::open(path).map_err(unreadable)?;
    let warning = trust::check(&file, path, Steers::Configuration)?;
    let text = disk::read_text(&file, MAX_CONFIG_BYTES).map_err(unreadable)?;
    Ok((Secret::new(text.as_str()), warning))
}

impl Settings {
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
        check: impl FnOnce(&disk::File) -> Result<Option<String>>,
    ) -> Result<Self> {
        let shown = path.display();
        let file = disk::open(path);
        let warning = file.as_ref().map_or(Ok(None), check)?;
        let is_open_to_others = file.as_ref().is_ok_and(disk::others_can_read);
        let text = match file.and_then(|file| disk::read_text(&file, MAX_CONFIG_BYTES)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(
                    Error::config(format!("Configuration file '{shown}' not found."))
                        .with_hint(Hint::CopyTheTemplate),
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
                ))
                .with_hint(Hint::FillIn));
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
                ))
                .with_hint(Hint::FillIn));
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
