//! What can go wrong with a home, and what the caller should do about it.
//!
//! One rule stands behind every variant: an error means *not acknowledged*. After [`Kind::Retry`] the write may or
//! may not be there (its outcome could not be learned in time); after every other kind it certainly is not.

use std::sync::Arc;

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// What the caller should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Try again later; the outcome of this attempt is unknown or nothing happened.
    Retry,
    /// The request itself is wrong.
    Fix,
    /// What was asked for is not there (any more).
    Gone,
    /// Somebody else is the owner now, or was first; this home acknowledges nothing of it.
    Conflict,
    /// There is no room left.
    Full,
    /// Damage or a defect: someone must look.
    Bug,
}

/// Why a home could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The object store did not answer, or not in time.
    #[error("the object store could not {doing} {key}")]
    Unavailable {
        /// The operation: `read`, `write`, `replace`, …
        doing: &'static str,
        /// The object.
        key: String,
        /// What it said.
        #[source]
        source: Source,
    },
    /// The object store is known to be away, so this was not even tried.
    #[error("the object store does not answer at present")]
    Away,
    /// The home ended while acknowledged writes could not be published. They are kept in the cache for the next wake.
    #[error("what was acknowledged in the last {for_ms} ms is left in the local cache until the next wake")]
    Owed {
        /// Since when they are owed.
        for_ms: u64,
        /// What was in the way.
        #[source]
        source: Source,
    },
    /// A write was sent, and whether it arrived cannot be learned at present.
    #[error("whether the last write became durable is not known yet")]
    Unsettled,
    /// Another runtime has taken this home over.
    #[error("another runtime has taken this home over")]
    Fenced,
    /// The home has departed, and goes on elsewhere.
    #[error("this server has moved away, and nothing is changed here any more")]
    Departed,
    /// Something was written since the moment with which the home was to depart.
    #[error("the home has seen {seq} groups of writes, and not {at}")]
    Behind {
        /// How many it had seen at that moment.
        at: u64,
        /// How many it has seen.
        seq: u64,
    },
    /// The home sleeps, or is stopping.
    #[error("the home is asleep")]
    Asleep,
    /// The local copy could not be kept in step and must be rebuilt by the next start.
    #[error("the local copy of the home is out of step and must be opened anew")]
    Broken(#[source] Source),
    /// The disk or the plan has no room left.
    #[error("there is no room left to {doing} {what}")]
    Full {
        /// The operation.
        doing: &'static str,
        /// What was being stored.
        what: String,
    },
    /// A file is larger than it may be.
    #[error("the file is larger than the {limit} bytes it may have")]
    TooLarge {
        /// The most bytes allowed.
        limit: u64,
    },
    /// The sender's stream broke off.
    #[error("the upload broke off")]
    Interrupted(#[source] Source),
    /// An upload was continued at the wrong place.
    #[error("the upload stands at byte {at}, not {asked}")]
    WrongOffset {
        /// Where it stands.
        at: u64,
        /// Where the caller wanted to go on.
        asked: u64,
    },
    /// There is no such thing.
    #[error("there is no {what} {name}")]
    Missing {
        /// The noun.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The name is taken.
    #[error("there is already a {what} {name}")]
    Taken {
        /// The noun.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The name may not be used.
    #[error("{name:?} is no name: 1 to 100 of a-z, A-Z, 0-9, '-', '_' and '.', not starting with '.'")]
    BadName {
        /// The name.
        name: String,
    },
    /// The home was written in a newer format.
    #[error(
        "this home has storage format {found}, and this runtime knows formats up to {known}: use the newer release that last ran it"
    )]
    Newer {
        /// The home's format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The home's database was written in a newer layout.
    #[error(
        "this home has layout {found}, and this runtime knows layouts up to {known}: use the newer release that last ran it"
    )]
    NewerLayout {
        /// The home's layout.
        found: u32,
        /// The newest layout known here.
        known: u32,
    },
    /// An object does not hold what was written to it.
    #[error("object {key} is damaged: {detail}")]
    Damaged {
        /// The object.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The host's broker does not do such a thing for a runtime.
    #[error("the host refused to {doing} {key}: {why}")]
    Refused {
        /// The operation.
        doing: &'static str,
        /// The object.
        key: String,
        /// Why.
        why: String,
    },
    /// The local copy could not be used.
    #[error("could not {doing} in the local cache")]
    Cache {
        /// The operation.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: Source,
    },
    /// SQLite said no.
    #[error("the database could not {doing}")]
    Database {
        /// The operation.
        doing: &'static str,
        /// What SQLite said.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// An operation of the caller's panicked.
    #[error("an operation on the home panicked")]
    Panicked,
}

impl Error {
    /// What the caller should do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unavailable { .. }
            | Self::Away
            | Self::Owed { .. }
            | Self::Unsettled
            | Self::Interrupted(_)
            | Self::Broken(_) => Kind::Retry,
            Self::Fenced | Self::Departed | Self::Behind { .. } => Kind::Conflict,
            Self::Asleep | Self::Missing { .. } => Kind::Gone,
            Self::Full { .. } | Self::TooLarge { .. } => Kind::Full,
            Self::WrongOffset { .. }
            | Self::Taken { .. }
            | Self::BadName { .. }
            | Self::Newer { .. }
            | Self::NewerLayout { .. } => Kind::Fix,
            Self::Cache { source, .. } if is_full(&**source) => Kind::Full,
            Self::Cache { source, .. } if is_busy(&**source) => Kind::Retry,
            Self::Database { source, .. } => match source.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DiskFull) => Kind::Full,
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => Kind::Retry,
                _ => Kind::Bug,
            },
            Self::Damaged { .. } | Self::Refused { .. } | Self::Cache { .. } | Self::Panicked => Kind::Bug,
        }
    }

    /// Whether the object store certainly did not take the write.
    pub(super) fn is_definite(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// What it means that a task of this home gave no result: it was dropped with its executor, which is an end like
    /// sleep, or it panicked.
    pub(super) fn no_result(why: &tokio::task::JoinError) -> Self {
        if why.is_cancelled() { Self::Asleep } else { Self::Panicked }
    }

    pub(super) fn cache(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Cache { doing, source: Arc::new(source) }
    }

    pub(super) fn database(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Database { doing, source: Arc::new(source) }
    }

    pub(super) fn damaged(key: &str, detail: impl std::fmt::Display) -> Self {
        Self::Damaged { key: key.to_owned(), detail: detail.to_string() }
    }

    pub(super) fn refused(doing: &'static str, key: &str, why: impl std::fmt::Display) -> Self {
        Self::Refused { doing, key: key.to_owned(), why: why.to_string() }
    }

    pub(super) fn unavailable(
        doing: &'static str,
        key: &str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Unavailable { doing, key: key.to_owned(), source: Arc::new(source) }
    }
}

fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| matches!(e.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded))
}

fn is_busy(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
}

/// Whether an I/O error says that a disk or a quota is used up.
pub(super) fn is_storage_full(error: &std::io::Error) -> bool {
    is_full(error)
}
