//! The client for callers without an async runtime: what the C library and the Python package call.
//!
//! Owns the runtime, survives a fork, and lets a caller look up now and then while it waits. The runtime
//! starts no thread: whichever caller is waiting drives it, so a blocking call costs no switch between
//! threads. Only a [`crate::Queue`], whose callers do not wait, has it driven by a thread of its own, and
//! a renewal that its caller left by one that ends with it. Knows no FFI type.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::Handle;

use crate::cancel::{Cancel, closed};
use crate::client::ClientBuilder;
use crate::error::Result;
use crate::model::{
    AppToken, ListOptions, NewToken, Pager, Session, SessionInfo, SessionRequest, TokenPage,
    TokenUpdate,
};
use crate::secret::Secret;

mod process;
mod provider;
mod tokens;

use process::forked;

pub use process::Tick;
pub(crate) use process::{Call, Process};
pub use provider::SessionProvider;
pub use tokens::Tokens;

/// How long a cancelled [`aside`] is waited for, so that it can say how far it came.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A call that runs code of the program's, such as the sink of a rotation, on a thread of its own:
/// whatever that code does, the runtime goes on, and with it other calls, deadlines and cancelling.
///
/// A call that is cancelled, or whose future is dropped, sends nothing more. It is left to itself when
/// that code does not let it come to its end.
///
/// # Errors
/// The call's own; `Cancelled`; `Config` when no thread can be started or the call panics.
pub async fn aside<T: Send + 'static>(
    client: crate::Client,
    what: &'static str,
    call: impl AsyncFnOnce(crate::Client) -> Result<T> + Send + 'static,
) -> Result<T> {
    struct Stop(Cancel);
    impl Drop for Stop {
        fn drop(&mut self) {
            self.0.trigger();
        }
    }

    let stop = Stop(Cancel::new());
    let stoppable = client.with_cancel(&stop.0);
    // The thread waits for the network like a caller does, and whoever drives the runtime drives it.
    let runtime = Handle::current();
    let work = crate::threads::aside(what, move || runtime.block_on(call(stoppable)));
    let mut work = pin!(work);
    let ended = client.unless_cancelled(async { Ok((&mut work).await) });
    match ended.await {
        Ok(done) => done?,
        Err(cancelled) => {
            stop.0.trigger();
            match tokio::time::timeout(LAST_WORD, work).await {
                Ok(done) => done?,
                Err(_) => Err(cancelled),
            }
        }
    }
}

/// [`crate::Client`] without async: the same methods, safe to share between threads and usable on both
/// sides of a fork.
///
/// ```no_run
/// use kaltura_app_token::{SessionRequest, blocking::Client};
///
/// let client = Client::new(kaltura_app_token::Client::builder().partner_id(123_456))?;
/// let session = client.start_session(&SessionRequest::new("1_ab12cd34", "the token's value"))?;
/// # Ok::<(), kaltura_app_token::Error>(())
/// ```
#[derive(Debug)]
pub struct Client {
    builder: ClientBuilder,
    process: ArcSwapOption<Process>,
    is_closed: AtomicBool,
}

