//! Servers: one a person, kept where they ought to be by a loop that only compares what is wanted with what is seen.
//!
//! A page writes a wish (a row) and nudges; `reconcile` makes it so. Desired and seen are apart: what is desired is in
//! the database and survives anything, what is seen is asked of the hosts and kept in memory with the time it was seen.
//!
//! Architecture Invariant: nothing outside `reconcile` tells a host what to keep.

mod admin;
mod apps;
mod create;
mod due;
mod handover;
mod host;
mod name;
mod past;
pub mod placement;
pub mod plan;
mod progress;
pub(crate) mod reconcile;
mod sight;
mod store;

use std::collections::HashMap;

use infra::hosts::HostId;
use jiff::Timestamp;
use tenant_runtime::ids::{Generation, ServerId};
use tenant_runtime::launch::Site;

use crate::audit::{Note, What, Who};
use crate::business::{self, Business};
use crate::context::not_there;
use crate::paging::{Ask, Page};
use crate::{AccountId, Actor, ControlPlane, Result};

pub(crate) use admin::Refused;
pub use admin::{AdminClient, admin};
pub use apps::{apps, erase_app, install, pin_app, remove, restore, usage};
pub(crate) use create::create;
pub(crate) use due::Due;
pub use handover::handover_link;
pub use host::{Host, HostAnswer};
pub use name::{Availability, NameError, ServerName, name_available};
pub use past::{care, come_back, go_back, past, preview};
pub use plan::Desired;
pub use progress::{Progress, progress};
pub(crate) use sight::{Counts, Sightings};
pub use sight::{Doing, Seen, Sighting};
pub(crate) use store::known;

/// One person's server.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Its name for programs.
    pub id: ServerId,
    /// Whose it is.
    pub account: AccountId,
    /// Where its owner is written to.
    pub owner: String,
    /// Its name for people, first label of its address.
    pub name: ServerName,
    /// Its address.
    pub site: Site,
    /// What ought to become of it.
    pub desired: Desired,
    /// Since when that is wanted.
    pub desired_since: Timestamp,
    /// How often it was placed.
    pub generation: Generation,
    /// What was last seen of it, and when.
    pub seen: Sighting,
    /// Where it was placed last.
    pub host: Option<HostId>,
    /// When it was asked for.
    pub created: Timestamp,
    /// Why it is not yet as it ought to be, when something went wrong.
    pub trouble: Option<String>,
}

/// One server, for its owner and who runs the business, in every standing. Others are told it is not there.
pub async fn server(plane: &ControlPlane, actor: &Actor, id: ServerId) -> Result<Server> {
    if *actor == Actor::Visitor {
        return Err(crate::Error::sign_in());
    }
    let kept = store::by_id(plane.db(), id).await?.ok_or_else(not_there)?;
    actor.may_see(kept.account)?;
    Ok(complete(plane, &business::business(plane).await?, kept))
}

/// The servers of one account, oldest first, for its owner and who runs the business.
pub async fn servers_of(plane: &ControlPlane, actor: &Actor, account: AccountId) -> Result<Vec<Server>> {
    actor.may_see(account)?;
    let business = business::business(plane).await?;
    let kept = store::of_accounts(plane.db(), &[account]).await?;
    Ok(kept.into_iter().map(|kept| complete(plane, &business, kept)).collect())
}

/// All servers, a page at a time, for who runs the business.
pub async fn servers(plane: &ControlPlane, actor: &Actor, ask: &Ask) -> Result<Page<Server>> {
    actor.must_operate()?;
    let business = business::business(plane).await?;
    store::page(plane.db(), ask).await?.try_map(|kept| Ok(complete(plane, &business, kept)))
}

/// Some servers, the newest first, for who runs the business.
pub async fn some(plane: &ControlPlane, actor: &Actor, ids: &[ServerId]) -> Result<Vec<Server>> {
    actor.must_operate()?;
    let business = business::business(plane).await?;
    let kept = store::by_ids(plane.db(), ids).await?;
    Ok(kept.into_iter().map(|kept| complete(plane, &business, kept)).collect())
}

/// The newest servers that crash or cannot be brought to where they ought to be, for who runs the business.
pub async fn astray(plane: &ControlPlane, actor: &Actor) -> Result<Vec<Server>> {
    let mut astray = some(plane, actor, &plane.sightings().astray(crate::paging::SHOWN)).await?;
    astray.retain(|server| server.seen.seen != Seen::Erased);
    Ok(astray)
}

/// Wishes a server gone, with everything in it. Only this program itself does so, at the end of whatever lets a person
/// change their mind; there is no way back from here.
pub async fn erase(plane: &ControlPlane, actor: &Actor, id: ServerId) -> Result<()> {
    match actor {
        Actor::System => {}
        Actor::Visitor => return Err(crate::Error::sign_in()),
        Actor::Account(_) | Actor::Operator(_) => return Err(crate::Error::denied()),
    }
    let mut tx = plane.db().begin().await?;
    if store::wish_erased(&mut tx, id, plane.now()).await? {
        let told = "Your server was erased, as you had been told.";
        Note::new(Who::Provider, What::Erase, told).of_server(&mut tx, id, plane.now()).await?;
    }
    tx.commit().await?;
    plane.attend(id);
    Ok(())
}

/// The servers of some accounts, with their names.
pub(crate) async fn names_by_account(
    plane: &ControlPlane,
    accounts: &[AccountId],
) -> Result<HashMap<AccountId, Vec<(ServerId, String)>>> {
    let mut names: HashMap<_, Vec<_>> = HashMap::new();
    for kept in store::of_accounts(plane.db(), accounts).await? {
        names.entry(kept.account).or_default().push((kept.id, kept.name.to_string()));
    }
    Ok(names)
}

/// How many servers are wanted, and how they were last seen; those that are on their way out do not count.
pub(crate) async fn counts(plane: &ControlPlane) -> Result<(u64, Counts)> {
    let (kept, going) = store::wanted(plane.db()).await?;
    Ok((kept, plane.sightings().counts(&going.into_iter().collect())))
}

/// The address of a server of this name.
pub(crate) fn site(plane: &ControlPlane, business: &Business, name: &ServerName) -> Site {
    let public = &plane.settings().public;
    let domain = business.sites_domain.clone();
    Site { scheme: public.scheme.clone(), name: name.to_string(), domain, port: public.port }
}

fn complete(plane: &ControlPlane, business: &Business, kept: store::Kept) -> Server {
    let erased = kept.erased;
    let seen = match erased {
        Some(at) => Sighting { seen: Seen::Erased, at },
        None => plane.sightings().of(kept.id),
    };
    Server {
        site: site(plane, business, &kept.name),
        seen,
        trouble: plane.sightings().trouble(kept.id),
        id: kept.id,
        account: kept.account,
        owner: kept.email,
        name: kept.name,
        desired: kept.desired,
        desired_since: kept.desired_since,
        generation: kept.generation,
        host: kept.host,
        created: kept.created,
    }
}
