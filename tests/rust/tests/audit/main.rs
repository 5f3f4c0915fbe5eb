//! Judging tokens, finding or creating them, and revoking them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ensuring;
#[path = "../forward/mod.rs"]
mod forward;
mod judging;
mod revoking;
mod tools;
