//! A queue of calls that are under way and of what they came to, for callers with an event loop: they
//! submit, watch one file descriptor, and collect.
//!
//! The calls run on a thread of the client's, started with the first of them; nothing of the caller's
//! ever runs there. Knows neither FFI types nor which calls there are.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::blocking::{self, Call, Process};
use crate::cancel::{Cancel, closed};
use crate::error::{Error, ErrorKind, Hint, Result};

/// What came of a submitted call.
#[derive(Debug)]
pub struct Completion<M, T> {
    /// What [`Queue::submit`] returned for it.
    pub operation: u64,
    /// What the caller said of it when it was submitted.
    pub tag: M,
    /// Its result; `None` when it panicked.
    pub result: Option<Result<T>>,
}

/// Why a call was not accepted.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refused {
    /// As many calls as may be are in flight.
    Full,
    /// The queue cannot be used, or the client cannot.
    Failed(Error),
}

/// Calls in flight, with a descriptor that is readable as long as a completion waits to be collected.
///
/// Every accepted call has exactly one completion, also when it is cancelled or panics. A call is in
/// flight from [`Queue::submit`] until its completion has been collected with [`Queue::next`]. Every
/// method may be called from many threads at once. Dropping the queue cancels what is in flight,
/// without waiting for the network.
///
/// After a fork the queue is the parent's: in the child every method says `Forked`.
///
/// ```
/// use kaltura_app_token::{Queue, blocking::Client};
///
/// let client = Client::new(kaltura_app_token::Client::builder().partner_id(123_456))?;
/// let queue = Queue::new(10)?;
/// let operation = queue.submit(&client, "mine", |client| async move { Ok(client.partner_id()) });
/// let done = queue.next(None)?.expect("it waits for one");
/// assert_eq!(operation.ok(), Some(done.operation));
/// assert_eq!(done.tag, "mine");
/// assert_eq!(done.result.expect("it did not panic")?, Some(123_456));
/// # Ok::<(), kaltura_app_token::Error>(())
/// ```
pub struct Queue<M, T> {
    shared: Option<Arc<Shared<M, T>>>,
    pid: u32,
    limit: usize,
}

struct Shared<M, T> {
    state: Mutex<State<M, T>>,
    completed: Condvar,
    idle: Condvar,
    signal: Signal,
}

struct State<M, T> {
    last_operation: u64,
    in_flight: HashMap<u64, InFlight<M>>,
    completed: VecDeque<(u64, Option<Result<T>>)>,
    /// Tasks that are not gone yet.
    tasks: usize,
}

struct InFlight<M> {
    tag: M,
    cancel: Cancel,
    task: Option<AbortHandle>,
    /// Keeps the client's runtime going until the completion has been collected, and thereby has it
    /// end on a thread of the caller's: its own thread could not wait for itself.
    _process: Arc<Process>,
}

impl<M: Send + 'static, T: Send + 'static> Queue<M, T> {
    /// A queue that accepts up to `limit` calls at a time.
    ///
    /// # Errors
    /// `Config` for a limit of 0, or when the operating system gives no descriptor.
    pub fn new(limit: usize) -> Result<Self> {
        if limit == 0 {
            return Err(Error::config(
                "limit: a queue of 0 would never accept anything",
            ));
        }
        let signal = Signal::new()
            .map_err(|error| Error::config(format!("the queue's descriptor: {error}")))?;
        let shared = Shared {
            state: Mutex::new(State {
                last_operation: 0,
                in_flight: HashMap::new(),
                completed: VecDeque::new(),
                tasks: 0,
            }),
            completed: Condvar::new(),
            idle: Condvar::new(),
            signal,
        };
        Ok(Self {
            shared: Some(Arc::new(shared)),
            pid: std::process::id(),
            limit,
        })
    }

