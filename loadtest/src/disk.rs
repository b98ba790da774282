//! A small disk that can be filled: a file system in memory, mounted below a provider's data directory.
//!
//! Only root may mount one. Where that is not so, whoever asks is told why and goes without.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use infra::agent::Disk;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// A disk of its own; it goes with this value.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of so many bytes at `at`. None, with the reason printed, where this user may not.
    pub fn mount(at: &Path, bytes: u64) -> Result<Option<Self>> {
        std::fs::create_dir_all(at)?;
        let options = std::ffi::CString::new(format!("size={bytes},mode=0700"))?;
        match mount("freehold-test", at, "tmpfs", MountFlags::empty(), Some(options.as_c_str())) {
            Ok(()) => Ok(Some(Self { at: at.to_owned() })),
            Err(why) => {
                eprintln!("skipped: a small disk cannot be mounted here ({why})");
                Ok(None)
            }
        }
    }

    /// Takes all the room that is left.
    pub fn fill(&self) -> Result<()> {
        let mut ballast = File::options().append(true).create(true).open(self.ballast())?;
        let piece = vec![0x5a; 64 << 10];
        let mut size = piece.len();
        while size > 0 {
            if ballast.write_all(&piece[..size]).is_err() {
                size /= 2;
            }
        }
        Ok(())
    }

    /// Gives back the room that was taken.
    pub fn make_room(&self) -> Result<()> {
        std::fs::remove_file(self.ballast()).context("making room")
    }

    /// What is free, in bytes.
    #[must_use]
    pub fn free(&self) -> u64 {
        Disk::under(&self.at).free_bytes
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whatever still uses it keeps it for that long.
        let _ = unmount(&self.at, UnmountFlags::DETACH);
    }
}
