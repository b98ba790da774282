//! One host's daemon, here a library in the provider's process.
//!
//! The agent knows what is placed on its host; the launcher knows what runs. Nothing about running servers is
//! remembered across restarts: the control plane places again, and the agent sweeps whatever a killed run left.
//!
//! Invariants: calls about one server follow one another; a server's folders belong to its own user before its
//! runtime can be woken; an agent holds the lock of its run folder, so two never work on the same servers.

mod api;
mod caches;
mod disk;
mod figures;
mod folders;
mod follow;
mod homes;
mod link;
mod meter;
mod sweep;
mod users;

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tenant_runtime::ids::ServerId;
use tenant_runtime::launch::Launch;
use tokio::sync::{OwnedMutexGuard, broadcast};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::broker::Broker;
use crate::isolation::{Holds, IsolationReport, Mechanism};
use crate::launcher::wire::{Doing, Listed, Order};
use crate::launcher::{self, LauncherHandle};
use crate::outside::Outside;
use crate::storage::{Held, Storage};

pub use api::{
    AgentOptions, Ended, Error, Event, HostEvent, Insist, Kind, RunId, RunReading, SandboxLimits, SeenServer, State,
    Usage,
};

pub use disk::Disk;

use folders::Folders;
use follow::{Common, Placed};
use link::{Answer, Ground};

/// How long a runtime may take to end in good order.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long all runtimes together may take.
const PATIENCE_WITH_ALL: Duration = Duration::from_secs(20);

/// Events that a slow listener may be behind.
const EVENTS: usize = 4096;

/// The way to one host's daemon; clones are the same agent. When the last one is dropped, its launcher ends and
/// with it every runtime.
#[derive(Clone, Debug)]
pub struct Agent {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: AgentOptions,
    ground: Ground,
    folders: Arc<Folders>,
    common: Arc<Common>,
    turns: Mutex<HashMap<ServerId, Arc<tokio::sync::Mutex<()>>>>,
    _broker: Option<Broker>,
    _outside: Option<Outside>,
    following: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.common.link.disconnect();
        if let Some(following) = self.following.get_mut() {
            following.abort();
        }
    }
}

impl Agent {
    /// Starts the agent: sweeps what a killed run left behind and measures the isolation of this machine.
    ///
    /// # Errors
    /// [`Error::Isolation`] when this machine cannot keep servers apart; [`Error::Occupied`] when another provider
    /// runs on the same folder; others when a folder cannot be used.
    pub async fn start(launcher: LauncherHandle, options: AgentOptions) -> Result<Self, Error> {
        let (folders, set_up, meter) = blocking({
            let options = options.clone();
            let pid = launcher.pid();
            move || folders::prepare(&options, pid)
        })
        .await?;
        let broker = folders.homes().begin().await?;
        let outside = folders.go_outside(options.outward.clone())?;
        let begun = link::set_up(launcher.into_parts(), set_up.clone()).await;
        let (mut ground, hearing, write) = begun.map_err(|e| Error::Launcher { doing: "begin", why: e.to_string() })?;
        let how = format!("each file by rlimit, all of a server's cache measured {}", caches::HOW_OFTEN);
        ground.report.add(Mechanism::DiskLimit, Holds::On { how });
        if options.insist == Insist::OnIsolation && !ground.report.is_sufficient() {
            return Err(Error::Isolation(ground.report));
        }
        for (mechanism, holds) in ground.report.lines() {
            if let Holds::Missing { why, mend } = holds {
                tracing::warn!("missing on this machine: {mechanism}: {why}; {mend}");
            }
        }
        let common = Arc::new(Common {
            set_up,
            link: link::Link::default(),
            placed: Mutex::default(),
            events: broadcast::channel(EVENTS).0,
            meter,
            draining: AtomicBool::new(false),
        });
        common.link.connect(write);
        let events = common.events.subscribe();
        let cache_bytes = options.cache_bytes;
        let following = tokio::spawn(follow::follow(Arc::clone(&common), hearing));
        let inner = Inner {
            options,
            ground,
            folders: Arc::new(folders),
            common,
            turns: Mutex::default(),
            _broker: broker,
            _outside: outside,
            following: Mutex::new(Some(following)),
        };
        let inner = Arc::new(inner);
        tokio::spawn(caches::keep(Arc::downgrade(&inner), events, cache_bytes));
        Ok(Self { inner })
    }

