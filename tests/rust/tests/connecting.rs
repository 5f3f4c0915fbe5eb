//! Why no connection came about is said by name, and what would fail again is not tried again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use kaltura_app_token::{Client, ClientBuilder, ConnectCause, Error, ErrorKind, Hint};

/// A port of this machine at which nothing listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A port at which this is done with every connection.
fn port_that(serve: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    port
}

fn to(port: u16) -> ClientBuilder {
    client().service_url(format!("https://127.0.0.1:{port}"))
}

fn by_proxy(url: &str, port: u16) -> ClientBuilder {
    client()
        .service_url(url)
        .allow_http(true)
        .proxy(format!("http://user:password@127.0.0.1:{port}"))
}

fn client() -> ClientBuilder {
    Client::builder()
        .partner_id(102)
        .retry_backoff(Duration::from_millis(1))
        .max_retries(2)
}

async fn failure(builder: ClientBuilder) -> Error {
    let client = builder.build().unwrap();
    client.start_widget_session().await.unwrap_err()
}

#[tokio::test]
async fn every_cause_is_told_by_its_name() {
    let silent = port_that(std::mem::forget);
    let closing = port_that(drop);
    let plain = port_that(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let refusing_proxy = port_that(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    });
    let dead = closed_port();
    let video = "https://video.example";
    for (what, builder, cause) in [
        (
            "an unknown name",
            client().service_url("https://no-such-host.invalid"),
            ConnectCause::Dns,
        ),
        ("a closed port", to(dead), ConnectCause::Refused),
        (
            "no answer",
            to(silent).connect_timeout(Duration::from_millis(100)),
            ConnectCause::Timeout,
        ),
        ("a closed connection", to(closing), ConnectCause::Reset),
        ("http for https", to(plain), ConnectCause::TlsProtocol),
        ("a dead proxy", by_proxy(video, dead), ConnectCause::Proxy),
        (
            "a dead proxy for http",
            by_proxy("http://video.example", dead),
            ConnectCause::Proxy,
        ),
        (
            "a proxy that refuses",
            by_proxy(video, refusing_proxy),
            ConnectCause::Proxy,
        ),
        (
            "a proxy that closes",
            by_proxy(video, closing),
            ConnectCause::Proxy,
        ),
        (
            "a proxy that does not answer",
            by_proxy(video, silent).connect_timeout(Duration::from_millis(100)),
            ConnectCause::Timeout,
        ),
    ] {
        let error = failure(builder).await;
        assert_eq!(error.kind(), ErrorKind::Connect, "{what}: {error}");
        assert_eq!(error.connect_cause(), Some(cause), "{what}: {error}");
        assert_eq!(error.hint().map(Hint::text), Some(cause.hint()), "{what}");
        let attempts = if cause.is_permanent() { 1 } else { 3 };
        assert_eq!(error.attempts(), attempts, "{what}: {error}");
        assert_eq!(error.is_retryable(), !cause.is_permanent(), "{what}");
        let says_proxy = error.message().contains("by the proxy 127.0.0.1:");
        assert_eq!(says_proxy, what.contains("proxy"), "{what}: {error}");
        assert!(!format!("{error:?}").contains("password"), "{error:?}");
    }
}

#[test]
fn a_proxy_that_cannot_be_spoken_to_is_refused_when_the_client_is_built() {
    let builder = client()
        .service_url("https://video.example")
        .proxy("socks5://user:password@127.0.0.1:1080");
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.message(), "proxy: socks5:// is not supported");
}

#[tokio::test]
async fn an_answer_that_announces_more_than_the_limit_is_refused_before_it_comes() {
    let port = port_that(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{");
        std::mem::forget(stream);
    });
    let builder = client()
        .service_url(format!("http://127.0.0.1:{port}"))
        .max_response_bytes(999_999);
    let error = failure(builder).await;
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Decode, 1));
    assert!(error.message().contains("999999 bytes"), "{error}");
}
