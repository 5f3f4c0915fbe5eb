//! What a caller can rely on: sessions that expire and end and are restricted, every way of writing a
//! request, several requests in one, and the lists.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test may panic, and a table may be long"
)]

mod common;

use std::fmt::Write as _;

use common::{
    FORM, add, admin, call, code, exchange, post, reason, recorded_sandbox, request, widget,
};
use kaltura_sandbox::Sandbox;
use serde_json::{Value, json};

#[test]
fn a_session_expires_when_the_clock_says_so() {
    let sandbox = Sandbox::start().unwrap();
    let ks = admin(&sandbox, &[("expiry", "60")]);
    assert_eq!(
        call(&sandbox, "session.get", &[("ks", &ks)])["sessionType"],
        "2"
    );
    sandbox.advance_clock(61.0);
    assert_eq!(
        reason(&call(&sandbox, "session.get", &[("ks", &ks)])),
        "EXPIRED"
    );
    sandbox.set_clock_offset(0.0);
    assert_eq!(
        call(&sandbox, "session.get", &[("ks", &ks)])["sessionType"],
        "2"
    );
}

#[test]
fn restrictions_of_a_session_are_enforced() {
    let sandbox = Sandbox::start().unwrap();
    let refused = |privileges: &str| {
        let ks = admin(&sandbox, &[("privileges", privileges)]);
        let answer = call(&sandbox, "appToken.list", &[("ks", &ks)]);
        (answer["code"].is_string()).then(|| reason(&answer).to_owned())
    };
    let cases = [
        ("iprestrict:10.0.0.1", Some("EXCEEDED_RESTRICTED_IP")),
        ("iprestrict:10.0.0.1/127.0.0.1", None),
        (
            "urirestrict:/api_v3/service/session/*",
            Some("EXCEEDED_RESTRICTED_URI"),
        ),
        (
            "urirestrict:/nowhere|/api_v3/service/appToken/action/list",
            None,
        ),
        ("actionslimit:0", Some("EXCEEDED_ACTIONS_LIMIT")),
        ("actionslimit:1", None),
    ];
    for (privileges, expected) in cases {
        assert_eq!(refused(privileges).as_deref(), expected, "{privileges}");
    }
    let ks = admin(&sandbox, &[("privileges", "actionslimit:2")]);
    for expected in [None, None, Some("EXCEEDED_ACTIONS_LIMIT")] {
        let answer = call(&sandbox, "session.get", &[("ks", &ks)]);
        assert_eq!(answer["args"]["KSID"].as_str(), expected);
    }
}

#[test]
fn a_forged_session_is_refused_with_its_own_text() {
    let sandbox = Sandbox::start().unwrap();
    let mut ks = admin(&sandbox, &[]);
    let middle = if &ks[40..41] == "A" { "B" } else { "A" };
    ks.replace_range(40..41, middle);
    assert_eq!(reason(&call(&sandbox, "appToken.list", &[("ks", &ks)])), ks);
}

