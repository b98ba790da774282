//! Starting the launcher, and the handle its agent holds.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::binaries;

/// The provider's own program, which is its launcher as well.
const PROVIDER: &str = "freehold";

/// The launcher as a program of its own, for every other program.
const ALONE: &str = "freehold-launcher";

/// Why the launcher could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its program was not found.
    #[error("finding the launcher's program")]
    Program(#[from] binaries::Missing),
    /// The system refused.
    #[error("{doing}")]
    Start {
        /// Which step failed.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The way to a running launcher; the launcher ends when this is dropped.
#[derive(Debug)]
pub struct LauncherHandle {
    parts: Parts,
}

/// What a handle is made of, for the agent.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) channel: UnixStream,
    pub(crate) pid: i32,
    /// Readable when the launcher has ended.
    pub(crate) pidfd: OwnedFd,
}

impl LauncherHandle {
    /// The launcher's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.parts.pid.unsigned_abs()
    }

    pub(crate) fn into_parts(self) -> Parts {
        self.parts
    }
}

/// Starts the launcher process. The program `freehold` re-executes itself as `freehold launcher`; every other
/// program (a test, a benchmark) runs `freehold-launcher`, found by [`binaries::find`]. May be called from any
/// thread at any time, also when tokio runs.
///
/// # Errors
/// [`Error`] when the program is missing or cannot be started.
pub fn start() -> Result<LauncherHandle, Error> {
    let failed = |doing| move |source| Error::Start { doing, source };
    let (ours, theirs) = UnixStream::pair().map_err(failed("making the launcher's channel"))?;
    let command = command(theirs)?;
    let (tell, hear) = mpsc::channel();
    // The kernel tells a process of its parent's end when the parent's *thread* ends, so this thread lives as long
    // as the launcher does. It also collects what is left of it.
    let parent = std::thread::Builder::new().name("launcher-parent".to_owned());
    parent.spawn(move || wait_upon(command, &tell)).map_err(failed("starting the launcher's thread"))?;
    let started = hear.recv().unwrap_or_else(|_| Err(io::Error::other("the launcher's thread ended")));
    let (pid, pidfd) = started.map_err(failed("starting the launcher"))?;
    Ok(LauncherHandle { parts: Parts { channel: ours, pid, pidfd } })
}

fn command(channel: UnixStream) -> Result<Command, Error> {
    let own = std::env::current_exe().unwrap_or_default();
    // The kernel says so when the file was replaced by a newer one.
    let name = own.file_name().unwrap_or_default().to_string_lossy();
    let is_provider = name.strip_suffix(" (deleted)").unwrap_or(&name) == PROVIDER;
    let mut command = if is_provider {
        // The running program itself, even when its file was replaced since.
        let mut command = Command::new("/proc/self/exe");
        command.arg0(PROVIDER).arg("launcher");
        command
    } else {
        Command::new(launcher_alone()?)
    };
    command.stdin(Stdio::from(OwnedFd::from(channel))).stdout(Stdio::null());
    Ok(command)
}

fn launcher_alone() -> Result<PathBuf, binaries::Missing> {
    binaries::find(ALONE)
}

fn wait_upon(mut command: Command, tell: &mpsc::Sender<io::Result<(i32, OwnedFd)>>) {
    match command.spawn() {
        Err(e) => {
            let _ = tell.send(Err(e));
        }
        Ok(mut child) => {
            // With the command goes this process's copy of the launcher's end of the channel.
            drop(command);
            let pid = child.id().cast_signed();
            // It is this thread's child, so the id is its own until the wait below.
            let pidfd = Pid::from_raw(pid).ok_or(Errno::SRCH).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
            let _ = tell.send(pidfd.map(|pidfd| (pid, pidfd)).map_err(io::Error::from));
            let _ = child.wait();
        }
    }
}
