//! The exchange's own parts: the hash that proves knowledge of a token's value, and the widget session
//! that is kept between exchanges. The steps themselves are joined in `client`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::Digest;

use crate::error::{Error, Result};
use crate::flight::Flight;
use crate::model::HashType;
use crate::secret::Secret;

/// How long a widget session is kept. Its answer carries no expiry, accounts may cap its life, and a
/// cache in front of the server may hand out one that is ten minutes old.
const KEEP_WIDGET_SESSION: Duration = Duration::from_secs(30 * 60);

/// The hash of a session followed by a token's value, as `appToken.startSession` wants it: lower-case
/// hex of a plain hash, although the guide calls it an HMAC.
///
/// ```
/// use kaltura_app_token::{HashType, Secret, token_hash};
///
/// let hash = token_hash(&HashType::Md5, &Secret::new("widget-ks"), &Secret::new("token-value"))?;
/// assert_eq!(hash.reveal(), "4a464f122812a052b388aee4403bb531");
/// # Ok::<(), kaltura_app_token::Error>(())
/// ```
///
/// # Errors
/// `Config` for a hash type that cannot be computed here.
pub fn token_hash(hash_type: &HashType, ks: &Secret, token: &Secret) -> Result<Secret> {
    fn hex_of<D: Digest>(ks: &Secret, token: &Secret) -> Secret {
        Secret::new(hex::encode(
            D::new()
                .chain_update(ks.reveal())
                .chain_update(token.reveal())
                .finalize(),
        ))
    }
    Ok(match hash_type {
        HashType::Md5 => hex_of::<md5::Md5>(ks, token),
        HashType::Sha1 => hex_of::<sha1::Sha1>(ks, token),
        HashType::Sha256 => hex_of::<sha2::Sha256>(ks, token),
        HashType::Sha512 => hex_of::<sha2::Sha512>(ks, token),
        HashType::Other(name) => {
            return Err(Error::config(format!(
                "hashType: {name:?} cannot be computed here; known are MD5, SHA1, SHA256, SHA512"
            )));
        }
    })
}

/// The widget session that exchanges share: N exchanges cost N + 1 requests.
#[derive(Debug, Default)]
pub(crate) struct WidgetSession {
    kept: Mutex<Option<Kept>>,
    flight: Arc<Flight<Secret>>,
}

#[derive(Debug)]
struct Kept {
    ks: Secret,
    since: Duration,
}

impl WidgetSession {
    /// The kept one; `now` is the time of the steady clock.
    pub(crate) fn kept(&self, now: Duration) -> Option<Secret> {
        let kept = self.lock();
        let good = kept
            .as_ref()
            .filter(|kept| now.saturating_sub(kept.since) < KEEP_WIDGET_SESSION);
        good.map(|kept| kept.ks.clone())
    }

    /// Keeps one that was asked for at `since`.
    pub(crate) fn keep(&self, ks: &Secret, since: Duration) {
        *self.lock() = Some(Kept {
            ks: ks.clone(),
            since,
        });
    }

    /// Forgets the session that the server no longer accepts, unless another has taken its place.
    pub(crate) fn forget(&self, refused: &Secret) {
        self.lock().take_if(|kept| kept.ks == *refused);
    }

    /// The request for another one, shared by all who need it.
    pub(crate) fn flight(&self) -> &Arc<Flight<Secret>> {
        &self.flight
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
