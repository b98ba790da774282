//! The one task through which a home changes.
//!
//! It takes everything that waits, runs it as one transaction on the local copy, publishes the new log with the next
//! head, and only then tells the callers. Snapshots, exchanges of content and checkpoints go through the same task,
//! so each of them sees a published state and nothing half done.
//!
//! Architecture Invariant: nothing else writes the head, and the keeper never writes a head that does not follow
//! from the one it wrote or read last.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{RwLock, mpsc, oneshot};

use super::bucket::{Bucket, Expect, Listed};
use super::checkpoint::Build;
use super::content::Content;
use super::error::Error;
use super::exchange;
use super::gate::Gate;
use super::head::Head;
use super::history::Moments;
use super::hold::Hold;
use super::inquiry::Inquiry;
use super::operation::{self, Operation};
use super::options::{Durability, Options};
use super::pace::Pace;
use super::pack::Press;
use super::publish::Pending;
use super::snapshot::SnapshotInfo;
use super::spill::Spill;
use super::sweep::Live;
use super::wal::Mark;

/// The most operations in one group.
const GROUP: usize = 256;

/// What a keeper is asked.
pub(super) enum Message {
    Write(Box<dyn Operation>),
    Upkeep(Box<dyn Operation>),
    Hold(Duration, Reply<i64>),
    EndHold(Reply<()>),
    Depart(u64, String, Reply<()>),
    ComeBack(Reply<()>),
    Settle(Reply<()>),
    Confirm(Reply<()>),
    Extent(Reply<(u32, u64)>),
    Checkpoint(Reply<()>),
    Snapshot(String, Reply<SnapshotInfo>),
    SnapshotAt(String, i64, Reply<SnapshotInfo>),
    Moments(Reply<Moments>),
    Undos(Reply<Vec<String>>),
    ShortenHistory(i64, Reply<()>),
    BeginSweep(Reply<Live>),
    Judge(Vec<Listed>, Reply<Option<Vec<Listed>>>),
    Mend(BTreeSet<String>, Reply<BTreeSet<String>>),
    KeptSinceSweep(Reply<u64>),
    DropSnapshot(String, Reply<()>),
    PrepareStage(String, Reply<PathBuf>),
    BeginStage(String, String, Reply<PathBuf>),
    DiscardStage(String, Reply<()>),
    Adopt(String, String, Reply<()>),
    AdoptReturned(String, String, Reply<()>),
    Restore(String, String, Reply<()>),
    Orphans(Duration, Reply<u64>),
    Stages(Reply<Vec<(String, Timestamp)>>),
    Sleep(Reply<()>),
}

impl Message {
    fn is_write(&self) -> bool {
        matches!(self, Self::Write(_))
    }

    /// Whether it may be answered while acknowledged writes are still to be published.
    fn is_light(&self) -> bool {
        matches!(self, Self::Settle(_) | Self::Confirm(_) | Self::Extent(_) | Self::EndHold(_))
    }

    /// Whether it must not meet the head of a stage that has become live.
    fn minds_stages(&self) -> bool {
        matches!(
            self,
            Self::PrepareStage(..)
                | Self::BeginStage(..)
                | Self::DiscardStage(..)
                | Self::Adopt(..)
                | Self::AdoptReturned(..)
                | Self::Stages(_)
                | Self::BeginSweep(_)
                | Self::Orphans(..)
        )
    }

