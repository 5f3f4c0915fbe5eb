//! Where a rotation hands new tokens over to.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::error::{Error, Hint, Result};
use crate::model::{AppToken, HashType};
use crate::seam::{disk, environment};
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
    /// All that the server said of it.
    pub app_token: AppToken,
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
/// A rotation calls it on a thread that is there for that, so it may take its time, and goes on when it
/// returns. After a crash it may be called again with a token that it already took.
///
/// ```
/// use std::sync::Mutex;
/// use kaltura_app_token::{HandOver, Sink};
///
/// #[derive(Default)]
/// struct Vault(Mutex<Vec<HandOver>>);
///
/// impl Sink for Vault {
///     fn deliver(&self, handover: &HandOver) -> std::io::Result<()> {
///         self.0.lock().map_err(|_| std::io::Error::other("the vault is broken"))?.push(handover.clone());
///         Ok(())
///     }
/// }
/// # let _: std::sync::Arc<dyn Sink> = std::sync::Arc::new(Vault::default());
/// ```
pub trait Sink: Send + Sync + 'static {
    /// Whether it can take the tokens that replace these; asked before anything is begun.
    ///
    /// # Errors
    /// `Config` when it cannot.
    fn check(&self, old_ids: &[String]) -> Result<()> {
        let _ = old_ids;
        Ok(())
    }

    /// The file that it writes for the token that replaces this one, if it writes one. The journal is not
    /// accepted there.
    fn file(&self, old_id: &str) -> Option<PathBuf> {
        let _ = old_id;
        None
    }

    /// Takes a token over. The rotation goes on only when it is in safe hands.
    ///
    /// # Errors
    /// Why it could not. The text becomes part of an [`Error`] and must not hold the value.
    fn deliver(&self, handover: &HandOver) -> io::Result<()>;
}

/// Writes each token as a line of JSON ([`HandOver::to_json`]), for example to stdout.
///
/// ```
/// use kaltura_app_token::WriterSink;
///
/// let sink = WriterSink::new(std::io::stdout());
/// # let _ = sink;
/// ```
pub struct WriterSink<W>(Mutex<W>);

impl<W: Write + Send + 'static> WriterSink<W> {
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

impl<W: Write + Send + 'static> Sink for WriterSink<W> {
    fn deliver(&self, handover: &HandOver) -> io::Result<()> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // In one piece, which a pipe or a terminal takes whole or not at all.
        writer.write_all(line(handover).as_bytes())?;
        writer.flush()
    }
}

/// The token as a line of JSON.
fn line(handover: &HandOver) -> Zeroizing<String> {
    let json = handover.to_json();
    let mut line = Zeroizing::new(String::with_capacity(json.reveal().len() + 1));
    line.push_str(json.reveal());
    line.push('\n');
    line
}

/// Writes each token to a file, as a line of JSON ([`HandOver::to_json`]). The file is replaced as a
/// whole: whoever reads it finds the old content or the new, never half of it.
///
/// A file that is there keeps its owner, its group and its mode; a new one has mode 0600. A symbolic link
/// is followed to a file of the same directory, and refused otherwise.
///
/// ```
/// use kaltura_app_token::{FileSink, Sink};
///
/// let sink = FileSink::new("/run/secrets/kaltura-{id}.json");
/// let file = sink.file("1_ab12cd34");
/// assert_eq!(file, Some("/run/secrets/kaltura-1_ab12cd34.json".into()));
/// ```
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
    fn check(&self, old_ids: &[String]) -> Result<()> {
        let paths: BTreeSet<_> = old_ids.iter().map(|id| self.path_for(id)).collect();
        if paths.len() < old_ids.len() {
            return Err(Error::config(format!(
                "'{}' can hold one token, not {}",
                self.path.display(),
                old_ids.len()
            ))
            .with_hint(Hint::FilePerToken));
        }
        for path in paths {
            disk::Target::at(&path).map_err(|error| {
                Error::config(format!("'{}' cannot be replaced: {error}", path.display()))
                    .with_hint(
                        "name the file itself, or hand the token to a program that writes it",
                    )
            })?;
        }
        Ok(())
    }

    fn file(&self, old_id: &str) -> Option<PathBuf> {
        Some(self.path_for(old_id))
    }

    fn deliver(&self, handover: &HandOver) -> io::Result<()> {
        let path = self.path_for(&handover.old_id);
        disk::replace(&path, line(handover).as_bytes())
            .map_err(|error| io::Error::new(error.kind(), format!("'{}': {error}", path.display())))
    }
}

/// The smallest pipe that a system gives has room for this much.
const PIPE_HOLDS_BYTES: usize = 4096;

/// The variables that hold our own credentials.
const SECRET_VARIABLES: [&str; 7] = [
    "KALTURA_ADMIN_SECRET",
    "KALTURA_ADMIN_SECRET_FILE",
    "KALTURA_APP_TOKEN",
    "KALTURA_APP_TOKEN_FILE",
    "KALTURA_KS",
    "KALTURA_KS_FILE",
    "KALTURA_TOKEN",
];