impl Client {
    /// Makes the client. Connects to nothing and starts no thread.
    ///
    /// # Errors
    /// `Config` as [`ClientBuilder::build`].
    pub fn new(builder: ClientBuilder) -> Result<Self> {
        let process = Process::start(&builder)?;
        Ok(Self {
            builder,
            process: ArcSwapOption::from_pointee(process),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Ends every call that is under way, on whichever thread, and has every later one fail, both with
    /// `Closed`. Waits for nothing: see [`Client::close`].
    ///
    /// An `add_token` whose request had left says `OutcomeUnknown`.
    pub fn stop(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        if let Some(process) = self.process.load_full() {
            process.stop();
        }
    }

    /// Stops, waits up to `patience` for the calls that this ends, and closes the connections. Those who
    /// share this client, such as a [`SessionProvider`] and walks, are closed with it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use kaltura_app_token::{ErrorKind, blocking::Client};
    ///
    /// let client = Client::new(kaltura_app_token::Client::builder().partner_id(123_456))?;
    /// client.close(Duration::from_secs(2));
    /// let error = client.start_widget_session().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Closed);
    /// # Ok::<(), kaltura_app_token::Error>(())
    /// ```
    pub fn close(&self, patience: Duration) {
        self.stop();
        if let Some(process) = self.process.load_full() {
            process.close(patience);
        }
    }

    /// Whether it has been stopped or closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// How many calls are not done yet, those of queues included.
    #[must_use]
    pub fn under_way(&self) -> usize {
        let process = self.process.load_full();
        process.map_or(0, |process| process.count_under_way())
    }

    /// The runtime and the connections of this process, made anew in a child.
    pub(crate) fn process(&self) -> Result<Arc<Process>> {
        if self.is_closed() {
            return Err(closed());
        }
        let process = self.process_open_or_not()?;
        // Asked again: whoever closes the client meanwhile has closed this one too, or is seen here.
        if self.is_closed() {
            process.close(Duration::ZERO);
            return Err(closed());
        }
        Ok(process)
    }

    fn process_open_or_not(&self) -> Result<Arc<Process>> {
        let current = self.process.load_full();
        if let Some(process) = &current
            && process.is_ours()
        {
            return Ok(Arc::clone(process));
        }
        let fresh = Arc::new(Process::start(&self.builder)?);
        let previous = self
            .process
            .compare_and_swap(&current, Some(Arc::clone(&fresh)));
        match &*previous {
            // Another thread of this process was faster.
            Some(process) if process.is_ours() => Ok(Arc::clone(process)),
            _ => Ok(fresh),
        }
    }

    /// Runs a call of the async client and waits for it.
    ///
    /// `tick` is called about every 50 ms on the waiting thread; when it says `false` the call is
    /// cancelled.
    ///
    /// # Errors
    /// The call's own; `Cancelled`; `Forked` in a child that was forked by `tick`.
    pub fn run<T>(
        &self,
        cancel: &Cancel,
        tick: Option<Tick<'_>>,
        call: impl AsyncFnOnce(crate::Client) -> Result<T>,
    ) -> Result<T> {
        self.process()?.run(cancel, tick, call)
    }

    /// The service URL in use.
    ///
    /// # Errors
    /// `Config`, in a child, when the client cannot be made anew.
    pub fn service_url(&self) -> Result<String> {
        self.with_client(|client| client.service_url().to_owned())
    }

    /// The account.
    ///
    /// # Errors
    /// As [`Client::service_url`].
    pub fn partner_id(&self) -> Result<Option<i64>> {
        self.with_client(crate::Client::partner_id)
    }

    /// Asks the async client for something that needs no waiting.
    ///
    /// # Errors
    /// As [`Client::service_url`].
    pub fn with_client<T>(&self, ask: impl FnOnce(&crate::Client) -> T) -> Result<T> {
        self.process()?.client.as_ref().map(ask).ok_or_else(forked)
    }

    fn wait<T>(&self, call: impl AsyncFnOnce(crate::Client) -> Result<T>) -> Result<T> {
        self.run(&Cancel::new(), None, call)
    }

    /// Creates a token; its value is in the answer. Waits for [`crate::Client::add_token`].
    ///
    /// # Errors
    /// Its kinds; `Config` in async code, which would be stopped.
    pub fn add_token(&self, token: &NewToken) -> Result<AppToken> {
        self.wait(async |client| client.add_token(token).await)
    }

    /// The token with this id. Waits for [`crate::Client::get_token`].
    ///
    /// # Errors
    /// Its kinds; `Config` in async code, which would be stopped.
    pub fn get_token(&self, id: &str) -> Result<AppToken> {
        self.wait(async |client| client.get_token(id).await)
    }

    /// One page of the tokens that the options choose. Waits for [`crate::Client::list_tokens`].
    ///
    /// # Errors
    /// Its kinds; `Config` in async code, which would be stopped.
    pub fn list_tokens(&self, options: &ListOptions, pager: Pager) -> Result<TokenPage> {
        self.wait(async |client| client.list_tokens(options, pager).await)
    }

    /// A walk over all tokens that the options choose, page by page.
    ///
    /// # Errors
    /// As [`Client::service_url`].
    pub fn tokens(&self, options: ListOptions) -> Result<Tokens> {
        let process = self.process()?;
        let walk = process.client.as_ref().map(|client| client.tokens(options));
        Ok(Tokens::new(process, walk))
    }

    /// Changes the fields that are set, and no other. Waits for [`crate::Client::update_token`].
    ///
    /// # Errors
    /// Its kinds; `Config` in async code, which would be stopped.
    pub fn update_token(&self, id: &str, update: &TokenUpdate) -> Result<AppToken> {
        self.wait(async |client| client.update_token(id, update).await)
    }

    /// Deletes a token; one that is gone already is no error when the request was repeated. Waits for [`crate::Client::delete_token`].
    ///
    /// # Errors
    /// Its kinds; `Config` in async code, which would be stopped.
    pub fn delete_token(&self, id: &str) -> Result<()> {
        self.wait(async |client| client.delete_token(id).await)
    }

    /// Exchanges a token for a session, with its three steps. Waits for [`crate::Client::start_session`].
    ///
    /// # Errors
    /// Its kinds; `Config` in async code, which would be stopped.
    pub fn start_session(&self, request: &SessionRequest) -> Result<Session> {
        self.wait(async |client| client.start_session(request).await)
    }

    /// A session without any rights, as every player has it. Waits for [`crate::Client::start_widget_session`].
    ///
    /// # Errors
    /// Its kinds; `Config` in async code, which would be stopped.
    pub fn start_widget_session(&self) -> Result<Session> {
        self.wait(async |client| client.start_widget_session().await)
    }

    /// A session that may manage tokens, of the credentials of the client. Waits for [`crate::Client::start_admin_session`].
    ///
    /// # Errors
    /// Its kinds; `Config` in async code, which would be stopped.
    pub fn start_admin_session(&self) -> Result<Session> {
        self.wait(async |client| client.start_admin_session().await)
    }

    /// What the server says of a session; `None`: of the client's own. Waits for [`crate::Client::session_info`].
    ///
    /// # Errors
    /// Its kinds; `Config` in async code, which would be stopped.
    pub fn session_info(&self, ks: Option<&Secret>) -> Result<SessionInfo> {
        self.wait(async |client| client.session_info(ks).await)
    }

    /// Ends a session on the server. Waits for [`crate::Client::end_session`].
    ///
    /// # Errors
    /// Its kinds; `Config` in async code, which would be stopped.
    pub fn end_session(&self, ks: &Secret) -> Result<()> {
        self.wait(async |client| client.end_session(ks).await)
    }
}
