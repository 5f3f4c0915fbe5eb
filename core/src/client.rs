//! [`Client`]: one method per action of the API. The only place that joins wire, transport, retry and
//! exchange; everything that decides what is sent, with which session and how often, is here.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};

use futures_core::Stream;
use tokio::sync::Notify;

use crate::clock::{Moment, ServerClock, ServerTime, millis};
use crate::config::{DEFAULT_SERVICE_URL, Need, NetworkSettings, ServiceUrl, Settings, Source};
use crate::error::{ApiCode, Error, ErrorKind, KsFailure, Result};
use crate::exchange::{WidgetSession, token_hash};
use crate::flight::Flight;
use crate::ks::{Ks, KsFields, KsVersion};
use crate::model::{
    AppToken, ListOptions, NewToken, Pager, ProfileFields, ResponseProfile, Session, SessionInfo,
    SessionRequest, SessionType, TokenFilter, TokenOrder, TokenPage, TokenUpdate,
};
use crate::privileges::{Privileges, refuse_ks_fields};
use crate::retry::{Clock, RetryPolicy, SystemClock, chance, retry_after};
use crate::secret::{Scrubber, Secret};
use crate::transport::{
    BoxFuture, HttpTransport, ProxySettings, Transport, TransportAnswer, TransportError,
    TransportOptions,
};
use crate::wire::{self, Action, Answer, Form, RawAnswer, SessionAnswer, Void, WidgetAnswer};

/// The life of the admin session when nothing else is said: as long as the old script's.
const ADMIN_SESSION_DURATION: Duration = Duration::from_secs(86_400);
/// How far before our own idea of the time a token in doubt may have been created.
const LOOK_BACK_SECONDS: i64 = 5;
const LOOK_BACK_UNKNOWN_CLOCK_SECONDS: i64 = 600;

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

/// Settings of a [`Client`]. No setter fails; [`ClientBuilder::build`] names what cannot be used.
#[derive(Clone, Debug)]
#[must_use = "nothing happens before build()"]
pub struct ClientBuilder {
    settings: Settings,
    allow_http: bool,
    admin_session: AdminSession,
    user_agent: String,
    connect_timeout: Duration,
    attempt_timeout: Duration,
    total_timeout: Duration,
    idle_timeout: Duration,
    max_response_bytes: usize,
    retry: RetryPolicy,
    // Its URL may hold credentials.
    proxy: Option<Secret>,
    ca_file: Option<PathBuf>,
    network_environment: bool,
    transport: Option<Arc<dyn Transport>>,
    clock: Option<Arc<dyn Clock>>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            settings: Settings::new(Source::Explicit),
            allow_http: false,
            admin_session: AdminSession::default(),
            user_agent: concat!("kaltura-app-token/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(20),
            total_timeout: Duration::from_secs(60),
            // Apache drops an idle connection after five seconds unless told otherwise. Dropping it
            // before the server does keeps a stale one from making an `add` end in doubt.
            idle_timeout: Duration::from_secs(4),
            max_response_bytes: 32 << 20,
            retry: RetryPolicy::default(),
            proxy: None,
            ca_file: None,
            network_environment: true,
            transport: None,
            clock: None,
        }
    }
}

impl ClientBuilder {
    /// Takes account, credentials and URL from resolved settings.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// The account.
    pub fn partner_id(mut self, partner_id: i64) -> Self {
        self.settings.partner_id = Some(partner_id);
        self
    }

