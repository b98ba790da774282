//! The loop that makes what is seen equal what is wanted.
//!
//! It works from two sources. What somebody changed asks to be looked after (`due`) and is, at once. And rounds go
//! over all servers in small pages: without a pause after a start and when everything is asked for, slowly otherwise, so
//! that a hundred thousand sleeping servers cost next to nothing. Only the rounds must be right: each reads the world
//! again, so a hint that is lost costs a round and nothing else, and a start after `kill -9` is a round like any other:
//! no host has anything, so everything is placed again, asleep, under a higher generation. What fails is said on the
//! server and tried again.
//!
//! A page is read with three statements and those of it that must be placed are counted with one more, so a start
//! waits for the disk once a page. What a page calls for is handed out: each server that needs something is brought
//! forward by a task of its own, several at a time, and is passed over while it is in hand. So a server that takes long
//! to fall asleep does not keep a new one from being placed. One that failed stays in hand for a while, longer each time.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use billing::{PlanDraft, Standing, Use, consequence};
use infra::agent::SandboxLimits;
use infra::hosts::HostId;
use parking_lot::Mutex;
use tenant_runtime::ids::{Generation, ServerId};
use tenant_runtime::launch::{Access, Launch, Limits, OwnDomain, Owner, Provider, StorageAt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::due::Changed;
use super::placement::{Room, choose};
use super::plan::{Desired, Known, Mark, Step, Want, plan};
use super::sight::{Doing, Seen};
use super::store;
use crate::business::{self, Business};
use crate::gateway::{Admission, OwnName, Route};
use crate::moves::leaving;
use crate::{ControlPlane, Error, Result, domains, drills, hosts, subscriptions};

/// A round begins no sooner than this after the last one began.
const EVERY: Duration = Duration::from_secs(15);
/// So many servers are looked at together.
const PAGE: usize = 200;
/// So long between two pages of a round that is not in haste.
const BETWEEN_PAGES: Duration = Duration::from_secs(1);
/// So many names are routed at a time before the port is open.
const ROUTED_AT_ONCE: usize = 1000;
/// Another try this soon after one that could not even look.
const AFTER_TROUBLE: Duration = Duration::from_secs(2);
/// A server that failed is tried again after this, and after twice as long each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// But never later than this.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// So many servers at a time.
const AT_ONCE: usize = 16;

/// What this process told hosts and gateway, so that it tells again what has changed, and what it has in hand.
#[derive(Debug)]
pub(crate) struct Told {
    launches: Mutex<HashMap<ServerId, Mark>>,
    routes: Mutex<HashMap<ServerId, Mark>>,
    in_hand: Mutex<HashMap<ServerId, PassedOver>>,
    failures: Mutex<HashMap<ServerId, u32>>,
    turns: Arc<Semaphore>,
}

/// Whether a server was asked for while it was in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PassedOver {
    No,
    Yes,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            launches: Mutex::default(),
            routes: Mutex::default(),
            in_hand: Mutex::default(),
            failures: Mutex::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Told {
    /// Takes a server in hand, unless it is.
    fn take(&self, id: ServerId) -> bool {
        let mut in_hand = self.in_hand.lock();
        if let Some(passed_over) = in_hand.get_mut(&id) {
            *passed_over = PassedOver::Yes;
            return false;
        }
        in_hand.insert(id, PassedOver::No);
        true
    }

    /// Lets go of a server, and says whether it was asked for meanwhile.
    fn let_go(&self, id: ServerId) -> Option<PassedOver> {
        self.in_hand.lock().remove(&id)
    }

    /// How long to wait after one more failure.
    fn wait(&self, id: ServerId) -> Duration {
        let mut failures = self.failures.lock();
        let count = failures.entry(id).or_default();
        *count = count.saturating_add(1);
        (FIRST_WAIT * 2u32.saturating_pow(count.saturating_sub(1).min(10))).min(LONGEST_WAIT)
    }
}

/// Where the present round over all servers is.
struct Round {
    after: Option<ServerId>,
    began: Instant,
    next: Instant,
    haste: Haste,
}

/// Whether a round goes on without a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Haste {
    /// It takes its time.
    None,
    /// Something was changed that all servers must learn.
    Now,
    /// The same, and something more was changed while it went on.
    OnceMore,
}

