//! The tables of an app: a schema and segments of records each.

use export_format::AppId;
use export_format::path::Namer;
use export_format::row::Segments;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{Payload, Sink, render};
use crate::admin::api::Omission;
use crate::archive::error::Error;
use crate::archive::row;
use crate::documents::{self, Collection};

/// The archive's name for the table that carries the app's own name; no collection can be called so.
pub(crate) const OWN: &str = "~";

/// How many records go by between two words about progress.
const STEP: u64 = 1000;

/// Renders all tables of `app` and answers with their list for `app.json`.
pub(super) fn render(
    db: &Connection,
    app: &AppId,
    root: &str,
    sink: &mut dyn Sink,
    payload: &mut Payload,
) -> Result<Value, Error> {
    let mut namer = Namer::new(&format!("{root}/tables")).map_err(|why| Error::Bug(why.to_string()))?;
    let mut list = Vec::new();
    for collection in documents::collections_of(db, app)? {
        let name = match collection.table.collection() {
            "" => OWN,
            name => name,
        };
        let schema = namer.place(&format!("{name}.schema.json"));
        let content = render::document(db, &schema, schema_of(db, &collection)?)?;
        let schema_within = schema.as_str()[root.len() + 1..].to_owned();
        payload.add(schema, sink.keep(&content)?)?;
        let (segments, count) = segments(db, &collection, name, &mut namer, sink, payload)?;
        let within: Vec<&str> = segments.iter().map(|path| &path[root.len() + 1..]).collect();
        list.push(json!({"name": name, "schema": schema_within, "count": count, "segments": within}));
        payload.counts.tables += 1;
        payload.counts.documents += count;
    }
    Ok(list.into())
}

fn schema_of(db: &Connection, collection: &Collection) -> Result<serde_json::Map<String, Value>, Error> {
    let table = &collection.table;
    let sql = "select indexes from collection where app = ?1 and name = ?2";
    let indexes: String = db.query_row(sql, (table.app().as_str(), table.collection()), |row| row.get(0))?;
    let mut ours = serde_json::Map::new();
    ours.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    ours.insert("type".into(), "object".into());
    ours.insert("required".into(), json!(["_id"]));
    ours.insert("properties".into(), json!({"_id": {"type": "string"}}));
    ours.insert("x-indexes".into(), serde_json::from_str(&indexes).unwrap_or_else(|_| json!([])));
    Ok(ours)
}

fn segments(
    db: &Connection,
    collection: &Collection,
    name: &str,
    namer: &mut Namer,
    sink: &mut dyn Sink,
    payload: &mut Payload,
) -> Result<(Vec<String>, u64), Error> {
    let mut paths = Vec::new();
    let mut rows = Segments::default();
    let (mut count, mut since) = (0, 0);
    let mut left_out = Vec::new();
    let mut close = |segment: &[u8], sink: &mut dyn Sink| -> Result<(), Error> {
        let path = namer.place(&format!("{name}/{:02}.ndjson", paths.len()));
        paths.push(path.to_string());
        payload.add(path, sink.keep(segment)?)
    };
    documents::each(db, &collection.table, |record| {
        let line = match row::to_line(&record) {
            Ok(line) => line,
            Err(why) => {
                left_out.push(Omission {
                    what: format!("the record {:?} of {}", record.id, collection.table),
                    why: why.to_string(),
                });
                return Ok(());
            }
        };
        if let Some(segment) = rows.push(&record.id, line.trim_end_matches('\n')) {
            close(&segment, sink)?;
        }
        count += 1;
        since += 1;
        if since == STEP {
            sink.rendered(since);
            since = 0;
        }
        Ok::<(), Error>(())
    })?;
    sink.rendered(since);
    if let Some(segment) = rows.finish() {
        close(&segment, sink)?;
    }
    payload.omitted.append(&mut left_out);
    Ok((paths, count))
}
