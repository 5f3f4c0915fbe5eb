//! The accounts (partners) that a sandbox serves, and the file that describes them.
//!
//! It knows secrets but nothing about sessions or tokens.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use crate::random;

/// More than any file of accounts has.
const MAX_BYTES: u64 = 1 << 20;

/// The longest session an account hands out unless it says otherwise: one day.
const DEFAULT_MAX_SESSION: i64 = 86_400;

/// One Kaltura account.
#[derive(Clone)]
pub struct Account {
    /// The partner id.
    pub id: i64,
    /// The secret that signs every KS of the account and starts ADMIN sessions.
    pub admin_secret: String,
    /// The secret that starts USER sessions only.
    pub user_secret: String,
    /// Further secrets that are as good as the admin secret.
    pub additional_admin_secrets: Vec<String>,
    /// The longest session in seconds; `None` means that the account has no limit on record.
    pub max_session_duration: Option<i64>,
    /// 1 or 2: the KS format that the account's sessions use.
    pub ks_version: u8,
    /// A blocked account opens widget sessions but may call nothing.
    pub blocked: bool,
    /// Whether the account has a record of the anonymous user; without one, tokens need a `sessionUserId`.
    pub anonymous_user: bool,
}

impl Account {
    /// An account with the usual settings.
    #[must_use]
    pub fn new(id: i64, admin_secret: impl Into<String>, user_secret: impl Into<String>) -> Self {
        Self {
            id,
            admin_secret: admin_secret.into(),
            user_secret: user_secret.into(),
            additional_admin_secrets: Vec::new(),
            max_session_duration: Some(DEFAULT_MAX_SESSION),
            ks_version: 2,
            blocked: false,
            anonymous_user: true,
        }
    }

    /// Every secret that may have signed a KS of this account, the current one first.
    pub(crate) fn signing_secrets(&self) -> Vec<&str> {
        let mut secrets = vec![self.admin_secret.as_str()];
        secrets.extend(self.additional_admin_secrets.iter().map(String::as_str));
        secrets
    }

    pub(crate) fn is_admin_secret(&self, secret: &str) -> bool {
        self.signing_secrets().contains(&secret)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The accounts of one sandbox, by partner id.
#[derive(Clone, Debug)]
pub struct Accounts {
    by_id: BTreeMap<i64, Account>,
    first: i64,
}

impl Accounts {
    /// The partner id of the account that a sandbox has when none is given.
    pub const DEFAULT_PARTNER_ID: i64 = 102;

    /// One account with fresh random secrets.
    #[must_use]
    pub fn single_random() -> Self {
        Self::one(Account::new(
            Self::DEFAULT_PARTNER_ID,
            random::hex(16),
            random::hex(16),
        ))
    }

    /// Exactly this account.
    #[must_use]
    pub fn one(account: Account) -> Self {
        let first = account.id;
        Self {
            by_id: BTreeMap::from([(first, account)]),
            first,
        }
    }

    /// These accounts, of which the first is the one that [`crate::Sandbox::partner_id`] names.
    ///
    /// # Errors
    /// When there is none, or an id comes twice.
    pub fn new(accounts: Vec<Account>) -> Result<Self, String> {
        let first = accounts
            .first()
            .ok_or("partners: no account in the list")?
            .id;
        let mut by_id = BTreeMap::new();
        for account in accounts {
            let id = account.id;
            if by_id.insert(id, account).is_some() {
                return Err(format!("partners: id {id} appears twice"));
            }
        }
        Ok(Self { by_id, first })
    }

    /// Reads accounts from a file; see [`Accounts::from_json`] for its shape.
    ///
    /// # Errors
    /// One line that names the file and the field at fault.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let named = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(named)?;
        let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
        if read.map_err(named)? as u64 > MAX_BYTES {
            return Err(format!("{}: larger than {MAX_BYTES} bytes", path.display()));
        }
        Self::from_json(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Reads `{"partners":[{"id":…,"adminSecret":"…"}]}`. Optional fields of a partner: `userSecret`,
    /// `additionalAdminSecrets`, `maxSessionDuration` (a number or null), `ksVersion`, `blocked`,
    /// `anonymousUser`.
    ///
    /// # Errors
    /// One line that names the field at fault.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let document: Value =
            serde_json::from_str(text).map_err(|error| format!("not valid JSON: {error}"))?;
        let partners = document
            .get("partners")
            .and_then(Value::as_array)
            .ok_or("partners: expected a list of accounts")?;
        let accounts = partners
            .iter()
            .enumerate()
            .map(|(index, row)| account(row).map_err(|error| format!("partners[{index}].{error}")))
            .collect::<Result<Vec<_>, _>>()?;
        Self::new(accounts)
    }

    /// The account with this partner id.
    #[must_use]
    pub fn get(&self, id: i64) -> Option<&Account> {
        self.by_id.get(&id)
    }

    /// The first account of the list.
    ///
    /// # Panics
    /// Never: there is always a first account.
    #[must_use]
    pub fn first(&self) -> &Account {
        &self.by_id[&self.first]
    }

    /// All accounts by partner id.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.by_id.values()
    }
}

fn account(row: &Value) -> Result<Account, String> {
    let fields = row.as_object().ok_or("id: expected an object with an id")?;
    for name in fields.keys() {
        let known = [
            "id",
            "adminSecret",
            "userSecret",
            "additionalAdminSecrets",
            "maxSessionDuration",
            "ksVersion",
            "blocked",
            "anonymousUser",
        ];
        if !known.contains(&name.as_str()) {
            return Err(format!("{name}: unknown field"));
        }
    }
    let id = row
        .get("id")
        .and_then(Value::as_i64)
        .filter(|id| *id > 0)
        .ok_or("id: expected a positive number")?;
    let user_secret = match row.get("userSecret") {
        Some(_) => secret(row, "userSecret")?,
        None => random::hex(16),
    };
    let mut account = Account::new(id, secret(row, "adminSecret")?, user_secret);
    if let Some(value) = row.get("additionalAdminSecrets") {
        let texts = value
            .as_array()
            .ok_or("additionalAdminSecrets: expected a list of strings")?;
        account.additional_admin_secrets = texts
            .iter()
            .map(|text| text.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or("additionalAdminSecrets: expected a list of strings")?;
    }
    match row.get("maxSessionDuration") {
        None => {}
        Some(Value::Null) => account.max_session_duration = None,
        Some(value) => {
            let seconds = value
                .as_i64()
                .ok_or("maxSessionDuration: expected seconds or null")?;
            account.max_session_duration = Some(seconds);
        }
    }
    match row.get("ksVersion").map(Value::as_u64) {
        None | Some(Some(2)) => {}
        Some(Some(1)) => account.ks_version = 1,
        Some(_) => return Err("ksVersion: expected 1 or 2".to_owned()),
    }
    if let Some(value) = row.get("blocked") {
        account.blocked = value.as_bool().ok_or("blocked: expected true or false")?;
    }
    if let Some(value) = row.get("anonymousUser") {
        account.anonymous_user = value
            .as_bool()
            .ok_or("anonymousUser: expected true or false")?;
    }
    Ok(account)
}

fn secret(row: &Value, name: &str) -> Result<String, String> {
    row.get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| format!("{name}: expected a string that is not empty"))
}
