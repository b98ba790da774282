//! Writing, reading, changing and removing single records, and many at once by query.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::{Caller, own_data};
use super::between::Reader;
use super::body::{self, Object};
use crate::changes::Kind;
use crate::documents::{self, Filter, Others, Row, TableName};
use crate::files::{self, FilePath};
use crate::permissions::Action;
use crate::problem::Problem;
use crate::server::{Server, now};
use crate::sharing::{self, Standing, Visitor};

/// Fields that say who may see a record; only the record's own app learns them.
pub(super) const WHO_SEES: &str = "_accessibles";

/// Whose data, and by which permission.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Whose {
    pub(super) owner_id: Option<String>,
}

/// `POST /ceps/write/:table` and `POST /feps/write/:table`
pub(super) async fn create(
    State(server): State<Server>,
    caller: Caller,
    Path(table): Path<String>,
    Object(body): Object,
) -> Result<Response, Problem> {
    let table = writable(&server, &caller, &table)?;
    own_data(&server, body.get("owner_id").and_then(Value::as_str).filter(|_| body.contains_key("_entity")))?;
    let fields = entity(body)?;
    let room = body::check(&fields, server.launch.limits.record_bytes)?;
    let now = now();
    server.quota.take(&server.home, room, now).await?;
    let id = uuid::Uuid::now_v7().simple().to_string();
    let row = write(&server, &table, move |db, table| Ok(documents::create(db, table, &id, fields, now)?)).await?;
    Ok(written(&row))
}

/// `POST /feps/write/:table/:id`: under an id of the caller's own; with `upsert`, a record that is there is changed.
pub(super) async fn create_at(
    State(server): State<Server>,
    caller: Caller,
    Path((table, id)): Path<(String, String)>,
    Object(body): Object,
) -> Result<Response, Problem> {
    let table = writable(&server, &caller, &table)?;
    own_data(&server, body.get("owner_id").and_then(Value::as_str).filter(|_| body.contains_key("_entity")))?;
    let upsert = body.contains_key("_entity") && body.get("upsert") == Some(&Value::Bool(true));
    let fields = entity(body)?;
    let limit = server.launch.limits.record_bytes;
    let room = body::check(&fields, limit)?;
    let now = now();
    server.quota.take(&server.home, room, now).await?;
    let row = write(&server, &table, move |db, table| {
        if upsert && documents::get(db, table, &id)?.is_some() {
            bounded(documents::update(db, table, &id, fields, Others::Kept, now)?, limit)
        } else {
            Ok(documents::create(db, table, &id, fields, now)?)
        }
    })
    .await?;
    Ok(written(&row))
}

/// `GET /ceps/read/:table/:id`
pub(super) async fn read(
    State(server): State<Server>,
    reader: Reader,
    Path((table, id)): Path<(String, String)>,
    Query(whose): Query<Whose>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    own_data(&server, whose.owner_id.as_deref())?;
    let (table, foreign) = match reader {
        Reader::App(caller) => {
            let table = caller.table(&server, &table, Action::Read)?;
            let foreign = *table.app() != caller.app;
            (table, foreign)
        }
        Reader::Visitor(visitor) => (shared(&server, visitor, &table, &id).await?, true),
    };
    let row = server
        .home
        .read(move |db| {
            let missing = || documents::Error::Missing { table: table.clone(), id: id.clone() };
            Ok::<_, Problem>(documents::get(db, &table, &id)?.ok_or_else(missing)?)
        })
        .await?;
    let tag = etag(row.modified);
    if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let text = if foreign { seen_by_others(&row) } else { row.to_json() };
    Ok(([(header::ETAG, tag), json_type(), no_store()], text).into_response())
}

/// The table of a record that is shared with a visitor; what is not shared and what is not there answer alike.
async fn shared(server: &Server, visitor: Visitor, table: &str, id: &str) -> Result<TableName, Problem> {
    let missing =
        || Problem::new(StatusCode::NOT_FOUND, "no related records exist", "Nothing like that is shared with you.");
    let owner = server.apps.owner_of(table).ok_or_else(missing)?;
    let table = TableName::within(&owner, table).ok_or_else(missing)??;
    let (standing, within, id) = (Standing::of(&server.apps), table.clone(), id.to_owned());
    let opens = server.home.read(move |db| Ok::<_, Problem>(sharing::opens_to(db, &standing, &visitor, &within, &id)?));
    if opens.await? { Ok(table) } else { Err(missing()) }
}

/// `PUT /ceps/update/:table/:id`: replaces all fields.
pub(super) async fn replace(
    State(server): State<Server>,
    caller: Caller,
    Path((table, id)): Path<(String, String)>,
    headers: HeaderMap,
    Object(body): Object,
) -> Result<Response, Problem> {
    change(&server, &caller, &table, id, &headers, entity(body)?, Others::Dropped).await
}

