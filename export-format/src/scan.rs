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
}

/// Looks at a row; `None` when unsure.
pub(crate) fn scan(line: &str) -> Option<Sound<'_>> {
    let mut scan = Scan { text: line, bytes: line.as_bytes(), at: 0, id: None };
    if line.len() > MAX_LINE || scan.bytes.first() != Some(&b'{') {
        return None;
    }
    scan.value(0)?;
    (scan.at == line.len()).then_some(Sound { id: scan.id })
}

struct Scan<'r> {
    text: &'r str,
    bytes: &'r [u8],
    at: usize,
    id: Option<&'r str>,
}

impl<'r> Scan<'r> {
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
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let here = self.bytes[self.at..].starts_with(word.as_bytes());
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
        let mut last: Option<&str> = None;
        loop {
            if self.bytes.get(self.at) != Some(&b'"') {
                return None;
            }
            let (name, plain) = self.string()?;
            // ASCII sorts alike by bytes and by UTF-16; tags and escaped names are for the thorough look.
            if !plain || !name.is_ascii() || name.starts_with('$') || last.is_some_and(|last| last >= name) {
                return None;
            }
            last = Some(name);
            if self.next()? != b':' {
                return None;
            }
            if depth == 0 && name == "_id" && self.bytes.get(self.at) == Some(&b'"') {
                let (id, plain) = self.string()?;
                if !plain {
                    return None;
                }
                self.id = Some(id);
            } else {
                self.value(depth + 1)?;
            }
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A text's inside, and whether it is free of escapes.
    fn string(&mut self) -> Option<(&'r str, bool)> {
        self.at += 1;
        let start = self.at;
        let mut plain = true;
        loop {
            match self.next()? {
                b'"' => return Some((&self.text[start..self.at - 1], plain)),
                b'\\' => {
                    plain = false;
                    if !matches!(self.next()?, b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') {
                        return None;
                    }
                }
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e')) {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        let digits = text.strip_prefix('-').unwrap_or(text);
        let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole {
            // Up to fifteen digits is below 2^53 for certain.
            let sound = digits.len() <= 15 && (!digits.starts_with('0') || text == "0");
            return sound.then_some(());
        }
        (is_short_decimal(digits) || row::is_canonical_float(text)).then_some(())
    }
}

/// Whether this is a decimal of at most fifteen digits in its shortest form. Two different ones are never the same
/// binary64, so the shortest digits that read back as it are these.
fn is_short_decimal(digits: &str) -> bool {
    let Some((whole, fraction)) = digits.split_once('.') else { return false };
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole)
        && all_digits(fraction)
        && whole.len() + fraction.len() <= 15
        && !fraction.ends_with('0')
        && (!whole.starts_with('0') || (whole == "0" && !fraction.starts_with("000000")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::scan;
    use crate::row::Value;

    /// What the thorough look says about the same row.
    fn agrees(line: &str) -> bool {
        let Some(sound) = scan(line) else { return true };
        match Value::from_row(line) {
            Ok(value) => {
                let mut blobs = 0;
                value.for_each_blob(&mut |_| blobs += 1);
                blobs == 0 && value.get("_id").and_then(Value::as_text) == sound.id
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
            assert!(scan(line).is_some(), "{line}");
            assert!(agrees(line), "{line}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn sure_means_sound(line in "\\{(\"(_id|[a-c$ü]{1,2})\":(-?[0-9]{1,17}(\\.[0-9]{1,18})?(e[+-]?[0-9]{1,3})?|\"[a-z\\\\\"nu0-9ü]{0,4}\"|true|null|\\[\\]|\\{\"\\$int\":\"1\"\\}),?){0,3}\\}") {
            prop_assert!(agrees(&line), "{}", line);
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
