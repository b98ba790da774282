//! Moves to here in the database: one row each, changed only by turns that say what they expect to find, and the lines that
//! a person can read.
//!
//! Invariants: a server has one open move at most, which the database itself sees to; a turn and its line are one
//! transaction; no secret stands in a row unsealed.

use export_format::Digest;
use export_format::moving::{Agreed, Handed, Signed};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use tenant_runtime::admin::api::ImportReport;
use tenant_runtime::ids::ServerId;
use uuid::Uuid;

use super::step::{State, Step};
use crate::db::{Db, Tx, is_taken, on};
use crate::{Error, Result, row};

/// The longest sentence that is kept in the log, in letters: what a stranger's machine says may be of any length.
const LONGEST: usize = 400;
/// So many lines are kept of one move before trouble is no longer noted.
const MOST_LINES: i64 = 500;

/// Whom the owner's address led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    /// The provider's origin.
    pub(super) origin: String,
    /// What it calls itself.
    pub(super) name: String,
    /// Where it is spoken to.
    pub(super) endpoint: String,
    /// Where the owner agrees.
    pub(super) consent: String,
}

/// A move as its row has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) id: Uuid,
    pub(super) server: ServerId,
    pub(super) state: State,
    pub(super) step: Step,
    pub(super) address: String,
    pub(super) source: Source,
    /// The digest of the browser session that began it.
    pub(super) session: String,
    /// Sealed, as is the token.
    pub(super) verifier: String,
    pub(super) token: Option<String>,
    pub(super) agreed: Option<Agreed>,
    pub(super) round: Round,
    /// Rounds since the last hold.
    pub(super) rounds: u32,
    /// Holds that were too short.
    pub(super) holds: u32,
    /// Rounds in a row that were of no use.
    pub(super) spoiled: u32,
    /// How often it was begun again with a whole archive.
    pub(super) fresh: u32,
    pub(super) received: u64,
    pub(super) progress: (u64, u64),
    pub(super) speed: u64,
    pub(super) arrived: u64,
    pub(super) held_ms: Option<i64>,
    pub(super) handed: Option<Handed>,
    pub(super) activated_ms: Option<i64>,
    pub(super) acceptance: Option<Signed>,
    pub(super) report: Option<ImportReport>,
    pub(super) error: Option<String>,
    /// Since when nothing got on.
    pub(super) stuck_ms: Option<i64>,
    pub(super) untidy: bool,
    pub(super) created_ms: i64,
    pub(super) updated_ms: i64,
}

/// The round that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Round {
    /// Its number at the source.
    pub(super) number: u32,
    /// Its number in the stage here, where the whole archive is 0.
    pub(super) stage: u32,
    /// The round it is a delta from; none for a whole archive.
    pub(super) base: Option<u32>,
    pub(super) hold: bool,
    pub(super) begun_ms: i64,
    /// Known once it is ready; from then on the stage may have heard of it.
    pub(super) bytes: Option<u64>,
    pub(super) payload: Option<Digest>,
}

/// A line that a person can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) at_ms: i64,
    pub(super) step: Option<Step>,
    pub(super) text: String,
}

#[derive(FromRow)]
struct Row {
    id: String,
    server_id: String,
    state: String,
    step: String,
    address: String,
    found: String,
    session: String,
    verifier: String,
    token: Option<String>,
    agreed: Option<String>,
    round: i64,
    stage_round: i64,
    base: Option<i64>,
    hold: bool,
    begun_ms: i64,
    bytes: Option<i64>,
    payload: Option<String>,
    rounds: i64,
    holds: i64,
    spoiled: i64,
    fresh: i64,
    received: i64,
    done: i64,
    total: i64,
    speed: i64,
    arrived: i64,
    held_ms: Option<i64>,
    handed: Option<String>,
    activated_ms: Option<i64>,
    acceptance: Option<String>,
    report: Option<String>,
    error: Option<String>,
    stuck_ms: Option<i64>,
    untidy: bool,
    created_ms: i64,
    updated_ms: i64,
}

const COLUMNS: &str = "id, server_id, state, step, address, found, session, verifier, token, agreed, round, stage_round, base, \
                       hold, begun_ms, bytes, payload, rounds, holds, spoiled, fresh, received, done, total, speed, arrived, \
                       held_ms, handed, activated_ms, acceptance, report, error, stuck_ms, untidy, created_ms, updated_ms";

