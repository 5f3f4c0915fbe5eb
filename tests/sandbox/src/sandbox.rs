//! A running sandbox as a value: started, steered and stopped from ordinary code.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde_json::Value;
use tokio::sync::watch;

use crate::accounts::Accounts;
use crate::clock::{Change, Clock, TimeSource};
use crate::fault::Fault;
use crate::record::RecordedRequest;
use crate::server::{self, App};

/// How a sandbox is to be started.
#[derive(Clone)]
pub struct SandboxBuilder {
    host: String,
    port: u16,
    accounts: Option<Accounts>,
    control: bool,
    time_source: Option<TimeSource>,
}

impl fmt::Debug for SandboxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxBuilder")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}

impl Default for SandboxBuilder {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 0,
            accounts: None,
            control: true,
            time_source: None,
        }
    }
}

impl SandboxBuilder {
    /// The address to listen on; loopback unless told otherwise.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// The port; 0 takes a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The accounts to serve; one with random secrets unless given.
    #[must_use]
    pub fn accounts(mut self, accounts: Accounts) -> Self {
        self.accounts = Some(accounts);
        self
    }

    /// Whether the control interface, the faults and the record of requests are there; on unless turned off.
    #[must_use]
    pub fn control(mut self, control: bool) -> Self {
        self.control = control;
        self
    }

    /// Where the time comes from, in unix seconds.
    #[must_use]
    pub fn time_source(mut self, source: TimeSource) -> Self {
        self.time_source = Some(source);
        self
    }

    /// Binds the socket and serves from a thread of its own.
    ///
    /// # Errors
    /// When the address cannot be used, or the control interface would be reachable from other machines.
    pub fn start(self) -> io::Result<Sandbox> {
        let address = (self.host.as_str(), self.port)
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::AddrNotAvailable,
                    format!("no address for {}", self.host),
                )
            })?;
        if self.control && !address.ip().is_loopback() {
            let message = format!(
                "the control interface is only offered on loopback, not on {}",
                self.host
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let accounts = self.accounts.unwrap_or_else(Accounts::single_random);
        let app = Arc::new(App::new(
            accounts,
            Clock::new(self.time_source),
            self.control,
        ));
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let served = Arc::clone(&app);
        let thread = std::thread::Builder::new()
            .name("kaltura-sandbox".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                        server::serve(served, listener, stopped).await;
                    }
                });
            })?;
        Ok(Sandbox {
            running: Arc::new(Running {
                process: std::process::id(),
                app,
                address,
                stop,
                thread: Mutex::new(Some(thread)),
            }),
        })
    }
}

/// A sandbox that serves from its own thread until it is stopped or dropped. A child process that was
/// forked has neither the thread nor what it was doing: stopping and dropping do nothing there.
pub struct Sandbox {
    running: Arc<Running>,
}

struct Running {
    /// The one whose thread it is.
    process: u32,
    app: Arc<App>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("address", &self.running.address)
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Starts a sandbox on a free loopback port, with one account and the control interface.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// A sandbox with settings of one's own.
    #[must_use]
    pub fn builder() -> SandboxBuilder {
        SandboxBuilder::default()
    }

    /// The URL that clients are configured with, without a trailing slash.
    #[must_use]
    pub fn service_url(&self) -> String {
        format!("{}/api_v3", self.origin())
    }

    /// Scheme, host and port: what `/_sandbox` is under.
    #[must_use]
    pub fn origin(&self) -> String {
        match self.running.address.ip() {
            IpAddr::V4(ip) => format!("http://{ip}:{}", self.port()),
            IpAddr::V6(ip) => format!("http://[{ip}]:{}", self.port()),
        }
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.running.address.port()
    }

    /// The partner id of the first account.
    #[must_use]
    pub fn partner_id(&self) -> i64 {
        self.accounts().first().id
    }

    /// The admin secret of the first account.
    #[must_use]
    pub fn admin_secret(&self) -> &str {
        &self.accounts().first().admin_secret
    }

    /// The user secret of the first account.
    #[must_use]
    pub fn user_secret(&self) -> &str {
        &self.accounts().first().user_secret
    }

