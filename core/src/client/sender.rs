//! The one path that every request takes: attempts, waits, the deadline, and whether a failure leaves
//! open what has become of the request. Knows neither [`crate::Client`] nor any credential, but those
//! that it keeps out of errors.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, UNIX_EPOCH};

use crate::cancel::{Cancel, CancelAll, Cancels};
use crate::clock::{Clock, Moment, ServerClock};
use crate::connect_cause::ConnectCause;
use crate::error::{ApiCode, Error, ErrorKind, Result};
use crate::event::{Event, Events};
use crate::flight::Age;
use crate::outage::Outage;
use crate::retry::{RetryBudget, RetryPolicy, retry_after};
use crate::seam::random::chance;
use crate::secret::{Scrubber, Secret};
use crate::transport::{Transport, TransportAnswer, TransportError, TransportRequest};
use crate::wire::{self, Action, Answer, Form, RawAnswer};

/// Sends requests for one handle of a client. Cheap to clone; clones share all but their own limits.
#[derive(Clone)]
pub(crate) struct Sender {
    server: Arc<Server>,
    cancel: Option<Cancel>,
    /// Whether the calls are made for several, who leave one by one instead of having them cancelled.
    is_shared: bool,
    /// Whether somebody else tells of outages.
    is_silent: bool,
    total_timeout: Duration,
}

/// The server, and how to reach it.
pub(crate) struct Server {
    pub(crate) service_url: String,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) its_clock: ServerClock,
    pub(crate) retry: RetryPolicy,
    pub(crate) budget: RetryBudget,
    pub(crate) events: Events,
    pub(crate) attempt_timeout: Duration,
    pub(crate) total_timeout: Duration,
    /// The account's credentials, which no error may show.
    pub(crate) credentials: Vec<Secret>,
    pub(crate) all: CancelAll,
    pub(crate) outage: Outage,
}

/// What a request came to, and whether an earlier attempt's answer was lost on the way.
pub(crate) struct Outcome<T> {
    pub(crate) result: Result<T>,
    pub(crate) answer_lost: bool,
}

impl Sender {
    pub(crate) fn new(server: Server) -> Self {
        Self {
            cancel: None,
            is_shared: false,
            is_silent: false,
            total_timeout: server.total_timeout,
            server: Arc::new(server),
        }
    }

    pub(crate) fn with_cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    pub(crate) fn with_total_timeout(mut self, timeout: Duration) -> Self {
        self.total_timeout = timeout;
        self
    }

    /// The same for what several share: with the client's time, and cancelled by nobody.
    pub(crate) fn for_all(&self) -> Self {
        Self {
            server: Arc::clone(&self.server),
            cancel: None,
            is_shared: true,
            is_silent: self.is_silent,
            total_timeout: self.server.total_timeout,
        }
    }

    /// The same, whose failures begin no outage.
    pub(crate) fn silent_of_outages(mut self) -> Self {
        self.is_silent = true;
        self
    }

    /// Cancels every call that is under way, of all handles.
    pub(crate) fn cancel_all(&self) {
        self.server.all.trigger();
    }

    /// Ends every call, of all handles, and lets no later one begin.
    pub(crate) fn close(&self) {
        self.server.all.close();
    }

    pub(crate) fn cancel(&self) -> Option<&Cancel> {
        self.cancel.as_ref()
    }

    pub(crate) fn service_url(&self) -> &str {
        &self.server.service_url
    }

    pub(crate) fn total_timeout(&self) -> Duration {
        self.total_timeout
    }

    pub(crate) fn events(&self) -> &Events {
        &self.server.events
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.server.clock
    }

    pub(crate) fn server_clock(&self) -> &ServerClock {
        &self.server.its_clock
    }

    /// Begins a call: from now on its time runs, and it can be cancelled.
    pub(crate) fn begin(&self) -> Call {
        Call {
            server: Arc::clone(&self.server),
            cancels: if self.is_shared {
                Cancels::default()
            } else {
                self.server.all.and(self.cancel.as_ref())
            },
            is_silent: self.is_silent,
            total_timeout: self.total_timeout,
            deadline: self.server.now().saturating_add(self.total_timeout),
        }
    }

    /// For joining what several share.
    pub(crate) fn age(&self) -> Age {
        Age {
            now: self.server.now(),
            limit: self.server.total_timeout,
        }
    }

    /// Waits for what several share, until `cancel` or a cancelling of all. What is there already takes no
    /// time.
    pub(crate) async fn wait_for_shared<T>(
        &self,
        cancel: Option<&Cancel>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.server.all.check_open()?;
        let mut work = pin!(work);
        match poll_once(work.as_mut()).await {
            Poll::Ready(done) => done,
            Poll::Pending => self.server.all.and(cancel).guard(work).await,
        }
    }

