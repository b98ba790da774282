//! Makes a new head the head, and finds out what happened when the bucket did not say.
//!
//! A conditional write ends in one of four ways: it happened; another owner was first, and we are fenced; it
//! certainly did not happen; or nobody knows. In the last case the head is read back and compared byte by byte. As
//! long as that fails too, the head stays *pending*: nothing further is written until its fate is known, and readers
//! get what is known to be durable. The commit in doubt is set aside for that long and put back if it has landed.
//!
//! A bucket that answers nothing costs its patience twice, for the write and for the question; then the callers are
//! told that nobody knows, and the question is asked on in the background (`inquiry.rs`). One that answers is offered
//! the very same head again, so that a write that was only late is found to be ours.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::bucket::{Expect, Put};
use super::checkpoint::Moved;
use super::content::Content;
use super::error::Error;
use super::exchange::Incoming;
use super::head::{self, Head, Spilled};
use super::inquiry::{Found, Inquiry};
use super::keeper::Keeper;
use super::pack::{self, GROUP, Press, blocking};
use super::segment::{self, Segment};
use super::spill;
use super::wal::{Aside, Delta, Mark};

/// The most pages in one log entry; 4 MiB.
const ENTRY_PAGES: usize = 1024;

/// How often a head is offered before its fate is left open.
const ATTEMPTS: u32 = 4;

/// A head that was offered, and what to do when its fate is known.
pub(super) struct Pending {
    head: Head,
    body: Bytes,
    then: Then,
}

/// What follows for the local copy when a head has landed.
enum Then {
    /// Nothing: it does not depend on that head.
    Nothing,
    /// Its last commit is covered; otherwise it is taken back. Meanwhile it may have been set aside.
    Cover(Commit, Option<Aside>),
    /// Another copy takes its place.
    Switch(Incoming),
    /// Its base has moved.
    Move(Moved),
    /// Commits that were acknowledged already are covered; otherwise they are still owed.
    Repay(Commit),
}

impl Pending {
    /// If the head has landed, this copy becomes the live one.
    pub(super) fn then_switch_to(&mut self, incoming: Incoming) {
        self.then = Then::Switch(incoming);
    }

    /// What makes the head unlike any other.
    pub(super) fn nonce(&self) -> &str {
        &self.head.nonce
    }

    /// Whether acknowledged writes are published if it has landed.
    pub(super) fn repays(&self) -> bool {
        matches!(self.then, Then::Repay(_))
    }

    /// If the head has landed, this is where the copy finds its base.
    pub(super) fn then_move(&mut self, moved: Moved) {
        self.then = Then::Move(moved);
    }
}

/// What the local copy committed and a head is to cover.
pub(super) struct Commit {
    end: Mark,
    groups: BTreeSet<u32>,
}

/// Commits that no published head covers yet, as a log.
pub(super) struct Committed {
    /// The database with them: its size in pages, and its layout where that changed.
    pub(super) pages: u32,
    pub(super) layout: Option<u32>,
    pub(super) at_ms: i64,
    pub(super) entries: Vec<Bytes>,
}

/// What reading the head back said.
enum Fate {
    Landed(Expect),
    NotLanded,
    Fenced,
}

impl Keeper {
    /// Publishes what the last commit added to the local log, if anything, and settles its ticket.
    pub(super) async fn ship(&mut self, ticket: u64) -> Result<(), Error> {
        let (head, commit) = match self.compose().await {
            Ok(Some(composed)) => composed,
            Ok(None) => {
                self.gate.settle(ticket);
                return Ok(());
            }
            Err(error) => {
                self.gate.fail(ticket);
                self.rewind().await;
                return Err(error);
            }
        };
        match self.publish(head).await {
            Ok(()) => {
                self.cover(commit);
                self.gate.settle(ticket);
                Ok(())
            }
            Err(error) => {
                // First of all, for taking the commit back lets later readers pass, and these must not.
                self.gate.fail(ticket);
                match &mut self.pending {
                    Some(pending) => pending.then = Then::Cover(commit, None),
                    None => self.rewind().await,
                }
                Err(error)
            }
        }
    }