#[test]
fn deleting_a_token_ends_its_sessions_and_ending_one_session_ends_them_all() {
    let sandbox = Sandbox::start().unwrap();
    let (ks, widget) = (admin(&sandbox, &[]), widget(&sandbox));
    let mint = |token: &Value| {
        exchange(&sandbox, &widget, token, &[])["ks"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let deleted = add(&sandbox, &ks, &[("appToken[sessionType]", "2")]);
    let minted = mint(&deleted);
    assert_eq!(
        call(
            &sandbox,
            "appToken.delete",
            &[("ks", &ks), ("id", deleted["id"].as_str().unwrap())]
        ),
        Value::Null
    );
    assert_eq!(
        reason(&call(&sandbox, "appToken.list", &[("ks", &minted)])),
        "LOGOUT"
    );

    let token = add(&sandbox, &ks, &[("appToken[sessionType]", "2")]);
    let (first, second) = (mint(&token), mint(&token));
    assert_eq!(
        call(&sandbox, "session.end", &[("ks", &first)]),
        Value::Null
    );
    for ended in [second, mint(&token)] {
        assert_eq!(
            reason(&call(&sandbox, "appToken.list", &[("ks", &ended)])),
            "LOGOUT"
        );
    }
}

#[test]
fn any_valid_session_lists_media_and_only_an_admin_one_lists_tokens() {
    let sandbox = Sandbox::start().unwrap();
    let user = widget(&sandbox);
    let page = json!({ "objects": [], "totalCount": 0, "objectType": "KalturaMediaListResponse" });
    assert_eq!(call(&sandbox, "media.list", &[("ks", &user)]), page);
    assert_eq!(
        call(&sandbox, "baseEntry.list", &[("ks", &user)])["objectType"],
        "KalturaBaseEntryListResponse"
    );
    assert_eq!(
        code(&call(&sandbox, "media.list", &[])),
        "SERVICE_FORBIDDEN"
    );
    assert_eq!(
        code(&call(&sandbox, "appToken.list", &[("ks", &user)])),
        "SERVICE_FORBIDDEN"
    );
    assert_eq!(call(&sandbox, "system.ping", &[]), json!(true));
}

#[test]
fn a_session_for_a_download_repeats_for_five_minutes() {
    let sandbox = Sandbox::start().unwrap();
    sandbox.set_clock(1_800_000_001.0);
    let start = || admin(&sandbox, &[("privileges", "downloadasset:1_a")]);
    let first = start();
    sandbox.advance_clock(100.0);
    assert_eq!(start(), first);
    assert_eq!(
        call(&sandbox, "session.get", &[("ks", &first)])["expiry"],
        "1800086700"
    );
}

/// Parameters of a list, and what it answers: the total, how many are shown, the first one's id.
type ListCase<'a> = (&'a [(&'a str, &'a str)], i64, Option<usize>, Option<String>);

/// The same list request, written in every way that the server reads.
#[test]
fn a_request_can_be_written_in_many_ways() {
    let sandbox = Sandbox::start().unwrap();
    let ks = admin(&sandbox, &[]);
    let token = add(&sandbox, &ks, &[]);
    let id = token["id"].as_str().unwrap();
    let form = |pairs: &[(&str, &str)]| (FORM.to_owned(), common::encode(pairs));
    let json = |value: Value| ("application/json".to_owned(), value.to_string());
    let multipart = |pairs: &[(&str, &str)]| {
        let mut body = String::new();
        for (name, value) in pairs {
            let _ = write!(
                body,
                "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        }
        (
            "multipart/form-data; boundary=b".to_owned(),
            body + "--b--\r\n",
        )
    };
    let path = "/api_v3/service/appToken/action/list";
    let object = json!({ "ks": ks, "format": 1, "filter": { "idEqual": id } });
    let ways = [
        (
            "POST",
            path.to_owned(),
            form(&[("ks", &ks), ("format", "1"), ("filter[idEqual]", id)]),
        ),
        (
            "POST",
            format!("{path}/"),
            form(&[("ks", &ks), ("format", "1"), ("filter:idEqual", id)]),
        ),
        (
            "POST",
            "/api_v3/service/apptoken/action/LIST".to_owned(),
            json(object.clone()),
        ),
        (
            "POST",
            path.to_owned(),
            multipart(&[("ks", &ks), ("format", "1"), ("filter[idEqual]", id)]),
        ),
        (
            "POST",
            path.to_owned(),
            multipart(&[("json", &object.to_string())]),
        ),
        (
            "POST",
            format!("{path}/ks/{ks}/format/1?filter[idEqual]={id}"),
            form(&[]),
        ),
        (
            "POST",
            format!("{path}?filter%5BidEqual%5D={id}"),
            form(&[("ks", &ks), ("format", "1"), ("filter[idEqual]", "no")]),
        ),
        (
            "POST",
            "/api_v3/".to_owned(),
            form(&[
                ("service", "appToken"),
                ("action", "list"),
                ("ks", &ks),
                ("format", "1"),
            ]),
        ),
        (
            "GET",
            format!("/api_v3/index.php?service=appToken&action=list&ks={ks}&format=1"),
            form(&[]),
        ),
    ];
    for (method, target, (kind, body)) in ways {
        let answer = request(
            sandbox.port(),
            method,
            &target,
            Some(&kind),
            body.as_bytes(),
        )
        .unwrap();
        assert_eq!(
            answer.json()["objects"][0]["id"],
            id,
            "{method} {target} {kind}"
        );
    }
    let charset = "application/json; charset=utf-8";
    let ignored = request(
        sandbox.port(),
        "POST",
        path,
        Some(charset),
        object.to_string().as_bytes(),
    )
    .unwrap();
    assert!(
        ignored.text().contains("SERVICE_FORBIDDEN"),
        "a body with a charset is not read"
    );
    let options = request(sandbox.port(), "OPTIONS", path, None, b"").unwrap();
    assert_eq!((options.status, options.body.len()), (200, 0));
}

#[test]
fn a_request_to_nowhere_says_so() {
    let sandbox = Sandbox::start().unwrap();
    let answered = |action: &str| code(&call(&sandbox, action, &[])).to_owned();
    assert_eq!(answered("nothing.list"), "SERVICE_DOES_NOT_EXISTS");
    assert_eq!(answered("appToken.nothing"), "ACTION_DOES_NOT_EXISTS");
    let nameless = request(sandbox.port(), "POST", "/api_v3/", Some(FORM), b"format=1").unwrap();
    assert_eq!(code(&nameless.json()), "SERVICE_NOT_SPECIFIED");
    assert_eq!(
        request(sandbox.port(), "GET", "/elsewhere", None, b"")
            .unwrap()
            .status,
        404
    );
}

#[test]
fn formats_are_json_xml_php_or_nothing() {
    let sandbox = Sandbox::start().unwrap();
    let ask = |format: &str| {
        request(
            sandbox.port(),
            "POST",
            &format!("/api_v3/service/system/action/ping?{format}"),
            Some(FORM),
            b"",
        )
        .unwrap()
    };
    let json = ask("format=1");
    assert_eq!(
        (json.text().as_str(), json.header("content-type")),
        ("true", Some("application/json"))
    );
    for xml in [ask(""), ask("format=2")] {
        assert_eq!(xml.header("content-type"), Some("text/xml;charset=UTF-8"));
        assert!(xml.text().starts_with(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><xml><result>1</result><executionTime>"
        ));
    }
    assert_eq!(ask("format=3").text(), "b:1;");
    let unknown = ask("format=77");
    assert_eq!((unknown.status, unknown.text().as_str()), (200, ""));
    assert_eq!(ask("format=9&callback=f").text(), "f(true);");
}

#[test]
fn a_multirequest_runs_in_order_refers_back_and_survives_failures() {
    let sandbox = Sandbox::start().unwrap();
    let ks = admin(&sandbox, &[]);
    let body = common::encode(&[
        ("format", "1"),
        ("ks", &ks),
        ("1:service", "appToken"),
        ("1:action", "add"),
        ("1:appToken:description", "first"),
        ("2[service]", "appToken"),
        ("2[action]", "get"),
        ("2[id]", "{1:result:id}"),
        ("3:service", "appToken"),
        ("3:action", "get"),
        ("3:id", "{1:result:nothing}"),
        ("4:service", "system"),
        ("4:action", "ping"),
        ("6:service", "system"),
        ("6:action", "ping"),
    ]);
    let target = "/api_v3/service/multirequest";
    let answer = request(sandbox.port(), "POST", target, Some(FORM), body.as_bytes())
        .unwrap()
        .json();
    let answers = answer.as_array().unwrap();
    assert_eq!(
        answers.len(),
        4,
        "numbering stops at the first gap: {answer}"
    );
    assert_eq!(answers[1], answers[0]);
    assert_eq!(code(&answers[2]), "MISSING_MANDATORY_PARAMETER");
    assert_eq!(answers[3], json!(true));

    let object = json!({
        "format": 1,
        "1": { "service": "session", "action": "get", "ks": ks },
        "2": { "service": "session", "action": "get", "ks": "garbage" },
    });
    let answer = request(
        sandbox.port(),
        "POST",
        target,
        Some("application/json"),
        object.to_string().as_bytes(),
    );
    let answer = answer.unwrap().json();
    assert_eq!(answer[0]["partnerId"], sandbox.partner_id().to_string());
    assert_eq!(reason(&answer[1]), "garbage");
}

#[test]
fn lists_are_filtered_ordered_and_paged() {
    let sandbox = recorded_sandbox();
    let start = [
        ("secret", "0123456789abcdef0123456789abcdef"),
        ("partnerId", "102"),
        ("type", "2"),
    ];
    let ks = call(&sandbox, "session.start", &start)
        .as_str()
        .unwrap()
        .to_owned();
    let rows: Vec<Value> = (0..40)
        .map(|i| json!({ "id": format!("0_bulk{i:04}"), "createdAt": 1_700_000_000 + i, "updatedAt": 1_700_000_000, "sessionUserId": if i % 2 == 0 { "even" } else { "odd" } }))
        .collect();
    assert_eq!(sandbox.add_tokens(102, &json!(rows)).unwrap(), 40);
    let list = |pairs: &[(&str, &str)]| {
        let answer = call(
            &sandbox,
            "appToken.list",
            &[&[("ks", ks.as_str())], pairs].concat(),
        );
        let shown = answer["objects"].as_array().map(Vec::len);
        (
            answer["totalCount"].as_i64().unwrap(),
            shown,
            answer["objects"][0]["id"].as_str().map(str::to_owned),
        )
    };
    let first = |id: &str| Some(id.to_owned());
    let cases: [ListCase<'_>; 14] = [
        (&[], 40, Some(30), first("0_bulk0000")),
        (
            &[("pager[pageSize]", "0")],
            40,
            Some(40),
            first("0_bulk0000"),
        ),
        (
            &[("pager[pageSize]", "x")],
            40,
            Some(40),
            first("0_bulk0000"),
        ),
        (
            &[("pager[pageSize]", "7"), ("pager[pageIndex]", "6")],
            40,
            Some(5),
            first("0_bulk0035"),
        ),
        (
            &[("pager[pageSize]", "7"), ("pager[pageIndex]", "9")],
            40,
            Some(0),
            None,
        ),
        (
            &[("pager[pageIndex]", "-3")],
            40,
            Some(30),
            first("0_bulk0000"),
        ),
        (
            &[("filter[orderBy]", "-createdAt")],
            40,
            Some(30),
            first("0_bulk0039"),
        ),
        (
            &[("filter[idIn]", "0_BULK0003,0_bulk0004, 0_bulk0005")],
            2,
            Some(2),
            first("0_bulk0003"),
        ),
        (
            &[("filter[sessionUserIdEqual]", "EVEN")],
            20,
            Some(20),
            first("0_bulk0000"),
        ),
        (&[("filter[sessionUserIdEqual]", "nobody")], 0, None, None),
        (
            &[("filter[hashTypeEqual]", "MD5")],
            40,
            Some(30),
            first("0_bulk0000"),
        ),
        (&[("filter[statusEqual]", "1")], 0, Some(0), None),
        (
            &[("filter[createdAtGreaterThanOrEqual]", "1700000038")],
            2,
            Some(2),
            first("0_bulk0038"),
        ),
        (
            &[("filter[createdAtGreaterThanOrEqual]", "")],
            40,
            Some(30),
            first("0_bulk0000"),
        ),
    ];
    for (pairs, total, shown, id) in cases {
        assert_eq!(list(pairs), (total, shown, id), "{pairs:?}");
    }
    let wrong = call(
        &sandbox,
        "appToken.list",
        &[("ks", &ks), ("filter[statusEqual]", "9")],
    );
    assert_eq!(code(&wrong), "INVALID_ENUM_VALUE");
    let scalar = call(&sandbox, "appToken.list", &[("ks", &ks), ("filter", "x")]);
    assert_eq!(code(&scalar), "PROPERTY_VALIDATION_WRONG_FORMAT");
}

#[test]
fn a_response_profile_keeps_secrets_on_the_server() {
    let sandbox = Sandbox::start().unwrap();
    let ks = admin(&sandbox, &[]);
    add(&sandbox, &ks, &[]);
    let with = |kind: &str, fields: &str| {
        let profile = [
            ("ks", ks.as_str()),
            (
                "responseProfile[objectType]",
                "KalturaDetachedResponseProfile",
            ),
            ("responseProfile[type]", kind),
            ("responseProfile[fields]", fields),
        ];
        call(&sandbox, "appToken.list", &profile)["objects"][0].clone()
    };
    let without = with("2", "token");
    assert!(without["id"].is_string() && without["token"].is_null());
    let only = with("1", "id,status");
    assert_eq!(only.as_object().unwrap().len(), 3, "{only}");
}

#[test]
fn the_exchange_narrows_and_caps() {
    let sandbox = Sandbox::start().unwrap();
    sandbox.set_clock(1_800_000_000.0);
    let (ks, widget) = (admin(&sandbox, &[]), widget(&sandbox));
    let token = add(
        &sandbox,
        &ks,
        &[
            ("appToken[sessionPrivileges]", "sview:*,edit:1_a"),
            ("appToken[sessionDuration]", "600"),
            ("appToken[sessionUserId]", "u"),
        ],
    );
    let session = exchange(
        &sandbox,
        &widget,
        &token,
        &[
            ("sessionPrivileges", "sview:1_x,edit:*,list:*,foo:bar"),
            ("expiry", "9999"),
            ("userId", "other"),
        ],
    );
    let id = token["id"].as_str().unwrap();
    assert_eq!(
        session["privileges"],
        format!("sessionid:{id},apptoken:{id},sview:1_x,edit:1_a,foo:bar")
    );
    assert_eq!(
        (&session["expiry"], &session["userId"]),
        (&json!(1_800_000_600), &json!("u"))
    );
    let mut wrong = token.clone();
    wrong["token"] = json!("x");
    assert_eq!(
        code(&exchange(&sandbox, &widget, &wrong, &[])),
        "INVALID_APP_TOKEN_HASH"
    );
}

#[test]
fn ten_thousand_tokens_are_no_trouble() {
    let sandbox = Sandbox::start().unwrap();
    let ks = admin(&sandbox, &[]);
    let rows: Vec<Value> = (0..10_000)
        .map(|i| json!({ "description": i.to_string() }))
        .collect();
    sandbox
        .add_tokens(sandbox.partner_id(), &json!(rows))
        .unwrap();
    assert_eq!(sandbox.token_count(sandbox.partner_id()), 10_000);
    let page = call(
        &sandbox,
        "appToken.list",
        &[("ks", &ks), ("pager[pageSize]", "500")],
    );
    assert_eq!(
        (
            &page["totalCount"],
            page["objects"].as_array().unwrap().len()
        ),
        (&json!(10_000), 500)
    );
}

#[test]
fn every_answer_forbids_caching_and_is_dated_by_the_sandboxs_clock() {
    let sandbox = Sandbox::start().unwrap();
    sandbox.set_clock(784_111_777.0);
    let answer = post(&sandbox, "system.ping", &[]).unwrap();
    assert_eq!(answer.header("date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    let cache = "no-store, no-cache, must-revalidate, post-check=0, pre-check=0";
    assert_eq!(answer.header("cache-control"), Some(cache));
    assert_eq!(call(&sandbox, "system.getTime", &[]), json!(784_111_777));
}