    /// Waits for work of somebody else's, no longer than one call may take. What is there already takes no
    /// time.
    pub(crate) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let mut work = pin!(work);
        match poll_once(work.as_mut()).await {
            Poll::Ready(done) => Ok(done),
            Poll::Pending => self.begin().within(async { Ok(work.await) }).await,
        }
    }
}

/// What is there already, without the cost of a limit.
async fn poll_once<T>(mut work: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await
}

/// One call of a caller's, which may take several requests: all of them within one deadline.
pub(crate) struct Call {
    server: Arc<Server>,
    cancels: Cancels,
    is_silent: bool,
    total_timeout: Duration,
    /// By the steady clock.
    deadline: Duration,
}

impl Call {
    /// Sends a request until it is answered, or not to be sent again.
    pub(crate) async fn send<T: Answer>(&self, action: Action, form: &Form) -> Outcome<T> {
        let mut attempts = 0;
        let mut answer_lost = false;
        let mut budget = self.server.budget.call();
        let result = loop {
            if self.left().is_zero() {
                break Err(self.took_too_long());
            }
            attempts += 1;
            let error = match self.attempt(action, form).await {
                Ok(answer) => {
                    budget.succeeded(self.server.now());
                    break Ok(answer);
                }
                Err(error) => error,
            };
            let retry = &self.server.retry;
            let Some(wait) = retry.next(action, &error, attempts, self.left(), chance()) else {
                break Err(error);
            };
            if !budget.retry(&error, self.server.now()) {
                break Err(error.with_note(RetryBudget::EXHAUSTED));
            }
            answer_lost |= leaves_open(&error);
            self.server.events.tell(&Event::Retry {
                request: action.name(),
                attempts,
                error,
                wait,
            });
            if let Err(cancelled) = self.pause(wait).await {
                break Err(cancelled);
            }
        };
        let result =
            result.map_err(|error| error.with_request(action.name()).with_attempts(attempts));
        self.tell_of_outages(&result);
        Outcome {
            result,
            answer_lost,
        }
    }

    /// Says once that calls fail for which somebody would have to look after the server or the way to
    /// it, and once that they succeed again.
    fn tell_of_outages<T>(&self, result: &Result<T>) {
        let server = &self.server;
        match result {
            Ok(_) => {
                if let Some(lasted) = server.outage.end(server.now()) {
                    server.events.tell(&Event::CallsSucceed { lasted });
                }
            }
            Err(error) => {
                log::debug!(
                    "{} failed after {} attempts: {error}",
                    error.request().unwrap_or_default(),
                    error.attempts()
                );
                let counts = !self.is_silent && error.is_retryable();
                if counts && server.outage.begin(server.now()) {
                    let error = error.clone();
                    server.events.tell(&Event::CallsFail { error });
                }
            }
        }
    }

    /// Sends once. For an action that cannot be repeated, a failure that leaves open whether it was
    /// carried out becomes `OutcomeUnknown` here, at the one place that knows that it was sent.
    async fn attempt<T: Answer>(&self, action: Action, form: &Form) -> Result<T> {
        self.cancels.check()?;
        let sent = self.server.its_clock.moment();
        let url = format!("{}{}", self.server.service_url, action.path());
        let request = TransportRequest::new(url, form.encode());
        let request = if action.is_repeatable() {
            request
        } else {
            request.on_new_connection()
        };
        let progress = request.progress().clone();
        let answered = self.cancels.guard(self.post(request)).await;
        // Whoever stops waiting learns whether anything has left; what has not, never will.
        let never_left = answered.is_err() && progress.abandon();
        let result = answered.and_then(|answer| self.server.read(action, form, &answer, sent));
        log::debug!(
            "{} in {} ms: {}",
            action.name(),
            self.server.its_clock.moment().least_since(sent),
            if result.is_ok() { "answered" } else { "failed" }
        );
        result.map_err(|error| {
            if action.is_repeatable() || never_left || !leaves_open(&error) {
                return error;
            }
            let cause = error.with_request(action.name()).with_attempts(1);
            Error::outcome_unknown(cause, Vec::new(), false)
        })
    }

    /// Brings the request to the server and its answer back, in the time that is left.
    async fn post(&self, request: TransportRequest) -> Result<TransportAnswer> {
        let (server, left) = (&*self.server, self.left());
        let limit = left.min(server.attempt_timeout);
        let progress = request.progress().clone();
        tokio::select! {
            biased;
            answer = server.transport.post(request) => {
                answer.map_err(|error| server.transport_error(error))
            }
            () = server.clock.sleep(limit) => Err(if limit == left {
                self.took_too_long()
            } else if progress.abandon() {
                server.not_connected(ConnectCause::Timeout, &format!("none within {limit:?}"))
            } else {
                Error::new(
                    ErrorKind::Timeout,
                    format!("no answer from {} within {limit:?}", server.host()),
                )
            }),
        }
    }

