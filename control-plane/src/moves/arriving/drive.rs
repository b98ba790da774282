//! Taking moves to here from step to step.
//!
//! Each round looks at the row, does what its step wants, and turns the row; a program that is killed reads the rows at its
//! next start. Several moves are worked at at once, each with a worker of its own: what is heavy waits its turn, what
//! hands over does not.
//!
//! Fails like this: what may pass is told at the move and tried again with growing pauses, for [`LONGEST_MS`] at most until
//! the hand-over is asked for, while it is for as long as the old address would lead on, and for ever after it; what
//! cannot ends the move with its reason, and the server here is as it was. What an ended move leaves is thrown away here, and the other provider is told, in the same patient way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::Peer;
use super::seal::{self, Part};
use super::stage::Stage;
use super::step::{State, Step};
use super::store::{self, Kept};
use super::told;
use super::trouble::Trouble;
use super::work::Work;
use crate::{Actor, ControlPlane, Error, Kind, Result, accounts, business, mail, servers};

/// How long a move may take until the hand-over: seven days.
const LONGEST_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// How long a move waits for its owner's yes.
const ASKED_MS: i64 = 60 * 60 * 1000;
/// How often the loop looks around without being rung for.
const ROUND: Duration = Duration::from_secs(30);
/// The first pause after something that may pass, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(120));
/// The longest rest before another hold is asked for.
const LONGEST_REST: Duration = Duration::from_secs(600);
/// How long people wait here while the other side does not say whether it has stood down.
const LONGEST_WAIT_MS: i64 = 60 * 1000;
/// So many rounds in a row may be of no use.
const MOST_SPOILED: u32 = 5;
/// So often it is begun again with a whole archive.
const MOST_FRESH: u32 = 2;

