//! The exchange's own parts: the hash that proves knowledge of a token's value, and the widget session
//! that is kept between exchanges. The steps themselves are joined in `client`.

use std::future::Future;
use std::time::Duration;

use sha2::Digest;

use crate::error::{Error, Result};
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
    // Held across the request that fetches it, so that exchanges that start together fetch it once;
    // a caller that gives up lets go, and the next one fetches.
    kept: tokio::sync::Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    ks: Secret,
    since: Duration,
}

/// A widget session, and whether it had been used before.
#[derive(Debug)]
pub(crate) struct WidgetKs {
    pub(crate) ks: Secret,
    pub(crate) reused: bool,
}

impl WidgetSession {
    /// The kept one, or a new one from `fetch`; `now` is the time of the steady clock.
    pub(crate) async fn get<F>(&self, now: Duration, fetch: impl FnOnce() -> F) -> Result<WidgetKs>
    where
        F: Future<Output = Result<Secret>>,
    {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = &*kept
            && now.saturating_sub(kept.since) < KEEP_WIDGET_SESSION
        {
            return Ok(WidgetKs {
                ks: kept.ks.clone(),
                reused: true,
            });
        }
        let ks = fetch().await?;
        *kept = Some(Kept {
            ks: ks.clone(),
            since: now,
        });
        Ok(WidgetKs { ks, reused: false })
    }

    /// Forgets the session that the server no longer accepts, unless another has taken its place.
    pub(crate) async fn forget(&self, refused: &Secret) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|kept| kept.ks == *refused) {
            *kept = None;
        }
    }
}
