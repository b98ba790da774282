//! What was acknowledged and could not be published before the home had to go to sleep.
//!
//! Under bounded loss a write is acknowledged before it is durable. When a host puts a home to sleep while the bucket is
//! away, what is still owed is left in the cache, as the log entries that the next head would have carried, and the next
//! wake on this host publishes them before anything else. That holds as long as nobody else has written the home since: the
//! note names the head its entries follow, and every head that was offered with them, for one of those may have landed.
//!
//! Failure: where another host has taken the home over meanwhile, or the cache is gone, what was owed is lost. It is no more
//! than the plan's span of writes, and the log says so.
//!
//! In the file: one line of JSON, the entries one after another, SHA-256 of all before it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use export_format::Digest;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::head::{self, Head};
use super::keeper::Keeper;
use super::options::Durability;
use super::pack::blocking;
use super::publish::Committed;

/// The note's name in a cache. While it is there, the cache holds what is nowhere else.
pub const OWED: &str = "owed";

/// How long a digest is.
const SUM: usize = 32;

/// What is owed, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owed {
    /// The nonces of the heads that the entries may follow.
    after: Vec<String>,
    /// The nonces of the heads that were offered with them.
    offered: Vec<String>,
    /// The database with them: its size in pages, and its layout where that changed.
    pages: u32,
    layout: Option<u32>,
    /// When they were committed, and since when they are owed, in milliseconds.
    at_ms: i64,
    for_ms: u64,
    lens: Vec<u32>,
    #[serde(skip)]
    entries: Vec<Bytes>,
}

impl Owed {
    fn encode(&self) -> Vec<u8> {
        let mut out = serde_json::to_vec(self).expect("a note is plain data");
        out.push(b'\n');
        self.entries.iter().for_each(|entry| out.extend_from_slice(entry));
        let sum = Digest::of(&out);
        out.extend_from_slice(sum.as_bytes());
        out
    }

    fn decode(body: Bytes) -> Option<Self> {
        let content = body.slice(..body.len().checked_sub(SUM)?);
        if Digest::of(&content).as_bytes()[..] != body[content.len()..] {
            return None;
        }
        let mut at = content.iter().position(|byte| *byte == b'\n')? + 1;
        let mut owed: Self = serde_json::from_slice(&content[..at]).ok()?;
        for len in &owed.lens {
            let end = at + *len as usize;
            owed.entries.push((end <= content.len()).then(|| content.slice(at..end))?);
            at = end;
        }
        Some(owed)
    }

    async fn write(&self, cache: &Path) -> Result<(), Error> {
        let (body, cache) = (self.encode(), cache.to_owned());
        blocking(move || {
            let write = || {
                let new = cache.join("owed.new");
                let mut note = File::create(&new)?;
                note.write_all(&body)?;
                note.sync_all()?;
                fs::rename(new, cache.join(OWED))?;
                File::open(&cache)?.sync_all()
            };
            write().map_err(Error::cache("keep what is owed"))
        })
        .await
    }
}

/// The note in a cache; an error where there is one that nobody can read.
fn read(cache: &Path) -> Result<Option<Owed>, Error> {
    match fs::read(cache.join(OWED)) {
        Ok(body) => {
            Owed::decode(body.into()).map(Some).ok_or_else(|| Error::damaged(OWED, "it is not as it was written"))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::cache("read what is owed")(e)),
    }
}

