//! Files by content: each is one object named by its SHA-256, so equal files are stored once and none ever changes.
//!
//! A file is hashed while it arrives and appears under its name only when it is whole and durable. A large upload may
//! come in parts: each part acknowledged survives a crash, and the sender goes on where the bucket says it stands.
//! Memory stays bounded whatever the size: pieces are passed on as they come and read back in strides.

mod unused;
mod upload;

pub use unused::{Keep, Unused};

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use export_format::Digest;
use export_format::digest::Tally;
use futures::{Stream, StreamExt as _};
use tokio::sync::{OnceCell, RwLock};

use super::bucket::{Bucket, Writer};
use super::error::Error;
use super::pack::blocking;
use super::scrub;

const FOLDER: &str = "blob/";

/// How many bytes are passed on at once.
const BATCH: usize = 256 << 10;

/// A stored file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256 of its content; its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// CRC-32 (IEEE) of its content, for archives.
    pub crc32: u32,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files removed.
    pub files: u64,
    /// Bytes they had.
    pub bytes: u64,
    /// Unreferenced files still within their grace time.
    pub spared: u64,
}

/// The files of a home; clones share them.
#[derive(Clone)]
pub struct Blobs {
    inner: Arc<Inner>,
}

struct Inner {
    bucket: Bucket,
    /// Read while files appear, written while they go or are counted, so that a sweep never removes a file that is being
    /// stored again. Many may appear at once, for each waits until it is on the disk.
    going: RwLock<()>,
    /// All files' bytes, once they have been counted.
    bytes: parking_lot::Mutex<Option<u64>>,
    /// Files that are appearing; of two that are the same one counts.
    appearing: parking_lot::Mutex<HashSet<Digest>>,
    /// Bytes stored since the home was opened.
    stored: AtomicU64,
    /// Files that are known to be something else than their names say.
    damaged: parking_lot::Mutex<HashSet<Digest>>,
    recalled: OnceCell<()>,
}

impl Blobs {
    pub(super) fn new(bucket: Bucket) -> Self {
        let inner = Inner {
            bucket,
            going: RwLock::default(),
            bytes: parking_lot::Mutex::default(),
            appearing: parking_lot::Mutex::default(),
            stored: AtomicU64::new(0),
            damaged: parking_lot::Mutex::default(),
            recalled: OnceCell::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Stores a file; durable when it returns. With a limit, a longer one is refused with [`Error::TooLarge`].
    pub async fn put<S>(&self, stream: S, limit: Option<u64>) -> Result<Blob, Error>
    where
        S: Stream<Item = io::Result<Bytes>>,
    {
        let mut writer = self.inner.bucket.writer().await?;
        match receive(&mut writer, stream, Tally::new(), limit.unwrap_or(u64::MAX)).await {
            Ok(tally) => self.keep(writer, tally).await,
            Err(error) => {
                writer.abort().await;
                Err(error)
            }
        }
    }

    /// Lets a whole file appear under its name.
    async fn keep(&self, writer: Box<dyn Writer>, tally: Tally) -> Result<Blob, Error> {
        let summary = tally.finish();
        let key = key(&summary.digest);
        let _nothing_goes = self.inner.going.read().await;
        let appearing = Appearing::of(&self.inner.appearing, summary.digest);
        let known = appearing.is_none() || self.inner.bucket.stat(&key).await?.is_some();
        writer.commit(key).await?;
        self.inner.damaged.lock().remove(&summary.digest);
        self.inner.stored.fetch_add(summary.size, Ordering::Relaxed);
        if let (Some(bytes), false) = (self.inner.bytes.lock().as_mut(), known) {
            *bytes += summary.size;
        }
        Ok(Blob { digest: summary.digest, size: summary.size, crc32: summary.crc32 })
    }

    /// A range of a file as a stream of pieces; what lies beyond its end is left out.
    ///
    /// A file that is read whole is compared with its name on the way: the last piece comes only when it is right, and
    /// otherwise [`Error::Damaged`], so that nobody takes a damaged file for the file. A short one is compared before its
    /// first piece, whatever part of it is wanted. Of a long one parts cannot be compared; but once it was found
    /// damaged, by a scrub or by whoever read all of it, no part of it is given out until it is whole again.
    pub async fn get(
        &self,
        digest: &Digest,
        range: Range<u64>,
    ) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + use<>, Error> {
        let size = self.size(digest).await?.ok_or_else(|| missing(digest))?;
        let (range, digest) = (range.start..range.end.min(size), *digest);
        let part = range != (0..size);
        if size <= self.inner.bucket.stride() {
            let body = self.whole(&digest, size).await?;
            let piece = body.slice(range.start.min(range.end) as usize..range.end as usize);
            return Ok(futures::stream::iter([Ok(piece)]).boxed());
        }
        if part {
            self.inner.recalled.get_or_try_init(|| self.recall()).await?;
            if self.inner.damaged.lock().contains(&digest) {
                return Err(damaged(&digest));
            }
        }
        let pieces = stream(self.inner.bucket.clone(), key(&digest), range);
        Ok(if part { pieces.boxed() } else { compared(pieces, digest, self.clone()).boxed() })
    }

    /// A short file, compared with its name.
    async fn whole(&self, digest: &Digest, size: u64) -> Result<Bytes, Error> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let body = self.inner.bucket.get_range(&key(digest), 0..size).await?;
        let (found, body) = blocking(move || Ok((Digest::of(&body), body))).await?;
        self.judge(digest, found)?;
        Ok(body)
    }

    /// Whether a file was found to be something else than its name says; remembered until it is found whole.
    fn judge(&self, digest: &Digest, found: Digest) -> Result<(), Error> {
        let mut damaged = self.inner.damaged.lock();
        if found == *digest {
            damaged.remove(digest);
            return Ok(());
        }
        damaged.insert(*digest);
        Err(self::damaged(digest))
    }

    /// Takes up what the last scrub found damaged, perhaps in another run.
    async fn recall(&self) -> Result<(), Error> {
        let care = scrub::noted(&self.inner.bucket).await?;
        let files = care.findings.iter().filter_map(|finding| finding.key.parse::<Digest>().ok());
        self.inner.damaged.lock().extend(files);
        Ok(())
    }

    /// A file's size, or nothing when it is not here.
    pub async fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        Ok(self.inner.bucket.stat(&key(digest)).await?.map(|found| found.size))
    }

