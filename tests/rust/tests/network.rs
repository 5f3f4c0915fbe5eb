//! Reaching the server: TLS, proxies, connections.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kaltura_app_token::{Client, ClientBuilder, ErrorKind, blocking};
use kaltura_e2e::{arrived, builder, integrator, sandbox};

const ANSWER: &str = r#"{"ks":"djJ8d2lkZ2V0LXNlc3Npb24","partnerId":102,"userId":0}"#;

/// Reads one HTTP request and answers it; gives its first line back.
fn serve_one(stream: &mut (impl Read + Write)) -> Option<String> {
    let mut reader = BufReader::new(&mut *stream);
    let mut first = String::new();
    reader
        .read_line(&mut first)
        .ok()
        .filter(|length| *length > 0)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        ANSWER.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(ANSWER.as_bytes()).ok()?;
    Some(first)
}

/// An https server with a certificate of its own authority; gives its port and the authority's file.
fn https_server(name: &str) -> (u16, PathBuf) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pem"));
    std::fs::write(&file, authority.pem()).unwrap();

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let config = Arc::new(config);
        for stream in listener.incoming().flatten() {
            let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            std::thread::spawn(move || {
                let mut stream = rustls::StreamOwned::new(tls, stream);
                while serve_one(&mut stream).is_some() {}
            });
        }
    });
    (port, file)
}

fn https_client(port: u16) -> ClientBuilder {
    Client::builder()
        .service_url(format!("https://localhost:{port}"))
        .partner_id(102)
        .max_retries(0)
}

#[tokio::test]
async fn a_certificate_is_accepted_from_the_named_authority_and_from_no_other() {
    let (port, authority) = https_server("authority");
    let (_, other) = https_server("other");
    let trusting = https_client(port).ca_file(authority).build().unwrap();
    assert_eq!(
        trusting.start_widget_session().await.unwrap().ks.reveal(),
        "djJ8d2lkZ2V0LXNlc3Npb24"
    );

    for stranger in [https_client(port).ca_file(other), https_client(port)] {
        let error = stranger
            .build()
            .unwrap()
            .start_widget_session()
            .await
            .unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Connect,
            "nothing was sent: {error}"
        );
        assert!(error.message().contains("certificate"), "{error}");
    }
}

#[test]
fn a_file_without_certificates_is_named() {
    let empty = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    for path in [empty, PathBuf::from("no-such-file.pem")] {
        let error = https_client(1).ca_file(&path).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(path.to_str().unwrap()), "{error}");
    }
}

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
