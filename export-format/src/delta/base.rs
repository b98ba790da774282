//! What the archive holds that a delta builds on, found by content.

use std::collections::HashMap;

use super::{BaseName, DeltaError};
use crate::bag;
use crate::digest::{Digest, Summary};
use crate::layout::Entry;
use crate::packed::Stored;
use crate::path::EntryPath;
use crate::reader::Reader;

/// What a writer knows of the archive a delta is to build on.
#[derive(Debug)]
pub struct Base {
    pub(super) name: BaseName,
    pub(super) holdings: Holdings,
}

impl Base {
    /// An archive that is at hand. Only its list of entries is looked at.
    #[must_use]
    pub fn of<S, State>(archive: &Reader<S, State>) -> Self {
        let name = BaseName { archive_id: archive.manifest().archive_id.clone(), manifest: archive.payload_manifest() };
        Self { name, holdings: Holdings::of(archive.entries()) }
    }

    /// An archive that this same writer made, of which it has kept the `archiveId` and the payload manifest
    /// (`manifest-sha256.txt`).
    ///
    /// It must have packed content then as it does now, or what comes of the delta is not the archive it promises and the
    /// receiver refuses it: so for a writer of another version, write a full archive.
    ///
    /// # Errors
    /// When the manifest is not readable.
    ///
    /// ```
    /// use export_format::delta::Base;
    /// let manifest = format!("{}  data/account.json\n", export_format::Digest::of(b"{}"));
    /// assert!(Base::ours("urn:uuid:01930000-0000-7000-8000-000000000001", manifest.as_bytes()).is_ok());
    /// assert!(Base::ours("urn:uuid:01930000-0000-7000-8000-000000000001", b"no manifest\n").is_err());
    /// ```
    pub fn ours(archive_id: &str, manifest: &[u8]) -> Result<Self, DeltaError> {
        let (lines, bad) = bag::parse_manifest(manifest);
        if let Some(bad) = bad.first() {
            return Err(DeltaError::Base(format!("line {}: {}", bad.line, bad.why)));
        }
        if lines.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(DeltaError::Base("it is not sorted".to_owned()));
        }
        let files = lines.into_iter().map(|(path, digest)| Held { path, digest, form: None }).collect();
        let name = BaseName { archive_id: archive_id.to_owned(), manifest: Digest::of(manifest) };
        Ok(Self { name, holdings: Holdings::new(files) })
    }

    /// By what a delta names it.
    #[must_use]
    pub fn name(&self) -> &BaseName {
        &self.name
    }
}

/// A file of the base.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) path: EntryPath,
    pub(super) digest: Digest,
    /// How it stands there, if that is known.
    pub(super) form: Option<Form>,
}

/// How a file stands in an archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) size: u64,
    pub(super) crc32: u32,
    pub(super) stored: Stored,
    /// Where its stored bytes begin.
    pub(super) at: u64,
}

impl Held {
    /// Whether it stands there as it would stand in the new archive, as far as that is known.
    pub(super) fn stands_as(&self, summary: &Summary, stored: Stored) -> bool {
        self.form.is_none_or(|form| {
            (form.size, form.crc32, form.stored) == (summary.size, summary.crc32, stored)
                && self.digest == summary.digest
        })
    }
}

/// The payload of an archive, sorted by path.
#[derive(Debug)]
pub(super) struct Holdings {
    files: Vec<Held>,
    /// The first file of each content.
    first: HashMap<Digest, usize>,
}

impl Holdings {
    fn new(files: Vec<Held>) -> Self {
        let mut first = HashMap::with_capacity(files.len());
        for (index, held) in files.iter().enumerate() {
            first.entry(held.digest).or_insert(index);
        }
        Self { files, first }
    }

    pub(super) fn of(entries: &[Entry]) -> Self {
        let held = |entry: &Entry| {
            let form = Form { size: entry.size, crc32: entry.crc32, stored: entry.stored, at: entry.content_offset() };
            Some(Held { path: entry.path.clone(), digest: entry.digest?, form: Some(form) })
        };
        Self::new(entries.iter().filter(|entry| entry.path.is_payload()).filter_map(held).collect())
    }

    /// The file a delta means by this path and digest: the one of the same path if it has that content, else the first
    /// that has.
    pub(super) fn find(&self, path: &EntryPath, digest: &Digest) -> Option<&Held> {
        let same = self.files.binary_search_by(|held| held.path.cmp(path)).ok().map(|at| &self.files[at]);
        same.filter(|held| held.digest == *digest).or_else(|| self.first.get(digest).and_then(|at| self.files.get(*at)))
    }
}
