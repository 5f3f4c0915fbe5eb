//! What a server says is not taken for more than it is: its time, its answers, its words, and how often
//! it may be asked.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kaltura_app_token::{
    BoxFuture, Client, ClientBuilder, Clock, Error, ErrorKind, Ks, ListOptions, NewToken, Pager,
    Secret, SessionKey, SessionProvider, SessionRequest, TokenSource, TokenUpdate, blocking,
};
use kaltura_e2e::{Reply, ScriptedServer, admin, builder, now, sandbox};

const ADMIN_SECRET: &str = "canary-admin-secret-5d41402abc4b";
const WIDGET: &str = r#"{"ks":"djJ8d2lkZ2V0LXNlc3Npb24","partnerId":102,"userId":0}"#;
const TOKEN: &str = r#"{"id":"0_abcdefgh","token":"0123456789abcdef0123456789abcdef","createdAt":1800000000,
    "objectType":"KalturaAppToken"}"#;
const EXPIRED: &str = r#"{"code":"INVALID_KS","message":"Invalid KS \"EXPIRED\", Error \"-1,INVALID_STR\"",
    "objectType":"KalturaAPIException","args":{"KSID":"EXPIRED","ERR_CODE":"-1","ERR_DESC":"INVALID_STR"}}"#;

fn client_of(server: &ScriptedServer) -> ClientBuilder {
    Client::builder()
        .service_url(server.service_url())
        .partner_id(102)
        .admin_secret(ADMIN_SECRET)
        .retry_backoff(Duration::from_millis(1))
}

fn unix_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// A `Date` this many seconds from now.
fn date(ahead: i64) -> String {
    let at = UNIX_EPOCH + Duration::from_secs((unix_now() + ahead).unsigned_abs());
    httpdate::fmt_http_date(at)
}

#[tokio::test]
async fn the_time_is_taken_from_answers_of_the_api_itself_and_from_nothing_else() {
    const HOUR: i64 = 3_600;
    let json = ("Content-Type", "application/json");
    for (what, believed, ahead, status, headers, body) in [
        ("the API's answer", true, HOUR, 200, vec![json], TOKEN),
        ("the API's exception", true, HOUR, 200, vec![json], EXPIRED),
        (
            "a proxy's page",
            false,
            HOUR,
            502,
            vec![json],
            "<html>Bad Gateway</html>",
        ),
        (
            "a page with status 200",
            false,
            HOUR,
            200,
            vec![json],
            "<html>Welcome</html>",
        ),
        (
            "something else in JSON",
            false,
            HOUR,
            200,
            vec![json],
            r#"{"status":"maintenance"}"#,
        ),
        (
            "an answer out of a cache",
            false,
            HOUR,
            200,
            vec![json, ("Age", "600")],
            TOKEN,
        ),
        (
            "a date in 73 years",
            false,
            73 * 365 * 24 * HOUR,
            200,
            vec![json],
            TOKEN,
        ),
        (
            "a date two days ago",
            false,
            -48 * HOUR,
            200,
            vec![json],
            TOKEN,
        ),
    ] {
        let date = date(ahead);
        let server = ScriptedServer::start(move |_| {
            let mut headers = headers.clone();
            headers.push(("Date", date.as_str()));
            Reply::new(status, &headers, body)
        });
        let client = client_of(&server).max_retries(0).build().unwrap();
        let _ = client.get_token("0_abcdefgh").await;
        let difference = client.clock_difference_seconds().unwrap_or_default();
        assert_eq!(difference.abs() > 60, believed, "{what}: {difference}");
    }

    let server = ScriptedServer::start(|_| Reply::json_at(&date(HOUR), WIDGET));
    let client = client_of(&server).build().unwrap();
    client.start_widget_session().await.unwrap();
    assert_eq!(
        client.clock_difference_seconds(),
        None,
        "it may be cached for ten minutes"
    );
}

