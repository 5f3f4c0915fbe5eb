//! How an answer is read, and what it is instead of one. An exception comes with HTTP status 200.
//! Knows no form but what an answer must not bring into an error.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{ApiError, Error, ErrorKind, Hint, Result};
use crate::model::{AppToken, HashType, SessionInfo, SessionType, TokenPage, TokenStatus};
// Whole numbers come as numbers or as strings (`session.get` answers only strings, and empty ones for
// null); texts also as numbers (`userId` of a widget session is 0).
use crate::number_or_text::{optional_number, optional_text};
use crate::secret::{Scrubber, Secret};

/// An answer as it came, before anything was made of it.
#[derive(Debug)]
pub(crate) struct RawAnswer<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) location: Option<&'a str>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: &'a [u8],
}

/// What an action answers.
pub(crate) trait Answer: Sized {
    fn read(body: &[u8]) -> Option<Self>;
}

/// Reads an answer: the value, the API's exception, or what else it is.
pub(crate) fn decode<T: Answer>(
    answer: &RawAnswer<'_>,
    scrubber: impl FnOnce() -> Scrubber,
) -> Result<T> {
    if answer.status != 200 {
        return Err(http_error(answer, &scrubber()));
    }
    match find_exception(answer.body) {
        Some(Found::Exception(exception)) => {
            return Err(Error::from_api(exception.scrubbed(&scrubber())));
        }
        Some(Found::StrangeException) => {
            return Err(Error::new(
                ErrorKind::Decode,
                "the server's answer is an exception, but not in a shape of the API's",
            ));
        }
        None => {}
    }
    T::read(answer.body).ok_or_else(|| {
        let what = describe_strange_body(answer, &scrubber());
        Error::new(ErrorKind::Decode, what)
    })
}

/// A text of the server's as an error may show it: without credentials.
pub(crate) fn to_show(scrubber: &Scrubber, text: &str) -> String {
    scrubber.scrub(text)
}

fn http_error(answer: &RawAnswer<'_>, scrubber: &Scrubber) -> Error {
    let status = answer.status;
    let mut message = format!("the server answered with HTTP status {status}");
    if (300..400).contains(&status) {
        let target = answer
            .location
            .and_then(|location| location.split_once("://"))
            .map_or("another path", |(_, rest)| {
                rest.split(['/', '?', '#'])
                    .next()
                    .unwrap_or(rest)
                    .rsplit('@')
                    .next()
                    .unwrap_or(rest)
            });
        let target = to_show(scrubber, target);
        message = format!("{message}, a redirect to {target}, which is not followed");
        return Error::new(ErrorKind::Http, message)
            .with_http_status(status)
            .with_hint(Hint::Redirected);
    }
    let error = Error::new(ErrorKind::Http, message)
        .with_http_status(status)
        .with_retry_after(answer.retry_after);
    match status {
        401 | 403 => error.with_hint(Hint::Firewalled),
        404 | 405 => error.with_hint(Hint::NoApiThere),
        407 => error.with_hint(Hint::ProxyWantsCredentials),
        408 | 429 | 500.. => error.with_hint(Hint::Overloaded),
        _ => error,
    }
}

/// Says what a body is instead of an answer, without quoting it: it may hold credentials.
fn describe_strange_body(answer: &RawAnswer<'_>, scrubber: &Scrubber) -> String {
    let text = String::from_utf8_lossy(answer.body);
    let text = text.trim();
    let what = if text.is_empty() {
        return "the server's answer is empty; try again, and check what stands between".to_owned();
    } else if text.starts_with('<') {
        "an HTML or XML page"
    } else if text.contains("was rate limited") {
        return "the server is limiting requests: wait and try again".to_owned();
    } else if serde_json::from_slice::<serde::de::IgnoredAny>(answer.body).is_ok() {
        "JSON of another shape"
    } else {
        "neither JSON nor text that is known"
    };
    format!(
        "the server's answer is {what} ({} bytes{}); check the service URL and what stands between",
        answer.body.len(),
        answer
            .content_type
            .map(|kind| format!(", {}", to_show(scrubber, kind)))
            .unwrap_or_default()
    )
}

#[derive(Deserialize)]
struct Exception {
    code: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    args: serde_json::Value,
}

impl Exception {
    fn scrubbed(self, scrubber: &Scrubber) -> ApiError {
        let args = match self.args {
            serde_json::Value::Object(args) => args
                .into_iter()
                .map(|(name, value)| {
                    let text = match value {
                        serde_json::Value::String(text) => text,
                        other => other.to_string(),
                    };
                    (to_show(scrubber, &name), to_show(scrubber, &text))
                })
                .collect(),
            // Without arguments the server sends an empty list.
            _ => Vec::new(),
        };
        ApiError {
            code: to_show(scrubber, &self.code),
            message: to_show(scrubber, self.message.as_deref().unwrap_or_default()),
            args,
        }
    }
}

enum Found {
    Exception(Exception),
    /// One that no server of Kaltura's writes: what it says is not to be relied on.
    StrangeException,
}

/// An exception in an answer with status 200, by itself or wrapped into `result`.
fn find_exception(body: &[u8]) -> Option<Found> {
    memchr::memmem::find(body, b"KalturaAPIException")?;
    let answer: serde_json::Value = read_object(body)?;
    let is_exception = |value: &serde_json::Value| {
        value.get("objectType").and_then(serde_json::Value::as_str) == Some("KalturaAPIException")
    };
    let exception = [Some(&answer), answer.get("result")]
        .into_iter()
        .flatten()
        .find(|value| is_exception(value))?;
    Some(Exception::deserialize(exception).map_or(Found::StrangeException, Found::Exception))
}

