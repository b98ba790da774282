//! Rows of tables: one JSON document a line, in one spelling.
//!
//! A row must survive many hands unchanged: a re-export has to yield the same digest as the archive it came from. So
//! a row has one spelling, that of RFC 8785 (JSON Canonicalization Scheme): members sorted, no spaces, shortest exact
//! numbers. What JSON cannot carry exactly is tagged by an object with one member:
//!
//! - `{"$int":"9007199254740993"}`: a whole number beyond ±(2^53-1), which many JSON readers would round;
//! - `{"$bytes":"AAEC"}`: bytes, in base64;
//! - `{"$blob":{"path":…,"sha256":…,"size":…,"type":…}}`: a file of the same app.
//!
//! A member of the person's own whose name begins with `$` gets one more `$` in front. Other spellings, duplicate
//! members, depth beyond [`MAX_DEPTH`] and lines beyond [`MAX_LINE`] are refused, not repaired.

mod parse;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::digest::Digest;
use crate::path::EntryPath;
use crate::scan::Scan;

use parse::Parser;

/// How deep lists and objects may nest.
pub const MAX_DEPTH: usize = 64;
/// The longest line of a table, in bytes, without its line feed.
pub const MAX_LINE: usize = 4 * 1024 * 1024;
/// The largest whole number that stands untagged.
pub const MAX_PLAIN: i128 = (1 << 53) - 1;
/// Whole numbers below this magnitude (10^21) are kept exactly; beyond, numbers are binary64.
const MAX_WHOLE: i128 = 1_000_000_000_000_000_000_000;

/// A JSON value without loss.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number of magnitude below 10^21.
    Int(i128),
    /// Any other number; finite.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes (`$bytes`).
    Bytes(Vec<u8>),
    /// A file of the same app (`$blob`).
    Blob(Blob),
    /// A list.
    List(Vec<Value>),
    /// An object; the order of members carries no meaning.
    Object(BTreeMap<Name, Value>),
}

/// A reference to a file of the same app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The file's digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
    /// Where it stands, relative to the app's folder in the archive.
    pub path: EntryPath,
}

/// The name of an object's member; sorts by UTF-16 code units, as RFC 8785 wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

/// Why a text is no row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// No JSON.
    #[error("this is no JSON: {why} at byte {at}")]
    Syntax {
        /// Where, counted from 0.
        at: usize,
        /// What is wrong there.
        why: &'static str,
    },
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("lists and objects nest deeper than {MAX_DEPTH}")]
    TooDeep,
    /// Longer than [`MAX_LINE`].
    #[error("the line is longer than {MAX_LINE} bytes")]
    TooLong,
    /// Two members of one name.
    #[error("the member {0:?} stands twice")]
    Duplicate(String),
    /// A whole number beyond ±(2^53-1) that is not tagged.
    #[error("the number {0} is beyond 2^53 and must be written as $int")]
    BigNumber(String),
    /// A number too large for binary64.
    #[error("the number {0} is too large")]
    Infinite(String),
    /// A tag that is unknown or not well formed.
    #[error("the tag {0:?} is unknown or not well formed")]
    Tag(String),
    /// Right, but not in the one spelling.
    #[error("the row is not in canonical form (RFC 8785)")]
    NotCanonical,
    /// A row that is not an object.
    #[error("a row must be an object")]
    NotAnObject,
}

/// The members of a row as they stand in it, names without their quotation marks, where it surely is a sound row (or a record
/// that is stored in the same text) without tagged values and escaped names. `None` says nothing: [`Value`] tells then.
///
/// ```
/// use export_format::row::plain_members;
/// assert_eq!(plain_members(r#"{"a":[1,"x"],"b":null}"#), Some(vec![("a", r#"[1,"x"]"#), ("b", "null")]));
/// assert_eq!(plain_members(r#"{"b":1,"a":2}"#), None);
/// ```
#[must_use]
pub fn plain_members(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut members = Vec::new();
    let sound = Scan::new(text).members(0, |name, value| members.push((name, value)))?;
    (sound.end == text.len()).then_some(members)
}

