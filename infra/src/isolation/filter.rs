//! The system calls a runtime has.
//!
//! A list of what is there, not of what is forbidden: everything else answers "no such call", which the C library
//! takes as an old kernel and works around (`clone3` falls back to `clone`). Absent on purpose: making sockets
//! (a runtime is handed its listeners), mounts, namespaces, tracing, keys, bpf, io_uring, signals to others.
//! The list was found by running real runtimes under it.
//!
//! The library compares a call with one number of the list after the other. The kernel reads, compiles and runs that at
//! each start, where it tries it on every call there is; so what is allowed whatever its arguments is found first, by
//! halving the list of its spans.

use std::collections::BTreeMap;

use libc as c;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

/// The filter could not be made for this machine.
#[derive(Debug, thiserror::Error)]
#[error("making the system call filter: {0}")]
pub(super) struct Unmakable(String);

/// Calls whatever their arguments.
const ALLOWED: &[c::c_long] = &[
    // Reading and writing.
    c::SYS_read,
    c::SYS_write,
    c::SYS_readv,
    c::SYS_writev,
    c::SYS_pread64,
    c::SYS_pwrite64,
    c::SYS_preadv,
    c::SYS_pwritev,
    c::SYS_preadv2,
    c::SYS_pwritev2,
    c::SYS_lseek,
    c::SYS_close,
    c::SYS_close_range,
    c::SYS_fcntl,
    c::SYS_flock,
    c::SYS_fsync,
    c::SYS_fdatasync,
    c::SYS_sync_file_range,
    c::SYS_ftruncate,
    c::SYS_truncate,
    c::SYS_fallocate,
    c::SYS_fadvise64,
    c::SYS_readahead,
    c::SYS_copy_file_range,
    c::SYS_sendfile,
    c::SYS_splice,
    // Files by name.
    c::SYS_openat,
    c::SYS_openat2,
    c::SYS_newfstatat,
    c::SYS_fstat,
    c::SYS_statx,
    c::SYS_statfs,
    c::SYS_fstatfs,
    c::SYS_faccessat,
    c::SYS_faccessat2,
    c::SYS_getdents64,
    c::SYS_getcwd,
    c::SYS_mkdirat,
    c::SYS_unlinkat,
    c::SYS_renameat,
    c::SYS_renameat2,
    c::SYS_linkat,
    c::SYS_symlinkat,
    c::SYS_readlinkat,
    c::SYS_fchmod,
    c::SYS_fchmodat,
    c::SYS_utimensat,
    c::SYS_umask,
    c::SYS_inotify_init1,
    c::SYS_inotify_add_watch,
    // Memory.
    c::SYS_mprotect,
    c::SYS_munmap,
    c::SYS_mremap,
    c::SYS_madvise,
    c::SYS_msync,
    c::SYS_mincore,
    c::SYS_brk,
    c::SYS_membarrier,
    // Accepted connections.
    c::SYS_accept,
    c::SYS_accept4,
    c::SYS_getsockname,
    c::SYS_getpeername,
    c::SYS_sendto,
    c::SYS_recvfrom,
    c::SYS_sendmsg,
    c::SYS_recvmsg,
    c::SYS_shutdown,
    c::SYS_setsockopt,
    c::SYS_getsockopt,
    // Waiting.
    c::SYS_ppoll,
    c::SYS_pselect6,
    c::SYS_epoll_create1,
    c::SYS_epoll_ctl,
    c::SYS_epoll_pwait,
    c::SYS_epoll_pwait2,
    c::SYS_eventfd2,
    c::SYS_timerfd_create,
    c::SYS_timerfd_settime,
    c::SYS_pipe2,
    c::SYS_dup,
    c::SYS_dup3,
    c::SYS_futex,
    c::SYS_nanosleep,
    c::SYS_clock_nanosleep,
    c::SYS_restart_syscall,
    // Signals to itself.
    c::SYS_rt_sigaction,
    c::SYS_rt_sigprocmask,
    c::SYS_rt_sigreturn,
    c::SYS_rt_sigtimedwait,
    c::SYS_sigaltstack,
    c::SYS_tgkill,
    // Being a process.
    c::SYS_execve,
    c::SYS_exit,
    c::SYS_exit_group,
    c::SYS_wait4,
    c::SYS_getpid,
    c::SYS_gettid,
    c::SYS_getppid,
    c::SYS_getuid,
    c::SYS_geteuid,
    c::SYS_getgid,
    c::SYS_getegid,
    c::SYS_set_tid_address,
    c::SYS_set_robust_list,
    c::SYS_rseq,
    c::SYS_sched_getaffinity,
    c::SYS_sched_yield,
    c::SYS_getrusage,
    c::SYS_getcpu,
    // The time, chance and the machine.
    c::SYS_clock_gettime,
    c::SYS_clock_getres,
    c::SYS_gettimeofday,
    c::SYS_getrandom,
    c::SYS_uname,
    c::SYS_sysinfo,
];

