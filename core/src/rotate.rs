//! Replacing tokens without downtime: [`Rotator`], and beside it finding or creating ([`ensure`]) and
//! revoking ([`revoke`]). Workflows over the client; nothing here knows the wire.
//!
//! Deleting a token ends its sessions at once on the reference server, so a rotation keeps the guide's
//! order (section 8): create, hand over, verify, and only then delete.

mod ensure;
mod journal;
mod revoke;
mod sink;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use futures_util::StreamExt;

use crate::client::Client;
use crate::error::{ApiCode, Error, ErrorKind, Result};
use crate::model::{
    AppToken, HashType, ListOptions, NewToken, Session, SessionRequest, SessionType, TokenField,
    TokenFilter, TokenStatus, TokenUpdate,
};
use crate::privileges::Privileges;

pub use ensure::{Ensured, ensure};
pub use journal::{Journal, JournalEntry, RotationState};
pub use revoke::{
    RevocationFilter, RevocationPlan, RevocationTarget, Revoked, plan_revocation, revoke,
};
pub use sink::{CommandSink, FileSink, HandOver, Sink, WriterSink};

/// How far before the moment of asking a token in doubt may have been created.
const LOOK_BACK_SECONDS: i64 = 600;
const DEFAULT_CONCURRENCY: usize = 4;

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
    /// The command that finishes, as its words; empty when nothing is left to be done.
    pub finish: Vec<String>,
}

type Progress<'a> = dyn Fn(&str, RotationStep) + Sync + 'a;

/// Replaces tokens by new ones with the same properties.
///
/// The way of each: read the old token; write the intent to the journal; create; exchange the new token
/// and compare the effective privileges, type and user with the old one's; hand it over to the sink;
/// and, where that is asked for, exchange it again and delete the old one. Each step is in the journal
/// before the next begins, so that [`Rotator::resume`] can go on after a crash at any point. While its
/// id is not in the journal a new token bears the rotation's mark in its description, by which it is
/// found again. The hand-over happens at least once: after a crash in the middle of it, twice.
///
/// ```no_run
/// use kaltura_app_token::{Client, FileSink, Journal, OldToken, RotateOptions, Rotator};
///
/// # async fn run(client: Client) -> kaltura_app_token::Result<()> {
/// let journal = Journal::open("rotation.journal")?;
/// let sink = FileSink::new("/run/secrets/kaltura.json");
/// let mut options = RotateOptions::default();
/// options.old = OldToken::Keep;
/// for rotated in Rotator::new(&client, &journal, &sink).rotate(&["1_ab12cd34"], &options).await? {
///     println!("{} is replaced; finish with: {:?}", rotated.old_id, rotated.finish);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens before rotate() or resume()"]
pub struct Rotator<'a> {
    client: &'a Client,
    journal: &'a Journal,
    sink: &'a dyn Sink,
    progress: &'a Progress<'a>,
    concurrency: usize,
}

impl fmt::Debug for Rotator<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotator")
            .field("client", self.client)
            .field("journal", self.journal)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

impl<'a> Rotator<'a> {
    /// A rotator that works on four tokens at a time.
    pub fn new(client: &'a Client, journal: &'a Journal, sink: &'a dyn Sink) -> Self {
        Self {
            client,
            journal,
            sink,
            progress: &|_, _| {},
            concurrency: DEFAULT_CONCURRENCY,
        }
    }

    /// Calls this with the old token's id at every step.
    pub fn progress(mut self, progress: &'a Progress<'a>) -> Self {
        self.progress = progress;
        self
    }

    /// How many tokens to work on at a time; 0 counts as 1.
    pub fn concurrency(mut self, tokens: usize) -> Self {
        self.concurrency = tokens.max(1);
        self
    }

