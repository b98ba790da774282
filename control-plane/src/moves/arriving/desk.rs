//! What the running program knows about moves to here beside their rows: which are being worked at, and whose turn it is.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::pace::Pace;

/// So many moves bring data here at a time. Each has its turn for a stretch, and those that wait have theirs in the order
/// they came.
const AT_ONCE: usize = 4;

/// The moves that are being worked at.
#[derive(Debug)]
pub(crate) struct Desk {
    bell: Notify,
    at_work: Mutex<HashMap<Uuid, Arc<Notify>>>,
    turns: Arc<Semaphore>,
    pub(super) pace: Pace,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            bell: Notify::default(),
            at_work: Mutex::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            pace: Pace::default(),
        }
    }
}

impl Desk {
    /// Takes a move up; nothing when it is being worked at. What is given is rung when the row was turned by another hand.
    pub(super) fn take_up(&self, id: Uuid) -> Option<Arc<Notify>> {
        let mut at_work = self.at_work.lock();
        if at_work.contains_key(&id) {
            return None;
        }
        let poke = Arc::new(Notify::new());
        at_work.insert(id, Arc::clone(&poke));
        Some(poke)
    }

    pub(super) fn lay_down(&self, id: Uuid) {
        self.at_work.lock().remove(&id);
    }

    /// Has whoever works at a move look at its row again, at once.
    pub(super) fn poke(&self, id: Uuid) {
        if let Some(poke) = self.at_work.lock().get(&id) {
            poke.notify_one();
        }
        self.bell.notify_one();
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// Says that there is something to do.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }
}
