//! Tidying up while the server is awake: uploads nobody goes on with, and blobs nobody refers to.
//!
//! It runs a while after the server woke and then once a day, never in the way of a request. A blob is kept as long as
//! the live home, any snapshot or a grace time has a use for it.

use std::time::Duration;

use crate::files::{self, uploads};
use crate::problem::Problem;
use crate::server::{Server, now};

/// How long after waking the first round waits.
const FIRST: Duration = Duration::from_secs(5 * 60);
/// How long between rounds.
const ROUND: Duration = Duration::from_secs(24 * 60 * 60);
/// For how long an unreferenced blob is kept all the same.
const GRACE: Duration = Duration::from_secs(48 * 60 * 60);

/// Tidies up until the server stops.
pub async fn run(server: Server) {
    let mut wait = FIRST;
    loop {
        tokio::select! {
            () = server.stopped() => return,
            () = tokio::time::sleep(wait) => {}
        }
        if let Err(problem) = round(&server, now()).await {
            tracing::warn!(cause = problem.detail, "tidying up was put off");
        }
        wait = ROUND;
    }
}

/// One round.
pub async fn round(server: &Server, now: i64) -> Result<(), Problem> {
    let home = &server.home;
    let given_up = home.write(move |db| Ok::<_, Problem>(uploads::give_up(db, now)?)).await?;
    for id in &given_up {
        home.blobs().upload_abort(id).await?;
        server.quota.release(id);
    }
    let mut in_use = home.read(|db| Ok::<_, Problem>(files::blobs_in_use(db)?)).await?;
    for info in home.snapshots().await? {
        let snapshot = home.open_snapshot(&info.name).await?;
        in_use.extend(snapshot.read(|db| Ok::<_, Problem>(files::blobs_in_use(db)?)).await?);
    }
    let swept = home.blobs().sweep(&in_use, GRACE).await?;
    if swept.files > 0 {
        tracing::info!(files = swept.files, bytes = swept.bytes, "removed files nobody refers to");
    }
    server.quota.forget();
    Ok(())
}
