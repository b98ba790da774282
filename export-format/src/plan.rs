//! The layout of an archive's bytes.
//!
//! A pure function of the entry list: every offset follows from names and sizes. So Content-Length is known before the
//! first byte, the same list gives the same bytes, and a range in the middle costs no more than one at the start.

use std::ops::Range;

use bytes::Bytes;

use crate::bag::names;
use crate::digest::{Digest, Summary, Tally};
use crate::packed::Stored;
use crate::path::EntryPath;
use crate::zip::{End, Header};

/// About how many bytes of headers are joined to one piece.
const INLINE: usize = 64 * 1024;

/// One entry and where its stored bytes come from.
#[derive(Debug)]
pub(crate) struct Planned<S> {
    pub(crate) path: EntryPath,
    pub(crate) summary: Summary,
    pub(crate) stored: Stored,
    pub(crate) body: Body<S>,
}

/// Where stored bytes come from.
#[derive(Debug)]
pub(crate) enum Body<S> {
    /// From here: the bag's own files.
    Inline(Bytes),
    /// From the caller.
    Source(S),
}

/// The layout of one archive.
#[derive(Debug)]
pub struct Plan<S> {
    entries: Vec<Planned<S>>,
    /// Where each entry's local header begins.
    locals: Vec<u64>,
    /// Where each entry's record in the central directory begins.
    centrals: Vec<u64>,
    end: End,
}

/// A part of an archive's bytes.
#[derive(Debug)]
pub enum Piece<'p, S> {
    /// These bytes: headers, the bag's own files, the central directory.
    Inline(Bytes),
    /// This range of an entry's stored bytes.
    Stored {
        /// The entry.
        path: &'p EntryPath,
        /// Where its stored bytes come from.
        source: &'p S,
        /// Which of its stored bytes.
        range: Range<u64>,
    },
}

impl<S> Plan<S> {
    pub(crate) fn new(entries: Vec<Planned<S>>) -> Self {
        let mut locals = Vec::with_capacity(entries.len());
        let mut centrals = Vec::with_capacity(entries.len());
        let mut offset = 0;
        for entry in &entries {
            locals.push(offset);
            offset = entry.header(offset).end();
        }
        let central_offset = offset;
        for (entry, &local) in entries.iter().zip(&locals) {
            centrals.push(offset);
            offset += entry.header(local).central_len();
        }
        let end = End { entries: entries.len() as u64, central_offset, central_len: offset - central_offset };
        Self { entries, locals, centrals, end }
    }

    /// The archive's exact length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an archive is never empty")]
    pub fn len(&self) -> u64 {
        self.end.central_offset + self.end.central_len + self.end.len()
    }

    /// How many entries it has, the bag's own files among them.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// The content of one of the bag's own files, such as [`names::MANIFEST`].
    #[must_use]
    pub fn tag_file(&self, name: &str) -> Option<&Bytes> {
        self.entries
            .iter()
            .take_while(|entry| !entry.path.is_payload())
            .find(|entry| entry.path.as_str() == name)
            .and_then(|entry| match &entry.body {
                Body::Inline(bytes) => Some(bytes),
                Body::Source(_) => None,
            })
    }

    /// The digest of everything behind the entries: the list of them and the records at the end. With the digests of the
    /// contents it stands for every byte but the spelling of deflated streams.
    #[must_use]
    pub fn directory(&self) -> Digest {
        let mut tally = Tally::new();
        for piece in self.range(self.end.central_offset..self.len()) {
            if let Piece::Inline(bytes) = piece {
                tally.update(&bytes);
            }
        }
        tally.finish().digest
    }

    pub(crate) fn into_entries(self) -> Vec<Planned<S>> {
        self.entries
    }

    /// A strong name for exactly these bytes, fit for an ETag: the digest of the signed tag manifest and the length.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        let tag_manifest = self.tag_file(names::TAG_MANIFEST).map(Bytes::as_ref).unwrap_or_default();
        Digest::of(&[tag_manifest, &self.len().to_le_bytes()].concat())
    }

    /// The pieces that make up the bytes in `range`; what lies beyond the end is left out.
    #[must_use]
    pub fn range(&self, range: Range<u64>) -> Pieces<'_, S> {
        Pieces { plan: self, at: range.start, end: range.end.min(self.len()) }
    }
}

impl<S> Planned<S> {
    fn header(&self, offset: u64) -> Header<'_> {
        Header { name: self.path.as_str(), summary: self.summary, stored: self.stored, offset }
    }
}

/// The pieces of a range, in order; made by [`Plan::range`].
#[derive(Debug)]
pub struct Pieces<'p, S> {
    plan: &'p Plan<S>,
    at: u64,
    end: u64,
}

/// What stands at some offset: bytes from there on, or a place in a source.
enum Here<'p, S> {
    Bytes(Bytes),
    Stored { path: &'p EntryPath, source: &'p S, from: u64, len: u64 },
}

impl<'p, S> Pieces<'p, S> {
    fn here(&self) -> Here<'p, S> {
        let plan = self.plan;
        let (start, mut bytes) = if self.at >= plan.end.central_offset + plan.end.central_len {
            let mut bytes = Vec::new();
            plan.end.write(&mut bytes);
            (plan.end.central_offset + plan.end.central_len, bytes)
        } else if self.at >= plan.end.central_offset {
            let index = plan.centrals.partition_point(|&start| start <= self.at) - 1;
            let mut bytes = Vec::new();
            plan.entries[index].header(plan.locals[index]).write_central(&mut bytes);
            (plan.centrals[index], bytes)
        } else {
            // Entries may be empty but headers are not, so the last one that begins at or before is the one.
            let index = plan.locals.partition_point(|&start| start <= self.at) - 1;
            let entry = &plan.entries[index];
            let header = entry.header(plan.locals[index]);
            let into = self.at - plan.locals[index];
            if into >= header.local_len() {
                let from = into - header.local_len();
                return match &entry.body {
                    Body::Inline(bytes) => Here::Bytes(bytes.slice(from as usize..)),
                    Body::Source(source) => Here::Stored { path: &entry.path, source, from, len: header.stored_len() },
                };
            }
            let mut bytes = Vec::new();
            header.write_local(&mut bytes);
            (plan.locals[index], bytes)
        };
        bytes.drain(..(self.at - start) as usize);
        Here::Bytes(bytes.into())
    }
}

impl<'p, S> Iterator for Pieces<'p, S> {
    type Item = Piece<'p, S>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut joined: Vec<u8> = Vec::new();
        while self.at < self.end && joined.len() < INLINE {
            match self.here() {
                Here::Bytes(mut bytes) => {
                    bytes.truncate(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
                    self.at += bytes.len() as u64;
                    if joined.is_empty() && bytes.len() >= INLINE {
                        return Some(Piece::Inline(bytes));
                    }
                    joined.extend_from_slice(&bytes);
                }
                Here::Stored { .. } if !joined.is_empty() => break,
                Here::Stored { path, source, from, len } => {
                    let range = from..len.min(from + (self.end - self.at));
                    self.at += range.end - range.start;
                    return Some(Piece::Stored { path, source, range });
                }
            }
        }
        (!joined.is_empty()).then(|| Piece::Inline(joined.into()))
    }
}
