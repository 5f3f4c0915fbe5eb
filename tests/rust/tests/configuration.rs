//! Where the account comes from: the rows of `tests/scenarios/configuration.json` that the core can
//! express. The Python package and the commands read the same table.
#![cfg(unix)]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use kaltura_app_token::{
    ErrorKind, Hint, Need, Result, Secret, Settings, Source, normalize_service_url,
};
use serde_json::Value;

fn table() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../scenarios/configuration.json"
    );
    let text = std::fs::read_to_string(path).expect("the table of cases");
    serde_json::from_str(&text).expect("JSON")
}

/// A directory of a row's own, that goes when the row is done.
struct Place {
    directory: PathBuf,
    values: HashMap<String, String>,
}

impl Place {
    fn new(number: usize, table: &Value) -> Self {
        let name = format!("kaltura-configuration-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).expect("a directory");
        let mut values: HashMap<_, _> = table["values"]
            .as_object()
            .expect("values")
            .iter()
            .map(|(name, value)| (format!("{{{name}}}"), text_of(value).to_owned()))
            .collect();
        values.insert("{dir}".into(), directory.display().to_string());
        Self { directory, values }
    }

    /// The bytes that a value of the table stands for, its names filled in.
    fn bytes(&self, value: &Value) -> Vec<u8> {
        if let Some(bytes) = value["bytes"].as_array() {
            let byte = |byte: &Value| byte.as_u64().and_then(|byte| u8::try_from(byte).ok());
            return bytes.iter().map(|it| byte(it).expect("a byte")).collect();
        }
        let mut text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        for (name, meant) in &self.values {
            text = text.replace(name, meant);
        }
        text.into_bytes()
    }

    fn text(&self, value: &Value) -> String {
        String::from_utf8(self.bytes(value)).expect("UTF-8")
    }

    fn write(&self, name: &str, content: &Value) -> PathBuf {
        let path = self.directory.join(name);
        std::fs::write(&path, self.bytes(content)).expect("a file");
        path
    }

    /// The settings that an object of options or of a profile describes.
    fn settings(&self, source: Source, object: &Value) -> Settings {
        let mut settings = Settings::new(source);
        for (name, value) in object.as_object().into_iter().flatten() {
            let text = self.text(value);
            match name.as_str() {
                "partner_id" => settings.partner_id = value.as_i64(),
                "admin_secret" => settings.admin_secret = Some(Secret::new(text)),
                "ks" => settings.ks = Some(Secret::new(text)),
                "service_url" => settings.service_url = Some(text),
                other => panic!("the core has no {other}"),
            }
        }
        settings
    }

    /// The sources in the order in which they count, and what they come to.
    fn resolve(&self, row: &Value) -> Result<Settings> {
        let variables = |name: &str| {
            let value = row["environment"].get(name)?;
            Some(OsString::from_vec(self.bytes(value)))
        };
        for (name, content) in row["files"].as_object().into_iter().flatten() {
            self.write(name, content);
        }
        let mut sources = vec![
            self.settings(Source::Explicit, &row["options"]),
            Settings::from_variables(variables)?,
        ];
        if let Some(name) = row["environment"]["KALTURA_PROFILE"].as_str() {
            sources.push(self.settings(Source::Profile(name.into()), &row["profiles"][name]));
        }
        if let Some(content) = row.get("config_json") {
            sources.push(Settings::from_config_file(
                &self.write("config.json", content),
            )?);
        }
        let need = match row["need"].as_str() {
            None => Need::Admin,
            Some("exchange") => Need::Exchange,
            Some(other) => panic!("the core needs nothing for {other}"),
        };
        Settings::resolve(&sources, need)
    }

    /// A source as the table names it.
    fn name(&self, source: Option<&Source>) -> String {
        match source {
            None => "the default".into(),
            Some(Source::Explicit) => "the options".into(),
            Some(source) => source
                .to_string()
                .replace(&format!("{}/", self.directory.display()), ""),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn is_for_the_core(row: &Value) -> bool {
    row.get("surfaces").is_none_or(|surfaces| {
        let mut names = surfaces.as_array().into_iter().flatten();
        names.any(|name| name == "core")
    })
}

fn check(place: &Place, row: &Value, result: Result<Settings>) {
    let name = text_of(&row["name"]);
    let Some(account) = row.get("account") else {
        let error = result.expect_err(name);
        let said = format!(
            "{} {}",
            error.message(),
            error.hint().map(Hint::text).unwrap_or_default()
        )
        .replace(&format!("{}/", place.directory.display()), "");
        for words in row["error"].as_array().expect("the words of the error") {
            assert!(said.contains(text_of(words)), "{name}: {said}");
        }
        assert!(!said.contains("secret-of-"), "{name} quotes a secret");
        return;
    };
    let found = result.expect(name);
    assert_eq!(found.partner_id, account["partner_id"].as_i64(), "{name}");
    for (key, secret) in [("admin_secret", &found.admin_secret), ("ks", &found.ks)] {
        let expected = account.get(key).map(|value| place.text(value));
        let secret = secret.as_ref().map(Secret::reveal);
        assert!(secret == expected.as_deref(), "{name}: {key}");
    }
    let url = found.service_url.as_deref().unwrap_or("us");
    let url = normalize_service_url(url, false).expect(name);
    assert_eq!(url, text_of(&account["service_url"]), "{name}");
    let (from, host) = (Some(&found.source), found.service_url_source.as_ref());
    assert_eq!(place.name(from), text_of(&account["from"]), "{name}");
    assert_eq!(
        place.name(host),
        text_of(&account["service_url_from"]),
        "{name}"
    );
}

#[test]
fn an_account_comes_from_one_source_as_the_table_says() {
    let table = table();
    let rows = table["rows"].as_array().expect("rows");
    let mut read = 0;
    for (number, row) in rows
        .iter()
        .enumerate()
        .filter(|(_, row)| is_for_the_core(row))
    {
        let place = Place::new(number, &table);
        let result = place.resolve(row);
        check(&place, row, result);
        read += 1;
    }
    assert_eq!(Some(read), table["counts"]["core"].as_u64());
    assert!(read >= 30, "{read} rows are no table");
}

#[test]
fn a_secret_file_is_read_to_its_limit_and_no_further() {
    let endless = |name: &str| {
        let path = Path::new("/dev/zero").as_os_str();
        (name == "KALTURA_KS_FILE").then(|| path.to_owned())
    };
    let error = Settings::from_variables(endless).expect_err("an endless file");
    assert!(error.message().contains("larger than"), "{error}");
    let place = Place::new(usize::MAX - 1, &table());
    let large = place.write("config.json", &"{".into());
    let file = std::fs::File::options().write(true).open(&large);
    file.and_then(|file| file.set_len(2 << 20)).expect("a hole");
    let error = Settings::from_config_file(&large).expect_err("a large file");
    assert!(error.message().contains("larger than"), "{error}");
}

/// A configuration names the server that the credentials go to.
#[test]
fn a_configuration_that_somebody_else_may_have_written_is_refused() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let place = Place::new(usize::MAX - 2, &table());
    let file = place.write("config.json", &r#"{"PARTNER_ID": 102}"#.into());
    let mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode));
    assert!(Settings::from_config_file(&file).is_ok());

    mode(0o666).expect("its mode");
    let error = Settings::from_config_file(&file).expect_err("writable by everybody");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("config.json"), "{error}");
    assert!(error.message().contains("everybody can write"), "{error}");
    let step = error.hint().expect("a way out");
    assert!(step.text().contains("KALTURA_TRUST_FILES=1"), "{step}");
    let told = Settings::from_trusted_config_file(&file).expect("somebody answers for it");
    assert_eq!(told.partner_id, Some(102));

    mode(0o600).expect("its mode");
    // Only root can give a file away.
    if chown(&file, Some(4711), None).is_ok() {
        let error = Settings::from_config_file(&file).expect_err("somebody else's");
        assert!(error.message().contains("belongs to user 4711"), "{error}");
    }
}

#[test]
fn a_secret_file_may_be_mounted_as_a_link_that_others_can_read() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let place = Place::new(usize::MAX, &table());
    let file = place.write("..data", &"the secret ".into());
    let mode = std::fs::Permissions::from_mode(0o444);
    std::fs::set_permissions(&file, mode).expect("its mode");
    let link = place.directory.join("secret");
    symlink("..data", &link).expect("a link");
    let mounted = |name: &str| (name == "KALTURA_ADMIN_SECRET_FILE").then(|| link.clone().into());
    let settings = Settings::from_variables(mounted).expect("settings");
    assert_eq!(
        settings.admin_secret,
        Some(Secret::from("the secret ")),
        "nothing but the end of the line is left out"
    );
}
