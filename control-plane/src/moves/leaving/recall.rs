//! The target is asked whether the successor went live, before its owner has the server back here (MOVE.md 8).
//!
//! The answer counts by the key that signed it and by nothing else: the successor's, which the hand-over names. Whoever answers at the
//! target's address without it, whatever they say, is as good as silent.

use export_format::moving::{Acceptance, Handover, RecallAnswer, RecallRequest, Signed};

use super::rounds::admin;
use super::store::Kept;
use crate::moves::Peer;
use crate::{ControlPlane, Error, Kind, Result};

/// What was heard of the successor.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// It is live.
    Live(Acceptance),
    /// It is not, and never will be by this hand-over.
    Renounced,
    /// Nobody need be asked: the server lives here already, and only the row does not know, because the program was ended in between.
    Back,
    /// Nothing that it signed; why, in words.
    Silent(String),
}

/// Asks the target to let go of what was handed over to it.
pub(super) async fn ask(plane: &ControlPlane, kept: &Kept) -> Result<Heard> {
    let handed = kept.handover.as_ref().ok_or_else(|| Error::bug("a move was handed over without a word"))?;
    let handover = Handover::open(&handed.signed).map_err(Error::bug)?;
    let recall: Signed = match admin(plane, kept).await?.post_json("/departure/recall", &()).await {
        Err(error) if error.kind() == Kind::Gone => return Ok(Heard::Back),
        recall => recall?,
    };
    let request = RecallRequest { handover: handed.signed.clone(), recall };
    let told = async {
        let peer = Peer::at(plane.settings().places, "target", &kept.target)?;
        let endpoint = peer.provider().await?.endpoints.endpoint;
        let at = format!("{}/arrivals/{}/recall", endpoint.trim_end_matches('/'), kept.id);
        peer.post::<RecallAnswer>(&at, None, &request).await
    };
    let answer = match told.await {
        Ok(answer) if answer.is_on(&handed.signed, &handover) => answer,
        Ok(_) => {
            let why = "What answers there is not signed by the server that was to go on, so it does not count.";
            return Ok(Heard::Silent(why.to_owned()));
        }
        Err(error) => return Ok(Heard::Silent(error.sentence().to_owned())),
    };
    match answer {
        RecallAnswer::Active { acceptance } => Ok(Heard::Live(Acceptance::open(&acceptance).map_err(Error::bug)?)),
        RecallAnswer::Cancelled { .. } => Ok(Heard::Renounced),
    }
}
