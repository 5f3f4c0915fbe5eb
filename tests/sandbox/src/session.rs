//! The `session` service, and the way past the dispatcher that `session.start` usually takes.
//!
//! It mints and describes sessions; whether a session may be used is the dispatcher's business.

use md5::{Digest as _, Md5};

use crate::accounts::Account;
use crate::answer::Value;
use crate::arguments::{Arguments, SESSION_TYPE};
use crate::exception::Exception;
use crate::ks::{self, Content, Ks};
use crate::params::{Param, Params, leading_number};
use crate::server::App;
use crate::state::{State, session_group, session_key};

const ADMIN: i64 = 2;
const DEFAULT_EXPIRY: i64 = 86_400;
const WIDGET_PRIVILEGES: &str = "view:*,widget:1";
/// Sessions for a download expire at a multiple of this, so that their KS repeats.
const DOWNLOAD_WINDOW: i64 = 300;

/// What `session.start` takes.
#[derive(Debug)]
pub(crate) struct Start {
    secret: String,
    user: String,
    kind: i64,
    partner: i64,
    expiry: i64,
    privileges: String,
}

impl Start {
    pub(crate) fn read(arguments: &Arguments<'_>) -> Result<Self, Exception> {
        Ok(Self {
            secret: arguments.required_string("secret")?,
            user: arguments.string("userId")?.unwrap_or_default(),
            kind: arguments.enumeration("type", &SESSION_TYPE)?.unwrap_or(0),
            partner: arguments.int("partnerId").unwrap_or(0),
            expiry: arguments.int("expiry").unwrap_or(DEFAULT_EXPIRY),
            privileges: arguments.string("privileges")?.unwrap_or_default(),
        })
    }

    pub(crate) fn run(&self, app: &App) -> Result<Value, Exception> {
        let refused = || Exception::start_session(&self.partner.to_string());
        let account = app.accounts.get(self.partner).ok_or_else(refused)?;
        if !may_start(account, &self.secret, self.kind == ADMIN) {
            return Err(refused());
        }
        let expiry = capped(account, self.expiry);
        let kind = self.kind.to_string();
        Ok(Value::Text(mint(
            app,
            account,
            &self.user,
            &kind,
            app.clock.now().saturating_add(expiry),
            &self.privileges,
        )))
    }
}

fn may_start(account: &Account, secret: &str, admin: bool) -> bool {
    account.is_admin_secret(secret) || (!admin && account.user_secret == secret)
}

fn capped(account: &Account, expiry: i64) -> i64 {
    account
        .max_session_duration
        .map_or(expiry, |longest| expiry.min(longest))
}

/// Seals a session that ends at `valid_until`.
pub(crate) fn mint(
    app: &App,
    account: &Account,
    user: &str,
    kind: &str,
    valid_until: i64,
    privileges: &str,
) -> String {
    let partner = account.id.to_string();
    let content = Content {
        partner: &partner,
        user: Some(user),
        kind,
        expiry: valid_until,
        privileges,
        master: None,
        additional: None,
    };
    ks::seal(
        account.ks_version,
        &account.admin_secret,
        &content,
        app.clock.precise(),
    )
}

/// How the quick way of `session.start` ends.
#[derive(Debug)]
pub(crate) enum QuickStart {
    /// A session, and the key under which the server says that it looked for it.
    Started { ks: String, cache_key: String },
    /// The server's own fatal error: HTTP 500 with nothing in it.
    Crashed,
}

