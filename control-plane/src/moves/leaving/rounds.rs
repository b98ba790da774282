//! Rounds: moments of the server that the target fetches (MOVE.md 6). Each is an export of the runtime, the later ones
//! deltas from one before.
//!
//! A round is a row before the runtime hears of it, so that a number stands for one moment whatever is killed when. What the
//! runtime no longer knows of a round it had begun is not made again under the same number, because its bytes would be
//! others: that round failed, and the target asks for the next.
//!
//! While writes are held nothing here waits for a clock: the target waits for the runtime through [`round`], and what can be
//! written down later is.

use axum::body::Body;
use export_format::moving::{Round, RoundRequest, RoundState};
use http::{HeaderMap, Response};
use jiff::Timestamp;
use tenant_runtime::admin::api::{ExportRequest, ExportState, ExportView};
use uuid::Uuid;

use super::store::{self, Asked, Kept};
use super::{Stand, closed, export_id, is_same, token};
use crate::moves::{Answer, HOLD_MS, Refusal, Word};
use crate::operations::Runtime;
use crate::servers::{self, AdminClient};
use crate::{Actor, ControlPlane, Error, Kind, Result, history};

/// How long a look at a round waits for something to happen at most.
const LONGEST_WAIT_MS: u64 = 20_000;

/// Asks for a round. Asking again is asking once; another round under the same number is refused.
pub async fn begin(plane: &ControlPlane, id: Uuid, token: &str, asked: RoundRequest) -> Answer<Round> {
    let kept = token::copying(plane, id, token).await?;
    let _turn = plane.leaving().turn(kept.server).await;
    let kept = token::copying(plane, id, token).await?;
    let rounds = store::rounds(plane.db(), id).await?;
    if let Some(there) = rounds.iter().find(|round| round.round == asked.round) {
        if !is_same(&asked, there) {
            return Err(Refusal::new(Word::Conflict, "This round was asked for with another base or another hold."));
        }
        if !there.begun && !there.released {
            make(plane, &kept, there).await?;
        }
        return look(plane, &kept, asked.round, 0).await;
    }
    if !follows(&asked, rounds.first()) {
        return Err(Refusal::new(
            Word::Conflict,
            "The next round has the next number, and the newest round or its base as its base.",
        ));
    }
    let round = Asked {
        round: asked.round,
        base: asked.base,
        held: asked.hold,
        at: plane.now(),
        begun: false,
        released: false,
        bytes: None,
        error: None,
    };
    store::insert_round(plane.db(), id, &round).await?;
    make(plane, &kept, &round).await?;
    let left = rounds.into_iter().filter(|round| Some(round.round) != asked.base && !round.released).collect();
    release_later(plane, &kept, left);
    plane.note_change();
    look(plane, &kept, asked.round, 0).await
}

/// How a round is, after waiting for so long at most for it to be ready.
pub async fn round(plane: &ControlPlane, id: Uuid, token: &str, round: u32, wait_ms: u64) -> Answer<Round> {
    let kept = token::holder(plane, id, token).await?;
    look(plane, &kept, round, wait_ms.min(LONGEST_WAIT_MS)).await
}

/// The bytes of a round, or the part of them that `asked` wants.
pub async fn archive(
    plane: &ControlPlane,
    id: Uuid,
    token: &str,
    round: u32,
    asked: &HeaderMap,
) -> Answer<Response<Body>> {
    let kept = token::holder(plane, id, token).await?;
    if !matches!(kept.stand, Stand::Copying | Stand::Handed) {
        return Err(closed(kept.stand));
    }
    there(plane, id, round).await?;
    Ok(Runtime::of(plane, kept.server, export_id(id, round)).await?.archive(asked).await?)
}

/// Whether this can be the round after the newest: what is kept is the newest and its base.
fn follows(asked: &RoundRequest, newest: Option<&Asked>) -> bool {
    match newest {
        None => asked.round == 0 && asked.base.is_none(),
        Some(newest) => {
            let has_base = asked.base.is_none() || asked.base == Some(newest.round) || asked.base == newest.base;
            newest.round.checked_add(1) == Some(asked.round) && has_base
        }
    }
}

async fn there(plane: &ControlPlane, id: Uuid, round: u32) -> Answer<Asked> {
    let found = store::rounds(plane.db(), id).await?.into_iter().find(|asked| asked.round == round);
    found
        .filter(|asked| !asked.released)
        .ok_or_else(|| Refusal::new(Word::NotFound, "There is no such round any more."))
}

