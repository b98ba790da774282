//! The broker's half of a connection: it answers one runtime out of one driver.
//!
//! The driver is that server's objects and no others; which those are was decided where the connection was accepted.
//! Nothing a runtime sends is trusted: keys are taken only as [`wire::is_key`] has them, bodies only up to a stated
//! size, and the bytes it has under way are paid from a budget, so that one runtime can take only its share of the
//! host's memory. What an error says inside (addresses, credentials, answers of the store) is logged here and stays here.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, RANGE};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::wire::{self, ABSENT, EXPECT, MODIFIED, PIECE, SIZE, VERSION, WHOLE};
use super::{Driver, Expect, Put, Writer};
use crate::store::error::Error;

/// How many requests of one runtime are under way at once; as many as a home that was killed has to ask for when it
/// wakes. What they hold is bounded by the budget.
const STREAMS: u32 = 160;

/// How many bytes of one runtime may be in memory at once, in KiB.
const BUDGET_KIB: usize = 64 << 10;

/// What a read whose size is not known yet is reckoned at: what the store writes in one piece is seldom larger.
const RECKONED: u64 = 8 << 20;

/// How many drafts one runtime may have open.
const DRAFTS: usize = 64;

/// How much may be under way towards us in one request, and in all of them.
const WINDOWS: (u32, u32) = (1 << 20, 8 << 20);

type Body = UnsyncBoxBody<Bytes, Infallible>;
type Answer = Response<Body>;
type Draft = Arc<tokio::sync::Mutex<Option<Box<dyn Writer>>>>;

