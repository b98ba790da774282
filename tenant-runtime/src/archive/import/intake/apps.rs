//! The apps an archive brings: what of each becomes code, tables and files here, and what is carried.

use std::collections::BTreeSet;

use export_format::entry::{AppPart, Kind, files_segment};
use export_format::{AppId, Digest, EntryPath};
use serde_json::{Map, Value};

use super::{AppIntake, Dormant, FileIntake, Installed, Intake, TableIntake, Unusable, json, lines, object, path};
use crate::apps::Keeping;
use crate::archive::error::Error;
use crate::archive::import::archive::Checked;
use crate::archive::payload::{apps, files, kept, tables};
use crate::archive::row::instant;
use crate::documents::{BadName, TableName};
use crate::files::FilePath;

/// What of a file's row we say ourselves, where it stands first.
const FILE_MEMBERS: &[&[&str]] =
    &[&["path"], &["name"], &["sha256"], &["size"], &["type"], &["created"], &["modified"], &["truePath"]];

pub(super) fn app_folders(archive: &Checked) -> BTreeSet<String> {
    let parts = archive.entries().keys().map(kept::part);
    parts.filter(|part| part.starts_with(apps::ROOT)).map(str::to_owned).collect()
}

pub(super) fn take_app(
    archive: &Checked,
    root: &str,
    unusable: &Unusable,
    rest: &mut BTreeSet<EntryPath>,
    intake: &mut Intake,
) -> Result<(), Error> {
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
        let mine = archive.entries().iter().filter(|(path, _)| kept::part(path) == root);
        let bytes = mine.map(|(_, entry)| entry.size).sum();
        for table in members.get("tables").and_then(Value::as_array).into_iter().flatten() {
            intake.count_carried(table);
        }
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
        keeping: members.get("updates").map(Keeping::of_archive).unwrap_or_default(),
        installed_ms: instant(&text("installed")),
        removed_ms: instant(&text("removed")),
        code,
    });
    let (tables, kept) = take_tables(archive, root, &id, &members, unusable, rest, intake)?;
    let files = take_files(archive, root, rest, intake)?;
    for ours in ["schema", "id", "runtime", "name", "version", "label", "installed", "removed", "manifest", "tables"] {
        members.remove(ours);
    }
    // What cannot be read as ours is carried as it came.
    if installed.as_ref().is_some_and(|app| app.keeping.portable().as_ref() == members.get("updates")) {
        members.remove("updates");
    }
    if let Some(Value::Object(mut code)) = members.remove("code") {
        code.remove("path");
        code.remove("names");
        if !code.is_empty() {
            members.insert("code".into(), code.into());
        }
    }
    if !kept.is_empty() {
        members.insert("tables".into(), kept.into());
    }
    rest.remove(&path);
    intake.keep(path.as_str(), members);
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

/// The tables that are used here, and what `app.json` said of tables that we do not say.
fn take_tables(
    archive: &Checked,
    root: &str,
    id: &AppId,
    members: &Map<String, Value>,
    unusable: &Unusable,
    rest: &mut BTreeSet<EntryPath>,
    intake: &mut Intake,
) -> Result<(Vec<TableIntake>, Vec<Value>), Error> {
    let (mut all, mut kept) = (Vec::new(), Vec::new());
    for table in members.get("tables").and_then(Value::as_array).into_iter().flatten() {
        let Some(name) = table.get("name").and_then(Value::as_str) else { continue };
        let named = match name {
            tables::OWN => TableName::new(id, ""),
            "" => Err(BadName(String::new())),
            name => TableName::new(id, name),
        };
        let why = match &named {
            Err(_) => "no table here can have this name",
            Ok(named) if unusable.contains(&named.to_string()) => "it has records whose `_id` no record here can have",
            Ok(_) => "",
        };
        let Some(table_name) = named.ok().filter(|_| why.is_empty()) else {
            intake.unusable.push((id.clone(), name.to_owned(), why));
            intake.count_carried(table);
            kept.push(table.clone());
            continue;
        };
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
        let indexes = take_schema(archive, root, table, &table_name, rest, intake)?;
        let mut said = table.as_object().cloned().unwrap_or_default();
        said.retain(|name, _| !matches!(name.as_str(), "schema" | "count" | "segments"));
        if said.len() > 1 {
            kept.push(said.into());
        }
        all.push(TableIntake { table: table_name, indexes, segments });
    }
    Ok((all, kept))
}

