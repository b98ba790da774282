//! The few system calls without a safe interface, one thin function each.
//!
//! None of them allocates, so that the child of `clone3` may use them.

use std::ffi::{CStr, c_int, c_long};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Mount attributes, as `mount_setattr` takes them.
pub(super) const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
pub(super) const NO_SUID: u64 = libc::MOUNT_ATTR_NOSUID;
pub(super) const NO_DEVICES: u64 = libc::MOUNT_ATTR_NODEV;
pub(super) const NO_PROGRAMS: u64 = libc::MOUNT_ATTR_NOEXEC;

/// `CLONE_INTO_CGROUP`, which the `libc` crate cuts down to 32 bits and so to nothing.
const INTO_GROUP: u64 = 0x2_0000_0000;

/// Any namespace, as a flag of `clone3` or `unshare`.
pub(super) const NEW_FILES: u64 = libc::CLONE_NEWNS as u64;
pub(super) const NEW_PROCESSES: u64 = libc::CLONE_NEWPID as u64;
pub(super) const NEW_USER: u64 = libc::CLONE_NEWUSER as u64;
pub(super) const NEW_NETWORK: u64 = libc::CLONE_NEWNET as u64;
pub(super) const NEW_IPC: u64 = libc::CLONE_NEWIPC as u64;
pub(super) const NEW_NAMES: u64 = libc::CLONE_NEWUTS as u64;
pub(super) const NEW_GROUPS: u64 = libc::CLONE_NEWCGROUP as u64;

/// `CLONE_FILES` and `CLONE_VFORK`: the child starts with this process's own table of descriptors, and this process
/// waits until the child is another program.
pub(super) const BORROWED: u64 = (libc::CLONE_FILES | libc::CLONE_VFORK) as u64;

/// The first descriptor that a new process does not take along. What lasts longer than a start is moved beyond it by
/// [`out_of_reach`], so that a start costs the same among thousands of servers as among none.
const REACH: RawFd = 64;

pub(super) fn checked(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Which side of a `clone3` this is.
pub(super) enum Side {
    Parent { pid: i32, pidfd: OwnedFd },
    Child,
}

/// Copies this process into new namespaces, and into a control group of version 2.
///
/// # Safety
/// The process must have a single thread. The child must not return from the function that called this, must not
/// allocate unless it knows the allocator to be unlocked, and must end by `execve` or `_exit`. One that was born with
/// [`BORROWED`] must [`part`] before it opens or closes anything.
pub(super) unsafe fn clone3(flags: u64, group: Option<BorrowedFd<'_>>) -> io::Result<Side> {
    let mut pidfd: c_int = -1;
    // SAFETY: all-zero is a valid `clone_args`; zeroes mean "no stack, no tls, no cgroup".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags | libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(group) = group {
        args.flags |= INTO_GROUP;
        args.cgroup = group.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM and without a stack this is fork; `args` and `pidfd` outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    match checked(result)? {
        0 => Ok(Side::Child),
        // SAFETY: the kernel has just made this descriptor for us alone.
        pid => Ok(Side::Parent { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }),
    }
}

/// Moves this process into new namespaces.
pub(super) fn unshare(flags: u64) -> io::Result<()> {
    // SAFETY: takes no pointer; the caller's process has one thread, as new user namespaces ask for.
    checked(unsafe { libc::syscall(libc::SYS_unshare, flags) }).map(drop)
}

/// The mount namespace of this process.
pub(super) fn own_files() -> io::Result<OwnedFd> {
    Ok(std::fs::File::open("/proc/self/ns/mnt")?.into())
}

/// Moves this process into that mount namespace, to its root.
pub(super) fn enter_files(namespace: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes no pointer; the caller's process has one thread, as the kernel asks for.
    checked(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS) }.into()).map(drop)
}

/// Makes every mount of this namespace private, so that nothing done here is seen outside.
pub(super) fn make_mounts_private() -> io::Result<()> {
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: the path is a valid C string, the other pointers may be null for a change of propagation.
    let result = unsafe { libc::mount(ptr::null(), c"/".as_ptr(), ptr::null(), flags, ptr::null()) };
    checked(result.into()).map(drop)
}

/// Mounts a tmpfs without programs, devices and set-user-id files.
pub(super) fn mount_tmpfs(at: &CStr, flags: libc::c_ulong, options: &CStr) -> io::Result<()> {
    let flags = flags | libc::MS_NOSUID | libc::MS_NODEV;
    let name = c"tmpfs".as_ptr();
    // SAFETY: all strings are valid C strings for the time of the call.
    let result = unsafe { libc::mount(name, at.as_ptr(), name, flags, options.as_ptr().cast()) };
    checked(result.into()).map(drop)
}

/// Shows `from` (and what is mounted below it) at `to` as well, with more attributes.
pub(super) fn bind(from: &CStr, to: &CStr, attributes: u64) -> io::Result<()> {
    attach(detached(from, attributes)?.as_fd(), to)
}

