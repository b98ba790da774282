//! Reading everything that counts, again and again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::store::{self, Figures, Reading};
use crate::{ControlPlane, Result, servers};

/// How often everything is read: no crash takes away more than was counted in this time.
pub const EVERY: Duration = Duration::from_secs(5);

/// Old hours are folded once in so many readings.
const FOLD_AFTER: u32 = 720;

/// Reads until `stop`, and once more then.
pub(crate) async fn run(plane: ControlPlane, stop: CancellationToken) {
    for nth in 0.. {
        let stopping = stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none();
        let mut done = collect(&plane).await;
        if done.is_ok() && nth % FOLD_AFTER == 0 {
            done = store::fold(plane.db(), plane.now()).await;
        }
        if let Err(error) = done {
            tracing::warn!(error = error.chain(), "what servers use cannot be noted just now; it is counted on");
        }
        if stopping {
            return;
        }
    }
}

/// Reads everything once, so that the books are up to date. What cannot be stored is counted on and read again.
pub async fn collect(plane: &ControlPlane) -> Result<()> {
    let runs = plane.host().readings().await;
    let shown = plane.traffic().shown();
    let of_run = |run: &infra::agent::RunReading| Reading {
        server: run.server,
        source: format!("run-{}", run.run),
        figures: Figures { cpu_us: run.cpu_us, awake_ms: run.awake_ms, ..Figures::default() },
    };
    let of_tally = |shown: &super::traffic::Shown| Reading {
        server: shown.server,
        source: shown.source.clone(),
        figures: Figures { received: shown.received, sent: shown.sent, ..Figures::default() },
    };
    let mut readings: Vec<_> = runs.iter().map(of_run).chain(shown.iter().map(of_tally)).collect();
    if readings.is_empty() {
        return Ok(());
    }
    // The stand-in of an exit drill runs as a server does, and is nobody's.
    let theirs = servers::known(plane.db(), &readings.iter().map(|reading| reading.server).collect()).await?;
    readings.retain(|reading| theirs.contains(&reading.server));
    store::count(plane.db(), &readings, plane.now()).await?;
    plane.traffic().forget(&shown);
    let ended: Vec<_> = runs.into_iter().filter(|run| run.ended).map(|run| run.run).collect();
    if let Err(error) = plane.host().acknowledge(ended).await {
        tracing::warn!(%error, "the host keeps runs that are in the books already; it does no harm");
    }
    Ok(())
}
