//! A quick look at a row that is surely sound.
//!
//! Nearly every row is sound, and telling so by building its value and writing it anew costs ten times what unpacking it
//! does. This looks at the bytes once and builds nothing. It may be unsure, which is not a verdict: then
//! [`Value::from_row`](crate::row::Value::from_row) decides. When it is sure, that would have agreed; a test holds
//! the two against each other.

use crate::row::{self, MAX_DEPTH, MAX_LINE};

/// A row that is surely sound and has no tagged values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sound<'r> {
    /// Its `_id`, if it has one that is a text.
    pub(crate) id: Option<&'r str>,
    /// Where it ends: at a line feed or the end of the text.
    pub(crate) end: usize,
}

/// Looks at the rows of one text.
#[derive(Debug)]
pub(crate) struct Scan<'r> {
    text: &'r str,
    bytes: &'r [u8],
    at: usize,
    id: Option<&'r str>,
    /// The names of the last row, each from its quotation mark to its colon: most rows of a table have the same, and then
    /// one comparison tells that a name is sound and in its place.
    names: Vec<&'r [u8]>,
}

impl<'r> Scan<'r> {
    pub(crate) fn new(text: &'r str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, id: None, names: Vec::new() }
    }

    /// Looks at the row that begins at `start`; `None` when unsure.
    pub(crate) fn row(&mut self, start: usize) -> Option<Sound<'r>> {
        self.members(start, |_, _| {})
    }

    /// The same, and says each of its members: the name without its quotation marks, and the value as it stands.
    pub(crate) fn members(&mut self, start: usize, mut seen: impl FnMut(&'r str, &'r str)) -> Option<Sound<'r>> {
        (self.at, self.id) = (start, None);
        if self.bytes.get(start) != Some(&b'{') {
            return None;
        }
        self.top(&mut seen)?;
        let ended = self.bytes.get(self.at).is_none_or(|&byte| byte == b'\n');
        (ended && self.at - start <= MAX_LINE).then_some(Sound { id: self.id, end: self.at })
    }

    /// The row's own object.
    fn top(&mut self, seen: &mut impl FnMut(&'r str, &'r str)) -> Option<()> {
        self.at += 1;
        if self.bytes.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Some(());
        }
        for nth in 0.. {
            let start = self.at;
            match self.names.get(nth) {
                Some(name) if self.bytes[start..].starts_with(name) => self.at += name.len(),
                _ => {
                    self.names.truncate(nth);
                    // What stands around the name is compared as well; without it this is the order of the names.
                    let last = self.names.last().map(|last| &last[1..last.len() - 2]);
                    self.name(last)?;
                    self.names.push(&self.bytes[start..self.at]);
                }
            }
            let value = self.at;
            if self.bytes[start..value] == *b"\"_id\":" && self.bytes.get(self.at) == Some(&b'"') {
                let (from, to, plain) = self.string()?;
                if !plain {
                    return None;
                }
                self.id = Some(&self.text[from..to]);
            } else {
                self.value(1)?;
            }
            seen(&self.text[start + 1..value - 2], &self.text[value..self.at]);
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
        None
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match *self.bytes.get(self.at)? {
            b'"' => self.string().map(drop),
            b'{' if depth < MAX_DEPTH => self.object(depth),
            b'[' if depth < MAX_DEPTH => self.list(depth),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => None,
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let here = self.bytes[self.at..].starts_with(word);
        self.at += word.len();
        here.then_some(())
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        if self.bytes.get(self.at) == Some(&b']') {
            self.at += 1;
            return Some(());
        }
        loop {
            self.value(depth + 1)?;
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        if self.bytes.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Some(());
        }
        let mut last = None;
        loop {
            last = Some(self.name(last)?);
            self.value(depth + 1)?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A member's name and its colon; it must sort behind `last`.
    fn name(&mut self, last: Option<&[u8]>) -> Option<&'r [u8]> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        let (from, to, plain) = self.string()?;
        let name = &self.bytes[from..to];
        // ASCII sorts alike by bytes and by UTF-16; tags and escaped names are for the thorough look.
        let sound = plain && name.is_ascii() && name.first() != Some(&b'$') && last.is_none_or(|last| last < name);
        (self.next()? == b':' && sound).then_some(name)
    }

    /// Where a text's inside begins and ends, and whether it is free of escapes.
    fn string(&mut self) -> Option<(usize, usize, bool)> {
        let from = self.at + 1;
        self.at = from;
        let mut plain = true;
        loop {
            self.at += plain_run(self.bytes.get(self.at..)?);
            match self.next()? {
                b'"' => return Some((from, self.at - 1, plain)),
                b'\\' => {
                    plain = false;
                    if !matches!(self.next()?, b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') {
                        return None;
                    }
                }
                _ => return None,
            }
        }
    }

    fn digits(&mut self) -> &'r [u8] {
        let from = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        &self.bytes[from..self.at]
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        let is_negative = self.bytes.get(start) == Some(&b'-');
        self.at += usize::from(is_negative);
        let whole = self.digits();
        match self.bytes.get(self.at) {
            Some(b'.') => {
                self.at += 1;
                let fraction = self.digits();
                if !is_part_of_number(self.bytes.get(self.at)) && is_short_decimal(whole, fraction) {
                    return Some(());
                }
            }
            next if !is_part_of_number(next) => {
                // Up to fifteen digits is below 2^53 for certain.
                let sound = match whole {
                    [] => false,
                    [b'0', ..] => whole.len() == 1 && !is_negative,
                    _ => whole.len() <= 15,
                };
                return sound.then_some(());
            }
            _ => {}
        }
        while is_part_of_number(self.bytes.get(self.at)) {
            self.at += 1;
        }
        row::is_canonical_float(&self.text[start..self.at]).then_some(())
    }
}

