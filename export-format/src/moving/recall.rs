//! Taking a server back after its hand-over (`MOVE.md` 8): the server that stood down asks for it under its own key, and the one that
//! was to go on answers under its own, either that it is live or that it never will be by that hand-over.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Acceptance, DocumentError, Handover, Party, Signed};
use crate::digest::Digest;

/// The word of a server that has stood down: its owner wants it back where it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recall {
    /// Always [`Recall::KIND`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The move.
    #[serde(rename = "move")]
    pub id: Uuid,
    /// The digest of the hand-over's text.
    pub handover: Digest,
    /// Who stood down, and signs this.
    pub server: Party,
    /// When.
    pub at: Timestamp,
}

/// The word of a successor that it is not live, and never will be by this hand-over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Renunciation {
    /// Always [`Renunciation::KIND`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The move.
    #[serde(rename = "move")]
    pub id: Uuid,
    /// The digest of the hand-over's text.
    pub handover: Digest,
    /// Who does not go on, and signs this.
    pub server: Party,
    /// Since when.
    pub at: Timestamp,
}

/// Asks a target to let go of a server that was handed over to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecallRequest {
    /// The hand-over, which the target may never have received.
    pub handover: Signed,
    /// The [`Recall`].
    pub recall: Signed,
}

/// What a target answers to that; nothing else is an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum RecallAnswer {
    /// The successor is live.
    Active {
        /// Its [`Acceptance`].
        acceptance: Signed,
    },
    /// It is not, and never will be by this hand-over.
    Cancelled {
        /// Its [`Renunciation`].
        renunciation: Signed,
    },
}

impl RecallRequest {
    /// The hand-over it is about, if both documents hold and are about the same, under the same key.
    ///
    /// # Errors
    /// When one of them does not hold.
    pub fn open(&self) -> Result<Option<Handover>, DocumentError> {
        let (handover, recall) = (Handover::open(&self.handover)?, Recall::open(&self.recall)?);
        let is_about = recall.id == handover.id
            && recall.handover == self.handover.digest()
            && recall.server.did == handover.server.did;
        Ok(is_about.then_some(handover))
    }
}

impl RecallAnswer {
    /// Whether it is the word of the successor that `handover` names, on that very hand-over.
    #[must_use]
    pub fn is_on(&self, signed: &Signed, handover: &Handover) -> bool {
        let named = |id: Uuid, digest: Digest, server: &Party| {
            id == handover.id && digest == signed.digest() && *server == handover.successor
        };
        match self {
            Self::Active { acceptance } => {
                Acceptance::open(acceptance).is_ok_and(|word| named(word.id, word.handover, &word.server))
            }
            Self::Cancelled { renunciation } => {
                Renunciation::open(renunciation).is_ok_and(|word| named(word.id, word.handover, &word.server))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::handover;
    use super::*;
    use crate::signature::Signer;

    const OLD: [u8; 32] = [1; 32];
    const NEW: [u8; 32] = [9; 32];

    fn renounced(handover: &Handover, digest: Digest, server: Party, seed: [u8; 32]) -> RecallAnswer {
        let at = handover.at;
        let word = Renunciation { kind: Renunciation::KIND.into(), id: handover.id, handover: digest, server, at };
        RecallAnswer::Cancelled { renunciation: word.sign(&Signer::from_seed(&seed)).unwrap() }
    }

    #[test]
    fn only_the_successor_that_was_named_answers_for_itself() {
        let old = Signer::from_seed(&OLD);
        let given = handover(&old);
        let signed = given.sign(&old).unwrap();
        let answer = |digest, server, seed| renounced(&given, digest, server, seed);
        assert!(answer(signed.digest(), given.successor.clone(), NEW).is_on(&signed, &given));
        assert!(!answer(Digest::of(b"else"), given.successor.clone(), NEW).is_on(&signed, &given), "another hand-over");
        let stranger = Party { did: Signer::from_seed(&[5; 32]).public().did(), ..given.successor.clone() };
        assert!(!answer(signed.digest(), stranger, [5; 32]).is_on(&signed, &given), "a stranger at the same address");
        let acceptance = Acceptance {
            kind: Acceptance::KIND.into(),
            id: given.id,
            handover: signed.digest(),
            server: given.successor.clone(),
            at: given.at,
        };
        let acceptance = acceptance.sign(&Signer::from_seed(&NEW)).unwrap();
        assert!(RecallAnswer::Active { acceptance: acceptance.clone() }.is_on(&signed, &given));
        let twisted = RecallAnswer::Cancelled { renunciation: acceptance };
        assert!(!twisted.is_on(&signed, &given), "one word is not the other");
        let own = answer(signed.digest(), given.server.clone(), OLD);
        assert!(!own.is_on(&signed, &given), "who stood down does not answer itself");
    }

    #[test]
    fn a_recall_is_the_word_of_the_server_that_stood_down() {
        let old = Signer::from_seed(&OLD);
        let given = handover(&old);
        let signed = given.sign(&old).unwrap();
        let recall = |handover, server: Party, seed: [u8; 32]| {
            let recall = Recall { kind: Recall::KIND.into(), id: given.id, handover, server, at: given.at };
            RecallRequest { handover: signed.clone(), recall: recall.sign(&Signer::from_seed(&seed)).unwrap() }.open()
        };
        assert_eq!(recall(signed.digest(), given.server.clone(), OLD).unwrap(), Some(given.clone()));
        assert_eq!(recall(Digest::of(b"else"), given.server.clone(), OLD).unwrap(), None);
        assert_eq!(recall(signed.digest(), given.successor.clone(), NEW).unwrap(), None, "the hand-over is public");
    }
}
