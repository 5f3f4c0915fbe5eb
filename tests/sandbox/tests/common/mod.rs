//! What the integration tests share: a small HTTP client, the recorded files, and everyday API calls.

#![allow(
    dead_code,
    reason = "each test binary uses its own part of this module"
)]
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    missing_docs,
    unreachable_pub,
    reason = "test support"
)]

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use kaltura_sandbox::{Accounts, Sandbox};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// Sends one request on a connection of its own and reads the answer to its end.
pub fn request(
    port: u16,
    method: &str,
    target: &str,
    content_type: Option<&str>,
    body: &[u8],
) -> io::Result<Answer> {
    let kind = content_type.map(|kind| format!("Content-Type: {kind}"));
    let lines = ["Host: localhost"].into_iter().chain(kind.as_deref());
    request_with(port, method, target, lines, body)
}

/// The same with header lines of one's own in place of `Host` and `Content-Type`.
pub fn request_with<'a>(
    port: u16,
    method: &str,
    target: &str,
    lines: impl IntoIterator<Item = &'a str>,
    body: &[u8],
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    for line in lines {
        let _ = write!(head, "{line}\r\n");
    }
    let _ = write!(head, "Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw)?;
    let cut = raw.windows(4).position(|window| window == b"\r\n\r\n");
    let cut = cut.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no head"))?;
    let head = String::from_utf8_lossy(&raw[..cut]).into_owned();
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Ok(Answer {
        status: status.unwrap_or(0),
        headers,
        body: raw[cut + 4..].to_vec(),
    })
}

pub fn encode(pairs: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect()
    };
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}

/// Posts a form to an action, `format=1` included.
pub fn post(sandbox: &Sandbox, action: &str, pairs: &[(&str, &str)]) -> io::Result<Answer> {
    let (service, action) = action.split_once('.').unwrap();
    let body = encode(&[pairs, &[("format", "1")]].concat());
    let target = format!("/api_v3/service/{service}/action/{action}");
    request(sandbox.port(), "POST", &target, Some(FORM), body.as_bytes())
}

/// Calls an action and returns its JSON.
pub fn call(sandbox: &Sandbox, action: &str, pairs: &[(&str, &str)]) -> Value {
    post(sandbox, action, pairs).unwrap().json()
}

pub fn code(answer: &Value) -> &str {
    answer["code"]
        .as_str()
        .unwrap_or_else(|| panic!("no error: {answer}"))
}

/// Why a KS was refused.
pub fn reason(answer: &Value) -> &str {
    assert_eq!(code(answer), "INVALID_KS");
    answer["args"]["KSID"].as_str().unwrap()
}

/// An ADMIN session of the first account.
pub fn admin(sandbox: &Sandbox, extra: &[(&str, &str)]) -> String {
    let partner = sandbox.partner_id().to_string();
    let own = [
        ("secret", sandbox.admin_secret()),
        ("partnerId", &partner),
        ("type", "2"),
    ];
    call(sandbox, "session.start", &[&own, extra].concat())
        .as_str()
        .unwrap()
        .to_owned()
}

pub fn widget(sandbox: &Sandbox) -> String {
    let id = format!("_{}", sandbox.partner_id());
    call(sandbox, "session.startWidgetSession", &[("widgetId", &id)])["ks"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Adds a SHA256 token.
pub fn add(sandbox: &Sandbox, ks: &str, fields: &[(&str, &str)]) -> Value {
    let own = [
        ("ks", ks),
        ("appToken[objectType]", "KalturaAppToken"),
        ("appToken[hashType]", "SHA256"),
    ];
    let token = call(sandbox, "appToken.add", &[&own, fields].concat());
    assert!(token["id"].is_string(), "{token}");
    token
}

pub fn sha256(ks: &str, token: &str) -> String {
    hex::encode(Sha256::digest(format!("{ks}{token}")))
}

/// Exchanges a SHA256 token for a session.
pub fn exchange(sandbox: &Sandbox, ks: &str, token: &Value, extra: &[(&str, &str)]) -> Value {
    let hash = sha256(ks, token["token"].as_str().unwrap());
    let own = [
        ("ks", ks),
        ("id", token["id"].as_str().unwrap()),
        ("tokenHash", &hash),
    ];
    call(sandbox, "appToken.startSession", &[&own, extra].concat())
}

pub fn control(sandbox: &Sandbox, method: &str, path: &str, body: &Value) -> Answer {
    let body = body.to_string();
    request(
        sandbox.port(),
        method,
        &format!("/_sandbox{path}"),
        Some("application/json"),
        body.as_bytes(),
    )
    .unwrap()
}

pub fn recorded(file: &str) -> Vec<Value> {
    let path = format!("{}/../vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub fn accounts_path() -> String {
    format!(
        "{}/../vectors/sandbox-accounts.json",
        env!("CARGO_MANIFEST_DIR")
    )
}

/// A sandbox with the accounts of the recordings.
pub fn recorded_sandbox() -> Sandbox {
    let accounts = Accounts::from_file(accounts_path().as_ref()).unwrap();
    Sandbox::builder().accounts(accounts).start().unwrap()
}
