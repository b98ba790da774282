//! What a runtime that was taken over would try.

use std::ffi::CString;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::ptr;

/// Takes over a descriptor that was handed to this process.
pub(crate) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: called once for each of the numbers the launcher promises.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Which descriptors are open.
pub(crate) fn open_descriptors() -> Vec<RawFd> {
    // SAFETY: only asks for flags.
    (0..1024).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).collect()
}

/// Tries something, and gives what came of it.
pub(crate) fn attempt(what: &str, with: &[&str]) -> io::Result<String> {
    let first = with.first().copied().unwrap_or_default();
    match what {
        "list" => list(first),
        "read" => fs::read_to_string(first),
        "write" => fs::write(first, "written").map(|()| "written".to_owned()),
        "large" => large(first),
        "link" => std::os::unix::fs::symlink(with[1], first).map(|()| "linked".to_owned()),
        "run" => run(first),
        "chance" => {
            let mut bytes = [0; 8];
            fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
            Ok(bytes.map(|byte| format!("{byte:02x}")).concat())
        }
        "user" => Ok(rustix::process::geteuid().as_raw().to_string()),
        "variables" => Ok(std::env::vars().map(|(name, _)| name).collect::<Vec<_>>().join(" ")),
        "machine" => Ok(rustix::system::uname().nodename().to_string_lossy().into_owned()),
        "tcp" => TcpStream::connect(first).map(|_| "connected".to_owned()),
        "socket" => UnixStream::connect(first).map(|_| "connected".to_owned()),
        "abstract" => {
            let address = SocketAddr::from_abstract_name(first)?;
            UnixStream::connect_addr(&address).map(|_| "connected".to_owned())
        }
        "descriptors-until-refused" => {
            let mut open = Vec::new();
            while let Ok(file) = fs::File::open("/dev/null") {
                open.push(file);
            }
            Ok(open.len().to_string())
        }
        other => call(other, first),
    }
}

fn list(folder: &str) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join(" "))
}

fn large(path: &str) -> io::Result<String> {
    // SAFETY: a plain call; without a handler the signal that goes with a file too large would end the process.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    fs::File::create(path)?.set_len(1 << 40)?;
    Ok("large".to_owned())
}

/// Copies this program and runs the copy; on success there is no one left to answer.
fn run(path: &str) -> io::Result<String> {
    let mut copy = fs::File::create(path)?;
    copy.write_all(&fs::read("/bin/freehold-runtime")?)?;
    drop(copy);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Err(std::process::Command::new(Path::new(path)).exec())
}

/// A child that should never have been made ends here.
fn child(result: libc::c_long) -> libc::c_long {
    if result == 0 {
        // SAFETY: ends this process at once.
        unsafe { libc::_exit(0) }
    }
    result
}

fn call(name: &str, with: &str) -> io::Result<String> {
    let text = CString::new(with)?;
    let number: libc::c_long = with.parse().unwrap_or(0);
    // SAFETY: each call gets valid strings and sizes, or null where the kernel takes it; all are meant to be refused.
    let result = unsafe {
        match name {
            "kill" => libc::syscall(libc::SYS_kill, number, 0),
            "kill-all" => libc::syscall(libc::SYS_kill, -1, 0),
            "trace" => libc::syscall(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0),
            "peek" => libc::syscall(libc::SYS_process_vm_readv, number, ptr::null::<u8>(), 0, ptr::null::<u8>(), 0, 0),
            "mount" => libc::syscall(
                libc::SYS_mount,
                c"none".as_ptr(),
                c"/tmp".as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                ptr::null::<u8>(),
            ),
            "unmount" => libc::syscall(libc::SYS_umount2, c"/home".as_ptr(), libc::MNT_DETACH),
            "unshare" => libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUSER),
            "namespace" => libc::syscall(libc::SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD, 0, 0, 0, 0),
            "fork" => child(libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)),
            "vfork" => {
                child(libc::syscall(libc::SYS_clone, libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, 0, 0, 0, 0))
            }
            "shared-memory" => {
                let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
                let at = libc::mmap(ptr::null_mut(), 1 << 20, access, kind, -1, 0);
                if at == libc::MAP_FAILED { -1 } else { 0 }
            }
            "memory-file" => libc::syscall(libc::SYS_memfd_create, c"hoard".as_ptr(), 0),
            "segment" => libc::syscall(libc::SYS_shmget, libc::IPC_PRIVATE, 1 << 20, libc::IPC_CREAT | 0o600),
            "more-memory" | "more-threads" | "larger-files" => {
                let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
                let which = match name {
                    "more-memory" => libc::RLIMIT_AS,
                    "more-threads" => libc::RLIMIT_NPROC,
                    _ => libc::RLIMIT_FSIZE,
                };
                libc::setrlimit(which, &raw const limit).into()
            }
            "root" => libc::syscall(libc::SYS_setuid, 0),
            "chroot" => libc::syscall(libc::SYS_chroot, text.as_ptr()),
            "device" => libc::syscall(libc::SYS_mknodat, libc::AT_FDCWD, text.as_ptr(), libc::S_IFBLK | 0o666, 0x800),
            "keys" => libc::syscall(libc::SYS_keyctl, 0, 0, 0),
            "bpf" => libc::syscall(libc::SYS_bpf, 0, ptr::null::<u8>(), 0),
            "ring" => libc::syscall(libc::SYS_io_uring_setup, 1, ptr::null::<u8>()),
            "vsock" => libc::syscall(libc::SYS_socket, libc::AF_VSOCK, libc::SOCK_STREAM, 0),
            "netlink" => libc::syscall(libc::SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0),
            "descriptors" => return Ok(format!("{:?}", open_descriptors())),
            _ => return Err(io::Error::other("an attempt nobody has thought of")),
        }
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result.to_string()) }
}
