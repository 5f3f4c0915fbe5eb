//! HTTP: accepting connections, reading requests, carrying out faults, writing answers.
//!
//! It knows the formats and headers of an answer. What a request means is the dispatcher's to say.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, UNIX_EPOCH};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue,
    LOCATION, RETRY_AFTER,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Sleep;

use crate::accounts::Accounts;
use crate::answer::Value;
use crate::body::{self, Missing};
use crate::clock::Clock;
use crate::dispatch::{self, Origin};
use crate::exception::Exception;
use crate::fault::{Fault, FaultBook, FaultKind};
use crate::foreign;
use crate::ks::Ks;
use crate::params::{Param, Params};
use crate::record::{RecordedRequest, RequestLog};
use crate::session::{self, QuickStart};
use crate::state::State;

const NO_STORE: HeaderValue =
    HeaderValue::from_static("no-store, no-cache, must-revalidate, post-check=0, pre-check=0");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=UTF-8");
const XML: HeaderValue = HeaderValue::from_static("text/xml;charset=UTF-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JAVASCRIPT: HeaderValue = HeaderValue::from_static("application/javascript");
const X_KALTURA: HeaderName = HeaderName::from_static("x-kaltura");
const HTML_PAGE: &str = "<!DOCTYPE html><html><head><title>Service unavailable</title></head><body><h1>Please try \
                         again later</h1></body></html>";
/// How long a broken-off answer waits so that what was sent does arrive before the end.
const BREAK_OFF_DELAY: Duration = Duration::from_millis(30);
const CHUNK: usize = 64 * 1024;
const CONTROL_PREFIX: &str = "/_sandbox";

/// A sandbox without its sockets.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) accounts: Accounts,
    pub(crate) clock: Clock,
    pub(crate) control: bool,
    state: Mutex<State>,
    faults: Mutex<FaultBook>,
    log: Mutex<RequestLog>,
    date: Mutex<(i64, HeaderValue)>,
}

