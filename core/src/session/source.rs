//! [`TokenSource`]: where the token's value comes from. Knows neither sessions nor the client.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::account::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::model::HashType;
use crate::seam::{disk, environment};
use crate::secret::Secret;
use crate::threads::{aside, spawn};

/// Whose work it is, in errors.
const SOURCE: &str = "the token source";
/// No file with a token is larger.
const MAX_FILE_BYTES: usize = 1 << 16;

/// The id and the value of a token, as a [`TokenSource`] gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenCredentials {
    /// The token's id.
    pub id: String,
    /// The token's value.
    pub token: Secret,
    /// The token's hash type, where the source knows it; it wins over the provider's.
    pub hash_type: Option<HashType>,
    /// How long the token lets its sessions live, where the source knows it: it counts when the server
    /// names no expiry, or one more than a day beyond it.
    pub session_duration: Option<Duration>,
}

impl TokenCredentials {
    /// Credentials without a hash type.
    #[must_use]
    pub fn new(id: impl Into<String>, token: impl Into<Secret>) -> Self {
        Self {
            id: id.into(),
            token: token.into(),
            hash_type: None,
            session_duration: None,
        }
    }

    /// Sets the hash type.
    #[must_use]
    pub fn hash_type(mut self, hash_type: HashType) -> Self {
        self.hash_type = Some(hash_type);
        self
    }

    /// Sets how long the token's sessions live.
    #[must_use]
    pub fn session_duration(mut self, duration: Duration) -> Self {
        self.session_duration = Some(duration);
        self
    }
}

type Callable = dyn Fn() -> std::result::Result<TokenCredentials, Box<dyn std::error::Error + Send + Sync>>
    + Send
    + Sync;

/// Where a provider gets its token's id and value from, each time that it mints a session.
///
/// ```
/// use kaltura_app_token::{TokenCredentials, TokenSource};
///
/// # fn ask_the_vault() -> Result<String, std::fmt::Error> { Ok("0123456789abcdef".to_owned()) }
/// let source = TokenSource::callable(|| {
///     let value = ask_the_vault()?;
///     Ok(TokenCredentials::new("1_ab12cd34", value))
/// });
/// assert_eq!(source.credentials()?.id, "1_ab12cd34");
/// # Ok::<(), kaltura_app_token::Error>(())
/// ```
#[derive(Clone)]
pub struct TokenSource(Origin);

#[derive(Clone)]
enum Origin {
    Value(TokenCredentials),
    Environment,
    Variable { id: String, name: String },
    File(PathBuf),
    ValueFile { id: String, path: PathBuf },
    Callable(Arc<Callable>),
}

#[derive(serde::Deserialize)]
struct TokenFile {
    id: String,
    token: Secret,
    #[serde(rename = "hashType")]
    hash_type: Option<String>,
    #[serde(rename = "sessionDuration")]
    session_duration: Option<u64>,
}

impl TokenSource {
    /// This token, for good.
    #[must_use]
    pub fn value(id: impl Into<String>, token: impl Into<Secret>) -> Self {
        Self(Origin::Value(TokenCredentials::new(id, token)))
    }

    /// The variables `KALTURA_APP_TOKEN_ID` and `KALTURA_APP_TOKEN`, or their other names:
    /// see [`Settings::from_env`].
    #[must_use]
    pub fn environment() -> Self {
        Self(Origin::Environment)
    }

    /// The value in a variable of one's own.
    #[must_use]
    pub fn variable(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self(Origin::Variable {
            id: id.into(),
            name: name.into(),
        })
    }

