//! What an archive brings, sorted out before anything is written: what becomes apps, tables and files here, and what is
//! carried as it came.
//!
//! Nothing of the payload is dropped. An entry that this server makes no sense of (a mailbox, a volume, an app of a
//! kind it cannot run) is carried, and a document it knows only in part keeps the unknown part.

use std::collections::{BTreeMap, BTreeSet};

use export_format::entry::files_segment;
use export_format::{AppId, Digest, EntryPath};
use serde_json::{Map, Value};

use super::archive::Checked;
use crate::archive::error::Error;
use crate::archive::payload::{account, apps, tables};
use crate::archive::row::instant;
use crate::documents::TableName;
use crate::files::FilePath;
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
    /// Lines of the permissions that are about other things than our apps.
    pub(crate) other_permissions: Vec<String>,
    /// Members of documents that we do not know.
    pub(crate) members: BTreeMap<EntryPath, Map<String, Value>>,
    /// Schedules; they come paused.
    pub(crate) schedules: u64,
}

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

/// Sorts out a checked archive.
pub(crate) fn sort(archive: &Checked) -> Result<Intake, Error> {
    let mut intake = Intake::default();
    let mut rest: BTreeSet<EntryPath> = archive.entries().keys().cloned().collect();
    take_account(archive, &mut rest, &mut intake)?;
    for root in app_folders(archive) {
        take_app(archive, &root, &mut rest, &mut intake)?;
    }
    intake.schedules = match path("data/schedules.ndjson").filter(|path| rest.contains(path)) {
        Some(path) => lines(&archive.document(&path)?).count() as u64,
        None => 0,
    };
    intake.carried = rest;
    Ok(intake)
}

fn take_account(archive: &Checked, rest: &mut BTreeSet<EntryPath>, intake: &mut Intake) -> Result<(), Error> {
    if let Some(path) = path(account::ACCOUNT).filter(|path| rest.remove(path)) {
        let mut members = object(archive, &path)?;
        for ours in ["schema", "id", "displayName", "handle"] {
            members.remove(ours);
        }
        intake.members.insert(path, members);
    }
    if let Some(path) = path(account::SETTINGS).filter(|path| rest.remove(path)) {
        let mut members = object(archive, &path)?;
        members.remove("schema");
        if let Some(Value::Object(values)) = members.remove("values") {
            intake.settings =
                values.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect();
        }
        intake.members.insert(path, members);
    }
    if let Some(path) = path(account::PERMISSIONS).filter(|path| rest.remove(path)) {
        for line in lines(&archive.document(&path)?) {
            match serde_json::from_str(line).ok().as_ref().and_then(permission) {
                Some(permission) => intake.permissions.push(permission),
                None => intake.other_permissions.push(line.to_owned()),
            }
        }
    }
    // The public identity is rendered from this server's own key; the one that came is echoed until that changes.
    if let Some(path) = path(account::DID) {
        rest.remove(&path);
    }
    Ok(())
}

/// A permission of the kind this server knows; whatever was said there, it is asked again here.
fn permission(line: &Value) -> Option<Permission> {
    let text = |name: &str| line.get(name).and_then(Value::as_str);
    let grantee = line.get("grantee").filter(|grantee| grantee.get("type").and_then(Value::as_str) == Some("app"))?;
    let tables = line.get("resource")?.get("tables")?.as_array()?;
    Some(Permission {
        app: grantee.get("id")?.as_str()?.parse().ok()?,
        name: text("name")?.to_owned(),
        kind: line.get("actions")?.as_array()?.first()?.as_str()?.to_owned(),
        tables: tables.iter().map(|table| table.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        description: text("description")?.to_owned(),
        status: Status::Pending,
        asked: text("created").and_then(instant)?,
        decided: None,
    })
}

fn app_folders(archive: &Checked) -> BTreeSet<String> {
    let parts = archive.entries().keys().map(crate::archive::payload::kept::part);
    parts.filter(|part| part.starts_with(apps::ROOT)).map(str::to_owned).collect()
}

fn take_app(archive: &Checked, root: &str, rest: &mut BTreeSet<EntryPath>, intake: &mut Intake) -> Result<(), Error> {
    let Some(path) = path(&format!("{root}/app.json")).filter(|path| rest.contains(path)) else { return Ok(()) };
    let mut members = object(archive, &path)?;
    let folder = root.rsplit('/').next().unwrap_or_default();
    let id: Option<AppId> =
        members.get("id").and_then(Value::as_str).filter(|id| *id == folder).and_then(|id| id.parse().ok());
    let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, version, runtime) = (text("name"), text("version"), text("runtime"));
    let (Some(id), "static" | "data") = (id, runtime.as_str()) else {
        let why = match runtime.as_str() {
            "static" | "data" => "its folder and its name do not fit each other".to_owned(),
            kind => {
                format!("apps of the kind {kind:?} do not run here yet; its data is kept and leaves with you again")
            }
        };
        let mine = archive.entries().iter().filter(|(path, _)| crate::archive::payload::kept::part(path) == root);
        let bytes = mine.map(|(_, entry)| entry.size).sum();
        intake.dormant.push(Dormant { id: folder.to_owned(), name, version, bytes, why });
        return Ok(());
    };
    let installed = (runtime == "static").then(|| take_code(root, &members, archive, rest)).map(|code| Installed {
        label: match text("label") {
            label if label.is_empty() => id.as_str().rsplit('.').next().unwrap_or_default().to_owned(),
            label => label,
        },
        manifest: members
            .get("manifest")
            .filter(|manifest| manifest.is_object())
            .map_or_else(|| "{}".into(), Value::to_string),
        installed_ms: instant(&text("installed")),
        removed_ms: instant(&text("removed")),
        code,
    });
    let tables = take_tables(archive, root, &id, &members, rest, intake)?;
    let files = take_files(archive, root, rest)?;
    for ours in
        ["schema", "id", "runtime", "name", "version", "label", "installed", "removed", "manifest", "code", "tables"]
    {
        members.remove(ours);
    }
    rest.remove(&path);
    intake.members.insert(path, members);
    intake.apps.push(AppIntake { id, name, version, installed, tables, files });
    Ok(())
}

