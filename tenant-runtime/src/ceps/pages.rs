//! Answers page by page: where the next page begins, as a text that a client carries and cannot make.
//!
//! CEPS has `skip`, which counts anew from the start at every page, and so shows a record twice, or never, when others come or go
//! meanwhile. With `_cursor` in a query (`""` for the first page) an answer that is full says in the header `next-cursor` what to
//! send as `_cursor` for the page after it; the last page has none. A record that nobody changes meanwhile is shown exactly
//! once, whatever happens to the others. One that is changed is shown where it then stands; ordered by `_id`, nothing moves.
//!
//! A cursor is good for the very question it came from, on this server: it is sealed together with that. It says so when the index
//! it was to go on with is gone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::documents::{Page, Position, TableName};
use crate::problem::Problem;
use crate::sessions::token::Key;

/// The header with the next page's cursor.
pub(super) const NEXT: &str = "next-cursor";

/// The longest cursor: what fits a header everywhere.
const LIMIT: usize = 4096;

const ROLE: &str = "page";

/// A question that is answered in pages.
pub(super) struct Question {
    key: Key,
    text: String,
}

impl Question {
    /// What is asked of a table, in one spelling.
    pub(super) fn new(key: Key, table: &TableName, asked: &str) -> Self {
        Self { key, text: format!("{table}\n{asked}") }
    }

    /// The page that a client asks for.
    pub(super) fn page(&self, cursor: &str) -> Result<Page, Problem> {
        if cursor.is_empty() {
            return Ok(Page::First);
        }
        let detail = "This _cursor does not belong to this query. Send what the header next-cursor of its last page said, with the same q and sort, or an empty _cursor for the first page.";
        self.open(cursor).map(Page::After).ok_or_else(|| Problem::bad_request(detail))
    }

    fn open(&self, cursor: &str) -> Option<Position> {
        let (said, mark) = cursor.split_once('.')?;
        if !self.key.is_mark(mark, ROLE, &format!("{}\n{said}", self.text)) {
            return None;
        }
        let said: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(said).ok()?).ok()?;
        let keys = said["keys"].as_array()?.iter().map(read).collect::<Option<_>>()?;
        let bits = said["real"].as_u64();
        Some(Position {
            keys,
            real: bits.map(f64::from_bits),
            modified: said["modified"].as_i64()?,
            n: said["n"].as_i64()?,
            index: said["index"].as_i64(),
        })
    }

    /// What leads a client to the page after a position.
    pub(super) fn next(&self, position: &Position) -> Result<String, Problem> {
        let Position { keys, real, modified, n, index } = position;
        let keys: Vec<Value> = keys.iter().map(written).collect();
        let said = json!({"keys": keys, "real": real.map(f64::to_bits), "modified": modified, "n": n, "index": index});
        let said = URL_SAFE_NO_PAD.encode(said.to_string());
        let mark = self.key.mark(ROLE, &format!("{}\n{said}", self.text));
        let cursor = format!("{said}.{mark}");
        if cursor.len() > LIMIT {
            let detail =
                "The values this query sorts by are too long for pages. Sort by another field, for instance _id.";
            return Err(Problem::bad_request(detail));
        }
        Ok(cursor)
    }
}

/// A value that loses nothing on its way: a float by its bits, and objects so that they cannot be taken for one.
fn written(value: &Value) -> Value {
    match value {
        Value::Number(number) if !number.is_i64() && !number.is_u64() => {
            json!({"f": number.as_f64().unwrap_or_default().to_bits()})
        }
        Value::Array(items) => items.iter().map(written).collect(),
        Value::Object(map) => {
            let map: Map<String, Value> = map.iter().map(|(name, value)| (name.clone(), written(value))).collect();
            json!({"o": map})
        }
        other => other.clone(),
    }
}

fn read(value: &Value) -> Option<Value> {
    match value {
        Value::Array(items) => items.iter().map(read).collect(),
        Value::Object(map) => match map.get("f").and_then(Value::as_u64) {
            Some(bits) => Some(Value::from(f64::from_bits(bits))),
            None => {
                let map = map.get("o")?.as_object()?;
                map.iter().map(|(name, value)| Some((name.clone(), read(value)?))).collect()
            }
        },
        other => Some(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn question(key: u8, asked: &str) -> Question {
        let table = TableName::new(&"com.example.notes".parse().unwrap(), "").unwrap();
        Question::new(Key::new([key; 32]), &table, asked)
    }

    #[test]
    fn a_cursor_opens_where_it_came_from_and_nowhere_else() {
        let keys = json!([0.1, -0.0, u64::MAX, i64::MIN, "\u{0}ü", null, true, {"f": 1, "o": [{"f": 1.5e300}]}, []]);
        let keys = keys.as_array().unwrap().clone();
        let position = Position { keys, real: Some(0.1), modified: -5, n: 7, index: Some(3) };
        let (ours, cursor) = (question(1, "a"), question(1, "a").next(&position).unwrap());
        assert!(matches!(ours.page(&cursor).unwrap(), Page::After(opened) if opened == position));
        assert!(matches!(ours.page("").unwrap(), Page::First));
        for (other, cursor) in [
            (question(2, "a"), cursor.clone()),
            (question(1, "b"), cursor.clone()),
            (question(1, "a"), cursor.replacen('e', "f", 1)),
            (question(1, "a"), cursor[..cursor.len() - 2].to_owned()),
            (question(1, "a"), "x".to_owned()),
        ] {
            assert_eq!(other.page(&cursor).unwrap_err().status, 400);
        }
        let long = Position { keys: vec!["x".repeat(5000).into()], ..position };
        assert_eq!(ours.next(&long).unwrap_err().status, 400);
    }
}
