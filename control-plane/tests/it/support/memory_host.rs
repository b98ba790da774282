//! A small host that works: it keeps what it is told, serves a runtime's admin questions on real sockets, and fails on
//! demand. `conformance.rs` holds it to what the real agent does.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{Path as Named, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use control_plane::servers::{Host, HostAnswer};
use control_plane::{Error as PlaneError, Problem};
use futures::future::BoxFuture;
use infra::agent::{Error, Event, HostEvent, RunId, RunReading, SandboxLimits, SeenServer, State, Usage};
use infra::isolation::IsolationReport;
use parking_lot::Mutex;
use tempfile::TempDir;
use tenant_runtime::admin::api;
use tenant_runtime::ids::ServerId;
use tenant_runtime::launch::Launch;
use tokio::net::UnixListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

pub(crate) struct MemoryHost {
    run: TempDir,
    inner: Arc<Inner>,
    events: broadcast::Sender<HostEvent>,
    failures: AtomicU32,
    runs: Mutex<Vec<RunReading>>,
    archive: Arc<Archive>,
}

/// The archive that every export of every server is.
#[derive(Default)]
struct Archive {
    bytes: AtomicU64,
    stops_at: AtomicU64,
    gave: AtomicU64,
    kept: Mutex<HashSet<String>>,
}

/// The bytes of an archive of this length: nothing that unpacks, but the same each time and different everywhere.
pub(crate) fn archive_of(bytes: u64) -> Vec<u8> {
    (0..bytes).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect()
}

#[derive(Default)]
struct Inner {
    placed: Mutex<HashMap<ServerId, Placed>>,
    homes: Mutex<HashSet<ServerId>>,
    care: Arc<Mutex<api::CareView>>,
}

struct Placed {
    launch: Launch,
    awake: Arc<Mutex<bool>>,
    serving: Vec<JoinHandle<()>>,
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.serving.iter().for_each(JoinHandle::abort);
    }
}

#[derive(Clone)]
struct Runtime {
    id: ServerId,
    awake: Arc<Mutex<bool>>,
    events: broadcast::Sender<HostEvent>,
    apps: Arc<Mutex<Vec<api::AppView>>>,
    archive: Arc<Archive>,
    care: Arc<Mutex<api::CareView>>,
}

impl MemoryHost {
    pub(crate) fn new() -> Self {
        let run = TempDir::with_prefix("fh").unwrap();
        Self {
            run,
            inner: Arc::default(),
            events: broadcast::channel(64).0,
            failures: AtomicU32::new(0),
            runs: Mutex::default(),
            archive: Arc::default(),
        }
    }

    /// How long archives are from now on.
    pub(crate) fn archive_has(&self, bytes: u64) {
        self.archive.bytes.store(bytes, Ordering::SeqCst);
    }

    /// Where archives break off.
    pub(crate) fn archive_stops_at(&self, bytes: u64) {
        self.archive.stops_at.store(bytes, Ordering::SeqCst);
    }

    /// How much of archives was asked for.
    pub(crate) fn archive_gave(&self) -> u64 {
        self.archive.gave.load(Ordering::SeqCst)
    }

    /// Exports that nobody let go of.
    pub(crate) fn kept_exports(&self) -> usize {
        self.archive.kept.lock().len()
    }

    /// What it tells of its servers' runs from now on.
    pub(crate) fn ran(&self, runs: Vec<RunReading>) {
        *self.runs.lock() = runs;
    }

    /// The runs it still tells of.
    pub(crate) fn told_runs(&self) -> usize {
        self.runs.lock().len()
    }

    /// The next so many calls fail.
    pub(crate) fn fail(&self, times: u32) {
        self.failures.store(times, Ordering::SeqCst);
    }

    /// What it was told of a server last.
    pub(crate) fn told(&self, id: ServerId) -> Option<Launch> {
        self.inner.placed.lock().get(&id).map(|placed| placed.launch.clone())
    }

    /// What every server tells of its last check from now on.
    pub(crate) fn cares(&self, care: api::CareView) {
        *self.inner.care.lock() = care;
    }

    /// Whether a server's home is there.
    pub(crate) fn has_home(&self, id: ServerId) -> bool {
        self.inner.homes.lock().contains(&id)
    }