/// A JSON object: an array would be taken for one whose fields are in order.
fn read_object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(body).ok()
}

/// Whether this can be a session: one line of base64, in either alphabet. An overloaded server also
/// answers sentences.
fn is_ks(ks: &Secret) -> bool {
    ks.reveal().len() <= 65_536 && reads_as_ks(ks)
}

fn reads_as_ks(ks: &Secret) -> bool {
    let text = ks.reveal();
    text.len() >= 20
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte))
}

/// Refuses what no server can take for a session. The server that is asked about one fails by itself
/// in place of saying so (transcript `session.get/garbage_session_param`), which is then tried again.
pub(crate) fn check_ks(ks: &Secret) -> Result<()> {
    if reads_as_ks(ks) {
        return Ok(());
    }
    Err(
        Error::config("this is not a KS: it is not one line of base64")
            .with_hint("give the KS alone, without what stands around it in a URL or a file"),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenAnswer {
    #[serde(default, deserialize_with = "optional_text")]
    id: Option<String>,
    #[serde(default)]
    token: Option<Secret>,
    #[serde(default, deserialize_with = "optional_number")]
    partner_id: Option<i64>,
    #[serde(default, deserialize_with = "optional_number")]
    status: Option<i64>,
    #[serde(default, deserialize_with = "optional_number")]
    session_type: Option<i64>,
    #[serde(default, deserialize_with = "optional_number")]
    session_duration: Option<i64>,
    #[serde(default)]
    session_privileges: Option<String>,
    #[serde(default, deserialize_with = "optional_text")]
    session_user_id: Option<String>,
    #[serde(default)]
    hash_type: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default, deserialize_with = "optional_number")]
    expiry: Option<i64>,
    #[serde(default, deserialize_with = "optional_number")]
    created_at: Option<i64>,
    #[serde(default, deserialize_with = "optional_number")]
    updated_at: Option<i64>,
}

impl From<TokenAnswer> for AppToken {
    fn from(answer: TokenAnswer) -> Self {
        Self {
            id: answer.id.unwrap_or_default(),
            token: answer.token,
            partner_id: answer.partner_id,
            status: answer.status.map(TokenStatus::from),
            session_type: answer.session_type.map(SessionType::from),
            session_duration: answer.session_duration,
            session_privileges: answer.session_privileges,
            session_user_id: answer.session_user_id,
            hash_type: answer.hash_type.map(|name| HashType::from(name.as_str())),
            description: answer.description,
            expiry: answer.expiry,
            created_at: answer.created_at,
            updated_at: answer.updated_at,
        }
    }
}

impl Answer for AppToken {
    fn read(body: &[u8]) -> Option<Self> {
        read_object::<TokenAnswer>(body).map(Self::from)
    }
}

impl Answer for TokenPage {
    fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct PageAnswer {
            // Left out altogether when the filter's user does not exist (example
            // appToken.list/sessionUserIdEqual_unknown).
            #[serde(default)]
            objects: Vec<TokenAnswer>,
            #[serde(deserialize_with = "optional_number")]
            total_count: Option<i64>,
        }
        read_object::<PageAnswer>(body).map(|page| Self {
            total_count: page.total_count.unwrap_or_default(),
            tokens: page.objects.into_iter().map(AppToken::from).collect(),
        })
    }
}

/// The answer of `startWidgetSession`; the guide also shows it wrapped into `result`.
#[derive(Deserialize)]
pub(crate) struct WidgetAnswer {
    #[serde(default)]
    ks: Option<Secret>,
    #[serde(default)]
    result: Option<Box<WidgetAnswer>>,
}

impl WidgetAnswer {
    pub(crate) fn ks(self) -> Option<Secret> {
        self.ks
            .or_else(|| self.result.and_then(|inner| inner.ks()))
            .filter(is_ks)
    }
}

impl Answer for WidgetAnswer {
    fn read(body: &[u8]) -> Option<Self> {
        read_object(body)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionAnswer {
    #[serde(default)]
    ks: Option<Secret>,
    #[serde(default, deserialize_with = "optional_number")]
    session_type: Option<i64>,
    #[serde(default, deserialize_with = "optional_number")]
    partner_id: Option<i64>,
    #[serde(default, deserialize_with = "optional_text")]
    user_id: Option<String>,
    #[serde(default, deserialize_with = "optional_number")]
    expiry: Option<i64>,
    #[serde(default)]
    privileges: Option<String>,
}

impl SessionAnswer {
    pub(crate) fn ks(&self) -> Option<&Secret> {
        self.ks.as_ref().filter(|ks| is_ks(ks))
    }

    pub(crate) fn info(&self) -> SessionInfo {
        SessionInfo {
            session_type: self.session_type.map(SessionType::from),
            partner_id: self.partner_id,
            user_id: self.user_id.clone(),
            expiry: self.expiry,
            privileges: self.privileges.clone(),
        }
    }
}

impl Answer for SessionAnswer {
    fn read(body: &[u8]) -> Option<Self> {
        read_object(body)
    }
}

/// A bare string: the answer of `session.start`.
impl Answer for Secret {
    fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().filter(is_ks)
    }
}

/// The answer of an action that has none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Void {
    /// `null` or `true`.
    Done,
    /// An empty body, which the guide shows for `delete` and which overloaded servers send as well.
    Empty,
}

impl Answer for Void {
    fn read(body: &[u8]) -> Option<Self> {
        match body.trim_ascii() {
            b"" => Some(Self::Empty),
            b"null" | b"true" => Some(Self::Done),
            _ => None,
        }
    }
}
