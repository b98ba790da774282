//! The tables of an app: a schema and segments of records each.

use std::collections::HashMap;

use export_format::AppId;
use export_format::path::Namer;
use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::{Payload, Sink, kept, render, segments};
use crate::archive::error::Error;
use crate::documents::{self, TableName};

/// The archive's name for the table that carries the app's own name; no collection can be called so.
pub(crate) const OWN: &str = "~";

/// Renders all tables of `app` and answers with their list for `app.json`.
pub(super) fn render(
    db: &Connection,
    app: &AppId,
    root: &str,
    sink: &mut dyn Sink,
    payload: &mut Payload,
) -> Result<Value, Error> {
    let folder = format!("{root}/tables");
    let mut namer = Namer::new(&folder).map_err(|why| Error::Bug(why.to_string()))?;
    for carried in kept::carried_in(db, &folder)? {
        namer.place(&carried);
    }
    let mut list = Vec::new();
    for table in documents::tables_of(db, app)? {
        let name = name_of(&table);
        let schema = namer.place(&format!("{name}.schema.json"));
        let content = render::document(db, &schema, schema_of(db, root, &table)?)?;
        let schema_within = schema.as_str()[root.len() + 1..].to_owned();
        payload.add(schema, sink.keep(&content)?)?;
        let (segments, count) = place(db, &table, &mut namer, sink, payload)?;
        let within: Vec<&str> = segments.iter().map(|path| &path[root.len() + 1..]).collect();
        list.push(json!({"name": name, "schema": schema_within, "count": count, "segments": within}));
        payload.counts.tables += 1;
        payload.counts.documents += count;
    }
    Ok(list.into())
}

/// Under which name it is kept what a table's schema said when it came.
pub(crate) fn schema_words(root: &str, table: &TableName) -> String {
    format!("{root}/tables/{}.schema.json", name_of(table))
}

fn name_of(table: &TableName) -> &str {
    match table.collection() {
        "" => OWN,
        name => name,
    }
}

/// What the schema of any table says by itself.
pub(crate) fn plain_schema() -> Map<String, Value> {
    let mut plain = Map::new();
    plain.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    plain.insert("type".into(), "object".into());
    plain.insert("required".into(), json!(["_id"]));
    plain.insert("properties".into(), json!({"_id": {"type": "string"}}));
    plain
}

/// What came knows the table better than we do, but for the indexes.
fn schema_of(db: &Connection, root: &str, table: &TableName) -> Result<Map<String, Value>, Error> {
    let sql = "select indexes from collection where app = ?1 and name = ?2";
    let indexes: String = db.query_row(sql, (table.app().as_str(), table.collection()), |row| row.get(0))?;
    let mut schema = kept::members(db, &schema_words(root, table))?;
    render::merge(&mut schema, plain_schema());
    schema.insert("x-indexes".into(), serde_json::from_str(&indexes).unwrap_or_else(|_| json!([])));
    Ok(schema)
}

/// Puts into the list of tables what another writer said there: members of tables that are here, and whole tables that
/// were carried, since this server could not have kept them.
pub(super) fn add_kept(ours: &mut Value, kept: Vec<Value>) {
    let Value::Array(ours) = ours else { return };
    let name = |table: &Map<String, Value>| table.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut names: HashMap<String, usize> = HashMap::new();
    for (at, table) in ours.iter().enumerate() {
        names.extend(table.as_object().map(|table| (name(table), at)));
    }
    for theirs in kept {
        let Value::Object(mut theirs) = theirs else { continue };
        let is_whole = theirs.contains_key("count");
        match names.get(&name(&theirs)).copied() {
            Some(at) if !is_whole => {
                if let Some(Value::Object(ours)) = ours.get_mut(at) {
                    render::merge(ours, theirs);
                }
            }
            None if !is_whole => {}
            taken => {
                if taken.is_some() {
                    // An app here has made a table of this name since.
                    let free = (2..).map(|n| format!("{}~{n}", name(&theirs))).find(|free| !names.contains_key(free));
                    theirs.insert("name".into(), free.unwrap_or_default().into());
                }
                names.insert(name(&theirs), ours.len());
                ours.push(Value::Object(theirs));
            }
        }
    }
}

fn place(
    db: &Connection,
    table: &TableName,
    namer: &mut Namer,
    sink: &mut dyn Sink,
    payload: &mut Payload,
) -> Result<(Vec<String>, u64), Error> {
    let rows = match sink.memory().and_then(|memory| memory.rows(table)) {
        Some(rows) => rows,
        None => {
            let rows = segments::render(db, table, sink)?;
            if let Some(memory) = sink.memory() {
                memory.learn_rows(table, rows.clone());
            }
            rows
        }
    };
    let mut paths = Vec::with_capacity(rows.segments.len());
    let count = rows.segments.iter().map(|segment| segment.rows).sum();
    for segment in rows.segments {
        let path = namer.place(&format!("{}/{:02}.ndjson", name_of(table), paths.len()));
        paths.push(path.to_string());
        payload.add(path, segment.entry)?;
    }
    payload.omitted.extend(rows.omitted);
    Ok((paths, count))
}
