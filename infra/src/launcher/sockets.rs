//! The two listening sockets of one server. They outlive every runtime, and with them the connections that wait.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use tenant_runtime::ids::ServerId;

use crate::isolation::out_of_reach;

/// How many connections may wait; the system's own limit is usually lower.
const QUEUE: i32 = 4096;

/// The gateway's socket within a server's folder.
const PUBLIC: &str = "public";

/// The control plane's socket within a server's folder.
const ADMIN: &str = "admin";

/// The longest path of a socket, in bytes.
const LONGEST: usize = 107;

/// The longest run folder below which every server's sockets fit.
pub(crate) const LONGEST_RUN_DIR: usize = LONGEST - "/srv_".len() - 32 - "/public".len();

/// A server's folder of sockets.
fn folder(run_dir: &Path, server: ServerId) -> PathBuf {
    run_dir.join(server.to_string())
}

/// Where the gateway reaches a server.
pub(crate) fn public(run_dir: &Path, server: ServerId) -> PathBuf {
    folder(run_dir, server).join(PUBLIC)
}

/// Where the control plane reaches a server.
pub(crate) fn admin(run_dir: &Path, server: ServerId) -> PathBuf {
    folder(run_dir, server).join(ADMIN)
}

/// Both sockets, listening.
#[derive(Debug)]
pub(super) struct Sockets {
    folder: PathBuf,
    pub(super) public: OwnedFd,
    pub(super) admin: OwnedFd,
}

impl Sockets {
    /// Makes both, in place of any that a former run left.
    pub(super) fn listen(run_dir: &Path, server: ServerId) -> io::Result<Self> {
        let folder = folder(run_dir, server);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self { public: listen_at(&folder.join(PUBLIC))?, admin: listen_at(&folder.join(ADMIN))?, folder })
    }

    /// Removes the server's folder.
    pub(super) fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

fn listen_at(path: &Path) -> io::Result<OwnedFd> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    listen(&socket, QUEUE)?;
    out_of_reach(socket.as_fd())
}