fn forget(cache: &Path) -> Result<(), Error> {
    let forget = || {
        match fs::remove_file(cache.join(OWED)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        // Were it there again after a power cut, it would tell of a loss that is none.
        File::open(cache)?.sync_all()
    };
    forget().map_err(Error::cache("forget what was owed"))
}

impl Keeper {
    /// Since when acknowledged writes are owed, in milliseconds.
    pub(super) fn owed_for_ms(&self) -> Option<u64> {
        self.owed.map(|since: Instant| u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Another owner has the home: what is owed will never be published.
    pub(super) fn mourn(&self) {
        if let (Some(for_ms), Durability::Within(span)) = (self.owed_for_ms(), self.options.durability) {
            let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            tracing::error!(
                key = self.key,
                owed.ms = for_ms,
                span.ms = span_ms,
                "the last acknowledged writes are lost, no more than the span that the plan names: another runtime has the home"
            );
        }
    }

    /// Publishes what is owed. If that cannot be done now, the home ends all the same, and leaves it to the next wake here.
    pub(super) async fn repay_before_sleep(&mut self) -> Result<(), Error> {
        let Some(for_ms) = self.owed_for_ms() else { return Ok(()) };
        let nonce = head::nonce();
        // Before anything is tried, for whoever waits for the sleep has an end to their patience.
        let noted = self.note_owed(for_ms, &nonce).await;
        match (self.repay_by(nonce).await, noted) {
            (Ok(()), Err(_)) => Ok(()),
            (Ok(()), Ok(())) => forget(&self.cache),
            (Err(Error::Fenced), _) => {
                forget(&self.cache).ok();
                Err(Error::Fenced)
            }
            (Err(error), Ok(())) => {
                tracing::warn!(
                    key = self.key,
                    owed.ms = for_ms,
                    error = &error as &dyn std::error::Error,
                    "acknowledged writes are left in the cache, and the next wake publishes them"
                );
                (self.owed, self.db) = (None, None);
                self.gate.end(Error::Asleep);
                Err(Error::Owed { for_ms, source: Arc::new(error) })
            }
            (Err(error), Err(why)) => {
                tracing::error!(key = self.key, error = &why as &dyn std::error::Error, "what is owed cannot be kept");
                Err(error)
            }
        }
    }

    async fn note_owed(&mut self, for_ms: u64, nonce: &str) -> Result<(), Error> {
        let Some(Committed { pages, layout, at_ms, entries }) = self.committed().await? else { return Ok(()) };
        let (mut after, mut offered) = (vec![self.head.nonce.clone()], vec![nonce.to_owned()]);
        match &self.pending {
            Some(pending) if pending.repays() => offered.push(pending.nonce().to_owned()),
            // It changes where the database lies, and not what is in it.
            Some(pending) => after.push(pending.nonce().to_owned()),
            None => {}
        }
        let lens = entries.iter().map(|entry| entry.len() as u32).collect();
        Owed { after, offered, pages, layout, at_ms, for_ms, lens, entries }.write(&self.cache).await
    }

    /// Publishes what an earlier run on this host had acknowledged and not published.
    pub(super) async fn take_up_owed(&mut self) -> Result<(), Error> {
        let mut owed = match read(&self.cache) {
            Ok(Some(owed)) => owed,
            Ok(None) => return Ok(()),
            Err(error) => {
                tracing::error!(
                    key = self.key,
                    error = &error as &dyn std::error::Error,
                    "the last acknowledged writes are lost"
                );
                return forget(&self.cache);
            }
        };
        if owed.offered.contains(&self.head.nonce) {
            tracing::info!(key = self.key, "acknowledged writes that were owed had been published after all");
        } else if owed.after.contains(&self.head.nonce) {
            let head = self.repaying(&owed).await?.signed(&self.owner);
            // Noted first: if nobody says what becomes of it, the next wake knows it again.
            owed.offered.push(head.nonce.clone());
            owed.write(&self.cache).await?;
            self.offer(head).await?;
            tracing::info!(key = self.key, owed.ms = owed.for_ms, "published what had been owed");
        } else {
            tracing::error!(
                key = self.key,
                owed.ms = owed.for_ms,
                head.owner = self.head.owner,
                "acknowledged writes of the run before are lost, no more than the span that the plan named: the home has been written elsewhere since"
            );
        }
        forget(&self.cache)
    }

    /// The next head, with what is owed.
    async fn repaying(&mut self, owed: &Owed) -> Result<Head, Error> {
        let mut head = self.next_head(owed.pages, owed.layout, owed.at_ms);
        for entry in &owed.entries {
            self.carry(&mut head, entry.clone(), owed.entries.len()).await?;
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back_as_it_was_or_not_at_all() {
        let owed = Owed {
            after: vec!["a".to_owned()],
            offered: Vec::new(),
            pages: 7,
            layout: None,
            at_ms: 5,
            for_ms: 6,
            lens: vec![3, 2],
            entries: vec![Bytes::from_static(b"one"), Bytes::from_static(b"\n2")],
        };
        let body = owed.encode();
        assert_eq!(Owed::decode(body.clone().into()), Some(owed));
        for at in 0..body.len() {
            let mut bad = body.clone();
            bad[at] ^= 4;
            assert_eq!(Owed::decode(bad.into()), None, "byte {at}");
        }
        assert_eq!(Owed::decode(Bytes::from_static(b"short")), None);
    }
}
