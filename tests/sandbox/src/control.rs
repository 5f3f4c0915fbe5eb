//! The control interface: the state that no API call can set, over HTTP and in the same words in process.
//!
//! It changes an [`App`]; what HTTP is it leaves to the server.

use serde_json::{Map, Value as Json, json};

use crate::answer::Value;
use crate::clock::Change;
use crate::fault::Fault;
use crate::record::RecordedRequest;
use crate::server::App;
use crate::state::{ACTIVE, Settings, State, Token};
use crate::{Accounts, random};

/// Status and body of a control answer.
pub(crate) type ControlAnswer = (u16, Json);

impl App {
    /// Forgets everything that happened, and sets the clock right.
    pub(crate) fn reset(&self) {
        *self.state() = State::default();
        self.faults().clear();
        self.log().clear();
        self.clock.reset();
    }

    pub(crate) fn add_fault(&self, fault: Fault) {
        self.faults().add(fault);
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.log().all()
    }

    pub(crate) fn token_count(&self, partner: i64) -> usize {
        self.state().tokens(partner).count()
    }

    /// Changes stored fields of a token, any that it has. `Ok(false)` when there is no such token.
    pub(crate) fn patch_token(&self, id: &str, fields: &Json) -> Result<bool, String> {
        let fields = fields
            .as_object()
            .ok_or("body: expected an object of fields")?;
        let mut state = self.state();
        let Some(token) = state.any_token_mut(id) else {
            return Ok(false);
        };
        let mut changed = token.clone();
        write_fields(&mut changed, fields)?;
        if changed.id != token.id {
            return Err("id: cannot be changed".to_owned());
        }
        *token = changed.clone();
        if let Value::Text(user) = &changed.settings.session_user_id {
            state.add_user(changed.partner, user);
        }
        Ok(true)
    }

    /// Stores tokens as they are given; what a row leaves out is what an active token usually has.
    pub(crate) fn add_tokens(&self, partner: i64, rows: &Json) -> Result<usize, String> {
        let account = self
            .accounts
            .get(partner)
            .ok_or_else(|| format!("partner: no account {partner}"))?;
        let rows = rows.as_array().ok_or("body: expected a list of tokens")?;
        let now = self.clock.now();
        let mut tokens = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let fields = row
                .as_object()
                .ok_or_else(|| format!("[{index}]: expected an object"))?;
            let mut token = Token {
                id: String::new(),
                secret: random::hex(16),
                partner: account.id,
                created_at: now,
                updated_at: now,
                status: ACTIVE,
                settings: Settings::default(),
            };
            write_fields(&mut token, fields).map_err(|error| format!("[{index}].{error}"))?;
            tokens.push(token);
        }
        let mut state = self.state();
        let count = tokens.len();
        for mut token in tokens {
            if token.id.is_empty() {
                token.id = state.fresh_id();
            }
            state.insert(token);
        }
        Ok(count)
    }

    pub(crate) fn clear_tokens(&self, partner: i64) {
        self.state().clear_tokens(partner);
    }

    fn set_clock(&self, order: &Json) -> Result<Json, String> {
        let fields = order.as_object().ok_or("body: expected an object")?;
        let changes = fields
            .iter()
            .map(|(name, value)| {
                let number = value
                    .as_f64()
                    .ok_or_else(|| format!("{name}: expected a number of seconds"))?;
                Change::named(name, number)
                    .ok_or_else(|| format!("{name}: expected offset, now or advance"))
            })
            .collect::<Result<Vec<_>, String>>()?;
        self.clock.change(&changes)?;
        Ok(json!({ "now": self.clock.precise() }))
    }

    fn add_faults(&self, order: &Json) -> Result<Json, String> {
        let one = std::slice::from_ref(order);
        let faults = order
            .as_array()
            .map_or(one, Vec::as_slice)
            .iter()
            .enumerate()
            .map(|(index, fault)| {
                Fault::from_json(fault).map_err(|error| format!("[{index}].{error}"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let added = faults.len();
        for fault in faults {
            self.add_fault(fault);
        }
        Ok(json!({ "added": added }))
    }

    /// Answers `/_sandbox/…`; `path` is what comes after that.
    pub(crate) fn control(&self, method: &str, path: &str, body: &[u8]) -> ControlAnswer {
        let segments: Vec<&str> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        let answered = match (method, segments.as_slice()) {
            ("POST", ["reset"]) => {
                self.reset();
                Ok(json!({}))
            }
            ("PATCH", ["tokens", id]) => json_body(body).and_then(|fields| {
                let found = self.patch_token(id, &fields)?;
                found
                    .then(|| json!({}))
                    .ok_or_else(|| format!("id: no token {id:?}"))
            }),
            ("DELETE", ["partners", id, "tokens"]) => partner(&self.accounts, id).map(|id| {
                self.clear_tokens(id);
                json!({})
            }),
            ("POST", ["partners", id, "tokens"]) => partner(&self.accounts, id)
                .and_then(|id| self.add_tokens(id, &json_body(body)?))
                .map(|added| json!({ "added": added })),
            ("POST", ["faults"]) => json_body(body).and_then(|order| self.add_faults(&order)),
            ("DELETE", ["faults"]) => {
                self.faults().clear();
                Ok(json!({}))
            }
            ("POST", ["clock"]) => json_body(body).and_then(|order| self.set_clock(&order)),
            ("GET", ["requests"]) => Ok(self
                .requests()
                .iter()
                .map(RecordedRequest::to_json)
                .collect()),
            ("DELETE", ["requests"]) => {
                self.log().clear();
                Ok(json!({}))
            }
            _ => return (404, json!({ "error": "path: no such control call" })),
        };
        match answered {
            Ok(answer) => (200, answer),
            Err(error) => (400, json!({ "error": error })),
        }
    }
}

fn json_body(body: &[u8]) -> Result<Json, String> {
    serde_json::from_slice(body).map_err(|error| format!("body: not valid JSON: {error}"))
}

fn partner(accounts: &Accounts, text: &str) -> Result<i64, String> {
    let id = text.parse().ok().filter(|id| accounts.get(*id).is_some());
    id.ok_or_else(|| format!("partner: no account {text:?}"))
}

fn write_fields(token: &mut Token, fields: &Map<String, Json>) -> Result<(), String> {
    for (name, value) in fields {
        let number = || {
            value
                .as_i64()
                .ok_or_else(|| format!("{name}: expected a whole number"))
        };
        let text = || {
            value
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("{name}: expected a string"))
        };
        match name.as_str() {
            "id" => token.id = text()?,
            "token" => token.secret = text()?,
            "partnerId" if number()? == token.partner => {}
            "partnerId" => return Err("partnerId: cannot be changed".to_owned()),
            "createdAt" => token.created_at = number()?,
            "updatedAt" => token.updated_at = number()?,
            "status" => token.status = number()?,
            "objectType" => {}
            _ => {
                let numeric = matches!(name.as_str(), "expiry" | "sessionType" | "sessionDuration");
                let field = token
                    .settings
                    .field(name)
                    .ok_or_else(|| format!("{name}: unknown field"))?;
                *field = match value {
                    Json::Null => Value::Null,
                    _ if numeric => Value::Int(number()?),
                    _ => Value::Text(text()?),
                };
            }
        }
    }
    Ok(())
}
