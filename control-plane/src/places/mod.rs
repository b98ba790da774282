//! Places: storage of a person's own, elsewhere, where copies of their server go and come from.
//!
//! A copy in a place of one's own is what makes leaving possible when a provider is gone. So places work in every
//! standing of the bill, and what goes there is the archive that anybody can read.
//!
//! Invariants: what opens a place is sealed in the database and shown to nobody again (`seal`), and so is the passphrase
//! that copies may be sealed with (`sealing`); nothing is connected to that the operator did not allow (`reach`); nothing is
//! ever deleted there but files that this program wrote and noted.
//!
//! Fails by saying in words what the place says is wrong; what may pass is tried again by whoever asked.

mod access;
mod ident;
mod peer;
mod reach;
mod s3;
mod schedule;
mod seal;
mod sealing;
mod store;
mod webdav;

use jiff::Timestamp;
use tenant_runtime::ids::ServerId;

pub use access::{Access, Secret};
pub use ident::PlaceId;
pub use peer::Found;
pub(crate) use peer::Peer;
pub(crate) use reach::Looking;
pub use reach::Reach;
pub(crate) use s3::{S3, part_bytes};
pub use schedule::{Every, Schedule};
pub(crate) use sealing::sealing;
pub use sealing::{leave_copies_open, seal_copies};
pub use store::Written;
pub(crate) use webdav::Webdav;

use crate::audit::{Note, What, Who};
use crate::context::not_there;
use crate::db::Tx;
use crate::{Actor, ControlPlane, Error, Result, row, servers};

/// How many places a server may have.
const MOST_PLACES: usize = 10;
/// How many copies are begun by themselves at a time.
const AT_ONCE: i64 = 4;

/// What kind of storage a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// A bucket.
    S3,
    /// A folder.
    Webdav,
}

/// A place as its owner sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Its name for programs.
    pub id: PlaceId,
    /// Whose copies go there.
    pub server: ServerId,
    /// What it is.
    pub kind: PlaceKind,
    /// What its owner calls it.
    pub name: String,
    /// Where it is, for people.
    pub address: String,
    /// When copies go there by themselves.
    pub schedule: Schedule,
    /// When the next one does.
    pub next: Option<Timestamp>,
    /// When the last copy got there.
    pub copied: Option<Timestamp>,
    /// When the last that did not get there failed.
    pub failed: Option<Timestamp>,
    /// How many failed since one got there.
    pub failures: u32,
    /// Why the last failed, when none got there since.
    pub last_error: Option<String>,
    /// Since when copies are sealed with the present passphrase; nothing where they go open.
    pub sealed_since: Option<Timestamp>,
    /// When it was added.
    pub created: Timestamp,
}

/// Adds a place, once it has been tried.
pub async fn add(plane: &ControlPlane, actor: &Actor, server: ServerId, name: &str, access: Access) -> Result<Place> {
    own(plane, actor, server).await?;
    let name = a_name(name)?;
    if store::of_server(plane.db(), server).await?.len() >= MOST_PLACES {
        return Err(Error::conflict("Ten places are as many as a server can have. Remove one you no longer use."));
    }
    let access = access.checked(plane.settings().places)?;
    Peer::open(access.clone(), plane.settings().places)?.try_it().await?;
    let id = PlaceId::new(plane.now().as_millisecond());
    let open = row::to_json(&access)?;
    let kept = store::Kept {
        id,
        server,
        kind: access.word().to_owned(),
        name,
        address: access.address(),
        sealed: seal::seal(plane.keys(), id, seal::Part::Access, open.as_bytes()),
        schedule: Schedule::default(),
        next: None,
        copied: None,
        failed: None,
        failures: 0,
        last_error: None,
        passphrase: None,
        sealed_since: None,
        created: plane.now(),
    };
    let mut tx = plane.db().begin().await?;
    store::insert(&mut tx, &kept).await?;
    told(actor, &kept, format!("You added {}, storage of yours at {}.", kept.name, kept.address))
        .of_server(&mut tx, server, plane.now())
        .await?;
    tx.commit().await?;
    Ok(kept.view())
}