    /// The descriptor: readable if and only if a completion waits. Close-on-exec; only to be watched,
    /// never read.
    ///
    /// # Errors
    /// `Forked` in a child.
    #[cfg(unix)]
    pub fn descriptor(&self) -> Result<BorrowedFd<'_>> {
        self.shared().map(|shared| shared.signal.as_fd())
    }

    /// How many calls are in flight.
    ///
    /// # Errors
    /// `Forked` in a child.
    pub fn in_flight(&self) -> Result<usize> {
        self.shared().map(|shared| shared.state().in_flight.len())
    }

    /// Starts a call and returns its number, which is never given again.
    ///
    /// # Errors
    /// `Full`, or that the queue or the client cannot be used here.
    pub fn submit<F>(
        &self,
        client: &blocking::Client,
        tag: M,
        call: impl FnOnce(crate::Client) -> F,
    ) -> std::result::Result<u64, Refused>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let shared = self.shared().map_err(Refused::Failed)?;
        let process = client.process().map_err(Refused::Failed)?;
        let runtime = process.drive().map_err(Refused::Failed)?;
        let cancel = Cancel::new();
        let call = call(process.client(&cancel).map_err(Refused::Failed)?);

        let mut state = shared.state();
        if state.in_flight.len() >= self.limit {
            return Err(Refused::Full);
        }
        let operation = state.last_operation + 1;
        let task = Task {
            shared: Arc::clone(shared),
            operation,
            // The client was closed, if nothing else comes of it.
            result: Some(Err(closed())),
            _under_way: process.queued(),
        };
        let in_flight = InFlight {
            tag,
            cancel,
            task: None,
            _process: process,
        };
        state.last_operation = operation;
        state.tasks += 1;
        // First, so that the completion finds it; which comes from here if the client is closed by now.
        state.in_flight.insert(operation, in_flight);
        drop(state);
        let task = runtime.spawn(async move { task.end(contained(call).await) });
        if let Some(call) = shared.state().in_flight.get_mut(&operation) {
            call.task = Some(task.abort_handle());
        }
        Ok(operation)
    }

    /// Cancels a call. Its completion comes all the same, and says `Cancelled` unless the call was
    /// faster. A call that is no longer under way is left alone.
    ///
    /// # Errors
    /// `Config` for a number that was never given; `Forked` in a child.
    pub fn cancel(&self, operation: u64) -> Result<()> {
        let state = self.shared()?.state();
        if operation == 0 || operation > state.last_operation {
            return Err(Error::config(format!(
                "operation: {operation} was never submitted to this queue"
            )));
        }
        let cancel = state
            .in_flight
            .get(&operation)
            .map(|call| call.cancel.clone());
        drop(state);
        if let Some(cancel) = cancel {
            cancel.trigger();
        }
        Ok(())
    }

    /// Cancels every call that is under way. Their completions come all the same.
    ///
    /// # Errors
    /// `Forked` in a child.
    pub fn cancel_all(&self) -> Result<()> {
        let state = self.shared()?.state();
        let all: Vec<Cancel> = state
            .in_flight
            .values()
            .map(|call| call.cancel.clone())
            .collect();
        drop(state);
        for cancel in all {
            cancel.trigger();
        }
        Ok(())
    }

    /// Collects a completion, waiting for one up to `timeout` or, without, for as long as it takes.
    ///
    /// # Errors
    /// `Forked` in a child.
    pub fn next(&self, timeout: Option<Duration>) -> Result<Option<Completion<M, T>>> {
        let shared = self.shared()?;
        let Some((operation, result, call)) = shared.take(timeout) else {
            return Ok(None);
        };
        Ok(Some(Completion {
            operation,
            tag: call.tag,
            result,
        }))
    }
}

impl<M, T> Queue<M, T> {
    fn shared(&self) -> Result<&Arc<Shared<M, T>>> {
        match &self.shared {
            Some(shared) if self.pid == std::process::id() => Ok(shared),
            _ => Err(Error::new(
                ErrorKind::Forked,
                "the queue belongs to the process that this one was forked from",
            )
            .with_hint(Hint::QueueOfItsOwn)),
        }
    }
}

impl<M, T> Drop for Queue<M, T> {
    fn drop(&mut self) {
        let Some(shared) = self.shared.take() else {
            return;
        };
        if self.pid != std::process::id() {
            // The parent's threads may have held its lock when this process was made from it.
            std::mem::forget(shared);
            return;
        }
        let mut state = shared.state();
        let in_flight = std::mem::take(&mut state.in_flight);
        for task in in_flight.values().filter_map(|call| call.task.as_ref()) {
            task.abort();
        }
        // Not for the network: for the client's thread to be done with what it is polling.
        let mut state = shared
            .idle
            .wait_while(state, |state| state.tasks > 0)
            .unwrap_or_else(PoisonError::into_inner);
        let completed = std::mem::take(&mut state.completed);
        drop(state);
        drop((completed, in_flight));
    }
}

impl<M, T> fmt::Debug for Queue<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<M, T> Shared<M, T> {
    fn state(&self) -> MutexGuard<'_, State<M, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn complete(&self, operation: u64, result: Option<Result<T>>) {
        let mut state = self.state();
        // Raised and lowered under the lock: at no time does the descriptor say anything else.
        if state.completed.is_empty() {
            self.signal.raise();
        }
        state.completed.push_back((operation, result));
        drop(state);
        self.completed.notify_one();
    }

    fn take(&self, timeout: Option<Duration>) -> Option<(u64, Option<Result<T>>, InFlight<M>)> {
        let state = self.state();
        let nothing = |state: &mut State<M, T>| state.completed.is_empty();
        let mut state = match timeout {
            None => self
                .completed
                .wait_while(state, nothing)
                .unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                let waited = self.completed.wait_timeout_while(state, timeout, nothing);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        let (operation, result) = state.completed.pop_front()?;
        if state.completed.is_empty() {
            self.signal.lower();
        }
        // Every completion has its call: only this removes one, and `complete` comes once for each.
        let call = state.in_flight.remove(&operation)?;
        Some((operation, result, call))
    }
}

/// A call's way to its completion, which comes when this is dropped, for whatever reason.
struct Task<M, T> {
    shared: Arc<Shared<M, T>>,
    operation: u64,
    result: Option<Result<T>>,
    _under_way: Call,
}

