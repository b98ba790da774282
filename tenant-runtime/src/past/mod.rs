//! Going back in time: any kept moment of the server can be looked at, compared with now, and brought back.
//!
//! A moment is first taken as a snapshot of the past, so that it stays while somebody looks at it. Bringing it back
//! builds a stage on that snapshot, carries over what is the server's own (who is signed in, which links are used up,
//! which permissions were withdrawn since), and lets the two change places in one conditional write. What was live
//! before is kept as a snapshot for as long as the plan says, which is the way to undo it.
//!
//! Invariant: nothing is changed before that one write, and after it nothing is missing.

mod difference;
mod moments;
mod withdrawn;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::admin::api::{PastMoment, PastPreview, PastView, RestoreView};
use crate::apps;
use crate::archive::Error;
use crate::archive::import::{self, OnSwap};
use crate::archive::keepsakes::Keepsakes;
use crate::happenings::Now as Present;
use crate::launch::{Launch, Limits};
use crate::schema;
use crate::store::{self, History, Home, SnapshotInfo};
use withdrawn::Withdrawn;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What was live before a moment was brought back; the name says which moment.
const BEFORE: &str = "past-before-";
/// What an undo took away again.
const AFTER: &str = "past-after-";
/// A moment that is being looked at.
const LOOK: &str = "past-look-";
/// Where a moment is made ready to take over; there is one at a time.
const STAGE: &str = "past";

/// How much of the past a plan keeps: records for its days of undo, in at most half as many bytes as it has storage.
#[must_use]
pub fn history(limits: &Limits) -> Option<History> {
    let window = Duration::from_secs(u64::from(limits.undo_days) * 24 * 60 * 60);
    (limits.undo_days > 0).then_some(History { window, bytes: limits.storage_bytes / 2 })
}

/// How many bytes of files a plan keeps that nobody refers to any more: as much again as for records.
#[must_use]
pub fn files_kept(limits: &Limits) -> u64 {
    limits.storage_bytes / 2
}

/// The past of one server. A cheap clone.
#[derive(Clone)]
pub struct Past {
    inner: Arc<Inner>,
}