    /// What is known about a file, or nothing when it is not here. This reads all of it, for the checksum stands
    /// nowhere else; where the size is enough, ask [`Blobs::size`].
    pub async fn stat(&self, digest: &Digest) -> Result<Option<Blob>, Error> {
        let Some(size) = self.size(digest).await? else { return Ok(None) };
        let mut pieces = std::pin::pin!(stream(self.inner.bucket.clone(), key(digest), 0..size));
        let mut tally = Tally::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            tally = blocking(move || Ok(took(tally, &[piece]))).await?;
        }
        let found = tally.finish();
        self.judge(digest, found.digest)?;
        Ok(Some(Blob { digest: *digest, size, crc32: found.crc32 }))
    }

    /// Bytes stored since the home was opened, those of files that were there already too.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.inner.stored.load(Ordering::Relaxed)
    }

    /// The bytes of all files; counted once, then kept.
    pub(super) async fn bytes(&self) -> Result<u64, Error> {
        let known = *self.inner.bytes.lock();
        if let Some(bytes) = known {
            return Ok(bytes);
        }
        let _nothing_moves = self.inner.going.write().await;
        let all = self.inner.bucket.list(FOLDER).await?;
        let counted = all.iter().map(|line| line.size).sum();
        *self.inner.bytes.lock() = Some(counted);
        Ok(counted)
    }

    /// A file of so many bytes is gone.
    fn less(&self, size: u64) {
        if let Some(bytes) = self.inner.bytes.lock().as_mut() {
            *bytes = bytes.saturating_sub(size);
        }
    }

    /// Removes the files that are not in `referenced` and have not been stored within `grace`.
    ///
    /// The caller gathers the references of the live database *and* of every snapshot and stage. A file stored again
    /// counts as new, so what is just being referred to is never removed.
    pub async fn sweep(&self, referenced: &HashSet<Digest>, grace: Duration) -> Result<Swept, Error> {
        let old = self.inner.bucket.now().await? - grace;
        let mut swept = Swept::default();
        for line in self.inner.bucket.list(FOLDER).await? {
            let digest = line.key.strip_prefix(FOLDER).and_then(|name| name.parse::<Digest>().ok());
            let Some(digest) = digest.filter(|digest| !referenced.contains(digest)) else { continue };
            let _going = self.inner.going.write().await;
            match self.inner.bucket.stat(&key(&digest)).await? {
                Some(found) if found.modified <= old => {
                    self.inner.bucket.delete(&found.key).await?;
                    swept.files += 1;
                    swept.bytes += found.size;
                    self.less(found.size);
                }
                Some(_) => swept.spared += 1,
                None => {}
            }
        }
        Ok(swept)
    }
}

