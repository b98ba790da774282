//! What is remembered of moves beside their rows, and the loop that ends those that nobody goes on with.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use billing::Use;
use parking_lot::{Mutex, RwLock};
use tenant_runtime::ids::ServerId;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::store::{self, Kept};
use super::{departure, ending};
use crate::gateway::Moved;
use crate::servers::reconcile::{own_names, route};
use crate::{ControlPlane, Result, domains};

/// How often moves that nobody goes on with are looked for.
const EVERY: Duration = Duration::from_secs(60);
/// And how often it is asked again whether a server has left, while nobody knows.
const IN_DOUBT: Duration = Duration::from_secs(2);

/// What the program remembers of moves away from here.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    moved: RwLock<HashMap<ServerId, Arc<Moved>>>,
    turns: Mutex<HashMap<ServerId, Arc<tokio::sync::Mutex<()>>>>,
    /// Moves whose server may have stood down without our knowing.
    doubtful: Mutex<HashSet<Uuid>>,
}

impl Desk {
    /// Where a server went, if it is gone.
    pub(crate) fn moved(&self, server: ServerId) -> Option<Arc<Moved>> {
        self.moved.read().get(&server).cloned()
    }

    /// The turn of whoever changes a move of this server.
    pub(super) async fn turn(&self, server: ServerId) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = Arc::clone(self.turns.lock().entry(server).or_default());
        turn.lock_owned().await
    }

    pub(super) fn doubt(&self, id: Uuid) {
        self.doubtful.lock().insert(id);
    }

    pub(super) fn is_doubtful(&self, id: Uuid) -> bool {
        self.doubtful.lock().contains(&id)
    }

    pub(super) fn know(&self, id: Uuid) {
        self.doubtful.lock().remove(&id);
    }
}

impl Kept {
    /// What the gateway has to know, where the server is gone.
    pub(super) fn moved(&self) -> Option<Moved> {
        let handover = self.handover.as_ref().filter(|_| self.stand.is_gone())?;
        Some(Moved {
            from: self.address.clone(),
            to: self.successor.clone(),
            until: handover.forward_until,
            handover: handover.signed.clone(),
        })
    }
}

/// Has the gateway answer for a server as its move stands.
pub(super) fn reroute(plane: &ControlPlane, kept: &Kept, name: &str) {
    let mut all = plane.leaving().moved.write();
    match kept.moved() {
        Some(moved) => all.insert(kept.server, Arc::new(moved)),
        None => all.remove(&kept.server),
    };
    drop(all);
    if kept.stand.is_gone() {
        plane.routes().put(name, route(plane, kept.server, Use::Full));
    }
    plane.attend(kept.server);
    plane.note_change();
}

/// Takes up again what the rows say: before the port is open, every address that leads on does so, and every move that may
/// have handed over is in doubt.
pub(crate) async fn remember(plane: &ControlPlane) -> Result<()> {
    for (kept, name) in store::gone(plane.db()).await? {
        reroute(plane, &kept, &name);
        let owned = domains::store::of_servers(plane.db(), &[kept.server]).await?.remove(&kept.server);
        plane.routes().set_own(&name, &own_names(&owned.unwrap_or_default()));
    }
    for kept in store::at_the_door(plane.db()).await? {
        plane.leaving().doubt(kept.id);
    }
    Ok(())
}

/// Runs until `stop`.
pub(crate) async fn run(plane: ControlPlane, stop: CancellationToken) {
    loop {
        if let Err(error) = tend(&plane).await {
            tracing::warn!(error = error.chain(), "moves away from here cannot be looked after just now");
        }
        let wait = if plane.leaving().doubtful.lock().is_empty() { EVERY } else { IN_DOUBT };
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

/// Finds out about those in doubt, and gives up those whose time is over.
async fn tend(plane: &ControlPlane) -> Result<()> {
    let doubtful: Vec<_> = plane.leaving().doubtful.lock().iter().copied().collect();
    for id in doubtful {
        let Some(kept) = store::by_id(plane.db(), id).await? else { continue };
        let found = departure::caught_up(plane, kept).await;
        if let Err(error) = found {
            tracing::warn!(move.id = %id, error = error.chain(), "whether a server has left is not known yet");
        }
    }
    for kept in store::overdue(plane.db(), plane.now()).await? {
        ending::expire(plane, kept).await?;
    }
    Ok(())
}
