//! Deletes objects nobody names any more, where no past is kept; where it is, see `sweep`.
//!
//! What a head stops naming is noted in it and deleted after a grace time, unless a snapshot or a stage names it
//! still. What no head ever named, because a crash came between writing an object and publishing it, is found by
//! listing. Before anything is deleted the head is read once more: a keeper that has been superseded deletes nothing.
//!
//! How long ago an object was retired is told by the bucket's clock alone: a head that has stopped naming it was written
//! when the bucket says, so it has been retired since then at the latest.

use std::collections::BTreeSet;
use std::time::Duration;

use super::bucket::{Bucket, Expect};
use super::error::Error;
use super::head::{Base, BaseAt, Head};
use super::keeper::Keeper;
use super::{history, pack};

/// Where heads lie, all of which pin what they name.
pub(super) const HEADS: [&str; 4] = ["head", "snap/", "stage/", history::FOLDER];

/// Where objects lie that heads name; and drafts of files, which nothing names.
pub(super) const NAMED: [&str; 5] = ["seg/", "pack/", "map/", "hot/", "pending/"];

/// Every object a head names.
pub(super) async fn named(bucket: &Bucket, head: &Head) -> Result<BTreeSet<String>, Error> {
    Ok(named_over(head, &*pack::base(bucket, &head.base).await?))
}

/// Every object a head names whose base is known.
pub(super) fn named_over(head: &Head, base: &Base) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = head.spilled.iter().map(|part| part.key.clone()).collect();
    keys.extend(base.packs.values().cloned());
    if let BaseAt::Map(key) = &head.base {
        keys.insert(key.clone());
    }
    keys.extend(head.hot.clone());
    keys
}

impl Keeper {
    /// Deletes what was retired longer ago than the grace time. That it fails is no harm: it is tried again.
    pub(super) async fn collect(&mut self) {
        if let Err(error) = self.collect_retired().await {
            tracing::warn!(key = self.key, error = &error as &dyn std::error::Error, "retired objects stay for now");
        }
    }

    async fn collect_retired(&mut self) -> Result<(), Error> {
        if self.head.retired.is_empty() {
            return Ok(());
        }
        let Some(published) = self.bucket.stat(&self.key).await? else { return Ok(()) };
        let now_ms = published.modified.as_millisecond();
        for old in self.head.retired.iter_mut().filter(|old| old.at_ms == 0) {
            old.at_ms = now_ms; // Noted with the next head.
        }
        let grace_ms = i64::try_from(self.options.grace.as_millis()).unwrap_or(i64::MAX);
        let is_due = |at_ms: i64| at_ms <= now_ms.saturating_sub(grace_ms);
        if !self.head.retired.iter().any(|old| is_due(old.at_ms)) {
            return Ok(());
        }
        let own = named(&self.bucket, &self.head).await?;
        let others = self.named_by_others().await?;
        self.still_ours().await?;
        let mut kept = Vec::new();
        for old in self.head.retired.clone() {
            if own.contains(&old.key) {
                continue; // In use again; it is retired anew when that ends.
            }
            if others.contains(&old.key) {
                // Where the past is kept, the tombstone of whatever names it will see to it.
                kept.extend(Some(old).filter(|_| self.options.history.is_none()));
            } else if !is_due(old.at_ms) {
                kept.push(old);
            } else {
                self.bucket.delete(&old.key).await?;
            }
        }
        // Published with the next head; until then the worst is that something is deleted twice.
        self.head.retired = kept;
        Ok(())
    }

    /// Deletes objects older than `grace` that no head names or remembers; returns how many.
    pub(super) async fn collect_orphans(&mut self, grace: Duration) -> Result<u64, Error> {
        self.resolve().await?;
        self.await_build().await?;
        let due = self.bucket.now().await? - grace;
        let mut found = Vec::new();
        for folder in NAMED {
            found.extend(self.bucket.list(folder).await?.into_iter().filter(|line| line.modified <= due));
        }
        // The heads are read after the listing: what was published meanwhile is seen.
        let mut known = named(&self.bucket, &self.head).await?;
        known.extend(self.head.retired.iter().map(|old| old.key.clone()));
        known.extend(self.spilling().cloned());
        known.extend(self.named_by_others().await?);
        self.still_ours().await?;
        let mut deleted = 0;
        for line in found.into_iter().filter(|line| !known.contains(&line.key)) {
            self.bucket.delete(&line.key).await?;
            deleted += 1;
        }
        Ok(deleted)
    }

    async fn named_by_others(&mut self) -> Result<BTreeSet<String>, Error> {
        let mut keys = BTreeSet::new();
        for folder in HEADS {
            for line in self.bucket.list(folder).await? {
                if line.key == self.key {
                    continue;
                }
                let Some((body, _)) = self.bucket.get(&line.key).await? else { continue };
                let head = Head::decode(&line.key, &body)?;
                keys.extend(named(&self.bucket, &head).await?);
                keys.extend(head.retired.into_iter().map(|old| old.key).filter(|_| line.key.starts_with("stage/")));
            }
        }
        Ok(keys)
    }

    pub(super) async fn still_ours(&mut self) -> Result<(), Error> {
        let present = self.bucket.get(&self.key).await?.map(|(_, version)| Expect::Version(version));
        if present.unwrap_or(Expect::Absent) == self.version { Ok(()) } else { Err(Error::Fenced) }
    }
}
