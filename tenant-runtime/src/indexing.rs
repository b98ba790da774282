//! Going on with indexes that have been begun, one step after another, each a write of its own: so writes that come meanwhile
//! share a group with a step, or go in between two. After each it rests as long as that took, so that most of them do the latter.
//!
//! Failure: what a sleep or a crash interrupts goes on at the next wake, and so does what failed. Where the disk or the store
//! has no room, or does not answer, the next step waits a while. Where the plan has none left, an index that nobody asked for
//! is given up; those that an app declares are made, for it cannot search without.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::documents::{self, Step};
use crate::problem::chain;
use crate::quota::Quota;
use crate::server::now;
use crate::store::{self, Home, Kind};

/// How long nothing is tried after a step for which there was no room or no store.
const PAUSE: Duration = Duration::from_secs(60);

/// What makes a server's indexes, one at a time.
#[derive(Debug, Default)]
pub struct Indexing {
    alone: Mutex<()>,
}

impl Indexing {
    /// Makes everything that has been begun. What is in the way is logged.
    pub async fn finish(&self, home: &Home, quota: &Quota) {
        let _alone = self.alone.lock().await;
        match home.read(|db| Ok::<_, Error>(documents::is_making(db)?)).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                return tracing::warn!(cause = chain(&error), "whether an index is to be made cannot be read");
            }
        }
        let mut waited = false;
        loop {
            let began = Instant::now();
            match step(home, quota).await {
                Ok(Step::Further) => tokio::time::sleep(began.elapsed()).await,
                Ok(Step::Whole(index)) => tracing::info!(index, "made an index"),
                Ok(Step::GivenUp(index)) => tracing::warn!(index, "gave up making an index"),
                Ok(Step::Nothing) => break,
                Err(Error::Store(store::Error::Asleep | store::Error::Fenced | store::Error::Departed)) => return,
                Err(error) if error.passes() => {
                    if !std::mem::replace(&mut waited, true) {
                        tracing::warn!(cause = chain(&error), "the making of an index waits");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return tracing::warn!(cause = chain(&error), "an index is made at the next wake"),
            }
        }
        quota.forget();
    }
}

async fn step(home: &Home, quota: &Quota) -> Result<Step, Error> {
    // Where that cannot be read, the write says why.
    let is_full = quota.free(home, now()).await.is_ok_and(|free| free == 0);
    home.write(move |db| {
        let given_up = if is_full { documents::give_up_missed(db)? } else { None };
        Ok(match given_up {
            Some(index) => Step::GivenUp(index),
            None => documents::make_further(db)?,
        })
    })
    .await
}

/// Why a step was not made.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Documents(#[from] documents::Error),
}

impl Error {
    fn passes(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error.kind(), Kind::Retry | Kind::Full),
            Self::Documents(documents::Error::Database(error)) => {
                error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
            }
            Self::Documents(_) => false,
        }
    }
}
