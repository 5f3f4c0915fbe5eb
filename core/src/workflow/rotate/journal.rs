//! The journal of rotations: ids and intent, never a secret, on disk before the server is asked.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::options::{OldToken, RotationState};
use crate::error::{Error, Hint, Result};
use crate::seam::disk::{self, File};
use crate::seam::trust::{self, Steers};
use crate::threads::aside;
use crate::workflow::tokens::is_same_id;

/// One rotation, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct JournalEntry {
    /// The mark in the new token's description, for as long as it is there.
    pub rotation: String,
    /// How far it has come.
    pub state: RotationState,
    /// The account.
    pub partner_id: Option<i64>,
    /// The token to be replaced.
    pub old_id: String,
    /// The token that replaces it, once it is known.
    pub new_id: Option<String>,
    /// The marks of requests that seemed lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_marks: Vec<String>,
    /// When it was begun, in unix seconds by the server's clock.
    pub asked_at: i64,
    /// The new token's hash type, where it differs from the old one's.
    pub hash_type: Option<String>,
    /// The new token's expiry in unix seconds, where it differs from the old one's.
    pub expiry: Option<i64>,
    /// What becomes of the old token.
    #[serde(with = "old_token")]
    pub old: OldToken,
    /// When the old token is to be deleted, in unix seconds by the server's clock.
    pub delete_at: Option<i64>,
}

impl JournalEntry {
    pub(super) fn new_id(&self) -> Result<&str> {
        self.new_id.as_deref().ok_or_else(|| {
            Error::config(format!(
                "the journal does not name the token that replaces {}",
                self.old_id
            ))
        })
    }

    pub(super) fn marks(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.rotation)
            .chain(&self.earlier_marks)
            .map(String::as_str)
    }

    fn is_same_rotation(&self, later: &Self) -> bool {
        later.marks().any(|mark| mark == self.rotation)
    }

    fn is_finished(&self) -> bool {
        matches!(self.state, RotationState::Done | RotationState::Undone)
    }
}

mod old_token {
    use super::{Deserialize, Duration, OldToken};

    pub(super) fn serialize<S: serde::Serializer>(
        old: &OldToken,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match old {
            OldToken::Keep => to.serialize_str("keep"),
            OldToken::DeleteNow => to.serialize_str("delete"),
            OldToken::DeleteAfter(wait) => to.serialize_u64(wait.as_secs()),
        }
    }

    pub(super) fn deserialize<'de, D>(from: D) -> Result<OldToken, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Word(String),
            Seconds(u64),
        }
        match Written::deserialize(from)? {
            Written::Word(word) if word == "keep" => Ok(OldToken::Keep),
            Written::Word(word) if word == "delete" => Ok(OldToken::DeleteNow),
            Written::Seconds(wait) => Ok(OldToken::DeleteAfter(Duration::from_secs(wait))),
            Written::Word(word) => Err(serde::de::Error::custom(word)),
        }
    }
}

/// What a line of the journal holds.
#[derive(Serialize, Deserialize)]
struct Line<E> {
    #[serde(flatten)]
    entry: E,
    /// Absent in the first version, which wrote nothing between `proved` and `handed_over`.
    #[serde(default)]
    version: u32,
}

const VERSION: u32 = 2;
/// How every line begins; `0` stands for any hexadecimal digit.
const BEGINNING: &[u8] = br#"{"rotation":"0000000000000000","state":""#;
/// Ours have a few hundred bytes.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// Whether this is the beginning of a line of ours, as far as it goes.
fn begins_a_line(text: &[u8]) -> bool {
    let fits = |(byte, expected): (&u8, &u8)| match expected {
        b'0' => byte.is_ascii_hexdigit(),
        expected => byte == expected,
    };
    text.iter().zip(BEGINNING).all(fits)
}

fn read_line(line: &[u8]) -> Option<JournalEntry> {
    // The first version went on after a write that had failed half-way: behind that half stands a whole.
    let begin = memchr::memmem::rfind(line, br#"{"rotation":""#)?;
    let (half, whole) = line.split_at(begin);
    if !begins_a_line(half) {
        return None;
    }
    let Line { mut entry, version } = serde_json::from_slice::<Line<JournalEntry>>(whole).ok()?;
    // No rotation of ours names a token as its own successor; undoing that would delete it.
    let names_itself = entry
        .new_id
        .as_ref()
        .is_some_and(|new| is_same_id(new, &entry.old_id));
    if names_itself {
        return None;
    }
    if version < VERSION && entry.state == RotationState::Proved {
        entry.state = RotationState::Delivering;
    }
    Some(entry)
}

/// The journal of rotations: a file with mode 0600, one JSON object per line and step, the last of a
/// rotation being the one that counts. It holds ids and intent, no token values.
///
/// Every line is on disk before the step that it announces. A last line that was torn by a crash is
/// dropped. While it is open, nobody else can open it, in this process or another. Clones are the same
/// journal.
///
/// ```
/// use kaltura_app_token::Journal;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("rotation.journal");
/// let journal = Journal::open(&path)?;
/// for entry in journal.unfinished() {
///     println!("{}: {}", entry.old_id, entry.state.name());
/// }
/// assert!(Journal::open(&path).is_err(), "it is in use");
/// # Ok::<(), kaltura_app_token::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    content: Mutex<Content>,
}

