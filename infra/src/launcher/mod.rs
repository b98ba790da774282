//! The process that holds every server's sockets and wakes runtimes.
//!
//! It is a process of its own because starting a sandboxed process is safe only from a single thread, and because a
//! sleeping server should cost two sockets and nothing else. It never accepts a connection: the kernel's queue holds
//! the first request until the runtime takes it, and holds what arrives while one runtime ends and the next begins.
//!
//! Invariants: one thread; it waits for nothing but its epoll; a server has at most one process.
//!
//! Failure: when the agent ends, however it ends, the channel closes and the launcher kills its servers and follows.
//! When the launcher ends, however it ends, the kernel kills its servers.

mod app_host;
mod channel;
mod connection;
mod log;
mod patience;
mod process;
mod run;
mod running;
mod server;
mod sockets;
pub(crate) mod spent;
mod start;
mod watch;
pub(crate) mod wire;

use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit, setsid};

use crate::isolation::{Walls, WallsOptions, termination};

use run::{Launcher, Parting};
use wire::{News, Order};

pub(crate) use process::Process;
pub(crate) use running::{RUNNING_FILE, noted as noted_running};
pub(crate) use sockets::{LONGEST_RUN_DIR, admin, public};
pub(crate) use spent::{RUNS_FILE, Spent};
pub(crate) use start::Parts;
pub use start::{Error, LauncherHandle, start};

/// How long a server whose launch changed may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The file in a run folder that names the launcher's process.
pub(crate) const PROCESS_FILE: &str = "launcher";

/// The file in a run folder that names the folders of its control groups.
pub(crate) const GROUPS_FILE: &str = "groups";

/// The `freehold launcher` subcommand; does not return.
pub fn main() -> ! {
    match run() {
        Ok(()) => std::process::exit(0),
        Err(e) => {
            eprintln!("freehold launcher: {e}");
            std::process::exit(1)
        }
    }
}

fn run() -> io::Result<()> {
    // A terminal's Ctrl-C is for the provider, which then drains this process in good order.
    let _ = setsid();
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let termination = termination()?;
    allow_many_descriptors();
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut first = String::new();
    BufReader::with_capacity(1, &stream).read_line(&mut first)?;
    if first.is_empty() {
        return Ok(());
    }
    let Order::SetUp(set_up) = serde_json::from_str(&first).map_err(io::Error::other)? else {
        return Err(io::Error::other("the first order must be to set up"));
    };
    let (walls, report) = Walls::raise(&WallsOptions {
        skeleton: set_up.run_dir.join("skeleton"),
        program: set_up.program.clone(),
        app_host: set_up.app_host.clone(),
        groups: set_up.groups.clone(),
    })?;
    note_groups(&set_up.run_dir, &walls.group_folders())?;
    let ready = News::Ready { report, identity: walls.identity(), own_files: walls.has_own_files() };
    let runs = set_up.run_dir.join(RUNS_FILE);
    let mut launcher = Launcher::new(set_up, walls, stream, &termination)?;
    launcher.tell(&ready);
    let parting = launcher.work();
    let unheard = launcher.kill_all();
    // What cannot be written is lost; there is nobody left to tell.
    let _ = spent::note(&runs, &unheard);
    if let Ok(Parting::Drained) = parting {
        launcher.remove_sockets();
    }
    parting.map(drop)
}

fn note_groups(run_dir: &Path, folders: &[PathBuf]) -> io::Result<()> {
    let lines: String = folders.iter().map(|folder| format!("{}\n", folder.display())).collect();
    std::fs::write(run_dir.join(GROUPS_FILE), lines)
}

/// Two sockets for each sleeping server, four pipes for each awake one.
fn allow_many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
