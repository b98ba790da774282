//! Domains of people's own: names that they registered elsewhere and that lead to their servers here.
//!
//! A name is served when its DNS says so twice: a text that only this server was given (`proof`), and an address that is
//! ours. Whoever shows both holds the name; who named it first does not matter. The look is repeated while the domain is
//! served (`course` says when), so that a name that changes hands does not go on leading to its former owner, and one whose
//! DNS still leads here after it was removed can be taken by nobody who cannot write that DNS.
//!
//! Invariants:
//! - at most one server holds a name (an index of the database sees to it);
//! - a domain that was served is turned off only by a letter and a wait after it, or by somebody else's proof where its
//!   own is gone;
//! - what came with an archive is a wish and is looked up only once its owner says so.

mod certify;
mod course;
mod ident;
mod kinds;
mod lookup;
mod name;
mod proof;
pub(crate) mod store;
mod turns;
mod wishes;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tenant_runtime::ids::ServerId;
use tokio::sync::Notify;

use crate::audit::{Note, What, Who};
use crate::business;
use crate::context::not_there;
use crate::{Actor, ControlPlane, Error, Result, servers, subscriptions};

pub use certify::may_certify;
pub use ident::DomainId;
pub use kinds::{Came, Role, State, Use};
pub use lookup::Dns;
pub(crate) use lookup::Lookup;
pub use name::{DomainName, DomainNameError};
pub use turns::look_at_due;
pub(crate) use turns::run;
pub(crate) use wishes::{handed, keep};

use store::Kept;

/// A look that is asked for again within this is the one before.
const NOT_AGAIN: SignedDuration = SignedDuration::from_secs(3);
/// What was seen within this need not be looked at again before a sign-in.
const SEEN_JUST_NOW: SignedDuration = SignedDuration::from_secs(60);
/// A page does not wait longer than this for a resolver.
const TOLD_WITHIN: Duration = Duration::from_secs(3);
/// How long the server may take to tell its key when a domain is added; the text does without where it does not.
const KEY_WITHIN: Duration = Duration::from_secs(20);

/// A domain of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its name for programs.
    pub id: DomainId,
    /// Whose.
    pub server: ServerId,
    /// The name.
    pub name: DomainName,
    /// What it is for.
    pub role: Role,
    /// The app, where that is its role.
    pub app: Option<String>,
    /// How it stands.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// The text to put into DNS.
    pub text: String,
    /// Whether the key of the server that moved here, already in DNS, is proof enough.
    pub knows_key: bool,
    /// Where a wish came from.
    pub came: Option<Came>,
    /// Whether every name below it leads here too, so that apps have addresses there.
    pub wildcard: bool,
    /// What the last look found wanting, in words.
    pub trouble: Option<String>,
    /// When it was last looked at.
    pub checked: Option<Timestamp>,
    /// When it is looked at again.
    pub next: Option<Timestamp>,
    /// When its proof was last seen.
    pub proved: Option<Timestamp>,
    /// When it is turned off at the earliest, where its owner has been told so.
    pub off: Option<Timestamp>,
}

/// What is remembered of domains beside their rows.
#[derive(Debug)]
pub(crate) struct Desk {
    lookup: Lookup,
    bell: Notify,
    labels: certify::Labels,
}

impl Desk {
    pub(crate) fn new(dns: &Dns) -> Self {
        Self { lookup: Lookup::new(dns), bell: Notify::new(), labels: certify::Labels::default() }
    }
}

impl From<Kept> for Domain {
    fn from(kept: Kept) -> Self {
        let off = kept.told.and_then(|told| told.checked_add(course::OFF_AFTER).ok());
        Self {
            text: proof::text(&kept.challenge, kept.did.as_deref()),
            knows_key: kept.former_did.is_some(),
            off: off.filter(|_| kept.state == State::Failing),
            id: kept.id,
            server: kept.server,
            name: kept.name,
            role: kept.role,
            app: kept.app,
            state: kept.state,
            since: kept.since,
            came: kept.came,
            wildcard: kept.wildcard,
            trouble: kept.trouble,
            checked: kept.checked,
            next: kept.next,
            proved: kept.proved,
        }
    }
}

