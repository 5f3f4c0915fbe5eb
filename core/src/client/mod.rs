//! The client: what the API's actions are asked with, and everything that decides what is sent, with
//! which session and how often.

mod admin_session;
mod builder;
#[expect(
    clippy::module_inception,
    reason = "the folder's files are layers, and the topmost is the client itself"
)]
mod client;
mod exchange;
mod in_doubt;
mod sender;
mod walk;

pub use admin_session::AdminSession;
pub use builder::ClientBuilder;
pub use client::Client;
pub use exchange::token_hash;
pub use walk::Tokens;

pub(crate) use exchange::dead_at_birth;
