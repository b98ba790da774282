//! The pages of a local copy: which are there, and how the others come.
//!
//! A copy laid down from the bucket begins as an empty file of the right size. Its log is written into it at once;
//! the base comes as it is read, a group at a time, and more of it ahead of a scan. Whoever needs a group that is
//! already on its way waits for that one flight.
//!
//! Invariants: a page that is there is never written by a flight, for it may be newer than the base; a page that is
//! not there is as the base has it, whichever base that is by now, for all that changes a page brings it first or
//! writes it whole. What a flight brings has been compared with the hash its place in the base names.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::bucket::Bucket;
use super::error::Error;
use super::head::{Base, GroupAt};
use super::pack::{self, GROUP};
use super::presence::Presence;
use super::readahead::ReadAhead;
use super::segment::PAGE;

/// The most groups asked for with one request.
const TOGETHER: usize = 4;

/// How many of the pages read first after a wake are remembered; 1 MiB.
const FIRST: usize = 256;

/// The pages of one copy; clones share them.
#[derive(Clone)]
pub(super) struct Pages {
    inner: Arc<Inner>,
}

struct Inner {
    bucket: Bucket,
    file: Arc<File>,
    runtime: Handle,
    /// Every page is there; nothing need be asked any more.
    whole: AtomicBool,
    /// The pages read first are known, or as many of them as are remembered.
    settled_in: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    base: Arc<Base>,
    present: Presence,
    /// Groups of which pages are missing.
    missing: usize,
    flying: HashMap<u32, Told>,
    ahead: ReadAhead,
    first: Vec<u32>,
    start: Start,
}

/// What is known of the reads every wake begins with.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Start {
    /// Nobody has said yet that they are over.
    #[default]
    Open,
    /// Some of them had to wait for pages.
    Waiting,
    /// They are over, and none had to wait.
    Swift,
    /// They are over, and some had to wait.
    Slow,
}

/// How a flight ended, once it has.
type Told = watch::Receiver<Option<Result<(), Error>>>;