    /// Answers with an error.
    fn refuse(self, error: Error) {
        match self {
            Self::Write(operation) | Self::Upkeep(operation) => operation.settle(Err(error)),
            Self::Hold(_, reply) => drop(reply.send(Err(error))),
            Self::Extent(reply) => drop(reply.send(Err(error))),
            Self::Moments(reply) => drop(reply.send(Err(error))),
            Self::Undos(reply) => drop(reply.send(Err(error))),
            Self::Stages(reply) => drop(reply.send(Err(error))),
            Self::PrepareStage(_, reply) | Self::BeginStage(_, _, reply) => drop(reply.send(Err(error))),
            Self::Orphans(_, reply) | Self::KeptSinceSweep(reply) => drop(reply.send(Err(error))),
            Self::BeginSweep(reply) => drop(reply.send(Err(error))),
            Self::Judge(_, reply) => drop(reply.send(Err(error))),
            Self::Mend(_, reply) => drop(reply.send(Err(error))),
            Self::Snapshot(_, reply) | Self::SnapshotAt(_, _, reply) => drop(reply.send(Err(error))),
            Self::Settle(reply)
            | Self::Confirm(reply)
            | Self::EndHold(reply)
            | Self::Depart(_, _, reply)
            | Self::ComeBack(reply)
            | Self::Checkpoint(reply)
            | Self::ShortenHistory(_, reply)
            | Self::DropSnapshot(_, reply)
            | Self::DiscardStage(_, reply)
            | Self::Adopt(_, _, reply)
            | Self::AdoptReturned(_, _, reply)
            | Self::Restore(_, _, reply)
            | Self::Sleep(reply) => drop(reply.send(Err(error))),
        }
    }
}

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// Everything that belongs to the writing side of one home.
pub(super) struct Keeper {
    pub(super) bucket: Bucket,
    pub(super) options: Options,
    pub(super) cache: PathBuf,
    pub(super) owner: String,
    /// The key of the head this keeper writes.
    pub(super) key: String,
    pub(super) gate: Arc<Gate>,
    /// The content readers use.
    pub(super) live: Arc<RwLock<Arc<Content>>>,
    pub(super) content: Arc<Content>,
    /// The writing connection; absent only while it is being exchanged, and at the end.
    pub(super) db: Option<Connection>,
    /// The head as last published.
    pub(super) head: Head,
    pub(super) version: Expect,
    /// Whether the published head is of this owner's epoch.
    pub(super) taken: bool,
    /// The end of the local log that the head covers.
    pub(super) mark: Mark,
    /// Groups that differ from the base.
    pub(super) dirty: BTreeSet<u32>,
    /// Packs being built, if a checkpoint is under way.
    pub(super) build: Option<Build>,
    /// No new checkpoint begins before this much log has gathered, after one that did not succeed.
    pub(super) not_before: u64,
    /// What heads name that came into being since a sweep began; nothing when none is under way.
    pub(super) fresh: Option<BTreeSet<String>>,
    /// Roughly how many bytes were kept for the past since the last sweep.
    pub(super) kept_bytes: u64,
    /// Log on its way out of the head.
    pub(super) spill: Option<Spill>,
    /// Since when there are commits that were acknowledged and are not durable yet.
    pub(super) owed: Option<Instant>,
    /// What compresses the log, while there is much to do.
    pub(super) press: Option<Press>,
    /// When to take the next group.
    pub(super) pace: Pace,
    /// A head whose fate is not known.
    pub(super) pending: Option<Pending>,
    /// The question what became of it.
    pub(super) inquiry: Option<Inquiry>,
    /// Whether the head of the stage that became this content may still lie about.
    pub(super) left_over: bool,
    /// Whether writes wait.
    pub(super) hold: Option<Hold>,
    /// What waits.
    pub(super) held: VecDeque<Message>,
    /// Keeps other processes out of the cache folder.
    pub(super) _lock: std::fs::File,
}

