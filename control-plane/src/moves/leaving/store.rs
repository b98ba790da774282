//! Moves away from here in the database. A transition is one conditional update; who finds the row in another state has
//! lost, and nothing of theirs is written.

use export_format::moving::{Guest, Signed};
use jiff::Timestamp;
use tenant_runtime::ids::ServerId;
use uuid::Uuid;

use super::Stand;
use crate::db::{Db, Tx, on};
use crate::{Error, Result, row};

/// A move as its row has it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) id: Uuid,
    pub(super) server: ServerId,
    pub(super) stand: Stand,
    /// The origin of the target, and what it calls itself.
    pub(super) target: String,
    pub(super) target_name: String,
    /// The address here, and that of the server that goes on.
    pub(super) address: String,
    pub(super) successor: String,
    pub(super) challenge: String,
    /// The digest of the code, until it is spent.
    pub(super) code: Option<String>,
    /// The digest of the token.
    pub(super) token: Option<String>,
    /// Until when the code is good, then the token.
    pub(super) until: Timestamp,
    pub(super) consented: Timestamp,
    pub(super) handover: Option<HandedOver>,
    pub(super) settled: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    /// Why it ended before the hand-over.
    pub(super) why: Option<String>,
}

/// The word by which a server stood down.
#[derive(Clone, Debug)]
pub(super) struct HandedOver {
    pub(super) signed: Signed,
    pub(super) guests: Vec<Guest>,
    pub(super) forward_until: Timestamp,
    pub(super) at: Timestamp,
}

/// A round as its row has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) round: u32,
    pub(super) base: Option<u32>,
    pub(super) held: bool,
    pub(super) at: Timestamp,
    pub(super) begun: bool,
    pub(super) released: bool,
    pub(super) bytes: Option<u64>,
    pub(super) error: Option<String>,
}

const COLUMNS: &str = "id, server_id, state, target, target_name, address, successor, challenge, code_digest, token_digest, \
     until_ms, consented_ms, document, signature, guests, forward_until_ms, handed_ms, settled_ms, ended_ms, why";

#[derive(sqlx::FromRow)]
struct MoveRow {
    id: String,
    server_id: String,
    state: String,
    target: String,
    target_name: String,
    address: String,
    successor: String,
    challenge: String,
    code_digest: Option<String>,
    token_digest: Option<String>,
    until_ms: i64,
    consented_ms: i64,
    document: Option<String>,
    signature: Option<String>,
    guests: Option<String>,
    forward_until_ms: Option<i64>,
    handed_ms: Option<i64>,
    settled_ms: Option<i64>,
    ended_ms: Option<i64>,
    why: Option<String>,
}

impl TryFrom<MoveRow> for Kept {
    type Error = Error;

    fn try_from(found: MoveRow) -> Result<Self> {
        let handover = match (found.document, found.signature, found.forward_until_ms, found.handed_ms) {
            (Some(document), Some(signature), Some(until), Some(at)) => Some(HandedOver {
                signed: Signed { document, signature },
                guests: found.guests.as_deref().map(row::json).transpose()?.unwrap_or_default(),
                forward_until: row::time(until)?,
                at: row::time(at)?,
            }),
            _ => None,
        };
        Ok(Self {
            id: row::id(&found.id)?,
            server: row::id(&found.server_id)?,
            stand: row::id(&found.state)?,
            target: found.target,
            target_name: found.target_name,
            address: found.address,
            successor: found.successor,
            challenge: found.challenge,
            code: found.code_digest,
            token: found.token_digest,
            until: row::time(found.until_ms)?,
            consented: row::time(found.consented_ms)?,
            handover,
            settled: found.settled_ms.map(row::time).transpose()?,
            ended: found.ended_ms.map(row::time).transpose()?,
            why: found.why,
        })
    }
}

#[derive(sqlx::FromRow)]
struct RoundRow {
    round: i64,
    base: Option<i64>,
    held: bool,
    asked_ms: i64,
    begun: bool,
    released: bool,
    bytes: Option<i64>,
    error: Option<String>,
}

impl TryFrom<RoundRow> for Asked {
    type Error = Error;

    fn try_from(found: RoundRow) -> Result<Self> {
        Ok(Self {
            round: u32::try_from(found.round).map_err(Error::bug)?,
            base: found.base.map(u32::try_from).transpose().map_err(Error::bug)?,
            held: found.held,
            at: row::time(found.asked_ms)?,
            begun: found.begun,
            released: found.released,
            bytes: found.bytes.map(i64::unsigned_abs),
            error: found.error,
        })
    }
}

