//! Usage in the database.

use jiff::Timestamp;
use tenant_runtime::ids::ServerId;

use super::usage::{DAY_S, HOUR_S, Used};
use crate::db::{Db, Tx, numbered, on};
use crate::{Error, Result, row};

/// What a source shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) server: ServerId,
    pub(super) source: String,
    pub(super) figures: Figures,
}

/// Figures that only grow; none where they could not be read this time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) cpu_us: Option<u64>,
    pub(super) awake_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
struct Seen {
    received: i64,
    sent: i64,
    cpu_us: i64,
    awake_ms: i64,
    seen_ms: i64,
}

/// How much a server keeps, and up to when that is in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) server: ServerId,
    pub(super) bytes: u64,
    since_s: i64,
    erased_s: Option<i64>,
}

/// A source that shows the same for so long is noted anew, so that it is not taken for one that is gone.
const STILL_MS: i64 = DAY_S * 1000;
/// A source that has not been seen for so long is gone.
const GONE_MS: i64 = 30 * DAY_S * 1000;
/// Hours older than this are folded into days.
const FOLDED_AFTER_H: i64 = 62 * 24;

/// Counts what has been added since each source was seen last.
pub(super) async fn count(db: &Db, readings: &[Reading], now: Timestamp) -> Result<()> {
    let mut tx = db.begin().await?;
    let (now_ms, hour) = (now.as_millisecond(), now.as_second().div_euclid(HOUR_S));
    for reading in readings {
        let before = seen(db, &mut tx, &reading.source).await?;
        let after = reading.after(before.unwrap_or_default(), now_ms)?;
        if let Some(before) = before
            && after == (Seen { seen_ms: after.seen_ms, ..before })
            && now_ms - before.seen_ms < STILL_MS
        {
            continue;
        }
        on!(tx.each(), e => sqlx::query(
            "insert into usage_source (source, server_id, received, sent, cpu_us, awake_ms, seen_ms) \
             values ($1, $2, $3, $4, $5, $6, $7) on conflict (source) do update set received = excluded.received, \
             sent = excluded.sent, cpu_us = excluded.cpu_us, awake_ms = excluded.awake_ms, seen_ms = excluded.seen_ms"
        )
        .bind(&reading.source)
        .bind(reading.server.to_string())
        .bind(after.received)
        .bind(after.sent)
        .bind(after.cpu_us)
        .bind(after.awake_ms)
        .bind(after.seen_ms)
        .execute(e).await.map(|_| ()))?;
        add(&mut tx, reading.server, hour, after.beyond(before.unwrap_or_default())).await?;
    }
    Ok(tx.commit().await?)
}

/// Notes how much a server keeps from now on, and sums up what it kept until now.
pub(super) async fn note_stored(db: &Db, server: ServerId, bytes: u64, now: Timestamp) -> Result<()> {
    let mut tx = db.begin().await?;
    let before: Option<(i64, i64)> = on!(tx.each(), e => sqlx::query_as(locked(db,
        "select bytes, since_s from usage_stored where server_id = $1",
        "select bytes, since_s from usage_stored where server_id = $1 for update"
    ))
    .bind(server.to_string())
    .fetch_optional(e).await)?;
    let mut since_s = now.as_second();
    if let Some((kept, since)) = before {
        // A clock that was set back must not count the same time twice.
        since_s = since_s.max(since);
        for (hour, seconds) in pieces(since, since_s, HOUR_S) {
            add(&mut tx, server, hour, Used { stored_byte_seconds: product(kept, seconds), ..Used::default() }).await?;
        }
    }
    on!(tx.each(), e => sqlx::query(
        "insert into usage_stored (server_id, bytes, since_s) values ($1, $2, $3) \
         on conflict (server_id) do update set bytes = excluded.bytes, since_s = excluded.since_s"
    )
    .bind(server.to_string())
    .bind(whole(bytes)?)
    .bind(since_s)
    .execute(e).await.map(|_| ()))?;
    Ok(tx.commit().await?)
}