struct Inner {
    home: Home,
    launch: Launch,
    on_swap: OnSwap,
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl Past {
    /// The past of the server in `home`.
    #[must_use]
    pub fn new(home: Home, launch: Launch, on_swap: OnSwap) -> Self {
        Self { inner: Arc::new(Inner { home, launch, on_swap, one_at_a_time: tokio::sync::Mutex::default() }) }
    }

    /// Which moments can be brought back, and which were.
    pub async fn view(&self, now_ms: i64) -> Result<PastView, Error> {
        let home = &self.inner.home;
        let kept = home.moments().await?;
        let window_days = self.inner.launch.limits.undo_days;
        let from_ms = kept.from_ms.max(now_ms - i64::from(window_days) * DAY_MS);
        let moments: Vec<PastMoment> = home.read(move |db| moments::worth_naming(db, from_ms)).await?;
        let restores = self.restores().await?;
        Ok(PastView {
            kept: kept.is_kept,
            from_ms,
            until_ms: now_ms.max(kept.until_ms),
            window_days,
            bytes: home.care().await?.past_bytes,
            limit_bytes: files_kept(&self.inner.launch.limits) + kept.limit_bytes,
            shortened: kept.from_ms > now_ms - i64::from(window_days) * DAY_MS,
            moments,
            restores,
        })
    }

    /// What would be different if a moment were brought back. Nothing is changed.
    pub async fn preview(&self, at_ms: i64) -> Result<PastPreview, Error> {
        let home = &self.inner.home;
        let name = format!("{LOOK}{}", uuid::Uuid::now_v7().simple());
        self.pin(&name, at_ms).await?;
        let compare = async {
            let then = home.open_snapshot(&name).await?;
            difference::between(home, &then, at_ms).await
        };
        let end = compare.await;
        home.drop_snapshot(&name).await?;
        end
    }

    /// Brings a moment back. Asking twice under one id is asking once.
    pub async fn restore(&self, id: &str, at_ms: i64) -> Result<RestoreView, Error> {
        crate::archive::work::check_id(id)?;
        let this = self.clone();
        let id = id.to_owned();
        // Whoever asked may go away; a restore that has begun goes on.
        crate::archive::work::apart(async move { this.restore_now(&id, at_ms).await }).await
    }

    async fn restore_now(&self, id: &str, at_ms: i64) -> Result<RestoreView, Error> {
        let _one_at_a_time = self.inner.one_at_a_time.lock().await;
        if let Some(done) = self.restored(id).await? {
            return Ok(done);
        }
        let name = format!("{LOOK}{id}");
        self.pin(&name, at_ms).await?;
        let end = self.bring_back(&name, &format!("{BEFORE}{at_ms:013}-{id}")).await;
        self.inner.home.drop_snapshot(&name).await?;
        end?;
        tracing::info!(restore.id = id, moment.ms = at_ms, "a moment of the past was brought back");
        self.restored(id).await?.ok_or_else(|| Error::Bug("a restore left no trace".into()))
    }

    /// Takes a restore back. Undoing twice is undoing once.
    pub async fn undo(&self, id: &str) -> Result<RestoreView, Error> {
        let this = self.clone();
        let id = id.to_owned();
        crate::archive::work::apart(async move { this.undo_now(&id).await }).await
    }

    async fn undo_now(&self, id: &str) -> Result<RestoreView, Error> {
        let _one_at_a_time = self.inner.one_at_a_time.lock().await;
        let mut done = self.restored(id).await?.ok_or(Error::Missing("restore"))?;
        if !done.undone {
            self.bring_back(&before_name(&done), &format!("{AFTER}{id}")).await?;
            done.undone = true;
            tracing::info!(restore.id = id, "going back in time was undone");
        }
        Ok(done)
    }

    /// A snapshot becomes the live content, with what is the server's own carried over first.
    async fn bring_back(&self, from: &str, keep_as: &str) -> Result<(), Error> {
        let home = &self.inner.home;
        let staged = home.stage_from(from, STAGE).await?;
        let (keepsakes, withdrawn, present) =
            home.read(|db| Ok::<_, Error>((Keepsakes::take(db)?, Withdrawn::take(db)?, Present::take(db)?))).await?;
        let now_ms = Timestamp::now().as_millisecond();
        let carried = staged.write(move |tx| {
            schema::migrate(tx)?;
            keepsakes.put(tx)?;
            withdrawn.put(tx)?;
            Ok::<_, Error>(present.put(tx, now_ms)?)
        });
        carried.await?;
        home.blobs().all_in_use_again().await?;
        home.adopt(staged, keep_as).await?;
        (self.inner.on_swap)().await;
        Ok(())
    }

    async fn pin(&self, name: &str, at_ms: i64) -> Result<(), Error> {
        match self.inner.home.snapshot_at(name, at_ms).await {
            Ok(_) => Ok(()),
            Err(store::Error::Missing { .. }) => Err(Error::Missing("copy of that moment")),
            // Left by a crash; it may be of another moment.
            Err(store::Error::Taken { .. }) => {
                self.inner.home.drop_snapshot(name).await?;
                self.inner.home.snapshot_at(name, at_ms).await?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn restored(&self, id: &str) -> Result<Option<RestoreView>, Error> {
        Ok(self.restores().await?.into_iter().find(|done| done.id == id))
    }

    /// All restores that can be undone, or were; newest first.
    async fn restores(&self) -> Result<Vec<RestoreView>, Error> {
        let done = self.inner.home.undos().await?;
        let mut all = self.inner.home.snapshots().await?;
        // What was live is kept before it is known whether it will be replaced.
        all.retain(|one| done.contains(&one.name));
        let mut done: Vec<RestoreView> = all.iter().filter_map(|one| self.told(one, &all)).collect();
        done.reverse();
        Ok(done)
    }

    fn told(&self, before: &SnapshotInfo, all: &[SnapshotInfo]) -> Option<RestoreView> {
        let (at_ms, id) = before.name.strip_prefix(BEFORE)?.split_once('-')?;
        let undone = format!("{AFTER}{id}");
        Some(RestoreView {
            id: id.to_owned(),
            at_ms: at_ms.parse().ok()?,
            done_ms: before.at_ms,
            undo_until_ms: before.at_ms + i64::from(self.inner.launch.limits.undo_days) * DAY_MS,
            undone: all.iter().any(|one| one.name == undone),
        })
    }
}

/// Lets go of what nobody can undo any more, and of what a crash has left of a look or of a restore.
///
/// `present` is what the bucket's clock says.
pub async fn forget(home: &Home, limits: &Limits, present: Timestamp) -> Result<(), Error> {
    let kept = i64::from(limits.undo_days) * DAY_MS;
    let is_over = |since: Timestamp, keep_ms: i64| since.as_millisecond() + keep_ms < present.as_millisecond();
    let on_trial = home.read(|db| Ok::<_, Error>(apps::trial::snapshots(db)?)).await?;
    for (name, since) in home.snapshots_since().await? {
        // A day, for an update that is just being installed.
        let keep_ms = match &name {
            name if [BEFORE, AFTER, import::UNDO, import::REDO].iter().any(|kind| name.starts_with(kind)) => kept,
            name if name.starts_with(LOOK) => DAY_MS,
            name if name.starts_with(apps::trial::SNAPSHOT) && !on_trial.contains(name) => DAY_MS,
            _ => continue,
        };
        if is_over(since, keep_ms) {
            home.drop_snapshot(&name).await?;
        }
    }
    let is_left = |(name, since): &(String, Timestamp)| name == STAGE && is_over(*since, DAY_MS);
    if home.stages().await?.iter().any(is_left) {
        home.discard_stage(STAGE).await?;
    }
    Ok(())
}

fn before_name(done: &RestoreView) -> String {
    format!("{BEFORE}{:013}-{}", done.at_ms, done.id)
}
