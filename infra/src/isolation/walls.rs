//! The walls this machine can raise, tried one by one when the launcher starts.
//!
//! Trying is the only truth: a kernel may know a mechanism and a container may forbid it. Each trial is a real use
//! of the mechanism by the launcher or by a child that ends at once.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use seccompiler::BpfProgram;

use super::child::Ceilings;
use super::filter;
use super::groups::{Controller, Groups, Version};
use super::identity::Identity;
use super::report::{Holds, IsolationReport, Mechanism};
use super::room::map_user;
use super::rules;
use super::skeleton::Skeleton;
use super::sys::{self, Side};

const AS_ROOT: &str = "start the provider as root, or allow user namespaces (kernel.unprivileged_userns_clone=1, \
                       kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces above 0)";
const DELEGATE: &str = "start the provider as root, or as a systemd service with Delegate=yes";

/// What the walls are raised around.
#[derive(Clone, Debug)]
pub(crate) struct WallsOptions {
    /// Where the skeleton is mounted.
    pub(crate) skeleton: PathBuf,
    /// The runtime's program on the host.
    pub(crate) program: PathBuf,
    /// The app host's, where it is installed.
    pub(crate) app_host: Option<PathBuf>,
    /// Names this provider's control groups.
    pub(crate) groups: String,
}

/// The walls of this machine, ready for any number of rooms.
#[derive(Debug)]
pub(crate) struct Walls {
    pub(super) namespaces: u64,
    pub(super) skeleton: Option<Skeleton>,
    pub(super) program: PathBuf,
    pub(super) app_host: Option<PathBuf>,
    pub(super) identity: Identity,
    pub(super) filter: Option<BpfProgram>,
    pub(super) app_hosts_filter: Option<BpfProgram>,
    pub(super) landlock: bool,
    pub(super) groups: Option<Groups>,
    pub(super) null: OwnedFd,
    pub(super) alive: (OwnedFd, OwnedFd),
}

impl Walls {
    /// Raises what can be raised and reports the rest. The launcher must have a single thread; afterwards it is in
    /// namespaces of its own, without a network.
    pub(crate) fn raise(options: &WallsOptions) -> io::Result<(Self, IsolationReport)> {
        let mut report = IsolationReport::default();
        // Before the launcher leaves its user namespace: what is written here is written as the provider's user.
        let (groups, tried) = raise_groups(&options.groups);
        let files = enter_own_files();
        let identity = try_identity();
        note_limits(tried, identity, &mut report);
        let mut namespaces = if identity == Identity::NamespaceEach { sys::NEW_USER } else { 0 };
        note_identity(identity, &mut report);

        let skeleton = files.and_then(|()| try_child(namespaces | sys::NEW_FILES, || Ok(()))).and_then(|()| {
            namespaces |= sys::NEW_FILES;
            Skeleton::make(&options.skeleton, &options.program, options.app_host.as_deref())
        });
        let skeleton = note(&mut report, Mechanism::Files, skeleton, AS_ROOT, |skeleton| {
            format!("mount namespace, read-only root; {}", skeleton.program())
        });
        if skeleton.is_none() {
            namespaces &= !sys::NEW_FILES;
        }

        let network = sys::unshare(sys::NEW_NETWORK);
        note(&mut report, Mechanism::Network, network, AS_ROOT, |()| "one empty network namespace".into());

        let processes = try_child(namespaces | sys::NEW_PROCESSES, || Ok(()));
        if note(&mut report, Mechanism::Processes, processes, AS_ROOT, |()| "pid namespace".into()).is_some() {
            namespaces |= sys::NEW_PROCESSES;
        }
        let shared = sys::NEW_IPC | sys::NEW_NAMES | sys::NEW_GROUPS;
        let tried = try_child(namespaces | shared, || Ok(()));
        if note(&mut report, Mechanism::Shared, tried, AS_ROOT, |()| "ipc, uts and cgroup namespaces".into()).is_some()
        {
            namespaces |= shared;
        }

        let filter = filter::program().map_err(io::Error::other).and_then(|filter| {
            try_child(namespaces, || try_filter(&filter))?;
            Ok(filter)
        });
        let mend = "run a kernel with CONFIG_SECCOMP_FILTER on x86_64 or aarch64";
        let filter = note(&mut report, Mechanism::SystemCalls, filter, mend, |filter| {
            format!("seccomp, {} instructions, all else answers ENOSYS", filter.len())
        });

        let landlock =
            if skeleton.is_some() { rules::version() } else { Err(io::Error::other("needs its own file tree")) };
        let mend = "run a kernel with CONFIG_SECURITY_LANDLOCK and landlock in its lsm= list";
        let landlock = note(&mut report, Mechanism::Landlock, landlock, mend, |version| format!("landlock {version}"));

        let walls = Self {
            namespaces,
            skeleton,
            program: options.program.clone(),
            app_host: options.app_host.clone(),
            identity,
            app_hosts_filter: filter.as_ref().and_then(|_| filter::program_of_app_hosts().ok()),
            filter,
            landlock: landlock.is_some(),
            groups,
            null: std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?.into(),
            alive: {
                let (end, other_end) = pipe_with(PipeFlags::CLOEXEC)?;
                (sys::above(end.as_fd())?, sys::above(other_end.as_fd())?)
            },
        };
        Ok((walls, report.in_order()))
    }

    /// Who runtimes are here.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether there is a program that runs the code of apps. It is run behind a filter of system calls or not at all.
    pub(crate) fn has_app_hosts(&self) -> bool {
        self.app_host.is_some() && self.app_hosts_filter.is_some()
    }

    /// Whether runtimes see their folders under the names inside.
    pub(crate) fn has_own_files(&self) -> bool {
        self.skeleton.is_some()
    }

