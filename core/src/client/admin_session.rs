//! The session that manages tokens: given, signed here, or started by the server; kept and renewed.
//! Over a [`Sender`]; knows no [`crate::Client`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::sender::{Call, Outcome, Sender};
use crate::error::{Error, Hint, KsFailure, Result};
use crate::event::Event;
use crate::flight::Flight;
use crate::ks::{Ks, KsFields, KsVersion};
use crate::model::{Session, SessionInfo, SessionType};
use crate::secret::Secret;
use crate::wire::{Action, Answer, Form};

/// How the session that manages tokens comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdminSession {
    /// Signed here: the admin secret never travels and no request is needed.
    Signed(KsVersion),
    /// Asked of the server by `session.start`, which sends it the admin secret.
    Started,
}

impl Default for AdminSession {
    fn default() -> Self {
        Self::Signed(KsVersion::V2)
    }
}

/// What an account's tokens are managed with.
pub(crate) struct Admin {
    pub(crate) partner_id: Option<i64>,
    pub(crate) secret: Option<Secret>,
    /// A session that was given, and is used as long as it lasts.
    pub(crate) ks: Option<Secret>,
    pub(crate) user_id: Option<String>,
    pub(crate) duration: Duration,
    pub(crate) privileges: String,
    pub(crate) how: AdminSession,
    pub(crate) kept: Kept,
}

/// The session that is in use, and the request for another one.
#[derive(Default)]
pub(crate) struct Kept {
    session: Mutex<Option<AdminKs>>,
    flight: Arc<Flight<AdminKs>>,
}

#[derive(Clone)]
struct AdminKs {
    ks: Secret,
    /// When to make another, in unix seconds; `None`: it was given.
    renew_at: Option<i64>,
}

impl Admin {
    /// Sends a request with the admin session. One that has expired early, because the clocks differ or
    /// the account caps it, is renewed once: the server refused that request, so nothing is repeated.
    ///
    /// A creation is not sent again because of an answer that calls a session expired that was made for
    /// it: no server says so in earnest, and the answer may be to something else.
    pub(crate) async fn send<T: Answer>(
        self: &Arc<Self>,
        sender: &Sender,
        call: &Call,
        action: Action,
        fill: impl Fn(&mut Form) -> Result<()>,
    ) -> Outcome<T> {
        let mut renewed = false;
        let mut answer_lost = false;
        loop {
            let prepared = async {
                // First, so that bad input is named before a session is started for it.
                let mut form = Form::new();
                fill(&mut form)?;
                let (admin, was_kept) = self.session(sender, call).await?;
                form.push_secret("ks", &admin.ks);
                Ok((form, admin, was_kept))
            };
            let (form, admin, was_kept) = match prepared.await {
                Ok(prepared) => prepared,
                Err(error) => {
                    return Outcome {
                        result: Err(error),
                        answer_lost,
                    };
                }
            };
            let mut outcome = call.send(action, &form).await;
            answer_lost |= outcome.answer_lost;
            outcome.answer_lost = answer_lost;
            let expired = matches!(&outcome.result, Err(error)
                if error.ks_failure() == Some(KsFailure::Expired));
            if !expired || admin.renew_at.is_none() {
                return outcome;
            }
            self.kept.forget(&admin);
            if renewed || !(was_kept || action.is_repeatable()) {
                outcome.result = outcome
                    .result
                    .map_err(|error| error.with_hint(Hint::WrongClock));
                return outcome;
            }
            renewed = true;
        }
    }

    /// A session signed here, which no request is needed for.
    pub(crate) fn sign(&self, sender: &Sender, version: KsVersion) -> Result<Session> {
        let (partner_id, secret) = self.credentials()?;
        let fields = KsFields {
            partner_id,
            user_id: self.user_id.clone(),
            session_type: SessionType::Admin,
            expiry: Ks::expiry_at(
                sender.server_clock().seconds_to_sign(),
                self.duration,
                &self.privileges,
            ),
            privileges: self.privileges.clone(),
            master_partner_id: None,
            additional_data: None,
        };
        let ks = Ks::sign(&fields, secret, version)?;
        Ok(Session {
            session_type: Some(fields.session_type),
            partner_id: Some(partner_id),
            user_id: fields.user_id,
            expiry: Some(fields.expiry),
            privileges: Some(fields.privileges),
            ..Session::of(ks)
        })
    }

