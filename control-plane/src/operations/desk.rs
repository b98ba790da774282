//! What the running program knows about operations beside their rows.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::ident::OperationId;

/// Passphrases that are on their way to a runtime, and which operations are being worked at.
///
/// A passphrase is never written down: when the program ends before the runtime has it, the export fails and says so.
#[derive(Debug, Default)]
pub struct Desk {
    passphrases: Mutex<HashMap<OperationId, String>>,
    at_work: Mutex<HashSet<OperationId>>,
    bell: Notify,
}

impl Desk {
    pub(super) fn keep_passphrase(&self, id: OperationId, passphrase: String) {
        self.passphrases.lock().insert(id, passphrase);
    }

    pub(super) fn passphrase(&self, id: OperationId) -> Option<String> {
        self.passphrases.lock().get(&id).cloned()
    }

    pub(super) fn forget_passphrase(&self, id: OperationId) {
        self.passphrases.lock().remove(&id);
    }

    /// Takes an operation up; false when it is being worked at.
    pub(super) fn take_up(&self, id: OperationId) -> bool {
        self.at_work.lock().insert(id)
    }

    pub(super) fn lay_down(&self, id: OperationId) {
        self.at_work.lock().remove(&id);
    }

    /// Says that there is something to do.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }
}
