//! What an owner can still do here after the hand-over: have the server back, or what is left of it erased.

use http::Method;
use tenant_runtime::ids::ServerId;

use super::Stand;
use super::desk::reroute;
use super::ending;
use super::recall::{self, Heard};
use super::rounds::{admin, release_later};
use super::store::{self, Kept};
use crate::audit::{Note, What, Who};
use crate::servers::{self, Desired, Server};
use crate::{Actor, ControlPlane, Error, Kind, Result, subscriptions};

/// What became of an owner's wish to have their server back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Back {
    /// It lives here again.
    Here,
    /// The new place cannot be asked, or does not answer under the key that the hand-over names; why, in words. Only its owner can say
    /// that it is to live here all the same.
    Silent(String),
}

/// The owner takes their server back, as it stood when it left; what was written at the target since stays there. The target is
/// asked first: whoever is live there is not made a second time here, and who has signed that it never will be is not waited for.
/// Where the target is silent, it lives here only `at_own_risk` of its owner.
pub async fn take_back(plane: &ControlPlane, actor: &Actor, server: ServerId, at_own_risk: bool) -> Result<Back> {
    let server = own(plane, actor, server).await?;
    let _turn = plane.leaving().turn(server.id).await;
    let Some(kept) = store::open_of(plane.db(), server.id).await?.filter(|kept| kept.stand.is_gone()) else {
        return Ok(Back::Here);
    };
    if server.desired == Desired::Erased {
        return Err(Error::gone("What was left here has been erased, so there is nothing to take back."));
    }
    let told = match recall::ask(plane, &kept).await? {
        Heard::Live(acceptance) => {
            if kept.stand == Stand::Handed {
                ending::live(plane, &kept, &server).await?;
                tracing::info!(move.id = %kept.id, "a server is live at its new place, as it says itself");
            }
            return Err(Error::conflict(format!(
                "Your server is live at {}, as it has signed itself on {}, so it cannot live here as well. To have it here, move it back: \
                 begin at this server with Move here, and give that address. Whatever was written there comes along.",
                kept.successor,
                acceptance.at.strftime("%-d %B %Y")
            )));
        }
        Heard::Renounced => format!(
            "You took your server back here, as it stood when it left for {}. The one there has signed that it never went live.",
            kept.target_name
        ),
        Heard::Back => format!("You took your server back here, as it stood when it left for {}.", kept.target_name),
        Heard::Silent(why) if !at_own_risk => return Ok(Back::Silent(why)),
        Heard::Silent(_) => format!(
            "You took your server back here, as it stood when it left for {}, though nobody there could say whether it is live.",
            kept.target_name
        ),
    };
    // First the runtime: as long as the row says that it moved, this can be asked again.
    match admin(plane, &kept).await?.tell(Method::DELETE, "/departure").await {
        Err(error) if error.kind() != Kind::Gone => return Err(error),
        _ => {}
    }
    let now = plane.now();
    let mut tx = plane.db().begin().await?;
    store::take_back(&mut tx, kept.id, now).await?;
    note(told, actor, &kept).of_server(&mut tx, kept.server, now).await?;
    tx.commit().await?;
    let kept = Kept { stand: Stand::TakenBack, ..kept };
    reroute(plane, &kept, server.name.as_str());
    let rounds = store::rounds(plane.db(), kept.id).await?;
    release_later(plane, &kept, rounds.into_iter().filter(|round| !round.released).collect());
    subscriptions::resume(plane, &Actor::System, server.account).await?;
    Ok(Back::Here)
}

/// A server has come here by a move, to where one had left: whatever lives here now lives here, and the old address is its own
/// again. The runtime has done its part already; doing this twice is doing it once.
pub(crate) async fn came_back(plane: &ControlPlane, server: ServerId) -> Result<()> {
    let _turn = plane.leaving().turn(server).await;
    let Some(kept) = store::open_of(plane.db(), server).await?.filter(|kept| kept.stand.is_gone()) else {
        return Ok(());
    };
    let server = servers::server(plane, &Actor::System, server).await?;
    let mut tx = plane.db().begin().await?;
    store::take_back(&mut tx, kept.id, plane.now()).await?;
    tx.commit().await?;
    let kept = Kept { stand: Stand::TakenBack, ..kept };
    reroute(plane, &kept, server.name.as_str());
    let rounds = store::rounds(plane.db(), kept.id).await?;
    release_later(plane, &kept, rounds.into_iter().filter(|round| !round.released).collect());
    subscriptions::resume(plane, &Actor::System, server.account).await
}

/// Whether a move away from here is under way that has not handed over.
pub(crate) async fn is_leaving(plane: &ControlPlane, server: ServerId) -> Result<bool> {
    Ok(store::open_of(plane.db(), server).await?.is_some_and(|kept| kept.stand.is_under_way()))
}

/// The owner has what is left here erased before its time. Only once the target has said that the server is live there:
/// before that, what is here may be all there is. The address leads on all the same.
pub async fn erase_left(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<()> {
    let server = own(plane, actor, server).await?;
    let _turn = plane.leaving().turn(server.id).await;
    let kept = store::open_of(plane.db(), server.id).await?;
    let kept = kept.filter(|kept| kept.stand == Stand::Settled).ok_or_else(|| {
        Error::conflict(
            "The new provider has not said that your server is live there, so what is here may be all there is of it.",
        )
    })?;
    if server.desired == Desired::Erased {
        return Ok(());
    }
    let mut tx = plane.db().begin().await?;
    let told = "You had erased what was left here of your server after its move.".to_owned();
    note(told, actor, &kept).of_server(&mut tx, kept.server, plane.now()).await?;
    tx.commit().await?;
    servers::erase(plane, &Actor::System, server.id).await
}

async fn own(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<Server> {
    let server = servers::server(plane, actor, server).await?;
    actor.must_own(server.account)?;
    Ok(server)
}

fn note(told: String, actor: &Actor, kept: &Kept) -> Note {
    Note::new(Who::of_owners(actor), What::Move, told)
        .about("move", kept.id.to_string())
        .about("target", kept.target.as_str())
}
