//! Many clients asking one thing over and over, through a TCP port or straight
//! into a runtime's Unix socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};

use crate::measure::Samples;

/// Where the requests go.
#[derive(Clone, Debug)]
pub enum Target {
    /// The public port, through the gateway.
    Port(SocketAddr),
    /// A runtime's own socket, past the gateway.
    Socket(PathBuf),
}

/// What is asked for, over and over.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The host name, with its port.
    pub host: String,
    /// The path.
    pub path: String,
    /// An app's token, where the path needs one.
    pub token: Option<String>,
}

impl Ask {
    /// Something that needs no token.
    #[must_use]
    pub fn openly(host: &str, path: &str) -> Self {
        Self { host: host.to_owned(), path: path.to_owned(), token: None }
    }
}

/// What a run of requests showed.
#[derive(Debug)]
pub struct Pressure {
    /// How long each took.
    pub samples: Samples,
    /// From first to last.
    pub took: Duration,
}

impl Pressure {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.samples.count() as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// `clients` connections ask the same `each` times; every answer must be a success.
pub async fn press(target: &Target, ask: &Ask, clients: usize, each: usize) -> Result<Pressure> {
    let start = Instant::now();
    let runs = (0..clients).map(|_| {
        let (target, ask) = (target.clone(), ask.clone());
        tokio::spawn(async move { one_client(&target, &ask, each).await })
    });
    let mut samples = Samples::default();
    for run in futures::future::join_all(runs).await {
        samples.extend(run.context("a client task ended early")??);
    }
    Ok(Pressure { samples, took: start.elapsed() })
}

async fn one_client(target: &Target, ask: &Ask, times: usize) -> Result<Samples> {
    let mut sender = match target {
        Target::Port(address) => {
            let stream = TcpStream::connect(address).await.context("connecting to the gateway")?;
            stream.set_nodelay(true)?;
            handshake(TokioIo::new(stream)).await?
        }
        Target::Socket(socket) => {
            let stream = UnixStream::connect(socket).await.context("connecting to the runtime")?;
            handshake(TokioIo::new(stream)).await?
        }
    };
    let mut samples = Samples::default();
    for _ in 0..times {
        let start = Instant::now();
        let mut request = Request::get(&ask.path).header("host", &ask.host);
        if let Some(token) = &ask.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Empty::<Bytes>::new())?;
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        ensure!(status.is_success(), "{}{} answered {status}", ask.host, ask.path);
        samples.add(start.elapsed());
    }
    Ok(samples)
}

async fn handshake<S>(stream: TokioIo<S>) -> Result<http1::SendRequest<Empty<Bytes>>>
where
    TokioIo<S>: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    S: Send + 'static,
{
    let (sender, connection) = http1::handshake(stream).await?;
    tokio::spawn(connection);
    Ok(sender)
}
