//! The session string itself (KS), versions 1 and 2: signing, opening with the admin secret, and
//! describing what can be read without it. Pure computation; vectors in `tests/vectors/ks_vectors.json`
//! were made by the reference server's own code.

mod cipher;
mod fields;
mod open;
mod sign;

pub use fields::{KsFields, KsInfo, KsVersion};

use std::time::Duration;

use self::cipher::BLOCK;
use self::open::{Raw, open_v1, open_v2, read_v1};
use self::sign::{sign_v1, sign_v2};
use crate::error::{Error, Result};
use crate::privileges;
use crate::seam::random;
use crate::secret::Secret;

/// A KS with a `downloadasset` privilege expires on a full five minutes (vector
/// `generateSession/downloadasset`).
const DOWNLOAD_ASSET_STEP: i64 = 300;

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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::cipher::BLOCK;
    use super::sign::field_text;
    use super::*;
    use crate::model::SessionType;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../tests/vectors/ks_vectors.json")).unwrap()
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
    fn a_star_beside_others_reads_as_the_server_reads_it() {
        let mut fields = fields(&vectors()["generated"][0]["input"]);
        let secret = Secret::from("0123456789abcdef0123456789abcdef");
        for (signed, read) in [
            ("*", "*"),
            ("all:*", "*"),
            ("*,edit:1", "all:*,edit:1"),
            ("edit:1,*", "edit:1,all:*"),
        ] {
            fields.privileges = signed.into();
            let ks = Ks::sign(&fields, &secret, KsVersion::V2).unwrap();
            let opened = Ks::open(&ks, std::slice::from_ref(&secret)).unwrap();
            assert_eq!(opened.privileges.as_deref(), Some(read), "{signed}");
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
