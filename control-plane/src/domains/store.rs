//! Domains in the database.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::FromRow;
use tenant_runtime::ids::ServerId;

use super::course::Standing;
use super::{Came, DomainId, DomainName, Role, State};
use crate::db::{Db, Tx, numbered, on};
use crate::{Result, row};

/// A domain as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(super) id: DomainId,
    pub(crate) server: ServerId,
    pub(crate) name: DomainName,
    pub(crate) role: Role,
    pub(crate) app: Option<String>,
    pub(crate) state: State,
    pub(super) since: Timestamp,
    pub(super) challenge: String,
    pub(super) did: Option<String>,
    pub(super) former_did: Option<String>,
    pub(super) came: Option<Came>,
    pub(crate) wildcard: bool,
    pub(super) trouble: Option<String>,
    pub(super) checked: Option<Timestamp>,
    pub(super) next: Option<Timestamp>,
    pub(super) failures: u32,
    pub(super) proved: Option<Timestamp>,
    pub(super) told: Option<Timestamp>,
    pub(super) created: Timestamp,
}

#[derive(FromRow)]
struct DomainRow {
    id: String,
    server_id: String,
    name: String,
    role: String,
    app: Option<String>,
    state: String,
    state_ms: i64,
    challenge: String,
    did: Option<String>,
    former_did: Option<String>,
    came: Option<String>,
    wildcard: bool,
    trouble: Option<String>,
    checked_ms: Option<i64>,
    next_ms: Option<i64>,
    failures: i64,
    proved_ms: Option<i64>,
    told_ms: Option<i64>,
    created_ms: i64,
}

const COLUMNS: &str = "domain.id, domain.server_id, domain.name, role, app, state, state_ms, challenge, did, former_did, \
                       came, wildcard, trouble, checked_ms, next_ms, failures, proved_ms, told_ms, domain.created_ms";

impl DomainRow {
    fn kept(self) -> Result<Kept> {
        Ok(Kept {
            id: row::id(&self.id)?,
            server: row::id(&self.server_id)?,
            name: row::id(&self.name)?,
            role: row::id(&self.role)?,
            app: self.app,
            state: row::id(&self.state)?,
            since: row::time(self.state_ms)?,
            challenge: self.challenge,
            did: self.did,
            former_did: self.former_did,
            came: self.came.as_deref().map(row::id).transpose()?,
            wildcard: self.wildcard,
            trouble: self.trouble,
            checked: self.checked_ms.map(row::time).transpose()?,
            next: self.next_ms.map(row::time).transpose()?,
            failures: u32::try_from(self.failures).unwrap_or(u32::MAX),
            proved: self.proved_ms.map(row::time).transpose()?,
            told: self.told_ms.map(row::time).transpose()?,
            created: row::time(self.created_ms)?,
        })
    }
}

impl Kept {
    pub(super) fn standing(&self) -> Standing {
        Standing { state: self.state, since: self.since, failures: self.failures, told: self.told }
    }
}

async fn found(db: &Db, rest: &str, values: &[String]) -> Result<Vec<Kept>> {
    let sql = sqlx::AssertSqlSafe(format!("select {COLUMNS} from domain {rest}"));
    let rows: Vec<DomainRow> = on!(db.reader(), e => {
        let mut query = sqlx::query_as(sql);
        for value in values {
            query = query.bind(value.as_str());
        }
        query.fetch_all(e).await
    })?;
    rows.into_iter().map(DomainRow::kept).collect()
}

pub(super) async fn by_id(db: &Db, id: DomainId) -> Result<Option<Kept>> {
    Ok(found(db, "where id = $1", &[id.to_string()]).await?.pop())
}

/// All of a server, those that were removed as well, in the order in which they were added.
pub(super) async fn of_server(db: &Db, server: ServerId) -> Result<Vec<Kept>> {
    found(db, "where server_id = $1 order by created_ms, id", &[server.to_string()]).await
}

/// Those of some servers that were not removed.
pub(crate) async fn of_servers(db: &Db, servers: &[ServerId]) -> Result<HashMap<ServerId, Vec<Kept>>> {
    let mut all: HashMap<_, Vec<_>> = HashMap::new();
    for servers in servers.chunks(500) {
        let ids: Vec<_> = servers.iter().map(ServerId::to_string).collect();
        let rest = format!("where state <> 'removed' and server_id in ({}) order by name", numbered(1, ids.len()));
        if !ids.is_empty() {
            for kept in found(db, &rest, &ids).await? {
                all.entry(kept.server).or_default().push(kept);
            }
        }
    }
    Ok(all)
}

