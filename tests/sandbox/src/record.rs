//! What arrived: the requests that a sandbox keeps for a test to look at, without their secrets.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

use crate::params::{Param, Params};

/// How many requests are kept; the oldest go first.
const KEPT: usize = 10_000;
const MASK: &str = "***";

/// A request that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedRequest {
    /// When, by the sandbox's clock.
    pub time: f64,
    /// The HTTP method.
    pub method: String,
    /// The path without its query; secrets in it are masked.
    pub path: String,
    /// The service as it was written, or nothing.
    pub service: String,
    /// The action as it was written, or nothing.
    pub action: String,
    /// All parameters as JSON; secrets in them are masked.
    pub params: Value,
    /// The length of every secret that was masked, by its path (`ks`, `appToken:token`, `1:ks`).
    pub masked: BTreeMap<String, usize>,
    /// The HTTP status that was answered; 0 until then, and when the connection was reset or given up.
    pub status: u16,
}

impl RecordedRequest {
    pub(crate) fn new(time: f64, method: &str, path: &str, params: &Params) -> Self {
        let mut masked = BTreeMap::new();
        let shown = show(params, "", &mut masked);
        let text = |name: &str| params.text(name).unwrap_or_default().into_owned();
        Self {
            time,
            method: method.to_owned(),
            path: mask_path(path),
            service: text("service"),
            action: text("action"),
            params: shown,
            masked,
            status: 0,
        }
    }

    /// The form that the control interface answers.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "time": self.time,
            "method": self.method,
            "path": self.path,
            "service": self.service,
            "action": self.action,
            "params": self.params,
            "masked": self.masked,
            "status": self.status,
        })
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.rsplit(':').next().unwrap_or(name).to_ascii_lowercase();
    matches!(
        name.as_str(),
        "ks" | "session" | "token" | "tokenhash" | "hash"
    ) || name.contains("secret")
}

fn show(params: &Params, prefix: &str, masked: &mut BTreeMap<String, usize>) -> Value {
    let mut shown = Map::new();
    for (name, value) in params.iter() {
        let path = if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}:{name}")
        };
        let value = match value {
            Param::Map(map) if is_secret(name) => {
                masked.insert(path, map.len());
                Value::from(MASK)
            }
            Param::Map(map) => show(map, &path, masked),
            value if is_secret(name) => {
                masked.insert(path, value.to_text().len());
                Value::from(MASK)
            }
            Param::Null => Value::Null,
            Param::Bool(flag) => Value::from(*flag),
            Param::Int(number) => Value::from(*number),
            Param::Float(number) => Value::from(*number),
            value => Value::from(value.to_text()),
        };
        shown.insert(name.to_owned(), value);
    }
    Value::Object(shown)
}

fn mask_path(path: &str) -> String {
    let mut secret = false;
    let segments: Vec<&str> = path
        .split('/')
        .map(|segment| {
            let shown = if secret { MASK } else { segment };
            secret = !secret && is_secret(segment) && segment != "session" && segment != "token";
            shown
        })
        .collect();
    segments.join("/")
}

/// The requests that were kept.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    kept: VecDeque<RecordedRequest>,
    /// How many were forgotten before the first that is kept.
    forgotten: usize,
}

impl RequestLog {
    /// Keeps a request that arrived, and says by which number its answer is to be noted.
    pub(crate) fn arrived(&mut self, request: RecordedRequest) -> usize {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
            self.forgotten += 1;
        }
        self.kept.push_back(request);
        self.forgotten + self.kept.len() - 1
    }

    pub(crate) fn answered(&mut self, number: usize, status: u16) {
        let place = number.checked_sub(self.forgotten);
        if let Some(request) = place.and_then(|place| self.kept.get_mut(place)) {
            request.status = status;
        }
    }

    pub(crate) fn all(&self) -> Vec<RecordedRequest> {
        self.kept.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.forgotten += self.kept.len();
        self.kept.clear();
    }
}
