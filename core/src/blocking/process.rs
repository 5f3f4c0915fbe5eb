//! What belongs to one process: its client, its runtime, and the threads that see to work nobody waits
//! for. Knows of forks, and nothing of what the calls are.

use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::ThreadId;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{JoinSet, coop};

use crate::cancel::{Cancel, closed};
use crate::client::ClientBuilder;
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::session::Carrier;
use crate::threads::{JoinHandle, SigpipeGuard};
use crate::transport::BoxFuture;

/// How often a waiting caller is asked whether to go on.
const TICK: Duration = Duration::from_millis(50);

/// Asked now and then while a call waits; `false` cancels the call.
pub type Tick<'a> = &'a mut dyn FnMut() -> bool;

/// What belongs to one process and must not be touched by its children.
pub(crate) struct Process {
    pid: u32,
    pub(super) client: Option<crate::Client>,
    /// None once the client is closed.
    runtime: ArcSwapOption<Runtime>,
    driver: Mutex<Option<Driver>>,
    carried: Arc<Carried>,
    under_way: Arc<UnderWay>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// A runtime that whoever leaves it last does not wait for.
struct Runtime(Option<tokio::runtime::Runtime>);

impl Deref for Runtime {
    type Target = tokio::runtime::Runtime;

    fn deref(&self) -> &tokio::runtime::Runtime {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The calls that are not done yet.
#[derive(Default)]
struct UnderWay {
    calls: Mutex<Calls>,
    fewer: Condvar,
}

#[derive(Default)]
struct Calls {
    /// The threads that wait for one; a thread can be there twice, from inside a `tick`.
    waiting: Vec<ThreadId>,
    queued: usize,
}

impl Calls {
    fn count(&self) -> usize {
        self.waiting.len() + self.queued
    }
}

impl UnderWay {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waited_for(self: &Arc<Self>) -> Call {
        let thread = std::thread::current().id();
        self.calls().waiting.push(thread);
        Call(Arc::clone(self), Some(thread))
    }

    fn queued(self: &Arc<Self>) -> Call {
        self.calls().queued += 1;
        Call(Arc::clone(self), None)
    }

    /// Waits until nobody else has a call; one's own, from inside which this is called, cannot end.
    fn wait_for_others(&self, patience: Duration) {
        let own = std::thread::current().id();
        let others = |calls: &mut Calls| {
            calls.queued > 0 || calls.waiting.iter().any(|thread| *thread != own)
        };
        // Whether they have all ended or time is up, it goes on.
        let _ = self
            .fewer
            .wait_timeout_while(self.calls(), patience, others);
    }
}

/// A call that is under way as long as this is there.
pub(crate) struct Call(Arc<UnderWay>, Option<ThreadId>);

impl Drop for Call {
    fn drop(&mut self) {
        let mut calls = self.0.calls();
        match self.1 {
            None => calls.queued -= 1,
            Some(thread) => {
                let place = calls.waiting.iter().position(|each| *each == thread);
                if let Some(place) = place {
                    calls.waiting.swap_remove(place);
                }
            }
        }
        drop(calls);
        self.0.fewer.notify_all();
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
    /// Whether nothing more is taken on.
    is_closed: bool,
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
    pub(super) fn start(builder: &ClientBuilder) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| Error::config(format!("the runtime cannot be started: {error}")))?;
        Ok(Self {
            pid: std::process::id(),
            client: Some(builder.clone().build()?),
            runtime: ArcSwapOption::from_pointee(Runtime(Some(runtime))),
            driver: Mutex::new(None),
            carried: Arc::default(),
            under_way: Arc::default(),
        })
    }

    /// The runtime, seen to by a thread so that what is spawned goes on while nobody waits.
    pub(crate) fn drive(&self) -> Result<Handle> {
        let mut driver = self.driver();
        let runtime = self.runtime.load_full().ok_or_else(closed)?;
        let handle = runtime.handle().clone();
        if driver.is_none() {
            let started = Driver::start(runtime);
            *driver = Some(
                started.map_err(|error| Error::config(format!("the queue's thread: {error}")))?,
            );
        }
        Ok(handle)
    }

    fn driver(&self) -> MutexGuard<'_, Option<Driver>> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees work through whose caller has left: with the queue's thread, or with one that ends when
    /// nothing is left.
    fn carry(&self, left: BoxFuture<'static, ()>) {
        if !self.is_ours() {
            // A child leaks what it inherited.
            std::mem::forget(left);
            return;
        }
        let Some(runtime) = self.runtime.load_full() else {
            return;
        };
        let mut work = self.carried.work();
        if work.is_closed {
            return;
        }
        while work.tasks.try_join_next().is_some() {}
        work.tasks.spawn_on(left, runtime.handle());
        if work.is_driven || self.driver().is_some() {
            return;
        }
        let carried = Arc::clone(&self.carried);
        let started = crate::threads::spawn("kaltura-renewal", move || {
            // The client may be gone by the end, and its runtime left to this thread.
            runtime.block_on(poll_fn(|context| carried.poll_done(context)));
        });
        match started {
            Ok(_) => work.is_driven = true,
            Err(error) => log::debug!("a renewal waits for the next call: no thread: {error}"),
        }
    }

    pub(super) fn carrier(self: &Arc<Self>) -> Carrier {
        let process = Arc::downgrade(self);
        Arc::new(move |left| {
            if let Some(process) = process.upgrade() {
                process.carry(left);
            }
        })
    }

    /// The client, whose calls end when `cancel` is triggered.
    pub(crate) fn client(&self, cancel: &Cancel) -> Result<crate::Client> {
        let client = self.client.as_ref().ok_or_else(forked)?;
        Ok(client.with_cancel(cancel))
    }

    /// Ends every call, and lets no later one begin.
    pub(super) fn stop(&self) {
        if let Some(client) = self.client.as_ref().filter(|_| self.is_ours()) {
            client.sender().close();
        }
    }

    /// Stops, waits for other threads' calls up to `patience`, and closes the connections. A call that
    /// does not end in that time is left to itself.
    pub(super) fn close(&self, patience: Duration) {
        if self.is_ours() {
            self.stop();
            self.under_way.wait_for_others(patience);
            self.end();
        }
    }

    /// How many calls are not done yet, those of queues included.
    pub(super) fn count_under_way(&self) -> usize {
        if self.is_ours() {
            self.under_way.calls().count()
        } else {
            0
        }
    }

    /// A call of a queue's, until it is dropped.
    pub(crate) fn queued(&self) -> Call {
        self.under_way.queued()
    }

    /// Closes the connections, and with them what nobody waits for.
    fn end(&self) {
        let _sigpipe = SigpipeGuard::new();
        let mut driver = self.driver();
        // Under the lock: whoever starts a thread has seen a runtime under it.
        let runtime = self.runtime.swap(None);
        let thread = driver.take();
        drop(driver);
        let mut work = self.carried.work();
        work.is_closed = true;
        // Their thread, if there is one, ends with that.
        work.tasks.abort_all();
        drop(work);
        // Not on the driver's own thread: a queue keeps the process until a call is collected.
        if let Some(thread) = thread {
            thread.stop();
        }
        drop(runtime);
    }

    pub(super) fn is_ours(&self) -> bool {
        self.pid == std::process::id()
    }

    pub(super) fn run<T>(
        &self,
        cancel: &Cancel,
        tick: Option<Tick<'_>>,
        call: impl AsyncFnOnce(crate::Client) -> Result<T>,
    ) -> Result<T> {
        let client = self.client.as_ref().ok_or_else(forked)?;
        let runtime = self.runtime.load_full().ok_or_else(closed)?;
        if drives_a_runtime() {
            return Err(Error::config(
                "a blocking call inside an async runtime would stop it: use the async client there",
            ));
        }
        let client = client.with_cancel(cancel);
        let call_under_way = self.under_way.waited_for();
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
                std::mem::forget((call, call_under_way, runtime));
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
        if self.is_ours() {
            self.end();
        } else {
            // A child leaks what it inherited: dropping it would close what the parent still uses and
            // take locks that no thread here will ever release.
            std::mem::forget((
                self.client.take(),
                self.runtime.swap(None),
                std::mem::take(&mut self.driver),
                std::mem::take(&mut self.carried),
                std::mem::take(&mut self.under_way),
            ));
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

pub(super) fn forked() -> Error {
    Error::new(
        ErrorKind::Forked,
        "the call was under way in the process that this one was forked from",
    )
    .with_hint(Hint::CallAgainHere)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::blocking::Client;

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