impl<M, T> Task<M, T> {
    fn end(mut self, result: Option<Result<T>>) {
        self.result = result;
    }
}

impl<M, T> Drop for Task<M, T> {
    fn drop(&mut self) {
        self.shared.complete(self.operation, self.result.take());
        self.shared.state().tasks -= 1;
        self.shared.idle.notify_all();
    }
}

/// The call's result, or `None` when it panicked.
async fn contained<T>(call: impl Future<Output = Result<T>>) -> Option<Result<T>> {
    let mut call = pin!(call);
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context).map(Some)))
            .unwrap_or(std::task::Poll::Ready(None))
    })
    .await
}

/// A descriptor that is readable while raised.
#[cfg(any(target_os = "linux", target_os = "android"))]
struct Signal(std::os::fd::OwnedFd);

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Signal {
    fn new() -> std::io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Self(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn raise(&self) {
        // Fails only when it is raised 2^64 - 1 times.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    fn lower(&self) {
        // Fails only when it is not raised, and then it is as it should be.
        let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }
}

/// A descriptor that is readable while raised.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
struct Signal {
    reader: std::io::PipeReader,
    writer: std::io::PipeWriter,
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
impl Signal {
    fn new() -> std::io::Result<Self> {
        let (reader, writer) = std::io::pipe()?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        rustix::io::ioctl_fionbio(&writer, true)?;
        Ok(Self { reader, writer })
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    fn raise(&self) {
        // Fails only when it is raised and never lowered until the pipe is full.
        let _ = rustix::io::write(&self.writer, &[1]);
    }

    fn lower(&self) {
        // Fails only when it is not raised, and then it is as it should be.
        let _ = rustix::io::read(&self.reader, &mut [0_u8; 1]);
    }
}

/// Where there are no descriptors, completions are waited for with [`Queue::next`].
#[cfg(not(unix))]
struct Signal;

#[cfg(not(unix))]
#[expect(
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "the same signatures on every system"
)]
impl Signal {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    fn raise(&self) {}

    fn lower(&self) {}
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    const LONG: Option<Duration> = Some(Duration::from_secs(20));

    fn client() -> blocking::Client {
        blocking::Client::new(
            crate::Client::builder()
                .partner_id(1)
                .service_url("127.0.0.1:1"),
        )
        .unwrap()
    }

    fn readable<M: Send + 'static, T: Send + 'static>(queue: &Queue<M, T>) -> bool {
        let descriptor = queue.descriptor().unwrap();
        let mut fds = [PollFd::new(&descriptor, PollFlags::IN)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut fds, Some(&at_once)).unwrap() == 1
    }

    #[test]
    fn each_call_completes_once_whatever_becomes_of_it() {
        let (client, queue) = (client(), Queue::<_, u8>::new(3).unwrap());
        queue.submit(&client, "well", |_| async { Ok(7) }).unwrap();
        let panics = |_| async { panic!("on purpose") };
        queue.submit(&client, "panics", panics).unwrap();
        let waits = |client: crate::Client| async move {
            client.start_widget_session().await?;
            std::future::pending().await
        };
        let last = queue.submit(&client, "fails", waits).unwrap();
        assert!(matches!(
            queue.submit(&client, "too many", |_| async { Ok(0) }),
            Err(Refused::Full)
        ));
        queue.cancel(last).unwrap();
        for _ in 0..3 {
            let done = queue.next(LONG).unwrap().unwrap();
            match done.tag {
                "well" => assert_eq!(done.result.unwrap().unwrap(), 7),
                "panics" => assert!(done.result.is_none()),
                _ => assert!(done.result.unwrap().is_err()),
            }
        }
        assert!(queue.next(Some(Duration::ZERO)).unwrap().is_none());
        assert_eq!(queue.in_flight().unwrap(), 0);
        queue.cancel(last).unwrap();
        assert!(queue.cancel(last + 1).is_err());
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_a_completion_waits() {
        let (client, queue) = (client(), Queue::<u32, ()>::new(10).unwrap());
        assert!(!readable(&queue));
        for tag in 0..10 {
            queue.submit(&client, tag, |_| async { Ok(()) }).unwrap();
        }
        for left in (0..10).rev() {
            queue.next(LONG).unwrap().unwrap();
            assert!(!readable(&queue) || left > 0);
        }
        assert!(!readable(&queue));
    }

    #[test]
    fn dropping_the_queue_gives_up_its_calls_whichever_goes_first() {
        for client_first in [true, false] {
            let (client, queue) = (client(), Queue::<(), ()>::new(10).unwrap());
            let held = Arc::new(());
            for _ in 0..10 {
                let held = Arc::clone(&held);
                let waits = |_| async move {
                    std::future::pending::<()>().await;
                    drop(held);
                    Ok(())
                };
                queue.submit(&client, (), waits).unwrap();
            }
            if client_first {
                drop(client);
                drop(queue);
            } else {
                drop(queue);
                drop(client);
            }
            assert_eq!(Arc::strong_count(&held), 1);
        }
    }
}
