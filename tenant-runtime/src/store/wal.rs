//! Reads what a commit added to SQLite's write-ahead log, which is what becomes a log entry of ours.
//!
//! Format: <https://sqlite.org/fileformat2.html#the_write_ahead_log>. The log begins anew (with other salts) when all
//! of it has been copied into the database, which SQLite may do at any first write after a checkpoint; so the salts
//! are part of the place up to which the log has been read. Only frames up to the last commit frame count: what lies
//! behind it was rolled back or is left from an older run.
//!
//! A commit that failed after its frames were written, as it may when the disk fills up just then, leaves whole frames
//! behind, the commit frame among them, and a shorter commit afterwards covers only the first of them. So salts alone do
//! not tell which frames belong to the log: each is taken only if its checksum follows from the one before it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Seek as _, SeekFrom};
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

impl Mark {
    /// Takes what the log holds after this mark out of it and keeps it in a file beside it. An error changes nothing.
    pub(super) fn set_aside(&self, wal: &Path, aside: &Path) -> Result<Aside, Error> {
        let set_aside = || {
            let mut file = File::options().read(true).write(true).open(wal)?;
            let from = if salts(&file)? == Some(self.salts) { self.at } else { 0 };
            file.seek(SeekFrom::Start(from))?;
            std::io::copy(&mut file, &mut File::create(aside)?)?;
            file.set_len(from)?;
            Ok(Aside { from })
        };
        set_aside().map_err(Error::cache("set a write aside"))
    }
}

/// The end of the log, kept in a file of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aside {
    from: u64,
}

impl Aside {
    /// Puts it back. Its checksums go on from where the log was cut, so nothing may have been written meanwhile.
    pub(super) fn put_back(self, wal: &Path, aside: &Path) -> Result<(), Error> {
        let put_back = || {
            let mut file = File::options().write(true).create(true).truncate(false).open(wal)?;
            if file.metadata()?.len() != self.from {
                return Err(std::io::Error::other("something was written in its place"));
            }
            file.seek(SeekFrom::Start(self.from))?;
            std::io::copy(&mut File::open(aside)?, &mut file)?;
            std::fs::remove_file(aside)
        };
        put_back().map_err(Error::cache("put a write back"))
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
        let mut sum = Checksum::before(&file, at)?;
        let (mut pages, mut open, mut size, mut end) = (BTreeMap::new(), Vec::new(), None, at);
        while at + FRAME <= len {
            let mut frame = [0; FRAME as usize];
            file.read_exact_at(&mut frame, at)?;
            let (header, page) = frame.split_at(FRAME_HEADER as usize);
            sum.add(&header[..8]);
            sum.add(page);
            if header[8..16] != salts || !sum.is(&header[16..24]) {
                break;
            }
            open.push((word(header, 0), at + FRAME_HEADER));
            at += FRAME;
            if word(header, 4) != 0 {
                pages.extend(open.drain(..));
                size = Some(word(header, 4));
                end = at;
            }
        }
        Ok(size.map(|size| Self { pages, size, end: Mark { at: end, salts }, file }))
    }

    /// The numbers of the pages that changed.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.pages.keys().copied()
    }

    /// SQLite's user version, where the page it stands on changed.
    pub(super) fn layout(&self) -> Result<Option<u32>, Error> {
        let Some(at) = self.pages.get(&1) else { return Ok(None) };
        let mut version = [0; 4];
        self.file.read_exact_at(&mut version, at + 60).map_err(Error::cache("read the log"))?;
        Ok(Some(u32::from_be_bytes(version)))
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

/// The running checksum of a log, which begins with its header and goes on through every frame.
struct Checksum {
    sums: [u32; 2],
    big_endian: bool,
}

impl Checksum {
    /// As it stands before the frame at this place.
    fn before(file: &File, at: u64) -> std::io::Result<Self> {
        let (mut magic, mut sums) = ([0; 4], [0; 8]);
        file.read_exact_at(&mut magic, 0)?;
        // At the end of the log's header, or in the header of the frame before.
        file.read_exact_at(&mut sums, if at == HEADER { HEADER - 8 } else { at - FRAME + 16 })?;
        Ok(Self { sums: [word(&sums, 0), word(&sums, 4)], big_endian: magic[3] & 1 == 1 })
    }

    /// Goes on with bytes whose number is a multiple of eight.
    fn add(&mut self, bytes: &[u8]) {
        let read = if self.big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        let [mut first, mut second] = self.sums;
        for eight in bytes.chunks_exact(8) {
            first = first.wrapping_add(read([eight[0], eight[1], eight[2], eight[3]])).wrapping_add(second);
            second = second.wrapping_add(read([eight[4], eight[5], eight[6], eight[7]])).wrapping_add(first);
        }
        self.sums = [first, second];
    }

    /// Whether it is what is written here.
    fn is(&self, written: &[u8]) -> bool {
        self.sums == [word(written, 0), word(written, 4)]
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
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

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn open(folder: &Path) -> Connection {
        let db = Connection::open(folder.join("main.db")).expect("it opens");
        db.execute_batch("pragma page_size = 4096; pragma journal_mode = wal; pragma wal_autocheckpoint = 0")
            .expect("they are set");
        db
    }

    fn insert(db: &Connection, rows: u32) {
        let text = format!(
            "with recursive c(i) as (select 1 union all select i + 1 from c where i < {rows})
             insert into row select hex(randomblob(1500)) from c"
        );
        db.execute_batch(&text).expect("it writes");
    }

    /// The same log goes on in two ways; the longer one failed at its very end, and the shorter one was written over it.
    #[test]
    fn what_a_failed_commit_left_behind_a_shorter_one_is_not_part_of_the_log() {
        let root = tempfile::tempdir().expect("a folder");
        let [first, long, short] = ["first", "long", "short"].map(|name| root.path().join(name));
        for folder in [&first, &long, &short] {
            std::fs::create_dir(folder).expect("a folder");
        }
        let db = open(&first);
        db.execute_batch("create table row (text text)").expect("it is made");
        insert(&db, 10);
        let mark = Delta::since(&first.join("main.db-wal"), &Mark::default()).expect("it reads").expect("a commit").end;
        for folder in [&long, &short] {
            for file in ["main.db", "main.db-wal"] {
                std::fs::copy(first.join(file), folder.join(file)).expect("it is copied");
            }
        }
        let log = |folder: &Path, rows: u32| {
            let db = open(folder);
            insert(&db, rows);
            std::fs::read(folder.join("main.db-wal")).expect("it is there")
        };
        let (long_log, mut log) = (log(&long, 60), log(&short, 1));
        let told = |log: &[u8]| {
            let path = root.path().join("log");
            std::fs::write(&path, log).expect("it is written");
            let delta = Delta::since(&path, &mark).expect("it reads").expect("a commit");
            (delta.numbers().collect::<Vec<_>>(), delta.size, delta.end)
        };
        let alone = told(&log);
        assert!(told(&long_log).0.len() > alone.0.len());
        log.extend_from_slice(&long_log[log.len()..]);
        assert_eq!(told(&log), alone);
    }
}