impl Round {
    /// The first one, which places everything again.
    fn first() -> Self {
        let now = Instant::now();
        Self { after: None, began: now, next: now, haste: Haste::Now }
    }

    /// Everything is asked for.
    fn hurry(&mut self) {
        self.haste = match self.haste {
            Haste::None => {
                self.after = None;
                Haste::Now
            }
            // Nothing of it has been looked at yet.
            Haste::Now if self.after.is_none() => Haste::Now,
            Haste::Now | Haste::OnceMore => Haste::OnceMore,
        };
        self.next = Instant::now();
    }

    /// After one page; `last` is its last server, nothing when the round is over.
    fn turn(&mut self, last: Option<ServerId>) {
        let now = Instant::now();
        self.after = last;
        if last.is_none() {
            self.haste = if self.haste == Haste::OnceMore { Haste::Now } else { Haste::None };
        }
        self.next = match (self.haste, last) {
            (Haste::None, None) => now.max(self.began + EVERY),
            (Haste::None, Some(_)) => now + BETWEEN_PAGES,
            (Haste::Now | Haste::OnceMore, _) => now,
        };
    }
}

/// Runs until `stop`.
pub(crate) async fn run(plane: ControlPlane, stop: CancellationToken) {
    let mut round = Round::first();
    loop {
        let pause = match turn(&plane, &mut round, &stop).await {
            Ok(()) => round.next.saturating_duration_since(Instant::now()),
            Err(error) => {
                tracing::warn!(error = error.chain(), "servers cannot be looked after just now");
                AFTER_TROUBLE
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = plane.due().rung() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Looks after what was changed, and takes the round one page further when it is time.
async fn turn(plane: &ControlPlane, round: &mut Round, stop: &CancellationToken) -> Result<()> {
    if plane.due().take_everything() {
        round.hurry();
    }
    let business = business::business(plane).await?;
    if business.set_up.is_some() {
        plane.routes().set_sites_domain(&business.sites_domain);
    }
    while let Some(changed) = plane.due().take(PAGE) {
        if let Err(error) = look_after_changed(plane, &business, &changed, stop).await {
            plane.due().put_back(changed);
            return Err(error);
        }
        if stop.is_cancelled() {
            return Ok(());
        }
    }
    if Instant::now() < round.next {
        return Ok(());
    }
    if round.after.is_none() {
        round.began = Instant::now();
        look(plane).await;
    }
    let kept = store::behind(plane.db(), round.after, PAGE).await?;
    let last = kept.last().map(|kept| kept.id).filter(|_| kept.len() == PAGE);
    look_after(plane, &business, kept, stop).await?;
    round.turn(last);
    Ok(())
}

/// Asks the host for everything it has.
async fn look(plane: &ControlPlane) {
    let begun = plane.sightings().begin_look();
    // The stand-in of a drill is nobody's server, whether it came or went while we looked.
    let before = plane.drills().stand_in();
    let mut told = plane.host().seen().await;
    let nobodys = [before, plane.drills().stand_in()];
    told.retain(|seen| !nobodys.contains(&Some(seen.server)));
    plane.sightings().look(begun, &told, plane.now());
}

/// Notes what the host tells of by itself, until `stop`.
pub(crate) async fn listen(plane: ControlPlane, stop: CancellationToken) {
    let mut events = plane.host().events();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.recv() => event,
        };
        match event {
            Ok(event) => {
                if plane.sightings().hear(&event, plane.now()) {
                    plane.note_change();
                }
            }
            Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => look(&plane).await,
            Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Routes every server that was placed before, so that after a restart none of their visitors is told that
/// nobody lives there. Whoever comes before a server is placed again waits at the gateway.
pub(crate) async fn route_all(plane: &ControlPlane) -> Result<()> {
    let business = business::business(plane).await?;
    if business.set_up.is_some() {
        plane.routes().set_sites_domain(&business.sites_domain);
    }
    let mut after = None;
    loop {
        let kept = store::behind(plane.db(), after, ROUTED_AT_ONCE).await?;
        let Some(last) = kept.last() else { return Ok(()) };
        after = Some(last.id);
        let accounts: Vec<_> = kept.iter().map(|kept| kept.account).collect();
        let lines = subscriptions::lines(plane, &accounts).await?;
        let ids: Vec<_> = kept.iter().map(|kept| kept.id).collect();
        let owned = domains::store::of_servers(plane.db(), &ids).await?;
        for kept in kept.iter().filter(|kept| kept.desired != Desired::Erased && kept.generation > Generation(0)) {
            if let Some(line) = lines.get(&kept.account) {
                let using = consequence(&line.standing).using;
                plane.routes().put(kept.name.as_str(), route(plane, kept.id, using));
                let owned = owned.get(&kept.id).map(Vec::as_slice).unwrap_or_default();
                plane.routes().set_own(kept.name.as_str(), &own_names(owned));
            }
        }
    }
}

/// What a server is told at its start, and what its sandbox may use.
pub(crate) async fn launch_of(plane: &ControlPlane, id: ServerId) -> Result<(Launch, SandboxLimits)> {
    let kept = store::by_id(plane.db(), id).await?.ok_or_else(crate::context::not_there)?;
    let business = business::business(plane).await?;
    let lines = subscriptions::lines(plane, &[kept.account]).await?;
    let line = lines.get(&kept.account).ok_or_else(|| Error::bug("a server without a subscription"))?;
    let owned = domains::store::of_servers(plane.db(), &[id]).await?.remove(&id).unwrap_or_default();
    let case = Case::new(plane, &business, kept, line.standing, &line.terms, &owned);
    Ok((case.launch, case.limits))
}

/// The way to a server: itself, or where it went.
pub(crate) fn route(plane: &ControlPlane, server: ServerId, using: Use) -> Route {
    let admission = match (plane.leaving().moved(server), using) {
        (Some(moved), _) => Admission::Moved(moved),
        (None, Use::Asleep) => Admission::Suspended,
        (None, _) => Admission::Open,
    };
    Route { server, socket: plane.host().public_socket(server), admission }
}

/// Looks after the servers that were changed.
async fn look_after_changed(
    plane: &ControlPlane,
    business: &Business,
    changed: &Changed,
    stop: &CancellationToken,
) -> Result<()> {
    let servers: Vec<_> = changed.servers.iter().copied().collect();
    let accounts: Vec<_> = changed.accounts.iter().copied().collect();
    let mut kept = store::by_ids(plane.db(), &servers).await?;
    let others = store::of_accounts(plane.db(), &accounts).await?;
    kept.extend(others.into_iter().filter(|kept| !changed.servers.contains(&kept.id)));
    kept.retain(|kept| kept.erased.is_none());
    look_after(plane, business, kept, stop).await
}

/// Hands out what some servers need.
async fn look_after(
    plane: &ControlPlane,
    business: &Business,
    kept: Vec<store::Kept>,
    stop: &CancellationToken,
) -> Result<()> {
    let accounts: Vec<_> = kept.iter().map(|kept| kept.account).collect();
    let lines = subscriptions::lines(plane, &accounts).await?;
    let ids: Vec<_> = kept.iter().map(|kept| kept.id).collect();
    let mut owned = domains::store::of_servers(plane.db(), &ids).await?;
    let rooms = Arc::new(hosts::room(plane, plane.sightings().counts(&HashSet::new()).placed));
    let mut cases = Vec::new();
    for kept in kept {
        let Some(line) = lines.get(&kept.account) else { continue };
        let owned = owned.remove(&kept.id).unwrap_or_default();
        let case = Case::new(plane, business, kept, line.standing, &line.terms, &owned);
        let steps = case.plan(plane);
        if !steps.is_empty() && plane.told().take(case.kept.id) {
            cases.push((case, steps.contains(&Step::Raise)));
        }
    }
    if let Err(error) = raise(plane, &rooms, &mut cases).await {
        for (case, _) in &cases {
            plane.told().let_go(case.kept.id);
        }
        return Err(error);
    }
    for (case, _) in cases {
        let turns = Arc::clone(&plane.told().turns);
        match stop.run_until_cancelled(turns.acquire_owned()).await {
            Some(Ok(turn)) => plane.spawn(in_hand(plane.clone(), case, Arc::clone(&rooms), turn, stop.clone())),
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Counts a placement for all that need one, in one statement for each host they go to.
async fn raise(plane: &ControlPlane, rooms: &[Room], cases: &mut [(Case, bool)]) -> Result<()> {
    let mut by_host: HashMap<HostId, Vec<ServerId>> = HashMap::new();
    for (case, _) in cases.iter().filter(|(_, raises)| *raises) {
        if let Some(host) = choose(rooms, case.kept.host) {
            by_host.entry(host).or_default().push(case.kept.id);
        }
    }
    let mut raised = HashMap::new();
    for (host, ids) in by_host {
        raised.extend(store::raise(plane.db(), &ids, host).await?);
    }
    for (case, _) in cases {
        case.raised = raised.get(&case.kept.id).copied();
    }
    Ok(())
}

/// Brings one server forward, and lets go of it afterwards: at once, or after a wait when that failed.
async fn in_hand(
    plane: ControlPlane,
    case: Case,
    rooms: Arc<Vec<Room>>,
    turn: OwnedSemaphorePermit,
    stop: CancellationToken,
) {
    let (id, told) = (case.kept.id, plane.told());
    let fine = case.bring_forward(&plane, &rooms).await;
    drop(turn);
    if fine {
        told.failures.lock().remove(&id);
    } else {
        let wait = told.wait(id);
        stop.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
    let passed_over = told.let_go(id);
    if !fine || passed_over == Some(PassedOver::Yes) {
        plane.attend(id);
    }
}

/// One server, with everything that is to be told of it.
struct Case {
    kept: store::Kept,
    launch: Launch,
    limits: SandboxLimits,
    using: Use,
    /// The domains of its owner's own.
    own: Vec<OwnName>,
    want: Want,
    /// The placement that was counted for it already.
    raised: Option<Generation>,
}

impl Case {
    fn new(
        plane: &ControlPlane,
        business: &Business,
        kept: store::Kept,
        standing: Standing,
        terms: &PlanDraft,
        owned: &[domains::store::Kept],
    ) -> Self {
        let using = consequence(&standing).using;
        let launch = Launch {
            server: kept.id,
            generation: Generation(0),
            site: super::site(plane, business, &kept.name),
            provider: Provider {
                name: business.name.clone(),
                console_origin: business::console_origin_of(plane, business),
                handover_key: plane.keys().handover_public(),
            },
            owner: Owner { display_name: kept.owner.clone() },
            // Where these lie is the agent's to say.
            storage: StorageAt::Directory { path: "/home".into() },
            cache: "/data".into(),
            limits: Limits {
                storage_bytes: terms.storage_bytes,
                record_bytes: Limits::RECORD_BYTES * 2,
                memory_bytes: terms.memory_bytes,
                undo_days: terms.undo_days,
                loss_window_ms: terms.loss_window_ms,
            },
            standing: if using == Use::Full { Access::Full } else { Access::ReadOnly },
            domains: own_domains(owned),
        };
        let own = own_names(owned);
        let limits = SandboxLimits { memory_bytes: terms.memory_bytes.max(64 << 20), pids: 64, cpu_percent: 100 };
        let want = Want {
            desired: kept.desired,
            launch: mark(&(serde_json::to_string(&launch).unwrap_or_default(), limits.memory_bytes)),
            route: mark(&(using == Use::Asleep, plane.leaving().moved(kept.id).is_some(), &own)),
        };
        Self { kept, launch, limits, using, own, want, raised: None }
    }

    /// The steps that are due now.
    fn plan(&self, plane: &ControlPlane) -> Vec<Step> {
        let id = self.kept.id;
        let known = Known {
            seen: plane.sightings().of(id).seen,
            counted: self.kept.generation,
            told: plane.told().launches.lock().get(&id).copied(),
            routed: plane.told().routes.lock().get(&id).copied(),
        };
        plan(&self.want, &known)
    }

    /// Takes the steps that are due. True when nothing is wrong.
    async fn bring_forward(self, plane: &ControlPlane, rooms: &[Room]) -> bool {
        let id = self.kept.id;
        let mut generation = self.kept.generation;
        for step in self.plan(plane) {
            if let Err(error) = self.take(plane, rooms, step, &mut generation).await {
                if plane.sightings().note_trouble(id, Some(error.sentence().to_owned())) {
                    tracing::warn!(server.id = %id, ?step, error = error.chain(), "a server is not as it ought to be");
                }
                plane.note_change();
                return false;
            }
        }
        plane.sightings().note_trouble(id, None);
        plane.note_change();
        true
    }

    /// Counts a placement of this server alone: it was to be placed after all, or there was no machine a moment ago.
    async fn raise(&self, plane: &ControlPlane, rooms: &[Room]) -> Result<Generation> {
        let host = choose(rooms, self.kept.host)
            .ok_or_else(|| Error::retry("There is no machine for this server just now. We are told, and try on."))?;
        let raised = store::raise(plane.db(), &[self.kept.id], host).await?.pop();
        raised.map(|(_, raised)| raised).ok_or_else(|| Error::conflict("This server is being erased."))
    }

    async fn take(&self, plane: &ControlPlane, rooms: &[Room], step: Step, generation: &mut Generation) -> Result<()> {
        let (id, told) = (self.kept.id, plane.told());
        match step {
            Step::Raise => {
                *generation = match self.raised {
                    Some(raised) => raised,
                    None => self.raise(plane, rooms).await?,
                };
            }
            Step::Place => {
                let launch = Launch { generation: *generation, ..self.launch.clone() };
                plane.host().place(launch, self.limits).await.map_err(from_host)?;
                told.launches.lock().insert(id, self.want.launch);
                let seen = Seen::Placed { generation: *generation, doing: Doing::Asleep };
                plane.sightings().note(id, seen, plane.now());
            }
            Step::Route => {
                plane.routes().put(self.kept.name.as_str(), route(plane, id, self.using));
                plane.routes().set_own(self.kept.name.as_str(), &self.own);
                told.routes.lock().insert(id, self.want.route);
            }
            Step::Unroute => {
                // An address that leads on does so whatever is left of its server.
                match plane.leaving().moved(id) {
                    Some(_) => plane.routes().put(self.kept.name.as_str(), route(plane, id, self.using)),
                    None => {
                        plane.routes().remove(self.kept.name.as_str());
                        plane.routes().set_own(self.kept.name.as_str(), &[]);
                    }
                }
                told.routes.lock().remove(&id);
            }
            Step::Displace => {
                plane.host().displace(id).await.map_err(from_host)?;
                told.launches.lock().remove(&id);
                plane.sightings().note(id, Seen::Nothing, plane.now());
            }
            Step::Erase => {
                leaving::count(plane, id).await?;
                plane.host().erase(id).await.map_err(from_host)?;
            }
            Step::Bury => {
                debug_assert_eq!(self.kept.desired, Desired::Erased);
                leaving::issue(plane, id, self.kept.desired_since).await?;
                store::bury(plane.db(), id, plane.now()).await?;
                drills::forget(plane.db(), id).await?;
                if plane.leaving().moved(id).is_none() {
                    domains::store::forget(plane.db(), id).await?;
                }
            }
        }
        Ok(())
    }
}

/// What the gateway is told of the domains of a server's owner.
pub(crate) fn own_names(owned: &[domains::store::Kept]) -> Vec<OwnName> {
    let name = |kept: &domains::store::Kept| OwnName {
        name: kept.name.to_string(),
        served: kept.state.is_served(),
        apps: kept.wildcard && kept.app.is_none(),
    };
    owned.iter().map(name).collect()
}

/// What the server is told of them: those that lead to it.
fn own_domains(owned: &[domains::store::Kept]) -> Vec<OwnDomain> {
    let served = owned.iter().filter(|kept| kept.state.is_served());
    let own = |kept: &domains::store::Kept| OwnDomain {
        name: kept.name.to_string(),
        apps: kept.wildcard && kept.app.is_none(),
        app: kept.app.clone(),
    };
    served.map(own).collect()
}

fn from_host(error: infra::agent::Error) -> Error {
    Error::retry("The machine of this server does not answer as it should. We are told, and try on.").because(error)
}

/// Equal for equal content within one process, which is as long as it is kept.
fn mark(content: &impl std::hash::Hash) -> Mark {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    Mark(hasher.finish())
}
