//! The hand-over: the runtime has the server stand down, and what we keep follows (MOVE.md 7).

use export_format::moving::{Handed, Handover, HandoverRequest, MoveView, Party};
use jiff::{SignedDuration, Timestamp};
use tenant_runtime::admin::api::{DepartureRequest, DepartureView};
use uuid::Uuid;

use super::desk::reroute;
use super::rounds::admin;
use super::store::{self, Asked, HandedOver, Kept};
use super::{Stand, closed, export_id, token};
use crate::audit::{Note, Outcome, What, Who};
use crate::moves::{Answer, FORWARD_DAYS, HOLD_MS, Refusal, Word};
use crate::servers::{self, Refused};
use crate::{Actor, ControlPlane, Error, Kind, Result, accounts, business, mail, subscriptions};

/// Has the server stand down, and answers with its word on that. The same call again has the same answer.
pub async fn handover(plane: &ControlPlane, id: Uuid, token: &str, asked: &HandoverRequest) -> Answer<Handed> {
    let kept = token::late_holder(plane, id, token).await?;
    let _turn = plane.leaving().turn(kept.server).await;
    let kept = look_again(plane, token::late_holder(plane, id, token).await?).await?;
    match kept.stand {
        // It was in doubt, and had not stood down in time.
        Stand::Copying if kept.until <= plane.now() => return Err(token::unknown()),
        Stand::Copying => {}
        Stand::Handed | Stand::Settled => return again(&kept, asked),
        Stand::Consented | Stand::Cancelled | Stand::TakenBack => return Err(closed(kept.stand)),
    }
    if asked.successor.address != kept.successor || asked.successor.provider != kept.target {
        return Err(Refusal::new(Word::Conflict, "The owner consented to another successor."));
    }
    let newest = store::rounds(plane.db(), id).await?.into_iter().next();
    let round = newest.filter(|newest| newest.round == asked.round && newest.held);
    let round = round.ok_or_else(|| {
        Refusal::new(Word::Conflict, "Only the newest round hands over, and only if writes were held for it.")
    })?;
    let departed = depart(plane, &kept, &round, asked).await?;
    let kept = note(plane, kept, departed).await?;
    handed(&kept)
}

/// What the runtime answers when it is told to stand down. Whatever else happens, what it did is in doubt until it said.
async fn depart(plane: &ControlPlane, kept: &Kept, round: &Asked, asked: &HandoverRequest) -> Answer<DepartureView> {
    let request = DepartureRequest {
        id: kept.id.to_string(),
        export: export_id(kept.id, round.round),
        payload: asked.payload.to_string(),
        own: Party {
            did: String::new(),
            address: kept.address.clone(),
            provider: business::console_origin(plane).await?,
        },
        successor: asked.successor.clone(),
        forward_until_ms: forward_until(round.at).as_millisecond(),
    };
    let admin = admin(plane, kept).await?;
    plane.leaving().doubt(kept.id);
    let error = match admin.post_json("/departure", &request).await {
        Ok(departed) => return Ok(departed),
        Err(error) => error,
    };
    let word = match Refused::word(&error) {
        Some("behind") => Some(Word::Behind),
        Some("differs") => Some(Word::Differs),
        _ if error.kind() == Kind::Conflict => Some(Word::Conflict),
        _ => None,
    };
    match word {
        Some(word) => {
            plane.leaving().know(kept.id);
            Err(Refusal::by(word, error))
        }
        None => Err(error.into()),
    }
}

/// Until when an address leads on that leaves with a round of this moment. It is reckoned from the round, so that the same
/// call means the same however often it is made, and no day is missing.
fn forward_until(round: Timestamp) -> Timestamp {
    let held = SignedDuration::from_millis(HOLD_MS.cast_signed());
    let term = SignedDuration::from_hours(24 * i64::from(FORWARD_DAYS));
    round.checked_add(held).and_then(|at| at.checked_add(term)).unwrap_or(Timestamp::MAX)
}