    fn stumble(&self) -> Result<(), Error> {
        let take_one = |left: u32| left.checked_sub(1);
        match self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one) {
            Ok(_) => Err(Error::Launcher { doing: "do it", why: "the test says so".into() }),
            Err(_) => Ok(()),
        }
    }

    fn listen(&self, id: ServerId, awake: &Arc<Mutex<bool>>) -> Vec<JoinHandle<()>> {
        let runtime = Runtime {
            id,
            awake: awake.clone(),
            events: self.events.clone(),
            apps: Arc::default(),
            archive: self.archive.clone(),
            care: self.inner.care.clone(),
        };
        let router = Router::new()
            .route("/health", get(health))
            .route("/usage", get(usage))
            .route("/held", get(held))
            .route("/care", get(care))
            .route("/apps", get(apps).post(install))
            .route("/apps/{id}", delete(remove))
            .route("/apps/{id}/restore", post(restore))
            .route("/exports", post(export))
            .route("/exports/{id}", get(exported).delete(release))
            .route("/exports/{id}/archive", get(archive))
            .with_state(runtime);
        let serve = |path: PathBuf| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let _ = std::fs::remove_file(&path);
            let listener = UnixListener::bind(&path).unwrap();
            let router = router.clone();
            tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
        };
        vec![serve(self.public_socket(id)), serve(self.admin_socket(id))]
    }
}

impl Host for MemoryHost {
    fn place(&self, launch: Launch, _: SandboxLimits) -> HostAnswer<'_, ()> {
        Box::pin(async move {
            self.stumble()?;
            let id = launch.server;
            let mut placed = self.inner.placed.lock();
            self.inner.homes.lock().insert(id);
            if placed.get(&id).is_some_and(|placed| placed.launch == launch) {
                return Ok(());
            }
            let awake = Arc::default();
            let serving = self.listen(id, &awake);
            placed.insert(id, Placed { launch, awake, serving });
            Ok(())
        })
    }

    fn sleep(&self, id: ServerId) -> HostAnswer<'_, ()> {
        Box::pin(async move {
            self.stumble()?;
            let placed = self.inner.placed.lock();
            let placed = placed.get(&id).ok_or(Error::NotPlaced(id))?;
            if std::mem::replace(&mut *placed.awake.lock(), false) {
                let _ = self.events.send(HostEvent { server: id, event: Event::Slept });
            }
            Ok(())
        })
    }

    fn displace(&self, id: ServerId) -> HostAnswer<'_, ()> {
        Box::pin(async move {
            self.stumble()?;
            self.inner.placed.lock().remove(&id);
            let _ = std::fs::remove_dir_all(self.run.path().join(id.to_string()));
            Ok(())
        })
    }

    fn erase(&self, id: ServerId) -> HostAnswer<'_, ()> {
        Box::pin(async move {
            self.displace(id).await?;
            self.inner.homes.lock().remove(&id);
            Ok(())
        })
    }

    fn seen(&self) -> BoxFuture<'_, Vec<SeenServer>> {
        Box::pin(async move {
            let placed = self.inner.placed.lock();
            let seen = placed.iter().map(|(id, placed)| SeenServer {
                server: *id,
                generation: placed.launch.generation,
                state: if *placed.awake.lock() {
                    State::Awake { pid: 1, since: 0, usage: Usage::default() }
                } else {
                    State::Asleep
                },
            });
            seen.collect()
        })
    }

    fn readings(&self) -> BoxFuture<'_, Vec<RunReading>> {
        Box::pin(async move { self.runs.lock().clone() })
    }

    fn acknowledge(&self, runs: Vec<RunId>) -> HostAnswer<'_, ()> {
        Box::pin(async move {
            self.stumble()?;
            self.runs.lock().retain(|run| !run.ended || !runs.contains(&run.run));
            Ok(())
        })
    }

    fn events(&self) -> broadcast::Receiver<HostEvent> {
        self.events.subscribe()
    }

    fn public_socket(&self, id: ServerId) -> PathBuf {
        self.run.path().join(id.to_string()).join("public")
    }

    fn admin_socket(&self, id: ServerId) -> PathBuf {
        self.run.path().join(id.to_string()).join("admin")
    }

    fn isolation(&self) -> IsolationReport {
        IsolationReport::default()
    }
}

impl Runtime {
    fn wake(&self) {
        if !std::mem::replace(&mut *self.awake.lock(), true) {
            let _ = self.events.send(HostEvent { server: self.id, event: Event::Woke { ms: 1 } });
        }
    }
}

async fn health(Shared(runtime): Shared<Runtime>) -> Json<api::Health> {
    runtime.wake();
    Json(api::Health { state: "ready".into(), software: "a test".into() })
}

