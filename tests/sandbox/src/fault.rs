//! Faults that a test can order: what goes wrong, on which action, how often.
//!
//! It decides which fault applies to a request; carrying it out is the server's part.

use serde_json::Value;

use crate::random;

/// What goes wrong. The name in brackets is the `fault` of the JSON form, with its own fields.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// The answer comes this much later (`latency`, `ms`). The request is always processed: after the wait,
    /// or before it with `after`.
    Latency {
        /// Milliseconds.
        ms: u64,
    },
    /// An HTTP error, as a proxy or an overloaded server sends it (`status`, `status`, `retryAfter`, `body`).
    Status {
        /// The HTTP status.
        status: u16,
        /// The `Retry-After` header in seconds.
        retry_after: Option<u64>,
        /// The body, sent as HTML.
        body: String,
    },
    /// The connection is reset with nothing sent (`reset`).
    Reset,
    /// The answer breaks off half-way and the connection closes (`truncated`).
    Truncated,
    /// HTTP 200 and a body that is neither JSON nor XML (`garbage`).
    Garbage,
    /// HTTP 200 and an HTML page (`html`).
    Html,
    /// HTTP 200 and nothing (`empty`).
    Empty,
    /// HTTP 200 and one JSON string of this size (`huge`, `bytes`).
    Huge {
        /// The size of the body.
        bytes: u64,
    },
    /// An `INVALID_KS` that repeats the KS of the request in its message and arguments (`ks_echo`).
    KsEcho,
    /// A redirect (`redirect`, `location`).
    Redirect {
        /// Where to.
        location: String,
    },
    /// An application error of one's own (`exception`, `code`, `message`).
    Exception {
        /// The error code.
        code: String,
        /// The message.
        message: String,
    },
}

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// `service.action` in any case, `multirequest`, or `*` for every request (`action`).
    pub action: String,
    /// How many requests it strikes (`times`, 1 unless given).
    pub times: u64,
    /// How many matching requests it lets pass first (`skip`).
    pub skip: u64,
    /// The chance of striking a request that it could strike (`probability`, certain unless given).
    pub probability: f64,
    /// Whether the request takes effect before the fault strikes (`after`, false unless given).
    pub after: bool,
    /// What goes wrong (`fault`).
    pub kind: FaultKind,
}

impl Fault {
    /// A fault that strikes the next request for `action`, before it is processed.
    #[must_use]
    pub fn new(action: impl Into<String>, kind: FaultKind) -> Self {
        Self {
            action: action.into(),
            times: 1,
            skip: 0,
            probability: 1.0,
            after: false,
            kind,
        }
    }

    /// Strikes this many requests.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Lets this many requests pass first.
    #[must_use]
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Strikes with this chance only.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Strikes after the request took effect.
    #[must_use]
    pub fn after(mut self) -> Self {
        self.after = true;
        self
    }

