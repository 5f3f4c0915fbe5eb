//! Judging tokens: what is dangerous, pointless or unclear about them, and what would fix it. Knows no
//! program that does so: a surface says each [`Fix`] in its own words.
//!
//! [`audit_tokens`] is a pure function; [`audit`] only fetches the tokens for it, without their values.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::tokens::all_tokens;
use crate::client::Client;
use crate::error::Result;
use crate::model::{AppToken, HashType, SessionType, TokenField, TokenFilter, TokenStatus};
use crate::privileges::{PrivilegeUse, Privileges};

const DAY_SECONDS: i64 = 86_400;
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Untidy.
    Low,
    /// Wider or weaker than it needs to be, or not what it seems.
    Medium,
    /// Dangerous, or of no use at all.
    High,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

/// Something about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The token's id.
    pub token_id: String,
    /// A short stable name of the rule, such as `unset-type`.
    pub rule: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it is and what it leads to, in one line.
    pub reason: String,
    /// What would fix it.
    pub fix: Fix,
}

/// What would fix a [`Finding`]. Every surface has its own words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fix {
    /// Deleting the token.
    Delete,
    /// Replacing it by one with this hash type, because a change in place would lock its users out.
    Rotate(HashType),
    /// Giving it this session type.
    SessionType(SessionType),
    /// Giving it this session duration.
    SessionDuration(Duration),
    /// Letting it expire after this time from now.
    ExpireIn(Duration),
    /// Giving it these privileges. What stands in capitals is to be filled in.
    Privileges(String),
    /// Taking this field off it.
    Clear(TokenField),
}

impl Fix {
    fn privileges(text: String) -> Self {
        if text.is_empty() {
            Self::Clear(TokenField::SessionPrivileges)
        } else {
            Self::Privileges(text)
        }
    }
}

/// What [`audit`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audit {
    /// How many tokens were looked at.
    pub tokens: usize,
    /// The findings, token by token, the most severe of each first.
    pub findings: Vec<Finding>,
}

impl Audit {
    /// The highest severity; `None` when nothing was found.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// Judges every token that passes the filter. Their values stay on the server.
///
/// # Errors
/// Those of [`Client::list_tokens`].
pub async fn audit(client: &Client, filter: TokenFilter) -> Result<Audit> {
    let tokens = all_tokens(client, filter).await?;
    Ok(Audit {
        tokens: tokens.len(),
        findings: audit_tokens(&tokens, client.server_now()),
    })
}

/// Judges tokens, one by one and against each other, as of `now` in unix seconds.
///
/// Of a token that can no longer be exchanged only that is said.
///
/// ```
/// use kaltura_app_token::{AppToken, Fix, SessionType, audit_tokens};
///
/// let mut token = AppToken::default();
/// token.id = "1_ab12cd34".into();
/// let findings = audit_tokens(&[token], 1_800_000_000);
/// assert_eq!(findings[0].rule, "unset-type");
/// assert_eq!(findings[0].fix, Fix::SessionType(SessionType::User));
/// ```
#[must_use]
pub fn audit_tokens(tokens: &[AppToken], now: i64) -> Vec<Finding> {
    let mut twins: HashMap<_, Vec<&AppToken>> = HashMap::new();
    for token in tokens.iter().filter(|token| end_of(token, now).is_none()) {
        twins.entry(likeness(token)).or_default().push(token);
    }
    let mut findings = Vec::new();
    for token in tokens {
        let mut judge = Judge {
            token,
            findings: Vec::new(),
        };
        match end_of(token, now) {
            Some(End::Expired) => judge.expired(),
            Some(End::NotActive) => judge.not_active(),
            None => {
                judge.kind_and_hash();
                judge.times();
                judge.privileges();
                if let Some(twins) = twins.get(&likeness(token)) {
                    judge.duplicates(twins);
                }
            }
        }
        judge
            .findings
            .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings.append(&mut judge.findings);
    }
    findings
}

enum End {
    Expired,
    NotActive,
}

fn end_of(token: &AppToken, now: i64) -> Option<End> {
    if token
        .status
        .is_some_and(|status| status != TokenStatus::Active)
    {
        return Some(End::NotActive);
    }
    // 0 is said to be ambiguous instead.
    token
        .expiry
        .is_some_and(|expiry| expiry != 0 && expiry <= now)
        .then_some(End::Expired)
}

/// What two tokens have in common that are one too many.
fn likeness(token: &AppToken) -> impl Eq + std::hash::Hash + use<> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    (
        text(&token.description),
        token.session_user_id.clone(),
        text(&token.session_privileges),
        token.session_type,
        token.session_duration,
        token.hash_type.clone(),
        token.expiry,
    )
}

struct Judge<'a> {
    token: &'a AppToken,
    findings: Vec<Finding>,
}

