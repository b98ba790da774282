//! An answer that keeps its server awake until it has been read or dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::gates::Pass;

/// A response body and the [`Pass`] under which it was asked for.
pub(crate) struct Held {
    body: Incoming,
    _pass: Pass,
}

impl Held {
    pub(crate) fn new(body: Incoming, pass: Pass) -> Self {
        Self { body, _pass: pass }
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
