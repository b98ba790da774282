//! The runtime's end: errands go over the socket that the host gave, HTTP/2 as with the broker of storage.

use std::io;
use std::os::unix::net::UnixStream;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::http::response::Parts;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Mutex;

use super::{Carrier, Errand, Error, Fetch, Fetched, Fetcher, Reply};
use crate::ids::ServerId;

/// The header with the status of the other server.
pub(super) const STATUS: &str = "x-status";
/// Where the host is told when the server wants to be awake.
pub(super) const REMEMBER: &str = "/remember";

/// Where errands go.
pub(super) const ERRAND: &str = "/errand";

/// Where requests of apps' code go.
pub(super) const FETCH: &str = "/fetch";

/// A carrier behind a connected socket. Nothing is said on it before the first errand, so that a server that has none pays nothing.
pub struct Hosted(Mutex<Line>);

enum Line {
    Idle(Option<UnixStream>),
    Open(SendRequest<Full<Bytes>>),
}

impl Hosted {
    /// Carries over this socket.
    #[must_use]
    pub fn over(socket: UnixStream) -> Self {
        Self(Mutex::new(Line::Idle(Some(socket))))
    }

    async fn open(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        let mut line = self.0.lock().await;
        let socket = match &mut *line {
            Line::Open(send) => return Ok(send.clone()),
            Line::Idle(socket) => socket.take().ok_or(io::ErrorKind::NotConnected)?,
        };
        socket.set_nonblocking(true)?;
        let socket = TokioIo::new(tokio::net::UnixStream::from_std(socket)?);
        let (send, connection) =
            Builder::new(TokioExecutor::new()).handshake(socket).await.map_err(io::Error::other)?;
        // Why it ended is told to whoever sends next.
        tokio::spawn(async move { connection.await.ok() });
        *line = Line::Open(send.clone());
        Ok(send)
    }

    async fn ask(&self, path: &str, said: Vec<u8>) -> io::Result<(Parts, Bytes)> {
        let request = Request::post(format!("http://outside{path}")).body(Full::new(said.into()));
        let request = request.map_err(io::Error::other)?;
        let answer = self.open().await?.send_request(request).await.map_err(io::Error::other)?;
        let (head, body) = answer.into_parts();
        Ok((head, body.collect().await.map_err(io::Error::other)?.to_bytes()))
    }

    async fn call_for(&self, fetch: &Fetch) -> io::Result<Result<Fetched, Error>> {
        let said = postcard::to_stdvec(fetch).map_err(io::Error::other)?;
        let (head, body) = self.ask(FETCH, said).await?;
        let words = || String::from_utf8_lossy(&body).into_owned();
        Ok(match head.status {
            StatusCode::OK => Ok(postcard::from_bytes(&body).map_err(io::Error::other)?),
            StatusCode::BAD_REQUEST => Err(Error::Never(words())),
            _ => Err(Error::Later(words())),
        })
    }

    async fn call(&self, errand: &Errand) -> io::Result<Result<Reply, Error>> {
        let text = serde_json::to_vec(errand).map_err(io::Error::other)?;
        let (head, body) = self.ask(ERRAND, text).await?;
        let number = |name: &str| head.headers.get(name)?.to_str().ok()?.parse::<u32>().ok();
        let words = || String::from_utf8_lossy(&body).into_owned();
        Ok(match head.status {
            StatusCode::OK => Ok(Reply {
                status: number(STATUS).and_then(|status| u16::try_from(status).ok()).unwrap_or(502),
                retry_after: number(header::RETRY_AFTER.as_str()),
                body,
            }),
            StatusCode::BAD_REQUEST => Err(Error::Never(words())),
            _ => Err(Error::Later(words())),
        })
    }

    async fn tell(&self, at_ms: i64) -> io::Result<Result<(), Error>> {
        let body = Full::new(at_ms.to_string().into());
        let request = Request::post(format!("http://outside{REMEMBER}")).body(body).map_err(io::Error::other)?;
        let answer = self.open().await?.send_request(request).await.map_err(io::Error::other)?;
        Ok(match answer.status() {
            StatusCode::OK => Ok(()),
            _ => Err(Error::Later("the host does not remember it just now".to_owned())),
        })
    }
}

impl Carrier for Hosted {
    fn carry(&self, errand: Errand) -> BoxFuture<'_, Result<Reply, Error>> {
        async move {
            match self.call(&errand).await {
                Ok(told) => told,
                Err(error) => {
                    tracing::warn!(cause = %error, "the host's way to other servers broke");
                    Err(Error::Later("the way to other servers is broken just now".to_owned()))
                }
            }
        }
        .boxed()
    }

    fn remember(&self, _: ServerId, at_ms: i64) -> BoxFuture<'_, Result<(), Error>> {
        async move { self.tell(at_ms).await.unwrap_or_else(|error| Err(Error::Later(error.to_string()))) }.boxed()
    }
}

impl Fetcher for Hosted {
    fn fetch(&self, fetch: Fetch) -> BoxFuture<'_, Result<Fetched, Error>> {
        async move {
            match self.call_for(&fetch).await {
                Ok(told) => told,
                Err(error) => {
                    tracing::warn!(cause = %error, "the host's way to other computers broke");
                    Err(Error::Later("the way to other computers is broken just now".to_owned()))
                }
            }
        }
        .boxed()
    }
}