    /// Replaces these tokens, and says of each in the same order what came of it. The failure of one
    /// does not keep the others from going on.
    ///
    /// # Errors
    /// `Config` before anything was begun: no tokens, one named twice or already under way in the
    /// journal, or more than the sink can take.
    pub async fn rotate<S: AsRef<str>>(
        &self,
        ids: &[S],
        options: &RotateOptions,
    ) -> Result<Vec<Rotated>> {
        if let OldToken::DeleteAfter(wait) = options.old {
            crate::wire::seconds("delete after", wait)?;
        }
        let mut seen = BTreeSet::new();
        let under_way = self.journal.unfinished();
        for id in ids {
            let id = id.as_ref().trim();
            // The server does not tell small letters from capitals.
            if id.is_empty() || !seen.insert(id.to_ascii_lowercase()) {
                return Err(Error::config(format!(
                    "token {id:?} is empty or named twice"
                )));
            }
            let is_it = |entry: &JournalEntry| entry.old_id.eq_ignore_ascii_case(id);
            if under_way.iter().any(is_it) {
                return Err(Error::config(format!(
                    "the journal already has a rotation of token {id} that is not finished"
                ))
                .with_hint("resume it first"));
            }
        }
        if seen.is_empty() {
            return Err(Error::config("there is no token to rotate"));
        }
        self.sink.check(seen.len())?;
        let begun = ids.iter().map(|id| {
            let id = id.as_ref().trim();
            async move {
                match self.begin(id, options).await {
                    Ok(entry) => self.hand_over(entry, Begin::Fresh).await,
                    Err(error) => (None, failed(id, error)),
                }
            }
        });
        Ok(self.run(begun.collect()).await)
    }

    /// Ends the rotations that the journal has as unfinished, and says of each what came of it.
    ///
    /// A new token whose hand-over was begun is never deleted, because it may be in use: undoing such a
    /// rotation is refused.
    ///
    /// # Errors
    /// `Config` before anything was begun: the journal is of another account, or the sink cannot take
    /// so many.
    pub async fn resume(&self, how: Resume) -> Result<Vec<Rotated>> {
        let entries = self.journal.unfinished();
        for entry in &entries {
            if entry.partner_id != self.client.partner_id() {
                return Err(Error::config(format!(
                    "the journal's rotation of token {} is of account {}, not of this one",
                    entry.old_id,
                    entry.partner_id.unwrap_or_default()
                )));
            }
        }
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        match how {
            Resume::Finish => {
                self.sink.check(entries.len())?;
                let resumed = entries
                    .into_iter()
                    .map(|entry| self.hand_over(entry, Begin::Again));
                Ok(self.run(resumed.collect()).await)
            }
            Resume::Undo => {
                let undone = entries.into_iter().map(|entry| async move {
                    let mut entry = entry;
                    let result = self.undo(&mut entry).await;
                    (None, self.rotated(&entry, result.err()))
                });
                Ok(self.run(undone.collect()).await)
            }
        }
    }

    /// Carries rotations to the hand-over, so many at a time, and then deletes what is to be deleted,
    /// the earliest due first, so that waiting for one holds up no other's hand-over.
    async fn run<F>(&self, jobs: Vec<F>) -> Vec<Rotated>
    where
        F: Future<Output = (Option<JournalEntry>, Rotated)>,
    {
        let jobs = jobs
            .into_iter()
            .enumerate()
            .map(|(at, job)| async move { (at, job.await) });
        let mut done: Vec<_> = futures_util::stream::iter(jobs)
            .buffer_unordered(self.concurrency)
            .collect()
            .await;
        done.sort_by_key(|(at, _)| *at);
        let (mut pending, mut outcomes) = (Vec::new(), Vec::new());
        for (at, (entry, outcome)) in done {
            pending.extend(entry.map(|entry| (at, entry)));
            outcomes.push(outcome);
        }
        pending.sort_by_key(|(_, entry)| entry.delete_at);
        for (at, mut entry) in pending {
            let result = self.delete_old(&mut entry).await;
            outcomes[at] = self.rotated(&entry, result.err());
        }
        outcomes
    }

    /// Reads the old token and writes the intent.
    async fn begin(&self, id: &str, options: &RotateOptions) -> Result<JournalEntry> {
        let old = self.client.get_token(id).await?;
        (self.progress)(id, RotationStep::Read);
        let entry = JournalEntry {
            rotation: new_mark()?,
            state: RotationState::Intended,
            partner_id: self.client.partner_id(),
            old_id: old.id.clone(),
            new_id: None,
            earlier_marks: Vec::new(),
            asked_at: self.client.server_now(),
            hash_type: options
                .hash_type
                .as_ref()
                .map(|hash| hash.as_str().to_owned()),
            expiry: options.expiry,
            old: options.old,
            delete_at: None,
        };
        // What cannot be created is refused before anything is written.
        self.client.preview_add(&successor(&old, &entry)?)?;
        self.journal.write(&entry)?;
        (self.progress)(id, RotationStep::Intended);
        Ok(entry)
    }

