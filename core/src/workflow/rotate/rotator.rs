//! The order of a rotation's steps: [`Rotator`]. Knows the client, the journal, the proof and the sink, and
//! nothing of how each does its work.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::journal::{Journal, JournalEntry};
use super::options::{
    OldToken, Progress, Resume, RotateOptions, Rotated, RotationState, RotationStep, WayOut,
};
use super::proof::{exchange, is_final, prove, value_of};
use super::sink::{HandOver, Sink};
use super::successor::{marked, new_mark, successor};
use crate::cancel::{Cancel, cancelled};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::model::{AppToken, TokenField, TokenFilter, TokenUpdate};
use crate::seam::disk;
use crate::threads::aside;
use crate::workflow::tokens::{DEFAULT_CONCURRENCY, all_tokens, delete, is_not_found, is_same_id};

/// How far before the moment of asking a token in doubt may have been created.
const LOOK_BACK_SECONDS: i64 = 600;

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
/// use std::sync::Arc;
/// use kaltura_app_token::{Client, FileSink, Journal, OldToken, RotateOptions, Rotator};
///
/// # async fn run(client: Client) -> kaltura_app_token::Result<()> {
/// let journal = Journal::open("rotation.journal")?;
/// let sink = Arc::new(FileSink::new("/run/secrets/kaltura.json"));
/// let mut options = RotateOptions::default();
/// options.old = OldToken::Keep;
/// for rotated in Rotator::new(&client, &journal, sink).rotate(&["1_ab12cd34"], &options).await? {
///     println!("{} is replaced; ways on: {:?}", rotated.old_id, rotated.ways_out);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens before rotate() or resume()"]
pub struct Rotator<'a> {
    client: &'a Client,
    journal: &'a Journal,
    sink: Arc<dyn Sink>,
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
    pub fn new(client: &'a Client, journal: &'a Journal, sink: Arc<dyn Sink>) -> Self {
        Self {
            client,
            journal,
            sink,
            progress: &|_, _| {},
            concurrency: DEFAULT_CONCURRENCY,
        }
    }

    /// Calls this with the old token's id at every step. It is called on the rotation's own task, so it has
    /// to return at once.
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
    /// journal, more than the sink can take, or a file to write that is the journal.
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
            let is_it = |entry: &JournalEntry| is_same_id(&entry.old_id, id);
            if under_way.iter().any(is_it) {
                return Err(Error::config(format!(
                    "the journal already has a rotation of token {id} that is not finished"
                ))
                .with_hint(Hint::ResumeFirst));
            }
        }
        if seen.is_empty() {
            return Err(Error::config("there is no token to rotate"));
        }
        self.check_sink(ids.iter().map(|id| id.as_ref().trim()))?;
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
                self.check_sink(entries.iter().map(|entry| entry.old_id.as_str()))?;
                let resumed = entries
                    .into_iter()
                    .map(|entry| self.hand_over(entry, Begin::Again));
                Ok(self.run(resumed.collect()).await)
            }
            Resume::Undo => {
                let undone = entries.into_iter().map(|entry| async move {
                    let mut entry = entry;
                    let result = self.undo(&mut entry).await;
                    (None, rotated(&entry, result.err()))
                });
                Ok(self.run(undone.collect()).await)
            }
        }
    }

    fn check_sink<'b>(&self, old_ids: impl Iterator<Item = &'b str>) -> Result<()> {
        let old_ids: Vec<_> = old_ids.map(str::to_owned).collect();
        let mut files = old_ids.iter().filter_map(|id| self.sink.file(id));
        let journal = self.journal.path();
        if disk::is_standard_output(journal) {
            return Err(Error::config(format!(
                "the standard output or error of this program goes to the journal, '{}'",
                journal.display()
            ))
            .with_hint("what is printed would make the journal unreadable: print elsewhere"));
        }
        if files.any(|file| disk::is_same_file(journal, &file)) {
            return Err(Error::config(format!(
                "the new token and the journal are to be written to the same file, '{}'",
                journal.display()
            ))
            .with_hint(
                "the journal is needed once the token is there: give each a file of its own",
            ));
        }
        self.sink.check(&old_ids)
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
            outcomes[at] = rotated(&entry, result.err());
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
        self.journal.write(&entry).await?;
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
        let outcome = rotated(&entry, result.err());
        let deletes = outcome.error.is_none() && entry.state == RotationState::HandedOver;
        (deletes.then_some(entry), outcome)
    }

    async fn advance(&self, entry: &mut JournalEntry, begin: Begin) -> Result<()> {
        let (mut new, mut proved) = (None, None);
        if entry.state == RotationState::Intended {
            let created = match begin {
                Begin::Fresh => self.create(entry).await?,
                Begin::Again => self.find_or_create(entry).await?,
            };
            (self.progress)(&entry.old_id, RotationStep::Created);
            is_another(&created.id, &entry.old_id)?;
            entry.new_id = Some(created.id.clone());
            self.write(entry, RotationState::Created, RotationStep::Named)
                .await?;
            new = Some(created);
        }
        if entry.state == RotationState::Created {
            let mut new = match new.take() {
                Some(new) => new,
                None => self.client.get_token(entry.new_id()?).await?,
            };
            self.unmark(entry, &mut new).await?;
            (self.progress)(&entry.old_id, RotationStep::Unmarked);
            if let Err(error) = prove(self.client, &entry.old_id, &new).await {
                // A token that does not do what the old one does is of no use, and nobody has it yet.
                if is_final(&error) {
                    self.undo(entry).await?;
                }
                return Err(error);
            }
            self.write(entry, RotationState::Proved, RotationStep::Proved)
                .await?;
            proved = Some(new);
        }
        if matches!(
            entry.state,
            RotationState::Proved | RotationState::Delivering
        ) {
            // What is handed over is what was seen to work, here or by now.
            let new = if let Some(new) = proved.take() {
                new
            } else {
                let new = self.client.get_token(entry.new_id()?).await?;
                exchange(self.client, &new).await?;
                new
            };
            if entry.state == RotationState::Proved {
                // The last moment at which the rotation can be undone.
                if self.client.cancel().is_some_and(Cancel::is_triggered) {
                    return Err(cancelled());
                }
                self.write(entry, RotationState::Delivering, RotationStep::Delivering)
                    .await?;
            }
            self.deliver(entry, &new).await?;
            (self.progress)(&entry.old_id, RotationStep::Delivered);
            entry.delete_at = match entry.old {
                OldToken::Keep => None,
                OldToken::DeleteNow => Some(self.client.server_now()),
                OldToken::DeleteAfter(wait) => {
                    let wait = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
                    Some(self.client.server_now().saturating_add(wait))
                }
            };
            self.write(entry, RotationState::HandedOver, RotationStep::HandedOver)
                .await?;
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
        self.journal.write(entry).await?;
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
    async fn unmark(&self, entry: &JournalEntry, new: &mut AppToken) -> Result<()> {
        let description = new.description.as_deref().unwrap_or_default();
        let plain = entry
            .marks()
            .find_map(|mark| description.strip_suffix(&marked("", mark)));
        let update = match plain {
            None => return Ok(()),
            Some("") => TokenUpdate::new().clear(TokenField::Description),
            Some(plain) => TokenUpdate::new().description(plain.strip_suffix(' ').unwrap_or(plain)),
        };
        let updated = self.client.update_token(&new.id, &update).await?;
        new.description = updated.description;
        Ok(())
    }

    async fn deliver(&self, entry: &JournalEntry, new: &AppToken) -> Result<()> {
        let handover = HandOver {
            old_id: entry.old_id.clone(),
            id: new.id.clone(),
            token: value_of(new)?,
            hash_type: new.hash_type.clone(),
            app_token: new.clone(),
        };
        let sink = Arc::clone(&self.sink);
        let delivery = aside("the hand-over", move || sink.deliver(&handover));
        let delivered = match self.client.cancel() {
            // What took the token goes on to its end; the journal says that somebody may have it.
            Some(cancel) => tokio::select! {
                delivered = delivery => delivered,
                () = cancel.triggered() => return Err(Error::new(
                    ErrorKind::Cancelled,
                    format!("cancelled while token {} was being handed over", new.id),
                )),
            },
            None => delivery.await,
        };
        delivered
            .and_then(|delivered| {
                delivered.map_err(|error| Error::local(error.to_string()).with_source(error))
            })
            .map_err(|error| {
                Error::local(format!(
                    "token {}, which replaces {}, could not be handed over: {}",
                    new.id,
                    entry.old_id,
                    error.message()
                ))
                .with_hint(Hint::ResumeRotation)
            })
    }

    async fn delete_old(&self, entry: &mut JournalEntry) -> Result<()> {
        let due = entry.delete_at.unwrap_or_default();
        let wait = due.saturating_sub(self.client.server_now()).max(0);
        self.client
            .pause(Duration::from_secs(wait.unsigned_abs()))
            .await?;
        is_another(entry.new_id()?, &entry.old_id)?;
        let new = self.client.get_token(entry.new_id()?).await?;
        exchange(self.client, &new).await?;
        (self.progress)(&entry.old_id, RotationStep::Verified);
        delete(self.client, &entry.old_id).await?;
        (self.progress)(&entry.old_id, RotationStep::Deleted);
        self.finish(entry).await
    }

    async fn finish(&self, entry: &mut JournalEntry) -> Result<()> {
        self.delete_late_ones(entry).await?;
        self.write(entry, RotationState::Done, RotationStep::Finished)
            .await
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
                return Err(refused("was handed over")?.with_hint(Hint::FinishInstead));
            }
            // Who took it may have stored it, even where the hand-over failed.
            RotationState::Delivering if !self.is_gone(entry.new_id()?).await => {
                return Err(refused("was being handed over")?.with_hint(Hint::FinishOrDelete));
            }
            _ => {}
        }
        if let Some(id) = &entry.new_id {
            is_another(id, &entry.old_id)?;
            delete(self.client, id).await?;
        }
        for token in self.find_marked(entry).await? {
            is_another(&token.id, &entry.old_id)?;
            delete(self.client, &token.id).await?;
        }
        self.write(entry, RotationState::Undone, RotationStep::Undone)
            .await
    }

    async fn is_gone(&self, id: &str) -> bool {
        let token = self.client.get_token(id).await;
        token.is_err_and(|error| is_not_found(&error))
    }

    /// Deletes what a request that seemed lost has created after all.
    async fn delete_late_ones(&self, entry: &JournalEntry) -> Result<()> {
        if entry.earlier_marks.is_empty() {
            return Ok(());
        }
        for token in self.find_marked(entry).await? {
            let is_new = entry
                .new_id
                .as_ref()
                .is_some_and(|id| is_same_id(id, &token.id));
            if !is_new {
                delete(self.client, &token.id).await?;
            }
        }
        Ok(())
    }

    async fn write(
        &self,
        entry: &mut JournalEntry,
        state: RotationState,
        step: RotationStep,
    ) -> Result<()> {
        let before = std::mem::replace(&mut entry.state, state);
        if let Err(error) = self.journal.write(entry).await {
            // What is not on disk was not reached.
            entry.state = before;
            return Err(error);
        }
        (self.progress)(&entry.old_id, step);
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Begin {
    /// The intent was just written: nothing was sent.
    Fresh,
    /// The intent is from before: the token may exist.
    Again,
}

/// Nothing is proved by a successor that is the old token itself, and nothing of it is ever deleted.
fn is_another(new_id: &str, old_id: &str) -> Result<()> {
    if is_same_id(new_id, old_id) {
        return Err(Error::new(
            ErrorKind::Unproved,
            format!("token {old_id} is named as its own successor"),
        ));
    }
    Ok(())
}

fn rotated(entry: &JournalEntry, error: Option<Error>) -> Rotated {
    let old_deleted = entry.state == RotationState::Done && entry.old != OldToken::Keep;
    let ways_out = match entry.state {
        RotationState::Intended | RotationState::Created | RotationState::Proved => {
            vec![WayOut::Resume, WayOut::Undo]
        }
        RotationState::Delivering => vec![WayOut::Resume, WayOut::DeleteNewAndUndo],
        RotationState::HandedOver => vec![WayOut::Resume],
        RotationState::Done if !old_deleted => vec![WayOut::DeleteOld],
        RotationState::Done | RotationState::Undone => Vec::new(),
    };
    Rotated {
        old_id: entry.old_id.clone(),
        new_id: entry.new_id.clone(),
        state: Some(entry.state),
        old_deleted,
        error,
        ways_out,
    }
}

fn failed(id: &str, error: Error) -> Rotated {
    Rotated {
        old_id: id.to_owned(),
        new_id: None,
        state: None,
        old_deleted: false,
        error: Some(error),
        ways_out: Vec::new(),
    }
}
