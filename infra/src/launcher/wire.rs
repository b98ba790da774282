//! What is said between an agent and its launcher: one JSON value a line, over the launcher's standard input.
//!
//! Both ends are one build of one program, so the wire needs no versions. Every order carries a number and gets
//! exactly one answer with it; news without a number come by themselves.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tenant_runtime::ids::ServerId;

use crate::agent::{Ended, RunId, SandboxLimits};
use crate::isolation::{Identity, IsolationReport};

use super::spent::Spent;

/// What an agent asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub(crate) enum Order {
    /// The first of all: raise the walls. Answered by [`News::Ready`].
    SetUp(SetUp),
    /// Hold a server's sockets and wake it when one is called.
    Place { number: u64, spec: Box<Spec> },
    /// Put a server to sleep; after the deadline it is killed.
    Sleep { number: u64, server: ServerId, deadline_ms: u64 },
    /// Put a server to sleep and let go of its sockets.
    Displace { number: u64, server: ServerId, deadline_ms: u64 },
    /// Set a sleeping server's cache aside, under this name, and give it an empty one.
    Evict { number: u64, server: ServerId, aside: PathBuf },
    /// Say what every server is doing.
    List { number: u64 },
    /// Put every server to sleep, answer, and end.
    Drain { number: u64, deadline_ms: u64 },
}

/// What a launcher works with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetUp {
    /// Holds a folder of sockets for each server.
    pub(crate) run_dir: PathBuf,
    /// The runtime's program.
    pub(crate) program: PathBuf,
    /// The program that runs the code of apps, where it is installed.
    pub(crate) app_host: Option<PathBuf>,
    /// The name of this provider's control groups.
    pub(crate) groups: String,
}

/// How to run one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) server: ServerId,
    /// The runtime's environment, `NAME=value`.
    pub(crate) environment: Vec<String>,
    pub(crate) home: Home,
    /// The socket where its way to other people's servers begins, where there is one.
    pub(crate) outside: Option<PathBuf>,
    pub(crate) cache: PathBuf,
    pub(crate) user: Option<u32>,
    pub(crate) limits: SandboxLimits,
    pub(crate) file_bytes: u64,
}

/// Where a server's home is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Home {
    /// In this folder, which the runtime is shown.
    Folder(PathBuf),
    /// Behind the broker that listens at this socket, to which the runtime is connected.
    Broker(PathBuf),
}

/// What a launcher says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "snake_case")]
pub(crate) enum News {
    /// The walls are raised as far as they can be.
    Ready { report: IsolationReport, identity: Identity, own_files: bool },
    /// An order was carried out.
    Done { number: u64 },
    /// An order could not be carried out.
    Failed { number: u64, why: String },
    /// The server of an order is not placed here.
    Unknown { number: u64 },
    /// The server of an order is awake, and must not be for this.
    Busy { number: u64 },
    /// The answer to [`Order::List`].
    Listed { number: u64, servers: Vec<Listed> },
    /// A server is ready to answer.
    Woke { server: ServerId, ms: u64 },
    /// What the run took that has just ended; the news of how it ended follow.
    Ran { spent: Spent },
    /// A server ended in good order.
    Slept { server: ServerId },
    /// A server ended unasked.
    Crashed { server: ServerId, status: Ended },
    /// A server wrote a line to its log.
    Said { server: ServerId, line: String },
    /// Something an operator should know.
    Trouble { what: String },
}

/// One placed server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) server: ServerId,
    pub(crate) doing: Doing,
}

/// What a placed server is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "doing", rename_all = "snake_case")]
pub(crate) enum Doing {
    /// No process.
    Asleep,
    /// A process.
    Awake { pid: u32, since: i64, run: RunId, awake_ms: u64, charged_bytes: Option<u64> },
    /// It ended unasked and has not been well since.
    Crashing { status: Ended, since: i64, times: u32 },
}
