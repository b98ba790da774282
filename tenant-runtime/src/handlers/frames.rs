//! The frames of [`super::wire`] for whoever waits for other things as well.

use std::io;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::wire;

/// Reads one message; nothing where the other end has hung up.
pub(super) async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
    let mut head = [0; 4];
    match from.read_exact(&mut head).await {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let mut bytes = vec![0; wire::length(head)?];
    from.read_exact(&mut bytes).await?;
    wire::message(&bytes).map(Some)
}
