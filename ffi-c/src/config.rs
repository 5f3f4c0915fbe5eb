//! `kat_config`: where account, credentials and service URL come from, and how the server is reached.

use std::ffi::c_char;
use std::time::Duration;

use kaltura_app_token as core;
use kaltura_app_token::blocking;

use crate::boundary::{ABSENT, Caller, Failure, Numbered, Remembers, call, free, get, new, set};
use crate::error::{kat_error, kat_status};
use crate::text::{Text, pointer};

/// How the session that manages tokens comes about: for kat_config_set_admin_session.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub enum kat_admin_session {
    /// Signed here from the admin secret, as a KS version 2; nothing secret travels. What is done unless
    /// set.
    SignedV2 = 0,
    /// Signed here as a KS version 1, for servers that know nothing newer.
    SignedV1 = 1,
    /// Asked of the server with session.start, which sends it the admin secret.
    Started = 2,
}

impl Numbered for kat_admin_session {
    const NAME: &'static str = "kat_admin_session";
    const ALL: &'static [Self] = &[Self::SignedV2, Self::SignedV1, Self::Started];
    fn number(self) -> i32 {
        self as i32
    }
}

/// Settings of a client.
///
/// 1. Make one with kat_config_new, kat_config_from_env or kat_config_from_file.
/// 2. Set what is to differ. Partner id, credentials and service URL come from one source together: to set
///    another account's by hand beside one that was read is an error of kat_client_new, and credentials
///    that are set by hand want their service URL set too. A service URL alone is for what was read.
/// 3. Make clients from it with kat_client_new, and free it with kat_config_free.
#[derive(Debug)]
pub struct kat_config {
    explicit: core::Settings,
    loaded: Option<core::Settings>,
    network: Network,
    token_id: Option<Text>,
    token_value: Option<Text>,
    warnings: Vec<Text>,
    fault: Option<Failure>,
}

/// What is not a matter of the account. `None`: as the core has it.
#[derive(Debug, Default)]
struct Network {
    admin_session: Option<core::AdminSession>,
    allow_http: bool,
    user_agent: Option<String>,
    connect_timeout: Option<Duration>,
    attempt_timeout: Option<Duration>,
    total_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    max_retries: Option<u32>,
    retry_backoff: Option<Duration>,
    max_response_bytes: Option<usize>,
    proxy: Option<String>,
    ca_file: Option<String>,
    environment: bool,
}

impl Remembers for kat_config {
    fn fault(&mut self) -> &mut Option<Failure> {
        &mut self.fault
    }
}

impl kat_config {
    fn empty() -> Self {
        Self {
            explicit: core::Settings::new(core::Source::Explicit),
            loaded: None,
            network: Network::default(),
            token_id: None,
            token_value: None,
            warnings: Vec::new(),
            fault: None,
        }
    }

    fn read(settings: core::Settings) -> Self {
        Self {
            token_id: settings.app_token_id.as_deref().map(Text::from),
            token_value: settings.app_token.as_ref().map(Text::from),
            warnings: settings
                .warnings
                .iter()
                .map(|text| Text::new(text))
                .collect(),
            loaded: Some(settings),
            ..Self::empty()
        }
    }

    /// The client that these settings describe.
    pub(crate) fn connect(&self) -> Result<blocking::Client, Failure> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let settings = match &self.loaded {
            None => self.explicit.clone(),
            Some(loaded) => core::Settings::resolve(
                &[self.explicit.clone(), loaded.clone()],
                core::Need::Exchange,
            )?,
        };
        let builder = self
            .network
            .apply(core::Client::builder().settings(settings));
        Ok(blocking::Client::new(builder)?)
    }
}

impl Network {
    fn apply(&self, builder: core::ClientBuilder) -> core::ClientBuilder {
        fn with<T: Clone>(
            builder: core::ClientBuilder,
            value: Option<&T>,
            set: impl FnOnce(core::ClientBuilder, T) -> core::ClientBuilder,
        ) -> core::ClientBuilder {
            match value {
                Some(value) => set(builder, value.clone()),
                None => builder,
            }
        }
        use core::ClientBuilder as B;
        let builder = builder
            .allow_http(self.allow_http)
            .network_environment(self.environment);
        let builder = with(builder, self.admin_session.as_ref(), B::admin_session);
        let builder = with(builder, self.user_agent.as_ref(), B::user_agent);
        let builder = with(builder, self.connect_timeout.as_ref(), B::connect_timeout);
        let builder = with(builder, self.attempt_timeout.as_ref(), B::attempt_timeout);
        let builder = with(builder, self.total_timeout.as_ref(), B::total_timeout);
        let builder = with(builder, self.idle_timeout.as_ref(), B::idle_timeout);
        let builder = with(builder, self.max_retries.as_ref(), B::max_retries);
        let builder = with(builder, self.retry_backoff.as_ref(), B::retry_backoff);
        let builder = with(
            builder,
            self.max_response_bytes.as_ref(),
            B::max_response_bytes,
        );
        let builder = with(builder, self.proxy.as_ref(), B::proxy);
        with(builder, self.ca_file.as_ref(), B::ca_file)
    }
}

