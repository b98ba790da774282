//! Taking the one TCP port.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::error::ServeError;

/// Listens, or says why not and what to do.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| {
        let (why, mend) = match source.kind() {
            ErrorKind::AddrInUse => (
                "another program has this port",
                "`ss -ltnp` names it: stop it, or choose another port with --listen (or FREEHOLD_LISTEN, or the key `listen`)",
            ),
            ErrorKind::PermissionDenied => (
                "ports below 1024 need a right this user does not have",
                "Choose a port from 1024 up with --listen, or put something in front that has port 80 or 443",
            ),
            ErrorKind::AddrNotAvailable => {
                ("this machine does not have that address", "`ip address` shows the ones it has; 127.0.0.1 is always there")
            }
            _ => ("the system refused", "Choose another address with --listen"),
        };
        ServeError::Listen { address, why, mend, source }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[tokio::test]
    async fn a_taken_port_says_what_to_change() {
        let first = super::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let refused = super::bind(first.local_addr().unwrap()).await.unwrap_err().to_string();
        assert!(refused.contains("another program has this port") && refused.contains("--listen"), "{refused}");
    }
}
