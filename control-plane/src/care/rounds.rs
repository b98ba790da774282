//! Waking those that nobody uses, so that they are checked all the same.

use std::time::Duration;

use futures::StreamExt as _;
use jiff::SignedDuration;
use tenant_runtime::admin::api::CareView;
use tenant_runtime::ids::ServerId;
use tokio_util::sync::CancellationToken;

use super::store;
use crate::servers::{AdminClient, admin};
use crate::{Actor, ControlPlane, Result};

/// A server that was not checked for so long is woken for it; one that is used checks itself every week.
pub const UNCHECKED: SignedDuration = SignedDuration::from_hours(28 * 24);
/// One that was woken for it is not woken again for so long, whatever came of it.
const NOT_AGAIN: SignedDuration = SignedDuration::from_hours(24);
/// Looks for such servers this often.
const EVERY: Duration = Duration::from_secs(600);
/// So many are awake for it at a time.
const AT_ONCE: usize = 2;
/// So many are picked at a look.
const PICKED: u32 = 100;
/// How often one that is awake for it is asked whether it is done, and for how long. It begins half a minute after waking
/// and never in the way of a request.
const ASKED_EVERY: Duration = Duration::from_secs(10);
const ASKED_TIMES: u32 = 90;

/// Wakes servers that were not checked for long, until `stop`.
pub(crate) async fn run(plane: ControlPlane, stop: CancellationToken) {
    loop {
        if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
        match stop.run_until_cancelled(check_unchecked(&plane, ASKED_EVERY)).await {
            None => return,
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::warn!(error = error.chain(), "servers that nobody uses cannot be checked just now");
            }
        }
    }
}

/// One look: wakes those that are due, and says how many were checked. Each is asked `every` so often whether it is done.
pub async fn check_unchecked(plane: &ControlPlane, every: Duration) -> Result<usize> {
    let now = plane.now();
    let ago = |time: SignedDuration| now.checked_sub(time).unwrap_or(now);
    let due = store::unchecked(plane.db(), ago(UNCHECKED), ago(NOT_AGAIN), PICKED).await?;
    let checks = futures::stream::iter(due).map(|server| async move {
        let checked = check(plane, server, every).await;
        if let Err(error) = &checked {
            tracing::warn!(server.id = %server, error = error.chain(), "a server could not be checked; it is tried again in a day");
        }
        checked.unwrap_or(false)
    });
    Ok(checks.buffer_unordered(AT_ONCE).filter(|checked| std::future::ready(*checked)).count().await)
}

/// Keeps one server awake until it has checked itself; false when it did not in time.
async fn check(plane: &ControlPlane, server: ServerId, every: Duration) -> Result<bool> {
    store::note_woken(plane.db(), server, plane.now()).await?;
    let client = admin(plane, &Actor::System, server).await?;
    let before = care(&client).await?;
    let _awake = plane.gates().enter(server).await;
    for _ in 0..ASKED_TIMES {
        tokio::time::sleep(every).await;
        let now = care(&client).await?;
        if now.checked_ms > before.checked_ms {
            super::note(plane.db(), server, &now, plane.now()).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

async fn care(client: &AdminClient) -> Result<CareView> {
    client.get_json("/care").await
}