/// Folds old hours into days and forgets sources that are gone.
pub(super) async fn fold(db: &Db, now: Timestamp) -> Result<()> {
    let mut tx = db.begin().await?;
    if matches!(db, Db::Postgres(_)) {
        // Between adding up and removing nobody may count on; SQLite has one writer anyway.
        on!(tx.each(), e => sqlx::query("lock table usage_hour in share row exclusive mode").execute(e).await.map(|_| ()))?;
    }
    let oldest = now.as_second().div_euclid(DAY_S) * 24 - FOLDED_AFTER_H;
    on!(tx.each(), e => sqlx::query(
        "insert into usage_day (server_id, day, received, sent, cpu_us, awake_ms, stored_byte_s) \
         select server_id, hour / 24, cast(sum(received) as bigint), cast(sum(sent) as bigint), \
         cast(sum(cpu_us) as bigint), cast(sum(awake_ms) as bigint), cast(sum(stored_byte_s) as bigint) \
         from usage_hour where hour < $1 group by server_id, hour / 24 \
         on conflict (server_id, day) do update set received = usage_day.received + excluded.received, \
         sent = usage_day.sent + excluded.sent, cpu_us = usage_day.cpu_us + excluded.cpu_us, \
         awake_ms = usage_day.awake_ms + excluded.awake_ms, \
         stored_byte_s = usage_day.stored_byte_s + excluded.stored_byte_s"
    )
    .bind(oldest)
    .execute(e).await.map(|_| ()))?;
    on!(tx.each(), e => sqlx::query("delete from usage_hour where hour < $1")
        .bind(oldest)
        .execute(e).await.map(|_| ()))?;
    on!(tx.each(), e => sqlx::query("delete from usage_source where seen_ms < $1")
        .bind(now.as_millisecond() - GONE_MS)
        .execute(e).await.map(|_| ()))?;
    Ok(tx.commit().await?)
}

/// What a server used, by days since 1970; a day may come in several parts.
pub(super) async fn days(db: &Db, server: ServerId, (from, to): (i64, i64)) -> Result<Vec<(i64, Used)>> {
    let found: Vec<(i64, i64, i64, i64, i64, i64)> = on!(db.reader(), e => sqlx::query_as(
        "select hour / 24, received, sent, cpu_us, awake_ms, stored_byte_s from usage_hour \
         where server_id = $1 and hour >= $2 * 24 and hour < $3 * 24 \
         union all select day, received, sent, cpu_us, awake_ms, stored_byte_s from usage_day \
         where server_id = $1 and day >= $2 and day < $3"
    )
    .bind(server.to_string())
    .bind(from)
    .bind(to)
    .fetch_all(e).await)?;
    Ok(found
        .into_iter()
        .map(|(day, received, sent, cpu, awake, stored)| (day, used([received, sent, cpu, awake, stored])))
        .collect())
}

/// What some servers used between two days; a server may come in several parts.
pub(super) async fn totals(db: &Db, servers: &[ServerId], (from, to): (i64, i64)) -> Result<Vec<(ServerId, Used)>> {
    if servers.is_empty() {
        return Ok(Vec::new());
    }
    let among = numbered(3, servers.len());
    let sql = sqlx::AssertSqlSafe(format!(
        "select server_id, {SUMS} from usage_hour where hour >= $1 * 24 and hour < $2 * 24 and server_id in ({among}) \
         group by server_id union all \
         select server_id, {SUMS} from usage_day where day >= $1 and day < $2 and server_id in ({among}) \
         group by server_id"
    ));
    let found: Vec<(String, i64, i64, i64, i64, i64)> = on!(db.reader(), e => {
        let mut query = sqlx::query_as(sql).bind(from).bind(to);
        for server in servers {
            query = query.bind(server.to_string());
        }
        query.fetch_all(e).await
    })?;
    let read = |(server, received, sent, cpu, awake, stored): (String, _, _, _, _, _)| {
        Ok((row::id(&server)?, used([received, sent, cpu, awake, stored])))
    };
    found.into_iter().map(read).collect()
}

