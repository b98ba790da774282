//! Where a runtime gets its connections from: the host's sockets, or a TCP port during development.

use std::io;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// A listener of either kind.
pub enum Listener {
    /// A socket of the host's.
    Unix(UnixListener),
    /// A port.
    Tcp(TcpListener),
}

/// A connection of either kind, for [`mod@axum::serve`].
pub type Connection = tokio_util::either::Either<UnixStream, TcpStream>;

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = ();

    async fn accept(&mut self) -> (Connection, ()) {
        loop {
            let accepted = match self {
                Self::Unix(listener) => {
                    UnixListener::accept(listener).await.map(|(stream, _)| Connection::Left(stream))
                }
                Self::Tcp(listener) => TcpListener::accept(listener).await.map(|(stream, _)| {
                    // Without delay is a wish; a connection that cannot grant it still works.
                    let _ = stream.set_nodelay(true);
                    Connection::Right(stream)
                }),
            };
            match accepted {
                Ok(connection) => return (connection, ()),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(cause = %error, "no connection could be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
