//! A bucket behind the host's broker.
//!
//! A runtime has no network and no credentials. What it has is one connected socket, and at the other end the host's
//! broker, which serves it its own objects and nothing else. A connection that breaks cannot be made again from in
//! here: the runtime ends ([`Brokered::ended`]), and the next request wakes one with a new connection.

use std::io;
use std::ops::Range;
use std::os::unix::net::UnixStream;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::http::response::Parts;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use tokio::sync::watch;

use super::wire::{self, ABSENT, EXPECT, MODIFIED, PIECE, SIZE, VERSION};
use super::{Driver, Expect, Listed, Put, Version, Writer};
use crate::store::error::Error;

/// How much may be under way towards us in one answer, and in all of them.
const WINDOWS: (u32, u32) = (1 << 20, 8 << 20);

/// The objects of one server, as its host's broker shows them. Clones share the connection.
#[derive(Clone)]
pub struct Brokered {
    send: SendRequest<Full<Bytes>>,
    ended: watch::Receiver<bool>,
}

impl Brokered {
    /// Speaks with the broker at the other end of a connected socket.
    ///
    /// # Errors
    /// When the socket cannot be used, or what is at its other end is no broker.
    pub async fn over(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = TokioIo::new(tokio::net::UnixStream::from_std(socket)?);
        let mut builder = Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(WINDOWS.0).initial_connection_window_size(WINDOWS.1);
        let (send, connection) = builder.handshake(socket).await.map_err(io::Error::other)?;
        let (end, ended) = watch::channel(false);
        tokio::spawn(async move {
            // Why it ended makes no difference to what follows from it.
            let _ = connection.await;
            end.send_replace(true);
        });
        Ok(Self { send, ended })
    }

    /// Returns when the broker is gone for good.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            // An error means that the task that would say so was dropped with its executor.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    async fn ask(
        &self,
        doing: &'static str,
        key: &str,
        method: Method,
        path: String,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<(Parts, Bytes), Error> {
        let lost = |e: hyper::Error| Error::unavailable(doing, key, e);
        let mut request = Request::builder().method(method).uri(format!("http://broker{path}"));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body)).map_err(|e| Error::refused(doing, key, e))?;
        let (answer, body) = self.send.clone().send_request(request).await.map_err(lost)?.into_parts();
        let whole = body.collect().await.map_err(lost)?.to_bytes();
        match answer.status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::PRECONDITION_FAILED => Ok((answer, whole)),
            status => Err(wire::error(doing, key, status, String::from_utf8_lossy(&whole).into_owned())),
        }
    }
}

fn object(key: &str) -> String {
    format!("/object/{key}")
}

fn header<'a>(answer: &'a Parts, name: &str) -> Option<&'a str> {
    answer.headers.get(name)?.to_str().ok()
}

fn version(doing: &'static str, key: &str, answer: &Parts) -> Result<Version, Error> {
    let version = header(answer, VERSION).and_then(wire::from_header);
    version.ok_or_else(|| Error::unavailable(doing, key, io::Error::other("the broker's answer has no version")))
}

