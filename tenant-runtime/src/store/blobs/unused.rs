//! Files nobody refers to any more, kept for as long as the past may need them.
//!
//! A file that a round finds unreferenced gets a tombstone: an object as old as that finding, which names the last moment
//! there was then. While it stands, no moment since then refers to the file; so when it is as old as the window, no moment of the window does. Storing the
//! file again, and going back to a moment at which it was in use, take the tombstone away. A file just stored has none
//! for a grace time, for its row may not be written yet. Ages are told by the bucket's clock, moments by the host's.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use export_format::Digest;
use jiff::Timestamp;

use super::{Blobs, FOLDER, Swept, key};
use crate::store::error::Error;

const TOMBSTONES: &str = "unused/";

/// So many files may always go at once; otherwise no more than half of all.
const FEW: usize = 64;

/// How long unreferenced files are kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// For as long as this.
    pub window: Duration,
    /// But no more bytes than this; the longest unused go first.
    pub bytes: u64,
    /// In any case for so long.
    pub grace: Duration,
    /// The last moment of the home before the references were gathered, in Unix milliseconds.
    pub moment_ms: i64,
}

/// Files to be removed.
#[derive(Clone, Debug, Default)]
pub struct Unused {
    digests: Vec<Digest>,
    /// When they are gone, moments before this one, in Unix milliseconds, lack some of them.
    pub from_ms: Option<i64>,
    /// Bytes of unreferenced files that are kept.
    pub kept_bytes: u64,
    /// Files that could go and will another time, because so many at once are suspicious.
    pub put_off: u64,
    spared: u64,
}

impl Blobs {
    /// Notes which files are not in `referenced`, and says which of them may go. Nothing is removed.
    ///
    /// The caller gathers the references of the live database and of every snapshot and stage.
    pub async fn unused(&self, referenced: &HashSet<Digest>, keep: &Keep) -> Result<Unused, Error> {
        let bucket = &self.inner.bucket;
        let since: BTreeMap<String, Timestamp> =
            bucket.list(TOMBSTONES).await?.into_iter().map(|line| (line.key, line.modified)).collect();
        let now = bucket.now().await?;
        let (mut found, mut all) = (Unused::default(), 0);
        let mut waiting = Vec::new();
        for line in bucket.list(FOLDER).await? {
            let Some(digest) = line.key.strip_prefix(FOLDER).and_then(|name| name.parse::<Digest>().ok()) else {
                continue;
            };
            all += 1;
            let stone = tombstone(&digest);
            match since.get(&stone) {
                Some(_) if referenced.contains(&digest) => bucket.delete(&stone).await?,
                None if referenced.contains(&digest) => {}
                Some(since) if line.modified <= *since => waiting.push((*since, digest, line.size)),
                _ if line.modified > now - keep.grace => found.spared += 1,
                _ => {
                    bucket.put(&stone, keep.moment_ms.to_string().into()).await?;
                    waiting.push((now, digest, line.size));
                }
            }
        }
        waiting.sort_unstable_by_key(|(since, ..)| *since);
        let most = (all / 2).max(FEW);
        let mut bytes: u64 = waiting.iter().map(|(_, _, size)| size).sum();
        let mut last_needed = None;
        for (since, digest, size) in waiting {
            let is_over = since <= now - keep.window.max(keep.grace);
            let is_too_much = bytes > keep.bytes && since <= now - keep.grace;
            if !is_over && !is_too_much {
                continue;
            }
            if found.digests.len() >= most {
                found.put_off += 1;
                continue;
            }
            if !is_over {
                last_needed = Some((digest, since));
            }
            bytes -= size;
            found.digests.push(digest);
        }
        found.kept_bytes = bytes;
        if let Some((digest, since)) = last_needed {
            let told = bucket.get(&tombstone(&digest)).await?;
            let moment = told.and_then(|(body, _)| std::str::from_utf8(&body).ok()?.parse().ok());
            found.from_ms = Some(moment.unwrap_or(since.as_millisecond()));
        }
        Ok(found)
    }

    /// Removes files that [`Blobs::unused`] named, unless they came into use meanwhile.
    pub async fn remove(&self, unused: Unused) -> Result<Swept, Error> {
        let bucket = &self.inner.bucket;
        let mut swept = Swept { spared: unused.spared, ..Swept::default() };
        for digest in unused.digests {
            let _going = self.inner.going.write().await;
            let (stone, blob) = (bucket.stat(&tombstone(&digest)).await?, bucket.stat(&key(&digest)).await?);
            match (stone, blob) {
                (Some(stone), Some(blob)) if blob.modified <= stone.modified => {
                    bucket.delete(&blob.key).await?;
                    bucket.delete(&stone.key).await?;
                    swept.files += 1;
                    swept.bytes += blob.size;
                    self.less(blob.size);
                }
                _ => swept.spared += 1,
            }
        }
        Ok(swept)
    }

    /// Says that a file is about to be referred to again; whether it is here.
    pub async fn claim(&self, digest: &Digest) -> Result<bool, Error> {
        let _nothing_goes = self.inner.going.read().await;
        self.inner.bucket.delete(&tombstone(digest)).await?;
        Ok(self.inner.bucket.stat(&key(digest)).await?.is_some())
    }

    /// Forgets since when files are unused; to be called before another state takes over, which may refer to them.
    pub async fn all_in_use_again(&self) -> Result<(), Error> {
        let _nothing_goes = self.inner.going.read().await;
        for line in self.inner.bucket.list(TOMBSTONES).await? {
            self.inner.bucket.delete(&line.key).await?;
        }
        Ok(())
    }
}

fn tombstone(digest: &Digest) -> String {
    format!("{TOMBSTONES}{digest}")
}