    /// Reads one fault of the control interface.
    ///
    /// # Errors
    /// One line that names the field at fault.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        let fields = Fields(value.as_object().ok_or("fault: expected an object")?);
        let kind = match fields.text("fault")?.ok_or("fault: missing")? {
            "latency" => FaultKind::Latency {
                ms: fields.number("ms")?.ok_or("ms: missing")?,
            },
            "status" => FaultKind::Status {
                status: fields
                    .number("status")?
                    .and_then(|status| u16::try_from(status).ok())
                    .filter(|status| (100..1000).contains(status))
                    .ok_or("status: expected an HTTP status")?,
                retry_after: fields.number("retryAfter")?,
                body: fields.text("body")?.unwrap_or_default().to_owned(),
            },
            "reset" => FaultKind::Reset,
            "truncated" => FaultKind::Truncated,
            "garbage" => FaultKind::Garbage,
            "html" => FaultKind::Html,
            "empty" => FaultKind::Empty,
            "huge" => FaultKind::Huge {
                bytes: fields.number("bytes")?.ok_or("bytes: missing")?,
            },
            "ks_echo" => FaultKind::KsEcho,
            "redirect" => {
                let location = fields.text("location")?.ok_or("location: missing")?;
                if location.bytes().any(|byte| !(b' '..=b'~').contains(&byte)) {
                    return Err("location: expected printable ASCII".to_owned());
                }
                FaultKind::Redirect {
                    location: location.to_owned(),
                }
            }
            "exception" => FaultKind::Exception {
                code: fields.text("code")?.ok_or("code: missing")?.to_owned(),
                message: fields.text("message")?.unwrap_or_default().to_owned(),
            },
            other => return Err(format!("fault: unknown fault {other:?}")),
        };
        let probability = match fields.0.get("probability") {
            None => 1.0,
            Some(value) => value
                .as_f64()
                .filter(|chance| (0.0..=1.0).contains(chance))
                .ok_or("probability: expected a number from 0 to 1")?,
        };
        Ok(Self {
            action: fields.text("action")?.ok_or("action: missing")?.to_owned(),
            times: fields.number("times")?.unwrap_or(1),
            skip: fields.number("skip")?.unwrap_or(0),
            probability,
            after: match fields.0.get("after") {
                None => false,
                Some(value) => value.as_bool().ok_or("after: expected true or false")?,
            },
            kind,
        })
    }
}

struct Fields<'a>(&'a serde_json::Map<String, Value>);

impl<'a> Fields<'a> {
    fn text(&self, name: &str) -> Result<Option<&'a str>, String> {
        let value = self.0.get(name);
        value
            .map(|value| {
                value
                    .as_str()
                    .ok_or_else(|| format!("{name}: expected a string"))
            })
            .transpose()
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let value = self.0.get(name);
        value
            .map(|value| {
                value
                    .as_u64()
                    .ok_or_else(|| format!("{name}: expected a whole number"))
            })
            .transpose()
    }
}

/// The faults that are still to strike.
#[derive(Debug, Default)]
pub(crate) struct FaultBook(Vec<Fault>);

impl FaultBook {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that strikes a request for this action, if any: the first one ordered that is ripe.
    pub(crate) fn strike(&mut self, action: &str) -> Option<Fault> {
        if self.0.is_empty() {
            return None;
        }
        self.0.retain(|fault| fault.times > 0);
        let struck = self.0.iter_mut().find_map(|fault| {
            if fault.action != "*" && !fault.action.eq_ignore_ascii_case(action) {
                return None;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                return None;
            }
            if fault.probability < 1.0 && random::unit() >= fault.probability {
                return None;
            }
            fault.times -= 1;
            Some(fault.clone())
        });
        self.0.retain(|fault| fault.times > 0);
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_its_action_after_the_skipped_ones_and_then_is_spent() {
        let mut book = FaultBook::default();
        book.add(
            Fault::new("appToken.add", FaultKind::Reset)
                .times(2)
                .skip(1),
        );
        assert_eq!(book.strike("session.get"), None);
        assert_eq!(book.strike("apptoken.ADD"), None);
        assert!(book.strike("appToken.add").is_some());
        assert!(book.strike("appToken.add").is_some());
        assert_eq!(book.strike("appToken.add"), None);
    }

    #[test]
    fn a_malformed_fault_names_its_field() {
        for (text, field) in [
            (r#"{"action":"*"}"#, "fault"),
            (r#"{"action":"*","fault":"nope"}"#, "fault"),
            (r#"{"fault":"reset"}"#, "action"),
            (r#"{"action":"*","fault":"latency"}"#, "ms"),
            (r#"{"action":"*","fault":"reset","times":"x"}"#, "times"),
            (
                r#"{"action":"*","fault":"reset","probability":2}"#,
                "probability",
            ),
        ] {
            let error = Fault::from_json(&serde_json::from_str(text).unwrap()).unwrap_err();
            assert!(error.starts_with(field), "{text}: {error}");
        }
    }
}
