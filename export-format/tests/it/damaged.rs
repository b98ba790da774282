//! Archives that were cut off or of which a bit flipped: all of them, not a sample.
//!
//! An unoptimised build tries all bits within deflate streams and one bit of every other byte; with `FREEHOLD_EVERY_BIT=1`
//! all bits of all bytes.
//!
//! Every truncation is refused. Every flipped bit is refused too, but for those that say nothing: a deflate stream ends
//! somewhere within its last byte, and the bits behind that end are read by nobody; and a stream may reach the same
//! content by another way (a copy from another place where the same bytes stand). For each such bit it is shown that
//! it lies in a stream and that all content is the same.

use std::io::{self, Read as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use export_format::check::check;
use export_format::forward;
use export_format::packed::Stored;
use export_format::reader::{Limits, Reader};
use export_format::signature::Trust;
use export_format::source::Source;

use crate::catalogue::forge::{Forge, item};
use crate::hostile::Nobody;
use crate::made;

/// An archive, cut at some length and with one bit flipped, without copying it each time.
#[derive(Clone, Copy)]
struct Damaged<'a> {
    bytes: &'a [u8],
    len: usize,
    at: usize,
    flip: u8,
}

impl Source for Damaged<'_> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes[..self.len].read_at(offset, buffer)?;
        if let Some(byte) = self.at.checked_sub(offset as usize).and_then(|at| buffer[..count].get_mut(at)) {
            *byte ^= self.flip;
        }
        Ok(count)
    }
}

/// As small as can be: every kind of record, one stored entry and two deflated ones.
fn archive() -> Vec<u8> {
    Forge::tiny().with(item("data/page.html", made::PAGE.as_bytes())).with(item("data/x", b"x")).resign().write()
}

fn is_accepted(source: Damaged<'_>) -> bool {
    let read = Reader::open(source, &Limits::default()).and_then(|reader| reader.verify(&Trust::Anyone, &mut |_| {}));
    read.is_ok()
}

/// Whether a reader that never goes back accepts it.
fn passes(bytes: &[u8]) -> bool {
    forward::read(bytes, &Limits::default(), &Trust::Anyone, &mut Nobody).is_ok()
}

#[test]
fn every_truncation_is_refused() {
    let bytes = archive();
    for len in 0..bytes.len() {
        let source = Damaged { bytes: &bytes, len, at: 0, flip: 0 };
        assert!(!is_accepted(source), "the reader takes {len} of {} bytes", bytes.len());
        let report = check(&source, &Limits::default(), &Trust::Anyone, &mut |_| {});
        assert!(
            !report.accepted && !report.findings.list().is_empty(),
            "the check takes {len} of {} bytes",
            bytes.len()
        );
        assert!(len % 11 != 0 || !passes(&bytes[..len]), "passing, cut to {len} of {} bytes", bytes.len());
    }
    assert!(is_accepted(Damaged { bytes: &bytes, len: bytes.len(), at: 0, flip: 0 }));
}

#[test]
fn every_flipped_bit_is_refused_or_says_nothing() {
    let bytes = archive();
    let whole = Damaged { bytes: &bytes, len: bytes.len(), at: 0, flip: 0 };
    let sound = contents(whole);
    let streams = streams(whole);
    assert!(!streams.is_empty(), "nothing in it is deflated");
    let every = std::env::var_os("FREEHOLD_EVERY_BIT").is_some();
    let (behind, around) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get()).min(8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= bytes.len() {
                        break;
                    }
                    let is_in_stream = streams.iter().any(|range| range.contains(&(at as u64)));
                    let bits = if every || is_in_stream { 0..8 } else { at as u32 % 8..at as u32 % 8 + 1 };
                    for bit in bits {
                        let source = Damaged { at, flip: 1 << bit, ..whole };
                        // Some are enough for the other reader, which shares its rules with the first.
                        if (at as u32 * 8 + bit).is_multiple_of(53) {
                            let mut flipped = bytes.clone();
                            flipped[at] ^= 1 << bit;
                            assert_eq!(passes(&flipped), is_accepted(source), "bit {bit} of byte {at}");
                        }
                        if !is_accepted(source) {
                            continue;
                        }
                        let stream = streams.iter().find(|range| range.contains(&(at as u64)));
                        let stream = stream.unwrap_or_else(|| panic!("bit {bit} of byte {at} changed unnoticed"));
                        assert!(contents(source) == sound, "bit {bit} of byte {at} changed the content");
                        let is_last = at as u64 + 1 == stream.end;
                        if is_last { &behind } else { &around }.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (behind, around) = (behind.into_inner(), around.into_inner());
    // At most seven bits are behind the end of a stream; other ways to the same content are rare.
    assert!(behind <= 7 * streams.len() && around <= streams.len() * 4, "{behind} behind an end, {around} around");
}

fn contents(source: Damaged<'_>) -> Vec<(String, Vec<u8>)> {
    let verified = Reader::open(source, &Limits::default()).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap();
    let content = |entry| {
        let mut bytes = Vec::new();
        verified.content(entry).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    verified.entries().iter().map(|entry| (entry.path().to_string(), content(entry))).collect()
}

/// Where deflate streams stand.
fn streams(source: Damaged<'_>) -> Vec<std::ops::Range<u64>> {
    let reader = Reader::open(source, &Limits::default()).unwrap();
    let mut end = 0;
    let mut ranges = Vec::new();
    for entry in reader.entries() {
        end += 30 + entry.path().as_str().len() as u64 + entry.stored_len();
        if entry.stored() != Stored::Whole {
            ranges.push(end - entry.stored_len()..end);
        }
    }
    ranges
}
