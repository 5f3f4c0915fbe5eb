//! The exchange of a token for a session: widget session, hash, `appToken.startSession`, over a
//! [`Sender`]. Keeps the widget session between exchanges; knows no admin credentials.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::Digest;

use super::sender::{Call, Sender};
use crate::clock::LARGEST_STEP_MS;
use crate::error::{ApiCode, Error, ErrorKind, Hint, Result};
use crate::event::Event;
use crate::flight::Flight;
use crate::model::{HashType, Session, SessionRequest, SessionType};
use crate::privileges::{Privileges, refuse_ks_fields};
use crate::secret::Secret;
use crate::wire::{self, Action, Form, SessionAnswer, WidgetAnswer};

/// How long a widget session is kept. Its answer carries no expiry, accounts may cap its life, and a
/// cache in front of the server may hand out one that is ten minutes old.
const KEEP_WIDGET_SESSION: Duration = Duration::from_secs(30 * 60);

/// How long a refusal is enough to know that others will be refused as well.
const FORGET_AGAIN: Duration = Duration::from_secs(1);

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

/// Exchanges tokens of one account. Its widget session is shared: N exchanges cost N + 1 requests.
pub(crate) struct Exchange {
    partner_id: Option<i64>,
    kept: Mutex<Widget>,
    flight: Arc<Flight<Secret>>,
}

#[derive(Default)]
struct Widget {
    kept: Option<Kept>,
    /// When the server refused one last, by the steady clock.
    refused: Option<Duration>,
}

struct Kept {
    ks: Secret,
    /// When it was asked for, by the steady clock.
    since: Duration,
}

impl Exchange {
    pub(crate) fn new(partner_id: Option<i64>) -> Self {
        Self {
            partner_id,
            kept: Mutex::default(),
            flight: Arc::default(),
        }
    }

    /// Exchanges a token for a session.
    pub(crate) async fn start_session(
        self: &Arc<Self>,
        sender: &Sender,
        request: &SessionRequest,
    ) -> Result<Session> {
        let id = wire::check_id(&request.id)?;
        let rest = form_without_proof(id, request)?;
        let call = sender.begin();
        let mut renewed = false;
        loop {
            let kept = self.kept(sender.clock().steady_now());
            let is_kept = kept.is_some();
            let widget = match kept {
                Some(ks) => ks,
                None => call.within(self.shared_widget_ks(sender)).await?,
            };
            let mut form = rest.clone_plain();
            form.push_secret("ks", &widget);
            form.push_secret(
                "tokenHash",
                &token_hash(&request.hash_type, &widget, &request.token)?,
            );
            form.keep_out_of_errors(&request.token);
            let answer = call.send(Action::TokenStartSession, &form).await.result;
            match answer {
                Err(error) if error.api_code() == Some(ApiCode::InvalidKs) => {
                    self.forget(&widget, sender.clock().steady_now());
                    // Once: with many exchanges under way, the next one to be kept may be refused as
                    // well.
                    if !is_kept || renewed {
                        return Err(error);
                    }
                    renewed = true;
                }
                Err(error) => return Err(error),
                Ok(answer) => return self.minted(sender, &answer, id, request),
            }
        }
    }

    /// A session, once it is known to be of the token that was asked for and alive.
    fn minted(
        &self,
        sender: &Sender,
        answer: &SessionAnswer,
        id: &str,
        request: &SessionRequest,
    ) -> Result<Session> {
        let session = into_session(answer, request.privileges.as_deref())?;
        let strange = |what: String| {
            Error::new(ErrorKind::Decode, what).with_request(Action::TokenStartSession.name())
        };
        if let (Some(ours), Some(theirs)) = (self.partner_id, session.partner_id)
            && ours != theirs
        {
            return Err(strange(format!(
                "a session of account {ours} was asked for, and the server's answer is one of {theirs}"
            )));
        }
        let of_another = session.privileges.as_deref().is_some_and(|granted| {
            Privileges::parse(granted)
                .iter()
                .find(|(name, _)| *name == "apptoken")
                .is_some_and(|(_, ids)| {
                    !ids.iter().any(|of| of.trim_end().eq_ignore_ascii_case(id))
                })
        });
        if of_another {
            return Err(strange(format!(
                "a session of token {id} was asked for, and the server's answer is one of another token"
            )));
        }
        // By the server's own clock; ours alone proves it only when it is far off.
        let server_clock = sender.server_clock();
        let doubt = match server_clock.difference_seconds() {
            Some(_) => 0,
            None => LARGEST_STEP_MS,
        };
        let is_dead = session.expiry.is_some_and(|expiry| {
            expiry.saturating_mul(1000).saturating_add(doubt) <= server_clock.now().earliest
        });
        if is_dead {
            return Err(dead_at_birth(id).with_request(Action::TokenStartSession.name()));
        }
        if !session.dropped_privileges.is_empty() {
            sender.events().tell(&Event::DroppedPrivileges {
                request: Action::TokenStartSession.name(),
                privileges: session.dropped_privileges.clone(),
            });
        }
        Ok(session)
    }

