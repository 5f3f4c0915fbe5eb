//! Whether a request may have been made by a web page that is open on this machine, or by one whose host
//! name was made to mean this machine. Control calls are not for those.
//!
//! It knows headers; what a control call does is not its concern.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::http::uri::{Authority, Uri};

/// Why a request is taken for a web page's, in one line that names the header; `None` for a program's own.
///
/// A page is told by the headers that browsers put on and pages cannot change. One from this very server
/// may call it.
pub(crate) fn reason(uri: &Uri, headers: &HeaderMap) -> Option<&'static str> {
    let named = |name| {
        headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap_or_default())
    };
    let mut hosts = named(HOST.as_str()).chain(uri.authority().map(Authority::as_str));
    let host = hosts.next();
    if !host.is_some_and(is_loopback) || !hosts.all(is_loopback) {
        return Some("Host: control calls are answered under localhost, 127.0.0.1 and [::1] only");
    }
    let own = |origin: &str| {
        let origin = origin.strip_prefix("http://");
        origin
            .zip(host)
            .is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
    };
    if !named(ORIGIN.as_str()).all(own) {
        return Some("Origin: control calls are not answered to pages of another origin");
    }
    if !named("sec-fetch-site").all(|site| matches!(site, "same-origin" | "none")) {
        return Some("Sec-Fetch-Site: control calls are not answered to pages of another origin");
    }
    None
}

/// Whether a host, with or without a port, is this machine whatever a name server says.
fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        // The colons of an address in brackets are its own.
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let bracketed = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let address: Option<IpAddr> = match bracketed {
        Some(name) => name.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        None => name.parse::<Ipv4Addr>().ok().map(IpAddr::from),
    };
    name.eq_ignore_ascii_case("localhost")
        || address.is_some_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_names_that_no_name_server_answers_for_are_this_machine() {
        for host in [
            "localhost",
            "LocalHost:80",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]",
            "[::1]:80",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            ":80",
            "evil.example",
            "localhost.evil.example",
            "localhost:80@evil.example",
            "127.0.0.1.evil.example",
            "0.0.0.0",
            "[::]",
            "::1",
            "[127.0.0.1]",
            "128.0.0.1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
