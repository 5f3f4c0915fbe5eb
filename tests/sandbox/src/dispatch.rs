//! From parameters to a result: which action is meant, who asks, whether they may, and several requests in
//! one.
//!
//! The order of the checks is the server's: the action exists, the KS can be opened, the arguments can be
//! read, the KS is still good, the partner is not blocked, the action is allowed.

use std::borrow::Cow;

use crate::accounts::Account;
use crate::answer::Value;
use crate::app_token::{self, Profile};
use crate::arguments::Arguments;
use crate::exception::Exception;
use crate::ks::Ks;
use crate::ordered::Ordered;
use crate::params::{Param, Params, number};
use crate::privileges::Privileges;
use crate::server::App;
use crate::session;
use crate::state::{State, session_group, session_key};

/// How much a multirequest may copy from one request to another and answer: PHP's `memory_limit`.
const MULTIREQUEST_MEMORY: usize = 128 << 20;
const SERVER_VERSION: &str = "Venus-22.19.0";

/// Where a request came from and what it was addressed to; sessions can be restricted by both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) ip: &'a str,
    pub(crate) uri: &'a str,
}

/// Who may call an action.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Allowed {
    Everyone,
    AnySession,
    AdminSession,
}

#[derive(Clone, Copy)]
enum Action {
    Session(SessionAction),
    Token(TokenAction),
    /// Needs nothing but the time.
    Answer(fn(i64) -> Value),
}

#[derive(Clone, Copy)]
enum SessionAction {
    Start,
    StartWidget,
    Get,
    End,
}

#[derive(Clone, Copy)]
enum TokenAction {
    Add,
    Get,
    List,
    Update,
    Delete,
    StartSession,
}

struct ActionInfo {
    service: &'static str,
    name: &'static str,
    allowed: Allowed,
    action: Action,
}

static ACTIONS: [ActionInfo; 15] = {
    use Action::{Answer, Session, Token};
    use Allowed::{AdminSession, AnySession, Everyone};
    const fn info(
        service: &'static str,
        name: &'static str,
        allowed: Allowed,
        action: Action,
    ) -> ActionInfo {
        ActionInfo {
            service,
            name,
            allowed,
            action,
        }
    }
    [
        info("session", "start", Everyone, Session(SessionAction::Start)),
        info(
            "session",
            "startWidgetSession",
            Everyone,
            Session(SessionAction::StartWidget),
        ),
        info("session", "get", AdminSession, Session(SessionAction::Get)),
        info("session", "end", Everyone, Session(SessionAction::End)),
        info("appToken", "add", AdminSession, Token(TokenAction::Add)),
        info("appToken", "get", AdminSession, Token(TokenAction::Get)),
        info("appToken", "list", AdminSession, Token(TokenAction::List)),
        info(
            "appToken",
            "update",
            AdminSession,
            Token(TokenAction::Update),
        ),
        info(
            "appToken",
            "delete",
            AdminSession,
            Token(TokenAction::Delete),
        ),
        info(
            "appToken",
            "startSession",
            AnySession,
            Token(TokenAction::StartSession),
        ),
        info("system", "ping", Everyone, Answer(|_| Value::Bool(true))),
        info("system", "getTime", Everyone, Answer(Value::Int)),
        info(
            "system",
            "getVersion",
            Everyone,
            Answer(|_| Value::text(SERVER_VERSION)),
        ),
        info(
            "media",
            "list",
            AnySession,
            Answer(|_| empty_page("KalturaMediaListResponse")),
        ),
        info(
            "baseEntry",
            "list",
            AnySession,
            Answer(|_| empty_page("KalturaBaseEntryListResponse")),
        ),
    ]
};

fn empty_page(class: &'static str) -> Value {
    Value::object(
        class,
        vec![
            ("objects", Value::List(Vec::new())),
            ("totalCount", Value::Int(0)),
        ],
    )
}

fn find(service: &str, action: &str) -> Result<&'static ActionInfo, Exception> {
    if service.is_empty() || service == "0" {
        return Err(Exception::service_not_specified());
    }
    let mut actions = ACTIONS
        .iter()
        .filter(|info| info.service.eq_ignore_ascii_case(service))
        .peekable();
    if actions.peek().is_none() {
        return Err(Exception::service_does_not_exist(&service.to_lowercase()));
    }
    actions
        .find(|info| info.name.eq_ignore_ascii_case(action))
        .ok_or_else(|| {
            Exception::action_does_not_exist(&action.to_lowercase(), &service.to_lowercase())
        })
}