const SUMS: &str = "cast(coalesce(sum(received), 0) as bigint), cast(coalesce(sum(sent), 0) as bigint), \
     cast(coalesce(sum(cpu_us), 0) as bigint), cast(coalesce(sum(awake_ms), 0) as bigint), \
     cast(coalesce(sum(stored_byte_s), 0) as bigint)";

/// What all servers used between two days, without what has been kept since the books were last written.
pub(super) async fn total(db: &Db, (from, to): (i64, i64)) -> Result<Used> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select {SUMS} from usage_hour where hour >= $1 * 24 and hour < $2 * 24 union all \
         select {SUMS} from usage_day where day >= $1 and day < $2"
    ));
    let found: Vec<(i64, i64, i64, i64, i64)> =
        on!(db.reader(), e => sqlx::query_as(sql).bind(from).bind(to).fetch_all(e).await)?;
    let used = found.into_iter().map(|(received, sent, cpu, awake, stored)| used([received, sent, cpu, awake, stored]));
    Ok(used.fold(Used::default(), Used::and))
}

/// How much all servers keep, and what has been kept between two days since the books were last written, in
/// byte-seconds. That sum may be larger than a whole number can hold, so it is a fraction and right to fifteen digits.
pub(super) async fn stored_in_all(db: &Db, (from, to): (i64, i64), now_s: i64) -> Result<(u64, u64)> {
    let (bytes, byte_seconds): (i64, f64) = on!(db.reader(), e => sqlx::query_as(
        "select cast(coalesce(sum(case when erased_ms is null then bytes else 0 end), 0) as bigint), \
         coalesce(sum(cast(bytes as double precision) * case when until_s > from_s then until_s - from_s else 0 end), \
         cast(0 as double precision)) from (select bytes, erased_ms, \
         case when since_s > $1 then since_s else $1 end as from_s, \
         case when erased_ms is not null and erased_ms / 1000 < $2 then erased_ms / 1000 else $2 end as until_s \
         from usage_stored join server on server.id = server_id) as kept"
    )
    .bind(from * DAY_S)
    .bind(now_s.min(to * DAY_S))
    .fetch_one(e).await)?;
    Ok((bytes.unsigned_abs(), byte_seconds.max(0.0) as u64))
}

/// How much some servers keep.
pub(super) async fn stored(db: &Db, servers: &[ServerId]) -> Result<Vec<Stored>> {
    if servers.is_empty() {
        return Ok(Vec::new());
    }
    let sql = sqlx::AssertSqlSafe(format!(
        "select server_id, bytes, since_s, erased_ms from usage_stored join server on server.id = server_id \
         where server_id in ({})",
        numbered(1, servers.len())
    ));
    let found: Vec<(String, i64, i64, Option<i64>)> = on!(db.reader(), e => {
        let mut query = sqlx::query_as(sql);
        for server in servers {
            query = query.bind(server.to_string());
        }
        query.fetch_all(e).await
    })?;
    let read = |(server, bytes, since_s, erased_ms): (String, i64, i64, Option<i64>)| {
        let erased_s = erased_ms.map(|ms| ms.div_euclid(1000));
        Ok(Stored { server: row::id(&server)?, bytes: bytes.unsigned_abs(), since_s, erased_s })
    };
    found.into_iter().map(read).collect()
}

impl Stored {
    /// What is not in the books yet, by days between two days.
    pub(super) fn since_then(&self, (from, to): (i64, i64), now_s: i64) -> Vec<(i64, u64)> {
        let until = self.erased_s.unwrap_or(now_s).min(now_s).min(to * DAY_S);
        let pieces = pieces(self.since_s.max(from * DAY_S), until, DAY_S);
        pieces.map(|(day, seconds)| (day, self.bytes.saturating_mul(seconds.unsigned_abs()))).collect()
    }
}

