//! The public port: it takes connections, within bounds, and has each of their requests answered.
//!
//! Whoever opens a connection may be anybody. So a head must come soon and be of bounded size, a body must keep coming
//! ([`Pace`]), connections are counted ([`super::lines`]), and an answer that nobody fetches is given up by the system
//! (`TCP_USER_TIMEOUT`), which also finds out that a client is gone without having said so.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use http::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::client::Trusted;
use super::lines::{Full, Line, Lines, Order, Place};
use super::proxy::Gateway;
use super::upload::Pace;

/// The largest head of a request that is read; beyond it the answer is 431.
const LARGEST_HEAD: usize = 32 << 10;

/// The buffers of one connection grow up to this.
const LARGEST_BUFFER: usize = 256 << 10;

/// How long an answer may wait for a client that takes none of it.
const UNFETCHED: Duration = Duration::from_secs(300);

/// When the system asks whether an idle client is still there.
const ASKS_AFTER: Duration = Duration::from_secs(60);

/// What holds for connections to the public port.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The proxies whose word on a client's address is taken.
    pub trusted: Trusted,
    /// The most connections at a time.
    pub most: usize,
    /// The most of one client; a trusted proxy may have any number.
    pub most_per_client: usize,
    /// How long a new connection may take to ask for something.
    pub head: Duration,
    /// How long a connection may wait for its next request.
    pub idle: Duration,
    /// The slowest a body may come.
    pub pace: Pace,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            trusted: Trusted::default(),
            most: 8_000,
            most_per_client: 500,
            head: Duration::from_secs(20),
            idle: Duration::from_secs(75),
            pace: Pace { bytes: 16 << 10, time: Duration::from_secs(60) },
        }
    }
}

/// Who asks: their line, and its place.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) line: Arc<Line>,
    _place: Arc<Place>,
}

impl Caller {
    /// The client's own address, with a port that means nothing when a proxy told it.
    pub(super) fn client(&self, rules: &Rules, headers: &HeaderMap) -> SocketAddr {
        match self.line.trusted {
            true => SocketAddr::new(rules.trusted.client(self.line.peer.ip(), headers), 0),
            false => self.line.peer,
        }
    }
}

struct Port {
    gateway: Gateway,
    console: Router,
    rules: Rules,
}

impl Gateway {
    /// Serves the public port until `stop` resolves and what is open has finished. Dropped, it cuts all lines.
    pub async fn serve(self, listener: TcpListener, console: Router, rules: Rules, stop: impl Future<Output = ()>) {
        let port = Arc::new(Port { gateway: self, console, rules });
        let lines = Arc::new(Lines::default());
        let _cut_at_last = CutAll(&lines);
        tokio::select! {
            () = port.accept(listener, &lines) => {}
            () = lines.keep_sweeping(&port.rules) => {}
            () = stop => {}
        }
        lines.tell_all(Order::Finish);
        lines.all_ended().await;
    }
}

struct CutAll<'a>(&'a Lines);

impl Drop for CutAll<'_> {
    fn drop(&mut self) {
        self.0.tell_all(Order::Cut);
    }
}

impl Port {
    async fn accept(self: &Arc<Self>, listener: TcpListener, lines: &Arc<Lines>) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => match lines.admit(peer, &self.rules) {
                    Ok(place) => {
                        settle(&stream);
                        tokio::spawn(Arc::clone(self).carry(stream, place));
                    }
                    Err(full) => refuse(&stream, full),
                },
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(cause = %error, "no connection could be accepted");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    /// Carries one connection from its first byte to its last.
    async fn carry(self: Arc<Self>, stream: TcpStream, place: Place) {
        let caller = Caller { line: Arc::clone(&place.line), _place: Arc::new(place) };
        let line = Arc::clone(&caller.line);
        let service = service_fn(move |request| {
            let (port, caller) = (Arc::clone(&self), caller.clone());
            async move { Ok::<_, Infallible>(port.gateway.answer(request, &port.console, &port.rules, &caller).await) }
        });
        let mut http = http1::Builder::new();
        http.max_header_size(LARGEST_HEAD).max_buf_size(LARGEST_BUFFER).header_read_timeout(None);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
        let mut finishing = false;
        poll_fn(|cx| {
            loop {
                // How a connection ends is the client's affair; its requests have been answered or have told why not.
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                match line.order(cx) {
                    Order::Cut => return Poll::Ready(()),
                    Order::Finish if !finishing => {
                        finishing = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    Order::GoOn | Order::Finish => return Poll::Pending,
                }
            }
        })
        .await;
    }
}

/// Asks the system for what suits a connection to a person. One that cannot have it works all the same.
fn settle(stream: &TcpStream) {
    use rustix::net::sockopt;
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, ASKS_AFTER);
    let _ = sockopt::set_tcp_user_timeout(stream, u32::try_from(UNFETCHED.as_millis()).unwrap_or(u32::MAX));
}

/// Says in one packet why a connection is not taken; there is no task to say more, which is the point.
fn refuse(stream: &TcpStream, full: Full) {
    let (status, words) = match full {
        Full::ForThisClient => (
            "429 Too Many Requests",
            "Too many connections come from your network. Close some, or try again in a moment.",
        ),
        Full::Everywhere => {
            ("503 Service Unavailable", "Everything is taken just now. Nothing is lost; try again in a moment.")
        }
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nretry-after: 5\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{words}",
        words.len()
    );
    let _ = stream.try_write(answer.as_bytes());
}

fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