    /// Waits for what several calls share, no longer than this one may take.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let limited = async {
            tokio::select! {
                biased;
                done = work => done,
                () = self.server.clock.sleep(self.left()) => Err(self.took_too_long()),
            }
        };
        self.cancels.guard(limited).await
    }

    /// Waits for work that has a limit of its own, or needs none.
    pub(crate) async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.cancels.guard(work).await
    }

    /// Waits, unless it is cancelled.
    pub(crate) async fn pause(&self, wait: Duration) -> Result<()> {
        let slept = async {
            self.server.clock.sleep(wait).await;
            Ok(())
        };
        self.cancels.guard(slept).await
    }

    /// Takes what a request carried, and the credentials of the account, out of texts.
    pub(crate) fn scrubber(&self, form: &Form) -> Scrubber {
        self.server.scrubber(form)
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_sub(self.server.now())
    }

    fn took_too_long(&self) -> Error {
        Error::new(
            ErrorKind::Timeout,
            format!("the call took longer than {:?} in all", self.total_timeout),
        )
    }
}

impl Server {
    /// By the steady clock.
    fn now(&self) -> Duration {
        self.clock.steady_now()
    }

    fn read<T: Answer>(
        &self,
        action: Action,
        form: &Form,
        answer: &TransportAnswer,
        sent: Moment,
    ) -> Result<T> {
        let date = answer
            .date
            .as_deref()
            .and_then(|text| httpdate::parse_http_date(text).ok());
        let now = self.its_clock.now().likely.max(0).unsigned_abs();
        let raw = RawAnswer {
            status: answer.status,
            content_type: answer.content_type.as_deref(),
            location: answer.location.as_deref(),
            retry_after: retry_after(
                answer.retry_after.as_deref(),
                date.unwrap_or(UNIX_EPOCH + Duration::from_millis(now)),
            ),
            body: &answer.body,
        };
        let decoded = wire::decode(&raw, || self.scrubber(form))
            .map_err(|error| error.with_request(action.name()));
        // A page of something in between says nothing about the server's clock, and neither does an
        // answer out of a cache: the server lets that of a widget session be cached for ten minutes.
        let is_of_the_api = decoded
            .as_ref()
            .map_or_else(|error| error.kind() == ErrorKind::Api, |_| true);
        if let Some(date) = date
            && is_of_the_api
            && action != Action::SessionStartWidget
            && !answer.is_from_cache
        {
            self.its_clock.believe(date, sent);
        }
        decoded
    }

    fn scrubber(&self, form: &Form) -> Scrubber {
        form.scrubber()
            .and(self.credentials.iter().map(Secret::reveal))
    }

    fn transport_error(&self, error: TransportError) -> Error {
        match error {
            TransportError::NotSent(cause, text) => self.not_connected(cause, &text),
            TransportError::Interrupted(cause) => Error::new(
                ErrorKind::Interrupted,
                format!("the connection to {} broke: {cause}", self.host()),
            ),
            TransportError::TooLarge(limit) => Error::new(
                ErrorKind::Decode,
                format!("the server's answer is larger than {limit} bytes"),
            ),
        }
    }

    fn not_connected(&self, cause: ConnectCause, text: &str) -> Error {
        Error::new(
            ErrorKind::Connect,
            format!("no connection to {}: {text}", self.host()),
        )
        .with_connect_cause(cause)
    }

    fn host(&self) -> &str {
        let url = self.service_url.as_str();
        url.split_once("://")
            .map_or(url, |(_, rest)| rest)
            .split('/')
            .next()
            .unwrap_or(url)
    }
}

/// Failures after which nobody can tell whether the request was carried out.
fn leaves_open(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Interrupted
        | ErrorKind::Timeout
        | ErrorKind::Decode
        | ErrorKind::Cancelled
        | ErrorKind::Closed => true,
        // Only a status that says that the request was at fault is a refusal. A 408 or 5xx may come from
        // something before a server that is still at it, 499 from a proxy whose client had left; another
        // 2xx or a redirect says that something was done; no server is known to send the rest.
        ErrorKind::Http => error
            .http_status()
            .is_some_and(|status| !(400..499).contains(&status) || status == 408),
        // The server failed somewhere on its way, which may have been after the token was stored.
        ErrorKind::Api => error.api_code() == Some(ApiCode::InternalServerError),
        _ => false,
    }
}
