//! Reads what a commit added to SQLite's write-ahead log, which is what becomes a log entry of ours.
//!
//! Format: <https://sqlite.org/fileformat2.html#the_write_ahead_log>. The log begins anew (with other salts) when all
//! of it has been copied into the database, which SQLite may do at any first write after a checkpoint; so the salts
//! are part of the place up to which the log has been read. Only frames up to the last commit frame count: what lies
//! behind it was rolled back or is left from an older run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::error::Error;
use super::segment::{PAGE, Segment};

const HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;
const FRAME: u64 = FRAME_HEADER + PAGE as u64;

/// A place in the log: everything before it has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    at: u64,
    salts: [u8; 8],
}

impl Mark {
    /// Where the log must be cut so that it holds nothing after this mark.
    ///
    /// If the log began anew since, all that was before it is in the database file, and the whole log goes.
    pub(super) fn cut(&self, wal: &Path) -> Result<(), Error> {
        let doing = "take back a write";
        let file = match File::options().read(true).write(true).open(wal) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            file => file.map_err(Error::cache(doing))?,
        };
        let same = salts(&file).map_err(Error::cache(doing))? == Some(self.salts);
        file.set_len(if same { self.at } else { 0 }).map_err(Error::cache(doing))
    }
}

/// What was committed since a mark.
pub(super) struct Delta {
    /// Where the newest form of each page stands in the log.
    pages: BTreeMap<u32, u64>,
    /// The size of the database in pages.
    pub(super) size: u32,
    /// The place after it.
    pub(super) end: Mark,
    file: File,
}

impl Delta {
    /// What was committed after `since`, or nothing.
    pub(super) fn since(wal: &Path, since: &Mark) -> Result<Option<Self>, Error> {
        Self::read(wal, since).map_err(Error::cache("read the log"))
    }

    fn read(wal: &Path, since: &Mark) -> std::io::Result<Option<Self>> {
        let file = match File::open(wal) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let len = file.metadata()?.len();
        let Some(salts) = salts(&file)? else { return Ok(None) };
        let mut at = if salts == since.salts { since.at } else { HEADER };
        let (mut pages, mut open, mut size, mut end) = (BTreeMap::new(), Vec::new(), None, at);
        while at + FRAME <= len {
            let mut header = [0; FRAME_HEADER as usize];
            file.read_exact_at(&mut header, at)?;
            if header[8..16] != salts {
                break;
            }
            let word =
                |from: usize| u32::from_be_bytes([header[from], header[from + 1], header[from + 2], header[from + 3]]);
            open.push((word(0), at + FRAME_HEADER));
            at += FRAME;
            if word(4) != 0 {
                pages.extend(open.drain(..));
                size = Some(word(4));
                end = at;
            }
        }
        Ok(size.map(|size| Self { pages, size, end: Mark { at: end, salts }, file }))
    }

    /// The numbers of the pages that changed.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.pages.keys().copied()
    }

    /// How many pages changed.
    pub(super) fn len(&self) -> usize {
        self.pages.len()
    }

    /// A part of the changed pages as a log entry: `most` of them, after the first `skip`.
    pub(super) fn segment(&self, skip: usize, most: usize) -> Result<Segment, Error> {
        let mut segment = Segment::new(self.size);
        for (number, at) in self.pages.iter().skip(skip).take(most) {
            self.file.read_exact_at(segment.push(*number), *at).map_err(Error::cache("read the log"))?;
        }
        Ok(segment)
    }
}

/// The log's salts, or nothing for a log without a header.
fn salts(file: &File) -> std::io::Result<Option<[u8; 8]>> {
    let mut salts = [0; 8];
    match file.read_exact_at(&mut salts, 16) {
        Ok(()) => Ok(Some(salts)),
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}
