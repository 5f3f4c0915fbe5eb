//! The API's language: which actions there are, how a request's form is written, how an answer is
//! read, and that an exception comes with HTTP status 200. No I/O, and no decision what to do next.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::error::{ApiError, Error, ErrorKind, Result};
use crate::model::{
    AppToken, Change, HashType, NewToken, Pager, ProfileFields, ResponseProfile, SessionInfo,
    SessionType, TokenFilter, TokenPage, TokenStatus, TokenUpdate,
};
use crate::privileges;
use crate::secret::{MASK, Scrubber, Secret};

/// A time field within this of zero is taken by the server as relative to now (ten years; transcripts
/// `appToken.add/expiry_relative_3600`, `…/expiry_max_relative_315360000`).
const RELATIVE_TIME_LIMIT: i64 = 315_360_000;

/// The server's times are of 32 bits, and a later one is stored as this (seen against the reference
/// server: `add` echoes the number, reads give the limit).
const LATEST_UNIX_TIME: i64 = i32::MAX as i64;
/// Users are stored and compared by this many characters.
const LONGEST_USER_ID: usize = 100;
/// Texts are stored up to this many bytes, while `add` echoes them whole.
const LONGEST_TEXT_BYTES: usize = 65_535;

/// Every action of the API that this crate calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// `appToken.add`
    TokenAdd,
    /// `appToken.get`
    TokenGet,
    /// `appToken.list`
    TokenList,
    /// `appToken.update`
    TokenUpdate,
    /// `appToken.delete`
    TokenDelete,
    /// `appToken.startSession`
    TokenStartSession,
    /// `session.startWidgetSession`
    SessionStartWidget,
    /// `session.start`
    SessionStart,
    /// `session.get`
    SessionGet,
    /// `session.end`
    SessionEnd,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::TokenAdd,
        Self::TokenGet,
        Self::TokenList,
        Self::TokenUpdate,
        Self::TokenDelete,
        Self::TokenStartSession,
        Self::SessionStartWidget,
        Self::SessionStart,
        Self::SessionGet,
        Self::SessionEnd,
    ];

    /// `service.action`, as errors name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenAdd => "appToken.add",
            Self::TokenGet => "appToken.get",
            Self::TokenList => "appToken.list",
            Self::TokenUpdate => "appToken.update",
            Self::TokenDelete => "appToken.delete",
            Self::TokenStartSession => "appToken.startSession",
            Self::SessionStartWidget => "session.startWidgetSession",
            Self::SessionStart => "session.start",
            Self::SessionGet => "session.get",
            Self::SessionEnd => "session.end",
        }
    }

    /// The path below the service URL.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::TokenAdd => "/service/appToken/action/add",
            Self::TokenGet => "/service/appToken/action/get",
            Self::TokenList => "/service/appToken/action/list",
            Self::TokenUpdate => "/service/appToken/action/update",
            Self::TokenDelete => "/service/appToken/action/delete",
            Self::TokenStartSession => "/service/appToken/action/startSession",
            Self::SessionStartWidget => "/service/session/action/startWidgetSession",
            Self::SessionStart => "/service/session/action/start",
            Self::SessionGet => "/service/session/action/get",
            Self::SessionEnd => "/service/session/action/end",
        }
    }

    /// Whether sending it a second time does no harm.
    ///
    /// Only `appToken.add` is not repeatable: each call makes a token. A `delete` repeated after a
    /// lost answer says that the id is not found, which the client takes as done.
    #[must_use]
    pub fn is_repeatable(self) -> bool {
        self != Self::TokenAdd
    }
}

