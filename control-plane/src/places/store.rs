//! Places in the database, and what we wrote to each.

use jiff::Timestamp;
use sqlx::FromRow;
use tenant_runtime::ids::ServerId;

use super::ident::PlaceId;
use super::schedule::{Every, Schedule};
use crate::db::{Db, Tx, on};
use crate::{Error, Result, row};

/// A place as its row has it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) id: PlaceId,
    pub(super) server: ServerId,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) address: String,
    pub(super) sealed: String,
    pub(super) schedule: Schedule,
    pub(super) next: Option<Timestamp>,
    pub(super) copied: Option<Timestamp>,
    pub(super) failed: Option<Timestamp>,
    pub(super) failures: u32,
    pub(super) last_error: Option<String>,
    pub(super) passphrase: Option<String>,
    pub(super) sealed_since: Option<Timestamp>,
    pub(super) created: Timestamp,
}

/// A file that we wrote to a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its name there.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was all there.
    pub at: Timestamp,
    /// Whether it went there by itself.
    pub scheduled: bool,
    /// Since when the passphrase that it is sealed with had been the place's; nothing where it is open.
    pub sealed_since: Option<Timestamp>,
}

type FileRow = (String, i64, i64, bool, Option<i64>);

#[derive(FromRow)]
struct Row {
    id: String,
    server_id: String,
    kind: String,
    name: String,
    address: String,
    sealed: String,
    every: String,
    weekday: i64,
    hour: i64,
    zone: String,
    keep: i64,
    next_ms: Option<i64>,
    copied_ms: Option<i64>,
    failed_ms: Option<i64>,
    failures: i64,
    last_error: Option<String>,
    passphrase: Option<String>,
    sealed_since_ms: Option<i64>,
    created_ms: i64,
}

const COLUMNS: &str = "id, server_id, kind, name, address, sealed, every, weekday, hour, zone, keep, next_ms, copied_ms, \
                       failed_ms, failures, last_error, passphrase, sealed_since_ms, created_ms";

impl Row {
    fn kept(self) -> Result<Kept> {
        let strange = |what: &str| Error::bug(format!("a place has a strange {what}"));
        let small = |number: i64, what: &str| i8::try_from(number).map_err(|_| strange(what));
        let every = Every::read(&self.every, small(self.weekday, "weekday")?).ok_or_else(|| strange("schedule"))?;
        let hour = small(self.hour, "hour")?;
        let keep = u32::try_from(self.keep).map_err(|_| strange("number of copies"))?;
        Ok(Kept {
            id: row::id(&self.id)?,
            server: row::id(&self.server_id)?,
            kind: self.kind,
            name: self.name,
            address: self.address,
            sealed: self.sealed,
            schedule: Schedule { every, hour, zone: self.zone, keep },
            next: self.next_ms.map(row::time).transpose()?,
            copied: self.copied_ms.map(row::time).transpose()?,
            failed: self.failed_ms.map(row::time).transpose()?,
            failures: u32::try_from(self.failures).map_err(|_| strange("number of failures"))?,
            last_error: self.last_error,
            passphrase: self.passphrase,
            sealed_since: self.sealed_since_ms.map(row::time).transpose()?,
            created: row::time(self.created_ms)?,
        })
    }
}

pub(super) async fn insert(tx: &mut Tx, kept: &Kept) -> Result<()> {
    on!(tx.each(), e => sqlx::query(
        "insert into place (id, server_id, kind, name, address, sealed, created_ms) values ($1, $2, $3, $4, $5, $6, $7)")
        .bind(kept.id.to_string()).bind(kept.server.to_string()).bind(&kept.kind).bind(&kept.name).bind(&kept.address)
        .bind(&kept.sealed).bind(kept.created.as_millisecond()).execute(e).await.map(drop))?;
    Ok(())
}

/// A place that was not removed.
pub(super) async fn by_id(db: &Db, id: PlaceId) -> Result<Option<Kept>> {
    let sql = format!("select {COLUMNS} from place where id = $1 and removed_ms is null");
    let row: Option<Row> = on!(db.reader(), e => sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str())).bind(id.to_string()).fetch_optional(e).await)?;
    row.map(Row::kept).transpose()
}

pub(super) async fn of_server(db: &Db, server: ServerId) -> Result<Vec<Kept>> {
    let sql =
        format!("select {COLUMNS} from place where server_id = $1 and removed_ms is null order by created_ms, id");
    let rows: Vec<Row> = on!(db.reader(), e => sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str())).bind(server.to_string()).fetch_all(e).await)?;
    rows.into_iter().map(Row::kept).collect()
}

/// Places to which a copy is to go by now, of servers that are still there.
pub(super) async fn due(db: &Db, now: Timestamp, most: i64) -> Result<Vec<Kept>> {
    let sql = format!(
        "select {COLUMNS} from place where next_ms <= $1 and removed_ms is null and every <> 'never'
             and server_id in (select id from server where desired = 'kept')
             and server_id not in (select server_id from move_out where state in ('handed', 'settled')) order by next_ms limit $2"
    );
    let rows: Vec<Row> = on!(db.reader(), e => sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str()))
        .bind(now.as_millisecond()).bind(most).fetch_all(e).await)?;
    rows.into_iter().map(Row::kept).collect()
}

pub(super) async fn rename(tx: &mut Tx, id: PlaceId, name: &str) -> Result<()> {
    on!(tx.each(), e => sqlx::query("update place set name = $1 where id = $2").bind(name).bind(id.to_string())
        .execute(e).await.map(drop))?;
    Ok(())
}

