//! The session string itself (KS), versions 1 and 2: signing, opening with the admin secret, and
//! describing what can be read without it. Pure computation; vectors in `tests/vectors/ks_vectors.json`
//! were made by the reference server's own code.

use std::fmt;
use std::time::Duration;

use aes::Aes128;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::model::SessionType;
use crate::privileges;
use crate::seam::random;
use crate::secret::Secret;

const BLOCK: usize = 16;
const HASH: usize = 20;
const ZERO_IV: [u8; BLOCK] = [0; BLOCK];
/// A KS with a `downloadasset` privilege expires on a full five minutes (vector
/// `generateSession/downloadasset`).
const DOWNLOAD_ASSET_STEP: i64 = 300;

const URL_SAFE: GeneralPurpose = base64::engine::general_purpose::URL_SAFE;
const STANDARD: GeneralPurpose = base64::engine::general_purpose::STANDARD;
/// Reads either: the server turns `-_` into `+/` first and does not ask for padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The format of a KS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KsVersion {
    /// Signed but readable by anybody.
    V1,
    /// Signed and encrypted; the account is readable.
    #[default]
    V2,
}

impl fmt::Display for KsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "1",
            Self::V2 => "2",
        })
    }
}

/// What a KS to be signed says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KsFields {
    /// The account.
    pub partner_id: i64,
    /// The user; `None` and the empty string are the anonymous user.
    pub user_id: Option<String>,
    /// The type.
    pub session_type: SessionType,
    /// When it expires, in unix seconds.
    pub expiry: i64,
    /// The privileges, such as `edit:*,list:*`.
    pub privileges: String,
    /// The account on whose behalf it is used, for accounts with sub-accounts.
    pub master_partner_id: Option<i64>,
    /// Any text that is to travel along.
    pub additional_data: Option<String>,
}

/// What a KS says, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KsInfo {
    /// Its format.
    pub version: KsVersion,
    /// Whether a secret proved it genuine. A description made without a secret never is.
    pub verified: bool,
    /// The account. In a version 2 it is outside of what is signed.
    pub partner_id: Option<i64>,
    /// The type.
    pub session_type: Option<SessionType>,
    /// The user.
    pub user_id: Option<String>,
    /// When it expires, in unix seconds.
    pub expiry: Option<i64>,
    /// The privileges; `None` when they cannot be read without the secret.
    pub privileges: Option<String>,
    /// The account on whose behalf it is used.
    pub master_partner_id: Option<i64>,
    /// Any text that travels along.
    pub additional_data: Option<String>,
    /// What makes it different from another with the same fields.
    pub random: Option<String>,
}

/// Signing and reading of session strings.
///
/// ```
/// use kaltura_app_token::{Ks, KsFields, KsVersion, Secret, SessionType};
///
/// let secret = Secret::new("0123456789abcdef0123456789abcdef");
/// let fields = KsFields {
///     partner_id: 102,
///     user_id: Some("bob".into()),
///     session_type: SessionType::User,
///     expiry: 2_000_000_000,
///     privileges: "sview:*".into(),
///     master_partner_id: None,
///     additional_data: None,
/// };
/// let ks = Ks::sign(&fields, &secret, KsVersion::V2)?;
/// assert_eq!(Ks::open(&ks, &[secret])?.user_id.as_deref(), Some("bob"));
/// assert_eq!(Ks::describe(&ks)?.partner_id, Some(102));
/// # Ok::<(), kaltura_app_token::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Ks;

