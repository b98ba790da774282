//! Going live by a hand-over: the stage takes the server's place because the server it comes from says so.
//!
//! The hand-over names this server, the key it must be signed by is the one that signed every round, and the payload it speaks
//! of is the one that was computed from what is staged. The number of this server's life, the hand-over, this server's own word
//! on it and the guests go into the stage, and with it live in one conditional write; so whoever asks again is answered from
//! the live content, and no file has to be believed. A home that had departed is here again by the same write.

use export_format::moving::{Acceptance, Handover};
use rusqlite::Connection;

use super::change::{self, Came, Mark};
use super::job;
use super::{Imports, stage_name, undo_name};
use crate::admin::api::{ActivateRequest, Activated, ImportState};
use crate::archive::error::Error;
use crate::archive::identity;
use crate::archive::identity::Identity;
use crate::archive::keepsakes::Keepsakes;
use crate::archive::payload::kept::{self, Origin};
use crate::archive::work;
use crate::sessions;
use crate::{apps, moves};

impl Imports {
    /// Has an import that follows take the server's place. The same call again is answered the same.
    pub async fn activate(&self, id: &str, request: ActivateRequest, now_ms: i64) -> Result<Activated, Error> {
        work::check_id(id)?;
        let (this, id) = (self.clone(), id.to_owned());
        // Whoever asked may be gone by then.
        work::apart(async move { this.activate_now(&id, request, now_ms).await }).await
    }

    async fn activate_now(&self, id: &str, request: ActivateRequest, now_ms: i64) -> Result<Activated, Error> {
        let _one_at_a_time = self.inner.swapping.lock().await;
        if let Some(done) = self.arrived(id, &request).await? {
            return Ok(done);
        }
        self.at_rest(id).await?;
        if self.inner.running.begin(id).is_none() {
            return Err(Error::State("a round is being put in just now; ask again when it is over".into()));
        }
        let outcome = self.go_live(id, request, now_ms).await;
        self.rest(id);
        outcome
    }

    /// What was answered, where it is live already.
    async fn arrived(&self, id: &str, request: &ActivateRequest) -> Result<Option<Activated>, Error> {
        if self.origin().await?.is_none_or(|origin| origin.import != id) {
            return Ok(None);
        }
        let arrival = self.inner.home.read(moves::arrival).await?;
        let arrival = arrival.filter(|arrival| arrival.import == id && arrival.handover == request.handover);
        let arrival = arrival.ok_or_else(|| Error::State("this import is live, and not by this hand-over".into()))?;
        self.settle(id).await?;
        Ok(Some(Activated { acceptance: arrival.acceptance }))
    }

    /// Notes in the files of the import that it is live, unless they say so.
    async fn settle(&self, id: &str) -> Result<(), Error> {
        let folder = self.folder(id);
        match (job::read(&folder)?, self.origin().await?) {
            (Some(mut job), Some(origin)) if job.standing.is_some() && job.state != ImportState::Done => {
                self.forget(id);
                job.error = None;
                job.finish(&folder, origin.arrived_ms, self.undo_days())
            }
            _ => Ok(()),
        }
    }

    /// What an import stands on that is to go live. The other server has stood down by then, so this does not depend on work
    /// files: where the cache that held them is gone, the stage itself tells.
    async fn handed_over(&self, id: &str) -> Result<Came, Error> {
        match self.following(id) {
            Ok((job, _)) if job.state != ImportState::Following => {
                Err(Error::State("a round is being put in just now; ask again when it is over".into()))
            }
            Ok((_, standing)) => Ok(Came {
                payload: standing.payload,
                signer: standing.signer,
                archive: standing.archive,
                domain: standing.domain,
                at_ms: standing.at_ms,
            }),
            Err(Error::Missing(what)) => {
                let came = self.came(id).await?.ok_or(Error::Missing(what))?;
                tracing::warn!(import.id = id, "the work files of an import are gone; it goes live by its stage");
                Ok(came)
            }
            Err(error) => Err(error),
        }
    }

