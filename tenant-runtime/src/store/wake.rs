//! Brings a home to life: warm from the local copy a clean sleep left, cold from the bucket alone.
//!
//! Warm, the head has not changed since this very cache went to sleep, so nobody else has owned the home; it is taken
//! over with the first write. Cold, the head is taken over first, so that the former owner, should it still live, can
//! publish nothing that the copy being built would miss.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::RwLock;

use super::bucket::{Bucket, Expect};
use super::content::Content;
use super::error::Error;
use super::gate::Gate;
use super::head::Head;
use super::keeper::Keeper;
use super::marker;
use super::options::{Options, Place};
use super::pack::{self, GROUP, blocking};
use super::segment::{self, PAGE, Segment};
use super::wal::Mark;

/// Folders in the cache with this beginning are copies of databases.
const COPY: &str = "db-";

/// Opens the home whose head lies under `key`.
pub(super) async fn wake(place: Place, key: &str, options: Options) -> Result<Keeper, Error> {
    let Place { bucket, cache, owner } = place;
    let lock = lock(&cache).await?;
    let found = bucket.get(key).await?;
    let (head, version) = match found {
        Some((body, version)) => (Head::decode(key, &body)?, Expect::Version(version)),
        None => (Head::empty(), Expect::Absent),
    };
    let slept = marker::read(&cache).filter(|slept| {
        Expect::Version(super::bucket::Version(slept.version.clone())) == version && cache.join(&slept.folder).is_dir()
    });
    let new = slept.is_none();
    let folder = slept.as_ref().map_or_else(|| new_folder(&cache), |slept| cache.join(&slept.folder));
    forget_others(&cache, &folder);
    let content = Arc::new(Content::open(folder, options.clone())?);
    let mut keeper = Keeper {
        bucket,
        options,
        cache,
        owner,
        key: key.to_owned(),
        gate: Arc::new(Gate::new()),
        live: Arc::new(RwLock::new(Arc::clone(&content))),
        content,
        db: None,
        taken: false,
        head,
        version,
        mark: Mark::default(),
        dirty: slept.map(|slept| slept.dirty).unwrap_or_default(),
        build: None,
        not_before: 0,
        fresh: None,
        kept_bytes: 0,
        pending: None,
        _lock: lock,
    };
    if new && keeper.version != Expect::Absent {
        let head = keeper.head.clone();
        keeper.publish(head).await?;
        keeper.dirty = lay_down(&keeper.bucket, &keeper.head, &keeper.content.file).await?;
    }
    keeper.clear_stage().await?;
    let content = Arc::clone(&keeper.content);
    keeper.db = Some(
        blocking(move || {
            content.forget_log()?;
            content.writing()
        })
        .await?,
    );
    Ok(keeper)
}

/// A folder for a copy that is yet to be made.
pub(super) fn new_folder(cache: &Path) -> PathBuf {
    cache.join(format!("{COPY}{:016x}", rand::random::<u64>()))
}

/// Writes the database a head speaks of into an empty file; returns the groups its log touched.
pub(super) async fn lay_down(bucket: &Bucket, head: &Head, file: &Arc<File>) -> Result<BTreeSet<u32>, Error> {
    let base = pack::base(bucket, &head.base).await?;
    pack::unpack(bucket, &base, file).await?;
    let mut dirty = BTreeSet::new();
    for part in &head.spilled {
        let body = bucket.expect(&part.key).await?;
        replay(&part.key, segment::split(&part.key, body)?, file, &mut dirty).await?;
    }
    replay("head", head.inline.clone(), file, &mut dirty).await?;
    file.set_len(u64::from(head.pages) * PAGE as u64).map_err(Error::cache("lay down pages"))?;
    dirty.retain(|group| group * GROUP < head.pages);
    Ok(dirty)
}

async fn replay(
    key: &str,
    entries: Vec<bytes::Bytes>,
    file: &Arc<File>,
    dirty: &mut BTreeSet<u32>,
) -> Result<(), Error> {
    let (key, file) = (key.to_owned(), Arc::clone(file));
    let touched = blocking(move || {
        let mut touched = BTreeSet::new();
        for entry in entries {
            for (number, page) in Segment::decode(&key, &entry)?.pages() {
                let at = u64::from(number - 1) * PAGE as u64;
                file.write_all_at(page, at).map_err(Error::cache("lay down pages"))?;
                touched.insert((number - 1) / GROUP);
            }
        }
        Ok(touched)
    });
    dirty.extend(touched.await?);
    Ok(())
}

/// Keeps other processes out of a cache folder; one that is just ending gets a moment.
async fn lock(cache: &Path) -> Result<File, Error> {
    let doing = "lock the folder";
    fs::create_dir_all(cache).map_err(Error::cache(doing))?;
    let file = File::options().create(true).truncate(false).write(true).open(cache.join(".lock"));
    let file = file.map_err(Error::cache(doing))?;
    for _ in 0..200 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(25)).await,
            Err(fs::TryLockError::Error(e)) => return Err(Error::cache(doing)(e)),
        }
    }
    let busy = std::io::Error::new(std::io::ErrorKind::WouldBlock, "another process uses this cache");
    Err(Error::cache(doing)(busy))
}

/// Removes copies that no head speaks of any more.
fn forget_others(cache: &Path, keep: &Path) {
    let Ok(entries) = fs::read_dir(cache) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(COPY) && entry.path() != keep {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}
