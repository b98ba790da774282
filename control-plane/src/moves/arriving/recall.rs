//! The old place wants back what it has handed over (MOVE.md 8): whether the server is live here is decided by the server itself,
//! once and for good, and said under its own key.

use export_format::moving::{RecallAnswer, RecallRequest};
use uuid::Uuid;

use super::drive::turn;
use super::stage::Stage;
use super::store::{self, Kept};
use super::{State, words};
use crate::moves::{Answer, Refusal, Word};
use crate::{ControlPlane, Error, Kind};

/// Answers a recall: with this server's word that it is live, or that it never will be by this hand-over. In the second case the move
/// ends. Asking again is answered the same.
pub async fn recalled(plane: &ControlPlane, id: Uuid, asked: &RecallRequest) -> Answer<RecallAnswer> {
    let unknown = || Refusal::new(Word::NotFound, "There is no such move here.");
    let kept = store::by_id(plane.db(), id).await?.ok_or_else(unknown)?;
    let malformed = |error: export_format::moving::DocumentError| {
        Refusal::by(Word::Malformed, Error::fix("recall", error.to_string()))
    };
    let other = || Refusal::new(Word::Conflict, "This is the word of another server, or on another hand-over.");
    let handover = asked.open().map_err(malformed)?.ok_or_else(other)?;
    let theirs = kept.agreed.as_ref().map(|agreed| &agreed.server.party);
    if handover.id != id || theirs != Some(&handover.server) {
        return Err(other());
    }
    let known = |kept: &Kept| kept.acceptance.clone().filter(|_| kept.activated_ms.is_some());
    let answer = match known(&kept) {
        Some(acceptance) => RecallAnswer::Active { acceptance },
        None => {
            let stage = Stage::of(plane, &kept).await?;
            let own = stage.own(plane, &kept).await?;
            stage.renounce(&asked.handover, own).await?
        }
    };
    if !answer.is_on(&asked.handover, &handover) {
        return Err(other());
    }
    if matches!(answer, RecallAnswer::Cancelled { .. }) {
        given_up(plane, id).await?;
    }
    Ok(answer)
}

/// Ends a move whose hand-over was given up, whatever step it is at.
pub(super) async fn given_up(plane: &ControlPlane, id: Uuid) -> crate::Result<()> {
    // Its worker may turn it meanwhile; there is nowhere left for it to go.
    for _ in 0..10 {
        let Some(kept) = store::by_id(plane.db(), id).await? else { return Ok(()) };
        if kept.state.is_final() {
            return Ok(());
        }
        let why = format!("Your server was taken back at {}.", words::name(&kept.source.name));
        let untidy = kept.token.is_some();
        let line = format!("{why} It never went live here, and this server has signed that it will not.");
        let after = Kept { state: State::Cancelled, error: Some(why), stuck_ms: None, untidy, ..kept.clone() };
        turn(plane, &kept, after, &line).await?;
        plane.arriving().poke(id);
    }
    Err(Error::new(Kind::Retry, "This move changes just now; ask again in a moment."))
}
