//! How a move ends: the successor is live (MOVE.md 8), or one of the two gives it up before the hand-over.

use export_format::moving::{Acceptance, Handover, MoveView, Signed};
use http::Method;
use tenant_runtime::ids::ServerId;
use uuid::Uuid;

use super::departure::{look_again, told};
use super::rounds::{admin, release_later};
use super::store::{self, Kept};
use super::{Stand, closed, token};
use crate::audit::{Note, Outcome, What, Who};
use crate::moves::{Answer, Refusal, Word};
use crate::servers::{self, Desired};
use crate::{Actor, ControlPlane, Error, Result, subscriptions};

/// The successor says that it is live. The agreement here ends with the month that is paid for. Saying it twice is saying
/// it once.
pub async fn settled(plane: &ControlPlane, id: Uuid, token: &str, accepted: &Signed) -> Answer<MoveView> {
    let kept = token::late_holder(plane, id, token).await?;
    let _turn = plane.leaving().turn(kept.server).await;
    let kept = look_again(plane, token::late_holder(plane, id, token).await?).await?;
    let handed = match (kept.stand, &kept.handover) {
        (Stand::Settled, Some(handed)) | (Stand::Handed, Some(handed)) => handed,
        (Stand::Copying | Stand::Consented, _) => {
            return Err(Refusal::new(
                Word::Conflict,
                "The server has not stood down, so nobody can go on in its place.",
            ));
        }
        (stand, _) => return Err(closed(stand)),
    };
    let acceptance = Acceptance::open(accepted)
        .map_err(|error| Refusal::by(Word::Malformed, Error::fix("document", error.to_string())))?;
    let document = Handover::open(&handed.signed).map_err(Error::bug)?;
    if acceptance.id != kept.id
        || acceptance.handover != handed.signed.digest()
        || acceptance.server != document.successor
    {
        return Err(Refusal::new(Word::Conflict, "This is the word of another server, or on another hand-over."));
    }
    if kept.stand == Stand::Settled {
        return Ok(told(&kept));
    }
    let server = servers::server(plane, &Actor::System, kept.server).await?;
    Ok(told(&live(plane, &kept, &server).await?))
}

/// Notes that the successor is live, by its own word. In the server's turn.
pub(super) async fn live(plane: &ControlPlane, kept: &Kept, server: &servers::Server) -> Result<Kept> {
    let now = plane.now();
    let goes = is_last(plane, server).await?;
    let mut tx = plane.db().begin().await?;
    if !store::settle(&mut tx, kept.id, now).await? {
        return Err(Error::bug(format!("the move {} was settled out of turn", kept.id)));
    }
    let words = format!("{} says that your server is live there.", kept.target_name);
    about(Note::new(Who::Provider, What::Move, words).ended(Outcome::Done), kept)
        .of_server(&mut tx, kept.server, now)
        .await?;
    if goes {
        subscriptions::end_with_move(plane, &mut tx, server.account).await?;
    }
    tx.commit().await?;
    plane.attend_account(server.account);
    plane.note_change();
    let kept = Kept { stand: Stand::Settled, settled: Some(now), ..kept.clone() };
    let rounds = store::rounds(plane.db(), kept.id).await?;
    release_later(plane, &kept, rounds.into_iter().filter(|round| !round.released).collect());
    Ok(kept)
}

/// Whether nothing is left here that the agreement is for.
async fn is_last(plane: &ControlPlane, server: &servers::Server) -> Result<bool> {
    let all = servers::servers_of(plane, &Actor::System, server.account).await?;
    let lives = |other: &servers::Server| {
        other.id != server.id && other.desired == Desired::Kept && plane.leaving().moved(other.id).is_none()
    };
    Ok(!all.iter().any(lives))
}

/// The target gives the move up. After the hand-over it is too late.
pub async fn cancel(plane: &ControlPlane, id: Uuid, token: &str) -> Answer<MoveView> {
    let kept = token::late_holder(plane, id, token).await?;
    let _turn = plane.leaving().turn(kept.server).await;
    let kept = look_again(plane, token::late_holder(plane, id, token).await?).await?;
    match kept.stand {
        Stand::Cancelled => return Ok(told(&kept)),
        stand if !stand.is_under_way() => return Err(closed(stand)),
        _ => {}
    }
    let why = format!("{} gave the move up.", kept.target_name);
    give_up(plane, &kept, Who::Provider, &why).await?;
    Ok(told(&Kept { stand: Stand::Cancelled, ..kept }))
}

/// The owner stops the move that their server is on, while it still lives here. Stopping none is fine.
pub async fn stop(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<()> {
    let server = servers::server(plane, actor, server).await?;
    actor.must_own(server.account)?;
    let _turn = plane.leaving().turn(server.id).await;
    let Some(kept) = store::open_of(plane.db(), server.id).await? else { return Ok(()) };
    let kept = look_again(plane, kept).await?;
    if kept.stand.is_gone() {
        return Err(Error::conflict("It is too late to stop: your server has moved already."));
    }
    give_up(plane, &kept, Who::of_owners(actor), "You stopped the move; your server stayed here.").await
}

/// Gives up a move that nobody went on with in time.
pub(super) async fn expire(plane: &ControlPlane, kept: Kept) -> Result<()> {
    let _turn = plane.leaving().turn(kept.server).await;
    let kept = store::by_id(plane.db(), kept.id).await?.ok_or_else(crate::context::not_there)?;
    let kept = look_again(plane, kept).await?;
    if !kept.stand.is_under_way() || kept.until > plane.now() {
        return Ok(());
    }
    let why = format!("{} did not go on with the move in time; your server stayed here.", kept.target_name);
    give_up(plane, &kept, Who::Provider, &why).await
}

/// Gives up a move whose server still lives here. In the server's turn, and with nothing in doubt.
pub(super) async fn give_up(plane: &ControlPlane, kept: &Kept, who: Who, why: &str) -> Result<()> {
    let mut tx = plane.db().begin().await?;
    if store::cancel(&mut tx, kept.id, why, plane.now()).await? {
        about(Note::new(who, What::Move, why), kept).of_server(&mut tx, kept.server, plane.now()).await?;
    }
    tx.commit().await?;
    plane.note_change();
    let rounds = store::rounds(plane.db(), kept.id).await?;
    let left: Vec<_> = rounds.into_iter().filter(|round| !round.released).collect();
    if left.iter().any(|round| round.held) {
        // At worst writes wait until the hold ends by itself.
        let ended = async { admin(plane, kept).await?.tell(Method::POST, "/hold/end").await };
        if let Err(error) = ended.await {
            tracing::warn!(server.id = %kept.server, error = error.chain(), "a hold could not be ended early");
        }
    }
    release_later(plane, kept, left);
    Ok(())
}

fn about(note: Note, kept: &Kept) -> Note {
    note.about("move", kept.id.to_string()).about("target", kept.target.as_str())
}
