//! The past of a home: any moment of a window of time can be opened, compared and brought back.
//!
//! The log of a home is its past already: every entry says when it was committed. A checkpoint folds the log into a
//! base and drops it; before that, a copy of the head is kept, and with it everything the head names. The state at a
//! moment is then the newest kept head that begins no later, with its log cut after the last entry of that moment.
//! Nothing is copied for this but heads, and keeping costs nothing while a home is written to except one small object
//! a checkpoint.
//!
//! Kept heads are ordered by owner and by how much they had seen, never by a clock: a superseded owner can only keep
//! what it had published itself. Moments never go back within a home, even where the clock does. How long ago a state
//! was replaced, and so whether it may go, is told by the bucket's clock, for its kept head was written then.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::bucket::{Bucket, Listed};
use super::error::Error;
use super::head::{Head, Spilled};
use super::keeper::Keeper;
use super::name;
use super::pack::{self, blocking};
use super::segment::{self, Segment};
use super::snapshot::SnapshotInfo;

/// Where kept heads lie.
pub(super) const FOLDER: &str = "hist/";

/// Which moments of a home can be brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    /// The earliest.
    pub from_ms: i64,
    /// The last change.
    pub until_ms: i64,
    /// How many former states are kept.
    pub kept: usize,
    /// Whether the past is kept at all.
    pub is_kept: bool,
    /// The most bytes that are kept for it.
    pub limit_bytes: u64,
}

/// What the name of a kept head says of it; the order is that of the home's changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kept {
    epoch: u64,
    seq: u64,
    /// Up to when it was the state.
    pub(super) until_ms: i64,
    /// From when on.
    pub(super) since_ms: i64,
    pub(super) key: String,
    pub(super) size: u64,
    /// When it stopped being the state, by the bucket's clock.
    pub(super) modified: Timestamp,
}

impl Kept {
    fn key(head: &Head, since_ms: i64, until_ms: i64) -> String {
        format!("{FOLDER}{since_ms:013}-{until_ms:013}-{:08x}-{:012x}", head.epoch, head.seq)
    }

    fn read(line: Listed) -> Option<Self> {
        let mut parts = line.key.strip_prefix(FOLDER)?.split('-');
        let (since_ms, until_ms) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (epoch, seq) = (parts.next()?, parts.next()?);
        let (epoch, seq) = (u64::from_str_radix(epoch, 16).ok()?, u64::from_str_radix(seq, 16).ok()?);
        Some(Self { epoch, seq, until_ms, since_ms, key: line.key, size: line.size, modified: line.modified })
    }
}

/// All kept heads, oldest first.
pub(super) async fn kept(bucket: &Bucket) -> Result<Vec<Kept>, Error> {
    let mut all: Vec<Kept> = bucket.list(FOLDER).await?.into_iter().filter_map(Kept::read).collect();
    all.sort();
    Ok(all)
}

/// How many of the kept heads, counted from the oldest, were replaced before the window that ends `now`, by the
/// bucket's clock.
pub(super) fn passed(kept: &[Kept], now: Timestamp, window: Duration) -> usize {
    let Ok(horizon) = now.checked_sub(window) else { return 0 };
    kept.iter().take_while(|kept| kept.modified <= horizon).count()
}

impl Keeper {
    /// The present; never before the last commit.
    pub(super) fn moment(&self) -> i64 {
        self.options.clock.now().as_millisecond().max(self.head.at_ms)
    }

    /// Keeps the published head, because the next one drops part of it; says whether it is kept.
    pub(super) async fn keep_history(&mut self, until_ms: i64) -> Result<bool, Error> {
        let (Some(_), Some(since_ms)) = (&self.options.history, self.head.since_ms) else { return Ok(false) };
        let mut head = self.head.clone();
        head.taken_ms = Some(until_ms);
        head.departed = None;
        head.retired.clear();
        self.note_head(&head).await?;
        let key = Kept::key(&head, since_ms, until_ms);
        self.bucket.put(&key, head.encode()).await?;
        // What is dropped now: the log, and about as much in packs that the new ones replace.
        self.kept_bytes += 2 * head.spilled_len();
        Ok(true)
    }

    /// Which moments can be brought back.
    pub(super) async fn moments(&mut self) -> Result<Moments, Error> {
        self.resolve().await?;
        let kept = kept(&self.bucket).await?;
        let first = kept.first().map(|kept| kept.since_ms).or(self.head.since_ms);
        let until_ms = self.head.at_ms;
        let from_ms = first.unwrap_or(until_ms).max(self.head.floor_ms);
        let (is_kept, limit_bytes) = self.options.history.map_or((false, 0), |history| (true, history.bytes));
        Ok(Moments { from_ms, until_ms, kept: kept.len(), is_kept, limit_bytes })
    }

    /// Takes a snapshot of the state the home had at a moment.
    pub(super) async fn snapshot_at(&mut self, name: &str, at_ms: i64) -> Result<SnapshotInfo, Error> {
        name::check(name)?;
        self.resolve().await?;
        let head = self.head_at(at_ms).await?;
        let mut head = cut(&self.bucket, head, at_ms).await?;
        head.taken_ms = Some(self.options.clock.now().as_millisecond());
        (head.undo_of, head.departed) = (None, None);
        self.keep_snapshot(name, head).await
    }

