//! What a rotation is asked for, the points on its way, and what it answers. Knows neither the journal nor
//! the rotator.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::model::HashType;

/// What becomes of the old token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OldToken {
    /// It stays; [`Rotated::finish`] is the command that deletes it.
    #[default]
    Keep,
    /// It is deleted as soon as the new one was handed over and verified once more.
    DeleteNow,
    /// It is deleted this long after the hand-over, and the rotation waits for it. Whole seconds.
    DeleteAfter(Duration),
}

/// What a rotation is to change. By default the new token has the properties of the old one, and the
/// old one stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotateOptions {
    /// The new token's hash type; unset, the old one's.
    pub hash_type: Option<HashType>,
    /// The new token's expiry in unix seconds; unset, the old one's.
    pub expiry: Option<i64>,
    /// What becomes of the old token.
    pub old: OldToken,
}

/// How [`Rotator::resume`] ends what was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Goes on to the end.
    Finish,
    /// Deletes the new tokens that nobody can have got yet.
    Undo,
}

/// A point on the way of a rotation, for progress and for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RotationStep {
    /// The old token was read.
    Read,
    /// The intent is in the journal.
    Intended,
    /// The server has created the new token.
    Created,
    /// The new token's id is in the journal.
    Named,
    /// The mark of the rotation is out of the new token's description.
    Unmarked,
    /// The new token was exchanged and gives what the old one gives.
    Proved,
    /// The journal says that the sink is about to be given the new token.
    Delivering,
    /// The sink has taken the new token.
    Delivered,
    /// The hand-over is in the journal.
    HandedOver,
    /// The new token was exchanged once more, just before the old one goes.
    Verified,
    /// The server has deleted the old token.
    Deleted,
    /// The journal says that nothing is left to be done.
    Finished,
    /// The new token was deleted again.
    Undone,
}

impl RotationStep {
    /// Every step, in the order of the way. [`RotationStep::Undone`] ends a way early.
    pub const ALL: [Self; 13] = [
        Self::Read,
        Self::Intended,
        Self::Created,
        Self::Named,
        Self::Unmarked,
        Self::Proved,
        Self::Delivering,
        Self::Delivered,
        Self::HandedOver,
        Self::Verified,
        Self::Deleted,
        Self::Finished,
        Self::Undone,
    ];

    /// A word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Intended => "intended",
            Self::Created => "created",
            Self::Named => "named",
            Self::Unmarked => "unmarked",
            Self::Proved => "proved",
            Self::Delivering => "delivering",
            Self::Delivered => "delivered",
            Self::HandedOver => "handed over",
            Self::Verified => "verified",
            Self::Deleted => "deleted",
            Self::Finished => "finished",
            Self::Undone => "undone",
        }
    }
}

/// What one rotation came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rotated {
    /// The token that was to be replaced.
    pub old_id: String,
    /// The token that replaces it, once it is known.
    pub new_id: Option<String>,
    /// How far it came; `None`: nothing was begun.
    pub state: Option<RotationState>,
    /// Whether the old token is deleted.
    pub old_deleted: bool,
    /// Why it did not come to its end.
    pub error: Option<Error>,
    /// The ways on, the best one first; empty when nothing is left to be done.
    pub ways_out: Vec<WayOut>,
}

/// What can be done about a rotation that is not at its end, or whose old token is still there. Every
/// surface has its own words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WayOut {
    /// [`Rotator::resume`](crate::Rotator::resume) with [`Resume::Finish`].
    Resume,
    /// The same with [`Resume::Undo`]: the new token is deleted, which nobody can have yet.
    Undo,
    /// Where it is known that nobody uses the new token: deleting it, and then [`Resume::Undo`].
    DeleteNewAndUndo,
    /// Deleting the old token, once nobody uses it.
    DeleteOld,
}

/// One reason why rotations did not come to their end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The reason.
    pub error: Error,
    /// The old tokens of the rotations that it ended.
    pub old_ids: Vec<String>,
    /// The ways on that all of them have.
    pub ways_out: Vec<WayOut>,
}

impl Rotated {
    /// Why rotations did not come to their end, each reason once with all the tokens that it concerns.
    ///
    /// ```
    /// # let rotated = Vec::new();
    /// for refusal in kaltura_app_token::Rotated::refusals(&rotated) {
    ///     eprintln!("{}: {}", refusal.old_ids.join(", "), refusal.error);
    /// }
    /// ```
    #[must_use]
    pub fn refusals(rotated: &[Self]) -> Vec<Refusal> {
        let mut refusals: Vec<Refusal> = Vec::new();
        for one in rotated {
            let Some(error) = &one.error else { continue };
            let is_it = |refusal: &&mut Refusal| {
                let known = &refusal.error;
                (known.kind(), known.message(), known.hint())
                    == (error.kind(), error.message(), error.hint())
                    && refusal.ways_out == one.ways_out
            };
            match refusals.iter_mut().find(is_it) {
                Some(refusal) => refusal.old_ids.push(one.old_id.clone()),
                None => refusals.push(Refusal {
                    error: error.clone(),
                    old_ids: vec![one.old_id.clone()],
                    ways_out: one.ways_out.clone(),
                }),
            }
        }
        refusals
    }
}

/// How far a rotation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RotationState {
    /// A token is about to be created, or was.
    Intended,
    /// The new token's id is known.
    Created,
    /// The new token gives what the old one gives.
    Proved,
    /// The new token is about to be handed over, or was: from here on somebody may have it.
    Delivering,
    /// Somebody has the new token.
    HandedOver,
    /// Nothing is left to be done.
    Done,
    /// The new token is deleted again.
    Undone,
}

impl RotationState {
    /// A word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Created => "created",
            Self::Proved => "proved",
            Self::Delivering => "delivering",
            Self::HandedOver => "handed over",
            Self::Done => "done",
            Self::Undone => "undone",
        }
    }
}

/// Called with the old token's id at every step.
pub(super) type Progress<'a> = dyn Fn(&str, RotationStep) + Sync + 'a;
