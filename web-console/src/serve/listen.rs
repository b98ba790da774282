//! Taking the one TCP port, and what holds for the connections to it.

use std::io::ErrorKind;
use std::net::SocketAddr;

use control_plane::gateway::Rules;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;

use super::error::ServeError;
use crate::config::Config;

/// Descriptors that are kept for everything but connections: databases, sockets of servers, files that are read.
const OTHERS: u64 = 512;

/// What holds for connections: as configured, and no more of them than this process can have.
pub(super) fn rules(config: &Config) -> Rules {
    let bearable = bearable(raised_limit());
    if config.connections > bearable {
        tracing::warn!(
            wanted = config.connections,
            possible = bearable,
            "fewer connections are taken than `connections.most` says: raise the limit on open files (`ulimit -n`, LimitNOFILE)"
        );
    }
    Rules {
        trusted: config.trusted_proxies.clone(),
        most: config.connections.min(bearable),
        most_per_client: config.connections_per_client,
        ..Rules::default()
    }
}

/// A connection has a descriptor here and, while something is asked for, one to the server.
fn bearable(files: u64) -> usize {
    usize::try_from(files.saturating_sub(OTHERS) / 2).unwrap_or(usize::MAX).max(64)
}

/// How many files this process may have open, after raising that to what the system allows it.
fn raised_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // One that cannot be raised is the one we have.
    let now = setrlimit(Resource::Nofile, wanted).map_or(limit.current, |()| limit.maximum);
    now.unwrap_or(u64::MAX)
}

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

    #[test]
    fn two_descriptors_a_connection_and_some_for_the_rest() {
        assert_eq!(super::bearable(20_512), 10_000);
        assert_eq!(super::bearable(256), 64);
    }

    #[tokio::test]
    async fn a_taken_port_says_what_to_change() {
        let first = super::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let refused = super::bind(first.local_addr().unwrap()).await.unwrap_err().to_string();
        assert!(refused.contains("another program has this port") && refused.contains("--listen"), "{refused}");
    }
}
