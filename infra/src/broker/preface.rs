//! The first line of a connection, by which the launcher says for which server it is.

use std::io;

use tenant_runtime::ids::ServerId;
use tenant_runtime::store::bucket::wire::PREFACE;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest line.
const LONGEST: usize = 80;

/// The line for a server.
pub(crate) fn preface(server: ServerId) -> String {
    format!("{PREFACE}{server}\n")
}

/// Reads the line, and not a byte more: the rest is the runtime's.
pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<ServerId> {
    let mut line = Vec::with_capacity(LONGEST);
    loop {
        match from.read_u8().await? {
            b'\n' => break,
            byte if line.len() < LONGEST => line.push(byte),
            _ => return Err(io::Error::other("its first line has no end")),
        }
    }
    let named = std::str::from_utf8(&line).ok().and_then(|line| line.strip_prefix(PREFACE));
    named.and_then(|name| name.parse().ok()).ok_or_else(|| io::Error::other("its first line names no server"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_names_one_server_and_nothing_after_it_is_taken() {
        let server = ServerId::new(7);
        let text = format!("{}PRI", preface(server));
        let mut from = text.as_bytes();
        assert_eq!(read(&mut from).await.expect("a line"), server);
        assert_eq!(from, b"PRI");
        for bad in ["", "\n", "freehold-storage 2 x\n", "freehold-storage 1 ../x\n", &"x".repeat(500)] {
            assert!(read(&mut bad.as_bytes()).await.is_err(), "{bad:?} was taken");
        }
    }
}
