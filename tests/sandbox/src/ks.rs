//! The KS itself: sealing and opening its two formats.
//!
//! It knows secrets and bytes. Whether a KS may still be used is not decided here.

use std::fmt::Write as _;

use aes::Aes128;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use sha1::{Digest as _, Sha1};

use crate::ordered::Ordered;
use crate::params::{Param, Params};
use crate::privileges::Privileges;

const HASH_SIZE: usize = 20;
const RANDOM_SIZE: usize = 16;
const BLOCK: usize = 16;

/// PHP's `base64_decode`: padding may be missing and spare bits may be set.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What goes into a KS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    pub(crate) partner: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) kind: &'a str,
    pub(crate) expiry: i64,
    pub(crate) privileges: &'a str,
    pub(crate) master: Option<&'a str>,
    pub(crate) additional: Option<&'a str>,
}

/// An opened KS. The texts are what the server's own members hold after opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ks {
    pub(crate) partner: String,
    pub(crate) valid_until: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) privileges: Option<String>,
    pub(crate) master: Option<String>,
    pub(crate) additional: Option<String>,
    /// Hex of the signature: the identity of the KS.
    pub(crate) hash: String,
}

impl Ks {
    pub(crate) fn parsed_privileges(&self) -> Privileges {
        match self.privileges.as_deref() {
            None | Some("") => Privileges::default(),
            Some(text) => Privileges::parse(text),
        }
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.kind
            .as_deref()
            .is_some_and(|kind| !kind.is_empty() && kind != "0")
    }

    pub(crate) fn is_widget_session(&self) -> bool {
        self.privileges
            .as_deref()
            .is_some_and(|text| text.contains("widget:1"))
    }

    pub(crate) fn partner_id(&self) -> i64 {
        Param::Text(self.partner.clone()).to_int()
    }

    /// Opens a KS with whichever of its partner's secrets fits.
    pub(crate) fn open<'a>(
        text: &str,
        secrets_of: impl FnOnce(&str) -> Vec<&'a str>,
    ) -> Option<Self> {
        let decoded = decode(text)?;
        if let Some(rest) = decoded.strip_prefix(b"v2|") {
            let cut = rest.iter().position(|byte| *byte == b'|')?;
            let partner = String::from_utf8_lossy(&rest[..cut]);
            return secrets_of(&partner)
                .iter()
                .find_map(|secret| open_v2(&partner, &rest[cut + 1..], secret));
        }
        open_v1(&decoded, secrets_of)
    }
}

/// Seals a KS in the format that an account uses.
pub(crate) fn seal(version: u8, secret: &str, content: &Content<'_>, now: f64) -> String {
    if version == 1 {
        return seal_v1(secret, content, &float_text(now));
    }
    seal_v2(secret, content, crate::random::block())
}

/// Format 2: AES-128-CBC over a hash, random bytes and the fields.
pub(crate) fn seal_v2(secret: &str, content: &Content<'_>, random: [u8; RANDOM_SIZE]) -> String {
    let mut signed = random.to_vec();
    signed.extend_from_slice(fields(content).as_bytes());
    let mut plain = Sha1::digest(&signed).to_vec();
    plain.extend_from_slice(&signed);
    plain.resize(plain.len().next_multiple_of(BLOCK), 0);
    let length = plain.len();
    let cipher = cbc::Encryptor::<Aes128>::new(&key(secret).into(), &[0; BLOCK].into());
    // The buffer is a whole number of blocks, so encrypting in place cannot fail.
    let _ = cipher.encrypt_padded::<NoPadding>(&mut plain, length);
    let mut sealed = format!("v2|{}|", content.partner).into_bytes();
    sealed.extend_from_slice(&plain);
    BASE64.encode(sealed).replace('+', "-").replace('/', "_")
}

/// Format 1: a hash and the fields, base64 over both.
pub(crate) fn seal_v1(secret: &str, content: &Content<'_>, rand: &str) -> String {
    let Content {
        partner,
        user,
        kind,
        expiry,
        privileges,
        master,
        additional,
    } = *content;
    let (user, master, additional) = (
        user.unwrap_or(""),
        master.unwrap_or(""),
        additional.unwrap_or(""),
    );
    let info = format!(
        "{partner};{partner};{expiry};{kind};{rand};{user};{privileges};{master};{additional}"
    );
    BASE64.encode(format!("{}|{info}", v1_hash(secret, &info)))
}

fn v1_hash(secret: &str, info: &str) -> String {
    hex::encode(Sha1::digest([secret.as_bytes(), info.as_bytes()].concat()))
}

