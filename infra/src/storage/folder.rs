//! Homes in a folder of this machine.
//!
//! Invariant: an erased home never comes back half: it leaves its name in one step, and what could not be deleted
//! after that is deleted at the next start.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::path::{Path, PathBuf};

use tenant_runtime::ids::ServerId;

use super::{Held, PREFIX};

/// Marks a home that is being deleted.
const ERASED: &str = ".erased-";

/// An object store in a folder of this machine.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The store at `root`.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder of one server's home.
    #[must_use]
    pub fn home(&self, server: ServerId) -> PathBuf {
        self.root.join(PREFIX).join(server.to_string())
    }

    /// Makes a home, owned by `owner` where each server has a user of its own; a home that is there stays as it is.
    ///
    /// # Errors
    /// When the folder cannot be made or given to its owner.
    pub fn make(&self, server: ServerId, owner: Option<u32>) -> io::Result<PathBuf> {
        let home = self.home(server);
        own(&home, owner)?;
        Ok(home)
    }

    /// What a home takes on disk, in bytes; 0 when there is none.
    ///
    /// # Errors
    /// When its folders cannot be read.
    pub fn usage(&self, server: ServerId) -> io::Result<u64> {
        bytes_below(&self.home(server))
    }

    /// The files of a home and of what an earlier run did not finish deleting of it, and their bytes.
    ///
    /// # Errors
    /// When its folders cannot be read.
    pub fn holds(&self, server: ServerId) -> io::Result<Held> {
        let doomed = self.root.join(PREFIX).join(format!("{ERASED}{server}"));
        let (home, doomed) = (files_below(&self.home(server))?, files_below(&doomed)?);
        Ok(Held { objects: home.objects + doomed.objects, bytes: home.bytes + doomed.bytes })
    }

    /// Deletes a home; no home is no error.
    ///
    /// # Errors
    /// When it cannot be renamed (it is whole then) or not deleted wholly (its name is gone then).
    pub fn erase(&self, server: ServerId) -> io::Result<()> {
        let home = self.home(server);
        let doomed = self.root.join(PREFIX).join(format!("{ERASED}{server}"));
        remove(&doomed)?;
        match fs::rename(&home, &doomed) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        }
        sync(&self.root.join(PREFIX))?;
        remove(&doomed)
    }

    /// Goes on with what an earlier run did not finish deleting.
    ///
    /// # Errors
    /// When something cannot be deleted.
    pub fn finish_erasing(&self) -> io::Result<()> {
        let entries = match fs::read_dir(self.root.join(PREFIX)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(ERASED) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// Makes a folder that only its owner may enter. One with another owner is given over with all that is in it.
pub(crate) fn own(folder: &Path, owner: Option<u32>) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let Some(owner) = owner else { return Ok(()) };
    if fs::symlink_metadata(folder)?.uid() == owner { Ok(()) } else { give(folder, owner) }
}

/// The folder itself comes last: until then the next start begins again.
fn give(path: &Path, owner: u32) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), owner)?;
        }
    }
    lchown(path, Some(owner), Some(owner))
}

/// Deletes a folder with all that is in it; none is no error.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Deletes all that is in a folder, and keeps the folder.
pub(crate) fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { remove(&entry.path())? } else { fs::remove_file(entry.path())? }
    }
    Ok(())
}

fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// What a folder with all that is in it takes on disk, in bytes; 0 when there is none.
pub(crate) fn bytes_below(path: &Path) -> io::Result<u64> {
    const BLOCK: u64 = 512;
    let meta = match fs::symlink_metadata(path) {
        // A runtime deletes files while they are counted.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let mut bytes = meta.blocks() * BLOCK;
    if meta.is_dir() {
        let entries = match fs::read_dir(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(bytes),
            other => other?,
        };
        for entry in entries {
            bytes += bytes_below(&entry?.path())?;
        }
    }
    Ok(bytes)
}

/// How many files are below a folder, and how long they are.
fn files_below(path: &Path) -> io::Result<Held> {
    let meta = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Held::default()),
        other => other?,
    };
    if !meta.is_dir() {
        return Ok(Held { objects: 1, bytes: meta.len() });
    }
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Held::default()),
        other => other?,
    };
    let mut held = Held::default();
    for entry in entries {
        let below = files_below(&entry?.path())?;
        held = Held { objects: held.objects + below.objects, bytes: held.bytes + below.bytes };
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_made_measured_and_erased_even_in_two_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Folder::new(folder.path().to_path_buf());
        let (anna, berta) = (ServerId::new(1), ServerId::new(2));
        assert_eq!(store.usage(anna).expect("no home"), 0);
        let home = store.make(anna, None).expect("a home");
        fs::create_dir(home.join("seg")).expect("a folder");
        fs::write(home.join("seg/1"), vec![1; 100_000]).expect("a file");
        fs::write(store.make(berta, None).expect("a home").join("head"), "b").expect("a file");
        assert!(store.usage(anna).expect("a home") >= 100_000);

        let held = store.holds(anna).expect("a home");
        assert_eq!(held, Held { objects: 1, bytes: 100_000 });
        fs::rename(&home, home.with_file_name(format!("{ERASED}{anna}"))).expect("as if killed in between");
        assert_eq!(store.holds(anna).expect("half a home"), held, "what is not deleted is still held");
        store.finish_erasing().expect("the rest is deleted");
        store.erase(anna).expect("nothing left to erase");
        store.erase(berta).expect("erased");
        assert_eq!(fs::read_dir(folder.path().join(PREFIX)).expect("a folder").count(), 0);
        assert_eq!(store.holds(anna).expect("no home"), Held::default());
    }

    #[test]
    fn a_home_of_another_owner_is_given_over_whole() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let store = Folder::new(folder.path().to_path_buf());
        let server = ServerId::new(1);
        let home = store.make(server, Some(200_001)).expect("a home");
        fs::create_dir(home.join("seg")).expect("a folder");
        fs::write(home.join("seg/1"), "x").expect("a file");
        store.make(server, Some(200_002)).expect("a new owner");
        let owner = |path: &str| fs::symlink_metadata(home.join(path)).expect("it is there").uid();
        assert_eq!([owner(""), owner("seg"), owner("seg/1")], [200_002; 3]);
    }
}
