//! Drills in the database.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::FromRow;
use tenant_runtime::ids::ServerId;

use super::{Drills, Failed, Fault, Line, Now, Passed, Sums};
use crate::db::{Db, Tx, on};
use crate::paging::{Ask, Page, Select, fetch};
use crate::{Error, Result, row};

/// A server whose turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) server: ServerId,
    pub(super) passed: Option<Timestamp>,
    pub(super) failed: bool,
    /// How many groups of writes its home had seen in the last drill it passed, and when it last fell asleep.
    pub(super) seq: Option<u64>,
    pub(super) told_seq: Option<u64>,
}

type DueRow = (String, Option<i64>, Option<i64>, Option<i64>, Option<i64>);

const COLUMNS: &str = "next_ms, asked_ms, stand_in, passed_ms, documents, files, bytes, took_ms, failed_ms, fault, why";

/// A row, or nothing where a server has none yet.
#[derive(FromRow)]
struct DrillRow {
    next_ms: Option<i64>,
    asked_ms: Option<i64>,
    stand_in: Option<String>,
    passed_ms: Option<i64>,
    documents: Option<i64>,
    files: Option<i64>,
    bytes: Option<i64>,
    took_ms: Option<i64>,
    failed_ms: Option<i64>,
    fault: Option<String>,
    why: Option<String>,
}

#[derive(FromRow)]
struct LineRow {
    id: String,
    name: String,
    #[sqlx(flatten)]
    drill: DrillRow,
}

impl DrillRow {
    fn read(self) -> Result<Drills> {
        let figure = |figure: Option<i64>| figure.unwrap_or_default().unsigned_abs();
        let passed = self.passed_ms.map(row::time).transpose()?.map(|at| Passed {
            at,
            documents: figure(self.documents),
            files: figure(self.files),
            bytes: figure(self.bytes),
            took: Duration::from_millis(figure(self.took_ms)),
        });
        let failed = match self.failed_ms.map(row::time).transpose()? {
            None => None,
            Some(at) => Some(Failed { at, fault: fault(self.fault.as_deref())?, why: self.why.unwrap_or_default() }),
        };
        let now = match (&self.stand_in, self.asked_ms) {
            (Some(_), _) => Now::Running,
            (None, Some(_)) => Now::Waiting,
            (None, None) => Now::Resting,
        };
        Ok(Drills { passed, failed, now, next: self.next_ms.map(row::time).transpose()? })
    }
}

fn fault(word: Option<&str>) -> Result<Fault> {
    let known = [Fault::Archive, Fault::Provider].into_iter().find(|fault| Some(fault.word()) == word);
    known.ok_or_else(|| Error::bug(format!("a drill has the fault {word:?}")))
}

pub(super) async fn of(db: &Db, server: ServerId) -> Result<Drills> {
    let sql = sqlx::AssertSqlSafe(format!("select {COLUMNS} from drill where server_id = $1"));
    let found: Option<DrillRow> =
        on!(db.reader(), e => sqlx::query_as(sql).bind(server.to_string()).fetch_optional(e).await)?;
    found.map_or_else(|| Ok(Drills::default()), DrillRow::read)
}

/// One page of all servers that are kept, found by their name or their owner's address.
pub(super) async fn page(db: &Db, ask: &Ask) -> Result<Page<Line>> {
    let mut select = Select::by("server.id", ask);
    select.and("desired = 'kept'".to_owned());
    let only = match ask.only.as_str() {
        "failed" => "fault = 'archive'",
        "hindered" => "fault = 'provider'",
        "untested" => "passed_ms is null",
        "going" => "(stand_in is not null or asked_ms is not null)",
        _ => "1 = 1",
    };
    select.and(only.to_owned());
    if let Some(wanted) = select.wanted() {
        let owned = format!("account_id in (select id from account where {})", wanted.within("email"));
        select.any(&[wanted.within("name"), owned, wanted.is("server.id")]);
    }
    let head = &format!("select id, name, {COLUMNS} from server left join drill on server_id = server.id");
    let found: Vec<LineRow> = fetch!(select, head, db.reader())?;
    let read = |line: LineRow| Ok(Line { server: row::id(&line.id)?, name: line.name, drills: line.drill.read()? });
    select.page(found, |row| row.id.clone()).try_map(read)
}

