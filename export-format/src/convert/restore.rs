//! An archive as what a freezr server takes over its API: records for `POST /feps/restore/:app_table`, files for
//! `PUT /feps/upload/:app`, one after another.
//!
//! The shapes are those of the backups (`convert::freezr`); here nothing is written down, for whoever sends them on.
//! The records about files are not among the records: an upload writes such a record itself, and what the app said in it
//! goes along with the file.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::apps::{apps, each_row, segments};
use super::freezr::{app_table, no_place, restorable};
use super::{ConvertError, Left};
use crate::AppId;
use crate::entry::{App, AppPart, FileRow, Kind};
use crate::layout::Entry;
use crate::reader::{Reader, Verified};
use crate::row::Value;
use crate::source::Source;

/// The table in which a server keeps records about files.
const FILES: &str = "files";

/// Takes what an archive has for a freezr server, in the order in which it is to arrive.
pub trait Take {
    /// A record of the table that freezr calls so, by its id, as JSON.
    ///
    /// # Errors
    /// To end it all.
    fn record(&mut self, app: &AppId, app_table: &str, id: &str, record: String) -> Result<(), ConvertError>;

    /// A file, and what its app says about it.
    ///
    /// # Errors
    /// To end it all.
    fn file(&mut self, app: &AppId, file: GivenFile<'_>) -> Result<(), ConvertError>;
}

/// A file that is given.
#[derive(Debug)]
pub struct GivenFile<'a> {
    /// Its true path within the app.
    pub path: &'a str,
    /// Its media type.
    pub media_type: &'a str,
    /// Where it stands in the archive.
    pub entry: &'a Entry,
    /// What the app says of it: the members of its record that are no server's, as JSON.
    pub said: String,
}

/// Gives the tables and files of the apps that are `wanted`, and tells what has no place there.
///
/// # Errors
/// When the archive cannot be read, or whoever takes it ends it.
pub fn give<S: Source>(
    archive: &Reader<S, Verified>,
    wanted: &dyn Fn(&AppId) -> bool,
    to: &mut dyn Take,
) -> Result<Vec<Left>, ConvertError> {
    let at: Timestamp = archive.manifest().snapshot.at.parse().unwrap_or_default();
    let mut left = Lefts::default();
    let mut names: BTreeMap<String, AppId> = BTreeMap::new();
    let all = apps(archive)?;
    for app in all.iter().filter(|app| wanted(&app.id)) {
        names.insert(app.id.to_string(), app.id.clone());
        give_app(archive, app, at, &mut left, to)?;
    }
    for app in all.iter().filter(|app| !wanted(&app.id)) {
        let records: u64 = app.tables.iter().map(|table| table.count).sum();
        left.note(records, &format!("records of {}", app.id), NOT_NAMED);
    }
    for entry in archive.entries().iter().filter(|entry| entry.path().is_payload()) {
        match Kind::of(entry.path()) {
            Kind::App(id, AppPart::File(_)) if !names.contains_key(id) => {
                left.note(1, &format!("files of {id}"), NOT_NAMED);
            }
            kind => {
                if let Some((what, why)) = no_place(kind) {
                    left.note(1, what, why);
                }
            }
        }
    }
    for omitted in &archive.manifest().omitted {
        left.note(1, &omitted.what, &format!("the archive does not have it: {}", omitted.why));
    }
    Ok(left.all())
}

const NOT_NAMED: &str = "no password of this app there was given";

fn give_app<S: Source>(
    archive: &Reader<S, Verified>,
    app: &App,
    at: Timestamp,
    left: &mut Lefts,
    to: &mut dyn Take,
) -> Result<(), ConvertError> {
    let mut about_files: BTreeMap<String, String> = BTreeMap::new();
    for table in &app.tables {
        let name = app_table(app, table);
        for segment in segments(archive, app, table) {
            each_row(archive, segment, &mut |row| {
                let Some(id) = row.get("_id").and_then(Value::as_text) else {
                    left.note(1, "records without a name of their own", "freezr knows records by `_id`");
                    return Ok(());
                };
                if table.name == FILES {
                    about_files.insert(id.to_owned(), said(row));
                    return Ok(());
                }
                let (record, _) = restorable(row, at, &mut |what, why| left.note(1, what, why));
                to.record(&app.id, &name, id, record)
            })?;
        }
    }
    let root = format!("data/apps/{}/", app.id);
    for list in archive.entries() {
        if !matches!(Kind::of(list.path()), Kind::App(id, AppPart::Files) if id == app.id.as_str()) {
            continue;
        }
        each_row(archive, list, &mut |row| {
            let Ok(file) = serde_json::from_str::<FileRow>(&row.to_row()) else { return Ok(()) };
            let Some(entry) = archive.find(&format!("{root}{}", file.path)) else { return Ok(()) };
            let within = file.path.strip_prefix("files/").unwrap_or(&file.path);
            let truly = file.other.get("truePath").and_then(serde_json::Value::as_str).unwrap_or(within);
            let said = about_files.remove(truly).unwrap_or_else(|| "{}".to_owned());
            to.file(&app.id, GivenFile { path: truly, media_type: &file.media_type, entry, said })
        })?;
    }
    left.note(about_files.len() as u64, "records about files", "the files themselves are not in the archive");
    Ok(())
}

/// What an app says of a file beyond what every server says itself.
fn said(row: &Value) -> String {
    let Value::Object(mut members) = row.clone() else { return "{}".to_owned() };
    members.retain(|name, _| !name.as_str().starts_with('_'));
    Value::Object(members).to_document()
}

/// What was left out, counted.
#[derive(Default)]
struct Lefts(BTreeMap<(String, String), u64>);

impl Lefts {
    fn note(&mut self, count: u64, what: &str, why: &str) {
        if count > 0 {
            *self.0.entry((what.to_owned(), why.to_owned())).or_default() += count;
        }
    }

    fn all(self) -> Vec<Left> {
        self.0.into_iter().map(|((what, why), count)| Left { what, count, why }).collect()
    }
}
