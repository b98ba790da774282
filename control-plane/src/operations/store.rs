//! Operations in the database: one row each, changed only by turns that say what they expect to find.
//!
//! Invariant: a turn is one conditional update together with the line of its history and what the activity log tells of
//! it; two workers at one operation cannot both take it.

use std::time::Duration;

use sqlx::FromRow;
use tenant_runtime::ids::ServerId;

use super::ident::OperationId;
use super::operation::{Kind, Operation, State};
use super::pace::{self, Pace};
use super::step::{self, ExportStep, ImportStep, Step};
use super::told;
use crate::db::{Db, Tx, on};
use crate::paging::{Ask, Page, Select, fetch};
use crate::places::PlaceId;
use crate::{Error, Result, row};

/// An operation as its row has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept {
    pub(super) id: OperationId,
    pub(super) server: ServerId,
    pub(super) kind: Kind,
    pub(super) state: State,
    pub(super) step: Step,
    /// An export to be fetched of which something is to be sealed with a passphrase, which no row ever holds.
    pub(super) sealed: bool,
    /// Of a copy: since when the passphrase that it is sealed with had been the place's.
    pub(super) sealed_since_ms: Option<i64>,
    pub(super) file_name: String,
    pub(super) bytes: Option<u64>,
    pub(super) received: u64,
    pub(super) progress: (u64, u64),
    pub(super) result: Option<String>,
    pub(super) error: Option<String>,
    pub(super) created_ms: i64,
    pub(super) updated_ms: i64,
    pub(super) expires_ms: Option<i64>,
    pub(super) undo_until_ms: Option<i64>,
    /// The place it goes to or comes from, and the file there once it is named.
    pub(super) place: Option<PlaceId>,
    pub(super) place_file: Option<String>,
    /// Whether it was begun by a schedule.
    pub(super) scheduled: bool,
    /// The name of an upload in parts, as the place gave it.
    pub(super) upload: Option<String>,
    /// Since when nothing got on.
    pub(super) stuck_ms: Option<i64>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    server_id: String,
    kind: String,
    state: String,
    step: String,
    sealed: bool,
    sealed_since_ms: Option<i64>,
    file_name: String,
    bytes: Option<i64>,
    received: i64,
    done: i64,
    total: i64,
    result: Option<String>,
    error: Option<String>,
    created_ms: i64,
    updated_ms: i64,
    expires_ms: Option<i64>,
    undo_until_ms: Option<i64>,
    place_id: Option<String>,
    place_file: Option<String>,
    scheduled: bool,
    upload: Option<String>,
    stuck_ms: Option<i64>,
}

const COLUMNS: &str = "id, server_id, kind, state, step, sealed, sealed_since_ms, file_name, bytes, received, done, total, \
                       result, error, created_ms, updated_ms, expires_ms, undo_until_ms, place_id, place_file, \
                       scheduled, upload, stuck_ms";

impl Row {
    fn kept(self) -> Result<Kept> {
        let strange = |what: &str, word: &str| Error::bug(format!("an operation has the {what} {word:?}"));
        let kind = Kind::read(&self.kind).ok_or_else(|| strange("kind", &self.kind))?;
        Ok(Kept {
            id: row::id(&self.id)?,
            server: row::id(&self.server_id)?,
            kind,
            state: State::read(&self.state).ok_or_else(|| strange("state", &self.state))?,
            step: Step::read(kind, &self.step).ok_or_else(|| strange("step", &self.step))?,
            sealed: self.sealed,
            sealed_since_ms: self.sealed_since_ms,
            file_name: self.file_name,
            bytes: self.bytes.map(i64::unsigned_abs),
            received: self.received.unsigned_abs(),
            progress: (self.done.unsigned_abs(), self.total.unsigned_abs()),
            result: self.result,
            error: self.error,
            created_ms: self.created_ms,
            updated_ms: self.updated_ms,
            expires_ms: self.expires_ms,
            undo_until_ms: self.undo_until_ms,
            place: self.place_id.as_deref().map(row::id).transpose()?,
            place_file: self.place_file,
            scheduled: self.scheduled,
            upload: self.upload,
            stuck_ms: self.stuck_ms,
        })
    }
}

