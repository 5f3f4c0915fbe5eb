//! What the tests of rotations share: sinks that keep or refuse, and what an account holds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use kaltura_app_token::{
    AppToken, Client, HandOver, ListOptions, OldToken, RotateOptions, SessionRequest, Sink,
};

/// A folder of its own for each test.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rotate-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Keeps what it is given.
#[derive(Debug, Default)]
pub(crate) struct Hands(Mutex<Vec<HandOver>>);

impl Sink for Hands {
    fn deliver(&self, handover: &HandOver) -> std::io::Result<()> {
        self.0.lock().unwrap().push(handover.clone());
        Ok(())
    }
}

impl Hands {
    pub(crate) fn taken(&self) -> Vec<HandOver> {
        self.0.lock().unwrap().clone()
    }
}

/// Does not want it.
#[derive(Debug)]
pub(crate) struct Refusing;

impl Sink for Refusing {
    fn deliver(&self, _: &HandOver) -> std::io::Result<()> {
        Err(std::io::Error::other("the vault is sealed"))
    }
}

pub(crate) fn options(old: OldToken) -> RotateOptions {
    let mut options = RotateOptions::default();
    options.old = old;
    options
}

pub(crate) async fn all(client: &Client) -> Vec<AppToken> {
    let mut walk = client.tokens(ListOptions::default());
    let mut tokens = Vec::new();
    while let Some(token) = walk.next_token().await {
        tokens.push(token.unwrap());
    }
    tokens
}

pub(crate) fn ids(tokens: &[AppToken]) -> BTreeSet<String> {
    tokens.iter().map(|token| token.id.clone()).collect()
}

pub(crate) async fn works(client: &Client, handover: &HandOver) {
    let request = SessionRequest::new(&handover.id, handover.token.clone())
        .hash_type(handover.hash_type.clone().unwrap());
    client.start_session(&request).await.unwrap();
}

/// What a token is, without what makes it this one.
pub(crate) fn properties(token: &AppToken) -> AppToken {
    let mut token = token.clone();
    token.id = String::new();
    token.token = None;
    token.created_at = None;
    token.updated_at = None;
    token
}

#[cfg(unix)]
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
