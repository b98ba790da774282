//! One record as the archive writes it, and back to what the server stores.
//!
//! [`export_format::row`] gives values their one spelling; this module says which members a record has: the person's
//! own, `_id`, and the two dates under the names CEPS gives them, in Unix milliseconds. No client can set those three,
//! so they never collide with the person's own.
//!
//! A stranger's row may spell its dates otherwise (`_created` and `_modified` as text). They are understood, and stay
//! in the record as members of its own.

use export_format::row::{RowError, Value};
use jiff::Timestamp;

use crate::documents::Row;
use crate::documents::record::{CREATED, ID, MODIFIED, is_id};

/// Why a record cannot be written, or a line not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not a canonical row.
    #[error(transparent)]
    Row(#[from] RowError),
    /// It has no usable `_id`.
    #[error("its `_id` is missing, longer than 512 characters, or has control characters")]
    Id,
}

/// The canonical line of a stored record, with its line end.
pub fn to_line(record: &Row) -> Result<String, Error> {
    let Value::Object(mut members) = Value::from_stored(&record.doc)? else { return Err(RowError::NotAnObject.into()) };
    members.insert(ID.into(), Value::Text(record.id.clone()));
    members.insert(CREATED.into(), Value::Int(record.created.into()));
    members.insert(MODIFIED.into(), Value::Int(record.modified.into()));
    let mut line = Value::Object(members).to_row();
    line.push('\n');
    Ok(line)
}

/// The record that a line says, with `otherwise` for the dates it does not say.
pub fn from_line(line: &str, otherwise: i64) -> Result<Row, Error> {
    let Value::Object(mut members) = Value::from_row(line)? else { return Err(RowError::NotAnObject.into()) };
    let Some(Value::Text(id)) = members.remove(&ID.into()) else { return Err(Error::Id) };
    if !is_id(&id) {
        return Err(Error::Id);
    }
    let created =
        members.remove(&CREATED.into()).and_then(|at| ms(&at)).or_else(|| members.get(&"_created".into()).and_then(ms));
    let modified = members
        .remove(&MODIFIED.into())
        .and_then(|at| ms(&at))
        .or_else(|| members.get(&"_modified".into()).and_then(ms));
    let modified = modified.or(created).unwrap_or(otherwise);
    Ok(Row { id, created: created.unwrap_or(modified), modified, doc: Value::Object(members).to_stored() })
}

fn ms(value: &Value) -> Option<i64> {
    match value {
        Value::Int(ms) => i64::try_from(*ms).ok(),
        Value::Text(at) => at.parse::<Timestamp>().ok().map(Timestamp::as_millisecond),
        _ => None,
    }
}

/// A time in its one spelling: UTC, with milliseconds.
#[must_use]
pub fn written(ms: i64) -> Option<String> {
    let at = Timestamp::from_millisecond(ms).ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

/// Milliseconds of a time another writer wrote.
#[must_use]
pub fn instant(text: &str) -> Option<i64> {
    Some(text.parse::<Timestamp>().ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_went() {
        let doc = r#"{"$int":"5","big":9007199254740993,"exp":0.1,"own":{"$bytes":"AAEC"},"text":"Grüße\n"}"#;
        let record = Row { id: "n-1".into(), created: 1, modified: 2, doc: doc.into() };
        let line = to_line(&record).unwrap();
        assert!(line.contains(r#""big":{"$int":"9007199254740993"}"#) && line.contains(r#""$$int":"5""#), "{line}");
        assert_eq!(from_line(line.trim_end(), 9).unwrap(), record);
    }

    #[test]
    fn a_strangers_dates_are_understood_and_kept() {
        let line =
            r#"{"_created":"2026-05-01T09:59:00.000Z","_id":"n-77","_modified":"2026-11-20T17:59:00.000Z","a":1}"#;
        let record = from_line(line, 9).unwrap();
        assert_eq!(written(record.created).unwrap(), "2026-05-01T09:59:00.000Z");
        assert_eq!(written(record.modified).unwrap(), "2026-11-20T17:59:00.000Z");
        assert!(record.doc.contains("_created"));
    }

    #[test]
    fn a_line_without_an_id_is_refused() {
        for line in ["[]", "{}", r#"{"_id":1}"#, r#"{"_id":""}"#, r#"{"_id":"a\u0001"}"#] {
            assert!(from_line(line, 0).is_err(), "{line}");
        }
    }
}
