//! What a killed run leaves behind, and getting rid of it.
//!
//! After kill -9 of a provider its launcher ends by itself within moments, and the kernel ends the runtimes; a start
//! that follows at once must not meet them. Sockets and control groups stay and are removed here.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tenant_runtime::ids::ServerId;

use crate::isolation::sweep_groups;
use crate::launcher::{GROUPS_FILE, PROCESS_FILE, Process, RUNNING_FILE, noted_running};
use crate::storage::remove;

/// How long killed processes may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found and removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    pub(super) processes: usize,
    pub(super) servers: usize,
}

/// Ends what still runs, then removes what is left.
pub(super) fn leftovers(run_dir: &Path) -> io::Result<Swept> {
    let launcher = run_dir.join(PROCESS_FILE);
    let mut killed: Vec<OwnedFd> = Process::noted(&launcher).and_then(Process::kill).into_iter().collect();
    killed.extend(noted_running(run_dir).into_iter().filter_map(Process::kill));
    let mut folders = Vec::new();
    for entry in fs::read_dir(run_dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.parse::<ServerId>().is_ok() {
            folders.push(path);
        }
    }
    wait_for(&killed)?;
    let (groups, running) = (run_dir.join(GROUPS_FILE), run_dir.join(RUNNING_FILE));
    let processes = killed.len() + sweep_groups(&group_folders(&groups));
    folders.iter().try_for_each(|folder| remove(folder))?;
    for file in [&launcher, &groups, &running] {
        match fs::remove_file(file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(Swept { processes, servers: folders.len() })
}

/// The folders a former run wrote down; only such as a launcher makes.
fn group_folders(file: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_absolute() && name.starts_with("freehold-")
    };
    text.lines().map(PathBuf::from).filter(is_ours).collect()
}

/// Waits until these processes are gone.
pub(super) fn wait_for(killed: &[OwnedFd]) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    for pidfd in killed {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        let fd = pidfd.as_fd();
        if poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&left))? == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "a process does not end"));
        }
    }
    Ok(())
}
