//! The processes beside a runtime that run the code of its apps, or compile it.
//!
//! A runtime has no way to start a process. It sends one end of a connected pair over the socket it was given for that, with
//! a letter that says what for; the launcher starts the app host in a sandbox of its own, with that end for its standard input,
//! and reads nothing of what the two say to each other. The process ends when the runtime hangs up, and with the runtime in
//! any case.
//!
//! Invariants: a server has one app host and one compiler at most, each with a share of the machine of its own; another wish
//! ends the former. Wishes come no faster than [`Purse`] lets them.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use tenant_runtime::handlers::start::{COMPILER_MEMORY, HOST_MEMORY, Life};
use tenant_runtime::ids::ServerId;

use crate::agent::{RunId, SandboxLimits};
use crate::isolation::{Confined, Notice, Room, Tenant, Walls, notice, spent_cpu_us};

use super::log::Log;
use super::process::Process;
use super::running::{Line, Running};
use super::spent::Spent;
use super::watch::Index;

/// How many threads an app host may have: one for each call, and some to look after them.
const OWN_THREADS: u32 = 16;

/// How many wishes a runtime has in one go.
const BURST: f64 = 20.0;

/// How many more each second.
const RATE: f64 = 0.5;

/// A process that runs or compiles the code of a server's apps.
#[derive(Debug)]
pub(super) struct AppHost {
    /// Whose apps.
    pub(super) server: ServerId,
    /// The server's number.
    pub(super) owner: Index,
    /// What it is for.
    pub(super) life: Life,
    pub(super) confined: Confined,
    pub(super) log: Log,
    run: RunId,
    line: Option<Line>,
}

impl AppHost {
    /// Starts one, with this socket for its standard input.
    pub(super) fn start(
        walls: &Walls,
        running: &mut Running,
        (server, owner, index): (ServerId, Index, Index),
        (user, beside): (Option<u32>, SandboxLimits),
        life: Life,
        socket: &OwnedFd,
    ) -> io::Result<Self> {
        let memory_bytes = match life {
            Life::Host => HOST_MEMORY,
            Life::Compiler => COMPILER_MEMORY,
        };
        // Where they are counted by their user, the runtime's are among them.
        let pids = beside.pids + OWN_THREADS;
        let confined = walls.confine(&Room {
            name: &format!("{server}-{index}"),
            tenant: Tenant::AppHost,
            home: None,
            cache: None,
            user,
            limits: SandboxLimits { memory_bytes, pids, cpu_percent: 100 },
            file_bytes: 0,
            environment: &[],
            descriptors: &[(socket.as_fd(), 0)],
        })?;
        let process = Process::living(confined.pid);
        let run = match &process {
            Ok(process) => process.run(),
            Err(_) => RunId(format!("unseen-{}-{server}-{index}", confined.pid)),
        };
        // Only a sweep after a kill -9 reads it, and that one finds most processes by their groups too.
        let line = process.and_then(|process| running.note(process)).ok();
        Ok(Self { server, owner, life, confined, log: Log::default(), run, line })
    }

    /// Ends it.
    pub(super) fn kill(&self) {
        let _ = pidfd_send_signal(&self.confined.pidfd, Signal::KILL);
    }

    /// What kept it from beginning, if something did.
    pub(super) fn why_not(&self) -> Option<String> {
        let mut bytes = [0; 16];
        let count = rustix::io::read(&self.confined.notice, &mut bytes).ok()?;
        match notice(&bytes[..count])? {
            Notice::Failed(step, number) => Some(format!("{step}: {}", io::Error::from_raw_os_error(number))),
            Notice::Ready => None,
        }
    }

    /// Takes leave of a process that has ended, or is about to; says what it took.
    pub(super) fn bury(mut self, running: &mut Running) -> Spent {
        let cpu_us = spent_cpu_us(self.confined.pidfd.as_fd()).unwrap_or_default();
        let _ = waitid(WaitId::PidFd(self.confined.pidfd.as_fd()), WaitIdOptions::EXITED);
        if let Some(group) = &self.confined.group {
            group.remove();
        }
        if let Some(line) = self.line.take() {
            running.is_over(line);
        }
        // The time is the runtime's own, which is awake for as long.
        Spent { server: self.server, run: self.run, cpu_us, awake_ms: 0 }
    }
}

/// A wish: what for, and the socket.
pub(super) fn hear(socket: &OwnedFd) -> io::Result<Option<(Life, OwnedFd)>> {
    let mut letter = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let heard = recvmsg(socket, &mut [IoSliceMut::new(&mut letter)], &mut ancillary, flags)?;
    let mut sockets = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            sockets.extend(descriptors);
        }
    }
    if heard.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Life::of(letter[0]).zip(sockets.pop()))
}

/// How many wishes are left.
#[derive(Debug)]
pub(super) struct Purse {
    left: f64,
    at: Instant,
}

impl Purse {
    pub(super) fn full(now: Instant) -> Self {
        Self { left: BURST, at: now }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let passed: Duration = now.saturating_duration_since(self.at);
        self.at = now;
        self.left = (self.left + passed.as_secs_f64() * RATE).min(BURST);
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{IoSlice, Write as _};
    use std::os::unix::net::UnixStream;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    #[test]
    fn a_wish_is_heard_with_its_socket_and_nothing_else_is_one() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let ours = OwnedFd::from(ours);
        let (mut one, other) = UnixStream::pair().unwrap();
        let descriptors = [other.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
        sendmsg(&theirs, &[IoSlice::new(b"h")], &mut ancillary, SendFlags::empty()).unwrap();
        (&theirs).write_all(b"h?").unwrap();
        let (life, socket) = hear(&ours).unwrap().unwrap();
        assert_eq!(life, Life::Host);
        one.write_all(b"x").unwrap();
        let mut byte = [0];
        rustix::io::read(&socket, &mut byte).unwrap();
        assert_eq!(&byte, b"x");
        assert!(hear(&ours).unwrap().is_none(), "a letter without a socket");
        assert!(hear(&ours).unwrap().is_none(), "no letter that is known");
        drop(theirs);
        assert!(hear(&ours).is_err());
    }

    #[test]
    fn wishes_run_out_and_come_back() {
        let start = Instant::now();
        let mut purse = Purse::full(start);
        assert_eq!((0..40).filter(|_| purse.take(start)).count(), 20);
        assert_eq!((0..40).filter(|_| purse.take(start + Duration::from_secs(4))).count(), 2);
    }
}
