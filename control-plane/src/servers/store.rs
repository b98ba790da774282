//! Servers in the database.

use std::collections::HashSet;

use infra::hosts::HostId;
use jiff::Timestamp;
use tenant_runtime::ids::{Generation, ServerId};

use super::{Desired, ServerName};
use crate::db::{Db, Tx, numbered, on};
use crate::paging::{Ask, Page, Select, fetch};
use crate::{AccountId, Error, Result, row};

/// A server as its row has it.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) id: ServerId,
    pub(crate) account: AccountId,
    pub(crate) name: ServerName,
    pub(crate) desired: Desired,
    pub(crate) desired_since: Timestamp,
    pub(crate) generation: Generation,
    pub(crate) host: Option<HostId>,
    pub(crate) created: Timestamp,
    pub(crate) erased: Option<Timestamp>,
    /// What its owner is called.
    pub(crate) owner: String,
    /// Where its owner is written to.
    pub(crate) email: String,
}

#[derive(sqlx::FromRow)]
struct ServerRow {
    id: String,
    account_id: String,
    name: String,
    desired: String,
    desired_ms: i64,
    generation: i64,
    host_id: Option<String>,
    created_ms: i64,
    erased_ms: Option<i64>,
    display_name: String,
    email: String,
}

impl TryFrom<ServerRow> for Kept {
    type Error = Error;

    fn try_from(found: ServerRow) -> Result<Self> {
        Ok(Self {
            id: row::id(&found.id)?,
            account: row::id(&found.account_id)?,
            name: row::id(&found.name)?,
            desired: row::id(&found.desired)?,
            desired_since: row::time(found.desired_ms)?,
            generation: Generation(u64::try_from(found.generation).map_err(Error::bug)?),
            host: found.host_id.as_deref().map(row::id).transpose()?,
            created: row::time(found.created_ms)?,
            erased: found.erased_ms.map(row::time).transpose()?,
            owner: found.display_name,
            email: found.email,
        })
    }
}

const COLUMNS: &str = "select server.id, account_id, name, desired, desired_ms, generation, host_id, server.created_ms, \
     erased_ms, display_name, email from server join account on account.id = server.account_id";

pub(crate) async fn by_id(db: &Db, id: ServerId) -> Result<Option<Kept>> {
    Ok(by_ids(db, &[id]).await?.pop())
}

/// Some servers, the newest first.
pub(crate) async fn by_ids(db: &Db, ids: &[ServerId]) -> Result<Vec<Kept>> {
    let ids: Vec<_> = ids.iter().map(ServerId::to_string).collect();
    among(db, "server.id", &ids, "order by server.id desc").await
}

/// The servers of some accounts, oldest first.
pub(crate) async fn of_accounts(db: &Db, accounts: &[AccountId]) -> Result<Vec<Kept>> {
    let accounts: Vec<_> = accounts.iter().map(AccountId::to_string).collect();
    among(db, "account_id", &accounts, "order by server.created_ms, server.id").await
}

async fn among(db: &Db, column: &str, values: &[String], order: &str) -> Result<Vec<Kept>> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} where {column} in ({}) {order}", numbered(1, values.len())));
    let found: Vec<ServerRow> = on!(db.reader(), e => {
        let mut query = sqlx::query_as(sql);
        for value in values {
            query = query.bind(value.as_str());
        }
        query.fetch_all(e).await
    })?;
    found.into_iter().map(Kept::try_from).collect()
}

/// Some of all servers that are not erased, in the order of their ids: those behind `after`.
pub(crate) async fn behind(db: &Db, after: Option<ServerId>, limit: usize) -> Result<Vec<Kept>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "{COLUMNS} where server.id > $1 and erased_ms is null order by server.id limit {limit}"
    ));
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let found: Vec<ServerRow> = on!(db.reader(), e => sqlx::query_as(sql).bind(after).fetch_all(e).await)?;
    found.into_iter().map(Kept::try_from).collect()
}