impl Value {
    /// Reads any JSON text, as a runtime stores it.
    ///
    /// `$bytes` and `$blob` objects that are well formed are taken as tags. Every other member beginning with `$` is the
    /// person's own. One that would be taken for a tag stands with one more `$`: `{"$$bytes":"AAEC"}` is an object with the
    /// person's own member `$bytes`, so no text has two meanings and no value has two texts.
    ///
    /// # Errors
    /// When the text is no JSON or beyond the limits.
    ///
    /// ```
    /// use export_format::row::Value;
    /// let value = Value::from_stored(r#"{ "b": 9007199254740993, "a": 1.50, "$set": null }"#)?;
    /// assert_eq!(value.to_row(), r#"{"$$set":null,"a":1.5,"b":{"$int":"9007199254740993"}}"#);
    /// assert_eq!(Value::from_row(&value.to_row())?, value);
    /// assert_eq!(value.to_stored(), r#"{"$set":null,"a":1.5,"b":9007199254740993}"#);
    /// # Ok::<(), export_format::row::RowError>(())
    /// ```
    pub fn from_stored(text: &str) -> Result<Self, RowError> {
        Parser::new(text, Form::Stored).document()
    }

    /// Reads a record as a runtime stores it: an object, which is never a tag itself, whatever its only member is called.
    ///
    /// # Errors
    /// When the text is no JSON, no object, or beyond the limits.
    ///
    /// ```
    /// use export_format::row::Value;
    /// let members = Value::from_record(r#"{"$bytes":"AAEC"}"#)?;
    /// assert_eq!(members[&"$bytes".into()].as_text(), Some("AAEC"));
    /// assert_eq!(Value::to_record(&members), r#"{"$bytes":"AAEC"}"#);
    /// # Ok::<(), export_format::row::RowError>(())
    /// ```
    pub fn from_record(text: &str) -> Result<BTreeMap<Name, Self>, RowError> {
        Parser::new(text, Form::Stored).record()
    }

    /// These members as a record that a runtime stores; [`Value::from_record`] reads it back as it is.
    #[must_use]
    pub fn to_record(members: &BTreeMap<Name, Self>) -> String {
        let mut out = String::new();
        write_members(&mut out, members, Form::Stored, |_, _| false);
        out
    }

    /// Reads one row of an archive, without its line feed: an object in the one spelling.
    ///
    /// # Errors
    /// When it is no row, beyond the limits, or spelled otherwise.
    pub fn from_row(line: &str) -> Result<Self, RowError> {
        let value = Self::from_canonical(line)?;
        match value {
            Self::Object(_) => Ok(value),
            _ => Err(RowError::NotAnObject),
        }
    }

    fn from_canonical(line: &str) -> Result<Self, RowError> {
        if line.len() > MAX_LINE {
            return Err(RowError::TooLong);
        }
        let value = Parser::new(line, Form::Row).document()?;
        if value.to_row() == line { Ok(value) } else { Err(RowError::NotCanonical) }
    }

    /// Checks a JSON document of an archive (`account.json` and the like): like a row, but spelled freely.
    ///
    /// # Errors
    /// When it is no JSON or beyond the limits: depth, duplicate members, numbers beyond 2^53.
    pub fn from_document(text: &str) -> Result<Self, RowError> {
        Parser::new(text, Form::Document).document()
    }

    /// This value as a row of an archive, without a line feed.
    #[must_use]
    pub fn to_row(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, Form::Row);
        out
    }

    /// This value as plain JSON, as a runtime stores it: whole numbers as such, the person's own names unescaped, but for
    /// those that would be taken for a tag.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, Form::Stored);
        out
    }

    /// This value as a JSON document of an archive; [`Value::from_document`] reads it back as it is.
    #[must_use]
    pub fn to_document(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, Form::Document);
        out
    }

    /// The member of this name, if this is an object that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Object(members) => members.get(&Name(name.to_owned())),
            _ => None,
        }
    }

    /// The text, if this is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Every reference to a file in this value.
    pub fn for_each_blob(&self, visit: &mut impl FnMut(&Blob)) {
        match self {
            Self::Blob(blob) => visit(blob),
            Self::List(list) => list.iter().for_each(|value| value.for_each_blob(visit)),
            Self::Object(members) => members.values().for_each(|value| value.for_each_blob(visit)),
            _ => {}
        }
    }

    fn write(&self, out: &mut String, form: Form) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Int(number) if form == Form::Row && number.abs() > MAX_PLAIN => {
                let _ = write!(out, "{{\"$int\":\"{number}\"}}");
            }
            Self::Int(number) => {
                let _ = write!(out, "{number}");
            }
            Self::Float(number) => write_float(out, *number),
            Self::Text(text) => write_text(out, text),
            Self::Bytes(bytes) => {
                let _ = write!(out, "{{\"$bytes\":\"{}\"}}", STANDARD.encode(bytes));
            }
            Self::Blob(blob) => {
                out.push_str("{\"$blob\":{\"path\":");
                write_text(out, blob.path.as_str());
                let _ = write!(out, ",\"sha256\":\"{}\",\"size\":{},\"type\":", blob.digest, blob.size);
                write_text(out, &blob.media_type);
                out.push_str("}}");
            }
            Self::List(list) => {
                out.push('[');
                for (index, value) in list.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    value.write(out, form);
                }
                out.push(']');
            }
            Self::Object(members) => write_object(out, members, form),
        }
    }
}