/// The caller as far as it is known before anything was checked.
struct Caller<'a> {
    text: Cow<'a, str>,
    ks: Option<Ks>,
    /// The partner that the request asks to act for.
    requested: Option<i64>,
}

impl<'a> Caller<'a> {
    fn read(app: &App, params: &'a Params) -> Result<Self, Exception> {
        let given = params.get("ks").filter(|param| param.is_truthy());
        let text = given.map(Param::to_text).unwrap_or_default();
        let ks = match given {
            None => None,
            Some(_) => Some(
                app.open(&text)
                    .ok_or_else(|| Exception::invalid_ks(&text))?,
            ),
        };
        let named = |name: &str| {
            params
                .get(name)
                .filter(|param| param.is_truthy() || (ks.is_some() && params.is_set(name)))
        };
        let requested = named("p").or_else(|| named("partnerId"));
        let requested = requested
            .filter(|param| !param.to_text().is_empty())
            .map(Param::to_int);
        Ok(Self {
            text,
            ks,
            requested,
        })
    }

    /// Lets the caller pass, or says why not.
    fn authorize<'b>(
        &self,
        app: &'b App,
        state: &mut State,
        origin: Origin<'_>,
        info: &ActionInfo,
    ) -> Result<Option<&'b Account>, Exception> {
        let forbidden =
            || Exception::service_forbidden(&format!("{}->{}", info.service, info.name));
        let Some(ks) = &self.ks else {
            let blocked = |id| app.accounts.get(id).is_none_or(|account| account.blocked);
            if self.requested.is_some_and(blocked) {
                return Err(Exception::partner_blocked());
            }
            return if info.allowed == Allowed::Everyone {
                Ok(None)
            } else {
                Err(forbidden())
            };
        };
        if let Some(reason) = refusal(ks, app.clock.now(), state, origin) {
            return Err(Exception::invalid_ks(reason));
        }
        let account = app
            .accounts
            .get(ks.partner_id())
            .ok_or_else(|| Exception::invalid_ks(&self.text))?;
        if account.blocked {
            return Err(Exception::partner_blocked());
        }
        let elsewhere = self.requested.is_some_and(|partner| partner != account.id);
        if elsewhere || (info.allowed == Allowed::AdminSession && !ks.is_admin()) {
            return Err(forbidden());
        }
        Ok(Some(account))
    }
}

/// Why a KS that could be opened is not good any more, in the words that the server puts in its place.
fn refusal(ks: &Ks, now: i64, state: &mut State, origin: Origin<'_>) -> Option<&'static str> {
    let valid_until = ks
        .valid_until
        .as_ref()
        .map_or(0, |text| Param::Text(text.clone()).to_int());
    if valid_until <= now {
        return Some("EXPIRED");
    }
    let privileges = ks.parsed_privileges();
    if privileges
        .get("iprestrict")
        .is_some_and(|ips| !ips.iter().any(|ip| ip == origin.ip))
    {
        return Some("EXCEEDED_RESTRICTED_IP");
    }
    if privileges
        .get("urirestrict")
        .is_some_and(|parts| !uri_allowed(&parts.join("/"), origin.uri))
    {
        return Some("EXCEEDED_RESTRICTED_URI");
    }
    // Widget sessions are never looked up among the ended ones (appToken.startSession/ks_widget_after_session_end).
    if !ks.is_widget_session() && is_ended(ks, &privileges, state) {
        return Some("LOGOUT");
    }
    let limit = privileges
        .get("actionslimit")
        .and_then(|values| values.first());
    if let Some(limit) = limit.and_then(|limit| limit.trim().parse::<u64>().ok())
        && state.count_action(&ks.hash) > limit
    {
        return Some("EXCEEDED_ACTIONS_LIMIT");
    }
    None
}

fn is_ended(ks: &Ks, privileges: &Privileges, state: &State) -> bool {
    let group = privileges
        .get("sessionid")
        .map(|values| session_group(ks.partner_id(), &values.join("/")));
    state.is_ended(&session_key(&ks.hash)) || group.is_some_and(|group| state.is_ended(&group))
}

/// Exact, or up to a trailing `*`; several are separated by `|`.
fn uri_allowed(patterns: &str, uri: &str) -> bool {
    patterns
        .split('|')
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => uri.starts_with(prefix),
            None => uri == pattern,
        })
}

