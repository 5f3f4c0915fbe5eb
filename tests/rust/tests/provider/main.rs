//! Sessions that are kept, renewed in time and replaced when they are refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod caches;
mod failures;
mod gets;
mod landing;
mod outages;
mod panics;
mod proofs;
mod refusals;
mod renewals;
mod runtimes;
mod sources;
mod stalls;
#[path = "../stub/mod.rs"]
mod stub;
#[path = "../virtual_time/mod.rs"]
mod virtual_time;
mod world;
