//! A server that answers every request with a widget session, over TLS by certificates made on the spot.

#![allow(
    dead_code,
    reason = "each test that has this module uses its own part of it"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;

pub(crate) const ANSWER: &str = r#"{"ks":"djJ8d2lkZ2V0LXNlc3Npb24","partnerId":102,"userId":0}"#;

/// Reads one HTTP request and answers it; gives its first line back.
pub(crate) fn serve_one(stream: &mut (impl Read + Write)) -> Option<String> {
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

/// Signs certificates.
pub(crate) struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    certificate: rcgen::Certificate,
}

/// A certificate and its key, for a server or for a client.
pub(crate) struct Identity {
    certificate: rcgen::Certificate,
    key: rcgen::KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        Self {
            issuer: rcgen::Issuer::new(parameters, key),
            certificate,
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for this name.
    pub(crate) fn identity(&self, name: &str) -> Identity {
        self.identity_with(name, |_| {})
    }

    pub(crate) fn identity_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut rcgen::CertificateParams),
    ) -> Identity {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut parameters);
        Identity {
            certificate: parameters.signed_by(&key, &self.issuer).unwrap(),
            key,
        }
    }
}

impl Identity {
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

/// Serves as this identity; with `clients`, only those who show a certificate of that authority. Gives
/// the port.
pub(crate) fn https_server(identity: &Identity, clients: Option<&Authority>) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let config = builder
        .with_single_cert(vec![identity.certificate.der().clone()], key)
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
                // What the client sent meanwhile is read, so that closing does not take back the alert.
                let _ = stream.sock.shutdown(std::net::Shutdown::Write);
                let _ = std::io::copy(&mut stream.sock, &mut std::io::sink());
            });
        }
    });
    port
}
