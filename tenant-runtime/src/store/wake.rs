//! Brings a home to life: warm from the local copy a clean sleep left, cold from the bucket alone.
//!
//! Warm, the head has not changed since this very cache went to sleep, so nobody else has owned the home; it is taken
//! over with the first write. Cold, the head is taken over while what it names is fetched, so that the former owner,
//! should it still live, can publish nothing that the copy being built would miss. The two may go on at once: objects
//! never change, and if the take-over succeeds nobody published in between, so nothing the head names was deleted.
//!
//! Cold, that is two round trips: the head, and then everything else at once. Nothing else the store has to do is worth
//! a third one before the first answer; it is done when the home has nothing better to do.
//!
//! A small home is fetched whole. Of a large one come its log, its map and its hot pages; the rest when it is read.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::RwLock;

use super::bucket::{Bucket, Expect, Version};
use super::content::Content;
use super::error::Error;
use super::gate::Gate;
use super::head::{Head, Spilled};
use super::hot;
use super::keeper::Keeper;
use super::marker::{self, Marker};
use super::options::{Options, Place};
use super::pace::Pace;
use super::pack::{self, GROUP, blocking};
use super::pages::Pages;
use super::presence::Presence;
use super::segment::{self, PAGE, Segment};
use super::wal::Mark;

/// Folders in the cache with this beginning are copies of databases.
const COPY: &str = "db-";

/// How many parts of the log are fetched at once; more than there are before a checkpoint folds them.
const SEGMENTS: usize = 128;

/// Opens the home whose head lies under `key`.
pub(super) async fn wake(place: Place, key: &str, options: Options) -> Result<Keeper, Error> {
    let Place { bucket, cache, owner } = place;
    let lock = lock(&cache).await?;
    let found = bucket.get(key).await?;
    let (head, version) = match found {
        Some((body, version)) => (Head::decode(key, &body)?, Expect::Version(version)),
        None => (Head::empty(), Expect::Absent),
    };
    if let Some(known) = options.layout.filter(|known| head.layout > *known) {
        return Err(Error::NewerLayout { found: head.layout, known });
    }
    let slept = marker::read(&cache).filter(|slept| cache.join(&slept.folder).is_dir());
    let folder = slept.as_ref().map_or_else(|| new_folder(&cache), |slept| cache.join(&slept.folder));
    forget_others(&cache, &folder);
    let content = Arc::new(Content::open(folder, options.clone(), &bucket)?);
    let pace = Pace::new(options.budget, Instant::now());
    let left_over = head.adopted.is_some();
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
        dirty: BTreeSet::new(),
        build: None,
        not_before: 0,
        fresh: None,
        kept_bytes: 0,
        spill: None,
        owed: None,
        press: None,
        pace,
        pending: None,
        inquiry: None,
        left_over,
        hold: None,
        held: VecDeque::new(),
        _lock: lock,
    };
    keeper.tell_departed();
    keeper.take_up_owed().await?;
    let same = |slept: &Marker| Expect::Version(Version(slept.version.clone())) == keeper.version;
    let warm = slept.as_ref().is_some_and(same);
    let former = match slept {
        Some(slept) if warm => {
            keeper.dirty = slept.take_up(&keeper.content);
            None
        }
        slept => slept,
    };
    if !warm && keeper.version != Expect::Absent {
        let (bucket, head, content) = (keeper.bucket.clone(), keeper.head.clone(), Arc::clone(&keeper.content));
        let take_over = async { if keeper.taken { Ok(()) } else { keeper.publish(head.clone()).await } };
        let (taken, laid) = tokio::join!(take_over, lay_out(&bucket, &head, &content, former));
        taken?;
        if laid.is_err() {
            keeper.confirm().await?;
        }
        keeper.dirty = laid?;
    }
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

/// Makes an empty copy the database a head speaks of; returns the groups its log touched.
///
/// Pages of a large base come as they are read, so what the head names must stay: it is to be pinned by a head.
pub(super) async fn lay_down(bucket: &Bucket, head: &Head, content: &Content) -> Result<BTreeSet<u32>, Error> {
    lay_out(bucket, head, content, None).await
}

/// The same, with what an older copy in this place still has.
async fn lay_out(
    bucket: &Bucket,
    head: &Head,
    content: &Content,
    former: Option<Marker>,
) -> Result<BTreeSet<u32>, Error> {
    let pages = &content.pages;
    content.file.set_len(u64::from(head.pages) * PAGE as u64).map_err(Error::cache("lay down pages"))?;
    // Until the map is known no page of the base may come; where it stands in the head, all may at once.
    let base = async {
        let base = pack::base(bucket, &head.base).await?;
        let none = || Presence::none(base.groups.len() as u32 * GROUP);
        pages.lay_out(Arc::clone(&base), former.map_or_else(none, |former| former.still_good(&base)));
        if content.is_small(head.pages) {
            pages.bring(&(0..base.groups.len() as u32).collect::<Vec<_>>()).await?;
        }
        Ok(base)
    };
    let log = futures::stream::iter(head.spilled.clone())
        .map(|part| async move { Ok((spilled(bucket, &part).await?, part.key)) })
        .buffered(SEGMENTS)
        .try_collect::<Vec<(Bytes, String)>>();
    let hot = async { Ok(hot::fetch(bucket, head.hot.as_ref()).await) };
    let (base, log, hot) = tokio::try_join!(base, log, hot)?;
    let mut dirty = BTreeSet::new();
    for (body, key) in log {
        replay(&key, segment::split(&key, body)?, pages, &mut dirty).await?;
    }
    replay("head", head.inline.clone(), pages, &mut dirty).await?;
    if let Some(hot) = hot {
        let numbers = hot::supply(hot, pages).await?;
        *content.hot.lock() = Some(numbers);
    }
    if head.pages > 0 {
        pages.bring_page(1).await?;
    }
    // What the log said of pages behind the end goes again.
    content.file.set_len(u64::from(head.pages) * PAGE as u64).map_err(Error::cache("lay down pages"))?;
    pages.rebase(base);
    dirty.retain(|group| group * GROUP < head.pages);
    Ok(dirty)
}

/// One part of the log, asked for by its length, so that a broker knows what the answer takes and lets many come at once.
async fn spilled(bucket: &Bucket, part: &Spilled) -> Result<Bytes, Error> {
    let body = match part.len {
        0 => bucket.expect(&part.key).await?,
        len => match bucket.get_range(&part.key, 0..len).await {
            Err(Error::Missing { name, .. }) => return Err(Error::damaged(&name, "it is referred to and missing")),
            body => body?,
        },
    };
    pack::verified(&part.key, body)
}

async fn replay(key: &str, entries: Vec<Bytes>, pages: &Pages, dirty: &mut BTreeSet<u32>) -> Result<(), Error> {
    let (key, pages) = (key.to_owned(), pages.clone());
    let touched = blocking(move || {
        let mut touched = BTreeSet::new();
        for entry in entries {
            for (number, page) in Segment::decode(&key, &entry)?.pages() {
                pages.overwrite(number, page)?;
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
