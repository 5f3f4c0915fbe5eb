//! The client for callers without an async runtime: what the C library and the Python package call.
//!
//! Owns the runtime, survives a fork, and lets a caller look up now and then while it waits. The runtime
//! starts no thread: whichever caller is waiting drives it, so a blocking call costs no switch between
//! threads. Only a [`crate::Queue`], whose callers do not wait, has it driven by a thread of its own, and
//! a renewal that its caller left by one that ends with it. Knows no FFI type.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Notify;
use tokio::task::{JoinSet, coop};

use crate::cancel::Cancel;
use crate::client::ClientBuilder;
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::model::{
    AppToken, ListOptions, NewToken, Pager, Session, SessionInfo, SessionRequest, TokenPage,
    TokenUpdate,
};
use crate::secret::Secret;
use crate::session::Carrier;
use crate::threads::{JoinHandle, SigpipeGuard};
use crate::transport::BoxFuture;

mod provider;
mod tokens;

pub use provider::SessionProvider;
pub use tokens::Tokens;

/// How often a waiting caller is asked whether to go on.
const TICK: Duration = Duration::from_millis(50);

/// Asked now and then while a call waits; `false` cancels the call.
pub type Tick<'a> = &'a mut dyn FnMut() -> bool;

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
}

/// What belongs to one process and must not be touched by its children.
pub(crate) struct Process {
    pid: u32,
    client: Option<crate::Client>,
    runtime: Option<Arc<Runtime>>,
    driver: Mutex<Option<Driver>>,
    carried: Arc<Carried>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// A thread that keeps the runtime going while no caller waits.
struct Driver {
    stop: Arc<Notify>,
    thread: JoinHandle<()>,
}

impl Driver {
    fn start(runtime: Arc<Runtime>) -> std::io::Result<Self> {
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let thread = crate::threads::spawn("kaltura-queue", move || {
            runtime.block_on(stopped.notified());
        })?;
        Ok(Self { stop, thread })
    }