/// One request on its way: what is called, by whom, with what.
struct Call<'a> {
    app: &'a App,
    origin: Origin<'a>,
    info: &'static ActionInfo,
    caller: Caller<'a>,
    arguments: Arguments<'a>,
}

impl<'a> Call<'a> {
    /// Lets the caller pass, once the arguments of the action were read.
    fn pass(&self, state: &mut State) -> Result<(Option<&'a Account>, Option<Profile>), Exception> {
        let profile = Profile::read(&self.arguments)?;
        let account = self
            .caller
            .authorize(self.app, state, self.origin, self.info)?;
        Ok((account, profile))
    }

    /// The same for an action that needs a session, which always has an account.
    fn pass_owner(&self, state: &mut State) -> Result<(&'a Account, Option<Profile>), Exception> {
        let (account, profile) = self.pass(state)?;
        Ok((account.ok_or_else(Exception::internal)?, profile))
    }

    fn run(&self, state: &mut State) -> Result<Value, Exception> {
        match self.info.action {
            Action::Session(action) => self.run_session(action, state),
            Action::Token(action) => self.run_token(action, state),
            Action::Answer(answer) => {
                self.pass(state)?;
                Ok(answer(self.arguments.now()))
            }
        }
    }

    fn run_session(&self, action: SessionAction, state: &mut State) -> Result<Value, Exception> {
        match action {
            SessionAction::Start => {
                let start = session::Start::read(&self.arguments)?;
                self.pass(state)?;
                start.run(self.app)
            }
            SessionAction::StartWidget => {
                let start = session::StartWidget::read(&self.arguments)?;
                self.pass(state)?;
                start.run(self.app)
            }
            SessionAction::Get => {
                let other = self.arguments.string("session")?;
                self.pass(state)?;
                let own = self.caller.ks.as_ref().ok_or_else(Exception::internal)?;
                session::get(self.app, other.as_deref(), own)
            }
            SessionAction::End => {
                self.pass(state)?;
                Ok(session::end(state, self.caller.ks.as_ref()))
            }
        }
    }

    fn run_token(&self, action: TokenAction, state: &mut State) -> Result<Value, Exception> {
        let (arguments, now) = (&self.arguments, self.arguments.now());
        match action {
            TokenAction::Add => {
                let add = app_token::Add::read(arguments)?;
                let (account, profile) = self.pass_owner(state)?;
                add.run(state, account, now, profile.as_ref())
            }
            TokenAction::Get => {
                let id = arguments.required_string("id")?;
                let (account, profile) = self.pass_owner(state)?;
                app_token::get(state, account.id, &id, profile.as_ref())
            }
            TokenAction::List => {
                let list = app_token::List::read(arguments)?;
                let (account, profile) = self.pass_owner(state)?;
                Ok(list.run(state, account.id, profile.as_ref()))
            }
            TokenAction::Update => {
                let update = app_token::Update::read(arguments)?;
                let (account, profile) = self.pass_owner(state)?;
                update.run(state, account, now, profile.as_ref())
            }
            TokenAction::Delete => {
                let id = arguments.required_string("id")?;
                let (account, _) = self.pass_owner(state)?;
                app_token::delete(state, account.id, &id, now)
            }
            TokenAction::StartSession => {
                let start = app_token::StartSession::read(arguments)?;
                let (account, _) = self.pass_owner(state)?;
                start.run(self.app, state, account, &self.caller.text)
            }
        }
    }
}

/// Runs one request.
pub(crate) fn single(app: &App, params: &Params, origin: Origin<'_>) -> Result<Value, Exception> {
    let service = params.text("service").unwrap_or_default();
    let action = params.text("action").unwrap_or_default();
    let info = find(&service, &action)?;
    let caller = Caller::read(app, params)?;
    let arguments = Arguments::new(params, app.clock.now());
    Call {
        app,
        origin,
        info,
        caller,
        arguments,
    }
    .run(&mut app.state())
}