impl App {
    pub(crate) fn new(accounts: Accounts, clock: Clock, control: bool) -> Self {
        Self {
            accounts,
            clock,
            control,
            state: Mutex::default(),
            faults: Mutex::default(),
            log: Mutex::default(),
            date: Mutex::new((i64::MIN, HeaderValue::from_static(""))),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, FaultBook> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, RequestLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a KS of any of the accounts.
    pub(crate) fn open(&self, text: &str) -> Option<Ks> {
        Ks::open(text, |partner| {
            let account = partner.parse().ok().and_then(|id| self.accounts.get(id));
            account
                .map(|account| account.signing_secrets())
                .unwrap_or_default()
        })
    }

    /// The `Date` header, by the sandbox's clock.
    fn date(&self) -> HeaderValue {
        let now = self.clock.now();
        let mut date = self.date.lock().unwrap_or_else(PoisonError::into_inner);
        if date.0 != now {
            let at = UNIX_EPOCH + Duration::from_secs(u64::try_from(now).unwrap_or_default());
            *date = (
                now,
                HeaderValue::from_str(&httpdate::fmt_http_date(at)).unwrap_or(date.1.clone()),
            );
        }
        date.1.clone()
    }
}

/// An answer before it is sent.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    content_type: HeaderValue,
    /// Whether the API itself answers, which forbids caching.
    api: bool,
    x_kaltura: Option<String>,
    body: Vec<u8>,
}

impl Reply {
    fn html(status: StatusCode, body: &str) -> Self {
        Self {
            status,
            content_type: HTML,
            api: false,
            x_kaltura: None,
            body: body.into(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Xml,
    Php,
    JsonP,
    Unknown,
}

impl Format {
    fn of(params: &Params) -> Self {
        match params.get("format") {
            None | Some(Param::Null) => Self::Xml,
            Some(param) if param.equals_int(1) => Self::Json,
            Some(param) if param.equals_int(2) => Self::Xml,
            Some(param) if param.equals_int(3) => Self::Php,
            Some(param) if param.equals_int(9) => Self::JsonP,
            Some(_) => Self::Unknown,
        }
    }
}

/// Answers one API request.
fn answer(app: &App, params: &Params, origin: Origin<'_>) -> Reply {
    let started = Instant::now();
    let format = Format::of(params);
    let reply = |content_type, x_kaltura, body: String| Reply {
        status: StatusCode::OK,
        content_type,
        api: true,
        x_kaltura,
        body: body.into_bytes(),
    };
    if matches!(format, Format::Json | Format::Xml | Format::Php) {
        match session::quick_start(app, params) {
            None => {}
            Some(QuickStart::Crashed) => return Reply::html(StatusCode::INTERNAL_SERVER_ERROR, ""),
            Some(QuickStart::Started { ks, cache_key }) => {
                let took = started.elapsed().as_secs_f64();
                let x_kaltura = Some(format!("cached-dispatcher,{cache_key},{took:e}"));
                return match format {
                    Format::Json => reply(JSON, x_kaltura, Value::Text(ks).to_json()),
                    Format::Php => reply(HTML, x_kaltura, Value::Text(ks).to_php()),
                    // The quick way writes no XML declaration (example wire/xml_string_result).
                    _ => {
                        let body = format!(
                            "<xml><result>{ks}</result><executionTime>{took}</executionTime></xml>"
                        );
                        reply(XML, x_kaltura, body)
                    }
                };
            }
        }
    }
    if format == Format::Unknown {
        return reply(HTML, None, String::new());
    }
    let result = if params
        .text("service")
        .is_some_and(|service| service == "multirequest")
    {
        dispatch::multi(app, params, origin)
    } else {
        dispatch::single(app, params, origin).unwrap_or_else(Value::Failure)
    };
    let x_kaltura = match &result {
        Value::Failure(exception) if exception.code == "SERVICE_FORBIDDEN" => {
            Some("error-SERVICE_FORBIDDEN".to_owned())
        }
        _ => None,
    };
    match format {
        Format::Json => reply(JSON, x_kaltura, result.to_json()),
        Format::Php => reply(HTML, x_kaltura, result.to_php()),
        Format::JsonP => match params.text("callback").filter(|name| !name.is_empty()) {
            Some(callback) => reply(
                JAVASCRIPT,
                x_kaltura,
                format!("{callback}({});", result.to_json()),
            ),
            // The action was carried out all the same (transcript appToken.delete/ok_format_jsonp).
            None => reply(
                HTML,
                Some("error- MANDATORY_PARAMETER_MISSING".to_owned()),
                String::new(),
            ),
        },
        Format::Xml | Format::Unknown => {
            let (xml, took) = (result.to_xml(), started.elapsed().as_secs_f64());
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?><xml><result>{xml}</result><executionTime>{took}\
                 </executionTime></xml>"
            );
            reply(XML, x_kaltura, body)
        }
    }
}

/// Answers with an application error in the format that was asked for.
fn answer_exception(params: &Params, exception: Exception) -> Reply {
    let value = Value::Failure(exception);
    let (content_type, body) = match Format::of(params) {
        Format::Json | Format::JsonP => (JSON, value.to_json()),
        Format::Php => (HTML, value.to_php()),
        Format::Xml | Format::Unknown => {
            let xml = value.to_xml();
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?><xml><result>{xml}</result><executionTime>0\
                 </executionTime></xml>"
            );
            (XML, body)
        }
    };
    Reply {
        status: StatusCode::OK,
        content_type,
        api: true,
        x_kaltura: None,
        body: body.into_bytes(),
    }
}

/// The parameters of a request: the body, over it the query, over both the path.
fn read_params(path: &str, query: Option<&str>, content_type: Option<&str>, body: &[u8]) -> Params {
    let content_type = content_type.unwrap_or_default();
    let lower = content_type.to_ascii_lowercase();
    // Only exactly this type is JSON: with a charset after it the server reads no body at all.
    let mut params = if lower == "application/json" {
        Params::from_json(body).unwrap_or_default()
    } else if lower.starts_with("multipart/form-data") {
        Params::from_multipart(body, content_type)
    } else if lower.starts_with("application/x-www-form-urlencoded") {
        Params::from_query(body)
    } else {
        Params::default()
    };
    if let Some(query) = query {
        params.merge(Params::from_query(query.as_bytes()));
    }
    params.merge(Params::from_path(path));
    params
}

/// The name that faults know a request by.
fn fault_label(params: &Params) -> String {
    let service = params.text("service").unwrap_or_default();
    if service == "multirequest" {
        return service.into_owned();
    }
    format!("{service}.{}", params.text("action").unwrap_or_default())
}

/// A request whose connection is dropped instead of being answered.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was reset on purpose")
    }
}

impl std::error::Error for Dropped {}

