//! What is done about a key's session: handed out, renewed, waited for, refused. Pure: a state and an
//! event make another state and what is to be done. Time and chance come with the event; locks, clocks,
//! the cache, the token source and the client are the driver's.

use std::time::Duration;

use crate::clock::millis;
use crate::error::{Error, KsFailure};
use crate::retry::backoff;

/// How far a renewal is moved, so that not everybody renews at the same moment: this part of what is
/// left of the session.
const JITTER: f64 = 0.1;
/// The wait after a failed exchange or a refused replacement: doubled for each following one, up to the
/// longest.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// The wait after a session was refused as ended: its token's next ones most likely are, too.
const LOGGED_OUT_BACKOFF: Duration = Duration::from_secs(60);
/// How long it takes to ask the token source again while minting has to wait.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long refusals and failures are remembered beyond their wait.
const REMEMBER: Duration = Duration::from_secs(600);

/// The time of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// By the clock that never goes back.
    pub(super) steady: Duration,
    /// The server's time in unix milliseconds, what it likely is and the latest that it can be.
    pub(super) likely: i64,
    pub(super) latest: i64,
}

/// The life of a session that is kept, in unix milliseconds by the server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) started: i64,
    pub(super) expires: i64,
}

impl Life {
    /// What is left of it at the latest time that it can be.
    pub(super) fn left(self, now: &Now) -> i64 {
        self.expires.saturating_sub(now.latest)
    }

    /// Whether it can still be used, for this long at least.
    pub(super) fn is_good(self, now: &Now, min_remaining: i64) -> bool {
        self.left(now) > 0 && self.left(now) >= min_remaining
    }

    /// Whether it is time for another one: when this part of the life is left, a little sooner or later.
    /// `number`, from 0 to 1, is to stay the same for the same session.
    fn is_due(self, now: &Now, renew_when_left: f64, number: f64) -> bool {
        let whole = self
            .expires
            .saturating_sub(self.started)
            .max(0)
            .unsigned_abs();
        let margin = Duration::from_millis(whole).mul_f64(renew_when_left);
        let margin = margin.mul_f64(1.0 - JITTER + 2.0 * JITTER * number);
        self.expires.saturating_sub(now.likely) <= millis(margin)
    }
}

/// The credentials of a minting, without their value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) id: String,
    /// What tells them from others.
    pub(super) fingerprint: u64,
}

/// What happens to a key.
#[derive(Debug)]
pub(super) enum Event<'a> {
    /// A caller wants a session.
    Asked {
        /// The one that is kept.
        kept: Option<Life>,
        /// How long it is to be good for.
        min_remaining: i64,
        /// The part of its life that is left when a session is renewed.
        renew_when_left: f64,
        /// A number of this session's from 0 to 1.
        number: f64,
        /// Whether a minting is under way.
        under_way: bool,
    },
    /// A minting has its credentials.
    Sourced { token: &'a Token },
    /// There is a session: one that replaces a session which lived until then, or the first.
    Minted { replaces: bool },
    /// A minting failed.
    Failed {
        token: &'a Token,
        error: &'a Error,
        /// The session that goes on meanwhile.
        kept: Option<Life>,
        /// A number from 0 to 1.
        chance: f64,
    },
    /// A caller has what the minting came to.
    Landed {
        session: Life,
        /// Whether it was minted just now, rather than found where somebody else kept it.
        is_fresh: bool,
        min_remaining: i64,
    },
    /// A caller says that the API refused a session.
    Rejected {
        reason: KsFailure,
        error: &'a Error,
        /// What tells its KS from others.
        ks: u64,
        /// The session that is kept now: the id of its token, and what tells its KS from others.
        kept: Option<(&'a str, u64)>,
        /// Whether the session was at its end anyway.
        has_expired: bool,
        /// A number from 0 to 1.
        chance: f64,
    },
}

/// What is to be done about it.
#[derive(Debug)]
pub(super) enum Action {
    /// Nothing more.
    Nothing,
    /// Hand out the session at hand.
    HandOut,
    /// Hand it out although it does not live for as long as it should.
    HandOutShort,
    /// Renew the session at hand, and hand it out when that takes long.
    Renew,
    /// Wait for the minting that is under way, or begin one.
    Wait,
    /// Mint a session with these credentials.
    Mint,
    /// Ask again, with another session than this one.
    Again,
    /// Forget the session that was refused, if it is still kept, and hand out another.
    Replace,
    /// Hand out another only if the token source has another token. The session that was refused is
    /// forgotten, or kept for others.
    FindToken { forget: bool },
    /// Say no.
    Refuse(Error),
}

/// What is remembered of a key; nothing of one whose sessions are fine.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyState {
    failure: Option<Failure>,
    refusal: Option<Refusal>,
    shortfall: Option<Shortfall>,
    /// When the source may be asked again while minting has to wait, by the steady clock.
    look_at: Duration,
}

