//! The two bodies of an exchange: the request's, which says when it begins to leave, and the answer's,
//! which is held once and never above its limit.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::TransportError;
use super::progress::Progress;

/// A request's body. hyper asks for it when the connection stands, and before it writes anything: the head
/// waits in the buffer until the body has joined it.
pub(super) struct LeavingBody {
    bytes: Option<Bytes>,
    progress: Progress,
}

impl LeavingBody {
    pub(super) fn new(bytes: Bytes, progress: Progress) -> Self {
        Self {
            bytes: Some(bytes),
            progress,
        }
    }
}

impl Body for LeavingBody {
    type Data = Bytes;
    type Error = Abandoned;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Abandoned>>> {
        let Some(bytes) = self.bytes.take() else {
            return Poll::Ready(None);
        };
        if !self.progress.start_sending() {
            return Poll::Ready(Some(Err(Abandoned)));
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.bytes.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(length as u64)
    }
}

/// The caller went away before the request left. Nobody is there to read it; it makes hyper drop the
/// connection with what is in its buffer.
#[derive(Debug)]
pub(super) struct Abandoned;

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the caller has gone")
    }
}

impl std::error::Error for Abandoned {}

/// An answer's body as it comes in.
pub(super) struct Gathered {
    limit: usize,
    announced: usize,
    /// Most answers are one chunk, which is then not copied.
    only: Bytes,
    many: Vec<u8>,
}

impl Gathered {
    /// # Errors
    /// `TooLarge`, when the server announces more than the limit.
    pub(super) fn new(limit: usize, announced: Option<u64>) -> Result<Self, TransportError> {
        let announced = usize::try_from(announced.unwrap_or(0)).unwrap_or(usize::MAX);
        if announced > limit {
            return Err(TransportError::TooLarge(limit));
        }
        Ok(Self {
            limit,
            announced,
            only: Bytes::new(),
            many: Vec::new(),
        })
    }

    /// # Errors
    /// `TooLarge`, before anything is kept that is above the limit.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<(), TransportError> {
        let length = self.only.len() + self.many.len();
        if chunk.len() > self.limit - length {
            return Err(TransportError::TooLarge(self.limit));
        }
        if length == 0 {
            self.only = chunk;
            return Ok(());
        }
        let needed = length + chunk.len();
        if needed > self.many.capacity() {
            // Doubled as vectors are, but never to more than may come.
            let capacity = self
                .announced
                .max(self.many.capacity().saturating_mul(2))
                .min(self.limit)
                .max(needed);
            self.many.reserve_exact(capacity - self.many.len());
        }
        self.many.extend_from_slice(&std::mem::take(&mut self.only));
        self.many.extend_from_slice(&chunk);
        Ok(())
    }

    pub(super) fn finish(self) -> Bytes {
        if self.many.is_empty() {
            self.only
        } else {
            Bytes::from(self.many)
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn is_too_large<T>(result: &Result<T, TransportError>) -> bool {
        matches!(result, Err(TransportError::TooLarge(100)))
    }

    #[test]
    fn a_body_is_held_once_and_its_memory_never_exceeds_the_limit() {
        for announced in [None, Some(100)] {
            let mut body = Gathered::new(100, announced).unwrap();
            for byte in 0..100 {
                body.push(Bytes::copy_from_slice(&[byte])).unwrap();
                assert!(body.many.capacity() <= 100, "{}", body.many.capacity());
            }
            assert!(is_too_large(&body.push(Bytes::from_static(b"x"))));
            assert_eq!(body.many.capacity(), 100, "refused before the buffer grew");
            let place = body.many.as_ptr();
            let body = body.finish();
            assert_eq!(body, (0..100).collect::<Vec<u8>>());
            assert_eq!(body.as_ptr(), place, "it was not copied at the end");
        }
    }

    #[test]
    fn a_body_of_one_chunk_is_not_copied() {
        let chunk = Bytes::from(vec![7; 50]);
        let mut body = Gathered::new(100, Some(50)).unwrap();
        body.push(chunk.clone()).unwrap();
        assert_eq!(body.finish().as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn a_body_that_is_announced_above_the_limit_is_refused_at_once() {
        assert!(is_too_large(&Gathered::new(100, Some(101))));
        assert!(is_too_large(&Gathered::new(100, Some(u64::MAX))));
    }

    #[test]
    fn nothing_leaves_when_the_caller_has_gone() {
        let progress = Progress::default();
        progress.connecting();
        let mut body = Box::pin(LeavingBody::new(
            Bytes::from_static(b"form"),
            progress.clone(),
        ));
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(progress.abandon());
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(matches!(
            body.as_mut().poll_frame(&mut context),
            Poll::Ready(Some(Err(Abandoned)))
        ));
    }
}