impl Ks {
    /// Signs a KS with the account's admin secret, which is also what signs USER sessions.
    ///
    /// # Errors
    /// `Config`: an empty secret, a privilege whose name starts with `_`, or for version 1 a `;` in
    /// a field.
    pub fn sign(fields: &KsFields, secret: &Secret, version: KsVersion) -> Result<Secret> {
        privileges::refuse_ks_fields("privileges", &fields.privileges)?;
        if secret.is_empty() {
            return Err(Error::config("the admin secret is empty"));
        }
        match version {
            KsVersion::V2 => Ok(sign_v2(fields, secret, &random::bytes::<BLOCK>()?)),
            KsVersion::V1 => {
                let texts = [&fields.privileges]
                    .into_iter()
                    .chain(fields.user_id.as_ref())
                    .chain(fields.additional_data.as_ref());
                if texts.into_iter().any(|text| text.contains(';')) {
                    return Err(Error::config(
                        "a KS version 1 separates its fields by ; and so cannot carry one: use version 2",
                    ));
                }
                let random = u64::from_le_bytes(random::bytes()?);
                Ok(sign_v1(fields, secret, &random.to_string()))
            }
        }
    }

    /// Opens a KS with the secrets that may have signed it, and verifies it.
    ///
    /// Whether it has expired or was ended is not looked at.
    ///
    /// # Errors
    /// `Config` when it is no KS, or none of the secrets signed it.
    pub fn open(ks: &Secret, secrets: &[Secret]) -> Result<KsInfo> {
        let raw = Raw::read(ks.reveal())?;
        let mut secrets = secrets.iter().filter(|secret| !secret.is_empty());
        secrets
            .find_map(|secret| match &raw {
                Raw::V1 { hash, info } => open_v1(hash, info, secret),
                Raw::V2 { partner_id, sealed } => open_v2(partner_id, sealed, secret),
            })
            .unwrap_or_else(|| {
                Err(Error::config(
                    "the KS was not signed with this secret, or has been changed since",
                ))
            })
    }

    /// Reads what a KS shows to anybody: everything of a version 1, the account of a version 2.
    ///
    /// # Errors
    /// `Config` when it is no KS.
    pub fn describe(ks: &Secret) -> Result<KsInfo> {
        match Raw::read(ks.reveal())? {
            Raw::V1 { info, .. } => Ok(read_v1(&info, false)),
            Raw::V2 { partner_id, .. } => Ok(KsInfo {
                version: KsVersion::V2,
                verified: false,
                partner_id: partner_id.parse().ok(),
                session_type: None,
                user_id: None,
                expiry: None,
                privileges: None,
                master_partner_id: None,
                additional_data: None,
                random: None,
            }),
        }
    }

    /// When a KS signed now for `duration` expires, in unix seconds.
    ///
    /// Rounded up to five minutes when the privileges speak of `downloadasset`, as the server does
    /// so that such sessions can be cached.
    #[must_use]
    pub fn expiry_at(now_unix: i64, duration: Duration, privileges: &str) -> i64 {
        let expiry = now_unix.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX));
        if !privileges.contains("downloadasset") {
            return expiry;
        }
        match expiry % DOWNLOAD_ASSET_STEP {
            0 => expiry,
            over => expiry.saturating_add(DOWNLOAD_ASSET_STEP - over),
        }
    }
}

