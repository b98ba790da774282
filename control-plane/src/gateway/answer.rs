//! What goes back to the client: a server's answer as it comes, or a page of our own.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::held::Held;
use super::lines::Turn;
use super::upstream::Answer;

/// The body of an answer; the request it answers is over when it has been read or dropped.
pub(super) struct Outgoing {
    what: What,
    _turn: Turn,
}

enum What {
    Server(Held<Answer>),
    Page(axum::body::Body),
}

impl Outgoing {
    pub(super) fn server(body: Held<Answer>, turn: Turn) -> Self {
        Self { what: What::Server(body), _turn: turn }
    }

    pub(super) fn page(body: axum::body::Body, turn: Turn) -> Self {
        Self { what: What::Page(body), _turn: turn }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.what {
            What::Server(body) => Pin::new(body).poll_frame(cx).map_err(BoxError::from),
            What::Page(body) => Pin::new(body).poll_frame(cx).map_err(BoxError::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.what {
            What::Server(body) => body.is_end_stream(),
            What::Page(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.what {
            What::Server(body) => body.size_hint(),
            What::Page(body) => body.size_hint(),
        }
    }
}
