//! The canonical ZIP profile, down to the byte.
//!
//! Two ZIP readers may see different files in the same bytes: headers are stored twice, may disagree, and leave room
//! for more than one reading. The profile leaves no room. Every header follows from (name, method, CRC, sizes,
//! offset), these functions write it, and the reader calls the same functions and compares. Nothing may stand before,
//! between or after.
//!
//! Layout after PKWARE's APPNOTE 6.3: local header and content per entry, central directory, ZIP64 records where
//! a number does not fit, end record.

use crate::digest::Summary;
use crate::packed::Stored;

/// 12:00:00, in MS-DOS form. One fixed time for all entries makes the bytes a function of the content; times of files
/// stand in `files.ndjson`.
pub(crate) const DOS_TIME: u16 = 0x6000;
/// 21 November 2025, in MS-DOS form.
pub(crate) const DOS_DATE: u16 = 0x5b75;
/// Names are UTF-8; no encryption, no data descriptor.
pub(crate) const FLAGS: u16 = 0x0800;
/// A regular file, readable by all, writable by its owner (`0100644`), in the place for Unix modes.
pub(crate) const MODE: u32 = 0o100_644 << 16;

pub(crate) const LOCAL_LEN: usize = 30;
pub(crate) const CENTRAL_LEN: usize = 46;
pub(crate) const END_LEN: usize = 22;
pub(crate) const END64_LEN: usize = 56;
pub(crate) const LOCATOR_LEN: usize = 20;

pub(crate) const LOCAL_SIG: u32 = 0x0403_4b50;
pub(crate) const CENTRAL_SIG: u32 = 0x0201_4b50;
pub(crate) const END_SIG: u32 = 0x0605_4b50;
pub(crate) const END64_SIG: u32 = 0x0606_4b50;
pub(crate) const LOCATOR_SIG: u32 = 0x0706_4b50;

const BIG32: u64 = 0xffff_ffff;
const BIG16: u64 = 0xffff;

/// What decides an entry's headers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header<'a> {
    pub(crate) name: &'a str,
    pub(crate) summary: Summary,
    pub(crate) stored: Stored,
    /// Where its local header begins.
    pub(crate) offset: u64,
}

impl Header<'_> {
    /// Length of the content as it stands in the ZIP.
    pub(crate) fn stored_len(&self) -> u64 {
        stored_len(self.summary.size, self.stored)
    }

    fn is_big(&self) -> bool {
        self.summary.size >= BIG32 || self.stored_len() >= BIG32
    }

    pub(crate) fn local_len(&self) -> u64 {
        (LOCAL_LEN + self.name.len() + if self.is_big() { 20 } else { 0 }) as u64
    }

    /// Where the next entry (or the central directory) begins.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.local_len() + self.stored_len()
    }

    pub(crate) fn write_local(&self, out: &mut Vec<u8>) {
        put32(out, LOCAL_SIG);
        put16(out, if self.is_big() { 45 } else { 20 });
        self.write_common(out, self.is_big());
        put16(out, self.name.len() as u16);
        put16(out, if self.is_big() { 20 } else { 0 });
        out.extend_from_slice(self.name.as_bytes());
        if self.is_big() {
            put16(out, 1);
            put16(out, 16);
            put64(out, self.summary.size);
            put64(out, self.stored_len());
        }
    }

    pub(crate) fn central_len(&self) -> u64 {
        (CENTRAL_LEN + self.name.len() + self.central_extra()) as u64
    }

    fn central_extra(&self) -> usize {
        match (self.is_big(), self.offset >= BIG32) {
            (false, false) => 0,
            (false, true) => 12,
            (true, false) => 20,
            (true, true) => 28,
        }
    }

    pub(crate) fn write_central(&self, out: &mut Vec<u8>) {
        let extra = self.central_extra();
        let needed = if extra > 0 { 45 } else { 20 };
        put32(out, CENTRAL_SIG);
        put16(out, 0x0300 | needed);
        put16(out, needed);
        self.write_common(out, self.is_big());
        put16(out, self.name.len() as u16);
        put16(out, extra as u16);
        put16(out, 0); // comment
        put16(out, 0); // disk
        put16(out, 0); // internal attributes
        put32(out, MODE);
        put32(out, self.offset.min(BIG32) as u32);
        out.extend_from_slice(self.name.as_bytes());
        if extra > 0 {
            put16(out, 1);
            put16(out, (extra - 4) as u16);
            if self.is_big() {
                put64(out, self.summary.size);
                put64(out, self.stored_len());
            }
            if self.offset >= BIG32 {
                put64(out, self.offset);
            }
        }
    }

    fn write_common(&self, out: &mut Vec<u8>, big: bool) {
        put16(out, FLAGS);
        put16(
            out,
            match self.stored {
                Stored::Whole => 0,
                Stored::Deflated { .. } => 8,
            },
        );
        put16(out, DOS_TIME);
        put16(out, DOS_DATE);
        put32(out, self.summary.crc32);
        // Where one size does not fit, both move to the extra field, so that there is one way to write each pair.
        put32(out, if big { u32::MAX } else { self.stored_len() as u32 });
        put32(out, if big { u32::MAX } else { self.summary.size as u32 });
    }
}

/// Length of content of `size` bytes as it stands in the ZIP.
pub(crate) fn stored_len(size: u64, stored: Stored) -> u64 {
    match stored {
        Stored::Whole => size,
        Stored::Deflated { bytes } => bytes,
    }
}

/// What decides the records at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) entries: u64,
    pub(crate) central_offset: u64,
    pub(crate) central_len: u64,
}

impl End {
    fn is_big(&self) -> bool {
        self.entries >= BIG16 || self.central_offset >= BIG32 || self.central_len >= BIG32
    }

    pub(crate) fn len(&self) -> u64 {
        (END_LEN + if self.is_big() { END64_LEN + LOCATOR_LEN } else { 0 }) as u64
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if self.is_big() {
            put32(out, END64_SIG);
            put64(out, (END64_LEN - 12) as u64);
            put16(out, 0x0300 | 45);
            put16(out, 45);
            put32(out, 0);
            put32(out, 0);
            put64(out, self.entries);
            put64(out, self.entries);
            put64(out, self.central_len);
            put64(out, self.central_offset);
            put32(out, LOCATOR_SIG);
            put32(out, 0);
            put64(out, self.central_offset + self.central_len);
            put32(out, 1);
        }
        put32(out, END_SIG);
        put16(out, 0);
        put16(out, 0);
        put16(out, self.entries.min(BIG16) as u16);
        put16(out, self.entries.min(BIG16) as u16);
        put32(out, self.central_len.min(BIG32) as u32);
        put32(out, self.central_offset.min(BIG32) as u32);
        put16(out, 0);
    }
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}
