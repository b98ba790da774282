//! A small host that works: it keeps what it is told, serves a runtime's admin questions on real sockets, and fails on
//! demand. `conformance.rs` holds it to what the real agent does.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{Path as Named, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use control_plane::servers::{Host, HostAnswer};
use control_plane::{Error as PlaneError, Problem};
use export_format::Digest;
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
    asked: Mutex<Vec<api::ExportRequest>>,
    /// How many groups of writes every home has seen.
    seq: AtomicU64,
    /// Whether what was taken in comes out as something else.
    garbles: AtomicBool,
    woken: Mutex<Vec<ServerId>>,
}

/// An archive that a server took in, or is about to.
struct Taken {
    bytes: Vec<u8>,
    length: u64,
    state: api::ImportState,
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
    events: Arc<Mutex<Vec<api::EventView>>>,
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
    taken: Arc<Mutex<Option<Taken>>>,
    care: Arc<Mutex<api::CareView>>,
    tells: Arc<Mutex<Vec<api::EventView>>>,
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

    /// Something was written on every server.
    pub(crate) fn wrote(&self) {
        self.archive.seq.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether what a server took in comes out of it as something else.
    pub(crate) fn garbles(&self, garbles: bool) {
        self.archive.garbles.store(garbles, Ordering::SeqCst);
    }

    /// How often a server was woken.
    pub(crate) fn wakes(&self, id: ServerId) -> usize {
        self.archive.woken.lock().iter().filter(|woken| **woken == id).count()
    }

    /// How many homes there are.
    pub(crate) fn homes(&self) -> usize {
        self.inner.homes.lock().len()
    }

    /// What was asked of the exports begun so far.
    pub(crate) fn asked_exports(&self) -> Vec<api::ExportRequest> {
        self.archive.asked.lock().clone()
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

    /// What every server tells of what happened on it, from now on.
    pub(crate) fn tells(&self, events: Vec<api::EventView>) {
        *self.inner.events.lock() = events;
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
            taken: Arc::default(),
            care: self.inner.care.clone(),
            tells: self.inner.events.clone(),
        };
        let router = Router::new()
            .route("/health", get(health))
            .route("/usage", get(usage))
            .route("/held", get(held))
            .route("/care", get(care))
            .route("/events", get(events))
            .route("/apps", get(apps).post(install))
            .route("/apps/{id}", delete(remove))
            .route("/apps/{id}/restore", post(restore))
            .route("/exports", get(exports).post(export))
            .route("/exports/{id}", get(exported).delete(release))
            .route("/exports/{id}/archive", get(archive))
            .route("/imports", post(import))
            .route("/imports/{id}", get(imported).delete(removed))
            .route("/imports/{id}/archive", patch(arriving))
            .route("/imports/{id}/check", post(check))
            .route("/imports/{id}/confirm", post(confirm))
            // As a runtime has it: what a provider tells with the wish for an export may be long.
            .layer(axum::extract::DefaultBodyLimit::disable())
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
            self.archive.woken.lock().push(self.id);
            let _ = self.events.send(HostEvent { server: self.id, event: Event::Woke { ms: 1 } });
        }
    }

