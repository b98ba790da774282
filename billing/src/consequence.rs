//! What a standing means for the person: what they are told and what they may do.

use crate::Standing;

/// What a standing means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consequence {
    /// What the console says at the top of every page.
    pub banner: Option<Banner>,
    /// What the server lets its owner do.
    pub using: Use,
    /// Whether the archive is offered. It is, always: the field is here so that a page and a test can point at it.
    pub export: bool,
}

/// What a server lets its owner do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Read and write.
    Full,
    /// Read, and not write.
    ReadOnly,
    /// The server answers nobody but the export.
    Asleep,
}

/// How loud the console speaks about a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Banner {
    /// A bill is late, everything works.
    Late,
    /// The server can be read, not changed.
    ReadOnly,
    /// The server sleeps.
    Asleep,
    /// The agreement is over.
    Ended,
}

/// What `standing` means. Total, and export is in every line of it.
pub fn consequence(standing: &Standing) -> Consequence {
    let (banner, using) = match standing {
        Standing::Active => (None, Use::Full),
        Standing::PastDue { .. } => (Some(Banner::Late), Use::Full),
        Standing::ReadOnly { .. } => (Some(Banner::ReadOnly), Use::ReadOnly),
        Standing::Asleep { .. } => (Some(Banner::Asleep), Use::Asleep),
        Standing::Ended { .. } => (Some(Banner::Ended), Use::Asleep),
    };
    Consequence { banner, using, export: true }
}
