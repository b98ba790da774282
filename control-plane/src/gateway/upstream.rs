//! Kept-open connections to one awake server.
//!
//! A request without a body, or with a small one, is sent and answered by the very task that serves the client: it
//! drives the connection to the server while it waits for the answer. So no other task has to be woken on the way
//! there or back, which is most of what a general client pool costs. What may take long on its own, an upload or a
//! tunnel, gets a connection and a task for itself.
//!
//! A connection is taken for one request and comes back when its answer has been read to the end. Because only the
//! gateway decides when a server sleeps, and drops these first, none of them is ever met half closed but after a crash.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::UnixStream;
use tokio::time::{Instant, Sleep};

use super::reach::reach;
use super::upload::{Course, End, Upload};
use crate::metering::Tally;

/// The most connections that are kept open while nobody uses them.
const MOST_IDLE: usize = 256;

/// The connections to one awake server. A cheap clone; all clones share them.
#[derive(Clone)]
pub(super) struct Upstream(Arc<Shared>);

struct Shared {
    socket: PathBuf,
    /// How long the socket may be absent, as it is while its host starts, and how long an answer may take.
    patience: Duration,
    /// The bytes that go by.
    tally: Arc<Tally>,
    idle: Mutex<Vec<Link>>,
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
    /// No answer came in time.
    #[error("the server did not answer in time")]
    Slow,
}

impl Upstream {
    pub(super) fn to(socket: &Path, patience: Duration, tally: Arc<Tally>) -> Self {
        Self(Arc::new(Shared { socket: socket.to_owned(), patience, tally, idle: Mutex::default() }))
    }

    /// Sends a request over a connection that is free, or over a new one. Only a request without a body is held to a
    /// deadline: an upload takes as long as the person's line takes.
    pub(super) async fn send(&self, mut request: Request<Upload>) -> Result<Response<Answer>, Error> {
        request.body_mut().count_for(&self.0.tally);
        if !request.body().is_small() {
            return self.send_apart(request).await;
        }
        if request.headers().contains_key(header::UPGRADE) {
            let answer = self.send_apart(request);
            return tokio::time::timeout(self.0.patience, answer).await.map_err(|_| Error::Slow)?;
        }
        let mut link = self.free().await?;
        let (is_bounded, course) = (request.body().is_none(), request.body().course());
        let response = link.exchange(request, is_bounded.then_some(self.0.patience)).await?;
        Ok(response.map(|body| Answer {
            body,
            way: Way::Here { link: Some(link), course },
            upstream: Arc::clone(&self.0),
        }))
    }

    async fn send_apart(&self, request: Request<Upload>) -> Result<Response<Answer>, Error> {
        let stream = reach(&self.0.socket, self.0.patience).await.map_err(Error::Unreachable)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Error::Ended)?;
        tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(request).await.map_err(Error::Ended)?;
        Ok(response.map(|body| Answer { body, way: Way::Apart { _sender: sender }, upstream: Arc::clone(&self.0) }))
    }

    async fn free(&self) -> Result<Link, Error> {
        loop {
            let Some(mut kept) = self.0.idle.lock().pop() else { break };
            if std::future::poll_fn(|cx| kept.poll_ready(cx)).await {
                return Ok(kept);
            }
        }
        let stream = reach(&self.0.socket, self.0.patience).await.map_err(Error::Unreachable)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Error::Ended)?;
        Ok(Link { sender, connection: Some(Box::pin(connection)), alarm: None })
    }
}

type Driven = Connection<TokioIo<UnixStream>, Upload>;

/// One connection, driven by whoever uses it.
struct Link {
    sender: SendRequest<Upload>,
    /// `None` once it has ended.
    connection: Option<Pin<Box<Driven>>>,
    /// Kept from one request to the next, because moving an alarm further away costs next to nothing.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Link {
    /// Goes on with reading and writing.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && connection.as_mut().poll(cx).is_ready()
        {
            // What ended it, the answer's own future or body tells.
            self.connection = None;
        }
    }

    /// Whether another request can be sent; `false` when it has ended.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.drive(cx);
        self.sender.poll_ready(cx).map(|ready| ready.is_ok())
    }

    async fn exchange(
        &mut self,
        request: Request<Upload>,
        patience: Option<Duration>,
    ) -> Result<Response<Incoming>, Error> {
        if let Some(patience) = patience {
            let until = Instant::now() + patience;
            match &mut self.alarm {
                Some(alarm) => alarm.as_mut().reset(until),
                None => self.alarm = Some(Box::pin(tokio::time::sleep_until(until))),
            }
        }
        let mut answer = std::pin::pin!(self.sender.send_request(request));
        std::future::poll_fn(|cx| {
            self.drive(cx);
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer.map_err(Error::Ended));
            }
            match &mut self.alarm {
                Some(alarm) if patience.is_some() => alarm.as_mut().poll(cx).map(|()| Err(Error::Slow)),
                _ => Poll::Pending,
            }
        })
        .await
    }
}

/// The body of an answer, which gives its connection back once it has been read.
pub(super) struct Answer {
    body: Incoming,
    way: Way,
    upstream: Arc<Shared>,
}

impl Answer {
    /// Where its bytes are counted.
    pub(super) fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.upstream.tally)
    }
}

/// How the answer comes.
enum Way {
    /// Over a connection that its reader drives.
    Here { link: Option<Link>, course: Course },
    /// Over one with a task of its own, which ends with it.
    Apart { _sender: SendRequest<Upload> },
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Way::Here { link, course } = &mut self.way
            && self.body.is_end_stream()
            && course.end() == End::Whole
            && let Some(link) = link.take().filter(|link| link.connection.is_some())
        {
            let mut idle = self.upstream.idle.lock();
            if idle.len() < MOST_IDLE {
                idle.push(link);
            }
        }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let mut polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_pending()
            && let Way::Here { link: Some(link), .. } = &mut this.way
        {
            link.drive(cx);
            polled = Pin::new(&mut this.body).poll_frame(cx);
        }
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            this.upstream.tally.sent(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