/// The places of a server, in the order they were added, for its owner.
pub async fn places(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<Vec<Place>> {
    own(plane, actor, server).await?;
    Ok(store::of_server(plane.db(), server).await?.into_iter().map(store::Kept::view).collect())
}

/// One place, for its owner.
pub async fn place(plane: &ControlPlane, actor: &Actor, id: PlaceId) -> Result<Place> {
    Ok(owned(plane, actor, id).await?.view())
}

/// Tries whether it can be written, read and tidied up.
pub async fn try_it(plane: &ControlPlane, actor: &Actor, id: PlaceId) -> Result<()> {
    let kept = owned(plane, actor, id).await?;
    opened(plane, &kept)?.try_it().await
}

/// Calls it something else.
pub async fn rename(plane: &ControlPlane, actor: &Actor, id: PlaceId, name: &str) -> Result<()> {
    let kept = owned(plane, actor, id).await?;
    let name = a_name(name)?;
    let mut tx = plane.db().begin().await?;
    store::rename(&mut tx, kept.id, &name).await?;
    let text = format!("You renamed {}, storage of yours, to {name}.", kept.name);
    told(actor, &kept, text).of_server(&mut tx, kept.server, plane.now()).await?;
    Ok(tx.commit().await?)
}

/// Forgets a place and what opens it. What lies there stays.
pub async fn remove(plane: &ControlPlane, actor: &Actor, id: PlaceId) -> Result<()> {
    let kept = owned(plane, actor, id).await?;
    let mut tx = plane.db().begin().await?;
    store::remove(&mut tx, kept.id, plane.now()).await?;
    let text = format!("You removed {}, storage of yours; what lies there was left alone.", kept.name);
    told(actor, &kept, text).of_server(&mut tx, kept.server, plane.now()).await?;
    Ok(tx.commit().await?)
}

/// Says when copies go there by themselves; when the next one does.
pub async fn set_schedule(
    plane: &ControlPlane,
    actor: &Actor,
    id: PlaceId,
    schedule: Schedule,
) -> Result<Option<Timestamp>> {
    let kept = owned(plane, actor, id).await?;
    schedule.check()?;
    let next = schedule.next(plane.now())?;
    let mut tx = plane.db().begin().await?;
    store::set_schedule(&mut tx, kept.id, &schedule, next).await?;
    let text = match schedule.every {
        Every::Never => format!("You planned no more copies to {}, storage of yours.", kept.name),
        Every::Daily => format!("You planned a copy to {}, storage of yours, for every day.", kept.name),
        Every::Weekly(_) => format!("You planned a copy to {}, storage of yours, for every week.", kept.name),
    };
    told(actor, &kept, text).of_server(&mut tx, kept.server, plane.now()).await?;
    tx.commit().await?;
    Ok(next)
}

/// The archives that lie there, whoever wrote them, newest first.
pub async fn archives(plane: &ControlPlane, actor: &Actor, id: PlaceId) -> Result<Vec<Found>> {
    let kept = owned(plane, actor, id).await?;
    opened(plane, &kept)?.list().await
}

/// What we wrote there and did not delete, newest first.
pub async fn written(plane: &ControlPlane, actor: &Actor, id: PlaceId) -> Result<Vec<Written>> {
    let kept = owned(plane, actor, id).await?;
    store::files(plane.db(), kept.id).await
}

/// A place for work at it; none when it was removed meanwhile.
pub(crate) async fn peer(plane: &ControlPlane, id: PlaceId) -> Result<Peer> {
    let kept = store::by_id(plane.db(), id).await?.ok_or_else(removed)?;
    opened(plane, &kept)
}

/// Notes a file that is all there.
pub(crate) async fn note_file(plane: &ControlPlane, id: PlaceId, file: &Written) -> Result<()> {
    store::note_file(plane.db(), id, file).await
}

/// Deletes what the schedule no longer keeps: the oldest of those copies that went there by themselves.
pub(crate) async fn tidy(plane: &ControlPlane, id: PlaceId, peer: &Peer) -> Result<()> {
    let Some(kept) = store::by_id(plane.db(), id).await? else { return Ok(()) };
    if kept.schedule.every == Every::Never {
        return Ok(());
    }
    let files = store::files(plane.db(), id).await?;
    for file in files.iter().filter(|file| file.scheduled).skip(kept.schedule.keep as usize) {
        peer.delete(&file.name).await?;
        store::note_deleted(plane.db(), id, &file.name, plane.now()).await?;
    }
    Ok(())
}

/// Notes that a copy got there, in the transaction that says so of its operation.
pub(crate) async fn note_copied(plane: &ControlPlane, tx: &mut Tx, id: PlaceId) -> Result<()> {
    store::note_copied(tx, id, plane.now()).await
}

/// Notes that a copy did not get there. A scheduled one is tried again before its next regular time when that is far;
/// when it is.
pub(crate) async fn note_failed(
    plane: &ControlPlane,
    tx: &mut Tx,
    id: PlaceId,
    why: &str,
    scheduled: bool,
) -> Result<Option<Timestamp>> {
    let now = plane.now();
    let Some(kept) = store::by_id(plane.db(), id).await? else { return Ok(None) };
    let next = match kept.schedule.next(now)? {
        Some(regular) if scheduled => Some(regular.min(now + schedule::pause(kept.failures + 1))),
        _ => None,
    };
    store::note_failed(tx, id, now, why, next).await?;
    Ok(next)
}

/// Begins the copies whose time has come. A copy is written down before the time of the next one is, so that none is
/// left out; one that is under way still is not begun twice.
pub(crate) async fn begin_due(plane: &ControlPlane) -> Result<()> {
    let now = plane.now();
    store::remove_orphans(plane.db(), now).await?;
    for kept in store::due(plane.db(), now, AT_ONCE).await? {
        plane.operations().start_scheduled_copy(kept.server, kept.id).await?;
        store::set_next(plane.db(), kept.id, kept.schedule.next(now)?).await?;
    }
    Ok(())
}

fn told(actor: &Actor, kept: &store::Kept, text: String) -> Note {
    Note::new(Who::of_owners(actor), What::Settings, text).about("place", kept.id.to_string())
}

impl store::Kept {
    fn view(self) -> Place {
        Place {
            id: self.id,
            server: self.server,
            kind: if self.kind == "s3" { PlaceKind::S3 } else { PlaceKind::Webdav },
            name: self.name,
            address: self.address,
            schedule: self.schedule,
            next: self.next,
            copied: self.copied,
            failed: self.failed,
            failures: self.failures,
            last_error: self.last_error,
            sealed_since: self.sealed_since,
            created: self.created,
        }
    }
}

fn opened(plane: &ControlPlane, kept: &store::Kept) -> Result<Peer> {
    let open = seal::open(plane.keys(), kept.id, seal::Part::Access, &kept.sealed)?;
    let access: Access = serde_json::from_slice(&open).map_err(|_| Error::bug("a sealed place cannot be read"))?;
    Peer::open(access, plane.settings().places)
}

fn a_name(name: &str) -> Result<String> {
    let name = name.trim();
    if !(1..=60).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(Error::fix("name", "Give it a name of 1 to 60 letters, by which you know it."));
    }
    Ok(name.to_owned())
}

fn removed() -> Error {
    Error::gone("This storage was removed from your server’s places.")
}

/// Only for the owner of the server.
async fn own(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<()> {
    let server = servers::server(plane, actor, server).await?;
    actor.must_own(server.account)
}

async fn owned(plane: &ControlPlane, actor: &Actor, id: PlaceId) -> Result<store::Kept> {
    if *actor == Actor::Visitor {
        return Err(Error::sign_in());
    }
    let kept = store::by_id(plane.db(), id).await?.ok_or_else(not_there)?;
    own(plane, actor, kept.server).await?;
    Ok(kept)
}
