//! Why reqwest has no answer, read off the types in an error's chain and never off its texts.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::TransportError;
use super::progress::Phase;
use super::proxy::Proxy;
use crate::connect_cause::ConnectCause;

/// What to tell the caller of a request that got no answer; `through`: the proxy that it was to go by,
/// `once`: it must not be done twice.
pub(super) fn failure(
    error: &reqwest::Error,
    phase: Phase,
    through: Option<&Proxy>,
    once: bool,
) -> TransportError {
    // A server that refuses this side's certificate says so after this side has taken the handshake
    // for finished and has sent; most likely it has handed nothing on. What must not be done twice stays
    // in doubt: the same alert can come at any time.
    if phase == Phase::Sending && (once || !is_our_certificate_refused(error)) {
        return interrupted(error);
    }
    let cause = cause(error, through.is_some());
    let mut text = if cause == ConnectCause::Timeout {
        "connecting took too long".to_owned()
    } else {
        let tls = find::<TlsError>(error).and_then(tls_text);
        tls.unwrap_or_else(|| innermost(error))
    };
    if let Some(proxy) = through {
        text = format!("by the proxy {}: {text}", proxy.address());
    }
    TransportError::NotSent(cause, text)
}

/// The connection broke after the request had begun to leave.
pub(super) fn interrupted(error: &reqwest::Error) -> TransportError {
    TransportError::Interrupted(innermost(error))
}

fn cause(error: &reqwest::Error, through_proxy: bool) -> ConnectCause {
    if let Some(tls) = find::<TlsError>(error) {
        return tls_cause(tls);
    }
    if error.is_timeout() {
        return ConnectCause::Timeout;
    }
    if through_proxy {
        return ConnectCause::Proxy;
    }
    if error.is_dns() {
        return ConnectCause::Dns;
    }
    // One io::Error may be wrapped into another of no particular kind.
    let io_error = chain(error).filter_map(|link| link.downcast_ref::<io::Error>());
    match io_error.last().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => ConnectCause::Refused,
        Some(
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof,
        ) => ConnectCause::Reset,
        _ => ConnectCause::Other,
    }
}

fn tls_cause(error: &TlsError) -> ConnectCause {
    match error {
        TlsError::InvalidCertificate(_) | TlsError::NoCertificatesPresented => {
            ConnectCause::TlsTrust
        }
        TlsError::AlertReceived(alert) if is_about_a_certificate(*alert) => ConnectCause::TlsTrust,
        _ => ConnectCause::TlsProtocol,
    }
}

/// What the usual errors of TLS mean, where their own words are those of its parts.
fn tls_text(error: &TlsError) -> Option<String> {
    Some(match error {
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the certificate was issued by an authority that is not trusted here".to_owned()
        }
        TlsError::InvalidCertificate(
            CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => {
            "the certificate names an authority that is trusted here and did not sign it".to_owned()
        }
        TlsError::InvalidCertificate(CertificateError::Other(why)) => format!(
            "the certificate cannot be a server's, as a self-signed one often cannot ({:?})",
            why.0
        ),
        TlsError::InvalidMessage(_) => "what answers there does not speak TLS".to_owned(),
        _ => return None,
    })
}

fn is_about_a_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
    )
}

fn is_our_certificate_refused(error: &reqwest::Error) -> bool {
    matches!(
        find::<TlsError>(error),
        Some(TlsError::AlertReceived(alert)) if is_about_a_certificate(*alert)
    )
}

/// The innermost text of an error, without the URL that reqwest puts around it.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    chain(error)
        .skip(1)
        .last()
        .map_or_else(|| "the connection failed".to_owned(), ToString::to_string)
}

/// The first error of that type in the chain.
fn find<T: StdError + 'static>(error: &reqwest::Error) -> Option<&T> {
    chain(error).find_map(|link| link.downcast_ref::<T>())
}

fn chain<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let first: &'a (dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |link: &&'a (dyn StdError + 'static)| {
        let link: &'a (dyn StdError + 'static) = *link;
        // An io::Error leaves out of its chain the very error that it was made of.
        let inner = link
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .map(|inner| inner as &(dyn StdError + 'static));
        inner.or_else(|| link.source())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{InvalidMessage, PeerIncompatible};

    #[test]
    fn what_is_wrong_with_a_certificate_is_told_from_what_is_wrong_with_the_protocol() {
        for (error, expected) in [
            (
                TlsError::InvalidCertificate(CertificateError::UnknownIssuer),
                ConnectCause::TlsTrust,
            ),
            (
                TlsError::AlertReceived(AlertDescription::CertificateRequired),
                ConnectCause::TlsTrust,
            ),
            (
                TlsError::AlertReceived(AlertDescription::HandshakeFailure),
                ConnectCause::TlsProtocol,
            ),
            (
                TlsError::InvalidMessage(InvalidMessage::InvalidContentType),
                ConnectCause::TlsProtocol,
            ),
            (
                TlsError::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
                ConnectCause::TlsProtocol,
            ),
        ] {
            assert_eq!(tls_cause(&error), expected, "{error}");
        }
    }
}
