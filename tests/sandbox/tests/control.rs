//! The control interface, the faults, and the command.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{add, admin, call, code, control, exchange, post, reason, request, widget};
use kaltura_sandbox::{Accounts, Fault, FaultKind, Sandbox};
use serde_json::{Value, json};

fn order(sandbox: &Sandbox, fault: &Value) {
    let answer = control(sandbox, "POST", "/faults", fault);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Orders a fault for one `system.ping` and makes that call.
fn pinged(sandbox: &Sandbox, mut fault: Value) -> std::io::Result<common::Answer> {
    fault["action"] = json!("System.PING");
    order(sandbox, &fault);
    let answer = post(sandbox, "system.ping", &[("ks", "secret-ks")]);
    assert_eq!(
        call(sandbox, "system.ping", &[]),
        json!(true),
        "the fault is spent"
    );
    answer
}

#[test]
fn every_fault_does_what_it_says() {
    let sandbox = Sandbox::start().unwrap();
    let started = Instant::now();
    let late = pinged(&sandbox, json!({ "fault": "latency", "ms": 60 })).unwrap();
    assert_eq!(
        reason(&late.json()),
        "secret-ks",
        "the answer that the request deserves"
    );
    assert!(started.elapsed() >= Duration::from_millis(60));

    let busy = pinged(
        &sandbox,
        json!({ "fault": "status", "status": 503, "retryAfter": 7, "body": "busy" }),
    )
    .unwrap();
    assert_eq!(
        (
            busy.status,
            busy.header("retry-after"),
            busy.text().as_str()
        ),
        (503, Some("7"), "busy")
    );

    let reset = pinged(&sandbox, json!({ "fault": "reset" })).unwrap_err();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);

    let cut = pinged(&sandbox, json!({ "fault": "truncated" })).unwrap();
    let announced: usize = cut.header("content-length").unwrap().parse().unwrap();
    assert!(
        !cut.body.is_empty() && cut.body.len() < announced,
        "{} of {announced}",
        cut.body.len()
    );

    let garbage = pinged(&sandbox, json!({ "fault": "garbage" })).unwrap();
    assert!(garbage.status == 200 && serde_json::from_slice::<Value>(&garbage.body).is_err());

    let html = pinged(&sandbox, json!({ "fault": "html" })).unwrap();
    assert_eq!(
        (html.status, html.header("content-type")),
        (200, Some("text/html; charset=UTF-8"))
    );
    assert!(html.text().contains("<html>"));

    assert_eq!(
        pinged(&sandbox, json!({ "fault": "empty" }))
            .unwrap()
            .text(),
        ""
    );

    let huge = pinged(&sandbox, json!({ "fault": "huge", "bytes": 3_000_000 })).unwrap();
    assert_eq!(
        (huge.body.len(), huge.json().as_str().map(str::len)),
        (3_000_000, Some(2_999_998))
    );

    let echo = pinged(&sandbox, json!({ "fault": "ks_echo" }))
        .unwrap()
        .json();
    assert_eq!(reason(&echo), "secret-ks");
    assert!(echo["message"].as_str().unwrap().contains("secret-ks"));

    let moved = pinged(
        &sandbox,
        json!({ "fault": "redirect", "location": "http://127.0.0.1:1/x" }),
    )
    .unwrap();
    assert_eq!(
        (moved.status, moved.header("location")),
        (302, Some("http://127.0.0.1:1/x"))
    );

    let blocked = pinged(
        &sandbox,
        json!({ "fault": "exception", "code": "ACTION_BLOCKED", "message": "no" }),
    )
    .unwrap();
    assert_eq!(
        (code(&blocked.json()), &blocked.json()["message"]),
        ("ACTION_BLOCKED", &json!("no"))
    );
}

#[test]
fn a_fault_strikes_before_or_after_the_request_takes_effect() {
    let sandbox = Sandbox::start().unwrap();
    let ks = admin(&sandbox, &[]);
    let try_add = || {
        post(
            &sandbox,
            "appToken.add",
            &[("ks", &ks), ("appToken[description]", "x")],
        )
    };
    for kind in [
        FaultKind::Reset,
        FaultKind::Truncated,
        FaultKind::Empty,
        FaultKind::Html,
    ] {
        sandbox.reset();
        sandbox.add_fault(Fault::new("appToken.add", kind.clone()));
        let _ = try_add();
        assert_eq!(
            sandbox.token_count(sandbox.partner_id()),
            0,
            "{kind:?} before"
        );
        sandbox.add_fault(Fault::new("*", kind.clone()).after());
        let _ = try_add();
        assert_eq!(
            sandbox.token_count(sandbox.partner_id()),
            1,
            "{kind:?} after"
        );
    }
}