fn take_code(
    root: &str,
    members: &Map<String, Value>,
    archive: &Checked,
    rest: &mut BTreeSet<EntryPath>,
) -> Vec<(String, EntryPath)> {
    let prefix = format!("{root}/code/");
    let names = members.get("code").and_then(|code| code.get("names"));
    let mut code = Vec::new();
    for path in archive.entries().keys().filter(|path| path.as_str().starts_with(&prefix)) {
        let within = &path.as_str()[prefix.len()..];
        let truly = names.and_then(|names| names.get(within)).and_then(Value::as_str).unwrap_or(within);
        rest.remove(path);
        code.push((truly.to_owned(), path.clone()));
    }
    code
}

fn take_tables(
    archive: &Checked,
    root: &str,
    id: &AppId,
    members: &Map<String, Value>,
    rest: &mut BTreeSet<EntryPath>,
    intake: &mut Intake,
) -> Result<Vec<TableIntake>, Error> {
    let mut all = Vec::new();
    for table in members.get("tables").and_then(Value::as_array).into_iter().flatten() {
        let name = match table.get("name").and_then(Value::as_str) {
            Some(tables::OWN) => "",
            Some(name) => name,
            None => continue,
        };
        let Ok(table_name) = TableName::new(id, name) else { continue };
        let listed = table.get("segments").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let segments: Vec<EntryPath> = listed.filter_map(|within| path(&format!("{root}/{within}"))).collect();
        if let Some(missing) = segments.iter().find(|segment| !rest.contains(*segment)) {
            return Err(Error::Refused(format!(
                "the table {table_name} names {missing}, which is not in the archive or belongs to another table"
            )));
        }
        for segment in &segments {
            rest.remove(segment);
        }
        let schema = table.get("schema").and_then(Value::as_str).and_then(|within| path(&format!("{root}/{within}")));
        let mut indexes = Vec::new();
        if let Some(schema) = schema.filter(|schema| rest.remove(schema)) {
            let mut members = object(archive, &schema)?;
            let fields = members.remove("x-indexes");
            let fields = fields.as_ref().and_then(Value::as_array).into_iter().flatten();
            indexes = fields.filter_map(Value::as_str).map(str::to_owned).collect();
            for ours in ["$schema", "type", "required"] {
                members.remove(ours);
            }
            intake.members.insert(schema, members);
        }
        all.push(TableIntake { table: table_name, indexes, segments });
    }
    Ok(all)
}

fn take_files(archive: &Checked, root: &str, rest: &mut BTreeSet<EntryPath>) -> Result<Vec<FileIntake>, Error> {
    let mut all = Vec::new();
    let lists = (0..).map_while(|index| path(&format!("{root}/{}", files_segment(index))));
    let lists: Vec<EntryPath> = lists.take_while(|list| archive.entries().contains_key(list)).collect();
    for list in lists {
        rest.remove(&list);
        take_file_rows(archive, root, &list, rest, &mut all)?;
    }
    Ok(all)
}

fn take_file_rows(
    archive: &Checked,
    root: &str,
    list: &EntryPath,
    rest: &mut BTreeSet<EntryPath>,
    all: &mut Vec<FileIntake>,
) -> Result<(), Error> {
    for line in lines(&archive.document(list)?) {
        let refuse = |why: &str| Error::Refused(format!("{list} has a line that {why}"));
        let line: Value = serde_json::from_str(line).map_err(|_| refuse("is no JSON"))?;
        let text = |name: &str| line.get(name).and_then(Value::as_str);
        let within = text("path").ok_or_else(|| refuse("names no file"))?;
        let entry = path(&format!("{root}/{within}")).filter(|path| rest.contains(path));
        let entry = entry.ok_or_else(|| refuse("names a file that is not in the archive"))?;
        let digest: Option<Digest> = text("sha256").and_then(|text| text.parse().ok());
        if digest != archive.entries().get(&entry).map(|entry| entry.digest) {
            return Err(refuse("gives a file another digest than it has"));
        }
        let truly = text("truePath").unwrap_or_else(|| within.strip_prefix("files/").unwrap_or(within));
        let Ok(path) = truly.parse::<FilePath>().or_else(|_| within.parse()) else { continue };
        rest.remove(&entry);
        all.push(FileIntake {
            path,
            entry,
            mime: text("type").unwrap_or("application/octet-stream").to_owned(),
            created_ms: text("created").and_then(instant),
            modified_ms: text("modified").and_then(instant),
        });
    }
    Ok(())
}

fn path(text: &str) -> Option<EntryPath> {
    text.parse().ok()
}

fn object(archive: &Checked, path: &EntryPath) -> Result<Map<String, Value>, Error> {
    let text = archive.document(path)?;
    serde_json::from_slice(&text).map_err(|why| Error::Refused(format!("{path} is not a JSON object: {why}")))
}

/// The lines of a document that was checked to be UTF-8, without empty ones.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &str> {
    std::str::from_utf8(text).unwrap_or_default().lines().filter(|line| !line.is_empty())
}
