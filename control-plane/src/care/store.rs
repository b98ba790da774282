//! What servers told of their data, in the database.

use std::collections::HashMap;

use jiff::Timestamp;
use tenant_runtime::admin::api::CareView;
use tenant_runtime::ids::ServerId;

use super::{Care, Sums};
use crate::db::{Db, numbered, on};
use crate::{Error, Result, row};

#[derive(sqlx::FromRow)]
struct CareRow {
    server_id: String,
    checked_ms: Option<i64>,
    objects: i64,
    bytes: i64,
    damaged: i64,
    mended: i64,
    swept_ms: Option<i64>,
    swept_objects: i64,
    swept_bytes: i64,
    refused: bool,
    noted_ms: i64,
}

impl CareRow {
    fn read(self) -> Result<(ServerId, Care)> {
        let care = Care {
            checked: self.checked_ms.map(row::time).transpose()?,
            objects: self.objects.unsigned_abs(),
            bytes: self.bytes.unsigned_abs(),
            damaged: self.damaged.unsigned_abs(),
            mended: self.mended.unsigned_abs(),
            swept: self.swept_ms.map(row::time).transpose()?,
            swept_objects: self.swept_objects.unsigned_abs(),
            swept_bytes: self.swept_bytes.unsigned_abs(),
            refused: self.refused,
            told: Some(row::time(self.noted_ms)?),
        };
        Ok((row::id(&self.server_id)?, care))
    }
}

pub(super) async fn of(db: &Db, servers: &[ServerId]) -> Result<HashMap<ServerId, Care>> {
    if servers.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = sqlx::AssertSqlSafe(format!(
        "select server_id, checked_ms, objects, bytes, damaged, mended, swept_ms, swept_objects, swept_bytes, refused, \
         noted_ms from care where noted_ms > 0 and server_id in ({})",
        numbered(1, servers.len())
    ));
    let found: Vec<CareRow> = on!(db.reader(), e => {
        let mut query = sqlx::query_as(sql);
        for server in servers {
            query = query.bind(server.to_string());
        }
        query.fetch_all(e).await
    })?;
    found.into_iter().map(CareRow::read).collect()
}

pub(super) async fn spoiled(db: &Db) -> Result<Vec<ServerId>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select server_id from care join server on server.id = server_id \
         where damaged > mended and erased_ms is null order by server_id desc limit {}",
        crate::paging::SHOWN
    ));
    let found: Vec<String> = on!(db.reader(), e => sqlx::query_scalar(sql).fetch_all(e).await)?;
    found.iter().map(|id| row::id(id)).collect()
}

pub(super) async fn sums(db: &Db) -> Result<Sums> {
    let (checked, mended): (i64, i64) = on!(db.reader(), e => sqlx::query_as(
        "select count(checked_ms), cast(coalesce(sum(mended), 0) as bigint) from care \
         join server on server.id = server_id where desired = 'kept' and erased_ms is null"
    )
    .fetch_one(e).await)?;
    let (spoiled, unmended): (i64, i64) = on!(db.reader(), e => sqlx::query_as(
        "select count(*), cast(coalesce(sum(damaged - mended), 0) as bigint) from care \
         join server on server.id = server_id where damaged > mended and erased_ms is null"
    )
    .fetch_one(e).await)?;
    Ok(Sums {
        checked: checked.unsigned_abs(),
        spoiled: spoiled.unsigned_abs(),
        unmended: unmended.unsigned_abs(),
        mended: mended.unsigned_abs(),
    })
}

/// Whether a server has told anything since `since`.
pub(crate) async fn noted_since(db: &Db, server: ServerId, since: Timestamp) -> Result<bool> {
    let noted: Option<i64> = on!(db.reader(), e => sqlx::query_scalar(
        "select noted_ms from care where server_id = $1"
    )
    .bind(server.to_string())
    .fetch_optional(e).await)?;
    Ok(noted.is_some_and(|noted| noted >= since.as_millisecond()))
}

pub(super) async fn note(db: &Db, server: ServerId, told: &CareView, now: Timestamp) -> Result<()> {
    let whole = |number: u64| i64::try_from(number).map_err(Error::bug);
    let mended = told.findings.iter().filter(|finding| finding.repaired).count();
    on!(db.writer(), e => sqlx::query(
        "insert into care (server_id, checked_ms, objects, bytes, damaged, mended, swept_ms, swept_objects, swept_bytes, \
         refused, noted_ms) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (server_id) do update set \
         checked_ms = excluded.checked_ms, objects = excluded.objects, bytes = excluded.bytes, \
         damaged = excluded.damaged, mended = excluded.mended, swept_ms = excluded.swept_ms, \
         swept_objects = excluded.swept_objects, swept_bytes = excluded.swept_bytes, refused = excluded.refused, \
         noted_ms = excluded.noted_ms"
    )
    .bind(server.to_string())
    .bind(told.checked_ms)
    .bind(whole(told.objects)?)
    .bind(whole(told.bytes)?)
    .bind(whole(told.findings.len() as u64)?)
    .bind(whole(mended as u64)?)
    .bind(told.swept_ms)
    .bind(whole(told.swept_objects)?)
    .bind(whole(told.swept_bytes)?)
    .bind(told.refused.is_some())
    .bind(now.as_millisecond())
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// The servers that were longest not checked: not since `before`, and not woken for it since `woken_before`.
pub(super) async fn unchecked(db: &Db, before: Timestamp, woken_before: Timestamp, most: u32) -> Result<Vec<ServerId>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select server.id from server left join care on care.server_id = server.id \
         where desired = 'kept' and erased_ms is null and coalesce(checked_ms, created_ms) < $1 \
         and coalesce(woken_ms, 0) < $2 order by coalesce(checked_ms, created_ms), server.id limit {most}"
    ));
    let found: Vec<String> = on!(db.reader(), e => sqlx::query_scalar(sql)
        .bind(before.as_millisecond())
        .bind(woken_before.as_millisecond())
        .fetch_all(e).await)?;
    found.iter().map(|id| row::id(id)).collect()
}

/// Notes that a server is woken for a check.
pub(super) async fn note_woken(db: &Db, server: ServerId, now: Timestamp) -> Result<()> {
    on!(db.writer(), e => sqlx::query(
        "insert into care (server_id, woken_ms) values ($1, $2) \
         on conflict (server_id) do update set woken_ms = excluded.woken_ms"
    )
    .bind(server.to_string())
    .bind(now.as_millisecond())
    .execute(e).await.map(|_| ()))?;
    Ok(())
}
