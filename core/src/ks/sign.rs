//! Signing a KS, byte for byte as the server does.

use aes::Aes128;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use zeroize::Zeroizing;

use super::cipher::{BLOCK, HASH, ZERO_IV, key_of, sha1};
use super::fields::KsFields;
use crate::secret::Secret;

pub(super) fn sign_v2(fields: &KsFields, secret: &Secret, random: &[u8; BLOCK]) -> Secret {
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
    let prefix = format!("v2|{}|", fields.partner_id);
    let ks = Zeroizing::new([prefix.as_bytes(), &sealed].concat());
    Secret::new(URL_SAFE.encode(&*ks))
}

/// The fields as PHP's `http_build_query` writes them: privileges in order, then `_e _t _u _m _d`,
/// a name that comes again overwriting the first in its place.
pub(super) fn field_text(fields: &KsFields) -> Zeroizing<String> {
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

pub(super) fn sign_v1(fields: &KsFields, secret: &Secret, random: &str) -> Secret {
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