impl Driver for Brokered {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(Bytes, Version)>, Error>> {
        async move {
            match self.ask("read", key, Method::GET, object(key), &[], Bytes::new()).await {
                Ok((answer, body)) => Ok(Some((body, version("read", key, &answer)?))),
                Err(Error::Missing { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        }
        .boxed()
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, Error>> {
        async move {
            let (wanted, mut pieces) = (range.end - range.start, Vec::new());
            let mut at = range.start;
            while at < range.end {
                let end = range.end.min(at + PIECE);
                let asked = [("range", format!("bytes={at}-{}", end - 1))];
                let (_, body) = self.ask("read", key, Method::GET, object(key), &asked, Bytes::new()).await?;
                if body.len() as u64 != end - at {
                    return Err(Error::damaged(key, "it is shorter than it should be"));
                }
                if body.len() as u64 == wanted {
                    return Ok(body);
                }
                pieces.push(body);
                at = end;
            }
            Ok(pieces.concat().into())
        }
        .boxed()
    }

    fn stat<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Listed>, Error>> {
        async move {
            let answer = match self.ask("look at", key, Method::GET, format!("/stat/{key}"), &[], Bytes::new()).await {
                Ok((answer, _)) => answer,
                Err(Error::Missing { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            let number = |name| header(&answer, name)?.parse::<i64>().ok();
            let listed = number(SIZE).zip(number(MODIFIED)).map(|(size, modified)| Listed {
                key: key.to_owned(),
                size: size.unsigned_abs(),
                modified: Timestamp::from_millisecond(modified).unwrap_or(Timestamp::UNIX_EPOCH),
            });
            let incomplete = || Error::unavailable("look at", key, io::Error::other("the broker's answer has no size"));
            listed.ok_or_else(incomplete).map(Some)
        }
        .boxed()
    }

    fn put<'a>(&'a self, key: &'a str, body: Bytes) -> BoxFuture<'a, Result<(), Error>> {
        async move { self.ask("write", key, Method::PUT, object(key), &[], body).await.map(drop) }.boxed()
    }

    fn put_if<'a>(&'a self, key: &'a str, body: Bytes, expect: &'a Expect) -> BoxFuture<'a, Result<Put, Error>> {
        async move {
            let expected = match expect {
                Expect::Absent => ABSENT.to_owned(),
                Expect::Version(known) => wire::to_header(known),
            };
            let (answer, _) = self.ask("replace", key, Method::PUT, object(key), &[(EXPECT, expected)], body).await?;
            match answer.status {
                StatusCode::PRECONDITION_FAILED => Ok(Put::Refused),
                _ => Ok(Put::Done(version("replace", key, &answer)?)),
            }
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        async move { self.ask("delete", key, Method::DELETE, object(key), &[], Bytes::new()).await.map(drop) }.boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, Error>> {
        async move {
            let path = format!("/list/{prefix}");
            let (_, body) = self.ask("list", prefix, Method::GET, path, &[], Bytes::new()).await?;
            let lines: Vec<wire::Line> =
                serde_json::from_slice(&body).map_err(|e| Error::unavailable("list", prefix, e))?;
            Ok(lines.into_iter().map(Listed::from).collect())
        }
        .boxed()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        async move {
            let (_, number) = self.ask("begin", DRAFT, Method::POST, "/draft".to_owned(), &[], Bytes::new()).await?;
            let path = format!("/draft/{}", String::from_utf8_lossy(&number));
            Ok(Box::new(Draft { broker: self.clone(), path, open: true }) as Box<dyn Writer>)
        }
        .boxed()
    }

    fn stride(&self) -> u64 {
        2 << 20
    }

    fn is_lost(&self) -> bool {
        *self.ended.borrow()
    }
}

/// What a draft is called in errors.
const DRAFT: &str = "an object";

/// An object that is being written at the broker; dropping it gives it up.
struct Draft {
    broker: Brokered,
    path: String,
    open: bool,
}

impl Draft {
    async fn ask(&self, method: Method, path: String, body: Bytes) -> Result<(), Error> {
        self.broker.ask("write", DRAFT, method, path, &[], body).await.map(drop)
    }
}

impl Writer for Draft {
    fn write(&mut self, pieces: Vec<Bytes>) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let mut rest = match <[Bytes; 1]>::try_from(pieces) {
                Ok([piece]) => piece,
                Err(pieces) => pieces.concat().into(),
            };
            while !rest.is_empty() {
                let piece = rest.split_to(rest.len().min(PIECE as usize));
                self.ask(Method::PUT, self.path.clone(), piece).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn commit(mut self: Box<Self>, key: String) -> BoxFuture<'static, Result<(), Error>> {
        async move {
            self.ask(Method::POST, format!("{}/{key}", self.path), Bytes::new()).await?;
            self.open = false;
            Ok(())
        }
        .boxed()
    }

    fn abort(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        async move {
            self.open = false;
            // What the broker did not hear it forgets with the connection.
            self.ask(Method::DELETE, self.path.clone(), Bytes::new()).await.ok();
        }
        .boxed()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let Ok(executor) = tokio::runtime::Handle::try_current() else { return };
        if self.open && !self.broker.is_lost() {
            let (broker, path) = (self.broker.clone(), self.path.clone());
            executor.spawn(async move {
                broker.ask("give up", DRAFT, Method::DELETE, path, &[], Bytes::new()).await.ok();
            });
        }
    }
}