fn is_part_of_number(byte: Option<&u8>) -> bool {
    matches!(byte, Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e'))
}

/// How many bytes come before the first quotation mark, backslash or control character; eight are looked at together.
fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    // In such a word the top bit is set of the first byte below `limit`, if there is one, and of none before it.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & TOPS;
    let mut at = 0;
    while let Some(eight) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = quote | backslash | below(word, 0x20);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let is_plain = |byte: &&u8| !matches!(**byte, b'"' | b'\\' | 0..0x20);
    at + bytes[at..].iter().take_while(is_plain).count()
}

/// Whether this is a decimal of at most fifteen digits in its shortest form. Two different ones are never the same
/// binary64, so the shortest digits that read back as it are these.
fn is_short_decimal(whole: &[u8], fraction: &[u8]) -> bool {
    !whole.is_empty()
        && whole.len() + fraction.len() <= 15
        && fraction.last().is_some_and(|&digit| digit != b'0')
        && (whole[0] != b'0' || (whole == b"0" && !fraction.starts_with(b"000000")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Scan, Sound, plain_run};
    use crate::row::Value;

    fn scan(text: &str, start: usize) -> Option<Sound<'_>> {
        Scan::new(text).row(start)
    }

    /// What the thorough look says about the same row.
    fn agrees(line: &str) -> bool {
        let Some(sound) = scan(line, 0) else { return true };
        match Value::from_row(line) {
            Ok(value) => {
                let mut blobs = 0;
                value.for_each_blob(&mut |_| blobs += 1);
                sound.end == line.len() && blobs == 0 && value.get("_id").and_then(Value::as_text) == sound.id
            }
            Err(_) => false,
        }
    }

    #[test]
    fn usual_rows_are_sure() {
        for line in [
            r#"{"_id":"a"}"#,
            r#"{"_id":"a","b":[1,-2.5,{"c":null}],"d":"ü\n","e":0.1,"f":1e-7,"g":52.520008,"h":-0.000001,"i":13.404953999999975}"#,
            "{}",
        ] {
            assert!(scan(line, 0).is_some(), "{line}");
            assert!(agrees(line), "{line}");
        }
    }

    #[test]
    fn a_row_ends_at_a_line_feed() {
        let text = "{\"_id\":\"a\"}\n{\"_id\":\"b\"}\n{} {}\n{\"_id\":\"\n\"}";
        let first = scan(text, 0).map(|sound| (sound.id, sound.end));
        assert_eq!(
            (first, scan(text, 12).map(|sound| (sound.id, sound.end))),
            (Some((Some("a"), 11)), Some((Some("b"), 23)))
        );
        assert_eq!((scan(text, 24), scan(text, 30), scan(text, text.len())), (None, None, None));
    }

    #[test]
    fn numbers_that_are_spelled_otherwise_are_not_sure() {
        for number in [
            "-0",
            "-",
            "00",
            "01",
            "-01",
            "1.",
            ".1",
            "1.0",
            "0.0",
            "00.1",
            "1.2.3",
            "1-2",
            "1e5",
            "1E5",
            "0.0000001",
            "1234567890123456",
        ] {
            assert!(scan(&format!("{{\"a\":{number}}}"), 0).is_none(), "{number}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_run_ends_at_the_first_byte_that_is_not(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let one_by_one = bytes.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
            prop_assert_eq!(plain_run(&bytes), one_by_one);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn sure_means_sound(line in "\\{(\"(_id|[a-c$ü]{1,2})\":(-?[0-9]{1,17}(\\.[0-9]{1,18})?(e[+-]?[0-9]{1,3})?|\"[a-z\\\\\"nu0-9ü]{0,4}\"|true|null|\\[\\]|\\{\"\\$int\":\"1\"\\}),?){0,3}\\}") {
            prop_assert!(agrees(&line), "{}", line);
        }

        #[test]
        fn the_row_before_changes_nothing(rows in proptest::collection::vec("\\{(\"(_id|[a-c$]{1,2})\":(1|\"x\"|\\{\"_id\":1\\})[,;]?){0,3}\\}", 1..6)) {
            let text = rows.join("\n");
            let (mut scan, mut at) = (Scan::new(&text), 0);
            for row in &rows {
                let alone = Scan::new(row).row(0).map(|sound| (sound.id, at + sound.end));
                prop_assert_eq!(scan.row(at).map(|sound| (sound.id, sound.end)), alone);
                at += row.len() + 1;
            }
        }

        #[test]
        fn sure_about_numbers_means_sound(number in any::<f64>(), text in "-?(0|[1-9][0-9]{0,16})(\\.[0-9]{1,17})?(e[+-][1-9][0-9]?)?") {
            for text in [text, format!("{number}"), format!("{number:e}")] {
                let line = format!("{{\"a\":{text}}}");
                prop_assert!(agrees(&line), "{}", line);
            }
        }
    }
}
