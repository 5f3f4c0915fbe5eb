//! [`Client`]: one method per action of the API, each composed of what stands in the files beside it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::admin_session::Admin;
use super::exchange::Exchange;
use super::in_doubt::look_for_it;
use super::sender::{Call, Outcome, Sender};
use super::walk::Tokens;
use crate::cancel::Cancel;
use crate::clock::{Clock, ServerTime, millis};
use crate::error::{ApiCode, Error, ErrorKind, KsFailure, Result};
use crate::event::{Event, Events};
use crate::ks::{Ks, KsInfo, KsVersion};
use crate::model::{
    AppToken, ListOptions, NewToken, Pager, ResponseProfile, Session, SessionInfo, SessionRequest,
    SessionType, TokenPage, TokenUpdate,
};
use crate::secret::Secret;
use crate::transport::BoxFuture;
use crate::wire::{self, Action, Answer, Form, SessionAnswer, Void};

/// The client: manages an account's tokens and exchanges tokens for sessions.
///
/// Cheap to clone and safe to share; clones share connections, the widget session and the admin
/// session. Its methods are futures for a tokio runtime; [`crate::blocking`] has the same ones
/// without.
#[derive(Clone)]
pub struct Client {
    sender: Sender,
    exchange: Arc<Exchange>,
    admin: Arc<Admin>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("service_url", &self.service_url())
            .field("partner_id", &self.partner_id())
            .finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(sender: Sender, exchange: Exchange, admin: Admin) -> Self {
        Self {
            sender,
            exchange: Arc::new(exchange),
            admin: Arc::new(admin),
        }
    }

    /// The service URL in use.
    #[must_use]
    pub fn service_url(&self) -> &str {
        self.sender.service_url()
    }

    /// The account.
    #[must_use]
    pub fn partner_id(&self) -> Option<i64> {
        self.admin.partner_id
    }

