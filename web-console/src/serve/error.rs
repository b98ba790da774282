//! Why a provider does not start. Every sentence ends with what to do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Why a provider does not start, or did not stop in order.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another provider has this data directory.
    #[error("another provider is running on the data directory {}{}. Stop it first, or give this one a directory of its own with --data", path.display(), who.as_deref().map(|who| format!(" (process {who})")).unwrap_or_default())]
    Locked {
        /// Which directory.
        path: PathBuf,
        /// The other one's process id, when it says.
        who: Option<String>,
    },
    /// The data directory was written by a newer version.
    #[error("the data directory {} was written by a newer version of Freehold (layout {found}, this one knows up to {known}). Start that version again, or a newer one; this one would not understand everything in it", path.display())]
    Newer {
        /// Which directory.
        path: PathBuf,
        /// Its layout.
        found: u32,
        /// The newest we know.
        known: u32,
    },
    /// There is no room on the disk.
    #[error("the disk under {} is full. Free some space there, or give the provider another disk with --data; nothing that was saved is lost", path.display())]
    DiskFull {
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The data directory cannot be used.
    #[error("{doing} the data directory {} does not work. Check that it exists or can be made and that this user may write there, or choose another one with --data", path.display())]
    Data {
        /// What was tried.
        doing: &'static str,
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The port cannot be had.
    #[error("cannot listen on {address}: {why}. {mend}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        why: &'static str,
        /// What to do.
        mend: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The program of a server is not there.
    #[error("`freehold-runtime` is not in {}. Put both programs into one folder, or name the folder with the key servers.programs", looked.display())]
    NoRuntime {
        /// Where it was looked for.
        looked: PathBuf,
    },
    /// A program of ours is not there.
    #[error("a program of Freehold is missing. `cargo build --release --bins` makes all of them, into one folder")]
    Program(#[from] infra::binaries::Missing),
    /// The configuration does not hold together.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The keys of the object store cannot be right.
    #[error(transparent)]
    StorageKeys(#[from] infra::storage::Unusable),
    /// Homes would not be safe in the object store.
    #[error("{address}: {flaw}")]
    Storage {
        /// Which store.
        address: String,
        /// What is wrong with it.
        #[source]
        flaw: infra::storage::Flaw,
    },
    /// The homes lie somewhere else.
    #[error("the homes of this provider's servers lie in {noted}, but storage.url now says {configured}, where every server would wake empty. Set storage.url back; or, once every object below t/ has been copied there, write the new place into {}", note.display())]
    HomesElsewhere {
        /// Where they lie.
        noted: String,
        /// Where they were looked for.
        configured: String,
        /// The file that says so.
        note: PathBuf,
    },
    /// The launcher did not start.
    #[error("the launcher of servers did not start")]
    Launcher(#[from] infra::launcher::Error),
    /// The agent did not start.
    #[error(transparent)]
    Agent(#[from] infra::agent::Error),
    /// The control plane did not start.
    #[error("the control plane did not start")]
    ControlPlane(#[from] control_plane::Error),
    /// The catalogue cannot be used.
    #[error(
        "the catalogue of apps cannot be used. Check catalogue.source and catalogue.key, or leave both out for the built-in apps"
    )]
    Catalogue(#[source] control_plane::catalogue::Error),
    /// A catalogue elsewhere needs the key that signs it.
    #[error(
        "catalogue.source is set, but catalogue.key is not the public key that signs it. Write it as \"ssh-ed25519 AAAA…\"; it stands in the catalogue's key.pub, and should come to you by another way than the catalogue itself"
    )]
    CatalogueKey,
}

impl ServeError {
    /// A trouble with the data directory; a full disk has an error of its own.
    pub(crate) fn data(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == std::io::ErrorKind::StorageFull {
            Self::DiskFull { path, source }
        } else {
            Self::Data { doing, path, source }
        }
    }

    /// The same trouble, told as a full disk when that is what lies at its bottom, wherever it came up.
    pub(crate) fn or_disk_full(self, path: &Path) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&self);
        while let Some(error) = cause {
            let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            // SQLite tells in words only, by the time its error has come through two crates.
            if io == Some(std::io::ErrorKind::StorageFull) || error.to_string().contains("database or disk is full") {
                return Self::DiskFull { path: path.to_owned(), source: std::io::ErrorKind::StorageFull.into() };
            }
            cause = error.source();
        }
        self
    }

    /// The sentence and everything behind it, a line each.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let words = error.to_string();
            if !text.contains(&words) {
                text.push_str("\n  because: ");
                text.push_str(&words);
            }
            cause = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(kind: std::io::ErrorKind) -> ServeError {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        ServeError::Listen { address, why: "", mend: "", source: kind.into() }.or_disk_full(Path::new("/srv/freehold"))
    }

    #[test]
    fn a_full_disk_is_called_one_wherever_it_comes_up() {
        let told = listening(std::io::ErrorKind::StorageFull);
        assert!(matches!(&told, ServeError::DiskFull { path, .. } if path == Path::new("/srv/freehold")), "{told}");
        assert!(matches!(listening(std::io::ErrorKind::AddrInUse), ServeError::Listen { .. }));
    }
}
