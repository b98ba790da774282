//! What was rendered before: an import that follows a live server compares what it staged after every round, and what a round
//! did not touch has the same bytes as after the round before.
//!
//! Whoever changes something says so (`forget_app`, `change_table`); nothing here looks for
//! changes by itself. An app is forgotten together with all that stands in its folder, but a table of it may be remembered, and
//! of a table that has changed the segments where it has not.

use std::collections::BTreeMap;

use export_format::{AppId, EntryPath};
use rusqlite::Connection;

use super::segments::{Changed, Former, Run, Segment};
use super::{About, Entry, Payload, Sink};
use crate::admin::api::Omission;
use crate::archive::error::Error;
use crate::documents::TableName;

/// The rendering of a server, app by app and table by table.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    apps: BTreeMap<AppId, Folder>,
    tables: BTreeMap<TableName, (Rows, Vec<Run>)>,
}

/// All that stands in an app's folder.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) root: String,
    pub(super) entries: Vec<(EntryPath, Entry)>,
    pub(super) tables: u64,
    pub(super) documents: u64,
    pub(super) omitted: Vec<Omission>,
}

/// The segments of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) segments: Vec<Segment>,
    pub(super) omitted: Vec<Omission>,
}

/// Measures, and remembers.
struct Remembering<'m>(&'m mut Memory);

impl Sink for Remembering<'_> {
    fn keep(&mut self, content: &[u8]) -> Result<Entry, Error> {
        super::Measure.keep(content)
    }

    fn rendered(&mut self, _records: u64) {}

    fn former(&mut self, _db: &Connection, table: &TableName) -> Result<Option<Former>, Error> {
        Ok(self.0.tables.remove(table).and_then(|(rows, runs)| {
            let is_whole = rows.omitted.is_empty();
            is_whole.then_some(Former { segments: rows.segments, changed: Changed::Runs(runs) })
        }))
    }

    fn memory(&mut self) -> Option<&mut Memory> {
        Some(self.0)
    }
}

impl Memory {
    /// What this server itself would say, rendered where it is not remembered.
    pub(crate) fn derive_own(&mut self, db: &Connection, about: &About) -> Result<Payload, Error> {
        super::derive_own(db, about, &mut Remembering(self))
    }

    /// Something of this app has changed; its tables have not, unless they are forgotten as well.
    pub(crate) fn forget_app(&mut self, app: &AppId) {
        self.apps.remove(app);
    }

    /// Records of this table have changed, all of them in these runs.
    pub(crate) fn change_table(&mut self, table: &TableName, runs: &[Run]) {
        if let Some((_, changed)) = self.tables.get_mut(table) {
            changed.extend_from_slice(runs);
        }
        self.forget_app(table.app());
    }

    /// Every app may say something else; the tables have not changed.
    pub(crate) fn forget_apps(&mut self) {
        self.apps.clear();
    }

    pub(super) fn folder(&self, app: &AppId, root: &str) -> Option<Folder> {
        self.apps.get(app).filter(|folder| folder.root == root).cloned()
    }

    pub(super) fn rows(&self, table: &TableName) -> Option<Rows> {
        self.tables.get(table).filter(|(_, changed)| changed.is_empty()).map(|(rows, _)| rows.clone())
    }

    pub(super) fn learn_folder(&mut self, app: &AppId, folder: Folder) {
        self.apps.insert(app.clone(), folder);
    }

    pub(super) fn learn_rows(&mut self, table: &TableName, rows: Rows) {
        self.tables.insert(table.clone(), (rows, Vec::new()));
    }
}
