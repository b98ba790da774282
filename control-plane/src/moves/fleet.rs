//! All moves of a provider, in and out, for who runs the business: a page at a time, newest first.

use jiff::Timestamp;
use tenant_runtime::ids::ServerId;
use uuid::Uuid;

use super::arriving::Step;
use crate::db::on;
use crate::paging::{Ask, Page, Select, fetch};
use crate::{AccountId, Actor, ControlPlane, Error, Result, row};

/// Where a server goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It comes here.
    In,
    /// It leaves.
    Out,
}

/// How a move stands, in the words that a list is narrowed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It goes on.
    Going,
    /// It is to go on, and something hinders it; or it left, and nobody has said that it is live.
    Hindered,
    /// The server is where it was to go.
    Done,
    /// It was given up for a reason.
    Failed,
    /// Somebody ended it, or took the server back.
    Stopped,
}

impl Standing {
    const ALL: [Self; 5] = [Self::Going, Self::Hindered, Self::Done, Self::Failed, Self::Stopped];

    /// The word in addresses and in the statement below.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Going => "going",
            Self::Hindered => "hindered",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// One move in the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What the list is ordered by.
    pub key: String,
    /// The move, by the id that both providers know.
    pub id: Uuid,
    /// In or out.
    pub direction: Direction,
    /// How it stands.
    pub standing: Standing,
    /// The server here.
    pub server: ServerId,
    /// Its name here.
    pub name: String,
    /// Whose it is.
    pub account: AccountId,
    /// Their e-mail address.
    pub owner: String,
    /// The address of the server at the other place.
    pub address: String,
    /// The step that it is at, in words.
    pub step: String,
    /// Bytes of what is being brought that are here, and how many there are; of a server that comes.
    pub coming: Option<(u64, u64)>,
    /// Bytes that came altogether, or were asked for.
    pub bytes: u64,
    /// Bytes a second, while some come.
    pub speed: u64,
    /// What hinders it, or why it ended.
    pub trouble: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// When it last got on, as far as that is known.
    pub updated: Option<Timestamp>,
}

/// All moves together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Servers that come.
    pub coming: u64,
    /// Servers that leave and have not stood down.
    pub leaving: u64,
    /// Those of both that something hinders.
    pub hindered: u64,
    /// Bytes a second that come, all moves together.
    pub speed: u64,
    /// How many bytes a second may come at most.
    pub most: u64,
}

#[derive(sqlx::FromRow)]
struct Row {
    key: String,
    id: String,
    direction: String,
    standing: String,
    server_id: String,
    name: String,
    account_id: String,
    email: String,
    address: String,
    step: String,
    received: i64,
    total: i64,
    bytes: i64,
    speed: i64,
    trouble: Option<String>,
    since_ms: i64,
    updated_ms: Option<i64>,
}

/// Moments have thirteen digits for the next 260 years, so their texts are in their order.
const HEAD: &str = "select * from (
    select cast(i.created_ms as text) || ' i ' || i.id as key, i.id, 'in' as direction,
        case when i.state in ('asked', 'running') and i.error is not null then 'hindered'
             when i.state in ('asked', 'running') then 'going'
             when i.state = 'cancelled' then 'stopped' else i.state end as standing,
        i.server_id, s.name, a.id as account_id, a.email, a.display_name, i.address, i.step, i.received,
        case when i.state = 'running' then coalesce(i.bytes, 0) else 0 end as total,
        i.arrived as bytes, i.speed, i.error as trouble, i.created_ms as since_ms, i.updated_ms
    from move_in i join server s on s.id = i.server_id join account a on a.id = s.account_id
    union all
    select cast(o.consented_ms as text) || ' o ' || o.id, o.id, 'out',
        case when o.state in ('consented', 'copying') then 'going' when o.state = 'handed' then 'hindered'
             when o.state = 'settled' then 'done' else 'stopped' end,
        o.server_id, s.name, a.id, a.email, a.display_name, o.successor, o.state, 0, 0,
        coalesce((select cast(sum(r.bytes) as bigint) from move_round r where r.move_id = o.id), 0), 0, o.why, o.consented_ms,
        coalesce(o.ended_ms, o.settled_ms, o.handed_ms,
            (select max(r.asked_ms) from move_round r where r.move_id = o.id))
    from move_out o join server s on s.id = o.server_id join account a on a.id = s.account_id
) m";