    /// A session asked of the server, which is sent the admin secret.
    pub(crate) async fn start(&self, call: &Call) -> Result<Session> {
        let (partner_id, secret) = self.credentials()?;
        let mut form = Form::new();
        form.push_secret("secret", secret);
        form.push("partnerId", partner_id.to_string());
        form.push("type", SessionType::Admin.value().to_string());
        form.push("expiry", self.duration.as_secs().to_string());
        form.push_some("userId", self.user_id.as_deref());
        if !self.privileges.is_empty() {
            form.push("privileges", self.privileges.as_str());
        }
        let ks: Secret = call.send(Action::SessionStart, &form).await.result?;
        // The answer is the bare session; what it says of itself is read with the secret at hand.
        let info = Ks::open(&ks, std::slice::from_ref(secret)).map_or_else(
            |_| SessionInfo::default(),
            |read| SessionInfo {
                session_type: read.session_type,
                partner_id: read.partner_id,
                user_id: read.user_id,
                expiry: read.expiry,
                privileges: read.privileges,
            },
        );
        Ok(Session {
            session_type: info.session_type.or(Some(SessionType::Admin)),
            partner_id: Some(partner_id),
            user_id: info.user_id.or_else(|| self.user_id.clone()),
            expiry: info.expiry,
            privileges: info.privileges,
            ..Session::of(ks)
        })
    }

    /// The session in use, or another one before it expires; and whether it was there already.
    async fn session(self: &Arc<Self>, sender: &Sender, call: &Call) -> Result<(AdminKs, bool)> {
        if let Some(ks) = &self.ks {
            let given = AdminKs {
                ks: ks.clone(),
                renew_at: None,
            };
            return Ok((given, true));
        }
        if let Some(kept) = self.kept.good(sender.server_clock().seconds()) {
            return Ok((kept, true));
        }
        let admin = match self.how {
            AdminSession::Signed(version) => self.keep(sender, self.sign(sender, version)?),
            AdminSession::Started => call.within(self.shared_start(sender)).await?,
        };
        Ok((admin, false))
    }

    /// The session that the server starts, asked for once however many wait for it.
    async fn shared_start(self: &Arc<Self>, sender: &Sender) -> Result<AdminKs> {
        let (admin, sender) = (Arc::clone(self), sender.for_all());
        let fetch = self
            .kept
            .flight
            .join("the admin session", sender.age(), || {
                Box::pin(async move {
                    if let Some(kept) = admin.kept.good(sender.server_clock().seconds()) {
                        return Ok(kept);
                    }
                    let session = admin.start(&sender.begin()).await?;
                    sender.events().tell(&Event::SessionFetched {
                        request: Action::SessionStart.name(),
                    });
                    Ok(admin.keep(&sender, session))
                })
            });
        fetch.await
    }

    fn keep(&self, sender: &Sender, session: Session) -> AdminKs {
        let duration = i64::try_from(self.duration.as_secs()).unwrap_or(i64::MAX);
        let expiry = session
            .expiry
            .unwrap_or_else(|| sender.server_clock().seconds().saturating_add(duration));
        let admin = AdminKs {
            ks: session.ks,
            renew_at: Some(expiry.saturating_sub((duration / 10).min(300))),
        };
        *self.kept.lock() = Some(admin.clone());
        admin
    }

    fn credentials(&self) -> Result<(i64, &Secret)> {
        let secret = self.secret.as_ref().ok_or_else(|| {
            Error::config("the admin secret is not set, and managing tokens needs it")
                .with_hint(Hint::NoAdminSession)
        })?;
        let partner_id = self.partner_id.ok_or_else(|| {
            Error::config("the partner id is not set, and managing tokens needs it")
        })?;
        Ok((partner_id, secret))
    }
}

impl Kept {
    fn good(&self, now: i64) -> Option<AdminKs> {
        self.lock()
            .clone()
            .filter(|kept| kept.renew_at.is_none_or(|renew_at| now < renew_at))
    }

    fn forget(&self, refused: &AdminKs) {
        self.lock().take_if(|kept| kept.ks == refused.ks);
    }

    fn lock(&self) -> MutexGuard<'_, Option<AdminKs>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