impl Judge<'_> {
    fn say(&mut self, rule: &'static str, severity: Severity, reason: impl Into<String>, fix: Fix) {
        self.findings.push(Finding {
            token_id: self.token.id.clone(),
            rule,
            severity,
            reason: reason.into(),
            fix,
        });
    }

    fn expired(&mut self) {
        self.say(
            "expired",
            Severity::Low,
            "its expiry has passed: it cannot be exchanged any more",
            Fix::Delete,
        );
    }

    fn not_active(&mut self) {
        self.say(
            "not-active",
            Severity::Low,
            "it is disabled, and no call can enable it again",
            Fix::Delete,
        );
    }

    fn kind_and_hash(&mut self) {
        match self.token.session_type {
            Some(SessionType::Admin) => self.say(
                "admin-type",
                Severity::High,
                "its sessions are ADMIN: they may do everything, managing tokens included",
                Fix::SessionType(SessionType::User),
            ),
            None => self.say(
                "unset-type",
                Severity::High,
                "it has no session type: whoever exchanges it chooses, ADMIN included",
                Fix::SessionType(SessionType::User),
            ),
            Some(_) => {}
        }
        // What has none takes SHA1.
        let hash_type = self.token.hash_type.clone().unwrap_or(HashType::Sha1);
        let severity = match hash_type {
            HashType::Md5 => Severity::High,
            HashType::Sha1 => Severity::Medium,
            _ => return,
        };
        self.say(
            "weak-hash",
            severity,
            format!(
                "it is exchanged with {hash_type}; changing that in place would lock its users out"
            ),
            Fix::Rotate(HashType::Sha256),
        );
    }

    fn times(&mut self) {
        match self.token.expiry {
            None => self.say(
                "no-expiry",
                Severity::Low,
                "it never expires",
                Fix::ExpireIn(DAY * 365),
            ),
            Some(0) => self.say(
                "expiry-zero",
                Severity::Medium,
                "its expiry is 0: never on some servers, long passed on others",
                Fix::Clear(TokenField::Expiry),
            ),
            Some(_) => {}
        }
        match self.token.session_duration {
            None => self.say(
                "no-session-duration",
                Severity::High,
                "it has no session duration: on most servers its sessions are dead at birth",
                Fix::SessionDuration(HOUR),
            ),
            Some(seconds @ ..=0) => self.say(
                "session-duration-zero",
                Severity::High,
                format!("its session duration is {seconds}: its sessions are dead at birth"),
                Fix::SessionDuration(HOUR),
            ),
            Some(seconds) if seconds > DAY_SECONDS => self.say(
                "long-sessions",
                Severity::Low,
                format!("its sessions live for {seconds} seconds, more than a day"),
                Fix::SessionDuration(DAY),
            ),
            Some(_) => {}
        }
    }

    fn privileges(&mut self) {
        let text = self.token.session_privileges.clone().unwrap_or_default();
        let privileges = Privileges::parse(&text);
        let without = |name: &str| privileges.clone().without(name).to_string();

        if ["*", "all"]
            .iter()
            .any(|name| privileges.get(name).is_some())
        {
            self.say(
                "all-privileges",
                Severity::High,
                "its privileges hold *, which gives its sessions access to everything",
                Fix::Privileges("NAME:VALUE,NAME:VALUE".to_owned()),
            );
        }
        let wide: Vec<&str> = privileges
            .iter()
            .filter(|(name, values)| {
                !matches!(*name, "*" | "all" | "sview" | "list" | "urirestrict")
                    && values.iter().any(|value| value == "*")
            })
            .map(|(name, _)| name)
            .collect();
        if !wide.is_empty() {
            self.say(
                "wide-privileges",
                Severity::Low,
                format!("it gives {} on everything (*)", wide.join(", ")),
                Fix::Privileges("NAME:VALUE,NAME:VALUE".to_owned()),
            );
        }
        if ["setrole", "urirestrict"]
            .iter()
            .all(|name| privileges.get(name).is_none())
        {
            let separator = if privileges.is_empty() { "" } else { "," };
            let with_role = format!("{text}{separator}setrole:ROLE_ID");
            self.say(
                "any-action",
                Severity::Medium,
                "no setrole and no urirestrict: its sessions may call any action that their type allows",
                Fix::Privileges(with_role),
            );
        }
        if privileges
            .get("disableentitlement")
            .is_some_and(<[String]>::is_empty)
        {
            self.say(
                "disableentitlement",
                Severity::Medium,
                "its sessions see and change content regardless of entitlements",
                Fix::privileges(without("disableentitlement")),
            );
        }
        if !privileges.is_empty() {
            self.lints(&privileges);
        }
    }

    /// What stands in the privileges and does not work as it reads.
    fn lints(&mut self, privileges: &Privileges) {
        for lint in privileges.lint(PrivilegeUse::Token) {
            let (name, value) = lint
                .privilege
                .split_once(':')
                .unwrap_or((&lint.privilege, ""));
            let without = privileges.clone().without(name);
            let is_flag = lint.rule == "flag-with-value";
            let leftover = is_flag && matches!(value, "True" | "False");
            let fixed = match without.clone().with_flag(name) {
                // The old script meant it to be off.
                Ok(bare) if is_flag && value != "False" => bare,
                _ => without,
            }
            .to_string();
            if leftover {
                self.say(
                    "old-script-leftover",
                    Severity::Low,
                    format!(
                        "{} was added by the old script and never had an effect",
                        lint.privilege
                    ),
                    Fix::privileges(fixed),
                );
            } else {
                let severity = match lint.rule {
                    "downloadasset-rounds-expiry" => Severity::Low,
                    _ => Severity::Medium,
                };
                self.say(
                    lint.rule,
                    severity,
                    format!("{}: {}", lint.privilege, lint.message),
                    Fix::privileges(fixed),
                );
            }
        }
    }

    /// The newest of several that are alike stays.
    fn duplicates(&mut self, twins: &[&AppToken]) {
        let newest = twins
            .iter()
            .max_by_key(|token| (token.created_at, &token.id));
        if let Some(newest) = newest
            && newest.id != self.token.id
        {
            self.say(
                "duplicate",
                Severity::Low,
                format!("it is just like the newer {}", newest.id),
                Fix::Delete,
            );
        }
    }
}