    /// Makes a server known here: its sockets exist afterwards, and it wakes at the first connection. Repeating it
    /// changes nothing; a changed launch puts the server to sleep and holds from the next wake on. The agent fills
    /// in `launch.storage` and `launch.cache`.
    ///
    /// # Errors
    /// [`Error`] when folders or sockets cannot be made.
    pub async fn place(&self, launch: Launch, limits: SandboxLimits) -> Result<(), Error> {
        let server = launch.server;
        let _turn = self.turn(server).await;
        let placed = blocking({
            let folders = Arc::clone(&self.inner.folders);
            let (identity, own_files) = (self.inner.ground.identity, self.inner.ground.own_files);
            let log = self.inner.options.runtime_log.clone();
            move || {
                let generation = launch.generation;
                let spec = folders.spec(launch, limits, identity, own_files, log.as_deref())?;
                Ok(Placed { generation, spec })
            }
        })
        .await?;
        let spec = Box::new(placed.spec.clone());
        self.ask("place a server", server, |number| Order::Place { number, spec }).await?;
        self.inner.common.placed.lock().insert(server, placed);
        Ok(())
    }

    /// Puts a server to sleep and returns when it is; one that does not end in time is killed.
    ///
    /// # Errors
    /// [`Error::NotPlaced`], [`Error::LauncherGone`].
    pub async fn sleep(&self, id: ServerId) -> Result<(), Error> {
        self.end(id, PATIENCE).await
    }

    /// The same, with so much time before it is killed.
    async fn end(&self, id: ServerId, patience: Duration) -> Result<(), Error> {
        let _turn = self.turn(id).await;
        let deadline_ms = millis(patience);
        self.ask("put a server to sleep", id, |number| Order::Sleep { number, server: id, deadline_ms }).await
    }

    /// Puts a server to sleep and forgets it here: its sockets and its cache are gone, its home stays.
    ///
    /// # Errors
    /// [`Error::LauncherGone`], or when the cache cannot be removed. A server not placed here is no error.
    pub async fn displace(&self, id: ServerId) -> Result<(), Error> {
        let _turn = self.turn(id).await;
        self.displace_in_turn(id).await
    }

    /// Displaces a server and deletes its home.
    ///
    /// # Errors
    /// As [`Self::displace`], or when the home cannot be removed.
    pub async fn erase(&self, id: ServerId) -> Result<(), Error> {
        let _turn = self.turn(id).await;
        self.displace_in_turn(id).await?;
        self.inner.folders.homes().erase(id).await
    }

    /// Empties the cache of a server that sleeps, and says whether it did: one that is awake keeps it. The next wake
    /// makes it anew from the object store.
    ///
    /// # Errors
    /// [`Error::LauncherGone`], or when the cache cannot be removed.
    pub async fn evict(&self, id: ServerId) -> Result<bool, Error> {
        let _turn = self.turn(id).await;
        let folders = Arc::clone(&self.inner.folders);
        blocking(move || folders.remove_aside(id)).await?;
        let aside = self.inner.folders.caches().aside(id);
        let folders = Arc::clone(&self.inner.folders);
        match self.inner.common.link.ask(|number| Order::Evict { number, server: id, aside }).await {
            None => Err(Error::LauncherGone),
            Some(Answer::Done | Answer::Listed(_)) => blocking(move || folders.remove_aside(id)).await.map(|()| true),
            // Nobody can wake it here, and nobody places it while it is its turn.
            Some(Answer::Unknown) => blocking(move || folders.forget(id)).await.map(|()| true),
            Some(Answer::Busy) => Ok(false),
            Some(Answer::Failed(why)) => Err(Error::Launcher { doing: "empty a cache", why }),
        }
    }

