//! Reaching the server: proxies and connections.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod https;

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use https::serve_one;
use kaltura_app_token::{Client, ErrorKind, blocking};
use kaltura_e2e::{arrived, builder, integrator, sandbox};

/// A proxy that answers by itself, and keeps the request lines.
fn proxy() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (lines, seen) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            while let Some(line) = serve_one(&mut stream) {
                let _ = lines.send(line);
            }
        }
    });
    (url, seen)
}

#[tokio::test]
async fn a_proxy_is_used_for_other_machines_and_never_for_this_one() {
    let (url, seen) = proxy();
    let remote = Client::builder()
        .service_url("http://video.example")
        .allow_http(true)
        .partner_id(102)
        .proxy(&url)
        .build()
        .unwrap();
    remote.start_widget_session().await.unwrap();
    let line = seen.try_recv().unwrap();
    assert!(
        line.starts_with("POST http://video.example/api_v3/"),
        "{line}"
    );

    let sandbox = sandbox();
    let local = builder(&sandbox).proxy(&url).build().unwrap();
    local.start_widget_session().await.unwrap();
    assert!(
        seen.try_recv().is_err(),
        "a loopback address went through the proxy"
    );
    assert_eq!(arrived(&sandbox, "session.startWidgetSession"), 1);
}

#[test]
fn what_cannot_be_reached_is_refused_when_the_client_is_built() {
    for (broken, name) in [
        (
            Client::builder().service_url("http://www.kaltura.com"),
            "service URL",
        ),
        (Client::builder().service_url("ftp://x"), "service URL"),
        (
            Client::builder()
                .service_url("https://video.example")
                .proxy("::"),
            "proxy",
        ),
        (Client::builder().user_agent("a\nb"), "user agent"),
        (
            Client::builder().total_timeout(Duration::ZERO),
            "total timeout",
        ),
        (Client::builder().partner_id(-1), "partner id"),
    ] {
        let error = broken.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{name}");
        assert!(error.message().starts_with(name), "{error}");
    }
}

/// Passes connections on and counts them; with `close`, each one only for that many milliseconds.
fn counting_relay(target: u16, close_after: Option<Duration>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            let server = TcpStream::connect(("127.0.0.1", target)).unwrap();
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server.try_clone().unwrap(), client.try_clone().unwrap()),
            ] {
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
            if let Some(wait) = close_after {
                std::thread::spawn(move || {
                    std::thread::sleep(wait);
                    let _ = client.shutdown(std::net::Shutdown::Both);
                    let _ = server.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    (port, count)
}

#[test]
fn calls_one_after_another_share_a_connection_until_it_has_been_idle_too_long() {
    let sandbox = sandbox();
    let (port, connections) = counting_relay(sandbox.port(), None);
    let client = blocking::Client::new(
        builder(&sandbox)
            .service_url(format!("http://127.0.0.1:{port}"))
            .idle_timeout(Duration::from_millis(300)),
    )
    .unwrap();
    for _ in 0..5 {
        client.start_widget_session().unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    std::thread::sleep(Duration::from_millis(500));
    client.start_widget_session().unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

/// The server closes every idle connection long before the client would: a creation sent on one that
/// is already dead would end in doubt each time.
#[test]
fn a_connection_that_the_server_closed_meanwhile_is_not_used() {
    let sandbox = sandbox();
    let (port, connections) = counting_relay(sandbox.port(), Some(Duration::from_millis(60)));
    let client = blocking::Client::new(
        builder(&sandbox)
            .admin_secret(sandbox.admin_secret())
            .service_url(format!("http://127.0.0.1:{port}")),
    )
    .unwrap();
    for _ in 0..10 {
        client
            .add_token(&kaltura_app_token::NewToken::new())
            .unwrap();
        std::thread::sleep(Duration::from_millis(90));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 10);
    assert_eq!(sandbox.token_count(sandbox.partner_id()), 10);
}

#[test]
fn one_blocking_client_serves_many_threads() {
    let sandbox = sandbox();
    let client =
        blocking::Client::new(builder(&sandbox).admin_secret(sandbox.admin_secret())).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for n in 0..25 {
                    let note = format!("{thread}/{n}");
                    let new = kaltura_app_token::NewToken::new().description(note.as_str());
                    let token = client.add_token(&new).unwrap();
                    assert_eq!(client.get_token(&token.id).unwrap().description, Some(note));
                    client.delete_token(&token.id).unwrap();
                }
            });
        }
    });
    assert_eq!(sandbox.token_count(sandbox.partner_id()), 0);
}

#[test]
fn a_waiting_caller_is_asked_whether_to_go_on() {
    use kaltura_sandbox::{Fault, FaultKind};
    let sandbox = sandbox();
    sandbox.add_fault(Fault::new("*", FaultKind::Latency { ms: 5_000 }));
    let client = blocking::Client::new(builder(&sandbox)).unwrap();
    let mut asked = 0;
    let started = std::time::Instant::now();
    let mut tick = || {
        asked += 1;
        asked < 3
    };
    let result = client.run(
        &kaltura_app_token::Cancel::new(),
        Some(&mut tick),
        async |client| client.start_widget_session().await,
    );
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(
        started.elapsed() < Duration::from_millis(400),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_blocking_call_inside_a_runtime_is_refused_and_not_a_deadlock() {
    let sandbox = sandbox();
    let client = blocking::Client::new(builder(&sandbox)).unwrap();
    let error = client.start_widget_session().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    drop(client);
    integrator(&sandbox).start_widget_session().await.unwrap();
}
