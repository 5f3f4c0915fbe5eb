//! The only places that ask the operating system for what is not the network's: files, variables and
//! locks. Knows nothing of tokens.

pub(crate) mod disk;