/// The first half of a session's key, and the only part of the secret that enters it.
fn key(secret: &str) -> [u8; BLOCK] {
    let mut key = [0; BLOCK];
    key.copy_from_slice(&Sha1::digest(secret.as_bytes())[..BLOCK]);
    key
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let cleaned: String = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    BASE64.decode(cleaned).ok()
}

fn open_v2(partner: &str, sealed: &[u8], secret: &str) -> Option<Ks> {
    if secret.is_empty() {
        return None;
    }
    let mut buffer = sealed.to_vec();
    let cipher = cbc::Decryptor::<Aes128>::new(&key(secret).into(), &[0; BLOCK].into());
    let plain = cipher.decrypt_padded::<NoPadding>(&mut buffer).ok()?;
    let end = plain
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    let (hash, signed) = plain[..end].split_at_checked(HASH_SIZE)?;
    if Sha1::digest(signed).as_slice() != hash {
        return None;
    }
    let fields = Params::from_query(signed.get(RANDOM_SIZE..).unwrap_or_default());
    let member = |name: &str| fields.text(name).map(std::borrow::Cow::into_owned);
    let mut privileges = String::new();
    for (name, value) in fields
        .iter()
        .filter(|(name, _)| !["_e", "_t", "_u", "_m", "_d"].contains(name))
    {
        if matches!(value, Param::Map(_)) {
            return None;
        }
        if !privileges.is_empty() {
            privileges.push(',');
        }
        privileges.push_str(name);
        let value = value.to_text();
        if !value.is_empty() {
            let _ = write!(privileges, ":{value}");
        }
    }
    if privileges == "all:*" {
        "*".clone_into(&mut privileges);
    }
    Some(Ks {
        partner: partner.to_owned(),
        valid_until: member("_e"),
        kind: member("_t"),
        user: member("_u"),
        privileges: Some(privileges),
        master: member("_m"),
        additional: member("_d"),
        hash: hex::encode(hash),
    })
}

fn open_v1<'a>(decoded: &[u8], secrets_of: impl FnOnce(&str) -> Vec<&'a str>) -> Option<Ks> {
    let decoded = std::str::from_utf8(decoded).ok()?;
    let (hash, info) = decoded.split_once('|')?;
    let parts: Vec<&str> = info.split(';').collect();
    if parts.len() < 3 {
        return None;
    }
    let signed = secrets_of(parts[0])
        .into_iter()
        .any(|secret| !secret.is_empty() && v1_hash(secret, info) == hash);
    let part = |index: usize| parts.get(index).map(|text| (*text).to_owned());
    signed.then(|| Ks {
        partner: parts[0].to_owned(),
        valid_until: part(2),
        kind: part(3),
        user: part(5),
        privileges: part(6),
        master: part(7),
        additional: part(8),
        hash: hash.to_owned(),
    })
}

/// The fields of format 2: privileges first, then the KS's own. A privilege that is called like one of
/// those only takes its place in the order.
fn fields(content: &Content<'_>) -> String {
    let mut fields: Ordered<&str, Option<String>> = Ordered::default();
    let mut put = |name, value| *fields.entry(name, || None) = value;
    for privilege in content.privileges.split(',') {
        let privilege = privilege.trim_matches([' ', '\t', '\n', '\r', '\0', '\x0b']);
        let privilege = if privilege == "*" { "all:*" } else { privilege };
        if !privilege.is_empty() && privilege != "0" {
            let (name, value) = privilege.split_once(':').unwrap_or((privilege, ""));
            put(name, Some(value.to_owned()));
        }
    }
    put("_e", Some(content.expiry.to_string()));
    put("_t", Some(content.kind.to_owned()));
    put("_u", content.user.map(str::to_owned));
    put("_m", content.master.map(str::to_owned));
    put("_d", content.additional.map(str::to_owned));
    let pairs: Vec<String> = fields
        .iter()
        .filter_map(|(name, value)| {
            value
                .as_ref()
                .map(|value| format!("{}={}", encode(name), encode(value)))
        })
        .collect();
    pairs.join("&")
}

