//! The wire between providers: it can be cut in the middle of anything, be slow or still, and hold up one call of the protocol
//! so that a move stands at a known point while something is done to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How much goes over it at a time.
const PIECE: usize = 16 * 1024;

/// What a wire does to what goes over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Nothing.
    Fair,
    /// So many bytes a second go over each connection.
    Slow(u64),
    /// Nothing arrives, and nobody is told.
    Still,
    /// All connections break, and no others are made.
    Cut,
}

/// What of a call is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The question, before it arrives.
    Question,
    /// The answer, when all that was asked for has happened.
    Answer,
}

/// A call that is held up.
#[derive(Clone, Copy, Debug)]
pub struct Barrier {
    /// Whether this piece of what is asked is of the call.
    pub is: fn(&str) -> bool,
    /// Which part of it.
    pub part: Part,
}

/// What all connections of a wire look at.
#[derive(Clone, Debug)]
struct Signals {
    weather: watch::Sender<Weather>,
    barrier: watch::Sender<Option<Barrier>>,
    held: watch::Sender<bool>,
}

/// A port that leads to another; it ends when this is dropped.
#[derive(Debug)]
pub struct Wire {
    /// Where the other side seems to be.
    pub address: SocketAddr,
    to: Arc<Mutex<Option<SocketAddr>>>,
    signals: Signals,
    serving: JoinHandle<()>,
}

impl Wire {
    /// A wire that leads nowhere yet.
    pub async fn new() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let to = Arc::new(Mutex::new(None));
        let signals = Signals {
            weather: watch::Sender::new(Weather::Fair),
            barrier: watch::Sender::new(None),
            held: watch::Sender::new(false),
        };
        let (leads, all) = (Arc::clone(&to), signals.clone());
        let serving = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (to, signals) = (*leads.lock(), all.clone());
                if let Some(to) = to.filter(|_| *signals.weather.borrow() != Weather::Cut) {
                    tokio::spawn(join(near, to, signals));
                }
            }
        });
        Ok(Self { address, to, signals, serving })
    }

    /// Has it lead to `to`.
    pub fn lead_to(&self, to: SocketAddr) {
        *self.to.lock() = Some(to);
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        self.signals.weather.send_replace(weather);
    }

    /// Holds up the next such call, and all others like it, until [`Self::let_go`].
    pub fn hold_up(&self, barrier: Barrier) {
        self.signals.held.send_replace(false);
        self.signals.barrier.send_replace(Some(barrier));
    }

    /// Returns once a call is held up.
    pub async fn holds(&self) {
        // The sender is this wire's own.
        let _ = self.signals.held.subscribe().wait_for(|held| *held).await;
    }

    /// Lets whatever is held up go on.
    pub fn let_go(&self) {
        self.signals.barrier.send_replace(None);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn join(near: TcpStream, to: SocketAddr, signals: Signals) {
    let Ok(far) = TcpStream::connect(to).await else { return };
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let awaited = AtomicBool::new(false);
    let mut told = signals.weather.subscribe();
    let there = carry(near_in, far_out, &signals, |piece, barrier| {
        let is = (barrier.is)(&String::from_utf8_lossy(piece));
        if is && barrier.part == Part::Answer {
            awaited.store(true, Ordering::SeqCst);
        }
        is && barrier.part == Part::Question
    });
    let back = carry(far_in, near_out, &signals, |_, _| awaited.swap(false, Ordering::SeqCst));
    tokio::select! {
        _ = futures::future::join(there, back) => {}
        _ = told.wait_for(|weather| *weather == Weather::Cut) => {}
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    signals: &Signals,
    stops: impl Fn(&[u8], Barrier) -> bool,
) {
    let mut piece = vec![0; PIECE];
    let (mut weather, mut barrier) = (signals.weather.subscribe(), signals.barrier.subscribe());
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let held_up = *barrier.borrow();
        if held_up.is_some_and(|held_up| stops(&piece[..length], held_up)) {
            signals.held.send_replace(true);
            let _ = barrier.wait_for(Option::is_none).await;
        }
        let now = *weather.borrow();
        match now {
            Weather::Slow(rate) => tokio::time::sleep(Duration::from_secs_f64(length as f64 / rate as f64)).await,
            Weather::Still => drop(weather.wait_for(|weather| *weather != Weather::Still).await),
            Weather::Fair | Weather::Cut => {}
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
    // The other direction goes on until its own end.
    let _ = to.shutdown().await;
}