/// Older calls that only this processor has.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[c::c_long] = &[
    c::SYS_open,
    c::SYS_stat,
    c::SYS_lstat,
    c::SYS_access,
    c::SYS_mkdir,
    c::SYS_rmdir,
    c::SYS_unlink,
    c::SYS_rename,
    c::SYS_link,
    c::SYS_symlink,
    c::SYS_readlink,
    c::SYS_chmod,
    c::SYS_getdents,
    c::SYS_poll,
    c::SYS_select,
    c::SYS_epoll_wait,
    c::SYS_dup2,
    c::SYS_pipe,
    c::SYS_arch_prctl,
    c::SYS_time,
];

#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[c::c_long] = &[];

/// The filter as the kernel takes it.
pub(super) fn program() -> Result<BpfProgram, Unmakable> {
    with(rules().map_err(unmakable)?)
}

/// The filter of an app host, which may take away from itself what is left: it does so before it sees any code.
pub(super) fn program_of_app_hosts() -> Result<BpfProgram, Unmakable> {
    let mut rules = rules().map_err(unmakable)?;
    for call in [c::SYS_seccomp, c::SYS_landlock_create_ruleset, c::SYS_landlock_restrict_self, c::SYS_prlimit64] {
        rules.insert(call, Vec::new());
    }
    let fewer = when(0, Len::Dword, Op::Eq, c::PR_SET_NO_NEW_PRIVS as u64).map_err(unmakable)?;
    rules.entry(c::SYS_prctl).or_default().push(fewer);
    with(rules)
}

fn with(rules: BTreeMap<c::c_long, Vec<SeccompRule>>) -> Result<BpfProgram, Unmakable> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(unmakable)?;
    let no_such_call = SeccompAction::Errno(c::ENOSYS as u32);
    let filter = SeccompFilter::new(rules, no_such_call, SeccompAction::Allow, arch);
    let mut program = filter.and_then(BpfProgram::try_from).map_err(unmakable)?;
    // It begins by ending whoever calls as another processor would, in three instructions.
    program.splice(3..3, found_at_once(&spans(plain())));
    Ok(program)
}

/// Calls that are allowed whatever their arguments.
fn plain() -> impl Iterator<Item = c::c_long> {
    ALLOWED.iter().chain(ALLOWED_HERE).copied()
}

/// Numbers as spans without gaps, in order.
fn spans(calls: impl Iterator<Item = c::c_long>) -> Vec<(u32, u32)> {
    let mut numbers: Vec<u32> = calls.filter_map(|call| u32::try_from(call).ok()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut spans: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => spans.push((number, number)),
        }
    }
    spans
}

/// Allows a call whose number lies in a span, and goes on behind itself with any other.
fn found_at_once(spans: &[(u32, u32)]) -> Vec<sock_filter> {
    let mut search = Search { code: vec![instruction(c::BPF_LD | c::BPF_W | c::BPF_ABS, 0)], misses: Vec::new() };
    search.halve(spans);
    let end = search.code.len();
    for (at, when_true) in search.misses {
        let far = u8::try_from(end - at - 1).expect("a search is shorter than a jump");
        *(if when_true { &mut search.code[at].jt } else { &mut search.code[at].jf }) = far;
    }
    search.code
}

/// A search while it is written.
struct Search {
    code: Vec<sock_filter>,
    /// Comparisons that go on behind the search, when they are true or when they are not.
    misses: Vec<(usize, bool)>,
}

impl Search {
    fn halve(&mut self, spans: &[(u32, u32)]) {
        let jump = |compares, with| instruction(c::BPF_JMP | compares | c::BPF_K, with);
        match spans {
            [] => {}
            [(first, last)] => {
                self.misses.push((self.code.len(), false));
                self.code.push(jump(c::BPF_JGE, *first));
                self.misses.push((self.code.len(), true));
                self.code.push(jump(c::BPF_JGT, *last));
                self.code.push(instruction(c::BPF_RET | c::BPF_K, c::SECCOMP_RET_ALLOW));
            }
            _ => {
                let (low, high) = spans.split_at(spans.len() / 2);
                let at = self.code.len();
                self.code.push(jump(c::BPF_JGE, high[0].0));
                self.halve(low);
                let far = self.code.len() - at - 1;
                self.code[at].jt = u8::try_from(far).expect("a search is shorter than a jump");
                self.halve(high);
            }
        }
    }
}