impl Kept {
    /// An operation that was asked for now.
    pub(super) fn new(server: ServerId, step: Step, now_ms: i64) -> Self {
        let (kind, state) = match step {
            Step::Export(_) => (Kind::Export, State::Running),
            Step::Import(_) => (Kind::Import, State::Waiting),
        };
        Self {
            id: OperationId::new(now_ms),
            server,
            kind,
            state,
            step,
            sealed: false,
            sealed_since_ms: None,
            file_name: String::new(),
            bytes: None,
            received: 0,
            progress: (0, 0),
            result: None,
            error: None,
            created_ms: now_ms,
            updated_ms: now_ms,
            expires_ms: None,
            undo_until_ms: None,
            place: None,
            place_file: None,
            scheduled: false,
            upload: None,
            stuck_ms: None,
        }
    }

    /// Ready to be shown.
    pub(super) fn view(self) -> Result<Operation> {
        let result = self.result.as_deref();
        let export = result.filter(|_| self.kind == Kind::Export).map(row::json).transpose()?;
        let report = result.filter(|_| self.kind == Kind::Import).map(row::json).transpose()?;
        Ok(Operation {
            steps: step::views(self.step, self.place.is_some(), self.state, self.progress, self.error.as_deref()),
            id: self.id,
            server: self.server,
            kind: self.kind,
            state: self.state,
            bytes: self.bytes,
            received: self.received,
            file_name: self.file_name,
            export,
            report,
            error: self.error,
            created_ms: self.created_ms,
            updated_ms: self.updated_ms,
            expires_ms: self.expires_ms,
            undo_until_ms: self.undo_until_ms,
            place: self.place,
            scheduled: self.scheduled,
            sealed_since: self.sealed_since_ms.map(row::time).transpose()?,
        })
    }
}

pub(super) async fn by_id(db: &Db, id: OperationId) -> Result<Option<Kept>> {
    let sql = format!("select {COLUMNS} from operation where id = $1");
    let row: Option<Row> = on!(db.reader(), e => sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str())).bind(id.to_string()).fetch_optional(e).await)?;
    row.map(Row::kept).transpose()
}

pub(super) async fn of_server(db: &Db, server: ServerId) -> Result<Vec<Kept>> {
    let sql = format!("select {COLUMNS} from operation where server_id = $1 order by created_ms desc, id desc");
    let rows: Vec<Row> = on!(db.reader(), e => sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str())).bind(server.to_string()).fetch_all(e).await)?;
    rows.into_iter().map(Row::kept).collect()
}

/// One page of all operations, found by the name of their server.
pub(super) async fn page(db: &Db, ask: &Ask) -> Result<Page<Kept>> {
    let mut select = Select::by("id", ask);
    select.only("state");
    if let Some(wanted) = select.wanted() {
        let of = format!("server_id in (select id from server where {})", wanted.within("name"));
        select.any(&[of, wanted.is("kind"), wanted.is("server_id"), wanted.is("id")]);
    }
    let head = format!("select {COLUMNS} from operation");
    let rows: Vec<Row> = fetch!(select, &head, db.reader())?;
    select.page(rows, |row| row.id.clone()).try_map(Row::kept)
}

/// The newest of those that are not over, and how many operations there are in each state.
pub(super) async fn going(db: &Db) -> Result<(Vec<Kept>, Vec<(String, i64)>)> {
    let sql = format!(
        "select {COLUMNS} from operation where state in ('running', 'waiting') order by id desc limit {}",
        crate::paging::SHOWN
    );
    let rows: Vec<Row> = on!(db.reader(), e => sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str())).fetch_all(e).await)?;
    let counts = on!(db.reader(), e =>
        sqlx::query_as("select state, count(*) from operation group by state").fetch_all(e).await)?;
    Ok((rows.into_iter().map(Row::kept).collect::<Result<_>>()?, counts))
}

/// Operations that go on by themselves.
pub(super) async fn running(db: &Db) -> Result<Vec<OperationId>> {
    let ids: Vec<(String,)> = on!(db.reader(), e =>
        sqlx::query_as("select id from operation where state = 'running' order by created_ms").fetch_all(e).await)?;
    ids.iter().map(|(id,)| row::id(id)).collect()
}

/// Operations whose archive or upload nobody came for in time.
pub(super) async fn expired(db: &Db, now_ms: i64) -> Result<Vec<Kept>> {
    let sql = format!("select {COLUMNS} from operation where state in ('waiting', 'ready') and expires_ms < $1");
    let rows: Vec<Row> =
        on!(db.reader(), e => sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str())).bind(now_ms).fetch_all(e).await)?;
    rows.into_iter().map(Row::kept).collect()
}