/// `session.start` is answered before anything else looks at the request when its secret fits. No maximum
/// applies here (transcript `session.start/expiry_over_max__decoded`), and an expiry that is no number is
/// fatal (`session.start/expiry_garbage`). `None` sends the request the long way.
pub(crate) fn quick_start(app: &App, params: &Params) -> Option<QuickStart> {
    let (service, action) = (params.text("service")?, params.text("action")?);
    if service != "session" || action != "start" {
        return None;
    }
    let (secret, partner) = (params.text("secret")?, params.text("partnerId")?);
    let kind = params
        .get("type")
        .filter(|kind| **kind != Param::Null)
        .unwrap_or(&Param::Int(0));
    let admin = kind.equals_int(ADMIN);
    let account = app.accounts.get(partner.parse().ok()?)?;
    if !(admin || kind.equals_int(0)) || !may_start(account, &secret, admin) {
        return None;
    }
    let expiry = match params
        .get("expiry")
        .filter(|expiry| **expiry != Param::Null)
    {
        None => DEFAULT_EXPIRY,
        Some(Param::Map(_)) => return Some(QuickStart::Crashed),
        Some(Param::Text(text)) => match leading_number(text) {
            Some(seconds) => seconds.whole(),
            None => return Some(QuickStart::Crashed),
        },
        Some(other) => other.to_int(),
    };
    let user = params.text("userId").unwrap_or_default();
    let privileges = params.text("privileges").unwrap_or_default();
    let kind = kind.to_text();
    let written_expiry = params
        .text("expiry")
        .unwrap_or_else(|| DEFAULT_EXPIRY.to_string().into());
    let cache_key = hex::encode(Md5::digest(format!(
        "{partner}_{user}_{kind}_{written_expiry}_{privileges}"
    )));
    let mut valid_until = app.clock.now().saturating_add(expiry);
    if privileges.contains("downloadasset") {
        let beyond = valid_until.rem_euclid(DOWNLOAD_WINDOW);
        if beyond > 0 {
            valid_until = valid_until.saturating_add(DOWNLOAD_WINDOW - beyond);
        }
        let content = Content {
            partner: &partner,
            user: Some(&user),
            kind: &kind,
            expiry: valid_until,
            privileges: &privileges,
            master: None,
            additional: None,
        };
        let ks = if account.ks_version == 1 {
            ks::seal_v1(&account.admin_secret, &content, &valid_until.to_string())
        } else {
            let seed = u32::try_from(valid_until & 0xffff_ffff).unwrap_or_default();
            ks::seal_v2(&account.admin_secret, &content, ks::seeded_random(seed))
        };
        return Some(QuickStart::Started { ks, cache_key });
    }
    let ks = mint(app, account, &user, &kind, valid_until, &privileges);
    Some(QuickStart::Started { ks, cache_key })
}

/// What `session.startWidgetSession` takes.
#[derive(Debug)]
pub(crate) struct StartWidget {
    widget: String,
    expiry: i64,
}

impl StartWidget {
    pub(crate) fn read(arguments: &Arguments<'_>) -> Result<Self, Exception> {
        Ok(Self {
            widget: arguments.required_string("widgetId")?,
            expiry: arguments.int("expiry").unwrap_or(DEFAULT_EXPIRY),
        })
    }

    /// Every account has one widget, called after it.
    pub(crate) fn run(&self, app: &App) -> Result<Value, Exception> {
        let account = self
            .widget
            .trim_end_matches(' ')
            .strip_prefix('_')
            .and_then(|id| {
                id.parse::<i64>()
                    .ok()
                    .filter(|number| number.to_string() == id)
            })
            .and_then(|id| app.accounts.get(id))
            .ok_or_else(|| Exception::unknown_widget(&self.widget))?;
        let valid_until = app.clock.now().saturating_add(capped(account, self.expiry));
        let ks = mint(app, account, "0", "0", valid_until, WIDGET_PRIVILEGES);
        Ok(Value::object(
            "KalturaStartWidgetSessionResponse",
            vec![
                ("partnerId", Value::Int(account.id)),
                ("ks", Value::Text(ks)),
                ("userId", Value::Int(0)),
            ],
        ))
    }
}

/// `session.get`: what a KS holds, the caller's own unless another is given. Any KS that can be opened will
/// do, dead ones and other partners' too.
pub(crate) fn get(app: &App, other: Option<&str>, own: &Ks) -> Result<Value, Exception> {
    let opened = match other.filter(|text| !text.is_empty() && *text != "0") {
        None => own.clone(),
        Some(text) => app.open(text).ok_or_else(Exception::internal)?,
    };
    let text = |member: Option<String>| member.map_or(Value::Null, Value::Text);
    Ok(Value::object(
        "KalturaSessionInfo",
        vec![
            ("ks", Value::Null),
            ("sessionType", text(opened.kind)),
            ("partnerId", Value::Text(opened.partner)),
            ("userId", text(opened.user)),
            ("expiry", text(opened.valid_until)),
            ("privileges", text(opened.privileges)),
        ],
    ))
}

/// `session.end`: ends the whole group of a session that has a `sessionid`, otherwise just the session.
pub(crate) fn end(state: &mut State, own: Option<&Ks>) -> Value {
    if let Some(ks) = own {
        let group = ks
            .parsed_privileges()
            .get("sessionid")
            .map(|values| values.join("/"));
        state.end(group.map_or_else(
            || session_key(&ks.hash),
            |id| session_group(ks.partner_id(), &id),
        ));
    }
    Value::Null
}
