//! [`Client`]: one method per action of the API, each composed of what stands in the files beside it.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use super::admin_session::Admin;
use super::exchange::Exchange;
use super::in_doubt::look_for_it;
use super::sender::{Call, Outcome, Sender};
use crate::cancel::Cancel;
use crate::clock::{ServerTime, millis};
use crate::error::{ApiCode, Error, ErrorKind, KsFailure, Result};
use crate::ks::KsVersion;
use crate::model::{
    AppToken, ListOptions, NewToken, Pager, ProfileFields, ResponseProfile, Session, SessionInfo,
    SessionRequest, SessionType, TokenOrder, TokenPage, TokenUpdate,
};
use crate::retry::Clock;
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

    pub(crate) fn without_cancel(mut self) -> Self {
        self.sender = self.sender.for_all();
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
                Err(Error::outcome_unknown(
                    cause,
                    named.into_iter().collect(),
                    field == "token",
                ))
            });
        match created {
            Err(error)
                if error.kind() == ErrorKind::OutcomeUnknown
                    && error.candidate_ids().is_empty() =>
            {
                // The server's time of asking, by what is known of its clock now: its answer may have
                // told.
                let since = millis(self.clock().steady_now().saturating_sub(asked));
                let error = look_for_it(
                    error,
                    token,
                    (self.server_time().earliest - since).div_euclid(1000),
                    self.clock_difference_seconds().is_some(),
                    async |options| self.page(&call, &options, Pager::default()).await,
                    |id| wire::to_show(&call.scrubber(&Form::new()), id),
                )
                .await;
                // A caller that has left does not see the error.
                log::warn!("{}: {error}", Action::TokenAdd.name());
                Err(error)
            }
            other => other,
        }
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
    /// Every token that exists from the start of the walk to its end comes exactly once, whatever is
    /// created or deleted meanwhile. The order is the walk's own; `order_by` must be unset.
    #[must_use]
    pub fn tokens(&self, options: ListOptions) -> Tokens {
        Tokens {
            state: WalkState::Ready(Box::new(Walk::new(self.clone(), options))),
            found: VecDeque::new(),
        }
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
            ks,
            session_type: Some(SessionType::User),
            partner_id: self.partner_id(),
            user_id: None,
            expiry: None,
            privileges: None,
            dropped_privileges: Vec::new(),
            key: None,
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
    /// `Api` with `INVALID_KS` when it does not accept it, `SERVICE_FORBIDDEN` when the asking session
    /// is not an ADMIN one.
    pub async fn session_info(&self, ks: Option<&Secret>) -> Result<SessionInfo> {
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

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        self.sender.clock()
    }
}

