//! What can go wrong with one step of a move, by what is to be done about it.

use super::super::peer::Refused;
use crate::{Error, Kind};

/// What hinders a step.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may pass: the same is tried again.
    Passing(Error),
    /// This round is of no use; another one may be.
    Spoiled(String),
    /// What this round builds on is gone, there or here: only a whole archive helps.
    Lost(String),
    /// Both sides hold the same moment and not the same content.
    Differs(String),
    /// Something was written since the round's moment.
    Behind,
    /// It was ended at the other side.
    Stopped,
    /// There is no way on.
    Over(String),
}

impl Trouble {
    /// What our own server, or the records of ours, say.
    pub(super) fn ours(error: Error) -> Self {
        match error.kind() {
            Kind::Gone => Self::Lost(error.sentence().to_owned()),
            Kind::Fix | Kind::Denied => Self::Over(error.sentence().to_owned()),
            _ => Self::Passing(error),
        }
    }

    /// What the other provider says, or what the way there does.
    pub(super) fn theirs(error: Error) -> Self {
        let sentence = || error.sentence().to_owned();
        match (Refused::word(&error), error.kind()) {
            (Some("cancelled"), _) => Self::Stopped,
            (Some("behind"), _) => Self::Behind,
            (Some("differs"), _) => Self::Differs(sentence()),
            (Some("token"), _) | (_, Kind::Denied) => Self::Over(format!(
                "{} The permission for this move has ended or was withdrawn at the old place.",
                sentence()
            )),
            (Some("handed"), _) => Self::Over(sentence()),
            (_, Kind::Gone | Kind::Conflict) => Self::Lost(sentence()),
            (_, Kind::Fix | Kind::Full) => Self::Over(sentence()),
            _ => Self::Passing(error),
        }
    }
}

impl From<Error> for Trouble {
    /// What is neither the runtime's nor the other provider's is our own records', which come back.
    fn from(error: Error) -> Self {
        Self::Passing(error)
    }
}
