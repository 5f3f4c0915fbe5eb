//! What will not work in a privilege string as it reads, and why.

use std::fmt;

use super::privileges::{Privileges, item_text};

/// Names that the server gives away only on the token itself: asked for at `startSession` they are
/// dropped without a word (`serverPrivileges` in the recorded vectors).
const RESERVED: [&str; 33] = [
    "edit",
    "sview",
    "list",
    "download",
    "downloadasset",
    "editplaylist",
    "sviewplaylist",
    "actionslimit",
    "setrole",
    "restrictingrole",
    "limitentry",
    "iprestrict",
    "urirestrict",
    "enableentitlement",
    "disableentitlement",
    "disableentitlementforentry",
    "disableentitlementforplaylist",
    "privacycontext",
    "enablecategorymoderation",
    "reftime",
    "sessionkey",
    "preview",
    "sessionid",
    "jobtype",
    "apptoken",
    "enablechangeaccount",
    "edituser",
    "enablecaptionmoderation",
    "editadmintags",
    "restrictexplicitliveview",
    "virtualeventid",
    "searchcontext",
    "disablesessiontypecheck",
];

/// Privileges that only work bare, without `:value`.
const FLAGS: [&str; 4] = [
    "enableentitlement",
    "disableentitlement",
    "enablecategorymoderation",
    "enablecaptionmoderation",
];

impl Privileges {
    /// What will not work as it reads, and why. Empty when nothing is amiss.
    #[must_use]
    pub fn lint(&self, used: PrivilegeUse) -> Vec<PrivilegeLint> {
        let mut lints = Vec::new();
        for (name, values) in self.iter() {
            lint_item(name, values, used, &mut lints);
        }
        lints
    }
}

/// Where a privilege string is going to be used; the server treats the two differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PrivilegeUse {
    /// On a token, or in a KS signed with the admin secret.
    Token,
    /// Asked for in addition when a token is exchanged for a session.
    StartSession,
}

/// One thing about a privilege string that will not work as it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrivilegeLint {
    /// A short stable name of the rule, such as `flag-with-value`.
    pub rule: &'static str,
    /// The privilege, as it stands in the string.
    pub privilege: String,
    /// What happens and what to write instead.
    pub message: String,
}

impl fmt::Display for PrivilegeLint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.privilege, self.message)
    }
}

fn lint_item(name: &str, values: &[String], used: PrivilegeUse, lints: &mut Vec<PrivilegeLint>) {
    let mut say = |rule: &'static str, message: String| {
        lints.push(PrivilegeLint {
            rule,
            privilege: item_text(name, values),
            message,
        });
    };
    let plain = name.trim();
    if plain.is_empty() {
        say(
            "empty-name",
            "an empty privilege: a comma or a colon too many".into(),
        );
        return;
    }
    if plain != name || values.iter().any(|value| value.trim() != value.as_str()) {
        say(
            "spaces",
            "spaces around a name or a value become part of it and then match nothing: remove them"
                .into(),
        );
    }
    if plain.starts_with('_') {
        say(
            "ks-field",
            "names that start with _ are the KS's own fields; the server would overwrite or misread it".into(),
        );
    }
    let looks_like_a_split_value = values.is_empty()
        && !RESERVED.contains(&plain)
        && plain != "*"
        && plain.contains(|c: char| c.is_ascii_digit() || matches!(c, '.' | '/' | '*'));
    if plain.contains([' ', '.', '[', ']']) && plain == name && !looks_like_a_split_value {
        say(
            "mangled-name",
            "spaces, dots and brackets in a name come out of a KS v2 as _ or break it".into(),
        );
    }
    let value = values.join("/");
    if FLAGS.contains(&plain) && !values.is_empty() {
        say(
            "flag-with-value",
            format!(
                "{plain} only works bare; with a value the server stores it and ignores it: write {plain}"
            ),
        );
    }
    match plain {
        "iprestrict" => {
            for address in values {
                if address.parse::<std::net::IpAddr>().is_err() {
                    say(
                        "iprestrict-not-an-address",
                        format!(
                            "{address:?} is not one address; iprestrict is compared exactly and knows no \
                             ranges: list the addresses, joined with /"
                        ),
                    );
                    break;
                }
            }
        }
        "urirestrict" if value.split('|').any(|uri| uri.trim_end_matches('*').contains('*')) => {
            say(
                "urirestrict-inner-star",
                "* works only as the last character of a path; join several paths with |".into(),
            );
        }
        "actionslimit" if !value.parse::<u32>().is_ok_and(|limit| limit > 0) => {
            say("actionslimit-not-a-number", "the limit is a whole number of calls, 1 or more".into());
        }
        "sessionid" => say(
            "sessionid-without-effect",
            "a session minted from a token is always grouped by the token's id; another sessionid has no effect".into(),
        ),
        "downloadasset" => say(
            "downloadasset-rounds-expiry",
            "rounds the session's expiry up to the next five minutes".into(),
        ),
        _ => {}
    }
    if looks_like_a_split_value {
        say(
            "comma-in-value",
            "this looks like the rest of a value that held a comma; commas separate privileges: join \
             values with /"
                .into(),
        );
    }
    if used == PrivilegeUse::StartSession && RESERVED.contains(&plain) {
        say(
            "reserved-at-start-session",
            format!(
                "the server drops {plain} here without a word, unless the token holds {plain}:*, which \
                 it then narrows: put it on the token"
            ),
        );
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::Value;

    use super::*;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../tests/vectors/privileges.json")).unwrap()
    }

    #[test]
    fn the_reserved_names_are_the_servers() {
        let vectors = vectors();
        let recorded: Vec<&str> = vectors["serverPrivileges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        assert_eq!(RESERVED.to_vec(), recorded);
    }

    #[test]
    fn the_linter_names_what_will_not_work() {
        use PrivilegeUse::{StartSession, Token};
        for (text, used, rule) in [
            ("enableentitlement:True", Token, "flag-with-value"),
            ("disableentitlement:False", Token, "flag-with-value"),
            ("iprestrict:10.0.0.0/8", Token, "iprestrict-not-an-address"),
            ("iprestrict:1.2.3.4,5.6.7.8", Token, "comma-in-value"),
            ("sview:*, list:*", Token, "spaces"),
            ("_e:1", Token, "ks-field"),
            ("sview:*,", Token, "empty-name"),
            ("my priv:1", Token, "mangled-name"),
            ("actionslimit:ten", Token, "actionslimit-not-a-number"),
            (
                "urirestrict:/api_v3/*/list",
                Token,
                "urirestrict-inner-star",
            ),
            ("sessionid:GRP", Token, "sessionid-without-effect"),
            ("edit:*", StartSession, "reserved-at-start-session"),
        ] {
            let rules: Vec<_> = Privileges::parse(text)
                .lint(used)
                .into_iter()
                .map(|lint| lint.rule)
                .collect();
            assert_eq!(rules, [rule], "{text}");
        }
        for text in [
            "sview:*,list:*,enableentitlement,privacycontext:My Portal",
            "iprestrict:10.9.8.7/10.9.8.8",
            "urirestrict:/api_v3/service/media/*|/p/*",
            "*",
        ] {
            assert_eq!(Privileges::parse(text).lint(Token), [], "{text}");
        }
    }
}