/// The server that holds a name.
pub(super) async fn holder(db: &Db, name: &DomainName) -> Result<Option<Kept>> {
    Ok(found(db, "where name = $1 and state in ('proved', 'failing')", &[name.to_string()]).await?.pop())
}

/// Those that are to be looked at, the longest due first.
pub(super) async fn due(db: &Db, now: Timestamp, most: u32) -> Result<Vec<Kept>> {
    let rest = format!(
        "join server on server.id = domain.server_id where desired = 'kept' and next_ms <= {} order by next_ms limit {most}",
        now.as_millisecond()
    );
    found(db, &rest, &[]).await
}

/// Puts a domain in, or begins one anew that is there already.
pub(super) async fn put(tx: &mut Tx, kept: &Kept) -> Result<()> {
    let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
    on!(tx.each(), e => sqlx::query(
        "insert into domain (id, server_id, name, role, app, state, state_ms, challenge, did, former_did, came, next_ms, \
         created_ms) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
         on conflict (server_id, name) do update set role = excluded.role, app = excluded.app, state = excluded.state, \
         state_ms = excluded.state_ms, challenge = excluded.challenge, did = excluded.did, \
         former_did = excluded.former_did, came = excluded.came, next_ms = excluded.next_ms, wildcard = $14, \
         trouble = null, checked_ms = null, failures = 0, proved_ms = null, told_ms = null, \
         created_ms = excluded.created_ms"
    )
    .bind(kept.id.to_string())
    .bind(kept.server.to_string())
    .bind(kept.name.as_str())
    .bind(kept.role.word())
    .bind(&kept.app)
    .bind(kept.state.word())
    .bind(kept.since.as_millisecond())
    .bind(&kept.challenge)
    .bind(&kept.did)
    .bind(&kept.former_did)
    .bind(kept.came.map(Came::word))
    .bind(ms(kept.next))
    .bind(kept.created.as_millisecond())
    .bind(false)
    .execute(e).await.map(drop))?;
    Ok(())
}

/// Notes what a look came to, unless the domain was begun anew or removed meanwhile.
pub(super) async fn turn(tx: &mut Tx, before: &Kept, after: &Kept) -> Result<bool> {
    let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
    let done = on!(tx.each(), e => sqlx::query(
        "update domain set state = $4, state_ms = $5, wildcard = $6, trouble = $7, checked_ms = $8, next_ms = $9, \
         failures = $10, proved_ms = $11, told_ms = $12 where id = $1 and state = $2 and challenge = $3"
    )
    .bind(before.id.to_string())
    .bind(before.state.word())
    .bind(&before.challenge)
    .bind(after.state.word())
    .bind(after.since.as_millisecond())
    .bind(after.wildcard)
    .bind(&after.trouble)
    .bind(ms(after.checked))
    .bind(ms(after.next))
    .bind(i64::from(after.failures))
    .bind(ms(after.proved))
    .bind(ms(after.told))
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Says what a domain is for. What was primary until now is an alias then.
pub(super) async fn set_use(tx: &mut Tx, kept: &Kept, role: Role, app: Option<&str>) -> Result<()> {
    if role == Role::Primary {
        on!(tx.each(), e => sqlx::query(
            "update domain set role = 'alias' where server_id = $1 and role = 'primary'"
        )
        .bind(kept.server.to_string())
        .execute(e).await.map(drop))?;
    }
    on!(tx.each(), e => sqlx::query("update domain set role = $2, app = $3 where id = $1")
        .bind(kept.id.to_string())
        .bind(role.word())
        .bind(app)
        .execute(e).await.map(drop))?;
    Ok(())
}

/// Forgets the domains of a server of which nothing is left.
pub(crate) async fn forget(db: &Db, server: ServerId) -> Result<()> {
    on!(db.writer(), e => sqlx::query("delete from domain where server_id = $1")
        .bind(server.to_string())
        .execute(e).await.map(drop))?;
    Ok(())
}