/// All moves, a page at a time, for who runs the business. `only` is the word of a [`Standing`].
pub async fn fleet(plane: &ControlPlane, actor: &Actor, ask: &Ask) -> Result<Page<Line>> {
    actor.must_operate()?;
    let mut select = Select::by("m.key", ask);
    select.only("m.standing");
    if let Some(wanted) = select.wanted() {
        let mut any = ["m.name", "m.email", "m.display_name", "m.address"].map(|column| wanted.within(column)).to_vec();
        any.push(wanted.is("m.id"));
        select.any(&any);
    }
    let found: Vec<Row> = fetch!(select, HEAD, plane.db().reader())?;
    select.page(found, |row| row.key.clone()).try_map(Row::line)
}

/// What moves take just now, for who runs the business.
pub async fn fleet_sums(plane: &ControlPlane, actor: &Actor) -> Result<Sums> {
    actor.must_operate()?;
    let (coming, hindered, speed): (i64, i64, i64) = on!(plane.db().reader(), e => sqlx::query_as(
        "select count(*), count(error), cast(coalesce(sum(case when error is null then speed else 0 end), 0) as bigint)
         from move_in where state in ('asked', 'running')").fetch_one(e).await)?;
    let (leaving, silent): (i64, i64) = on!(plane.db().reader(), e => sqlx::query_as(
        "select cast(coalesce(sum(case when state = 'handed' then 0 else 1 end), 0) as bigint),
             cast(coalesce(sum(case when state = 'handed' then 1 else 0 end), 0) as bigint)
         from move_out where state in ('consented', 'copying', 'handed')").fetch_one(e).await)?;
    Ok(Sums {
        coming: coming.unsigned_abs(),
        leaving: leaving.unsigned_abs(),
        hindered: (hindered + silent).unsigned_abs(),
        speed: speed.unsigned_abs(),
        most: super::arriving::MOST,
    })
}

impl Row {
    fn line(self) -> Result<Line> {
        let direction = if self.direction == "in" { Direction::In } else { Direction::Out };
        let standing = Standing::ALL.into_iter().find(|standing| standing.word() == self.standing);
        let standing = standing.ok_or_else(|| Error::bug(format!("a move stands {:?}", self.standing)))?;
        let step = match (direction, self.step.as_str()) {
            (Direction::In, word) => Step::read(word).map_or("", Step::title),
            (_, "consented") => "Allowed; not begun to fetch",
            (_, "copying") => "Being copied",
            (_, "handed") => "Stood down; the new place has not said that it is live",
            (_, "settled") => "Live at the new place",
            (_, "taken-back") => "Taken back here",
            _ => "Ended before the hand-over",
        };
        let total = self.total.unsigned_abs();
        Ok(Line {
            key: self.key,
            id: row::id(&self.id)?,
            direction,
            standing,
            server: row::id(&self.server_id)?,
            name: self.name,
            account: row::id(&self.account_id)?,
            owner: self.email,
            address: self.address,
            step: step.to_owned(),
            coming: (total > 0).then(|| (self.received.unsigned_abs().min(total), total)),
            bytes: self.bytes.unsigned_abs(),
            speed: if standing == Standing::Going { self.speed.unsigned_abs() } else { 0 },
            trouble: self.trouble,
            since: row::time(self.since_ms)?,
            updated: self.updated_ms.map(row::time).transpose()?,
        })
    }
}
