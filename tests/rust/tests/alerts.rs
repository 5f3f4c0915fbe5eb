//! A server that reads a whole creation and then breaks TLS off: it may have created the token.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use kaltura_app_token::{Client, ErrorKind, NewToken};
use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::PrivateKeyDer;
use rustls::{
    ConnectionTrafficSecrets, ContentType, ProtocolVersion, ServerConfig, ServerConnection,
    SupportedCipherSuite,
};

/// Reads a request, answers with this much, and sends the fatal alert.
fn answer(config: &Arc<ServerConfig>, mut tcp: TcpStream, half: &str, alert: u8) {
    let mut tls = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("ks=") {
        tls.complete_io(&mut tcp).unwrap();
        let mut bytes = [0; 8192];
        if let Ok(read) = tls.reader().read(&mut bytes) {
            seen.extend_from_slice(&bytes[..read]);
        }
    }
    tls.writer().write_all(half.as_bytes()).unwrap();
    while tls.wants_write() {
        tls.write_tls(&mut tcp).unwrap();
    }
    let secrets = tls.dangerous_extract_secrets().unwrap();
    let (sequence, ConnectionTrafficSecrets::Aes128Gcm { key, iv }) = secrets.tx else {
        panic!("another cipher");
    };
    let SupportedCipherSuite::Tls13(suite) = TLS13_AES_128_GCM_SHA256 else {
        panic!("another version");
    };
    let plain = OutboundPlainMessage {
        typ: ContentType::Alert,
        version: ProtocolVersion::TLSv1_3,
        payload: OutboundChunks::Single(&[2, alert]),
    };
    let mut encrypter = suite.aead_alg.encrypter(key, iv);
    let sealed = encrypter.encrypt(plain, sequence).unwrap();
    tcp.write_all(&sealed.encode()).unwrap();
}

/// A port, and the authority to trust there.
fn serve(half: &'static str, alert: u8) -> (u16, String) {
    let identity = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
    let provider = CryptoProvider {
        cipher_suites: vec![TLS13_AES_128_GCM_SHA256],
        ..ring::default_provider()
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.der().clone()], key)
        .unwrap();
    config.enable_secret_extraction = true;
    config.send_tls13_tickets = 0;
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            answer(&config, tcp, half, alert);
        }
    });
    (port, identity.cert.pem())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_that_has_arrived_is_in_doubt_whatever_alert_follows() {
    let half_an_answer = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"id\":\"0_new\",";
    for half in ["", half_an_answer] {
        // access_denied, certificate_unknown, decrypt_error, unknown_ca, internal_error
        for alert in [49, 46, 51, 48, 80] {
            let (port, authority) = serve(half, alert);
            let client = Client::builder()
                .service_url(format!("https://localhost:{port}"))
                .partner_id(102)
                .ks("djJ8-given-ks-0123456789")
                .ca_pem(authority)
                .network_environment(false)
                .max_retries(0)
                .build()
                .unwrap();
            let error = client.add_token(&NewToken::new()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{alert}: {error}");
        }
    }
}