impl Row {
    fn kept(self) -> Result<Kept> {
        let strange = |what: &str, word: &str| Error::bug(format!("a move has the {what} {word:?}"));
        let small = |number: i64| u32::try_from(number).map_err(Error::bug);
        Ok(Kept {
            id: row::id(&self.id)?,
            server: row::id(&self.server_id)?,
            state: State::read(&self.state).ok_or_else(|| strange("state", &self.state))?,
            step: Step::read(&self.step).ok_or_else(|| strange("step", &self.step))?,
            address: self.address,
            source: row::json(&self.found)?,
            session: self.session,
            verifier: self.verifier,
            token: self.token,
            agreed: read(self.agreed)?,
            round: Round {
                number: small(self.round)?,
                stage: small(self.stage_round)?,
                base: self.base.map(small).transpose()?,
                hold: self.hold,
                begun_ms: self.begun_ms,
                bytes: self.bytes.map(i64::unsigned_abs),
                payload: self.payload.as_deref().map(row::id).transpose()?,
            },
            rounds: small(self.rounds)?,
            holds: small(self.holds)?,
            spoiled: small(self.spoiled)?,
            fresh: small(self.fresh)?,
            received: self.received.unsigned_abs(),
            progress: (self.done.unsigned_abs(), self.total.unsigned_abs()),
            speed: self.speed.unsigned_abs(),
            arrived: self.arrived.unsigned_abs(),
            held_ms: self.held_ms,
            handed: read(self.handed)?,
            activated_ms: self.activated_ms,
            acceptance: read(self.acceptance)?,
            report: read(self.report)?,
            error: self.error,
            stuck_ms: self.stuck_ms,
            untidy: self.untidy,
            created_ms: self.created_ms,
            updated_ms: self.updated_ms,
        })
    }
}

fn read<T: serde::de::DeserializeOwned>(text: Option<String>) -> Result<Option<T>> {
    text.as_deref().map(row::json).transpose()
}

fn written<T: Serialize>(value: Option<&T>) -> Result<Option<String>> {
    value.map(row::to_json).transpose()
}

impl Kept {
    /// A move that waits for its owner's yes.
    pub(super) fn asked(id: Uuid, server: ServerId, address: String, source: Source, now_ms: i64) -> Self {
        Self {
            id,
            server,
            state: State::Asked,
            step: Step::Consent,
            address,
            source,
            session: String::new(),
            verifier: String::new(),
            token: None,
            agreed: None,
            round: Round::default(),
            rounds: 0,
            holds: 0,
            spoiled: 0,
            fresh: 0,
            received: 0,
            progress: (0, 0),
            speed: 0,
            arrived: 0,
            held_ms: None,
            handed: None,
            activated_ms: None,
            acceptance: None,
            report: None,
            error: None,
            stuck_ms: None,
            untidy: false,
            created_ms: now_ms,
            updated_ms: now_ms,
        }
    }

    /// The name of its import at the runtime. One that is begun again is another import.
    pub(super) fn import(&self) -> String {
        match self.fresh {
            0 => self.id.to_string(),
            again => format!("{}-{again}", self.id),
        }
    }
}

pub(super) async fn by_id(db: &Db, id: Uuid) -> Result<Option<Kept>> {
    let sql = format!("select {COLUMNS} from move_in where id = $1");
    let row: Option<Row> = on!(db.reader(), e => sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str())).bind(id.to_string()).fetch_optional(e).await)?;
    row.map(Row::kept).transpose()
}

/// The moves of one server, the newest first.
pub(super) async fn of_server(db: &Db, server: ServerId) -> Result<Vec<Kept>> {
    let sql = format!("select {COLUMNS} from move_in where server_id = $1 order by created_ms desc, id desc limit 50");
    let rows: Vec<Row> = on!(db.reader(), e => sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str())).bind(server.to_string()).fetch_all(e).await)?;
    rows.into_iter().map(Row::kept).collect()
}

/// Whether a server has a move that goes on by itself.
pub(super) async fn is_running(db: &Db, server: ServerId) -> Result<bool> {
    let found: Option<i32> = on!(db.reader(), e => sqlx::query_scalar(
        "select 1 from move_in where server_id = $1 and state = 'running'")
        .bind(server.to_string()).fetch_optional(e).await)?;
    Ok(found.is_some())
}

/// Moves at which there is something to do, the oldest first.
pub(super) async fn at_work(db: &Db) -> Result<Vec<Uuid>> {
    let ids: Vec<(String,)> = on!(db.reader(), e => sqlx::query_as(
        "select id from move_in where state = 'running' or untidy order by created_ms, id").fetch_all(e).await)?;
    ids.iter().map(|(id,)| row::id(id)).collect()
}

/// The servers for which the one elsewhere stands down, or has.
pub(super) async fn taking_over(db: &Db) -> Result<Vec<ServerId>> {
    let ids: Vec<(String,)> = on!(db.reader(), e => sqlx::query_as(
        "select server_id from move_in where state = 'running' and step in ('hand-over', 'activate')").fetch_all(e).await)?;
    ids.iter().map(|(id,)| row::id(id)).collect()
}

/// Moves that have waited for their owner's yes since before `before_ms`.
pub(super) async fn forgotten(db: &Db, before_ms: i64) -> Result<Vec<Kept>> {
    let sql = format!("select {COLUMNS} from move_in where state = 'asked' and created_ms < $1");
    let rows: Vec<Row> =
        on!(db.reader(), e => sqlx::query_as(sqlx::AssertSqlSafe(sql.as_str())).bind(before_ms).fetch_all(e).await)?;
    rows.into_iter().map(Row::kept).collect()
}