fn key(digest: &Digest) -> String {
    format!("{FOLDER}{digest}")
}

fn missing(digest: &Digest) -> Error {
    Error::Missing { what: "file", name: digest.to_string() }
}

fn damaged(digest: &Digest) -> Error {
    Error::damaged(&key(digest), "its content does not match its name")
}

fn took(mut tally: Tally, pieces: &[Bytes]) -> Tally {
    pieces.iter().for_each(|piece| tally.update(piece));
    tally
}

/// A file that is appearing, until this is dropped.
struct Appearing<'a> {
    all: &'a parking_lot::Mutex<HashSet<Digest>>,
    digest: Digest,
}

impl<'a> Appearing<'a> {
    /// Nothing when the same file is appearing already.
    fn of(all: &'a parking_lot::Mutex<HashSet<Digest>>, digest: Digest) -> Option<Self> {
        let first = all.lock().insert(digest);
        first.then(|| Self { all, digest })
    }
}

impl Drop for Appearing<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.digest);
    }
}

/// Passes a stream on to a writer, a batch at a time, and tallies it.
async fn receive<S>(writer: &mut Box<dyn Writer>, stream: S, mut tally: Tally, limit: u64) -> Result<Tally, Error>
where
    S: Stream<Item = io::Result<Bytes>>,
{
    let mut stream = std::pin::pin!(stream);
    let (mut batch, mut held) = (Vec::new(), 0);
    loop {
        let piece = stream.next().await.transpose().map_err(|e| Error::Interrupted(Arc::new(e)))?;
        let end = piece.is_none();
        if let Some(piece) = piece {
            held += piece.len();
            batch.push(piece);
            if tally.size() + held as u64 > limit {
                return Err(Error::TooLarge { limit });
            }
        }
        if held >= BATCH || (end && held > 0) {
            let pieces = std::mem::take(&mut batch);
            held = 0;
            let counted = pieces.clone();
            tally = blocking(move || Ok(took(tally, &counted))).await?;
            writer.write(pieces).await?;
        }
        if end {
            return Ok(tally);
        }
    }
}

/// The pieces of a whole file; the last one only if together they are what its name says.
fn compared(
    pieces: impl Stream<Item = Result<Bytes, Error>> + Send,
    digest: Digest,
    blobs: Blobs,
) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    let state = Some((Box::pin(pieces), Tally::new(), None::<Bytes>));
    futures::stream::try_unfold((state, blobs), move |(state, blobs)| async move {
        let Some((mut pieces, mut tally, mut held)) = state else { return Ok(None) };
        loop {
            let next = pieces.next().await.transpose()?;
            if let Some(piece) = &next {
                let counted = piece.clone();
                tally = blocking(move || Ok(took(tally, &[counted]))).await?;
            }
            match (held.take(), next) {
                (None, Some(piece)) => held = Some(piece),
                (Some(piece), next @ Some(_)) => {
                    return Ok(Some((piece, (Some((pieces, tally, next)), blobs))));
                }
                (last, None) => {
                    blobs.judge(&digest, tally.finish().digest)?;
                    return Ok(last.map(|piece| (piece, (None, blobs))));
                }
            }
        }
    })
}

/// A range of an object in strides.
fn stream(bucket: Bucket, key: String, range: Range<u64>) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    futures::stream::try_unfold((bucket, key, range), |(bucket, key, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let end = range.end.min(range.start + bucket.stride());
        let piece = bucket.get_range(&key, range.start..end).await?;
        Ok(Some((piece, (bucket, key, end..range.end))))
    })
}