    /// Which servers fell asleep while acknowledged writes of theirs could not be published: these lie in this host's cache
    /// alone until the next wake.
    #[must_use]
    pub fn owing(&self) -> Vec<ServerId> {
        let caches = self.inner.folders.caches();
        caches.owing().into_iter().filter(|server| caches.is_owing(*server)).collect()
    }

    /// Which servers are awake now.
    async fn awake(&self) -> HashSet<ServerId> {
        let seen = self.seen().await;
        let awake = seen.into_iter().filter(|seen| matches!(seen.state, State::Awake { .. }));
        awake.map(|seen| seen.server).collect()
    }

    /// How much a server's cache may hold, in bytes, by its plan.
    fn cache_bound(&self, id: ServerId) -> Option<u64> {
        self.inner.common.placed.lock().get(&id).map(|placed| folders::cache_bound(&placed.spec))
    }

    /// What the placed servers are doing now.
    pub async fn seen(&self) -> Vec<SeenServer> {
        let listed = match self.inner.common.link.ask(|number| Order::List { number }).await {
            Some(Answer::Listed(listed)) => listed,
            // Without a launcher there is no process of any server.
            _ => self.all_asleep(),
        };
        let generations: HashMap<_, _> =
            self.inner.common.placed.lock().iter().map(|(id, placed)| (*id, placed.generation)).collect();
        let seen = spawn_blocking(move || {
            let seen = |listed: Listed| {
                let generation = *generations.get(&listed.server)?;
                Some(SeenServer { server: listed.server, generation, state: state(listed.doing) })
            };
            listed.into_iter().filter_map(seen).collect()
        });
        seen.await.unwrap_or_default()
    }

    /// What every run took: those that last, and those that have ended and are not acknowledged.
    pub async fn readings(&self) -> Vec<RunReading> {
        let listed = match self.inner.common.link.ask(|number| Order::List { number }).await {
            Some(Answer::Listed(listed)) => listed,
            // Without a launcher nothing runs.
            _ => Vec::new(),
        };
        let lasting = spawn_blocking(move || listed.into_iter().filter_map(lasting).collect::<Vec<_>>());
        let mut all = lasting.await.unwrap_or_default();
        // Asked for afterwards: a run that ends in between is told of twice rather than not at all.
        all.extend(self.inner.common.meter.ended());
        all
    }

    /// Forgets runs that have ended, once their last figures are kept elsewhere.
    ///
    /// # Errors
    /// When the file of those that remain cannot be written.
    pub async fn acknowledge(&self, runs: Vec<RunId>) -> Result<(), Error> {
        let common = Arc::clone(&self.inner.common);
        let file = self.inner.options.data_dir.clone();
        blocking(move || common.meter.acknowledge(&runs).map_err(folders::at("noting ended runs in", &file))).await
    }

