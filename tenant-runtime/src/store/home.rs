//! The durable home of one server, as the rest of the runtime uses it.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{RwLock, mpsc, oneshot};

use super::blobs::Blobs;
use super::bucket::{Bucket, Listed};
use super::content::Content;
use super::error::Error;
use super::gate::Gate;
use super::history::Moments;
use super::keeper::Message;
use super::operation::Closure;
use super::options::{Durability, Options, Place};
use super::segment::PAGE;
use super::snapshot::{self, Snapshot, SnapshotInfo};
use super::sweep::Live;
use super::{exchange, wake};

/// How often a wake begins anew because somebody else wrote just then.
const TAKE_OVERS: u32 = 3;

/// The key of the one head that is live.
const HEAD: &str = "head";

/// How much a home holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The size of the database.
    pub database_bytes: u64,
    /// The size of all files, each counted once.
    pub blob_bytes: u64,
    /// The longest span of acknowledged writes that may be lost, in milliseconds; 0 for none.
    pub loss_window_ms: u64,
}

/// The durable home of one server; clones share it.
#[derive(Clone)]
pub struct Home {
    inner: Arc<Inner>,
}

struct Inner {
    place: Place,
    options: Options,
    queue: mpsc::Sender<Message>,
    gate: Arc<Gate>,
    live: Arc<RwLock<Arc<Content>>>,
    blobs: Blobs,
    /// The name of the stage this home is, if it is one.
    stage: Option<String>,
}

impl Home {
    /// Opens the home that lies in `place`; an empty place is an empty home.
    ///
    /// Opening takes the home over from whoever had it. Errors: [`Error::Newer`] for a home of a newer runtime,
    /// [`Error::Damaged`] when objects do not hold what was written, and those of the bucket and the cache.
    pub async fn open(place: Place, options: Options) -> Result<Self, Error> {
        let blobs = Blobs::new(place.bucket.clone());
        Self::open_head(place, HEAD, options, blobs, None).await
    }

    async fn open_head(
        place: Place,
        key: &str,
        options: Options,
        blobs: Blobs,
        stage: Option<String>,
    ) -> Result<Self, Error> {
        let mut tries = 0;
        let keeper = loop {
            match wake::wake(place.clone(), key, options.clone()).await {
                // The former owner's last write was on its way when its host died, and came between. Whoever opens a
                // home takes it over, from this newer state as well.
                Err(Error::Fenced) if tries < TAKE_OVERS => tries += 1,
                woken => break woken?,
            }
        };
        let (gate, live) = (Arc::clone(&keeper.gate), Arc::clone(&keeper.live));
        let (queue, waiting) = mpsc::channel(1024);
        let ended = Arc::clone(&gate);
        tokio::spawn(async move {
            if AssertUnwindSafe(keeper.run(waiting)).catch_unwind().await.is_err() {
                ended.end(Error::Broken(Arc::new(Error::Panicked)));
            }
        });
        Ok(Self { inner: Arc::new(Inner { place, options, queue, gate, live, blobs, stage }) })
    }

