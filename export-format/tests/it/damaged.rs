//! Archives that were cut off or of which a bit flipped.

use std::cell::RefCell;
use std::io::{self, Read as _};

use export_format::forward;
use export_format::reader::{Limits, Reader};
use export_format::signature::Trust;
use export_format::source::Source;

use crate::hostile::Nobody;
use crate::made;

/// The small archive, cut at some length and with one byte changed, without copying it each time.
struct Damaged<'a> {
    bytes: &'a RefCell<Vec<u8>>,
    len: usize,
}

impl Source for Damaged<'_> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.borrow()[..self.len].read_at(offset, buffer)
    }
}

fn is_accepted(source: Damaged<'_>) -> bool {
    Reader::open(source, &Limits::default()).and_then(|reader| reader.verify(&Trust::Anyone, &mut |_| {})).is_ok()
}

/// Whether a reader that never goes back accepts it.
fn passes(bytes: &[u8]) -> bool {
    forward::read(bytes, &Limits::default(), &Trust::Anyone, &mut Nobody).is_ok()
}

#[test]
fn every_truncation_is_refused() {
    let bytes = RefCell::new(made::archive(made::small()));
    let whole = bytes.borrow().len();
    for len in 0..whole {
        assert!(!is_accepted(Damaged { bytes: &bytes, len }), "cut to {len} of {whole} bytes");
        assert!(len % 11 != 0 || !passes(&bytes.borrow()[..len]), "passing, cut to {len} of {whole} bytes");
    }
    assert!(is_accepted(Damaged { bytes: &bytes, len: whole }));
}

#[test]
fn every_flipped_low_bit_is_refused_or_changes_no_content() {
    flip(0..4);
}

#[test]
fn every_flipped_high_bit_is_refused_or_changes_no_content() {
    flip(4..8);
}

fn flip(bits: std::ops::Range<u8>) {
    let bytes = RefCell::new(made::archive(made::small()));
    let len = bytes.borrow().len();
    let source = || Damaged { bytes: &bytes, len };
    let sound = contents(source());
    // A deflate stream has more than one form for the same content (a copy from another place, unused bits at the end);
    // outside such streams no bit may change unnoticed.
    let deflated = deflated_ranges(source());
    assert!(!deflated.is_empty());
    let mut harmless = 0;
    for at in 0..len {
        for bit in bits.clone() {
            bytes.borrow_mut()[at] ^= 1 << bit;
            // Some are enough for the other reader, which shares its rules with the first.
            if (at * 8 + usize::from(bit)).is_multiple_of(53) {
                assert_eq!(passes(&bytes.borrow()), is_accepted(source()), "bit {bit} of byte {at}");
            }
            if is_accepted(source()) {
                assert!(
                    deflated.iter().any(|range| range.contains(&(at as u64))),
                    "bit {bit} of byte {at} changed unnoticed"
                );
                assert_eq!(contents(source()), sound, "bit {bit} of byte {at} changed the content");
                harmless += 1;
            }
            bytes.borrow_mut()[at] ^= 1 << bit;
        }
    }
    assert!(harmless < 100, "{harmless} bits are padding");
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

fn deflated_ranges(source: Damaged<'_>) -> Vec<std::ops::Range<u64>> {
    let reader = Reader::open(source, &Limits::default()).unwrap();
    let mut end = 0;
    let mut ranges = Vec::new();
    for entry in reader.entries() {
        end += 30 + entry.path().as_str().len() as u64 + entry.stored_len();
        if entry.stored_len() != entry.size() {
            ranges.push(end - entry.stored_len()..end);
        }
    }
    ranges
}
