//! The code of apps that runs on the server: WebAssembly components, in a process of their own that holds no keys.
//!
//! A handler is a component in an app's package. It is called when a page or program asks it something (`http`), and when
//! something happens that its app wants to know of (`handle`). It runs in the [`mod@start`]ed app host, in an instance
//! that is gone after the call, and reaches nothing but what [`wire::Ask`] lists, each judged here with the rights of its app.
//!
//! Invariants: no code of an app runs in this process; compiled code comes from this host's own compiler and from nowhere
//! else; one call's loop, crash or hunger for memory ends that call alone. A handler that fails again and again is not called
//! any more until its owner says so, and the owner is told.
//!
//! Failure: where no app host can be had, handlers do not run, and whoever asks them is told.

mod api;
mod compiled;
mod frames;
mod host;
pub(crate) mod http;
mod log;
mod reach;
pub mod start;
pub(crate) mod stops;
pub mod wire;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use export_format::AppId;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use self::compiled::Compiled;
use self::host::{Host, NotLoaded};
pub use self::log::Line;
use self::start::Starter;
use self::wire::{Bounds, End, Fault, Level, What};
use crate::apps;
use crate::apps::manifest::Happening;
use crate::happenings::{Event, Kind, Outcome};
use crate::problem::Problem;
use crate::server::{Installed, Server, now};

/// How many calls of one server run at once.
const AT_ONCE: usize = 4;

/// How long a call waits for its turn.
const TURN: Duration = Duration::from_secs(10);

/// How much memory one call may have.
const MEMORY: u64 = 64 << 20;

/// How long an answer to a page may take.
pub(crate) const FOR_A_PAGE: Bounds = Bounds { time_ms: 10_000, memory_bytes: MEMORY };

/// How long an event may take to be handled.
const FOR_AN_EVENT: Bounds = Bounds { time_ms: 60_000, memory_bytes: MEMORY };

/// How long nobody must have called before the app host is let go.
const IDLE: Duration = Duration::from_secs(15);

/// After how many failures in a row a handler is stopped.
const PATIENCE: u32 = 5;

/// The handlers of one server.
#[derive(Debug)]
pub struct Handlers {
    starter: OnceLock<Starter>,
    host: tokio::sync::Mutex<Option<Arc<Host>>>,
    compiled: Compiled,
    turns: Semaphore,
    failures: Mutex<HashMap<(AppId, u32), u32>>,
    /// Counts calls, so that it is noticed when there were none.
    used: AtomicU64,
    /// Whether somebody looks whether there were none.
    watched: AtomicBool,
}

impl Default for Handlers {
    fn default() -> Self {
        Self {
            starter: OnceLock::new(),
            host: tokio::sync::Mutex::default(),
            compiled: Compiled::default(),
            turns: Semaphore::new(AT_ONCE),
            failures: Mutex::default(),
            used: AtomicU64::new(0),
            watched: AtomicBool::new(false),
        }
    }
}

/// Why a handler was not called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The app has no code of its own for this.
    #[error("this app has no code of its own that runs on the server")]
    None,
    /// There is nothing here that runs such code.
    #[error("this server cannot run the code of apps where it runs now")]
    Nowhere,
    /// It was stopped.
    #[error("this app’s code on the server was stopped: {0}")]
    Stopped(String),
    /// It is no component that can be run.
    #[error("this app’s code on the server cannot be run: {0}")]
    Broken(String),
    /// It may work later.
    #[error("{0}")]
    Busy(String),
}

impl Server {
    /// Lets handlers run here. The first starter stays.
    pub fn run_handlers(&self, starter: Starter) {
        // A server is told once, by whoever made it.
        let _ = self.handlers.starter.set(starter);
    }