/// The loop: takes up whatever goes on by itself, and ends what nobody came back for.
pub(crate) async fn run(plane: ControlPlane, stop: CancellationToken) {
    loop {
        if let Err(error) = round(&plane, &stop).await {
            tracing::warn!(error = error.chain(), "moves could not be looked after; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = plane.arriving().rung() => {}
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

/// Whoever asks for a server that another is about to go on as waits, from the first request on.
pub(crate) async fn hold_all(plane: &ControlPlane) -> Result<()> {
    let taking_over = store::taking_over(plane.db()).await?;
    taking_over.into_iter().for_each(|server| plane.gates().threshold().hold(server));
    Ok(())
}

async fn round(plane: &ControlPlane, stop: &CancellationToken) -> Result<()> {
    let now = plane.now().as_millisecond();
    for kept in store::forgotten(plane.db(), now - ASKED_MS).await? {
        let why = Some("Nobody came back from the old place.".to_owned());
        let after = Kept { state: State::Cancelled, error: why, ..kept.clone() };
        turn(plane, &kept, after, "Nobody came back from the old place, so this move was let go of.").await?;
    }
    for id in store::at_work(plane.db()).await? {
        if let Some(poke) = plane.arriving().take_up(id) {
            let (plane, stop) = (plane.clone(), stop.clone());
            tokio::spawn(async move {
                stop.run_until_cancelled(drive(&plane, id, &poke)).await;
                plane.arriving().lay_down(id);
                // Whatever was turned between the last look and now is seen by another.
                plane.arriving().ring();
            });
        }
    }
    Ok(())
}

/// Drives one move until it is over and nothing is left of it.
async fn drive(plane: &ControlPlane, id: Uuid, poke: &Arc<Notify>) {
    let mut pause = PAUSES.0;
    let mut peer = None;
    loop {
        let kept = match store::by_id(plane.db(), id).await {
            Ok(Some(kept)) if kept.state == State::Running || kept.untidy => kept,
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(move.id = %id, error = error.chain(), "a move could not be read; trying again");
                tokio::time::sleep(pause).await;
                continue;
            }
        };
        // What is being done can be left off at any point, as if the program had been killed there.
        let done = tokio::select! {
            done = once(plane, &kept, &mut peer) => done,
            () = poke.notified() => continue,
        };
        let settled = match done {
            Ok(()) => {
                pause = PAUSES.0;
                continue;
            }
            Err(trouble) => settle(plane, &kept, trouble).await,
        };
        peer = None;
        match settled {
            Ok(true) => {}
            Ok(false) => {
                tokio::select! {
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSES.1),
                    () = poke.notified() => pause = PAUSES.0,
                }
            }
            Err(error) => {
                tracing::warn!(move.id = %id, error = error.chain(), "a move's trouble could not be noted");
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// One round of one move.
async fn once(plane: &ControlPlane, kept: &Kept, peer: &mut Option<Peer>) -> Result<(), Trouble> {
    let peer = match peer {
        Some(peer) => peer,
        None => peer.insert(of(plane, kept).map_err(|error| Trouble::Over(error.sentence().to_owned()))?),
    };
    if kept.state != State::Running {
        return tidy(plane, kept, peer).await.map_err(Trouble::Passing);
    }
    if kept.step == Step::Held && kept.holds > 2 && kept.round.bytes.is_none() {
        // Saving there was held in vain some times; whoever uses it has a rest from that.
        let rest = Duration::from_secs(1 << (kept.holds - 2).min(16));
        tokio::time::sleep(rest.min(LONGEST_REST)).await;
    }
    Work::of(plane, peer, kept).await?.advance().await
}

/// The other provider of a move.
pub(super) fn of(plane: &ControlPlane, kept: &Kept) -> Result<Peer> {
    Peer::at(plane.settings().places, "address", &kept.source.origin)
}

/// Draws the consequence of what went wrong; false when the same is to be tried again after a pause.
async fn settle(plane: &ControlPlane, kept: &Kept, trouble: Trouble) -> Result<bool> {
    tracing::info!(move.id = %kept.id, step = kept.step.word(), ?trouble, "a move is hindered");
    if kept.state != State::Running {
        // It is over already; what is left to do is done later, or never.
        if is_late(plane, kept) {
            turn(plane, kept, Kept { untidy: false, ..kept.clone() }, "").await?;
        }
        return Ok(false);
    }
    let trouble = match trouble {
        // After the hand-over the only way is forward.
        Trouble::Over(why) | Trouble::Lost(why) | Trouble::Spoiled(why) | Trouble::Differs(why)
            if kept.step >= Step::Activate =>
        {
            Trouble::Passing(Error::retry(why))
        }
        other => other,
    };
    match trouble {
        Trouble::Passing(error) => passing(plane, kept, &error).await,
        Trouble::Behind | Trouble::Stopped if kept.step < Step::Activate => {
            let why = "It was stopped at the old place.";
            let after = Kept { state: State::Cancelled, error: Some(why.into()), untidy: true, ..kept.clone() };
            turn(plane, kept, after, why).await.map(|()| true)
        }
        Trouble::Behind | Trouble::Stopped => Ok(false),
        Trouble::Over(why) => fail(plane, kept, &why).await.map(|()| true),
        Trouble::Spoiled(why) => spoiled(plane, kept, &why).await,
        Trouble::Lost(why) => again(plane, kept, &why, MOST_FRESH, &why).await,
        Trouble::Differs(digests) => {
            let why = format!("The two sides do not hold the same: {digests}.");
            let line = format!("{why} Once more, with everything.");
            again(plane, kept, &line, 1, &why).await
        }
    }
}

/// What may pass is told, and tried again, until it is too late.
async fn passing(plane: &ControlPlane, kept: &Kept, error: &Error) -> Result<bool> {
    let why = error.sentence();
    if is_late(plane, kept) && kept.step < Step::HandOver {
        let why = format!("It did not get through in seven days. The last that hindered it: {why}");
        return fail(plane, kept, &why).await.map(|()| true);
    }
    if is_past_forwarding(plane, kept) {
        let why = format!(
            "The old place never said whether it has stood down. If it has, you can take your server back there. The last that hindered it: {why}"
        );
        return fail(plane, kept, &why).await.map(|()| true);
    }
    if is_late(plane, kept) && kept.step == Step::Settle {
        let after = Kept { state: State::Done, error: None, ..kept.clone() };
        let line = "The old place could not be told that the server is here. That changes nothing here.";
        return turn(plane, kept, after, line).await.map(|()| true);
    }
    let now = plane.now().as_millisecond();
    let stuck_ms = kept.stuck_ms.unwrap_or(now);
    if kept.step == Step::HandOver && now - stuck_ms > LONGEST_WAIT_MS {
        // Nobody is sent here by a place that does not answer; what lies here is whose it was.
        plane.gates().threshold().release(kept.server);
    }
    let noted = Kept { error: Some(why.to_owned()), stuck_ms: Some(stuck_ms), ..kept.clone() };
    if kept.error.as_deref() != Some(why) {
        let mut tx = plane.db().begin().await?;
        store::note_trouble(&mut tx, kept.id, &format!("{why} It is tried again."), now).await?;
        tx.commit().await?;
    }
    store::progress(plane.db(), &noted, now).await?;
    plane.note_change();
    Ok(false)
}

/// A round was of no use: another one on the same base.
async fn spoiled(plane: &ControlPlane, kept: &Kept, why: &str) -> Result<bool> {
    if kept.spoiled >= MOST_SPOILED {
        return fail(plane, kept, why).await.map(|()| true);
    }
    let Some(base) = kept.round.base else { return again(plane, kept, why, MOST_FRESH, why).await };
    let now = plane.now().as_millisecond();
    let after = Kept { spoiled: kept.spoiled + 1, ..Work::after(kept, Step::CatchUp, Some(base), now) };
    turn(plane, kept, after, why).await?;
    // The first is made up for at once, the others after a pause.
    Ok(kept.spoiled == 0)
}

/// Begins again with a whole archive, unless it was done so often already.
async fn again(plane: &ControlPlane, kept: &Kept, line: &str, most: u32, why: &str) -> Result<bool> {
    if kept.fresh >= most {
        return fail(plane, kept, why).await.map(|()| true);
    }
    Stage::of(plane, kept).await?.discard().await?;
    let now = plane.now().as_millisecond();
    let after = Kept { fresh: kept.fresh + 1, rounds: 0, ..Work::after(kept, Step::FirstRound, None, now) };
    turn(plane, kept, after, line).await?;
    Ok(true)
}

async fn fail(plane: &ControlPlane, kept: &Kept, why: &str) -> Result<()> {
    let after =
        Kept { state: State::Failed, error: Some(why.to_owned()), stuck_ms: None, untidy: true, ..kept.clone() };
    turn(plane, kept, after, &format!("Given up: {why} Your server here is as it was.")).await
}

/// Whether an old place that was asked to stand down, and may have, no longer leads anybody here if it did. Until then it is asked
/// on, for it would stand still if nobody did.
fn is_past_forwarding(plane: &ControlPlane, kept: &Kept) -> bool {
    let days = kept.agreed.as_ref().map_or(0, |agreed| i64::from(agreed.forward_days));
    let until = kept.created_ms.saturating_add(LONGEST_MS + days * 24 * 60 * 60 * 1000);
    kept.step == Step::HandOver && plane.now().as_millisecond() > until
}

fn is_late(plane: &ControlPlane, kept: &Kept) -> bool {
    let now = plane.now().as_millisecond();
    let expires = kept.agreed.as_ref().map_or(i64::MAX, |agreed| agreed.expires.as_millisecond());
    now > expires.min(kept.created_ms.saturating_add(LONGEST_MS))
}

/// Throws away what an ended move left here, and tells the other provider.
async fn tidy(plane: &ControlPlane, kept: &Kept, peer: &Peer) -> Result<()> {
    match Stage::of(plane, kept).await {
        Ok(stage) => stage.discard().await?,
        Err(error) if error.kind() == Kind::Gone => {}
        Err(error) => return Err(error),
    }
    let mut line = String::new();
    if let (Some(agreed), Some(token)) = (&kept.agreed, &kept.token) {
        let token = seal::open(plane.keys(), kept.id, Part::Token, token);
        let at = peer.own(&agreed.url).map(|url| format!("{}/cancel", url.path().trim_end_matches('/')));
        if let (Ok(token), Ok(at)) = (token, at) {
            let told: Result<serde_json::Value> = peer.post(&at, Some(&token), &serde_json::json!({})).await;
            match told {
                Ok(_) => line.push_str("The old place knows that the move is over."),
                Err(error) if error.kind() == Kind::Retry => return Err(error),
                Err(error) => line = format!("The old place was told that the move is over. {}", error.sentence()),
            }
        }
    }
    turn(plane, kept, Kept { untidy: false, ..kept.clone() }, &line).await
}

/// Turns the row with a line for its owner (none if it is empty), and tells whoever watches. Whatever was turned by another
/// hand stays as that left it.
pub(super) async fn turn(plane: &ControlPlane, before: &Kept, after: Kept, line: &str) -> Result<()> {
    let now = plane.now();
    let mut tx = plane.db().begin().await?;
    if !store::turn(&mut tx, before, &after, now.as_millisecond()).await? {
        return Ok(());
    }
    let begins = (before.step != after.step || before.state != after.state).then_some(after.step);
    if !line.is_empty() {
        store::note(&mut tx, after.id, begins.filter(|_| !after.state.is_final()), line, now.as_millisecond()).await?;
    }
    if let Some(note) = told::turned(before, &after) {
        note.of_server(&mut tx, after.server, now).await?;
    }
    write(plane, &mut tx, before, &after).await?;
    tx.commit().await?;
    if !(after.state == State::Running && matches!(after.step, Step::HandOver | Step::Activate)) {
        plane.gates().threshold().release(after.server);
    }
    if begins.is_some() {
        tracing::info!(move.id = %after.id, state = after.state.word(), step = after.step.word(), "a move takes a turn");
    }
    plane.note_change();
    Ok(())
}

/// Writes the letter that a turn is worth.
async fn write(plane: &ControlPlane, tx: &mut crate::db::Tx, before: &Kept, after: &Kept) -> Result<()> {
    let is_worth = before.state != after.state || before.activated_ms != after.activated_ms;
    if !is_worth {
        return Ok(());
    }
    let server = servers::server(plane, &Actor::System, after.server).await?;
    let link = format!("{}/servers/{}/moves/{}", business::console_origin(plane).await?, server.name, after.id);
    if let Some((letter, word)) = told::letter(before, after, &server.name.to_string(), link) {
        let business = business::business(plane).await?;
        let account = accounts::account(plane, &Actor::System, server.account).await?;
        mail::write(plane, tx, &business, &account, &letter, &format!("move {} {word}", after.id)).await?;
        plane.nudge_post();
    }
    Ok(())
}

/// Notes how far a step is, if that is news.
pub(super) async fn progress(plane: &ControlPlane, noted: &Kept) -> Result<()> {
    store::progress(plane.db(), noted, plane.now().as_millisecond()).await?;
    plane.note_change();
    Ok(())
}
