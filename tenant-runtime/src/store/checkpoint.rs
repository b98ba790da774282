//! Folds the log into packs, so that a cold wake has little to replay.
//!
//! The first half runs in the keeper and is short: SQLite's log is copied into the database file, which then stands
//! still until the next checkpoint, however much is written meanwhile. The second half packs the groups that changed,
//! in the background. The head that names the new packs drops the log they cover.
//!
//! A start that had to wait for pages makes a checkpoint too, even where there is no log: its hot object will hold them.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::error::Error;
use super::head::{Base, BaseAt, Head, Retired};
use super::hot;
use super::keeper::{Keeper, fold};
use super::pack::{self, Built, Plan};
use super::segment::PAGE;
use super::wal::Mark;

/// The least log worth folding.
const LEAST: u64 = 512 << 10;

/// Packs being built.
pub(super) struct Build {
    task: JoinHandle<Result<Built, Error>>,
    /// The log up to here is in them.
    upto: u64,
    /// The moment of that, and the size of the database in pages.
    at_ms: i64,
    pages: u32,
    groups: BTreeSet<u32>,
}

/// Where the base of the local copy has moved to, and which pages its hot object holds.
pub(super) struct Moved {
    base: Arc<Base>,
    hot: Option<BTreeSet<u32>>,
}

impl Build {
    /// Waits for the packs; never returns when there are none.
    pub(super) async fn finished(build: &mut Option<Self>) -> Result<Built, Error> {
        match build {
            Some(build) => (&mut build.task).await.unwrap_or_else(|why| Err(Error::no_result(&why))),
            None => std::future::pending().await,
        }
    }
}

impl Keeper {
    /// Begins a checkpoint if the log has grown long for the size of the database.
    pub(super) async fn checkpoint_if_due(&mut self) {
        let size = u64::from(self.head.pages) * PAGE as u64;
        let due = (size / 2).clamp(LEAST.min(self.options.checkpoint_bytes), self.options.checkpoint_bytes);
        if self.head.spilled_len() >= due.max(self.not_before)
            && let Err(error) = self.begin_checkpoint().await
        {
            tracing::warn!(key = self.key, error = &error as &dyn std::error::Error, "no checkpoint");
        }
    }

    /// The first half; false when there is nothing to do or a reader stands in the way.
    pub(super) async fn begin_checkpoint(&mut self) -> Result<bool, Error> {
        if self.build.is_some() || self.pending.is_some() || self.owed.is_some() {
            return Ok(false);
        }
        if self.dirty.is_empty() && !self.begins_slowly() {
            return Ok(false);
        }
        if !self.fold().await? {
            self.not_before = self.head.spilled_len() + LEAST;
            return Ok(false);
        }
        let groups = std::mem::take(&mut self.dirty);
        // A home of the first format does not say when it was last written.
        let at_ms = if self.head.at_ms > 0 { self.head.at_ms } else { self.moment() };
        let (bucket, pages) = (self.bucket.clone(), self.content.pages.clone());
        let (size, epoch) = (self.head.pages, self.head.epoch);
        let hot = hot::Plan {
            pages: pages.clone(),
            key: self.head.hot.clone(),
            known: self.content.hot.lock().clone(),
            groups: groups.clone(),
            size,
            small: self.content.is_small(size),
            anew: self.begins_slowly(),
            epoch,
            seq: self.head.seq,
        };
        let (next_pack, at) = (self.head.next_pack, self.head.base.clone());
        let plan = Plan { pages, groups: groups.clone(), size, next_pack, at, epoch };
        let base = self.content.pages.base();
        let task = tokio::spawn(async move {
            let mut built = pack::build(&bucket, &base, plan).await?;
            built.hot = hot::renew(&bucket, hot).await?;
            Ok(built)
        });
        self.build = Some(Build { task, upto: self.head.seq, at_ms, pages: size, groups });
        Ok(true)
    }