impl Reading {
    fn after(&self, before: Seen, now_ms: i64) -> Result<Seen> {
        let cpu_us = self.figures.cpu_us.map_or(Ok(before.cpu_us), whole)?;
        Ok(Seen {
            received: whole(self.figures.received)?.max(before.received),
            sent: whole(self.figures.sent)?.max(before.sent),
            cpu_us: cpu_us.max(before.cpu_us),
            awake_ms: whole(self.figures.awake_ms)?.max(before.awake_ms),
            seen_ms: now_ms,
        })
    }
}

impl Seen {
    fn beyond(self, before: Self) -> Used {
        used([
            self.received - before.received,
            self.sent - before.sent,
            self.cpu_us - before.cpu_us,
            self.awake_ms - before.awake_ms,
            0,
        ])
    }
}

async fn seen(db: &Db, tx: &mut Tx, source: &str) -> Result<Option<Seen>> {
    Ok(on!(tx.each(), e => sqlx::query_as(locked(db,
        "select received, sent, cpu_us, awake_ms, seen_ms from usage_source where source = $1",
        "select received, sent, cpu_us, awake_ms, seen_ms from usage_source where source = $1 for update"
    ))
    .bind(source)
    .fetch_optional(e).await)?)
}

async fn add(tx: &mut Tx, server: ServerId, hour: i64, used: Used) -> Result<()> {
    if used == Used::default() {
        return Ok(());
    }
    on!(tx.each(), e => sqlx::query(
        "insert into usage_hour (server_id, hour, received, sent, cpu_us, awake_ms, stored_byte_s) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (server_id, hour) do update set \
         received = usage_hour.received + excluded.received, sent = usage_hour.sent + excluded.sent, \
         cpu_us = usage_hour.cpu_us + excluded.cpu_us, awake_ms = usage_hour.awake_ms + excluded.awake_ms, \
         stored_byte_s = usage_hour.stored_byte_s + excluded.stored_byte_s"
    )
    .bind(server.to_string())
    .bind(hour)
    .bind(whole(used.bytes_in)?)
    .bind(whole(used.bytes_out)?)
    .bind(whole(used.cpu_us)?)
    .bind(whole(used.awake_ms)?)
    .bind(whole(used.stored_byte_seconds)?)
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// SQLite's transactions exclude one another as a whole; PostgreSQL's lock the row they will change.
fn locked(db: &Db, sqlite: &'static str, postgres: &'static str) -> &'static str {
    match db {
        Db::Sqlite { .. } => sqlite,
        Db::Postgres(_) => postgres,
    }
}

/// The spans of `length` seconds that the time from `from` to `to` touches, each with how much of it.
fn pieces(from: i64, to: i64, length: i64) -> impl Iterator<Item = (i64, i64)> {
    let mut at = from;
    std::iter::from_fn(move || {
        let number = at.div_euclid(length);
        let end = to.min((number + 1) * length);
        let piece = (at < end).then_some((number, end - at));
        at = end;
        piece
    })
}

fn product(bytes: i64, seconds: i64) -> u64 {
    bytes.unsigned_abs().saturating_mul(seconds.unsigned_abs()).min(i64::MAX.unsigned_abs())
}

fn whole(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(Error::bug)
}

fn used([received, sent, cpu_us, awake_ms, stored]: [i64; 5]) -> Used {
    Used {
        bytes_in: received.unsigned_abs(),
        bytes_out: sent.unsigned_abs(),
        cpu_us: cpu_us.unsigned_abs(),
        awake_ms: awake_ms.unsigned_abs(),
        stored_byte_seconds: stored.unsigned_abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_cut_at_every_turn_and_nothing_is_left_over() {
        assert_eq!(pieces(3590, 7205, HOUR_S).collect::<Vec<_>>(), [(0, 10), (1, 3600), (2, 5)]);
        assert_eq!(pieces(10, 10, HOUR_S).count(), 0);
        assert_eq!(pieces(10, 3, HOUR_S).count(), 0);
    }
}
