//! Random bytes and chance, from the operating system. Knows nothing of what they are for.

use crate::error::{Error, Result};

/// Bytes that nobody can guess.
///
/// # Errors
/// `Config` when the operating system has none to give.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::config(format!(
            "the operating system gave no random bytes: {error}"
        ))
    })?;
    Ok(bytes)
}

/// A number from 0 to 1.
pub(crate) fn chance() -> f64 {
    // Without randomness the waits are merely all alike.
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_lies_between_zero_and_one() {
        for _ in 0..1000 {
            assert!((0.0..=1.0).contains(&chance()));
        }
    }
}
