//! Why no connection came about, in words that every surface can show. Knows no network: whoever connects
//! finds the cause, and the error carries it.

use std::fmt;

/// Why no connection came about: the cause of an error of the kind [`Connect`](crate::ErrorKind::Connect).
///
/// ```
/// use kaltura_app_token::ConnectCause;
///
/// assert_eq!(ConnectCause::TlsTrust.name(), "tls_trust");
/// assert!(ConnectCause::TlsTrust.is_permanent());
/// assert!(!ConnectCause::Refused.is_permanent());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectCause {
    /// The server's name could not be looked up.
    Dns,
    /// Nothing listens at the address.
    Refused,
    /// Connecting took too long.
    Timeout,
    /// One side does not trust the other's certificate.
    TlsTrust,
    /// The two sides have no TLS in common, or the server speaks something else.
    TlsProtocol,
    /// The proxy could not be reached, or would not connect.
    Proxy,
    /// The other side closed the connection before the request could be sent.
    Reset,
    /// Anything else.
    Other,
}

impl ConnectCause {
    /// Every cause.
    pub const ALL: &'static [Self] = &[
        Self::Dns,
        Self::Refused,
        Self::Timeout,
        Self::TlsTrust,
        Self::TlsProtocol,
        Self::Proxy,
        Self::Reset,
        Self::Other,
    ];

    /// The name, in lower case, for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::TlsTrust => "tls_trust",
            Self::TlsProtocol => "tls_protocol",
            Self::Proxy => "proxy",
            Self::Reset => "reset",
            Self::Other => "other",
        }
    }

    /// Whether the next attempt would fail in the same way, so that none is made.
    #[must_use]
    pub fn is_permanent(self) -> bool {
        matches!(self, Self::TlsTrust | Self::TlsProtocol)
    }

    /// The likely reason and the next step.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Dns => {
                "check the spelling of the service URL, and that this machine can look up names; \
                 where only a proxy can, set https_proxy"
            }
            Self::Refused => {
                "nothing listens at that address and port, or a firewall refuses it: check the \
                 service URL"
            }
            Self::Timeout => {
                "check the service URL and the network: a firewall may drop what is sent, or the \
                 internet may be reached only through a proxy (https_proxy)"
            }
            Self::TlsTrust => {
                "a server or proxy with a certificate of its own authority needs that authority's \
                 file (SSL_CERT_FILE, or a CA file); a self-signed certificate is given there too, and \
                 must not be marked as an authority's (basicConstraints CA:FALSE); one that is expired or not valid yet \
                 may mean that this machine's clock is wrong; a server that asks for a client \
                 certificate needs one that it accepts"
            }
            Self::TlsProtocol => {
                "check that the service URL's port speaks https, with TLS 1.2 or later"
            }
            Self::Proxy => {
                "check the proxy's address, port and credentials (https_proxy, http_proxy, \
                 all_proxy), and whether the server should be reached without it (no_proxy)"
            }
            Self::Reset => {
                "the other side closed the connection at once: a firewall in between, or a port \
                 that serves something else; check the service URL"
            }
            Self::Other => "check the service URL, the network and the proxy",
        }
    }
}

/// The same as [`ConnectCause::name`].
impl fmt::Display for ConnectCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_name_and_a_hint_of_its_own_without_a_command_line_option() {
        for (index, cause) in ConnectCause::ALL.iter().enumerate() {
            for other in &ConnectCause::ALL[..index] {
                assert_ne!(cause.name(), other.name());
                assert_ne!(cause.hint(), other.hint());
            }
            assert!(!cause.hint().contains("--"), "{cause}");
        }
    }
}
