//! Reading the list of entries, and nothing that is not exactly as the canonical profile says.
//!
//! Every record is parsed only as far as needed to know what it should have been; then it is written anew by the
//! functions the writer uses, and compared. So what this reader takes, every other reader sees the same way. The
//! comparison also tells what is wrong, for the report.

use std::io;

use crate::bag::names;
use crate::digest::{Digest, Summary};
use crate::finding::{Code, Findings};
use crate::packed::{self, MAX_DOCUMENT, Stored};
use crate::path::{EntryPath, Taken};
use crate::source::{Flow as _, Sequential, Source};
use crate::zip::{self, End, Header};

/// What a reader is willing to take, decided before anything is unpacked.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most content, unpacked, in bytes: the room there is.
    pub bytes: u64,
    /// The most entries.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: u64::MAX, entries: 4_000_000 }
    }
}

/// One entry of an archive.
#[derive(Debug, Clone)]
pub struct Entry {
    pub(crate) path: EntryPath,
    pub(crate) size: u64,
    pub(crate) crc32: u32,
    pub(crate) stored: Stored,
    pub(crate) offset: u64,
    /// As the manifest lists it; `None` for the bag's own files.
    pub(crate) digest: Option<Digest>,
}

impl Entry {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &EntryPath {
        &self.path
    }

    /// The length of its content.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How it stands in the archive.
    #[must_use]
    pub fn stored(&self) -> Stored {
        self.stored
    }

    /// The length of its content as it stands in the archive.
    #[must_use]
    pub fn stored_len(&self) -> u64 {
        zip::stored_len(self.size, self.stored)
    }

    /// Its digest as the manifest lists it; `None` for the bag's own files.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// CRC-32 of its content.
    #[must_use]
    pub fn crc32(&self) -> u32 {
        self.crc32
    }

    pub(crate) fn header(&self) -> Header<'_> {
        let summary = Summary { size: self.size, digest: Digest::from_bytes([0; 32]), crc32: self.crc32 };
        Header { name: self.path.as_str(), summary, stored: self.stored, offset: self.offset }
    }

    /// Where its content begins.
    pub(crate) fn content_offset(&self) -> u64 {
        self.offset + self.header().local_len()
    }
}

/// The entries of an archive in their order, and where the last of them ends.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) entries: Vec<Entry>,
    pub(crate) central_offset: u64,
}

/// Reads the list of entries; what is wrong goes to `findings`. An entry that cannot be told at all is left out.
pub(crate) fn read(source: &(impl Source + ?Sized), limits: &Limits, findings: &mut Findings) -> Layout {
    match try_read(source, limits, findings) {
        Ok(layout) => layout.unwrap_or_default(),
        Err(err) => {
            findings.add(Code::Read.found(err));
            Layout::default()
        }
    }
}

fn try_read(source: &(impl Source + ?Sized), limits: &Limits, findings: &mut Findings) -> io::Result<Option<Layout>> {
    let Some(end) = read_end(source, findings)? else { return Ok(None) };
    if end.entries > limits.entries {
        findings.add(Code::TooMany.found(format_args!("{} entries; {} are allowed", end.entries, limits.entries)));
        return Ok(None);
    }
    let stop = end.central_offset + end.central_len;
    let mut directory = Sequential::new(source, end.central_offset, stop);
    let mut layout = Layout { entries: Vec::new(), central_offset: end.central_offset };
    let mut offset = 0;
    let mut record = Vec::new();
    for _ in 0..end.entries {
        if stop - directory.position() < zip::CENTRAL_LEN as u64 {
            findings.add(Code::Central.found("it is shorter than its number of entries"));
            return Ok(Some(layout));
        }
        directory.fill(&mut record, zip::CENTRAL_LEN)?;
        if le32(&record, 0) != zip::CENTRAL_SIG {
            findings.add(Code::Central.found("a record does not begin as it must"));
            return Ok(Some(layout));
        }
        let tail = [28, 30, 32].iter().map(|&at| usize::from(le16(&record, at))).sum::<usize>();
        if stop - directory.position() < tail as u64 {
            findings.add(Code::Central.found("a record is longer than the list"));
            return Ok(Some(layout));
        }
        let mut rest = Vec::new();
        directory.fill(&mut rest, tail)?;
        record.extend_from_slice(&rest);
        let Some(next) = read_record(&record, offset, &mut layout.entries, findings) else {
            return Ok(Some(layout));
        };
        offset = next;
    }
    if directory.position() != stop {
        findings.add(Code::Central.found("it is longer than its number of entries"));
    }
    if offset != end.central_offset {
        findings.add(
            Code::Gap
                .found(format_args!("the entries end at byte {offset}, their list begins at {}", end.central_offset)),
        );
    }
    Ok(Some(layout))
}

