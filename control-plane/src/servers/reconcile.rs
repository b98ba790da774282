//! The loop that makes what is seen equal what is wanted.
//!
//! It takes no input. A nudge says only that something may have changed; each pass then reads the whole world again, so
//! a lost nudge costs a few seconds and nothing else, and a start after `kill -9` is a pass like any other: no host has
//! anything, so everything is placed again, asleep, under a higher generation. What fails is said on the server and
//! tried again by the next pass.
//!
//! A pass only looks and hands out: each server that needs something is brought forward by a task of its own, several at a
//! time, and is passed over while it is in hand. So a server that takes long to fall asleep does not keep a new one from
//! being placed. One that failed stays in hand for a while, longer each time.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use billing::{PlanDraft, Standing, Use, consequence};
use infra::agent::SandboxLimits;
use parking_lot::Mutex;
use tenant_runtime::ids::{Generation, ServerId};
use tenant_runtime::launch::{Access, Launch, Limits, Owner, Provider, StorageAt};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::placement::{Room, choose};
use super::plan::{Desired, Known, Mark, Step, Want, plan};
use super::sight::{Doing, Seen};
use super::store;
use crate::business::{self, Business};
use crate::gateway::{Admission, Route};
use crate::{ControlPlane, Error, Result, hosts, subscriptions};

/// A pass at least this often.
const EVERY: Duration = Duration::from_secs(15);
/// A pass this soon after one that could not even look.
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

/// Whether a pass came by while a server was in hand.
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

    /// How long to wait after one more failure.
    fn wait(&self, id: ServerId) -> Duration {
        let mut failures = self.failures.lock();
        let count = failures.entry(id).or_default();
        *count = count.saturating_add(1);
        (FIRST_WAIT * 2u32.saturating_pow(count.saturating_sub(1).min(10))).min(LONGEST_WAIT)
    }
}

/// Runs until `stop`.
pub(crate) async fn run(plane: ControlPlane, stop: CancellationToken) {
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = plane.nudged() => {}
            () = tokio::time::sleep(pause) => {}
        }
        pause = match pass(&plane, &stop).await {
            Ok(()) => EVERY,
            Err(error) => {
                tracing::warn!(error = error.chain(), "servers cannot be looked after just now");
                AFTER_TROUBLE
            }
        };
    }
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
            Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => plane.nudge(),
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
    let ledger = subscriptions::ledger(plane).await?;
    for kept in store::all(plane.db()).await? {
        let placed_before = kept.erased.is_none() && kept.desired != Desired::Erased && kept.generation > Generation(0);
        if let Some(line) = ledger.get(&kept.account).filter(|_| placed_before) {
            let using = consequence(&line.standing).using;
            plane.routes().put(kept.name.as_str(), route(plane, kept.id, using));
        }
    }
    Ok(())
}

fn route(plane: &ControlPlane, server: ServerId, using: Use) -> Route {
    let admission = if using == Use::Asleep { Admission::Suspended } else { Admission::Open };
    Route { server, socket: plane.host().public_socket(server), admission }
}

/// One look at the whole world; what it calls for is handed out.
async fn pass(plane: &ControlPlane, stop: &CancellationToken) -> Result<()> {
    let business = business::business(plane).await?;
    if business.set_up.is_some() {
        plane.routes().set_sites_domain(&business.sites_domain);
    }
    let kept: Vec<_> = store::all(plane.db()).await?.into_iter().filter(|kept| kept.erased.is_none()).collect();
    let ledger = subscriptions::ledger(plane).await?;
    let told = plane.host().seen().await;
    plane.sightings().look(&told, kept.iter().map(|kept| kept.id), plane.now());
    let room = Arc::new(hosts::room(plane, told.len() as u64));
    for kept in kept {
        let Some(line) = ledger.get(&kept.account) else { continue };
        let case = Case::new(plane, &business, kept, line.standing, &line.terms);
        if case.plan(plane).is_empty() || !plane.told().take(case.kept.id) {
            continue;
        }
        plane.spawn(in_hand(plane.clone(), case, Arc::clone(&room), stop.clone()));
    }
    Ok(())
}

/// Brings one server forward, and lets go of it afterwards: at once, or after a wait when that failed.
async fn in_hand(plane: ControlPlane, case: Case, rooms: Arc<Vec<Room>>, stop: CancellationToken) {
    let (id, told) = (case.kept.id, plane.told());
    let fine = match Arc::clone(&told.turns).acquire_owned().await {
        Ok(_turn) => case.bring_forward(&plane, &rooms).await,
        Err(_) => false,
    };
    if fine {
        told.failures.lock().remove(&id);
    } else {
        let wait = told.wait(id);
        stop.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
    let passed_over = told.in_hand.lock().remove(&id);
    if !fine || passed_over == Some(PassedOver::Yes) {
        plane.nudge();
    }
}

/// One server, with everything that is to be told of it.
struct Case {
    kept: store::Kept,
    launch: Launch,
    limits: SandboxLimits,
    using: Use,
    want: Want,
}

impl Case {
    fn new(
        plane: &ControlPlane,
        business: &Business,
        kept: store::Kept,
        standing: Standing,
        terms: &PlanDraft,
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
            },
            standing: if using == Use::Full { Access::Full } else { Access::ReadOnly },
        };
        let limits = SandboxLimits { memory_bytes: terms.memory_bytes.max(64 << 20), pids: 64, cpu_percent: 100 };
        let want = Want {
            desired: kept.desired,
            launch: mark(&(serde_json::to_string(&launch).unwrap_or_default(), limits.memory_bytes)),
            route: mark(&(using == Use::Asleep)),
        };
        Self { kept, launch, limits, using, want }
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

    async fn take(&self, plane: &ControlPlane, rooms: &[Room], step: Step, generation: &mut Generation) -> Result<()> {
        let (id, told) = (self.kept.id, plane.told());
        match step {
            Step::Raise => {
                let host = choose(rooms, self.kept.host).ok_or_else(|| {
                    Error::retry("There is no machine for this server just now. We are told, and try on.")
                })?;
                let raised = store::raise(plane.db(), id, host).await?;
                *generation = raised.ok_or_else(|| Error::conflict("This server is being erased."))?;
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
                told.routes.lock().insert(id, self.want.route);
            }
            Step::Unroute => {
                plane.routes().remove(self.kept.name.as_str());
                told.routes.lock().remove(&id);
            }
            Step::Displace => {
                plane.host().displace(id).await.map_err(from_host)?;
                told.launches.lock().remove(&id);
                plane.sightings().note(id, Seen::Nothing, plane.now());
            }
            Step::Erase => plane.host().erase(id).await.map_err(from_host)?,
            Step::Bury => {
                debug_assert_eq!(self.kept.desired, Desired::Erased);
                store::bury(plane.db(), id, plane.now()).await?;
            }
        }
        Ok(())
    }
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