impl Pages {
    /// The pages of a copy that is made here, so that all of them are there.
    pub(super) fn here(bucket: Bucket, file: Arc<File>) -> Self {
        let inner = Inner {
            bucket,
            file,
            runtime: Handle::current(),
            whole: AtomicBool::new(true),
            settled_in: AtomicBool::new(false),
            state: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// From now on only those pages are there that `present` says, and the rest of `base` is still to come.
    pub(super) fn lay_out(&self, base: Arc<Base>, present: Presence) {
        let mut state = self.inner.state.lock();
        state.present = present;
        for group in (0..base.groups.len() as u32).filter(|group| place(&base, *group).is_none()) {
            state.present.add(pages_of(group));
        }
        self.rebased(&mut state, base);
    }

    /// The base has moved: the groups lie elsewhere, with the same content wherever a page is not there.
    pub(super) fn rebase(&self, base: Arc<Base>) {
        let mut state = self.inner.state.lock();
        self.rebased(&mut state, base);
    }

    fn rebased(&self, state: &mut State, base: Arc<Base>) {
        state.base = base;
        let groups = 0..state.base.groups.len() as u32;
        state.missing = groups.filter(|group| !state.present.has_all(pages_of(*group))).count();
        self.inner.whole.store(state.missing == 0, Ordering::Release);
    }

    /// The base as this copy knows it.
    pub(super) fn base(&self) -> Arc<Base> {
        Arc::clone(&self.inner.state.lock().base)
    }

    /// The file the pages lie in.
    pub(super) fn file(&self) -> &Arc<File> {
        &self.inner.file
    }

    /// Whether nothing is missing.
    pub(super) fn is_whole(&self) -> bool {
        self.inner.whole.load(Ordering::Acquire)
    }

    /// Which of the first `pages` are there, as runs.
    pub(super) fn runs(&self, pages: u32) -> Vec<(u32, u32)> {
        match self.is_whole() {
            true => vec![(0, pages)],
            false => self.inner.state.lock().present.runs(0..pages),
        }
    }

    /// Which pages are there.
    pub(super) fn presence(&self) -> Presence {
        match self.is_whole() {
            true => Presence::default(),
            false => self.inner.state.lock().present.clone(),
        }
    }

    /// The pages that were read first, counted from 0.
    pub(super) fn first_read(&self) -> Vec<u32> {
        self.inner.state.lock().first.clone()
    }

    /// Returns when the bytes are there. Blocks; not to be called on the executor's own threads.
    pub(super) fn ensure(&self, at: u64, len: usize) -> Result<(), Error> {
        let first = (at / PAGE as u64) as u32;
        if !self.inner.settled_in.load(Ordering::Relaxed) {
            self.note_first(first);
        }
        if self.is_whole() {
            return Ok(());
        }
        let last = ((at + (len as u64).max(1) - 1) / PAGE as u64) as u32;
        for page in first..=last {
            while let Some(mut told) = self.ask(page) {
                let end = futures::executor::block_on(told.wait_for(Option::is_some));
                ended(end.map(|end| end.clone()))?;
            }
        }
        Ok(())
    }

    /// The reads every wake begins with are over.
    pub(super) fn settle_in(&self) {
        let mut state = self.inner.state.lock();
        state.start = match state.start {
            Start::Open | Start::Swift => Start::Swift,
            Start::Waiting | Start::Slow => Start::Slow,
        };
        self.inner.settled_in.store(true, Ordering::Relaxed);
    }

    /// Whether reads that every wake begins with had to wait for pages that were not at hand.
    pub(super) fn began_slowly(&self) -> bool {
        self.inner.state.lock().start == Start::Slow
    }

    /// What is read first will be at hand the next time.
    pub(super) fn first_is_at_hand(&self) {
        let mut state = self.inner.state.lock();
        if state.start == Start::Slow {
            state.start = Start::Swift;
        }
    }

    fn note_first(&self, page: u32) {
        let mut state = self.inner.state.lock();
        if !state.first.contains(&page) {
            state.first.push(page);
        }
        if state.start == Start::Open && !state.present.has(page) {
            state.start = Start::Waiting;
        }
        if state.first.len() >= FIRST {
            self.inner.settled_in.store(true, Ordering::Relaxed);
        }
    }

    /// Returns when all pages of these groups are there.
    pub(super) async fn bring(&self, groups: &[u32]) -> Result<(), Error> {
        if self.is_whole() {
            return Ok(());
        }
        loop {
            let (mut told, mut flights) = (Vec::new(), Vec::new());
            {
                let mut state = self.inner.state.lock();
                for group in groups {
                    self.want(&mut state, *group, &mut told);
                }
                self.board(&mut state, groups.iter().copied(), &mut flights);
            }
            told.extend(self.depart(flights));
            if told.is_empty() {
                return Ok(());
            }
            for mut flight in told {
                let end = flight.wait_for(Option::is_some).await;
                ended(end.map(|end| end.clone()))?;
            }
        }
    }

    /// Returns when one page, counted from 1, is there.
    pub(super) async fn bring_page(&self, number: u32) -> Result<(), Error> {
        match self.presence().has(number - 1) {
            true => Ok(()),
            false => self.bring(&[(number - 1) / GROUP]).await,
        }
    }

    /// Writes a page of the log, which outranks whatever the base has.
    pub(super) fn overwrite(&self, number: u32, page: &[u8]) -> Result<(), Error> {
        let at = u64::from(number - 1) * PAGE as u64;
        self.written(at, PAGE, || self.inner.file.write_all_at(page, at)).map_err(Error::cache("lay down pages"))
    }

    /// Writes a page as the base has it, unless it is there.
    pub(super) fn supply(&self, number: u32, page: &[u8]) -> Result<(), Error> {
        let mut state = self.inner.state.lock();
        if state.present.has(number - 1) {
            return Ok(());
        }
        let at = u64::from(number - 1) * PAGE as u64;
        self.inner.file.write_all_at(page, at).map_err(Error::cache("lay down pages"))?;
        state.present.add(number - 1..number);
        Ok(())
    }

    /// Runs `write`, which writes these bytes; if it does, from then on their pages are there.
    pub(super) fn written<E>(&self, at: u64, len: usize, write: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        if self.is_whole() {
            return write();
        }
        // Under the lock, so that no flight can lay the base's page over what is being written.
        let mut state = self.inner.state.lock();
        write()?;
        let from = (at / PAGE as u64) as u32;
        state.present.add(from..from + len.div_ceil(PAGE) as u32);
        Ok(())
    }

    /// Runs `work` while no flight lays anything down.
    pub(super) fn alone<T>(&self, work: impl FnOnce() -> T) -> T {
        let _state = self.inner.state.lock();
        work()
    }

    /// Nothing if the page is there; otherwise the flight that will bring it.
    fn ask(&self, page: u32) -> Option<Told> {
        let (mut told, mut flights) = (Vec::new(), Vec::new());
        {
            let mut state = self.inner.state.lock();
            if state.present.has(page) {
                return None;
            }
            let group = page / GROUP;
            if place(&state.base, group).is_none() {
                state.present.add(pages_of(group)); // No base has ever had it.
                return None;
            }
            match state.flying.get(&group) {
                Some(flight) => told.push(flight.clone()),
                None => {
                    let window = state.ahead.missed(group);
                    self.board(&mut state, group..group + window, &mut flights);
                }
            }
        }
        told.extend(self.depart(flights));
        told.into_iter().next()
    }

    /// The flight that already brings a group, if it is needed and there is one.
    fn want(&self, state: &mut State, group: u32, told: &mut Vec<Told>) {
        if let Some(flight) = state.flying.get(&group) {
            told.push(flight.clone());
        }
    }

    /// Puts groups that are missing and not on their way into as few flights as their places allow.
    fn board(&self, state: &mut State, groups: impl Iterator<Item = u32>, flights: &mut Vec<Landing>) {
        let base = Arc::clone(&state.base);
        let mut run: Vec<(u32, GroupAt)> = Vec::new();
        let mut runs = Vec::new();
        for group in groups {
            let Some(at) = place(&base, group) else { continue };
            if state.flying.contains_key(&group) || state.present.has_all(pages_of(group)) {
                continue;
            }
            if run.len() == TOGETHER || run.last().is_some_and(|(_, before)| !before.is_followed_by(&at)) {
                runs.push(std::mem::take(&mut run));
            }
            run.push((group, at));
        }
        runs.push(run);
        for run in runs.into_iter().filter(|run| !run.is_empty()) {
            let groups: Vec<u32> = run.into_iter().map(|(group, _)| group).collect();
            let (tell, told) = watch::channel(None);
            state.flying.extend(groups.iter().map(|group| (*group, told.clone())));
            flights.push(Landing { pages: self.clone(), groups, tell, end: None });
        }
    }

    /// Starts flights, outside the lock: a runtime that is ending drops them at once, and that lands them.
    fn depart(&self, flights: Vec<Landing>) -> Vec<Told> {
        let start = |flight: Landing| {
            let told = flight.tell.subscribe();
            self.inner.runtime.spawn(flight.fly());
            told
        };
        flights.into_iter().map(start).collect()
    }

    /// Brings groups; if the base moves meanwhile and they are gone from where they were, from where they went.
    async fn fetch(&self, groups: &[u32]) -> Result<(), Error> {
        loop {
            let base = self.base();
            match self.fetch_by(&base, groups).await {
                Err(Error::Missing { .. } | Error::Damaged { .. }) if !Arc::ptr_eq(&base, &self.base()) => {}
                Err(Error::Missing { name, .. }) => return Err(Error::damaged(&name, "it is referred to and missing")),
                end => return end,
            }
        }
    }

    async fn fetch_by(&self, base: &Base, groups: &[u32]) -> Result<(), Error> {
        let places: Vec<(u32, GroupAt)> =
            groups.iter().filter_map(|group| Some((*group, place(base, *group)?))).collect();
        for run in places.chunk_by(|(_, before), (_, at)| before.is_followed_by(at)) {
            let (Some((_, first)), Some((_, last))) = (run.first(), run.last()) else { continue };
            let key = base.key_of(*first)?;
            let body = self.inner.bucket.get_range(key, first.begin()..last.end()).await?;
            for (group, at) in run {
                let from = (at.begin() - first.begin()) as usize;
                let packed = body.get(from..from + at.2 as usize);
                let packed = packed.ok_or_else(|| Error::damaged(key, "it is shorter than it should be"))?;
                self.lay_down(*group, &pack::open(key, *at, packed)?)?;
            }
        }
        Ok(())
    }

    /// Lays a group of the base down where pages are missing.
    fn lay_down(&self, group: u32, plain: &[u8]) -> Result<(), Error> {
        let mut state = self.inner.state.lock();
        let gaps = state.present.gaps(pages_of(group));
        if gaps.is_empty() {
            return Ok(());
        }
        // The file may have become shorter since; it is not to grow again by what no longer belongs to it.
        let doing = "lay down pages";
        let end = self.inner.file.metadata().map_err(Error::cache(doing))?.len();
        for gap in gaps {
            let at = u64::from(gap.start) * PAGE as u64;
            let from = (gap.start - group * GROUP) as usize * PAGE;
            let to = (from + gap.len() * PAGE).min(plain.len()).min(from + end.saturating_sub(at) as usize);
            if from < to {
                self.inner.file.write_all_at(&plain[from..to], at).map_err(Error::cache(doing))?;
            }
        }
        state.present.add(pages_of(group));
        state.missing = state.missing.saturating_sub(1);
        if state.missing == 0 {
            self.inner.whole.store(true, Ordering::Release);
        }
        Ok(())
    }
}

/// Groups on their way. However the flight ends, even by being dropped, it lands: nobody waits for it for ever.
struct Landing {
    pages: Pages,
    groups: Vec<u32>,
    tell: watch::Sender<Option<Result<(), Error>>>,
    end: Option<Result<(), Error>>,
}

impl Landing {
    async fn fly(mut self) {
        self.end = Some(self.pages.fetch(&self.groups).await);
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut state = self.pages.inner.state.lock();
        for group in &self.groups {
            state.flying.remove(group);
        }
        drop(state);
        // Nobody may be waiting.
        self.tell.send(Some(self.end.take().unwrap_or(Err(Error::Asleep)))).ok();
    }
}

/// What a flight said; one that could say nothing ended with its executor.
fn ended<E>(told: Result<Option<Result<(), Error>>, E>) -> Result<(), Error> {
    told.ok().flatten().unwrap_or(Err(Error::Asleep))
}

fn place(base: &Base, group: u32) -> Option<GroupAt> {
    base.groups.get(group as usize).copied().flatten()
}

fn pages_of(group: u32) -> std::ops::Range<u32> {
    group * GROUP..(group + 1) * GROUP
}
