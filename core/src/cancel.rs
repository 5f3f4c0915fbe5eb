//! [`Cancel`]: ending calls from another thread or task. Knows nothing of what the calls do.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::error::{Error, ErrorKind, Result};

/// Cancels calls from another thread or task: see [`crate::Client::with_cancel`].
///
/// ```
/// use kaltura_app_token::{Cancel, Client, ErrorKind};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let cancel = Cancel::new();
/// let client = Client::builder().partner_id(102).build()?.with_cancel(&cancel);
/// cancel.trigger();
/// let error = client.start_widget_session().await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Cancelled);
/// # Ok::<(), kaltura_app_token::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<State>);

#[derive(Debug, Default)]
struct State {
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

/// All that can end one call: the caller's own [`Cancel`], that of every call of the client, and its
/// closing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancels {
    own: Option<Cancel>,
    all: Option<Cancel>,
    closing: Option<Cancel>,
}

impl Cancels {
    /// Whether the call may go on.
    pub(crate) fn check(&self) -> Result<()> {
        let is_triggered =
            |cancel: &Option<Cancel>| cancel.as_ref().is_some_and(Cancel::is_triggered);
        if is_triggered(&self.own) || is_triggered(&self.all) {
            return Err(cancelled());
        }
        if is_triggered(&self.closing) {
            return Err(closed());
        }
        Ok(())
    }

    /// Waits for the work, and no longer once the call is cancelled.
    pub(crate) async fn guard<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            done = work => done,
            () = wait_for(self.own.as_ref()) => Err(cancelled()),
            () = wait_for(self.all.as_ref()) => Err(cancelled()),
            () = wait_for(self.closing.as_ref()) => Err(closed()),
        }
    }
}

/// Cancels all calls that are under way, and those that come later only once it is closed.
#[derive(Debug, Default)]
pub(crate) struct CancelAll {
    under_way: Mutex<Cancel>,
    closing: Cancel,
}

impl CancelAll {
    pub(crate) fn trigger(&self) {
        let under_way = std::mem::take(&mut *self.under_way());
        under_way.trigger();
    }

    pub(crate) fn close(&self) {
        self.closing.trigger();
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closing.is_triggered() {
            return Err(closed());
        }
        Ok(())
    }

    /// What can end a call that begins now.
    pub(crate) fn and(&self, own: Option<&Cancel>) -> Cancels {
        Cancels {
            own: own.cloned(),
            all: Some(self.under_way().clone()),
            closing: Some(self.closing.clone()),
        }
    }

    fn under_way(&self) -> MutexGuard<'_, Cancel> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until this is triggered; without one, for ever.
pub(crate) async fn wait_for(cancel: Option<&Cancel>) {
    match cancel {
        Some(cancel) => cancel.triggered().await,
        None => std::future::pending().await,
    }
}

pub(crate) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the call was cancelled")
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the client is closed: make another one")
}