fn sha1(parts: &[&[u8]]) -> [u8; HASH] {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

fn key_of(secret: &Secret) -> Zeroizing<[u8; BLOCK]> {
    let hash = Zeroizing::new(sha1(&[secret.reveal().as_bytes()]));
    let mut key = Zeroizing::new([0; BLOCK]);
    key.copy_from_slice(&hash[..BLOCK]);
    key
}

fn sign_v2(fields: &KsFields, secret: &Secret, random: &[u8; BLOCK]) -> Secret {
    let text = field_text(fields);
    let hash = sha1(&[random, text.as_bytes()]);
    let length = HASH + BLOCK + text.len();
    let mut sealed = Zeroizing::new(Vec::with_capacity(length.next_multiple_of(BLOCK)));
    sealed.extend_from_slice(&hash);
    sealed.extend_from_slice(random);
    sealed.extend_from_slice(text.as_bytes());
    sealed.resize(length.next_multiple_of(BLOCK), 0);
    let padded = sealed.len();
    cbc::Encryptor::<Aes128>::new((&*key_of(secret)).into(), &ZERO_IV.into())
        .encrypt_padded::<NoPadding>(&mut sealed, padded)
        .expect("the length is a multiple of the block");
    let mut ks = format!("v2|{}|", fields.partner_id).into_bytes();
    ks.extend_from_slice(&sealed);
    Secret::new(URL_SAFE.encode(ks))
}

/// The fields as PHP's `http_build_query` writes them: privileges in order, then `_e _t _u _m _d`,
/// a name that comes again overwriting the first in its place.
fn field_text(fields: &KsFields) -> Zeroizing<String> {
    // PHP's trim().
    let trim = |text: &str| -> String {
        text.trim_matches([' ', '\t', '\n', '\r', '\0', '\x0B'])
            .to_owned()
    };
    let mut pairs: Vec<(String, Option<String>)> = Vec::new();
    let mut set = |name: String, value: Option<String>| match pairs
        .iter_mut()
        .find(|(known, _)| *known == name)
    {
        Some(pair) => pair.1 = value,
        None => pairs.push((name, value)),
    };
    for item in fields.privileges.split(',').map(trim) {
        match item.as_str() {
            // PHP takes "0" for false and skips it too (vector v2/privileges/zero).
            "" | "0" => {}
            "*" => set("all".into(), Some("*".into())),
            _ => {
                let (name, value) = item.split_once(':').unwrap_or((&item, ""));
                set(name.into(), Some(value.into()));
            }
        }
    }
    set("_e".into(), Some(fields.expiry.to_string()));
    set("_t".into(), Some(fields.session_type.value().to_string()));
    set("_u".into(), fields.user_id.clone());
    set(
        "_m".into(),
        fields.master_partner_id.map(|id| id.to_string()),
    );
    set("_d".into(), fields.additional_data.clone());
    let mut text = Zeroizing::new(String::new());
    for (name, value) in &pairs {
        let Some(value) = value else { continue };
        if !text.is_empty() {
            text.push('&');
        }
        push_urlencoded(&mut text, name);
        text.push('=');
        push_urlencoded(&mut text, value);
    }
    text
}

/// PHP's `urlencode`: as in forms, and `*` is encoded too.
fn push_urlencoded(text: &mut String, part: &str) {
    for piece in form_urlencoded::byte_serialize(part.as_bytes()) {
        if piece.contains('*') {
            text.push_str(&piece.replace('*', "%2A"));
        } else {
            text.push_str(piece);
        }
    }
}

fn sign_v1(fields: &KsFields, secret: &Secret, random: &str) -> Secret {
    let master = fields
        .master_partner_id
        .map(|id| id.to_string())
        .unwrap_or_default();
    let info = Zeroizing::new(format!(
        "{partner};{partner};{expiry};{kind};{random};{user};{privileges};{master};{data}",
        partner = fields.partner_id,
        expiry = fields.expiry,
        kind = fields.session_type.value(),
        user = fields.user_id.as_deref().unwrap_or_default(),
        privileges = fields.privileges,
        data = fields.additional_data.as_deref().unwrap_or_default(),
    ));
    let hash = hex::encode(sha1(&[secret.reveal().as_bytes(), info.as_bytes()]));
    let plain = Zeroizing::new(format!("{hash}|{}", *info));
    Secret::new(STANDARD.encode(plain.as_bytes()))
}

/// A KS out of its base64.
enum Raw {
    V1 {
        hash: Zeroizing<String>,
        info: Zeroizing<String>,
    },
    V2 {
        partner_id: String,
        sealed: Vec<u8>,
    },
}

impl Raw {
    fn read(ks: &str) -> Result<Self> {
        let not_a_ks = || Error::config("this is not a KS: it is neither version 1 nor version 2");
        // The server turns the URL-safe alphabet into the standard one, skips white space and is
        // strict about everything else (vectors inner_newline, illegal_char).
        let text: Zeroizing<String> = Zeroizing::new(
            ks.chars()
                .filter(|c| !c.is_ascii_whitespace())
                .map(|c| match c {
                    '-' => '+',
                    '_' => '/',
                    other => other,
                })
                .collect(),
        );
        let bytes = LENIENT
            .decode(text.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| not_a_ks())?;
        if let Some(rest) = bytes.strip_prefix(b"v2|") {
            let bar = rest
                .iter()
                .position(|byte| *byte == b'|')
                .ok_or_else(not_a_ks)?;
            let partner_id = std::str::from_utf8(&rest[..bar]).map_err(|_| not_a_ks())?;
            return Ok(Self::V2 {
                partner_id: partner_id.to_owned(),
                sealed: rest[bar + 1..].to_vec(),
            });
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| not_a_ks())?;
        let (hash, info) = text.split_once('|').ok_or_else(not_a_ks)?;
        let is_sha1 = hash.len() == 2 * HASH && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_sha1 || info.split(';').count() < 3 {
            return Err(not_a_ks());
        }
        Ok(Self::V1 {
            hash: hash.to_owned().into(),
            info: info.to_owned().into(),
        })
    }
}

/// `None`: this secret did not sign it.
fn open_v1(hash: &str, info: &str, secret: &Secret) -> Option<Result<KsInfo>> {
    let expected = hex::encode(sha1(&[secret.reveal().as_bytes(), info.as_bytes()]));
    (Secret::new(expected) == Secret::new(hash)).then(|| Ok(read_v1(info, true)))
}

fn read_v1(info: &str, verified: bool) -> KsInfo {
    let parts: Vec<&str> = info.split(';').collect();
    let part = |at: usize| parts.get(at).map(|text| (*text).to_owned());
    let number = |at: usize| parts.get(at).and_then(|text| text.parse::<i64>().ok());
    KsInfo {
        version: KsVersion::V1,
        verified,
        partner_id: number(0),
        expiry: number(2),
        session_type: number(3).map(SessionType::from),
        random: part(4),
        user_id: part(5),
        privileges: Some(part(6).unwrap_or_default()),
        master_partner_id: number(7),
        additional_data: part(8),
    }
}

/// `None`: this secret did not sign it.
fn open_v2(partner_id: &str, sealed: &[u8], secret: &Secret) -> Option<Result<KsInfo>> {
    let mut opened = Zeroizing::new(sealed.to_vec());
    cbc::Decryptor::<Aes128>::new((&*key_of(secret)).into(), &ZERO_IV.into())
        .decrypt_padded::<NoPadding>(&mut opened)
        .ok()?;
    let end = opened
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    let (hash, signed) = opened[..end].split_at_checked(HASH)?;
    if sha1(&[signed]) != hash {
        return None;
    }
    let (random, text) = signed.split_at_checked(BLOCK)?;
    Some(read_fields(partner_id, random, text))
}

fn read_fields(partner_id: &str, random: &[u8], text: &[u8]) -> Result<KsInfo> {
    let mut info = KsInfo {
        version: KsVersion::V2,
        verified: true,
        partner_id: partner_id.parse().ok(),
        session_type: None,
        user_id: None,
        expiry: None,
        privileges: None,
        master_partner_id: None,
        additional_data: None,
        random: Some(hex::encode(random)),
    };
    let mut names: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(text) {
        match php_variable_name(&name) {
            Some(name) if !name.is_empty() => {
                match names.iter_mut().find(|(known, _)| *known == name) {
                    Some(pair) => pair.1 = value.into_owned(),
                    None => names.push((name, value.into_owned())),
                }
            }
            Some(_) => {}
            // A KS's own field as a list is not readable; a privilege as a list stops the server.
            None if name.starts_with('_') => {}
            None => {
                return Err(Error::config(format!(
                    "the KS has a privilege {name:?} whose name no server can read"
                )));
            }
        }
    }
    let mut items = Vec::new();
    for (name, value) in names {
        match name.as_str() {
            "_e" => info.expiry = value.parse().ok(),
            "_t" => info.session_type = value.parse::<i64>().ok().map(SessionType::from),
            "_u" => info.user_id = Some(value),
            "_m" => info.master_partner_id = value.parse().ok(),
            "_d" => info.additional_data = Some(value),
            "all" if value == "*" => items.push("*".to_owned()),
            _ if value.is_empty() => items.push(name),
            _ => items.push(format!("{name}:{value}")),
        }
    }
    info.privileges = Some(items.join(","));
    Ok(info)
}

/// The name under which PHP's `parse_str` files a parameter; `None` when it makes a list of it.
fn php_variable_name(name: &str) -> Option<String> {
    let name = name.trim_start_matches(' ');
    match name.split_once('[') {
        Some((_, index)) if index.contains(']') => None,
        Some((base, rest)) => Some(format!("{}_{rest}", base.replace([' ', '.'], "_"))),
        None => Some(name.replace([' ', '.'], "_")),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../tests/vectors/ks_vectors.json")).unwrap()
    }

    fn text(value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn integer(value: &Value) -> i64 {
        match value {
            Value::Bool(truth) => i64::from(*truth),
            other => text(other).unwrap().parse().unwrap(),
        }
    }

    fn fields(input: &Value) -> KsFields {
        KsFields {
            partner_id: integer(&input["partnerId"]),
            user_id: text(&input["userId"]),
            session_type: SessionType::from(integer(&input["type"])),
            expiry: integer(&input["expiry"]),
            privileges: text(&input["privileges"]).unwrap_or_default(),
            master_partner_id: text(&input["masterPartnerId"]).map(|id| id.parse().unwrap()),
            additional_data: text(&input["additionalData"]),
        }
    }

    fn random(vector: &Value) -> [u8; BLOCK] {
        let bytes = hex::decode(vector["random_hex"].as_str().unwrap()).unwrap();
        bytes.try_into().unwrap()
    }

    /// Holds what was read against what the server read.
    fn assert_reads_as(name: &str, ks: &str, secrets: &str, expected: &Value) {
        let secrets: Vec<Secret> = secrets.split(',').map(Secret::from).collect();
        let opened = Ks::open(&Secret::from(ks), &secrets);
        if expected["parse"] != Value::Bool(true) {
            assert!(opened.is_err(), "{name}: {opened:?}");
            return;
        }
        let opened = opened.unwrap_or_else(|error| panic!("{name}: {error}"));
        let number = |key: &str| text(&expected[key]).and_then(|text| text.parse::<i64>().ok());
        assert!(opened.verified, "{name}");
        assert_eq!(opened.partner_id, number("partner_id"), "{name}");
        assert_eq!(opened.expiry, number("valid_until"), "{name}");
        assert_eq!(
            opened.session_type.map(SessionType::value),
            number("type"),
            "{name}"
        );
        assert_eq!(opened.user_id, text(&expected["user"]), "{name}");
        assert_eq!(
            opened.privileges.as_deref().unwrap_or_default(),
            text(&expected["privileges"]).unwrap_or_default(),
            "{name}"
        );
        assert_eq!(
            opened.master_partner_id,
            number("master_partner_id"),
            "{name}"
        );
        assert_eq!(
            opened.additional_data,
            text(&expected["additional_data"]),
            "{name}"
        );
        assert_eq!(opened.random, text(&expected["rand"]), "{name}");
    }

    #[test]
    fn every_recorded_ks_is_made_byte_for_byte_and_read_as_the_server_reads_it() {
        let vectors = vectors();
        let cases = vectors["generated"].as_array().unwrap();
        assert_eq!(cases.len(), 98);
        for case in cases {
            let name = case["name"].as_str().unwrap();
            let ks = case["ks"].as_str().unwrap();
            let input = &case["input"];
            let secret = Secret::from(input["adminSecret"].as_str().unwrap());
            if name.starts_with("v2/") {
                let fields = fields(input);
                assert_eq!(field_text(&fields).as_str(), case["fields"], "{name}");
                assert_eq!(
                    sign_v2(&fields, &secret, &random(case)).reveal(),
                    ks,
                    "{name}"
                );
            } else {
                let random = text(&input["rand"]).unwrap();
                assert_eq!(
                    sign_v1(&fields(input), &secret, &random).reveal(),
                    ks,
                    "{name}"
                );
            }
            assert_reads_as(name, ks, secret.reveal(), &case["decoded"]);
        }
    }

    #[test]
    fn a_download_asset_ks_expires_on_five_minutes_as_the_servers_does() {
        let vectors = vectors();
        let cases = vectors["live_generateSession"].as_array().unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let name = case["name"].as_str().unwrap();
            let mut fields = fields(&case["input"]);
            let duration = Duration::from_secs(u64::try_from(fields.expiry).unwrap());
            fields.expiry = Ks::expiry_at(integer(&case["now"]), duration, &fields.privileges);
            let secret = Secret::from(case["input"]["adminSecret"].as_str().unwrap());
            assert_eq!(field_text(&fields).as_str(), case["fields"], "{name}");
            assert_eq!(
                sign_v2(&fields, &secret, &random(case)).reveal(),
                case["ks"],
                "{name}"
            );
            assert_reads_as(
                name,
                case["ks"].as_str().unwrap(),
                secret.reveal(),
                &case["decoded"],
            );
        }
    }

    #[test]
    fn damaged_foreign_and_handmade_ks_are_read_or_refused_as_the_server_does() {
        let vectors = vectors();
        let cases = vectors["decode_only"].as_array().unwrap();
        assert_eq!(cases.len(), 35);
        for case in cases {
            let secrets = text(&case["adminSecrets"]).unwrap_or_default();
            assert_reads_as(
                case["name"].as_str().unwrap(),
                case["ks"].as_str().unwrap(),
                &secrets,
                &case["result"],
            );
        }
    }

    #[test]
    fn without_the_secret_a_v1_shows_all_and_a_v2_only_its_account() {
        let vectors = vectors();
        for case in vectors["generated"].as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            let described = Ks::describe(&Secret::from(case["ks"].as_str().unwrap())).unwrap();
            assert!(!described.verified, "{name}");
            assert_eq!(
                described.partner_id,
                Some(integer(&case["input"]["partnerId"])),
                "{name}"
            );
            let shows_fields = described.expiry.is_some() && described.privileges.is_some();
            assert_eq!(shows_fields, name.starts_with("v1/"), "{name}");
        }
    }

    #[test]
    fn two_signatures_of_the_same_fields_differ() {
        let vectors = vectors();
        let case = &vectors["generated"][0];
        let secret = Secret::from(case["input"]["adminSecret"].as_str().unwrap());
        for version in [KsVersion::V1, KsVersion::V2] {
            let sign = || Ks::sign(&fields(&case["input"]), &secret, version).unwrap();
            assert_ne!(sign(), sign());
        }
    }

    #[test]
    fn fields_that_would_be_overwritten_or_cut_are_refused() {
        let vectors = vectors();
        let mut fields = fields(&vectors["generated"][0]["input"]);
        let secret = Secret::from("0123456789abcdef0123456789abcdef");
        assert!(Ks::sign(&fields, &Secret::from(""), KsVersion::V2).is_err());
        fields.additional_data = Some("a;b".into());
        assert!(Ks::sign(&fields, &secret, KsVersion::V1).is_err());
        assert!(Ks::sign(&fields, &secret, KsVersion::V2).is_ok());
        for privileges in ["edit:*,_t:2", ".u:root", "[u:root", " .m:-2"] {
            fields.privileges = privileges.into();
            assert!(
                Ks::sign(&fields, &secret, KsVersion::V2).is_err(),
                "{privileges}"
            );
        }
    }
}
