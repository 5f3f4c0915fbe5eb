//! What belongs to one process: its client, its runtime, and the threads that see to work nobody waits
//! for. Knows of forks, and nothing of what the calls are.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::Notify;
use tokio::task::{JoinSet, coop};

use crate::cancel::Cancel;
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
    pub(super) fn start(builder: &ClientBuilder) -> Result<Self> {
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

    pub(super) fn is_ours(&self) -> bool {
        self.pid == std::process::id()
    }

    pub(super) fn run<T>(
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
            // take locks that no thread here will ever release.
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