/// Writes a new operation down, unless the server has one of the same kind under way, which is the answer then. Copies
/// to different places are not in each other's way.
pub(super) async fn insert(db: &Db, new: &Kept) -> Result<Option<Kept>> {
    let mut tx = db.begin().await?;
    // The server's row is held, so that two clicks at once cannot both find nothing under way.
    on!(tx.each(), e => sqlx::query("update server set name = name where id = $1").bind(new.server.to_string()).execute(e).await.map(drop))?;
    let sql = format!(
        "select {COLUMNS} from operation where server_id = $1 and kind = $2 and state in ('running', 'waiting')
             and (kind = 'import' or coalesce(place_id, '') = $3) limit 1"
    );
    let there: Option<Row> = on!(tx.each(), e => sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str()))
        .bind(new.server.to_string()).bind(new.kind.word()).bind(new.place.map(|place| place.to_string()).unwrap_or_default())
        .fetch_optional(e).await)?;
    if let Some(there) = there {
        return there.kept().map(Some);
    }
    on!(tx.each(), e => sqlx::query(
        "insert into operation (id, server_id, kind, state, step, sealed, bytes, created_ms, updated_ms, expires_ms,
             place_id, place_file, scheduled)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11, $12)")
        .bind(new.id.to_string()).bind(new.server.to_string()).bind(new.kind.word()).bind(new.state.word())
        .bind(new.step.word()).bind(new.sealed).bind(new.bytes.map(u64::cast_signed)).bind(new.created_ms)
        .bind(new.expires_ms).bind(new.place.map(|place| place.to_string())).bind(&new.place_file).bind(new.scheduled)
        .execute(e).await.map(drop))?;
    note(&mut tx, new, None, new.created_ms).await?;
    told::begun(new).of_server(&mut tx, new.server, row::time(new.created_ms)?).await?;
    tx.commit().await?;
    Ok(None)
}

/// How the last imports that ended well went, from their owner's yes.
pub(super) async fn pace(db: &Db) -> Result<Pace> {
    let sql = format!(
        "select result, (select min(at_ms) from operation_turn where operation_id = id and step = '{}'),
             (select min(at_ms) from operation_turn where operation_id = id and operation_turn.state = 'done')
         from operation where state in ('done', 'undone') and kind = 'import' and result is not null
         order by id desc limit {}",
        ImportStep::Stage.word(),
        pace::LOOKED_AT
    );
    let found: Vec<(String, Option<i64>, Option<i64>)> =
        on!(db.reader(), e => sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(e).await)?;
    let mut pace = Pace::default();
    for (report, begun, done) in found {
        // A report of another release that cannot be read says nothing, and hinders nobody.
        if let (Some(begun), Some(done), Ok(report)) = (begun, done, row::json(&report)) {
            pace.note(&report, Duration::from_millis((done - begun).max(0).unsigned_abs()));
        }
    }
    Ok(pace)
}

