//! What an archive brings, sorted out before anything is written: what becomes apps, tables and files here, and what is
//! carried as it came.
//!
//! Nothing of the payload is dropped. An entry that this server makes no sense of (a mailbox, a volume, an app of a
//! kind it cannot run) is carried, and a document it knows only in part keeps the unknown part. So does a table whose
//! name or records could not be used here, and a file whose name could not: the archive that leaves has them as they came.

mod apps;
mod by_itself;

use std::collections::{BTreeMap, BTreeSet};

use export_format::bag::names;
use export_format::row::Value as Row;
use export_format::{AppId, Digest, EntryPath};
use serde_json::{Map, Value, json};

use super::archive::Checked;
use crate::apps::Keeping;
use crate::archive::error::Error;
use crate::archive::payload::{CARRIED, account};
use crate::archive::row::{self, instant};
use crate::documents::TableName;
use crate::files::FilePath;
use crate::happenings::Luggage;
use crate::permissions::{Permission, Status};

/// Everything an archive brings.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    /// Apps whose data becomes tables and files here.
    pub(crate) apps: Vec<AppIntake>,
    /// Apps that are carried: id, name, version and why they do not start.
    pub(crate) dormant: Vec<Dormant>,
    /// Entries that are kept as they came.
    pub(crate) carried: BTreeSet<EntryPath>,
    /// Settings by name.
    pub(crate) settings: BTreeMap<String, String>,
    /// What apps asked for there, none of it granted here yet.
    pub(crate) permissions: Vec<Permission>,
    /// Lines of documents that we can make no sense of, by document.
    pub(crate) lines: BTreeMap<String, Vec<String>>,
    /// Members that we do not know, by what they were said of; objects as text.
    pub(crate) members: BTreeMap<String, String>,
    /// Tables that are carried: app, name, and why they cannot be used.
    pub(crate) unusable: Vec<(AppId, String, &'static str)>,
    /// How many tables and records are carried, those of dormant apps among them.
    pub(crate) carried_tables: u64,
    pub(crate) carried_records: u64,
    /// How many schedules and webhooks come; they are paused.
    pub(crate) schedules: u64,
    /// Those that this server can have, with what came of them.
    pub(crate) by_itself: Luggage,
}

/// Tables whose records this server could not keep, as [`TableName`] spells them.
pub(crate) type Unusable = BTreeSet<String>;

/// One app whose data becomes tables and files here.
#[derive(Debug)]
pub(crate) struct AppIntake {
    pub(crate) id: AppId,
    pub(crate) name: String,
    pub(crate) version: String,
    /// What the app itself is, when it is installed and not only its data kept.
    pub(crate) installed: Option<Installed>,
    pub(crate) tables: Vec<TableIntake>,
    pub(crate) files: Vec<FileIntake>,
}

/// The app itself.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) label: String,
    pub(crate) manifest: String,
    /// How it is kept up to date.
    pub(crate) keeping: Keeping,
    pub(crate) installed_ms: Option<i64>,
    pub(crate) removed_ms: Option<i64>,
    /// True names and entries of its code.
    pub(crate) code: Vec<(String, EntryPath)>,
}

/// One table.
#[derive(Debug)]
pub(crate) struct TableIntake {
    pub(crate) table: TableName,
    pub(crate) indexes: Vec<String>,
    pub(crate) segments: Vec<EntryPath>,
}

/// One file.
#[derive(Debug)]
pub(crate) struct FileIntake {
    pub(crate) path: FilePath,
    pub(crate) entry: EntryPath,
    pub(crate) mime: String,
    pub(crate) created_ms: Option<i64>,
    pub(crate) modified_ms: Option<i64>,
}

/// An app that is carried.
#[derive(Debug)]
pub(crate) struct Dormant {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) bytes: u64,
    pub(crate) why: String,
}

/// Sorts out a checked archive. `unusable` are those of its tables that [`unusable_tables`] found.
pub(crate) fn sort(archive: &Checked, unusable: &Unusable) -> Result<Intake, Error> {
    let mut intake = Intake::default();
    let mut rest: BTreeSet<EntryPath> = archive.entries().keys().cloned().collect();
    take_words(archive, &mut intake);
    take_account(archive, &mut rest, &mut intake)?;
    by_itself::take(archive, &mut rest, &mut intake)?;
    for root in apps::app_folders(archive) {
        apps::take_app(archive, &root, unusable, &mut rest, &mut intake)?;
    }
    if intake.carried_tables > 0 {
        let carried = json!({"tables": intake.carried_tables, "documents": intake.carried_records});
        intake.members.insert(CARRIED.to_owned(), carried.to_string());
    }
    intake.carried = rest;
    Ok(intake)
}

/// The tables with a record that this server could not keep: each is read once, before anything is touched. `is_known` says
/// of a segment that it stood in a table that was read before and could be kept.
pub(crate) fn unusable_tables(
    archive: &Checked,
    intake: &Intake,
    is_known: impl Fn(&TableName, Digest) -> bool,
) -> Result<Unusable, Error> {
    let mut unusable = Unusable::new();
    for table in intake.apps.iter().flat_map(|app| &app.tables) {
        for segment in &table.segments {
            if archive.entries().get(segment).is_some_and(|entry| is_known(&table.table, entry.digest)) {
                continue;
            }
            match lines(&archive.document(segment)?).try_for_each(row::usable) {
                Ok(()) => {}
                Err(row::Error::Id) => drop(unusable.insert(table.table.to_string())),
                Err(why) => return Err(Error::Refused(format!("a row of {segment} cannot be read: {why}"))),
            }
        }
    }
    Ok(unusable)
}