pub(super) async fn by_id(db: &Db, id: Uuid) -> Result<Option<Kept>> {
    Ok(among(db, "id = $1", &id.to_string()).await?.pop())
}

/// All moves of a server, the newest first.
pub(super) async fn of_server(db: &Db, server: ServerId) -> Result<Vec<Kept>> {
    among(db, "server_id = $1 order by consented_ms desc, id desc", &server.to_string()).await
}

/// The move a server is on, if it is.
pub(super) async fn open_of(db: &Db, server: ServerId) -> Result<Option<Kept>> {
    let open = "server_id = $1 and state in ('consented', 'copying', 'handed', 'settled')";
    Ok(among(db, open, &server.to_string()).await?.pop())
}

async fn among(db: &Db, condition: &str, value: &str) -> Result<Vec<Kept>> {
    let sql = sqlx::AssertSqlSafe(format!("select {COLUMNS} from move_out where {condition}"));
    let found: Vec<MoveRow> = on!(db.reader(), e => sqlx::query_as(sql).bind(value).fetch_all(e).await)?;
    found.into_iter().map(Kept::try_from).collect()
}

/// The moves whose server is gone from here, with the server's name.
pub(super) async fn gone(db: &Db) -> Result<Vec<(Kept, String)>> {
    let sql = sqlx::AssertSqlSafe(format!("select {COLUMNS} from move_out where state in ('handed', 'settled')"));
    let found: Vec<MoveRow> = on!(db.reader(), e => sqlx::query_as(sql).fetch_all(e).await)?;
    let names: Vec<(String, String)> = on!(db.reader(), e => sqlx::query_as(
        "select id, name from server where id in (select server_id from move_out where state in ('handed', 'settled'))"
    )
    .fetch_all(e).await)?;
    let names: std::collections::HashMap<_, _> = names.into_iter().collect();
    let mut gone = Vec::new();
    for found in found {
        let name = names.get(&found.server_id).cloned().unwrap_or_default();
        gone.push((Kept::try_from(found)?, name));
    }
    Ok(gone)
}

/// The moves under way whose code or token is good no longer.
pub(super) async fn overdue(db: &Db, now: Timestamp) -> Result<Vec<Kept>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from move_out where state in ('consented', 'copying') and until_ms <= $1"
    ));
    let found: Vec<MoveRow> = on!(db.reader(), e => sqlx::query_as(sql).bind(now.as_millisecond()).fetch_all(e).await)?;
    found.into_iter().map(Kept::try_from).collect()
}

/// The moves under way whose newest round held writes: their servers may have stood down without our having noted it.
pub(super) async fn at_the_door(db: &Db) -> Result<Vec<Kept>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select {COLUMNS} from move_out where state = 'copying' and exists \
         (select 1 from move_round where move_id = id and held and not released)"
    ));
    let found: Vec<MoveRow> = on!(db.reader(), e => sqlx::query_as(sql).fetch_all(e).await)?;
    found.into_iter().map(Kept::try_from).collect()
}

