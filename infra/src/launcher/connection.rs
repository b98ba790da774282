//! Connecting a server to the broker of its storage and to the way outside, which its runtime could not do itself: it has no
//! sockets to make.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect as connect_to, socket_with};
use tenant_runtime::ids::ServerId;

use crate::broker::preface;

/// A connection on which the host answers for this server. Waits for nothing: a host too busy to take another
/// connection is an error, and the server is tried again later.
pub(super) fn connect(socket: &Path, server: ServerId) -> io::Result<OwnedFd> {
    let naming = |e: io::Error| io::Error::new(e.kind(), format!("connecting to the host: {e}"));
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let connection = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect_to(&connection, &SocketAddrUnix::new(socket)?).map_err(|e| naming(e.into()))?;
    let line = preface(server);
    // An empty socket takes so few bytes whole.
    match rustix::io::write(&connection, line.as_bytes()) {
        Ok(count) if count == line.len() => Ok(connection),
        Ok(_) => Err(naming(io::ErrorKind::WriteZero.into())),
        Err(e) => Err(naming(e.into())),
    }
}
