//! An app's data as it was in a snapshot: what differs is found while others write, and put back in one write.
//!
//! Most of what an app keeps is the same before and after an update, so only the runs of records that differ are held in
//! memory. Where they are many, they are put back run by run, and the last write finds little left to do.

use export_format::AppId;
use rusqlite::Connection;

use super::{Error, trial};
use crate::documents::{self, Row, TableName, Until};
use crate::files::{self, FileRecord};
use crate::store::{Home, Snapshot};

/// How many records are compared at once.
const RUN: u32 = 500;
/// How many bytes of records are put back in one write.
const AT_ONCE: usize = 8 << 20;

/// What has to be put back.
#[derive(Default)]
pub(super) struct Difference {
    runs: Vec<Run>,
    put: Vec<FileRecord>,
    gone: Vec<FileRecord>,
    /// What the live side looked like.
    stamp: Vec<Stamp>,
    /// Whether this is not all of it.
    more: bool,
}

struct Run {
    table: TableName,
    after: String,
    until: Until,
    rows: Vec<Row>,
}

/// By what a table is known not to have changed: its number of records, the newest, and the last one made.
#[derive(PartialEq, Eq)]
struct Stamp(String, i64, i64, i64);

/// Finds what differs. Holds at most some megabytes of it.
pub(super) async fn compare(home: &Home, then: &Snapshot, app: &AppId) -> Result<Difference, Error> {
    let id = app.clone();
    let (mut tables, stamp) = home.read(move |db| Ok::<_, Error>((trial::tables(db, &id)?, stamp(db, &id)?))).await?;
    let id = app.clone();
    for table in then.read(move |db| trial::tables(db, &id)).await? {
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    let mut found = Difference { stamp, ..Difference::default() };
    let mut bytes = 0;
    for table in tables {
        let mut after = String::new();
        loop {
            if bytes > AT_ONCE {
                found.more = true;
                return Ok(found);
            }
            let (name, from) = (table.clone(), after.clone());
            let rows = then.read(move |db| Ok::<_, Error>(documents::page(db, &name, &from, RUN)?)).await?;
            let is_last = rows.len() < RUN as usize;
            let until = match rows.last() {
                Some(last) if !is_last => Until::Through(last.id.clone()),
                _ => Until::End,
            };
            let (name, from, to) = (table.clone(), after.clone(), until.clone());
            let (same, rows) =
                home.read(move |db| Ok::<_, Error>((documents::is_run(db, &name, &from, &to, &rows)?, rows))).await?;
            let next = rows.last().map(|last| last.id.clone());
            if !same {
                bytes += rows.iter().map(|row| row.doc.len() + 100).sum::<usize>();
                found.runs.push(Run { table: table.clone(), after: after.clone(), until, rows });
            }
            match next {
                Some(next) if !is_last => after = next,
                _ => break,
            }
        }
    }
    let (id, of_then) = (app.clone(), app.clone());
    let then = then.read(move |db| all_files(db, &of_then)).await?;
    let now = home.read(move |db| all_files(db, &id)).await?;
    let kept: std::collections::HashSet<&str> = then.iter().map(|file| file.path.as_str()).collect();
    found.gone = now.iter().filter(|file| !kept.contains(file.path.as_str())).cloned().collect();
    let there: std::collections::HashMap<&str, &FileRecord> =
        now.iter().map(|file| (file.path.as_str(), file)).collect();
    found.put = then.iter().filter(|file| there.get(file.path.as_str()) != Some(file)).cloned().collect();
    Ok(found)
}

fn all_files(db: &Connection, app: &AppId) -> Result<Vec<FileRecord>, Error> {
    let mut all = Vec::new();
    files::each(db, app, |file| {
        all.push(file);
        Ok::<_, files::Error>(())
    })?;
    Ok(all)
}

fn stamp(db: &Connection, app: &AppId) -> Result<Vec<Stamp>, Error> {
    let mut all = Vec::new();
    for table in trial::tables(db, app)? {
        let (count, newest, last) = documents::stamp(db, &table)?;
        all.push(Stamp(table.to_string(), count, newest, last));
    }
    let text = "select count(*), coalesce(max(modified), 0), coalesce(sum(size), 0) from file where app = ?1";
    let of_files =
        db.query_row(text, [app.as_str()], |row| Ok(Stamp(String::new(), row.get(0)?, row.get(1)?, row.get(2)?)))?;
    all.push(of_files);
    Ok(all)
}

impl Difference {
    /// Whether the live side is still what was compared.
    pub(super) fn holds(&self, db: &Connection, app: &AppId) -> Result<bool, Error> {
        Ok(self.more || self.stamp.is_empty() || self.stamp == stamp(db, app)?)
    }

    /// Puts it back; whether that was all.
    pub(super) fn apply(&self, db: &Connection, app: &AppId) -> Result<bool, Error> {
        for run in &self.runs {
            documents::replace_run(db, &run.table, &run.after, &run.until, &run.rows)?;
        }
        for file in &self.gone {
            files::remove(db, app, &file.path)?;
        }
        for file in &self.put {
            // What stands there keeps its first date, and that may be of another file.
            files::remove(db, app, &file.path)?;
            files::put(db, file)?;
        }
        Ok(!self.more)
    }
}
