//! [`ClientBuilder`]: the settings of a [`Client`], checked and put together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::admin_session::{Admin, AdminSession, Kept};
use super::client::Client;
use super::exchange::Exchange;
use super::sender::{Sender, Server};
use crate::account::{DEFAULT_SERVICE_URL, Need, NetworkSettings, ServiceUrl, Settings, Source};
use crate::cancel::CancelAll;
use crate::clock::{Clock, ServerClock, SystemClock};
use crate::error::{Error, Result};
use crate::event::{Event, Events};
use crate::ks::Ks;
use crate::outage::Outage;
use crate::privileges::refuse_ks_fields;
use crate::retry::{RetryBudget, RetryPolicy};
use crate::seam::environment;
use crate::secret::Secret;
use crate::transport::{
    ClientCertificate, Pem, ProxySettings, Transport, TransportOptions, over_http,
};
use crate::wire;

/// The life of the admin session when nothing else is said: as long as the old script's.
const ADMIN_SESSION_DURATION: Duration = Duration::from_secs(86_400);

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
    ca_pem: Option<Pem>,
    client_certificate: Option<ClientCertificate>,
    network_environment: bool,
    transport: Option<Arc<dyn Transport>>,
    clock: Option<Arc<dyn Clock>>,
    events: Events,
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
            ca_pem: None,
            client_certificate: None,
            network_environment: true,
            transport: None,
            clock: None,
            events: Events::default(),
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

    /// Certificate authorities to trust instead of the system's, in PEM; beside those of a CA file, if
    /// there is one.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem = Some(Pem(pem.into()));
        self
    }

    /// A certificate to show to a server or proxy that asks for one: its chain in PEM, its own first, and
    /// its unencrypted private key in PEM.
    pub fn client_certificate(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Secret>) -> Self {
        let (chain, key) = (Pem(chain.into()), key.into());
        self.client_certificate = Some(ClientCertificate { chain, key });
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

    /// Tells of what happens within calls: retries, dropped privileges, creations in doubt, outages. The
    /// same goes to the log in any case.
    ///
    /// The listener runs wherever a call is polled, and must return at once: hand over what takes its
    /// time. A panic of it is contained.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use kaltura_app_token::{Client, Event};
    ///
    /// let (events, told) = mpsc::channel();
    /// let client = Client::builder()
    ///     .partner_id(102)
    ///     .on_event(move |event| {
    ///         if let Event::Retry { .. } = event {
    ///             let _ = events.send(event.clone());
    ///         }
    ///     })
    ///     .build()?;
    /// assert!(told.try_recv().is_err(), "nothing has happened yet");
    /// # Ok::<(), kaltura_app_token::Error>(())
    /// ```
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.events = Events::to(listener);
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
            None => over_http(
                &TransportOptions {
                    user_agent: self.user_agent,
                    connect_timeout: self.connect_timeout,
                    idle_timeout: self.idle_timeout,
                    max_response_bytes: self.max_response_bytes,
                    proxy: None,
                    ca_file: self.ca_file,
                    ca_pem: self.ca_pem,
                    client_certificate: self.client_certificate,
                    read_environment: self.network_environment,
                    tls: url.is_tls(),
                }
                .with_network(&url, self.proxy)?,
            )?,
        };
        let clock = self
            .clock
            .unwrap_or_else(|| Arc::new(SystemClock::default()));
        let secret = settings
            .admin_secret
            .clone()
            .filter(|secret| !secret.is_empty());
        let ks = settings.ks.clone().filter(|ks| !ks.is_empty());
        let sender = Sender::new(Server {
            service_url: url.as_str().to_owned(),
            transport,
            its_clock: ServerClock::new(Arc::clone(&clock)),
            clock,
            retry: self.retry,
            budget: RetryBudget::default(),
            events: self.events,
            attempt_timeout: self.attempt_timeout,
            total_timeout: self.total_timeout,
            credentials: secret.iter().chain(&ks).cloned().collect(),
            all: CancelAll::default(),
            outage: Outage::default(),
        });
        let admin = Admin {
            partner_id,
            secret,
            ks,
            user_id: settings.user_id.clone(),
            duration: admin_duration,
            privileges: settings.admin_privileges.clone().unwrap_or_default(),
            how: self.admin_session,
            kept: Kept::default(),
        };
        Ok(Client::new(sender, Exchange::new(partner_id), admin))
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
}

impl TransportOptions {
    fn with_network(mut self, url: &ServiceUrl, proxy: Option<Secret>) -> Result<Self> {
        let mut network = NetworkSettings::default();
        if self.read_environment {
            network = NetworkSettings::from_variables(url, environment::variable)?;
        }
        let explicit = proxy.map(|url| ProxySettings {
            url,
            no_proxy: None,
        });
        if !url.is_loopback() {
            self.proxy = explicit.or(network.proxy);
        }
        if self.ca_pem.is_none() {
            self.ca_file = self.ca_file.or(network.ca_file);
        }
        Ok(self)
    }
}
