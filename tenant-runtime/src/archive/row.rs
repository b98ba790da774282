//! One record as the archive writes it, and back to what the server stores.
//!
//! [`export_format::row`] gives values their one spelling; this module says which members a record has: the person's
//! own, `_id`, and the two dates under the names CEPS gives them, in Unix milliseconds. No client can set those three,
//! so they never collide with the person's own.
//!
//! A stranger's row may spell its dates otherwise (`_created` and `_modified` as text). They are understood, and stay
//! in the record as members of its own.

use export_format::row::{MAX_PLAIN, RowError, Value, plain_members};
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
    if let Some(line) = plain_line(record) {
        return Ok(line);
    }
    let mut members = Value::from_record(&record.doc)?;
    members.insert(ID.into(), Value::Text(record.id.clone()));
    members.insert(CREATED.into(), Value::Int(record.created.into()));
    members.insert(MODIFIED.into(), Value::Int(record.modified.into()));
    let mut line = Value::Object(members).to_row();
    line.push('\n');
    Ok(line)
}

/// The line of a record that is stored as the line says it: nearly every one, and then nothing is read but its members' ends.
fn plain_line(record: &Row) -> Option<String> {
    let is_plain = |ms: i64| i128::from(ms).abs() <= MAX_PLAIN;
    if !is_plain(record.created) || !is_plain(record.modified) {
        return None;
    }
    let members = plain_members(&record.doc)?;
    let (created, modified) = (record.created.to_string(), record.modified.to_string());
    let id = Value::Text(record.id.clone()).to_row();
    let ours = [(CREATED, &*created), (MODIFIED, &*modified), (ID, &*id)];
    let mut line = String::with_capacity(record.doc.len() + id.len() + 80);
    let mut put = |(name, value): (&str, &str)| {
        line.push_str(if line.is_empty() { "{\"" } else { ",\"" });
        line.push_str(name);
        line.push_str("\":");
        line.push_str(value);
    };
    let mut ours = ours.into_iter().peekable();
    for member in members.into_iter().filter(|(name, _)| ![CREATED, MODIFIED, ID].contains(name)) {
        while let Some(own) = ours.next_if(|(name, _)| *name < member.0) {
            put(own);
        }
        put(member);
    }
    ours.for_each(put);
    line.push_str("}\n");
    Some(line)
}

/// The record that a line says, with `otherwise` for the dates it does not say.
pub fn from_line(line: &str, otherwise: i64) -> Result<Row, Error> {
    match plain_row(line) {
        Some(row) => Ok(row),
        None => thorough_row(line, otherwise),
    }
}

/// Whether the record that a line says can be kept here.
pub fn usable(line: &str) -> Result<(), Error> {
    let plain = plain_members(line).and_then(|members| members.into_iter().find(|(name, _)| *name == ID));
    match plain.and_then(|(_, id)| id.strip_prefix('"')?.strip_suffix('"')) {
        Some(id) if is_id(id) => Ok(()),
        _ => thorough_row(line, 0).map(drop),
    }
}

/// The same of a line that is stored as it stands.
fn plain_row(line: &str) -> Option<Row> {
    let (mut id, mut created, mut modified) = (None, None, None);
    let mut doc = String::with_capacity(line.len());
    for (name, value) in plain_members(line)? {
        match name {
            ID => id = value.strip_prefix('"')?.strip_suffix('"'),
            CREATED => created = Some(value.parse().ok()?),
            MODIFIED => modified = Some(value.parse().ok()?),
            _ => {
                doc.push_str(if doc.is_empty() { "{\"" } else { ",\"" });
                doc.push_str(name);
                doc.push_str("\":");
                doc.push_str(value);
            }
        }
    }
    doc.push_str(if doc.is_empty() { "{}" } else { "}" });
    let id = id.filter(|id| is_id(id))?.to_owned();
    Some(Row { id, created: created?, modified: modified?, doc })
}