    /// The account's admin secret, for managing tokens. Exchanging a token does not need it.
    pub fn admin_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.settings.admin_secret = Some(secret.into());
        self
    }

    /// An ADMIN session to manage tokens with, instead of the admin secret.
    pub fn ks(mut self, ks: impl Into<Secret>) -> Self {
        self.settings.ks = Some(ks.into());
        self
    }

    /// The service URL or a region's short name; see [`crate::normalize_service_url`].
    pub fn service_url(mut self, url: impl Into<String>) -> Self {
        self.settings.service_url = Some(url.into());
        self
    }

    /// The user of the admin session.
    pub fn user_id(mut self, user_id: impl Into<String>) -> Self {
        self.settings.user_id = Some(user_id.into());
        self
    }

    /// The life of the admin session; a day unless set.
    pub fn admin_session_duration(mut self, duration: Duration) -> Self {
        self.settings.admin_session_duration = Some(duration);
        self
    }

    /// The privileges of the admin session; none unless set.
    pub fn admin_privileges(mut self, privileges: impl Into<String>) -> Self {
        self.settings.admin_privileges = Some(privileges.into());
        self
    }

    /// How the admin session comes about; signed here unless set.
    pub fn admin_session(mut self, how: AdminSession) -> Self {
        self.admin_session = how;
        self
    }

    /// Allows plain http to another machine, for installations that have nothing else.
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// The `User-Agent` header.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// The longest time to wait for a connection; 10 s unless set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The longest time for one attempt; 20 s unless set.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// The longest time for a whole call, all attempts and waits included; 60 s unless set.
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.total_timeout = timeout;
        self
    }

    /// How long a connection is kept without use; 4 s unless set.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// The largest answer that is read, in bytes; 32 MiB unless set.
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// How many times a request is sent again at most; 3 unless set.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.retry.max_retries = retries;
        self
    }

    /// The first wait before a retry, doubled for each following one; 1 s unless set.
    pub fn retry_backoff(mut self, backoff: Duration) -> Self {
        self.retry.backoff = backoff;
        self
    }

    /// The proxy, as a URL. Never used for an address of this machine.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(Secret::new(url));
        self
    }

    /// A PEM file of certificate authorities to trust instead of the system's.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Whether proxies and a CA file are also taken from the usual variables; yes unless set.
    pub fn network_environment(mut self, read: bool) -> Self {
        self.network_environment = read;
        self
    }

    /// Carries the requests by other means.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Takes the time from elsewhere.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Makes the client. Connects to nothing yet.
    ///
    /// # Errors
    /// `Config` naming what cannot be used.
    pub fn build(self) -> Result<Client> {
        let settings = &self.settings;
        let written = settings
            .service_url
            .as_deref()
            .unwrap_or(DEFAULT_SERVICE_URL);
        let url = ServiceUrl::parse(written, self.allow_http)?;
        for (name, timeout) in [
            ("connect timeout", self.connect_timeout),
            ("attempt timeout", self.attempt_timeout),
            ("total timeout", self.total_timeout),
        ] {
            if timeout.is_zero() {
                return Err(Error::config(format!(
                    "{name}: 0 would never let a request finish"
                )));
            }
        }
        let admin_duration = settings
            .admin_session_duration
            .unwrap_or(ADMIN_SESSION_DURATION);
        wire::seconds("the admin session's expiry", admin_duration)?;
        if let Some(privileges) = &settings.admin_privileges {
            refuse_ks_fields("the admin session's privileges", privileges)?;
        }
        let mut partner_id = settings.partner_id;
        if let Some(id) = partner_id.filter(|id| *id <= 0) {
            return Err(Error::config(format!("partner id: {id} is not above 0")));
        }
        if partner_id.is_none()
            && let Some(ks) = &settings.ks
        {
            partner_id = Ks::describe(ks)?.partner_id;
        }
        let transport = match self.transport {
            Some(transport) => transport,
            None => Arc::new(HttpTransport::new(
                &TransportOptions {
                    user_agent: self.user_agent,
                    connect_timeout: self.connect_timeout,
                    idle_timeout: self.idle_timeout,
                    max_response_bytes: self.max_response_bytes,
                    proxy: None,
                    ca_file: self.ca_file,
                    tls: url.is_tls(),
                }
                .with_network(&url, self.proxy, self.network_environment)?,
            )?),
        };
        let clock = self
            .clock
            .unwrap_or_else(|| Arc::new(SystemClock::default()));
        Ok(Client {
            inner: Arc::new(Inner {
                service_url: url.as_str().to_owned(),
                partner_id,
                admin_secret: settings
                    .admin_secret
                    .clone()
                    .filter(|secret| !secret.is_empty()),
                ks: settings.ks.clone().filter(|ks| !ks.is_empty()),
                user_id: settings.user_id.clone(),
                admin_duration,
                admin_privileges: settings.admin_privileges.clone().unwrap_or_default(),
                admin_session: self.admin_session,
                attempt_timeout: self.attempt_timeout,
                total_timeout: self.total_timeout,
                retry: self.retry,
                transport,
                server_clock: ServerClock::new(Arc::clone(&clock)),
                clock,
                widget: WidgetSession::default(),
                admin: KeptAdminSession::default(),
            }),
            cancel: None,
        })
    }
}

impl TransportOptions {
    fn with_network(
        mut self,
        url: &ServiceUrl,
        proxy: Option<Secret>,
        read_environment: bool,
    ) -> Result<Self> {
        let mut network = NetworkSettings::default();
        if read_environment {
            network = NetworkSettings::from_variables(url, |name| std::env::var_os(name))?;
        }
        let explicit = proxy.map(|url| ProxySettings {
            url,
            no_proxy: None,
        });
        if !url.is_loopback() {
            self.proxy = explicit.or(network.proxy);
        }
        self.ca_file = self.ca_file.or(network.ca_file);
        Ok(self)
    }
}

/// Gives up calls from another thread or task: see [`Client::with_cancel`].
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    triggered: AtomicBool,
    waiting: Notify,
}

impl Cancel {
    /// Not triggered yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every call under way with it, and every later one, end with `Cancelled`.
    pub fn trigger(&self) {
        self.0.triggered.store(true, Ordering::SeqCst);
        self.0.waiting.notify_waiters();
    }

    /// Whether it has been triggered.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        self.0.triggered.load(Ordering::SeqCst)
    }

    pub(crate) async fn triggered(&self) {
        let notified = self.0.waiting.notified();
        tokio::pin!(notified);
        // Registered before the flag is looked at, so that no trigger falls in between.
        notified.as_mut().enable();
        if !self.is_triggered() {
            notified.await;
        }
    }
}

/// The client: manages an account's tokens and exchanges tokens for sessions.
///
/// Cheap to clone and safe to share; clones share connections, the widget session and the admin
/// session. Its methods are futures for a tokio runtime; [`crate::blocking`] has the same ones
/// without.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    cancel: Option<Cancel>,
}

