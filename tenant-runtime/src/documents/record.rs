//! One record, kept as the JSON text it is answered with.
//!
//! The id and the dates live in columns of their own and are spliced in front of the text, so that reading a record
//! never parses it. Fields that only the server may set are taken out of what clients send.

use serde_json::{Map, Value};

/// The record's name within its table.
pub const ID: &str = "_id";
/// When the record was first written.
pub const CREATED: &str = "_date_created";
/// When the record was last written.
pub const MODIFIED: &str = "_date_modified";

/// Fields the server sets and keeps inside the text.
const KEPT: &[&str] = &["_accessibles", "_publicid", "_date_published"];

/// What an upload says about its file, kept likewise.
const KEPT_OF_FILES: &[&str] = &["_mime_type", "_file_extension", "_file_size", "_file_digest"];

/// One record as it stands in its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `_id`, unique within the table.
    pub id: String,
    /// `_date_created`, Unix milliseconds.
    pub created: i64,
    /// `_date_modified`, Unix milliseconds.
    pub modified: i64,
    /// All other fields: the text of one JSON object.
    pub doc: String,
}

impl Row {
    /// The whole record as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(self.doc.len() + self.id.len() + 96);
        self.view().write_json(&mut out);
        out
    }

    /// The record as it is shown.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View { id: &self.id, created: self.created, modified: self.modified, doc: &self.doc }
    }

    /// The other fields, parsed.
    #[must_use]
    pub fn fields(&self) -> Map<String, Value> {
        serde_json::from_str(&self.doc).unwrap_or_default()
    }

    /// The whole record, parsed.
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        let mut map = self.fields();
        map.insert(ID.into(), self.id.as_str().into());
        map.insert(CREATED.into(), self.created.into());
        map.insert(MODIFIED.into(), self.modified.into());
        map
    }

    /// A record from all its fields, ids and dates included, as an archive or a restore carries them. Missing dates
    /// become `now`; `None` when there is no usable id.
    #[must_use]
    pub fn from_map(mut map: Map<String, Value>, now: i64) -> Option<Self> {
        let id = match map.remove(ID)? {
            Value::String(id) => id,
            Value::Number(id) => id.to_string(),
            _ => return None,
        };
        let date = |value: Option<Value>| value.as_ref().and_then(as_ms);
        let created = date(map.remove(CREATED));
        let modified = date(map.remove(MODIFIED)).or(created).unwrap_or(now);
        let created = created.unwrap_or(modified);
        is_id(&id).then(|| Self { id, created, modified, doc: Value::Object(map).to_string() })
    }
}

impl From<View<'_>> for Row {
    fn from(view: View<'_>) -> Self {
        Self { id: view.id.to_owned(), created: view.created, modified: view.modified, doc: view.doc.to_owned() }
    }
}

/// A record as SQLite shows it, without a copy.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// `_id`
    pub id: &'a str,
    /// `_date_created`
    pub created: i64,
    /// `_date_modified`
    pub modified: i64,
    /// All other fields: the text of one JSON object.
    pub doc: &'a str,
}

impl View<'_> {
    /// Appends the whole record as JSON text.
    pub fn write_json(&self, out: &mut String) {
        out.push_str("{\"_id\":");
        match self.id.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            true => {
                out.push('"');
                out.push_str(self.id);
                out.push('"');
            }
            false => out.push_str(&serde_json::to_string(self.id).expect("a string is JSON")),
        }
        for (name, date) in [(CREATED, self.created), (MODIFIED, self.modified)] {
            out.push_str(",\"");
            out.push_str(name);
            out.push_str("\":");
            out.push_str(itoa::Buffer::new().format(date));
        }
        match self.doc.get(1..).map(str::trim_start) {
            Some(rest) if !rest.starts_with('}') => {
                out.push(',');
                out.push_str(rest);
            }
            _ => out.push('}'),
        }
    }
}

fn as_ms(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().map(|ms| ms as i64))
}

/// Whether a text can be a record's id.
#[must_use]
pub fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 512 && !id.chars().any(char::is_control)
}

/// Takes out of a client's fields what only the server may set.
pub fn strip(fields: &mut Map<String, Value>, of_files: bool) {
    for name in [ID, CREATED, MODIFIED].iter().chain(KEPT) {
        fields.remove(*name);
    }
    if of_files {
        for name in KEPT_OF_FILES {
            fields.remove(*name);
        }
    }
}

/// Carries over from the stored fields what only the server may set.
pub fn carry(fields: &mut Map<String, Value>, stored: &mut Map<String, Value>, of_files: bool) {
    let more: &[&str] = if of_files { KEPT_OF_FILES } else { &[] };
    for name in KEPT.iter().chain(more) {
        if let Some(value) = stored.remove(*name) {
            fields.insert((*name).to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row(doc: &str) -> Row {
        Row { id: "a\"b".into(), created: 1, modified: 2, doc: doc.into() }
    }

    #[test]
    fn splicing_gives_the_same_record_as_parsing() {
        for doc in ["{}", r#"{"x":1}"#, r#"{ "x": {"y":[]} }"#, "{ }"] {
            let row = row(doc);
            let spliced: Map<String, Value> = serde_json::from_str(&row.to_json()).unwrap();
            assert_eq!(spliced, row.to_map(), "{doc}");
            assert_eq!(Row::from_map(spliced, 9).unwrap().fields(), row.fields());
        }
    }

    #[test]
    fn a_client_cannot_set_what_the_server_sets() {
        let mut sent = serde_json::from_str(r#"{"_id":"x","_publicid":"p","_accessibles":{},"a":1}"#).unwrap();
        let mut stored = serde_json::from_str(r#"{"_publicid":"true","a":0,"b":0}"#).unwrap();
        strip(&mut sent, false);
        carry(&mut sent, &mut stored, false);
        assert_eq!(Value::Object(sent), serde_json::json!({"a":1,"_publicid":"true"}));
    }
}
