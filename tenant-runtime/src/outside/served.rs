//! The host's end: it takes errands from one runtime, which may say whatever it likes, and has them carried.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::net::UnixStream;

use super::hosted::{FETCH, REMEMBER, STATUS};
use super::{Carrier, Errand, Error, Fetch, LONGEST, LONGEST_FETCHED};
use crate::ids::ServerId;

/// How many errands of one runtime are under way at once.
const AT_ONCE: u32 = 4;
/// How many it may have in one go.
const BURST: f64 = 60.0;
/// How many more each second.
const RATE: f64 = 0.5;

/// Carries errands for the runtime at the other end of `socket` until it hangs up.
///
/// # Errors
/// When the connection broke; a runtime that was killed breaks it.
pub async fn serve(socket: UnixStream, server: ServerId, carrier: Arc<dyn Carrier>) -> io::Result<()> {
    let full = || Arc::new(Mutex::new(Purse { left: BURST, at: Instant::now() }));
    let (errands, fetches) = (full(), full());
    let mut builder = Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(AT_ONCE).max_header_list_size(4 << 10).auto_date_header(false);
    let service = service_fn(move |request| {
        let (carrier, errands, fetches) = (Arc::clone(&carrier), Arc::clone(&errands), Arc::clone(&fetches));
        async move {
            Ok::<_, Infallible>(match request.uri().path() == FETCH {
                true => fetch(request, &*carrier, &fetches).await,
                false => answer(request, server, &*carrier, &errands).await,
            })
        }
    });
    builder.serve_connection(TokioIo::new(socket), service).await.map_err(io::Error::other)
}

async fn answer(
    request: Request<Incoming>,
    server: ServerId,
    carrier: &dyn Carrier,
    purse: &Mutex<Purse>,
) -> Response<Full<Bytes>> {
    if request.uri().path() == REMEMBER {
        return remember(request, server, carrier).await;
    }
    // An errand's body is a text within a text.
    let Ok(body) = Limited::new(request.into_body(), LONGEST * 2).collect().await else {
        return told(StatusCode::BAD_REQUEST, "this is too long to be sent to another server");
    };
    let errand = serde_json::from_slice(&body.to_bytes()).ok().filter(Errand::is_sound);
    let Some(errand) = errand else {
        tracing::warn!("a runtime asked for something that is no call between servers");
        return told(StatusCode::BAD_REQUEST, "this is no call between servers");
    };
    if !purse.lock().take() {
        return told(StatusCode::SERVICE_UNAVAILABLE, "this server has asked others a great deal lately");
    }
    match carrier.carry(errand).await {
        Ok(reply) if reply.body.len() <= LONGEST => {
            let mut response = Response::new(Full::new(reply.body));
            response.headers_mut().insert(STATUS, reply.status.into());
            if let Some(seconds) = reply.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        Ok(_) => told(StatusCode::BAD_REQUEST, "the other server said more than an answer may be long"),
        Err(error @ Error::Never(_)) => told(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(error) => told(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

async fn fetch(request: Request<Incoming>, carrier: &dyn Carrier, purse: &Mutex<Purse>) -> Response<Full<Bytes>> {
    let Ok(body) = Limited::new(request.into_body(), LONGEST_FETCHED + (1 << 20)).collect().await else {
        return told(StatusCode::BAD_REQUEST, "this is too long to be sent to another computer");
    };
    let Ok(fetch) = postcard::from_bytes::<Fetch>(&body.to_bytes()) else {
        tracing::warn!("a runtime asked for something that is no request");
        return told(StatusCode::BAD_REQUEST, "this is no request");
    };
    if !purse.lock().take() {
        return told(StatusCode::SERVICE_UNAVAILABLE, "this server has asked others a great deal lately");
    }
    match carrier.fetch(fetch).await {
        Ok(fetched) => match postcard::to_stdvec(&fetched) {
            Ok(bytes) => Response::new(Full::new(bytes.into())),
            Err(error) => told(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        Err(error @ Error::Never(_)) => told(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(error) => told(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

/// Has it remembered when a server wants to be awake. It costs the host a row, however often it is said.
async fn remember(request: Request<Incoming>, server: ServerId, carrier: &dyn Carrier) -> Response<Full<Bytes>> {
    let body = Limited::new(request.into_body(), 64).collect().await.map(|body| body.to_bytes());
    let at = body.ok().and_then(|body| std::str::from_utf8(&body).ok()?.trim().parse::<i64>().ok());
    let Some(at) = at else { return told(StatusCode::BAD_REQUEST, "this is no moment") };
    match carrier.remember(server, at).await {
        Ok(()) => told(StatusCode::OK, ""),
        Err(error) => told(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

fn told(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(words.as_bytes())));
    *response.status_mut() = status;
    response
}

struct Purse {
    left: f64,
    at: Instant,
}

impl Purse {
    fn take(&mut self) -> bool {
        let passed: Duration = self.at.elapsed();
        self.at += passed;
        self.left = (self.left + passed.as_secs_f64() * RATE).min(BURST) - 1.0;
        let enough = self.left >= 0.0;
        self.left = self.left.max(0.0);
        enough
    }
}
