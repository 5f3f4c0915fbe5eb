//! Privilege strings of a KS: how the server takes them apart, puts them together, and merges what a token
//! holds with what an exchange asks for.
//!
//! The rules are those of a PHP array (ordered, numeric keys apart), because that is what the server uses;
//! the recorded merges in `privileges.json` pin them down. Nothing here knows a KS or a request.

use std::collections::HashSet;

use crate::ordered::Ordered;

/// The names that an exchange cannot add to a session.
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

/// Privileges in the order of their first appearance, each with its values.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Privileges(Ordered<String, Vec<String>>);

impl Privileges {
    /// Splits on `,`, then on the first `:`, then the values on `/`.
    pub(crate) fn parse(text: &str) -> Self {
        let mut privileges = Self::default();
        for part in text.split(',') {
            let (name, value) = part.split_once(':').unwrap_or((part, ""));
            let values = privileges.entry(name);
            if !value.is_empty() {
                values.extend(value.split('/').map(str::to_owned));
            }
        }
        privileges
    }

    /// The inverse of [`Privileges::parse`], duplicates joined.
    pub(crate) fn build(&self) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|(name, values)| {
                if values.is_empty() {
                    name.clone()
                } else {
                    format!("{name}:{}", values.join("/"))
                }
            })
            .collect();
        parts.join(",")
    }

    /// The values of a privilege, when it is there.
    pub(crate) fn get(&self, name: &str) -> Option<&[String]> {
        self.0.get(name).map(Vec::as_slice)
    }

    fn entry(&mut self, name: impl Into<String>) -> &mut Vec<String> {
        self.0.entry(name.into(), Vec::new)
    }

    /// Appends another list: values of a name that is there already are added to it, and names that look
    /// like whole numbers are numbered anew, which is what PHP does when it merges arrays.
    fn append(&mut self, other: Self) {
        let mut next = self
            .0
            .iter()
            .filter(|(name, _)| is_whole_number(name))
            .count();
        for (name, values) in other.0.into_entries() {
            if is_whole_number(&name) {
                *self.entry(next.to_string()) = values;
                next += 1;
            } else {
                self.entry(name).extend(values);
            }
        }
    }
}

/// What a session minted from a token may do: the token's identity, the token's own privileges, and of the
/// requested ones those that may be added.
pub(crate) fn merge_for_session(
    token_id: &str,
    of_token: Option<&str>,
    requested: Option<&str>,
) -> Privileges {
    let given = |text: Option<&str>| {
        text.filter(|text| !text.is_empty() && *text != "0")
            .map(Privileges::parse)
    };
    let identity = vec![token_id.to_owned()];
    let mut merged = Privileges::default();
    merged.entry("sessionid").clone_from(&identity);
    *merged.entry("apptoken") = identity;
    if let Some(own) = given(of_token) {
        merged.append(own);
    }
    let Some(requested) = given(requested) else {
        return merged;
    };
    let held: HashSet<String> = merged
        .0
        .iter()
        .map(|(name, _)| name.trim().to_owned())
        .collect();
    for (name, values) in requested.0.into_entries() {
        let narrows = merged
            .get(&name)
            .is_some_and(|values| values.iter().any(|value| value == "*"));
        let trimmed = name.trim();
        let may_be_added = !RESERVED.contains(&trimmed) && !held.contains(trimmed);
        if narrows || may_be_added {
            *merged.entry(name) = values;
        }
    }
    merged
}

/// Whether PHP turns this text into an integer when it is the key of an array.
fn is_whole_number(text: &str) -> bool {
    text.parse::<i64>()
        .is_ok_and(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../vectors/privileges.json")).unwrap()
    }

    fn pairs(value: &Value) -> Privileges {
        let mut pairs = Privileges::default();
        for pair in value.as_array().unwrap() {
            let values = pair[1].as_array().unwrap().iter();
            let values = values.map(|value| value.as_str().unwrap().to_owned());
            pairs.entry(pair[0].as_str().unwrap()).extend(values);
        }
        pairs
    }

    #[test]
    fn the_reserved_names_are_the_recorded_ones() {
        let recorded = &vectors()["serverPrivileges"];
        assert_eq!(recorded, &serde_json::json!(RESERVED.as_slice()));
    }

    #[test]
    fn strings_are_parsed_and_built_as_recorded() {
        let vectors = vectors();
        for vector in vectors["parsePrivileges"].as_array().unwrap() {
            let parsed = Privileges::parse(vector["input"].as_str().unwrap());
            assert_eq!(parsed, pairs(&vector["parsed"]), "{vector}");
            assert_eq!(
                parsed.build(),
                vector["rebuilt"].as_str().unwrap(),
                "{vector}"
            );
        }
        for vector in vectors["buildPrivileges"].as_array().unwrap() {
            assert_eq!(
                pairs(&vector["input"]).build(),
                vector["output"].as_str().unwrap(),
                "{vector}"
            );
        }
    }

    #[test]
    fn every_recorded_merge_comes_out_the_same() {
        let vectors = vectors();
        let recorded = vectors["startSessionMerge"].as_array().unwrap();
        assert_eq!(recorded.len(), 586);
        for vector in recorded {
            let merged = merge_for_session(
                vector["tokenId"].as_str().unwrap(),
                vector["tokenPrivileges"].as_str(),
                vector["requestPrivileges"].as_str(),
            );
            assert_eq!(merged, pairs(&vector["merged"]), "{vector}");
            assert_eq!(
                merged.build(),
                vector["privileges"].as_str().unwrap(),
                "{vector}"
            );
        }
    }
}