/// The parameters of one request. Knows which of them are credentials.
#[derive(Debug)]
pub(crate) struct Form {
    fields: Vec<(Cow<'static, str>, Value)>,
    /// Credentials that are not sent, but that an answer must not bring into an error either.
    unsent: Vec<Secret>,
}

#[derive(Debug)]
enum Value {
    Plain(String),
    Credential(Secret),
}

impl Form {
    pub(crate) fn new() -> Self {
        Self {
            fields: vec![("format".into(), Value::Plain("1".into()))],
            unsent: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.fields.push((name.into(), Value::Plain(value.into())));
    }

    pub(crate) fn push_some(&mut self, name: &'static str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    pub(crate) fn push_secret(&mut self, name: &'static str, value: &Secret) {
        self.fields
            .push((name.into(), Value::Credential(value.clone())));
    }

    pub(crate) fn keep_out_of_errors(&mut self, secret: &Secret) {
        self.unsent.push(secret.clone());
    }

    pub(crate) fn push_profile(&mut self, profile: &ResponseProfile) {
        let mut field = |name: &'static str, value: String| self.push(name, value);
        let (object_type, fields) = match profile {
            ResponseProfile::Detached(fields) => ("KalturaDetachedResponseProfile", Some(fields)),
            ResponseProfile::Full {
                name,
                system_name,
                fields,
            } => {
                field("responseProfile[name]", name.clone());
                field("responseProfile[systemName]", system_name.clone());
                ("KalturaResponseProfile", Some(fields))
            }
            ResponseProfile::HolderId(id) => {
                field("responseProfile[id]", id.to_string());
                ("KalturaResponseProfileHolder", None)
            }
            ResponseProfile::HolderSystemName(name) => {
                field("responseProfile[systemName]", name.clone());
                ("KalturaResponseProfileHolder", None)
            }
        };
        field("responseProfile[objectType]", object_type.into());
        if let Some(fields) = fields {
            let (kind, names) = match fields {
                ProfileFields::Include(names) => ("1", names),
                ProfileFields::Exclude(names) => ("2", names),
            };
            field("responseProfile[type]", kind.into());
            field("responseProfile[fields]", names.join(","));
        }
    }

    /// The body to send. Its memory is overwritten when the last copy is dropped.
    pub(crate) fn encode(&self) -> Bytes {
        let worst_case: usize = self
            .fields
            .iter()
            .map(|(name, value)| 3 * (name.len() + value.text().len()) + 2)
            .sum();
        let mut body = Zeroizing::new(Vec::with_capacity(worst_case));
        for (name, value) in &self.fields {
            if !body.is_empty() {
                body.push(b'&');
            }
            for part in form_urlencoded::byte_serialize(name.as_bytes()) {
                body.extend_from_slice(part.as_bytes());
            }
            body.push(b'=');
            for part in form_urlencoded::byte_serialize(value.text().as_bytes()) {
                body.extend_from_slice(part.as_bytes());
            }
        }
        Bytes::from_owner(Wiped(body))
    }

    /// A copy of a form that carries no credential yet.
    pub(crate) fn clone_plain(&self) -> Self {
        let plain = self.fields.iter().filter_map(|(name, value)| match value {
            Value::Plain(text) => Some((name.clone(), Value::Plain(text.clone()))),
            Value::Credential(_) => None,
        });
        Self {
            fields: plain.collect(),
            unsent: Vec::new(),
        }
    }

    /// The parameters for people, credentials masked.
    pub(crate) fn redacted(&self) -> Vec<(String, String)> {
        self.fields
            .iter()
            .map(|(name, value)| {
                let shown = match value {
                    Value::Plain(text) => text.clone(),
                    Value::Credential(_) => MASK.to_owned(),
                };
                (name.to_string(), shown)
            })
            .collect()
    }

    /// Takes what this request carried, and what it was made from, out of texts that answer it.
    pub(crate) fn scrubber(&self) -> Scrubber {
        let sent = self.fields.iter().filter_map(|(_, value)| match value {
            Value::Credential(secret) => Some(secret.reveal()),
            Value::Plain(_) => None,
        });
        Scrubber::new(sent.chain(self.unsent.iter().map(Secret::reveal)))
    }
}

impl Value {
    fn text(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Credential(secret) => secret.reveal(),
        }
    }
}

/// `Bytes` wants an owner that is `AsRef<[u8]>`, which `Zeroizing<Vec<u8>>` is only through `Deref`.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A duration as whole seconds. Zero is refused: the server does not read it as "default".
pub(crate) fn seconds(field: &str, duration: Duration) -> Result<String> {
    match (duration.as_secs(), duration.subsec_nanos()) {
        (0, 0) => Err(Error::config(format!(
            "{field}: 0 seconds would give sessions that are dead at birth; leave it out for the \
             default"
        ))),
        (_, 1..) => Err(Error::config(format!("{field}: whole seconds only"))),
        (seconds, 0) if seconds > i32::MAX as u64 => Err(Error::config(format!(
            "{field}: {seconds} seconds are too many"
        ))),
        (seconds, 0) => Ok(seconds.to_string()),
    }
}

/// An instant that the server will read as the instant it is.
pub(crate) fn instant(field: &str, unix: i64) -> Result<String> {
    if unix.abs() <= RELATIVE_TIME_LIMIT {
        let advice = if unix == 0 {
            "the server reads 0 as now; leave it out for never"
        } else {
            "the server would read so small a number as seconds from now"
        };
        return Err(Error::config(format!(
            "{field}: {unix} is not a time in unix seconds: {advice}"
        )));
    }
    Ok(unix.to_string())
}

fn future_instant(field: &str, unix: i64, now_unix: i64) -> Result<String> {
    let text = instant(field, unix)?;
    if unix <= now_unix {
        return Err(Error::config(format!(
            "{field}: {unix} is {} seconds in the past; give a later time in unix seconds, or leave \
             it out for never",
            now_unix - unix
        )));
    }
    if unix > LATEST_UNIX_TIME {
        return Err(Error::config(format!(
            "{field}: {unix} is later than {LATEST_UNIX_TIME}, the latest time that the server \
             stores; leave it out for never"
        )));
    }
    Ok(text)
}

/// Refuses what the server would cut: the token would have another user than was asked for, and would
/// not be found by what was asked for.
fn user_to_write(user_id: &str) -> Result<String> {
    match user_id.chars().count() {
        ..=LONGEST_USER_ID => Ok(user_id.to_owned()),
        length => Err(Error::config(format!(
            "sessionUserId: it has {length} characters, and the server keeps {LONGEST_USER_ID} of them"
        ))),
    }
}

fn text_to_write(field: &str, text: &str) -> Result<String> {
    match text.len() {
        ..=LONGEST_TEXT_BYTES => Ok(text.to_owned()),
        length => Err(Error::config(format!(
            "{field}: it has {length} bytes, and the server keeps {LONGEST_TEXT_BYTES} of them"
        ))),
    }
}

fn hash_type_to_write(hash_type: &HashType) -> Result<String> {
    match hash_type {
        HashType::Other(name) => Err(Error::config(format!(
            "hashType: {name:?} is not one of MD5, SHA1, SHA256, SHA512"
        ))),
        known => Ok(known.as_str().to_owned()),
    }
}

fn session_type_to_write(session_type: SessionType) -> Result<String> {
    match session_type {
        SessionType::Other(value) => Err(Error::config(format!(
            "sessionType: {value} is neither 0 (USER) nor 2 (ADMIN)"
        ))),
        known => Ok(known.value().to_string()),
    }
}

fn privileges_to_write(text: &str) -> Result<String> {
    privileges::refuse_ks_fields("sessionPrivileges", text)?;
    text_to_write("sessionPrivileges", text)
}

/// Writes the fields of a new token; `now_unix` is the server's time.
/// A token's id as it is sent: without the blanks around it.
pub(crate) fn check_id(id: &str) -> Result<&str> {
    let id = id.trim();
    if id.is_empty() {
        return Err(Error::config("the token's id is empty"));
    }
    Ok(id)
}

pub(crate) fn push_new_token(form: &mut Form, token: &NewToken, now_unix: i64) -> Result<()> {
    form.push("appToken[objectType]", "KalturaAppToken");
    if let Some(hash_type) = &token.hash_type {
        form.push("appToken[hashType]", hash_type_to_write(hash_type)?);
    }
    if let Some(session_type) = token.session_type {
        form.push(
            "appToken[sessionType]",
            session_type_to_write(session_type)?,
        );
    }
    if let Some(duration) = token.session_duration {
        form.push(
            "appToken[sessionDuration]",
            seconds("sessionDuration", duration)?,
        );
    }
    if let Some(privileges) = &token.session_privileges {
        form.push(
            "appToken[sessionPrivileges]",
            privileges_to_write(privileges)?,
        );
    }
    if let Some(user_id) = &token.session_user_id {
        form.push("appToken[sessionUserId]", user_to_write(user_id)?);
    }
    if let Some(description) = &token.description {
        form.push(
            "appToken[description]",
            text_to_write("description", description)?,
        );
    }
    if let Some(expiry) = token.expiry {
        form.push(
            "appToken[expiry]",
            future_instant("expiry", expiry, now_unix)?,
        );
    }
    Ok(())
}

/// Writes the changed fields of a token; `now_unix` is the server's time.
pub(crate) fn push_token_update(
    form: &mut Form,
    update: &TokenUpdate,
    now_unix: i64,
) -> Result<()> {
    if update.is_empty() {
        return Err(Error::config(
            "the update changes nothing: name at least one field",
        ));
    }
    form.push("appToken[objectType]", "KalturaAppToken");
    let mut write = |name: &str, change: Change<String>| match change {
        Change::Keep => {}
        // An empty string is a value to the server; null is spelled so (transcript
        // appToken.update/description__null).
        Change::Clear => form.push(format!("appToken[{name}__null]"), ""),
        Change::Set(text) => form.push(format!("appToken[{name}]"), text),
    };
    write("hashType", update.hash_type.try_map(hash_type_to_write)?);
    write(
        "sessionType",
        update.session_type.try_map(|t| session_type_to_write(*t))?,
    );
    write(
        "sessionDuration",
        update
            .session_duration
            .try_map(|d| seconds("sessionDuration", *d))?,
    );
    write(
        "sessionPrivileges",
        update
            .session_privileges
            .try_map(|text| privileges_to_write(text))?,
    );
    write(
        "sessionUserId",
        update.session_user_id.try_map(|id| user_to_write(id))?,
    );
    write(
        "description",
        update
            .description
            .try_map(|text| text_to_write("description", text))?,
    );
    write(
        "expiry",
        update
            .expiry
            .try_map(|t| future_instant("expiry", *t, now_unix))?,
    );
    Ok(())
}

impl<T> Change<T> {
    fn try_map(&self, write: impl FnOnce(&T) -> Result<String>) -> Result<Change<String>> {
        Ok(match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(value) => Change::Set(write(value)?),
        })
    }
}

