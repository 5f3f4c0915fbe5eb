//! Where a rotation hands new tokens over to.

use std::ffi::OsString;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use super::journal::{only_for_its_owner, sync_directory_of};
use crate::error::{Error, Result};
use crate::model::HashType;
use crate::secret::Secret;

/// A new token on its way to those who use it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandOver {
    /// The token that it replaces.
    pub old_id: String,
    /// Its id.
    pub id: String,
    /// Its value.
    pub token: Secret,
    /// Its hash type.
    pub hash_type: Option<HashType>,
}

impl HandOver {
    /// One line of JSON, without a newline: `id`, `token`, `hashType` and `replaces`. A
    /// [`crate::TokenSource::file`] reads it.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        // Written by hand, so that no copy of the value stays behind in a tree of JSON values.
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let value = Zeroizing::new(text(self.token.reveal()));
        let mut line = format!("{{\"id\":{},\"token\":{}", text(&self.id), *value);
        if let Some(hash_type) = &self.hash_type {
            line.push_str(",\"hashType\":");
            line.push_str(&text(hash_type.as_str()));
        }
        line.push_str(",\"replaces\":");
        line.push_str(&text(&self.old_id));
        line.push('}');
        Secret::new(line)
    }
}

/// Takes new tokens over.
///
/// A rotation calls it on its own thread and goes on when it returns. After a crash it may be called
/// again with a token that it already took.
pub trait Sink: Sync {
    /// Whether it can take this many tokens; asked before anything is begun.
    ///
    /// # Errors
    /// `Config` when it cannot.
    fn check(&self, tokens: usize) -> Result<()> {
        let _ = tokens;
        Ok(())
    }

    /// Takes a token over. The rotation goes on only when it is in safe hands.
    ///
    /// # Errors
    /// Why it could not. The text becomes part of an [`Error`] and must not hold the value.
    fn deliver(&self, handover: &HandOver) -> io::Result<()>;
}

/// Writes each token as a line of JSON ([`HandOver::to_json`]), for example to stdout.
pub struct WriterSink<W>(Mutex<W>);

impl<W: Write + Send> WriterSink<W> {
    /// A sink that writes there.
    pub fn new(writer: W) -> Self {
        Self(Mutex::new(writer))
    }
}

impl<W> fmt::Debug for WriterSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriterSink")
    }
}

impl<W: Write + Send> Sink for WriterSink<W> {
    fn deliver(&self, handover: &HandOver) -> io::Result<()> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(writer, "{}", handover.to_json().reveal())?;
        writer.flush()
    }
}

/// Writes each token to a file with mode 0600, as a line of JSON ([`HandOver::to_json`]). The file is
/// replaced as a whole: whoever reads it finds the old content or the new, never half of it.
#[derive(Clone, Debug)]
pub struct FileSink {
    path: PathBuf,
}

impl FileSink {
    /// A sink that writes this file. `{id}` in the path stands for the id of the token that is
    /// replaced; a rotation of several needs it.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn path_for(&self, old_id: &str) -> PathBuf {
        match self.path.to_str() {
            Some(path) => PathBuf::from(path.replace("{id}", old_id)),
            None => self.path.clone(),
        }
    }
}

impl Sink for FileSink {
    fn check(&self, tokens: usize) -> Result<()> {
        if tokens > 1 && self.path_for("a") == self.path_for("b") {
            return Err(Error::config(format!(
                "'{}' can hold one token, not {tokens}",
                self.path.display()
            ))
            .with_hint("write {id} where the old token's id is to stand in the path"));
        }
        if std::fs::metadata(&self.path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(Error::config(format!(
                "'{}' is not a regular file, and would be replaced by one",
                self.path.display()
            ))
            .with_hint("hand the token to a command instead, which can write it there"));
        }
        Ok(())
    }

    fn deliver(&self, handover: &HandOver) -> io::Result<()> {
        let path = self.path_for(&handover.old_id);
        let mut line = Zeroizing::new(handover.to_json().reveal().to_owned());
        line.push('\n');
        replace_file(&path, line.as_bytes())
            .map_err(|error| io::Error::new(error.kind(), format!("'{}': {error}", path.display())))
    }
}

fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    // The file that a link leads to, not the link.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "this is not a file's name"))?;
    let random = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{random}.tmp"));
    let temporary = path.with_file_name(temporary);

    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    only_for_its_owner(&mut options);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        sync_directory_of(path)
    });
    if written.is_err() {
        // It may not even be there; what counts is the first error.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// The smallest pipe that a system gives has room for this much.
const PIPE_HOLDS_BYTES: usize = 4096;

/// Starts a command for each token and writes it to the command's stdin, as a line of JSON
/// ([`HandOver::to_json`]). The hand-over succeeds when the command does. Nothing secret is in its
/// arguments or its environment.
#[derive(Clone, Debug)]
pub struct CommandSink {
    program: OsString,
    arguments: Vec<OsString>,
}

impl CommandSink {
    /// A sink that starts this program with these arguments, without a shell.
    pub fn new<A: Into<OsString>>(
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
        }
    }
}

impl Sink for CommandSink {
    fn deliver(&self, handover: &HandOver) -> io::Result<()> {
        let mut line = Zeroizing::new(handover.to_json().reveal().to_owned());
        line.push('\n');
        if line.len() > PIPE_HOLDS_BYTES {
            return Err(io::Error::other(format!(
                "it has {} bytes, and a pipe surely holds {PIPE_HOLDS_BYTES}; write it to a file",
                line.len()
            )));
        }
        // Filled and closed before the program starts: whatever happens to us, it gets all or is not there.
        let (stdin, mut pipe) = io::pipe()?;
        pipe.write_all(line.as_bytes())?;
        drop(pipe);
        let status = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(stdin)
            .status()
            .map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("{} cannot be started: {error}", self.program.display()),
                )
            })?;
        if !status.success() {
            return Err(io::Error::other(format!(
                "{} ended with {status}",
                self.program.display()
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn handover(value: &str) -> HandOver {
        HandOver {
            old_id: "1_\"old".into(),
            id: "1_new".into(),
            token: Secret::new(value),
            hash_type: Some(HashType::Sha256),
        }
    }

    #[test]
    fn a_program_decides_whether_it_has_taken_a_token_even_without_reading_it() {
        let longest = handover(&"x".repeat(PIPE_HOLDS_BYTES - 100));
        CommandSink::new("true", [""; 0]).deliver(&longest).unwrap();
        let error = CommandSink::new("false", [""; 0]).deliver(&longest);
        assert!(error.unwrap_err().to_string().contains("exit status: 1"));

        let too_long = handover(&"x".repeat(PIPE_HOLDS_BYTES));
        let error = CommandSink::new("true", [""; 0]).deliver(&too_long);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("write it to a file")
        );
    }

    #[test]
    fn what_is_handed_over_is_json_whatever_is_in_it() {
        let handover = handover("va\\lue");
        let read: serde_json::Value = serde_json::from_str(handover.to_json().reveal()).unwrap();
        assert_eq!(
            read,
            serde_json::json!({"id": "1_new", "token": "va\\lue", "hashType": "SHA256", "replaces": "1_\"old"})
        );
    }
}
