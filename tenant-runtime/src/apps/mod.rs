//! Apps: packages of web pages that live in the person's storage and run on origins of their own.

pub mod check;
mod examine;
mod install;
mod keeping;
pub mod label;
pub mod manifest;
pub mod package;
mod restore;
mod store;
pub mod trial;
pub mod version;

use export_format::AppId;

pub use examine::{Examined, examine};
pub use install::{Terms, erase, install, install_on, remove, undo, wish};
pub use keeping::{Failed, Grant, Keeping, Revoked, Trial};
pub use manifest::Manifest;
pub use store::{
    AppRecord, CodeFile, code, code_at, code_bytes, get, keep, list, put, releases, remove_release, set_removed,
    use_release,
};
pub(crate) use store::{forget, relabel};

/// Why an app could not be read, installed or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package is not one we take.
    #[error("the package was refused")]
    Refused(#[from] package::Refused),
    /// An update that another key signed, or none.
    #[error("{0}")]
    Maker(String),
    /// An update that the owner, or what happened before, stands against.
    #[error("{0}")]
    Held(String),
    /// There is no such app.
    #[error("there is no app {0} on this server")]
    Missing(AppId),
    /// Nothing was done to the app that could be taken back.
    #[error("there is nothing to take back about {0}")]
    NothingToUndo(AppId),
    /// The home could not be written.
    #[error("the app could not be stored")]
    Store(#[from] crate::store::Error),
    /// Its tables could not be made.
    #[error("the app's tables could not be made")]
    Records(#[from] crate::documents::Error),
    /// What it asks for could not be written down.
    #[error("what the app asks for could not be written down")]
    Permissions(#[from] crate::permissions::Error),
    /// Its data of before the update could not be brought back.
    #[error("the app's data could not be brought back")]
    Files(#[from] crate::files::Error),
    /// What it wants to run when could not be written down.
    #[error("what the app wants to run could not be written down")]
    Happenings(#[from] crate::happenings::Error),
    /// SQLite failed.
    #[error("the apps could not be reached")]
    Database(#[from] rusqlite::Error),
}