    /// The same client, whose calls end with `Cancelled` once `cancel` is triggered.
    ///
    /// Dropping a call's future cancels it as well. The difference: an `add_token` cancelled this way
    /// still says `OutcomeUnknown` when the request had left.
    #[must_use]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            sender: self.sender.clone().with_cancel(cancel),
            ..self.clone()
        }
    }

    /// The same client, whose calls take no longer than this, all attempts and waits included.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use kaltura_app_token::Client;
    ///
    /// let client = Client::builder().partner_id(102).build()?;
    /// let impatient = client.with_total_timeout(Duration::from_secs(2));
    /// # Ok::<(), kaltura_app_token::Error>(())
    /// ```
    #[must_use]
    pub fn with_total_timeout(&self, timeout: Duration) -> Self {
        Self {
            sender: self.sender.clone().with_total_timeout(timeout),
            ..self.clone()
        }
    }

    /// Ends every call that is under way, of all clones of this client, with `Cancelled`. Calls that
    /// come later are not concerned.
    pub fn cancel_all(&self) {
        self.sender.cancel_all();
    }

    /// Waits for work that can be cancelled, such as a [`Tokens::fill`], no longer than until this
    /// client's [`Cancel`] is triggered.
    ///
    /// # Errors
    /// The work's own; `Cancelled`.
    pub async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.sender.begin().unless_cancelled(work).await
    }

    /// The same for a provider: cancelled by nobody, and silent of outages, of which that tells itself.
    pub(crate) fn for_provider(mut self) -> Self {
        self.sender = self.sender.for_all().silent_of_outages();
        self
    }

    /// What cancels this client's calls, where [`Client::with_cancel`] named it.
    #[must_use]
    pub fn cancel(&self) -> Option<&Cancel> {
        self.sender.cancel()
    }

    /// How many seconds the server's clock is ahead of ours, once it has answered.
    #[must_use]
    pub fn clock_difference_seconds(&self) -> Option<i64> {
        self.sender.server_clock().difference_seconds()
    }

    /// Creates a token (`appToken.add`). Its value is in the answer.
    ///
    /// The request is never sent a second time once it may have arrived.
    ///
    /// # Errors
    /// `OutcomeUnknown` when nobody can tell whether the token exists; otherwise any kind, and then no
    /// token was created.
    pub async fn add_token(&self, token: &NewToken) -> Result<AppToken> {
        self.add_token_with_profile(token, None).await
    }

    /// As [`Client::add_token`], with a response profile.
    ///
    /// # Errors
    /// As there; `Config` for a profile without `id` or `token`, which would lose them.
    pub async fn add_token_with_profile(
        &self,
        token: &NewToken,
        profile: Option<&ResponseProfile>,
    ) -> Result<AppToken> {
        for field in ["id", "token"] {
            if profile.and_then(|profile| profile.keeps(field)) == Some(false) {
                return Err(Error::config(format!(
                    "response profile: without {field} the new token would be lost"
                )));
            }
        }
        let call = self.sender.begin();
        let (asked, asked_at) = (self.clock().steady_now(), self.server_now());
        let created = self
            .send(&call, Action::TokenAdd, |form| {
                wire::push_new_token(form, token, asked_at)?;
                push_profile(form, profile);
                Ok(())
            })
            .await
            .result
            .and_then(|created: AppToken| {
                let is_sent = |field| profile.is_none_or(|profile| profile.keeps(field).is_some());
                let missing = [
                    ("id", created.id.is_empty()),
                    ("token", created.token.as_ref().is_none_or(Secret::is_empty)),
                ]
                .into_iter()
                .find(|(field, is_missing)| *is_missing && is_sent(field));
                let Some((field, _)) = missing else {
                    return Ok(created);
                };
                let cause = Error::new(
                    ErrorKind::Decode,
                    format!("the server's answer is a token without {field}"),
                )
                .with_request(Action::TokenAdd.name())
                .with_attempts(1);
                let named = Some(created.id).filter(|id| !id.is_empty());
                let named = named.map(|id| wire::to_show(&call.scrubber(&Form::new()), &id));
                Err(Error::outcome_unknown(
                    cause,
                    named.into_iter().collect(),
                    field == "token",
                ))
            });
        let Err(error) = created else {
            return created;
        };
        if error.kind() != ErrorKind::OutcomeUnknown {
            return Err(error);
        }
        let error = if error.candidate_ids().is_empty() {
            // The server's time of asking, by what is known of its clock now: its answer may have told.
            let since = millis(self.clock().steady_now().saturating_sub(asked));
            look_for_it(
                error,
                token,
                (self.server_time().earliest - since).div_euclid(1000),
                self.clock_difference_seconds().is_some(),
                async |options| self.page(&call, &options, Pager::default()).await,
                |id| wire::to_show(&call.scrubber(&Form::new()), id),
            )
            .await
        } else {
            error
        };
        // A caller that has left does not see the error.
        self.events().tell(&Event::InDoubt {
            error: error.clone(),
        });
        Err(error)
    }

    /// One token by its id (`appToken.get`), with its value.
    ///
    /// # Errors
    /// `Api` with `APP_TOKEN_ID_NOT_FOUND` for an unknown or deleted one.
    pub async fn get_token(&self, id: &str) -> Result<AppToken> {
        self.get_token_with_profile(id, None).await
    }

    /// As [`Client::get_token`], with a response profile.
    ///
    /// # Errors
    /// As there.
    pub async fn get_token_with_profile(
        &self,
        id: &str,
        profile: Option<&ResponseProfile>,
    ) -> Result<AppToken> {
        self.fetch_token(&self.sender.begin(), wire::check_id(id)?, profile)
            .await
    }

    async fn fetch_token(
        &self,
        call: &Call,
        id: &str,
        profile: Option<&ResponseProfile>,
    ) -> Result<AppToken> {
        let token = self
            .send(call, Action::TokenGet, |form| {
                form.push("id", id);
                push_profile(form, profile);
                Ok(())
            })
            .await
            .result;
        require_id(token, id, profile, Action::TokenGet)
    }

    /// One page of tokens (`appToken.list`).
    ///
    /// # Errors
    /// `Config` for a page or a filter that the server would misread.
    pub async fn list_tokens(&self, options: &ListOptions, pager: Pager) -> Result<TokenPage> {
        self.page(&self.sender.begin(), options, pager).await
    }

    async fn page(&self, call: &Call, options: &ListOptions, pager: Pager) -> Result<TokenPage> {
        let without_secrets = ResponseProfile::without_secrets();
        let profile = match &options.response_profile {
            None if !options.with_secrets => Some(&without_secrets),
            given => given.as_ref(),
        };
        let mut page: TokenPage = self
            .send(call, Action::TokenList, |form| {
                wire::push_filter(form, &options.filter)?;
                wire::push_pager(form, pager)?;
                push_profile(form, profile);
                Ok(())
            })
            .await
            .result?;
        let may_lack_ids = profile.is_some_and(|profile| profile.keeps("id") != Some(true));
        if !may_lack_ids && page.tokens.iter().any(|token| token.id.is_empty()) {
            return Err(Error::new(
                ErrorKind::Decode,
                "the server lists something that is not a token: it has no id",
            )
            .with_request(Action::TokenList.name()));
        }
        page.tokens.retain(|token| options.filter.accepts(token));
        if !options.with_secrets {
            // A server that does not know response profiles sends them all the same.
            for token in &mut page.tokens {
                token.token = None;
            }
        }
        Ok(page)
    }

    /// All tokens that pass the filter, oldest first, page by page. Of more than 500 ids those of the
    /// first 500 come first, and so on.
    ///
    /// The order is the walk's own; `order_by` must be unset. What the walk promises: see [`Tokens`].
    #[must_use]
    pub fn tokens(&self, options: ListOptions) -> Tokens {
        let client = self.clone();
        let pages = move |options: ListOptions, pager: Pager| -> BoxFuture<'static, _> {
            let client = client.clone();
            Box::pin(async move { client.list_tokens(&options, pager).await })
        };
        Tokens::new(Arc::new(pages), options)
    }

    /// Changes a token (`appToken.update`): only the named fields are sent.
    ///
    /// # Errors
    /// `Config` when nothing is to change or a value would be misread.
    pub async fn update_token(&self, id: &str, update: &TokenUpdate) -> Result<AppToken> {
        self.update_token_with_profile(id, update, None).await
    }

    /// As [`Client::update_token`], with a response profile.
    ///
    /// # Errors
    /// As there.
    pub async fn update_token_with_profile(
        &self,
        id: &str,
        update: &TokenUpdate,
        profile: Option<&ResponseProfile>,
    ) -> Result<AppToken> {
        let id = wire::check_id(id)?;
        let now = self.server_now();
        let token = self
            .send(&self.sender.begin(), Action::TokenUpdate, |form| {
                form.push("id", id);
                wire::push_token_update(form, update, now)?;
                push_profile(form, profile);
                Ok(())
            })
            .await
            .result;
        require_id(token, id, profile, Action::TokenUpdate)
    }

    /// Deletes a token (`appToken.delete`), the only way to revoke it.
    ///
    /// The reference server also ends the sessions minted from it; the guide says that they live on.
    ///
    /// # Errors
    /// `Api` with `APP_TOKEN_ID_NOT_FOUND` for an unknown one. When an answer was lost on the way and
    /// the repeated request says so, it was this call that deleted it, and the call succeeds.
    pub async fn delete_token(&self, id: &str) -> Result<()> {
        let id = wire::check_id(id)?;
        let call = self.sender.begin();
        let outcome = self
            .send::<Void>(&call, Action::TokenDelete, |form| {
                form.push("id", id);
                Ok(())
            })
            .await;
        match outcome.result {
            Ok(Void::Done) => Ok(()),
            // The guide's answer to a deletion, and what an overloaded server says instead of one.
            Ok(Void::Empty) => match self.fetch_token(&call, id, None).await {
                Err(error) if error.api_code() == Some(ApiCode::AppTokenIdNotFound) => Ok(()),
                Err(error) => Err(error),
                Ok(_) => Err(Error::new(
                    ErrorKind::Decode,
                    format!(
                        "the server's answer is empty and token {id} is still there; try again"
                    ),
                )
                .with_request(Action::TokenDelete.name())),
            },
            Err(error)
                if outcome.answer_lost && error.api_code() == Some(ApiCode::AppTokenIdNotFound) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Exchanges a token for a session: widget session, hash, `appToken.startSession`.
    ///
    /// The widget session is shared by all exchanges of this client for up to half an hour, and
    /// renewed once when the server no longer accepts it. No admin secret is needed.
    ///
    /// # Errors
    /// `Api` with `INVALID_APP_TOKEN_HASH`, `APP_TOKEN_ID_NOT_FOUND`, `APP_TOKEN_NOT_ACTIVE` or
    /// `APP_TOKEN_EXPIRED`; each has a hint.
    pub async fn start_session(&self, request: &SessionRequest) -> Result<Session> {
        self.exchange.start_session(&self.sender, request).await
    }

    /// A new widget session (`session.startWidgetSession`): anonymous, for anybody who knows the
    /// account. Not the one that exchanges share.
    ///
    /// # Errors
    /// `Config` without a partner id; `Api` with `INVALID_WIDGET_ID` for an unknown account.
    pub async fn start_widget_session(&self) -> Result<Session> {
        let ks = self.exchange.widget_ks(&self.sender.begin()).await?;
        Ok(Session {
            session_type: Some(SessionType::User),
            partner_id: self.partner_id(),
            ..Session::of(ks)
        })
    }

    /// An ADMIN session from the admin secret by `session.start`, which sends the secret to the server.
    ///
    /// # Errors
    /// `Config` without partner id and admin secret; `Api` with `START_SESSION_ERROR` when they do not
    /// belong together.
    pub async fn start_admin_session(&self) -> Result<Session> {
        self.admin.start(&self.sender.begin()).await
    }

    /// An ADMIN session signed here with the admin secret; nothing is sent.
    ///
    /// # Errors
    /// `Config` without partner id and admin secret.
    pub fn sign_admin_session(&self, version: KsVersion) -> Result<Session> {
        self.admin.sign(&self.sender, version)
    }

    /// What the server reads from a session (`session.get`), or from the admin session itself.
    ///
    /// # Errors
    /// `Config` for what is no KS. `Api` with `INVALID_KS` when the server does not accept it,
    /// `SERVICE_FORBIDDEN` when the asking session is not an ADMIN one.
    pub async fn session_info(&self, ks: Option<&Secret>) -> Result<SessionInfo> {
        ks.map_or(Ok(()), wire::check_ks)?;
        let answer: SessionAnswer = self
            .send(&self.sender.begin(), Action::SessionGet, |form| {
                if let Some(ks) = ks {
                    form.push_secret("session", ks);
                }
                Ok(())
            })
            .await
            .result?;
        let info = answer.info();
        if let (Some(asked), Some(answered)) = (ks, answer.ks())
            && asked != answered
        {
            return Err(Error::new(
                ErrorKind::Decode,
                "the server's answer is about another session than the one that was asked about",
            )
            .with_request(Action::SessionGet.name()));
        }
        // Every answer of the server's has all of them; without, it says nothing about a session.
        if info.expiry.is_none() || (info.session_type.is_none() && info.partner_id.is_none()) {
            return Err(Error::new(
                ErrorKind::Decode,
                "the server's answer is JSON, but not about a session",
            )
            .with_request(Action::SessionGet.name()));
        }
        Ok(info)
    }

    /// What a session says of itself; `None` without the admin secret that signed it.
    pub(crate) fn opened(&self, ks: &Secret) -> Option<KsInfo> {
        let secret = self.admin.secret.as_ref()?;
        Ks::open(ks, std::slice::from_ref(secret)).ok()
    }

    /// Ends a session (`session.end`).
    ///
    /// Ending one that was minted from a token ends **every** session of that token, and on the
    /// reference server those minted later too. This crate never does it by itself.
    ///
    /// # Errors
    /// `Api` with `INVALID_KS` when the server does not accept it.
    pub async fn end_session(&self, ks: &Secret) -> Result<()> {
        let mut form = Form::new();
        form.push_secret("ks", ks);
        let call = self.sender.begin();
        let outcome = call.send::<Void>(Action::SessionEnd, &form).await;
        match outcome.result {
            Ok(Void::Done) => Ok(()),
            // The server refuses an ended session before it looks at what the session may do, so the
            // session can be asked itself whether it has ended, whatever its type.
            Ok(Void::Empty) => {
                let asked = call.send::<SessionAnswer>(Action::SessionGet, &form).await;
                match asked.result {
                    Err(error) if error.api_code() == Some(ApiCode::InvalidKs) => Ok(()),
                    Err(error) if error.api_code() != Some(ApiCode::ServiceForbidden) => Err(error),
                    Err(_) | Ok(_) => Err(Error::new(
                        ErrorKind::Decode,
                        "the server's answer is empty and the session is still accepted; try again",
                    )
                    .with_request(Action::SessionEnd.name())),
                }
            }
            Err(error) if outcome.answer_lost && is_logged_out(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What [`Client::add_token`] would send, credentials masked.
    ///
    /// # Errors
    /// `Config` as there; nothing is sent.
    pub fn preview_add(&self, token: &NewToken) -> Result<Vec<(String, String)>> {
        let mut form = Form::new();
        wire::push_new_token(&mut form, token, self.server_now())?;
        Ok(form.redacted())
    }

    /// What [`Client::update_token`] would send, credentials masked.
    ///
    /// # Errors
    /// `Config` as there; nothing is sent.
    pub fn preview_update(&self, id: &str, update: &TokenUpdate) -> Result<Vec<(String, String)>> {
        let mut form = Form::new();
        form.push("id", wire::check_id(id)?);
        wire::push_token_update(&mut form, update, self.server_now())?;
        Ok(form.redacted())
    }

    /// Sends with the session that manages tokens.
    async fn send<T: Answer>(
        &self,
        call: &Call,
        action: Action,
        fill: impl Fn(&mut Form) -> Result<()>,
    ) -> Outcome<T> {
        self.admin.send(&self.sender, call, action, fill).await
    }

    pub(crate) async fn pause(&self, wait: Duration) -> Result<()> {
        self.sender.begin().pause(wait).await
    }

    /// The server's time in unix seconds, as far as it is known; otherwise ours.
    pub(crate) fn server_now(&self) -> i64 {
        self.sender.server_clock().seconds()
    }

    pub(crate) fn server_time(&self) -> ServerTime {
        self.sender.server_clock().now()
    }

    pub(crate) fn total_timeout(&self) -> Duration {
        self.sender.total_timeout()
    }

    pub(crate) fn sender(&self) -> &Sender {
        &self.sender
    }

    pub(crate) fn events(&self) -> &Events {
        self.sender.events()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        self.sender.clock()
    }
}

fn is_logged_out(error: &Error) -> bool {
    error.ks_failure() == Some(KsFailure::LoggedOut)
}

fn push_profile(form: &mut Form, profile: Option<&ResponseProfile>) {
    if let Some(profile) = profile {
        form.push_profile(profile);
    }
}

/// A token must be the one that was asked for, unless a profile leaves out its id. The server compares
/// ids without case and trailing blanks.
fn require_id(
    token: Result<AppToken>,
    asked: &str,
    profile: Option<&ResponseProfile>,
    action: Action,
) -> Result<AppToken> {
    let token = token?;
    let may_be_missing = profile.is_some_and(|profile| profile.keeps("id") != Some(true));
    if (token.id.is_empty() && may_be_missing)
        || token.id.trim_end().eq_ignore_ascii_case(asked.trim_end())
    {
        return Ok(token);
    }
    let what = if token.id.is_empty() {
        "a token without an id"
    } else {
        "another token"
    };
    Err(Error::new(
        ErrorKind::Decode,
        format!("token {asked} was asked for, and the server's answer is {what}"),
    )
    .with_request(action.name()))
}
