//! Exit drills: whether one could leave today, tried instead of promised.
//!
//! A server's archive is made as by any export and taken in by a stand-in: a server in a sandbox and a home of its own,
//! that no address leads to. The stand-in gives out its archive in turn, and the two payload manifests must be the same.
//! Then the stand-in is erased. Of the server itself nothing is asked but its archive, in every standing of the bill.
//!
//! One drill at a time. A server's first turn comes a day after it was made, the next ones a period
//! ([`Settings::drills_every`](crate::Settings::drills_every)) after the last passed, and a day after one that did not.
//! Its owner can ask for one at any time, and asked and due ones take turns. Whoever sleeps and wrote nothing since the
//! last drill it passed, as it told on its way to sleep, is not woken for another before [`UNCHANGED`] periods. (What a
//! server wrote before it was killed it tells when it next falls asleep.)
//!
//! Invariants: a stand-in's name is in the database before there is anything of it, and no other one is made before it
//! is erased; so a program that is killed leaves at most one, which it erases at its next start. No figure of a stand-in
//! is counted as anybody's use, and no look at the host counts it among the servers.
//!
//! Fails by being told: to the owner on the server's pages and in the activity log (`told`), to who runs the business on the page of all drills and on
//! the overview. Whether the archive is at fault or the machine that was to try it are two things, and told apart.

mod store;
mod told;
mod trial;
mod turns;

use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tenant_runtime::ids::ServerId;
use tokio::sync::Notify;

pub(crate) use store::{expect, forget, note_told, sums};
pub(crate) use turns::{A_DAY, run};
pub use turns::{UNCHANGED, take_turn};

use crate::paging::{Ask, Page};
use crate::{Actor, ControlPlane, Result, accounts, servers};

/// What is known of one server's drills.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drills {
    /// The last that passed.
    pub passed: Option<Passed>,
    /// The last, if it did not pass.
    pub failed: Option<Failed>,
    /// Whether there is one just now.
    pub now: Now,
    /// When the next turn comes, as far as it is known. A server that has not changed may be left alone then.
    pub next: Option<Timestamp>,
}

/// A drill that passed: the two archives hold the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// When it ended.
    pub at: Timestamp,
    /// Records in the archive.
    pub documents: u64,
    /// Files in it.
    pub files: u64,
    /// Its length.
    pub bytes: u64,
    /// How long it took, from the freeze to the comparison.
    pub took: Duration,
}

/// A drill that did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// When it ended.
    pub at: Timestamp,
    /// Where it was the matter.
    pub fault: Fault,
    /// Why, in words for people.
    pub why: String,
}

/// Where it was the matter when a drill did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server could not give out its archive, or it is not what it ought to be: one could perhaps not leave.
    Archive,
    /// The provider could not try it, which says nothing about the archive.
    Provider,
}

impl Fault {
    /// The word in the database.
    fn word(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Provider => "provider",
        }
    }
}

/// Whether there is a drill just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Now {
    /// No.
    #[default]
    Resting,
    /// Its owner asked for one, and it waits until others are done.
    Waiting,
    /// It is being done.
    Running,
}

/// One server in the list of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which.
    pub server: ServerId,
    /// Its name for people.
    pub name: String,
    /// What is known of its drills.
    pub drills: Drills,
}

/// What is known of all servers' drills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Servers that ever passed one.
    pub passed: u64,
    /// Servers whose last did not pass because of their archive.
    pub failed: u64,
    /// Servers whose last could not be done by the provider.
    pub hindered: u64,
    /// Servers that have one now or wait for one.
    pub going: u64,
    /// When the one that was tested longest ago passed.
    pub oldest: Option<Timestamp>,
}

/// What the program remembers of drills beside their rows.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    bell: Notify,
    stand_in: Mutex<Option<ServerId>>,
    turns: tokio::sync::Mutex<turns::Last>,
}

impl Desk {
    /// The stand-in that is there now, which is nobody's server.
    pub(crate) fn stand_in(&self) -> Option<ServerId> {
        *self.stand_in.lock()
    }
}

/// What is known of a server's drills, for its owner and who runs the business.
pub async fn drills(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<Drills> {
    servers::server(plane, actor, server).await?;
    store::of(plane.db(), server).await
}

/// Asks for a drill now. One that waits or runs is that one. Each makes work for the whole machine, so that only a few of a
/// person are made a day.
pub async fn ask(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<()> {
    let owner = servers::server(plane, actor, server).await?.account;
    actor.must_own(owner)?;
    if store::of(plane.db(), server).await?.now != Now::Resting {
        return Ok(());
    }
    accounts::count_drill(plane.db(), owner, plane.now()).await?;
    store::ask(plane.db(), server, plane.now()).await?;
    plane.drills().bell.notify_one();
    plane.note_change();
    Ok(())
}

/// All servers that are kept with their drills, a page at a time, for who runs the business. `only` is one of
/// `failed`, `hindered`, `untested` and `going`.
pub async fn fleet(plane: &ControlPlane, actor: &Actor, ask: &Ask) -> Result<Page<Line>> {
    actor.must_operate()?;
    store::page(plane.db(), ask).await
}

/// What is known of all servers' drills, for who runs the business.
pub async fn fleet_sums(plane: &ControlPlane, actor: &Actor) -> Result<Sums> {
    actor.must_operate()?;
    sums(plane.db()).await
}