/// Answers a request; a panic on the way answers 500 and ends nothing else.
async fn serve_request(
    app: Arc<App>,
    ip: Arc<str>,
    reset: Arc<AtomicBool>,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Dropped> {
    let mut responding = pin!(respond(app, ip, reset, request));
    poll_fn(|cx| {
        // What it shares with other requests is behind locks that are used after a panic as before.
        catch_unwind(AssertUnwindSafe(|| responding.as_mut().poll(cx))).unwrap_or_else(|_| {
            let mut failed = Response::new(Payload::Whole(Some(Bytes::from_static(
                b"the sandbox panicked over this request; what it says is on its stderr",
            ))));
            *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            Poll::Ready(Ok(failed))
        })
    })
    .await
}

async fn respond(
    app: Arc<App>,
    ip: Arc<str>,
    reset: Arc<AtomicBool>,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Dropped> {
    let (head, body) = request.into_parts();
    let body = match body::read(body, body::MAX_TIME).await {
        Ok(body) => body,
        Err(Missing::BrokenOff) => return Err(Dropped),
        Err(missing) => return Ok(refuse_body(&app, missing)),
    };
    let path = head.uri.path();
    if let Some(rest) = path
        .strip_prefix(CONTROL_PREFIX)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
    {
        if !app.control {
            return Ok(send(&app, Reply::html(StatusCode::NOT_FOUND, "")));
        }
        let (status, answer) = match foreign::reason(&head.uri, &head.headers) {
            None => app.control(head.method.as_str(), rest, &body),
            Some(reason) => (403, json!({ "error": reason })),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = answer.to_string().into_bytes();
        return Ok(send(
            &app,
            Reply {
                status,
                content_type: JSON,
                api: false,
                x_kaltura: None,
                body,
            },
        ));
    }
    if path != "/api_v3" && !path.starts_with("/api_v3/") {
        return Ok(send(&app, Reply::html(StatusCode::NOT_FOUND, "")));
    }
    if head.method == Method::OPTIONS {
        return Ok(send(&app, Reply::html(StatusCode::OK, "")));
    }
    let content_type = head
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let params = read_params(path, head.uri.query(), content_type, &body);
    let number = app.control.then(|| {
        let method = head.method.as_str();
        app.log().arrived(RecordedRequest::new(
            app.clock.precise(),
            method,
            path,
            &params,
        ))
    });
    let uri = head.uri.path_and_query().map_or(path, |uri| uri.as_str());
    let origin = Origin { ip: &ip, uri };
    let fault = if app.control {
        app.faults().strike(&fault_label(&params))
    } else {
        None
    };
    let sent = match fault {
        None => Ok(send(&app, answer(&app, &params, origin))),
        Some(fault) => with_fault(&app, &params, origin, fault).await,
    };
    match (&sent, number) {
        (Ok(response), Some(number)) => app.log().answered(number, response.status().as_u16()),
        (Err(_), _) => reset.store(true, Ordering::Relaxed),
        (Ok(_), None) => {}
    }
    sent
}

fn refuse_body(app: &App, missing: Missing) -> Response<Payload> {
    let (status, why) = match missing {
        Missing::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than {} bytes", body::MAX_SIZE),
        ),
        Missing::TooSlow | Missing::BrokenOff => (
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not arrive within {:?}", body::MAX_TIME),
        ),
    };
    let mut response = send(app, Reply::html(status, &why));
    // After what is missing the next request would not be found.
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn with_fault(
    app: &App,
    params: &Params,
    origin: Origin<'_>,
    fault: Fault,
) -> Result<Response<Payload>, Dropped> {
    if let FaultKind::Latency { ms } = fault.kind {
        let wait = tokio::time::sleep(Duration::from_millis(ms));
        if fault.after {
            let reply = answer(app, params, origin);
            wait.await;
            return Ok(send(app, reply));
        }
        wait.await;
        return Ok(send(app, answer(app, params, origin)));
    }
    let processed = fault.after.then(|| answer(app, params, origin));
    let page = |status, body: &str| send(app, Reply::html(status, body));
    Ok(match fault.kind {
        FaultKind::Reset => return Err(Dropped),
        FaultKind::Latency { .. } | FaultKind::Empty => page(StatusCode::OK, ""),
        FaultKind::Html => page(StatusCode::OK, HTML_PAGE),
        FaultKind::Garbage => {
            let body = b"\x1f\x8b{]<not an answer".to_vec();
            send(
                app,
                Reply {
                    status: StatusCode::OK,
                    content_type: JSON,
                    api: true,
                    x_kaltura: None,
                    body,
                },
            )
        }
        FaultKind::Status {
            status,
            retry_after,
            body,
        } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let mut response = page(status, &body);
            if let Some(seconds) = retry_after {
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        FaultKind::Redirect { location } => {
            let mut response = page(StatusCode::FOUND, "");
            if let Ok(location) = HeaderValue::from_str(&location) {
                response.headers_mut().insert(LOCATION, location);
            }
            response
        }
        FaultKind::Truncated => {
            let fabricated = || Reply {
                status: StatusCode::OK,
                content_type: JSON,
                api: true,
                x_kaltura: None,
                body: b"{\"totalCount\":1,\"objects\":[]}".to_vec(),
            };
            let reply = processed.unwrap_or_else(fabricated);
            let length = reply.body.len().max(2);
            let half = Bytes::copy_from_slice(&reply.body[..reply.body.len() / 2]);
            let mut response = send(app, reply).map(|_| Payload::broken(half));
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
            response
        }
        FaultKind::Huge { bytes } => {
            let reply = Reply {
                status: StatusCode::OK,
                content_type: JSON,
                api: true,
                x_kaltura: None,
                body: Vec::new(),
            };
            send(app, reply).map(|_| Payload::Huge {
                total: bytes,
                left: bytes,
            })
        }
        FaultKind::KsEcho => {
            let ks = params.text("ks").unwrap_or_default();
            send(app, answer_exception(params, Exception::invalid_ks(&ks)))
        }
        FaultKind::Exception { code, message } => send(
            app,
            answer_exception(params, Exception::custom(&code, &message)),
        ),
    })
}

/// Puts the headers on.
fn send(app: &App, reply: Reply) -> Response<Payload> {
    let mut response = Response::new(Payload::Whole(Some(Bytes::from(reply.body))));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    headers.insert(DATE, app.date());
    if let Some(value) = reply
        .x_kaltura
        .and_then(|value| HeaderValue::from_str(&value).ok())
    {
        headers.insert(X_KALTURA, value);
    }
    if reply.api {
        headers.insert(CACHE_CONTROL, NO_STORE);
    }
    headers.insert(CONTENT_TYPE, reply.content_type);
    response
}

/// The body of an answer, whole or as a fault wants it.
#[derive(Debug)]
enum Payload {
    Whole(Option<Bytes>),
    /// Sends this much, lets it arrive, and breaks off.
    Broken(Option<Bytes>, Pin<Box<Sleep>>),
    /// One long JSON string.
    Huge {
        total: u64,
        left: u64,
    },
}

impl Payload {
    fn broken(sent: Bytes) -> Self {
        Self::Broken(
            Some(sent).filter(|sent| !sent.is_empty()),
            Box::pin(tokio::time::sleep(BREAK_OFF_DELAY)),
        )
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        match self.get_mut() {
            Self::Whole(body) => Poll::Ready(
                body.take()
                    .filter(|body| !body.is_empty())
                    .map(|body| Ok(Frame::data(body))),
            ),
            Self::Broken(sent, wait) => {
                if let Some(sent) = sent.take() {
                    return Poll::Ready(Some(Ok(Frame::data(sent))));
                }
                wait.as_mut().poll(cx).map(|()| Some(Err(Dropped)))
            }
            Self::Huge { total, left } => {
                if *left == 0 {
                    return Poll::Ready(None);
                }
                let size = usize::try_from(*left).unwrap_or(CHUNK).min(CHUNK);
                let mut chunk = vec![b'x'; size];
                if left == total {
                    chunk[0] = b'"';
                }
                *left -= size as u64;
                if *left == 0 {
                    chunk[size - 1] = b'"';
                }
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(chunk)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.as_ref().is_none_or(Bytes::is_empty),
            Self::Broken(..) => false,
            Self::Huge { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64))
            }
            Self::Broken(..) => SizeHint::default(),
            Self::Huge { left, .. } => SizeHint::with_exact(*left),
        }
    }
}

/// A connection that can end in a reset instead of an orderly close.
#[derive(Debug)]
struct Wire {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // Closing a socket that must not linger makes the system send RST.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Serves until told to stop. Connections that are open then are closed when the runtime goes.
pub(crate) async fn serve(app: Arc<App>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let mut stopped = pin!(stop.wait_for(|stop| *stop));
    loop {
        let accepted = poll_fn(|cx| match stopped.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => listener.poll_accept(cx).map(Some),
        });
        match accepted.await {
            None => return,
            Some(Ok((stream, peer))) => {
                tokio::spawn(serve_connection(Arc::clone(&app), stream, peer));
            }
            // Out of descriptors, most likely: give connections time to end.
            Some(Err(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn serve_connection(app: Arc<App>, stream: TcpStream, peer: SocketAddr) {
    // A socket that does not know the option only answers later.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let wire = Wire {
        stream,
        reset: Arc::clone(&reset),
    };
    let ip: Arc<str> = peer.ip().to_canonical().to_string().into();
    let service = service_fn(move |request| {
        serve_request(
            Arc::clone(&app),
            Arc::clone(&ip),
            Arc::clone(&reset),
            request,
        )
    });
    // A client that goes away, or a reset that was ordered, is no news.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .title_case_headers(true)
        .serve_connection(TokioIo::new(wire), service)
        .await;
}
