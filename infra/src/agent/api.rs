//! What is said to an agent and by it.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tenant_runtime::ids::{Generation, ServerId};

use crate::hosts::HostId;
use crate::isolation::IsolationReport;
use crate::outside::Outward;
use crate::storage::Storage;

/// Where an agent keeps its things.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The host this agent speaks for.
    pub host: HostId,
    /// Sockets and process files; made afresh at every start. Keep the path short: a socket's path has at most
    /// 107 bytes, of which the agent needs 45.
    pub run_dir: PathBuf,
    /// Caches of homes; may be lost at any time.
    pub data_dir: PathBuf,
    /// What this host must remember: which user each server has, and what runs took that nobody has counted yet.
    pub memory_dir: PathBuf,
    /// How much the caches of sleeping servers may take together, in bytes; where none is named, half of what the disk
    /// has left for them.
    pub cache_bytes: Option<u64>,
    /// The object store, in which homes lie.
    pub storage: Storage,
    /// Who carries what servers ask of other people's servers; without it nobody does.
    pub outward: Option<Outward>,
    /// The program of a runtime.
    pub runtime_exe: PathBuf,
    /// Whether to start where servers of strangers cannot be kept apart.
    pub insist: Insist,
    /// How verbose runtimes are: their `RUST_LOG`.
    pub runtime_log: Option<String>,
}

impl AgentOptions {
    /// Everything in its usual place below one folder: `run`, `cache`, `host` and `objects`.
    #[must_use]
    pub fn below(folder: &std::path::Path, host: HostId, runtime_exe: PathBuf) -> Self {
        Self {
            host,
            run_dir: folder.join("run"),
            data_dir: folder.join("cache"),
            memory_dir: folder.join("host"),
            cache_bytes: None,
            storage: Storage::Folder(folder.join("objects")),
            outward: None,
            runtime_exe,
            insist: Insist::OnIsolation,
            runtime_log: None,
        }
    }
}

/// Whether an agent starts where servers of strangers cannot be kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insist {
    /// It refuses, naming what is missing.
    OnIsolation,
    /// It starts with whatever there is: for development, when all servers are one's own.
    OnNothing,
}

/// What one runtime may take of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxLimits {
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u32,
    /// Processor time, in percent of one processor.
    pub cpu_percent: u32,
}

/// What a placed server is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenServer {
    /// Which server.
    pub server: ServerId,
    /// The placement this host was told of last.
    pub generation: Generation,
    /// What it is doing.
    pub state: State,
}

/// What a placed server is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// No process; it wakes at the first connection.
    Asleep,
    /// A process is there.
    Awake {
        /// Its process id on the host.
        pid: u32,
        /// When it was started, Unix milliseconds.
        since: i64,
        /// What it takes of the machine, as far as that could be read.
        usage: Usage,
    },
    /// It ended unasked, and is held back for a while before it is started again.
    Crashing {
        /// How it ended last.
        status: Ended,
        /// When it ended first of these times, Unix milliseconds.
        since: i64,
        /// How many times in a row.
        times: u32,
    },
}

/// What a runtime takes of the machine; `None` where it could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory of its own and its share of the common, in bytes (PSS).
    pub pss_bytes: Option<u64>,
    /// Memory charged to its cgroup, page cache included, in bytes.
    pub charged_bytes: Option<u64>,
    /// Processor time since its wake, in milliseconds.
    pub cpu_ms: Option<u64>,
}

/// The name of one run of a server: one process, from its start to its end. No other run ever has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one run took so far. Its figures only grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReading {
    /// Which server.
    pub server: ServerId,
    /// Which of its runs.
    pub run: RunId,
    /// The processor's time, in microseconds; to the hundredth of a second while it runs, exact once it has ended.
    /// `None` when it could not be read just now.
    pub cpu_us: Option<u64>,
    /// The time since it was called, in milliseconds.
    pub awake_ms: u64,
    /// Whether that is all there will be. It is told again until it is acknowledged.
    pub ended: bool,
}

/// Something that happened to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEvent {
    /// Which server.
    pub server: ServerId,
    /// What happened.
    pub event: Event,
}

/// Something that happened to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is ready to answer.
    Woke {
        /// Milliseconds from the first connection to readiness.
        ms: u64,
    },
    /// It ended in good order.
    Slept,
    /// It ended unasked.
    Crashed {
        /// How.
        status: Ended,
    },
}

/// How a runtime ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", content = "what", rename_all = "snake_case")]
pub enum Ended {
    /// It returned this status.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
    /// It took more memory than its plan grants.
    OutOfMemory,
    /// It never began: its sandbox could not be made.
    NotStarted(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "ended with status {status}"),
            Self::Signalled(signal) => write!(f, "ended by signal {signal}"),
            Self::OutOfMemory => f.write_str("ended for want of memory"),
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
        }
    }
}

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The same call may succeed later.
    Retry,
    /// An operator must change something first.
    Fix,
    /// The server is not here.
    Gone,
}

/// Why an agent could not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Servers cannot be kept apart on this machine.
    #[error("this machine cannot keep servers apart:\n{}", refusal(.0))]
    Isolation(IsolationReport),
    /// The server is not placed on this host.
    #[error("{0} is not placed on this host")]
    NotPlaced(ServerId),
    /// The launcher has ended.
    #[error("the launcher is gone")]
    LauncherGone,
    /// The launcher refused.
    #[error("the launcher could not {doing}: {why}")]
    Launcher {
        /// What was asked of it.
        doing: &'static str,
        /// What it answered.
        why: String,
    },
    /// A folder or file could not be used.
    #[error("{doing} {}", .path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The object store did not do what was asked.
    #[error("the object store could not {doing}; it is tried again")]
    Storage {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The run folder's path is too long for sockets below it.
    #[error("the path {} is too long for sockets below it ({length} bytes, at most {most}); choose a shorter run_dir", .path.display())]
    LongPath {
        /// The folder.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
        /// The greatest length that works.
        most: usize,
    },
    /// Another provider runs on the same folder.
    #[error("another provider is running on {}", .0.display())]
    Occupied(PathBuf),
}

impl Error {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::LauncherGone | Self::Launcher { .. } | Self::Storage { .. } => Kind::Retry,
            Self::NotPlaced(_) => Kind::Gone,
            Self::Isolation(_) | Self::File { .. } | Self::LongPath { .. } | Self::Occupied(_) => Kind::Fix,
        }
    }
}

fn refusal(report: &IsolationReport) -> String {
    let lacking: Vec<_> = report.lacking().iter().map(ToString::to_string).collect();
    format!("{report}needed and missing: {}", lacking.join(", "))
}
