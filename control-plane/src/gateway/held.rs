//! An answer that keeps its server awake until it has been read or dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};

use super::gates::Pass;

/// A response body and the [`Pass`] under which it was asked for.
pub(crate) struct Held<B> {
    body: B,
    _pass: Pass,
}

impl<B> Held<B> {
    pub(crate) fn new(body: B, pass: Pass) -> Self {
        Self { body, _pass: pass }
    }
}

impl<B: Body + Unpin> Body for Held<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