#[tokio::test]
async fn no_date_makes_us_sign_a_session_that_lasts_longer_than_was_asked_for() {
    for ahead in [73 * 365 * 86_400, 86_400, 82_800] {
        let date = date(ahead);
        let server = ScriptedServer::start(move |_| Reply::json_at(&date, TOKEN));
        let client = client_of(&server)
            .admin_session_duration(Duration::from_secs(600))
            .build()
            .unwrap();
        for _ in 0..2 {
            client.get_token("0_abcdefgh").await.unwrap();
        }
        let sign = client
            .sign_admin_session(kaltura_app_token::KsVersion::V2)
            .unwrap();
        for ks in server
            .requests()
            .iter()
            .map(|request| request.params["ks"].as_str())
            .chain([sign.ks.reveal()])
        {
            let read = Ks::open(&Secret::from(ks), &[Secret::from(ADMIN_SECRET)]).unwrap();
            let lasts = read.expiry.unwrap() - unix_now();
            assert!(
                lasts <= 86_400 + 600,
                "{ahead}: a session for {lasts} s was sent"
            );
        }
    }
}

/// Our two clocks, set by hand, in seconds.
#[derive(Debug, Default)]
struct Hands {
    wall: AtomicI64,
    steady: AtomicI64,
}

impl Clock for Hands {
    fn unix_now(&self) -> Duration {
        Duration::from_secs(self.wall.load(Ordering::SeqCst).unsigned_abs())
    }