    /// A round that failed has left its stage somewhere on the way.
    fn build_anew(&self, id: &str) -> Result<Activated, Error> {
        let (mut job, mut standing) = self.following(id)?;
        if let Some(announced) = &mut standing.announced {
            announced.refused = true;
        }
        job.standing = Some(standing);
        job.set(&self.folder(id), ImportState::CatchingUp)?;
        Err(Error::State("what is staged has to be built anew first; ask again when it is".into()))
    }

    async fn go_live(&self, id: &str, request: ActivateRequest, now_ms: i64) -> Result<Activated, Error> {
        let came = self.handed_over(id).await?;
        let own = identity::of(&self.inner.home).await?;
        let (epoch, renounced) =
            self.inner.home.read(|db| Ok::<_, Error>((moves::epoch(db)?, moves::renounced(db)?))).await?;
        if renounced.is_some_and(|renounced| renounced.handover == request.handover.digest()) {
            return Err(Error::Renounced);
        }
        // Where it has departed, only what comes after that life is later.
        let gone = moves::Departure::of(&self.inner.home)?.map(|departure| departure.handover.epoch);
        let handover = checked(&request, &came, &own, epoch.max(gone.unwrap_or(0)))?;
        let home = &self.inner.home;
        let staged = home.stage(&stage_name(id)).await?;
        if staged.read(change::noted).await? != Some(Mark::Of(came.payload.clone())) {
            staged.sleep().await?;
            return self.build_anew(id);
        }
        let origin = Origin {
            import: id.to_owned(),
            archive: came.archive,
            taken_ms: came.at_ms,
            domain: came.domain,
            arrived_ms: now_ms,
        };
        let acceptance = Acceptance {
            kind: Acceptance::KIND.into(),
            id: handover.id,
            handover: request.handover.digest(),
            server: request.own.clone(),
            at: jiff::Timestamp::from_millisecond(now_ms).map_err(|why| Error::Bug(why.to_string()))?,
        };
        let acceptance = acceptance.sign(&own.signer()).map_err(|why| Error::Bug(why.to_string()))?;
        let arrival = moves::Arrival { import: id.to_owned(), handover: request.handover, acceptance };
        let acceptance = arrival.acceptance.clone();
        let guests = request.guests;
        let keepsakes = home.read(Keepsakes::take).await?;
        staged
            .write(move |tx| {
                keepsakes.put(tx)?;
                moves::set_epoch(tx, handover.epoch)?;
                moves::set_arrival(tx, &arrival)?;
                for guest in guests.iter().filter(|guest| is_installed(tx, &guest.app)) {
                    sessions::admit_guest(tx, guest, now_ms)?;
                }
                kept::set_origin(tx, &origin)
            })
            .await?;
        home.adopt_returned(staged, &undo_name(id)).await?;
        (self.inner.on_swap)().await;
        tracing::info!(import.id = id, epoch = handover.epoch, "a server goes on here");
        self.settle(id).await?;
        Ok(Activated { acceptance })
    }
}

/// What a hand-over says, if this server may go live by it.
fn checked(request: &ActivateRequest, came: &Came, own: &Identity, epoch: u64) -> Result<Handover, Error> {
    let handover = Handover::open(&request.handover).map_err(|why| Error::Refused(why.to_string()))?;
    let refuse = |why: String| Err(Error::Refused(why));
    if handover.server.did != came.signer {
        return refuse(format!("{} signed the hand-over, and {} all that came", handover.server.did, came.signer));
    }
    if own.did() != request.own.did {
        return refuse(format!("this server is {}, and not {}", own.did(), request.own.did));
    }
    if handover.successor != request.own {
        return refuse(format!("the hand-over is to {} at {}", handover.successor.did, handover.successor.address));
    }
    if handover.payload.to_string() != came.payload {
        let staged = &came.payload;
        return Err(Error::State(format!("the hand-over is of the payload {}, staged is {staged}", handover.payload)));
    }
    if handover.epoch <= epoch {
        return Err(Error::State(format!(
            "the hand-over is of epoch {}, and this server is in {epoch}",
            handover.epoch
        )));
    }
    Ok(handover)
}

fn is_installed(db: &Connection, app: &export_format::AppId) -> bool {
    apps::get(db, app).is_ok_and(|app| app.is_some_and(|app| app.removed.is_none()))
}
