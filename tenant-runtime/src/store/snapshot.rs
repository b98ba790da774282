//! Snapshots: a copied head, which keeps every object it names from being deleted.
//!
//! Taking one costs one small object however large the home is, and happens between two groups of writes, so it is
//! consistent by nature. Opening one lays its database down in the cache as a file of its own; the live home is not
//! touched by that, and need not even be awake.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::Connection;

use super::bucket::{Bucket, Expect, Put};
use super::content::Content;
use super::error::Error;
use super::head::Head;
use super::keeper::Keeper;
use super::name;
use super::options::Options;
use super::segment::PAGE;
use super::{checkpoint, exchange, garbage, sweep, wake};

const FOLDER: &str = "snap/";

/// How often a head is offered where there is none.
const ATTEMPTS: u32 = 4;

/// What is known about a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its name.
    pub name: String,
    /// When it was taken, in Unix milliseconds, by the clock of the host that took it.
    pub at_ms: i64,
    /// How many groups of writes the home had seen.
    pub seq: u64,
    /// The size of its database.
    pub database_bytes: u64,
}

impl SnapshotInfo {
    fn of(name: &str, head: &Head) -> Self {
        let database_bytes = u64::from(head.pages) * PAGE as u64;
        Self { name: name.to_owned(), at_ms: head.taken_ms.unwrap_or_default(), seq: head.seq, database_bytes }
    }
}

/// An open snapshot; its local copy goes when the last clone is dropped.
#[derive(Clone)]
pub struct Snapshot {
    content: Arc<Content>,
    info: SnapshotInfo,
}

impl Snapshot {
    /// Opens a snapshot from the bucket alone. `cache` is a folder that may be lost.
    pub async fn open(bucket: &Bucket, cache: &Path, name: &str, options: Options) -> Result<Self, Error> {
        Self::of(bucket, cache, name, head(bucket, name).await?, options).await
    }

    /// Opens a stage for reading, as it was last published.
    pub(super) async fn open_staged(
        bucket: &Bucket,
        cache: &Path,
        name: &str,
        options: Options,
    ) -> Result<Self, Error> {
        Self::of(bucket, cache, name, exchange::staged(bucket, name).await?, options).await
    }

    async fn of(bucket: &Bucket, cache: &Path, name: &str, head: Head, options: Options) -> Result<Self, Error> {
        let content = Arc::new(Content::open(wake::new_folder(cache), options, bucket)?);
        content.doom();
        wake::lay_down(bucket, &head, &content).await?;
        content.seal()?;
        Ok(Self { content, info: SnapshotInfo::of(name, &head) })
    }

    /// What is known about it.
    #[must_use]
    pub fn info(&self) -> &SnapshotInfo {
        &self.info
    }

    /// Runs `f` on the snapshot.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.content.read(f, || ()).await?.0
    }
}

/// All snapshots, oldest first.
pub(super) async fn all(bucket: &Bucket) -> Result<Vec<SnapshotInfo>, Error> {
    let mut found = Vec::new();
    for line in bucket.list(FOLDER).await? {
        let Some((body, _)) = bucket.get(&line.key).await? else { continue };
        let name = line.key.strip_prefix(FOLDER).unwrap_or(&line.key);
        found.push(SnapshotInfo::of(name, &Head::decode(&line.key, &body)?));
    }
    found.sort_by(|a, b| (a.at_ms, &a.name).cmp(&(b.at_ms, &b.name)));
    Ok(found)
}

/// The names of all snapshots, and since when each is kept, by the bucket's clock.
pub(super) async fn since(bucket: &Bucket) -> Result<Vec<(String, Timestamp)>, Error> {
    let all = bucket.list(FOLDER).await?.into_iter();
    Ok(all.filter_map(|line| Some((line.key.strip_prefix(FOLDER)?.to_owned(), line.modified))).collect())
}

/// The head of a snapshot.
pub(super) async fn head(bucket: &Bucket, name: &str) -> Result<Head, Error> {
    let found = find(bucket, name).await?;
    found.ok_or_else(|| Error::Missing { what: "snapshot", name: name.to_owned() })
}