/// Starts a program for each token and gives it the token on its standard input, as a line of JSON
/// ([`HandOver::to_json`]). The hand-over succeeds when the program does.
///
/// Nothing secret is in its arguments, and the variables with this library's credentials are taken out of
/// its environment. It finds its input complete when it starts: whatever happens to us, it gets all or is
/// not started.
///
/// ```
/// use kaltura_app_token::CommandSink;
///
/// let sink = CommandSink::new("vault", ["kv", "put", "secret/kaltura", "-"]);
/// # let _ = sink;
/// ```
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
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(filled(&line(handover))?);
        for name in SECRET_VARIABLES {
            command.env_remove(name);
        }
        // By this name only beside the other: it may be anybody's.
        if environment::variable("TOKEN_ID").is_some() {
            command.env_remove("TOKEN");
        }
        let status = command.status().map_err(|error| {
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

/// An input that already holds everything: a pipe where it surely fits, otherwise a file without a name.
fn filled(line: &str) -> io::Result<Stdio> {
    if line.len() > PIPE_HOLDS_BYTES {
        return Ok(disk::unnamed(line.as_bytes())?.into());
    }
    let (input, mut pipe) = io::pipe()?;
    pipe.write_all(line.as_bytes())?;
    Ok(input.into())
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
            app_token: AppToken::default(),
        }
    }

    #[test]
    fn a_program_decides_whether_it_has_taken_a_token_even_without_reading_it() {
        let longest = handover(&"x".repeat(PIPE_HOLDS_BYTES - 100));
        CommandSink::new("true", [""; 0]).deliver(&longest).unwrap();
        let error = CommandSink::new("false", [""; 0]).deliver(&longest);
        assert!(error.unwrap_err().to_string().contains("exit status: 1"));
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

    #[cfg(unix)]
    mod a_file {
        use std::os::unix::fs::{PermissionsExt, symlink};
        use std::path::Path;

        use super::*;

        fn folder() -> tempfile::TempDir {
            tempfile::tempdir().unwrap()
        }

        fn mode(path: &Path) -> u32 {
            std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
        }

        fn deliver(path: &Path) -> io::Result<()> {
            FileSink::new(path).deliver(&handover("value"))
        }

        #[test]
        fn that_is_there_keeps_its_mode() {
            let folder = folder();
            let path = folder.path().join("token.json");
            std::fs::write(&path, "old").unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
            deliver(&path).unwrap();
            assert_eq!(mode(&path), 0o640);
            assert!(std::fs::read_to_string(&path).unwrap().contains("value"));

            let new = folder.path().join("new.json");
            deliver(&new).unwrap();
            assert_eq!(mode(&new), 0o600);
        }

        #[test]
        fn keeps_its_owner_and_group_where_we_may_choose_them() {
            use std::os::unix::fs::{MetadataExt, chown};

            let folder = folder();
            let path = folder.path().join("token.json");
            std::fs::write(&path, "old").unwrap();
            if chown(&path, Some(12), Some(34)).is_err() {
                eprintln!("skipped: only root can give a file away");
                return;
            }
            deliver(&path).unwrap();
            let metadata = std::fs::metadata(&path).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (12, 34));
        }

        #[test]
        fn behind_a_link_is_written_in_the_same_directory_and_nowhere_else() {
            let folder = folder();
            let other = folder.path().join("other");
            std::fs::create_dir(&other).unwrap();
            let (here, there) = (folder.path().join("here"), other.join("there"));
            for file in [&here, &there] {
                std::fs::write(file, "old").unwrap();
            }
            let near = folder.path().join("near");
            symlink("here", &near).unwrap();
            deliver(&near).unwrap();
            assert!(near.is_symlink());
            assert!(std::fs::read_to_string(&here).unwrap().contains("value"));

            for (name, target) in [("far", there.as_path()), ("dangling", Path::new("nothing"))] {
                let link = folder.path().join(name);
                symlink(target, &link).unwrap();
                let error = deliver(&link).unwrap_err().to_string();
                assert!(error.contains(&*link.to_string_lossy()), "{error}");
                assert!(error.contains("symbolic link"), "{error}");
                let error = FileSink::new(&link).check(&["1_a".into()]).unwrap_err();
                assert!(error.message().contains("symbolic link"), "{error}");
                assert!(link.is_symlink());
            }
            assert_eq!(std::fs::read_to_string(&there).unwrap(), "old");
        }

        #[test]
        fn has_what_a_killed_run_left_beside_it_removed_and_nothing_else() {
            let folder = folder();
            let path = folder.path().join("token.json");
            let ours = folder
                .path()
                .join(".token.json.kaltura-app-token-a1B2c3.tmp");
            let others = [
                ".token.json.a1B2c3.tmp",
                ".token.json.kaltura-app-token-a1B2c3.tmp.bak",
                ".token.json.kaltura-app-token-.tmp",
                ".token.json.kaltura-app-token-a1B2..tmp",
                ".other.json.kaltura-app-token-a1B2c3.tmp",
            ]
            .map(|name| folder.path().join(name));
            for file in others.iter().chain([&ours]) {
                std::fs::write(file, "a value").unwrap();
            }
            deliver(&path).unwrap();
            assert!(!ours.exists());
            for file in &others {
                assert!(file.exists(), "{}", file.display());
            }
        }
    }

    #[test]
    fn a_program_gets_what_no_pipe_holds() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        let script = "cat > \"$0\"";
        let arguments: [&std::ffi::OsStr; 3] = ["-c".as_ref(), script.as_ref(), taken.as_os_str()];
        let long = handover(&"x".repeat(3 << 20));
        CommandSink::new("sh", arguments).deliver(&long).unwrap();
        let text = std::fs::read_to_string(&taken).unwrap();
        assert!(text == *line(&long), "{} bytes", text.len());
    }
}