    /// Publishes commits that were acknowledged before they were durable; if that fails they are still owed.
    pub(super) async fn repay(&mut self) -> Result<(), Error> {
        self.repay_by(head::nonce()).await
    }

    /// The same, by a head of which this is known beforehand.
    pub(super) async fn repay_by(&mut self, nonce: String) -> Result<(), Error> {
        if self.owed.is_none() {
            return Ok(());
        }
        self.resolve().await?;
        if let Some((head, commit)) = self.compose().await? {
            let mut head = head.signed(&self.owner);
            head.nonce = nonce;
            if let Err(error) = self.offer(head).await {
                if let Some(pending) = &mut self.pending {
                    pending.then = Then::Repay(commit);
                }
                return Err(error);
            }
            self.cover(commit);
        }
        self.owed = None;
        Ok(())
    }

    /// The head that covers the last commit, with its log either inline or already in the bucket.
    async fn compose(&mut self) -> Result<Option<(Head, Commit)>, Error> {
        let (wal, mark, at_ms, press) = (self.content.wal(), self.mark, self.moment(), self.press.take());
        // The first entry, which is nearly always the only one, is made on the same visit to another thread.
        let read = blocking(move || {
            let Some(delta) = Delta::since(&wal, &mark)? else { return Ok(None) };
            let mut press = press.map_or_else(Segment::press, Ok)?;
            let first = entry(&delta, 0, at_ms, &mut press)?;
            Ok(Some((delta, first, press)))
        });
        let Some((delta, first, mut press)) = read.await? else { return Ok(None) };
        let groups = delta.numbers().map(|page| (page - 1) / GROUP).collect();
        let commit = Commit { end: delta.end, groups };
        let mut head = self.next_head(delta.size, delta.layout()?, at_ms);
        self.name_spilled(&mut head).await?;
        let entries = delta.len().div_ceil(ENTRY_PAGES);
        let (delta, mut made) = (Arc::new(delta), Some(first));
        for at in 0..entries {
            let next = match made.take() {
                Some(first) => first,
                None => {
                    let delta = Arc::clone(&delta);
                    let make = blocking(move || Ok((entry(&delta, at, at_ms, &mut press)?, press)));
                    let (next, again) = make.await?;
                    press = again;
                    next
                }
            };
            self.carry(&mut head, next, entries).await?;
        }
        self.press = Some(press);
        Ok(Some((head, commit)))
    }

    /// All that was committed and is not published.
    pub(super) async fn committed(&mut self) -> Result<Option<Committed>, Error> {
        let (wal, mark, at_ms) = (self.content.wal(), self.mark, self.moment());
        let read = blocking(move || {
            let Some(delta) = Delta::since(&wal, &mark)? else { return Ok(None) };
            let mut press = Segment::press()?;
            let entries = (0..delta.len().div_ceil(ENTRY_PAGES)).map(|nth| entry(&delta, nth, at_ms, &mut press));
            let entries = entries.collect::<Result<_, _>>()?;
            Ok(Some(Committed { pages: delta.size, layout: delta.layout()?, at_ms, entries }))
        });
        read.await
    }

    /// The head after ours, for a database of this size and layout; its log is still to come.
    pub(super) fn next_head(&self, pages: u32, layout: Option<u32>, at_ms: i64) -> Head {
        let mut head = self.head.clone();
        head.seq += 1;
        head.pages = pages;
        head.layout = layout.unwrap_or(head.layout);
        head.at_ms = at_ms;
        if self.head.seq == 0 && self.head.since_ms.is_none() {
            (head.since_ms, head.base_pages) = (Some(head.at_ms), Some(0));
        }
        head
    }

    /// Adds an entry of so many to the log of a head.
    pub(super) async fn carry(&mut self, head: &mut Head, entry: Bytes, of: usize) -> Result<(), Error> {
        head.inline.push(entry);
        if head.inline_len() > spill::MOST || of > 1 { self.spill(head).await } else { Ok(()) }
    }

