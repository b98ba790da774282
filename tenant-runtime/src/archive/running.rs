//! What is being worked on in the background, each piece of work once at a time, and how far it has come.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::error::Error;

/// The work under way, by the id of its export or import.
#[derive(Default)]
pub(super) struct Running {
    by_id: Mutex<HashMap<String, Arc<Progress>>>,
}

impl Running {
    /// Notes that work begins; none when it is under way already.
    pub(super) fn begin(&self, id: &str) -> Option<Arc<Progress>> {
        let mut by_id = self.by_id.lock();
        if by_id.contains_key(id) {
            return None;
        }
        let progress = Arc::<Progress>::default();
        by_id.insert(id.to_owned(), progress.clone());
        Some(progress)
    }

    /// How far the work under `id` has come, while it is under way.
    pub(super) fn progress(&self, id: &str) -> Option<Arc<Progress>> {
        self.by_id.lock().get(id).cloned()
    }

    pub(super) fn end(&self, id: &str) {
        self.by_id.lock().remove(id);
    }
}

/// How far a piece of work has come, in bytes or records.
#[derive(Debug, Default)]
pub(super) struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    hindrance: Mutex<Option<String>>,
    given_up: AtomicBool,
}

impl Progress {
    /// It is being tried again because of this.
    pub(super) fn hinder(&self, why: &Error) {
        *self.hindrance.lock() = Some(why.to_string());
    }

    /// It gets on again.
    pub(super) fn unhinder(&self) {
        *self.hindrance.lock() = None;
    }

    /// Nobody wants it any more: what hinders it is not waited for.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Why it does not get on just now.
    pub(super) fn hindrance(&self) -> Option<String> {
        self.hindrance.lock().clone()
    }

    /// Begins to count anew, towards `total`.
    pub(super) fn expect(&self, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    pub(super) fn add(&self, amount: u64) {
        self.done.fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}
