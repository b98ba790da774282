//! Where a home truly lives: a flat space of objects with one conditional write.
//!
//! Everything the store promises rests on two properties of a bucket: an object is durable when [`Driver::put`] or
//! [`Driver::put_if`] returns, and of two conditional writes against the same version at most one succeeds. All
//! objects but the heads are written once under a name never used before, so repeating a write does no harm; that
//! is why [`Bucket`] retries everything except the conditional write, whose outcome its caller must learn.

mod brokered;
mod directory;
mod objects;
mod served;
pub mod wire;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use jiff::Timestamp;

use super::error::Error;

pub use brokered::Brokered;
pub use directory::Directory;
pub use objects::Objects;
pub use served::serve;

/// The object that is written to learn what time the bucket has.
const CLOCK: &str = "clock";

/// Which content an object had when it was read; a real hash or the store's own entity tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub String);

/// What must be true for a conditional write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no such object.
    Absent,
    /// The object has this version.
    Version(Version),
}

/// How a conditional write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It happened, and this is the version written.
    Done(Version),
    /// What was expected was not so.
    Refused,
}

/// One line of a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The object's key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written, by the bucket's clock.
    pub modified: Timestamp,
}

/// An object being written piece by piece; nothing of it is visible before [`Writer::commit`].
pub trait Writer: Send {
    /// Takes the next pieces.
    fn write(&mut self, pieces: Vec<Bytes>) -> BoxFuture<'_, Result<(), Error>>;
    /// Makes the object appear under `key`, durably; an object already there is replaced.
    fn commit(self: Box<Self>, key: String) -> BoxFuture<'static, Result<(), Error>>;
    /// Gives the pieces up.
    fn abort(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// What a kind of object storage must be able to do.
pub trait Driver: Send + Sync + 'static {
    /// The object with its version, or nothing.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(Bytes, Version)>, Error>>;
    /// Some bytes of an object; [`Error::Missing`] when it is not there.
    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, Error>>;
    /// The object's size and time, or nothing.
    fn stat<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Listed>, Error>>;
    /// Writes an object, durably.
    fn put<'a>(&'a self, key: &'a str, body: Bytes) -> BoxFuture<'a, Result<(), Error>>;
    /// Writes an object if what is expected holds.
    fn put_if<'a>(&'a self, key: &'a str, body: Bytes, expect: &'a Expect) -> BoxFuture<'a, Result<Put, Error>>;
    /// Removes an object; that it is not there is no error.
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Error>>;
    /// All objects whose key starts with `prefix`, in no particular order.
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, Error>>;
    /// Begins an object whose length is not known yet.
    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>>;
    /// How many bytes to ask for at once when streaming an object.
    fn stride(&self) -> u64;
    /// Whether no call will ever be answered again, so that trying on is of no use.
    fn is_lost(&self) -> bool {
        false
    }
}

/// How long an object store may take to answer, where nobody says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A bucket, or the part of one that belongs to one server.
#[derive(Clone)]
pub struct Bucket {
    driver: Arc<dyn Driver>,
    patience: Duration,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Bucket {
    /// A bucket behind a driver.
    #[must_use]
    pub fn new(driver: impl Driver) -> Self {
        Self { driver: Arc::new(driver), patience: PATIENCE }
    }

    /// A folder as a bucket; it is made when it is first written to.
    #[must_use]
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self::new(Directory::new(path.into()))
    }

    /// How long to go on trying when the object store does not answer.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How long this bucket goes on trying.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The object with its version, or nothing.
    pub async fn get(&self, key: &str) -> Result<Option<(Bytes, Version)>, Error> {
        self.trying("read", key, || self.driver.get(key)).await
    }

    /// The same, asked once.
    pub(super) async fn get_once(&self, key: &str) -> Result<Option<(Bytes, Version)>, Error> {
        within(self.patience, "read", key, self.driver.get(key)).await
    }

    /// Whether no call will ever be answered again.
    pub(super) fn is_lost(&self) -> bool {
        self.driver.is_lost()
    }

