//! Whom a connection trusts, and what it shows of itself. Knows nothing of connections.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_native_certs::load_certs_from_paths;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroize;

use super::{ClientCertificate, TransportOptions};
use crate::error::{Error, Hint, Result};
use crate::seam::{disk, environment};

/// Ten times what all authorities of a system take.
const MAX_CA_BYTES: usize = 4 << 20;
const NO_CERTIFICATE: &str = "there is no certificate in it";

pub(super) fn tls_config(options: &TransportOptions) -> Result<rustls::ClientConfig> {
    let mut roots = RootCertStore::empty();
    if options.tls {
        add_roots(&mut roots, options)?;
    }
    // The provider is named here rather than installed for the whole process: a library leaves the
    // process's choice alone.
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::config(format!("TLS: {error}")))?
        .with_root_certificates(roots);
    Ok(match &options.client_certificate {
        Some(client) => builder.with_client_cert_resolver(Arc::new(own_certificate(client)?)),
        None => builder.with_no_client_auth(),
    })
}

fn own_certificate(client: &ClientCertificate) -> Result<SingleCertAndKey> {
    let unusable = |what, why: String| Error::config(format!("client certificate: {what}: {why}"));
    let chain = certificates(&client.chain.0).map_err(|why| unusable("the certificate", why))?;
    let mut der = PrivateKeyDer::from_pem_slice(client.key.reveal().as_bytes()).map_err(|_| {
        unusable(
            "the key",
            "there is no unencrypted private key in PEM in it".into(),
        )
    })?;
    let key = ring::sign::any_supported_type(&der);
    der.zeroize();
    let key = key.map_err(|error| unusable("the key", error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    certified
        .keys_match()
        .map_err(|_| unusable("the key", "it is not the one of the certificate".into()))?;
    Ok(SingleCertAndKey::from(certified))
}

fn add_roots(roots: &mut RootCertStore, options: &TransportOptions) -> Result<()> {
    let file = options.ca_file.as_deref();
    if let Some(path) = file {
        let name = format!("CA file {}", path.display());
        let pem = disk::read(path, MAX_CA_BYTES)
            .map_err(|error| Error::config(format!("{name}: {error}")).with_hint(Hint::Pem))?;
        add_pem(roots, &name, &pem)?;
    }
    if let Some(pem) = &options.ca_pem {
        add_pem(roots, "CA certificates", &pem.0)?;
    }
    if file.is_none() && options.ca_pem.is_none() {
        add_system_roots(roots, options.read_environment, |name| {
            environment::variable(name)
        })?;
    }
    Ok(())
}

fn add_pem(roots: &mut RootCertStore, name: &str, pem: &[u8]) -> Result<()> {
    let unusable = |why: String| Error::config(format!("{name}: {why}")).with_hint(Hint::Pem);
    for certificate in certificates(pem).map_err(unusable)? {
        roots
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
    }
    Ok(())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err(NO_CERTIFICATE.to_owned());
    }
    Ok(certificates)
}

/// `SSL_CERT_FILE` and `SSL_CERT_DIR` where they are set, as OpenSSL does; otherwise what the system has.
///
/// A variable that leads nowhere is an error: whoever set it wants to trust those authorities, and not
/// the ones that come with this program.
fn add_system_roots(
    roots: &mut RootCertStore,
    read_environment: bool,
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<()> {
    let path = |name| lookup(name).filter(|path| !path.is_empty());
    let (file, folders) = (path("SSL_CERT_FILE"), path("SSL_CERT_DIR"));
    if read_environment && (file.is_some() || folders.is_some()) {
        if let Some(file) = &file {
            add_named(roots, "SSL_CERT_FILE", &[PathBuf::from(file)], |path| {
                load_certs_from_paths(Some(path), None)
            })?;
        }
        if let Some(folders) = &folders {
            let folders: Vec<PathBuf> = environment::split_paths(folders).collect();
            let added = add_named(roots, "SSL_CERT_DIR", &folders, |path| {
                load_certs_from_paths(None, Some(path))
            });
            // Beside a file the folders may be empty, and usually are.
            if file.is_none() {
                added?;
            }
        }
        return Ok(());
    }
    let is_set = |name| lookup(name).is_some();
    if is_set("SSL_CERT_FILE") || is_set("SSL_CERT_DIR") {
        // The loader of the system's authorities would follow the variables.
        for folder in openssl_probe::candidate_cert_dirs() {
            roots.add_parsable_certificates(load_certs_from_paths(None, Some(folder)).certs);
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        // A container without a certificate package: Mozilla's roots, which come with the program.
        log::debug!("the system has no certificate authorities: the built-in ones are trusted");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(())
}

fn add_named(
    roots: &mut RootCertStore,
    variable: &str,
    paths: &[PathBuf],
    load: impl Fn(&Path) -> rustls_native_certs::CertificateResult,
) -> Result<()> {
    let mut why = NO_CERTIFICATE.to_owned();
    let mut added = 0;
    for path in paths {
        let found = load(path);
        if let Some(error) = found.errors.first() {
            let cause: &dyn std::error::Error = error;
            why = cause
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string);
        }
        added += roots.add_parsable_certificates(found.certs).0;
    }
    if added == 0 {
        let written: Vec<String> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(
            Error::config(format!("{variable}: {}: {why}", written.join(":"))).with_hint(
                "correct the variable, or unset it to trust the system's certificate authorities",
            ),
        );
    }
    Ok(())
}