    /// From wherever the rotation is to the hand-over. Answers the entry too when the old token is
    /// still to be deleted.
    async fn hand_over(
        &self,
        entry: JournalEntry,
        begin: Begin,
    ) -> (Option<JournalEntry>, Rotated) {
        let mut entry = entry;
        let result = self.advance(&mut entry, begin).await;
        let outcome = self.rotated(&entry, result.err());
        let deletes = outcome.error.is_none() && entry.state == RotationState::HandedOver;
        (deletes.then_some(entry), outcome)
    }

    async fn advance(&self, entry: &mut JournalEntry, begin: Begin) -> Result<()> {
        let mut new = None;
        if entry.state == RotationState::Intended {
            let created = match begin {
                Begin::Fresh => self.create(entry).await?,
                Begin::Again => self.find_or_create(entry).await?,
            };
            (self.progress)(&entry.old_id, RotationStep::Created);
            entry.new_id = Some(created.id.clone());
            self.write(entry, RotationState::Created, RotationStep::Named)?;
            new = Some(created);
        }
        if entry.state == RotationState::Created {
            let new = match new.take() {
                Some(new) => new,
                None => self.client.get_token(entry.new_id()?).await?,
            };
            self.unmark(entry, &new).await?;
            (self.progress)(&entry.old_id, RotationStep::Unmarked);
            if let Err(error) = self.prove(entry, &new).await {
                // A token that does not do what the old one does is of no use, and nobody has it yet.
                if is_final(&error) {
                    self.undo(entry).await?;
                }
                return Err(error);
            }
            self.write(entry, RotationState::Proved, RotationStep::Proved)?;
        }
        if matches!(
            entry.state,
            RotationState::Proved | RotationState::Delivering
        ) {
            let new = self.client.get_token(entry.new_id()?).await?;
            if entry.state == RotationState::Proved {
                self.write(entry, RotationState::Delivering, RotationStep::Delivering)?;
            }
            self.deliver(entry, &new)?;
            (self.progress)(&entry.old_id, RotationStep::Delivered);
            entry.delete_at = match entry.old {
                OldToken::Keep => None,
                OldToken::DeleteNow => Some(self.client.server_now()),
                OldToken::DeleteAfter(wait) => {
                    let wait = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
                    Some(self.client.server_now().saturating_add(wait))
                }
            };
            self.write(entry, RotationState::HandedOver, RotationStep::HandedOver)?;
        }
        if entry.old == OldToken::Keep {
            self.finish(entry).await?;
        }
        Ok(())
    }

    async fn create(&self, entry: &JournalEntry) -> Result<AppToken> {
        let old = self.client.get_token(&entry.old_id).await?;
        match self.client.add_token(&successor(&old, entry)?).await {
            // The mark is nobody else's, so a candidate is the one.
            Err(error) if error.candidate_ids().len() == 1 => {
                self.client.get_token(&error.candidate_ids()[0]).await
            }
            created => created,
        }
    }

    /// After a crash: the token that bears the mark, or a new one with another mark.
    async fn find_or_create(&self, entry: &mut JournalEntry) -> Result<AppToken> {
        if let Some(found) = self.find_marked(entry).await?.first() {
            return self.client.get_token(&found.id).await;
        }
        // Nothing proves that the first request will not be carried out after all. Its mark stays in
        // the journal, and whatever bears it is deleted in the end.
        let mark = std::mem::replace(&mut entry.rotation, new_mark()?);
        entry.earlier_marks.push(mark);
        self.journal.write(entry)?;
        self.create(entry).await
    }

