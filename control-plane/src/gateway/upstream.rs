//! Kept-open connections to one awake server.
//!
//! A connection is taken for one request and comes back when its answer has been read to the end. Because only the
//! gateway decides when a server sleeps, and drops these first, none of them is ever met half closed but after a crash.
//! A general client pool does the same with a queue and a task for each request; what this saves over it was not
//! measured by itself.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;

use super::reach::reach;

/// The most connections that are kept open while nobody uses them.
const MOST_IDLE: usize = 256;

/// The connections to one awake server. A cheap clone; all clones share them.
#[derive(Clone)]
pub(super) struct Upstream(Arc<Shared>);

struct Shared {
    socket: PathBuf,
    /// How long the socket may be absent, as it is while its host starts.
    patience: Duration,
    idle: Mutex<Vec<SendRequest<Body>>>,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The socket does not take connections.
    #[error("the server's socket cannot be reached")]
    Unreachable(#[source] std::io::Error),
    /// The connection ended before an answer came.
    #[error("the server's connection ended")]
    Ended(#[source] hyper::Error),
}

impl Upstream {
    pub(super) fn to(socket: &Path, patience: Duration) -> Self {
        Self(Arc::new(Shared { socket: socket.to_owned(), patience, idle: Mutex::default() }))
    }

    /// Sends a request over a connection that is free, or over a new one.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Answer>, Error> {
        let mut connection = self.free().await?;
        let response = connection.send_request(request).await.map_err(Error::Ended)?;
        let upstream = Arc::clone(&self.0);
        Ok(response.map(|body| Answer { body, connection: Some(connection), upstream }))
    }

    async fn free(&self) -> Result<SendRequest<Body>, Error> {
        loop {
            let Some(mut kept) = self.0.idle.lock().pop() else { break };
            if kept.ready().await.is_ok() {
                return Ok(kept);
            }
        }
        let stream = reach(&self.0.socket, self.0.patience).await.map_err(Error::Unreachable)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Error::Ended)?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }
}

/// The body of an answer, which gives its connection back once it has been read.
pub(super) struct Answer {
    body: Incoming,
    connection: Option<SendRequest<Body>>,
    upstream: Arc<Shared>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| self.body.is_end_stream()) {
            let mut idle = self.upstream.idle.lock();
            if idle.len() < MOST_IDLE {
                idle.push(connection);
            }
        }
    }
}

impl http_body::Body for Answer {
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
