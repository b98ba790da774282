//! The disks a host keeps things on, and when one of them runs short.

use std::path::{Path, PathBuf};

/// A disk as it is at one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// A folder on it.
    pub folder: PathBuf,
    /// What can still be written to it, in bytes.
    pub free_bytes: u64,
    /// All of it, in bytes.
    pub total_bytes: u64,
}

impl Disk {
    /// The disk under a folder; one that cannot be looked at has no bytes at all.
    #[must_use]
    pub fn under(folder: &Path) -> Self {
        let (free_bytes, total_bytes) = rustix::fs::statvfs(folder).map_or((0, 0), |disk| {
            (disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize))
        });
        Self { folder: folder.to_owned(), free_bytes, total_bytes }
    }

    /// What is to stay free for all that must be written: a twentieth, and of a large disk a gigabyte.
    #[must_use]
    pub fn reserve(&self) -> u64 {
        (self.total_bytes / 20).min(1 << 30)
    }

    /// What it lacks of its reserve, in bytes; 0 when there is room.
    #[must_use]
    pub fn lacks(&self) -> u64 {
        self.reserve().saturating_sub(self.free_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_lacks_what_its_reserve_is_short_of() {
        let of = |free_bytes, total_bytes| Disk { folder: PathBuf::new(), free_bytes, total_bytes };
        assert_eq!((of(60, 1000).lacks(), of(50, 1000).lacks(), of(20, 1000).lacks()), (0, 0, 30));
        assert_eq!(of(0, 1 << 50).lacks(), 1 << 30, "a large disk keeps a gigabyte");
        assert_eq!(Disk::under(Path::new("/no/such/folder")).lacks(), 0, "one that cannot be looked at lacks nothing");
        assert!(Disk::under(Path::new("/")).total_bytes > 0);
    }
}