    /// The tokens whose description ends in one of the rotation's marks.
    async fn find_marked(&self, entry: &JournalEntry) -> Result<Vec<AppToken>> {
        let filter = TokenFilter {
            created_at_greater_than_or_equal: Some(entry.asked_at - LOOK_BACK_SECONDS),
            ..TokenFilter::default()
        };
        let mut found = all_tokens(self.client, filter).await?;
        found.retain(|token| {
            let description = token.description.as_deref().unwrap_or_default();
            entry
                .marks()
                .any(|mark| description.ends_with(&marked("", mark)))
        });
        Ok(found)
    }

    /// Gives the new token the old one's description.
    async fn unmark(&self, entry: &JournalEntry, new: &AppToken) -> Result<()> {
        let description = new.description.as_deref().unwrap_or_default();
        let plain = entry
            .marks()
            .find_map(|mark| description.strip_suffix(&marked("", mark)));
        let update = match plain {
            None => return Ok(()),
            Some("") => TokenUpdate::new().clear(TokenField::Description),
            Some(plain) => TokenUpdate::new().description(plain.strip_suffix(' ').unwrap_or(plain)),
        };
        self.client.update_token(&new.id, &update).await?;
        Ok(())
    }

    /// A real exchange of the new token, and a comparison of what it gives with what the old one gives.
    async fn prove(&self, entry: &JournalEntry, new: &AppToken) -> Result<()> {
        let session = self.exchange(new).await?;
        let old = match self.client.get_token(&entry.old_id).await {
            Err(error) if is_not_found(&error) => return Ok(()),
            old => old?,
        };
        let given = self.effective(session).await?;
        let expected = match self.exchange(&old).await {
            // What cannot be exchanged any more is held against what is written on it.
            Err(error) if error.kind() == ErrorKind::Api && !error.is_retryable() => {
                given.as_ref().map(|given| Effective {
                    privileges: privilege_set(
                        old.session_privileges.as_deref().unwrap_or_default(),
                    ),
                    ..given.clone()
                })
            }
            session => self.effective(session?).await?,
        };
        let (new_id, old_id) = (&new.id, &entry.old_id);
        let (why, hint) = match (given, expected) {
            (Some(given), Some(expected)) if given == expected => return Ok(()),
            (Some(given), Some(expected)) => (
                format!(
                    "the server's new token {new_id} gives {given}, but {old_id} gives {expected}"
                ),
                "compare the two, and give the old one what the new one is to have before you rotate \
                 it again",
            ),
            _ => (
                format!(
                    "the server does not say what sessions of {new_id} and {old_id} may do, neither \
                     when they are started nor when asked"
                ),
                "create the new token yourself, try it, and then delete the old one",
            ),
        };
        Err(Error::new(
            ErrorKind::Decode,
            format!("not proved, and {old_id} stays as it is: {why}"),
        )
        .with_hint(hint))
    }

    /// What a session gives; `None` where the server does not say it.
    async fn effective(&self, session: Session) -> Result<Option<Effective>> {
        let said = session.privileges.as_deref();
        if let Some(known) = Effective::read(said, session.session_type, session.user_id) {
            return Ok(Some(known));
        }
        let info = self.client.session_info(Some(&session.ks)).await?;
        let said = info.privileges.as_deref();
        Ok(Effective::read(said, info.session_type, info.user_id))
    }

    async fn exchange(&self, token: &AppToken) -> Result<Session> {
        let value = token.token.clone().ok_or_else(|| no_value(&token.id))?;
        let hash_type = token.hash_type.clone().unwrap_or(HashType::Sha1);
        let request = SessionRequest::new(&token.id, value).hash_type(hash_type);
        self.client.start_session(&request).await
    }

    fn deliver(&self, entry: &JournalEntry, new: &AppToken) -> Result<()> {
        let handover = HandOver {
            old_id: entry.old_id.clone(),
            id: new.id.clone(),
            token: new.token.clone().ok_or_else(|| no_value(&new.id))?,
            hash_type: new.hash_type.clone(),
        };
        self.sink.deliver(&handover).map_err(|error| {
            Error::config(format!(
                "token {}, which replaces {}, could not be handed over: {error}",
                new.id, entry.old_id
            ))
            .with_hint("resume the rotation: the new token is there and named in the journal")
        })
    }

