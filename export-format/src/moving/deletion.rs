//! Deletion receipts (`MOVE.md` 11): the word of a provider that what was left of a server there is gone.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Party;

/// What a provider signs when nothing of a server is left there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// Always [`Deletion::KIND`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Who signs this: the name its key gives it, its origin and its name.
    pub provider: Signatory,
    /// Which server, as it was known there.
    pub server: Party,
    /// The move it had left by, and the address it went to.
    #[serde(rename = "move")]
    pub id: Uuid,
    /// Where it went.
    pub successor: String,
    /// What was counted before the first of it was deleted.
    pub erased: Erased,
    /// What its owner should know that this does not say.
    pub limits: Vec<String>,
}

/// A provider, as it signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signatory {
    /// The name its key gives it.
    pub did: String,
    /// Its origin.
    pub origin: String,
    /// What it calls itself.
    pub name: String,
}

/// What is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Erased {
    /// Objects, former states among them.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When it was asked for: by its owner, or because its term was over.
    pub asked: Timestamp,
    /// When it was counted.
    pub counted: Timestamp,
    /// When nothing of it was left: the store listed none of its objects any more.
    pub done: Timestamp,
    /// When its history, the former states it could go back to, was gone.
    pub history: Timestamp,
    /// When the copies that the provider's program keeps of homes were gone; none where it keeps none.
    pub backups: Option<Timestamp>,
}