    /// An export as it stands: of what was taken in, or of the archive that every server holds.
    fn export(&self, id: &str) -> Json<api::ExportView> {
        let archive = &self.archive;
        let bytes = archive.bytes.load(Ordering::SeqCst);
        let mut payload = match &*self.taken.lock() {
            Some(taken) => Digest::of(&taken.bytes),
            None => Digest::of(&archive_of(bytes)),
        };
        if self.taken.lock().is_some() && archive.garbles.load(Ordering::SeqCst) {
            payload = Digest::of(b"something else");
        }
        let sealed = archive.asked.lock().iter().any(|asked| asked.id.as_deref() == Some(id) && asked.sealed);
        Json(api::ExportView {
            id: id.to_owned(),
            state: api::ExportState::Ready,
            done: 7,
            total: 7,
            bytes: Some(bytes),
            archive_id: None,
            file_name: format!("anna-2026-11-21.pcc.zip{}", if sealed { ".age" } else { "" }),
            sealed,
            counts: Some(api::Counts { documents: 7, files: 1, bytes, ..api::Counts::default() }),
            omitted: Vec::new(),
            payload: Some(payload.to_string()),
            seq: Some(archive.seq.load(Ordering::SeqCst)),
            error: None,
            created_ms: 1,
        })
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

async fn held(Shared(runtime): Shared<Runtime>) -> Json<api::Held> {
    let seq = Some(runtime.archive.seq.load(Ordering::SeqCst));
    Json(api::Held { database_bytes: 1000, blob_bytes: 7, seq })
}

async fn care(Shared(runtime): Shared<Runtime>) -> Json<api::CareView> {
    Json(runtime.care.lock().clone())
}

async fn events(Shared(runtime): Shared<Runtime>) -> Json<Vec<api::EventView>> {
    Json(runtime.tells.lock().clone())
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

async fn export(Shared(runtime): Shared<Runtime>, Json(asked): Json<api::ExportRequest>) -> Json<api::ExportView> {
    runtime.wake();
    let id = asked.id.clone().unwrap();
    runtime.archive.asked.lock().push(asked);
    runtime.archive.kept.lock().insert(id.clone());
    runtime.export(&id)
}

async fn exports(Shared(runtime): Shared<Runtime>) -> Json<Vec<api::ExportView>> {
    runtime.wake();
    let kept = runtime.archive.kept.lock().clone();
    Json(kept.iter().map(|id| runtime.export(id).0).collect())
}

async fn exported(
    Shared(runtime): Shared<Runtime>,
    Named(id): Named<String>,
) -> Result<Json<api::ExportView>, StatusCode> {
    runtime.wake();
    if runtime.archive.kept.lock().contains(&id) { Ok(runtime.export(&id)) } else { Err(StatusCode::NOT_FOUND) }
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

impl Taken {
    fn view(&self, id: &str) -> Json<api::ImportView> {
        let report = api::ImportReport { acceptable: true, ..api::ImportReport::default() };
        let is_checked = matches!(self.state, api::ImportState::Checked | api::ImportState::Done);
        Json(api::ImportView {
            id: id.to_owned(),
            state: self.state,
            bytes: self.length,
            received: self.bytes.len() as u64,
            done: 0,
            total: 0,
            report: is_checked.then_some(report),
            error: None,
            created_ms: 1,
            undo_until_ms: None,
        })
    }
}

impl Runtime {
    /// The one import there is, or nothing of the sort.
    fn taking<T>(&self, act: impl FnOnce(&mut Taken) -> T) -> Result<T, StatusCode> {
        self.wake();
        self.taken.lock().as_mut().map(act).ok_or(StatusCode::NOT_FOUND)
    }
}

async fn import(Shared(runtime): Shared<Runtime>, Json(asked): Json<api::ImportRequest>) -> Json<api::ImportView> {
    runtime.wake();
    let fresh = Taken { bytes: Vec::new(), length: asked.bytes, state: api::ImportState::Uploading };
    runtime.taken.lock().get_or_insert(fresh).view(&asked.id.unwrap())
}

async fn imported(
    Shared(runtime): Shared<Runtime>,
    Named(id): Named<String>,
) -> Result<Json<api::ImportView>, StatusCode> {
    runtime.taking(|taken| taken.view(&id))
}

async fn removed(Shared(runtime): Shared<Runtime>) -> StatusCode {
    *runtime.taken.lock() = None;
    StatusCode::NO_CONTENT
}

/// Keeps whatever of a part has arrived, also when it breaks off.
async fn arriving(
    Shared(runtime): Shared<Runtime>,
    Query(asked): Query<HashMap<String, usize>>,
    body: Body,
) -> Result<Json<api::Received>, StatusCode> {
    if runtime.taking(|taken| taken.bytes.len())? != asked["offset"] {
        return Err(StatusCode::CONFLICT);
    }
    let mut parts = body.into_data_stream();
    while let Some(part) = futures::StreamExt::next(&mut parts).await {
        let part = part.map_err(|_| StatusCode::BAD_REQUEST)?;
        runtime.taking(|taken| taken.bytes.extend_from_slice(&part))?;
    }
    runtime.taking(|taken| Json(api::Received { offset: taken.bytes.len() as u64 }))
}

async fn check(
    Shared(runtime): Shared<Runtime>,
    Named(id): Named<String>,
) -> Result<Json<api::ImportView>, StatusCode> {
    runtime.taking(|taken| {
        taken.state = api::ImportState::Checked;
        taken.view(&id)
    })
}

async fn confirm(
    Shared(runtime): Shared<Runtime>,
    Named(id): Named<String>,
) -> Result<Json<api::ImportView>, StatusCode> {
    runtime.taking(|taken| {
        taken.state = api::ImportState::Done;
        taken.view(&id)
    })
}