/// A text that NULL makes unset.
pub(crate) fn owned(
    c: &Caller,
    text: *const c_char,
    name: &str,
) -> Result<Option<String>, Failure> {
    Ok(c.optional_text(text, name)?.map(str::to_owned))
}

/// A duration that `KAT_ABSENT` makes unset.
pub(crate) fn seconds(value: i64, name: &str) -> Result<Option<Duration>, Failure> {
    duration(value, name, Duration::from_secs)
}

fn milliseconds(value: i64, name: &str) -> Result<Option<Duration>, Failure> {
    duration(value, name, Duration::from_millis)
}

fn duration(
    value: i64,
    name: &str,
    make: fn(u64) -> Duration,
) -> Result<Option<Duration>, Failure> {
    if value == ABSENT {
        return Ok(None);
    }
    match u32::try_from(value) {
        Ok(value) => Ok(Some(make(value.into()))),
        // More than that, added to a clock's time, might overflow.
        Err(_) => Err(Failure::invalid(format!(
            "{name}: {value} is not between 0 and {}",
            u32::MAX
        ))),
    }
}

/// A config with nothing set: no account, and nothing read from anywhere. NULL only where another
/// function would return KAT_STATUS_PANIC, as from every ..._new.
#[unsafe(no_mangle)]
pub extern "C" fn kat_config_new() -> *mut kat_config {
    new(kat_config::empty)
}

/// A config from KALTURA_PARTNER_ID, KALTURA_ADMIN_SECRET, KALTURA_KS, KALTURA_SERVICE_URL,
/// KALTURA_USER_ID, KALTURA_SESSION_EXPIRY (seconds), KALTURA_APP_TOKEN_ID and KALTURA_APP_TOKEN. An empty
/// variable is unset. A secret may stand in a file: KALTURA_ADMIN_SECRET_FILE, KALTURA_KS_FILE or
/// KALTURA_APP_TOKEN_FILE names it.
///
/// KAT_STATUS_INVALID_ARG when a variable that must be a number is none, one is not UTF-8, a secret is
/// given in both ways, or its file cannot be used. As with getenv, no other thread
/// may change the environment meanwhile.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_config_from_env(
    out: *mut *mut kat_config,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let out = c.out(out, "out")?;
            out.give(kat_config::read(core::Settings::from_env()?));
            Ok(())
        })
    }
}

/// A config from a JSON file with PARTNER_ID, ADMIN_SECRET, KALTURA_SERVICE_URL, USER_ID, EXPIRY (seconds)
/// and DEFAULT_ADMIN_PRIVILEGES.
///
/// KAT_STATUS_INVALID_ARG when there is no such file, it is not JSON, or a value cannot be used.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_config_from_file(
    path: *const c_char,
    out: *mut *mut kat_config,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (path, out) = (c.text(path, "path")?, c.out(out, "out")?);
            out.give(kat_config::read(core::Settings::from_config_file(
                path.as_ref(),
            )?));
            Ok(())
        })
    }
}

/// Frees a config; clients made from it live on. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_free(config: *mut kat_config) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(config) }
}

/// The token id that was read, or NULL. Borrowed from the config.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_token_id(config: *const kat_config) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(config, |config| pointer(config.token_id.as_ref())) }
}

/// The token's value that was read, or NULL. A secret. Borrowed from the config.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_token_value(config: *const kat_config) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(config, |config| pointer(config.token_value.as_ref())) }
}

/// How many warnings there are, such as a file with a secret that other users can read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_warning_count(config: *const kat_config) -> usize {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(config, |config| config.warnings.len()) }
}

/// One warning, from 0; NULL beyond the last. Borrowed from the config.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_warning(
    config: *const kat_config,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(config, |config| pointer(config.warnings.get(index))) }
}

/// The account, above 0. KAT_ABSENT: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_partner_id(
    config: *mut kat_config,
    partner_id: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, _| {
            config.explicit.partner_id = (partner_id != ABSENT).then_some(partner_id);
            Ok(())
        })
    }
}

/// The account's admin secret, for managing tokens; exchanging a token does not need it. NULL: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_admin_secret(
    config: *mut kat_config,
    secret: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, c| {
            config.explicit.admin_secret =
                c.optional_text(secret, "secret")?.map(core::Secret::from);
            Ok(())
        })
    }
}

/// An ADMIN session to manage tokens with, instead of the admin secret. NULL: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_ks(
    config: *mut kat_config,
    ks: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, c| {
            config.explicit.ks = c.optional_text(ks, "ks")?.map(core::Secret::from);
            Ok(())
        })
    }
}

