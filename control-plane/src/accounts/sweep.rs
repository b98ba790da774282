//! Forgetting what has run out: old sessions, old wrong passwords, what happened long ago.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{session, throttle};
use crate::{ControlPlane, Result, audit};

const EVERY: Duration = Duration::from_secs(3600);

/// Sweeps until `stop`.
pub(crate) async fn run(plane: ControlPlane, stop: CancellationToken) {
    loop {
        if let Err(error) = pass(&plane).await {
            tracing::warn!(error = error.chain(), "old sessions cannot be swept just now");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn pass(plane: &ControlPlane) -> Result<()> {
    session::sweep(plane.db(), plane.now()).await?;
    throttle::sweep(plane.db(), plane.now()).await?;
    audit::sweep(plane.db(), plane.now()).await
}
