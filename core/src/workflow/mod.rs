//! What takes several calls: replacing tokens ([`Rotator`]), finding or creating one ([`ensure`]), judging
//! them ([`audit`]) and deleting many ([`revoke`]).
//!
//! Each works over the client alone. Nothing here knows the wire, or which program shows what it answers.

mod audit;
mod ensure;
mod revoke;
mod rotate;
mod tokens;

pub use audit::{Audit, Finding, Fix, Severity, audit, audit_tokens};
pub use ensure::{Ensured, ensure};
pub use revoke::{
    RevocationFilter, RevocationPlan, RevocationTarget, Revoked, plan_revocation, revoke,
};
pub use rotate::{
    CommandSink, FileSink, HandOver, Journal, JournalEntry, OldToken, Refusal, Resume,
    RotateOptions, Rotated, RotationState, RotationStep, Rotator, Sink, WayOut, WriterSink,
};
