//! Which servers ask to be looked after, because something about them was changed.
//!
//! Memory only, and only a hint: what is lost here is found by the next round over all servers. A server stands in it
//! once, however often it was changed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tenant_runtime::ids::ServerId;
use tokio::sync::Notify;

use crate::AccountId;

/// What asks to be looked after.
#[derive(Debug, Default)]
pub(crate) struct Due {
    changed: Mutex<Changed>,
    everything: AtomicBool,
    bell: Notify,
}

/// Servers, and accounts whose servers are meant.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) servers: BTreeSet<ServerId>,
    pub(crate) accounts: BTreeSet<AccountId>,
}

impl Due {
    /// One server was changed.
    pub(crate) fn server(&self, id: ServerId) {
        self.changed.lock().servers.insert(id);
        self.bell.notify_one();
    }

    /// Something about an account was changed that its servers must learn.
    pub(crate) fn account(&self, id: AccountId) {
        self.changed.lock().accounts.insert(id);
        self.bell.notify_one();
    }

    /// Something was changed that all servers must learn.
    pub(crate) fn everything(&self) {
        self.everything.store(true, Ordering::SeqCst);
        self.bell.notify_one();
    }

    /// Whether everything was asked for; it counts as heard then.
    pub(super) fn take_everything(&self) -> bool {
        self.everything.swap(false, Ordering::SeqCst)
    }

    /// At most so many servers, and as many accounts; nothing when nothing asks.
    pub(super) fn take(&self, most: usize) -> Option<Changed> {
        let mut changed = self.changed.lock();
        let taken = Changed { servers: cut(&mut changed.servers, most), accounts: cut(&mut changed.accounts, most) };
        (taken != Changed::default()).then_some(taken)
    }

    /// Puts back what could not be looked after.
    pub(super) fn put_back(&self, taken: Changed) {
        let mut changed = self.changed.lock();
        changed.servers.extend(taken.servers);
        changed.accounts.extend(taken.accounts);
    }

    /// Waits until somebody asks.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }
}

/// The first `most` of a set, taken out of it.
fn cut<T: Ord + Clone>(all: &mut BTreeSet<T>, most: usize) -> BTreeSet<T> {
    match all.iter().nth(most).cloned() {
        Some(next) => {
            let rest = all.split_off(&next);
            std::mem::replace(all, rest)
        }
        None => std::mem::take(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_handed_out_once_and_in_parts() {
        let due = Due::default();
        let ids: Vec<_> = (1..=5).map(ServerId::new).collect();
        ids.iter().chain(&ids).for_each(|id| due.server(*id));
        let mut seen = Vec::new();
        while let Some(taken) = due.take(2) {
            assert!(taken.servers.len() <= 2);
            seen.extend(taken.servers);
        }
        assert_eq!(seen, ids);
        due.put_back(Changed { servers: ids.iter().copied().collect(), ..Changed::default() });
        assert_eq!(due.take(9).map(|taken| taken.servers.len()), Some(5));
        due.everything();
        assert!(due.take_everything() && !due.take_everything());
    }
}