    /// The widget session that all exchanges share, asked for once however many wait for it.
    async fn shared_widget_ks(self: &Arc<Self>, sender: &Sender) -> Result<Secret> {
        let (exchange, sender) = (Arc::clone(self), sender.for_all());
        let fetch = self.flight.join("the widget session", sender.age(), || {
            Box::pin(async move {
                let asked = sender.clock().steady_now();
                if let Some(kept) = exchange.kept(asked) {
                    return Ok(kept);
                }
                let ks = exchange.widget_ks(&sender.begin()).await?;
                exchange.keep(&ks, asked);
                sender.events().tell(&Event::SessionFetched {
                    request: Action::SessionStartWidget.name(),
                });
                Ok(ks)
            })
        });
        fetch.await
    }

    /// Another widget session, which nobody shares.
    pub(crate) async fn widget_ks(&self, call: &Call) -> Result<Secret> {
        let partner_id = self.partner_id.ok_or_else(|| {
            Error::config("the partner id is not set, and exchanging a token needs it")
        })?;
        let mut form = Form::new();
        // No KS: a bad one would fail a request that needs none (transcript
        // session.startWidgetSession/garbage_ks_ignored).
        form.push("widgetId", format!("_{partner_id}"));
        let answer: WidgetAnswer = call.send(Action::SessionStartWidget, &form).await.result?;
        answer.ks().ok_or_else(|| {
            Error::new(
                ErrorKind::Decode,
                "the server's answer holds no widget session",
            )
            .with_request(Action::SessionStartWidget.name())
        })
    }

    /// The kept widget session; `now` is the time of the steady clock.
    fn kept(&self, now: Duration) -> Option<Secret> {
        let widget = self.lock();
        let good = widget
            .kept
            .as_ref()
            .filter(|kept| now.saturating_sub(kept.since) < KEEP_WIDGET_SESSION);
        good.map(|kept| kept.ks.clone())
    }

    /// Keeps one that was asked for at `since`.
    fn keep(&self, ks: &Secret, since: Duration) {
        self.lock().kept = Some(Kept {
            ks: ks.clone(),
            since,
        });
    }

    /// Forgets the session that the server no longer accepts, unless another has taken its place: one a
    /// second at most, so that a server that accepts none is not asked for one by every exchange.
    fn forget(&self, refused: &Secret, now: Duration) {
        let mut widget = self.lock();
        let is_soon = widget
            .refused
            .is_some_and(|at| now.saturating_sub(at) < FORGET_AGAIN);
        if !is_soon && widget.kept.take_if(|kept| kept.ks == *refused).is_some() {
            widget.refused = Some(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Widget> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All of the request but what proves that the caller knows the token.
fn form_without_proof(id: &str, request: &SessionRequest) -> Result<Form> {
    let value = request.token.reveal();
    if value.trim().len() != value.len() || value.is_empty() {
        return Err(Error::config(
            "the token's value is empty, or has a space or a newline at its beginning or end",
        ));
    }
    let mut form = Form::new();
    form.push("id", id);
    form.push_some("userId", request.user_id.as_deref());
    if let Some(session_type) = request.session_type {
        if let SessionType::Other(value) = session_type {
            return Err(Error::config(format!(
                "type: {value} is neither 0 (USER) nor 2 (ADMIN)"
            )));
        }
        form.push("type", session_type.value().to_string());
    }
    if let Some(expiry) = request.expiry {
        form.push("expiry", wire::seconds("expiry", expiry)?);
    }
    if let Some(privileges) = &request.privileges {
        refuse_ks_fields("sessionPrivileges", privileges)?;
        form.push("sessionPrivileges", privileges.as_str());
    }
    Ok(form)
}

fn into_session(answer: &SessionAnswer, requested: Option<&str>) -> Result<Session> {
    let info = answer.info();
    let ks = answer.ks().cloned().ok_or_else(|| {
        Error::new(ErrorKind::Decode, "the server's answer holds no session")
            .with_request(Action::TokenStartSession.name())
    })?;
    let dropped_privileges = match (requested, &info.privileges) {
        (Some(requested), Some(granted)) => {
            Privileges::dropped(&Privileges::parse(requested), &Privileges::parse(granted))
        }
        _ => Vec::new(),
    };
    Ok(Session {
        session_type: info.session_type,
        partner_id: info.partner_id,
        user_id: info.user_id,
        expiry: info.expiry,
        privileges: info.privileges,
        dropped_privileges,
        ..Session::of(ks)
    })
}

pub(crate) fn dead_at_birth(id: &str) -> Error {
    Error::config(format!("the sessions of token {id} are dead at birth"))
        .with_hint(Hint::DeadAtBirth)
}
