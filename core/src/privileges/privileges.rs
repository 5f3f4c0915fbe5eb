//! The privilege string: built, parsed, and what was granted compared with what was asked for.

use std::fmt;

use crate::error::{Error, Result};

/// An ordered set of privileges, each a name with any number of values.
///
/// ```
/// use kaltura_app_token::Privileges;
///
/// let privileges = Privileges::new().with("sview", "*")?.with("edit", "1_abc")?.with_flag("enableentitlement")?;
/// assert_eq!(privileges.to_string(), "sview:*,edit:1_abc,enableentitlement");
/// assert_eq!(Privileges::parse("edit:1_a,edit:1_b").to_string(), "edit:1_a/1_b");
/// # Ok::<(), kaltura_app_token::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Privileges {
    items: Vec<(String, Vec<String>)>,
}

impl Privileges {
    /// No privilege at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a privilege string the way the server does: nothing is trimmed and nothing refused.
    ///
    /// `,` separates privileges, the first `:` ends the name, `/` separates values, and a name that
    /// comes again adds its values to the first.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut privileges = Self::new();
        for item in text.split(',') {
            let (name, value) = item.split_once(':').unwrap_or((item, ""));
            let values = privileges.values_mut(name);
            if !value.is_empty() {
                values.extend(value.split('/').map(str::to_owned));
            }
        }
        privileges
    }

    /// The guide's set for read-only playback with entitlements (section 7.3).
    ///
    /// # Errors
    /// `Config` when the context holds a character that a value cannot.
    pub fn read_only_playback(privacy_context: &str) -> Result<Self> {
        Self::new()
            .with("sview", "*")?
            .with_flag("enableentitlement")?
            .with("privacycontext", privacy_context)
    }

    /// The guide's set for an upload integration (section 7.3).
    #[must_use]
    pub fn upload() -> Self {
        Self::parse("edit:*,sview:*")
    }

    /// The guide's set for a ticket to play one entry: ten calls in the playback role (section 7.3).
    ///
    /// # Errors
    /// `Config` when the id holds a character that a value cannot.
    pub fn single_entry_playback(entry_id: &str) -> Result<Self> {
        Self::new()
            .with("sview", entry_id)?
            .with("setrole", "PLAYBACK_BASE_ROLE")?
            .with("actionslimit", "10")
    }

    /// The guide's set for an integration that shows in analytics (section 7.3).
    ///
    /// # Errors
    /// `Config` when the app id holds a character that a value cannot.
    pub fn analytics_tagged(app_id: &str) -> Result<Self> {
        Self::new()
            .with("sview", "*")?
            .with("list", "*")?
            .with("appId", app_id)
    }

    /// Adds one value to the privilege of that name.
    ///
    /// # Errors
    /// `Config` when the name is empty, starts with `_`, or either holds a character that would
    /// change the meaning of the string.
    pub fn with(mut self, name: &str, value: &str) -> Result<Self> {
        check_name(name)?;
        if value.is_empty() {
            return Err(Error::config(format!(
                "privilege {name:?}: the value is empty; a privilege without a value is a flag"
            )));
        }
        if value.contains(',') {
            return Err(Error::config(format!(
                "privilege {name:?}: the value {value:?} holds a comma, which separates privileges; \
                 add the values one by one"
            )));
        }
        self.values_mut(name)
            .extend(value.split('/').map(str::to_owned));
        Ok(self)
    }

    /// Adds a privilege without a value, such as `enableentitlement`.
    ///
    /// # Errors
    /// `Config` as for [`Privileges::with`].
    pub fn with_flag(mut self, name: &str) -> Result<Self> {
        check_name(name)?;
        self.values_mut(name);
        Ok(self)
    }

    /// Takes a privilege away, whatever its values.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.items.retain(|(item, _)| item != name);
        self
    }

    /// The values of a privilege: none when it is not there, an empty slice when it is bare.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[String]> {
        self.items
            .iter()
            .find(|(item, _)| item == name)
            .map(|(_, values)| values.as_slice())
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.items
            .iter()
            .map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// Whether no privilege is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items
            .iter()
            .all(|(name, values)| name.is_empty() && values.is_empty())
    }

    /// The privileges of `requested` that `granted` does not hold in full.
    ///
    /// Also named is one that was to be narrowed (`edit:1_a` of a token's `edit:*`) and was not.
    #[must_use]
    pub fn dropped(requested: &Self, granted: &Self) -> Vec<String> {
        let held = |name: &str, values: &[String]| {
            let Some((_, granted)) = granted.iter().find(|(item, _)| item.trim() == name.trim())
            else {
                return false;
            };
            let any = |list: &[String]| list.iter().any(|value| value == "*");
            values.iter().all(|value| granted.contains(value))
                && (any(values) || !any(granted) || values.is_empty())
        };
        requested
            .iter()
            .filter(|(name, values)| !(name.trim().is_empty() && values.is_empty()))
            // `*` in a KS v2 is spelled `all:*` and read back as `*`.
            .filter(|(name, values)| !(held(name, values) || *name == "all" && held("*", &[])))
            .map(|(name, values)| item_text(name, values))
            .collect()
    }

    fn values_mut(&mut self, name: &str) -> &mut Vec<String> {
        let at = self
            .items
            .iter()
            .position(|(item, _)| item == name)
            .unwrap_or_else(|| {
                self.items.push((name.to_owned(), Vec::new()));
                self.items.len() - 1
            });
        &mut self.items[at].1
    }
}

