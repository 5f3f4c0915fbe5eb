//! A server that is a function.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kaltura_app_token::{
    BoxFuture, Client, Transport, TransportAnswer, TransportError, TransportRequest,
};
use tokio::sync::Notify;

use crate::virtual_time::VirtualClock;

/// The parameters of a request.
pub(crate) type Params = HashMap<String, String>;

/// A server that answers widget sessions by itself and exchanges as it is told.
pub(crate) struct Stub {
    answer: Box<dyn Fn(&Params) -> String + Send + Sync>,
    exchanges: AtomicUsize,
    closed: AtomicBool,
    opened: Notify,
    /// What the server says the time is.
    date: Mutex<Option<String>>,
    /// A status other than 200 and its `Retry-After`, in place of every answer to an exchange.
    refusal: Mutex<Option<(u16, String)>>,
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stub")
    }
}

impl Stub {
    pub(crate) fn new(answer: impl Fn(&Params) -> String + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            answer: Box::new(answer),
            exchanges: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            opened: Notify::new(),
            date: Mutex::default(),
            refusal: Mutex::default(),
        })
    }

    /// A client of this server by this clock, without retries.
    pub(crate) fn client(self: &Arc<Self>, clock: &VirtualClock) -> Client {
        Client::builder()
            .service_url("https://stub.example")
            .partner_id(102)
            .max_retries(0)
            .clock(Arc::new(clock.clone()))
            .transport(Arc::clone(self) as Arc<dyn Transport>)
            .build()
            .unwrap()
    }

    /// Puts this into every answer as its `Date`.
    pub(crate) fn set_date(&self, date: &str) {
        *self.date.lock().unwrap() = Some(date.to_owned());
    }

    /// Refuses every exchange from now on: 429, and try again when `retry_after` says.
    pub(crate) fn limit_rate(&self, retry_after: &str) {
        *self.refusal.lock().unwrap() = Some((429, retry_after.to_owned()));
    }

    /// Ends [`Stub::limit_rate`].
    pub(crate) fn lift_limit(&self) {
        *self.refusal.lock().unwrap() = None;
    }

    /// How many exchanges have arrived.
    pub(crate) fn exchanges(&self) -> usize {
        self.exchanges.load(Ordering::SeqCst)
    }

    /// Lets exchanges arrive and answers none.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Answers again, those that have arrived too.
    pub(crate) fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
        self.opened.notify_waiters();
    }
}

impl Transport for Stub {
    fn post(
        &self,
        request: TransportRequest,
    ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
        let is_widget = request.url().contains("startWidgetSession");
        Box::pin(async move {
            if is_widget {
                return Ok(json(
                    r#"{"ks":"djJ8-widget-session-of-the-stub"}"#.to_owned(),
                ));
            }
            self.exchanges.fetch_add(1, Ordering::SeqCst);
            while self.closed.load(Ordering::SeqCst) {
                self.opened.notified().await;
            }
            if let Some((status, retry_after)) = self.refusal.lock().unwrap().clone() {
                let mut refusal = TransportAnswer::new(status, "");
                refusal.retry_after = Some(retry_after);
                return Ok(refusal);
            }
            let params = form_urlencoded::parse(request.body())
                .into_owned()
                .collect();
            let mut answer = json((self.answer)(&params));
            answer.date.clone_from(&self.date.lock().unwrap());
            Ok(answer)
        })
    }
}

fn json(body: String) -> TransportAnswer {
    let mut answer = TransportAnswer::new(200, body);
    answer.content_type = Some("application/json".to_owned());
    answer
}

/// An exception of the API.
pub(crate) fn exception(code: &str) -> String {
    format!(r#"{{"code":"{code}","message":"","objectType":"KalturaAPIException","args":[]}}"#)
}
