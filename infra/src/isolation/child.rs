//! What the child does between `clone3` and `execve`: it walks into its room, locks every door behind it, and
//! becomes the runtime.
//!
//! Invariant: nothing here allocates, locks or formats. All it needs was prepared by the parent, and a failure is
//! told to the parent as two numbers.

use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::groups::Doors;
use super::rules::Rules;
use super::{skeleton, sys};

/// Where a confined process writes that it is ready, or why it never began.
pub(super) const NOTICE_FD: RawFd = 5;

/// The first byte of a notice about a failed step.
pub(super) const FAILED: u8 = b'F';

/// A step on the way into the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    /// Parting from its launcher's descriptors.
    Parting = 1,
    /// Entering its control groups.
    Groups,
    /// Waiting for its user namespace to be mapped.
    Mapping,
    /// Showing its cache.
    Cache,
    /// Showing its home.
    Home,
    /// Making its folder for temporary files.
    Temporary,
    /// Naming its machine.
    Name,
    /// Arranging its descriptors.
    Descriptors,
    /// Taking its limits down.
    Limits,
    /// Becoming its own user.
    User,
    /// Giving up its powers.
    Powers,
    /// Noticing whether its launcher still lives.
    Launcher,
    /// Applying landlock.
    Rules,
    /// Resetting its signals.
    Signals,
    /// Applying the system call filter.
    Filter,
    /// Starting the program.
    Program,
}

impl Step {
    const ALL: [Self; 16] = [
        Self::Parting,
        Self::Groups,
        Self::Mapping,
        Self::Cache,
        Self::Home,
        Self::Temporary,
        Self::Name,
        Self::Descriptors,
        Self::Limits,
        Self::User,
        Self::Powers,
        Self::Launcher,
        Self::Rules,
        Self::Signals,
        Self::Filter,
        Self::Program,
    ];

    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step as u8 == number)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parting => "parting from its launcher's descriptors",
            Self::Groups => "entering its control groups",
            Self::Mapping => "mapping its user namespace",
            Self::Cache => "showing its cache",
            Self::Home => "showing its home",
            Self::Temporary => "making its folder for temporary files",
            Self::Name => "naming its machine",
            Self::Descriptors => "arranging its descriptors",
            Self::Limits => "setting its limits",
            Self::User => "becoming its own user",
            Self::Powers => "giving up its powers",
            Self::Launcher => "the launcher had ended",
            Self::Rules => "applying its file rules",
            Self::Signals => "resetting its signals",
            Self::Filter => "applying its system call filter",
            Self::Program => "starting its program",
        })
    }
}

/// What the child adds to its copy of the skeleton, in which it is born.
pub(super) struct Tree {
    pub(super) home: Option<OwnedFd>,
    pub(super) cache: Option<OwnedFd>,
    pub(super) temporary_options: Option<CString>,
}

/// Everything the child needs, made before it exists.
pub(super) struct Kit<'a> {
    pub(super) doors: Doors,
    /// Both ends of a pipe: the child waits for a byte once its user namespace has been mapped.
    pub(super) mapped: Option<(OwnedFd, OwnedFd)>,
    pub(super) tree: Option<Tree>,
    /// Its descriptors and their numbers, all of which lie below those they have now; everything else closes.
    pub(super) descriptors: Vec<(OwnedFd, RawFd)>,
    pub(super) ceilings: Ceilings,
    pub(super) user: Option<u32>,
    /// Both ends of a pipe: it hangs up when the launcher ends.
    pub(super) launcher: (BorrowedFd<'a>, BorrowedFd<'a>),
    pub(super) rules: Option<Rules>,
    pub(super) filter: Option<&'a [seccompiler::sock_filter]>,
    pub(super) program: CString,
    pub(super) arguments: [*const c_char; 2],
    pub(super) environment: Vec<*const c_char>,
    pub(super) notice: OwnedFd,
}

/// What one process may take, kept by the kernel without a control group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ceilings {
    /// The largest file it may write, in bytes.
    pub(super) file_bytes: u64,
    /// Threads, where its user is its own.
    pub(super) threads: Option<u64>,
    /// Address space in bytes, where no control group counts its memory.
    pub(super) address_bytes: Option<u64>,
    /// Whether all others come first, where no control group gives it a share of the processors.
    pub(super) stands_back: bool,
}

impl Ceilings {
    /// How many descriptors it may have.
    pub(super) const DESCRIPTORS: u64 = 1024;

    /// How far a server without a processor share stands back: about a third of the weight of the provider itself.
    const NICE: libc::c_int = 5;

    /// Takes the limits of this process down, for good.
    pub(super) fn apply(&self) -> io::Result<()> {
        sys::limit(libc::RLIMIT_NOFILE, Self::DESCRIPTORS)?;
        sys::limit(libc::RLIMIT_CORE, 0)?;
        sys::limit(libc::RLIMIT_MEMLOCK, 0)?;
        sys::limit(libc::RLIMIT_MSGQUEUE, 0)?;
        sys::limit(libc::RLIMIT_FSIZE, self.file_bytes)?;
        if let Some(threads) = self.threads {
            sys::limit(libc::RLIMIT_NPROC, threads)?;
        }
        if let Some(bytes) = self.address_bytes {
            sys::limit(libc::RLIMIT_AS, bytes)?;
        }
        if self.stands_back { sys::stand_back(Self::NICE) } else { Ok(()) }
    }
}