fn is_logged_out(error: &Error) -> bool {
    error.api().and_then(crate::ApiError::ks_failure) == Some(KsFailure::LoggedOut)
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

/// A walk over all tokens: see [`Client::tokens`]. A stream, and by [`Tokens::next`] usable without.
pub struct Tokens {
    state: WalkState,
    found: VecDeque<AppToken>,
}

enum WalkState {
    Ready(Box<Walk>),
    /// A page is being asked for; beside it the walk as it was before, to go back to.
    Fetching(Fetch, Box<Walk>),
    Done,
}

type Fetch = BoxFuture<'static, (Box<Walk>, Result<Vec<AppToken>>)>;

impl Tokens {
    /// The next token; `None` at the end.
    ///
    /// After an error, and after its future was dropped, the walk goes on from where it was.
    pub async fn next(&mut self) -> Option<Result<AppToken>> {
        match self.fill().await {
            Err(error) => Some(Err(error)),
            Ok(_) => self.found.pop_front().map(Ok),
        }
    }

    /// Waits until tokens are at hand; `false` at the end. Nothing is lost when its future is dropped.
    ///
    /// # Errors
    /// Those of [`Client::list_tokens`].
    pub async fn fill(&mut self) -> Result<bool> {
        let waiting = Waiting(self);
        std::future::poll_fn(|context| waiting.0.poll_fill(context)).await
    }

    /// The tokens at hand, without asking for more.
    pub fn take_page(&mut self) -> impl Iterator<Item = AppToken> {
        std::mem::take(&mut self.found).into_iter()
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        loop {
            if !self.found.is_empty() {
                return Poll::Ready(Ok(true));
            }
            match std::mem::replace(&mut self.state, WalkState::Done) {
                WalkState::Done => return Poll::Ready(Ok(false)),
                WalkState::Ready(walk) if walk.finished => return Poll::Ready(Ok(false)),
                WalkState::Ready(mut walk) => {
                    let before = walk.clone();
                    let fetch = Box::pin(async move {
                        let tokens = walk.step().await;
                        (walk, tokens)
                    });
                    self.state = WalkState::Fetching(fetch, before);
                }
                WalkState::Fetching(mut fetch, before) => match fetch.as_mut().poll(context) {
                    Poll::Pending => {
                        self.state = WalkState::Fetching(fetch, before);
                        return Poll::Pending;
                    }
                    Poll::Ready((walk, tokens)) => {
                        self.state = WalkState::Ready(walk);
                        self.found = tokens?.into();
                    }
                },
            }
        }
    }
}

/// Somebody who waits for a page. Gone before it came, the request is given up: left half-way it would
/// keep the session that others wait for.
struct Waiting<'a>(&'a mut Tokens);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.0.state, WalkState::Done);
        self.0.state = match state {
            WalkState::Fetching(_, before) => WalkState::Ready(before),
            at_rest => at_rest,
        };
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Stream for Tokens {
    type Item = Result<AppToken>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.poll_fill(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error))),
            Poll::Ready(Ok(_)) => Poll::Ready(self.found.pop_front().map(Ok)),
        }
    }
}

/// How a walk visits every token once, while others come and go.
///
/// Tokens are asked for in the order of creation, from the last second seen on, so that what is deleted
/// or added elsewhere does not move what is still to come. Within one second (which can hold more than a
/// page) pages must be counted, and a deletion moves the rest forward; so each page is laid to begin
/// among tokens already seen, and when none of those is on it, the walk steps back until one is.
#[derive(Clone)]
struct Walk {
    client: Client,
    options: ListOptions,
    /// The second of creation that was reached.
    second: Option<i64>,
    /// The tokens of that second that were seen.
    seen: HashSet<String>,
    /// How many tokens from the beginning of that second the next page may leave out at most.
    skip: u32,
    finished: bool,
}

impl Walk {
    fn new(client: Client, mut options: ListOptions) -> Self {
        if let Some(ids) = &mut options.filter.id_in {
            // A token that two requests ask for would come twice.
            let mut named = HashSet::new();
            ids.retain(|id| named.insert(id.trim().to_ascii_lowercase()));
        }
        Self {
            client,
            options,
            second: None,
            seen: HashSet::new(),
            skip: 0,
            finished: false,
        }
    }