struct Inner {
    service_url: String,
    partner_id: Option<i64>,
    admin_secret: Option<Secret>,
    ks: Option<Secret>,
    user_id: Option<String>,
    admin_duration: Duration,
    admin_privileges: String,
    admin_session: AdminSession,
    attempt_timeout: Duration,
    total_timeout: Duration,
    retry: RetryPolicy,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    server_clock: ServerClock,
    widget: WidgetSession,
    admin: KeptAdminSession,
}

/// The admin session, and the request for another one.
#[derive(Default)]
struct KeptAdminSession {
    kept: Mutex<Option<AdminKs>>,
    flight: Arc<Flight<AdminKs>>,
}

impl KeptAdminSession {
    fn good(&self, now: i64) -> Option<AdminKs> {
        self.lock()
            .clone()
            .filter(|kept| kept.renew_at.is_none_or(|renew_at| now < renew_at))
    }

    fn keep(&self, admin: &AdminKs) {
        *self.lock() = Some(admin.clone());
    }

    fn forget(&self, refused: &AdminKs) {
        self.lock().take_if(|kept| kept.ks == refused.ks);
    }

    fn lock(&self) -> MutexGuard<'_, Option<AdminKs>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct AdminKs {
    ks: Secret,
    /// When to make another, in unix seconds; `None`: it was given and is used as long as it lasts.
    renew_at: Option<i64>,
}

/// What a call came to, and whether an earlier attempt's answer was lost on the way.
struct Outcome<T> {
    result: Result<T>,
    answer_lost: bool,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("service_url", &self.inner.service_url)
            .field("partner_id", &self.inner.partner_id)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A builder with nothing set.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client for what the environment says: see [`Settings::from_env`].
    ///
    /// # Errors
    /// `Config` when the account is missing or a value cannot be used.
    pub fn from_env() -> Result<Self> {
        let settings = Settings::resolve(&[Settings::from_env()?], Need::Exchange)?;
        Self::builder().settings(settings).build()
    }

    /// A client for what a `config.json` says: see [`Settings::from_config_file`].
    ///
    /// # Errors
    /// `Config` when the file cannot be read, the account is missing or a value cannot be used.
    pub fn from_config_file(path: impl AsRef<std::path::Path>) -> Result<Self> {
        let settings = Settings::from_config_file(path.as_ref())?;
        let settings = Settings::resolve(&[settings], Need::Exchange)?;
        Self::builder().settings(settings).build()
    }

    /// The service URL in use.
    #[must_use]
    pub fn service_url(&self) -> &str {
        &self.inner.service_url
    }

    /// The account.
    #[must_use]
    pub fn partner_id(&self) -> Option<i64> {
        self.inner.partner_id
    }

