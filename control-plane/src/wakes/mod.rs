//! Waking servers that sleep when something is due on them: a schedule, something that is tried again, a message.
//!
//! A server says itself when it wants to be awake, in three places. Before it acknowledges to an app that something is due
//! sooner than it was, it has the host remember that ([`crate::errands`]); before every sleep it is asked; and so it is after it was
//! woken. What it said last stands in one small row; of a server that wants nothing there is none. So a hundred thousand
//! sleepers are rows and an index, and in memory are those alone that are due within minutes ([`plan`]).
//!
//! Invariants: the row is never later than what the server acknowledged, so a process that is killed, the server's or ours,
//! costs a wake too many and never one too few. What is done at the time, and that it is done once, is the server's own affair
//! (`tenant_runtime::happenings`); here is only the alarm clock. A server that sleeps for want of payment is not woken, nor one that
//! moved away or is gone.
//!
//! It fails by calling again, less and less often. After an outage of ours all that was missed is called at once, the longest
//! due first.

pub mod plan;
mod run;
pub mod store;

use tenant_runtime::ids::ServerId;

use crate::{Actor, ControlPlane, Result, servers};

pub(crate) use run::run;

/// How many notices wait on a server that its owner has not put away, as it said last.
pub async fn notices(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<u64> {
    let whose = servers::server(plane, actor, server).await?;
    actor.must_own(whose.account)?;
    Ok(store::told(plane.db(), &[server]).await?.remove(&server).map_or(0, |told| told.notices))
}
