//! What any client may send without harm: names of any depth and number, large bodies, numbers beyond
//! their range, and control calls that come from a web page.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{FORM, add, admin, call, code, control, exchange, request, request_with, widget};
use kaltura_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Value, json};

const PING: &str = "/api_v3/service/system/action/ping?format=1";
const BOUNDARY: &str = "multipart/form-data; boundary=b";

fn ping(sandbox: &Sandbox) -> Value {
    call(sandbox, "system.ping", &[])
}

/// A form, as multipart.
fn multipart<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut body = String::new();
    for name in names {
        let _ = write!(
            body,
            "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n1\r\n"
        );
    }
    body + "--b--\r\n"
}

#[test]
fn a_name_of_any_depth_does_no_harm() {
    let sandbox = Sandbox::start().unwrap();
    for levels in [65, 2_500, 50_000, 200_000] {
        for level in ["[a]", "[]", ":a", ":"] {
            let name = format!("x{}", level.repeat(levels));
            let bodies = [
                (FORM, format!("{name}=1")),
                (FORM, format!("1:{name}=1&{name}=2")),
                (BOUNDARY, multipart([name.as_str()])),
                ("application/json", json!({ &name: 1 }).to_string()),
            ];
            for (kind, body) in bodies {
                for target in [PING, "/api_v3/service/multirequest?format=1"] {
                    let answer =
                        request(sandbox.port(), "POST", target, Some(kind), body.as_bytes());
                    assert_eq!(
                        answer.unwrap().status,
                        200,
                        "{kind}: {levels} times {level}"
                    );
                }
            }
            // A URL this long may be refused before it was read to its end, which resets the connection.
            let _ = request(
                sandbox.port(),
                "GET",
                &format!("{PING}&{name}=1"),
                None,
                b"",
            );
            let _ = request(
                sandbox.port(),
                "GET",
                &format!("/api_v3/{name}/1"),
                None,
                b"",
            );
            assert_eq!(ping(&sandbox), json!(true), "{levels} times {level}");
        }
        for (open, close) in [("{\"a\":", "}"), ("[", "]")] {
            let body = format!("{{\"x\":{}1{}}}", open.repeat(levels), close.repeat(levels));
            let kind = Some("application/json");
            let answer = request(sandbox.port(), "POST", PING, kind, body.as_bytes()).unwrap();
            assert_eq!(answer.text(), "true", "{levels} times {open}");
        }
    }
}

#[test]
fn as_in_php_64_levels_are_read_and_a_deeper_name_is_dropped() {
    let sandbox = Sandbox::start().unwrap();
    let sent = |levels: usize, level: &str| {
        let body = format!("x{}=1&y=2", level.repeat(levels));
        request(sandbox.port(), "POST", PING, Some(FORM), body.as_bytes()).unwrap();
        sandbox.requests().pop().unwrap().params
    };
    assert!(sent(64, "[a]")["x"].is_object());
    let dropped = sent(65, "[a]");
    assert_eq!((&dropped["x"], &dropped["y"]), (&Value::Null, &json!("2")));
}

#[test]
fn a_hundred_thousand_names_are_answered_at_once() {
    let sandbox = Sandbox::start().unwrap();
    let count = 100_000;
    let form = |name: &str| {
        let names = (0..count).map(|i| format!("{}=1", name.replace('#', &i.to_string())));
        (FORM, names.collect::<Vec<_>>().join("&"))
    };
    let object = |name: &str| {
        let fields = (0..count).map(|i| (name.replace('#', &i.to_string()), json!(1)));
        let object: serde_json::Map<String, Value> = fields.collect();
        ("application/json", Value::Object(object).to_string())
    };
    let parts: Vec<String> = (0..count).map(|i| format!("k{i}")).collect();
    let requests = [
        form("k#"),
        form("x[k#]"),
        form("x[]"),
        form("x:#"),
        form("#:a"),
        (BOUNDARY, multipart(parts.iter().map(String::as_str))),
        object("k#"),
        object("x:k#"),
        object("x::k#"),
        object("#:a"),
        (
            "application/json",
            json!({ "x": vec![1; count] }).to_string(),
        ),
    ];
    for (kind, body) in requests {
        // Of a form a thousand fields are read, of JSON all: a second or two, not the minute of a search for
        // each of them among the others.
        let seconds = if kind == "application/json" { 10 } else { 1 };
        for target in [PING, "/api_v3/service/multirequest?format=1"] {
            let started = Instant::now();
            let answer = request(sandbox.port(), "POST", target, Some(kind), body.as_bytes());
            assert_eq!(answer.unwrap().status, 200);
            let took = started.elapsed();
            assert!(
                took < Duration::from_secs(seconds),
                "{took:?} for {}",
                &body[..60]
            );
        }
    }
}