/// The head of a snapshot, if there is one of that name.
pub(super) async fn find(bucket: &Bucket, name: &str) -> Result<Option<Head>, Error> {
    name::check(name)?;
    let key = key(name);
    bucket.get(&key).await?.map(|(body, _)| Head::decode(&key, &body)).transpose()
}

/// Writes a head down as a snapshot. Error: [`Error::Taken`].
async fn keep(bucket: &Bucket, name: &str, mut head: Head) -> Result<SnapshotInfo, Error> {
    head.retired.clear();
    if write_once(bucket, &key(name), head.encode()).await? {
        Ok(SnapshotInfo::of(name, &head))
    } else {
        Err(Error::Taken { what: "snapshot", name: name.to_owned() })
    }
}

/// Writes a head where there is none; false when there is another. A plain write would not do: one whose answer was late
/// may land once more after what it wrote has been replaced, and would bring the former head back.
pub(super) async fn write_once(bucket: &Bucket, key: &str, body: Bytes) -> Result<bool, Error> {
    let mut pause = Duration::from_millis(20);
    for attempt in 1.. {
        let error = match bucket.put_if(key, body.clone(), &Expect::Absent).await {
            Ok(Put::Done(_)) => return Ok(true),
            Ok(Put::Refused) => Error::Unsettled,
            Err(error) => error,
        };
        match bucket.get(key).await? {
            Some((found, _)) => return Ok(found == body),
            None if attempt < ATTEMPTS && !error.is_definite() => tokio::time::sleep(pause).await,
            None => return Err(error),
        }
        pause *= 2;
    }
    Err(Error::Unsettled)
}

pub(super) fn key(name: &str) -> String {
    format!("{FOLDER}{name}")
}

impl Keeper {
    /// Takes a snapshot of the published state.
    pub(super) async fn snapshot(&mut self, name: &str, undo_of: Option<String>) -> Result<SnapshotInfo, Error> {
        name::check(name)?;
        self.resolve().await?;
        let mut head = self.head.clone();
        head.taken_ms = Some(self.options.clock.now().as_millisecond());
        head.undo_of = undo_of;
        head.departed = None;
        self.keep_snapshot(name, head).await
    }

    /// Keeps a head as a snapshot, while we own the home: what a superseded owner's head names, the next one may have
    /// deleted already.
    pub(super) async fn keep_snapshot(&mut self, name: &str, head: Head) -> Result<SnapshotInfo, Error> {
        self.note_head(&head).await?;
        let kept = keep(&self.bucket, name, head).await?;
        match self.confirm().await {
            Err(Error::Fenced) => {
                // If that fails, it is one more that can be dropped by name.
                self.bucket.delete(&key(name)).await.ok();
                Err(Error::Fenced)
            }
            end => end.map(|()| kept),
        }
    }

    /// Drops a snapshot; what only it named is deleted in time.
    pub(super) async fn drop_snapshot(&mut self, name: &str) -> Result<(), Error> {
        let gone = head(&self.bucket, name).await?;
        self.resolve().await?;
        self.head.undos.retain(|undo| undo != name); // Published below, or with whatever comes next.
        self.forget_head(&key(name), &gone).await
    }

    /// Removes another head than our own, noting first what it named; where the past is kept, as a tombstone.
    pub(super) async fn forget_head(&mut self, key: &str, gone: &Head) -> Result<(), Error> {
        self.resolve().await?;
        if self.options.history.is_some() {
            return sweep::bury(&self.bucket, key).await;
        }
        let mut keys = garbage::named(&self.bucket, gone).await?;
        for kept in garbage::named(&self.bucket, &self.head).await? {
            keys.remove(&kept);
        }
        keys.extend(gone.retired.iter().map(|old| old.key.clone()));
        if !keys.is_empty() {
            let mut head = self.head.clone();
            checkpoint::retire(&mut head, keys);
            self.publish(head).await?;
        }
        self.bucket.delete(key).await?;
        self.collect().await;
        Ok(())
    }
}
