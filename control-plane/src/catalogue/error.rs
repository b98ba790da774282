//! What can go wrong with a catalogue, each with what to do about it.

use std::io;
use std::path::PathBuf;

use export_format::AppId;

/// Why a catalogue, or something in it, was refused or could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {path}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The address is neither a folder nor an http or https address.
    #[error("{text:?} is neither a folder nor an http or https address")]
    Source {
        /// What was given.
        text: String,
    },
    /// The web server could not be reached or broke off.
    #[error("cannot fetch {url}: {why}")]
    Fetch {
        /// The address.
        url: String,
        /// What happened.
        why: String,
    },
    /// The web server answered with something other than 200.
    #[error("{url} answered with status {status}")]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: u16,
    },
    /// A file is larger than it says or may be.
    #[error("{what} is larger than the {limit} bytes it may have")]
    TooLarge {
        /// Which file.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A key is not an Ed25519 key in OpenSSH form.
    #[error("{what} is no Ed25519 key in OpenSSH form")]
    Key {
        /// Which key.
        what: String,
    },
    /// The index is not signed by the trusted key.
    #[error("the index of {at} is not signed by the trusted key ({why}); nothing from it is used")]
    Signature {
        /// Which catalogue.
        at: String,
        /// What does not fit.
        why: String,
    },
    /// The index is signed but not one this program understands.
    #[error("the index cannot be used: {why}")]
    Index {
        /// What does not fit.
        why: String,
    },
    /// A package or icon is not the one the index names.
    #[error("{what} is not the file the signed index names (its sha256 is {found}); it was not used")]
    Digest {
        /// Which file.
        what: String,
        /// What its digest is.
        found: String,
    },
    /// The catalogue has no such app.
    #[error("the catalogue has no app {id}")]
    Unknown {
        /// Which app.
        id: AppId,
    },
    /// An app folder or package is not sound.
    #[error("the app in {at} cannot be listed: {why}")]
    App {
        /// Which folder or package.
        at: String,
        /// What does not fit.
        why: String,
    },
}

/// What to do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Later it may work.
    Retry,
    /// Somebody has to change a setting, a file or the catalogue.
    Fix,
    /// There is no such thing.
    Gone,
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Fetch { .. } => Kind::Retry,
            Self::Status { status, .. } if *status >= 500 || *status == 429 => Kind::Retry,
            Self::Unknown { .. } => Kind::Gone,
            _ => Kind::Fix,
        }
    }
}
