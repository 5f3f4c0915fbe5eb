//! What arrived: the requests that a sandbox keeps for a test to look at, without their secrets.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

use crate::params::{Param, Params};

/// How many requests are kept, and how much memory they may take; the oldest go first.
const KEPT: usize = 10_000;
const KEPT_BYTES: usize = 64 << 20;
/// Every secret below a long name would repeat it in its path.
const MAX_PATH: usize = 256;
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
    /// The length of every secret that was masked, by its path (`ks`, `appToken:token`, `1:ks`). A path over
    /// 256 bytes is left out.
    pub masked: BTreeMap<String, usize>,
    /// The HTTP status that was answered; 0 until then, and when the connection was reset or given up.
    pub status: u16,
}

impl RecordedRequest {
    pub(crate) fn new(time: f64, method: &str, path: &str, params: &Params) -> Self {
        let mut masked = BTreeMap::new();
        let shown = show(params, Some(""), &mut masked);
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

/// The path of a parameter below another's, unless it or that is too long.
fn path(parent: Option<&str>, name: &str) -> Option<String> {
    let parent = parent.filter(|parent| parent.len() + name.len() < MAX_PATH)?;
    Some(if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}:{name}")
    })
}

fn show(params: &Params, parent: Option<&str>, masked: &mut BTreeMap<String, usize>) -> Value {
    let mut shown = Map::new();
    for (name, value) in params.iter() {
        if is_secret(name) {
            let length = match value {
                Param::Map(map) => map.len(),
                value => value.to_text().len(),
            };
            masked.extend(path(parent, name).map(|path| (path, length)));
            shown.insert(name.to_owned(), Value::from(MASK));
            continue;
        }
        let value = match value {
            Param::Map(map) => show(map, path(parent, name).as_deref(), masked),
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

/// About how much memory a value takes.
fn weight(value: &Value) -> usize {
    const OWN: usize = 100;
    OWN + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len() + weight(value))
            .sum(),
        _ => 0,
    }
}

/// The requests that were kept.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    /// Each with its weight.
    kept: VecDeque<(RecordedRequest, usize)>,
    bytes: usize,
    /// How many were forgotten before the first that is kept.
    forgotten: usize,
}

impl RequestLog {
    /// Keeps a request that arrived, and says by which number its answer is to be noted.
    pub(crate) fn arrived(&mut self, request: RecordedRequest) -> usize {
        let paths: usize = request.masked.keys().map(String::len).sum();
        let bytes = weight(&request.params) + request.path.len() + paths;
        self.bytes += bytes;
        self.kept.push_back((request, bytes));
        while self.kept.len() > KEPT || (self.bytes > KEPT_BYTES && self.kept.len() > 1) {
            let Some((_, bytes)) = self.kept.pop_front() else {
                break;
            };
            self.bytes -= bytes;
            self.forgotten += 1;
        }
        self.forgotten + self.kept.len() - 1
    }

    pub(crate) fn answered(&mut self, number: usize, status: u16) {
        let place = number.checked_sub(self.forgotten);
        if let Some((request, _)) = place.and_then(|place| self.kept.get_mut(place)) {
            request.status = status;
        }
    }

    pub(crate) fn all(&self) -> Vec<RecordedRequest> {
        let kept = self.kept.iter();
        kept.map(|(request, _)| request.clone()).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.forgotten += self.kept.len();
        self.kept.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_size(bytes: usize) -> RecordedRequest {
        let mut params = Params::default();
        params.set("x", Param::Text("a".repeat(bytes)));
        RecordedRequest::new(0.0, "POST", "/", &params)
    }

    #[test]
    fn the_oldest_requests_are_forgotten_when_all_of_them_are_large() {
        let mut log = RequestLog::default();
        let large = of_size(KEPT_BYTES / 10);
        let numbers: Vec<usize> = (0..30).map(|_| log.arrived(large.clone())).collect();
        assert_eq!(log.all().len(), 9);
        log.answered(numbers[20], 500);
        log.answered(numbers[21], 200);
        assert_eq!(log.all()[0].status, 200);
        log.arrived(of_size(2 * KEPT_BYTES));
        assert_eq!(log.all().len(), 1, "the latest is always there");
    }

    #[test]
    fn secrets_below_a_long_name_are_masked_without_repeating_it() {
        let json = json!({ "p".repeat(1_000): { "ks": "x", "secret": "y" }, "a": { "ks": "z" } });
        let params = Params::from_json(json.to_string().as_bytes()).unwrap();
        let recorded = RecordedRequest::new(0.0, "POST", "/", &params);
        assert_eq!(recorded.params["p".repeat(1_000)]["ks"], MASK);
        assert_eq!(recorded.masked, BTreeMap::from([("a:ks".to_owned(), 1)]));
    }
}
