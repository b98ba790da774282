//! Any object store the `object_store` crate speaks to: S3 and its kin, Google, Azure, or memory in tests.
//!
//! The store's own entity tag (and version, where it has one) is the [`Version`]. A conditional write that the client
//! library repeats after a lost answer is refused although it happened. So the client that writes must not repeat
//! anything by itself ([`super::Bucket`] does that, where it does no harm), and callers read back and compare, as they
//! must after any unknown outcome. Only the parts of a long object go through a client that repeats: a part has a
//! number, and sending it twice is sending it once.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{
    Error as StoreError, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, PutResult,
    UpdateVersion,
};

use super::wire::WHOLE;
use super::{Driver, Expect, Listed, Put, Version, Writer};
use crate::store::error::Error;

/// A part of an object store, under a prefix.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// The same store through a client that repeats what failed.
    patient: Arc<dyn ObjectStore>,
    prefix: String,
}

impl Objects {
    /// The objects of `store` under `prefix` (no slash at either end; empty for all).
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self::with_patient(Arc::clone(&store), store, prefix)
    }

    /// The same, with a second client for the parts of long objects, which repeats what failed. `store` must not.
    #[must_use]
    pub fn with_patient(store: Arc<dyn ObjectStore>, patient: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { store, patient, prefix }
    }

    fn path(&self, key: &str) -> Path {
        Path::from(format!("{}{key}", self.prefix))
    }

    fn listed(&self, meta: &ObjectMeta) -> Listed {
        let key = meta.location.as_ref().strip_prefix(&self.prefix).unwrap_or(meta.location.as_ref()).to_owned();
        let at = meta.last_modified.timestamp_millis();
        Listed { key, size: meta.size, modified: Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH) }
    }
}

impl Driver for Objects {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(Bytes, Version)>, Error>> {
        async move {
            let found = match self.store.get(&self.path(key)).await {
                Err(StoreError::NotFound { .. }) => return Ok(None),
                found => found.map_err(|e| failure("read", key, e))?,
            };
            if found.meta.size > WHOLE {
                return Err(Error::refused(
                    "read",
                    key,
                    format!("it is read in ranges: it has {} bytes", found.meta.size),
                ));
            }
            let version = version(found.meta.e_tag.clone(), found.meta.version.clone());
            let body = found.bytes().await.map_err(|e| failure("read", key, e))?;
            Ok(Some((body, version)))
        }
        .boxed()
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, Error>> {
        async move {
            let wanted = range.end - range.start;
            let body = self.store.get_range(&self.path(key), range).await.map_err(|e| failure("read", key, e))?;
            if body.len() as u64 == wanted {
                Ok(body)
            } else {
                Err(Error::damaged(key, "it is shorter than it should be"))
            }
        }
        .boxed()
    }

    fn stat<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Listed>, Error>> {
        async move {
            match self.store.head(&self.path(key)).await {
                Ok(meta) => Ok(Some(self.listed(&meta))),
                Err(StoreError::NotFound { .. }) => Ok(None),
                Err(e) => Err(failure("look at", key, e)),
            }
        }
        .boxed()
    }

    fn put<'a>(&'a self, key: &'a str, body: Bytes) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let put = self.store.put(&self.path(key), PutPayload::from(body)).await;
            put.map(drop).map_err(|e| failure("write", key, e))
        }
        .boxed()
    }

    fn put_if<'a>(&'a self, key: &'a str, body: Bytes, expect: &'a Expect) -> BoxFuture<'a, Result<Put, Error>> {
        async move {
            let mode = match expect {
                Expect::Absent => PutMode::Create,
                Expect::Version(known) => PutMode::Update(update(known)),
            };
            match self.store.put_opts(&self.path(key), PutPayload::from(body), mode.into()).await {
                Ok(PutResult { e_tag, version: v, .. }) => Ok(Put::Done(version(e_tag, v))),
                Err(
                    StoreError::Precondition { .. } | StoreError::AlreadyExists { .. } | StoreError::NotFound { .. },
                ) => Ok(Put::Refused),
                Err(e) => Err(failure("replace", key, e)),
            }
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            match self.store.delete(&self.path(key)).await {
                Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
                Err(e) => Err(failure("delete", key, e)),
            }
        }
        .boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, Error>> {
        async move {
            // The crate lists whole path segments; the rest of the prefix is compared here.
            let folder = self.path(prefix.rfind('/').map_or("", |end| &prefix[..end]));
            let lines = self.store.list(Some(&folder)).map(|meta| meta.map(|meta| self.listed(&meta)));
            let mut lines: Vec<Listed> = lines.try_collect().await.map_err(|e| failure("list", prefix, e))?;
            lines.retain(|line| line.key.starts_with(prefix));
            Ok(lines)
        }
        .boxed()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        async move {
            let draft = Draft { bucket: self.clone(), long: None, buffer: Vec::new(), buffered: 0 };
            Ok(Box::new(draft) as Box<dyn Writer>)
        }
        .boxed()
    }

    fn stride(&self) -> u64 {
        2 << 20
    }
}