    /// The newest head that begins no later than a moment.
    async fn head_at(&mut self, at_ms: i64) -> Result<Head, Error> {
        let gone = || Error::Missing { what: "moment", name: spoken(at_ms) };
        if at_ms < self.head.floor_ms {
            return Err(gone());
        }
        if self.head.since_ms.is_some_and(|since| since <= at_ms) {
            return Ok(self.head.clone());
        }
        let kept = kept(&self.bucket).await?;
        let found = kept.iter().rfind(|kept| kept.since_ms <= at_ms);
        // Where the past was not kept for a while, the state before the gap is not the state in it.
        let found = found.filter(|kept| at_ms <= kept.until_ms).ok_or_else(gone)?;
        Head::decode(&found.key, &self.bucket.expect(&found.key).await?)
    }

    /// Lets go of the past before a moment. What is live is not touched.
    pub(super) async fn shorten_history(&mut self, from_ms: i64) -> Result<(), Error> {
        self.resolve().await?;
        if self.head.floor_ms < from_ms {
            let mut head = self.head.clone();
            head.floor_ms = from_ms;
            self.publish(head).await?;
        }
        Ok(())
    }
}

/// A head without the log entries committed after a moment; only the segment in which the cut lies is written anew.
async fn cut(bucket: &Bucket, mut head: Head, at_ms: i64) -> Result<Head, Error> {
    if head.at_ms <= at_ms {
        return Ok(head);
    }
    let entries = std::mem::take(&mut head.inline);
    let mut last = None;
    if let Some(trimmed) = trim("head", entries, at_ms).await? {
        head.inline = trimmed.entries;
        last = Some((trimmed.pages, trimmed.at_ms));
    }
    while last.is_none()
        && let Some(part) = head.spilled.pop()
    {
        let body = pack::verified(&part.key, bucket.expect(&part.key).await?)?;
        let entries = segment::split(&part.key, body)?;
        let all = entries.len();
        let Some(trimmed) = trim(&part.key, entries, at_ms).await? else { continue };
        last = Some((trimmed.pages, trimmed.at_ms));
        if trimmed.entries.len() == all {
            head.spilled.push(part);
        } else {
            let body = segment::join(&trimmed.entries);
            let key = pack::name("seg", head.epoch, part.upto, &body);
            let len = body.len() as u64;
            bucket.put(&key, body).await?;
            head.spilled.push(Spilled { key, len, upto: part.upto });
        }
    }
    let base = head.base_pages.zip(head.since_ms);
    (head.pages, head.at_ms) =
        last.or(base).ok_or_else(|| Error::damaged("head", "it does not say where its base stands"))?;
    Ok(head)
}

/// The first entries of a row, and what the last of them says.
struct Trimmed {
    entries: Vec<Bytes>,
    pages: u32,
    at_ms: i64,
}

/// The entries of a row up to a moment, unless there are none.
async fn trim(key: &str, mut entries: Vec<Bytes>, at_ms: i64) -> Result<Option<Trimmed>, Error> {
    let key = key.to_owned();
    blocking(move || {
        let mut last = None;
        let mut fit = 0;
        for entry in &entries {
            let found = Segment::decode(&key, entry)?;
            if found.at_ms > at_ms {
                break;
            }
            last = Some((found.size, found.at_ms));
            fit += 1;
        }
        entries.truncate(fit);
        Ok(last.map(|(pages, at_ms)| Trimmed { entries, pages, at_ms }))
    })
    .await
}

fn spoken(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(|_| at_ms.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_from(since_ms: i64, until_ms: i64, seq: u64) -> Kept {
        let mut head = Head::empty();
        (head.epoch, head.seq) = (1, seq);
        let key = Kept::key(&head, since_ms, until_ms);
        let modified = Timestamp::from_second(until_ms).expect("a moment");
        Kept::read(Listed { key, size: 1, modified }).expect("it names itself")
    }

    #[test]
    fn a_name_says_what_is_kept_and_in_which_order() {
        let (old, new) = (kept_from(5, 1_795_255_200, 0xfff), kept_from(1_795_255_100, 1_795_255_201, 0x1000));
        assert_eq!((old.since_ms, old.until_ms, old.seq), (5, 1_795_255_200, 0xfff));
        assert!(old < new);
    }

    #[test]
    fn a_head_is_kept_while_a_moment_of_the_window_needs_it() {
        let all = [kept_from(0, 10, 1), kept_from(8, 20, 2), kept_from(20, 30, 3)];
        let passed =
            |now, window| passed(&all, Timestamp::from_second(now).expect("a moment"), Duration::from_secs(window));
        assert_eq!(passed(109, 100), 0, "until second 10 the first was the state");
        assert_eq!(passed(110, 100), 1);
        assert_eq!(passed(129, 100), 2);
        assert_eq!(passed(130, 100), 3);
        assert_eq!(passed(130, u64::MAX), 0, "a window without end");
    }
}
