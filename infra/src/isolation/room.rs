//! One runtime behind the walls: what it gets, and how the launcher follows it.

use std::ffi::{CString, c_char};
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::ptr;

use rustix::pipe::{PipeFlags, pipe_with};

use crate::agent::SandboxLimits;

use super::child::{Ceilings, FAILED, Kit, NOTICE_FD, Step, Tree, become_runtime};
use super::groups::{Controller, Group};
use super::identity::Identity;
use super::rules::Rules;
use super::skeleton::{self, c_path};
use super::sys::{self, Side};
use super::walls::Walls;

/// The user id a runtime sees itself under in a user namespace. It is not 0, which programs take for power.
const INNER_USER: u32 = 1000;

/// Addresses a runtime uses without taking memory for them: its program, its libraries, the ends of its stacks.
const UNTOUCHED_BYTES: u64 = 256 << 20;

/// Which program lives in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tenant {
    /// A server's runtime.
    Runtime,
    /// What runs the code of a server's apps, or compiles it.
    AppHost,
}

/// Everything that is particular to one process.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    /// Names its control group.
    pub(crate) name: &'a str,
    /// Who lives there.
    pub(crate) tenant: Tenant,
    /// Its home: the folder of this server's objects, where they lie in one and it is shown them.
    pub(crate) home: Option<&'a Path>,
    /// Its cache, where it has one. An app host has no folder at all.
    pub(crate) cache: Option<&'a Path>,
    /// Its user, where each server has one.
    pub(crate) user: Option<u32>,
    /// Its share of the machine.
    pub(crate) limits: SandboxLimits,
    /// The largest file it may write, in bytes.
    pub(crate) file_bytes: u64,
    /// Its whole environment, `NAME=value`.
    pub(crate) environment: &'a [String],
    /// Its descriptors and their numbers, beside the usual three and the notice.
    pub(crate) descriptors: &'a [(BorrowedFd<'a>, RawFd)],
}

/// A runtime that was started.
#[derive(Debug)]
pub(crate) struct Confined {
    /// Its process id, in the launcher's eyes.
    pub(crate) pid: i32,
    /// Readable when it has ended.
    pub(crate) pidfd: OwnedFd,
    /// Its notice: read by [`notice`].
    pub(crate) notice: OwnedFd,
    /// What it writes to its standard error.
    pub(crate) log: OwnedFd,
    /// Its control group, to be removed when it has ended.
    pub(crate) group: Option<Group>,
}

/// What a runtime says once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// It is about to accept its first connection, and listens to SIGTERM.
    Ready,
    /// It never began: a step failed with this system error.
    Failed(Step, i32),
}

/// Understands what a runtime wrote into its notice pipe.
pub(crate) fn notice(bytes: &[u8]) -> Option<Notice> {
    match bytes {
        [FAILED, step, number @ ..] => {
            let number = number.first_chunk().map_or(0, |bytes| i32::from_le_bytes(*bytes));
            Step::from_number(*step).map(|step| Notice::Failed(step, number))
        }
        [_, ..] => Some(Notice::Ready),
        [] => None,
    }
}

impl Walls {
    /// Starts the runtime in a room of its own. The launcher must have a single thread.
    pub(crate) fn confine(&self, room: &Room<'_>) -> io::Result<Confined> {
        let group = self.groups.as_ref().map(|groups| groups.make(room.name, room.limits)).transpose()?;
        let started = self.start(room, group.as_ref());
        if let (Err(_), Some(group)) = (&started, &group) {
            group.remove();
        }
        let (pid, pidfd, notice, log) = started?;
        Ok(Confined { pid, pidfd, notice, log, group })
    }

