//! Giving up a hand-over to this server for good, or saying that it went live by it.
//!
//! The number of this server's life is raised to that of the hand-over, so that nothing of that number makes it live any more,
//! whatever import is still there and whatever copy of it comes back: `activate` compares with it. That is one durable write, in the
//! same turn in which imports go live; so of the two one happens, and whoever asks again is told which.

use export_format::moving::{Handover, RecallAnswer, Renunciation};

use super::Imports;
use crate::admin::api::RenounceRequest;
use crate::archive::error::Error;
use crate::archive::identity;
use crate::archive::work;
use crate::moves;

impl Imports {
    /// Answers whether this server is live by a hand-over; where it is not, it never will be from then on.
    pub async fn renounce(&self, request: RenounceRequest, now_ms: i64) -> Result<RecallAnswer, Error> {
        let this = self.clone();
        // Whoever asked may be gone by then.
        work::apart(async move { this.renounce_now(request, now_ms).await }).await
    }

    async fn renounce_now(&self, request: RenounceRequest, now_ms: i64) -> Result<RecallAnswer, Error> {
        let _one_at_a_time = self.inner.swapping.lock().await;
        let home = &self.inner.home;
        let handover = Handover::open(&request.handover).map_err(|why| Error::Refused(why.to_string()))?;
        let own = identity::of(home).await?;
        if own.did() != request.own.did || handover.successor != request.own {
            return Err(Error::Refused("the hand-over is to another server than this".into()));
        }
        let digest = request.handover.digest();
        let (arrival, renounced, epoch) =
            home.read(|db| Ok::<_, Error>((moves::arrival(db)?, moves::renounced(db)?, moves::epoch(db)?))).await?;
        if let Some(arrival) = arrival.filter(|arrival| arrival.handover.digest() == digest) {
            return Ok(RecallAnswer::Active { acceptance: arrival.acceptance });
        }
        if let Some(renounced) = renounced.filter(|renounced| renounced.handover == digest) {
            return Ok(RecallAnswer::Cancelled { renunciation: renounced.renunciation });
        }
        if handover.epoch <= epoch {
            // It may have been live by it, in a life that is over.
            let why = format!("the hand-over is of epoch {}, and this server is in {epoch}", handover.epoch);
            return Err(Error::State(why));
        }
        let word = Renunciation {
            kind: Renunciation::KIND.into(),
            id: handover.id,
            handover: digest,
            server: request.own,
            at: jiff::Timestamp::from_millisecond(now_ms).map_err(|why| Error::Bug(why.to_string()))?,
        };
        let renunciation = word.sign(&own.signer()).map_err(|why| Error::Bug(why.to_string()))?;
        let noted = moves::Renounced { handover: digest, renunciation: renunciation.clone() };
        home.upkeep(move |db| {
            moves::set_epoch(db, handover.epoch)?;
            moves::set_renounced(db, &noted)
        })
        .await?;
        tracing::info!(move.id = %handover.id, "this server will not go on by a hand-over");
        Ok(RecallAnswer::Cancelled { renunciation })
    }
}