    fn stop(self) {
        self.stop.notify_one();
        // It ends as soon as it looks up. Were it to panic, it would have ended too.
        let _ = self.thread.join();
    }
}

/// Work that goes on after its callers have left.
#[derive(Default)]
struct Carried(Mutex<Work>);

#[derive(Default)]
struct Work {
    tasks: JoinSet<()>,
    /// Whether there is a thread that ends with the last of them.
    is_driven: bool,
}

impl Carried {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when nothing is left.
    fn poll_done(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut work = self.work();
        while let Poll::Ready(done) = work.tasks.poll_join_next(context) {
            if done.is_none() {
                work.is_driven = false;
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl Process {
    fn start(builder: &ClientBuilder) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| Error::config(format!("the runtime cannot be started: {error}")))?;
        Ok(Self {
            pid: std::process::id(),
            client: Some(builder.clone().build()?),
            runtime: Some(Arc::new(runtime)),
            driver: Mutex::new(None),
            carried: Arc::default(),
        })
    }

    /// The runtime, seen to by a thread so that what is spawned goes on while nobody waits.
    pub(crate) fn drive(&self) -> Result<Handle> {
        let runtime = self.runtime.as_ref().ok_or_else(forked)?;
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        if driver.is_none() {
            let started = Driver::start(Arc::clone(runtime));
            *driver = Some(
                started.map_err(|error| Error::config(format!("the queue's thread: {error}")))?,
            );
        }
        Ok(runtime.handle().clone())
    }

    /// Sees work through whose caller has left: with the queue's thread, or with one that ends when
    /// nothing is left.
    fn carry(&self, left: BoxFuture<'static, ()>) {
        let Some(runtime) = self.runtime.as_ref().filter(|_| self.is_ours()) else {
            // A child leaks what it inherited.
            std::mem::forget(left);
            return;
        };
        let mut work = self.carried.work();
        while work.tasks.try_join_next().is_some() {}
        work.tasks.spawn_on(left, runtime.handle());
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        if work.is_driven || driver.is_some() {
            return;
        }
        let (runtime, carried) = (Arc::clone(runtime), Arc::clone(&self.carried));
        let started = crate::threads::spawn("kaltura-renewal", move || {
            runtime.block_on(poll_fn(|context| carried.poll_done(context)));
            // The client may be gone by now, and its runtime left to this thread.
            if let Some(runtime) = Arc::into_inner(runtime) {
                runtime.shutdown_background();
            }
        });
        match started {
            Ok(_) => work.is_driven = true,
            Err(error) => log::debug!("a renewal waits for the next call: no thread: {error}"),
        }
    }

    fn carrier(self: &Arc<Self>) -> Carrier {
        let process = Arc::downgrade(self);
        Arc::new(move |left| {
            if let Some(process) = process.upgrade() {
                process.carry(left);
            }
        })
    }

    /// The client, giving up its calls when `cancel` is triggered.
    pub(crate) fn client(&self, cancel: &Cancel) -> Result<crate::Client> {
        let client = self.client.as_ref().ok_or_else(forked)?;
        Ok(client.with_cancel(cancel))
    }

    fn is_ours(&self) -> bool {
        self.pid == std::process::id()
    }

    fn run<T>(
        &self,
        cancel: &Cancel,
        tick: Option<Tick<'_>>,
        call: impl AsyncFnOnce(crate::Client) -> Result<T>,
    ) -> Result<T> {
        let (Some(client), Some(runtime)) = (&self.client, &self.runtime) else {
            return Err(forked());
        };
        if drives_a_runtime() {
            return Err(Error::config(
                "a blocking call inside an async runtime would stop it: use the async client there",
            ));
        }
        let client = client.with_cancel(cancel);
        let sigpipe = SigpipeGuard::new();
        let mut call = Box::pin(async {
            // Nobody drove the runtime since the last call: let it notice, before a connection is
            // chosen, which of the idle ones the server has closed meanwhile.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            call(client).await
        });
        let Some(tick) = tick else {
            return runtime.block_on(call);
        };
        loop {
            let waited = async { tokio::time::timeout(TICK, &mut call).await };
            if let Ok(result) = runtime.block_on(waited) {
                return result;
            }
            // Outside of the runtime: whatever it does, other callers go on, and it may call us again.
            let go_on = sigpipe.paused(&mut *tick);
            if !self.is_ours() {
                // The caller forked while it was asked, and this is the child. What the call holds is
                // the parent's.
                std::mem::forget(call);
                return Err(forked());
            }
            if !go_on {
                cancel.trigger();
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let (client, runtime) = (self.client.take(), self.runtime.take());
        let driver = std::mem::take(&mut self.driver);
        let carried = std::mem::take(&mut self.carried);
        if self.is_ours() {
            let _sigpipe = SigpipeGuard::new();
            // Its thread, if there is one, ends with that.
            carried.work().tasks.abort_all();
            // Not on the driver's own thread: a queue keeps the process until a call is collected.
            if let Some(driver) = driver.into_inner().unwrap_or_else(PoisonError::into_inner) {
                driver.stop();
            }
            drop(client);
            if let Some(runtime) = runtime.and_then(Arc::into_inner) {
                runtime.shutdown_background();
            }
        } else {
            // A child leaks what it inherited: dropping it would close what the parent still uses and
            // take locks that no thread here will ever let go.
            std::mem::forget((client, runtime, driver, carried));
        }
    }
}

/// Whether the calling thread polls a task, so that blocking would stop a runtime.
///
/// Tokio has a handle of the runtime also where code may block (`spawn_blocking`, `block_in_place`); what it
/// has only while it polls is a limit to how much a task may do in one go. A task that frees itself of that
/// (`unconstrained`) is not found out here.
fn drives_a_runtime() -> bool {
    if Handle::try_current().is_err() {
        return false;
    }
    let mut context = Context::from_waker(std::task::Waker::noop());
    // No limit is higher than what fits in a byte.
    let mut spent = Vec::new();
    let is_limited = (0..=u8::MAX).any(|_| match coop::poll_proceed(&mut context) {
        Poll::Ready(unit) => {
            spent.push(unit);
            false
        }
        Poll::Pending => true,
    });
    // Each gives back what it found, so the first one comes last.
    while spent.pop().is_some() {}
    is_limited
}

fn forked() -> Error {
    Error::new(
        ErrorKind::Forked,
        "the call was under way in the process that this one was forked from",
    )
    .with_hint(Hint::CallAgainHere)
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
        })
    }

    /// The runtime and the connections of this process, made anew in a child.
    pub(crate) fn process(&self) -> Result<Arc<Process>> {
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

    /// See [`crate::Client::add_token`].
    ///
    /// # Errors
    /// As there.
    pub fn add_token(&self, token: &NewToken) -> Result<AppToken> {
        self.wait(async |client| client.add_token(token).await)
    }

    /// See [`crate::Client::get_token`].
    ///
    /// # Errors
    /// As there.
    pub fn get_token(&self, id: &str) -> Result<AppToken> {
        self.wait(async |client| client.get_token(id).await)
    }

    /// See [`crate::Client::list_tokens`].
    ///
    /// # Errors
    /// As there.
    pub fn list_tokens(&self, options: &ListOptions, pager: Pager) -> Result<TokenPage> {
        self.wait(async |client| client.list_tokens(options, pager).await)
    }

    /// See [`crate::Client::tokens`].
    ///
    /// # Errors
    /// As [`Client::service_url`].
    pub fn tokens(&self, options: ListOptions) -> Result<Tokens> {
        let process = self.process()?;
        let walk = process.client.as_ref().map(|client| client.tokens(options));
        Ok(Tokens::new(process, walk))
    }

    /// See [`crate::Client::update_token`].
    ///
    /// # Errors
    /// As there.
    pub fn update_token(&self, id: &str, update: &TokenUpdate) -> Result<AppToken> {
        self.wait(async |client| client.update_token(id, update).await)
    }

    /// See [`crate::Client::delete_token`].
    ///
    /// # Errors
    /// As there.
    pub fn delete_token(&self, id: &str) -> Result<()> {
        self.wait(async |client| client.delete_token(id).await)
    }

    /// See [`crate::Client::start_session`].
    ///
    /// # Errors
    /// As there.
    pub fn start_session(&self, request: &SessionRequest) -> Result<Session> {
        self.wait(async |client| client.start_session(request).await)
    }

    /// See [`crate::Client::start_widget_session`].
    ///
    /// # Errors
    /// As there.
    pub fn start_widget_session(&self) -> Result<Session> {
        self.wait(async |client| client.start_widget_session().await)
    }

    /// See [`crate::Client::start_admin_session`].
    ///
    /// # Errors
    /// As there.
    pub fn start_admin_session(&self) -> Result<Session> {
        self.wait(async |client| client.start_admin_session().await)
    }

    /// See [`crate::Client::session_info`].
    ///
    /// # Errors
    /// As there.
    pub fn session_info(&self, ks: Option<&Secret>) -> Result<SessionInfo> {
        self.wait(async |client| client.session_info(ks).await)
    }

    /// See [`crate::Client::end_session`].
    ///
    /// # Errors
    /// As there.
    pub fn end_session(&self, ks: &Secret) -> Result<()> {
        self.wait(async |client| client.end_session(ks).await)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn call() -> Result<u8> {
        let builder = crate::Client::builder().partner_id(1);
        let client = Client::new(builder.service_url("http://127.0.0.1:1"))?;
        client.wait(async |_| {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(7)
        })
    }

    fn refused(result: Result<u8>) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("async runtime"), "{error}");
    }

    #[test]
    fn a_blocking_call_in_async_code_is_an_error_and_no_panic() {
        let alone = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        refused(alone.block_on(async { call() }));
        let many = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        refused(many.block_on(async { call() }));
        refused(many.block_on(async { tokio::spawn(async { call() }).await.unwrap() }));
    }

    #[test]
    fn a_blocking_call_works_wherever_the_runtime_lets_code_block() {
        let alone = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let aside = alone.block_on(alone.spawn_blocking(call));
        assert_eq!(aside.unwrap().unwrap(), 7);
        let entered = alone.enter();
        assert_eq!(call().unwrap(), 7);
        drop(entered);
        let many = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let in_place = async { tokio::task::block_in_place(call) };
        assert_eq!(many.block_on(in_place).unwrap(), 7);
        let in_place = async { tokio::task::block_in_place(call) };
        let in_place = many.block_on(async { tokio::spawn(in_place).await });
        assert_eq!(in_place.unwrap().unwrap(), 7);
    }

    #[test]
    fn asking_whether_the_thread_drives_a_runtime_costs_its_task_nothing() {
        let alone = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        alone.block_on(async {
            assert!(drives_a_runtime());
            assert!(coop::has_budget_remaining());
        });
    }
}
