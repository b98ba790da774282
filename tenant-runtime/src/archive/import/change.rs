//! One change of a stage that follows, and many of them in one write.
//!
//! Each change says how something is to be afterwards and not what has to be done to what is there, so that any number of them
//! may be made again, from whichever state a round that was cut off has left.

use std::collections::BTreeMap;

use export_format::digest::Summary;
use export_format::{AppId, EntryPath};
use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};

use crate::apps::{self, AppRecord, CodeFile};
use crate::archive::error::Error;
use crate::archive::payload::kept::{self, Words};
use crate::documents::{self, Row, TableName, Until};
use crate::files::{self, FilePath, FileRecord};
use crate::happenings::Luggage;
use crate::permissions::{self, Permission};
use crate::settings;
use crate::store::Home;

/// Under which name a stage keeps what it is, among its secrets; nothing carries it into another home.
pub(crate) const MARK: &str = "import.stands";
/// The same for where it comes from; beside the mark, so that it goes live though all work files are lost.
pub(crate) const CAME: &str = "import.came";
/// How much is written at once: bytes of records, and changes.
const MOST_BYTES: usize = 4 << 20;
const MOST_CHANGES: usize = 2_000;

/// How something of a stage is to be.
#[derive(Debug)]
pub(super) enum Change {
    /// No table of this name, nor its records.
    DropTable(TableName),
    /// A table with these indexes.
    Declare(TableName, Vec<String>),
    /// Exactly these records in a run of ids.
    Records { table: TableName, after: String, until: Until, rows: Vec<Row> },
    /// No such app; its tables and files are not touched.
    DropApp(AppId),
    /// This app, with this code.
    PutApp(Box<AppRecord>, Vec<CodeFile>),
    /// Labels for all apps, in the order in which they wish for them.
    Labels(Vec<(AppId, String)>),
    /// No such file.
    DropFile(AppId, FilePath),
    /// This file.
    PutFile(Box<FileRecord>),
    /// These settings and no others.
    Settings(BTreeMap<String, String>),
    /// These permissions and no others.
    Permissions(Vec<Permission>),
    /// Exactly this that starts by itself.
    ByItself(Box<Luggage>),
    /// What another writer said of something.
    Members(String, Option<String>),
    /// Lines of a document that nothing here understands.
    Lines(String, Option<Vec<String>>),
    /// No such carried entry.
    DropCarried(EntryPath),
    /// This carried entry.
    Carry(EntryPath, Summary),
    /// The stage is on its way to this round.
    Towards(u32),
}

impl Change {
    fn weight(&self) -> usize {
        match self {
            Self::Records { rows, .. } => rows.iter().map(|row| row.doc.len() + row.id.len() + 32).sum(),
            _ => 200,
        }
    }

    fn make(self, db: &Connection) -> Result<(), Error> {
        match self {
            Self::DropTable(table) => documents::drop_collection(db, &table)?,
            Self::Declare(table, indexes) => documents::declare(db, &table, &indexes)?,
            Self::Records { table, after, until, rows } => documents::replace_run(db, &table, &after, &until, &rows)?,
            Self::DropApp(app) => apps::forget(db, &app)?,
            Self::PutApp(record, code) => {
                apps::forget(db, &record.id)?;
                apps::put(db, &record, &code)?;
            }
            Self::Labels(wishes) => apps::relabel(db, &wishes)?,
            Self::DropFile(app, path) => drop(files::remove(db, &app, &path)?),
            Self::PutFile(record) => {
                // In place of the former one it would keep that one's date.
                files::remove(db, &record.app, &record.path)?;
                files::put(db, &record)?;
            }
            Self::Settings(all) => {
                db.execute("delete from setting", [])?;
                all.iter().try_for_each(|(name, value)| settings::put(db, name, value))?;
            }
            Self::Permissions(all) => {
                db.execute("delete from permission", [])?;
                all.iter().try_for_each(|permission| permissions::put(db, permission))?;
            }
            Self::ByItself(all) => all.put(db)?,
            Self::Members(of, Some(members)) => kept::keep_members(db, &of, &members)?,
            Self::Members(of, None) => kept::drop_words(db, &of, Words::Members)?,
            Self::Lines(of, Some(lines)) => kept::keep_lines(db, &of, &lines)?,
            Self::Lines(of, None) => kept::drop_words(db, &of, Words::Lines)?,
            Self::DropCarried(path) => kept::uncarry(db, &path)?,
            Self::Carry(path, content) => {
                kept::uncarry(db, &path)?;
                kept::carry(db, &path, content)?;
            }
            Self::Towards(round) => note(db, &Mark::Towards(round))?,
        }
        Ok(())
    }
}