/// `PUT /feps/update/:table/:id`: merges, unless `replaceAllFields`.
pub(super) async fn update(
    State(server): State<Server>,
    caller: Caller,
    Path((table, id)): Path<(String, String)>,
    headers: HeaderMap,
    Object(body): Object,
) -> Result<Response, Problem> {
    let all = body.contains_key("_entity") && body.get("replaceAllFields") == Some(&Value::Bool(true));
    let others = if all { Others::Dropped } else { Others::Kept };
    change(&server, &caller, &table, id, &headers, entity(body)?, others).await
}

async fn change(
    server: &Server,
    caller: &Caller,
    table: &str,
    id: String,
    headers: &HeaderMap,
    fields: Map<String, Value>,
    others: Others,
) -> Result<Response, Problem> {
    server.writable()?;
    let table = caller.table(server, table, Action::Write)?;
    let limit = server.launch.limits.record_bytes;
    let room = body::check(&fields, limit)?;
    let condition = headers.get(header::IF_MATCH).cloned();
    let now = now();
    server.quota.take_change(&server.home, room, now).await?;
    let row = write(server, &table, move |db, table| {
        unchanged(db, table, &id, condition.as_ref())?;
        bounded(documents::update(db, table, &id, fields, others, now)?, limit)
    })
    .await?;
    Ok(answer(&row, json!({"nModified": 1})))
}