/// `from` and what is mounted below it once more, with more attributes and nowhere yet.
pub(super) fn detached(from: &CStr, attributes: u64) -> io::Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_RECURSIVE as u32;
    // SAFETY: `from` is a valid C string, and the kernel makes the descriptor for us alone.
    let tree = unsafe {
        let fd = libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, from.as_ptr(), flags);
        OwnedFd::from_raw_fd(checked(fd)? as RawFd)
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    let change = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let (fd, size) = (tree.as_raw_fd(), size_of::<libc::mount_attr>());
    // SAFETY: the empty path and `change` are valid for the time of the call.
    let result = unsafe { libc::syscall(libc::SYS_mount_setattr, fd, c"".as_ptr(), flags, &raw const change, size) };
    checked(result)?;
    Ok(tree)
}

/// Gives what [`detached`] made its place.
pub(super) fn attach(tree: BorrowedFd<'_>, to: &CStr) -> io::Result<()> {
    let (tree, flags) = (tree.as_raw_fd(), libc::MOVE_MOUNT_F_EMPTY_PATH);
    // SAFETY: both paths are valid C strings.
    let result = unsafe { libc::syscall(libc::SYS_move_mount, tree, c"".as_ptr(), libc::AT_FDCWD, to.as_ptr(), flags) };
    checked(result).map(drop)
}

/// Adds attributes to the mount at `path`, not to those below it.
pub(super) fn restrict_mount(path: &CStr, attributes: u64) -> io::Result<()> {
    let change = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let size = size_of::<libc::mount_attr>();
    // SAFETY: the path and `change` are valid for the time of the call.
    let result =
        unsafe { libc::syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, path.as_ptr(), 0, &raw const change, size) };
    checked(result).map(drop)
}

/// Makes `path` the root of this mount namespace and lets go of the former one.
pub(super) fn move_root(path: &CStr) -> io::Result<()> {
    // SAFETY: every path is a valid C string.
    unsafe {
        checked(libc::chdir(path.as_ptr()).into())?;
        checked(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()))?;
        checked(libc::umount2(c".".as_ptr(), libc::MNT_DETACH).into())?;
        checked(libc::chdir(c"/".as_ptr()).into())?;
    }
    Ok(())
}

/// `prctl` with one plain argument.
pub(super) fn prctl(option: c_int, argument: libc::c_ulong) -> io::Result<()> {
    let none: libc::c_ulong = 0;
    // SAFETY: only options that take no pointer are passed here.
    checked(unsafe { libc::prctl(option, argument, none, none, none) }.into()).map(drop)
}

/// Takes a limit down, for good; one that is lower already stays.
pub(super) fn limit(resource: libc::__rlimit_resource_t, most: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for the time of both calls.
    unsafe {
        checked(libc::getrlimit(resource, &raw mut limit).into())?;
        let most = most.min(limit.rlim_max);
        limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        checked(libc::setrlimit(resource, &raw const limit).into()).map(drop)
    }
}

/// Lets other processes go first.
pub(super) fn stand_back(nice: c_int) -> io::Result<()> {
    // SAFETY: takes no pointer; 0 is this process.
    checked(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }.into()).map(drop)
}

/// A copy of a descriptor that a new process takes along, out of the way of the numbers a runtime is given.
pub(super) fn above(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    const ABOVE: i32 = 16;
    let copy = rustix::io::fcntl_dupfd_cloexec(fd, ABOVE)?;
    if copy.as_raw_fd() < REACH { Ok(copy) } else { Err(io::Error::from_raw_os_error(libc::EMFILE)) }
}

/// A copy of a descriptor that no new process takes along.
pub(crate) fn out_of_reach(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, REACH)?)
}

/// Parts from the table of descriptors this process began with, and takes along what is within reach.
pub(super) fn part() -> io::Result<()> {
    // SAFETY: takes no pointer.
    let result = unsafe { libc::syscall(libc::SYS_close_range, REACH, u32::MAX, libc::CLOSE_RANGE_UNSHARE) };
    checked(result).map(drop)
}

/// Gives up every capability of this process.
pub(super) fn drop_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let none = [0u32; 6];
    // SAFETY: version 3 reads two sets of three words, which `none` holds.
    checked(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) }).map(drop)
}

/// Becomes another user and group, without further groups.
pub(super) fn become_user(id: u32) -> io::Result<()> {
    // SAFETY: no pointer but null with a count of zero. The plain system calls are enough in a single thread.
    unsafe {
        checked(libc::syscall(libc::SYS_setgroups, 0, ptr::null::<libc::gid_t>()))?;
        checked(libc::syscall(libc::SYS_setresgid, id, id, id))?;
        checked(libc::syscall(libc::SYS_setresuid, id, id, id))?;
    }
    Ok(())
}

