//! One gate per server: who is inside, and when it may be closed for sleep.
//!
//! Everything that talks to a server, be it the proxy or the console's admin
//! calls, holds a [`Pass`] while it does. A server is put to sleep only when no
//! pass is out and none was for a while. While it goes to sleep the gate is
//! closed and newcomers wait a few milliseconds; then they connect anew, and
//! their connection wakes the server again. So no request meets a process that
//! is about to leave.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tenant_runtime::ids::ServerId;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::threshold::Threshold;
use super::upstream::Upstream;

/// How a server is put to sleep; resolves when its process is gone.
pub type PutToSleep = Arc<dyn Fn(ServerId) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The gates of one host's servers. Cheap to clone.
#[derive(Clone)]
pub struct Gates {
    shared: Arc<Shared>,
}

struct Shared {
    threshold: Threshold,
    gates: Mutex<HashMap<ServerId, Arc<Gate>>>,
    put_to_sleep: PutToSleep,
}

/// Leave to talk to a server; it stays awake until this is dropped.
pub struct Pass {
    gate: Arc<Gate>,
}

struct Gate {
    state: Mutex<State>,
    opened: Notify,
}

enum State {
    Open {
        inside: usize,
        last: Instant,
        /// Pooled connections; dropped with the gate's closing, so that none
        /// outlives the process it leads to.
        upstream: Option<Upstream>,
    },
    Closed,
}

impl Gates {
    /// Gates whose servers are put to sleep by `put_to_sleep`.
    pub fn new(put_to_sleep: PutToSleep) -> Self {
        let shared = Shared { threshold: Threshold::default(), gates: Mutex::default(), put_to_sleep };
        Self { shared: Arc::new(shared) }
    }

    /// Where the public waits while a server is about to be another's; whoever looks after it does not pass there.
    pub fn threshold(&self) -> &Threshold {
        &self.shared.threshold
    }

    /// Enters, waiting while the server is being put to sleep.
    pub async fn enter(&self, server: ServerId) -> Pass {
        loop {
            let gate = Arc::clone(self.shared.gates.lock().entry(server).or_insert_with(new_gate));
            if let Some(pass) = Gate::pass(&gate) {
                return pass;
            }
            // Listens before it looks again, so that an opening in between is not missed.
            let opened = gate.opened.notified();
            tokio::pin!(opened);
            opened.as_mut().enable();
            if let Some(pass) = Gate::pass(&gate) {
                return pass;
            }
            opened.await;
        }
    }

    /// Puts every server to sleep that nobody has used for `idle`.
    pub async fn sweep(&self, idle: Duration) {
        let due: Vec<_> = self
            .shared
            .gates
            .lock()
            .iter()
            .filter(|(_, gate)| gate.is_idle(idle))
            .map(|(server, gate)| (*server, Arc::clone(gate)))
            .collect();
        let sleeps = due.into_iter().map(|(server, gate)| async move {
            if let Some(_closed) = gate.close(idle) {
                let slept = (self.shared.put_to_sleep)(server).await;
                if let Err(error) = slept {
                    tracing::warn!(server.id = %server, %error, "could not put the server to sleep");
                }
            }
            self.forget_unused(server);
        });
        futures::future::join_all(sleeps).await;
    }

    /// Sweeps for as long as the process lives.
    pub async fn keep_sweeping(self, idle: Duration) {
        let pause = (idle / 4).clamp(Duration::from_millis(50), Duration::from_secs(5));
        loop {
            tokio::time::sleep(pause).await;
            self.sweep(idle).await;
        }
    }

    /// Drops the gate of a server that sleeps, so that a hundred thousand
    /// sleeping servers cost nothing here.
    fn forget_unused(&self, server: ServerId) {
        let mut gates = self.shared.gates.lock();
        if gates.get(&server).is_some_and(|gate| Arc::strong_count(gate) == 2 && gate.is_vacant()) {
            gates.remove(&server);
        }
    }
}

impl Pass {
    /// One more for the same server, which is awake because this one is out.
    pub(super) fn another(&self) -> Self {
        if let State::Open { inside, .. } = &mut *self.gate.state.lock() {
            *inside += 1;
        }
        Self { gate: Arc::clone(&self.gate) }
    }

    /// The server's pooled connections, made by `connect` at first use after a wake.
    pub(super) fn upstream(&self, connect: impl FnOnce() -> Upstream) -> Upstream {
        match &mut *self.gate.state.lock() {
            State::Open { upstream, .. } => upstream.get_or_insert_with(connect).clone(),
            State::Closed => connect(),
        }
    }