/// Writes down what an owner has consented to. False when the server is on another way already.
pub(super) async fn insert(tx: &mut Tx, kept: &Kept) -> Result<bool> {
    let done = on!(tx.each(), e => sqlx::query(
        "insert into move_out (id, server_id, state, target, target_name, address, successor, challenge, code_digest, \
         until_ms, consented_ms) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing"
    )
    .bind(kept.id.to_string())
    .bind(kept.server.to_string())
    .bind(kept.stand.word())
    .bind(&kept.target)
    .bind(&kept.target_name)
    .bind(&kept.address)
    .bind(&kept.successor)
    .bind(&kept.challenge)
    .bind(&kept.code)
    .bind(kept.until.as_millisecond())
    .bind(kept.consented.as_millisecond())
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Gives out another code for what was consented to; the one before is good no longer.
pub(super) async fn renew_code(tx: &mut Tx, id: Uuid, code: &str, until: Timestamp) -> Result<bool> {
    let done = on!(tx.each(), e => sqlx::query(
        "update move_out set code_digest = $2, until_ms = $3 where id = $1 and state = 'consented'"
    )
    .bind(id.to_string())
    .bind(code)
    .bind(until.as_millisecond())
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Spends a code. False when somebody has.
pub(super) async fn spend_code(tx: &mut Tx, id: Uuid, code: &str) -> Result<bool> {
    let done = on!(tx.each(), e => sqlx::query(
        "update move_out set code_digest = null where id = $1 and code_digest = $2 and state = 'consented'"
    )
    .bind(id.to_string())
    .bind(code)
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Lets the target come and go with this token until then.
pub(super) async fn admit(tx: &mut Tx, id: Uuid, token: &str, until: Timestamp) -> Result<bool> {
    let done = on!(tx.each(), e => sqlx::query(
        "update move_out set state = 'copying', token_digest = $2, until_ms = $3 where id = $1 and state = 'consented'"
    )
    .bind(id.to_string())
    .bind(token)
    .bind(until.as_millisecond())
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Notes that the server has stood down.
pub(super) async fn hand_over(tx: &mut Tx, id: Uuid, handed: &HandedOver) -> Result<bool> {
    let done = on!(tx.each(), e => sqlx::query(
        "update move_out set state = 'handed', document = $2, signature = $3, guests = $4, forward_until_ms = $5, \
         handed_ms = $6 where id = $1 and state = 'copying'"
    )
    .bind(id.to_string())
    .bind(&handed.signed.document)
    .bind(&handed.signed.signature)
    .bind(row::to_json(&handed.guests)?)
    .bind(handed.forward_until.as_millisecond())
    .bind(handed.at.as_millisecond())
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Notes that the successor is live. Who was signed in here is no longer anybody's matter.
pub(super) async fn settle(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<bool> {
    let done = on!(tx.each(), e => sqlx::query(
        "update move_out set state = 'settled', settled_ms = $2, guests = null where id = $1 and state = 'handed'"
    )
    .bind(id.to_string())
    .bind(now.as_millisecond())
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Gives a move up that has not handed over.
pub(super) async fn cancel(tx: &mut Tx, id: Uuid, why: &str, now: Timestamp) -> Result<bool> {
    let done = on!(tx.each(), e => sqlx::query(
        "update move_out set state = 'cancelled', ended_ms = $2, why = $3, code_digest = null \
         where id = $1 and state in ('consented', 'copying')"
    )
    .bind(id.to_string())
    .bind(now.as_millisecond())
    .bind(why)
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Notes that the owner has the server here again.
pub(super) async fn take_back(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<bool> {
    let done = on!(tx.each(), e => sqlx::query(
        "update move_out set state = 'taken-back', ended_ms = $2, guests = null \
         where id = $1 and state in ('handed', 'settled')"
    )
    .bind(id.to_string())
    .bind(now.as_millisecond())
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// The rounds of a move, the newest first.
pub(super) async fn rounds(db: &Db, id: Uuid) -> Result<Vec<Asked>> {
    let found: Vec<RoundRow> = on!(db.reader(), e => sqlx::query_as(
        "select round, base, held, asked_ms, begun, released, bytes, error from move_round \
         where move_id = $1 order by round desc"
    )
    .bind(id.to_string())
    .fetch_all(e).await)?;
    found.into_iter().map(Asked::try_from).collect()
}

/// Writes down that a round was asked for, before it is begun.
pub(super) async fn insert_round(db: &Db, id: Uuid, asked: &Asked) -> Result<()> {
    on!(db.writer(), e => sqlx::query(
        "insert into move_round (move_id, round, base, held, asked_ms) values ($1, $2, $3, $4, $5)"
    )
    .bind(id.to_string())
    .bind(i64::from(asked.round))
    .bind(asked.base.map(i64::from))
    .bind(asked.held)
    .bind(asked.at.as_millisecond())
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Notes that the runtime has begun a round, or why it did not.
pub(super) async fn note_begun(db: &Db, id: Uuid, round: u32, error: Option<&str>) -> Result<()> {
    on!(db.writer(), e => sqlx::query(
        "update move_round set begun = true, error = coalesce(error, $3) where move_id = $1 and round = $2"
    )
    .bind(id.to_string())
    .bind(i64::from(round))
    .bind(error)
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Notes how much there was to fetch.
pub(super) async fn note_bytes(db: &Db, id: Uuid, round: u32, bytes: u64) -> Result<()> {
    on!(db.writer(), e => sqlx::query("update move_round set bytes = $3 where move_id = $1 and round = $2")
        .bind(id.to_string())
        .bind(i64::from(round))
        .bind(bytes.cast_signed())
        .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Notes that a round is no longer kept.
pub(super) async fn note_released(db: &Db, id: Uuid, round: u32) -> Result<()> {
    on!(db.writer(), e => sqlx::query("update move_round set released = true where move_id = $1 and round = $2")
        .bind(id.to_string())
        .bind(i64::from(round))
        .execute(e).await.map(|_| ()))?;
    Ok(())
}
