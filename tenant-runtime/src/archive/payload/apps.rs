//! The apps: what each is, its code, its tables and its files.

use std::collections::BTreeSet;
use std::ops::Bound;

use export_format::AppId;
use export_format::digest::Summary;
use export_format::entry::APP_SCHEMA;
use export_format::path::Namer;
use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::memory::Folder;
use super::{Entry, Payload, Sink, Source, files, kept, render, tables};
use crate::admin::api::Counts;
use crate::apps;
use crate::archive::error::Error;
use crate::archive::row::written;
use crate::files::parsed;

/// The folder of all apps.
pub(crate) const ROOT: &str = "data/apps";

pub(super) fn render(db: &Connection, sink: &mut dyn Sink, payload: &mut Payload) -> Result<(), Error> {
    let mut folders = Namer::new(ROOT).map_err(|why| Error::Bug(why.to_string()))?;
    for id in ids(db)? {
        let document = folders.place(&format!("{id}/app.json"));
        let root = document.as_str().trim_end_matches("/app.json").to_owned();
        if let Some(folder) = sink.memory().and_then(|memory| memory.folder(&id, &root)) {
            recall(folder, payload)?;
            continue;
        }
        let (before, omitted) = (payload.counts, payload.omitted.len());
        let mut ours = Map::new();
        ours.insert("schema".into(), APP_SCHEMA.into());
        ours.insert("id".into(), id.as_str().into());
        match apps::get(db, &id)? {
            Some(app) => {
                ours.insert("runtime".into(), "static".into());
                ours.insert("name".into(), app.name.as_str().into());
                ours.insert("version".into(), app.version.as_str().into());
                ours.insert("label".into(), app.label.as_str().into());
                ours.insert("installed".into(), written(app.installed).into());
                if let Some(removed) = app.removed.and_then(written) {
                    ours.insert("removed".into(), removed.into());
                }
                if let Some(updates) = app.keeping.portable() {
                    ours.insert("updates".into(), updates);
                }
                ours.insert("manifest".into(), serde_json::from_str(&app.manifest).unwrap_or_default());
                ours.insert("code".into(), code(db, &id, &root, payload)?);
            }
            None => {
                ours.insert("runtime".into(), "data".into());
                ours.insert("name".into(), id.as_str().into());
                ours.insert("version".into(), "".into());
            }
        }
        let mut list = tables::render(db, &id, &root, sink, payload)?;
        if let Some(Value::Array(kept)) = kept::members(db, document.as_str())?.remove("tables") {
            tables::add_kept(&mut list, kept);
        }
        ours.insert("tables".into(), list);
        files::render(db, &id, &root, sink, payload)?;
        let content = render::document(db, &document, ours)?;
        payload.add(document, sink.keep(&content)?)?;
        if let Some(memory) = sink.memory() {
            memory.learn_folder(&id, folder_of(payload, root, before, omitted));
        }
    }
    Ok(())
}

fn recall(folder: Folder, payload: &mut Payload) -> Result<(), Error> {
    for (path, entry) in folder.entries {
        payload.add(path, entry)?;
    }
    payload.counts.tables += folder.tables;
    payload.counts.documents += folder.documents;
    payload.omitted.extend(folder.omitted);
    Ok(())
}

/// All that stands below `root`, where there were so many tables, records and omissions before.
fn folder_of(payload: &Payload, root: String, before: Counts, omitted: usize) -> Folder {
    let within = format!("{root}/");
    let below = payload.entries.range::<str, _>((Bound::Included(within.as_str()), Bound::Unbounded));
    let below = below.take_while(|(path, _)| path.as_str().starts_with(&within));
    Folder {
        entries: below.map(|(path, entry)| (path.clone(), entry.clone())).collect(),
        root,
        tables: payload.counts.tables - before.tables,
        documents: payload.counts.documents - before.documents,
        omitted: payload.omitted[omitted..].to_vec(),
    }
}

/// Every app that is installed or holds data.
fn ids(db: &Connection) -> Result<BTreeSet<AppId>, Error> {
    let mut query = db.prepare("select id from app union select app from collection union select app from file")?;
    let rows = query.query_map([], |row| parsed(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn code(db: &Connection, id: &AppId, root: &str, payload: &mut Payload) -> Result<Value, Error> {
    let mut namer = Namer::new(&format!("{root}/code")).map_err(|why| Error::Bug(why.to_string()))?;
    let mut names = Map::new();
    for file in apps::code(db, id)? {
        let path = namer.place(&file.path);
        let within = &path.as_str()[root.len() + "/code/".len()..];
        if within != file.path {
            names.insert(within.to_owned(), file.path.into());
        }
        let summary = Summary { size: file.size, digest: file.digest, crc32: file.crc32 };
        payload.add(path, Entry { summary, source: Source::Blob })?;
    }
    Ok(if names.is_empty() { json!({"path": "code/"}) } else { json!({"path": "code/", "names": names}) })
}

/// How many apps have a folder, those included that are only carried.
pub(super) fn folders(payload: &Payload) -> u64 {
    let parts: BTreeSet<&str> = payload.entries.keys().map(kept::part).filter(|part| is_app(part)).collect();
    parts.len() as u64
}

fn is_app(part: &str) -> bool {
    part.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/')).is_some_and(|id| id.parse::<AppId>().is_ok())
}
