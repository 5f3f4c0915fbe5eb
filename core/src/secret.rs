//! Values that must not be shown: token values, sessions (KS) and admin secrets.
//!
//! Everything that holds a credential holds it as a [`Secret`], so that a derived `Debug` of any
//! structure cannot print it. [`Scrubber`] takes credentials out of texts that came from elsewhere,
//! above all the server's error messages, which echo the KS they were sent. This module knows
//! nothing of Kaltura's API or of any I/O.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What stands in the place of a credential.
pub(crate) const MASK: &str = "****";

/// A credential: a token's value, a KS or an admin secret.
///
/// It has no `Display` and cannot be serialised; `Debug` shows `Secret(****)`; the memory is
/// overwritten when it is dropped. Comparing two secrets takes the same time wherever they differ.
/// Copies that the TLS and HTTP layers make while a request is on its way are not overwritten.
///
/// ```
/// use kaltura_app_token::Secret;
///
/// let secret = Secret::new("0123456789abcdef");
/// assert_eq!(format!("{secret:?}"), "Secret(****)");
/// assert_eq!(secret.reveal(), "0123456789abcdef");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the value over.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({MASK})")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Takes known credentials, and whatever looks like a KS, out of a text.
///
/// Short values (under six bytes) are not searched for: they would match by accident and protect
/// nothing.
#[derive(Default)]
pub(crate) struct Scrubber {
    needles: Vec<Zeroizing<String>>,
}

impl Scrubber {
    /// A scrubber for these values, in the forms in which a server may echo them.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Self::default().and(secrets)
    }

    /// The same scrubber, for these values as well.
    pub(crate) fn and<'a>(mut self, secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let needles = &mut self.needles;
        for secret in secrets {
            let trimmed = secret.trim();
            if trimmed.len() < 6 {
                continue;
            }
            let encode =
                |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let once = Zeroizing::new(encode(trimmed));
            for form in [
                trimmed.to_owned(),
                encode(&once),
                trimmed.replace('/', "\\/"),
                STANDARD_NO_PAD.encode(trimmed),
                URL_SAFE_NO_PAD.encode(trimmed),
                once.to_string(),
            ] {
                let mut form = Zeroizing::new(form);
                form.make_ascii_lowercase();
                if !needles.contains(&form) {
                    needles.push(form);
                }
            }
        }
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        self
    }

    /// The text without them.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let mut clean = Zeroizing::new(text.to_owned());
        for needle in &self.needles {
            clean = without(&clean, needle);
        }
        mask_ks_like(&clean)
    }
}

/// The text with each occurrence of a lower-case needle masked, in whichever case it is written.
fn without(text: &str, needle: &str) -> Zeroizing<String> {
    // Lower case in ASCII leaves every byte where it is.
    let lower = Zeroizing::new(text.to_ascii_lowercase());
    let mut clean = Zeroizing::new(String::with_capacity(text.len()));
    let mut from = 0;
    for (at, _) in lower.match_indices(needle) {
        clean.push_str(&text[from..at]);
        clean.push_str(MASK);
        from = at + needle.len();
    }
    clean.push_str(&text[from..]);
    clean
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scrubber({} values)", self.needles.len())
    }
}

/// Masks every run of base64 characters that starts like a KS v2 (`djJ8`) or is as long as any KS.
///
/// A server may echo a KS that this request did not carry (another session of the same account),
/// or echo it cut short.
fn mask_ks_like(text: &str) -> String {
    const LONGER_THAN_ANY_DIGEST: usize = 60;
    let is_ks_byte =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '/' | '=' | '%');
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_ks_byte) {
        clean.push_str(&rest[..start]);
        let run_and_rest = &rest[start..];
        let end = run_and_rest
            .find(|c| !is_ks_byte(c))
            .unwrap_or(run_and_rest.len());
        let run = &run_and_rest[..end];
        if run.len() > LONGER_THAN_ANY_DIGEST || (run.len() > 12 && run.contains("djJ8")) {
            clean.push_str(MASK);
        } else {
            clean.push_str(run);
        }
        rest = &run_and_rest[end..];
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_a_secret_is_left_in_a_scrubbed_text() {
        let secrets = ["s3cr3t+value/=", "0123456789abcdef0123456789abcdef"];
        let scrubber = Scrubber::new(secrets);
        for secret in secrets {
            let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            for echo in [
                format!("Invalid KS \"{secret}\", Error \"-1\""),
                format!("{secret}{secret}"),
                format!("query?ks={encoded}&x=1"),
                format!("twice {}", encoded.replace('%', "%25")),
                format!("{} {}", secret.to_uppercase(), encoded.to_lowercase()),
                format!("in JSON {}", secret.replace('/', "\\/")),
                format!(
                    "Basic {}",
                    base64::engine::general_purpose::STANDARD.encode(secret)
                ),
            ] {
                let clean = scrubber.scrub(&echo).to_lowercase();
                for form in [
                    secret,
                    encoded.as_str(),
                    &secret.replace('/', "\\/"),
                    &encoded.replace('%', "%25"),
                    &STANDARD_NO_PAD.encode(secret),
                ] {
                    assert!(!clean.contains(&form.to_lowercase()), "{clean}");
                }
                assert!(clean.contains(MASK));
            }
        }
    }

    #[test]
    fn a_ks_nobody_told_us_of_is_masked_too() {
        let ks = format!("djJ8MTAyf{}", "Ab_-9".repeat(20));
        for echo in [format!("KS {ks} is bad"), format!("cut: {}", &ks[..24])] {
            assert_eq!(
                Scrubber::default().scrub(&echo).matches(MASK).count(),
                1,
                "{echo}"
            );
        }
    }

    #[test]
    fn ordinary_messages_pass_unchanged() {
        for text in [
            "Application token id \"0_ab12cd34\" not found",
            "Invalid KS \"EXPIRED\", Error \"-1,INVALID_STR\"",
            "Ünïcode – ☃ stays",
            "",
        ] {
            assert_eq!(Scrubber::new(["abc"]).scrub(text), text);
        }
    }
}
