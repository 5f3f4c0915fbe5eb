//! The body of a request, as far as there is room and time for it.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes};

/// How large a body may be: PHP's `post_max_size`.
pub(crate) const MAX_SIZE: usize = 8 << 20;
/// How long a body may take to arrive: PHP's `max_input_time`.
pub(crate) const MAX_TIME: Duration = Duration::from_secs(60);

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    TooLarge,
    TooSlow,
    /// The connection ended before the body did.
    BrokenOff,
}

/// Reads a body to its end. One that is too large is read to its end as well, so that its sender gets to
/// read the answer, but it is not kept.
pub(crate) async fn read(
    mut body: impl Body<Data = Bytes> + Unpin,
    within: Duration,
) -> Result<Vec<u8>, Missing> {
    let reading = async {
        let mut read = Vec::new();
        let mut size: usize = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Missing::BrokenOff)?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            size = size.saturating_add(data.len());
            if size <= MAX_SIZE {
                read.extend_from_slice(&data);
            } else {
                read = Vec::new();
            }
        }
        if size > MAX_SIZE {
            return Err(Missing::TooLarge);
        }
        Ok(read)
    };
    tokio::time::timeout(within, reading)
        .await
        .unwrap_or(Err(Missing::TooSlow))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Instant;

    use hyper::body::Frame;

    use super::*;

    /// A body of which a byte comes at once and the rest never.
    struct Slow(bool);

    impl Body for Slow {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Pending;
            }
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    #[test]
    fn nobody_waits_for_ever_for_the_rest_of_a_body() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let started = Instant::now();
        let read = runtime.block_on(read(Slow(false), Duration::from_millis(20)));
        assert_eq!(read, Err(Missing::TooSlow));
        assert!(started.elapsed() < MAX_TIME);
    }
}
