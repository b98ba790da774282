//! The output gate: nobody is told what could still be lost.
//!
//! A commit is visible to readers of the local copy before it is durable in the bucket. Each group of writes draws a
//! ticket before it commits; a read notes the newest ticket when it ends and is released when that ticket is settled.
//! It also says what all who use the home may want to know at once: whether it has ended, has departed, or holds writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::watch;

use super::error::Error;

/// How a home stands with its owner.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// It takes work.
    Awake,
    /// It stopped for this reason and takes none.
    Ended(Error),
}

#[derive(Clone, Debug, Default)]
struct Settled {
    upto: u64,
    /// The newest tickets that came to nothing.
    failed: Vec<u64>,
}

/// Tickets drawn and settled, and whether the home still takes work.
pub(super) struct Gate {
    drawn: AtomicU64,
    settled: watch::Sender<Settled>,
    standing: watch::Sender<Standing>,
    /// How many exchanges of content were found to have happened when nobody waited for them any more.
    late: watch::Sender<u64>,
    /// The words with which the home has departed.
    departed: watch::Sender<Option<Arc<str>>>,
    /// Since when writes are held, and until when, in Unix milliseconds.
    held: watch::Sender<Option<(Instant, i64)>>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            drawn: AtomicU64::new(0),
            settled: watch::Sender::new(Settled::default()),
            standing: watch::Sender::new(Standing::Awake),
            late: watch::Sender::default(),
            departed: watch::Sender::default(),
            held: watch::Sender::default(),
        }
    }

    /// The home has departed with these words, or is here.
    pub(super) fn departed(&self, words: Option<Arc<str>>) {
        self.departed.send_if_modified(|known| {
            let is_new = *known != words;
            *known = words;
            is_new
        });
    }

    /// The words with which it has departed, if it has, now and whenever that changes.
    pub(super) fn departure(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.departed.subscribe()
    }

    /// Writes are held since then and until then, or not at all.
    pub(super) fn held(&self, hold: Option<(Instant, i64)>) {
        self.held.send_replace(hold);
    }

    /// Since when writes are held, if they are.
    pub(super) fn held_since(&self) -> Option<Instant> {
        self.held.borrow().map(|(since, _)| since)
    }

    /// Until when writes are held, if they are.
    pub(super) fn held_until(&self) -> Option<i64> {
        self.held.borrow().map(|(_, until_ms)| until_ms)
    }

    /// Draws the next ticket; to be done before the commit it stands for.
    pub(super) fn draw(&self) -> u64 {
        self.drawn.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The newest ticket anyone can have seen.
    pub(super) fn newest(&self) -> u64 {
        self.drawn.load(Ordering::SeqCst)
    }

    /// The ticket's writes are durable, or there were none.
    pub(super) fn settle(&self, ticket: u64) {
        self.settled.send_modify(|settled| settled.upto = settled.upto.max(ticket));
    }

    /// The ticket's writes are not known to be durable.
    pub(super) fn fail(&self, ticket: u64) {
        self.settled.send_modify(|settled| {
            settled.upto = settled.upto.max(ticket);
            settled.failed.push(ticket);
            if settled.failed.len() > 1024 {
                settled.failed.drain(..512);
            }
        });
    }

    /// Whether what a reader would see now is not known to be durable.
    pub(super) fn in_doubt(&self) -> bool {
        self.settled.borrow().failed.contains(&self.newest())
    }

    /// The local copy is in step with the bucket again.
    pub(super) fn clear(&self) {
        self.settle(self.draw());
    }

    /// Ends the home; the first reason stands.
    pub(super) fn end(&self, reason: Error) {
        self.standing.send_if_modified(|standing| {
            let awake = matches!(standing, Standing::Awake);
            if awake {
                *standing = Standing::Ended(reason);
            }
            awake
        });
    }

    /// The reason for which the home ended, if it did.
    pub(super) fn check(&self) -> Result<(), Error> {
        match &*self.standing.borrow() {
            Standing::Awake => Ok(()),
            Standing::Ended(reason) => Err(reason.clone()),
        }
    }

    /// Returns when the home has ended.
    pub(super) async fn ended(&self) -> Error {
        let mut standing = self.standing.subscribe();
        loop {
            if let Standing::Ended(reason) = &*standing.borrow_and_update() {
                return reason.clone();
            }
            if standing.changed().await.is_err() {
                return Error::Asleep;
            }
        }
    }

    /// Another content is live, and whoever asked for that was told that nobody knows.
    pub(super) fn landed_late(&self) {
        self.late.send_modify(|times| *times += 1);
    }

    /// Returns once that has happened more than so many times, and says how many; never for a home that ended.
    pub(super) async fn late(&self, known: u64) -> u64 {
        let mut late = self.late.subscribe();
        let times = late.wait_for(|times| *times > known).await.map(|times| *times);
        match times {
            Ok(times) => times,
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until `ticket` is durable.
    pub(super) async fn pass(&self, ticket: u64) -> Result<(), Error> {
        let mut settled = self.settled.subscribe();
        let wait = async {
            match settled.wait_for(|settled| settled.upto >= ticket).await {
                Ok(settled) if settled.failed.contains(&ticket) => Err(Error::Unsettled),
                Ok(_) => Ok(()),
                Err(_) => Err(Error::Asleep),
            }
        };
        // A home that ended settles nothing more; but what is settled already may still be told.
        tokio::select! {
            biased;
            end = wait => end,
            reason = self.ended() => Err(reason),
        }
    }
}