impl Keeper {
    /// Works until the home sleeps, is fenced, or nobody holds it any more.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut batch = Vec::new();
        let mut waiting = VecDeque::new();
        let mut tidy = !self.left_over;
        while self.gate.check().is_ok() {
            if self.has_let_go() {
                self.work_off(&queue, &mut waiting).await;
                continue;
            }
            tokio::select! {
                taken = queue.recv_many(&mut batch, GROUP) => {
                    if taken == 0 {
                        break;
                    }
                    tidy = false;
                }
                () = tokio::time::sleep(self.options.idle_after), if !tidy => {
                    if let Err(error) = self.clear_left_over().await {
                        tracing::warn!(key = self.key, error = &error as &dyn std::error::Error, "a former stage stays for now");
                    }
                    tidy = !self.shed();
                    continue;
                }
                () = until(self.held_until()) => {
                    self.let_go();
                    continue;
                }
                () = until(self.repay_at()) => {
                    self.repay_or_warn().await;
                    continue;
                }
                found = Inquiry::answered(&mut self.inquiry) => {
                    if let Err(error) = self.learn(found).await {
                        tracing::warn!(key = self.key, error = &error as &dyn std::error::Error, "still open");
                    }
                    continue;
                }
                built = Build::finished(&mut self.build) => {
                    if let Err(error) = self.end_checkpoint(built).await {
                        tracing::warn!(key = self.key, error = &error as &dyn std::error::Error, "no checkpoint");
                    }
                    continue;
                }
            }
            waiting.extend(batch.drain(..));
            if self.hold.is_none() {
                self.gather(&mut queue, &mut waiting).await;
            }
            self.work_off(&queue, &mut waiting).await;
        }
        if self.owed.is_some() {
            self.repay_or_warn().await;
        }
        self.content.close();
    }

    /// Does what waits and is not held.
    async fn work_off(&mut self, queue: &mpsc::Receiver<Message>, waiting: &mut VecDeque<Message>) {
        while let Some(message) = self.next(waiting) {
            if self.gate.check().is_err() {
                return; // Dropping a message tells its caller to ask the gate.
            }
            if let Message::Write(first) = message {
                let mut group = vec![first];
                while group.len() < GROUP
                    && let Some(next) = self.next_write(waiting)
                {
                    group.push(next);
                }
                let (begun, told) = (Instant::now(), group.len());
                self.write(group).await;
                self.pace.published(begun.elapsed(), told, queue.len());
                self.checkpoint_if_due().await;
            } else {
                // Whatever rests on the published state finds everything published.
                let repaid = match message {
                    Message::Sleep(_) => self.repay_before_sleep().await,
                    _ if message.is_light() => Ok(()),
                    _ => self.repay().await,
                };
                let ready = match repaid {
                    Ok(()) if message.minds_stages() => self.clear_left_over().await,
                    repaid => repaid,
                };
                match ready {
                    Ok(()) => self.answer(message).await,
                    Err(error) => message.refuse(error),
                }
            }
        }
    }

    /// Lets the next group of writes grow for a moment, if that is worth it; anything else is not kept waiting.
    async fn gather(&mut self, queue: &mut mpsc::Receiver<Message>, waiting: &mut VecDeque<Message>) {
        let (begun, mut batch) = (tokio::time::Instant::now(), Vec::new());
        let thrift = match self.options.durability {
            Durability::Durable => self.pace.thrift(Instant::now()),
            Durability::Within(_) => Duration::ZERO, // Its groups are as large as can be.
        };
        while waiting.iter().all(Message::is_write) && waiting.len() < GROUP {
            let company = match self.options.durability {
                Durability::Durable => self.pace.company(waiting.len()),
                Durability::Within(_) => Duration::ZERO,
            };
            let until = begun + thrift.max(company);
            let room = GROUP - waiting.len();
            match tokio::time::timeout_at(until, queue.recv_many(&mut batch, room)).await {
                Ok(taken) if taken > 0 => waiting.extend(batch.drain(..)),
                _ => return,
            }
        }
    }

    /// When acknowledged commits are to be made durable: early enough to be so within the promised span.
    fn repay_at(&self) -> Option<Instant> {
        match self.options.durability {
            Durability::Within(span) => self.owed.map(|since| since + span / 2),
            Durability::Durable => self.owed,
        }
    }

    async fn repay_or_warn(&mut self) {
        if let Err(error) = self.repay().await {
            tracing::warn!(key = self.key, error = &error as &dyn std::error::Error, "acknowledged writes are owed");
            if self.gate.check().is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        self.checkpoint_if_due().await;
    }

    /// Everything but writes. An asker who went away needs no answer.
    async fn answer(&mut self, message: Message) {
        match message {
            Message::Write(operation) => self.write(vec![operation]).await,
            Message::Upkeep(operation) => self.upkeep(operation).await,
            Message::Hold(span, reply) => drop(reply.send(self.hold(span).await)),
            Message::EndHold(reply) => {
                self.let_go();
                drop(reply.send(Ok(())));
            }
            Message::Depart(seq, words, reply) => drop(reply.send(self.depart(seq, words).await)),
            Message::ComeBack(reply) => drop(reply.send(self.come_back().await)),
            // A commit in doubt may have been set aside since that was asked.
            Message::Settle(reply) if !self.gate.in_doubt() => drop(reply.send(Ok(()))),
            Message::Settle(reply) => drop(reply.send(self.resolve().await)),
            Message::Confirm(reply) => drop(reply.send(self.confirm().await)),
            Message::Extent(reply) => drop(reply.send(Ok((self.head.pages, self.head.seq)))),
            Message::Checkpoint(reply) => drop(reply.send(self.checkpoint().await)),
            Message::Snapshot(name, reply) => drop(reply.send(self.snapshot(&name, None).await)),
            Message::SnapshotAt(name, at_ms, reply) => drop(reply.send(self.snapshot_at(&name, at_ms).await)),
            Message::Moments(reply) => drop(reply.send(self.moments().await)),
            Message::Undos(reply) => drop(reply.send(self.resolve().await.map(|()| self.head.undos.clone()))),
            Message::ShortenHistory(from_ms, reply) => drop(reply.send(self.shorten_history(from_ms).await)),
            Message::BeginSweep(reply) => drop(reply.send(self.begin_sweep().await)),
            Message::Judge(candidates, reply) => drop(reply.send(self.judge(candidates).await)),
            Message::Mend(damaged, reply) => drop(reply.send(self.mend(damaged).await)),
            Message::KeptSinceSweep(reply) => drop(reply.send(Ok(self.kept_bytes))),
            Message::DropSnapshot(name, reply) => drop(reply.send(self.drop_snapshot(&name).await)),
            Message::PrepareStage(name, reply) => drop(reply.send(self.prepare_stage(&name).await)),
            Message::BeginStage(from, name, reply) => drop(reply.send(self.begin_stage(&from, &name).await)),
            Message::DiscardStage(name, reply) => drop(reply.send(self.discard_stage(&name).await)),
            Message::Adopt(name, undo, reply) => drop(reply.send(self.adopt(&name, &undo).await)),
            Message::AdoptReturned(name, undo, reply) => drop(reply.send(self.adopt_returned(&name, &undo).await)),
            Message::Restore(from, undo, reply) => drop(reply.send(self.restore(&from, &undo).await)),
            Message::Orphans(grace, reply) => drop(reply.send(self.collect_orphans(grace).await)),
            Message::Stages(reply) => drop(reply.send(exchange::stages(&self.bucket).await)),
            Message::Sleep(reply) => drop(reply.send(self.sleep().await)),
        }
    }

    /// Gives back what an idle home does not need; says whether there was anything.
    fn shed(&mut self) -> bool {
        self.press = None;
        if let Some(db) = &self.db {
            db.flush_prepared_statement_cache();
            db.release_memory().ok();
        }
        self.content.shed()
    }

    /// One group of writes, from the first statement to the callers' answers.
    async fn write(&mut self, group: Vec<Box<dyn Operation>>) {
        let ready = match self.ready().await {
            Ok(()) => self.check_here(),
            hindered => hindered,
        };
        self.commit_all(group, ready).await;
    }

    /// Commits a group that may be committed, and tells the callers how that ended.
    pub(super) async fn commit_all(&mut self, mut group: Vec<Box<dyn Operation>>, ready: Result<(), Error>) {
        let end = match ready {
            Ok(()) => self.commit(&mut group).await,
            Err(error) => Err(error),
        };
        for operation in group {
            operation.settle(end.clone());
        }
        self.step_back().await;
    }

    /// Makes sure that another commit may follow.
    async fn ready(&mut self) -> Result<(), Error> {
        self.resolve().await?;
        match (self.options.durability, self.owed) {
            // More than the promised span would be at stake.
            (Durability::Within(span), Some(since)) if since.elapsed() >= span / 2 => self.repay().await,
            _ => Ok(()),
        }
    }

    async fn commit(&mut self, group: &mut Vec<Box<dyn Operation>>) -> Result<(), Error> {
        let Some(db) = self.db.take() else { return Err(Error::Asleep) };
        let ticket = self.gate.draw();
        let mut running = std::mem::take(group);
        let ran = tokio::task::spawn_blocking(move || {
            let end = operation::run(&db, &mut running);
            (db, running, end)
        });
        let Ok((db, ran, end)) = ran.await else {
            self.gate.fail(ticket);
            self.gate.end(Error::Broken(Arc::new(Error::Panicked)));
            return Err(Error::Panicked);
        };
        *group = ran;
        self.db = Some(db);
        if let Err(error) = end {
            self.gate.settle(ticket); // Nothing was committed, so nothing can have been seen.
            return Err(match error {
                Error::Damaged { .. } => match self.confirm().await {
                    Err(Error::Fenced) => Error::Fenced,
                    // Who did not ask for what is damaged may ask again.
                    _ => Error::unavailable("read", "a page", error),
                },
                error => error,
            });
        }
        if let Durability::Within(_) = self.options.durability {
            self.owed.get_or_insert_with(Instant::now);
            self.gate.settle(ticket);
            return Ok(());
        }
        self.ship(ticket).await
    }

    /// Closes the database so that the next wake finds everything in place.
    async fn sleep(&mut self) -> Result<(), Error> {
        self.resolve().await?;
        let live = Arc::clone(&self.live);
        let _nobody_starts = live.write().await;
        let _nobody_reads = self.content.quiet().await?;
        if self.head.spilled.is_empty() {
            self.await_build().await?;
        } else {
            self.checkpoint().await?;
        }
        if self.begins_slowly()
            && let Err(error) = self.checkpoint().await
        {
            tracing::warn!(key = self.key, error = &error as &dyn std::error::Error, "the next wake takes longer");
            self.resolve().await?;
        }
        self.collect().await;
        self.end_spill().await;
        if !self.fold().await? {
            return Err(Error::Unsettled);
        }
        self.db = None;
        super::marker::write(self).await?;
        self.gate.end(Error::Asleep);
        Ok(())
    }
}

/// Returns at that moment; never without one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// Copies SQLite's log into the database file and empties it; false when a reader stood in the way.
pub(super) fn fold(db: Connection) -> (Connection, Result<bool, Error>) {
    let busy = db.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get::<_, i64>(0));
    let folded = busy.map(|busy| busy == 0).map_err(Error::database("fold its log"));
    (db, folded)
}
