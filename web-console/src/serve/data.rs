//! The data directory: one provider's alone, of a layout we know, on a disk with room.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::error::ServeError;

/// The layout this version writes and the newest it reads.
const LAYOUT: u32 = 1;

/// A little more than the smallest write a start makes.
const PROBE: usize = 256 * 1024;

/// The place of homes that lie in the data directory itself.
pub(super) const HERE: &str = "the data directory";

/// A data directory that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes it when it is not there, and takes it.
    pub(super) fn open(path: &Path) -> Result<Self, ServeError> {
        let fail = |doing| move |source| ServeError::data(doing, path, source);
        // Others may walk through to what they are given (a server's runtime has a user of its own), and list nothing.
        std::fs::DirBuilder::new().recursive(true).mode(0o711).create(path).map_err(fail("making"))?;
        let path = path.canonicalize().map_err(fail("finding"))?;
        let lock = lock(&path)?;
        check_layout(&path)?;
        probe(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Notes where homes lie, and refuses another place than the one noted before: there, every server would wake empty.
    pub(super) fn keep_homes_at(&self, place: &str) -> Result<(), ServeError> {
        let name = self.path.join("homes-at");
        let noted = match std::fs::read_to_string(&name) {
            Ok(text) => text.trim().to_owned(),
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
                let here = std::fs::read_dir(self.path.join("objects/t")).is_ok_and(|mut homes| homes.next().is_some());
                if here { HERE.to_owned() } else { place.to_owned() }
            }
            Err(source) => return Err(ServeError::data("reading", &self.path, source)),
        };
        if noted != place {
            return Err(ServeError::HomesElsewhere { noted, configured: place.to_owned(), note: name });
        }
        std::fs::write(&name, format!("{place}\n")).map_err(|source| ServeError::data("writing to", &self.path, source))
    }

    /// Where it is, from the root.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The kernel gives the lock back when the process ends, however it ends; the file itself means nothing.
fn lock(path: &Path) -> Result<File, ServeError> {
    let name = path.join("freehold.lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(name)
        .map_err(|source| ServeError::data("locking", path, source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut who = String::new();
            let _ = file.read_to_string(&mut who);
            let who = who.trim();
            return Err(ServeError::Locked { path: path.to_owned(), who: (!who.is_empty()).then(|| who.to_owned()) });
        }
        Err(TryLockError::Error(source)) => return Err(ServeError::data("locking", path, source)),
    }
    let noted = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    noted.map_err(|source| ServeError::data("locking", path, source))?;
    Ok(file)
}

fn check_layout(path: &Path) -> Result<(), ServeError> {
    let name = path.join("layout");
    match std::fs::read_to_string(&name) {
        Ok(text) => {
            // What we cannot read was not written by us or an older one.
            let found = text.trim().parse().unwrap_or(u32::MAX);
            if found > LAYOUT { Err(ServeError::Newer { path: path.to_owned(), found, known: LAYOUT }) } else { Ok(()) }
        }
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
            std::fs::write(&name, format!("{LAYOUT}\n")).map_err(|source| ServeError::data("writing to", path, source))
        }
        Err(source) => Err(ServeError::data("reading", path, source)),
    }
}

/// A full disk shows itself here, with one clear error, and not later in the middle of something.
fn probe(path: &Path) -> Result<(), ServeError> {
    let name = path.join("probe");
    let written = File::create(&name).and_then(|mut file| {
        file.write_all(&vec![0x5a; PROBE])?;
        file.sync_all()
    });
    let removed = std::fs::remove_file(&name);
    written.and(removed).map_err(|source| ServeError::data("writing to", path, source))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_providers_never_share_a_directory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = DataDir::open(&path).unwrap();
        let refused = DataDir::open(&path).unwrap_err();
        assert!(
            matches!(&refused, ServeError::Locked { who: Some(who), .. } if *who == std::process::id().to_string()),
            "{refused}"
        );
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn a_newer_layout_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("layout"), "2\n").unwrap();
        let refused = DataDir::open(folder.path()).unwrap_err();
        assert!(matches!(refused, ServeError::Newer { found: 2, known: 1, .. }), "{refused}");
        assert_eq!(std::fs::read_to_string(folder.path().join("layout")).unwrap(), "2\n");
    }

    #[test]
    fn homes_are_not_looked_for_where_they_never_were() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        data.keep_homes_at("s3://homes").unwrap();
        data.keep_homes_at("s3://homes").unwrap();
        let refused = data.keep_homes_at(HERE).unwrap_err().to_string();
        assert!(refused.contains("s3://homes") && refused.contains("storage.url"), "{refused}");

        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        std::fs::create_dir_all(folder.path().join("objects/t/srv_1")).unwrap();
        assert!(matches!(data.keep_homes_at("s3://homes"), Err(ServeError::HomesElsewhere { .. })));
        data.keep_homes_at(HERE).unwrap();
    }

    #[test]
    fn a_full_disk_is_told_as_one() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = ServeError::data("writing to", Path::new("/data"), full);
        assert!(error.to_string().contains("is full"), "{error}");
    }
}
