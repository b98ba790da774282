//! What the launcher waits for: descriptors and points in time, each with the server it belongs to.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

/// A server's number within the launcher; never used twice.
pub(super) type Index = u64;

/// Something that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// The agent said something, or can hear again.
    Agent,
    /// This process is asked to end.
    Termination,
    /// Someone calls a sleeping server.
    Called(Index),
    /// A process has ended.
    Ended(Index),
    /// A process said that it is ready, or why it never began.
    Notice(Index),
    /// A process wrote to its log.
    Log(Index),
    /// A runtime wants an app host.
    Wish(Index),
}

const CALLED: u64 = 0;
const ENDED: u64 = 1;
const NOTICE: u64 = 2;
const LOG: u64 = 3;
const AGENT: u64 = 4;
const TERMINATION: u64 = 5;
const WISH: u64 = 6;

impl Sign {
    fn number(self) -> u64 {
        match self {
            Self::Agent => AGENT,
            Self::Termination => TERMINATION,
            Self::Called(index) => index << 3 | CALLED,
            Self::Ended(index) => index << 3 | ENDED,
            Self::Notice(index) => index << 3 | NOTICE,
            Self::Log(index) => index << 3 | LOG,
            Self::Wish(index) => index << 3 | WISH,
        }
    }

    fn of(number: u64) -> Self {
        let index = number >> 3;
        match number & 7 {
            CALLED => Self::Called(index),
            ENDED => Self::Ended(index),
            NOTICE => Self::Notice(index),
            LOG => Self::Log(index),
            WISH => Self::Wish(index),
            AGENT => Self::Agent,
            _ => Self::Termination,
        }
    }
}

/// All that is waited for.
pub(super) struct Watch {
    epoll: OwnedFd,
    alarms: BTreeSet<(Instant, Index)>,
    events: Vec<epoll::Event>,
}

impl Watch {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, alarms: BTreeSet::new(), events: Vec::with_capacity(256) })
    }

    /// Waits for this from now on.
    pub(super) fn add(&self, fd: BorrowedFd<'_>, sign: Sign) -> io::Result<()> {
        let data = epoll::EventData::new_u64(sign.number());
        Ok(epoll::add(&self.epoll, fd, data, epoll::EventFlags::IN)?)
    }

    /// Forgets a descriptor for good.
    pub(super) fn remove(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Also waits for room in a channel, or no longer.
    pub(super) fn also_writable(&self, fd: BorrowedFd<'_>, sign: Sign, wanted: bool) -> io::Result<()> {
        let flags = if wanted { epoll::EventFlags::IN | epoll::EventFlags::OUT } else { epoll::EventFlags::IN };
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(sign.number()), flags)?)
    }

    /// Waits for callers of a sleeping server.
    pub(super) fn listen(&self, sockets: [&OwnedFd; 2], index: Index) -> io::Result<()> {
        self.change(sockets, index, epoll::EventFlags::IN)
    }

    /// Stops waiting for callers: they are its own now, or it is left alone.
    pub(super) fn ignore(&self, sockets: [&OwnedFd; 2], index: Index) -> io::Result<()> {
        self.change(sockets, index, epoll::EventFlags::empty())
    }

    fn change(&self, sockets: [&OwnedFd; 2], index: Index, flags: epoll::EventFlags) -> io::Result<()> {
        let data = epoll::EventData::new_u64(Sign::Called(index).number());
        sockets.into_iter().try_for_each(|socket| Ok(epoll::modify(&self.epoll, socket.as_fd(), data, flags)?))
    }

    /// Calls a server up at this time. A time that no longer means anything does no harm.
    pub(super) fn at(&mut self, time: Instant, index: Index) {
        self.alarms.insert((time, index));
    }

    /// Waits, and gives the signs and the servers whose time has come.
    pub(super) fn wait(&mut self) -> io::Result<(Vec<Sign>, Vec<Index>)> {
        let now = Instant::now();
        let left = self.alarms.first().map(|(time, _)| time.saturating_duration_since(now));
        let left = left.map(timespec);
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), left.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        let signs = self.events.iter().map(|event| Sign::of(event.data.u64())).collect();
        let now = Instant::now();
        let mut due = Vec::new();
        while let Some((_, index)) = self.alarms.first().copied().filter(|(time, _)| *time <= now) {
            self.alarms.pop_first();
            due.push(index);
        }
        Ok((signs, due))
    }
}

/// A little longer than asked, so that a time has come when the wait is over.
fn timespec(left: Duration) -> Timespec {
    let left = left + Duration::from_millis(1);
    Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_survives_the_kernel() {
        let signs = [
            Sign::Agent,
            Sign::Termination,
            Sign::Called(9),
            Sign::Ended(1),
            Sign::Notice(1 << 40),
            Sign::Log(0),
            Sign::Wish(3),
        ];
        for sign in signs {
            assert_eq!(Sign::of(sign.number()), sign);
        }
    }
}
