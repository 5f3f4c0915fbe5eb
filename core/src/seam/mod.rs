//! The only places that ask the operating system for something: one file for each kind of thing. They
//! know nothing of what it is for.

pub(crate) mod sync;
