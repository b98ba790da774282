//! Servers in the database.

use infra::hosts::HostId;
use jiff::Timestamp;
use tenant_runtime::ids::{Generation, ServerId};

use super::{Desired, ServerName};
use crate::db::{Db, on};
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
        })
    }
}

const BY_ID: &str = "select server.id, account_id, name, desired, desired_ms, generation, host_id, server.created_ms, \
     erased_ms, display_name from server join account on account.id = server.account_id where server.id = $1";
const OF_ACCOUNT: &str = "select server.id, account_id, name, desired, desired_ms, generation, host_id, server.created_ms, \
     erased_ms, display_name from server join account on account.id = server.account_id where account_id = $1 \
     order by server.created_ms, server.id";
const ALL: &str = "select server.id, account_id, name, desired, desired_ms, generation, host_id, server.created_ms, \
     erased_ms, display_name from server join account on account.id = server.account_id \
     order by server.created_ms, server.id";

pub(crate) async fn by_id(db: &Db, id: ServerId) -> Result<Option<Kept>> {
    let found: Option<ServerRow> =
        on!(db.reader(), e => sqlx::query_as(BY_ID).bind(id.to_string()).fetch_optional(e).await)?;
    found.map(Kept::try_from).transpose()
}

pub(crate) async fn of_account(db: &Db, account: AccountId) -> Result<Vec<Kept>> {
    let found: Vec<ServerRow> =
        on!(db.reader(), e => sqlx::query_as(OF_ACCOUNT).bind(account.to_string()).fetch_all(e).await)?;
    found.into_iter().map(Kept::try_from).collect()
}

pub(crate) async fn all(db: &Db) -> Result<Vec<Kept>> {
    let found: Vec<ServerRow> = on!(db.reader(), e => sqlx::query_as(ALL).fetch_all(e).await)?;
    found.into_iter().map(Kept::try_from).collect()
}

pub(crate) async fn is_name_taken(db: &Db, name: &ServerName) -> Result<bool> {
    let found: Option<i32> = on!(db.reader(), e => sqlx::query_scalar("select 1 from server where name = $1")
        .bind(name.as_str())
        .fetch_optional(e).await)?;
    Ok(found.is_some())
}

/// Counts one placement more, and notes where. Nothing, when the server is not to be kept any more.
pub(crate) async fn raise(db: &Db, id: ServerId, host: HostId) -> Result<Option<Generation>> {
    let raised: Option<i64> = on!(db.writer(), e => sqlx::query_scalar(
        "update server set generation = generation + 1, host_id = $2 where id = $1 and desired = 'kept' returning generation"
    )
    .bind(id.to_string())
    .bind(host.to_string())
    .fetch_optional(e).await)?;
    raised.map(|raised| u64::try_from(raised).map(Generation).map_err(Error::bug)).transpose()
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
pub(crate) async fn wish_erased(db: &Db, id: ServerId, now: Timestamp) -> Result<bool> {
    let done = on!(db.writer(), e => sqlx::query(
        "update server set desired = 'erased', desired_ms = $2 where id = $1 and desired = 'kept'"
    )
    .bind(id.to_string())
    .bind(now.as_millisecond())
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}
