//! What the running program knows about operations beside their rows.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::ident::OperationId;
use crate::{Error, Result};

/// What a passphrase is to seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// The secret keys; the rest of the archive stays readable for whoever has it.
    Keys(String),
    /// The whole archive.
    Archive(String),
}

/// The shortest passphrase that anything is sealed with, in letters.
const SHORTEST: usize = 12;

/// Whether something may be sealed with a passphrase; the field is `passphrase`.
pub fn check_passphrase(passphrase: &str) -> Result<()> {
    if passphrase.chars().count() < SHORTEST {
        let why = "Take 12 characters or more: whoever finds the file can try for years. Four random words are good.";
        return Err(Error::fix("passphrase", why));
    }
    if passphrase.chars().any(char::is_control) {
        return Err(Error::fix("passphrase", "Take letters, digits, signs and spaces that every keyboard can write."));
    }
    Ok(())
}

/// Passphrases that are on their way to a runtime, and which operations are being worked at.
///
/// A passphrase is never written down: when the program ends before the runtime has it, the export fails and says so.
#[derive(Debug, Default)]
pub struct Desk {
    passphrases: Mutex<HashMap<OperationId, Sealing>>,
    at_work: Mutex<HashSet<OperationId>>,
    bell: Notify,
}

impl Desk {
    pub(super) fn keep_passphrase(&self, id: OperationId, sealing: Sealing) {
        self.passphrases.lock().insert(id, sealing);
    }

    pub(super) fn passphrase(&self, id: OperationId) -> Option<Sealing> {
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