    /// The object; [`Error::Damaged`] when it is not there, for something referred to must be.
    pub async fn expect(&self, key: &str) -> Result<Bytes, Error> {
        let found = self.get(key).await?;
        found.map(|(body, _)| body).ok_or_else(|| Error::damaged(key, "it is referred to and missing"))
    }

    /// Some bytes of an object.
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        self.trying("read", key, || self.driver.get_range(key, range.clone())).await
    }

    /// The object's size and time, or nothing.
    pub async fn stat(&self, key: &str) -> Result<Option<Listed>, Error> {
        self.trying("look at", key, || self.driver.stat(key)).await
    }

    /// Writes an object, durably.
    pub async fn put(&self, key: &str, body: Bytes) -> Result<(), Error> {
        self.trying("write", key, || self.driver.put(key, body.clone())).await
    }

    /// Writes an object if what is expected holds; tried once, for only the caller can learn the outcome.
    pub async fn put_if(&self, key: &str, body: Bytes, expect: &Expect) -> Result<Put, Error> {
        within(self.patience, "replace", key, self.driver.put_if(key, body, expect)).await
    }

    /// Removes an object.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        self.trying("delete", key, || self.driver.delete(key)).await
    }

    /// All objects whose key starts with `prefix`.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        self.trying("list", prefix, || self.driver.list(prefix)).await
    }

    /// The present by the bucket's own clock, by which the ages of its objects are told; never later than it is.
    pub async fn now(&self) -> Result<Timestamp, Error> {
        match self.put(CLOCK, Bytes::new()).await {
            // Where nothing can be written it is at least as late as when something last could.
            Ok(()) | Err(Error::Full { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(self.stat(CLOCK).await?.map_or(Timestamp::UNIX_EPOCH, |clock| clock.modified))
    }

    /// Begins an object whose length is not known yet.
    pub async fn writer(&self) -> Result<Box<dyn Writer>, Error> {
        let writer = self.trying("begin", "an object", || self.driver.writer()).await?;
        Ok(Box::new(Draft { writer, patience: self.patience }))
    }

    pub(super) fn stride(&self) -> u64 {
        self.driver.stride()
    }

    /// Repeats what failed for a passing reason, with growing pauses, until patience ends.
    async fn trying<'a, T>(
        &self,
        doing: &'static str,
        key: &str,
        attempt: impl Fn() -> BoxFuture<'a, Result<T, Error>>,
    ) -> Result<T, Error> {
        let begun = tokio::time::Instant::now();
        let mut pause = Duration::from_millis(10);
        loop {
            let left = self.patience.saturating_sub(begun.elapsed());
            match within(left, doing, key, attempt()).await {
                Err(Error::Unavailable { .. }) if begun.elapsed() + pause < self.patience && !self.driver.is_lost() => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
                end => return end,
            }
        }
    }
}

/// An object being written, which nobody waits for longer than for anything else. It may be long: a call may have to
/// send a whole part of it, and the last one to have it put together.
struct Draft {
    writer: Box<dyn Writer>,
    patience: Duration,
}

impl Writer for Draft {
    fn write(&mut self, pieces: Vec<Bytes>) -> BoxFuture<'_, Result<(), Error>> {
        within(self.patience * 3, "write", "an object", self.writer.write(pieces)).boxed()
    }

    fn commit(self: Box<Self>, key: String) -> BoxFuture<'static, Result<(), Error>> {
        let (limit, commit) = (self.patience * 6, self.writer.commit(key.clone()));
        async move { within(limit, "write", &key, commit).await }.boxed()
    }

    fn abort(self: Box<Self>) -> BoxFuture<'static, ()> {
        let (limit, abort) = (self.patience, self.writer.abort());
        // What it could not give up in time the sweep removes.
        async move { drop(tokio::time::timeout(limit, abort).await) }.boxed()
    }
}

async fn within<T>(
    limit: Duration,
    doing: &'static str,
    key: &str,
    call: BoxFuture<'_, Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, call).await {
        Ok(end) => end,
        Err(late) => Err(Error::unavailable(doing, key, late)),
    }
}