/// The server takes so many ids of a filter, and drops the others without a word.
pub(crate) const MAX_FILTER_IDS: usize = 500;

/// Writes the part of a filter that the server has.
pub(crate) fn push_filter(form: &mut Form, filter: &TokenFilter) -> Result<()> {
    // The server ignores a filter that is an empty string, and would list everything.
    let not_empty = |field: &str, text: &str| {
        if text.is_empty() {
            Err(Error::config(format!(
                "{field}: the server ignores an empty filter; leave it out"
            )))
        } else {
            Ok(text.to_owned())
        }
    };
    if let Some(id) = &filter.id_equal {
        form.push("filter[idEqual]", not_empty("idEqual", id)?);
    }
    if let Some(ids) = &filter.id_in {
        if ids.len() > MAX_FILTER_IDS {
            return Err(Error::config(format!(
                "idIn: {} ids are more than the {MAX_FILTER_IDS} that the server takes at once",
                ids.len()
            ))
            .with_hint("walk over all tokens, which asks for them in parts"));
        }
        let ids: Vec<&str> = ids.iter().map(|id| id.trim()).collect();
        form.push("filter[idIn]", not_empty("idIn", &ids.join(","))?);
    }
    form.push_some(
        "filter[statusEqual]",
        filter.status_equal.map(|s| s.value().to_string()),
    );
    if let Some(statuses) = &filter.status_in {
        let statuses: Vec<String> = statuses.iter().map(|s| s.value().to_string()).collect();
        form.push(
            "filter[statusIn]",
            not_empty("statusIn", &statuses.join(","))?,
        );
    }
    for (name, bound) in [
        (
            "createdAtGreaterThanOrEqual",
            filter.created_at_greater_than_or_equal,
        ),
        (
            "createdAtLessThanOrEqual",
            filter.created_at_less_than_or_equal,
        ),
        (
            "updatedAtGreaterThanOrEqual",
            filter.updated_at_greater_than_or_equal,
        ),
        (
            "updatedAtLessThanOrEqual",
            filter.updated_at_less_than_or_equal,
        ),
    ] {
        if let Some(unix) = bound {
            form.push(format!("filter[{name}]"), instant(name, unix)?);
        }
    }
    if let Some(user_id) = &filter.session_user_id_equal {
        form.push(
            "filter[sessionUserIdEqual]",
            not_empty("sessionUserIdEqual", user_id)?,
        );
    }
    form.push_some(
        "filter[orderBy]",
        filter.order_by.map(crate::model::TokenOrder::as_str),
    );
    Ok(())
}

