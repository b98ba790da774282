//! For which host names a proxy in front of us, which ends TLS, may get a certificate.
//!
//! Whoever connects there can name any host. So a name that leads to nobody is refused, or the certificate authority would
//! soon refuse all of ours; and of the names below a server only those are of use that are an app's.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tenant_runtime::ids::ServerId;

use crate::gateway::Certifiable;
use crate::{Actor, ControlPlane, servers};

/// A server is asked for its apps no more often than this, since asking wakes it.
const ASKED_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// The labels of the apps of servers that were asked lately.
#[derive(Debug, Default)]
pub(super) struct Labels(Mutex<HashMap<ServerId, (Timestamp, HashSet<String>)>>);

/// Whether a certificate for this host name is of use: it is the console's, a server's, a proved domain's, or an app's at
/// one of these.
pub async fn may_certify(plane: &ControlPlane, host: &str) -> bool {
    match plane.routes().certifiable(host) {
        Certifiable::Yes => true,
        Certifiable::No => false,
        Certifiable::App(server, label) => has_app(plane, server, &label).await,
    }
}

async fn has_app(plane: &ControlPlane, server: ServerId, label: &str) -> bool {
    let (now, known) = (plane.now(), &plane.domains().labels.0);
    if let Some((asked, labels)) = known.lock().get(&server)
        && (labels.contains(label) || now.duration_since(*asked) < ASKED_EVERY)
    {
        return labels.contains(label);
    }
    // Noted first, so that many who ask at once wake it once.
    known.lock().entry(server).or_insert_with(|| (now, HashSet::new())).0 = now;
    match servers::apps(plane, &Actor::System, server).await {
        Ok(apps) => {
            let labels: HashSet<String> =
                apps.into_iter().filter(|app| app.removed_ms.is_none()).map(|app| app.label).collect();
            let has = labels.contains(label);
            let mut known = known.lock();
            known.retain(|_, (asked, _)| now.duration_since(*asked) < ASKED_EVERY);
            known.insert(server, (now, labels));
            has
        }
        Err(error) => {
            tracing::info!(server.id = %server, error = error.chain(), "whether a server has an app of this name cannot be told now");
            false
        }
    }
}