impl fmt::Display for Privileges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, values)) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            f.write_str(&item_text(name, values))?;
        }
        Ok(())
    }
}

impl From<Privileges> for String {
    fn from(privileges: Privileges) -> Self {
        privileges.to_string()
    }
}

impl From<&str> for Privileges {
    fn from(text: &str) -> Self {
        Self::parse(text)
    }
}

impl<N: Into<String>, V: IntoIterator<Item = String>> FromIterator<(N, V)> for Privileges {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(items: I) -> Self {
        Self {
            items: items
                .into_iter()
                .map(|(name, values)| (name.into(), values.into_iter().collect()))
                .collect(),
        }
    }
}

pub(super) fn item_text(name: &str, values: &[String]) -> String {
    if values.is_empty() {
        name.to_owned()
    } else {
        format!("{name}:{}", values.join("/"))
    }
}

fn check_name(name: &str) -> Result<()> {
    let problem = if name.trim().is_empty() {
        "is empty"
    } else if names_a_ks_field(name) {
        "starts with _, or with . or [ which the server turns into it: so a KS names its own fields"
    } else if name.contains([',', ':']) {
        "holds a comma or a colon, which separate privileges and values"
    } else {
        return Ok(());
    };
    Err(Error::config(format!("privilege name {name:?} {problem}")))
}

/// Whether a name is one of a KS's own fields once the server has read it: PHP turns a dot, and a
/// bracket that is not closed, into `_` (vectors `v2/privileges/name_open_bracket`).
fn names_a_ks_field(name: &str) -> bool {
    name.trim().starts_with(['_', '.', '['])
}

