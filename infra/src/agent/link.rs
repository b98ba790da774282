//! The agent's end of the channel to its launcher.
//!
//! One task reads, one writes, and anyone may ask: an order waits for the answer with its number. When the launcher
//! ends, everything that waits is told so at once.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use crate::isolation::{Identity, IsolationReport};
use crate::launcher::Parts;
use crate::launcher::wire::{Listed, News, Order, SetUp};

/// What a launcher answers to an order.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    Failed(String),
    Unknown,
    Busy,
    Listed(Vec<Listed>),
}

/// What the walls of this machine turned out to be.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) report: IsolationReport,
    pub(super) identity: Identity,
    pub(super) own_files: bool,
}

/// Where orders go in.
#[derive(Debug, Default)]
pub(super) struct Link {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    /// None while there is no launcher.
    out: Option<mpsc::UnboundedSender<Order>>,
}

/// Where news come out.
pub(super) struct Hearing {
    /// Readable when the launcher has ended.
    pub(super) pidfd: OwnedFd,
    lines: Lines<BufReader<OwnedReadHalf>>,
}

/// Makes a launcher raise its walls.
pub(super) async fn set_up(parts: Parts, order: SetUp) -> io::Result<(Ground, Hearing, OwnedWriteHalf)> {
    parts.channel.set_nonblocking(true)?;
    let (read, mut write) = UnixStream::from_std(parts.channel)?.into_split();
    send(&mut write, &Order::SetUp(order)).await?;
    let mut hearing = Hearing { pidfd: parts.pidfd, lines: BufReader::new(read).lines() };
    match hearing.next().await? {
        Some(News::Ready { report, identity, own_files }) => {
            Ok((Ground { report, identity, own_files }, hearing, write))
        }
        Some(other) => Err(io::Error::other(format!("the launcher began with {other:?}"))),
        None => Err(io::Error::other("the launcher ended before its walls were raised")),
    }
}

impl Hearing {
    /// The next news; none when the launcher has ended.
    pub(super) async fn next(&mut self) -> io::Result<Option<News>> {
        match self.lines.next_line().await? {
            None => Ok(None),
            Some(line) => serde_json::from_str(&line).map(Some).map_err(io::Error::other),
        }
    }
}

impl Link {
    /// Connects to a launcher; the task that writes ends with [`Self::disconnect`].
    pub(super) fn connect(&self, mut write: OwnedWriteHalf) {
        let (out, mut orders) = mpsc::unbounded_channel();
        self.state.lock().out = Some(out);
        tokio::spawn(async move {
            while let Some(order) = orders.recv().await {
                if send(&mut write, &order).await.is_err() {
                    // The reader notices the end as well, and tells those who wait.
                    break;
                }
            }
        });
    }

    /// Tells everyone who waits that there will be no answer.
    pub(super) fn disconnect(&self) {
        let mut state = self.state.lock();
        state.out = None;
        state.waiting.clear();
    }

    /// Asks, and waits for the answer; none when there is no launcher.
    pub(super) async fn ask(&self, order: impl FnOnce(u64) -> Order) -> Option<Answer> {
        let answer = {
            let mut state = self.state.lock();
            state.last += 1;
            let number = state.last;
            state.out.as_ref()?.send(order(number)).ok()?;
            let (tell, answer) = oneshot::channel();
            state.waiting.insert(number, tell);
            answer
        };
        answer.await.ok()
    }

    /// Gives an answer to whoever waits for it.
    pub(super) fn answer(&self, number: u64, answer: Answer) {
        let waiting = self.state.lock().waiting.remove(&number);
        if let Some(tell) = waiting {
            // Whoever asked may have gone.
            let _ = tell.send(answer);
        }
    }
}

async fn send(write: &mut OwnedWriteHalf, order: &Order) -> io::Result<()> {
    let mut line = serde_json::to_vec(order).map_err(io::Error::other)?;
    line.push(b'\n');
    write.write_all(&line).await
}