fn instruction(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn unmakable(error: impl std::fmt::Display) -> Unmakable {
    Unmakable(error.to_string())
}

/// Calls that depend on their arguments.
fn rules() -> Result<BTreeMap<c::c_long, Vec<SeccompRule>>, seccompiler::BackendError> {
    const NAMESPACES: u64 = (c::CLONE_NEWNS
        | c::CLONE_NEWCGROUP
        | c::CLONE_NEWUTS
        | c::CLONE_NEWIPC
        | c::CLONE_NEWUSER
        | c::CLONE_NEWPID
        | c::CLONE_NEWNET) as u64;
    let mut rules = BTreeMap::new();
    // Threads, but neither namespaces nor processes: what one process may take is what its server may take.
    let thread = c::CLONE_THREAD as u64;
    rules.insert(
        c::SYS_clone,
        vec![SeccompRule::new(vec![
            SeccompCondition::new(0, Len::Qword, Op::MaskedEq(NAMESPACES), 0)?,
            SeccompCondition::new(0, Len::Qword, Op::MaskedEq(thread), thread)?,
        ])?],
    );
    // A connected pair is how a signal handler wakes its loop; it reaches nobody else.
    rules.insert(c::SYS_socketpair, vec![when(0, Len::Dword, Op::Eq, c::AF_UNIX as u64)?]);
    // Memory that is shared and lies in no file is counted by no limit but that of a control group.
    rules.insert(
        c::SYS_mmap,
        vec![
            when(3, Len::Dword, Op::MaskedEq(c::MAP_ANONYMOUS as u64), 0)?,
            when(3, Len::Dword, Op::MaskedEq(c::MAP_SHARED as u64), 0)?,
        ],
    );
    // Reading limits, not changing them.
    rules.insert(c::SYS_prlimit64, vec![when(2, Len::Qword, Op::Eq, 0)?]);
    // Naming threads and memory, which debuggers and the C library do.
    rules.insert(
        c::SYS_prctl,
        vec![when(0, Len::Dword, Op::Eq, c::PR_SET_NAME as u64)?, when(0, Len::Dword, Op::Eq, c::PR_SET_VMA as u64)?],
    );
    // Whether a descriptor blocks, how much it holds, whether it is a terminal.
    let asked = [c::FIONBIO, c::FIONREAD, c::TCGETS].map(|request| when(1, Len::Dword, Op::Eq, request));
    rules.insert(c::SYS_ioctl, asked.into_iter().collect::<Result<_, _>>()?);
    Ok(rules)
}

fn when(argument: u8, length: Len, is: Op, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, length, is, value)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_other_processes_or_the_network_is_not_in_the_list() {
        let rules = rules().expect("rules");
        let absent = [
            c::SYS_ptrace,
            c::SYS_mount,
            c::SYS_unshare,
            c::SYS_setns,
            c::SYS_bpf,
            c::SYS_keyctl,
            c::SYS_io_uring_setup,
            c::SYS_userfaultfd,
            c::SYS_perf_event_open,
            c::SYS_kill,
            c::SYS_socket,
            c::SYS_connect,
            c::SYS_clone3,
            c::SYS_process_vm_readv,
            c::SYS_pidfd_open,
            c::SYS_chroot,
            c::SYS_setuid,
            c::SYS_capset,
            c::SYS_mknodat,
        ];
        for call in absent {
            assert!(!rules.contains_key(&call) && plain().all(|plain| plain != call), "{call}");
        }
    }

    /// What a search says of a number, or where it leaves off.
    fn run(code: &[sock_filter], number: u32) -> Result<u32, usize> {
        let mut at = 1;
        while let Some(step) = code.get(at) {
            let jumps = |is: bool| at + 1 + usize::from(if is { step.jt } else { step.jf });
            at = match u32::from(step.code) {
                op if op == c::BPF_JMP | c::BPF_JGE => jumps(number >= step.k),
                op if op == c::BPF_JMP | c::BPF_JGT => jumps(number > step.k),
                op if op == c::BPF_RET => return Ok(step.k),
                op => panic!("{op:#x}"),
            };
        }
        Err(at)
    }

    #[test]
    fn a_search_finds_what_is_in_the_list_and_nothing_else() {
        let mut numbers = std::collections::BTreeSet::new();
        let check = |numbers: &std::collections::BTreeSet<u32>| {
            let code = found_at_once(&spans(numbers.iter().map(|number| c::c_long::from(*number))));
            let others = [1 << 30, (1 << 30) + 1, u32::MAX];
            for number in (0..700).chain(others) {
                let expected = if numbers.contains(&number) { Ok(c::SECCOMP_RET_ALLOW) } else { Err(code.len()) };
                assert_eq!(run(&code, number), expected, "{number} of {numbers:?}");
            }
        };
        check(&numbers);
        let mut seed = 1u32;
        for _ in 0..60 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            numbers.insert((seed >> 16) % 460);
            check(&numbers);
        }
        check(&plain().map(|call| u32::try_from(call).expect("a number")).collect());
    }
}