    async fn delete_old(&self, entry: &mut JournalEntry) -> Result<()> {
        let due = entry.delete_at.unwrap_or_default();
        let wait = due.saturating_sub(self.client.server_now()).max(0);
        self.client
            .pause(Duration::from_secs(wait.unsigned_abs()))
            .await?;
        let new = self.client.get_token(entry.new_id()?).await?;
        self.exchange(&new).await?;
        (self.progress)(&entry.old_id, RotationStep::Verified);
        delete(self.client, &entry.old_id).await?;
        (self.progress)(&entry.old_id, RotationStep::Deleted);
        self.finish(entry).await
    }

    async fn finish(&self, entry: &mut JournalEntry) -> Result<()> {
        self.delete_strays(entry).await?;
        self.write(entry, RotationState::Done, RotationStep::Finished)
    }

    /// Deletes the new token unless somebody may have it.
    async fn undo(&self, entry: &mut JournalEntry) -> Result<()> {
        let refused = |what: &str| {
            let new_id = entry.new_id()?;
            let old_id = &entry.old_id;
            Ok(Error::config(format!(
                "token {new_id} {what} in place of {old_id}: it may be in use"
            )))
        };
        match entry.state {
            RotationState::HandedOver => {
                return Err(refused("was handed over")?.with_hint("finish the rotation instead"));
            }
            // Who took it may have stored it, even where the hand-over failed.
            RotationState::Delivering if !self.is_gone(entry.new_id()?).await => {
                return Err(refused("was being handed over")?.with_hint(
                    "finish the rotation instead, which hands it over again; where you know that \
                     nobody has it, delete it, and then undo the rotation",
                ));
            }
            _ => {}
        }
        if let Some(id) = &entry.new_id {
            delete(self.client, id).await?;
        }
        for token in self.find_marked(entry).await? {
            delete(self.client, &token.id).await?;
        }
        self.write(entry, RotationState::Undone, RotationStep::Undone)
    }

    async fn is_gone(&self, id: &str) -> bool {
        let token = self.client.get_token(id).await;
        token.is_err_and(|error| is_not_found(&error))
    }

    /// Deletes what a request that seemed lost has created after all.
    async fn delete_strays(&self, entry: &JournalEntry) -> Result<()> {
        if entry.earlier_marks.is_empty() {
            return Ok(());
        }
        for token in self.find_marked(entry).await? {
            if Some(&token.id) != entry.new_id.as_ref() {
                delete(self.client, &token.id).await?;
            }
        }
        Ok(())
    }

    fn write(
        &self,
        entry: &mut JournalEntry,
        state: RotationState,
        step: RotationStep,
    ) -> Result<()> {
        let before = std::mem::replace(&mut entry.state, state);
        if let Err(error) = self.journal.write(entry) {
            // What is not on disk was not reached.
            entry.state = before;
            return Err(error);
        }
        (self.progress)(&entry.old_id, step);
        Ok(())
    }

    fn rotated(&self, entry: &JournalEntry, error: Option<Error>) -> Rotated {
        let old_deleted = entry.state == RotationState::Done && entry.old != OldToken::Keep;
        let ended = matches!(entry.state, RotationState::Done | RotationState::Undone);
        let finish = if !ended {
            let journal = self.journal.path().display().to_string();
            command(&["rotate", "--resume", "--journal", &journal])
        } else if entry.state == RotationState::Done && !old_deleted {
            command(&["delete", &entry.old_id])
        } else {
            Vec::new()
        };
        Rotated {
            old_id: entry.old_id.clone(),
            new_id: entry.new_id.clone(),
            state: Some(entry.state),
            old_deleted,
            error,
            finish,
        }
    }
}

#[derive(Clone, Copy)]
enum Begin {
    /// The intent was just written: nothing was sent.
    Fresh,
    /// The intent is from before: the token may exist.
    Again,
}

/// What a token gives to whoever exchanges it.
#[derive(Clone, PartialEq)]
struct Effective {
    privileges: PrivilegeSet,
    session_type: SessionType,
    user_id: Option<String>,
}

