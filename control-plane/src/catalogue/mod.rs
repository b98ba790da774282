//! The catalogue: which apps there are, in a form that anyone can host and nobody can change unseen.
//!
//! A store that only its operator can run would tie people to the operator. So a catalogue is nothing but static
//! files: `index.json`, its signature `index.json.sig`, the packages and the icons. Any web server, or a folder on a
//! USB stick, will do. What makes it trustworthy is one Ed25519 key, given to the follower by other means.
//!
//! Invariants:
//! - The signature is OpenSSH's SSHSIG in the namespace [`NAMESPACE`], so `ssh-keygen -Y verify` can check it with
//!   nothing of ours installed.
//! - The index names the size and sha256 of every package and icon; nothing is handed out that does not match.
//! - Building is deterministic: the same app folders, time and key give the same bytes.
//!
//! Architecture Invariant: a catalogue holds no state about servers. What is installed where stays on each server.

mod build;
mod built_in;
mod error;
mod fetch;
mod index;
mod key;
mod package;
mod publish;
mod source;
#[cfg(test)]
mod tests;
mod words;

use std::path::Path;

use bytes::Bytes;
use export_format::AppId;

pub use build::{AppFolder, Built, build, build_apps};
pub use error::{Error, Kind};
pub use index::{Index, Listing, Permission, Revocation};
pub use key::{NAMESPACE, SigningKey, TrustedKey};
pub(crate) use package::pack;
pub use publish::publish;

use source::Source;

/// A catalogue whose index has been verified against a trusted key.
#[derive(Debug, Clone)]
pub struct Catalogue {
    source: Source,
    index: Index,
    trusted: TrustedKey,
}

impl Catalogue {
    /// The catalogue every provider has from its first start: the apps that come with this program.
    ///
    /// It is signed with a key of this provider, kept in `<data_dir>/keys/catalogue`, and written as static files
    /// to `<data_dir>/catalogue`. A later start finds it there, and rebuilds it when the program brings other apps.
    ///
    /// # Errors
    /// When the key or the files cannot be read or written.
    pub fn built_in(data_dir: &Path, now: jiff::Timestamp) -> Result<Self, Error> {
        built_in::open_or_build(data_dir, now)
    }

    /// Opens a catalogue somewhere else: a folder, or an `http`/`https` address.
    ///
    /// # Errors
    /// When it cannot be read, is of another format, or its index is not signed by `trusted`.
    pub async fn open(source: &str, trusted: &TrustedKey) -> Result<Self, Error> {
        let source: Source = source.parse()?;
        let index = source.read("index.json", index::MAX_BYTES).await?;
        let signature = source.read("index.json.sig", key::MAX_SIGNATURE_BYTES).await?;
        Self::from_parts(source, &index, &signature, trusted)
    }

    /// Opens a catalogue in a folder without waiting on anything.
    fn open_folder(folder: &Path, trusted: &TrustedKey) -> Result<Self, Error> {
        let source = Source::Folder(folder.to_owned());
        let index = source::read_folder(folder, "index.json", index::MAX_BYTES)?;
        let signature = source::read_folder(folder, "index.json.sig", key::MAX_SIGNATURE_BYTES)?;
        Self::from_parts(source, &index, &signature, trusted)
    }

    fn from_parts(source: Source, index: &[u8], signature: &[u8], trusted: &TrustedKey) -> Result<Self, Error> {
        trusted.verify(index, signature, &source.to_string())?;
        Ok(Self { index: Index::parse(index)?, source, trusted: trusted.clone() })
    }

    /// The catalogue as it is now. An index that is older than this one is not believed: somebody shows us the past.
    ///
    /// # Errors
    /// As for [`Catalogue::open`].
    pub async fn anew(&self) -> Result<Self, Error> {
        let index = self.source.read("index.json", index::MAX_BYTES).await?;
        let signature = self.source.read("index.json.sig", key::MAX_SIGNATURE_BYTES).await?;
        let new = Self::from_parts(self.source.clone(), &index, &signature, &self.trusted)?;
        if new.made() < self.made() {
            return Err(Error::Index { why: "it is older than the one that was read before".to_owned() });
        }
        Ok(new)
    }

    /// The apps, in the order the index gives.
    #[must_use]
    pub fn list(&self) -> &[Listing] {
        &self.index.apps
    }

    /// When the index was made, in Unix milliseconds.
    #[must_use]
    pub fn made(&self) -> i64 {
        self.index.made
    }

    /// One app's entry.
    ///
    /// # Errors
    /// [`Error::Unknown`] when the catalogue has no such app.
    pub fn entry(&self, id: &AppId) -> Result<&Listing, Error> {
        self.index.apps.iter().find(|listing| &listing.id == id).ok_or_else(|| Error::Unknown { id: id.clone() })
    }

    /// An app's package (a zip), with size and digest checked.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or is not the one the index names.
    pub async fn package(&self, id: &AppId) -> Result<Bytes, Error> {
        let listing = self.entry(id)?;
        let bytes = self.source.read(&listing.package, listing.size).await?;
        index::check_digest(&listing.package, &bytes, &listing.sha256)?;
        Ok(bytes)
    }

    /// An app's icon (SVG), with its digest checked.
    ///
    /// # Errors
    /// As for [`Catalogue::package`].
    pub async fn icon(&self, id: &AppId) -> Result<Bytes, Error> {
        let listing = self.entry(id)?;
        let bytes = self.source.read(&listing.icon, package::MAX_ICON_BYTES).await?;
        index::check_digest(&listing.icon, &bytes, &listing.icon_sha256)?;
        Ok(bytes)
    }

    /// The folder to serve statically, when this catalogue is one on this machine.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match &self.source {
            Source::Folder(path) => Some(path),
            Source::Web(_) => None,
        }
    }
}

/// What a full check of a catalogue found to be in order.
#[derive(Debug, Clone)]
pub struct Verified {
    /// How many apps were checked.
    pub apps: usize,
    /// Total size of their packages, in bytes.
    pub bytes: u64,
    /// When the index was made, in Unix milliseconds.
    pub made: i64,
}

/// Checks everything in a catalogue: signature, every package, every icon, every manifest against its entry.
///
/// # Errors
/// The first thing that is not as the signed index says.
pub async fn verify(source: &str, trusted: &TrustedKey) -> Result<Verified, Error> {
    let catalogue = Catalogue::open(source, trusted).await?;
    let mut bytes = 0;
    for listing in catalogue.list() {
        let package = catalogue.package(&listing.id).await?;
        package::agrees(&package, listing)?;
        catalogue.icon(&listing.id).await?;
        bytes += listing.size;
    }
    Ok(Verified { apps: catalogue.list().len(), bytes, made: catalogue.made() })
}