#[test]
fn faults_can_wait_repeat_and_be_rare() {
    let sandbox = Sandbox::start().unwrap();
    order(
        &sandbox,
        &json!([{ "action": "*", "fault": "empty", "times": 2, "skip": 1 }]),
    );
    let sizes: Vec<usize> = (0..4)
        .map(|_| post(&sandbox, "system.ping", &[]).unwrap().body.len())
        .collect();
    assert_eq!(sizes, [4, 0, 0, 4]);
    order(
        &sandbox,
        &json!({ "action": "*", "fault": "empty", "times": 1000, "probability": 0.5 }),
    );
    let struck = (0..200)
        .filter(|_| post(&sandbox, "system.ping", &[]).unwrap().body.is_empty())
        .count();
    assert!((50..150).contains(&struck), "{struck} of 200");
    assert_eq!(
        control(&sandbox, "DELETE", "/faults", &json!(null)).status,
        200
    );
    assert_eq!(call(&sandbox, "system.ping", &[]), json!(true));
}

#[test]
fn stored_tokens_can_be_set_changed_and_cleared() {
    let sandbox = Sandbox::start().unwrap();
    let (ks, widget) = (admin(&sandbox, &[]), widget(&sandbox));
    let partner = sandbox.partner_id();
    let token = add(&sandbox, &ks, &[]);
    let path = format!("/tokens/{}", token["id"].as_str().unwrap());
    assert_eq!(
        control(&sandbox, "PATCH", &path, &json!({ "status": 1 })).status,
        200
    );
    assert_eq!(
        code(&exchange(&sandbox, &widget, &token, &[])),
        "APP_TOKEN_NOT_ACTIVE"
    );
    let rows = format!("/partners/{partner}/tokens");
    let row = json!([{ "id": "0_aaaaaaaa", "token": "t", "createdAt": 5, "updatedAt": 6, "status": 2, "sessionDuration": 60 }]);
    assert_eq!(control(&sandbox, "POST", &rows, &row).status, 200);
    assert_eq!(
        call(
            &sandbox,
            "appToken.get",
            &[("ks", &ks), ("id", "0_aaaaaaaa")]
        )["createdAt"],
        5
    );
    assert_eq!(sandbox.token_count(partner), 2);
    assert_eq!(control(&sandbox, "DELETE", &rows, &json!(null)).status, 200);
    assert_eq!(sandbox.token_count(partner), 0);
}

#[test]
fn the_clock_is_set_over_http() {
    let sandbox = Sandbox::start().unwrap();
    let set = |order: Value| {
        control(&sandbox, "POST", "/clock", &order).json()["now"]
            .as_f64()
            .unwrap()
    };
    assert!((set(json!({ "now": 1000 })) - 1000.0).abs() < 0.1);
    assert!((set(json!({ "advance": 5 })) - 1005.0).abs() < 0.1);
    let real = set(json!({ "offset": 0 }));
    assert!((set(json!({ "offset": 3600 })) - real - 3600.0).abs() < 5.0);
    assert_eq!(
        control(&sandbox, "POST", "/reset", &json!(null)).status,
        200
    );
    assert!((sandbox.now() - real).abs() < 5.0);
}

#[test]
fn a_malformed_order_is_refused_with_the_field_at_fault() {
    let sandbox = Sandbox::start().unwrap();
    let cases = [
        (
            "POST",
            "/faults",
            json!([{ "action": "*", "fault": "nope" }]),
            "[0].fault",
        ),
        ("POST", "/clock", json!({ "now": "x" }), "now"),
        ("POST", "/clock", json!({ "later": 1 }), "later"),
        ("PATCH", "/tokens/0_nosuchid", json!({ "status": 1 }), "id"),
        ("POST", "/partners/1/tokens", json!([]), "partner"),
        (
            "POST",
            "/partners/102/tokens",
            json!([{ "status": "x" }]),
            "[0].status",
        ),
        (
            "POST",
            "/partners/102/tokens",
            json!([{ "colour": 1 }]),
            "[0].colour",
        ),
    ];
    for (method, path, body, field) in cases {
        let answer = control(&sandbox, method, path, &body);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(
            answer.status == 400 && error.starts_with(&format!("{field}:")),
            "{path}: {error}"
        );
        assert!(!error.contains('\n'));
    }
    assert_eq!(
        control(&sandbox, "GET", "/nothing", &json!(null)).status,
        404
    );
}

#[test]
fn recorded_requests_hold_no_secret() {
    let sandbox = Sandbox::start().unwrap();
    let (ks, widget) = (admin(&sandbox, &[]), widget(&sandbox));
    let token = add(&sandbox, &ks, &[("appToken[description]", "mine")]);
    let minted = exchange(&sandbox, &widget, &token, &[]);
    call(
        &sandbox,
        "session.get",
        &[("ks", &ks), ("session", minted["ks"].as_str().unwrap())],
    );
    call(
        &sandbox,
        "appToken.update",
        &[("ks", &ks), ("id", "x"), ("appToken[token]", "tokensecret")],
    );
    request(
        sandbox.port(),
        "GET",
        &format!("/api_v3/service/session/action/get/ks/{ks}?format=1"),
        None,
        b"",
    )
    .unwrap();
    let text = control(&sandbox, "GET", "/requests", &json!(null)).text();
    let hash = common::sha256(&widget, token["token"].as_str().unwrap());
    for secret in [
        &ks,
        &widget,
        sandbox.admin_secret(),
        minted["ks"].as_str().unwrap(),
        "tokensecret",
        &hash,
    ] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    let requests = sandbox.requests();
    let added = requests
        .iter()
        .find(|request| request.action == "add")
        .unwrap();
    assert_eq!((added.service.as_str(), added.status), ("appToken", 200));
    assert_eq!(added.masked["ks"], ks.len());
    assert_eq!(added.params["appToken"]["description"], "mine");
    assert_eq!(
        control(&sandbox, "DELETE", "/requests", &json!(null)).status,
        200
    );
    assert!(sandbox.requests().is_empty());
}

