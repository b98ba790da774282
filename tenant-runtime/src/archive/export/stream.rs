//! Any range of an archive as a stream, a little at a time in memory.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use export_format::plan::Piece;
use futures::{Stream, StreamExt as _, pin_mut};

use super::frozen::{From, Frozen};
use crate::store::Home;

/// How much of a work file is read at once.
const CHUNK: u64 = 256 * 1024;

/// One piece to be given out.
enum Next {
    Inline(Bytes),
    Stored(From, Range<u64>),
}

/// The bytes of `range`, from wherever each of them lies.
pub fn stream(home: Home, frozen: Arc<Frozen>, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (sender, receiver) = tokio::sync::mpsc::channel::<io::Result<Bytes>>(4);
    tokio::spawn(async move {
        if let Err(error) = give(home, frozen, range, &sender).await {
            // The reader may be gone as well; then there is nobody to tell.
            let _ = sender.send(Err(error)).await;
        }
    });
    tokio_stream::wrappers::ReceiverStream::new(receiver)
}

type Sender = tokio::sync::mpsc::Sender<io::Result<Bytes>>;

async fn give(home: Home, frozen: Arc<Frozen>, range: Range<u64>, sender: &Sender) -> io::Result<()> {
    let documents = Arc::new(frozen.documents().map_err(io::Error::other)?);
    let mut at = range.start;
    while at < range.end {
        let next = next(&frozen, at..range.end)?;
        at += match &next {
            Next::Inline(bytes) => bytes.len() as u64,
            Next::Stored(_, range) => range.end - range.start,
        };
        match next {
            Next::Inline(bytes) => {
                if sender.send(Ok(bytes)).await.is_err() {
                    return Ok(());
                }
            }
            Next::Stored(From::Documents(start), range) => {
                let mut from = start + range.start;
                let end = start + range.end;
                while from < end {
                    let want = CHUNK.min(end - from) as usize;
                    let documents = documents.clone();
                    let chunk = tokio::task::spawn_blocking(move || {
                        let mut chunk = vec![0; want];
                        documents.read_exact_at(&mut chunk, from).map(|()| Bytes::from(chunk))
                    });
                    let chunk = chunk.await.map_err(io::Error::other)??;
                    from += want as u64;
                    if sender.send(Ok(chunk)).await.is_err() {
                        return Ok(());
                    }
                }
            }
            Next::Stored(From::Blob(_), range) if range.is_empty() => {}
            Next::Stored(From::Blob(digest), range) => {
                let mut left = range.end - range.start;
                let blob = home.blobs().get(&digest, range).await.map_err(io::Error::other)?;
                pin_mut!(blob);
                while let Some(chunk) = blob.next().await {
                    let chunk = chunk.map_err(io::Error::other)?;
                    left = left.saturating_sub(chunk.len() as u64);
                    if sender.send(Ok(chunk)).await.is_err() {
                        return Ok(());
                    }
                }
                if left > 0 {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a file ended before its end"));
                }
            }
        }
    }
    Ok(())
}

fn next(frozen: &Frozen, range: Range<u64>) -> io::Result<Next> {
    match frozen.plan().range(range).next() {
        Some(Piece::Inline(bytes)) => Ok(Next::Inline(bytes)),
        Some(Piece::Stored { source, range, .. }) => Ok(Next::Stored(*source, range)),
        None => Err(io::Error::other("the layout of an archive has a gap")),
    }
}
