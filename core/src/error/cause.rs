//! Why no connection came about, as far as programs tell it apart. Knows no transport.

/// Why no connection came about: see [`Error::connect_cause`](crate::Error::connect_cause).
///
/// A [`Transport`](crate::Transport) says it; one that cannot tell says [`Other`](Self::Other).
///
/// ```
/// use kaltura_app_token::ConnectCause;
///
/// // A certificate that is not trusted is not trusted a second later either.
/// assert!(ConnectCause::TlsTrust.is_permanent());
/// assert!(!ConnectCause::Refused.is_permanent());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectCause {
    /// The server's name has no address.
    Dns,
    /// The server's machine takes no connections at this port.
    Refused,
    /// Nobody answered in time.
    Timeout,
    /// The server's certificate is not trusted, or is another server's.
    TlsTrust,
    /// What answered does not speak TLS, or no version of it that is accepted.
    TlsProtocol,
    /// The proxy could not be reached, or does not let the connection through.
    Proxy,
    /// The connection was closed before anything of the request was sent.
    Reset,
    /// None of these, or not known.
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

    /// The name that it has in every language, such as `tls_trust`.
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

    /// Whether trying again cannot help before somebody has changed something.
    #[must_use]
    pub fn is_permanent(self) -> bool {
        matches!(self, Self::TlsTrust | Self::TlsProtocol)
    }
}
