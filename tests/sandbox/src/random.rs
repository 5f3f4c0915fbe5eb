//! Random identifiers from the operating system.

const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Fills a buffer; a system without randomness cannot run a sandbox, so that is a panic.
pub(crate) fn fill(buffer: &mut [u8]) {
    if let Err(error) = getrandom::fill(buffer) {
        panic!("the operating system gave no randomness: {error}");
    }
}

/// `bytes` random bytes as lower-case hex.
pub(crate) fn hex(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    fill(&mut buffer);
    hex::encode(buffer)
}

/// Sixteen random bytes.
pub(crate) fn block() -> [u8; 16] {
    let mut buffer = [0; 16];
    fill(&mut buffer);
    buffer
}

/// `length` characters of 0-9 and a-z.
pub(crate) fn alphanumeric(length: usize) -> String {
    let mut buffer = vec![0; length];
    fill(&mut buffer);
    buffer
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}

/// A number from 0 up to, not including, 1.
pub(crate) fn unit() -> f64 {
    let mut buffer = [0; 4];
    fill(&mut buffer);
    f64::from(u32::from_le_bytes(buffer)) / (f64::from(u32::MAX) + 1.0)
}