/// Runs the requests of a multirequest one after the other, up to the first gap in their numbers.
pub(crate) fn multi(app: &App, params: &Params, origin: Origin<'_>) -> Value {
    let mut requests: Ordered<i64, Params> = Ordered::default();
    let mut common = Params::default();
    for (name, value) in params.iter() {
        let (index, rest) = name
            .split_once(':')
            .map_or((name, None), |(index, rest)| (index, Some(rest)));
        let Some(index) = number(index).map(super::params::Number::whole) else {
            common.set(name, value.clone());
            continue;
        };
        let request = requests.entry(index, Params::default);
        match (rest, value) {
            (Some(rest), value) => request.set(rest, value.clone()),
            (None, Param::Map(map)) => *request = map.clone(),
            (None, _) => {}
        }
    }
    let first = requests
        .iter()
        .map(|(index, _)| *index)
        .min()
        .unwrap_or(1)
        .min(1);
    let mut results: Vec<Value> = Vec::new();
    let mut memory = Memory(MULTIREQUEST_MEMORY);
    for index in first.. {
        let Some(request) = requests.get_mut(&index) else {
            break;
        };
        if !request.is_set("service") || !request.is_set("action") {
            break;
        }
        let result = inherit(request, &common, &mut memory)
            .and_then(|()| substitute(request, &results, &mut memory))
            .and_then(|()| single(app, request, origin))
            .unwrap_or_else(Value::Failure);
        let kept = memory.take(result.size());
        results.push(kept.map_or_else(Value::Failure, |()| result));
    }
    Value::List(results)
}

/// What is left of the memory of a multirequest.
struct Memory(usize);

impl Memory {
    fn take(&mut self, bytes: usize) -> Result<(), Exception> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(Exception::internal)?;
        Ok(())
    }
}

/// Gives a request what it does not say itself and the multirequest says for all.
fn inherit(request: &mut Params, common: &Params, memory: &mut Memory) -> Result<(), Exception> {
    for name in ["clientTag", "ks", "partnerId"] {
        if let (false, Some(value)) = (request.is_set(name), common.get(name)) {
            memory.take(value.size())?;
            request.set(name, value.clone());
        }
    }
    request.remove("format");
    Ok(())
}

/// Replaces `{N:result:path}` by what the N-th request answered.
fn substitute(
    params: &mut Params,
    results: &[Value],
    memory: &mut Memory,
) -> Result<(), Exception> {
    for (_, param) in params.iter_mut() {
        match param {
            Param::Map(map) => substitute(map, results, memory)?,
            Param::Text(text) => {
                let Some((reference, index, path)) = reference(text) else {
                    continue;
                };
                let Some(result) = index.checked_sub(1).and_then(|index| results.get(index)) else {
                    continue;
                };
                let path: Vec<&str> = path.split(':').collect();
                let found = match result.at(&path) {
                    Some(Value::Text(found)) if !found.is_empty() && found != "0" => found.clone(),
                    Some(Value::Int(number)) if *number != 0 => number.to_string(),
                    Some(Value::Bool(true)) => "1".to_owned(),
                    _ => return Err(Exception::missing_parameter(reference)),
                };
                memory.take(text.matches(reference).count().saturating_mul(found.len()))?;
                *text = text.replace(reference, &found);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The first `{N:result…}` in a text, with N and the path after it.
fn reference(text: &str) -> Option<(&str, usize, &str)> {
    text.match_indices('{').find_map(|(start, _)| {
        let line = text[start..].lines().next()?;
        let whole = &line[..=line.rfind('}')?];
        let inner = whole.strip_prefix('{')?.strip_suffix('}')?;
        let (index, rest) = inner.split_once(":result")?;
        let path = rest.strip_prefix(':').unwrap_or(rest);
        Some((whole, index.parse().ok()?, path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_inside_a_text() {
        assert_eq!(reference("{1:result:id}"), Some(("{1:result:id}", 1, "id")));
        assert_eq!(reference("x{2:result}"), Some(("{2:result}", 2, "")));
        assert_eq!(reference("{a:result}"), None);
        assert_eq!(reference("plain"), None);
    }

    #[test]
    fn uris_match_exactly_or_by_prefix() {
        assert!(uri_allowed("/a/*|/b", "/a/x"));
        assert!(uri_allowed("/a/*|/b", "/b"));
        assert!(!uri_allowed("/a/*|/b", "/b/x"));
    }
}
