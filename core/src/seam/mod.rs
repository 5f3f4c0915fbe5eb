//! The only places that ask the operating system for something: one file for each kind of thing. They
//! know nothing of what it is for.

pub(crate) mod disk;
pub(crate) mod environment;
pub(crate) mod random;
pub(crate) mod sync;
pub(crate) mod trust;