fn thorough_row(line: &str, otherwise: i64) -> Result<Row, Error> {
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
    Ok(Row { id, created: created.unwrap_or(modified), modified, doc: Value::to_record(&members) })
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
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    #[test]
    fn a_record_comes_back_as_it_went() {
        let doc = r#"{"$int":"5","big":9007199254740993,"exp":0.1,"own":{"$bytes":"AAEC"},"text":"Grüße\n"}"#;
        let record = Row { id: "n-1".into(), created: 1, modified: 2, doc: doc.into() };
        let line = to_line(&record).unwrap();
        assert!(line.contains(r#""big":{"$int":"9007199254740993"}"#) && line.contains(r#""$$int":"5""#), "{line}");
        assert_eq!(from_line(line.trim_end(), 9).unwrap(), record);
    }

    #[test]
    fn a_record_with_one_member_is_never_a_tag_itself() {
        let blob =
            json!({"$blob": {"path": "files/a", "sha256": "0".repeat(64), "size": 5, "type": "x/y"}}).to_string();
        for doc in [r#"{"$bytes":"AAEC"}"#, r#"{"$$bytes":"AAEC"}"#, &blob] {
            let record = Row { id: "n-1".into(), created: 1, modified: 2, doc: doc.into() };
            let line = to_line(&record).unwrap();
            assert_eq!(from_line(line.trim_end(), 9).unwrap(), record, "{line}");
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_says_what_the_thorough_one_says(fields in prop::collection::btree_map("(A|_|_a|_date_created|_idx|a|z)", plain(), 0..6)) {
            let doc = Json::Object(fields.into_iter().collect()).to_string();
            let record = Row { id: "n\"-1".into(), created: 1, modified: 2, doc };
            let mut members = Value::from_record(&record.doc).unwrap();
            members.insert(ID.into(), Value::Text(record.id.clone()));
            members.insert(CREATED.into(), Value::Int(1));
            members.insert(MODIFIED.into(), Value::Int(2));
            let thorough = Value::Object(members).to_row() + "\n";
            prop_assert_eq!(plain_line(&record), Some(thorough));
            let record = Row { id: "n-1".into(), ..record };
            let line = to_line(&record).unwrap();
            prop_assert_eq!(plain_row(line.trim_end()), Some(thorough_row(line.trim_end(), 9).unwrap()));
        }
    }

    /// Values that are stored as lines say them.
    fn plain() -> impl Strategy<Value = Json> {
        prop_oneof![
            Just(Json::Null),
            (-1000i64..1000).prop_map(Json::from),
            prop::sample::select(&["", "x\ny", "\"", "ü"][..]).prop_map(Json::from),
            Just(json!([1, {"b": [true]}])),
        ]
    }

    /// Values as an app may write them, with members that look like the archive's own.
    fn value() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            prop::sample::select(&["AAEC", "AAE", "", "5", "9007199254740993", "ü\u{0}"][..]).prop_map(Json::from),
            Just(json!({"path": "files/a", "sha256": "0".repeat(64), "size": 5, "type": "x/y"})),
        ];
        leaf.prop_recursive(5, 24, 3, |inner| {
            let name = || "(a|x|\\${1,4}|\\${1,3}(int|bytes|blob|x|date))";
            prop_oneof![
                3 => (name(), inner.clone()).prop_map(|(name, value)| json!({name: value})),
                1 => prop::collection::btree_map(name(), inner.clone(), 0..4).prop_map(|map| Json::Object(map.into_iter().collect())),
                1 => prop::collection::vec(inner, 0..3).prop_map(Json::from),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_an_app_writes_comes_back_and_leaves_again_the_same(fields in prop::collection::btree_map("(a|b|\\$x|\\$bytes)", value(), 0..3)) {
            let written = Json::Object(fields.into_iter().collect());
            let record = Row { id: "n-1".into(), created: 1, modified: 2, doc: written.to_string() };
            let line = to_line(&record).unwrap();
            let back = from_line(line.trim_end(), 9).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Json>(&back.doc).unwrap(), &written, "{}", line);
            // Touched or not, it leaves as it came.
            let touched = Row { doc: serde_json::from_str::<Json>(&back.doc).unwrap().to_string(), ..back };
            prop_assert_eq!(to_line(&touched).unwrap(), line);
        }

        #[test]
        fn whatever_an_archive_says_is_said_again(value in value()) {
            // Every text of JSON stands for some value, whose row is what another writer would have written.
            let value = Value::from_stored(&json!({"_id": "n-1", "own": value}).to_string()).unwrap();
            let (row, line) = (value.to_row(), to_line(&from_line(&value.to_row(), 9).unwrap()).unwrap());
            let Value::Object(mut members) = Value::from_row(line.trim_end()).unwrap() else { panic!("no object") };
            members.remove(&CREATED.into());
            members.remove(&MODIFIED.into());
            prop_assert_eq!(Value::Object(members).to_row(), row);
        }
    }

    #[test]
    fn members_that_look_like_the_archives_own_stay_apart_from_them() {
        let line = |own: &str| format!(r#"{{"_date_created":1,"_date_modified":2,"_id":"n-1","own":{own}}}"#);
        for own in [
            r#"{"$bytes":"AAEC"}"#,
            r#"{"$$bytes":"AAEC"}"#,
            r#"{"$$$bytes":"AAEC"}"#,
            r#"{"$$int":"9007199254740993"}"#,
        ] {
            let record = from_line(&line(own), 9).unwrap();
            assert_eq!(to_line(&record).unwrap().trim_end(), line(own));
        }
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
