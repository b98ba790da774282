//! How the business is doing, in a few figures that add up: what who runs it looks at first.
//!
//! Everything is counted where an index or memory has it, never by reading rows, so that the page is there at once also
//! over a hundred thousand servers.

use billing::Money;

use crate::care::{self, Sums};
use crate::db::on;
use crate::operations::Operation;
use crate::{Actor, ControlPlane, Result, business, drills, mail, servers, subscriptions};

/// How the business is doing.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Everybody who has signed up.
    pub accounts: u64,
    /// Servers that are to be kept.
    pub kept: u64,
    /// Those of them that are not as they ought to be.
    pub astray: u64,
    /// Those of them with a process.
    pub awake: u64,
    /// Accounts whose bill is late.
    pub late: u64,
    /// Bills that wait for money.
    pub open: u64,
    /// How much they come to.
    pub owed: Money,
    /// The newest operations under way.
    pub going: Vec<Operation>,
    /// How many are under way.
    pub going_count: u64,
    /// How many have failed.
    pub failed: u64,
    /// How many there ever were.
    pub operations: u64,
    /// Letters that could not leave.
    pub stuck_letters: u64,
    /// How well the data of servers is kept.
    pub care: Sums,
    /// Whether one could leave.
    pub drills: drills::Sums,
}

/// How the business is doing, for who runs it.
pub async fn overview(plane: &ControlPlane, actor: &Actor) -> Result<Overview> {
    actor.must_operate()?;
    let accounts: i64 =
        on!(plane.db().reader(), e => sqlx::query_scalar("select count(*) from account").fetch_one(e).await)?;
    let (kept, seen) = servers::counts(plane).await?;
    let owed = subscriptions::owed(plane, actor).await?;
    let going = plane.operations().going().await?;
    Ok(Overview {
        accounts: accounts.unsigned_abs(),
        kept,
        // Whoever has not looked yet knows only of what has failed meanwhile.
        astray: if seen.looked { kept.saturating_sub(seen.fine) } else { seen.troubled },
        awake: seen.awake,
        late: owed.late,
        open: owed.open,
        owed: Money::new(owed.cents, business::business(plane).await?.currency),
        going: going.newest,
        going_count: going.now,
        failed: going.failed,
        operations: going.ever,
        stuck_letters: mail::in_trouble(plane.db()).await?,
        care: care::sums(plane.db()).await?,
        drills: drills::sums(plane.db()).await?,
    })
}