/// Reads the records at the end, which must end the file.
fn read_end(source: &(impl Source + ?Sized), findings: &mut Findings) -> io::Result<Option<End>> {
    let len = source.len()?;
    let mut tail = vec![0; len.min(TAIL as u64) as usize];
    source.read_exact_at(len - tail.len() as u64, &mut tail)?;
    Ok(judge_end(&tail, len, findings))
}

/// How much of the end of an archive is looked at.
pub(crate) const TAIL: usize = 70_000;

/// The record that ends an archive of `len` bytes, of which the last are `tail`; none when it does not fit.
pub(crate) fn judge_end(tail: &[u8], len: u64, findings: &mut Findings) -> Option<End> {
    let Some(at) = tail.len().checked_sub(zip::END_LEN) else {
        findings.add(Code::NotArchive.found(format_args!("it has {len} bytes")));
        return None;
    };
    let record = &tail[at..];
    if le32(record, 0) != zip::END_SIG {
        // A whole end record further up has something behind it; a cut one is the end of a cut file.
        let earlier = tail[..at + 3].windows(4).any(|window| window == zip::END_SIG.to_le_bytes());
        findings.add(if earlier { Code::Trailing.found("") } else { Code::NotArchive.found("") });
        return None;
    }
    let mut end = End {
        entries: u64::from(le16(record, 10)),
        central_len: u64::from(le32(record, 12)),
        central_offset: u64::from(le32(record, 16)),
    };
    let marked = end.entries == 0xffff || end.central_len == 0xffff_ffff || end.central_offset == 0xffff_ffff;
    if marked && let Some(at64) = at.checked_sub(zip::END64_LEN + zip::LOCATOR_LEN) {
        let record = &tail[at64..];
        if le32(record, 0) == zip::END64_SIG {
            end = End { entries: le64(record, 32), central_len: le64(record, 40), central_offset: le64(record, 48) };
        }
    }
    let fits =
        end.central_offset.checked_add(end.central_len).and_then(|stop| stop.checked_add(end.len())) == Some(len);
    let mut expected = Vec::new();
    if fits {
        end.write(&mut expected);
    }
    if !fits || !tail.ends_with(&expected) {
        findings.add(Code::End.found("the sizes, counts or places it gives are not those of the archive"));
        return None;
    }
    Some(end)
}

/// Reads one record of the central directory, expecting its entry at `offset`; yields where the next should be, or
/// `None` when that cannot be told.
pub(crate) fn read_record(
    record: &[u8],
    offset: u64,
    entries: &mut Vec<Entry>,
    findings: &mut Findings,
) -> Option<u64> {
    let name_len = usize::from(le16(record, 28));
    let name = &record[zip::CENTRAL_LEN..zip::CENTRAL_LEN + name_len];
    let extra = &record[zip::CENTRAL_LEN + name_len..][..usize::from(le16(record, 30))];
    let shown = String::from_utf8_lossy(name);
    let (mut stored_len, mut size) = (u64::from(le32(record, 20)), u64::from(le32(record, 24)));
    if (stored_len == 0xffff_ffff || size == 0xffff_ffff) && extra.len() >= 20 && le16(extra, 0) == 1 {
        (size, stored_len) = (le64(extra, 4), le64(extra, 12));
    }
    let stored = match le16(record, 10) {
        0 => Stored::Whole,
        8 => Stored::Deflated { bytes: stored_len },
        other => {
            findings.add(Code::Method.at(&shown, format_args!("method {other}")));
            return None;
        }
    };
    let path: Option<EntryPath> = match std::str::from_utf8(name) {
        Err(_) => {
            findings.add(Code::Name.at(&shown, "the name is not UTF-8"));
            None
        }
        Ok(text) => text.parse().map_err(|err| findings.add(Code::Name.at(text, err))).ok(),
    };
    // A wrong name does not hide what else is wrong with the entry.
    let text = std::str::from_utf8(name).unwrap_or_default();
    let summary = Summary { size, digest: Digest::from_bytes([0; 32]), crc32: le32(record, 16) };
    let header = Header { name: text, summary, stored, offset };
    let end = header.offset.checked_add(header.local_len()).and_then(|at| at.checked_add(stored_len));
    let mut expected = Vec::with_capacity(record.len());
    header.write_central(&mut expected);
    if expected != record && !(path.is_none() && text.is_empty()) {
        explain(record, &expected, &shown, findings);
    }
    if stored == Stored::Whole && stored_len != size {
        findings.add(Code::Header.at(&shown, "it is not packed, yet its two lengths differ"));
    }
    if let Stored::Deflated { bytes } = stored {
        if size > MAX_DOCUMENT as u64 {
            findings.add(Code::DocumentTooLong.at(&shown, format_args!("{size} bytes when unpacked")));
        } else if !packed::is_worth_it(size, bytes) {
            findings.add(Code::Ratio.at(&shown, format_args!("{bytes} bytes unpack to {size}")));
        }
    }
    if let Some(path) = path {
        entries.push(Entry { path, size, crc32: summary.crc32, stored, offset, digest: None });
    }
    end
}