/// Changes that go into a stage together.
pub(super) struct Batch<'s> {
    staged: &'s Home,
    changes: Vec<Change>,
    weight: usize,
}

impl<'s> Batch<'s> {
    pub(super) fn new(staged: &'s Home) -> Self {
        Self { staged, changes: Vec::new(), weight: 0 }
    }

    /// Takes one in, and writes all there are when they are many.
    pub(super) async fn add(&mut self, change: Change) -> Result<(), Error> {
        self.weight += change.weight();
        self.changes.push(change);
        if self.weight >= MOST_BYTES || self.changes.len() >= MOST_CHANGES { self.write().await } else { Ok(()) }
    }

    /// Writes what there is.
    pub(super) async fn write(&mut self) -> Result<(), Error> {
        let changes = std::mem::take(&mut self.changes);
        self.weight = 0;
        if changes.is_empty() {
            return Ok(());
        }
        self.staged.write(move |tx| changes.into_iter().try_for_each(|change| change.make(tx))).await
    }
}

/// What a stage says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mark {
    /// It is, to the last record, what this payload is of.
    Of(String),
    /// It is somewhere on the way from the round it stood on to this one.
    Towards(u32),
}

/// Where a stage comes from, as it was verified last: what a hand-over is held against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Came {
    /// SHA-256 of the payload manifest.
    pub(super) payload: String,
    /// The `did` of the key that signed it.
    pub(super) signer: String,
    /// The archive: its id, the address it was frozen at, and when.
    pub(super) archive: String,
    pub(super) domain: String,
    pub(super) at_ms: i64,
}

/// Has the stage say what it is.
pub(super) fn note(db: &Connection, mark: &Mark) -> Result<(), Error> {
    keep(db, MARK, mark)
}

/// Has the stage say what it is, and where that comes from.
pub(super) fn note_whole(db: &Connection, came: &Came) -> Result<(), Error> {
    keep(db, CAME, came)?;
    note(db, &Mark::Of(came.payload.clone()))
}

/// What the stage says of itself, if it says anything.
pub(super) fn noted(db: &Connection) -> Result<Option<Mark>, Error> {
    kept_as(db, MARK)
}

/// Where the stage comes from, if it is whole.
pub(super) fn came(db: &Connection) -> Result<Option<Came>, Error> {
    let mark = noted(db)?;
    Ok(kept_as(db, CAME)?.filter(|came: &Came| mark == Some(Mark::Of(came.payload.clone()))))
}

fn keep(db: &Connection, name: &str, value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_vec(value).map_err(|why| Error::Bug(why.to_string()))?;
    db.execute("insert or replace into secret (name, value) values (?1, ?2)", (name, text))?;
    Ok(())
}

fn kept_as<T: serde::de::DeserializeOwned>(db: &Connection, name: &str) -> Result<Option<T>, Error> {
    let made = "select count(*) > 0 from sqlite_schema where type = 'table' and name = 'secret'";
    if !db.query_row(made, [], |row| row.get(0))? {
        return Ok(None);
    }
    let text = "select value from secret where name = ?1";
    let text: Option<Vec<u8>> = db.query_row(text, [name], |row| row.get(0)).optional()?;
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
}