/// `DELETE /ceps/delete/:table/:id`; of a file's record, with the file.
pub(super) async fn delete(
    State(server): State<Server>,
    caller: Caller,
    Path((table, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let table = deletable(&server, &caller, &table)?;
    let condition = headers.get(header::IF_MATCH).cloned();
    let (within, now) = (table.clone(), now());
    let row = server
        .home
        .write(move |db| {
            unchanged(db, &within, &id, condition.as_ref())?;
            remove(db, &within, &id)
        })
        .await?;
    server.quota.forget();
    server.changes.tell(&table, &row.id, now, Kind::Removed);
    Ok(answer(&row, json!({})))
}

/// `PUT /feps/update/:table {q, keys}`
pub(super) async fn update_all(
    State(server): State<Server>,
    caller: Caller,
    Path(table): Path<String>,
    Object(mut body): Object,
) -> Result<Json<Value>, Problem> {
    server.writable()?;
    let table = caller.table(&server, &table, Action::Write)?;
    let filter = filter(&mut body)?;
    let Some(Value::Object(keys)) = body.remove("keys") else {
        return Err(Problem::bad_request("keys must be an object with the fields to set."));
    };
    let limit = server.launch.limits.record_bytes;
    let room = body::check(&keys, limit)?;
    let now = now();
    let found = {
        let (table, filter) = (table.clone(), filter.clone());
        server.home.read(move |db| Ok::<_, Problem>(documents::ids(db, &table, &filter)?.len() as u64)).await?
    };
    server.quota.take_change(&server.home, room.saturating_mul(found), now).await?;
    let many = each(&server, &table, filter, (Kind::Written, now), move |db, table, id| {
        bounded(documents::update(db, table, id, keys.clone(), Others::Kept, now)?, limit)
    });
    Ok(Json(json!({"success": true, "nModified": many.await?})))
}

/// `DELETE /feps/delete/:table {q}`
pub(super) async fn delete_all(
    State(server): State<Server>,
    caller: Caller,
    Path(table): Path<String>,
    Object(mut body): Object,
) -> Result<Json<Value>, Problem> {
    let table = deletable(&server, &caller, &table)?;
    let filter = filter(&mut body)?;
    let many = each(&server, &table, filter, (Kind::Removed, now()), remove).await?;
    server.quota.forget();
    Ok(Json(json!({"success": true, "nDeleted": many})))
}

/// Does one thing to every record a query finds, all in one write, then tells of each. Answers how many there were.
async fn each(
    server: &Server,
    table: &TableName,
    filter: Filter,
    (kind, now): (Kind, i64),
    work: impl Fn(&Connection, &TableName, &str) -> Result<Row, Problem> + Send + 'static,
) -> Result<usize, Problem> {
    let within = table.clone();
    let ids = server
        .home
        .write(move |db| {
            let ids = documents::ids(db, &within, &filter)?;
            ids.iter().try_for_each(|id| work(db, &within, id).map(drop))?;
            Ok::<_, Problem>(ids)
        })
        .await?;
    ids.iter().for_each(|id| server.changes.tell(table, id, now, kind));
    Ok(ids.len())
}

/// `POST /feps/restore/:table {record, options}`: writes a record back with its id and dates.
pub(super) async fn restore(
    State(server): State<Server>,
    caller: Caller,
    Path(table): Path<String>,
    Object(mut body): Object,
) -> Result<Response, Problem> {
    let table = writable(&server, &caller, &table)?;
    if *table.app() != caller.app {
        return Err(Problem::forbidden("Only an app's own tables can be restored into."));
    }
    let Some(Value::Object(mut record)) = body.remove("record") else {
        return Err(Problem::bad_request("record must be the whole record."));
    };
    let option = |name: &str| body.get("options").and_then(|options| options.get(name)).cloned();
    let overwrite = [option("updateRecord"), option("upsertRecord")].contains(&Some(Value::Bool(true)));
    if let Some(id) = option("data_object_id").filter(|id| id.is_string()) {
        record.insert("_id".into(), id);
    }
    // Who may see a record is decided here, never by what is restored.
    record.remove(WHO_SEES);
    record.remove("_publicid");
    record.remove("_date_published");
    let room = body::check(&record, server.launch.limits.record_bytes)?;
    let now = now();
    let row = Row::from_map(record, now).ok_or_else(|| Problem::from(documents::Error::BadId))?;
    server.quota.take(&server.home, room, now).await?;
    let row = write(&server, &table, move |db, table| {
        if !overwrite && documents::get(db, table, &row.id)?.is_some() {
            return Err(documents::Error::Exists { table: table.clone(), id: row.id }.into());
        }
        documents::put_kept(db, table, std::slice::from_ref(&row))?;
        Ok(row)
    })
    .await?;
    Ok(written(&row))
}

/// Writes durably, then tells.
pub(super) async fn write(
    server: &Server,
    table: &TableName,
    work: impl FnOnce(&Connection, &TableName) -> Result<Row, Problem> + Send + 'static,
) -> Result<Row, Problem> {
    let within = table.clone();
    let row = server.home.write(move |db| work(db, &within)).await?;
    server.changes.tell(table, &row.id, row.modified, Kind::Written);
    Ok(row)
}

/// A table records may be made in: not the one that only uploads fill.
fn writable(server: &Server, caller: &Caller, table: &str) -> Result<TableName, Problem> {
    server.writable()?;
    let table = caller.table(server, table, Action::Write)?;
    if table.holds_files() {
        let detail = "The table files is filled by uploads: PUT /feps/upload, or POST /feps/uploads for large files.";
        return Err(Problem::bad_request(detail));
    }
    Ok(table)
}

fn deletable(server: &Server, caller: &Caller, table: &str) -> Result<TableName, Problem> {
    server.writable()?;
    caller.table(server, table, Action::Write)
}

/// Removes a record, and the file it is about.
fn remove(db: &Connection, table: &TableName, id: &str) -> Result<Row, Problem> {
    let row = documents::remove(db, table, id)?;
    if table.holds_files()
        && let Ok(path) = id.parse::<FilePath>()
    {
        files::remove(db, table.app(), &path)?;
    }
    Ok(row)
}

/// The record in a body: under `_entity`, or the body itself.
fn entity(mut body: Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    match body.remove("_entity") {
        Some(Value::Object(fields)) => Ok(fields),
        Some(_) => Err(Problem::bad_request("_entity must be an object.")),
        None => Ok(body),
    }
}

fn filter(body: &mut Map<String, Value>) -> Result<Filter, Problem> {
    let query = body.remove("q").ok_or_else(|| Problem::bad_request("q must be a query; {} means every record."))?;
    Ok(Filter::parse(&query).map_err(documents::Error::from)?)
}

fn bounded(row: Row, limit: u64) -> Result<Row, Problem> {
    if row.doc.len() as u64 > limit {
        let detail = format!("The record would grow beyond {}.", crate::pages::bytes(limit));
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "record_too_large", detail));
    }
    Ok(row)
}

/// Refuses a change of a record that is no longer as the caller saw it.
fn unchanged(db: &Connection, table: &TableName, id: &str, condition: Option<&HeaderValue>) -> Result<(), Problem> {
    let Some(condition) = condition.filter(|condition| *condition != "*") else { return Ok(()) };
    match documents::get(db, table, id)? {
        Some(row) if etag(row.modified) == *condition => Ok(()),
        _ => Err(Problem::changed()),
    }
}

/// The record without what is only for its own app.
pub(super) fn seen_by_others(row: &Row) -> String {
    let mut map = row.to_map();
    map.remove(WHO_SEES);
    Value::Object(map).to_string()
}

fn etag(modified: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{modified}\"")).expect("digits and quotes")
}

pub(super) fn json_type() -> (header::HeaderName, HeaderValue) {
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
}

pub(super) fn no_store() -> (header::HeaderName, HeaderValue) {
    (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))
}

fn written(row: &Row) -> Response {
    answer(row, json!({}))
}

pub(super) fn answer(row: &Row, mut body: Value) -> Response {
    body["success"] = true.into();
    body["_id"] = row.id.as_str().into();
    body["_date_created"] = row.created.into();
    body["_date_modified"] = row.modified.into();
    ([(header::ETAG, etag(row.modified))], Json(body)).into_response()
}
