//! Replacing tokens: the order of things, what is handed over, and what is left after a crash.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod crash;
mod doubt;
mod every_write;
#[path = "../forward/mod.rs"]
mod forward;
mod hand_over;
mod order;
mod own_successor;
mod proof;
mod tools;