    /// What happens to servers from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<HostEvent> {
        self.inner.common.events.subscribe()
    }

    /// Where the gateway reaches a server.
    #[must_use]
    pub fn public_socket(&self, id: ServerId) -> PathBuf {
        launcher::public(&self.inner.options.run_dir, id)
    }

    /// Where the control plane reaches a server's administration.
    #[must_use]
    pub fn admin_socket(&self, id: ServerId) -> PathBuf {
        launcher::admin(&self.inner.options.run_dir, id)
    }

    /// What a server's home consists of; nothing once it is erased.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub async fn holds(&self, id: ServerId) -> Result<Held, Error> {
        self.inner.folders.homes().holds(id).await
    }

    /// What a server's home takes on disk, in bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn home_bytes(&self, id: ServerId) -> Result<u64, Error> {
        self.inner.folders.homes().bytes(id).await
    }

    /// The disks that caches and homes lie on, as they are now; one that carries both is told of once.
    #[must_use]
    pub fn disks(&self) -> Vec<Disk> {
        let homes = match &self.inner.options.storage {
            Storage::Folder(folder) => Some(folder.as_path()),
            Storage::Objects(_) => None,
        };
        let folders = [Some(self.inner.options.data_dir.as_path()), homes];
        let mut seen = HashSet::new();
        let is_another = |folder: &&Path| std::fs::metadata(folder).is_ok_and(|meta| seen.insert(meta.dev()));
        folders.into_iter().flatten().filter(is_another).map(Disk::under).collect()
    }

    /// Which mechanisms keep servers apart here, and which are missing and why.
    #[must_use]
    pub fn isolation(&self) -> &IsolationReport {
        &self.inner.ground.report
    }

    /// Puts every server to sleep and ends the launcher.
    ///
    /// # Errors
    /// [`Error::LauncherGone`] when it had ended already.
    pub async fn drain(&self) -> Result<(), Error> {
        self.inner.common.draining.store(true, Ordering::SeqCst);
        let deadline_ms = millis(PATIENCE_WITH_ALL);
        let answer = self.inner.common.link.ask(|number| Order::Drain { number, deadline_ms }).await;
        let following = self.inner.following.lock().take();
        if let Some(following) = following {
            match answer {
                // The task ends when the launcher has closed its end of the channel.
                Some(_) => drop(following.await),
                None => following.abort(),
            }
        }
        answer.map(drop).ok_or(Error::LauncherGone)
    }

    async fn displace_in_turn(&self, id: ServerId) -> Result<(), Error> {
        let deadline_ms = millis(PATIENCE);
        let asked = self.ask("displace a server", id, |number| Order::Displace { number, server: id, deadline_ms });
        match asked.await {
            Err(Error::NotPlaced(_)) => {}
            other => other?,
        }
        self.inner.common.placed.lock().remove(&id);
        let folders = Arc::clone(&self.inner.folders);
        blocking(move || folders.forget(id)).await
    }

    async fn ask(&self, doing: &'static str, server: ServerId, order: impl FnOnce(u64) -> Order) -> Result<(), Error> {
        match self.inner.common.link.ask(order).await {
            None => Err(Error::LauncherGone),
            Some(Answer::Done | Answer::Listed(_)) => Ok(()),
            Some(Answer::Unknown) => Err(Error::NotPlaced(server)),
            Some(Answer::Failed(why)) => Err(Error::Launcher { doing, why }),
            Some(Answer::Busy) => Err(Error::Launcher { doing, why: "it is awake".to_owned() }),
        }
    }

    /// Waits for the calls about this server that came before.
    async fn turn(&self, server: ServerId) -> OwnedMutexGuard<()> {
        let turn = Arc::clone(self.inner.turns.lock().entry(server).or_default());
        turn.lock_owned().await
    }

    fn all_asleep(&self) -> Vec<Listed> {
        let placed = self.inner.common.placed.lock();
        placed.keys().map(|server| Listed { server: *server, doing: Doing::Asleep }).collect()
    }
}

fn state(doing: Doing) -> State {
    match doing {
        Doing::Asleep => State::Asleep,
        Doing::Awake { pid, since, charged_bytes, .. } => {
            State::Awake { pid, since, usage: figures::of(pid, charged_bytes) }
        }
        Doing::Crashing { status, since, times } => State::Crashing { status, since, times },
    }
}

fn lasting(listed: Listed) -> Option<RunReading> {
    match listed.doing {
        Doing::Awake { pid, run, awake_ms, .. } => {
            let cpu_us = figures::cpu_us_of(pid, &run);
            Some(RunReading { server: listed.server, run, cpu_us, awake_ms, ended: false })
        }
        Doing::Asleep | Doing::Crashing { .. } => None,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Runs what waits for the disk where it holds nobody up.
async fn blocking<T: Send + 'static>(act: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match spawn_blocking(act).await {
        Ok(result) => result,
        // The runtime is shutting down: a panic would have been reported where it happened.
        Err(_) => Err(Error::LauncherGone),
    }
}
