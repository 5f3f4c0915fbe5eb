//! Strings on their way out: with a NUL at the end, borrowed by C from the handle that holds them, and
//! wiped with it.

use std::ffi::c_char;
use std::fmt;

use kaltura_app_token::Secret;
use zeroize::Zeroizing;

use crate::boundary::{free, get};

/// A text that C can read. Every one is wiped, because any may be a credential.
pub(crate) struct Text(Zeroizing<Vec<u8>>);

impl Text {
    pub(crate) fn new(text: &str) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() + 1));
        if text.contains('\0') {
            // C would take the text to end there; a visible mark instead says that something was.
            bytes.extend_from_slice(text.replace('\0', "\u{FFFD}").as_bytes());
        } else {
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.push(0);
        Self(bytes)
    }

    pub(crate) fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }
}

impl fmt::Debug for Text {
    /// Without the text, which may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text")
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<&Secret> for Text {
    fn from(secret: &Secret) -> Self {
        Self::new(secret.reveal())
    }
}

/// What a text that may be missing looks like to C.
pub(crate) fn pointer(text: Option<&Text>) -> *const c_char {
    text.map_or(std::ptr::null(), Text::as_ptr)
}

/// A string that the library made and the caller owns.
///
///   kat_string *ks = NULL;
///   if (kat_ks_sign(params, secret, 2, &ks, NULL) == KAT_STATUS_OK) {
///       puts(kat_string_text(ks));
///       kat_string_free(ks);
///   }
#[derive(Debug)]
pub struct kat_string(Text);

impl From<&Secret> for kat_string {
    fn from(secret: &Secret) -> Self {
        Self(secret.into())
    }
}

/// The text: UTF-8 with a NUL at its end, valid until kat_string_free. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_string_text(string: *const kat_string) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(string, |string| string.0.as_ptr()) }
}

/// Wipes and frees a string. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_string_free(string: *mut kat_string) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(string) }
}
