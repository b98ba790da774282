//! The names by which a server is known on every machine it ever lives on.
//!
//! Invariant: a [`ServerId`] is given once, at creation, and survives moves between hosts. A [`Generation`] counts
//! the placements of one server upwards and never repeats, so two runtimes of one server can always be told apart.

use serde::{Deserialize, Serialize};

export_format::prefixed_id! {
    /// One person's server, wherever it runs: `srv_` and 32 hexadecimal digits.
    pub struct ServerId("srv")
}

/// The how-manieth placement of a server this is; higher is newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}