#[derive(Debug)]
struct Content {
    file: File,
    /// How much of the file is whole lines.
    length: u64,
    entries: Vec<JournalEntry>,
}

impl Journal {
    /// Opens a journal, or begins one. A file that is not a journal stays as it is.
    ///
    /// # Errors
    /// `Config` when the file is not a journal and cannot become one, or somebody else may have written
    /// it; `Local` when it cannot be read, written and locked, which it cannot while somebody else has it
    /// open.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let says = |what: &str| format!("the journal '{}' {what}", path.display());
        let cannot = |error: io::Error| {
            let what = says(&format!("cannot be used: {error}"));
            match error.kind() {
                // It is the wrong path.
                io::ErrorKind::InvalidInput | io::ErrorKind::NotFound => Error::config(what),
                _ => Error::local(what).with_source(error),
            }
        };
        let file = disk::open_to_append(&path).map_err(cannot)?;
        // It names tokens that are deleted.
        trust::check(&file, &path, Steers::Journal)?;
        if !disk::try_lock(&file).map_err(cannot)? {
            return Err(
                Error::local(says("is in use: another rotation is at work with it"))
                    .with_hint(Hint::JournalInUse),
            );
        }
        let mut content = Content {
            file,
            length: 0,
            entries: Vec::new(),
        };
        match content.read().map_err(cannot)? {
            Some(line) => Err(Error::config(says(&format!(
                "has something else in line {line}: give another file"
            )))
            .with_hint(Hint::JournalDamaged)),
            None => Ok(Self(Arc::new(Shared {
                path,
                content: Mutex::new(content),
            }))),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Every rotation, as far as it has come.
    #[must_use]
    pub fn entries(&self) -> Vec<JournalEntry> {
        self.0.lock().entries.clone()
    }

    /// The rotations that are neither done nor undone.
    #[must_use]
    pub fn unfinished(&self) -> Vec<JournalEntry> {
        let entries = self.entries();
        entries
            .into_iter()
            .filter(|entry| !entry.is_finished())
            .collect()
    }

    /// Puts a line on disk; waiting for the disk holds up nobody else.
    pub(super) async fn write(&self, entry: &JournalEntry) -> Result<()> {
        let (shared, entry) = (Arc::clone(&self.0), entry.clone());
        aside("writing the journal", move || shared.write(entry)).await?
    }
}

impl Shared {
    fn write(&self, entry: JournalEntry) -> Result<()> {
        let cannot = |error: io::Error| {
            Error::local(format!(
                "the journal '{}' cannot be written: {error}",
                self.path.display()
            ))
            .with_source(error)
        };
        let version = VERSION;
        let mut line = serde_json::to_string(&Line {
            entry: &entry,
            version,
        })
        .map_err(|error| cannot(error.into()))?;
        line.push('\n');
        let mut content = self.lock();
        disk::append(&content.file, content.length, line.as_bytes()).map_err(cannot)?;
        content.length += line.len() as u64;
        content.keep(entry);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    /// Reads what is there, and cuts off a last line that was torn by a crash. Answers the number of
    /// the first line that is not a journal's; the file is then as it was.
    fn read(&mut self) -> io::Result<Option<u64>> {
        let mut reader = BufReader::new(self.file.try_clone()?);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let mut limited = (&mut reader).take(MAX_LINE_BYTES);
            if limited.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.ends_with(b"\n") {
                let Some(entry) = read_line(&line) else {
                    return Ok(Some(number));
                };
                self.length += line.len() as u64;
                self.keep(entry);
                continue;
            }
            // On its own it must be plain that it is ours.
            let is_torn = begins_a_line(&line)
                && (number > 1 || line.len() >= BEGINNING.len())
                && (line.len() as u64) < MAX_LINE_BYTES;
            if !is_torn {
                return Ok(Some(number));
            }
            disk::cut(&self.file, self.length)?;
            break;
        }
        Ok(None)
    }

    fn keep(&mut self, entry: JournalEntry) {
        match self
            .entries
            .iter_mut()
            .find(|known| known.is_same_rotation(&entry))
        {
            Some(known) => *known = entry,
            None => self.entries.push(entry),
        }
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        disk::unlock(&self.file);
    }
}
