//! The owner is asked whether their server may leave, and says yes or no (MOVE.md 4).

use export_format::moving::Provider;
use jiff::SignedDuration;
use uuid::Uuid;

use super::asked::{Asked, Read, back};
use super::store::{self, Kept};
use super::{Course, Stand, departure, ending, view};
use crate::audit::{Note, What, Who};
use crate::moves::arriving;
use crate::servers::{self, Desired, Server};
use crate::{Actor, ControlPlane, Error, Result, keys};

/// How long a code is good.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(10);

/// What an owner has to know before they say yes.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Who asks, as they tell about themselves.
    pub target: Provider,
    /// Which server.
    pub server: Server,
    /// The address of the server that is to go on.
    pub successor: String,
    /// A move of the same server that would end with a yes.
    pub other: Option<Course>,
}

/// What an owner is asked. The target is asked who it is; nothing is changed.
pub async fn ask(plane: &ControlPlane, actor: &Actor, asked: &Asked) -> Result<Asking> {
    let (read, server) = read(plane, actor, asked).await?;
    let other = match store::open_of(plane.db(), server.id).await? {
        Some(other) if other.stand.is_gone() => return Err(has_moved(&other)),
        Some(other) if other.id != read.id => Some(view::course(plane, other).await?),
        _ => None,
    };
    let target = read.peer.provider().await?;
    Ok(Asking { target, server, successor: read.successor, other })
}

/// The owner says yes. Answers where to send the browser: to the target, with a code that is good once and for ten
/// minutes. A move of the same server that has not handed over ends.
pub async fn consent(plane: &ControlPlane, actor: &Actor, asked: &Asked) -> Result<String> {
    let (read, server) = read(plane, actor, asked).await?;
    arriving::must_be_quiet(plane, server.id).await?;
    let target = read.peer.provider().await?;
    let _turn = plane.leaving().turn(server.id).await;
    let (code, now) = (keys::random_text(), plane.now());
    let kept = Kept {
        id: read.id,
        server: server.id,
        stand: Stand::Consented,
        target: read.peer.origin(),
        target_name: called(&target),
        address: server.site.origin(),
        successor: read.successor,
        challenge: read.challenge,
        code: Some(keys::digest(&code)),
        token: None,
        until: now + GOOD_FOR,
        consented: now,
        handover: None,
        settled: None,
        ended: None,
        why: None,
    };
    if let Some(there) = store::by_id(plane.db(), kept.id).await? {
        renew(plane, &there, &kept).await?;
    } else {
        replace(plane, &kept).await?;
    }
    plane.note_change();
    back(&target, &[("move", &kept.id.to_string()), ("code", &code)])
}

/// The owner says no. Answers where to send the browser.
pub async fn refuse(plane: &ControlPlane, actor: &Actor, asked: &Asked) -> Result<String> {
    let (read, _) = read(plane, actor, asked).await?;
    let target = read.peer.provider().await?;
    back(&target, &[("move", &read.id.to_string()), ("refused", "1")])
}

/// What is asked, and the visitor's own server that it is about.
async fn read(plane: &ControlPlane, actor: &Actor, asked: &Asked) -> Result<(Read, Server)> {
    let account = actor.account().ok_or_else(Error::sign_in)?;
    let read = asked.read(plane)?;
    let own = servers::servers_of(plane, actor, account).await?;
    let server = own.into_iter().find(|server| server.site.origin() == read.server);
    let server = server.filter(|server| server.desired == Desired::Kept).ok_or_else(|| {
        Error::gone(format!("{} is no server of the account you are signed in with here.", read.server))
    })?;
    Ok((read, server))
}

/// The same yes once more, as a second press makes it: the code before is good no longer.
async fn renew(plane: &ControlPlane, there: &Kept, kept: &Kept) -> Result<()> {
    let is_same = there.server == kept.server
        && there.target == kept.target
        && there.successor == kept.successor
        && there.challenge == kept.challenge;
    if !is_same || there.stand != Stand::Consented {
        return Err(used(kept.id));
    }
    let mut tx = plane.db().begin().await?;
    let code = kept.code.as_deref().unwrap_or_default();
    if !store::renew_code(&mut tx, kept.id, code, kept.until).await? {
        return Err(used(kept.id));
    }
    Ok(tx.commit().await?)
}

/// A new move, instead of one that has not handed over.
async fn replace(plane: &ControlPlane, kept: &Kept) -> Result<()> {
    if let Some(other) = store::open_of(plane.db(), kept.server).await? {
        let other = departure::look_again(plane, other).await?;
        if other.stand.is_gone() {
            return Err(has_moved(&other));
        }
        ending::give_up(plane, &other, Who::Owner, "You allowed another move instead.").await?;
    }
    let mut tx = plane.db().begin().await?;
    if !store::insert(&mut tx, kept).await? {
        return Err(used(kept.id));
    }
    let told = format!("You allowed {} to take your server over, as {}.", kept.target_name, kept.successor);
    Note::new(Who::Owner, What::Move, told)
        .about("move", kept.id.to_string())
        .about("target", kept.target.as_str())
        .about("successor", kept.successor.as_str())
        .of_server(&mut tx, kept.server, plane.now())
        .await?;
    Ok(tx.commit().await?)
}

/// What another provider calls itself, so far as it fits a line.
fn called(target: &Provider) -> String {
    let name: String = target.name.chars().filter(|sign| !sign.is_control()).take(80).collect();
    if name.trim().is_empty() { target.origin.clone() } else { name.trim().to_owned() }
}

fn has_moved(other: &Kept) -> Error {
    Error::conflict(format!(
        "This server has moved to {} already, so it cannot leave from here again.",
        other.successor
    ))
}

fn used(id: Uuid) -> Error {
    Error::conflict(
        "This move was allowed before. Go back to the new provider and begin it again; nothing was changed.",
    )
    .because(format!("the move {id} is there already"))
}
