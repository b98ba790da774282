//! An agent in a folder of its own, or in a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use infra::agent::{Agent, AgentOptions, Error, Insist, SandboxLimits, SeenServer, State};
use infra::hosts::HostId;
use infra::{binaries, launcher};
use tempfile::TempDir;
use tenant_runtime::ids::ServerId;

use crate::probe::launch;

/// Longer than anything here takes; only a failure waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const LIMITS: SandboxLimits = SandboxLimits { memory_bytes: 64 << 20, pids: 64, cpu_percent: 100 };

/// An agent in this process.
pub(crate) struct House {
    pub(crate) agent: Agent,
    pub(crate) folder: TempDir,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::with_cache(None).await
    }

    /// With room for so many bytes of sleeping servers' caches.
    pub(crate) async fn with_cache(bytes: Option<u64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let agent = agent_with_cache(folder.path(), bytes).await.unwrap();
        Self { agent, folder }
    }

    /// A server's cache, as the host sees it.
    pub(crate) fn cache(&self, server: ServerId) -> PathBuf {
        self.folder.path().join("cache").join(server.to_string())
    }

    /// Places a probe that behaves as told.
    pub(crate) async fn place(&self, mood: &str) -> ServerId {
        let server = ServerId::new(1);
        self.place_as(server, mood).await;
        server
    }

    pub(crate) async fn place_as(&self, server: ServerId, mood: &str) {
        self.agent.place(launch(server, mood), LIMITS).await.unwrap();
    }

    /// Asks a server's probe.
    pub(crate) async fn ask(&self, server: ServerId, line: &str) -> std::io::Result<String> {
        let (socket, line) = (self.agent.public_socket(server), line.to_owned());
        tokio::task::spawn_blocking(move || ask(&socket, &line)).await.unwrap()
    }

    pub(crate) async fn seen(&self, server: ServerId) -> State {
        let seen = self.agent.seen().await;
        seen.into_iter().find(|seen| seen.server == server).map(|SeenServer { state, .. }| state).unwrap()
    }

    pub(crate) async fn pid(&self, server: ServerId) -> u32 {
        match self.seen(server).await {
            State::Awake { pid, .. } => pid,
            other => panic!("{server} is not awake: {other:?}"),
        }
    }
}

/// Starts an agent on a folder.
pub(crate) async fn agent_in(folder: &Path) -> Result<Agent, Error> {
    agent_with_cache(folder, None).await
}

async fn agent_with_cache(folder: &Path, bytes: Option<u64>) -> Result<Agent, Error> {
    agent_with(folder, |options| options.cache_bytes = bytes).await
}

/// Starts an agent on a folder, with other options than usual.
pub(crate) async fn agent_with(folder: &Path, change: impl FnOnce(&mut AgentOptions)) -> Result<Agent, Error> {
    let mut options = AgentOptions::below(folder, HostId::new(1), binaries::find("sandbox-probe").unwrap());
    // A test machine may lack a wall; the tests of the walls look at the report.
    options.insist = Insist::OnNothing;
    change(&mut options);
    Agent::start(launcher::start().unwrap(), options).await
}

/// One line to a probe, and its whole answer.
pub(crate) fn ask(socket: &Path, line: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.is_empty() { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

/// A provider in a process of its own.
pub(crate) struct Provider {
    pub(crate) child: Child,
    pub(crate) launcher: i32,
    pub(crate) sockets: Vec<PathBuf>,
    pub(crate) report: String,
    stdin: Option<ChildStdin>,
}

/// What became of an attempt to start a provider.
pub(crate) enum Started {
    Running(Provider),
    Refused(String),
}

/// Where the programs are: copied, so that another user can run them.
///
/// Another process does it: a copy made here would be open for writing while a neighbouring test forks, and its child
/// would hold it so for a moment, in which the kernel refuses to run it ("text file busy").
pub(crate) fn programs(to: &Path) {
    let programs = ["sandbox-probe", "freehold-launcher"].map(|name| binaries::find(name).unwrap());
    assert!(Command::new("cp").args(programs).arg(to).status().unwrap().success());
}

impl Provider {
    pub(crate) fn start(mut command: Command, folder: &Path, programs: &Path, more: &[&str]) -> Started {
        command.arg("house").arg(folder).args(more);
        command.env(binaries::VARIABLE, programs).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let mut provider = Self { launcher: 0, sockets: vec![], report: String::new(), stdin, child };
        let mut said = String::new();
        for line in BufReader::new(provider.child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            said.push_str(&line);
            said.push('\n');
            match line.split_once(' ') {
                None if line == "ready" => return Started::Running(provider),
                Some(("launcher", pid)) => provider.launcher = pid.parse().unwrap(),
                Some(("server", rest)) => provider.sockets.push(rest.split_once(' ').unwrap().1.into()),
                _ => provider.report.push_str(&format!("{line}\n")),
            }
        }
        provider.child.wait().unwrap();
        Started::Refused(said)
    }

    /// Tells it to end in good order.
    pub(crate) fn end(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }

    /// What it started and what that started.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let children = format!("/proc/{0}/task/{0}/children", self.launcher);
        let runtimes = std::fs::read_to_string(children).unwrap_or_default();
        [self.launcher].into_iter().chain(runtimes.split_whitespace().map(|pid| pid.parse().unwrap())).collect()
    }
}

impl Started {
    pub(crate) fn running(self) -> Provider {
        match self {
            Self::Running(provider) => provider,
            Self::Refused(why) => panic!("{why}"),
        }
    }
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} never came true");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process is there and not just waiting to be collected.
pub(crate) fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