/// Writes the place of a page.
pub(crate) fn push_pager(form: &mut Form, pager: Pager) -> Result<()> {
    if pager.page_size == 0 || pager.page_size > Pager::MAX_PAGE_SIZE {
        return Err(Error::config(format!(
            "pageSize: {} is not within 1 to {}",
            pager.page_size,
            Pager::MAX_PAGE_SIZE
        )));
    }
    if pager.page_index == 0 {
        return Err(Error::config("pageIndex: pages are counted from 1"));
    }
    form.push("pager[pageSize]", pager.page_size.to_string());
    form.push("pager[pageIndex]", pager.page_index.to_string());
    Ok(())
}

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
            .with_hint(
                "a redirect would resend credentials: set the service URL that it points to",
            );
    }
    let error = Error::new(ErrorKind::Http, message)
        .with_http_status(status)
        .with_retry_after(answer.retry_after);
    match status {
        401 | 403 => error.with_hint(
            "something before the API refused the request: a proxy or a web firewall; another user \
             agent may be let through",
        ),
        404 | 405 => error.with_hint("there is no API at this address: check the service URL"),
        407 => error.with_hint("the proxy wants credentials: put them into the proxy's URL"),
        408 | 429 | 500.. => {
            error.with_hint("the server is overloaded or failing: try again later")
        }
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
    let text = ks.reveal();
    (20..=65_536).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte))
}