fn write_object(out: &mut String, members: &BTreeMap<Name, Value>, form: Form) {
    // One more `$` before names that begin with one keeps their order, since all of them get it.
    write_members(out, members, form, |name, value| match form {
        Form::Row => name.0.starts_with('$'),
        Form::Stored => members.len() == 1 && parse::looks_tagged(&name.0, value),
        Form::Document => false,
    });
}

fn write_members(
    out: &mut String,
    members: &BTreeMap<Name, Value>,
    form: Form,
    is_escaped: impl Fn(&Name, &Value) -> bool,
) {
    out.push('{');
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        if is_escaped(name, value) {
            out.push_str("\"$");
            let start = out.len();
            write_text(out, &name.0);
            out.remove(start);
        } else {
            write_text(out, &name.0);
        }
        out.push(':');
        value.write(out, form);
    }
    out.push('}');
}

/// Which text of a value is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Row,
    Stored,
    /// JSON that is not ours to tag.
    Document,
}

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // In UTF-8 and UTF-16 only characters beyond U+D7FF sort differently.
        if self.0.is_ascii() && other.0.is_ascii() {
            self.0.cmp(&other.0)
        } else {
            self.0.encode_utf16().cmp(other.0.encode_utf16())
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// ECMA-262 `Number::toString`, which RFC 8785 prescribes. Rust yields the shortest digits; their layout differs, and
/// which of two is taken that are equally near.
fn write_float(out: &mut String, number: f64) {
    let (mut digits, mut point) = decimal(&format!("{:e}", number.abs()));
    if let Some((even, at)) = even_of_a_tie(number.abs(), &digits) {
        (digits, point) = (even, at);
    }
    let count = digits.len() as i32;
    if number < 0.0 {
        out.push('-');
    }
    let _ = if count <= point && point <= 21 {
        write!(out, "{digits}{}", "0".repeat((point - count) as usize))
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(point as usize);
        write!(out, "{whole}.{fraction}")
    } else if -6 < point && point <= 0 {
        write!(out, "0.{}{digits}", "0".repeat(-point as usize))
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        write!(out, "{first}{dot}{rest}e{:+}", point - 1)
    };
}

/// The digits of `d.ddde±x`, and after how many of them the point stands.
fn decimal(scientific: &str) -> (String, i32) {
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    (digits.chars().filter(|&c| c != '.').collect(), exponent.parse::<i32>().unwrap_or(0) + 1)
}

/// Where the exact value lies midway between two shortest spellings, the one that ends in an even digit, if `digits`
/// is the other.
fn even_of_a_tie(number: f64, digits: &str) -> Option<(String, i32)> {
    // Shorter spellings are never tied: the digits of a tie are all but one of the exact value's, which are many.
    if digits.len() < 15 || !digits.ends_with(['1', '3', '5', '7', '9']) {
        return None;
    }
    let (longer, _) = decimal(&format!("{number:.*e}", digits.len()));
    if !longer.ends_with('5') {
        return None;
    }
    // No binary64 has more than 767 digits; so this is the exact value.
    let (exact, point) = decimal(&format!("{number:.770e}"));
    let (kept, rest) = exact.split_at(digits.len());
    if rest.trim_end_matches('0') != "5" {
        return None;
    }
    // `digits` is odd, so the even one is its neighbour on the other side of the exact value.
    let even = if kept == digits { plus_one(kept)? } else { kept.to_owned() };
    let spelled = format!("{}.{}e{}", &even[..1], &even[1..], point - 1);
    (spelled.parse() == Ok(number)).then_some((even, point))
}

/// The next higher number of as many digits.
fn plus_one(digits: &str) -> Option<String> {
    let next = digits.parse::<u64>().ok()?.checked_add(1)?.to_string();
    (next.len() == digits.len()).then_some(next)
}

/// Whether a number with a fraction or exponent is in its one spelling, and is not a whole number in disguise.
pub(crate) fn is_canonical_float(text: &str) -> bool {
    let Ok(number) = text.parse::<f64>() else { return false };
    if !number.is_finite() || (number.fract() == 0.0 && number.abs() < MAX_WHOLE as f64) {
        return false;
    }
    let mut spelled = String::with_capacity(32);
    write_float(&mut spelled, number);
    spelled == text
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        if escaped.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escaped);
        }
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// Packs rows, given in their order, into segments of at most [`MAX_DOCUMENT`](crate::packed::MAX_DOCUMENT) bytes.
///
/// Where a segment ends follows from the rows about there and not from how many stand before: it ends behind a row whose
/// key says so. A row that is changed, added or taken away thus changes its own segment and perhaps the next, and a delta
/// carries those alone.
///
/// ```
/// use export_format::row::Segments;
/// let mut segments = Segments::default();
/// assert!(segments.push("1", "{\"_id\":\"1\"}").is_none());
/// assert_eq!(segments.finish().as_deref(), Some(&b"{\"_id\":\"1\"}\n"[..]));
/// ```
#[derive(Debug, Default)]
pub struct Segments {
    rows: Vec<u8>,
    /// Whether the last row taken in ends its segment.
    ends: bool,
}

