//! Names of apps and of their tables, as CEPS writes them: `<reverse.dns.app>[.<collection>]`.
//!
//! The text alone does not say where the app ends, so a table is always read together with an app: the caller's own,
//! or one that is installed.

use export_format::AppId;

/// The collection that holds the records of an app's files.
pub const FILES: &str = "files";

/// The longest collection name.
const COLLECTION_NAME_LIMIT: usize = 64;

fn is_collection_name(name: &str) -> bool {
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    name.len() <= COLLECTION_NAME_LIMIT && name.split('.').all(part)
}

/// One table of one app. Invariant: the collection's name is well formed; an empty collection is the
/// table that carries the app's own name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    app: AppId,
    collection: String,
}

/// A text that does not name a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} does not name a table: write the app's name, a dot and the collection, as in com.example.notes.pages")]
pub struct BadName(pub String);

impl TableName {
    /// The table `collection` of `app`.
    pub fn new(app: &AppId, collection: &str) -> Result<Self, BadName> {
        if collection.is_empty() || is_collection_name(collection) {
            Ok(Self { app: app.clone(), collection: collection.to_owned() })
        } else {
            Err(BadName(format!("{app}.{collection}")))
        }
    }

    /// Reads `text` as a table of `app`; `None` when it is some other app's.
    pub fn within(app: &AppId, text: &str) -> Option<Result<Self, BadName>> {
        match text.strip_prefix(app.as_str())? {
            "" => Some(Self::new(app, "")),
            rest => rest.strip_prefix('.').map(|collection| Self::new(app, collection)),
        }
    }

    /// The app whose table this is.
    #[must_use]
    pub fn app(&self) -> &AppId {
        &self.app
    }

    /// The collection within the app; empty for the app's own table.
    #[must_use]
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// Whether this is the table that uploads write.
    #[must_use]
    pub fn holds_files(&self) -> bool {
        self.collection == FILES
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.collection.as_str() {
            "" => f.write_str(self.app.as_str()),
            collection => write!(f, "{}.{collection}", self.app),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn app(id: &str) -> AppId {
        id.parse().unwrap()
    }

    #[test]
    fn a_table_is_read_together_with_its_app() {
        let notes = app("com.example.notes");
        let table = TableName::within(&notes, "com.example.notes.pages").unwrap().unwrap();
        assert_eq!((table.app(), table.collection()), (&notes, "pages"));
        assert_eq!(table.to_string(), "com.example.notes.pages");
        assert_eq!(TableName::within(&notes, "com.example.notes").unwrap().unwrap().collection(), "");
        assert!(TableName::within(&notes, "com.example.notes2.pages").is_none());
        assert!(TableName::within(&app("com.example.note"), "com.example.notes.pages").is_none());
    }

    #[test]
    fn bad_names_are_refused() {
        for collection in ["a b", "a'", ".", "a/b", "x..y", "é"] {
            assert!(TableName::new(&app("com.example.notes"), collection).is_err(), "{collection}");
        }
    }
}
