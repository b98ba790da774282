//! From text to a value.
//!
//! The parser is our own because serde_json by default reads numbers inexactly and lets the last of two equal members
//! win.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Blob, Form, MAX_DEPTH, MAX_PLAIN, MAX_WHOLE, Name, RowError, Value};

/// A place in a text.
pub(super) struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    form: Form,
}

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str, form: Form) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, form }
    }

    /// The whole text as one value.
    pub(super) fn document(mut self) -> Result<Value, RowError> {
        let value = self.value(0)?;
        self.end()?;
        Ok(value)
    }

    /// The whole text as the members of one object, which is never taken for a tag itself.
    pub(super) fn record(mut self) -> Result<BTreeMap<Name, Value>, RowError> {
        self.space();
        if self.bytes.get(self.at) != Some(&b'{') {
            return Err(RowError::NotAnObject);
        }
        let members = self.members(0)?;
        self.end()?;
        Ok(members)
    }

    fn end(&mut self) -> Result<(), RowError> {
        self.space();
        if self.at < self.bytes.len() { Err(self.syntax("something after the end")) } else { Ok(()) }
    }

    fn syntax(&self, why: &'static str) -> RowError {
        RowError::Syntax { at: self.at, why }
    }

    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Skips white space and takes `byte` if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let here = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(here);
        here
    }

    fn word(&mut self, word: &'static str, value: Value) -> Result<Value, RowError> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.syntax("an unknown word"))
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, RowError> {
        self.space();
        match self.bytes.get(self.at) {
            None => Err(self.syntax("the text ends early")),
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'[' | b'{') if depth >= MAX_DEPTH => Err(RowError::TooDeep),
            Some(b'[') => self.list(depth),
            Some(b'{') => self.object(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.syntax("an unexpected character")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, RowError> {
        self.at += 1;
        let mut list = Vec::new();
        if self.take(b']') {
            return Ok(Value::List(list));
        }
        loop {
            list.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Ok(Value::List(list));
            }
            if !self.take(b',') {
                return Err(self.syntax("a comma or ] is missing"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, RowError> {
        let members = self.members(depth)?;
        self.untag(members)
    }

    fn members(&mut self, depth: usize) -> Result<BTreeMap<Name, Value>, RowError> {
        self.at += 1;
        let mut members: BTreeMap<Name, Value> = BTreeMap::new();
        if self.take(b'}') {
            return Ok(members);
        }
        loop {
            self.space();
            if self.bytes.get(self.at) != Some(&b'"') {
                return Err(self.syntax("a member's name is missing"));
            }
            let name = self.string()?;
            if !self.take(b':') {
                return Err(self.syntax("a colon is missing"));
            }
            let value = self.value(depth + 1)?;
            if members.insert(Name(name.clone()), value).is_some() {
                return Err(RowError::Duplicate(name));
            }
            if self.take(b'}') {
                return Ok(members);
            }
            if !self.take(b',') {
                return Err(self.syntax("a comma or } is missing"));
            }
        }
    }

    /// Makes tagged objects into values, and takes the escape off names that begin with `$`.
    fn untag(&self, members: BTreeMap<Name, Value>) -> Result<Value, RowError> {
        if self.form == Form::Document || !members.keys().any(|name| name.0.starts_with('$')) {
            return Ok(Value::Object(members));
        }
        if members.len() == 1
            && let Some((name, value)) = members.first_key_value()
            && let Some(value) = tagged(&name.0, value, self.form)
        {
            return Ok(value);
        }
        if self.form == Form::Stored {
            return Ok(Value::Object(unlike_tagged(members)));
        }
        let unescape = |(name, value): (Name, Value)| match name.0.strip_prefix('$') {
            None => Ok((name, value)),
            Some(rest) if rest.starts_with('$') => Ok((Name(rest.to_owned()), value)),
            Some(_) => Err(RowError::Tag(name.0)),
        };
        members.into_iter().map(unescape).collect::<Result<_, _>>().map(Value::Object)
    }

    fn number(&mut self) -> Result<Value, RowError> {
        let start = self.at;
        let mut whole = true;
        self.at += usize::from(self.bytes[self.at] == b'-');
        let leading = self.at;
        if self.digits() == 0 || (self.bytes[leading] == b'0' && self.at - leading > 1) {
            return Err(self.syntax("a number is not well formed"));
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            whole = false;
            if self.digits() == 0 {
                return Err(self.syntax("a number is not well formed"));
            }
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            whole = false;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return Err(self.syntax("a number is not well formed"));
            }
        }
        let text = &self.text[start..self.at];
        let shown = || text.chars().take(40).collect::<String>();
        if whole
            && let Ok(number) = text.parse::<i128>()
            && number.abs() < MAX_WHOLE
        {
            if self.form != Form::Stored && number.abs() > MAX_PLAIN {
                return Err(RowError::BigNumber(shown()));
            }
            return Ok(Value::Int(number));
        }
        let number: f64 = text.parse().map_err(|_| self.syntax("a number is not well formed"))?;
        if !number.is_finite() {
            return Err(RowError::Infinite(shown()));
        }
        // 5.0 and 5 are one number, so they are one value; RFC 8785 writes both as 5.
        if number.fract() == 0.0 && number.abs() < MAX_WHOLE as f64 {
            let number = number as i128;
            if self.form != Form::Stored && number.abs() > MAX_PLAIN {
                return Err(RowError::BigNumber(shown()));
            }
            return Ok(Value::Int(number));
        }
        Ok(Value::Float(number))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Result<String, RowError> {
        self.at += 1;
        let mut out = String::new();
        let mut plain = self.at;
        loop {
            match self.bytes.get(self.at) {
                None => return Err(self.syntax("a text does not end")),
                Some(b'"') => {
                    out.push_str(&self.text[plain..self.at]);
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(&self.text[plain..self.at]);
                    self.at += 1;
                    out.push(self.escape()?);
                    plain = self.at;
                }
                Some(0..0x20) => return Err(self.syntax("a control character in a text")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, RowError> {
        let byte = self.bytes.get(self.at).copied().ok_or_else(|| self.syntax("a text does not end"))?;
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex4()?;
                let code = match first {
                    0xd800..=0xdbff => {
                        if !self.bytes[self.at..].starts_with(b"\\u") {
                            return Err(self.syntax("half a surrogate pair"));
                        }
                        self.at += 2;
                        let second = self.hex4()?;
                        if !(0xdc00..=0xdfff).contains(&second) {
                            return Err(self.syntax("half a surrogate pair"));
                        }
                        0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    code => code,
                };
                char::from_u32(code).ok_or_else(|| self.syntax("half a surrogate pair"))?
            }
            _ => return Err(self.syntax("an unknown escape")),
        })
    }

    fn hex4(&mut self) -> Result<u32, RowError> {
        let digits = self.bytes.get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .ok_or_else(|| self.syntax("an unknown escape"))?;
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| self.syntax("an unknown escape"))
    }
}

/// Whether an object with this one member would be taken for a tag, or for a member that is written unlike one.
pub(super) fn looks_tagged(name: &str, value: &Value) -> bool {
    let bare = name.trim_start_matches('$');
    bare.len() < name.len() && tagged(&format!("${bare}"), value, Form::Stored).is_some()
}

/// Takes off the `$` by which a stored text keeps the person's own member apart from a tag.
fn unlike_tagged(members: BTreeMap<Name, Value>) -> BTreeMap<Name, Value> {
    match members.first_key_value() {
        Some((name, value)) if members.len() == 1 && name.0.starts_with("$$") && looks_tagged(&name.0, value) => {
            members.into_iter().map(|(name, value)| (Name(name.0[1..].to_owned()), value)).collect()
        }
        _ => members,
    }
}

/// The value of an object whose only member is `name`, if that is a tag and well formed.
fn tagged(name: &str, value: &Value, form: Form) -> Option<Value> {
    match (name, value) {
        ("$int", Value::Text(text)) if form == Form::Row => {
            let number: i128 = text.parse().ok()?;
            (number.abs() > MAX_PLAIN && number.abs() < MAX_WHOLE && number.to_string() == *text)
                .then_some(Value::Int(number))
        }
        ("$bytes", Value::Text(text)) => STANDARD.decode(text).ok().map(Value::Bytes),
        ("$blob", Value::Object(members)) if members.len() == 4 => {
            let text = |name: &str| value.get(name).and_then(Value::as_text);
            let size = match value.get("size") {
                Some(Value::Int(size)) => u64::try_from(*size).ok().filter(|&size| i128::from(size) <= MAX_PLAIN)?,
                _ => return None,
            };
            Some(Value::Blob(Blob {
                digest: text("sha256")?.parse().ok()?,
                size,
                media_type: text("type")?.to_owned(),
                path: text("path")?.parse().ok()?,
            }))
        }
        _ => None,
    }
}