    /// Has the code of installed apps compiled that is not yet, while nobody waits for it.
    pub(crate) fn prepare_handlers(&self) {
        let coded: Vec<_> = self.apps.all().into_iter().filter(|app| app.manifest.handlers.is_some()).collect();
        if self.handlers.starter.get().is_some() && !coded.is_empty() {
            let server = self.clone();
            tokio::spawn(async move {
                for app in coded {
                    if let Err(refusal) = compiled(&server, &app).await {
                        tracing::info!(app.id = %app.record.id, "{refusal}");
                    }
                }
            });
        }
    }

    /// The newest lines that an app's handler said, newest first.
    #[must_use]
    pub fn handler_log(&self, app: &AppId, most: usize) -> Vec<Line> {
        log::newest(&self.launch.cache, app, most)
    }
}

/// Where compiled code and logs lie in a cache.
fn folder(cache: &Path) -> PathBuf {
    cache.join("handlers")
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(file)
}

/// Compiles the code of an app, unless it is.
async fn compiled(server: &Server, app: &Installed) -> Result<(), Refusal> {
    let handlers = &server.handlers;
    let starter = handlers.starter.get().ok_or(Refusal::Nowhere)?;
    let component = app.manifest.handlers.as_ref().ok_or(Refusal::None)?.component.clone();
    let id = app.record.id.clone();
    let file = server.home.read(move |db| Ok::<_, Problem>(apps::code_at(db, &id, &component)?)).await;
    let file = file.map_err(|problem| Refusal::Busy(problem.detail))?.ok_or(Refusal::None)?;
    handlers.compiled.of(&file, &server.home, &server.launch.cache, starter).await.map(drop)
}

/// Has an app's own code handle an event.
pub(crate) async fn handle(server: &Server, app: &str, event: &Event) -> Outcome {
    let installed = app.parse().ok().and_then(|id| server.apps.get(&id));
    let Some(app) = installed else { return Outcome::Never("this app is not installed any more".to_owned()) };
    let kind = match event.kind {
        Kind::Schedule => Happening::Schedule,
        Kind::Webhook => Happening::Webhook,
    };
    let what = What::Event(wire::Event {
        id: event.id.clone(),
        kind: kind.name().to_owned(),
        name: event.name.clone(),
        due: u64::try_from(event.due_ms).unwrap_or_default(),
        payload: event.payload.to_string(),
    });
    match call(server, &app, kind, what, FOR_AN_EVENT).await {
        Ok(End::Done) => Outcome::Done,
        Ok(End::Later(why)) => Outcome::Later { why: bounded(&why), after: None },
        Ok(End::Never(why)) => Outcome::Never(bounded(&why)),
        Ok(End::Failed(_, why)) => Outcome::Later { why: bounded(&why), after: None },
        Ok(End::Unhandled | End::Response(_)) => Outcome::Never("its code does not take events".to_owned()),
        Err(refusal @ (Refusal::Busy(_) | Refusal::Nowhere | Refusal::Stopped(_))) => {
            Outcome::Later { why: refusal.to_string(), after: None }
        }
        Err(refusal @ (Refusal::None | Refusal::Broken(_))) => Outcome::Never(refusal.to_string()),
    }
}