    /// The same client, whose calls end with `Cancelled` once `cancel` is triggered.
    ///
    /// Dropping a call's future gives it up as well. The difference: an `add_token` cancelled this way
    /// still says `OutcomeUnknown` when the request had left.
    #[must_use]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            cancel: Some(cancel.clone()),
        }
    }

    /// Waits for work that can be given up, such as a [`Tokens::fill`], no longer than until this
    /// client's [`Cancel`] is triggered.
    ///
    /// # Errors
    /// The work's own; `Cancelled`.
    pub async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            done = work => done,
            () = wait_for(self.cancel.as_ref()) => Err(cancelled_error()),
        }
    }

    pub(crate) fn without_cancel(mut self) -> Self {
        self.cancel = None;
        self
    }

    /// What gives this client's calls up, where [`Client::with_cancel`] named it.
    #[must_use]
    pub fn cancel(&self) -> Option<&Cancel> {
        self.cancel.as_ref()
    }

    /// How many seconds the server's clock is ahead of ours, once it has answered.
    #[must_use]
    pub fn clock_difference_seconds(&self) -> Option<i64> {
        self.inner.server_clock.difference_seconds()
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
        let deadline = self.deadline();
        let (asked, asked_at) = (self.inner.clock.steady_now(), self.server_now());
        let created = self
            .admin_call(Action::TokenAdd, deadline, |form| {
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
                let error = self.look_for_it(token, asked, error, deadline).await;
                // A caller that has given up does not see the error.
                log::warn!("{}: {error}", Action::TokenAdd.name());
                Err(error)
            }
            other => other,
        }
    }

    /// Adds to a creation in doubt the ids of tokens that may be the one.
    async fn look_for_it(
        &self,
        token: &NewToken,
        asked: Duration,
        error: Error,
        deadline: Duration,
    ) -> Error {
        let Some(cause) = error.cause() else {
            return error;
        };
        if cause.kind() == ErrorKind::Cancelled {
            return error;
        }
        // The server's time of asking, by what is known of its clock now: its answer may have told.
        let since = self.inner.clock.steady_now().saturating_sub(asked);
        let asked_at = (self.server_time().earliest - millis(since)).div_euclid(1000);
        let look_back = match self.clock_difference_seconds() {
            Some(_) => LOOK_BACK_SECONDS,
            None => LOOK_BACK_UNKNOWN_CLOCK_SECONDS,
        };
        let options = ListOptions {
            filter: TokenFilter {
                created_at_greater_than_or_equal: Some(asked_at - look_back),
                order_by: Some(TokenOrder::CreatedAtDescending),
                ..TokenFilter::default()
            },
            ..ListOptions::default()
        };
        match self.page(&options, Pager::default(), deadline).await {
            Ok(page) => {
                let alike = page
                    .tokens
                    .into_iter()
                    .filter(|listed| may_be(listed, token));
                let scrubber = self.scrubber(&Form::new());
                let ids = alike.map(|listed| wire::to_show(&scrubber, &listed.id));
                Error::outcome_unknown(cause, ids.collect(), true)
            }
            Err(_) => error,
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
        self.fetch_token(check_id(id)?, profile, self.deadline())
            .await
    }

    async fn fetch_token(
        &self,
        id: &str,
        profile: Option<&ResponseProfile>,
        deadline: Duration,
    ) -> Result<AppToken> {
        let token = self
            .admin_call(Action::TokenGet, deadline, |form| {
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
        self.page(options, pager, self.deadline()).await
    }

    async fn page(
        &self,
        options: &ListOptions,
        pager: Pager,
        deadline: Duration,
    ) -> Result<TokenPage> {
        let without_secrets = ResponseProfile::without_secrets();
        let profile = match &options.response_profile {
            None if !options.with_secrets => Some(&without_secrets),
            given => given.as_ref(),
        };
        let mut page: TokenPage = self
            .admin_call(Action::TokenList, deadline, |form| {
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
        let id = check_id(id)?;
        let now = self.server_now();
        let token = self
            .admin_call(Action::TokenUpdate, self.deadline(), |form| {
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
        let id = check_id(id)?;
        let deadline = self.deadline();
        let outcome = self
            .admin_call::<Void>(Action::TokenDelete, deadline, |form| {
                form.push("id", id);
                Ok(())
            })
            .await;
        match outcome.result {
            Ok(Void::Done) => Ok(()),
            // The guide's answer to a deletion, and what an overloaded server says instead of one.
            Ok(Void::Empty) => match self.fetch_token(id, None, deadline).await {
                Err(error) if is_not_found(&error) => Ok(()),
                Err(error) => Err(error),
                Ok(_) => Err(Error::new(
                    ErrorKind::Decode,
                    format!(
                        "the server's answer is empty and token {id} is still there; try again"
                    ),
                )
                .with_request(Action::TokenDelete.name())),
            },
            Err(error) if outcome.answer_lost && is_not_found(&error) => Ok(()),
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
        let id = check_id(&request.id)?;
        let value = request.token.reveal();
        if value.trim().len() != value.len() || value.is_empty() {
            return Err(Error::config(
                "the token's value is empty, or has a space or a newline at its beginning or end",
            ));
        }
        let mut rest = Form::new();
        rest.push("id", id);
        rest.push_some("userId", request.user_id.as_deref());
        if let Some(session_type) = request.session_type {
            if let SessionType::Other(value) = session_type {
                return Err(Error::config(format!(
                    "type: {value} is neither 0 (USER) nor 2 (ADMIN)"
                )));
            }
            rest.push("type", session_type.value().to_string());
        }
        if let Some(expiry) = request.expiry {
            rest.push("expiry", wire::seconds("expiry", expiry)?);
        }
        if let Some(privileges) = &request.privileges {
            refuse_ks_fields("sessionPrivileges", privileges)?;
            rest.push("sessionPrivileges", privileges.as_str());
        }
        let deadline = self.deadline();
        let mut renewed = false;
        loop {
            let kept = self.inner.widget.kept(self.inner.clock.steady_now());
            let is_kept = kept.is_some();
            let widget = match kept {
                Some(ks) => ks,
                None => self.within(deadline, self.fetch_shared_widget_ks()).await?,
            };
            let mut form = rest.clone_plain();
            form.push_secret("ks", &widget);
            form.push_secret(
                "tokenHash",
                &token_hash(&request.hash_type, &widget, &request.token)?,
            );
            form.keep_out_of_errors(&request.token);
            let result = self
                .call(Action::TokenStartSession, &form, deadline)
                .await
                .result;
            match result {
                Err(error) if is_invalid_ks(&error) => {
                    self.inner.widget.forget(&widget);
                    // Once: with many exchanges under way, the next one to be kept may be refused as
                    // well.
                    if !is_kept || renewed {
                        return Err(error);
                    }
                    renewed = true;
                }
                Err(error) => return Err(error),
                Ok(answer) => return self.minted(&answer, id, request.privileges.as_deref()),
            }
        }
    }

    /// A session, once it is known to be of the token that was asked for and alive.
    fn minted(&self, answer: &SessionAnswer, id: &str, requested: Option<&str>) -> Result<Session> {
        let session = session(answer, requested)?;
        let strange = |what: String| {
            Error::new(ErrorKind::Decode, what).with_request(Action::TokenStartSession.name())
        };
        if let (Some(ours), Some(theirs)) = (self.inner.partner_id, session.partner_id)
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
        // By the server's own clock only: ours alone proves nothing.
        let is_dead = self.clock_difference_seconds().is_some()
            && session
                .expiry
                .is_some_and(|expiry| expiry.saturating_mul(1000) <= self.server_time().earliest);
        if is_dead {
            return Err(dead_at_birth(id).with_request(Action::TokenStartSession.name()));
        }
        Ok(session)
    }

    /// The widget session that all exchanges share, asked for once however many wait for it.
    async fn fetch_shared_widget_ks(&self) -> Result<Secret> {
        let client = self.clone().without_cancel();
        let fetch = self.inner.widget.flight().join("the widget session", || {
            Box::pin(async move {
                let (inner, asked) = (&client.inner, client.inner.clock.steady_now());
                if let Some(kept) = inner.widget.kept(asked) {
                    return Ok(kept);
                }
                let ks = client.fetch_widget_ks(client.deadline()).await?;
                inner.widget.keep(&ks, asked);
                Ok(ks)
            })
        });
        fetch.await
    }

    /// A new widget session (`session.startWidgetSession`): anonymous, for anybody who knows the
    /// account. Not the one that exchanges share.
    ///
    /// # Errors
    /// `Config` without a partner id; `Api` with `INVALID_WIDGET_ID` for an unknown account.
    pub async fn start_widget_session(&self) -> Result<Session> {
        let ks = self.fetch_widget_ks(self.deadline()).await?;
        Ok(Session {
            ks,
            session_type: Some(SessionType::User),
            partner_id: self.inner.partner_id,
            user_id: None,
            expiry: None,
            privileges: None,
            dropped_privileges: Vec::new(),
            key: None,
        })
    }

    async fn fetch_widget_ks(&self, deadline: Duration) -> Result<Secret> {
        let partner_id = self.partner("exchanging a token")?;
        let mut form = Form::new();
        // No KS: a bad one would fail a request that needs none (transcript
        // session.startWidgetSession/garbage_ks_ignored).
        form.push("widgetId", format!("_{partner_id}"));
        let answer: WidgetAnswer = self
            .call(Action::SessionStartWidget, &form, deadline)
            .await
            .result?;
        answer.ks().ok_or_else(|| {
            Error::new(
                ErrorKind::Decode,
                "the server's answer holds no widget session",
            )
            .with_request(Action::SessionStartWidget.name())
        })
    }

    /// An ADMIN session from the admin secret by `session.start`, which sends the secret to the server.
    ///
    /// # Errors
    /// `Config` without partner id and admin secret; `Api` with `START_SESSION_ERROR` when they do not
    /// belong together.
    pub async fn start_admin_session(&self) -> Result<Session> {
        let (ks, info) = self.fetch_admin_ks(self.deadline()).await?;
        Ok(Session {
            ks,
            session_type: info.session_type.or(Some(SessionType::Admin)),
            partner_id: self.inner.partner_id,
            user_id: info.user_id.or_else(|| self.inner.user_id.clone()),
            expiry: info.expiry,
            privileges: info.privileges,
            dropped_privileges: Vec::new(),
            key: None,
        })
    }

    async fn fetch_admin_ks(&self, deadline: Duration) -> Result<(Secret, SessionInfo)> {
        let inner = &self.inner;
        let (partner_id, secret) = self.admin_credentials()?;
        let mut form = Form::new();
        form.push_secret("secret", secret);
        form.push("partnerId", partner_id.to_string());
        form.push("type", SessionType::Admin.value().to_string());
        form.push("expiry", inner.admin_duration.as_secs().to_string());
        form.push_some("userId", inner.user_id.as_deref());
        if !inner.admin_privileges.is_empty() {
            form.push("privileges", inner.admin_privileges.as_str());
        }
        let ks: Secret = self
            .call(Action::SessionStart, &form, deadline)
            .await
            .result?;
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
        Ok((ks, info))
    }

    /// An ADMIN session signed here with the admin secret; nothing is sent.
    ///
    /// # Errors
    /// `Config` without partner id and admin secret.
    pub fn sign_admin_session(&self, version: KsVersion) -> Result<Session> {
        let inner = &self.inner;
        let (partner_id, secret) = self.admin_credentials()?;
        let privileges = &inner.admin_privileges;
        let fields = KsFields {
            partner_id,
            user_id: inner.user_id.clone(),
            session_type: SessionType::Admin,
            expiry: Ks::expiry_at(
                inner.server_clock.seconds_to_sign(),
                inner.admin_duration,
                privileges,
            ),
            privileges: privileges.clone(),
            master_partner_id: None,
            additional_data: None,
        };
        Ok(Session {
            ks: Ks::sign(&fields, secret, version)?,
            session_type: Some(fields.session_type),
            partner_id: Some(partner_id),
            user_id: fields.user_id,
            expiry: Some(fields.expiry),
            privileges: Some(fields.privileges),
            dropped_privileges: Vec::new(),
            key: None,
        })
    }

    /// What the server reads from a session (`session.get`), or from the admin session itself.
    ///
    /// # Errors
    /// `Api` with `INVALID_KS` when it does not accept it, `SERVICE_FORBIDDEN` when the asking session
    /// is not an ADMIN one.
    pub async fn session_info(&self, ks: Option<&Secret>) -> Result<SessionInfo> {
        let answer: SessionAnswer = self
            .admin_call(Action::SessionGet, self.deadline(), |form| {
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
        let deadline = self.deadline();
        let outcome = self.call::<Void>(Action::SessionEnd, &form, deadline).await;
        match outcome.result {
            Ok(Void::Done) => Ok(()),
            // The server refuses an ended session before it looks at what the session may do, so the
            // session can be asked itself whether it has ended, whatever its type.
            Ok(Void::Empty) => {
                let asked = self
                    .call::<SessionAnswer>(Action::SessionGet, &form, deadline)
                    .await;
                match asked.result {
                    Err(error) if is_invalid_ks(&error) => Ok(()),
                    Err(error)
                        if error.api().map(crate::ApiError::meaning)
                            != Some(ApiCode::ServiceForbidden) =>
                    {
                        Err(error)
                    }
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
        form.push("id", check_id(id)?);
        wire::push_token_update(&mut form, update, self.server_now())?;
        Ok(form.redacted())
    }

    fn partner(&self, purpose: &str) -> Result<i64> {
        self.inner.partner_id.ok_or_else(|| {
            Error::config(format!("the partner id is not set, and {purpose} needs it"))
        })
    }

    fn admin_credentials(&self) -> Result<(i64, &Secret)> {
        let secret = self.inner.admin_secret.as_ref().ok_or_else(|| {
            Error::config("the admin secret is not set, and managing tokens needs it")
                .with_hint("set the admin secret, or give an ADMIN session")
        })?;
        Ok((self.partner("managing tokens")?, secret))
    }

    /// The session that manages tokens, renewed before it expires; and whether it was there already.
    async fn admin_ks(&self, deadline: Duration) -> Result<(AdminKs, bool)> {
        let inner = &self.inner;
        if let Some(ks) = &inner.ks {
            let given = AdminKs {
                ks: ks.clone(),
                renew_at: None,
            };
            return Ok((given, true));
        }
        if let Some(kept) = inner.admin.good(self.server_now()) {
            return Ok((kept, true));
        }
        let admin = match inner.admin_session {
            AdminSession::Signed(version) => {
                let session = self.sign_admin_session(version)?;
                let admin = self.to_keep(session.ks, session.expiry);
                inner.admin.keep(&admin);
                admin
            }
            AdminSession::Started => {
                let client = self.clone().without_cancel();
                let fetch = inner.admin.flight.join("the admin session", || {
                    Box::pin(async move {
                        if let Some(kept) = client.inner.admin.good(client.server_now()) {
                            return Ok(kept);
                        }
                        let (ks, info) = client.fetch_admin_ks(client.deadline()).await?;
                        let admin = client.to_keep(ks, info.expiry);
                        client.inner.admin.keep(&admin);
                        Ok(admin)
                    })
                });
                self.within(deadline, fetch).await?
            }
        };
        Ok((admin, false))
    }

    fn to_keep(&self, ks: Secret, expiry: Option<i64>) -> AdminKs {
        let duration = i64::try_from(self.inner.admin_duration.as_secs()).unwrap_or(i64::MAX);
        let expiry = expiry.unwrap_or_else(|| self.server_now().saturating_add(duration));
        AdminKs {
            ks,
            renew_at: Some(expiry.saturating_sub((duration / 10).min(300))),
        }
    }

    /// Makes a call with the admin session. One that has expired early, because the clocks differ or
    /// the account caps it, is renewed once: the server refused that request, so nothing is repeated.
    ///
    /// A creation is not sent again because of an answer that calls a session expired that was made for
    /// it: no server says so in earnest, and the answer may be to something else.
    async fn admin_call<T: Answer>(
        &self,
        action: Action,
        deadline: Duration,
        fill: impl Fn(&mut Form) -> Result<()>,
    ) -> Outcome<T> {
        let mut renewed = false;
        let mut answer_lost = false;
        loop {
            let prepared = async {
                // First, so that bad input is named before a session is started for it.
                let mut form = Form::new();
                fill(&mut form)?;
                let (admin, was_kept) = self.admin_ks(deadline).await?;
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
            let mut outcome = self.call(action, &form, deadline).await;
            answer_lost |= outcome.answer_lost;
            outcome.answer_lost = answer_lost;
            let expired = matches!(&outcome.result, Err(error)
                if error.api().and_then(crate::ApiError::ks_failure) == Some(KsFailure::Expired));
            if !expired || admin.renew_at.is_none() {
                return outcome;
            }
            self.inner.admin.forget(&admin);
            if renewed || !(was_kept || action.is_repeatable()) {
                outcome.result = outcome.result.map_err(|error| {
                    error.with_hint(
                        "the session was made for this call: this machine's clock is wrong, or the \
                         server's; set it",
                    )
                });
                return outcome;
            }
            renewed = true;
        }
    }

    /// Makes a call: attempts, waits, and the whole within the deadline.
    async fn call<T: Answer>(&self, action: Action, form: &Form, deadline: Duration) -> Outcome<T> {
        let mut attempts = 0;
        let mut answer_lost = false;
        let result = loop {
            let left = deadline.saturating_sub(self.inner.clock.steady_now());
            if left.is_zero() {
                break Err(self.total_timeout_error());
            }
            attempts += 1;
            let error = match self.attempt(action, form, left).await {
                Ok(answer) => break Ok(answer),
                Err(error) => error,
            };
            let left = deadline.saturating_sub(self.inner.clock.steady_now());
            let Some(wait) = self
                .inner
                .retry
                .next(action, &error, attempts, left, chance())
            else {
                break Err(error);
            };
            answer_lost |= leaves_open(&error);
            log::debug!(
                "{} attempt {attempts}: {error}; again in {wait:?}",
                action.name()
            );
            if let Err(cancelled) = self.pause(wait).await {
                break Err(cancelled);
            }
        };
        let result =
            result.map_err(|error| error.with_request(action.name()).with_attempts(attempts));
        if let Err(error) = &result {
            log::debug!(
                "{} failed after {attempts} attempts: {error}",
                action.name()
            );
        }
        Outcome {
            result,
            answer_lost,
        }
    }

    /// Sends once. For an action that cannot be repeated, a failure that leaves open whether it was
    /// carried out becomes `OutcomeUnknown` here, at the one place that knows that it was sent.
    async fn attempt<T: Answer>(&self, action: Action, form: &Form, left: Duration) -> Result<T> {
        if self.cancel.as_ref().is_some_and(Cancel::is_triggered) {
            return Err(cancelled_error());
        }
        let sent = self.inner.server_clock.moment();
        let started = self.inner.clock.steady_now();
        let url = format!("{}{}", self.inner.service_url, action.path());
        let limit = left.min(self.inner.attempt_timeout);
        let transport = &self.inner.transport;
        let post = if action.is_repeatable() {
            transport.post(&url, form.encode())
        } else {
            transport.post_on_new_connection(&url, form.encode())
        };
        let answered = tokio::select! {
            biased;
            answer = post => {
                answer.map_err(|error| match error {
                    TransportError::NotSent(cause) => Error::new(
                        ErrorKind::Connect,
                        format!("no connection to {}: {cause}", self.host()),
                    )
                    .with_hint("check the service URL, the network and the proxy"),
                    TransportError::Interrupted(cause) => Error::new(
                        ErrorKind::Interrupted,
                        format!("the connection to {} broke: {cause}", self.host()),
                    ),
                    TransportError::TooLarge(limit) => Error::new(
                        ErrorKind::Decode,
                        format!("the server's answer is larger than {limit} bytes"),
                    ),
                })
            }
            () = wait_for(self.cancel.as_ref()) => Err(cancelled_error()),
            () = self.inner.clock.sleep(limit) => Err(if limit < left {
                Error::new(ErrorKind::Timeout, format!("no answer from {} within {limit:?}", self.host()))
            } else {
                self.total_timeout_error()
            }),
        };
        let result = answered.and_then(|answer| self.read(action, form, &answer, sent));
        log::trace!(
            "{} in {:?}: {}",
            action.name(),
            self.inner.clock.steady_now().saturating_sub(started),
            if result.is_ok() { "answered" } else { "failed" }
        );
        result.map_err(|error| {
            if action.is_repeatable() || !leaves_open(&error) {
                return error;
            }
            let cause = error.with_request(action.name()).with_attempts(1);
            Error::outcome_unknown(cause, Vec::new(), false)
        })
    }

    fn read<T: Answer>(
        &self,
        action: Action,
        form: &Form,
        answer: &TransportAnswer,
        sent: Moment,
    ) -> Result<T> {
        let date = answer
            .date
            .as_deref()
            .and_then(|text| httpdate::parse_http_date(text).ok());
        let now = Duration::from_millis(self.server_time().likely.max(0).unsigned_abs());
        let raw = RawAnswer {
            status: answer.status,
            content_type: answer.content_type.as_deref(),
            location: answer.location.as_deref(),
            retry_after: retry_after(
                answer.retry_after.as_deref(),
                date.unwrap_or(UNIX_EPOCH + now),
            ),
            body: &answer.body,
        };
        let decoded = wire::decode(&raw, || self.scrubber(form))
            .map_err(|error| error.with_request(action.name()));
        // A page of something in between says nothing about the server's clock, and neither does an
        // answer out of a cache: the server lets that of a widget session be cached for ten minutes.
        let is_of_the_api = decoded
            .as_ref()
            .map_or_else(|error| error.kind() == ErrorKind::Api, |_| true);
        if let Some(date) = date
            && is_of_the_api
            && action != Action::SessionStartWidget
            && !answer.is_from_cache
        {
            self.inner.server_clock.believe(date, sent);
        }
        decoded
    }

    /// Takes what a request carried, and the credentials of the account, out of texts.
    fn scrubber(&self, form: &Form) -> Scrubber {
        let known = self.inner.admin_secret.iter().chain(&self.inner.ks);
        form.scrubber().and(known.map(Secret::reveal))
    }

    /// Waits for what another call may be holding, no longer than this call may take.
    async fn within<T>(
        &self,
        deadline: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let left = deadline.saturating_sub(self.inner.clock.steady_now());
        tokio::select! {
            biased;
            done = work => done,
            () = wait_for(self.cancel.as_ref()) => Err(cancelled_error()),
            () = self.inner.clock.sleep(left) => Err(self.total_timeout_error()),
        }
    }

    pub(crate) async fn pause(&self, wait: Duration) -> Result<()> {
        tokio::select! {
            () = self.inner.clock.sleep(wait) => Ok(()),
            () = wait_for(self.cancel.as_ref()) => Err(cancelled_error()),
        }
    }

    fn deadline(&self) -> Duration {
        self.inner
            .clock
            .steady_now()
            .saturating_add(self.inner.total_timeout)
    }

    fn total_timeout_error(&self) -> Error {
        Error::new(
            ErrorKind::Timeout,
            format!(
                "the call took longer than {:?} in all",
                self.inner.total_timeout
            ),
        )
    }

    /// The server's time in unix seconds, as far as it is known; otherwise ours.
    pub(crate) fn server_now(&self) -> i64 {
        self.inner.server_clock.seconds()
    }

    pub(crate) fn server_time(&self) -> ServerTime {
        self.inner.server_clock.now()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    pub(crate) fn total_timeout(&self) -> Duration {
        self.inner.total_timeout
    }

    fn host(&self) -> &str {
        let url = self.inner.service_url.as_str();
        url.split_once("://")
            .map_or(url, |(_, rest)| rest)
            .split('/')
            .next()
            .unwrap_or(url)
    }
}

/// Failures after which nobody can tell whether the request was carried out.
fn leaves_open(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Interrupted | ErrorKind::Timeout | ErrorKind::Decode | ErrorKind::Cancelled => {
            true
        }
        // Only a status that says that the request was at fault is a refusal. A 408 or 5xx may come from
        // something before a server that is still at it, 499 from a proxy whose client had left; another
        // 2xx or a redirect says that something was done; no server is known to send the rest.
        ErrorKind::Http => error
            .http_status()
            .is_some_and(|status| !(400..499).contains(&status) || status == 408),
        // The server failed somewhere on its way, which may have been after the token was stored.
        ErrorKind::Api => error
            .api()
            .is_some_and(|api| api.meaning() == ApiCode::InternalServerError),
        _ => false,
    }
}

pub(crate) async fn wait_for(cancel: Option<&Cancel>) {
    match cancel {
        Some(cancel) => cancel.triggered().await,
        None => std::future::pending().await,
    }
}

pub(crate) fn cancelled_error() -> Error {
    Error::new(ErrorKind::Cancelled, "the call was cancelled")
}

fn is_not_found(error: &Error) -> bool {
    error
        .api()
        .is_some_and(|api| api.meaning() == ApiCode::AppTokenIdNotFound)
}

fn is_invalid_ks(error: &Error) -> bool {
    error
        .api()
        .is_some_and(|api| api.meaning() == ApiCode::InvalidKs)
}

pub(crate) fn dead_at_birth(id: &str) -> Error {
    Error::config(format!("the sessions of token {id} are dead at birth"))
        .with_hint("its sessionDuration is 0 or its expiry has come: update it, or create another")
}

fn is_logged_out(error: &Error) -> bool {
    error.api().and_then(crate::ApiError::ks_failure) == Some(KsFailure::LoggedOut)
}

fn check_id(id: &str) -> Result<&str> {
    let id = id.trim();
    if id.is_empty() {
        return Err(Error::config("the token's id is empty"));
    }
    Ok(id)
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

fn session(answer: &SessionAnswer, requested: Option<&str>) -> Result<Session> {
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
    if !dropped_privileges.is_empty() {
        log::warn!(
            "{}: the server dropped {}",
            Action::TokenStartSession.name(),
            dropped_privileges.join(",")
        );
    }
    Ok(Session {
        ks,
        session_type: info.session_type,
        partner_id: info.partner_id,
        user_id: info.user_id,
        expiry: info.expiry,
        privileges: info.privileges,
        dropped_privileges,
        key: None,
    })
}

/// Whether a listed token has everything that was asked for a new one.
fn may_be(listed: &AppToken, asked: &NewToken) -> bool {
    fn same<T: PartialEq>(listed: Option<&T>, asked: Option<&T>) -> bool {
        asked.is_none() || listed == asked
    }
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).ok();
    listed.description.as_deref().unwrap_or_default()
        == asked.description.as_deref().unwrap_or_default()
        && listed.session_privileges.as_deref().unwrap_or_default()
            == asked.session_privileges.as_deref().unwrap_or_default()
        && same(
            listed.session_user_id.as_ref(),
            asked.session_user_id.as_ref(),
        )
        && same(listed.hash_type.as_ref(), asked.hash_type.as_ref())
        && same(listed.session_type.as_ref(), asked.session_type.as_ref())
        && same(listed.expiry.as_ref(), asked.expiry.as_ref())
        && asked
            .session_duration
            .is_none_or(|duration| listed.session_duration == seconds(duration))
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