    /// The folders of this provider's control groups.
    pub(crate) fn group_folders(&self) -> Vec<PathBuf> {
        self.groups.as_ref().map(Groups::folders).unwrap_or_default()
    }

    /// Takes down what does not end with this process.
    pub(crate) fn raze(&self) {
        if let Some(groups) = &self.groups {
            groups.remove();
        }
    }
}

/// Puts the result of a trial into words, and passes on what it gave.
fn note<T>(
    report: &mut IsolationReport,
    mechanism: Mechanism,
    tried: io::Result<T>,
    mend: &str,
    how: impl FnOnce(&T) -> String,
) -> Option<T> {
    match tried {
        Ok(value) => {
            report.add(mechanism, Holds::On { how: how(&value) });
            Some(value)
        }
        Err(e) => {
            report.add(mechanism, Holds::Missing { why: e.to_string(), mend: mend.to_owned() });
            None
        }
    }
}

type Tried = Vec<(Controller, io::Result<Version>)>;

fn raise_groups(name: &str) -> (Option<Groups>, Tried) {
    let (groups, tried) = Groups::find(name);
    let any = tried.iter().any(|(_, tried)| tried.is_ok());
    (any.then_some(groups), tried)
}

/// What a control group does not limit, the limits of a process do, as far as they reach: a runtime is one process
/// that cannot make another. Only a share of the processors they cannot give.
fn note_limits(tried: Tried, identity: Identity, report: &mut IsolationReport) {
    for (controller, tried) in tried {
        let instead = match (controller, identity) {
            (Controller::Memory, _) => try_limits(None, Some(1 << 40)).map(|()| "an address space of its size"),
            // A limit on processes counts all of one user's.
            (Controller::Processes, Identity::Shared) | (Controller::Cpu, _) => Err(io::ErrorKind::Unsupported.into()),
            (Controller::Processes, _) => try_limits(Some(64), None).map(|()| "a count for its user"),
        };
        let holds = match (tried, instead) {
            (Ok(Version::One), _) => Holds::On { how: "cgroup version 1".to_owned() },
            (Ok(Version::Two), _) => Holds::On { how: "cgroup version 2".to_owned() },
            (Err(e), Ok(how)) => Holds::On { how: format!("{how} (rlimit), since there is no cgroup: {e}") },
            (Err(e), Err(_)) => Holds::Missing { why: e.to_string(), mend: DELEGATE.to_owned() },
        };
        report.add(controller.mechanism(), holds);
    }
    let mend = "run a kernel that lets a process lower its own limits";
    let how = |(): &()| format!("{} for each server (rlimit)", Ceilings::DESCRIPTORS);
    note(report, Mechanism::DescriptorLimit, try_limits(None, None), mend, how);
}

/// In a child: these limits can be taken down.
fn try_limits(threads: Option<u64>, address_bytes: Option<u64>) -> io::Result<()> {
    let ceilings = Ceilings { file_bytes: 1 << 30, threads, address_bytes, stands_back: false };
    try_child(0, || ceilings.apply())
}

/// Gets a mount namespace for the launcher itself: directly as root, otherwise inside a user namespace.
fn enter_own_files() -> io::Result<()> {
    if sys::unshare(sys::NEW_FILES).is_err() {
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        sys::unshare(sys::NEW_USER | sys::NEW_FILES)?;
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
    }
    sys::make_mounts_private()
}

fn try_identity() -> Identity {
    let last_user = Identity::FIRST_USER + 100_000;
    if try_child(0, || sys::become_user(last_user)).is_ok() {
        return Identity::UserEach;
    }
    match try_child(sys::NEW_USER, || Ok(())) {
        Ok(()) => Identity::NamespaceEach,
        Err(_) => Identity::Shared,
    }
}

fn note_identity(identity: Identity, report: &mut IsolationReport) {
    let holds = match identity {
        Identity::UserEach => Holds::On { how: format!("a user id for each server, from {}", Identity::FIRST_USER) },
        Identity::NamespaceEach => Holds::On { how: "a user namespace for each runtime".to_owned() },
        Identity::Shared => Holds::Missing {
            why: "neither a user id nor a user namespace for each server could be had".to_owned(),
            mend: AS_ROOT.to_owned(),
        },
    };
    report.add(Mechanism::User, holds);
}

/// In a child: a call that is not in the list must not be there any more.
fn try_filter(filter: &BpfProgram) -> io::Result<()> {
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    sys::apply_filter(filter)?;
    match sys::unshare(0) {
        Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
    }
}

/// Does something in a child in new namespaces, and gives its result. The child must not allocate.
fn try_child(namespaces: u64, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let (go, go_end) = pipe_with(PipeFlags::CLOEXEC)?;
    // SAFETY: the launcher has one thread; the child only does `act`, which does not allocate, and ends.
    match unsafe { sys::clone3(namespaces, None) }? {
        Side::Child => {
            let mut byte = [0u8; 1];
            let waited = rustix::io::read(&go, &mut byte).map_err(io::Error::from);
            let result = waited.and_then(|_| act());
            let code = result.map_or_else(|e| e.raw_os_error().unwrap_or(255), |()| 0);
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(code) }
        }
        Side::Parent { pid, pidfd } => {
            let mapped = if namespaces & sys::NEW_USER == 0 { Ok(()) } else { map_user(pid) };
            rustix::io::write(&go_end, b"g")?;
            let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
            mapped?;
            match status.and_then(|status| status.exit_status()) {
                Some(0) => Ok(()),
                Some(code) => Err(io::Error::from_raw_os_error(code)),
                None => Err(io::Error::other("the trial was killed")),
            }
        }
    }
}