    /// Runs `f` in a transaction and returns when its changes are durable; if it fails, only its own are undone.
    ///
    /// Many writes share one transaction and one object. `f` runs inside a savepoint: it may use savepoints of its
    /// own, but must not begin or end a transaction.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (operation, answer) = Closure::new(f);
        self.send(Message::Write(Box::new(operation))).await?;
        match answer.await {
            Ok(end) => end,
            Err(_) => Err(self.gone().into()),
        }
    }

    /// The same, and a home that has departed makes it as well: for what is about the home, and not of what it holds.
    pub async fn upkeep<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (operation, answer) = Closure::new(f);
        self.send(Message::Upkeep(Box::new(operation))).await?;
        match answer.await {
            Ok(end) => end,
            Err(_) => Err(self.gone().into()),
        }
    }

    /// Runs `f` on a consistent state and returns when all it can have seen is durable.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.inner.gate.check()?;
        if self.inner.gate.in_doubt() {
            self.ask(Message::Settle).await?;
        }
        let content = Arc::clone(&*self.inner.live.read().await);
        let gate = Arc::clone(&self.inner.gate);
        let read = content.read(f, move || gate.newest()).await;
        if let Err(Error::Damaged { .. }) = read {
            self.ask(Message::Confirm).await.ok(); // If it ends the home, that explains it.
        }
        let (value, seen) = read.map_err(|error| self.first_of(error))?;
        self.inner.gate.pass(seen).await?;
        value
    }

    /// Says that what every wake reads before it can answer has been read. What of it had to be waited for is at hand
    /// when the home wakes next.
    pub async fn started(&self) {
        self.inner.live.read().await.pages.settle_in();
    }

    /// The home's files.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// When this home acknowledges a write.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.inner.options.durability
    }

    /// How much the home holds.
    pub async fn usage(&self) -> Result<Usage, Error> {
        let (pages, _) = self.ask(Message::Extent).await?;
        let blob_bytes = self.inner.blobs.bytes().await?;
        let loss_window_ms = self.durability().loss_window_ms();
        Ok(Usage { database_bytes: u64::from(pages) * PAGE as u64, blob_bytes, loss_window_ms })
    }

    /// How many groups of writes it has seen: equal only while nothing was written.
    pub async fn seq(&self) -> Result<u64, Error> {
        Ok(self.ask(Message::Extent).await?.1)
    }

    /// Lets the writes under way end and holds all that would change the content from then on: for so long, at most a minute,
    /// until [`Home::end_hold`], or until the home departs or sleeps. Says until when, in Unix milliseconds. What is held waits.
    pub async fn hold(&self, span: Duration) -> Result<i64, Error> {
        self.ask(|reply| Message::Hold(span, reply)).await
    }

    /// What is held goes on. Ending no hold is fine.
    pub async fn end_hold(&self) -> Result<(), Error> {
        self.ask(Message::EndHold).await
    }

    /// Since when writes are held, if they are: by this a hold is told from another.
    #[must_use]
    pub fn held_since(&self) -> Option<Instant> {
        self.inner.gate.held_since()
    }

    /// Until when writes are held, in Unix milliseconds, if they are.
    #[must_use]
    pub fn held_until(&self) -> Option<i64> {
        self.inner.gate.held_until()
    }

    /// Departs: no change is accepted any more, by whatever way, until [`Home::come_back`]; the words say where to. Errors:
    /// [`Error::Behind`] unless the home has seen just `seq` groups of writes, [`Error::Departed`] when it has departed already.
    pub async fn depart(&self, seq: u64, words: String) -> Result<(), Error> {
        self.ask(|reply| Message::Depart(seq, words, reply)).await
    }

    /// Changes are accepted again.
    pub async fn come_back(&self) -> Result<(), Error> {
        self.ask(Message::ComeBack).await
    }

    /// The words with which the home has departed, if it has.
    #[must_use]
    pub fn departed(&self) -> Option<Arc<str>> {
        self.inner.gate.departure().borrow().clone()
    }

    /// Returns once the home has departed.
    pub async fn departs(&self) {
        let mut departure = self.inner.gate.departure();
        if departure.wait_for(Option::is_some).await.is_err() {
            std::future::pending().await
        }
    }

    /// Takes a snapshot, while writes go on; it is kept until it is dropped. Error: [`Error::Taken`].
    pub async fn snapshot(&self, name: &str) -> Result<SnapshotInfo, Error> {
        self.ask(|reply| Message::Snapshot(name.to_owned(), reply)).await
    }

    /// Which moments of the past can be brought back.
    pub async fn moments(&self) -> Result<Moments, Error> {
        self.ask(Message::Moments).await
    }

    /// Takes a snapshot of the state this home had at a moment, in Unix milliseconds. Errors: [`Error::Missing`] when
    /// that moment is not kept, [`Error::Taken`].
    pub async fn snapshot_at(&self, name: &str, at_ms: i64) -> Result<SnapshotInfo, Error> {
        self.ask(|reply| Message::SnapshotAt(name.to_owned(), at_ms, reply)).await
    }

    /// Lets go of the past before a moment.
    pub async fn shorten_history(&self, from_ms: i64) -> Result<(), Error> {
        self.ask(|reply| Message::ShortenHistory(from_ms, reply)).await
    }

    /// Roughly how many bytes were kept for the past since the last sweep.
    pub async fn kept_since_sweep(&self) -> Result<u64, Error> {
        self.ask(Message::KeptSinceSweep).await
    }

    pub(super) async fn mend(&self, damaged: BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
        self.ask(|reply| Message::Mend(damaged, reply)).await
    }

    /// The stages that were begun and not adopted, and since when nothing was done to them, by the bucket's clock.
    pub async fn stages(&self) -> Result<Vec<(String, Timestamp)>, Error> {
        self.ask(Message::Stages).await
    }

    /// Opens a stage for reading, as it was last published.
    pub async fn open_staged(&self, name: &str) -> Result<Snapshot, Error> {
        self.inner.gate.check()?;
        let Place { bucket, cache, .. } = &self.inner.place;
        Snapshot::open_staged(bucket, cache, name, self.inner.options.clone()).await
    }

    pub(super) async fn begin_sweep(&self) -> Result<Live, Error> {
        self.ask(Message::BeginSweep).await
    }

    pub(super) async fn judge(&self, candidates: Vec<Listed>) -> Result<Option<Vec<Listed>>, Error> {
        self.ask(|reply| Message::Judge(candidates, reply)).await
    }

    pub(super) fn options(&self) -> &Options {
        &self.inner.options
    }

    pub(super) fn bucket(&self) -> &Bucket {
        &self.inner.place.bucket
    }

    /// The key of the head behind this home.
    pub(super) fn key(&self) -> String {
        self.inner.stage.as_deref().map_or_else(|| HEAD.to_owned(), exchange::stage_key)
    }

    /// All snapshots, oldest first.
    pub async fn snapshots(&self) -> Result<Vec<SnapshotInfo>, Error> {
        self.inner.gate.check()?;
        snapshot::all(&self.inner.place.bucket).await
    }

    /// The names of all snapshots, and since when each is kept, by the clock of [`Home::bucket_now`].
    pub async fn snapshots_since(&self) -> Result<Vec<(String, Timestamp)>, Error> {
        self.inner.gate.check()?;
        snapshot::since(&self.inner.place.bucket).await
    }

    /// The present by the bucket's own clock, by which alone the ages of snapshots, stages and uploads are judged.
    pub async fn bucket_now(&self) -> Result<Timestamp, Error> {
        self.inner.place.bucket.now().await
    }

    /// Opens a snapshot for reading, beside the live home.
    pub async fn open_snapshot(&self, name: &str) -> Result<Snapshot, Error> {
        self.inner.gate.check()?;
        let Place { bucket, cache, .. } = &self.inner.place;
        Snapshot::open(bucket, cache, name, self.inner.options.clone()).await
    }

    /// Drops a snapshot; what only it needed is deleted after the grace time.
    pub async fn drop_snapshot(&self, name: &str) -> Result<(), Error> {
        self.ask(|reply| Message::DropSnapshot(name.to_owned(), reply)).await
    }

    /// A home beside this one, with the same files and a database of its own; empty, or as it was left when a stage
    /// of this name was begun before. It is not live until it is adopted.
    pub async fn stage(&self, name: &str) -> Result<Self, Error> {
        let cache = self.ask(|reply| Message::PrepareStage(name.to_owned(), reply)).await?;
        self.open_stage(name, cache).await
    }

    /// A stage that begins with the content of a snapshot, in place of any of this name.
    pub async fn stage_from(&self, snapshot: &str, name: &str) -> Result<Self, Error> {
        let begin = |reply| Message::BeginStage(snapshot.to_owned(), name.to_owned(), reply);
        let cache = self.ask(begin).await?;
        self.open_stage(name, cache).await
    }

    async fn open_stage(&self, name: &str, cache: PathBuf) -> Result<Self, Error> {
        let place = Place { cache, ..self.inner.place.clone() };
        // A stage has no past of its own.
        let options = Options { history: None, ..self.inner.options.clone() };
        let blobs = self.inner.blobs.clone();
        Self::open_head(place, &exchange::stage_key(name), options, blobs, Some(name.to_owned())).await
    }

    /// The content of a stage becomes that of this home, at once and wholly; what was live before is kept as the
    /// snapshot `undo`. The stage sleeps from then on. May be repeated after a crash.
    pub async fn adopt(&self, staged: Self, undo: &str) -> Result<(), Error> {
        let name = Self::end_stage(staged).await?;
        self.ask(|reply| Message::Adopt(name, undo.to_owned(), reply)).await
    }

    /// The same, and with it a home that has departed is here again: for whoever went on in its place and comes back.
    pub async fn adopt_returned(&self, staged: Self, undo: &str) -> Result<(), Error> {
        let name = Self::end_stage(staged).await?;
        self.ask(|reply| Message::AdoptReturned(name, undo.to_owned(), reply)).await
    }

    /// Puts a stage to sleep, and says what it is called.
    async fn end_stage(staged: Self) -> Result<String, Error> {
        let Some(name) = staged.inner.stage.clone() else {
            return Err(Error::Missing { what: "stage", name: staged.inner.place.owner.clone() });
        };
        match staged.sleep().await {
            Ok(()) | Err(Error::Asleep) => {}
            Err(error) => return Err(error),
        }
        drop(staged);
        Ok(name)
    }

    /// The content of a snapshot becomes that of this home; what was live before is kept as the snapshot `undo`.
    pub async fn restore(&self, snapshot: &str, undo: &str) -> Result<(), Error> {
        self.ask(|reply| Message::Restore(snapshot.to_owned(), undo.to_owned(), reply)).await
    }

    /// Under which names exchanges that happened have kept what was live before them, oldest first. A snapshot of such a
    /// name alone does not say that its exchange happened: it is taken before.
    pub async fn undos(&self) -> Result<Vec<String>, Error> {
        self.ask(Message::Undos).await
    }

    /// Returns once an exchange of content, whose fate nobody knew when its caller was told so, is found to have happened;
    /// oftener than `known` times, and says how often.
    pub async fn exchanged_late(&self, known: u64) -> u64 {
        self.inner.gate.late(known).await
    }

    /// Forgets a stage. One that is still open ends, as if it had been taken over.
    pub async fn discard_stage(&self, name: &str) -> Result<(), Error> {
        self.ask(|reply| Message::DiscardStage(name.to_owned(), reply)).await
    }

    /// Folds the log into packs now.
    pub async fn checkpoint(&self) -> Result<(), Error> {
        self.ask(Message::Checkpoint).await
    }

    /// Deletes objects older than `grace` that nothing names, left by crashes; returns how many. Rarely needed.
    pub async fn collect_orphans(&self, grace: Duration) -> Result<u64, Error> {
        self.ask(|reply| Message::Orphans(grace, reply)).await
    }

    /// Finishes what is under way and closes the home, with nothing left to upload; afterwards every call fails.
    pub async fn sleep(&self) -> Result<(), Error> {
        self.ask(Message::Sleep).await
    }

    /// Returns when the home takes no work any more, with the reason; a runtime that is fenced should exit.
    pub async fn ended(&self) -> Error {
        self.inner.gate.ended().await
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Message) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(message(reply)).await?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    async fn send(&self, message: Message) -> Result<(), Error> {
        self.inner.gate.check()?;
        self.inner.queue.send(message).await.map_err(|_| self.gone())
    }

    /// Why the keeper gave no answer: what ended the home, or the end of the executor it ran on.
    fn gone(&self) -> Error {
        self.inner.gate.check().err().unwrap_or(Error::Asleep)
    }

    /// The reason the home ended, if it did, for it explains the error.
    fn first_of(&self, error: Error) -> Error {
        self.inner.gate.check().err().unwrap_or(error)
    }
}
