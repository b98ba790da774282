//! Files that arrive in parts.
//!
//! Every part is an object named by where it begins, so what has arrived can be read off a listing and needs no
//! record of its own: the upload stands where the unbroken row of parts from 0 ends. A part whose stream broke off is
//! kept as far as it came. Finishing joins the parts; its outcome is noted before they go, so it can be asked twice.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use export_format::digest::Tally;
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BATCH, Blob, Blobs, blocking, stream, took};
use crate::store::bucket::Listed;
use crate::store::error::Error;
use crate::store::name::check;

/// A part is closed when it has this many bytes, so that a broken stream loses little.
const PART: u64 = 8 << 20;

/// The outcome of a finished upload.
#[derive(Serialize, Deserialize)]
struct Done {
    digest: export_format::Digest,
    size: u64,
    crc32: u32,
}

impl Blobs {
    /// Begins an upload; one that has begun already goes on where it stands.
    pub async fn upload_begin(&self, id: &str) -> Result<u64, Error> {
        check(id)?;
        let begun = format!("{}begun", folder(id));
        self.inner.bucket.put(&begun, Bytes::new()).await?;
        self.upload_offset(id).await
    }

    /// Where an upload stands: how many bytes have safely arrived.
    pub async fn upload_offset(&self, id: &str) -> Result<u64, Error> {
        check(id)?;
        let lines = self.inner.bucket.list(&folder(id)).await?;
        if lines.is_empty() {
            return Err(missing(id));
        }
        if let Some(done) = self.done(id).await? {
            return Ok(done.size);
        }
        Ok(row(id, lines).last().map_or(0, |(at, size)| at + size))
    }

    /// Takes more bytes from `offset` on; returns where the upload stands then. When the stream breaks off, the error
    /// is [`Error::Interrupted`], and what came before is kept.
    pub async fn upload_part<S>(&self, id: &str, offset: u64, bytes: S) -> Result<u64, Error>
    where
        S: Stream<Item = io::Result<Bytes>>,
    {
        let at = self.upload_offset(id).await?;
        if at != offset {
            return Err(Error::WrongOffset { at, asked: offset });
        }
        let mut bytes = std::pin::pin!(bytes);
        let mut at = offset;
        loop {
            let mut writer = self.inner.bucket.writer().await?;
            let (mut held, mut batch, mut unwritten) = (0, Vec::new(), 0);
            let broken = loop {
                match bytes.next().await {
                    Some(Ok(piece)) => {
                        held += piece.len() as u64;
                        unwritten += piece.len();
                        batch.push(piece);
                        if unwritten >= BATCH {
                            writer.write(std::mem::take(&mut batch)).await?;
                            unwritten = 0;
                        }
                        if held >= PART {
                            break None;
                        }
                    }
                    Some(Err(e)) => break Some(Err(Error::Interrupted(std::sync::Arc::new(e)))),
                    None => break Some(Ok(())),
                }
            };
            if held > 0 {
                writer.write(batch).await?;
                writer.commit(part(id, at)).await?;
                at += held;
            } else {
                writer.abort().await;
            }
            match broken {
                None => {}
                Some(Ok(())) => return Ok(at),
                Some(Err(error)) => return Err(error),
            }
        }
    }

    /// Makes a file of all that arrived. May be asked again after a crash, until [`Blobs::upload_abort`].
    pub async fn upload_finish(&self, id: &str) -> Result<Blob, Error> {
        check(id)?;
        if let Some(Done { digest, size, crc32 }) = self.done(id).await? {
            return Ok(Blob { digest, size, crc32 });
        }
        let bucket = &self.inner.bucket;
        let lines = bucket.list(&folder(id)).await?;
        if lines.is_empty() {
            return Err(missing(id));
        }
        let parts = row(id, lines);
        let (mut writer, mut tally) = (bucket.writer().await?, Tally::new());
        for (at, size) in &parts {
            let mut pieces = std::pin::pin!(stream(bucket.clone(), part(id, *at), 0..*size));
            while let Some(piece) = pieces.next().await {
                let piece = piece?;
                let counted = piece.clone();
                tally = blocking(move || Ok(took(tally, &[counted]))).await?;
                writer.write(vec![piece]).await?;
            }
        }
        let blob = self.keep(writer, tally).await?;
        let done = Done { digest: blob.digest, size: blob.size, crc32: blob.crc32 };
        let note = serde_json::to_vec(&done).expect("an outcome is plain data");
        bucket.put(&done_key(id), note.into()).await?;
        for (at, _) in parts {
            bucket.delete(&part(id, at)).await?;
        }
        Ok(blob)
    }

    /// All uploads that something is kept of, and when it was last added to.
    pub async fn uploads(&self) -> Result<Vec<(String, Timestamp)>, Error> {
        let mut all: BTreeMap<String, Timestamp> = BTreeMap::new();
        for line in self.inner.bucket.list("upload/").await? {
            let Some((_, id, _)) = split(&line.key) else { continue };
            let touched = all.entry(id.to_owned()).or_insert(line.modified);
            *touched = line.modified.max(*touched);
        }
        Ok(all.into_iter().collect())
    }

    /// Forgets an upload, finished or not; the file it became stays.
    pub async fn upload_abort(&self, id: &str) -> Result<(), Error> {
        check(id)?;
        // The outcome goes last: without it, parts left by a crash would look like a new upload.
        let mut lines = self.inner.bucket.list(&folder(id)).await?;
        lines.sort_by_key(|line| line.key == done_key(id));
        for line in lines {
            self.inner.bucket.delete(&line.key).await?;
        }
        Ok(())
    }

    async fn done(&self, id: &str) -> Result<Option<Done>, Error> {
        let key = done_key(id);
        let Some((note, _)) = self.inner.bucket.get(&key).await? else { return Ok(None) };
        serde_json::from_slice(&note).map(Some).map_err(|e| Error::damaged(&key, e))
    }
}

/// `upload`, the id and the rest of a key.
fn split(key: &str) -> Option<(&str, &str, &str)> {
    let (root, rest) = key.split_once('/')?;
    let (id, rest) = rest.split_once('/')?;
    Some((root, id, rest))
}

fn folder(id: &str) -> String {
    format!("upload/{id}/")
}

fn part(id: &str, at: u64) -> String {
    format!("{}part-{at:016x}", folder(id))
}

fn done_key(id: &str) -> String {
    format!("{}done", folder(id))
}

fn missing(id: &str) -> Error {
    Error::Missing { what: "upload", name: id.to_owned() }
}

/// The unbroken row of parts from 0: where each begins and how long it is.
fn row(id: &str, lines: Vec<Listed>) -> Vec<(u64, u64)> {
    let prefix = format!("{}part-", folder(id));
    let begin = |line: &Listed| u64::from_str_radix(line.key.strip_prefix(&prefix)?, 16).ok();
    let mut parts: Vec<_> = lines.iter().filter_map(|line| Some((begin(line)?, line.size))).collect();
    parts.sort_unstable();
    let mut next = 0;
    parts.retain(|(at, size)| {
        let fits = *at == next;
        next += if fits { *size } else { 0 };
        fits
    });
    parts
}