/// Finds out whether a server has stood down, where that is in doubt. In the server's turn.
pub(super) async fn look_again(plane: &ControlPlane, kept: Kept) -> Result<Kept> {
    if kept.stand != Stand::Copying || !plane.leaving().is_doubtful(kept.id) {
        plane.leaving().know(kept.id);
        return Ok(kept);
    }
    match admin(plane, &kept).await?.get_json::<DepartureView>("/departure").await {
        Ok(departed) => note(plane, kept, departed).await,
        Err(error) if error.kind() == Kind::Gone => {
            plane.leaving().know(kept.id);
            Ok(kept)
        }
        Err(error) => Err(error),
    }
}

/// The same for whoever does not have the server's turn.
pub(super) async fn caught_up(plane: &ControlPlane, kept: Kept) -> Result<Kept> {
    if !plane.leaving().is_doubtful(kept.id) {
        return Ok(kept);
    }
    let _turn = plane.leaving().turn(kept.server).await;
    let kept = store::by_id(plane.db(), kept.id).await?.ok_or_else(crate::context::not_there)?;
    look_again(plane, kept).await
}

/// Notes that a server has stood down: the row, the log and a letter at once, then the gateway.
async fn note(plane: &ControlPlane, kept: Kept, departed: DepartureView) -> Result<Kept> {
    let document = Handover::open(&departed.handover).map_err(Error::bug)?;
    if document.id != kept.id || document.successor.address != kept.successor {
        return Err(Error::bug(format!("a server stood down for the move {}, not {}", document.id, kept.id)));
    }
    let now = plane.now();
    let handed = HandedOver {
        signed: departed.handover,
        guests: departed.guests,
        forward_until: document.forward_until,
        at: document.at,
    };
    let server = servers::server(plane, &Actor::System, kept.server).await?;
    let account = accounts::account(plane, &Actor::System, server.account).await?;
    let business = business::business(plane).await?;
    let bill = subscriptions::bill(plane, &Actor::System, server.account).await;
    let closing = bill.ok().map(|bill| bill.closing.unwrap_or(bill.if_closed));
    let mut tx = plane.db().begin().await?;
    if !store::hand_over(&mut tx, kept.id, &handed).await? {
        return Err(Error::bug(format!("the move {} stood otherwise than its server", kept.id)));
    }
    let until = handed.forward_until.strftime("%-d %B %Y");
    let told = format!("Your server moved to {}. Its address here leads there until {until}.", kept.successor);
    Note::new(Who::Provider, What::Move, told)
        .about("move", kept.id.to_string())
        .about("target", kept.target.as_str())
        .about("successor", kept.successor.as_str())
        .ended(Outcome::Done)
        .of_server(&mut tx, kept.server, now)
        .await?;
    let letter = mail::Letter::MovedAway {
        from: kept.address.clone(),
        to: kept.successor.clone(),
        until: handed.forward_until,
        ends: closing.map(|closing| closing.ends),
        erased: closing.map(|closing| closing.erased),
    };
    mail::write(plane, &mut tx, &business, &account, &letter, &format!("moved {}", kept.id)).await?;
    tx.commit().await?;
    plane.leaving().know(kept.id);
    let kept = Kept { stand: Stand::Handed, handover: Some(handed), ..kept };
    reroute(plane, &kept, server.name.as_str());
    plane.nudge_post();
    tracing::info!(server.id = %kept.server, move.id = %kept.id, "a server has moved to another provider");
    Ok(kept)
}

/// How a move stands, for its target.
pub(super) fn told(kept: &Kept) -> MoveView {
    let handover = kept.handover.as_ref().map(|handed| handed.signed.clone());
    MoveView { id: kept.id, state: kept.stand.told(), handover }
}

fn handed(kept: &Kept) -> Answer<Handed> {
    let handed = kept.handover.as_ref().ok_or_else(|| Error::bug("a move was handed over without a word"))?;
    Ok(Handed { handover: handed.signed.clone(), guests: handed.guests.clone() })
}

/// The answer to the same call again; another one is refused.
fn again(kept: &Kept, asked: &HandoverRequest) -> Answer<Handed> {
    let answer = handed(kept)?;
    let document = Handover::open(&answer.handover).map_err(Error::bug)?;
    if document.successor != asked.successor {
        return Err(Refusal::new(Word::Conflict, "The server has stood down for another successor."));
    }
    Ok(answer)
}
