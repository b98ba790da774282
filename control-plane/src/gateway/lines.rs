//! The connections to the public port: how many there are, from whom, and which of them are of no use.
//!
//! A connection costs memory and a descriptor whether it asks for something or not, so their number is bounded, over
//! all and for each client; and who opens one must ask for something soon. To keep this off the path of requests a
//! line only counts what begins and ends on it, and one sweep a moment looks at all of them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::Context;
use std::time::Duration;

use futures::task::AtomicWaker;
use http::HeaderValue;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::client::household;
use super::port::Rules;

/// All lines of one port.
#[derive(Default)]
pub(super) struct Lines {
    table: Mutex<Table>,
    ended: Notify,
}

#[derive(Default)]
struct Table {
    next: u64,
    by_id: HashMap<u64, Arc<Line>>,
    by_client: HashMap<IpAddr, usize>,
}

/// One connection.
pub(super) struct Line {
    /// Who connected.
    pub(super) peer: SocketAddr,
    /// The same, as servers are told.
    pub(super) told: HeaderValue,
    /// Whether the peer's word on who it speaks for is taken.
    pub(super) trusted: bool,
    begun: AtomicU32,
    ended: AtomicU32,
    order: AtomicU8,
    task: AtomicWaker,
    /// For the sweep alone: what it saw last, and for how many sweeps nothing has changed.
    seen: AtomicU32,
    unchanged: AtomicU32,
}

/// What a line has been told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Order {
    /// Go on.
    GoOn,
    /// Finish what is open, then close.
    Finish,
    /// Close at once.
    Cut,
}

/// Why a line is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// There are as many as this provider carries.
    Everywhere,
    /// This client has as many as one may have.
    ForThisClient,
}

/// A line's place among the others, given up when dropped.
pub(super) struct Place {
    lines: Arc<Lines>,
    id: u64,
    client: Option<IpAddr>,
    pub(super) line: Arc<Line>,
}

/// One request on a line, from its head to the end of its answer.
pub(super) struct Turn(Arc<Line>);

impl Lines {
    /// Takes a line in, if there is room.
    pub(super) fn admit(self: &Arc<Self>, peer: SocketAddr, rules: &Rules) -> Result<Place, Full> {
        let trusted = rules.trusted.covers(peer.ip());
        let client = (!trusted).then(|| household(peer.ip()));
        let mut table = self.table.lock();
        if table.by_id.len() >= rules.most {
            // Whoever waits for nothing makes room.
            for line in table.by_id.values().filter(|line| line.is_idle()) {
                line.tell(Order::Finish);
            }
            return Err(Full::Everywhere);
        }
        if let Some(client) = client {
            let has = table.by_client.entry(client).or_default();
            if *has >= rules.most_per_client {
                return Err(Full::ForThisClient);
            }
            *has += 1;
        }
        let line = Arc::new(Line::of(peer, trusted));
        table.next += 1;
        let id = table.next;
        table.by_id.insert(id, Arc::clone(&line));
        Ok(Place { lines: Arc::clone(self), id, client, line })
    }

    /// Tells all.
    pub(super) fn tell_all(&self, order: Order) {
        for line in self.table.lock().by_id.values() {
            line.tell(order);
        }
    }

    /// Returns when there are none.
    pub(super) async fn all_ended(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.table.lock().by_id.is_empty() {
                return;
            }
            ended.await;
        }
    }

    /// Closes lines on which nothing was asked for, for as long as this is awaited.
    pub(super) async fn keep_sweeping(&self, rules: &Rules) {
        let pause = (rules.head.min(rules.idle) / 4).clamp(Duration::from_millis(10), Duration::from_secs(5));
        let sweeps =
            |time: Duration| time.as_millis().div_ceil(pause.as_millis().max(1)).try_into().unwrap_or(u32::MAX);
        let (head, idle) = (sweeps(rules.head), sweeps(rules.idle));
        loop {
            tokio::time::sleep(pause).await;
            for line in self.table.lock().by_id.values() {
                line.judge(head, idle);
            }
        }
    }
}

impl Line {
    fn of(peer: SocketAddr, trusted: bool) -> Self {
        let told = HeaderValue::from_str(&peer.ip().to_canonical().to_string());
        Self {
            peer,
            told: told.unwrap_or(HeaderValue::from_static("unknown")),
            trusted,
            begun: AtomicU32::new(0),
            ended: AtomicU32::new(0),
            order: AtomicU8::new(Order::GoOn as u8),
            task: AtomicWaker::new(),
            seen: AtomicU32::new(0),
            unchanged: AtomicU32::new(0),
        }
    }

    /// A request begins.
    pub(super) fn turn(self: &Arc<Self>) -> Turn {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Turn(Arc::clone(self))
    }

    /// What it has been told; whoever asks is woken when that changes.
    pub(super) fn order(&self, cx: &Context<'_>) -> Order {
        self.task.register(cx.waker());
        match self.order.load(Ordering::Acquire) {
            0 => Order::GoOn,
            1 => Order::Finish,
            _ => Order::Cut,
        }
    }

    fn tell(&self, order: Order) {
        if self.order.fetch_max(order as u8, Ordering::AcqRel) < order as u8 {
            self.task.wake();
        }
    }

    fn is_idle(&self) -> bool {
        self.begun.load(Ordering::Relaxed) == self.ended.load(Ordering::Relaxed)
    }

    fn judge(&self, head: u32, idle: u32) {
        let begun = self.begun.load(Ordering::Relaxed);
        if !self.is_idle() || self.seen.swap(begun, Ordering::Relaxed) != begun {
            self.unchanged.store(0, Ordering::Relaxed);
            return;
        }
        let unchanged = self.unchanged.fetch_add(1, Ordering::Relaxed) + 1;
        // A first request is sent at once by everybody who means it; a further one may be thought about.
        if unchanged > if begun == 0 { head } else { idle } {
            self.tell(Order::Cut);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.lines.table.lock();
        table.by_id.remove(&self.id);
        if let Some(client) = self.client
            && let Some(has) = table.by_client.get_mut(&client)
        {
            *has -= 1;
            if *has == 0 {
                table.by_client.remove(&client);
            }
        }
        if table.by_id.is_empty() {
            self.lines.ended.notify_waiters();
        }
    }
}