    /// Moves the inline log of a head that is being composed into an object of its own.
    async fn spill(&mut self, head: &mut Head) -> Result<(), Error> {
        let body = segment::join(&head.inline);
        let key = pack::name("seg", head.epoch, head.seq, &body);
        let part = Spilled { key, len: body.len() as u64, upto: head.seq };
        self.pace.spent(1, Instant::now());
        self.bucket.put(&part.key, body).await?;
        head.inline.clear();
        head.spilled.push(part);
        Ok(())
    }

    fn cover(&mut self, commit: Commit) {
        self.mark = commit.end;
        self.dirty.extend(commit.groups);
        self.spill_if_due();
    }

    /// Makes `head` the head. An error with [`Keeper::pending`] set means that its fate is open.
    pub(super) async fn publish(&mut self, head: Head) -> Result<(), Error> {
        self.offer(head.signed(&self.owner)).await
    }

    /// The same with a head that is signed already.
    pub(super) async fn offer(&mut self, mut head: Head) -> Result<(), Error> {
        if !self.taken {
            head.epoch += 1;
        }
        let body = head.encode();
        let mut pause = Duration::from_millis(20);
        for attempt in 1.. {
            self.pace.spent(1, Instant::now());
            let error = match self.bucket.put_if(&self.key, body.clone(), &self.version).await {
                Ok(Put::Done(version)) => {
                    self.published(head, Expect::Version(version));
                    return Ok(());
                }
                Ok(Put::Refused) => Error::Unsettled,
                Err(error) if error.is_definite() => return Err(error),
                Err(error) => error,
            };
            match self.bucket.get(&self.key).await.map(|found| self.fate(found, &body)) {
                Ok(Fate::Landed(version)) => {
                    self.published(head, version);
                    return Ok(());
                }
                Ok(Fate::Fenced) => return Err(self.fenced()),
                Ok(Fate::NotLanded) if attempt < ATTEMPTS => {}
                Ok(Fate::NotLanded) | Err(_) => {
                    tracing::warn!(key = self.key, error = %error, "the fate of a head is open");
                    self.pending = Some(Pending { head, body, then: Then::Nothing });
                    self.inquiry = Some(Inquiry::begin(&self.bucket, &self.key));
                    return Err(error);
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(Error::Unsettled)
    }

    /// Finds out what became of a pending head and brings the local copy in line with it.
    pub(super) async fn resolve(&mut self) -> Result<(), Error> {
        self.gate.check()?;
        if self.pending.is_none() {
            return Ok(());
        }
        let found = self.inquire().await;
        self.learn(found).await
    }

    /// The same, with what an inquiry came to.
    pub(super) async fn learn(&mut self, found: Result<Found, Error>) -> Result<(), Error> {
        let found = found?;
        let Some(pending) = self.pending.take() else { return Ok(()) };
        match self.fate(found, &pending.body) {
            Fate::Fenced => Err(self.fenced()),
            Fate::Landed(version) => {
                self.published(pending.head, version);
                match pending.then {
                    Then::Nothing => {}
                    Then::Move(moved) => self.moved(moved),
                    Then::Repay(commit) => {
                        self.cover(commit);
                        self.owed = None;
                    }
                    Then::Cover(commit, aside) => {
                        if let Some(aside) = aside {
                            self.put_back(aside).await?;
                        }
                        self.cover(commit);
                        self.gate.clear();
                    }
                    Then::Switch(incoming) => {
                        let held = Arc::clone(&self.live).write_owned().await;
                        self.switch(incoming, held).await?;
                        self.gate.landed_late();
                    }
                }
                Ok(())
            }
            Fate::NotLanded => {
                match pending.then {
                    // What was set aside is taken back already.
                    Then::Nothing | Then::Move(_) | Then::Repay(_) | Then::Cover(_, Some(_)) => {}
                    Then::Cover(_, None) => self.rewind().await,
                    Then::Switch(incoming) => incoming.give_up(),
                }
                self.gate.check()
            }
        }
    }

    fn fate(&self, found: Found, body: &Bytes) -> Fate {
        match found {
            Some((found, version)) if found == *body => Fate::Landed(Expect::Version(version)),
            Some((_, version)) if Expect::Version(version.clone()) == self.version => Fate::NotLanded,
            None if self.version == Expect::Absent => Fate::NotLanded,
            _ => Fate::Fenced,
        }
    }

    fn published(&mut self, head: Head, version: Expect) {
        self.head = head;
        self.version = version;
        self.taken = true;
        self.named_spilled();
        self.tell_departed();
    }

    /// Something the head names is not there or not as it was. That is damage only if this is still the head: an owner
    /// who has taken the home over may have tidied it away.
    pub(super) async fn confirm(&mut self) -> Result<(), Error> {
        self.resolve().await?;
        match self.still_ours().await {
            Err(Error::Fenced) => Err(self.fenced()),
            end => end,
        }
    }

    fn fenced(&self) -> Error {
        tracing::warn!(key = self.key, owner = self.owner, "another runtime has taken this home over");
        self.mourn();
        self.gate.end(Error::Fenced);
        Error::Fenced
    }

    /// Takes back from the local copy what was committed there and certainly not published.
    async fn rewind(&mut self) {
        if self.gate.check().is_err() {
            return;
        }
        let mark = self.mark;
        match self.at_rest(move |content| mark.cut(&content.wal())).await.flatten() {
            Ok(()) => self.gate.clear(),
            Err(error) => drop(self.broken(error)),
        }
    }

    /// Until the fate of the last commit is known, readers get what was there before it.
    pub(super) async fn step_back(&mut self) {
        if !matches!(&self.pending, Some(Pending { then: Then::Cover(_, None), .. })) {
            return;
        }
        let mark = self.mark;
        let aside = match self.at_rest(move |content| mark.set_aside(&content.wal(), &content.aside())).await {
            Ok(Ok(aside)) => aside,
            // As when the disk is full. Then readers wait as writers do.
            Ok(Err(error)) => {
                return tracing::warn!(error = &error as &dyn std::error::Error, "a commit in doubt stays in place");
            }
            Err(error) => return drop(self.broken(error)),
        };
        if let Some(Pending { then: Then::Cover(_, kept), .. }) = &mut self.pending {
            *kept = Some(aside);
            self.gate.clear();
        }
    }

    /// The commit that was set aside has landed.
    async fn put_back(&mut self, aside: Aside) -> Result<(), Error> {
        let put = self.at_rest(move |content| aside.put_back(&content.wal(), &content.aside())).await;
        put.flatten().map_err(|error| self.broken(error))
    }

    /// Changes SQLite's log while nobody has the database open. The outer error leaves it closed.
    async fn at_rest<T: Send + 'static>(
        &mut self,
        change: impl FnOnce(&Content) -> Result<T, Error> + Send + 'static,
    ) -> Result<Result<T, Error>, Error> {
        let live = Arc::clone(&self.live);
        let _nobody_starts = live.write().await;
        let _nobody_reads = self.content.quiet().await?;
        let (db, content) = (self.db.take(), Arc::clone(&self.content));
        let changed = blocking(move || {
            drop(db);
            let end = change(&content);
            content.forget_index()?;
            Ok((content.writing()?, end))
        });
        let (db, end) = changed.await?;
        self.db = Some(db);
        Ok(end)
    }

    /// Ends the home, for only the next start can make a copy that is in step.
    fn broken(&self, error: Error) -> Error {
        tracing::error!(error = &error as &dyn std::error::Error, "the local copy cannot be brought in step");
        let broken = Error::Broken(Arc::new(error));
        self.gate.end(broken.clone());
        broken
    }
}

/// One entry of the log.
fn entry(delta: &Delta, nth: usize, at_ms: i64, press: &mut Press) -> Result<Bytes, Error> {
    let mut segment = delta.segment(nth * ENTRY_PAGES, ENTRY_PAGES)?;
    segment.at_ms = at_ms;
    segment.encode_by(press)
}
