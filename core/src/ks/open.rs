//! Reading a KS, and verifying it, as the server does.

use aes::Aes128;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::cipher::{BLOCK, HASH, ZERO_IV, key_of, sha1};
use super::fields::{KsInfo, KsVersion};
use crate::error::{Error, Result};
use crate::model::SessionType;
use crate::secret::Secret;

/// Reads either: the server turns `-_` into `+/` first and does not ask for padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A KS out of its base64.
pub(super) enum Raw {
    V1 {
        hash: Zeroizing<String>,
        info: Zeroizing<String>,
    },
    V2 {
        partner_id: String,
        sealed: Zeroizing<Vec<u8>>,
    },
}

impl Raw {
    pub(super) fn read(ks: &str) -> Result<Self> {
        let not_a_ks = || Error::config("this is not a KS: it is neither version 1 nor version 2");
        // The server turns the URL-safe alphabet into the standard one, skips white space and is
        // strict about everything else (vectors inner_newline, illegal_char).
        // As large as it becomes: growing would leave copies behind that are not wiped.
        let mut text = Zeroizing::new(String::with_capacity(ks.len()));
        text.extend(
            ks.chars()
                .filter(|c| !c.is_ascii_whitespace())
                .map(|c| match c {
                    '-' => '+',
                    '_' => '/',
                    other => other,
                }),
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
                sealed: rest[bar + 1..].to_vec().into(),
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
pub(super) fn open_v1(hash: &str, info: &str, secret: &Secret) -> Option<Result<KsInfo>> {
    let expected = hex::encode(sha1(&[secret.reveal().as_bytes(), info.as_bytes()]));
    (Secret::new(expected) == Secret::new(hash)).then(|| Ok(read_v1(info, true)))
}

pub(super) fn read_v1(info: &str, verified: bool) -> KsInfo {
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
pub(super) fn open_v2(partner_id: &str, sealed: &[u8], secret: &Secret) -> Option<Result<KsInfo>> {
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
            _ if value.is_empty() => items.push(name),
            _ => items.push(format!("{name}:{value}")),
        }
    }
    // The server writes the privilege for all of them so only where it is alone.
    let text = match items.join(",") {
        all if all == "all:*" => "*".to_owned(),
        text => text,
    };
    info.privileges = Some(text);
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
