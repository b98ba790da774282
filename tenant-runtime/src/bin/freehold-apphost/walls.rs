//! What this process takes away from itself before it sees any code.
//!
//! Under a provider it already lives in a sandbox of its own, and this is a second lock. At home it is started by a runtime
//! that runs as a person's own user, and this is all there is: it can open no file, make no connection, start no program and
//! see no other process's memory; what it takes of memory is bounded. It does share the machine's processors with everything
//! else, and its user with everything that person runs: what it may not do, it may not because of the filter of system calls.
//!
//! Failure: where the kernel knows no such filter, it does not start. Landlock is welcome and not needed.

use std::collections::BTreeMap;
use std::io;

use landlock::{ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, Scope};
use libc as c;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use tenant_runtime::handlers::start::{COMPILER_MEMORY, HOST_MEMORY};

/// What a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Compiling one component.
    Compiler,
    /// Running compiled ones.
    Host,
}

/// How long a compiler may calculate, in seconds.
const COMPILING_SECONDS: u64 = 180;

/// Descriptors: the three usual ones, two copies of the socket, and some for the standard library.
const DESCRIPTORS: u64 = 16;

/// Raises the walls, for good. To be called while there is one thread.
pub(crate) fn raise(life: Life) -> io::Result<()> {
    take_down(Resource::Core, 0)?;
    take_down(Resource::Nofile, DESCRIPTORS)?;
    take_down(Resource::Fsize, 0)?;
    match life {
        Life::Compiler => {
            take_down(Resource::Data, COMPILER_MEMORY)?;
            take_down(Resource::Cpu, COMPILING_SECONDS)?;
        }
        Life::Host => take_down(Resource::Data, HOST_MEMORY)?,
    }
    if let Err(error) = no_files() {
        eprintln!("landlock does not hold here: {error}");
    }
    let filter = filter().map_err(|error| io::Error::other(format!("the filter of system calls: {error}")))?;
    seccompiler::apply_filter(&filter).map_err(|error| io::Error::other(format!("the filter of system calls: {error}")))
}

fn take_down(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |already| already.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// No file by name, no TCP, no sockets without a file, no signals to others.
fn no_files() -> Result<(), landlock::RulesetError> {
    const ASKED: ABI = ABI::V6;
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ASKED))?
        .handle_access(AccessNet::from_all(ASKED))?
        .scope(Scope::from_all(ASKED))?
        .create()?
        .restrict_self()
        .map(drop)
}

/// Calls whatever their arguments: one socket, memory, threads, the time.
const ALLOWED: &[c::c_long] = &[
    c::SYS_read,
    c::SYS_write,
    c::SYS_readv,
    c::SYS_writev,
    c::SYS_recvfrom,
    c::SYS_recvmsg,
    c::SYS_sendto,
    c::SYS_sendmsg,
    c::SYS_shutdown,
    c::SYS_close,
    c::SYS_fcntl,
    c::SYS_fstat,
    c::SYS_lseek,
    c::SYS_ppoll,
    c::SYS_munmap,
    c::SYS_mprotect,
    c::SYS_mremap,
    c::SYS_madvise,
    c::SYS_brk,
    c::SYS_membarrier,
    c::SYS_futex,
    c::SYS_set_robust_list,
    c::SYS_rseq,
    c::SYS_sched_yield,
    c::SYS_sched_getaffinity,
    c::SYS_getpid,
    c::SYS_gettid,
    c::SYS_tgkill,
    c::SYS_rt_sigaction,
    c::SYS_rt_sigprocmask,
    c::SYS_rt_sigreturn,
    c::SYS_sigaltstack,
    c::SYS_restart_syscall,
    c::SYS_exit,
    c::SYS_exit_group,
    c::SYS_clock_gettime,
    c::SYS_clock_getres,
    c::SYS_clock_nanosleep,
    c::SYS_nanosleep,
    c::SYS_getrandom,
    c::SYS_getrusage,
    c::SYS_sysinfo,
];

/// Older calls that only this processor has.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[c::c_long] = &[c::SYS_poll, c::SYS_gettimeofday, c::SYS_time];

#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[c::c_long] = &[];

/// Everything else is no call that there is.
fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<c::c_long, Vec<SeccompRule>> =
        ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    let thread = c::CLONE_THREAD as u64;
    rules.insert(c::SYS_clone, vec![when(0, Len::Qword, Op::MaskedEq(thread), thread)?]);
    // Memory that is shared and lies in no file is counted by no limit of a process.
    rules.insert(
        c::SYS_mmap,
        vec![
            when(3, Len::Dword, Op::MaskedEq(c::MAP_ANONYMOUS as u64), 0)?,
            when(3, Len::Dword, Op::MaskedEq(c::MAP_SHARED as u64), 0)?,
        ],
    );
    rules.insert(c::SYS_prlimit64, vec![when(2, Len::Qword, Op::Eq, 0)?]);
    rules.insert(c::SYS_prctl, vec![when(0, Len::Dword, Op::Eq, c::PR_SET_NAME as u64)?]);
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let no_such_call = SeccompAction::Errno(c::ENOSYS as u32);
    SeccompFilter::new(rules, no_such_call, SeccompAction::Allow, arch)?.try_into()
}

fn when(argument: u8, length: Len, is: Op, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, length, is, value)?])
}
