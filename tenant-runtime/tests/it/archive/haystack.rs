//! What an archive says, to be searched for what stands in a database. Shared by the coverage tests of this crate and of the
//! control plane.

use std::collections::HashSet;
use std::io::{Cursor, Read as _};

use serde_json::Value;

/// Every text, number and name in an archive.
pub(crate) struct Haystack {
    words: HashSet<String>,
}

impl Haystack {
    pub(crate) fn of(archive: &[u8]) -> Self {
        let mut all = Self { words: HashSet::new() };
        let mut zip = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
        for index in 0..zip.len() {
            let mut entry = zip.by_index(index).unwrap();
            let (name, mut content) = (entry.name().to_owned(), Vec::new());
            entry.read_to_end(&mut content).unwrap();
            all.words.insert(content.len().to_string());
            all.path(&name);
            let text = String::from_utf8_lossy(&content);
            match name.rsplit('.').next() {
                Some("json") => all.leaves(&serde_json::from_str(&text).unwrap_or_default()),
                Some("ndjson") => {
                    text.lines().for_each(|line| all.leaves(&serde_json::from_str(line).unwrap_or_default()));
                }
                Some("txt") if name.starts_with("manifest-") => {
                    all.words.extend(text.split_whitespace().map(str::to_owned));
                }
                _ => {}
            }
        }
        all
    }

    /// A path, and what it is called within each folder above it; and those folders.
    fn path(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            self.words.insert(path[..at].to_owned());
            self.words.insert(path[at + 1..].to_owned());
        }
        self.words.insert(path.to_owned());
    }

    fn leaves(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) => drop(self.words.insert(value.to_string())),
            Value::String(text) => self.path(text),
            Value::Array(list) => list.iter().for_each(|value| self.leaves(value)),
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                self.path(name);
                self.leaves(value);
            }),
        }
    }

    /// Whether what a column holds is in the archive: `kind` is what SQLite calls its type. A number may stand there as
    /// the moment it is, a text as the JSON it is.
    pub(crate) fn holds(&self, kind: &str, value: &str) -> bool {
        let is = |text: &str| self.words.contains(text);
        match kind {
            "integer" => is(value) || value.parse().is_ok_and(|ms| self.holds_moment(ms)),
            "real" => is(value),
            "text" => is(value) || serde_json::from_str(value).is_ok_and(|json| self.holds_leaves(&json)),
            _ => false,
        }
    }

    fn holds_moment(&self, ms: i64) -> bool {
        let Ok(at) = jiff::Timestamp::from_millisecond(ms) else { return false };
        let spellings = [at.to_string(), at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()];
        spellings.iter().any(|text| self.words.contains(text))
    }

    fn holds_leaves(&self, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Bool(_) | Value::Number(_) => self.words.contains(&value.to_string()),
            // A line that was kept as it came is JSON once more.
            Value::String(text) => self.words.contains(text) || text.starts_with('{') && self.holds("text", text),
            Value::Array(list) => list.iter().all(|value| self.holds_leaves(value)),
            Value::Object(members) => members.values().all(|value| self.holds_leaves(value)),
        }
    }
}
