//! One placed server as the launcher sees it: its sockets, and perhaps its process.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use tenant_runtime::launch::{ADMIN_FD, APP_HOST_FD, OUTSIDE_FD, PUBLIC_FD, STORAGE_FD};

use crate::agent::{Ended, RunId};
use crate::isolation::{Confined, Notice, Room, Tenant, Walls, out_of_reach, spent_cpu_us};
use crate::storage;

use super::app_host::Purse;
use super::connection;
use super::log::Log;
use super::patience::Crashes;
use super::process::Process;
use super::running::{Line, Running};
use super::sockets::Sockets;
use super::spent::Spent;
use super::wire::{Doing, Home, Spec};

/// One placed server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) spec: Spec,
    pub(super) sockets: Sockets,
    pub(super) life: Life,
    pub(super) crashes: Option<Crashes>,
    /// Orders that are answered when it is asleep.
    pub(super) waiting: Vec<Waiting>,
}

/// What a server is doing.
#[derive(Debug)]
pub(super) enum Life {
    /// Its sockets are watched.
    Asleep,
    /// It crashed, and its sockets are not watched until then.
    Resting(Instant),
    /// It runs.
    Awake(Box<Awake>),
}

/// A running server.
#[derive(Debug)]
pub(super) struct Awake {
    pub(super) confined: Confined,
    pub(super) log: Log,
    /// Where it says that it wants an app host, where it can have one.
    pub(super) wishes: Option<OwnedFd>,
    pub(super) purse: Purse,
    run: RunId,
    line: Option<Line>,
    called: Instant,
    since: i64,
    ready: bool,
    failed: Option<String>,
    /// When it will be killed, if it was asked to end.
    pub(super) stopping: Option<Instant>,
}

/// An order that waits for a server to be asleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// It only asked for that.
    Sleep(u64),
    /// The server is to be let go of then.
    Displace(u64),
}

/// How a run ended, and what that means.
#[derive(Debug)]
pub(super) enum End {
    /// In good order, or as it was asked to.
    Slept,
    /// Unasked.
    Crashed(Ended),
}

impl Server {
    pub(super) fn new(spec: Spec, sockets: Sockets) -> Self {
        Self { spec, sockets, life: Life::Asleep, crashes: None, waiting: Vec::new() }
    }

    /// Starts the runtime.
    pub(super) fn wake(
        &mut self,
        walls: &Walls,
        running: &mut Running,
        called: Instant,
        now_ms: i64,
    ) -> io::Result<&Awake> {
        let name = self.spec.server.to_string();
        let (home, storage) = match &self.spec.home {
            Home::Folder(folder) => (Some(folder.as_path()), None),
            Home::Broker(socket) => (None, Some(connection::connect(socket, self.spec.server)?)),
        };
        // A server that cannot ask others is better than one that does not wake.
        let outside =
            self.spec.outside.as_deref().and_then(|socket| connection::connect(socket, self.spec.server).ok());
        let wishing = walls.has_app_hosts().then(wishing).transpose()?;
        let mut descriptors = vec![(self.sockets.public.as_fd(), PUBLIC_FD), (self.sockets.admin.as_fd(), ADMIN_FD)];
        descriptors.extend(storage.as_ref().map(|storage| (storage.as_fd(), STORAGE_FD)));
        descriptors.extend(outside.as_ref().map(|outside| (outside.as_fd(), OUTSIDE_FD)));
        descriptors.extend(wishing.as_ref().map(|(_, theirs)| (theirs.as_fd(), APP_HOST_FD)));
        let confined = walls.confine(&Room {
            name: &name,
            tenant: Tenant::Runtime,
            home,
            cache: Some(&self.spec.cache),
            user: self.spec.user,
            limits: self.spec.limits,
            file_bytes: self.spec.file_bytes,
            environment: &self.spec.environment,
            descriptors: &descriptors,
        })?;
        let wishes = wishing.map(|(ours, _)| ours);
        let process = Process::living(confined.pid);
        let run = match &process {
            Ok(process) => process.run(),
            Err(_) => RunId(format!("unseen-{}-{now_ms}", confined.pid)),
        };
        // Only a sweep after a kill -9 reads it, and that one finds most processes by their groups too.
        let line = process.and_then(|process| running.note(process)).ok();
        let log = Log::default();
        let awake = Awake {
            confined,
            log,
            wishes,
            purse: Purse::full(called),
            run,
            line,
            called,
            since: now_ms,
            ready: false,
            failed: None,
            stopping: None,
        };
        self.life = Life::Awake(Box::new(awake));
        match &self.life {
            Life::Awake(awake) => Ok(awake),
            _ => unreachable!("it was set just above"),
        }
    }

    /// Gives the cache another name and makes an empty one, unless the server is awake and uses it. Whoever calls the
    /// server meanwhile waits for this thread, so it wakes with the one or with the other.
    pub(super) fn set_cache_aside(&self, aside: &Path) -> io::Result<bool> {
        if matches!(self.life, Life::Awake(_)) {
            return Ok(false);
        }
        let cache = &self.spec.cache;
        fs::rename(cache, aside)?;
        let Err(error) = storage::own(cache, self.spec.user) else { return Ok(true) };
        let _ = fs::remove_dir(cache);
        fs::rename(aside, cache)?;
        if error.kind() != io::ErrorKind::StorageFull {
            return Err(error);
        }
        // A disk without room for one more folder is just when a cache must go; so it is emptied where it is.
        storage::empty(cache)?;
        Ok(true)
    }