impl Effective {
    fn read(
        privileges: Option<&str>,
        session_type: Option<SessionType>,
        user_id: Option<String>,
    ) -> Option<Self> {
        Some(Self {
            privileges: privilege_set(privileges?),
            session_type: session_type?,
            user_id,
        })
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "type {}, user {:?}, privileges {:?}",
            self.session_type.value(),
            self.user_id.as_deref().unwrap_or_default(),
            self.privileges
        )
    }
}

type PrivilegeSet = BTreeMap<String, BTreeSet<String>>;

/// Privileges without order, and without those that name the token itself.
fn privilege_set(text: &str) -> PrivilegeSet {
    Privileges::parse(text)
        .iter()
        .filter(|(name, values)| {
            let is_empty = name.is_empty() && values.is_empty();
            !is_empty && !matches!(*name, "sessionid" | "apptoken")
        })
        .map(|(name, values)| (name.to_owned(), values.iter().cloned().collect()))
        .collect()
}

/// The token that replaces this one.
fn successor(old: &AppToken, entry: &JournalEntry) -> Result<NewToken> {
    if old
        .status
        .is_some_and(|status| status != TokenStatus::Active)
    {
        return Err(Error::config(format!(
            "token {} is disabled, and its successor would not be",
            old.id
        )));
    }
    let mut new = NewToken::new()
        .hash_type(match &entry.hash_type {
            Some(hash_type) => Some(HashType::from(hash_type.as_str())),
            None => old.hash_type.clone(),
        })
        .session_type(old.session_type)
        .description(marked(
            old.description.as_deref().unwrap_or_default(),
            &entry.rotation,
        ));
    if let Some(seconds) = old.session_duration {
        if seconds <= 0 {
            return Err(Error::config(format!(
                "token {} has a session duration of {seconds}: its sessions are dead at birth, and \
                 its successor's would be",
                old.id
            ))
            .with_hint("give it another session duration first"));
        }
        new = new.session_duration(Duration::from_secs(seconds.unsigned_abs()));
    }
    if let Some(privileges) = &old.session_privileges {
        new = new.session_privileges(privileges);
    }
    if let Some(user_id) = &old.session_user_id {
        new = new.session_user_id(user_id);
    }
    if let Some(expiry) = entry.expiry.or(old.expiry) {
        new = new.expiry(expiry);
    }
    Ok(new)
}

fn marked(description: &str, mark: &str) -> String {
    let space = if description.is_empty() { "" } else { " " };
    format!("{description}{space}[rotation {mark}]")
}

fn new_mark() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::config(format!("the system gives no randomness: {error}")))?;
    Ok(hex::encode(bytes))
}

fn failed(id: &str, error: Error) -> Rotated {
    Rotated {
        old_id: id.to_owned(),
        new_id: None,
        state: None,
        old_deleted: false,
        error: Some(error),
        finish: Vec::new(),
    }
}

fn no_value(id: &str) -> Error {
    Error::new(
        ErrorKind::Decode,
        format!("the server does not show the value of token {id}"),
    )
}

/// Whether the same proof would fail the same way again.
fn is_final(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Api => !error.is_retryable() && !is_not_found(error),
        ErrorKind::Decode => error.request().is_none(),
        _ => false,
    }
}

fn is_not_found(error: &Error) -> bool {
    error
        .api()
        .is_some_and(|api| api.meaning() == ApiCode::AppTokenIdNotFound)
}

/// Deletes a token; one that is gone already counts as deleted.
async fn delete(client: &Client, id: &str) -> Result<()> {
    match client.delete_token(id).await {
        Err(error) if is_not_found(&error) => Ok(()),
        other => other,
    }
}

/// The words of one of our commands.
pub(crate) fn command(words: &[&str]) -> Vec<String> {
    std::iter::once("kaltura-app-token")
        .chain(words.iter().copied())
        .map(str::to_owned)
        .collect()
}

/// All tokens that pass a filter, without their values.
pub(crate) async fn all_tokens(client: &Client, filter: TokenFilter) -> Result<Vec<AppToken>> {
    let options = ListOptions {
        filter,
        ..ListOptions::default()
    };
    let mut walk = client.tokens(options);
    let mut tokens = Vec::new();
    while let Some(token) = walk.next_token().await {
        tokens.push(token?);
    }
    Ok(tokens)
}
