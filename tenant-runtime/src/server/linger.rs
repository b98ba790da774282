//! A request's body that is read on for a while after nobody wants it any more.
//!
//! Whoever refuses an upload (there is no room, it begins at the wrong place) answers before the body has come. A
//! connection that is closed at that moment has bytes nobody read, and the system then cuts it instead of ending it:
//! the sender, still writing, finds a broken line and never sees the answer. So the rest is read and thrown away, up
//! to a bound in bytes and in time; that is long enough for the answer to arrive, and too short to be kept busy by.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::Buf;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

/// How much is read on.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// So many bytes.
    pub bytes: u64,
    /// For so long.
    pub time: Duration,
}

/// A body that is read on, within a [`Bound`], when it is dropped before its end.
#[derive(Debug)]
pub struct Lingering<B>
where
    B: HttpBody<Error: Send> + Send + Unpin + 'static,
{
    body: Option<B>,
    bound: Bound,
    /// Whether the sender has begun to send, as far as we know: one that waits for `100 Continue` has not until
    /// somebody reads, and is best told by the answer alone.
    begun: bool,
}

impl<B> Lingering<B>
where
    B: HttpBody<Error: Send> + Send + Unpin + 'static,
{
    /// `waits` says that the sender waits to be asked for the body (`Expect: 100-continue`).
    pub fn new(body: B, bound: Bound, waits: bool) -> Self {
        Self { body: Some(body), bound, begun: !waits }
    }

    /// Gives the rest up at once, as when the sender is too slow to be waited for.
    pub fn abandon(&mut self) {
        self.body = None;
    }
}

impl<B> HttpBody for Lingering<B>
where
    B: HttpBody<Error: Send> + Send + Unpin + 'static,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.begun = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), B::size_hint)
    }
}

impl<B> Drop for Lingering<B>
where
    B: HttpBody<Error: Send> + Send + Unpin + 'static,
{
    fn drop(&mut self) {
        let rest = self.body.take().filter(|rest| self.begun && !rest.is_end_stream());
        if let (Some(rest), Ok(runtime)) = (rest, tokio::runtime::Handle::try_current()) {
            runtime.spawn(read_on(rest, self.bound));
        }
    }
}

async fn read_on<B: HttpBody + Unpin>(mut body: B, bound: Bound) {
    let reading = async {
        let mut left = bound.bytes;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.into_data().map_or(0, |data| data.remaining() as u64);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Both ends mean the same: it was enough.
    let _ = tokio::time::timeout(bound.time, reading).await;
}
