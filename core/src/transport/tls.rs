//! Whom a connection trusts. Knows nothing of connections.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::TransportOptions;
use crate::error::{Error, Result};

pub(super) fn tls_config(options: &TransportOptions) -> Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    if options.tls {
        add_roots(&mut roots, options)?;
    }
    // The provider is named here rather than installed for the whole process: a library leaves the
    // process's choice alone.
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
        .map_err(|error| Error::config(format!("TLS: {error}")))
}

fn add_roots(roots: &mut rustls::RootCertStore, options: &TransportOptions) -> Result<()> {
    if let Some(path) = &options.ca_file {
        let unusable = |why: String| Error::config(format!("CA file {}: {why}", path.display()));
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
            .map_err(|error| unusable(error.to_string()))?;
        if certificates.is_empty() {
            return Err(unusable("there is no certificate in it".into()));
        }
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| unusable(error.to_string()))?;
        }
        return Ok(());
    }
    // SSL_CERT_FILE and SSL_CERT_DIR are honoured here, as by OpenSSL.
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        // A container without a certificate package: Mozilla's roots, which come with the program.
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(())
}
