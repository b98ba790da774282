//! How long each way of leaving takes: as it was last measured for a server, or else how the last ones on this provider went.

use std::time::Duration;

use jiff::Timestamp;
use tenant_runtime::ids::ServerId;

use crate::db::{Db, on};
use crate::{Result, row};

/// So many of the last on this provider are looked at.
const LOOKED_AT: u32 = 20;
/// What is shorter than this says nothing about how fast bytes go.
const SHORTEST: Duration = Duration::from_millis(200);

/// One that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it was over.
    pub at: Timestamp,
    /// How much there was.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// What is known of one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// This server's own, the last.
    Measured(Span),
    /// How the last ones of others went here, all together.
    Others {
        /// How many they were.
        count: u32,
        /// How much they were.
        bytes: u64,
        /// How long they took.
        took: Duration,
    },
    /// Nobody has done it here.
    Nothing,
}

impl Known {
    /// How long so much will probably take, going by what others took.
    #[must_use]
    pub fn expects(&self, amount: u64) -> Option<Duration> {
        let Self::Others { count, bytes, took } = *self else { return None };
        // What each took at least, whatever it weighed, is not known; so nothing is expected to be quicker than one of many.
        let each = took.as_secs_f64() / f64::from(count.max(1));
        let by_weight = took.as_secs_f64() * amount as f64 / bytes.max(1) as f64;
        let mean = bytes as f64 / f64::from(count.max(1));
        let seconds = if (amount as f64) < mean { each } else { by_weight };
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// What is known of every way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spans {
    /// An archive is made, until it can be fetched.
    pub export: Known,
    /// A copy is made and lies in a storage of the owner's.
    pub copy: Known,
    /// A server moves from one provider to another, from its owner's yes until it is live.
    pub moved: Known,
    /// An archive is made, taken in by another server, given out again and compared.
    pub drill: Known,
}

/// What ended well: an id that sorts by time, whose it is, when, how much, how long.
const EXPORTS: &str = "select id as nth, server_id, bytes,
        (select min(at_ms) from operation_turn t where t.operation_id = operation.id and t.state = 'ready') as until_ms,
        created_ms as from_ms
    from operation where kind = 'export' and place_id is null";
const COPIES: &str = "select id as nth, server_id, bytes,
        (select min(at_ms) from operation_turn t where t.operation_id = operation.id and t.state = 'done') as until_ms,
        created_ms as from_ms
    from operation where kind = 'export' and place_id is not null";
const MOVES: &str = "select cast(settled_ms as text) as nth, server_id,
        (select cast(sum(bytes) as bigint) from move_round where move_id = move_out.id) as bytes,
        settled_ms as until_ms, consented_ms as from_ms
    from move_out where settled_ms is not null
    union all
    select cast(activated_ms as text), server_id, arrived, activated_ms, created_ms from move_in where activated_ms is not null";
const DRILLS: &str =
    "select cast(passed_ms as text) as nth, server_id, bytes, passed_ms as until_ms, passed_ms - took_ms as from_ms
    from drill where passed_ms is not null";

pub(super) async fn spans(db: &Db, server: ServerId) -> Result<Spans> {
    Ok(Spans {
        export: known(db, EXPORTS, server).await?,
        copy: known(db, COPIES, server).await?,
        moved: known(db, MOVES, server).await?,
        drill: known(db, DRILLS, server).await?,
    })
}

async fn known(db: &Db, all: &str, server: ServerId) -> Result<Known> {
    let head = format!("select bytes, until_ms, from_ms from ({all}) s where until_ms is not null and bytes > 0");
    let own = format!("{head} and server_id = $1 order by nth desc limit 1");
    let own: Option<(i64, i64, i64)> = on!(db.reader(), e => sqlx::query_as(sqlx::AssertSqlSafe(own.as_str()))
        .bind(server.to_string()).fetch_optional(e).await)?;
    if let Some((bytes, until, from)) = own {
        return Ok(Known::Measured(Span {
            at: row::time(until)?,
            bytes: bytes.unsigned_abs(),
            took: span(from, until),
        }));
    }
    let others = format!("{head} order by nth desc limit {LOOKED_AT}");
    let others: Vec<(i64, i64, i64)> =
        on!(db.reader(), e => sqlx::query_as(sqlx::AssertSqlSafe(others.as_str())).fetch_all(e).await)?;
    let took: Duration = others.iter().map(|(_, until, from)| span(*from, *until)).sum();
    if took < SHORTEST {
        return Ok(Known::Nothing);
    }
    Ok(Known::Others {
        count: u32::try_from(others.len()).unwrap_or(LOOKED_AT),
        bytes: others.iter().map(|(bytes, ..)| bytes.unsigned_abs()).sum(),
        took,
    })
}

fn span(from_ms: i64, until_ms: i64) -> Duration {
    Duration::from_millis((until_ms - from_ms).max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_took_says_what_to_expect_and_what_is_measured_needs_no_guess() {
        let others = Known::Others { count: 4, bytes: 4_000_000, took: Duration::from_secs(8) };
        assert_eq!(others.expects(10_000_000), Some(Duration::from_secs(20)), "two seconds a megabyte");
        assert_eq!(others.expects(10), Some(Duration::from_secs(2)), "and no less than one of them took");
        assert_eq!(Known::Nothing.expects(10), None);
        let span = Span { at: Timestamp::UNIX_EPOCH, bytes: 1, took: Duration::from_secs(1) };
        assert_eq!(Known::Measured(span).expects(10), None);
    }
}