/// A handler's words, as long as a log has them.
fn bounded(why: &str) -> String {
    why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

/// Calls the handler of an app, and says how it ended.
pub(crate) async fn call(
    server: &Server,
    app: &Installed,
    kind: Happening,
    what: What,
    bounds: Bounds,
) -> Result<End, Refusal> {
    let handlers = &server.handlers;
    let component = app.manifest.handlers.as_ref().filter(|handlers| handlers.takes(kind)).ok_or(Refusal::None)?;
    let starter = handlers.starter.get().ok_or(Refusal::Nowhere)?;
    let (id, release, path) = (app.record.id.clone(), app.record.release, component.component.clone());
    let known = server
        .home
        .read(move |db| Ok::<_, Problem>((stops::stopped(db, &id, release)?, apps::code_at(db, &id, &path)?)));
    let (stopped, file) = known.await.map_err(|problem| Refusal::Busy(problem.detail))?;
    if let Some(why) = stopped {
        return Err(Refusal::Stopped(why));
    }
    let file = file.ok_or_else(|| Refusal::Broken(format!("the package has no file {}", component.component)))?;
    let busy = || Refusal::Busy("Other code of apps takes all the time there is just now.".to_owned());
    let turn = tokio::time::timeout(TURN, handlers.turns.acquire()).await;
    let _turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
    handlers.used.fetch_add(1, Ordering::AcqRel);
    let cache = &server.launch.cache;
    let mut anew = false;
    let (host, number) = loop {
        let code = handlers.compiled.of(&file, &server.home, cache, starter).await?;
        let host = handlers.host(starter, server).await?;
        match host.component(file.digest, code).await {
            Ok(number) => break (host, number),
            Err(NotLoaded::Stale(why)) if !anew => {
                tracing::info!(cause = why, "compiled code is made anew");
                handlers.compiled.forget(cache, &file.digest).await;
                anew = true;
            }
            Err(error) => {
                tracing::warn!(cause = crate::problem::chain(&error), "an app's code could not be loaded");
                host.hang_up().await;
                return Err(Refusal::Busy("Its code could not be loaded just now.".to_owned()));
            }
        }
    };
    let end = host.call(&app.record.id, number, what, bounds).await;
    judge(server, app, &end).await;
    rest_later(server);
    Ok(end)
}

impl Handlers {
    /// The app host that runs, or a new one.
    async fn host(&self, starter: &Starter, server: &Server) -> Result<Arc<Host>, Refusal> {
        let mut host = self.host.lock().await;
        if let Some(running) = host.as_ref().filter(|running| running.is_there()) {
            return Ok(Arc::clone(running));
        }
        let started = Host::start(starter, server).await.map_err(|error| {
            tracing::error!(cause = %error, "no app host could be started");
            Refusal::Busy("The code of apps cannot be run just now.".to_owned())
        })?;
        *host = Some(Arc::clone(&started));
        Ok(started)
    }
}

/// Lets the app host go when nobody has called for a while. One task looks after it, whatever the number of calls.
fn rest_later(server: &Server) {
    if server.handlers.watched.swap(true, Ordering::AcqRel) {
        return;
    }
    let server = server.clone();
    tokio::spawn(async move {
        let handlers = &server.handlers;
        loop {
            let before = handlers.used.load(Ordering::Acquire);
            tokio::select! {
                () = tokio::time::sleep(IDLE) => {}
                () = server.stopped() => return,
            }
            let host = &mut *handlers.host.lock().await;
            if handlers.used.load(Ordering::Acquire) == before && handlers.turns.available_permits() == AT_ONCE {
                handlers.watched.store(false, Ordering::Release);
                if let Some(host) = host.take() {
                    host.hang_up().await;
                }
                return;
            }
        }
    });
}

/// Counts failures in a row, and stops a handler after too many.
async fn judge(server: &Server, app: &Installed, end: &End) {
    let key = (app.record.id.clone(), app.record.release);
    let End::Failed(fault, why) = end else {
        server.handlers.failures.lock().remove(&key);
        return;
    };
    log::add(&server.launch.cache, &app.record.id, now(), Level::Error, &format!("The call was ended: {why}."));
    let times = {
        let mut failures = server.handlers.failures.lock();
        let times = failures.entry(key.clone()).or_default();
        *times += 1;
        *times
    };
    // An app host that ended may have been another call's doing.
    if times < PATIENCE || *fault == Fault::Host {
        return;
    }
    server.handlers.failures.lock().remove(&key);
    let why = format!("it failed {times} times in a row, the last time because {why}");
    if let Err(problem) = stops::stop(server, &key.0, key.1, why, now()).await {
        tracing::warn!(app.id = %key.0, cause = problem.detail, "a handler that fails could not be stopped");
    }
}
