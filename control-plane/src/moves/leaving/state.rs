//! Where a move away from here stands.

use std::fmt;

use export_format::moving::MoveState;

/// Where a move away from here stands. It only goes downwards in this list; the last two are ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// The owner has said yes, and the target has not come with its code.
    Consented,
    /// The target fetches rounds; the server lives here.
    Copying,
    /// The server has stood down and its address leads on; the target has not said that it is live there.
    Handed,
    /// It is live at the target.
    Settled,
    /// It was given up before the hand-over.
    Cancelled,
    /// Its owner took it back here after the hand-over.
    TakenBack,
}

impl Stand {
    const ALL: [Self; 6] =
        [Self::Consented, Self::Copying, Self::Handed, Self::Settled, Self::Cancelled, Self::TakenBack];

    /// The word in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Consented => "consented",
            Self::Copying => "copying",
            Self::Handed => "handed",
            Self::Settled => "settled",
            Self::Cancelled => "cancelled",
            Self::TakenBack => "taken-back",
        }
    }

    /// Whether the server still lives here and may leave by this move.
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Consented | Self::Copying)
    }

    /// Whether the server has stood down here.
    pub fn is_gone(self) -> bool {
        matches!(self, Self::Handed | Self::Settled)
    }

    /// What the target is told.
    pub(super) fn told(self) -> MoveState {
        match self {
            Self::Consented | Self::Copying => MoveState::Copying,
            Self::Handed => MoveState::Handed,
            Self::Settled => MoveState::Settled,
            Self::Cancelled | Self::TakenBack => MoveState::Cancelled,
        }
    }
}

impl fmt::Display for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for Stand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|stand| stand.word() == text)
            .ok_or_else(|| format!("{text:?} is no state of a move"))
    }
}
