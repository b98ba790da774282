//! The line to an object store: it adds the latency of distance, counts what goes over it, and can fail in each of the
//! ways lines and stores fail.
//!
//! It also makes the store's conditional writes of one object follow one another, because the store in these tests
//! compares and writes in two steps, which a real one does in one. So that this holds whoever is killed meanwhile, a
//! request that has arrived here goes on to the store even if nobody waits for its answer any more.
//!
//! It adds the latency it is told and nothing else. Therefore each request has a connection to the store of its own: on
//! one that is used again the store's last small packet may wait for an acknowledgement that this machine holds back
//! for 40 ms.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the line does to whatever goes over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// It takes this long for each request.
    Fair(Duration),
    /// The store is down: nothing is answered but an error.
    Down,
    /// The store takes what is sent and never answers, not even later.
    Silent,
    /// A bit of every object that is read is flipped.
    Flipping,
}

/// What went over the line.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Requests, by method.
    pub requests: BTreeMap<String, u64>,
    /// Bytes of bodies towards the store.
    pub sent: u64,
    /// Bytes of bodies from the store.
    pub received: u64,
}

impl Traffic {
    /// Requests that are billed like writes: PUT, POST, and listings, which a line cannot tell from reads, not.
    pub fn writes(&self) -> u64 {
        self.count("PUT") + self.count("POST")
    }

    /// Requests that are billed like reads.
    pub fn reads(&self) -> u64 {
        self.count("GET") + self.count("HEAD")
    }

    fn count(&self, method: &str) -> u64 {
        self.requests.get(method).copied().unwrap_or_default()
    }
}

/// A line that listens; it ends when this is dropped.
#[derive(Debug)]
pub struct Line {
    /// Where the store seems to be.
    pub address: SocketAddr,
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Inner {
    store: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    weather: Mutex<Weather>,
    traffic: Mutex<Traffic>,
    /// Whose turn it is to write an object conditionally, by its path.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    under_way: AtomicU64,
    flips: AtomicU64,
}

/// One request on its way.
struct UnderWay(Arc<Inner>);

impl UnderWay {
    fn on(inner: &Arc<Inner>) -> Self {
        inner.under_way.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(inner))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Line {
    /// A line to `store`.
    pub async fn to(store: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let inner = Arc::new(Inner {
            store,
            client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector),
            weather: Mutex::new(Weather::Fair(Duration::ZERO)),
            traffic: Mutex::default(),
            turns: Mutex::default(),
            under_way: AtomicU64::new(0),
            flips: AtomicU64::new(0),
        });
        let serving = tokio::spawn(accept(listener, Arc::clone(&inner)));
        Ok(Self { address, inner, serving })
    }

    /// From now on.
    pub fn set(&self, weather: Weather) {
        *self.inner.weather.lock() = weather;
    }

    /// What went over it since this was asked last.
    pub fn traffic(&self) -> Traffic {
        std::mem::take(&mut self.inner.traffic.lock())
    }

    /// Returns when nothing that was asked for is on its way any more.
    pub async fn settled(&self) {
        while self.inner.under_way.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// How many bits were flipped.
    pub fn flips(&self) -> u64 {
        self.inner.flips.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, inner: Arc<Inner>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        // Without delay is a wish.
        let _ = socket.set_nodelay(true);
        let inner = Arc::clone(&inner);
        let service = service_fn(move |request| {
            let inner = Arc::clone(&inner);
            async move { pass_on(inner, request).await }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    }
}

/// Passes on a request that has arrived whole, to its end.
async fn pass_on(inner: Arc<Inner>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, body.collect().await?.to_bytes());
    let under_way = UnderWay::on(&inner);
    tokio::spawn(async move {
        let answer = inner.pass_on(request).await;
        drop(under_way);
        answer
    })
    .await?
}

/// Returns after this time, to some tens of microseconds; the clock of the executor goes by whole milliseconds.
async fn travel(latency: Duration) -> Result<()> {
    if latency.is_zero() {
        return Ok(());
    }
    Ok(tokio::task::spawn_blocking(move || std::thread::sleep(latency)).await?)
}

impl Inner {
    async fn pass_on(&self, request: Request<Bytes>) -> Result<Response<Full<Bytes>>> {
        let (mut head, body) = request.into_parts();
        let weather = *self.weather.lock();
        match weather {
            Weather::Fair(latency) => travel(latency).await?,
            Weather::Flipping => {}
            Weather::Silent => std::future::pending().await,
            Weather::Down => {
                let mut away = Response::new(Full::new(Bytes::from_static(b"the store is down")));
                *away.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                return Ok(away);
            }
        }
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let is_read = head.method == Method::GET && !path.contains("list-type");
        head.uri = format!("http://{}{path}", self.store).parse()?;
        let conditional = head.headers.contains_key(IF_MATCH) || head.headers.contains_key(IF_NONE_MATCH);
        {
            let mut traffic = self.traffic.lock();
            *traffic.requests.entry(head.method.to_string()).or_default() += 1;
            traffic.sent += body.len() as u64;
        }
        // A head is not read in the midst of its replacement either: the store in these tests keeps content and tag in
        // two files, and would give one of each.
        let turn = match conditional || (is_read && head.uri.path().ends_with("/head")) {
            true => Some(self.turn(head.uri.path()).lock_owned().await),
            false => None,
        };
        let answer = self.client.request(Request::from_parts(head, Full::new(body))).await?;
        let (head, body) = answer.into_parts();
        let mut body = body.collect().await?.to_bytes();
        drop(turn);
        self.traffic.lock().received += body.len() as u64;
        if weather == Weather::Flipping && is_read && head.status.is_success() && !body.is_empty() {
            let mut wrong = body.to_vec();
            let middle = wrong.len() / 2;
            wrong[middle] ^= 1;
            body = wrong.into();
            self.flips.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Response::from_parts(head, Full::new(body)))
    }

    fn turn(&self, path: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.turns.lock().entry(path.to_owned()).or_default())
    }
}