/// Forgets a place: what opened it is gone at once, and so are copies to come.
pub(super) async fn remove(tx: &mut Tx, id: PlaceId, now: Timestamp) -> Result<()> {
    on!(tx.each(), e => sqlx::query(
        "update place set removed_ms = $1, sealed = '', passphrase = null, next_ms = null, every = 'never' where id = $2")
        .bind(now.as_millisecond()).bind(id.to_string()).execute(e).await.map(drop))?;
    Ok(())
}

/// Forgets the places of servers that are gone.
pub(super) async fn remove_orphans(db: &Db, now: Timestamp) -> Result<()> {
    on!(db.writer(), e => sqlx::query(
        "update place set removed_ms = $1, sealed = '', passphrase = null, next_ms = null, every = 'never'
         where removed_ms is null and server_id in (select id from server where desired = 'erased')")
        .bind(now.as_millisecond()).execute(e).await.map(drop))?;
    Ok(())
}

pub(super) async fn set_schedule(tx: &mut Tx, id: PlaceId, schedule: &Schedule, next: Option<Timestamp>) -> Result<()> {
    let weekday = match schedule.every {
        Every::Weekly(day) => day.to_monday_one_offset(),
        Every::Never | Every::Daily => 1,
    };
    on!(tx.each(), e => sqlx::query(
        "update place set every = $1, weekday = $2, hour = $3, zone = $4, keep = $5, next_ms = $6, failures = 0 where id = $7")
        .bind(schedule.every.word()).bind(i64::from(weekday)).bind(i64::from(schedule.hour)).bind(&schedule.zone)
        .bind(i64::from(schedule.keep)).bind(next.map(|at| at.as_millisecond())).bind(id.to_string())
        .execute(e).await.map(drop))?;
    Ok(())
}

/// Puts a passphrase in place of the present one, with since when it is the place's; or none.
pub(super) async fn set_passphrase(tx: &mut Tx, id: PlaceId, set: Option<(&str, Timestamp)>) -> Result<()> {
    let (sealed, since) = set.unzip();
    on!(tx.each(), e => sqlx::query("update place set passphrase = $1, sealed_since_ms = $2 where id = $3")
        .bind(sealed).bind(since.map(|at| at.as_millisecond())).bind(id.to_string()).execute(e).await.map(drop))?;
    Ok(())
}

/// When the next copy goes there by itself.
pub(super) async fn set_next(db: &Db, id: PlaceId, next: Option<Timestamp>) -> Result<()> {
    on!(db.writer(), e => sqlx::query("update place set next_ms = $1 where id = $2 and removed_ms is null")
        .bind(next.map(|at| at.as_millisecond())).bind(id.to_string()).execute(e).await.map(drop))?;
    Ok(())
}

/// A copy is there.
pub(super) async fn note_copied(tx: &mut Tx, id: PlaceId, now: Timestamp) -> Result<()> {
    on!(tx.each(), e => sqlx::query("update place set copied_ms = $1, failures = 0, last_error = null where id = $2")
        .bind(now.as_millisecond()).bind(id.to_string()).execute(e).await.map(drop))?;
    Ok(())
}

/// A copy did not get there; a scheduled one is tried again at `next`.
pub(super) async fn note_failed(
    tx: &mut Tx,
    id: PlaceId,
    now: Timestamp,
    why: &str,
    next: Option<Timestamp>,
) -> Result<()> {
    on!(tx.each(), e => sqlx::query(
        "update place set failed_ms = $1, failures = failures + 1, last_error = $2, next_ms = coalesce($3, next_ms)
         where id = $4 and removed_ms is null")
        .bind(now.as_millisecond()).bind(why).bind(next.map(|at| at.as_millisecond())).bind(id.to_string())
        .execute(e).await.map(drop))?;
    Ok(())
}

pub(super) async fn note_file(db: &Db, id: PlaceId, file: &Written) -> Result<()> {
    on!(db.writer(), e => sqlx::query(
        "insert into place_file (place_id, name, bytes, written_ms, scheduled, sealed_since_ms)
         values ($1, $2, $3, $4, $5, $6) on conflict (place_id, name) do nothing")
        .bind(id.to_string()).bind(&file.name).bind(file.bytes.cast_signed()).bind(file.at.as_millisecond())
        .bind(file.scheduled).bind(file.sealed_since.map(|at| at.as_millisecond())).execute(e).await.map(drop))?;
    Ok(())
}

/// What we wrote there and did not delete, newest first.
pub(super) async fn files(db: &Db, id: PlaceId) -> Result<Vec<Written>> {
    let rows: Vec<FileRow> = on!(db.reader(), e => sqlx::query_as(
        "select name, bytes, written_ms, scheduled, sealed_since_ms from place_file where place_id = $1 and deleted_ms is null
         order by written_ms desc, name desc")
        .bind(id.to_string()).fetch_all(e).await)?;
    let file = |(name, bytes, at, scheduled, since): FileRow| {
        let sealed_since = since.map(row::time).transpose()?;
        Ok(Written { name, bytes: bytes.unsigned_abs(), at: row::time(at)?, scheduled, sealed_since })
    };
    rows.into_iter().map(file).collect()
}

pub(super) async fn note_deleted(db: &Db, id: PlaceId, name: &str, now: Timestamp) -> Result<()> {
    on!(db.writer(), e => sqlx::query("update place_file set deleted_ms = $1 where place_id = $2 and name = $3")
        .bind(now.as_millisecond()).bind(id.to_string()).bind(name).execute(e).await.map(drop))?;
    Ok(())
}