/// The service URL, with or without scheme and /api_v3, or a region: "us", "de", "eu", "sg", "ca", "ap".
/// NULL: unset, which means https://www.kaltura.com.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_service_url(
    config: *mut kat_config,
    url: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, c| {
            config.explicit.service_url = owned(c, url, "url")?;
            Ok(())
        })
    }
}

/// The user of the admin session. NULL: unset, which means the anonymous one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_user_id(
    config: *mut kat_config,
    user_id: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, c| {
            config.explicit.user_id = owned(c, user_id, "user_id")?;
            Ok(())
        })
    }
}

/// How many seconds an admin session lasts. KAT_ABSENT: unset, which means a day.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_admin_session_duration(
    config: *mut kat_config,
    duration: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, _| {
            config.explicit.admin_session_duration = seconds(duration, "duration")?;
            Ok(())
        })
    }
}

/// The privileges of the admin session. NULL: unset, which means none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_admin_privileges(
    config: *mut kat_config,
    privileges: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, c| {
            config.explicit.admin_privileges = owned(c, privileges, "privileges")?;
            Ok(())
        })
    }
}

/// How the admin session comes about: a kat_admin_session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_admin_session(
    config: *mut kat_config,
    how: i32,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, _| {
            config.network.admin_session =
                Some(match kat_admin_session::from_number(how, "how")? {
                    kat_admin_session::SignedV2 => core::AdminSession::Signed(core::KsVersion::V2),
                    kat_admin_session::SignedV1 => core::AdminSession::Signed(core::KsVersion::V1),
                    kat_admin_session::Started => core::AdminSession::Started,
                });
            Ok(())
        })
    }
}

/// Whether plain http to another machine is allowed. It sends credentials in the clear. No unless set;
/// http to this machine always is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_allow_http(
    config: *mut kat_config,
    allow: bool,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, _| {
            config.network.allow_http = allow;
            Ok(())
        })
    }
}

/// Whether proxies and a CA file are taken from HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE and the like. No
/// unless set. The variables are read by kat_client_new.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_network_environment(
    config: *mut kat_config,
    read: bool,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, _| {
            config.network.environment = read;
            Ok(())
        })
    }
}

/// The User-Agent header. NULL: unset, which means "kaltura-app-token/VERSION".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_user_agent(
    config: *mut kat_config,
    user_agent: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, c| {
            config.network.user_agent = owned(c, user_agent, "user_agent")?;
            Ok(())
        })
    }
}

/// The longest time to wait for a connection. KAT_ABSENT: unset, which means 10 s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_connect_timeout_ms(
    config: *mut kat_config,
    timeout_ms: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, _| {
            config.network.connect_timeout = milliseconds(timeout_ms, "timeout_ms")?;
            Ok(())
        })
    }
}

/// The longest time for one attempt. KAT_ABSENT: unset, which means 20 s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_attempt_timeout_ms(
    config: *mut kat_config,
    timeout_ms: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, _| {
            config.network.attempt_timeout = milliseconds(timeout_ms, "timeout_ms")?;
            Ok(())
        })
    }
}

/// The deadline of every call: the longest time for all attempts and waits together. KAT_ABSENT: unset,
/// which means 60 s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_total_timeout_ms(
    config: *mut kat_config,
    timeout_ms: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, _| {
            config.network.total_timeout = milliseconds(timeout_ms, "timeout_ms")?;
            Ok(())
        })
    }
}

/// How long a connection is kept without use. KAT_ABSENT: unset, which means 4 s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_idle_timeout_ms(
    config: *mut kat_config,
    timeout_ms: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, _| {
            config.network.idle_timeout = milliseconds(timeout_ms, "timeout_ms")?;
            Ok(())
        })
    }
}

/// How many times a request is sent again at most; 3 unless set. appToken.add is never sent again once it
/// may have arrived.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_max_retries(
    config: *mut kat_config,
    retries: u32,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, _| {
            config.network.max_retries = Some(retries);
            Ok(())
        })
    }
}

/// The first wait before a retry, doubled for each following one. KAT_ABSENT: unset, which means 1 s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_retry_backoff_ms(
    config: *mut kat_config,
    backoff_ms: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, _| {
            config.network.retry_backoff = milliseconds(backoff_ms, "backoff_ms")?;
            Ok(())
        })
    }
}

/// The largest answer that is read, in bytes; 32 MiB unless set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_max_response_bytes(
    config: *mut kat_config,
    bytes: usize,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, _| {
            config.network.max_response_bytes = Some(bytes);
            Ok(())
        })
    }
}

/// The proxy, as a URL; never used for this machine. NULL: unset, which means none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_proxy(
    config: *mut kat_config,
    url: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, c| {
            config.network.proxy = owned(c, url, "url")?;
            Ok(())
        })
    }
}

/// A PEM file of certificate authorities to trust instead of the system's. NULL: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_config_set_ca_file(
    config: *mut kat_config,
    path: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(config, |config, c| {
            config.network.ca_file = owned(c, path, "path")?;
            Ok(())
        })
    }
}