type Outcome<T> = Result<T, (Step, io::Error)>;

fn at(step: Step) -> impl FnOnce(io::Error) -> (Step, io::Error) {
    move |error| (step, error)
}

/// Becomes the runtime, or tells the parent why not.
pub(super) fn become_runtime(kit: &Kit<'_>) -> ! {
    let Err((step, error)) = enter(kit);
    let number = error.raw_os_error().unwrap_or(0).to_le_bytes();
    let notice = [FAILED, step as u8, number[0], number[1], number[2], number[3]];
    // SAFETY: six valid bytes; both calls are safe in the copy of a process.
    unsafe {
        libc::write(kit.notice.as_raw_fd(), notice.as_ptr().cast(), notice.len());
        libc::_exit(111)
    }
}

fn enter(kit: &Kit<'_>) -> Outcome<Infallible> {
    sys::part().map_err(at(Step::Parting))?;
    let (launcher, other_end) = kit.launcher;
    // SAFETY: the copy of the launcher's own end, which this process must not keep open.
    unsafe { libc::close(other_end.as_raw_fd()) };
    for door in &kit.doors.entered {
        write_byte(door.as_fd(), b'0').map_err(at(Step::Groups))?;
    }
    if let Some((ready, other_end)) = &kit.mapped {
        wait_for_byte(ready.as_fd(), other_end.as_fd()).map_err(at(Step::Mapping))?;
    }
    if let Some(tree) = &kit.tree {
        furnish(tree)?;
    }
    arrange(&kit.descriptors).map_err(at(Step::Descriptors))?;
    kit.ceilings.apply().map_err(at(Step::Limits))?;
    give_up_powers(kit.user)?;
    // The kernel forgets this wish whenever a process changes its user, so it comes after.
    sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong).map_err(at(Step::Launcher))?;
    if sys::is_hung_up(launcher) {
        return Err((Step::Launcher, io::Error::from_raw_os_error(libc::ESRCH)));
    }
    if let Some(rules) = &kit.rules {
        if kit.tree.as_ref().is_some_and(|tree| tree.temporary_options.is_some()) {
            rules.add(skeleton::TEMPORARY).map_err(at(Step::Rules))?;
        }
        rules.apply().map_err(at(Step::Rules))?;
    }
    sys::usual_signals().map_err(at(Step::Signals))?;
    if let Some(filter) = kit.filter {
        sys::apply_filter(filter).map_err(at(Step::Filter))?;
    }
    // SAFETY: program, arguments and environment are C strings and null-ended lists owned by the kit.
    unsafe { libc::execve(kit.program.as_ptr(), kit.arguments.as_ptr(), kit.environment.as_ptr()) };
    Err((Step::Program, io::Error::last_os_error()))
}

fn furnish(tree: &Tree) -> Outcome<()> {
    if let Some(cache) = &tree.cache {
        sys::attach(cache.as_fd(), skeleton::CACHE).map_err(at(Step::Cache))?;
    }
    if let Some(home) = &tree.home {
        sys::attach(home.as_fd(), skeleton::HOME).map_err(at(Step::Home))?;
    }
    if let Some(options) = &tree.temporary_options {
        sys::mount_tmpfs(skeleton::TEMPORARY, libc::MS_NOEXEC, options).map_err(at(Step::Temporary))?;
    }
    name_machine(c"freehold").map_err(at(Step::Name))
}

fn name_machine(name: &CStr) -> io::Result<()> {
    // SAFETY: a valid string and its length.
    sys::checked(unsafe { libc::sethostname(name.as_ptr(), name.count_bytes()) }.into()).map(drop)
}

/// Gives each its number; everything else closes at `execve`.
fn arrange(descriptors: &[(OwnedFd, RawFd)]) -> io::Result<()> {
    close_on_exec(0, u32::MAX)?;
    for (from, to) in descriptors {
        // SAFETY: plain descriptors; dup2 clears close-on-exec on the copy.
        sys::checked(unsafe { libc::dup2(from.as_raw_fd(), *to) }.into())?;
    }
    Ok(())
}

fn close_on_exec(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: takes no pointer.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC) };
    sys::checked(result).map(drop)
}

fn give_up_powers(user: Option<u32>) -> Outcome<()> {
    for capability in 0..64 {
        // Beyond the last capability, or without the power to drop any, there is nothing to drop.
        let _ = sys::prctl(libc::PR_CAPBSET_DROP, capability);
    }
    if let Some(user) = user {
        sys::become_user(user).map_err(at(Step::User))?;
    }
    sys::drop_capabilities().map_err(at(Step::Powers))?;
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(at(Step::Powers))
}

fn write_byte(to: BorrowedFd<'_>, byte: u8) -> io::Result<()> {
    // SAFETY: one valid byte.
    sys::checked(unsafe { libc::write(to.as_raw_fd(), (&raw const byte).cast(), 1) } as libc::c_long).map(drop)
}

fn wait_for_byte(from: BorrowedFd<'_>, other_end: BorrowedFd<'_>) -> io::Result<()> {
    let mut byte = 0u8;
    // SAFETY: closes this process's copy of the writing end and reads into one valid byte.
    let count = unsafe {
        libc::close(other_end.as_raw_fd());
        libc::read(from.as_raw_fd(), (&raw mut byte).cast(), 1)
    };
    if count == 1 { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EPERM)) }
}