/// PHP's `urlencode`: only letters, digits and `-_.` stay, a space is `+`.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// A float as PHP prints it, which format 1 uses as its random part: four decimals, no trailing zeros.
fn float_text(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The sixteen bytes that PHP's `rand(0, 255)` gives after `srand(seed)`: a session for a download is
/// sealed with these so that it is the same for five minutes (vector `generateSession/downloadasset_repeat`).
pub(crate) fn seeded_random(seed: u32) -> [u8; RANDOM_SIZE] {
    const SIZE: usize = 624;
    const SHIFT: usize = 397;
    let mut state = [0_u32; SIZE];
    state[0] = seed;
    for index in 1..SIZE {
        let previous = state[index - 1];
        let position = u32::try_from(index).unwrap_or_default();
        state[index] = 1_812_433_253_u32
            .wrapping_mul(previous ^ (previous >> 30))
            .wrapping_add(position);
    }
    let mut random = [0; RANDOM_SIZE];
    for (index, byte) in random.iter_mut().enumerate() {
        // Only the first words are needed, and twisting those reads none that were twisted before.
        let mixed = (state[index] & 0x8000_0000) | (state[index + 1] & 0x7fff_ffff);
        let odd = if mixed & 1 == 0 { 0 } else { 0x9908_b0df };
        let mut word = state[index + SHIFT] ^ (mixed >> 1) ^ odd;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^= word >> 18;
        *byte = word.to_le_bytes()[0];
    }
    random
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../vectors/ks_vectors.json")).unwrap()
    }

    /// The text of a scalar as PHP would print it.
    fn text(value: &Value) -> Option<String> {
        match value {
            Value::Null => None,
            Value::Bool(flag) => Some(u8::from(*flag).to_string()),
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// The whole part of a number, which some vectors give as a float.
    fn whole(text: &str) -> i64 {
        text.split('.').next().unwrap().parse().unwrap()
    }

    fn assert_opened(ks: &Ks, expected: &Value, name: &str) {
        assert_eq!(
            Some(ks.partner.clone()),
            text(&expected["partner_id"]),
            "{name}"
        );
        assert_eq!(ks.valid_until, text(&expected["valid_until"]), "{name}");
        assert_eq!(ks.kind, text(&expected["type"]), "{name}");
        assert_eq!(ks.privileges, text(&expected["privileges"]), "{name}");
        assert_eq!(ks.master, text(&expected["master_partner_id"]), "{name}");
        assert_eq!(ks.additional, text(&expected["additional_data"]), "{name}");
        assert_eq!(Some(ks.hash.clone()), text(&expected["hash"]), "{name}");
        assert_eq!(ks.is_admin(), expected["isAdmin"], "{name}");
        assert_eq!(
            ks.is_widget_session(),
            expected["isWidgetSession"],
            "{name}"
        );
        if expected["user"].is_array() {
            return; // A user that is a list exists only in a KS made by hand.
        }
        assert_eq!(ks.user, text(&expected["user"]), "{name}");
    }

    #[test]
    fn every_generated_vector_is_sealed_and_opened_the_same() {
        let vectors = vectors();
        let generated = vectors["generated"].as_array().unwrap();
        assert!(generated.len() >= 98);
        for vector in generated {
            let (name, input) = (vector["name"].as_str().unwrap(), &vector["input"]);
            let field = |key: &str| text(&input[key]);
            let (partner, user, kind) = (
                field("partnerId").unwrap(),
                field("userId"),
                field("type").unwrap(),
            );
            let (privileges, master, extra) = (
                field("privileges"),
                field("masterPartnerId"),
                field("additionalData"),
            );
            let content = Content {
                partner: &partner,
                user: user.as_deref(),
                kind: &kind,
                expiry: whole(&field("expiry").unwrap()),
                privileges: privileges.as_deref().unwrap_or_default(),
                master: master.as_deref(),
                additional: extra.as_deref(),
            };
            let secret = input["adminSecret"].as_str().unwrap();
            let sealed = if vector["version"] == 1 {
                seal_v1(secret, &content, &field("rand").unwrap())
            } else {
                let random = seeded_random(whole(&field("rand").unwrap()).try_into().unwrap());
                assert_eq!(hex::encode(random), vector["random_hex"], "{name}");
                assert_eq!(
                    fields(&content),
                    vector["fields"].as_str().unwrap(),
                    "{name}"
                );
                seal_v2(secret, &content, random)
            };
            assert_eq!(sealed, vector["ks"].as_str().unwrap(), "{name}");
            let opened = Ks::open(&sealed, |_| vec![secret]);
            if vector["decoded"]["parse"] == true {
                assert_opened(&opened.unwrap(), &vector["decoded"], name);
            } else {
                assert_eq!(opened, None, "{name}");
            }
        }
    }

    #[test]
    fn every_odd_ks_is_opened_or_refused_as_recorded() {
        for vector in vectors()["decode_only"].as_array().unwrap() {
            let name = vector["name"].as_str().unwrap();
            let secrets = vector["adminSecrets"].as_str().unwrap();
            let opened = Ks::open(vector["ks"].as_str().unwrap(), |_| {
                secrets.split(',').collect()
            });
            if vector["result"]["parse"] == true {
                assert_opened(
                    &opened.unwrap_or_else(|| panic!("{name} opens")),
                    &vector["result"],
                    name,
                );
            } else {
                assert_eq!(opened, None, "{name}");
            }
        }
    }
}