/// Writes a new move down; false when its server has one under way.
pub(super) async fn insert(tx: &mut Tx, new: &Kept) -> Result<bool> {
    let made = on!(tx.each(), e => sqlx::query(
        "insert into move_in (id, server_id, state, step, address, found, session, verifier, created_ms, updated_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)")
        .bind(new.id.to_string()).bind(new.server.to_string()).bind(new.state.word()).bind(new.step.word())
        .bind(&new.address).bind(row::to_json(&new.source)?).bind(&new.session).bind(&new.verifier).bind(new.created_ms)
        .execute(e).await.map(drop));
    match made {
        Ok(()) => Ok(true),
        Err(error) if is_taken(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// One turn: from what `before` was to what `after` is. False when somebody else has turned it already.
pub(super) async fn turn(tx: &mut Tx, before: &Kept, after: &Kept, now_ms: i64) -> Result<bool> {
    let round = &after.round;
    let turned = on!(tx.each(), e => sqlx::query(
        "update move_in set state = $1, step = $2, token = $3, agreed = $4, round = $5, stage_round = $6, base = $7, hold = $8,
             begun_ms = $9, bytes = $10, payload = $11, rounds = $12, holds = $13, spoiled = $14, fresh = $15, received = $16,
             done = $17, total = $18, speed = $19, arrived = $20, held_ms = $21, handed = $22, activated_ms = $23,
             acceptance = $24, report = $25, error = $26, stuck_ms = $27, untidy = $28, updated_ms = $29
         where id = $30 and state = $31 and step = $32")
        .bind(after.state.word()).bind(after.step.word()).bind(&after.token).bind(written(after.agreed.as_ref())?)
        .bind(i64::from(round.number)).bind(i64::from(round.stage)).bind(round.base.map(i64::from)).bind(round.hold)
        .bind(round.begun_ms).bind(round.bytes.map(u64::cast_signed)).bind(round.payload.map(|payload| payload.to_string()))
        .bind(i64::from(after.rounds)).bind(i64::from(after.holds)).bind(i64::from(after.spoiled)).bind(i64::from(after.fresh))
        .bind(after.received.cast_signed()).bind(after.progress.0.cast_signed()).bind(after.progress.1.cast_signed())
        .bind(after.speed.cast_signed()).bind(after.arrived.cast_signed()).bind(after.held_ms)
        .bind(written(after.handed.as_ref())?).bind(after.activated_ms).bind(written(after.acceptance.as_ref())?)
        .bind(written(after.report.as_ref())?).bind(&after.error).bind(after.stuck_ms).bind(after.untidy).bind(now_ms)
        .bind(before.id.to_string()).bind(before.state.word()).bind(before.step.word())
        .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(turned == 1)
}

/// How far the present step is; says nothing new about which step that is, nor about the round.
pub(super) async fn progress(db: &Db, kept: &Kept, now_ms: i64) -> Result<()> {
    on!(db.writer(), e => sqlx::query(
        "update move_in set received = $1, done = $2, total = $3, speed = $4, error = $5, stuck_ms = $6, updated_ms = $7
         where id = $8 and state = $9 and step = $10")
        .bind(kept.received.cast_signed()).bind(kept.progress.0.cast_signed()).bind(kept.progress.1.cast_signed())
        .bind(kept.speed.cast_signed()).bind(&kept.error).bind(kept.stuck_ms).bind(now_ms)
        .bind(kept.id.to_string()).bind(kept.state.word()).bind(kept.step.word())
        .execute(e).await.map(drop))?;
    Ok(())
}

/// Adds a line to what a person can read; one that begins a step names it.
pub(super) async fn note(tx: &mut Tx, id: Uuid, step: Option<Step>, text: &str, now_ms: i64) -> Result<()> {
    add(tx, id, step, text, now_ms, i64::MAX).await
}

/// Adds a line unless there are many already: for what may happen again and again.
pub(super) async fn note_trouble(tx: &mut Tx, id: Uuid, text: &str, now_ms: i64) -> Result<()> {
    add(tx, id, None, text, now_ms, MOST_LINES).await
}

async fn add(tx: &mut Tx, id: Uuid, step: Option<Step>, text: &str, now_ms: i64, most: i64) -> Result<()> {
    let text: String = text.chars().filter(|sign| !sign.is_control()).take(LONGEST).collect();
    on!(tx.each(), e => sqlx::query(
        "insert into move_in_line (move_id, line, at_ms, step, text)
         select $1, (select coalesce(max(line), 0) + 1 from move_in_line where move_id = $1), $2, $3, $4
         where (select count(*) from move_in_line where move_id = $1) < $5
         on conflict do nothing")
        .bind(id.to_string()).bind(now_ms).bind(step.map(Step::word)).bind(&text).bind(most)
        .execute(e).await.map(drop))?;
    Ok(())
}

/// The lines, in their order.
pub(super) async fn lines(db: &Db, id: Uuid) -> Result<Vec<Line>> {
    let found: Vec<(i64, Option<String>, String)> = on!(db.reader(), e => sqlx::query_as(
        "select at_ms, step, text from move_in_line where move_id = $1 order by line")
        .bind(id.to_string()).fetch_all(e).await)?;
    Ok(found
        .into_iter()
        .map(|(at_ms, step, text)| Line { at_ms, step: step.as_deref().and_then(Step::read), text })
        .collect())
}
