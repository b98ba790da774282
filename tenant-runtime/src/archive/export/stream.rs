//! Any range of an archive as a stream, a little at a time in memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use export_format::plan::Piece;
use export_format::sealed::Sealer;
use futures::{Stream, StreamExt as _, pin_mut};

use super::frozen::{From, Frozen};
use crate::store::Home;

/// How much of a work file is read at once.
const CHUNK: u64 = 256 * 1024;
/// About by how much sealed bytes may outgrow those that were given to be sealed.
const SLACK: usize = 64 * 1024;

/// One piece to be given out.
enum Next {
    Inline(Bytes),
    Stored(From, Range<u64>),
}

/// The bytes of `range`, from wherever each of them lies.
pub fn stream(home: Home, frozen: Arc<Frozen>, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (sender, receiver) = tokio::sync::mpsc::channel::<io::Result<Bytes>>(4);
    let sealer = frozen.sealed().map(|sealed| sealed.range(range.clone()));
    let range = sealer.as_ref().map_or(range, Sealer::plain);
    let mut out = Out { sender, sealer };
    tokio::spawn(async move {
        if let Err(error) = give(home, frozen, range, &mut out).await {
            // The reader may be gone as well; then there is nobody to tell.
            let _ = out.sender.send(Err(error)).await;
        }
    });
    tokio_stream::wrappers::ReceiverStream::new(receiver)
}

/// Where the bytes go: into the envelope, when there is one, and to whoever reads.
struct Out {
    sender: tokio::sync::mpsc::Sender<io::Result<Bytes>>,
    sealer: Option<Sealer>,
}

impl Out {
    /// Gives bytes out; an error when nobody reads any more.
    async fn send(&mut self, bytes: Bytes) -> Result<(), Gone> {
        let bytes = match &mut self.sealer {
            None => bytes,
            Some(sealer) => {
                let mut sealed = Vec::with_capacity(bytes.len() + 2 * SLACK);
                sealer.push(&bytes, &mut sealed);
                sealed.into()
            }
        };
        if bytes.is_empty() { Ok(()) } else { self.sender.send(Ok(bytes)).await.map_err(|_| Gone) }
    }
}

/// Whoever read went away.
struct Gone;

async fn give(home: Home, frozen: Arc<Frozen>, range: Range<u64>, out: &mut Out) -> io::Result<()> {
    // A range within the envelope's header needs no byte of the archive.
    if out.sealer.is_some() && out.send(Bytes::new()).await.is_err() {
        return Ok(());
    }
    let mut files: BTreeMap<u32, Arc<File>> = BTreeMap::new();
    let mut at = range.start;
    while at < range.end {
        let next = next(&frozen, at..range.end)?;
        at += match &next {
            Next::Inline(bytes) => bytes.len() as u64,
            Next::Stored(_, range) => range.end - range.start,
        };
        match next {
            Next::Inline(bytes) => {
                if out.send(bytes).await.is_err() {
                    return Ok(());
                }
            }
            Next::Stored(From::Documents(file, start), range) => {
                let documents = match files.entry(file) {
                    Entry::Occupied(open) => open.into_mut(),
                    Entry::Vacant(place) => place.insert(Arc::new(frozen.documents(file).map_err(io::Error::other)?)),
                };
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
                    if out.send(chunk).await.is_err() {
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
                    if out.send(chunk).await.is_err() {
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
