//! The `appToken` service: what may be written to a token, what a token answers, and the exchange of a
//! token for a session.
//!
//! It is called with a session that was already allowed to call it.

use std::cmp::Ordering;

use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::accounts::Account;
use crate::answer::Value;
use crate::arguments::{self, Arguments, Enumeration, SESSION_TYPE, TextEnumeration};
use crate::exception::Exception;
use crate::params::{Param, Params};
use crate::privileges::merge_for_session;
use crate::server::App;
use crate::session;
use crate::state::{ACTIVE, DELETED, Settings, State, Token, folded, session_group};
use crate::{params, random};

const DEFAULT_HASH_TYPE: &str = "SHA1";
const DEFAULT_PAGE_SIZE: i64 = 30;
const MAX_PAGE_SIZE: i64 = 500;
/// What fits into the column that holds a description, less what else is in there
/// (transcript `appToken.add/description_70000_chars`).
const MAX_DESCRIPTION: usize = 65_400;
const MAX_USER_ID: usize = 320;

static STATUS: Enumeration = Enumeration {
    name: "KalturaAppTokenStatus",
    values: &[1, 2, 3],
};
static HASH_TYPE: TextEnumeration = TextEnumeration {
    name: "KalturaAppTokenHashType",
    values: &["SHA1", "MD5", "SHA256", "SHA512"],
};

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    Time,
    Enum(&'static Enumeration),
    TextEnum(&'static TextEnumeration),
}

/// The properties of a `KalturaAppToken` in the order that the server declares them.
static PROPERTIES: [(&str, Kind); 13] = [
    ("id", Kind::Text),
    ("token", Kind::Text),
    ("partnerId", Kind::Int),
    ("createdAt", Kind::Time),
    ("updatedAt", Kind::Time),
    ("status", Kind::Enum(&STATUS)),
    ("expiry", Kind::Time),
    ("sessionType", Kind::Enum(&SESSION_TYPE)),
    ("sessionUserId", Kind::Text),
    ("sessionDuration", Kind::Int),
    ("sessionPrivileges", Kind::Text),
    ("hashType", Kind::TextEnum(&HASH_TYPE)),
    ("description", Kind::Text),
];

/// The properties that only the server writes, in their order.
const READ_ONLY: [&str; 6] = [
    "id",
    "token",
    "partnerId",
    "createdAt",
    "updatedAt",
    "status",
];

/// The filter fields that exist; every other name is ignored.
static FILTERS: [(&str, Kind); 10] = [
    ("idEqual", Kind::Text),
    ("idIn", Kind::Text),
    ("createdAtGreaterThanOrEqual", Kind::Time),
    ("createdAtLessThanOrEqual", Kind::Time),
    ("updatedAtGreaterThanOrEqual", Kind::Time),
    ("updatedAtLessThanOrEqual", Kind::Time),
    ("statusEqual", Kind::Enum(&STATUS)),
    ("statusIn", Kind::Text),
    ("sessionUserIdEqual", Kind::Text),
    ("orderBy", Kind::Text),
];

/// Values by property; [`Value::Null`] where the caller asked for null.
#[derive(Debug, Default)]
struct Written(Vec<(&'static str, Value)>);

impl Written {
    /// Reads an object, checking in the order in which the caller wrote it.
    fn read(
        object: &Params,
        properties: &[(&'static str, Kind)],
        now: i64,
    ) -> Result<Self, Exception> {
        let mut written = Self::default();
        for (name, param) in object.iter() {
            let (name, null) = name
                .strip_suffix("__null")
                .map_or((name, false), |name| (name, true));
            let Some((property, kind)) = properties.iter().find(|(property, _)| *property == name)
            else {
                continue;
            };
            let value = if null {
                Value::Null
            } else {
                cast(param, property, *kind, now)?
            };
            written.0.retain(|(name, _)| name != property);
            written.0.push((property, value));
        }
        Ok(written)
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(property, _)| *property == name)
            .map(|(_, value)| value)
    }

    /// A text that is there and not empty: an empty filter is no filter.
    fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn int(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }
}

fn cast(param: &Param, name: &str, kind: Kind, now: i64) -> Result<Value, Exception> {
    Ok(match kind {
        Kind::Text => arguments::string(param, name)?,
        Kind::Int => Value::Int(param.to_int()),
        Kind::Time => Value::Int(arguments::time(param, now)),
        Kind::Enum(kind) => Value::Int(arguments::enumeration(param, name, kind)?),
        Kind::TextEnum(kind) => Value::Text(arguments::text_enumeration(param, name, kind)?),
    })
}

/// Which fields of a token a caller wants back.
#[derive(Debug)]
pub(crate) struct Profile {
    fields: Vec<String>,
    include: bool,
}

impl Profile {
    /// Reads `responseProfile`.
    pub(crate) fn read(arguments: &Arguments<'_>) -> Result<Option<Self>, Exception> {
        static TYPE: Enumeration = Enumeration {
            name: "KalturaResponseProfileType",
            values: &[1, 2],
        };
        let Some(object) = arguments.object("responseProfile")? else {
            return Ok(None);
        };
        match object
            .text("objectType")
            .unwrap_or_default()
            .to_ascii_lowercase()
            .as_str()
        {
            "kalturadetachedresponseprofile" | "kalturaresponseprofile" => {}
            "kalturaresponseprofileholder" => return Ok(None),
            _ => return Err(Exception::abstract_object("KalturaBaseResponseProfile")),
        }
        let kind = object
            .get("type")
            .map(|param| arguments::enumeration(param, "type", &TYPE))
            .transpose()?;
        let Some(kind) = kind else { return Ok(None) };
        let fields = object.text("fields").unwrap_or_default();
        let fields = fields
            .split(',')
            .map(|field| field.trim().to_owned())
            .collect();
        Ok(Some(Self {
            fields,
            include: kind == 1,
        }))
    }

    fn shows(&self, field: &str) -> bool {
        self.fields.iter().any(|name| name == field) == self.include
    }
}

/// A token as an answer.
fn answer(token: &Token, profile: Option<&Profile>) -> Value {
    let settings = token.settings.clone();
    let hash_type = if settings.hash_type == Value::Null {
        Value::text(DEFAULT_HASH_TYPE)
    } else {
        settings.hash_type
    };
    let mut fields = vec![
        ("id", Value::text(&token.id)),
        ("token", Value::text(&token.secret)),
        ("partnerId", Value::Int(token.partner)),
        ("createdAt", Value::Int(token.created_at)),
        ("updatedAt", Value::Int(token.updated_at)),
        ("status", Value::Int(token.status)),
        ("expiry", settings.expiry),
        ("sessionType", settings.session_type),
        ("sessionUserId", settings.session_user_id),
        ("sessionDuration", settings.session_duration),
        ("sessionPrivileges", settings.session_privileges),
        ("hashType", hash_type),
        ("description", settings.description),
    ];
    if let Some(profile) = profile {
        fields.retain(|(name, _)| profile.shows(name));
    }
    Value::object("KalturaAppToken", fields)
}

/// Settles whom a token is for: the server creates users as they are named, but not under every name, and an
/// account without a record of the anonymous user cannot have a token for nobody.
fn settle_user(state: &mut State, account: &Account, user: &Value) -> Result<(), Exception> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ",!#$%&'*+?^_`{|}~.@-".contains(c);
    let valid = match user {
        Value::Null => account.anonymous_user,
        Value::Text(user) if user.is_empty() || state.knows_user(account.id, user) => true,
        Value::Text(user) => user.len() <= MAX_USER_ID && user.chars().all(allowed),
        _ => false,
    };
    if !valid {
        return Err(Exception::invalid_field("sessionUserId"));
    }
    if let Value::Text(user) = user {
        state.add_user(account.id, user);
    }
    Ok(())
}

fn check_size(settings: &Settings) -> Result<(), Exception> {
    match &settings.description {
        Value::Text(text) if text.len() > MAX_DESCRIPTION => Err(Exception::internal()),
        _ => Ok(()),
    }
}

/// What `appToken.add` takes.
#[derive(Debug)]
pub(crate) struct Add(Written);

impl Add {
    pub(crate) fn read(arguments: &Arguments<'_>) -> Result<Self, Exception> {
        let object = arguments.required_object("appToken")?;
        Written::read(object, &PROPERTIES, arguments.now()).map(Self)
    }

    pub(crate) fn run(
        self,
        state: &mut State,
        account: &Account,
        now: i64,
        profile: Option<&Profile>,
    ) -> Result<Value, Exception> {
        let Written(written) = self.0;
        if let Some(name) = READ_ONLY
            .iter()
            .find(|name| written.iter().any(|(property, _)| property == *name))
        {
            return Err(Exception::not_updatable(name));
        }
        let mut settings = Settings::default();
        for (name, value) in written {
            if let Some(field) = settings.field(name) {
                *field = value;
            }
        }
        if settings.session_duration == Value::Null {
            settings.session_duration =
                account.max_session_duration.map_or(Value::Null, Value::Int);
        }
        if settings.hash_type == Value::Null {
            settings.hash_type = Value::text(DEFAULT_HASH_TYPE);
        }
        settle_user(state, account, &settings.session_user_id)?;
        check_size(&settings)?;
        let token = Token {
            id: state.fresh_id(),
            secret: random::hex(16),
            partner: account.id,
            created_at: now,
            updated_at: now,
            status: ACTIVE,
            settings,
        };
        let answer = answer(&token, profile);
        state.insert(token);
        Ok(answer)
    }
}

/// `appToken.get`.
pub(crate) fn get(
    state: &State,
    partner: i64,
    id: &str,
    profile: Option<&Profile>,
) -> Result<Value, Exception> {
    state
        .token(partner, id)
        .map(|token| answer(token, profile))
        .ok_or_else(|| Exception::token_not_found(id))
}

/// What `appToken.update` takes.
#[derive(Debug)]
pub(crate) struct Update {
    id: String,
    written: Written,
}

impl Update {
    pub(crate) fn read(arguments: &Arguments<'_>) -> Result<Self, Exception> {
        let id = arguments.required_string("id")?;
        let object = arguments.required_object("appToken")?;
        let written = Written::read(object, &PROPERTIES, arguments.now())?;
        Ok(Self { id, written })
    }

    pub(crate) fn run(
        self,
        state: &mut State,
        account: &Account,
        now: i64,
        profile: Option<&Profile>,
    ) -> Result<Value, Exception> {
        let token = state
            .token(account.id, &self.id)
            .ok_or_else(|| Exception::token_not_found(&self.id))?;
        for name in READ_ONLY {
            let Some(value) = self.written.get(name) else {
                continue;
            };
            // Sending back what is stored is allowed, except for times: the server compares those as dates.
            let unchanged = match name {
                "id" => *value == Value::text(&token.id),
                "token" => *value == Value::text(&token.secret),
                "partnerId" => *value == Value::Int(token.partner),
                "status" => *value == Value::Int(token.status),
                _ => false,
            };
            if !unchanged {
                return Err(Exception::not_updatable(name));
            }
        }
        let mut settings = token.settings.clone();
        for (name, value) in self.written.0 {
            if let Some(field) = settings.field(name) {
                *field = value;
            }
        }
        settle_user(state, account, &settings.session_user_id)?;
        check_size(&settings)?;
        let token = state
            .token_mut(account.id, &self.id)
            .ok_or_else(|| Exception::token_not_found(&self.id))?;
        if token.settings != settings {
            token.settings = settings;
            token.updated_at = now;
        }
        Ok(answer(token, profile))
    }
}

/// `appToken.delete`: the token is gone, and so are the sessions minted from it.
pub(crate) fn delete(
    state: &mut State,
    partner: i64,
    id: &str,
    now: i64,
) -> Result<Value, Exception> {
    let token = state
        .token_mut(partner, id)
        .ok_or_else(|| Exception::token_not_found(id))?;
    token.status = DELETED;
    token.updated_at = now;
    let group = session_group(partner, &token.id);
    state.end(group);
    Ok(Value::Null)
}

/// What `appToken.list` takes.
#[derive(Debug)]
pub(crate) struct List {
    filter: Written,
    page_size: i64,
    page_index: i64,
}

impl List {
    pub(crate) fn read(arguments: &Arguments<'_>) -> Result<Self, Exception> {
        let filter = match arguments.object("filter")? {
            Some(object) => {
                // An empty text is no filter, also where a time is expected.
                let mut object = object.clone();
                for (name, kind) in FILTERS {
                    if matches!(kind, Kind::Time)
                        && object.text(name).is_some_and(|text| text.is_empty())
                    {
                        object.remove(name);
                    }
                }
                Written::read(&object, &FILTERS, arguments.now())?
            }
            None => Written::default(),
        };
        let pager = arguments.object("pager")?;
        let number = |name: &str, default| {
            pager
                .and_then(|pager| pager.get(name))
                .map_or(default, params::Param::to_int)
        };
        Ok(Self {
            filter,
            page_size: number("pageSize", DEFAULT_PAGE_SIZE).clamp(0, MAX_PAGE_SIZE),
            page_index: number("pageIndex", 1).max(1),
        })
    }

    pub(crate) fn run(&self, state: &State, partner: i64, profile: Option<&Profile>) -> Value {
        let page = |total: i64, objects: Value| {
            Value::object(
                "KalturaAppTokenListResponse",
                vec![("totalCount", Value::Int(total)), ("objects", objects)],
            )
        };
        if self
            .filter
            .text("sessionUserIdEqual")
            .is_some_and(|user| !state.knows_user(partner, user))
        {
            return page(0, Value::Null);
        }
        let mut found: Vec<&Token> = state
            .tokens(partner)
            .filter(|token| self.matches(token))
            .collect();
        // The database walks its index when no order is asked for: by status, then by id (examples
        // appToken.list/all and multirequest/one_failing).
        found.sort_by(|a, b| self.order(a, b).then_with(|| a.status.cmp(&b.status)));
        let total = i64::try_from(found.len()).unwrap_or(i64::MAX);
        let size = usize::try_from(self.page_size).unwrap_or_default();
        let (skip, take) = if size == 0 {
            (0, usize::MAX)
        } else {
            (
                usize::try_from(self.page_index - 1)
                    .unwrap_or(usize::MAX)
                    .saturating_mul(size),
                size,
            )
        };
        let objects = found
            .into_iter()
            .skip(skip)
            .take(take)
            .map(|token| answer(token, profile))
            .collect();
        page(total, Value::List(objects))
    }

    fn order(&self, a: &Token, b: &Token) -> Ordering {
        match self.filter.text("orderBy") {
            Some("+createdAt") => a.created_at.cmp(&b.created_at),
            Some("-createdAt") => b.created_at.cmp(&a.created_at),
            Some("+updatedAt") => a.updated_at.cmp(&b.updated_at),
            Some("-updatedAt") => b.updated_at.cmp(&a.updated_at),
            _ => Ordering::Equal,
        }
    }

    fn matches(&self, token: &Token) -> bool {
        let filter = &self.filter;
        let id = folded(&token.id);
        let user = match &token.settings.session_user_id {
            Value::Text(user) => Some(folded(user)),
            _ => None,
        };
        filter
            .text("idEqual")
            .is_none_or(|wanted| folded(wanted) == id)
            && filter
                .text("idIn")
                .is_none_or(|wanted| wanted.split(',').any(|wanted| folded(wanted) == id))
            && filter
                .int("createdAtGreaterThanOrEqual")
                .is_none_or(|bound| token.created_at >= bound)
            && filter
                .int("createdAtLessThanOrEqual")
                .is_none_or(|bound| token.created_at <= bound)
            && filter
                .int("updatedAtGreaterThanOrEqual")
                .is_none_or(|bound| token.updated_at >= bound)
            && filter
                .int("updatedAtLessThanOrEqual")
                .is_none_or(|bound| token.updated_at <= bound)
            && filter
                .int("statusEqual")
                .is_none_or(|wanted| token.status == wanted)
            && filter.text("statusIn").is_none_or(|wanted| {
                wanted
                    .split(',')
                    .any(|wanted| Param::Text(wanted.to_owned()).equals_int(token.status))
            })
            && filter
                .text("sessionUserIdEqual")
                .is_none_or(|wanted| user.as_ref() == Some(&folded(wanted)))
    }
}

/// What `appToken.startSession` takes.
#[derive(Debug)]
pub(crate) struct StartSession {
    id: String,
    token_hash: String,
    user: String,
    kind: i64,
    expiry: i64,
    privileges: String,
}

impl StartSession {
    pub(crate) fn read(arguments: &Arguments<'_>) -> Result<Self, Exception> {
        Ok(Self {
            id: arguments.required_string("id")?,
            token_hash: arguments.required_string("tokenHash")?,
            user: arguments.string("userId")?.unwrap_or_default(),
            kind: arguments.enumeration("type", &SESSION_TYPE)?.unwrap_or(0),
            expiry: arguments.int("expiry").unwrap_or(0),
            privileges: arguments.string("sessionPrivileges")?.unwrap_or_default(),
        })
    }

    /// `ks` is the text of the session that asks, exactly as it was sent: it is part of the hash.
    pub(crate) fn run(
        &self,
        app: &App,
        state: &State,
        account: &Account,
        ks: &str,
    ) -> Result<Value, Exception> {
        let token = state
            .token(account.id, &self.id)
            .ok_or_else(|| Exception::token_not_found(&self.id))?;
        if token.status != ACTIVE {
            return Err(Exception::token_not_active(&self.id));
        }
        let settings = &token.settings;
        if hash(&settings.hash_type, ks, &token.secret) != self.token_hash {
            return Err(Exception::token_hash());
        }
        let now = app.clock.now();
        // A token without a duration allows none, whatever its expiry (transcript
        // appToken.startSession/sessionDuration_null_partner104__decoded).
        let longest = match (&settings.session_duration, &settings.expiry) {
            (Value::Int(duration), Value::Int(expiry)) => {
                let longest = (*duration).min(expiry.saturating_sub(now));
                if longest < 0 {
                    return Err(Exception::token_expired(&self.id));
                }
                longest
            }
            (Value::Int(duration), _) => *duration,
            _ => 0,
        };
        let seconds = if self.expiry == 0 {
            longest
        } else {
            self.expiry.min(longest)
        };
        let kind = match settings.session_type {
            Value::Int(kind) => kind,
            _ => self.kind,
        };
        let user = match &settings.session_user_id {
            Value::Null => &self.user,
            Value::Text(user) => user,
            _ => "",
        };
        let own = match &settings.session_privileges {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        };
        let privileges = merge_for_session(&self.id, own, Some(&self.privileges)).build();
        let valid_until = now.saturating_add(seconds);
        let ks = session::mint(
            app,
            account,
            user,
            &kind.to_string(),
            valid_until,
            &privileges,
        );
        Ok(Value::object(
            "KalturaSessionInfo",
            vec![
                ("ks", Value::Text(ks)),
                ("sessionType", Value::Int(kind)),
                ("partnerId", Value::Text(account.id.to_string())),
                ("userId", Value::text(user)),
                ("expiry", Value::Int(valid_until)),
                ("privileges", Value::Text(privileges)),
            ],
        ))
    }
}

/// The plain hash of the session and the secret, one after the other.
fn hash(kind: &Value, ks: &str, secret: &str) -> String {
    let data = [ks.as_bytes(), secret.as_bytes()].concat();
    match kind {
        Value::Text(kind) if kind == "MD5" => hex::encode(Md5::digest(&data)),
        Value::Text(kind) if kind == "SHA256" => hex::encode(Sha256::digest(&data)),
        Value::Text(kind) if kind == "SHA512" => hex::encode(Sha512::digest(&data)),
        _ => hex::encode(Sha1::digest(&data)),
    }
}