/// The domains of a server, for its owner and who runs the business.
pub async fn domains(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<Vec<Domain>> {
    servers::server(plane, actor, server).await?;
    let kept = store::of_server(plane.db(), server).await?;
    Ok(kept.into_iter().filter(|kept| kept.state != State::Removed).map(Domain::from).collect())
}

/// One domain, for its owner and who runs the business.
pub async fn domain(plane: &ControlPlane, actor: &Actor, id: DomainId) -> Result<Domain> {
    let kept = kept(plane, id).await?;
    servers::server(plane, actor, kept.server).await?;
    Ok(kept.into())
}

/// How many domains a server may have.
pub async fn limit(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<u32> {
    let server = servers::server(plane, actor, server).await?;
    Ok(subscriptions::bill(plane, &Actor::System, server.account).await?.terms.domains)
}

/// The addresses to which a domain of this server is to lead, as DNS has them now; none where that cannot be told.
pub async fn addresses(plane: &ControlPlane, actor: &Actor, server: ServerId) -> Result<Vec<std::net::IpAddr>> {
    let server = servers::server(plane, actor, server).await?;
    let host = server.site.host();
    let asked = tokio::time::timeout(TOLD_WITHIN, plane.domains().lookup.here(&host));
    Ok(asked.await.ok().and_then(Result::ok).map(|here| here.into_iter().collect()).unwrap_or_default())
}

/// Adds a domain to a server: from now on its proof is looked for. One that was removed, given up or only wished for is
/// begun anew, with another challenge.
pub async fn add(plane: &ControlPlane, actor: &Actor, server: ServerId, name: &str) -> Result<Domain> {
    let server = servers::server(plane, actor, server).await?;
    actor.must_own(server.account)?;
    let name = DomainName::parse(name)?;
    let business = business::business(plane).await?;
    if [&business.sites_domain, &plane.settings().public.host].iter().any(|own| name.is_kin(own)) {
        return Err(Error::fix("domain", "That name is this provider's own. Use one that you registered."));
    }
    stays_here(plane, server.id)?;
    let all = store::of_server(plane.db(), server.id).await?;
    let before = all.iter().find(|kept| kept.name == name && kept.state != State::Removed);
    if let Some(known) = before.filter(|kept| kept.state.is_served() || kept.state == State::Proving) {
        return Ok(known.clone().into());
    }
    let most = limit(plane, &Actor::System, server.id).await?;
    let is_in_use = |state: State| state.is_served() || state == State::Proving;
    let has = all.iter().filter(|kept| is_in_use(kept.state)).count();
    if has >= most as usize {
        let told = match most {
            0 => "Your plan has no domains of your own.".to_owned(),
            _ => format!("Your plan has room for {most}. Remove one that you do not need, and then add this one."),
        };
        return Err(Error::fix("domain", told));
    }
    let now = plane.now();
    let kept = Kept {
        role: before.map_or(Role::Alias, |kept| kept.role),
        app: before.and_then(|kept| kept.app.clone()),
        former_did: before.and_then(|kept| kept.former_did.clone()),
        came: before.and_then(|kept| kept.came),
        did: own_key(plane, server.id).await,
        next: Some(now),
        ..fresh(server.id, name, State::Proving, now)
    };
    let mut tx = plane.db().begin().await?;
    store::put(&mut tx, &kept).await?;
    let told = format!("You added the domain {}.", kept.name);
    note(actor, told, &kept.name).of_server(&mut tx, server.id, now).await?;
    tx.commit().await?;
    plane.domains().bell.notify_one();
    plane.attend(server.id);
    plane.note_change();
    let put = store::of_server(plane.db(), server.id).await?.into_iter().find(|put| put.name == kept.name);
    Ok(put.ok_or_else(not_there)?.into())
}

/// Begins to prove a domain that came with an archive or was given up.
pub async fn prove(plane: &ControlPlane, actor: &Actor, id: DomainId) -> Result<Domain> {
    let kept = own(plane, actor, id).await?;
    add(plane, actor, kept.server, kept.name.as_str()).await
}

/// Looks a domain up now, and says how it stands.
pub async fn look(plane: &ControlPlane, actor: &Actor, id: DomainId) -> Result<Domain> {
    let kept = own(plane, actor, id).await?;
    stays_here(plane, kept.server)?;
    let recently = kept.checked.is_some_and(|at| plane.now().duration_since(at) < NOT_AGAIN);
    if recently || matches!(kept.state, State::Wanted | State::GivenUp) {
        return Ok(kept.into());
    }
    Ok(turns::look(plane, kept).await?.into())
}

/// Says what a domain is used for.
pub async fn set_use(plane: &ControlPlane, actor: &Actor, id: DomainId, wanted: Use) -> Result<()> {
    let kept = own(plane, actor, id).await?;
    let (role, app, told) = match &wanted {
        Use::Primary => (Role::Primary, None, format!("{} is now the address your server goes by.", kept.name)),
        Use::Alias => (Role::Alias, None, format!("{} is now another address of your server.", kept.name)),
        Use::App(app) => {
            let apps = servers::apps(plane, actor, kept.server).await?;
            if !apps.iter().any(|known| known.id == *app && known.removed_ms.is_none()) {
                return Err(Error::fix("app", "There is no such app on your server."));
            }
            (Role::App, Some(app.as_str()), format!("{} now leads to the app {app}.", kept.name))
        }
    };
    let mut tx = plane.db().begin().await?;
    store::set_use(&mut tx, &kept, role, app).await?;
    note(actor, told, &kept.name).of_server(&mut tx, kept.server, plane.now()).await?;
    tx.commit().await?;
    plane.attend(kept.server);
    plane.note_change();
    Ok(())
}

/// Removes a domain: it does not lead here any more, whatever DNS says. Saying it twice is saying it once.
pub async fn remove(plane: &ControlPlane, actor: &Actor, id: DomainId) -> Result<()> {
    let kept = own(plane, actor, id).await?;
    let now = plane.now();
    let gone = Kept { state: State::Removed, since: now, next: None, wildcard: false, trouble: None, ..kept.clone() };
    let mut tx = plane.db().begin().await?;
    if !store::turn(&mut tx, &kept, &gone).await? {
        return Err(Error::conflict("Something changed about this domain just now. Look again, and remove it then."));
    }
    note(actor, format!("You removed the domain {}.", kept.name), &kept.name)
        .of_server(&mut tx, kept.server, now)
        .await?;
    tx.commit().await?;
    plane.attend(kept.server);
    plane.note_change();
    Ok(())
}

/// The domain at which an owner is signed in, where the server has one to go by. A sign-in goes to whoever the name leads to,
/// so it must have been seen to lead here just now.
pub(crate) async fn primary(plane: &ControlPlane, server: ServerId) -> Result<Option<String>> {
    let owned = store::of_servers(plane.db(), &[server]).await?.remove(&server).unwrap_or_default();
    let Some(mut kept) = owned.into_iter().find(|kept| kept.role == Role::Primary && kept.state == State::Proved)
    else {
        return Ok(None);
    };
    if kept.proved.is_none_or(|seen| plane.now().duration_since(seen) > SEEN_JUST_NOW) {
        match tokio::time::timeout(TOLD_WITHIN, turns::look(plane, kept)).await {
            Ok(looked) => kept = looked?,
            Err(_) => return Ok(None),
        }
    }
    let is_here = kept.state == State::Proved && kept.trouble.is_none();
    Ok(is_here.then(|| kept.name.to_string()))
}

/// A row of now, with a challenge of its own.
fn fresh(server: ServerId, name: DomainName, state: State, now: Timestamp) -> Kept {
    Kept {
        id: DomainId::new(now.as_millisecond()),
        server,
        name,
        role: Role::Alias,
        app: None,
        state,
        since: now,
        challenge: proof::challenge(),
        did: None,
        former_did: None,
        came: None,
        wildcard: false,
        trouble: None,
        checked: None,
        next: None,
        failures: 0,
        proved: None,
        told: None,
        created: now,
    }
}

/// A server that lives elsewhere by now has its domains there.
fn stays_here(plane: &ControlPlane, server: ServerId) -> Result<()> {
    match plane.leaving().moved(server) {
        Some(moved) => {
            Err(Error::conflict(format!("Your server lives at {} now. Its domains are set up there.", moved.to)))
        }
        None => Ok(()),
    }
}

/// The key of the server here. Nobody is kept from adding a domain by a server that does not answer.
async fn own_key(plane: &ControlPlane, server: ServerId) -> Option<String> {
    let told = async {
        let client = servers::admin(plane, &Actor::System, server).await?;
        client.get_json::<tenant_runtime::admin::api::IdentityView>("/identity").await
    };
    match tokio::time::timeout(KEY_WITHIN, told).await {
        Ok(Ok(identity)) => Some(identity.did),
        Ok(Err(error)) => {
            tracing::info!(server.id = %server, error = error.chain(), "a domain is added without the server's key");
            None
        }
        Err(_) => None,
    }
}

async fn kept(plane: &ControlPlane, id: DomainId) -> Result<Kept> {
    let kept = store::by_id(plane.db(), id).await?;
    kept.filter(|kept| kept.state != State::Removed).ok_or_else(not_there)
}

/// A domain that is the asker's own.
async fn own(plane: &ControlPlane, actor: &Actor, id: DomainId) -> Result<Kept> {
    if *actor == Actor::Visitor {
        return Err(Error::sign_in());
    }
    let kept = kept(plane, id).await?;
    let server = servers::server(plane, &Actor::System, kept.server).await?;
    actor.must_own(server.account)?;
    Ok(kept)
}

fn note(actor: &Actor, told: String, name: &DomainName) -> Note {
    Note::new(Who::of_owners(actor), What::Settings, told).about("domain", name.as_str())
}
