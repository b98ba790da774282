//! Moves log out of the head while writes go on.
//!
//! A head that carries much log makes every conditional write slow, and to write that log into an object of its own
//! before the next head would cost each such write a second round trip. So the object is written beside the heads,
//! which carry on with what they have; the first head after it has landed names the object instead.

use std::time::Instant;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::bucket::Bucket;
use super::error::Error;
use super::head::{Head, Spilled};
use super::keeper::Keeper;
use super::{checkpoint, pack, segment};

/// A head with this much log begins to spill it.
const BEGIN: usize = 64 << 10;

/// A head with this much log waits for the spill under way.
pub(super) const MOST: usize = 256 << 10;

/// Log being written into an object, or written and not yet named.
pub(super) struct Spill {
    /// Nothing once the object is there.
    writing: Option<JoinHandle<Result<(), Error>>>,
    part: Spilled,
    /// The entries that are in it.
    entries: Vec<Bytes>,
    /// Whether a head that names it was offered. Such a head may land later than anybody expects, so from then on the
    /// object is not ours to delete, whatever became of the offer.
    is_offered: bool,
}

impl Spill {
    fn begin(bucket: &Bucket, head: &Head) -> Self {
        let entries = head.inline.clone();
        let body = segment::join(&entries);
        let key = pack::name("seg", head.epoch, head.seq, &body);
        let part = Spilled { key: key.clone(), len: body.len() as u64, upto: head.seq };
        let bucket = bucket.clone();
        let writing = Some(tokio::spawn(async move { bucket.put(&key, body).await }));
        Self { writing, part, entries, is_offered: false }
    }

    fn is_there(&self) -> bool {
        self.writing.as_ref().is_none_or(JoinHandle::is_finished)
    }

    async fn end(&mut self) -> Result<(), Error> {
        match self.writing.take() {
            Some(writing) => writing.await.unwrap_or_else(|why| Err(Error::no_result(&why))),
            None => Ok(()),
        }
    }
}

impl Keeper {
    /// Begins to spill if the published head carries much log.
    pub(super) fn spill_if_due(&mut self) {
        if self.spill.is_none() && self.head.inline_len() > BEGIN {
            self.pace.spent(1, Instant::now());
            self.spill = Some(Spill::begin(&self.bucket, &self.head));
        }
    }

    /// Lets a head that is being composed name the object instead of carrying what is in it.
    pub(super) async fn name_spilled(&mut self, head: &mut Head) -> Result<(), Error> {
        let Some(mut spill) = self.spill.take() else { return Ok(()) };
        if !head.inline.starts_with(&spill.entries) {
            // A checkpoint or another content came in between: the object is nobody's.
            spill.end().await.ok();
            checkpoint::retire(head, [spill.part.key]);
            return Ok(());
        }
        if !spill.is_there() && head.inline_len() <= MOST {
            self.spill = Some(spill);
            return Ok(());
        }
        if let Err(error) = spill.end().await {
            // It is begun anew with the next head, unless that has grown too large by now.
            return if head.inline_len() <= MOST { Ok(()) } else { Err(error) };
        }
        head.inline.drain(..spill.entries.len());
        head.spilled.push(spill.part.clone());
        spill.is_offered = true;
        // Until that head has landed the object may have to be named by another.
        self.spill = Some(spill);
        Ok(())
    }

    /// A head has landed; if it names the object, that is done.
    pub(super) fn named_spilled(&mut self) {
        let named = |spill: &Spill| self.head.spilled.iter().any(|part| part.key == spill.part.key);
        if self.spill.as_ref().is_some_and(named) {
            self.spill = None;
        }
    }

    /// The object that a head may come to name, or may name already without our knowing.
    pub(super) fn spilling(&self) -> Option<&String> {
        self.spill.as_ref().map(|spill| &spill.part.key)
    }

    /// Leaves nothing under way, and no object that can be told to be nobody's.
    pub(super) async fn end_spill(&mut self) {
        if let Some(mut spill) = self.spill.take() {
            spill.end().await.ok();
            if !spill.is_offered {
                // If that fails it is found by listing, as one is that was offered in vain.
                self.bucket.delete(&spill.part.key).await.ok();
            }
        }
    }
}
