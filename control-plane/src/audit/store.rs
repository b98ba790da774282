//! The activity log in the database.

use jiff::Timestamp;
use tenant_runtime::ids::ServerId;

use super::{Event, Outcome, What, Who};
use crate::db::{Db, Tx, on};
use crate::paging::{Ask, Page, Select, fetch};
use crate::{AccountId, Error, Result, row};

/// An event as its row has it.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) server_id: Option<String>,
    pub(super) at_ms: i64,
    pub(super) what: String,
    pub(super) who: String,
    pub(super) outcome: Option<String>,
    pub(super) text: String,
    pub(super) about: String,
    /// Whether the server itself told of it.
    pub(super) from_server: bool,
    pub(super) once_key: Option<String>,
}

const COLUMNS: &str =
    "select id, server_id, at_ms, what, who, outcome, text, about, from_server, once_key from audit_event";

/// About what a row of the log takes in an archive beside its sentence and what it is about.
const AN_EVENT: usize = 200;
/// So many rows are read at a time.
const AT_ONCE: usize = 1000;

impl TryFrom<Row> for Event {
    type Error = Error;

    fn try_from(found: Row) -> Result<Self> {
        let strange = |what: &str, word: &str| Error::bug(format!("an event has the {what} {word:?}"));
        let outcome = found.outcome.as_deref();
        Ok(Self {
            id: row::id(&found.id)?,
            server: found.server_id.as_deref().map(row::id).transpose()?,
            at: row::time(found.at_ms)?,
            what: What::read(&found.what).ok_or_else(|| strange("word", &found.what))?,
            who: Who::read(&found.who).ok_or_else(|| strange("doer", &found.who))?,
            outcome: outcome.map(|word| Outcome::read(word).ok_or_else(|| strange("outcome", word))).transpose()?,
            text: found.text,
            about: row::json(&found.about)?,
        })
    }
}

pub(super) async fn insert_of_account(tx: &mut Tx, event: &Row, account: AccountId) -> Result<()> {
    on!(tx.each(), e => sqlx::query(
        "insert into audit_event (id, account_id, at_ms, what, who, outcome, text, about, once_key) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing"
    )
    .bind(&event.id)
    .bind(account.to_string())
    .bind(event.at_ms)
    .bind(&event.what)
    .bind(&event.who)
    .bind(&event.outcome)
    .bind(&event.text)
    .bind(&event.about)
    .bind(&event.once_key)
    .execute(e).await.map(drop))?;
    Ok(())
}

/// The account is the one whose server it is.
pub(super) async fn insert_of_server(tx: &mut Tx, event: &Row, server: ServerId) -> Result<()> {
    on!(tx.each(), e => sqlx::query(
        "insert into audit_event (id, account_id, server_id, at_ms, what, who, outcome, text, about, once_key, from_server) \
         select $1, account_id, id, $3, $4, $5, $6, $7, $8, $9, $10 from server where id = $2 \
         on conflict do nothing"
    )
    .bind(&event.id)
    .bind(server.to_string())
    .bind(event.at_ms)
    .bind(&event.what)
    .bind(&event.who)
    .bind(&event.outcome)
    .bind(&event.text)
    .bind(&event.about)
    .bind(&event.once_key)
    .bind(event.from_server)
    .execute(e).await.map(drop))?;
    Ok(())
}

/// The moment of the last event that a server itself told of, and how many of those are younger than `since_ms`.
pub(super) async fn told(db: &Db, server: ServerId, since_ms: i64) -> Result<(i64, i64)> {
    Ok(on!(db.reader(), e => sqlx::query_as(
        "select coalesce(max(at_ms), 0), cast(coalesce(sum(case when at_ms >= $2 then 1 else 0 end), 0) as bigint) \
         from audit_event where server_id = $1 and from_server"
    )
    .bind(server.to_string())
    .bind(since_ms)
    .fetch_one(e).await)?)
}

/// Whether what is told of under this key stands there.
pub(super) async fn is_there(db: &Db, once_key: &str) -> Result<bool> {
    let found: Option<i32> = on!(db.reader(), e => sqlx::query_scalar("select 1 from audit_event where once_key = $1")
        .bind(once_key)
        .fetch_optional(e).await)?;
    Ok(found.is_some())
}

/// One page of what happened on a server and on the account as a whole.
pub(super) async fn page(db: &Db, account: AccountId, server: ServerId, ask: &Ask) -> Result<Page<Event>> {
    let mut select = Select::by("id", ask);
    let (account, server) = (select.bind(account.to_string()), select.bind(server.to_string()));
    select.and(format!("account_id = {account}"));
    select.any(&["server_id is null".into(), format!("server_id = {server}")]);
    let found: Vec<Row> = fetch!(select, COLUMNS, db.reader())?;
    select.page(found, |row| row.id.clone()).try_map(Event::try_from)
}

/// The newest of it, oldest first, until its rows pass about `most` bytes; and whether that is all.
pub(super) async fn newest(db: &Db, account: AccountId, server: ServerId, most: usize) -> Result<(Vec<Event>, bool)> {
    let sql = &format!(
        "{COLUMNS} where account_id = $1 and (server_id is null or server_id = $2) and id < $3 \
         order by id desc limit {AT_ONCE}"
    );
    // Every id begins with `evt_`, and so comes before this in the order of any language.
    let (mut events, mut bytes, mut before) = (Vec::new(), 0, "zzz".to_owned());
    loop {
        let found: Vec<Row> = on!(db.reader(), e => sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str()))
            .bind(account.to_string())
            .bind(server.to_string())
            .bind(&before)
            .fetch_all(e).await)?;
        let is_last = found.len() < AT_ONCE;
        for row in found {
            if bytes > most {
                return Ok((sorted(events), false));
            }
            bytes += AN_EVENT + row.text.len() + row.about.len();
            before.clone_from(&row.id);
            events.push(Event::try_from(row)?);
        }
        if is_last {
            return Ok((sorted(events), true));
        }
    }
}

fn sorted(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by_key(|event| (event.at, event.id));
    events
}

/// Forgets what is older.
pub(super) async fn forget(db: &Db, before: Timestamp) -> Result<()> {
    on!(db.writer(), e => sqlx::query("delete from audit_event where at_ms < $1")
        .bind(before.as_millisecond())
        .execute(e).await.map(drop))?;
    Ok(())
}