/// Whole numbers come as numbers or as strings (`session.get` answers only strings); an empty string
/// is null.
fn lenient_int<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<i64>, D::Error> {
    struct Lenient;
    impl Visitor<'_> for Lenient {
        type Value = Option<i64>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a whole number, or one in a string")
        }
        fn visit_i64<E>(self, value: i64) -> std::result::Result<Self::Value, E> {
            Ok(Some(value))
        }
        fn visit_u64<E: serde::de::Error>(self, value: u64) -> std::result::Result<Self::Value, E> {
            i64::try_from(value).map(Some).map_err(E::custom)
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Self::Value, E> {
            let text = text.trim();
            if text.is_empty() {
                return Ok(None);
            }
            text.parse().map(Some).map_err(E::custom)
        }
        fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(Lenient)
}

/// Texts come as strings; ids and users also as numbers (`userId` of a widget session is 0).
fn lenient_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<String>, D::Error> {
    struct Lenient;
    impl Visitor<'_> for Lenient {
        type Value = Option<String>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text or a whole number")
        }
        fn visit_i64<E>(self, value: i64) -> std::result::Result<Self::Value, E> {
            Ok(Some(value.to_string()))
        }
        fn visit_u64<E>(self, value: u64) -> std::result::Result<Self::Value, E> {
            Ok(Some(value.to_string()))
        }
        fn visit_str<E>(self, text: &str) -> std::result::Result<Self::Value, E> {
            Ok(Some(text.to_owned()))
        }
        fn visit_string<E>(self, text: String) -> std::result::Result<Self::Value, E> {
            Ok(Some(text))
        }
        fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(Lenient)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenAnswer {
    #[serde(default, deserialize_with = "lenient_text")]
    id: Option<String>,
    #[serde(default)]
    token: Option<Secret>,
    #[serde(default, deserialize_with = "lenient_int")]
    partner_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient_int")]
    status: Option<i64>,
    #[serde(default, deserialize_with = "lenient_int")]
    session_type: Option<i64>,
    #[serde(default, deserialize_with = "lenient_int")]
    session_duration: Option<i64>,
    #[serde(default)]
    session_privileges: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    session_user_id: Option<String>,
    #[serde(default)]
    hash_type: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default, deserialize_with = "lenient_int")]
    expiry: Option<i64>,
    #[serde(default, deserialize_with = "lenient_int")]
    created_at: Option<i64>,
    #[serde(default, deserialize_with = "lenient_int")]
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
            #[serde(deserialize_with = "lenient_int")]
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
    #[serde(default, deserialize_with = "lenient_int")]
    session_type: Option<i64>,
    #[serde(default, deserialize_with = "lenient_int")]
    partner_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient_text")]
    user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient_int")]
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