/// Has the runtime make a round. What it refuses is the round's failure; what may pass is not.
async fn make(plane: &ControlPlane, kept: &Kept, round: &Asked) -> Result<()> {
    // Read before writes are held: it may take a moment.
    let history = history::handed(plane, kept.server).await?;
    let request = ExportRequest {
        id: Some(export_id(kept.id, round.round)),
        base: round.base.map(|base| export_id(kept.id, base)),
        hold_ms: round.held.then_some(HOLD_MS),
        followed: true,
        history,
        ..ExportRequest::default()
    };
    let begun: Result<ExportView> = admin(plane, kept).await?.post_json("/exports", &request).await;
    let refused = match begun {
        Ok(_) => None,
        Err(error) if error.kind() == Kind::Retry => return Err(error),
        Err(error) => Some(error),
    };
    let why = refused.as_ref().map(|error| error.sentence().to_owned());
    if let Some(error) = refused {
        tracing::warn!(server.id = %kept.server, round = round.round, error = error.chain(), "a round could not be begun");
    }
    match (why, round.held) {
        (Some(why), _) => store::note_begun(plane.db(), kept.id, round.round, Some(&why)).await,
        (None, false) => store::note_begun(plane.db(), kept.id, round.round, None).await,
        // The server stands still meanwhile: this is written down beside it.
        (None, true) => {
            let (plane, id, number) = (plane.clone(), kept.id, round.round);
            plane.clone().spawn(async move {
                if let Err(error) = store::note_begun(plane.db(), id, number, None).await {
                    tracing::warn!(move.id = %id, error = error.chain(), "that a round was begun could not be noted");
                }
            });
            Ok(())
        }
    }
}

/// How a round is now, for the target.
async fn look(plane: &ControlPlane, kept: &Kept, number: u32, wait_ms: u64) -> Answer<Round> {
    let asked = there(plane, kept.id, number).await?;
    if let Some(error) = &asked.error {
        return Ok(failed(&asked, error));
    }
    let path = format!("/exports/{}?wait_ms={wait_ms}", export_id(kept.id, number));
    match admin(plane, kept).await?.get_json::<ExportView>(&path).await {
        Ok(export) => {
            note_bytes_later(plane, kept, &asked, &export);
            Ok(shown(&asked, &export)?)
        }
        Err(error) if error.kind() == Kind::Gone && !asked.begun => {
            begin_again(plane, kept, number).await?;
            Ok(Round { state: RoundState::Making, ..failed(&asked, "") })
        }
        Err(error) if error.kind() == Kind::Gone => {
            let why = "This moment is no longer kept; ask for the next round.";
            store::note_begun(plane.db(), kept.id, number, Some(why)).await?;
            Ok(failed(&asked, why))
        }
        Err(error) => Err(error.into()),
    }
}

/// Has a round made that was written down before the program was killed.
async fn begin_again(plane: &ControlPlane, kept: &Kept, number: u32) -> Answer<()> {
    let _turn = plane.leaving().turn(kept.server).await;
    let asked = there(plane, kept.id, number).await?;
    if !asked.begun && kept.stand == Stand::Copying {
        make(plane, kept, &asked).await?;
    }
    Ok(())
}

fn shown(asked: &Asked, export: &ExportView) -> Result<Round> {
    let state = match export.state {
        ExportState::Freezing => RoundState::Making,
        ExportState::Ready => RoundState::Ready,
        ExportState::Failed => RoundState::Failed,
    };
    Ok(Round {
        round: asked.round,
        base: asked.base,
        state,
        done: export.done,
        total: export.total,
        bytes: export.bytes.filter(|_| state == RoundState::Ready),
        payload: export.payload.as_deref().map(str::parse).transpose().map_err(Error::bug)?,
        seq: export.seq,
        held_until: export.held_until_ms.map(Timestamp::from_millisecond).transpose().map_err(Error::bug)?,
        error: export.error.clone(),
    })
}

fn failed(asked: &Asked, why: &str) -> Round {
    Round {
        round: asked.round,
        base: asked.base,
        state: RoundState::Failed,
        done: 0,
        total: 0,
        bytes: None,
        payload: None,
        seq: None,
        held_until: None,
        error: (!why.is_empty()).then(|| why.to_owned()),
    }
}

/// For the owner's page: how much a round was.
fn note_bytes_later(plane: &ControlPlane, kept: &Kept, asked: &Asked, export: &ExportView) {
    let (Some(bytes), None, ExportState::Ready) = (export.bytes, asked.bytes, export.state) else { return };
    let (plane, id, round) = (plane.clone(), kept.id, asked.round);
    plane.clone().spawn(async move {
        let noted = store::note_bytes(plane.db(), id, round, bytes).await;
        if let Err(error) = noted {
            tracing::warn!(move.id = %id, error = error.chain(), "how long a round is could not be noted");
        }
        plane.note_change();
    });
}

/// Lets go of rounds that nobody can ask for any more, beside what goes on.
pub(super) fn release_later(plane: &ControlPlane, kept: &Kept, left: Vec<Asked>) {
    if left.is_empty() {
        return;
    }
    let (plane, kept) = (plane.clone(), kept.clone());
    plane.clone().spawn(async move {
        for round in left {
            let released = async {
                let gone = async {
                    let runtime = Runtime::of(&plane, kept.server, export_id(kept.id, round.round)).await?;
                    runtime.release_export().await
                };
                match gone.await {
                    // Of a server that is gone nothing is kept either.
                    Err(error) if error.kind() != Kind::Gone => Err(error),
                    _ => store::note_released(plane.db(), kept.id, round.round).await,
                }
            };
            if let Err(error) = released.await {
                tracing::warn!(server.id = %kept.server, error = error.chain(), "a round that is over could not be let go");
            }
        }
    });
}

/// The way to the server's runtime, by this program's own authority: the token was looked at before.
pub(super) async fn admin(plane: &ControlPlane, kept: &Kept) -> Result<AdminClient> {
    servers::admin(plane, &Actor::System, kept.server).await
}
