//! Where a request was when it failed: what has not left can be made again, what may have arrived not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kaltura_app_token::{Cancel, Client, ClientBuilder, Error, ErrorKind, NewToken};

/// Accepts connections, reads what comes and never says a word; counts the bytes.
fn silent_server() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let bytes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&bytes);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    counted.fetch_add(length, Ordering::SeqCst);
                }
            });
        }
    });
    (port, bytes)
}

fn manager() -> ClientBuilder {
    Client::builder()
        .partner_id(102)
        .admin_secret("0123456789abcdef")
        .max_retries(0)
}

/// Every way to hang before the request begins to leave: no TLS, and a proxy that does not answer.
fn hanging_while_connecting() -> Vec<(&'static str, ClientBuilder)> {
    let (port, _) = silent_server();
    vec![
        (
            "TLS",
            manager().service_url(format!("https://127.0.0.1:{port}")),
        ),
        (
            "CONNECT",
            manager()
                .service_url("https://video.example")
                .proxy(format!("http://127.0.0.1:{port}")),
        ),
    ]
}

async fn failed_creation(client: &Client) -> Error {
    client.add_token(&NewToken::new()).await.unwrap_err()
}

#[tokio::test]
async fn a_creation_that_timed_out_while_connecting_is_not_in_doubt() {
    for (where_it_hangs, builder) in hanging_while_connecting() {
        let client = builder.clone().attempt_timeout(Duration::from_millis(300));
        let error = failed_creation(&client.build().unwrap()).await;
        assert_eq!(
            error.kind(),
            ErrorKind::Connect,
            "{where_it_hangs}: {error}"
        );
        let client = builder.clone().connect_timeout(Duration::from_millis(300));
        let error = failed_creation(&client.build().unwrap()).await;
        assert_eq!(
            error.kind(),
            ErrorKind::Connect,
            "{where_it_hangs}: {error}"
        );
        let client = builder.total_timeout(Duration::from_millis(300));
        let error = failed_creation(&client.build().unwrap()).await;
        assert_eq!(
            error.kind(),
            ErrorKind::Timeout,
            "{where_it_hangs}: {error}"
        );
    }
}

#[tokio::test]
async fn a_creation_that_was_cancelled_while_connecting_is_not_in_doubt() {
    for (where_it_hangs, builder) in hanging_while_connecting() {
        let cancel = Cancel::new();
        let client = builder.build().unwrap().with_cancel(&cancel);
        let (error, ()) = tokio::join!(failed_creation(&client), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            cancel.trigger();
        });
        assert_eq!(
            error.kind(),
            ErrorKind::Cancelled,
            "{where_it_hangs}: {error}"
        );
    }
}

#[tokio::test]
async fn a_creation_that_has_begun_to_leave_is_in_doubt_whoever_ends_it() {
    let (port, bytes) = silent_server();
    let builder = manager().service_url(format!("http://127.0.0.1:{port}"));
    let cancel = Cancel::new();
    let client = builder.clone().build().unwrap().with_cancel(&cancel);
    let (error, ()) = tokio::join!(failed_creation(&client), async {
        while bytes.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.trigger();
    });
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    let client = builder.total_timeout(Duration::from_millis(200));
    let error = failed_creation(&client.build().unwrap()).await;
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
}