#[test]
fn without_control_there_is_no_control_interface() {
    let sandbox = Sandbox::builder().control(false).start().unwrap();
    assert_eq!(
        control(&sandbox, "POST", "/reset", &json!(null)).status,
        404
    );
    let refused = Sandbox::builder()
        .host("0.0.0.0")
        .start()
        .unwrap_err()
        .to_string();
    assert!(refused.contains("loopback"), "{refused}");
}

#[test]
fn a_dropped_sandbox_closes_its_sockets_at_once() {
    let sandbox = Sandbox::start().unwrap();
    let port = sandbox.port();
    let mut open = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    call(&sandbox, "system.ping", &[]);
    let started = Instant::now();
    drop(sandbox);
    assert!(matches!(open.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(started.elapsed() < Duration::from_secs(2));
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kaltura-sandbox"));
    command
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts the command and reads the URL off its first line.
fn started(args: &[&str]) -> (Child, u16) {
    let mut child = command(args).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let port = line
        .trim()
        .strip_prefix("http://127.0.0.1:")
        .and_then(|rest| rest.strip_suffix("/api_v3"));
    let port = port
        .unwrap_or_else(|| panic!("no URL: {line:?}"))
        .parse()
        .unwrap();
    (child, port)
}

#[cfg(unix)]
fn terminated(child: Child, signal: &str) -> (Option<i32>, String) {
    Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[cfg(unix)]
#[test]
fn the_command_serves_until_it_is_told_to_stop() {
    for signal in ["-TERM", "-INT"] {
        let (child, port) = started(&["--port", "0"]);
        let pong = request(
            port,
            "GET",
            "/api_v3/service/system/action/ping?format=1",
            None,
            b"",
        )
        .unwrap();
        assert_eq!(pong.text(), "true");
        assert_eq!(
            request(port, "POST", "/_sandbox/reset", None, b"")
                .unwrap()
                .status,
            404
        );
        let (code, stderr) = terminated(child, signal);
        assert_eq!(code, Some(0), "{signal}");
        assert!(
            stderr.contains("partner id: 102") && stderr.contains("admin secret: "),
            "{stderr}"
        );
    }
}

#[cfg(unix)]
#[test]
fn with_an_accounts_file_the_command_prints_no_secret() {
    let (child, port) = started(&["--control", "--accounts", &common::accounts_path()]);
    assert_eq!(
        request(port, "POST", "/_sandbox/reset", None, b"")
            .unwrap()
            .status,
        200
    );
    assert_eq!(terminated(child, "-TERM"), (Some(0), String::new()));
}

#[test]
fn wrong_use_of_the_command_is_one_line_and_exit_code_2() {
    let path = std::env::temp_dir().join(format!(
        "kaltura-sandbox-accounts-{}.json",
        std::process::id()
    ));
    std::fs::write(
        &path,
        r#"{"partners":[{"id":1,"adminSecret":5,"userSecret":"x"}]}"#,
    )
    .unwrap();
    let file = path.to_str().unwrap();
    let cases: [(&[&str], &[&str]); 4] = [
        (&["--accounts", file], &[file, "partners[0].adminSecret"]),
        (&["--accounts", "/nonexistent"], &["/nonexistent"]),
        (
            &["--control", "--host", "0.0.0.0"],
            &["control", "loopback"],
        ),
        (&["--colour"], &["--colour"]),
    ];
    for (args, words) in cases {
        let output = command(args).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), stderr.lines().count()),
            (Some(2), 1),
            "{args:?}: {stderr}"
        );
        assert!(
            words.iter().all(|word| stderr.contains(word)),
            "{args:?}: {stderr}"
        );
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn an_accounts_file_is_checked_field_by_field() {
    let cases = [
        ("{}", "partners"),
        (r#"{"partners":[]}"#, "partners"),
        (r#"{"partners":[{"id":0}]}"#, "partners[0].id"),
        (
            r#"{"partners":[{"id":1,"userSecret":"b"}]}"#,
            "partners[0].adminSecret",
        ),
        (
            r#"{"partners":[{"id":1,"adminSecret":"a","userSecret":"b","ksVersion":3}]}"#,
            "partners[0].ksVersion",
        ),
        (
            r#"{"partners":[{"id":1,"adminSecret":"a","userSecret":"b","max":3}]}"#,
            "partners[0].max",
        ),
    ];
    for (text, field) in cases {
        let error = Accounts::from_json(text).unwrap_err();
        assert!(error.starts_with(field), "{text}: {error}");
    }
}
