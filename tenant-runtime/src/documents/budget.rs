//! How much one search may look at, and what it has looked at.

use std::time::{Duration, Instant};

use super::Error;
use super::record::View;

/// How much one search may look at.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Records.
    pub records: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// And for how long.
    pub time: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { records: 50_000, bytes: 64 << 20, time: Duration::from_secs(10) }
    }
}

/// How many entries of an index may be looked at for each record.
const ENTRIES: usize = 4;

/// Why a search ended early.
pub(super) enum Stop {
    /// It looked at all it may.
    Spent,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What a search has looked at.
pub(super) struct Meter {
    pub(super) looked_at: usize,
    entries: usize,
    bytes: usize,
    began: Instant,
    budget: Budget,
}

impl Meter {
    pub(super) fn new(budget: Budget) -> Self {
        Self { looked_at: 0, entries: 0, bytes: 0, began: Instant::now(), budget }
    }

    /// A record is read.
    pub(super) fn record(&mut self, view: &View<'_>) -> Result<(), Stop> {
        self.bytes = self.bytes.saturating_add(view.doc.len());
        if self.is_late(self.looked_at) || self.looked_at >= self.budget.records || self.bytes > self.budget.bytes {
            return Err(Stop::Spent);
        }
        self.looked_at += 1;
        Ok(())
    }

    /// An entry of an index is read.
    pub(super) fn entry(&mut self) -> Result<(), Stop> {
        if self.is_late(self.entries) || self.entries >= self.budget.records.saturating_mul(ENTRIES) {
            return Err(Stop::Spent);
        }
        self.entries += 1;
        Ok(())
    }

    fn is_late(&self, count: usize) -> bool {
        count % 256 == 255 && self.began.elapsed() > self.budget.time
    }
}
