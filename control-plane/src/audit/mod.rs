//! The activity log: who did what when on an account and its servers, for its owner to read and to take along.
//!
//! Invariants: an event about a row of ours is written in the transaction that changes the row, so nothing happens without
//! its event, and no event tells of what did not happen. What a runtime did on our word has its event right after the
//! answer; what a runtime did without us it tells before it sleeps and whenever the log is read. An event holds no secret,
//! nothing of what is on a server, and no address that anybody came from.
//!
//! Events are kept for [`KEPT`]; what leaves with an archive before that stays in the archive.

mod collect;
mod event;
mod note;
mod store;

use jiff::{SignedDuration, Timestamp};
use tenant_runtime::ids::ServerId;

pub(crate) use collect::{collect, path, take};
pub use event::{Event, Outcome, What, Who};
pub(crate) use note::Note;
pub use tenant_runtime::events::EventId;

use crate::db::Db;
use crate::paging::{Ask, Page};
use crate::servers::{Doing, Seen};
use crate::{Actor, ControlPlane, Result, servers};

/// How long an event is kept: two years.
pub const KEPT: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);

/// What happened on a server and on its owner's account, a page at a time, newest first; for its owner.
pub async fn events(plane: &ControlPlane, actor: &Actor, server: ServerId, ask: &Ask) -> Result<Page<Event>> {
    let server = servers::server(plane, actor, server).await?;
    actor.must_own(server.account)?;
    if matches!(server.seen.seen, Seen::Placed { doing: Doing::Awake { .. }, .. }) {
        collect(plane, server.id).await;
    }
    store::page(plane.db(), server.account, server.id, ask).await
}

/// What happened on a server and on its owner's account, oldest first, for the archive: the newest events, of which the
/// last passes about `most` bytes; and whether those are all.
pub(crate) async fn newest(plane: &ControlPlane, server: &servers::Server, most: usize) -> Result<(Vec<Event>, bool)> {
    store::newest(plane.db(), server.account, server.id, most).await
}

/// Whether what is told of once under this key is told.
pub(crate) async fn is_noted(db: &Db, once_key: &str) -> Result<bool> {
    store::is_there(db, once_key).await
}

/// Forgets what is too old.
pub(crate) async fn sweep(db: &Db, now: Timestamp) -> Result<()> {
    store::forget(db, now.checked_sub(KEPT).unwrap_or(Timestamp::MIN)).await
}