pub(crate) async fn sums(db: &Db) -> Result<Sums> {
    let (passed, oldest): (i64, Option<i64>) = on!(db.reader(), e => sqlx::query_as(
        "select count(*), min(passed_ms) from drill where passed_ms is not null"
    )
    .fetch_one(e).await)?;
    let faults: Vec<(String, i64)> = on!(db.reader(), e => sqlx::query_as(
        "select fault, count(*) from drill where failed_ms is not null group by fault"
    )
    .fetch_all(e).await)?;
    let (running, waiting): (i64, i64) = on!(db.reader(), e => sqlx::query_as(
        "select (select count(*) from drill where stand_in is not null), \
         (select count(*) from drill where asked_ms is not null and stand_in is null)"
    )
    .fetch_one(e).await)?;
    let with = |fault: &str| -> u64 {
        faults.iter().filter(|(word, _)| word == fault).map(|(_, count)| count.unsigned_abs()).sum()
    };
    Ok(Sums {
        passed: passed.unsigned_abs(),
        failed: with("archive"),
        hindered: with("provider"),
        going: (running + waiting).unsigned_abs(),
        oldest: oldest.map(row::time).transpose()?,
    })
}

/// Writes down when a new server's first turn comes.
pub(crate) async fn expect(tx: &mut Tx, server: ServerId, first: Timestamp) -> Result<()> {
    on!(tx.each(), e => sqlx::query("insert into drill (server_id, next_ms) values ($1, $2)")
        .bind(server.to_string())
        .bind(first.as_millisecond())
        .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Forgets a server of which nothing is left. One whose drill is being done is forgotten when that ends.
pub(crate) async fn forget(db: &Db, server: ServerId) -> Result<()> {
    on!(db.writer(), e => sqlx::query(
        "delete from drill where server_id = $1 and stand_in is null \
         and exists (select 1 from server where id = $1 and erased_ms is not null)"
    )
    .bind(server.to_string())
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Notes how much a server had written when it fell asleep.
pub(crate) async fn note_told(db: &Db, server: ServerId, seq: u64) -> Result<()> {
    on!(db.writer(), e => sqlx::query(
        "update drill set told_seq = $2 where server_id = $1 and coalesce(told_seq, -1) <> $2"
    )
    .bind(server.to_string())
    .bind(whole(seq)?)
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Notes that an owner asks for one, unless it is noted.
pub(super) async fn ask(db: &Db, server: ServerId, now: Timestamp) -> Result<()> {
    on!(db.writer(), e => sqlx::query(
        "insert into drill (server_id, next_ms, asked_ms) values ($1, $2, $2) \
         on conflict (server_id) do update set asked_ms = coalesce(drill.asked_ms, excluded.asked_ms)"
    )
    .bind(server.to_string())
    .bind(now.as_millisecond())
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// The server whose owner has waited longest.
pub(super) async fn asked(db: &Db) -> Result<Option<ServerId>> {
    let found: Option<String> = on!(db.reader(), e => sqlx::query_scalar(
        "select server_id from drill join server on server.id = server_id \
         where asked_ms is not null and desired = 'kept' and \
         server_id not in (select server_id from move_out where state in ('handed', 'settled')) order by asked_ms, server_id limit 1"
    )
    .fetch_optional(e).await)?;
    found.map(|id| row::id(&id)).transpose()
}

/// Some of the servers whose turn has come, those that wait longest first.
pub(super) async fn due(db: &Db, now: Timestamp, most: u32) -> Result<Vec<Due>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select server_id, passed_ms, failed_ms, seq, told_seq from drill join server on server.id = server_id \
         where next_ms <= $1 and desired = 'kept' and \
         server_id not in (select server_id from move_out where state in ('handed', 'settled')) order by next_ms, server_id limit {most}"
    ));
    let found: Vec<DueRow> = on!(db.reader(), e => sqlx::query_as(sql).bind(now.as_millisecond()).fetch_all(e).await)?;
    let read = |(server, passed, failed, seq, told): DueRow| {
        Ok(Due {
            server: row::id(&server)?,
            passed: passed.map(row::time).transpose()?,
            failed: failed.is_some(),
            seq: seq.map(i64::unsigned_abs),
            told_seq: told.map(i64::unsigned_abs),
        })
    };
    found.into_iter().map(read).collect()
}

/// Lets a server's turn come later.
pub(super) async fn put_off(db: &Db, server: ServerId, next: Timestamp) -> Result<()> {
    on!(db.writer(), e => sqlx::query("update drill set next_ms = $2 where server_id = $1")
        .bind(server.to_string())
        .bind(next.as_millisecond())
        .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Writes down the stand-in of a drill that begins; false when the server is not there any more.
pub(super) async fn begin(db: &Db, server: ServerId, stand_in: ServerId) -> Result<bool> {
    let begun = on!(db.writer(), e => sqlx::query(
        "update drill set stand_in = $2 where server_id = $1 and stand_in is null"
    )
    .bind(server.to_string())
    .bind(stand_in.to_string())
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(begun == 1)
}

/// Servers whose drill was begun and did not end, each with its stand-in.
pub(super) async fn cut_off(db: &Db) -> Result<Vec<(ServerId, ServerId)>> {
    let found: Vec<(String, String)> = on!(db.reader(), e => sqlx::query_as(
        "select server_id, stand_in from drill where stand_in is not null"
    )
    .fetch_all(e).await)?;
    found.iter().map(|(server, stand_in)| Ok((row::id(server)?, row::id(stand_in)?))).collect()
}

/// Notes that the stand-in of a drill that was cut off is gone. Whoever asked for it waits on; a turn comes again at `next`.
pub(super) async fn clear(db: &Db, server: ServerId, next: Timestamp) -> Result<()> {
    on!(db.writer(), e => sqlx::query("update drill set stand_in = null, next_ms = $2 where server_id = $1")
        .bind(server.to_string())
        .bind(next.as_millisecond())
        .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Notes that a drill passed and its stand-in is gone.
pub(super) async fn pass(
    tx: &mut Tx,
    server: ServerId,
    passed: &Passed,
    seq: Option<u64>,
    next: Timestamp,
) -> Result<()> {
    on!(tx.each(), e => sqlx::query(
        "update drill set stand_in = null, asked_ms = null, failed_ms = null, fault = null, why = '', next_ms = $2, \
         passed_ms = $3, documents = $4, files = $5, bytes = $6, took_ms = $7, seq = $8 where server_id = $1"
    )
    .bind(server.to_string())
    .bind(next.as_millisecond())
    .bind(passed.at.as_millisecond())
    .bind(whole(passed.documents)?)
    .bind(whole(passed.files)?)
    .bind(whole(passed.bytes)?)
    .bind(i64::try_from(passed.took.as_millis()).map_err(Error::bug)?)
    .bind(seq.map(whole).transpose()?)
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Notes that a drill did not pass and its stand-in is gone. What passed before stays known.
pub(super) async fn fail(tx: &mut Tx, server: ServerId, failed: &Failed, next: Timestamp) -> Result<()> {
    on!(tx.each(), e => sqlx::query(
        "update drill set stand_in = null, asked_ms = null, next_ms = $2, failed_ms = $3, fault = $4, why = $5 \
         where server_id = $1"
    )
    .bind(server.to_string())
    .bind(next.as_millisecond())
    .bind(failed.at.as_millisecond())
    .bind(failed.fault.word())
    .bind(&failed.why)
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

fn whole(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(Error::bug)
}