/// Refuses privilege strings that would overwrite a KS's own fields (`_e`, `_t`, `_u`, `_m`, `_d`).
pub(crate) fn refuse_ks_fields(field: &str, privileges: &str) -> Result<()> {
    match Privileges::parse(privileges)
        .iter()
        .map(|(name, _)| name)
        .find(|name| names_a_ks_field(name))
    {
        Some(name) => Err(Error::config(format!(
            "{field}: privilege {name:?} starts with _, or with . or [ which the server turns into \
             it: so a KS names its own fields"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../tests/vectors/privileges.json")).unwrap()
    }

    fn pairs(value: &Value) -> Privileges {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| {
                let values = pair[1].as_array().unwrap();
                (
                    pair[0].as_str().unwrap(),
                    values
                        .iter()
                        .map(|v| v.as_str().unwrap().to_owned())
                        .collect::<Vec<_>>(),
                )
            })
            .collect()
    }

    #[test]
    fn strings_are_parsed_as_the_server_parses_them() {
        let vectors = vectors();
        let cases = vectors["parsePrivileges"].as_array().unwrap();
        assert_eq!(cases.len(), 33);
        for case in cases {
            let parsed = Privileges::parse(case["input"].as_str().unwrap());
            assert_eq!(parsed, pairs(&case["parsed"]), "{case}");
            assert_eq!(parsed.to_string(), case["rebuilt"], "{case}");
        }
    }

    #[test]
    fn strings_are_built_as_the_server_builds_them() {
        let vectors = vectors();
        let cases = vectors["buildPrivileges"].as_array().unwrap();
        assert_eq!(cases.len(), 8);
        for case in cases {
            assert_eq!(pairs(&case["input"]).to_string(), case["output"], "{case}");
        }
    }

    /// The server's own merge says which of the requested privileges came through: each of the 586
    /// recorded exchanges is held against what `dropped` reports.
    #[test]
    fn what_the_server_dropped_is_reported_and_nothing_else() {
        let vectors = vectors();
        let cases = vectors["startSessionMerge"].as_array().unwrap();
        assert_eq!(cases.len(), 586);
        let mut dropped_somewhere = 0;
        for case in cases {
            let Some(request) = case["requestPrivileges"].as_str() else {
                continue;
            };
            let requested = Privileges::parse(request);
            let dropped = Privileges::dropped(
                &requested,
                &Privileges::parse(case["privileges"].as_str().unwrap()),
            );
            let merged = case["merged"].as_array().unwrap();
            let came_through = |name: &str, values: &[String]| {
                merged.iter().any(|pair| {
                    let granted = pair[1].as_array().unwrap();
                    pair[0].as_str().unwrap().trim() == name.trim()
                        && values.iter().all(|v| granted.iter().any(|g| g == v))
                })
            };
            for (name, values) in requested.iter().filter(|(name, _)| !name.trim().is_empty()) {
                let reported = dropped.contains(&item_text(name, values));
                assert_eq!(reported, !came_through(name, values), "{name}: {case}");
                dropped_somewhere += usize::from(reported);
            }
        }
        assert!(dropped_somewhere > 100, "{dropped_somewhere}");
    }

    #[test]
    fn a_narrowing_that_did_not_happen_is_reported() {
        let dropped = |requested: &str, granted: &str| {
            Privileges::dropped(&Privileges::parse(requested), &Privileges::parse(granted))
        };
        assert_eq!(dropped("edit:1_a", "edit:*"), ["edit:1_a"]);
        assert!(dropped("edit:1_a", "edit:1_a").is_empty());
        assert!(dropped("", "edit:*").is_empty());
        assert!(dropped("all:*", "*").is_empty());
    }

    #[test]
    fn the_builder_refuses_what_would_change_meaning() {
        for (name, value) in [
            ("", "x"),
            ("_t", "2"),
            ("a,b", "x"),
            ("a:b", "x"),
            ("edit", "1_a,list:*"),
            ("edit", ""),
        ] {
            assert!(
                Privileges::new().with(name, value).is_err(),
                "{name}:{value}"
            );
        }
    }

    #[test]
    fn the_guides_common_sets_are_there_by_name() {
        let text = |set: Result<Privileges>| set.unwrap().to_string();
        assert_eq!(
            text(Privileges::read_only_playback("MY_PORTAL")),
            "sview:*,enableentitlement,privacycontext:MY_PORTAL"
        );
        assert_eq!(Privileges::upload().to_string(), "edit:*,sview:*");
        assert_eq!(
            text(Privileges::single_entry_playback("1_abc123")),
            "sview:1_abc123,setrole:PLAYBACK_BASE_ROLE,actionslimit:10"
        );
        assert_eq!(
            text(Privileges::analytics_tagged("my-app-example.com")),
            "sview:*,list:*,appId:my-app-example.com"
        );
    }
}
