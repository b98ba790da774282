//! The full archive as it follows from a base and a delta: bytes at positions, and nothing on disk.

use std::io;
use std::ops::Range;

use bytes::Bytes;

use super::Promise;
use crate::bag::names;
use crate::digest::Summary;
use crate::finding::{Code, Findings};
use crate::head::TagFiles;
use crate::packed::Stored;
use crate::path::EntryPath;
use crate::plan::{Body, Piece, Plan, Planned};
use crate::source::Source;

/// Where an entry's stored bytes begin.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// In the base.
    Base(u64),
    /// In the delta.
    Delta(u64),
}

/// The bytes of a full archive that are taken from a base and a delta as they are asked for; made by
/// [`Delta::apply`](super::Delta::apply), which hands it out inside a [`Reader`](crate::reader::Reader) only.
#[derive(Debug)]
pub struct Applied<B, D> {
    base: B,
    delta: D,
    plan: Plan<Place>,
}

/// The full archive's own files stand in the delta under these names, its payload in either; the rest follows.
pub(super) fn put_together<B, D>(
    base: B,
    delta: D,
    mut tags: TagFiles,
    files: Vec<(EntryPath, Summary, Stored, Place)>,
    promise: Promise,
    findings: &mut Findings,
) -> Option<Applied<B, D>> {
    let mut entries = Vec::with_capacity(names::OF_FULL.len() + files.len());
    for (of_full, here) in names::OF_FULL {
        let bytes = Bytes::from(tags.remove(here)?);
        let (path, summary) = (of_full.parse().ok()?, Summary::of(&bytes));
        entries.push(Planned { path, summary, stored: Stored::Whole, body: Body::Inline(bytes) });
    }
    entries.extend(files.into_iter().map(|(path, summary, stored, place)| Planned {
        path,
        summary,
        stored,
        body: Body::Source(place),
    }));
    let plan = Plan::new(entries);
    let comes = Promise { bytes: plan.len(), entries: plan.entries() as u64, directory: plan.directory() };
    if comes != promise {
        let why = if (comes.bytes, comes.entries) == (promise.bytes, promise.entries) {
            "another list of entries comes of it".to_owned()
        } else {
            format!(
                "it promises {} bytes in {} entries, and {} in {} come of it",
                promise.bytes, promise.entries, comes.bytes, comes.entries
            )
        };
        findings.add(Code::Outcome.found(why));
    }
    Some(Applied { base, delta, plan })
}

impl<B: Source, D: Source> Applied<B, D> {
    fn read_piece(&self, place: Place, range: &Range<u64>, buffer: &mut [u8]) -> io::Result<()> {
        match place {
            Place::Base(start) => self.base.read_exact_at(start + range.start, buffer),
            Place::Delta(start) => self.delta.read_exact_at(start + range.start, buffer),
        }
    }
}

impl<B: Source, D: Source> Source for Applied<B, D> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.plan.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        for piece in self.plan.range(offset..offset.saturating_add(buffer.len() as u64)) {
            match piece {
                Piece::Inline(bytes) => {
                    buffer[filled..filled + bytes.len()].copy_from_slice(&bytes);
                    filled += bytes.len();
                }
                Piece::Stored { source, range, .. } => {
                    let len = (range.end - range.start) as usize;
                    self.read_piece(*source, &range, &mut buffer[filled..filled + len])?;
                    filled += len;
                }
            }
        }
        Ok(filled)
    }
}