/// What `pcc.json` says of the person and the archive beyond what we know. What it says of the place it was made at, and
/// of how much is inside, was said of that one archive.
fn take_words(archive: &Checked, intake: &mut Intake) {
    let manifest = archive.manifest();
    let mut words = manifest.other.clone();
    if !manifest.subject.other.is_empty() {
        words.insert("subject".into(), manifest.subject.other.clone().into());
    }
    intake.keep(names::PCC, words);
}

impl Intake {
    /// Members that we do not know.
    fn keep(&mut self, of: &str, members: Map<String, Value>) {
        if !members.is_empty() {
            self.members.insert(of.to_owned(), Value::Object(members).to_string());
        }
    }

    /// The same of a row, with all digits of its numbers; `known` are members that we say ourselves, within others too.
    fn keep_of_row(&mut self, of: String, line: &str, known: &[&[&str]]) {
        let Ok(mut row) = Row::from_row(line) else { return };
        for path in known {
            remove(&mut row, path);
        }
        if matches!(&row, Row::Object(members) if !members.is_empty()) {
            self.members.insert(of, row.to_stored());
        }
    }
}

/// Removes a member, and those around it that have no other.
fn remove(row: &mut Row, path: &[&str]) {
    let (Row::Object(members), [name, within @ ..]) = (row, path) else { return };
    let name = (*name).into();
    if let Some(member) = members.get_mut(&name)
        && !within.is_empty()
    {
        remove(member, within);
        if !matches!(member, Row::Object(members) if members.is_empty()) {
            return;
        }
    }
    members.remove(&name);
}

fn take_account(archive: &Checked, rest: &mut BTreeSet<EntryPath>, intake: &mut Intake) -> Result<(), Error> {
    if let Some(path) = path(account::ACCOUNT).filter(|path| rest.remove(path)) {
        let mut members = object(archive, &path)?;
        for ours in ["schema", "id", "displayName", "handle"] {
            members.remove(ours);
        }
        intake.keep(path.as_str(), members);
    }
    if let Some(path) = path(account::SETTINGS).filter(|path| rest.remove(path)) {
        let mut members = object(archive, &path)?;
        members.remove("schema");
        if let Some(Value::Object(values)) = members.remove("values") {
            // Ours are texts; what is none is kept beside them.
            let mut others = Map::new();
            for (name, value) in values {
                match value {
                    Value::String(text) => drop(intake.settings.insert(name, text)),
                    value => drop(others.insert(name, value)),
                }
            }
            if !others.is_empty() {
                members.insert("values".into(), others.into());
            }
        }
        intake.keep(path.as_str(), members);
    }
    if let Some(path) = path(account::PERMISSIONS).filter(|path| rest.remove(path)) {
        let mut seen = BTreeSet::new();
        for line in lines(&archive.document(&path)?) {
            let known = serde_json::from_str(line).ok().as_ref().and_then(permission);
            match known.filter(|known| seen.insert((known.app.clone(), known.name.clone()))) {
                Some(permission) => {
                    let of = account::permission_words(&permission.app, &permission.name);
                    intake.keep_of_row(of, line, PERMISSION_MEMBERS);
                    intake.permissions.push(permission);
                }
                None => intake.lines.entry(path.to_string()).or_default().push(line.to_owned()),
            }
        }
    }
    // The public identity is rendered from this server's own key; the one that came is echoed until that changes.
    if let Some(path) = path(account::DID) {
        rest.remove(&path);
    }
    Ok(())
}

/// What of a permission's row we say ourselves.
const PERMISSION_MEMBERS: &[&[&str]] = &[
    &["schema"],
    &["id"],
    &["name"],
    &["grantee", "type"],
    &["grantee", "id"],
    &["grantor"],
    &["actions"],
    &["resource", "tables"],
    &["description"],
    &["status"],
    &["created"],
    &["decided"],
];

/// A permission of the kind this server knows; whatever was said there, it is asked again here.
fn permission(line: &Value) -> Option<Permission> {
    let text = |name: &str| line.get(name).and_then(Value::as_str);
    let grantee = line.get("grantee").filter(|grantee| grantee.get("type").and_then(Value::as_str) == Some("app"))?;
    let tables = line.get("resource")?.get("tables")?.as_array()?;
    let [action] = line.get("actions")?.as_array()?.as_slice() else { return None };
    Some(Permission {
        app: grantee.get("id")?.as_str()?.parse().ok()?,
        name: text("name")?.to_owned(),
        kind: action.as_str()?.to_owned(),
        tables: tables.iter().map(|table| table.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        description: text("description")?.to_owned(),
        status: Status::Pending,
        asked: text("created").and_then(instant)?,
        decided: None,
    })
}

fn path(text: &str) -> Option<EntryPath> {
    text.parse().ok()
}

fn json(archive: &Checked, path: &EntryPath) -> Result<Value, Error> {
    let text = archive.document(path)?;
    serde_json::from_slice(&text).map_err(|why| Error::Refused(format!("{path} is not JSON: {why}")))
}

fn object(archive: &Checked, path: &EntryPath) -> Result<Map<String, Value>, Error> {
    match json(archive, path)? {
        Value::Object(members) => Ok(members),
        _ => Err(Error::Refused(format!("{path} is not a JSON object"))),
    }
}

/// The lines of a document that was checked to be UTF-8, without empty ones.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &str> {
    std::str::from_utf8(text).unwrap_or_default().lines().filter(|line| !line.is_empty())
}
