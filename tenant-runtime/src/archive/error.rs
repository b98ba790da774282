//! Why leaving or arriving did not go on, and what its owner can do about it.

use std::io::ErrorKind;

use crate::store;

/// Why an export or import did not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive, or what was asked, cannot be taken; the sentence says why.
    #[error("{0}")]
    Refused(String),
    /// There is no such export or import.
    #[error("there is no {0} here")]
    Missing(&'static str),
    /// It is not in a state in which that can be done.
    #[error("{0}")]
    State(String),
    /// It does not fit.
    #[error("{0}")]
    Full(String),
    /// The host's disk has no room, whatever the plan says.
    #[error(
        "The provider's own disk is full, not your plan, so this did not go on. Nothing was lost or changed. The provider has been told; try again later."
    )]
    HostFull(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// This server has given the hand-over up, by which it was to go live.
    #[error("this server has given up going on by this hand-over")]
    Renounced,
    /// What was staged is not what the archive holds.
    #[error("{0} came out differently than the archive says; nothing was changed")]
    Differs(String),
    /// The database did not do as told.
    #[error("the database of the server did not answer")]
    Database(#[from] rusqlite::Error),
    /// The durable home did not do as told.
    #[error("the server's storage did not answer")]
    Store(#[source] store::Error),
    /// Records could not be reached.
    #[error("the server's records did not answer")]
    Documents(#[from] crate::documents::Error),
    /// The apps could not be reached.
    #[error("the server's apps did not answer")]
    Apps(#[from] crate::apps::Error),
    /// Files could not be reached.
    #[error("the server's files did not answer")]
    Files(#[from] crate::files::Error),
    /// Permissions could not be reached.
    #[error("the server's permissions did not answer")]
    Permissions(#[from] crate::permissions::Error),
    /// What starts by itself could not be reached.
    #[error("what starts by itself did not answer")]
    Happenings(#[from] crate::happenings::Error),
    /// The sessions could not be reached.
    #[error("the server's sessions did not answer")]
    Sessions(#[from] crate::sessions::Error),
    /// The home has another layout.
    #[error("the home's layout does not fit")]
    Schema(#[from] crate::schema::Error),
    /// The disk did not do as told.
    #[error("a work file could not be {what}")]
    File {
        /// What was being done, as a participle.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Something that cannot be by construction.
    #[error("{0}")]
    Bug(String),
}

impl Error {
    /// Wraps what the system said about a work file.
    pub(crate) fn file(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::HostFull(Box::new(source)),
            _ => Self::File { what, source },
        }
    }

    /// True when the work was not refused but cut off, by a sleep or by another runtime that took the home over.
    #[must_use]
    pub(crate) fn is_a_pause(&self) -> bool {
        matches!(self, Self::Store(store::Error::Asleep | store::Error::Fenced))
    }

    /// True when trying again may help: the storage did not answer, or not clearly.
    #[must_use]
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Store(error) => error.kind() == store::Kind::Retry,
            error => matches!(error, Self::HostFull(_)),
        }
    }

    /// The sentence and everything behind it, for one line of a log.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            // Only files have a limit of their own; all else that is full is the disk.
            store::Error::TooLarge { .. } => Self::Store(error),
            store::Error::Departed => Self::State(error.to_string()),
            error if error.kind() == store::Kind::Full => Self::HostFull(Box::new(error)),
            error => Self::Store(error),
        }
    }
}