/// Answers the runtime at the other end of `socket` until it hangs up.
///
/// # Errors
/// When the connection broke; a runtime that was killed breaks it.
pub async fn serve(socket: UnixStream, driver: Arc<dyn Driver>) -> io::Result<()> {
    let served = Arc::new(Served {
        driver,
        budget: Arc::new(Semaphore::new(BUDGET_KIB)),
        drafts: Mutex::default(),
        last: AtomicU64::new(0),
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_header_list_size(8 << 10)
        .auto_date_header(false);
    let service = service_fn(move |request| {
        let served = Arc::clone(&served);
        async move { Ok::<_, Infallible>(served.answer(request).await) }
    });
    builder.serve_connection(TokioIo::new(socket), service).await.map_err(io::Error::other)
}

struct Served {
    driver: Arc<dyn Driver>,
    budget: Arc<Semaphore>,
    drafts: Mutex<HashMap<u64, Draft>>,
    last: AtomicU64,
}

/// What a path asks for.
enum Target<'a> {
    Object(&'a str),
    Stat(&'a str),
    List(&'a str),
    NewDraft,
    Draft(u64),
    Commit(u64, &'a str),
}

fn target(path: &str) -> Option<Target<'_>> {
    if let Some(key) = path.strip_prefix("/object/") {
        return wire::is_key(key).then_some(Target::Object(key));
    }
    if let Some(key) = path.strip_prefix("/stat/") {
        return wire::is_key(key).then_some(Target::Stat(key));
    }
    if let Some(prefix) = path.strip_prefix("/list/") {
        return wire::is_prefix(prefix).then_some(Target::List(prefix));
    }
    match path.strip_prefix("/draft")? {
        "" => Some(Target::NewDraft),
        rest => match rest.strip_prefix('/')?.split_once('/') {
            None => rest[1..].parse().ok().map(Target::Draft),
            Some((number, key)) if wire::is_key(key) => Some(Target::Commit(number.parse().ok()?, key)),
            Some(_) => None,
        },
    }
}

impl Served {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let Some(target) = target(&path).filter(|_| head.uri.query().is_none()) else {
            tracing::warn!(path, "a runtime asked for what is no object of its own");
            return refusal(StatusCode::BAD_REQUEST, "that is no key");
        };
        let done = match (&head.method, target) {
            (&Method::GET, Target::Object(key)) => self.get(key, &head.headers).await,
            (&Method::GET, Target::Stat(key)) => self.stat(key).await,
            (&Method::PUT, Target::Object(key)) => self.put(key, &head.headers, body).await,
            (&Method::DELETE, Target::Object(key)) => self.driver.delete(key).await.map(|()| empty()),
            (&Method::GET, Target::List(prefix)) => self.list(prefix).await,
            (&Method::POST, Target::NewDraft) => self.begin().await,
            (&Method::PUT, Target::Draft(number)) => self.go_on(number, &head.headers, body).await,
            (&Method::POST, Target::Commit(number, key)) => self.commit(number, key).await,
            (&Method::DELETE, Target::Draft(number)) => self.give_up(number).await,
            (method, _) => {
                tracing::warn!(%method, path, "a runtime asked in a way there is not");
                return refusal(StatusCode::METHOD_NOT_ALLOWED, "there is no such request");
            }
        };
        done.unwrap_or_else(|error| told(&error))
    }

    async fn get(&self, key: &str, headers: &HeaderMap) -> Result<Answer, Error> {
        let Some(range) = headers.get(RANGE) else {
            let paid = self.pay(RECKONED).await;
            let found = self.driver.get(key).await?;
            let (body, version) = found.ok_or_else(|| Error::Missing { what: "object", name: key.to_owned() })?;
            let mut answer = holding(body, paid);
            answer.headers_mut().insert(VERSION, ascii(wire::to_header(&version)));
            return Ok(answer);
        };
        let range = range.to_str().ok().and_then(parse_range);
        let range = range.filter(|range| range.start < range.end && range.end - range.start <= PIECE);
        let range = range.ok_or_else(|| Error::refused("read", key, "that is no range, or too long a one"))?;
        let paid = self.pay(range.end - range.start).await;
        let body = self.driver.get_range(key, range).await?;
        let mut answer = holding(body, paid);
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        Ok(answer)
    }

    async fn stat(&self, key: &str) -> Result<Answer, Error> {
        let found = self.driver.stat(key).await?;
        let found = found.ok_or_else(|| Error::Missing { what: "object", name: key.to_owned() })?;
        let mut answer = empty();
        answer.headers_mut().insert(SIZE, ascii(found.size.to_string()));
        answer.headers_mut().insert(MODIFIED, ascii(found.modified.as_millisecond().to_string()));
        Ok(answer)
    }

    async fn put(&self, key: &str, headers: &HeaderMap, body: Incoming) -> Result<Answer, Error> {
        let (body, _paid) = self.take("write", key, headers, body, WHOLE).await?;
        let expect = match headers.get(EXPECT).map(|value| value.to_str().unwrap_or_default()) {
            None => return self.driver.put(key, body).await.map(|()| empty()),
            Some(ABSENT) => Expect::Absent,
            Some(version) => {
                let known = wire::from_header(version);
                Expect::Version(known.ok_or_else(|| Error::refused("replace", key, "that is no version"))?)
            }
        };
        let mut answer = empty();
        match self.driver.put_if(key, body, &expect).await? {
            Put::Done(version) => drop(answer.headers_mut().insert(VERSION, ascii(wire::to_header(&version)))),
            Put::Refused => *answer.status_mut() = StatusCode::PRECONDITION_FAILED,
        }
        Ok(answer)
    }

    async fn list(&self, prefix: &str) -> Result<Answer, Error> {
        let lines: Vec<_> = self.driver.list(prefix).await?.into_iter().map(wire::Line::from).collect();
        let body = serde_json::to_vec(&lines).expect("a listing is plain data");
        let paid = self.pay(body.len() as u64).await;
        Ok(holding(body.into(), paid))
    }

    async fn begin(&self) -> Result<Answer, Error> {
        if self.drafts.lock().len() >= DRAFTS {
            return Err(Error::refused("begin", "an object", "too many are open"));
        }
        let draft: Draft = Arc::new(tokio::sync::Mutex::new(Some(self.driver.writer().await?)));
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        self.drafts.lock().insert(number, draft);
        Ok(plain(number.to_string().into()))
    }

    async fn go_on(&self, number: u64, headers: &HeaderMap, body: Incoming) -> Result<Answer, Error> {
        let (body, _paid) = self.take("write", "an object", headers, body, PIECE).await?;
        let draft = self.drafts.lock().get(&number).cloned().ok_or_else(no_draft)?;
        let mut draft = draft.lock().await;
        draft.as_mut().ok_or_else(no_draft)?.write(vec![body]).await.map(|()| empty())
    }

    async fn commit(&self, number: u64, key: &str) -> Result<Answer, Error> {
        let draft = self.drafts.lock().remove(&number).ok_or_else(no_draft)?;
        let draft = draft.lock().await.take().ok_or_else(no_draft)?;
        draft.commit(key.to_owned()).await.map(|()| empty())
    }

    async fn give_up(&self, number: u64) -> Result<Answer, Error> {
        let draft = self.drafts.lock().remove(&number);
        if let Some(draft) = draft
            && let Some(draft) = draft.lock().await.take()
        {
            draft.abort().await;
        }
        Ok(empty())
    }

    /// Reads a body that says how long it is, once there is room for it.
    async fn take(
        &self,
        doing: &'static str,
        key: &str,
        headers: &HeaderMap,
        body: Incoming,
        most: u64,
    ) -> Result<(Bytes, OwnedSemaphorePermit), Error> {
        let length =
            headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).map_or(Some(0), |n| n.parse().ok());
        let length = length.filter(|length: &u64| *length <= most);
        let length =
            length.ok_or_else(|| Error::refused(doing, key, format!("at most {most} bytes go in one piece")))?;
        let paid = self.pay(length).await;
        let body = Limited::new(body, length as usize)
            .collect()
            .await
            .map_err(|_| Error::refused(doing, key, "it broke off"))?;
        let body = body.to_bytes();
        if body.len() as u64 == length { Ok((body, paid)) } else { Err(Error::refused(doing, key, "it broke off")) }
    }

    async fn pay(&self, bytes: u64) -> OwnedSemaphorePermit {
        let kib = (bytes.div_ceil(1024) as usize).min(BUDGET_KIB) as u32;
        Arc::clone(&self.budget).acquire_many_owned(kib).await.expect("the budget is never closed")
    }
}

fn parse_range(text: &str) -> Option<Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    Some(first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?)
}

fn no_draft() -> Error {
    Error::refused("write", "an object", "there is no such draft")
}

fn ascii(text: String) -> hyper::header::HeaderValue {
    text.try_into().expect("digits and hex are a header's value")
}

fn empty() -> Answer {
    plain(Bytes::new())
}

fn plain(body: Bytes) -> Answer {
    Response::new(http_body_util::Full::new(body).boxed_unsync())
}

/// An answer whose bytes are paid for until they have been sent.
fn holding(body: Bytes, paid: OwnedSemaphorePermit) -> Answer {
    let sent = futures::stream::once(async move { Ok(Frame::data(body)) });
    let end = async move { drop(paid) }.into_stream().filter_map(|()| async { None });
    Response::new(StreamBody::new(sent.chain(end).boxed()).boxed_unsync())
}

fn refusal(status: StatusCode, words: &'static str) -> Answer {
    let mut answer = plain(Bytes::from_static(words.as_bytes()));
    *answer.status_mut() = status;
    answer
}

/// An error as a runtime may know it.
fn told(error: &Error) -> Answer {
    let words = match error {
        Error::Missing { .. } => "there is no such object",
        Error::Damaged { .. } => "it is shorter than it should be",
        Error::Full { .. } => "there is no room left",
        Error::Refused { .. } => {
            tracing::warn!(cause = %error, "a runtime's request to its storage was refused");
            "that was refused"
        }
        _ => {
            tracing::warn!(cause = crate::problem::chain(error), "the object store did not do what a runtime asked");
            "the object store did not answer as it should"
        }
    };
    refusal(wire::status(error), words)
}