    pub(super) fn awake(&mut self) -> Option<&mut Awake> {
        match &mut self.life {
            Life::Awake(awake) => Some(awake),
            _ => None,
        }
    }

    /// What it is doing, in the words of the wire.
    pub(super) fn doing(&self) -> Doing {
        match (&self.life, &self.crashes) {
            (Life::Awake(awake), _) => Doing::Awake {
                pid: awake.confined.pid.unsigned_abs(),
                since: awake.since,
                run: awake.run.clone(),
                awake_ms: awake.for_ms(),
                charged_bytes: awake.confined.group.as_ref().and_then(|group| group.charged_bytes()),
            },
            (_, Some(crashes)) => {
                Doing::Crashing { status: crashes.status.clone(), since: crashes.since, times: crashes.times }
            }
            _ => Doing::Asleep,
        }
    }

    /// Takes leave of a process that has ended, or is about to.
    pub(super) fn bury(&mut self, running: &mut Running, now_ms: i64) -> Option<(End, Spent)> {
        let Life::Awake(mut awake) = std::mem::replace(&mut self.life, Life::Asleep) else { return None };
        let cpu_us = spent_cpu_us(awake.confined.pidfd.as_fd()).unwrap_or_default();
        let spent = Spent { server: self.spec.server, run: awake.run.clone(), cpu_us, awake_ms: awake.for_ms() };
        let end = awake.end();
        let ran = awake.called.elapsed();
        if let Some(group) = &awake.confined.group {
            group.remove();
        }
        if let Some(line) = awake.line.take() {
            running.is_over(line);
        }
        self.crashes = match &end {
            End::Slept => None,
            End::Crashed(status) => Some(Crashes::after(self.crashes.take(), status.clone(), ran, now_ms)),
        };
        Some((end, spent))
    }

    /// A start that failed counts as a crash.
    pub(super) fn stumble(&mut self, why: String, now_ms: i64) -> Ended {
        let status = Ended::NotStarted(why);
        self.crashes = Some(Crashes::after(self.crashes.take(), status.clone(), Duration::ZERO, now_ms));
        status
    }
}

/// A pair over which a runtime wishes for app hosts: the launcher's end, which no new process takes along, and the other.
fn wishing() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((out_of_reach(ours.as_fd())?, theirs.into()))
}

impl Awake {
    /// How long ago it was called, in milliseconds.
    fn for_ms(&self) -> u64 {
        u64::try_from(self.called.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Asks it to end, until the deadline. The first process of a namespace does not hear signals before it has said
    /// how it takes them, so one that is not ready yet is asked again when it is.
    pub(super) fn ask_to_end(&mut self, deadline: Instant) {
        self.stopping = Some(self.stopping.map_or(deadline, |former| former.min(deadline)));
        let _ = pidfd_send_signal(&self.confined.pidfd, Signal::TERM);
    }

    /// Ends it.
    pub(super) fn kill(&self) {
        let _ = pidfd_send_signal(&self.confined.pidfd, Signal::KILL);
    }

    /// Takes note of a notice; gives the milliseconds it took to be ready when that is what it said.
    pub(super) fn noticed(&mut self, notice: Notice) -> Option<u64> {
        match notice {
            Notice::Failed(step, number) => {
                self.failed = Some(format!("{step}: {}", io::Error::from_raw_os_error(number)));
                None
            }
            Notice::Ready => {
                if self.stopping.is_some() {
                    let _ = pidfd_send_signal(&self.confined.pidfd, Signal::TERM);
                }
                let first = !std::mem::replace(&mut self.ready, true);
                first.then(|| self.for_ms())
            }
        }
    }

    /// Reads what it said so far.
    pub(super) fn hear(&mut self) -> Option<Notice> {
        let mut bytes = [0; 16];
        let count = rustix::io::read(&self.confined.notice, &mut bytes).ok()?;
        crate::isolation::notice(&bytes[..count])
    }

    fn end(&mut self) -> End {
        // The last notice may be unread: the process ended right after it.
        if let Some(notice) = self.hear() {
            self.noticed(notice);
        }
        let status = waitid(WaitId::PidFd(self.confined.pidfd.as_fd()), WaitIdOptions::EXITED).ok().flatten();
        let asked = self.stopping.is_some();
        if let Some(why) = self.failed.take() {
            return if asked { End::Slept } else { End::Crashed(Ended::NotStarted(why)) };
        }
        let code = status.as_ref().and_then(|status| status.exit_status());
        match (code, asked) {
            (Some(0), _) | (None, true) => End::Slept,
            (Some(code), _) => End::Crashed(Ended::Exited(code)),
            (None, false) if self.ran_out() => End::Crashed(Ended::OutOfMemory),
            (None, false) => {
                let signal = status.and_then(|status| status.terminating_signal());
                End::Crashed(Ended::Signalled(signal.unwrap_or_default()))
            }
        }
    }

    fn ran_out(&self) -> bool {
        self.confined.group.as_ref().is_some_and(|group| group.ran_out_of_memory())
    }
}