    /// The accounts that it serves.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.running.app.accounts
    }

    /// Forgets tokens, ended sessions, faults and requests, and sets the clock right.
    pub fn reset(&self) {
        self.running.app.reset();
    }

    /// Runs the clock this many seconds away from the real one.
    ///
    /// # Panics
    /// When the clock would leave its range, 1970 to 9999. Nothing has changed then.
    #[track_caller]
    pub fn set_clock_offset(&self, seconds: f64) {
        self.change_clock(Change::Offset(seconds));
    }

    /// Moves the clock on (or back) by this many seconds.
    ///
    /// # Panics
    /// When the clock would leave its range, 1970 to 9999. Nothing has changed then.
    #[track_caller]
    pub fn advance_clock(&self, seconds: f64) {
        self.change_clock(Change::Advance(seconds));
    }

    /// Stops the clock at this unix time.
    ///
    /// # Panics
    /// When it is out of the clock's range, 1970 to 9999. Nothing has changed then.
    #[track_caller]
    pub fn set_clock(&self, unix: f64) {
        self.change_clock(Change::Now(unix));
    }

    #[track_caller]
    fn change_clock(&self, change: Change) {
        let changed = self.running.app.clock.change(&[change]);
        changed.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The sandbox's time, in unix seconds.
    #[must_use]
    pub fn now(&self) -> f64 {
        self.running.app.clock.precise()
    }

    /// Orders a fault.
    pub fn add_fault(&self, fault: Fault) {
        self.running.app.add_fault(fault);
    }

    /// Cancels the faults that have not struck yet.
    pub fn clear_faults(&self) {
        self.running.app.faults().clear();
    }

    /// Stores tokens of a partner from a JSON list of rows, and says how many.
    ///
    /// # Errors
    /// One line that names the field at fault.
    pub fn add_tokens(&self, partner_id: i64, rows: &Value) -> Result<usize, String> {
        self.running.app.add_tokens(partner_id, rows)
    }

    /// Changes stored fields of a token, `status` included. False when there is no such token.
    ///
    /// # Errors
    /// One line that names the field at fault.
    pub fn patch_token(&self, id: &str, fields: &Value) -> Result<bool, String> {
        self.running.app.patch_token(id, fields)
    }

    /// Removes all tokens of a partner.
    pub fn clear_tokens(&self, partner_id: i64) {
        self.running.app.clear_tokens(partner_id);
    }

    /// How many tokens of a partner are not deleted.
    #[must_use]
    pub fn token_count(&self, partner_id: i64) -> usize {
        self.running.app.token_count(partner_id)
    }

    /// The requests that arrived, the oldest first, secrets masked.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.running.app.requests()
    }

    /// Forgets the requests that arrived.
    pub fn clear_requests(&self) {
        self.running.app.log().clear();
    }

    /// A call of the control interface, as it is made over HTTP but without the way there; `path` is what
    /// comes after `/_sandbox`.
    ///
    /// # Errors
    /// One line that names what is wrong with it.
    pub fn control(&self, method: &str, path: &str, body: &str) -> Result<Value, String> {
        let app = &self.running.app;
        if !app.control {
            return Err("control: this sandbox was started without it".to_owned());
        }
        let (status, answer) = app.control(method, path, body.as_bytes());
        match answer.get("error").and_then(Value::as_str) {
            Some(error) if status != 200 => Err(error.to_owned()),
            _ => Ok(answer),
        }
    }

    /// Stops serving and closes every socket; returns when that is done. Stopping twice is fine.
    pub fn stop(&self) {
        if self.is_inherited() {
            return;
        }
        let running = &self.running;
        let _ = running.stop.send(true);
        let thread = running
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic of the server thread was already reported on stderr.
            let _ = thread.join();
        }
    }

    /// Whether this is a copy that a forked child has.
    fn is_inherited(&self) -> bool {
        self.running.process != std::process::id()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop();
        if self.is_inherited() {
            // The thread may have held any lock and been half-way through any change when it was left behind.
            std::mem::forget(Arc::clone(&self.running));
        }
    }
}
