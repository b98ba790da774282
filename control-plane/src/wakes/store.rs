//! When servers want to be awake, in the database.

use std::collections::HashMap;

use tenant_runtime::ids::ServerId;

use crate::db::{Db, numbered, on};
use crate::{Result, row};

/// What a server said last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// When it wants to be awake, Unix milliseconds.
    pub due_ms: Option<i64>,
    /// How many notices its owner has not put away.
    pub notices: u64,
    /// Names this state of the row; another one when the server itself has changed it since.
    turn: i64,
}

/// The servers that want to be awake no later than `until`, the longest due first.
pub async fn due(db: &Db, until: i64, most: u32) -> Result<Vec<(ServerId, i64)>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select server_id, due_ms from wake where due_ms <= $1 order by due_ms, server_id limit {most}"
    ));
    let found: Vec<(String, i64)> = on!(db.reader(), e => sqlx::query_as(sql).bind(until).fetch_all(e).await)?;
    found.into_iter().map(|(server, due)| Ok((row::id(&server)?, due))).collect()
}

/// What some servers said last; those that want nothing are left out.
pub async fn told(db: &Db, servers: &[ServerId]) -> Result<HashMap<ServerId, Told>> {
    if servers.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = sqlx::AssertSqlSafe(format!(
        "select server_id, due_ms, notices, turn from wake where server_id in ({})",
        numbered(1, servers.len())
    ));
    let found: Vec<(String, Option<i64>, i64, i64)> = on!(db.reader(), e => {
        let mut query = sqlx::query_as(sql);
        for server in servers {
            query = query.bind(server.to_string());
        }
        query.fetch_all(e).await
    })?;
    let read = |(server, due_ms, notices, turn): (String, _, i64, _)| {
        Ok((row::id(&server)?, Told { due_ms, notices: notices.unsigned_abs(), turn }))
    };
    found.into_iter().map(read).collect()
}

/// A server itself says that it wants to be awake at a moment. What stands there and is sooner stays.
pub async fn remember(db: &Db, server: ServerId, at_ms: i64) -> Result<()> {
    let turn: i64 = rand::random::<i64>();
    on!(db.writer(), e => sqlx::query(
        "insert into wake (server_id, due_ms, turn) select id, $2, $3 from server where id = $1 \
         on conflict (server_id) do update set turn = excluded.turn, \
         due_ms = case when wake.due_ms <= excluded.due_ms then wake.due_ms else excluded.due_ms end"
    )
    .bind(server.to_string())
    .bind(at_ms)
    .bind(turn)
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Notes what a server said when it was asked, unless it has said something itself since `before` was read.
pub async fn note(
    db: &Db,
    server: ServerId,
    before: Option<Told>,
    due_ms: Option<i64>,
    notices: Option<u64>,
) -> Result<()> {
    let kept = notices.unwrap_or_else(|| before.map_or(0, |before| before.notices));
    if before.map_or((None, 0), |before| (before.due_ms, before.notices)) == (due_ms, kept) {
        return Ok(());
    }
    let (id, notices) = (server.to_string(), i64::try_from(kept).unwrap_or(i64::MAX));
    match (before, due_ms) {
        (Some(before), None) if kept == 0 => on!(db.writer(), e => sqlx::query(
            "delete from wake where server_id = $1 and turn = $2"
        )
        .bind(id)
        .bind(before.turn)
        .execute(e).await.map(|_| ()))?,
        (Some(before), due) => on!(db.writer(), e => sqlx::query(
            "update wake set due_ms = $3, notices = $4 where server_id = $1 and turn = $2"
        )
        .bind(id)
        .bind(before.turn)
        .bind(due)
        .bind(notices)
        .execute(e).await.map(|_| ()))?,
        (None, due) => on!(db.writer(), e => sqlx::query(
            "insert into wake (server_id, due_ms, notices, turn) select id, $2, $3, $4 from server where id = $1 \
             on conflict (server_id) do nothing"
        )
        .bind(id)
        .bind(due)
        .bind(notices)
        .bind(rand::random::<i64>())
        .execute(e).await.map(|_| ()))?,
    }
    Ok(())
}
