//! In place of the transport over reqwest, in a crate that was built without it.

use std::sync::Arc;

use super::{Transport, TransportOptions};
use crate::error::{Error, Result};

/// # Errors
/// `Config`, always: there is none.
pub(crate) fn over_http(_: &TransportOptions) -> Result<Arc<dyn Transport>> {
    Err(Error::config(
        "transport: there is none, because the crate was built without its feature reqwest",
    )
    .with_hint("give the client a transport of your own, or build with the feature"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use crate::{Client, ErrorKind};

    #[test]
    fn a_crate_without_a_transport_demands_one() {
        let error = Client::builder().build().map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().starts_with("transport: "), "{error}");
    }
}