/// What a table's schema says, of which the indexes are used.
fn take_schema(
    archive: &Checked,
    root: &str,
    table: &Value,
    name: &TableName,
    rest: &mut BTreeSet<EntryPath>,
    intake: &mut Intake,
) -> Result<Vec<String>, Error> {
    let schema = table.get("schema").and_then(Value::as_str).and_then(|within| path(&format!("{root}/{within}")));
    let is_schema = |path: &EntryPath| matches!(Kind::of(path), Kind::App(_, AppPart::Schema(_)));
    let Some(schema) = schema.filter(|schema| is_schema(schema) && rest.remove(schema)) else { return Ok(Vec::new()) };
    // `true` is a schema as well.
    let Value::Object(mut members) = json(archive, &schema)? else { return Ok(Vec::new()) };
    let fields = members.remove("x-indexes");
    let fields = fields.as_ref().and_then(Value::as_array).into_iter().flatten();
    let indexes = fields.filter_map(Value::as_str).map(str::to_owned).collect();
    if members != tables::plain_schema() {
        intake.keep(&tables::schema_words(root, name), members);
    }
    Ok(indexes)
}

impl Intake {
    fn count_carried(&mut self, table: &Value) {
        self.carried_tables += 1;
        self.carried_records += table.get("count").and_then(Value::as_u64).unwrap_or(0);
    }
}

fn take_files(
    archive: &Checked,
    root: &str,
    rest: &mut BTreeSet<EntryPath>,
    intake: &mut Intake,
) -> Result<Vec<FileIntake>, Error> {
    let folder = format!("{root}/");
    let entries = archive.entries().keys().filter(|path| path.as_str().starts_with(&folder));
    let lists: Vec<EntryPath> =
        entries.filter(|path| matches!(Kind::of(path), Kind::App(_, AppPart::Files))).cloned().collect();
    let mut files = Files { root, all: Vec::new(), taken: BTreeSet::new() };
    for list in lists {
        rest.remove(&list);
        files.take_rows(archive, &list, rest, intake)?;
    }
    Ok(files.all)
}

/// The files of one app.
struct Files<'a> {
    root: &'a str,
    all: Vec<FileIntake>,
    taken: BTreeSet<FilePath>,
}

impl Files<'_> {
    fn take_rows(
        &mut self,
        archive: &Checked,
        list: &EntryPath,
        rest: &mut BTreeSet<EntryPath>,
        intake: &mut Intake,
    ) -> Result<(), Error> {
        let root = self.root;
        for text in lines(&archive.document(list)?) {
            let refuse = |why: &str| Error::Refused(format!("{list} has a line that {why}"));
            let line: Value = serde_json::from_str(text).map_err(|_| refuse("is no JSON"))?;
            let member = |name: &str| line.get(name).and_then(Value::as_str);
            let within = member("path").ok_or_else(|| refuse("names no file"))?;
            let entry = path(&format!("{root}/{within}")).filter(|path| rest.contains(path));
            let entry = entry.ok_or_else(|| refuse("names a file that is not in the archive"))?;
            let digest: Option<Digest> = member("sha256").and_then(|text| text.parse().ok());
            if digest != archive.entries().get(&entry).map(|entry| entry.digest) {
                return Err(refuse("gives a file another digest than it has"));
            }
            let truly = member("truePath").unwrap_or_else(|| within.strip_prefix("files/").unwrap_or(within));
            let names = [truly, within].into_iter().filter_map(|name| name.parse::<FilePath>().ok());
            let Some(path) = names.into_iter().find(|name| !self.taken.contains(name)) else {
                // No file here can be called so: it stays where it stands, and so does what is said of it.
                intake.lines.entry(format!("{root}/{}", files_segment(0))).or_default().push(text.to_owned());
                continue;
            };
            rest.remove(&entry);
            // Where it stands is kept too, if its name does not say it: rows refer to it by that.
            let known = if within == format!("files/{path}") { FILE_MEMBERS } else { &FILE_MEMBERS[1..] };
            intake.keep_of_row(files::file_words(root, &path), text, known);
            self.taken.insert(path.clone());
            self.all.push(FileIntake {
                path,
                entry,
                mime: member("type").unwrap_or("application/octet-stream").to_owned(),
                created_ms: member("created").and_then(instant),
                modified_ms: member("modified").and_then(instant),
            });
        }
        Ok(())
    }
}