    /// A file as a rotation's [`crate::FileSink`] writes it: JSON with `id`, `token` and, if they
    /// are there, `hashType` and `sessionDuration` (seconds). Read for every session that is minted, so that a change of the file counts
    /// from the next one on.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Origin::File(path.into()))
    }

    /// A file with nothing but the value, such as a mounted secret; a newline at its end is left out.
    /// Read as often as that of [`TokenSource::file`].
    #[must_use]
    pub fn value_file(id: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self(Origin::ValueFile {
            id: id.into(),
            path: path.into(),
        })
    }

    /// Whatever a function answers. It is called for every session that is minted, on a thread of
    /// its own, so that whatever it does holds up nobody but those who wait for that session; and while
    /// minting has to wait after a failure, once a second at most, to see whether it has another token.
    #[must_use]
    pub fn callable<F>(function: F) -> Self
    where
        F: Fn() -> std::result::Result<TokenCredentials, Box<dyn std::error::Error + Send + Sync>>
            + Send
            + Sync
            + 'static,
    {
        Self(Origin::Callable(Arc::new(function)))
    }

    /// The token as the source has it now.
    ///
    /// # Errors
    /// `Config` when the source has none.
    pub fn credentials(&self) -> Result<TokenCredentials> {
        match &self.0 {
            Origin::Value(credentials) => Ok(credentials.clone()),
            Origin::Environment => {
                let settings = Settings::from_env()?;
                match (settings.app_token_id, settings.app_token) {
                    (Some(id), Some(token)) => Ok(TokenCredentials::new(id, token)),
                    (None, _) => Err(unset("KALTURA_APP_TOKEN_ID")),
                    (_, None) => Err(unset("KALTURA_APP_TOKEN")),
                }
            }
            Origin::Variable { id, name } => {
                match environment::variable(name).map(OsString::into_string) {
                    Some(Ok(value)) if !value.trim().is_empty() => {
                        Ok(TokenCredentials::new(id, Zeroizing::new(value).trim()))
                    }
                    _ => Err(unset(name)),
                }
            }
            Origin::File(path) => {
                let text = read_file(path)?;
                let file: TokenFile = serde_json::from_str(&text).map_err(|error| {
                    // serde's own text may quote the value.
                    Error::config(format!(
                        "token file '{}': line {} is not JSON with \"id\" and \"token\"",
                        path.display(),
                        error.line()
                    ))
                })?;
                Ok(TokenCredentials {
                    id: file.id,
                    token: file.token,
                    hash_type: file.hash_type.as_deref().map(HashType::from),
                    session_duration: file.session_duration.map(Duration::from_secs),
                })
            }
            Origin::ValueFile { id, path } => {
                let text = read_file(path)?;
                Ok(TokenCredentials::new(
                    id,
                    text.trim_end_matches(['\r', '\n']),
                ))
            }
            Origin::Callable(function) => function()
                .map_err(|error| Error::config(format!("the token source failed: {error}"))),
        }
    }
}

impl TokenSource {
    /// The token as the source has it now; what may take its time does so beside the runtime, and is
    /// waited for no longer than this.
    ///
    /// That is by the machine's clock, whatever clock the runtime goes by: a source is no part of it.
    pub(super) async fn ask(&self, patience: Duration) -> Result<TokenCredentials> {
        match &self.0 {
            Origin::Value(_) | Origin::Variable { .. } => self.credentials(),
            // A variable may name a file.
            Origin::Environment
            | Origin::File(_)
            | Origin::ValueFile { .. }
            | Origin::Callable(_) => {
                let source = self.clone();
                aside(SOURCE, move || source.credentials_within(patience)).await?
            }
        }
    }

    /// Has another thread ask, which is left to itself when it takes too long.
    fn credentials_within(self, patience: Duration) -> Result<TokenCredentials> {
        let (sender, receiver) = mpsc::channel();
        spawn("kaltura-source", move || {
            // Nobody may be waiting any more. A panic drops the sender, which tells the receiver.
            let _ = sender.send(self.credentials());
        })
        .map_err(|error| Error::config(format!("{SOURCE}: no thread can be started: {error}")))?;
        receiver.recv_timeout(patience).unwrap_or_else(|why| {
            Err(match why {
                RecvTimeoutError::Timeout => Error::new(
                    ErrorKind::Timeout,
                    format!("{SOURCE} did not answer within {patience:?}"),
                ),
                RecvTimeoutError::Disconnected => Error::config(format!("{SOURCE} panicked")),
            })
        })
    }
}

fn unset(variable: &str) -> Error {
    Error::config(format!("the environment variable {variable} is not set"))
}

fn read_file(path: &Path) -> Result<Zeroizing<String>> {
    disk::open(path)
        .and_then(|file| disk::read_text(&file, MAX_FILE_BYTES))
        .map_err(|error| {
            Error::config(format!(
                "token file '{}' cannot be read: {error}",
                path.display()
            ))
        })
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("TokenSource");
        match &self.0 {
            Origin::Value(credentials) => debug.field("value", &credentials.id),
            Origin::Environment => debug.field("variable", &"KALTURA_APP_TOKEN"),
            Origin::Variable { name, .. } => debug.field("variable", name),
            Origin::File(path) | Origin::ValueFile { path, .. } => debug.field("file", path),
            Origin::Callable(_) => debug.field("callable", &"…"),
        };
        debug.finish()
    }
}