    fn start(&self, room: &Room<'_>, group: Option<&Group>) -> io::Result<(i32, OwnedFd, OwnedFd, OwnedFd)> {
        let (notice, notice_end) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let (log, log_end) = pipe_with(PipeFlags::CLOEXEC)?;
        let (notice, log) = (sys::out_of_reach(notice.as_fd())?, sys::out_of_reach(log.as_fd())?);
        rustix::io::ioctl_fionbio(&log, true)?;
        let environment = room.environment.iter().map(|line| CString::new(line.as_str()));
        let environment = environment.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
        let program = match (&self.skeleton, room.tenant) {
            (Some(_), Tenant::Runtime) => skeleton::PROGRAM.to_owned(),
            (Some(_), Tenant::AppHost) => skeleton::APP_HOST.to_owned(),
            (None, Tenant::Runtime) => c_path(&self.program)?,
            (None, Tenant::AppHost) => c_path(self.app_host.as_deref().ok_or(io::ErrorKind::NotFound)?)?,
        };
        let tree = self.skeleton.as_ref().map(|_| tree(room)).transpose()?;
        let rules = self.rules(room)?;
        let mapped = match self.identity {
            Identity::NamespaceEach => Some(pipe_with(PipeFlags::CLOEXEC)?),
            _ => None,
        };
        let notice_end = sys::above(notice_end.as_fd())?;
        // What a room brings takes the place of what is usual.
        let mut descriptors = vec![
            (sys::above(self.null.as_fd())?, 0),
            (sys::above(self.null.as_fd())?, 1),
            (sys::above(log_end.as_fd())?, 2),
        ];
        if room.tenant == Tenant::Runtime {
            descriptors.push((sys::above(notice_end.as_fd())?, NOTICE_FD));
        }
        for (descriptor, number) in room.descriptors {
            descriptors.push((sys::above(*descriptor)?, *number));
        }
        let filter = match room.tenant {
            Tenant::Runtime => self.filter.as_deref(),
            Tenant::AppHost => self.app_hosts_filter.as_deref(),
        };
        let kit = Kit {
            doors: group.map(Group::doors).transpose()?.unwrap_or_default(),
            mapped,
            tree,
            descriptors,
            ceilings: self.ceilings(room),
            user: room.user.filter(|_| self.identity == Identity::UserEach),
            launcher: (self.alive.0.as_fd(), self.alive.1.as_fd()),
            rules,
            filter,
            arguments: [program.as_ptr(), ptr::null()],
            program,
            environment: pointers(&environment),
            notice: notice_end,
        };
        // One whose user namespace is to be mapped waits for this process, so this one cannot wait for it.
        let borrowed = if kit.mapped.is_none() { sys::BORROWED } else { 0 };
        let born = || {
            let group = kit.doors.born_into.as_ref().map(AsFd::as_fd);
            // SAFETY: the launcher has one thread, and `become_runtime` neither allocates nor returns; it parts first.
            match unsafe { sys::clone3(self.namespaces | borrowed, group) }? {
                Side::Child => become_runtime(&kit),
                Side::Parent { pid, pidfd } => Ok((pid, pidfd)),
            }
        };
        let (pid, pidfd) = match &self.skeleton {
            Some(skeleton) => skeleton.within(born)?,
            None => born()?,
        };
        let mapped = match &kit.mapped {
            Some((_, ready)) => map_user(pid).and_then(|()| Ok(rustix::io::write(ready, b"m").map(drop)?)),
            None => Ok(()),
        };
        mapped.and_then(|()| sys::out_of_reach(pidfd.as_fd())).map(|pidfd| (pid, pidfd, notice, log)).inspect_err(
            |_| {
                let _ = rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
                let ended = rustix::process::WaitId::PidFd(pidfd.as_fd());
                let _ = rustix::process::waitid(ended, rustix::process::WaitIdOptions::EXITED);
            },
        )
    }

    /// What a control group does not bound here, the limits of the process do.
    fn ceilings(&self, room: &Room<'_>) -> Ceilings {
        let counted = |controller| self.groups.as_ref().is_some_and(|groups| groups.limits(controller));
        let own_user = self.identity != Identity::Shared;
        Ceilings {
            file_bytes: room.file_bytes,
            threads: own_user.then_some(room.limits.pids.into()),
            // An app host reserves far more addresses than it ever uses, and bounds what it does use by itself.
            address_bytes: (room.tenant == Tenant::Runtime && !counted(Controller::Memory))
                .then(|| room.limits.memory_bytes + UNTOUCHED_BYTES),
            stands_back: !counted(Controller::Cpu),
        }
    }

    fn rules(&self, room: &Room<'_>) -> io::Result<Option<Rules>> {
        match (&self.skeleton, self.landlock) {
            (Some(skeleton), true) => Rules::new(skeleton, room.home.into_iter().chain(room.cache)),
            _ => Ok(None),
        }
    }
}

fn tree(room: &Room<'_>) -> io::Result<Tree> {
    let own = |folder: &Path, step: Step| {
        let shown =
            c_path(folder).and_then(|path| sys::detached(&path, sys::NO_SUID | sys::NO_DEVICES | sys::NO_PROGRAMS));
        shown.map_err(|e| io::Error::new(e.kind(), format!("{step}: {e}")))
    };
    let owner = room.user.unwrap_or(INNER_USER);
    let options = format!("size=16m,nr_inodes=1024,mode=0700,uid={owner},gid={owner}");
    Ok(Tree {
        home: room.home.map(|home| own(home, Step::Home)).transpose()?,
        cache: room.cache.map(|cache| own(cache, Step::Cache)).transpose()?,
        temporary_options: match room.tenant {
            Tenant::Runtime => Some(CString::new(options).map_err(io::Error::other)?),
            Tenant::AppHost => None,
        },
    })
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// Tells the kernel who the child's one user is outside: the user of this process.
pub(super) fn map_user(pid: i32) -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    write_map(pid, "setgroups", "deny")?;
    write_map(pid, "uid_map", &format!("{INNER_USER} {user} 1"))?;
    write_map(pid, "gid_map", &format!("{INNER_USER} {group} 1"))
}

fn write_map(pid: i32, file: &str, line: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/{file}"))?.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_understood_whatever_a_runtime_writes() {
        assert_eq!(notice(b"R"), Some(Notice::Ready));
        assert_eq!(notice(&[FAILED, Step::Home as u8, 13, 0, 0, 0]), Some(Notice::Failed(Step::Home, 13)));
        assert_eq!(notice(&[FAILED, 200, 1]), None);
        assert_eq!(notice(&[]), None);
    }
}
