//! Where homes lie: one prefix of an object store for each server.
//!
//! A runtime is shown its own prefix as if it were the whole store. Whoever holds the store decides by this module
//! alone which prefix that is, how much it takes, and when it is gone. The store is a folder of this machine
//! ([`Folder`]), which is bound into the sandbox, or an object store elsewhere ([`Objects`]), whose credentials stay
//! in this process: there a runtime gets a connection to the [`crate::broker`].

mod folder;
mod objects;
mod probe;
mod remote;

use std::path::PathBuf;

pub use folder::Folder;
pub(crate) use folder::{bytes_below, empty, own, remove};
pub use objects::Objects;
pub use probe::{Flaw, probe};
pub use remote::{Kind, Remote, Secret, Unusable};

/// Where all homes lie within the store.
const PREFIX: &str = "t";

/// What a home consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Objects, former states among them.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Where a host keeps homes.
#[derive(Clone, Debug)]
pub enum Storage {
    /// Below a folder of this machine.
    Folder(PathBuf),
    /// In an object store elsewhere.
    Objects(Objects),
}
