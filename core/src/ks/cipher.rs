//! The hash and the key of a KS.

use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::secret::Secret;

pub(super) const BLOCK: usize = 16;
pub(super) const HASH: usize = 20;
pub(super) const ZERO_IV: [u8; BLOCK] = [0; BLOCK];

pub(super) fn sha1(parts: &[&[u8]]) -> [u8; HASH] {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

pub(super) fn key_of(secret: &Secret) -> Zeroizing<[u8; BLOCK]> {
    let hash = Zeroizing::new(sha1(&[secret.reveal().as_bytes()]));
    let mut key = Zeroizing::new([0; BLOCK]);
    key.copy_from_slice(&hash[..BLOCK]);
    key
}