    fn steady_now(&self) -> Duration {
        Duration::from_secs(self.steady.load(Ordering::SeqCst).unsigned_abs())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[tokio::test]
async fn no_expired_session_is_handed_out_whatever_becomes_of_our_clocks() {
    const LIFE: i64 = 600;
    for (what, wall, steady) in [
        ("time passes", 700, 700),
        (
            "the wall clock is set back an hour meanwhile",
            700 - 3_600,
            700,
        ),
        (
            "the machine is suspended, and the steady clock with it",
            28_800,
            0,
        ),
        ("the wall clock is set forward", 86_400 * 3, 1),
    ] {
        let start = unix_now();
        let clock = Arc::new(Hands::default());
        clock.wall.store(start, Ordering::SeqCst);
        let minted = AtomicUsize::new(0);
        let times = Arc::clone(&clock);
        let server = ScriptedServer::start(move |request| {
            if request.action == "session.startWidgetSession" {
                return Reply::json(WIDGET);
            }
            // The server's clock goes right: it was ours at first.
            let now = match minted.fetch_add(1, Ordering::SeqCst) {
                0 => start,
                _ => start + steady.max(if wall == 28_800 { wall } else { 0 }),
            };
            let at = UNIX_EPOCH + Duration::from_secs(now.unsigned_abs());
            let body = format!(
                r#"{{"ks":"djJ8bWludGVkLXNlc3Npb24{now}","expiry":{}}}"#,
                now + LIFE
            );
            Reply::json_at(&httpdate::fmt_http_date(at), &body)
        });
        let client = client_of(&server).clock(times).build().unwrap();
        let provider = SessionProvider::new(client, TokenSource::value("0_abcdefgh", "value"));
        let key = SessionKey::new();
        provider.get(&key).await.unwrap();
        clock.wall.fetch_add(wall, Ordering::SeqCst);
        clock.steady.fetch_add(steady, Ordering::SeqCst);
        for _ in 0..10 {
            provider.get(&key).await.unwrap();
        }
        assert_eq!(
            server.arrived("appToken.startSession"),
            2,
            "{what}: one minting more, and no other"
        );
    }
}

/// Answers that are no success of any action.
const NO_SUCCESS: [&str; 12] = [
    "{}",
    "[]",
    "",
    r#""Your request was rate limited""#,
    r#"{"status":"maintenance"}"#,
    r#"{"code":"SOME_CODE","message":null,"objectType":"KalturaAPIException"}"#,
    r#"{"code":500,"message":"x","objectType":"KalturaAPIException","args":[]}"#,
    r#"{"result":{"code":"SOME_CODE","message":"x","objectType":"KalturaAPIException"}}"#,
    r#"{"code":"SOME_CODE"}"#,
    "[[]]",
    "5",
    "<html></html>",
];

#[tokio::test]
async fn an_answer_of_another_shape_is_a_failure_of_every_action() {
    for body in NO_SUCCESS {
        let server = ScriptedServer::start(move |request| match request.action.as_str() {
            "session.startWidgetSession" if request.params.contains_key("widgetId") => {
                Reply::json(WIDGET)
            }
            _ => Reply::json(body),
        });
        let client = client_of(&server).max_retries(0).build().unwrap();
        let ks = Secret::from("djJ8c29tZS1taW50ZWQtc2Vzc2lvbg");
        let id = "0_abcdefgh";
        let update = TokenUpdate::new().description("new");
        let outcomes = [
            (
                "get",
                client.get_token(id).await.map(|token| format!("{token:?}")),
            ),
            (
                "update",
                client
                    .update_token(id, &update)
                    .await
                    .map(|token| format!("{token:?}")),
            ),
            (
                "add",
                client
                    .add_token(&NewToken::new())
                    .await
                    .map(|token| format!("{token:?}")),
            ),
            (
                "list",
                client
                    .list_tokens(&ListOptions::default(), Pager::default())
                    .await
                    .map(|page| format!("{page:?}")),
            ),
            (
                "delete",
                client.delete_token(id).await.map(|()| String::new()),
            ),
            (
                "session",
                client
                    .start_session(&SessionRequest::new(id, "value"))
                    .await
                    .map(|session| format!("{session:?}")),
            ),
            (
                "session info",
                client
                    .session_info(Some(&ks))
                    .await
                    .map(|info| format!("{info:?}")),
            ),
            ("end", client.end_session(&ks).await.map(|()| String::new())),
            (
                "admin session",
                client
                    .start_admin_session()
                    .await
                    .map(|session| format!("{session:?}")),
            ),
        ];
        for (what, outcome) in outcomes {
            assert!(
                outcome.is_err(),
                "{what}: {body:?} was taken for {outcome:?}"
            );
        }
        let server = ScriptedServer::start(move |_| Reply::json(body));
        let client = client_of(&server).max_retries(0).build().unwrap();
        let widget = client.start_widget_session().await;
        assert!(
            widget.is_err(),
            "widget session: {body:?} was taken for {widget:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_about_another_token_or_account_is_not_taken_for_the_one_that_was_asked_for() {
    let server = ScriptedServer::start(|request| match request.action.as_str() {
        "session.startWidgetSession" => Reply::json(WIDGET),
        "appToken.startSession" => Reply::json(match request.params["id"].as_str() {
            "0_otheracc" => r#"{"ks":"djJ8bWludGVkLXNlc3Npb24","partnerId":"103"}"#,
            _ => {
                r#"{"ks":"djJ8bWludGVkLXNlc3Npb24","partnerId":"102","privileges":"sessionid:0_abcdefgh,apptoken:0_abcdefgh"}"#
            }
        }),
        _ => Reply::json(TOKEN),
    });
    let client = client_of(&server).max_retries(0).build().unwrap();
    let update = TokenUpdate::new().description("new");
    for (id, is_it) in [
        ("0_abcdefgh", true),
        ("0_ABCDEFGH", true),
        ("0_abc", false),
        ("0_otherone", false),
    ] {
        assert_eq!(client.get_token(id).await.is_ok(), is_it, "get {id}");
        assert_eq!(
            client.update_token(id, &update).await.is_ok(),
            is_it,
            "update {id}"
        );
    }
    for (id, is_it) in [
        ("0_abcdefgh", true),
        ("0_ABCDEFGH", true),
        ("0_otherone", false),
        ("0_otheracc", false),
    ] {
        let session = client
            .start_session(&SessionRequest::new(id, "value"))
            .await;
        assert_eq!(session.is_ok(), is_it, "session of {id}: {session:?}");
    }
}

#[tokio::test]
async fn an_empty_answer_to_an_end_or_a_deletion_is_looked_into() {
    for (gone, later) in [(true, EXPIRED), (false, TOKEN)] {
        let later = if gone {
            later.replace("EXPIRED", "LOGOUT")
        } else {
            r#"{"sessionType":"2","partnerId":"102","expiry":"1900000000"}"#.to_owned()
        };
        let server = ScriptedServer::start(move |request| match request.action.as_str() {
            "session.end" => Reply::json(""),
            _ => Reply::json(&later),
        });
        let client = client_of(&server).max_retries(0).build().unwrap();
        let ended = client
            .end_session(&Secret::from("djJ8bWludGVkLXNlc3Npb24"))
            .await;
        assert_eq!(ended.is_ok(), gone, "{ended:?}");
        assert_eq!(server.arrived("session.get"), 1);
    }
}

#[tokio::test]
async fn a_session_that_is_dead_at_birth_is_an_error() {
    let sandbox = sandbox();
    let at = now(&sandbox);
    let rows = serde_json::json!([{"id": "0_deadborn", "token": "the-value-of-the-token", "status": 2,
        "hashType": "SHA256", "sessionType": 0, "sessionDuration": 0, "createdAt": at, "updatedAt": at}]);
    sandbox.add_tokens(sandbox.partner_id(), &rows).unwrap();
    let request = SessionRequest::new("0_deadborn", "the-value-of-the-token");
    let error = admin(&sandbox).start_session(&request).await.unwrap_err();
    assert!(
        error.message().contains("0_deadborn are dead at birth"),
        "{error}"
    );
    assert!(error.hint().is_some());
}

/// Everything that can be printed of an error.
fn shown(error: &Error) -> String {
    format!(
        "{error} {error:?} {:?} {:?} {:?}",
        error.hint(),
        error.api(),
        error.candidate_ids()
    )
}

type Say = fn(&str) -> Reply;

#[tokio::test]
async fn nothing_that_a_server_says_brings_a_credential_or_a_control_character_into_an_error() {
    const VALUE: &str = "canary-token-value-7d793037a076";
    let sent: Arc<Mutex<Vec<String>>> = Arc::default();
    let ways: [(&str, Say); 6] = [
        ("the host of a redirect", |secret| {
            Reply::new(
                302,
                &[("Location", &format!("https://{secret}.example/x"))],
                "",
            )
        }),
        ("a content type", |secret| {
            Reply::new(
                200,
                &[("Content-Type", &format!("text/{secret}"))],
                "<html>",
            )
        }),
        ("an argument's name", |secret| {
            Reply::json(&format!(
                r#"{{"code":"X","message":"m","objectType":"KalturaAPIException","args":{{"{secret}":"v"}}}}"#
            ))
        }),
        ("an argument's value", |secret| {
            Reply::json(&format!(
                r#"{{"code":"X","message":"m","objectType":"KalturaAPIException","args":{{"n":"\u0007\n{secret}"}}}}"#
            ))
        }),
        ("a code", |secret| {
            Reply::json(&format!(
                r#"{{"code":"{secret}","message":"\u001b[1m{secret}","objectType":"KalturaAPIException"}}"#
            ))
        }),
        ("upper case", |secret| {
            Reply::json(&format!(
                r#"{{"code":"X","message":"{}","objectType":"KalturaAPIException"}}"#,
                secret.to_uppercase()
            ))
        }),
    ];
    for (what, say) in ways {
        let sent = Arc::clone(&sent);
        let kept = Arc::clone(&sent);
        let server = ScriptedServer::start(move |request| {
            if request.action == "session.startWidgetSession" {
                return Reply::json(WIDGET);
            }
            let secrets: Vec<String> = ["ks", "tokenHash", "secret"]
                .iter()
                .filter_map(|name| request.params.get(*name).cloned())
                .collect();
            kept.lock().unwrap().extend(secrets.clone());
            say(&secrets.join(" ").replace(' ', "."))
        });
        let client = client_of(&server).max_retries(0).build().unwrap();
        let errors = [
            client.get_token("0_abcdefgh").await.unwrap_err(),
            client
                .start_session(&SessionRequest::new("0_abcdefgh", VALUE))
                .await
                .unwrap_err(),
            client.start_admin_session().await.unwrap_err(),
        ];
        for error in errors {
            let text = shown(&error);
            let upper = text.to_uppercase();
            for secret in sent
                .lock()
                .unwrap()
                .iter()
                .map(String::as_str)
                .chain([ADMIN_SECRET, VALUE])
            {
                assert!(!upper.contains(&secret.to_uppercase()), "{what}: {text}");
            }
            assert!(
                !error.message().contains(char::is_control),
                "{what}: {text}"
            );
            let args = error.api().map(|api| api.args.clone()).unwrap_or_default();
            let one_line = |(name, value): &(String, String)| {
                !name.contains(char::is_control) && !value.contains(char::is_control)
            };
            assert!(args.iter().all(one_line), "{what}: {text}");
        }
    }
}

#[tokio::test]
async fn every_exchange_against_a_dead_server_fails_after_one_cycle_of_retries() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let client = Client::builder()
        .service_url(format!("http://127.0.0.1:{port}/api_v3"))
        .partner_id(102)
        .retry_backoff(Duration::from_millis(100))
        .build()
        .unwrap();
    let started = Instant::now();
    let request = SessionRequest::new("0_abcdefgh", "value");
    let failures =
        futures_util::future::join_all((0..64).map(|_| client.start_session(&request))).await;
    assert!(
        failures
            .iter()
            .all(|result| result.as_ref().unwrap_err().kind() == ErrorKind::Connect)
    );
    // 100, 200 and 400 ms, each up to a quarter longer.
    assert!(
        started.elapsed() < Duration::from_millis(1_500),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn refused_sessions_cost_each_exchange_two_requests_at_most() {
    const CALLS: usize = 400;
    let server = ScriptedServer::start(|request| match request.action.as_str() {
        "session.startWidgetSession" => Reply::json(WIDGET),
        _ if request.params["id"] == "0_good" => Reply::json(r#"{"ks":"djJ8bWludGVkLXNlc3Npb24"}"#),
        _ => Reply::json(EXPIRED),
    });
    let client = client_of(&server).build().unwrap();
    // So that there is a kept widget session, of which it is not known whether it is still good.
    client
        .start_session(&SessionRequest::new("0_good", "value"))
        .await
        .unwrap();
    let request = SessionRequest::new("0_abcdefgh", "value");
    let refused =
        futures_util::future::join_all((0..CALLS).map(|_| client.start_session(&request))).await;
    assert!(
        refused
            .iter()
            .all(|result| result.as_ref().unwrap_err().code() == Some("INVALID_KS"))
    );
    let (exchanges, widgets) = (
        server.arrived("appToken.startSession") - 1,
        server.arrived("session.startWidgetSession"),
    );
    assert!(exchanges <= 2 * CALLS, "{exchanges} exchanges");
    assert!(widgets <= 3 + CALLS / 4, "{widgets} widget sessions");
}

/// A server, or something before it, that sends answers nobody asked for: no creation is sent twice, and
/// no such answer is taken for another request's.
#[test]
fn answers_that_nobody_asked_for_make_no_second_token_and_no_wrong_answer() {
    const CALLS: usize = 200;
    for wait in [
        Duration::ZERO,
        Duration::from_micros(300),
        Duration::from_millis(2),
    ] {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let server = ScriptedServer::start(move |request| {
            let body = match request.action.as_str() {
                "appToken.add" => {
                    let number = count.fetch_add(1, Ordering::SeqCst);
                    TOKEN.replace("abcdefgh", &format!("{number:08}"))
                }
                _ => TOKEN.replace("0_abcdefgh", &request.params["id"]),
            };
            let mut reply = Reply::json(&body);
            reply.unsolicited = Some((wait, Reply::json(EXPIRED).bytes));
            reply
        });
        let client = blocking::Client::new(client_of(&server)).unwrap();
        for call in 0..CALLS {
            let token = client.add_token(&NewToken::new()).unwrap();
            assert_eq!(token.id, format!("0_{call:08}"), "after {wait:?}");
            let id = format!("0_get{call:05}");
            if let Ok(token) = client.get_token(&id) {
                assert_eq!(token.id, id);
            }
        }
        assert_eq!(made.load(Ordering::SeqCst), CALLS, "after {wait:?}");
    }
}

#[tokio::test]
async fn a_creation_is_not_sent_again_because_a_fresh_session_is_called_expired() {
    let server = ScriptedServer::start(|_| Reply::json(EXPIRED));
    let client = client_of(&server).build().unwrap();
    let error = client.add_token(&NewToken::new()).await.unwrap_err();
    assert_eq!(error.code(), Some("INVALID_KS"));
    assert_eq!(server.arrived("appToken.add"), 1);

    // One that was kept may have expired: the refused request created nothing.
    let sandbox = sandbox();
    let client = builder(&sandbox)
        .admin_secret(sandbox.admin_secret())
        .admin_session_duration(Duration::from_secs(60))
        .build()
        .unwrap();
    client
        .list_tokens(&ListOptions::default(), Pager::default())
        .await
        .unwrap();
    sandbox.set_clock_offset(120.0);
    client.add_token(&NewToken::new()).await.unwrap();
    assert_eq!(sandbox.token_count(sandbox.partner_id()), 1);
}
