//! Replacing tokens without downtime.
//!
//! Deleting a token ends its sessions at once on the reference server, so a rotation keeps the guide's
//! order (section 8): create, hand over, verify, and only then delete.

mod journal;
mod options;
mod proof;
mod rotator;
mod sink;
mod successor;

pub use journal::{Journal, JournalEntry};
pub use options::{
    OldToken, Refusal, Resume, RotateOptions, Rotated, RotationState, RotationStep, WayOut,
};
pub(super) use proof::privilege_set;
pub use rotator::Rotator;
pub use sink::{CommandSink, FileSink, HandOver, Sink, WriterSink};
