//! Servers: one a person, kept where they ought to be by a loop that only compares what is wanted with what is seen.
//!
//! A page writes a wish (a row) and nudges; `reconcile` makes it so. Desired and seen are apart: what is desired is in
//! the database and survives anything, what is seen is asked of the hosts and kept in memory with the time it was seen.
//!
//! Architecture Invariant: nothing outside `reconcile` tells a host what to keep.

mod admin;
mod apps;
mod create;
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

use crate::business::{self, Business};
use crate::context::not_there;
use crate::{AccountId, Actor, ControlPlane, Result};

pub use admin::{AdminClient, admin};
pub use apps::{apps, install, remove, restore, usage};
pub(crate) use create::create;
pub use handover::handover_link;
pub use host::{Host, HostAnswer};
pub use name::{Availability, NameError, ServerName, name_available};
pub use past::{care, come_back, go_back, past, preview};
pub use plan::Desired;
pub use progress::{Progress, progress};
pub(crate) use sight::Sightings;
pub use sight::{Doing, Seen, Sighting};

/// One person's server.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Its name for programs.
    pub id: ServerId,
    /// Whose it is.
    pub account: AccountId,
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
    let kept = store::of_account(plane.db(), account).await?;
    Ok(kept.into_iter().map(|kept| complete(plane, &business, kept)).collect())
}

/// Every server, oldest first, for who runs the business.
pub async fn all(plane: &ControlPlane, actor: &Actor) -> Result<Vec<Server>> {
    actor.must_operate()?;
    let business = business::business(plane).await?;
    let kept = store::all(plane.db()).await?;
    Ok(kept.into_iter().map(|kept| complete(plane, &business, kept)).collect())
}

/// Wishes a server gone, with everything in it. Only this program itself does so, at the end of whatever lets a person
/// change their mind; there is no way back from here.
pub async fn erase(plane: &ControlPlane, actor: &Actor, id: ServerId) -> Result<()> {
    match actor {
        Actor::System => {}
        Actor::Visitor => return Err(crate::Error::sign_in()),
        Actor::Account(_) | Actor::Operator(_) => return Err(crate::Error::denied()),
    }
    store::wish_erased(plane.db(), id, plane.now()).await?;
    plane.nudge();
    Ok(())
}

/// The servers of every account, by name.
pub(crate) async fn names_by_account(plane: &ControlPlane) -> Result<HashMap<AccountId, Vec<(ServerId, String)>>> {
    let mut names: HashMap<_, Vec<_>> = HashMap::new();
    for kept in store::all(plane.db()).await? {
        names.entry(kept.account).or_default().push((kept.id, kept.name.to_string()));
    }
    Ok(names)
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
        name: kept.name,
        desired: kept.desired,
        desired_since: kept.desired_since,
        generation: kept.generation,
        host: kept.host,
        created: kept.created,
    }
}
