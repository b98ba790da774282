//! The name of a process that no other process will ever have: its id and the time it was started.
//!
//! It is written down for the launcher and for each runtime. After a kill -9 the next run reads it and can end what is left
//! without ever hitting a stranger that got the same id.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::agent::RunId;

/// A process and the time it was started, in the kernel's ticks since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(super) pid: i32,
    pub(super) started: u64,
}

impl Process {
    /// A process that lives now.
    pub(crate) fn living(pid: i32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::of(pid, &stat).ok_or_else(|| io::Error::other("the kernel's line has too few fields"))
    }

    /// A process by the kernel's line about it.
    pub(crate) fn of(pid: i32, stat: &str) -> Option<Self> {
        Some(Self { pid, started: started(stat)? })
    }

    /// The name of the run this process is, also after the machine has started again.
    pub(crate) fn run(self) -> RunId {
        static BOOT: OnceLock<String> = OnceLock::new();
        let boot = BOOT.get_or_init(|| {
            let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
            id.chars().filter(char::is_ascii_hexdigit).take(12).collect()
        });
        RunId(format!("{boot}-{}-{}", self.pid, self.started))
    }

    /// Writes it down.
    pub(crate) fn note(self, file: &Path) -> io::Result<()> {
        fs::write(file, format!("{} {}\n", self.pid, self.started))
    }

    /// Reads what was written down; nothing when that is not whole.
    pub(crate) fn noted(file: &Path) -> Option<Self> {
        Self::from_line(&fs::read_to_string(file).ok()?)
    }

    /// Reads a line of what was written down.
    pub(super) fn from_line(line: &str) -> Option<Self> {
        let (pid, started) = line.trim().split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, started: started.trim_start().parse().ok()? })
    }

    /// Kills it if it still lives; the descriptor becomes readable when it is gone.
    pub(crate) fn kill(self) -> Option<OwnedFd> {
        // Opened first and compared after: the descriptor stays with one process, the id does not.
        let pidfd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        let same = Self::living(self.pid).is_ok_and(|now| now == self);
        (same && pidfd_send_signal(&pidfd, Signal::KILL).is_ok()).then_some(pidfd)
    }
}

/// The 22nd field; the second, the program's name, may hold spaces and parentheses itself.
fn started(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_again_and_a_stranger_with_its_id_is_let_live() {
        let folder = tempfile::tempdir().expect("a folder");
        let noted = folder.path().join("process");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a process");
        let process = Process::living(child.id() as i32).expect("it lives");
        process.note(&noted).expect("a file");
        assert_eq!(Process::noted(&noted), Some(process));
        let stranger = Process { started: process.started + 1, ..process };
        assert!(stranger.kill().is_none());
        assert!(child.try_wait().expect("a child").is_none());
        assert!(process.kill().is_some());
        assert!(!child.wait().expect("it was killed").success());
        assert!(process.kill().is_none());
    }

    #[test]
    fn a_name_with_parentheses_hides_nothing() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 4242 0";
        assert_eq!(started(stat), Some(4242));
    }
}