/// A segment shorter than this does not end by the key of its last row.
const LEAST_SEGMENT: usize = 1024 * 1024;
/// Of how many keys one ends a segment.
const KEYS_AN_END: u32 = 4096;

impl Segments {
    /// Takes the next row (without line feed), known by `key` (of a table's row, its `_id`); returns the segment before it
    /// when that is full.
    pub fn push(&mut self, key: &str, row: &str) -> Option<Vec<u8>> {
        let too_long = self.rows.len() + row.len() + 1 > crate::packed::MAX_DOCUMENT;
        let full = !self.rows.is_empty() && (self.ends || too_long);
        let segment = full.then(|| std::mem::take(&mut self.rows));
        self.rows.extend_from_slice(row.as_bytes());
        self.rows.push(b'\n');
        self.ends = self.rows.len() >= LEAST_SEGMENT && crc32fast::hash(key.as_bytes()).is_multiple_of(KEYS_AN_END);
        segment
    }

    /// The segment so far, if the row taken in last ends it whatever comes behind.
    ///
    /// ```
    /// use export_format::row::Segments;
    /// let mut segments = Segments::default();
    /// segments.push("1", "{\"_id\":\"1\"}");
    /// assert!(segments.end().is_none(), "so short a segment ends with the table alone");
    /// ```
    pub fn end(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.ends).then(|| std::mem::take(&mut self.rows))
    }

    /// Whether the next row begins a segment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The last segment, if there is one.
    #[must_use]
    pub fn finish(self) -> Option<Vec<u8>> {
        (!self.rows.is_empty()).then_some(self.rows)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row(stored: &str) -> String {
        let value = Value::from_stored(stored).unwrap_or_else(|err| panic!("{stored}: {err}"));
        let row = value.to_row();
        assert_eq!(Value::from_canonical(&row).unwrap_or_else(|err| panic!("{row}: {err}")), value);
        assert_eq!(Value::from_stored(&value.to_stored()).unwrap(), value, "{stored}");
        row
    }

    #[test]
    fn numbers_have_one_spelling() {
        for (stored, expected) in [
            ("5.0", "5"),
            ("-0.0", "0"),
            ("-0", "0"),
            ("1e2", "100"),
            ("0.1", "0.1"),
            ("1E-7", "1e-7"),
            ("0.000001", "0.000001"),
            ("1e21", "1e+21"),
            ("1.5e300", "1.5e+300"),
            ("5e-324", "5e-324"),
            ("333333333.3333333", "333333333.3333333"),
            ("-1.25", "-1.25"),
            ("9007199254740991", "9007199254740991"),
            ("9007199254740992", r#"{"$int":"9007199254740992"}"#),
            ("1e16", r#"{"$int":"10000000000000000"}"#),
            ("-18446744073709551615", r#"{"$int":"-18446744073709551615"}"#),
            ("0.30000000000000004", "0.30000000000000004"),
            ("2.2250738585072014e-308", "2.2250738585072014e-308"),
            ("1000000000000000000000000000000", "1e+30"),
            // Two shortest spellings, equally near: the even one.
            ("1424953923781206.25", "1424953923781206.2"),
            ("1424953923781206.75", "1424953923781206.8"),
            ("-1424953923781206.25", "-1424953923781206.2"),
            ("123456789012345680000.5", r#"{"$int":"123456789012345683968"}"#),
        ] {
            assert_eq!(row(stored), expected, "{stored}");
        }
    }

    #[test]
    fn texts_and_names_have_one_spelling() {
        assert_eq!(row(r#""\u00fc\/\u0001\ud83d\ude00\b\"""#), "\"ü/\\u0001😀\\b\\\"\"");
        // U+FB33 sorts after an astral character in UTF-16 and before it in UTF-8.
        assert_eq!(
            row("{\"\u{fb33}\":1,\"\u{1f600}\":2,\"b\":[],\"a\":{}}"),
            "{\"a\":{},\"b\":[],\"\u{1f600}\":2,\"\u{fb33}\":1}"
        );
    }

    #[test]
    fn tags_and_look_alikes_come_back_as_they_were() {
        assert_eq!(row(r#"{"$int":"9007199254740993"}"#), r#"{"$$int":"9007199254740993"}"#);
        assert_eq!(row(r#"{"$bytes":"AAEC"}"#), r#"{"$bytes":"AAEC"}"#);
        assert_eq!(Value::from_row(r#"{"a":{"$$bytes":"AAEC"}}"#).unwrap().to_stored(), r#"{"a":{"$$bytes":"AAEC"}}"#);
        assert_eq!(row(r#"{"$bytes":"AAE"}"#), r#"{"$$bytes":"AAE"}"#);
        assert_eq!(row(r#"{"$$bytes":"AAEC"}"#), r#"{"$$bytes":"AAEC"}"#, "the person's own $bytes");
        assert_eq!(row(r#"{"$$$bytes":"AAEC"}"#), r#"{"$$$bytes":"AAEC"}"#, "the person's own $$bytes");
        assert_eq!(row(r#"{"$$bytes":"AAE"}"#), r#"{"$$$bytes":"AAE"}"#, "which no tag looks like");
        assert_eq!(row(r#"{"$":1,"$$x":2}"#), r#"{"$$":1,"$$$x":2}"#);
        let blob = format!(r#"{{"$blob":{{"path":"files/a","sha256":"{}","size":5,"type":"x/y"}}}}"#, Digest::of(b""));
        assert_eq!(row(&blob), blob);
        let own = blob.replace("$blob", "$$blob");
        assert_eq!(row(&own), own);
        assert_eq!(row(&blob.replace("5", "5.5")), blob.replace("$blob", "$$blob").replace("5", "5.5"));
    }

    #[test]
    fn what_is_no_row_is_refused() {
        let deep = "[".repeat(65) + &"]".repeat(65);
        for bad in [
            "",
            "nul",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "\"a",
            "\"\u{1}\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "1 2",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
            "1e999",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1,\"\\u0061\":2}",
            "NaN",
            deep.as_str(),
        ] {
            assert!(Value::from_stored(bad).is_err(), "{bad}");
        }
        for bad in [
            "5",
            "{\"b\":1,\"a\":2}",
            "{ }",
            "{\"a\":1.0}",
            "{\"a\":9007199254740992}",
            "{\"a\":1e16}",
            "{\"$int\":\"5\"}",
            "{\"$int\":\"09007199254740993\"}",
            "{\"$date\":1}",
            "{\"$set\":1,\"a\":2}",
            "{\"a\":\"\\u00fc\"}",
        ] {
            assert!(Value::from_row(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_change_of_one_row_changes_few_segments() {
        let cut = |rows: &[(String, String)]| {
            let mut segments = Segments::default();
            let mut all: Vec<Vec<u8>> = rows.iter().filter_map(|(key, row)| segments.push(key, row)).collect();
            all.extend(segments.finish());
            all
        };
        let mut rows: Vec<(String, String)> = (0..60_000)
            .map(|number| {
                (format!("{number:06}"), format!("{{\"_id\":\"{number:06}\",\"x\":\"{}\"}}", "y".repeat(200)))
            })
            .collect();
        let before = cut(&rows);
        assert!(before.len() > 4, "{} segments", before.len());
        assert!(before.iter().all(|segment| segment.len() <= crate::packed::MAX_DOCUMENT));
        assert_eq!(before.concat().split(|byte| *byte == b'\n').count(), rows.len() + 1);
        rows[20].1.push(' ');
        rows.remove(30_000);
        rows.insert(100, ("000099a".to_owned(), "{}".to_owned()));
        let after = cut(&rows);
        let new = after.iter().filter(|segment| !before.contains(segment)).count();
        assert!(new <= 3, "{new} of {} segments are new", after.len());
    }
}
