//! Moves away from here as their owner sees them.

use export_format::moving::Signed;
use jiff::{SignedDuration, Timestamp};
use tenant_runtime::ids::ServerId;
use uuid::Uuid;

use super::Stand;
use super::store::{self, Kept};
use crate::moves::HOLD_MS;
use crate::{Actor, ControlPlane, Result, servers};

/// A move away from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// The move.
    pub id: Uuid,
    /// Which server leaves.
    pub server: ServerId,
    /// Where it stands.
    pub stand: Stand,
    /// The target's origin.
    pub target: String,
    /// What it calls itself.
    pub target_name: String,
    /// The address of the server here.
    pub address: String,
    /// The address of the server that goes on.
    pub successor: String,
    /// When the owner said yes.
    pub consented: Timestamp,
    /// Until when the target may go on with what it was allowed.
    pub until: Timestamp,
    /// What it asked for, the newest first.
    pub rounds: Vec<Round>,
    /// What became of the address, once the server has stood down.
    pub forwarded: Option<Forwarded>,
    /// When the target said that the server is live there.
    pub settled: Option<Timestamp>,
    /// When the move ended without one, and why.
    pub ended: Option<Timestamp>,
    /// Why it ended before the hand-over.
    pub why: Option<String>,
}

/// One moment that the target asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Its number, from 0.
    pub number: u32,
    /// Whether it is only what changed since an earlier one.
    pub is_delta: bool,
    /// Whether writes were held for it.
    pub held: bool,
    /// Whether they may be held this very moment.
    pub holds: bool,
    /// When it was asked for.
    pub at: Timestamp,
    /// How much there was to fetch, once known.
    pub bytes: Option<u64>,
    /// Why it could not be made.
    pub error: Option<String>,
}

/// Where an address leads on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The server's own word on that.
    pub handover: Signed,
}

/// The moves of a server, the newest first, for its owner and who runs the business.
pub async fn of_server(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<Vec<Course>> {
    servers::server(plane, actor, server).await?;
    let mut all = Vec::new();
    for kept in store::of_server(plane.db(), server).await? {
        all.push(course(plane, kept).await?);
    }
    Ok(all)
}

pub(super) async fn course(plane: &ControlPlane, kept: Kept) -> Result<Course> {
    let rounds = store::rounds(plane.db(), kept.id).await?;
    let hold = SignedDuration::from_millis(HOLD_MS.cast_signed());
    let (now, newest) = (plane.now(), rounds.first().map(|round| round.round));
    let shown = |round: store::Asked| Round {
        number: round.round,
        is_delta: round.base.is_some(),
        held: round.held,
        holds: round.held
            && kept.stand == Stand::Copying
            && Some(round.round) == newest
            && now.duration_since(round.at) < hold,
        at: round.at,
        bytes: round.bytes,
        error: round.error,
    };
    let forwarded = kept.handover.as_ref().map(|handed| Forwarded {
        since: handed.at,
        until: handed.forward_until,
        handover: handed.signed.clone(),
    });
    Ok(Course {
        rounds: rounds.into_iter().map(shown).collect(),
        id: kept.id,
        server: kept.server,
        stand: kept.stand,
        target: kept.target,
        target_name: kept.target_name,
        address: kept.address,
        successor: kept.successor,
        consented: kept.consented,
        until: kept.until,
        forwarded,
        settled: kept.settled,
        ended: kept.ended,
        why: kept.why,
    })
}