/// The least a part of an S3 multipart upload may hold.
const PART: usize = 5 << 20;

/// An object that is being written: in memory while it is short, which most are, and part by part when it grows.
struct Draft {
    bucket: Objects,
    long: Option<Long>,
    buffer: Vec<Bytes>,
    buffered: usize,
}

/// What of it is in the store already, under a name of its own until it is whole.
struct Long {
    at: Path,
    parts: Box<dyn MultipartUpload>,
}

impl Draft {
    fn take(&mut self) -> PutPayload {
        self.buffered = 0;
        std::mem::take(&mut self.buffer).into_iter().collect()
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let part = self.take();
        let long = match &mut self.long {
            Some(long) => long,
            None => {
                let at = self.bucket.path(&format!("pending/{:032x}", rand::random::<u128>()));
                let parts = self.bucket.patient.put_multipart(&at).await;
                self.long.insert(Long { parts: parts.map_err(|e| failure("begin", "an object", e))?, at })
            }
        };
        long.parts.put_part(part).await.map_err(|e| failure("write", "an object", e))
    }
}

impl Writer for Draft {
    fn write(&mut self, pieces: Vec<Bytes>) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            self.buffered += pieces.iter().map(Bytes::len).sum::<usize>();
            self.buffer.extend(pieces);
            if self.buffered >= PART { self.flush().await } else { Ok(()) }
        }
        .boxed()
    }

    fn commit(mut self: Box<Self>, key: String) -> BoxFuture<'static, Result<(), Error>> {
        async move {
            let (store, to) = (Arc::clone(&self.bucket.patient), self.bucket.path(&key));
            if self.long.is_none() {
                let body = self.take();
                return store.put(&to, body).await.map(drop).map_err(|e| failure("write", &key, e));
            }
            if self.buffered > 0 {
                self.flush().await?;
            }
            if let Some(Long { at, parts }) = &mut self.long {
                parts.complete().await.map_err(|e| failure("write", &key, e))?;
                let copied = store.copy(at, &to).await;
                // What stays behind here is an orphan that the sweep removes.
                store.delete(at).await.ok();
                copied.map_err(|e| failure("write", &key, e))?;
            }
            self.long = None;
            Ok(())
        }
        .boxed()
    }

    fn abort(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        async move {
            if let Some(mut long) = self.long.take() {
                long.parts.abort().await.ok();
            }
        }
        .boxed()
    }
}

impl Drop for Draft {
    /// Parts that never become an object are paid for until somebody aborts them.
    fn drop(&mut self) {
        let Some(mut long) = self.long.take() else { return };
        if let Ok(executor) = tokio::runtime::Handle::try_current() {
            executor.spawn(async move { long.parts.abort().await.ok() });
        }
    }
}

const SEPARATOR: char = '\u{1f}';

fn version(e_tag: Option<String>, version: Option<String>) -> Version {
    Version(format!("{}{SEPARATOR}{}", e_tag.unwrap_or_default(), version.unwrap_or_default()))
}

fn update(known: &Version) -> UpdateVersion {
    let (e_tag, version) = known.0.split_once(SEPARATOR).unwrap_or((&known.0, ""));
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    UpdateVersion { e_tag: some(e_tag), version: some(version) }
}

fn failure(doing: &'static str, key: &str, error: StoreError) -> Error {
    match error {
        StoreError::NotFound { .. } => Error::Missing { what: "object", name: key.to_owned() },
        error => Error::unavailable(doing, key, error),
    }
}
