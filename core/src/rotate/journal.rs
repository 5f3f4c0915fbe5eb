//! The journal of rotations: ids and intent, never a secret, on disk before the server is asked.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::OldToken;
use crate::error::{Error, Result};

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
            Self::HandedOver => "handed over",
            Self::Done => "done",
            Self::Undone => "undone",
        }
    }
}

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

/// The journal of rotations: a file with mode 0600, one JSON object per line and step, the last of a
/// rotation being the one that counts. It holds ids and intent, no token values.
///
/// Every line is on disk before the step that it announces. A last line that was torn by a crash is
/// dropped.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    content: Mutex<Content>,
}

#[derive(Debug)]
struct Content {
    file: File,
    entries: Vec<JournalEntry>,
}

impl Journal {
    /// Opens a journal, or begins one.
    ///
    /// # Errors
    /// `Config` when the file cannot be read and written, or is not a journal.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let problem =
            |what: &str| Error::config(format!("the journal '{}' {what}", path.display()));
        let cannot = |error: io::Error| problem(&format!("cannot be used: {error}"));

        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        only_for_its_owner(&mut options);
        let mut file = options.open(&path).map_err(cannot)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.set_permissions(std::fs::Permissions::from_mode(0o600))
                .map_err(cannot)?;
        }
        sync_directory_of(&path).map_err(cannot)?;

        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).map_err(cannot)?;
        file.read_to_string(&mut text).map_err(cannot)?;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(cannot)?;
        }
        let mut content = Content {
            file,
            entries: Vec::new(),
        };
        for (at, line) in text[..whole].lines().enumerate() {
            let entry = serde_json::from_str(line).map_err(|_| {
                problem(&format!(
                    "has something else in line {}: give another file",
                    at + 1
                ))
            })?;
            content.keep(entry);
        }
        Ok(Self {
            path,
            content: Mutex::new(content),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every rotation, as far as it has come.
    #[must_use]
    pub fn entries(&self) -> Vec<JournalEntry> {
        self.lock().entries.clone()
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

    pub(super) fn write(&self, entry: &JournalEntry) -> Result<()> {
        let cannot = |error: io::Error| {
            Error::config(format!(
                "the journal '{}' cannot be written: {error}",
                self.path.display()
            ))
        };
        let mut line = serde_json::to_string(entry).map_err(|error| cannot(error.into()))?;
        line.push('\n');
        let mut content = self.lock();
        content.file.write_all(line.as_bytes()).map_err(cannot)?;
        content.file.sync_data().map_err(cannot)?;
        content.keep(entry.clone());
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
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

pub(super) fn only_for_its_owner(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

/// Makes sure that the name of a new file survives a crash, too.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