    async fn step(&mut self) -> Result<Vec<AppToken>> {
        if self.options.filter.order_by.is_some() {
            self.finished = true;
            return Err(Error::config(
                "orderBy: a walk over all tokens has its own order",
            ));
        }
        let mut options = ListOptions {
            response_profile: self.profile()?,
            ..self.options.clone()
        };
        let filter = &mut options.filter;
        if let Some(ids) = &mut filter.id_in {
            ids.truncate(wire::MAX_FILTER_IDS);
        }
        filter.order_by = Some(TokenOrder::CreatedAtAscending);
        filter.created_at_greater_than_or_equal =
            filter.created_at_greater_than_or_equal.max(self.second);
        // Applied below: the walk itself must see every token.
        filter.hash_type_equal = None;
        filter.session_type_equal = None;

        let pager = page_that_overlaps(self.skip);
        let offset = (pager.page_index - 1) * pager.page_size;
        let page = self.client.list_tokens(&options, pager).await?;
        let full = page.tokens.len() >= pager.page_size as usize;

        let is_seen =
            |token: &AppToken| token.created_at == self.second && self.seen.contains(&token.id);
        if offset > 0 && !page.tokens.iter().any(is_seen) {
            self.skip = offset / 2;
            return Ok(Vec::new());
        }
        let fresh: Vec<AppToken> = page
            .tokens
            .iter()
            .filter(|token| !is_seen(token))
            .cloned()
            .collect();
        let last_second = page.tokens.last().and_then(|token| token.created_at);
        if let Some(token) = fresh
            .iter()
            .find(|token| token.id.is_empty() || token.created_at.is_none())
        {
            self.finished = true;
            let what = if token.id.is_empty() {
                "id"
            } else {
                "createdAt"
            };
            return Err(Error::new(
                ErrorKind::Decode,
                format!("the server lists a token without {what}, by which the list is walked"),
            )
            .with_request(Action::TokenList.name()));
        }
        self.finished = !full;
        let shown = u32::try_from(page.tokens.len()).unwrap_or(u32::MAX);
        let moved_on = last_second > self.second;
        if moved_on {
            self.second = last_second;
            self.seen.clear();
        }
        let of_this_second = page
            .tokens
            .iter()
            .filter(|token| token.created_at == self.second);
        self.seen
            .extend(of_this_second.map(|token| token.id.clone()));
        self.skip = if moved_on {
            u32::try_from(self.seen.len()).unwrap_or(u32::MAX)
        } else {
            offset + shown
        };
        self.finished = self.finished && !self.next_ids();
        let accepts = |token: &AppToken| self.options.filter.accepts(token);
        Ok(fresh.into_iter().filter(accepts).collect())
    }

    /// Goes on with the ids that were not asked for yet; `false`: there are none.
    fn next_ids(&mut self) -> bool {
        let Some(ids) = &mut self.options.filter.id_in else {
            return false;
        };
        ids.drain(..ids.len().min(wire::MAX_FILTER_IDS));
        (self.second, self.skip) = (None, 0);
        self.seen.clear();
        !ids.is_empty()
    }

    /// The caller's response profile, with what the walk cannot do without.
    fn profile(&self) -> Result<Option<ResponseProfile>> {
        let Some(profile) = &self.options.response_profile else {
            return Ok(None);
        };
        let mut profile = profile.clone();
        let (ResponseProfile::Detached(fields) | ResponseProfile::Full { fields, .. }) =
            &mut profile
        else {
            return Ok(Some(profile));
        };
        for needed in ["id", "createdAt"] {
            match fields {
                ProfileFields::Include(names) if !names.iter().any(|name| name == needed) => {
                    names.push(needed.to_owned());
                }
                ProfileFields::Exclude(names) if names.iter().any(|name| name == needed) => {
                    return Err(Error::config(format!(
                        "response profile: a walk over all tokens needs {needed}"
                    )));
                }
                _ => {}
            }
        }
        Ok(Some(profile))
    }
}

/// A page that leaves out fewer than `skip` tokens, so that at least one known token is on it.
fn page_that_overlaps(skip: u32) -> Pager {
    let full = Pager::MAX_PAGE_SIZE;
    if skip == 0 || skip < full {
        return Pager::default();
    }
    // Pages begin at multiples of their size: take the largest size of which none ends right at `skip`
    // and that leaves a few known tokens on the page.
    let page_size = (full * 4 / 5..=full)
        .rev()
        .find(|size| (2..=full / 2).contains(&(skip % size)))
        .unwrap_or(full - 1);
    Pager {
        page_size,
        page_index: skip / page_size + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_in_the_middle_of_a_second_begins_among_known_tokens() {
        for skip in 1..20_000 {
            let pager = page_that_overlaps(skip);
            let offset = (pager.page_index - 1) * pager.page_size;
            assert!(offset < skip, "{skip}: {pager:?}");
            assert!(
                offset + pager.page_size > skip,
                "{skip}: {pager:?} shows nothing new"
            );
            assert!(pager.page_size <= Pager::MAX_PAGE_SIZE && pager.page_size >= 100);
        }
    }
}