/// One page of all servers, found by their name or their owner's address.
pub(super) async fn page(db: &Db, ask: &Ask) -> Result<Page<Kept>> {
    let mut select = Select::by("server.id", ask);
    if let Some(wanted) = select.wanted() {
        let owned = format!("account_id in (select id from account where {})", wanted.within("email"));
        select.any(&[wanted.within("name"), owned, wanted.is("server.id")]);
    }
    let found: Vec<ServerRow> = fetch!(select, COLUMNS, db.reader())?;
    select.page(found, |row| row.id.clone()).try_map(Kept::try_from)
}

/// How many servers are wanted, and those that are wished gone and are not yet.
pub(super) async fn wanted(db: &Db) -> Result<(u64, Vec<ServerId>)> {
    let kept: i64 = on!(db.reader(), e => sqlx::query_scalar(
        "select count(*) from server where desired = 'kept' and erased_ms is null"
    )
    .fetch_one(e).await)?;
    let going: Vec<String> = on!(db.reader(), e => sqlx::query_scalar(
        "select id from server where desired = 'erased' and erased_ms is null"
    )
    .fetch_all(e).await)?;
    let going = going.iter().map(|id| row::id(id)).collect::<Result<_>>()?;
    Ok((u64::try_from(kept).map_err(Error::bug)?, going))
}

/// Which of these there are servers of; a server's row outlives it.
pub(crate) async fn known(db: &Db, ids: &HashSet<ServerId>) -> Result<HashSet<ServerId>> {
    let mut known = HashSet::new();
    let ids: Vec<_> = ids.iter().map(ServerId::to_string).collect();
    for ids in ids.chunks(500) {
        let sql = sqlx::AssertSqlSafe(format!("select id from server where id in ({})", numbered(1, ids.len())));
        let found: Vec<String> = on!(db.reader(), e => {
            let mut query = sqlx::query_scalar(sql);
            for id in ids {
                query = query.bind(id.as_str());
            }
            query.fetch_all(e).await
        })?;
        for id in found {
            known.insert(row::id(&id)?);
        }
    }
    Ok(known)
}

pub(crate) async fn is_name_taken(db: &Db, name: &ServerName) -> Result<bool> {
    let found: Option<i32> = on!(db.reader(), e => sqlx::query_scalar("select 1 from server where name = $1")
        .bind(name.as_str())
        .fetch_optional(e).await)?;
    Ok(found.is_some())
}

/// Counts one placement more for each of these servers, and notes where. Those that are not to be kept any more are left
/// out of the answer. One statement, so that placing very many costs the disk one wait and not one for each.
pub(crate) async fn raise(db: &Db, ids: &[ServerId], host: HostId) -> Result<Vec<(ServerId, Generation)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = sqlx::AssertSqlSafe(format!(
        "update server set generation = generation + 1, host_id = $1 where desired = 'kept' and id in ({}) \
         returning id, generation",
        numbered(2, ids.len())
    ));
    let raised: Vec<(String, i64)> = on!(db.writer(), e => {
        let mut query = sqlx::query_as(sql).bind(host.to_string());
        for id in ids {
            query = query.bind(id.to_string());
        }
        query.fetch_all(e).await
    })?;
    let read =
        |(id, raised): (String, i64)| Ok((row::id(&id)?, Generation(u64::try_from(raised).map_err(Error::bug)?)));
    raised.into_iter().map(read).collect()
}

/// Notes that nothing is left of a server.
pub(crate) async fn bury(db: &Db, id: ServerId, now: Timestamp) -> Result<()> {
    on!(db.writer(), e => sqlx::query(
        "update server set erased_ms = $2, host_id = null where id = $1 and desired = 'erased' and erased_ms is null"
    )
    .bind(id.to_string())
    .bind(now.as_millisecond())
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Wishes a server gone. False when that is wished already, or there is no such server.
pub(crate) async fn wish_erased(tx: &mut Tx, id: ServerId, now: Timestamp) -> Result<bool> {
    let done = on!(tx.each(), e => sqlx::query(
        "update server set desired = 'erased', desired_ms = $2 where id = $1 and desired = 'kept'"
    )
    .bind(id.to_string())
    .bind(now.as_millisecond())
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}