/// One turn: from what `before` was to what `after` is, in `tx`. False when somebody else has turned it already.
pub(super) async fn turn(tx: &mut Tx, before: &Kept, after: &Kept, now_ms: i64) -> Result<bool> {
    let turned = on!(tx.each(), e => sqlx::query(
        "update operation set state = $1, step = $2, file_name = $3, bytes = $4, received = $5, done = $6, total = $7,
             result = $8, error = $9, updated_ms = $10, expires_ms = $11, undo_until_ms = $12
         where id = $13 and state = $14 and step = $15")
        .bind(after.state.word()).bind(after.step.word()).bind(&after.file_name).bind(after.bytes.map(u64::cast_signed))
        .bind(after.received.cast_signed()).bind(after.progress.0.cast_signed()).bind(after.progress.1.cast_signed())
        .bind(&after.result).bind(&after.error).bind(now_ms).bind(after.expires_ms).bind(after.undo_until_ms)
        .bind(before.id.to_string()).bind(before.state.word()).bind(before.step.word())
        .execute(e).await.map(|done| done.rows_affected()))?;
    if turned == 1 {
        note(tx, after, after.error.as_deref(), now_ms).await?;
        if let Some(told) = told::turned(before, after, now_ms) {
            told.of_server(tx, after.server, row::time(now_ms)?).await?;
        }
    }
    Ok(turned == 1)
}

/// How far the present step has come; says nothing new about which step that is.
pub(super) async fn progress(db: &Db, kept: &Kept, now_ms: i64) -> Result<()> {
    on!(db.writer(), e => sqlx::query(
        "update operation set received = $1, done = $2, total = $3, error = $4, updated_ms = $5, expires_ms = $6, stuck_ms = $7
         where id = $8 and state = $9 and step = $10")
        .bind(kept.received.cast_signed()).bind(kept.progress.0.cast_signed()).bind(kept.progress.1.cast_signed())
        .bind(&kept.error).bind(now_ms).bind(kept.expires_ms).bind(kept.stuck_ms).bind(kept.id.to_string()).bind(kept.state.word())
        .bind(kept.step.word()).execute(e).await.map(drop))?;
    Ok(())
}

/// Names the file that a copy becomes, once.
pub(super) async fn name_file(db: &Db, id: OperationId, name: &str) -> Result<()> {
    on!(db.writer(), e => sqlx::query("update operation set place_file = $1 where id = $2 and place_file is null")
        .bind(name).bind(id.to_string()).execute(e).await.map(drop))?;
    Ok(())
}

/// Notes which passphrase of its place a copy is about to be sealed with, if any.
pub(super) async fn note_sealing(db: &Db, id: OperationId, since_ms: Option<i64>) -> Result<()> {
    on!(db.writer(), e => sqlx::query("update operation set sealed_since_ms = $1 where id = $2")
        .bind(since_ms).bind(id.to_string()).execute(e).await.map(drop))?;
    Ok(())
}

/// Notes the upload in parts that a copy has begun.
pub(super) async fn begin_upload(db: &Db, id: OperationId, upload: &str) -> Result<()> {
    on!(db.writer(), e => sqlx::query("update operation set upload = $1 where id = $2")
        .bind(upload).bind(id.to_string()).execute(e).await.map(drop))?;
    Ok(())
}

/// Forgets an upload in parts and all parts of it.
pub(super) async fn forget_upload(db: &Db, id: OperationId) -> Result<()> {
    let mut tx = db.begin().await?;
    on!(tx.each(), e => sqlx::query("delete from operation_part where operation_id = $1").bind(id.to_string()).execute(e).await.map(drop))?;
    on!(tx.each(), e => sqlx::query("update operation set upload = null where id = $1").bind(id.to_string()).execute(e).await.map(drop))?;
    tx.commit().await?;
    Ok(())
}

/// Notes a part that is there.
pub(super) async fn note_part(db: &Db, id: OperationId, part: u64, tag: &str) -> Result<()> {
    on!(db.writer(), e => sqlx::query(
        "insert into operation_part (operation_id, part, tag) values ($1, $2, $3)
         on conflict (operation_id, part) do update set tag = excluded.tag")
        .bind(id.to_string()).bind(part.cast_signed()).bind(tag).execute(e).await.map(drop))?;
    Ok(())
}

/// The tags of the parts that are there, from the first on without a gap.
pub(super) async fn parts(db: &Db, id: OperationId) -> Result<Vec<String>> {
    let parts: Vec<(i64, String)> = on!(db.reader(), e => sqlx::query_as(
        "select part, tag from operation_part where operation_id = $1 order by part").bind(id.to_string()).fetch_all(e).await)?;
    let whole = parts.into_iter().enumerate().take_while(|(n, (part, _))| *n as i64 == *part);
    Ok(whole.map(|(_, (_, tag))| tag).collect())
}

async fn note(tx: &mut Tx, kept: &Kept, error: Option<&str>, now_ms: i64) -> Result<()> {
    on!(tx.each(), e => sqlx::query(
        "insert into operation_turn (operation_id, at_ms, state, step, error) values ($1, $2, $3, $4, $5)")
        .bind(kept.id.to_string()).bind(now_ms).bind(kept.state.word()).bind(kept.step.word()).bind(error)
        .execute(e).await.map(drop))?;
    Ok(())
}

/// The first step of an export.
pub(super) const FREEZE: Step = Step::Export(ExportStep::Freeze);
/// The first step of an import.
pub(super) const UPLOAD: Step = Step::Import(ImportStep::Upload);