/// How often in a row something went wrong, and until when to wait, by the steady clock.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    count: u32,
    until: Duration,
}

impl Backoff {
    fn is_recent(self, now: &Now) -> bool {
        now.steady < self.until.saturating_add(REMEMBER)
    }

    fn left(self, now: &Now) -> Option<Duration> {
        let left = self.until.checked_sub(now.steady);
        left.filter(|left| !left.is_zero())
    }
}

/// With these credentials no session could be minted.
#[derive(Clone, Debug)]
struct Failure {
    backoff: Backoff,
    error: Error,
    token: Token,
}

/// A session of this token was refused by the API, and replaced.
#[derive(Clone, Debug)]
struct Refusal {
    backoff: Backoff,
    /// Unknown of a session that was not kept any more.
    token_id: Option<String>,
    ks: u64,
}

/// A fresh session did not live for as long as was wanted.
#[derive(Clone, Copy, Debug)]
struct Shortfall {
    /// What was left of it.
    most: i64,
    noted: Duration,
}

impl KeyState {
    /// The state and the action that follow.
    pub(super) fn step(mut self, event: &Event<'_>, now: &Now) -> (Self, Action) {
        let action = match *event {
            Event::Asked {
                kept,
                min_remaining,
                renew_when_left,
                number,
                under_way,
            } => {
                let good = kept.filter(|kept| kept.is_good(now, self.attainable(min_remaining)));
                let due = good.is_none_or(|good| good.is_due(now, renew_when_left, number));
                self.asked(good.is_some(), due, under_way, now)
            }
            Event::Sourced { token } => match self.obstacle(now, Some(token)) {
                Some(error) => Action::Refuse(error),
                None => Action::Mint,
            },
            Event::Minted { replaces } => {
                self.failure = None;
                // A session that lived until it was renewed was good: that ends a row of refusals.
                self.refusal.take_if(|_| replaces);
                Action::Nothing
            }
            Event::Failed {
                token,
                error,
                kept,
                chance,
            } => {
                self.failed(token, error, kept, chance, now);
                Action::Nothing
            }
            Event::Landed {
                session,
                is_fresh,
                min_remaining,
            } => self.landed(session, is_fresh, min_remaining, now),
            Event::Rejected {
                reason,
                error,
                ks,
                kept,
                has_expired,
                chance,
            } => match (reason, kept) {
                (
                    KsFailure::RestrictedIp | KsFailure::RestrictedUri | KsFailure::NotAccepted,
                    _,
                )
                | (KsFailure::LoggedOut, None) => Action::Refuse(error.clone()),
                (KsFailure::Expired | KsFailure::LoggedOut, kept)
                    if !has_expired && kept.is_none_or(|(_, current)| current == ks) =>
                {
                    let wait = move |first, count| backoff(first, count, LONGEST_BACKOFF, chance);
                    let token_id = kept.map(|(token_id, _)| token_id);
                    self.rejected(reason, error, (token_id, ks), wait, now)
                }
                // It has been replaced, has lived its life, or has done what it was for.
                _ => Action::Replace,
            },
        };
        (self, action)
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_empty(&self) -> bool {
        self.failure.is_none() && self.refusal.is_none() && self.shortfall.is_none()
    }

    /// Whether minting has to wait.
    pub(super) fn backs_off(&self, now: &Now) -> bool {
        self.obstacle(now, None).is_some()
    }

    /// Why no session could be minted when that was tried last.
    pub(super) fn failure(&self) -> Option<&Error> {
        self.failure.as_ref().map(|failure| &failure.error)
    }

    /// Forgets what is old.
    pub(super) fn forget_old(&mut self, now: &Now) {
        self.failure.take_if(|it| !it.backoff.is_recent(now));
        self.refusal.take_if(|it| !it.backoff.is_recent(now));
        self.shortfall
            .take_if(|it| now.steady >= it.noted.saturating_add(REMEMBER));
    }

    /// What can be had of a wish: one that no session fulfils must not mint one with every call.
    pub(super) fn attainable(&self, min_remaining: i64) -> i64 {
        match self.shortfall {
            Some(shortfall) if shortfall.most < min_remaining => 0,
            _ => min_remaining,
        }
    }

    fn asked(&mut self, is_good: bool, is_due: bool, under_way: bool, now: &Now) -> Action {
        if is_good && !is_due {
            return Action::HandOut;
        }
        let obstacle = self.obstacle(now, None);
        match (obstacle, is_good) {
            (None, true) if under_way => Action::HandOut,
            (None, true) => Action::Renew,
            (None, false) => Action::Wait,
            (Some(_), true) => Action::HandOut,
            // Whether the source has another token is for one caller to find out.
            (Some(error), false) if under_way || now.steady < self.look_at => Action::Refuse(error),
            (Some(_), false) => {
                self.look_at = now.steady.saturating_add(LOOK_AGAIN);
                Action::Wait
            }
        }
    }

    fn landed(&mut self, session: Life, is_fresh: bool, min_remaining: i64, now: &Now) -> Action {
        if session.is_good(now, self.attainable(min_remaining)) {
            return Action::HandOut;
        }
        // One that has ended meanwhile is nobody's: its caller may have been left half-way, or a cache slow.
        if !is_fresh || session.left(now) <= 0 {
            return Action::Again;
        }
        if min_remaining > 0 {
            self.shortfall = Some(Shortfall {
                most: session.left(now),
                noted: now.steady,
            });
        }
        Action::HandOutShort
    }

    fn failed(&mut self, token: &Token, error: &Error, kept: Option<Life>, chance: f64, now: &Now) {
        let before = self
            .failure
            .as_ref()
            .filter(|failure| failure.backoff.is_recent(now) && failure.token == *token);
        let count = before.map_or(1, |failure| failure.backoff.count.saturating_add(1));
        let mut wait = backoff(FIRST_BACKOFF, count, LONGEST_BACKOFF, chance);
        if let Some(kept) = kept.filter(|kept| kept.is_good(now, 0)) {
            // Once it has ended there is nothing to go on with: that is worth another try.
            wait = wait.min(Duration::from_millis(kept.left(now).unsigned_abs()));
        }
        let wait = wait.max(error.retry_after().unwrap_or_default());
        self.failure = Some(Failure {
            backoff: Backoff {
                count,
                until: now.steady.saturating_add(wait),
            },
            error: error.clone(),
            token: token.clone(),
        });
        self.look_at = now.steady;
    }

    /// A refusal by one caller takes the session from the others only when it is time for another one:
    /// if they find it good, they go on with it.
    fn rejected(
        &mut self,
        reason: KsFailure,
        error: &Error,
        (token_id, ks): (Option<&str>, u64),
        wait: impl Fn(Duration, u32) -> Duration,
        now: &Now,
    ) -> Action {
        let before = self.refusal.as_ref().filter(|refusal| {
            // One that is not kept any more may be of the same token.
            let is_another = token_id
                .zip(refusal.token_id.as_deref())
                .is_some_and(|(now, before)| now != before);
            refusal.backoff.is_recent(now) && !is_another
        });
        let is_known = before.is_some_and(|refusal| refusal.ks == ks);
        if !is_known {
            if let Some(left) = before.and_then(|refusal| refusal.backoff.left(now)) {
                if token_id.is_none() || now.steady < self.look_at {
                    return Action::Refuse(not_before(error, left));
                }
                self.look_at = now.steady.saturating_add(LOOK_AGAIN);
                return Action::FindToken { forget: false };
            }
            let first = match reason {
                KsFailure::LoggedOut => LOGGED_OUT_BACKOFF,
                _ => FIRST_BACKOFF,
            };
            let count = before.map_or(1, |refusal| refusal.backoff.count.saturating_add(1));
            self.refusal = Some(Refusal {
                backoff: Backoff {
                    count,
                    until: now.steady.saturating_add(wait(first, count)),
                },
                token_id: token_id.map(str::to_owned),
                ks,
            });
            self.look_at = now.steady;
        }
        match reason {
            KsFailure::LoggedOut => Action::FindToken { forget: true },
            _ => Action::Replace,
        }
    }

    /// What makes it too early to mint once more: with this token, where it is known.
    fn obstacle(&self, now: &Now, token: Option<&Token>) -> Option<Error> {
        let failure = self.failure.as_ref()?;
        if token.is_some_and(|token| *token != failure.token) {
            return None;
        }
        let left = failure.backoff.left(now)?;
        Some(not_before(&failure.error, left))
    }
}

/// The same error, which says when the next try is.
fn not_before(error: &Error, left: Duration) -> Error {
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    let next =
        format!("the next try is in {seconds} s, or when the token source has another token");
    let hint = match error.hint() {
        Some(hint) => format!("{hint}; {next}"),
        None => next,
    };
    let error = error.clone().with_hint(hint);
    error.with_retry_after(Some(left))
}

#[cfg(test)]
#[path = "decide/tests.rs"]
mod tests;
