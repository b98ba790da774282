//! One entry of the log: the pages a group of writes changed.
//!
//! Plain form: database size in pages (u32 LE), number of pages (u32 LE), the page numbers, the pages, the moment of
//! the commit (Unix milliseconds, i64 LE; absent in entries of the first format); then zstd with its content checksum,
//! so that a flipped bit is found when the entry is read. A spilled segment is a row of entries, each after its length
//! (u32 LE). A large commit makes several entries, all of one moment, so that the log is never cut within a commit.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::error::Error;
use super::pack::Press;

/// Bytes of a page; fixed, because packs and segments count in pages.
pub(super) const PAGE: usize = 4096;

/// Pages of one log entry, by page number counted from 1, and the size of the database after them.
pub(super) struct Segment {
    /// The size of the database in pages.
    pub(super) size: u32,
    /// When the group was committed; 0 where the first format did not say.
    pub(super) at_ms: i64,
    numbers: Vec<u32>,
    body: Vec<u8>,
}

impl Segment {
    /// An entry with no pages yet.
    pub(super) fn new(size: u32) -> Self {
        Self { size, at_ms: 0, numbers: Vec::new(), body: Vec::new() }
    }

    /// Adds a page; returns the room it is to be written into.
    pub(super) fn push(&mut self, number: u32) -> &mut [u8] {
        self.numbers.push(number);
        let at = self.body.len();
        self.body.resize(at + PAGE, 0);
        &mut self.body[at..]
    }

    /// The pages with their numbers.
    pub(super) fn pages(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.numbers.iter().copied().zip(self.body.chunks_exact(PAGE))
    }

    /// A press for entries.
    pub(super) fn press() -> Result<Press, Error> {
        Press::new(1)
    }

    /// The compressed form.
    pub(super) fn encode(&self) -> Result<Bytes, Error> {
        self.encode_by(&mut Self::press()?)
    }

    /// The same, by a press that was used before.
    pub(super) fn encode_by(&self, press: &mut Press) -> Result<Bytes, Error> {
        let mut plain = Vec::with_capacity(16 + self.numbers.len() * 4 + self.body.len());
        plain.put_u32_le(self.size);
        plain.put_u32_le(self.numbers.len() as u32);
        for number in &self.numbers {
            plain.put_u32_le(*number);
        }
        plain.put_slice(&self.body);
        plain.put_i64_le(self.at_ms);
        Ok(press.compress(&plain)?.into())
    }

    /// Reads an entry back; `key` names where it came from in errors.
    pub(super) fn decode(key: &str, entry: &[u8]) -> Result<Self, Error> {
        let plain = zstd::stream::decode_all(entry).map_err(|e| Error::damaged(key, e))?;
        let mut rest = &plain[..];
        if rest.len() < 8 {
            return Err(Error::damaged(key, "a log entry is too short"));
        }
        let (size, count) = (rest.get_u32_le(), rest.get_u32_le() as usize);
        let without_moment = count * (4 + PAGE);
        if rest.len() != without_moment && rest.len() != without_moment + 8 {
            return Err(Error::damaged(key, "a log entry has the wrong length"));
        }
        let numbers: Vec<u32> = (0..count).map(|_| rest.get_u32_le()).collect();
        if numbers.contains(&0) {
            return Err(Error::damaged(key, "a log entry names page 0"));
        }
        let (body, mut moment) = rest.split_at(count * PAGE);
        let at_ms = if moment.is_empty() { 0 } else { moment.get_i64_le() };
        Ok(Self { size, at_ms, numbers, body: body.to_vec() })
    }
}

/// Joins entries into one object.
pub(super) fn join(entries: &[Bytes]) -> Bytes {
    let mut out = BytesMut::with_capacity(entries.iter().map(|entry| entry.len() + 4).sum());
    for entry in entries {
        out.put_u32_le(entry.len() as u32);
        out.put_slice(entry);
    }
    out.freeze()
}

/// Takes a spilled object apart again.
pub(super) fn split(key: &str, mut body: Bytes) -> Result<Vec<Bytes>, Error> {
    let mut entries = Vec::new();
    while body.has_remaining() {
        if body.len() < 4 {
            return Err(Error::damaged(key, "the log is cut short"));
        }
        let len = body.get_u32_le() as usize;
        if body.len() < len {
            return Err(Error::damaged(key, "the log is cut short"));
        }
        entries.push(body.split_to(len));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        let mut entry = Segment::new(9);
        entry.push(3).fill(7);
        entry.push(9).fill(8);
        entry.at_ms = 1_795_255_200_000;
        let body = join(&[entry.encode().expect("it compresses"), Bytes::from_static(b"x")]);
        let parts = split("seg", body.clone()).expect("it is whole");
        let back = Segment::decode("seg", &parts[0]).expect("it is whole");
        assert_eq!((back.size, back.at_ms, back.numbers.len()), (9, entry.at_ms, 2));
        assert!(back.pages().eq(entry.pages()));
        assert!(split("seg", body.slice(..body.len() - 1)).is_err());
    }

    #[test]
    fn flipped_bits_are_seen() {
        let mut entry = Segment::new(1);
        entry.push(1).iter_mut().enumerate().for_each(|(i, byte)| *byte = i as u8);
        let good = entry.encode().expect("it compresses");
        for at in 0..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 1;
            let seen = Segment::decode("seg", &bad).map_or(true, |back| back.pages().eq(entry.pages()));
            assert!(seen, "byte {at}");
        }
    }
}
