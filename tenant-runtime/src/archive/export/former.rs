//! What an export that builds on an earlier one takes from it: the segments of tables in which nothing has changed.
//!
//! The work files with those segments are linked into the later export's folder, so the earlier one may go. All of it is a
//! short cut: where anything is missing or does not fit (the content was exchanged, another release rendered it, a file is
//! gone) there is nothing to take, and everything is rendered.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use export_format::digest::Summary;
use export_format::packed::{Stored, unpack};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::frozen;
use crate::archive::error::Error;
use crate::archive::payload::{Changed, Former, Segment, Source};
use crate::documents::noting::{self, Noting};
use crate::documents::{self, TableName};

/// Who renders. What another release made may be spelled otherwise.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// What is known of a rendering.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Known {
    release: String,
    /// How far changes had been noted at its moment.
    noting: Option<Noting>,
    /// The segments of each table whose changes are noted since, by the number of its collection.
    tables: BTreeMap<i64, Vec<Segment>>,
    /// How many files of earlier exports its segments lie in.
    files: u32,
}

impl Known {
    /// What is known when rendering begins.
    pub(super) fn of(noting: Option<Noting>, former: Option<&Self>) -> Self {
        let files = former.map_or(0, |former| former.files);
        Self { release: RELEASE.into(), noting, tables: BTreeMap::new(), files }
    }

    /// Whether all that has changed between it and a content is noted there.
    pub(super) fn continues(&self, now: Option<&Noting>) -> bool {
        self.noting.as_ref().zip(now).is_some_and(|(then, now)| then.lineage == now.lineage)
    }

    pub(super) fn records(&self) -> u64 {
        self.tables.values().flatten().map(|segment| segment.rows).sum()
    }

    /// A table as it was, and what has changed of it.
    pub(super) fn table(&mut self, db: &Connection, table: &TableName) -> Result<Option<Former>, Error> {
        let (Some(noting), Some(n)) = (&self.noting, documents::number(db, table)?) else { return Ok(None) };
        let Some(segments) = self.tables.remove(&n) else { return Ok(None) };
        let changed = noting::since(db, n, noting.generation)?;
        Ok(Some(Former { segments, changed: Changed::Ids(changed) }))
    }

    /// Keeps what was rendered of a table, if its changes are noted from this moment on.
    pub(super) fn learn(
        &mut self,
        db: &Connection,
        table: &TableName,
        segments: Option<&[Segment]>,
    ) -> Result<(), Error> {
        if let (Some(_), Some(segments)) = (&self.noting, segments)
            && let Some(n) = documents::number(db, table)?
            && noting::watches(db, n)?
        {
            self.tables.insert(n, segments.to_vec());
        }
        Ok(())
    }
}

/// How far changes had been noted at the moment of an export, as far as that is known.
pub(super) fn noting(base: &Path) -> Option<Noting> {
    frozen::known(base).ok().flatten()?.noting
}

/// What an export can take from the one it builds on; its files lie in `folder` from then on, after its own.
pub(super) fn take(base: &Path, folder: &Path) -> Option<Known> {
    let mut known = frozen::known(base).ok().flatten().filter(|known| known.release == RELEASE)?;
    known.noting.as_ref()?;
    let link = |file: u32| {
        let (from, to) = (base.join(frozen::documents(file)), folder.join(frozen::documents(file + 1)));
        // From an earlier attempt.
        let _ = fs::remove_file(&to);
        fs::hard_link(from, to).ok()
    };
    (0..=known.files).try_for_each(link)?;
    known.files += 1;
    for segment in known.tables.values_mut().flatten() {
        if let Source::Frozen { file, .. } = &mut segment.entry.source {
            *file += 1;
        }
    }
    Some(known)
}

/// The content of a segment that lies in a work file in `folder`.
pub(super) fn content(folder: &Path, segment: &Segment) -> Result<Vec<u8>, Error> {
    let Source::Frozen { file, at, stored, deflated } = segment.entry.source else {
        return Err(Error::Bug(format!("the segment up to {:?} is in no work file", segment.last)));
    };
    let file = File::open(folder.join(frozen::documents(file))).map_err(Error::file("opened"))?;
    let mut bytes = vec![0; usize::try_from(stored).unwrap_or_default()];
    file.read_exact_at(&mut bytes, at).map_err(Error::file("read"))?;
    let how = if deflated { Stored::Deflated { bytes: stored } } else { Stored::Whole };
    let content = unpack(&bytes, how, segment.entry.summary.size);
    let content = content.filter(|content| Summary::of(content) == segment.entry.summary);
    content.ok_or_else(|| Error::Bug(format!("the segment up to {:?} is not as it was written", segment.last)))
}