#[test]
fn a_hundred_thousand_privileges_are_answered_at_once() {
    let sandbox = Sandbox::start().unwrap();
    let (ks, widget) = (admin(&sandbox, &[]), widget(&sandbox));
    let names: Vec<String> = (0..100_000).map(|i| format!("p{i}")).collect();
    let privileges = names.join(",");
    let token = add(
        &sandbox,
        &ks,
        &[("appToken[sessionPrivileges]", &privileges)],
    );
    let started = Instant::now();
    admin(&sandbox, &[("privileges", &privileges)]);
    let extra = [("sessionPrivileges", privileges.as_str())];
    let minted = exchange(&sandbox, &widget, &token, &extra);
    call(
        &sandbox,
        "session.get",
        &[("ks", minted["ks"].as_str().unwrap())],
    );
    let took = started.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn as_in_php_the_first_thousand_names_of_a_form_are_read() {
    let sandbox = Sandbox::start().unwrap();
    let names: Vec<String> = (0..1_001).map(|i| format!("k{i}")).collect();
    let parts = multipart(names.iter().map(String::as_str));
    for (kind, body) in [(FORM, names.join("=1&")), (BOUNDARY, parts)] {
        request(sandbox.port(), "POST", PING, Some(kind), body.as_bytes()).unwrap();
        let params = sandbox.requests().pop().unwrap().params;
        assert_eq!(params["k999"], "1", "{kind}");
        assert_eq!(params["k1000"], Value::Null, "{kind}");
    }
}

#[test]
fn a_multirequest_is_not_copied_into_more_memory_than_php_has() {
    let sandbox = Sandbox::start().unwrap();
    let ks = admin(&sandbox, &[]);
    let long = "d".repeat(60_000);
    let token = add(&sandbox, &ks, &[("appToken[description]", &long)]);
    let send = |requests: Value| {
        let target = "/api_v3/service/multirequest?format=1";
        let (kind, body) = (Some("application/json"), requests.to_string());
        let answer = request(sandbox.port(), "POST", target, kind, body.as_bytes());
        answer.unwrap().json()
    };
    let each = 50;
    let many = 100;
    // What is referred to, over and over.
    let mut requests =
        json!({ "1": { "service": "appToken", "action": "get", "ks": ks, "id": token["id"] } });
    for index in 2..=many {
        let x = "{1:result:description}\n".repeat(each);
        requests[index.to_string()] = json!({ "service": "system", "action": "ping", "x": x });
    }
    let answers = send(requests);
    assert_eq!((&answers[1], &answers[10]), (&json!(true), &json!(true)));
    assert_eq!(code(&answers[many - 1]), "INTERNAL_SERVERL_ERROR");
    // What all of them share.
    let mut requests = json!({ "clientTag": long.repeat(each) });
    for index in 1..=many {
        requests[index.to_string()] = json!({ "service": "system", "action": "ping" });
    }
    let answers = send(requests);
    assert_eq!((&answers[0], &answers[10]), (&json!(true), &json!(true)));
    assert_eq!(code(&answers[many - 1]), "INTERNAL_SERVERL_ERROR");
    // What they answer.
    let mut requests = json!({ "ks": ks });
    let list = json!({ "service": "appToken", "action": "get", "id": token["id"] });
    for index in 1..=3_000 {
        requests[index.to_string()] = list.clone();
    }
    let answers = send(requests);
    assert_eq!(answers[10]["description"], long);
    assert_eq!(code(&answers[2_999]), "INTERNAL_SERVERL_ERROR");
}

#[test]
fn a_body_over_eight_mebibytes_is_refused_with_the_limit() {
    let sandbox = Sandbox::start().unwrap();
    let body = |bytes: usize| [b"x=".as_slice(), &vec![b'a'; bytes - 2]].concat();
    let send = |body: &[u8]| request(sandbox.port(), "POST", PING, Some(FORM), body).unwrap();
    assert_eq!(send(&body(8 << 20)).text(), "true");
    let refused = send(&body((8 << 20) + 1));
    assert_eq!(refused.status, 413);
    assert!(refused.text().contains("8388608"), "{}", refused.text());
    // Without a Content-Length too, and however much there is of it.
    let mut stream = TcpStream::connect(("127.0.0.1", sandbox.port())).unwrap();
    let head = format!(
        "POST {PING} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [b"100000\r\n".as_slice(), &vec![b'a'; 1 << 20], b"\r\n"].concat();
    for _ in 0..40 {
        stream.write_all(&chunk).unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(ping(&sandbox), json!(true));
}

#[test]
fn a_clock_order_out_of_range_is_refused_by_name_and_changes_nothing() {
    let sandbox = Sandbox::start().unwrap();
    let set = |order: &str| {
        let kind = ["Host: localhost"];
        let body = order.as_bytes();
        request_with(sandbox.port(), "POST", "/_sandbox/clock", kind, body).unwrap()
    };
    assert_eq!(set(r#"{"now":1000}"#).status, 200);
    let numbers = [
        "-1001",
        "1e13",
        "253402300800",
        "9223372036854775807",
        "18446744073709551615",
        "1e308",
        "-1e308",
        "null",
        "true",
        "\"NaN\"",
    ];
    for field in ["now", "advance", "offset"] {
        for number in numbers {
            // From the real time, a thousand seconds back are in order.
            if (field, number) == ("offset", "-1001") {
                continue;
            }
            let order = format!("{{\"{field}\":{number}}}");
            let answer = set(&order);
            assert_eq!(answer.status, 400, "{order}: {}", answer.text());
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(error.starts_with(&format!("{field}: ")), "{order}: {error}");
        }
    }
    for order in [
        r#"{"advance":5,"later":1}"#,
        r#"{"advance":5,"now":1e13}"#,
        r#"{"now":NaN}"#,
        r#"{"now":1e400}"#,
        "[5]",
    ] {
        assert_eq!(set(order).status, 400, "{order}");
    }
    assert_eq!(call(&sandbox, "system.getTime", &[]), json!(1000));
    let advanced = set(r#"{"advance":253402299799}"#);
    assert_eq!(advanced.json()["now"].as_f64(), Some(253_402_300_799.0));
    let last = request(sandbox.port(), "GET", PING, None, b"").unwrap();
    assert_eq!(last.header("date"), Some("Fri, 31 Dec 9999 23:59:59 GMT"));
}

#[test]
fn a_clock_that_is_set_out_of_range_in_process_says_so_to_who_set_it() {
    let sandbox = Sandbox::start().unwrap();
    for wrong in [1e13, -1.0, f64::NAN, f64::INFINITY] {
        let set =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sandbox.set_clock(wrong)));
        let said = set.unwrap_err().downcast::<String>().unwrap();
        assert!(said.starts_with("now: "), "{said}");
    }
    assert_eq!(ping(&sandbox), json!(true));
}

#[test]
fn a_source_of_time_that_is_off_the_scale_is_read_as_the_end_of_it() {
    for (source, expected) in [
        (f64::NAN, 0),
        (-5.0, 0),
        (1e300, 253_402_300_799_i64),
        (f64::INFINITY, 253_402_300_799),
    ] {
        let builder = Sandbox::builder().time_source(Arc::new(move || source));
        let sandbox = builder.start().unwrap();
        assert_eq!(call(&sandbox, "system.getTime", &[]), json!(expected));
    }
}

#[test]
fn numbers_at_the_ends_of_their_range_are_answered() {
    let sandbox = Sandbox::start().unwrap();
    let ks = admin(&sandbox, &[]);
    let partner = sandbox.partner_id().to_string();
    let widget = format!("_{partner}");
    let secret = sandbox.admin_secret();
    let ends = [
        i64::MAX.to_string(),
        i64::MIN.to_string(),
        "29999999999999999999x".to_owned(),
        "1e300".to_owned(),
        "-1e300".to_owned(),
    ];
    for end in &ends {
        let end = end.as_str();
        let start = [
            ("secret", secret),
            ("partnerId", &partner),
            ("expiry", end),
            ("privileges", "downloadasset:1"),
        ];
        call(&sandbox, "session.start", &start);
        call(&sandbox, "SESSION.start", &start);
        call(
            &sandbox,
            "session.startWidgetSession",
            &[("widgetId", &widget), ("expiry", end)],
        );
        for field in ["expiry", "sessionDuration", "createdAt", "partnerId"] {
            let name = format!("appToken[{field}]");
            call(&sandbox, "appToken.add", &[("ks", &ks), (&name, end)]);
        }
        for name in [
            "pager[pageIndex]",
            "pager[pageSize]",
            "filter[createdAtGreaterThanOrEqual]",
        ] {
            call(&sandbox, "appToken.list", &[("ks", &ks), (name, end)]);
        }
        let list = format!("x[{end}]=1&x[]=2&{end}:service=system&format=1");
        for target in [PING, "/api_v3/service/multirequest?format=1"] {
            let answer = request(sandbox.port(), "POST", target, Some(FORM), list.as_bytes());
            assert_eq!(answer.unwrap().status, 200, "{list}");
        }
    }
}

#[test]
fn a_panic_answers_500_and_the_next_request_is_answered() {
    let broken = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&broken);
    let builder = Sandbox::builder().time_source(Arc::new(move || {
        assert!(!seen.load(Ordering::Relaxed), "a source of time that fails");
        1000.0
    }));
    let sandbox = builder.start().unwrap();
    let mut open = TcpStream::connect(("127.0.0.1", sandbox.port())).unwrap();
    broken.store(true, Ordering::Relaxed);
    for target in [PING, "/_sandbox/requests", "/elsewhere"] {
        let answer = request(sandbox.port(), "GET", target, None, b"").unwrap();
        assert_eq!(answer.status, 500, "{target}");
    }
    broken.store(false, Ordering::Relaxed);
    assert_eq!(ping(&sandbox), json!(true));
    sandbox.add_fault(Fault::new("*", FaultKind::Empty));
    assert_eq!(
        control(&sandbox, "POST", "/reset", &json!(null)).status,
        200
    );
    assert_eq!(ping(&sandbox), json!(true));
    // Connections that were open go on.
    let again = format!("GET {PING} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    open.write_all(again.as_bytes()).unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("true"), "{answer}");
}

/// Every control call that there is.
const CONTROL_CALLS: [(&str, &str); 9] = [
    ("POST", "/reset"),
    ("PATCH", "/tokens/0_aaaaaaaa"),
    ("POST", "/partners/102/tokens"),
    ("DELETE", "/partners/102/tokens"),
    ("POST", "/faults"),
    ("DELETE", "/faults"),
    ("POST", "/clock"),
    ("GET", "/requests"),
    ("DELETE", "/requests"),
];

#[test]
fn a_control_call_from_a_web_page_is_refused_and_changes_nothing() {
    let sandbox = Sandbox::start().unwrap();
    sandbox.set_clock(1000.0);
    let port = sandbox.port();
    let own = format!("Host: localhost:{port}");
    let here = format!("Host: 127.0.0.1:{port}");
    let cases: [(&[&str], &str); 14] = [
        (&["Host: evil.example"], "Host"),
        (&["Host: localhost.evil.example"], "Host"),
        (&["Host: 127.0.0.1.evil.example:80"], "Host"),
        (&["Host: localhost@evil.example"], "Host"),
        (&["Host: 10.0.0.1"], "Host"),
        (&["Host: [::2]:80"], "Host"),
        (&["Host: "], "Host"),
        (&[], "Host"),
        (&["Host: localhost", "Host: evil.example"], "Host"),
        (&[&own, "Origin: https://evil.example"], "Origin"),
        (&[&own, "Origin: null"], "Origin"),
        // Another server of this machine, or the same one under a name that its page was not loaded from.
        (&[&own, "Origin: http://localhost:1"], "Origin"),
        (&[&here, "Origin: http://127.0.0.2:1"], "Origin"),
        (&[&own, "Sec-Fetch-Site: cross-site"], "Sec-Fetch-Site"),
    ];
    for (lines, word) in cases {
        for (method, path) in CONTROL_CALLS {
            let lines = lines.iter().copied().chain(["Content-Type: text/plain"]);
            let target = format!("/_sandbox{path}");
            let body = br#"{"now":5,"action":"*","fault":"empty"}"#;
            let answer = request_with(port, method, &target, lines.clone(), body).unwrap();
            let told = format!(
                "{:?} {method} {path}: {}",
                lines.collect::<Vec<_>>(),
                answer.text()
            );
            assert_eq!(answer.status, 403, "{told}");
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(error.starts_with(&format!("{word}: ")), "{told}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    assert_eq!(call(&sandbox, "system.getTime", &[]), json!(1000));
    assert_eq!(
        sandbox.requests().len(),
        1,
        "none of it was recorded or forgotten"
    );
    let absolute = "http://evil.example/_sandbox/reset";
    let answer = request_with(port, "POST", absolute, ["Host: localhost"], b"").unwrap();
    assert_eq!(answer.status, 403);
}

#[test]
fn a_control_call_from_this_machine_is_answered() {
    let sandbox = Sandbox::start().unwrap();
    let port = sandbox.port();
    let same = (
        format!("Host: 127.0.0.1:{port}"),
        format!("Origin: http://127.0.0.1:{port}"),
    );
    let cases: [&[&str]; 8] = [
        &["Host: localhost"],
        &["Host: LOCALHOST:9"],
        &["Host: 127.0.0.1"],
        &["Host: 127.1.2.3:80"],
        &["Host: [::1]"],
        &["Host: [::1]:8080"],
        &[&same.0, &same.1, "Sec-Fetch-Site: same-origin"],
        &["Host: localhost", "Sec-Fetch-Site: none"],
    ];
    for lines in cases {
        for (method, path) in CONTROL_CALLS {
            // Text is what a program sends that says nothing of JSON.
            let lines = lines.iter().copied().chain(["Content-Type: text/plain"]);
            let target = format!("/_sandbox{path}");
            let answer = request_with(port, method, &target, lines.clone(), b"{}").unwrap();
            let told = format!("{:?} {method} {path}", lines.collect::<Vec<_>>());
            assert_ne!(answer.status, 403, "{told}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
}

#[test]
fn an_api_call_is_answered_under_any_host_and_from_any_page() {
    let sandbox = Sandbox::start().unwrap();
    let lines = ["Host: www.kaltura.com", "Origin: https://example.com"];
    let answer = request_with(sandbox.port(), "GET", PING, lines, b"").unwrap();
    assert_eq!(answer.text(), "true");
    let nobody = request(
        sandbox.port(),
        "GET",
        "/api_v3/service/x/action/y?format=1",
        None,
        b"",
    );
    assert_eq!(code(&nobody.unwrap().json()), "SERVICE_DOES_NOT_EXISTS");
}