/// Has the kernel judge every further system call by this filter.
pub(super) fn apply_filter(filter: &[seccompiler::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(filter.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    // The kernel only reads the program; the C type merely lacks the `const`.
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast::<libc::sock_filter>().cast_mut() };
    // SAFETY: `program` points to `len` instructions that live as long as `filter`; the layouts agree.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    checked(result).map(drop)
}

/// A descriptor that becomes readable when this process is asked to end; the signals no longer end it by themselves.
pub(crate) fn termination() -> io::Result<OwnedFd> {
    // SAFETY: `set` is filled by sigemptyset before it is read, and the descriptor is ours alone.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&raw mut set, signal);
        }
        checked(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()).into())?;
        let fd = checked(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK).into())?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// Gives every signal its usual effect again and blocks none: a program starts with what its parent left.
pub(super) fn usual_signals() -> io::Result<()> {
    // SAFETY: plain calls on local values; SIGKILL and SIGSTOP answer EINVAL, which changes nothing.
    unsafe {
        for signal in 1..=31 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        checked(libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()).into()).map(drop)
    }
}

/// Whether the other end of this pipe is closed.
pub(super) fn is_hung_up(pipe: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: pipe.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one valid pollfd, no waiting.
    unsafe { libc::poll(&raw mut poll, 1, 0) > 0 && poll.revents & (libc::POLLHUP | libc::POLLERR) != 0 }
}

/// Waits for the end of a child and gives the processor's time it took, in microseconds, with that of the children it
/// waited for itself. The child is still there to be collected afterwards.
pub(crate) fn spent_cpu_us(child: BorrowedFd<'_>) -> io::Result<u64> {
    let flags = libc::WEXITED | libc::WNOWAIT;
    // SAFETY: both structs are plain numbers, valid when zero, and the kernel writes no further than their ends. The
    // system call itself is needed because the C library's `waitid` does not pass on the fifth argument.
    let spent = unsafe {
        let (mut info, mut spent): (libc::siginfo_t, libc::rusage) = (std::mem::zeroed(), std::mem::zeroed());
        let (info, usage) = (&raw mut info, &raw mut spent);
        checked(libc::syscall(libc::SYS_waitid, libc::P_PIDFD, child.as_raw_fd(), info, flags, usage))?;
        spent
    };
    let us = |time: libc::timeval| time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_usec.unsigned_abs();
    Ok(us(spent.ru_utime) + us(spent.ru_stime))
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

    use super::*;

    /// The root of control groups of version 2, and a group below it, where this machine and this user have one.
    fn group() -> Option<std::path::PathBuf> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
        let root = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let at = fields.next()?;
            (fields.next()? == "cgroup2").then(|| std::path::PathBuf::from(at))
        })?;
        let group = root.join(format!("freehold-test-{}", std::process::id()));
        std::fs::create_dir(&group).ok()?;
        Some(group)
    }

    #[test]
    fn a_process_takes_along_what_is_within_reach_and_leaves_what_it_closes_open_here() {
        let null = std::fs::File::open("/dev/null").expect("a device");
        let (near, far) = (above(null.as_fd()).expect("a number"), out_of_reach(null.as_fd()).expect("a number"));
        assert!(near.as_raw_fd() < REACH && far.as_raw_fd() >= REACH);
        // SAFETY: the child asks about numbers, closes one and ends; this process waits meanwhile.
        let pidfd = match unsafe { clone3(BORROWED, None) }.expect("a child") {
            // SAFETY: as above.
            Side::Child => unsafe {
                let parted = part().is_ok();
                let there = |fd: &OwnedFd| libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) >= 0;
                let right = parted && there(&near) && !there(&far);
                libc::close(near.as_raw_fd());
                libc::_exit(if right { 0 } else { 1 })
            },
            Side::Parent { pidfd, .. } => pidfd,
        };
        let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).expect("it ends").expect("a status");
        assert_eq!(status.exit_status(), Some(0));
        for fd in [&near, &far] {
            rustix::io::fcntl_getfd(fd).expect("it is open here");
        }
    }

    #[test]
    fn a_process_can_be_born_into_a_group_of_version_two() {
        let Some(group) = group() else { return };
        let folder = std::fs::File::open(&group).expect("a folder");
        // SAFETY: the child waits to be killed and does nothing else.
        let (pid, pidfd) = match unsafe { clone3(0, Some(folder.as_fd())) }.expect("a child") {
            Side::Child => loop {
                // SAFETY: waits for a signal.
                unsafe { libc::pause() };
            },
            Side::Parent { pid, pidfd } => (pid, pidfd),
        };
        let inside = std::fs::read_to_string(group.join("cgroup.procs")).expect("a list");
        pidfd_send_signal(&pidfd, Signal::KILL).expect("it lives");
        waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).expect("it ends");
        assert_eq!(inside.trim(), pid.to_string());
        std::fs::remove_dir(&group).expect("nobody is in it");
    }
}