    /// Forgets pooled connections, after one of them turned out to be dead.
    pub(super) fn forget_upstream(&self) {
        if let State::Open { upstream, .. } = &mut *self.gate.state.lock() {
            *upstream = None;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let State::Open { inside, last, .. } = &mut *self.gate.state.lock() {
            *inside -= 1;
            *last = Instant::now();
        }
    }
}

impl Gate {
    /// Lets one in if it is open.
    fn pass(gate: &Arc<Self>) -> Option<Pass> {
        match &mut *gate.state.lock() {
            State::Open { inside, .. } => *inside += 1,
            State::Closed => return None,
        }
        Some(Pass { gate: Arc::clone(gate) })
    }

    fn is_idle(&self, idle: Duration) -> bool {
        matches!(&*self.state.lock(), State::Open { inside: 0, last, .. } if last.elapsed() >= idle)
    }

    fn is_vacant(&self) -> bool {
        matches!(&*self.state.lock(), State::Open { inside: 0, .. })
    }

    /// Closes the gate if it is still idle, and drops the pooled connections.
    fn close(&self, idle: Duration) -> Option<Closed<'_>> {
        let mut state = self.state.lock();
        let still = matches!(&*state, State::Open { inside: 0, last, .. } if last.elapsed() >= idle);
        still.then(|| {
            *state = State::Closed;
            Closed(self)
        })
    }

    #[cfg(test)]
    fn is_closed(&self) -> bool {
        matches!(&*self.state.lock(), State::Closed)
    }
}

/// A closed gate. It opens again when this goes, also where whoever closed it was stopped half way: a gate that stayed
/// closed would hold every request for good.
struct Closed<'a>(&'a Gate);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        *self.0.state.lock() = open();
        self.0.opened.notify_waiters();
    }
}

fn new_gate() -> Arc<Gate> {
    Arc::new(Gate { state: Mutex::new(open()), opened: Notify::new() })
}

fn open() -> State {
    State::Open { inside: 0, last: Instant::now(), upstream: None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    fn server() -> ServerId {
        ServerId::new(1_763_700_000_000)
    }

    #[tokio::test]
    async fn a_server_sleeps_only_when_nobody_is_inside() {
        let slept = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&slept);
        let gates = Gates::new(Arc::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Ok(()) })
        }));
        let pass = gates.enter(server()).await;
        gates.sweep(Duration::ZERO).await;
        assert_eq!(slept.load(Ordering::SeqCst), 0, "someone is inside");
        drop(pass);
        gates.sweep(Duration::from_secs(3600)).await;
        assert_eq!(slept.load(Ordering::SeqCst), 0, "it has only just become idle");
        gates.sweep(Duration::ZERO).await;
        gates.sweep(Duration::ZERO).await;
        assert_eq!(slept.load(Ordering::SeqCst), 1, "once, and then it is asleep");
        assert!(gates.shared.gates.lock().is_empty(), "a sleeping server costs nothing");
    }

    #[tokio::test]
    async fn who_comes_while_it_goes_to_sleep_waits_and_then_enters() {
        let server = server();
        let may_finish = Arc::new(Semaphore::new(0));
        let permit = Arc::clone(&may_finish);
        let gates = Gates::new(Arc::new(move |_| {
            let permit = Arc::clone(&permit);
            Box::pin(async move {
                permit.acquire().await.map_err(|e| e.to_string())?.forget();
                Ok(())
            })
        }));
        drop(gates.enter(server).await);
        let sweeping = tokio::spawn({
            let gates = gates.clone();
            async move { gates.sweep(Duration::ZERO).await }
        });
        while !gates.shared.gates.lock().values().any(|gate| gate.is_closed()) {
            tokio::task::yield_now().await;
        }
        let mut entering = tokio::spawn({
            let gates = gates.clone();
            async move { gates.enter(server).await }
        });
        let early = tokio::time::timeout(Duration::from_millis(20), &mut entering).await;
        assert!(early.is_err(), "the gate is closed");
        may_finish.add_permits(1);
        sweeping.await.unwrap();
        drop(entering.await.unwrap());
    }

    #[tokio::test]
    async fn a_gate_opens_again_where_a_sweep_is_cut_off() {
        let gates = Gates::new(Arc::new(|_| Box::pin(std::future::pending())));
        drop(gates.enter(server()).await);
        let cut_off = tokio::time::timeout(Duration::from_millis(20), gates.sweep(Duration::ZERO)).await;
        assert!(cut_off.is_err(), "it waits for the server");
        tokio::time::timeout(Duration::from_secs(60), gates.enter(server())).await.expect("nobody waits for good");
    }
}