    /// The second half: publishes the packs.
    pub(super) async fn end_checkpoint(&mut self, built: Result<Built, Error>) -> Result<(), Error> {
        let Some(build) = self.build.take() else { return Ok(()) };
        let published = match built {
            Ok(built) => {
                let moved =
                    Moved { base: Arc::clone(&built.base), hot: built.hot.as_ref().map(|hot| hot.numbers.clone()) };
                let published = self.publish_base(built, &build).await;
                match &mut self.pending {
                    Some(pending) if published.is_err() => pending.then_move(moved),
                    _ if published.is_ok() => self.moved(moved),
                    _ => {}
                }
                published
            }
            Err(error) => Err(error),
        };
        if published.is_err() {
            // The old base and the whole log still stand; the groups are packed another time.
            self.dirty.extend(build.groups);
            self.not_before = self.head.spilled_len() + LEAST;
        } else {
            self.not_before = 0;
            self.collect().await;
        }
        published
    }

    async fn publish_base(&mut self, built: Built, build: &Build) -> Result<(), Error> {
        self.resolve().await?;
        let upto = build.upto;
        let old = self.content.pages.base();
        let mut head = self.head.clone();
        let live: BTreeSet<&String> = built.base.packs.values().collect();
        let gone = old.packs.values().filter(|key| !live.contains(key)).cloned();
        let folded = head.spilled.iter().filter(|part| part.upto <= upto).map(|part| part.key.clone());
        let map = match &head.base {
            BaseAt::Map(key) if head.base != built.at => Some(key.clone()),
            _ => None,
        };
        let hot = built.hot.map(|hot| hot.key);
        let cold = head.hot.clone().filter(|key| hot.as_ref() != Some(key));
        let gone: Vec<String> = gone.chain(folded).chain(map).collect();
        if head.base == built.at && gone.is_empty() && head.inline.is_empty() {
            // Only the hot object is another one, and that is no part of the past.
            retire(&mut head, cold);
        } else {
            let at_ms = self.moment();
            if !self.keep_history(at_ms).await? {
                retire(&mut head, gone.into_iter().chain(cold));
            }
            (head.since_ms, head.base_pages) = (Some(build.at_ms), Some(build.pages));
        }
        head.spilled.retain(|part| part.upto > upto);
        let newer = usize::try_from(head.seq - upto).unwrap_or(usize::MAX).min(head.inline.len());
        head.inline.drain(..head.inline.len() - newer);
        head.base = built.at;
        head.hot = hot;
        head.next_pack = built.next_pack;
        self.publish(head).await
    }

    /// The head names another base; what is still to come is found there.
    pub(super) fn moved(&self, moved: Moved) {
        self.content.pages.rebase(moved.base);
        self.content.pages.first_is_at_hand();
        *self.content.hot.lock() = moved.hot;
    }

    /// Whether a hot object made now would spare the next wake a round trip.
    pub(super) fn begins_slowly(&self) -> bool {
        self.content.pages.began_slowly() && !self.content.is_small(self.head.pages)
    }

    /// A whole checkpoint, as before sleep; waits for one under way.
    pub(super) async fn checkpoint(&mut self) -> Result<(), Error> {
        self.await_build().await?;
        if self.begin_checkpoint().await? { self.await_build().await } else { Ok(()) }
    }

    /// Waits for packs being built and publishes them.
    pub(super) async fn await_build(&mut self) -> Result<(), Error> {
        if self.build.is_some() {
            let built = Build::finished(&mut self.build).await;
            self.end_checkpoint(built).await?;
        }
        Ok(())
    }

    /// Copies SQLite's log into the database file; false when a reader stands in the way.
    pub(super) async fn fold(&mut self) -> Result<bool, Error> {
        let Some(db) = self.db.take() else { return Err(Error::Asleep) };
        let Ok((db, folded)) = tokio::task::spawn_blocking(move || fold(db)).await else {
            self.gate.end(Error::Broken(Arc::new(Error::Panicked)));
            return Err(Error::Panicked);
        };
        self.db = Some(db);
        let folded = folded?;
        if folded {
            self.mark = Mark::default();
        }
        Ok(folded)
    }
}

/// Notes that a head does not name these objects any more.
pub(super) fn retire(head: &mut Head, keys: impl IntoIterator<Item = String>) {
    for key in keys {
        if !head.retired.iter().any(|old| old.key == key) {
            head.retired.push(Retired { key, at_ms: 0 });
        }
    }
}
