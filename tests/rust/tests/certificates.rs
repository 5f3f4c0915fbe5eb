//! Whom a client trusts, and what it shows of itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod https;

use std::path::{Path, PathBuf};
use std::process::Command;

use https::{Authority, https_server};
use kaltura_app_token::{Client, ClientBuilder, ConnectCause, Error, ErrorKind};

fn https_client(port: u16) -> ClientBuilder {
    Client::builder()
        .service_url(format!("https://localhost:{port}"))
        .partner_id(102)
}

fn file(name: &str, text: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pem"));
    std::fs::write(&file, text).unwrap();
    file
}

async fn is_answered(builder: ClientBuilder) {
    let client = builder.build().unwrap();
    let session = client.start_widget_session().await.unwrap();
    assert_eq!(session.ks.reveal(), "djJ8d2lkZ2V0LXNlc3Npb24");
}

/// Asserts that the client was not trusted or did not trust, and did not try that twice.
async fn is_distrusted(builder: ClientBuilder) -> Error {
    let client = builder.build().unwrap();
    let error = client.start_widget_session().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.connect_cause(), error.attempts()),
        (ErrorKind::Connect, Some(ConnectCause::TlsTrust), 1),
        "{error}"
    );
    assert!(!error.is_retryable());
    error
}

#[tokio::test]
async fn a_certificate_is_accepted_from_the_named_authority_and_from_no_other() {
    let (authority, other) = (Authority::new(), Authority::new());
    let port = https_server(&authority.identity("localhost"), None);
    let named = file("authority", &authority.pem());
    is_answered(https_client(port).ca_file(named)).await;

    let stranger = file("other", &other.pem());
    for builder in [https_client(port).ca_file(stranger), https_client(port)] {
        let error = is_distrusted(builder).await;
        assert!(error.message().contains("certificate"), "{error}");
        assert!(
            error.hint().unwrap().text().contains("SSL_CERT_FILE"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn authorities_can_come_from_memory() {
    let (authority, other) = (Authority::new(), Authority::new());
    let port = https_server(&authority.identity("localhost"), None);
    is_answered(https_client(port).ca_pem(authority.pem())).await;
    is_distrusted(https_client(port).ca_pem(other.pem())).await;
    let both = https_client(port)
        .ca_pem(other.pem())
        .ca_file(file("both", &authority.pem()));
    is_answered(both).await;
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_another_time_is_not_trusted() {
    let authority = Authority::new();
    let elsewhere = authority.identity("elsewhere.example");
    let expired = authority.identity_with("localhost", |parameters| {
        parameters.not_after = rcgen::date_time_ymd(2001, 1, 1);
        parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
    });
    for identity in [elsewhere, expired] {
        let port = https_server(&identity, None);
        is_distrusted(https_client(port).ca_pem(authority.pem())).await;
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let port = https_server(&authority.identity("localhost"), Some(&clients));
    let client = || https_client(port).ca_pem(authority.pem());

    let known = clients.identity("integration");
    is_answered(client().client_certificate(known.pem(), known.key_pem())).await;

    is_distrusted(client()).await;
    let stranger = authority.identity("stranger");
    is_distrusted(client().client_certificate(stranger.pem(), stranger.key_pem())).await;
}

#[test]
fn a_client_certificate_that_cannot_be_used_is_named_when_the_client_is_built() {
    let authority = Authority::new();
    let (one, other) = (authority.identity("one"), authority.identity("other"));
    for (chain, key, what) in [
        (String::new(), one.key_pem(), "the certificate"),
        (one.pem(), String::new(), "the key"),
        (one.pem(), one.pem(), "the key"),
        (one.pem(), other.key_pem(), "not the one of the certificate"),
    ] {
        let secret = key.lines().nth(1).unwrap_or("nothing").to_owned();
        let builder = https_client(1).client_certificate(chain, key);
        assert!(!format!("{builder:?}").contains(&secret));
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.message().starts_with("client certificate: "),
            "{error}"
        );
        assert!(error.message().contains(what), "{error}");
        assert!(!format!("{error:?}").contains(&secret), "{error:?}");
    }
}

#[test]
fn authorities_that_are_none_are_named() {
    let empty = file("empty", "nothing");
    for path in [empty, PathBuf::from("no-such-file.pem")] {
        let error = https_client(1).ca_file(&path).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(path.to_str().unwrap()), "{error}");
    }
    let error = https_client(1).ca_pem("nothing").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().starts_with("CA certificates: "), "{error}");
}

/// Not a test by itself: what the test below runs, each time with other variables.
#[test]
fn build_a_client_by_the_environment() {
    match https_client(1).build() {
        Ok(_) => println!("built"),
        Err(error) => println!("{}: {error}", error.kind().name()),
    }
    match https_client(1).network_environment(false).build() {
        Ok(_) => println!("without the environment built"),
        Err(error) => println!("without the environment {error}"),
    }
}

fn built_with(variable: &str, value: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "build_a_client_by_the_environment"])
        .arg("--nocapture")
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR")
        .env(variable, value)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_variable_that_leads_to_no_authority_is_named_and_not_replaced_by_the_built_in_ones() {
    let good = file("good", &Authority::new().pem());
    let empty = file("empty-by-variable", "");
    let missing = good.with_file_name("mistyped");
    for (variable, path) in [
        ("SSL_CERT_FILE", &empty),
        ("SSL_CERT_FILE", &missing),
        ("SSL_CERT_DIR", &missing),
    ] {
        let said = built_with(variable, path);
        let expected = format!("Config: {variable}: {}: ", path.display());
        assert!(said.contains(&expected), "{said}");
        assert!(said.contains("without the environment built"), "{said}");
    }
    let said = built_with("SSL_CERT_FILE", &good);
    assert!(said.contains("\nbuilt\n"), "{said}");
    let said = built_with("SSL_CERT_FILE", Path::new(""));
    assert!(
        said.contains("\nbuilt\n"),
        "an empty variable is unset: {said}"
    );
}