/// Says in which fields a record differs from what it should be.
fn explain(record: &[u8], expected: &[u8], shown: &str, findings: &mut Findings) {
    let before = findings.list().len();
    let differs = |from: usize, to: usize| record[from..to] != expected[from..to];
    if differs(8, 10) {
        let flags = le16(record, 8);
        let why = match flags {
            _ if flags & 1 != 0 => "it is encrypted",
            _ if flags & 8 != 0 => "its sizes stand after its content",
            _ if flags & 0x800 == 0 => "its name is not marked as UTF-8",
            _ => "a flag is set that the format does not use",
        };
        findings.add(Code::Flags.at(shown, why));
    }
    if differs(38, 42) || differs(36, 38) || record[5] != expected[5] {
        let mode = le32(record, 38) >> 16;
        let why = match mode & 0o170_000 {
            0o120_000 => "a symbolic link".to_owned(),
            0o040_000 => "a folder".to_owned(),
            0o100_000 => format!("a file of mode {:04o}", mode & 0o7777),
            _ => format!("attributes {:08x}", le32(record, 38)),
        };
        findings.add(Code::Mode.at(shown, why));
    }
    if differs(12, 16) {
        findings.add(Code::Header.at(shown, "it does not have the fixed time"));
    }
    if differs(42, 46) {
        findings.add(Code::Gap.at(shown, "it does not begin where the one before it ends"));
    }
    if differs(32, 34) {
        findings.add(Code::Header.at(shown, "it has a comment"));
    }
    if differs(30, 32) {
        findings.add(Code::Header.at(shown, "it has extra fields"));
    }
    if findings.list().len() == before {
        findings.add(Code::Header.at(shown, "its record is not in the one form"));
    }
}

/// Checks which entries there are and in which order, the bag's own files first; the names are sound already.
pub(crate) fn check_order(entries: &[Entry], own_files: &[&str], findings: &mut Findings) {
    let mut taken = Taken::default();
    let mut previous: Option<&EntryPath> = None;
    let mut own = 0;
    for entry in entries {
        let path = &entry.path;
        if previous == Some(path) {
            findings.add(Code::Duplicate.at(path, ""));
            continue;
        }
        if let Err(clash) = taken.take(path) {
            findings.add(if clash.other == path.as_str() {
                Code::Duplicate.at(path, "")
            } else {
                Code::Collides.at(path, clash)
            });
        }
        if !path.is_payload() {
            match own_files.iter().position(|name| *name == path.as_str()) {
                None if path.as_str() == names::FETCH => findings.add(Code::Fetch.at(path, "")),
                None => findings.add(Code::Stranger.at(path, "")),
                Some(place) if place < own || previous.is_some_and(EntryPath::is_payload) => {
                    findings.add(Code::Order.at(path, ""))
                }
                Some(place) => {
                    own = place + 1;
                    if !matches!(entry.stored, Stored::Whole) {
                        findings.add(Code::Method.at(path, "the bag's own files are not packed"));
                    }
                }
            }
        } else if previous.is_some_and(|previous| previous.is_payload() && previous > path) {
            findings.add(Code::Order.at(path, ""));
        }
        previous = Some(path);
    }
}

pub(crate) fn le16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|slice| slice.try_into().ok()).map_or(0, u16::from_le_bytes)
}

pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|slice| slice.try_into().ok()).map_or(0, u32::from_le_bytes)
}

pub(crate) fn le64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|slice| slice.try_into().ok()).map_or(0, u64::from_le_bytes)
}
