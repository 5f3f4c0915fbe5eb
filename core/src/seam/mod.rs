//! Where the operating system is asked for what is not ours: files, variables, and who may change a file.
//! Knows nothing of Kaltura, of accounts or of requests.

pub(crate) mod disk;
pub(crate) mod environment;
pub(crate) mod trust;