async fn usage(Shared(runtime): Shared<Runtime>) -> Json<api::Usage> {
    runtime.wake();
    Json(api::Usage { documents: 7, limit_bytes: 1000, ..api::Usage::default() })
}

async fn held() -> Json<api::Held> {
    Json(api::Held { database_bytes: 1000, blob_bytes: 7 })
}

async fn care(Shared(runtime): Shared<Runtime>) -> Json<api::CareView> {
    Json(runtime.care.lock().clone())
}

async fn apps(Shared(runtime): Shared<Runtime>) -> Json<Vec<api::AppView>> {
    runtime.wake();
    Json(runtime.apps.lock().clone())
}

async fn install(Shared(runtime): Shared<Runtime>, package: axum::body::Bytes) -> Result<Json<api::AppView>, Problem> {
    runtime.wake();
    if !package.starts_with(b"PK") {
        return Err(PlaneError::fix("package", "This file is not an app.").into());
    }
    let app = api::AppView { id: "org.example.notes".into(), name: "Notes".into(), ..api::AppView::default() };
    runtime.apps.lock().push(app.clone());
    Ok(Json(app))
}

async fn remove(Shared(runtime): Shared<Runtime>, axum::extract::Path(id): axum::extract::Path<String>) -> StatusCode {
    set_removed(&runtime, &id, Some(1))
}

async fn restore(Shared(runtime): Shared<Runtime>, axum::extract::Path(id): axum::extract::Path<String>) -> StatusCode {
    set_removed(&runtime, &id, None)
}

fn set_removed(runtime: &Runtime, id: &str, at: Option<i64>) -> StatusCode {
    match runtime.apps.lock().iter_mut().find(|app| app.id == id) {
        Some(app) => {
            app.removed_ms = at;
            StatusCode::NO_CONTENT
        }
        None => StatusCode::NOT_FOUND,
    }
}

impl Archive {
    fn view(&self, id: &str) -> Json<api::ExportView> {
        Json(api::ExportView {
            id: id.to_owned(),
            state: api::ExportState::Ready,
            done: 7,
            total: 7,
            bytes: Some(self.bytes.load(Ordering::SeqCst)),
            archive_id: None,
            file_name: "anna-2026-11-21.pcc.zip".into(),
            sealed: false,
            counts: None,
            omitted: Vec::new(),
            error: None,
            created_ms: 1,
        })
    }
}

async fn export(Shared(runtime): Shared<Runtime>, Json(asked): Json<api::ExportRequest>) -> Json<api::ExportView> {
    runtime.wake();
    let id = asked.id.unwrap();
    runtime.archive.kept.lock().insert(id.clone());
    runtime.archive.view(&id)
}

async fn exported(
    Shared(runtime): Shared<Runtime>,
    Named(id): Named<String>,
) -> Result<Json<api::ExportView>, StatusCode> {
    runtime.wake();
    if runtime.archive.kept.lock().contains(&id) { Ok(runtime.archive.view(&id)) } else { Err(StatusCode::NOT_FOUND) }
}

async fn release(Shared(runtime): Shared<Runtime>, Named(id): Named<String>) -> StatusCode {
    runtime.archive.kept.lock().remove(&id);
    StatusCode::NO_CONTENT
}

/// The archive or a range of it, in pieces; it breaks off where the test says.
async fn archive(Shared(runtime): Shared<Runtime>, headers: HeaderMap) -> axum::response::Response {
    let all = archive_of(runtime.archive.bytes.load(Ordering::SeqCst));
    let asked = headers.get("range").and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-'));
    let range = match asked {
        Some((from, to)) => from.parse().unwrap()..to.parse::<usize>().unwrap() + 1,
        None => 0..all.len(),
    };
    let stops = match runtime.archive.stops_at.load(Ordering::SeqCst) {
        0 => usize::MAX,
        at => usize::try_from(at).unwrap(),
    };
    let (length, part) = (range.len(), all[range.clone()].to_vec());
    let mut at = range.start;
    let pieces: Vec<_> = part
        .chunks(64 * 1024)
        .map(|piece| {
            at += piece.len();
            if at > stops {
                Err(std::io::Error::other("it breaks off"))
            } else {
                Ok(axum::body::Bytes::copy_from_slice(piece))
            }
        })
        .collect();
    let given: usize = pieces.iter().flatten().map(axum::body::Bytes::len).sum();
    runtime.archive.gave.fetch_add(given as u64, Ordering::SeqCst);
    let status = if asked.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let body = Body::from_stream(futures::stream::iter(pieces));
    axum::response::Response::builder().status(status).header("content-length", length).body(body).unwrap()
}
