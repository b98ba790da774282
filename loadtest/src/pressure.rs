//! Many clients asking one thing over and over, through a TCP port or straight
//! into a runtime's Unix socket.
//!
//! The clients share a thread of their own and do the least a client can: the
//! request is one run of bytes made beforehand, and of the answer only status
//! and length are looked at. So a figure speaks of who answers, not of who asks.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
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

    fn bytes(&self) -> Vec<u8> {
        let token = self.token.as_ref().map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        format!("GET {} HTTP/1.1\r\nhost: {}\r\n{token}\r\n", self.path, self.host).into_bytes()
    }
}

/// What a run of requests showed.
#[derive(Debug)]
pub struct Pressure {
    /// How long each took.
    pub samples: Samples,
    /// Bytes of all bodies.
    pub bytes: u64,
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
    let (target, ask) = (target.clone(), ask.clone());
    let pressing = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(press_here(&target, &ask, clients, each))
    });
    pressing.await.context("the clients ended early")?
}

async fn press_here(target: &Target, ask: &Ask, clients: usize, each: usize) -> Result<Pressure> {
    let start = Instant::now();
    let runs = (0..clients).map(|_| one_client(target, ask, each));
    let mut pressure = Pressure { samples: Samples::default(), bytes: 0, took: Duration::ZERO };
    for (samples, bytes) in futures::future::try_join_all(runs).await? {
        pressure.samples.extend(samples);
        pressure.bytes += bytes;
    }
    pressure.took = start.elapsed();
    Ok(pressure)
}

async fn one_client(target: &Target, ask: &Ask, times: usize) -> Result<(Samples, u64)> {
    match target {
        Target::Port(address) => {
            let stream = TcpStream::connect(address).await.context("connecting to the gateway")?;
            stream.set_nodelay(true)?;
            ask_again_and_again(stream, ask, times).await
        }
        Target::Socket(socket) => {
            let stream = UnixStream::connect(socket).await.context("connecting to the runtime")?;
            ask_again_and_again(stream, ask, times).await
        }
    }
}

async fn ask_again_and_again<S>(mut stream: S, ask: &Ask, times: usize) -> Result<(Samples, u64)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = ask.bytes();
    let mut buffer = vec![0; 256 << 10];
    let (mut samples, mut bytes) = (Samples::default(), 0);
    for _ in 0..times {
        let start = Instant::now();
        stream.write_all(&request).await?;
        bytes +=
            answer(&mut stream, &mut buffer).await.with_context(|| format!("asking for {}{}", ask.host, ask.path))?;
        samples.add(start.elapsed());
    }
    Ok((samples, bytes))
}

/// Reads one answer, which must be a success of known length; its length.
async fn answer<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut [u8]) -> Result<u64> {
    let mut filled = 0;
    let body_from = loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        ensure!(read > 0, "the connection ended in the middle of an answer");
        let search_from = filled.saturating_sub(3);
        filled += read;
        if let Some(at) = buffer[search_from..filled].windows(4).position(|four| four == b"\r\n\r\n") {
            break search_from + at + 4;
        }
    };
    let head = std::str::from_utf8(&buffer[..body_from]).context("an answer's head is text")?;
    ensure!(head.starts_with("HTTP/1.1 2"), "it answered {}", head.lines().next().unwrap_or_default());
    let length = head.lines().filter_map(|line| line.split_once(':'));
    let mut length =
        length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value.trim());
    let Some(length) = length.next().and_then(|length| length.parse::<u64>().ok()) else {
        bail!("its length is not known beforehand: {head}")
    };
    let mut left = length.checked_sub((filled - body_from) as u64).context("more came than was announced")?;
    while left > 0 {
        let read = stream.read(buffer).await?;
        ensure!(read > 0, "the connection ended in the middle of a body");
        left = left.checked_sub(read as u64).context("more came than was announced")?;
    }
    Ok(length)
}
