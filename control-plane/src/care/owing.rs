//! Waking those that fell asleep while what they had acknowledged could not be published: it lies on one machine until then,
//! and a plan that allows for some loss allows for seconds of it.

use std::time::Duration;

use tenant_runtime::admin::api::CareView;
use tenant_runtime::ids::ServerId;
use tokio_util::sync::CancellationToken;

use crate::servers::admin;
use crate::{Actor, ControlPlane, Result};

/// How often they are tried.
const EVERY: Duration = Duration::from_secs(30);

/// Wakes them, one after another, until `stop`.
pub(crate) async fn run(plane: ControlPlane, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        if stop.run_until_cancelled(wake_owing(&plane)).await.is_none() {
            return;
        }
    }
}

/// One look: wakes those there are, and says how many woke.
pub async fn wake_owing(plane: &ControlPlane) -> usize {
    let mut woke = 0;
    for server in plane.host().owing() {
        match wake(plane, server).await {
            Ok(()) => woke += 1,
            Err(error) => {
                tracing::warn!(server.id = %server, error = error.chain(), "what the server owes its storage is still here alone");
            }
        }
    }
    woke
}

async fn wake(plane: &ControlPlane, server: ServerId) -> Result<()> {
    let client = admin(plane, &Actor::System, server).await?;
    let _awake = plane.gates().enter(server).await;
    // It answers when its home is open, and that is opened by publishing.
    client.get_json::<CareView>("/care").await.map(drop)
}
