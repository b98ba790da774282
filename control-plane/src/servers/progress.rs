//! How far a new server is, for the page that somebody waits on.

use tenant_runtime::ids::ServerId;

use super::Seen;
use crate::gateway::Found;
use crate::{Actor, ControlPlane, Result};

/// How far a new server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Each step in words, and whether it is done.
    pub steps: [(&'static str, bool); 3],
    /// Whether its address answers.
    pub ready: bool,
    /// What is in the way, if something is.
    pub trouble: Option<String>,
    /// Its address.
    pub url: String,
}

/// How far a server is, for its owner and who runs the business.
pub async fn progress(plane: &ControlPlane, actor: &Actor, id: ServerId) -> Result<Progress> {
    let server = super::server(plane, actor, id).await?;
    let placed = matches!(server.seen.seen, Seen::Placed { .. });
    let found = plane.routes().find(&server.site.host());
    let ready = placed && matches!(found, Found::Server(route) if route.server == id);
    Ok(Progress {
        steps: [
            ("Your address and your plan are noted", true),
            ("Your server has its own room", placed),
            ("Your address leads to it", ready),
        ],
        ready,
        trouble: server.trouble,
        url: server.site.origin(),
    })
}
