//! A small host that works: it keeps what it is told, serves a runtime's admin questions on real sockets, and fails on
//! demand. `conformance.rs` holds it to what the real agent does.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{Path as Named, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use control_plane::servers::{Host, HostAnswer};
use control_plane::{Error as PlaneError, Problem};
use export_format::Digest;
use export_format::moving::{Guest, Handover, Party, Recall, Signed};
use futures::future::BoxFuture;
use infra::agent::{Error, Event, HostEvent, RunId, RunReading, SandboxLimits, SeenServer, State, Usage};
use infra::isolation::IsolationReport;
use infra::storage::Held;
use parking_lot::Mutex;
use tempfile::TempDir;
use tenant_runtime::admin::api;
use tenant_runtime::ids::ServerId;
use tenant_runtime::launch::Launch;
use tokio::net::UnixListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use super::follower::{Follower, own_key};

pub(crate) struct MemoryHost {
    run: TempDir,
    inner: Arc<Inner>,
    events: broadcast::Sender<HostEvent>,
    failures: AtomicU32,
    /// How many objects of a home are left once it is deleted.
    left_over: AtomicU64,
    runs: Mutex<Vec<RunReading>>,
    archive: Arc<Archive>,
    follower: Arc<Follower>,
}

/// The archive that every export of every server is.
#[derive(Default)]
struct Archive {
    /// What it is, where a test says so.
    content: Mutex<Option<Vec<u8>>>,
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
    /// How many groups of writes each export's moment has seen.
    moments: Mutex<HashMap<String, u64>>,
    /// Who has stood down.
    departed: Mutex<HashMap<ServerId, api::DepartureView>>,
    /// Whether the answers to those who have are lost on their way.
    loses_departures: AtomicBool,
    /// How often a hold was ended early.
    let_go: AtomicU32,
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
    due: Arc<Mutex<api::Due>>,
    events: Arc<Mutex<Vec<api::EventView>>>,
}

struct Placed {
    launch: Launch,
    awake: Arc<Mutex<bool>>,
    taken: Arc<Mutex<Option<Taken>>>,
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
    follower: Arc<Follower>,
    care: Arc<Mutex<api::CareView>>,
    due: Arc<Mutex<api::Due>>,
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
            left_over: AtomicU64::new(0),
            runs: Mutex::default(),
            archive: Arc::default(),
            follower: Arc::default(),
        }
    }

    /// Servers that come here, and what came of them.
    pub(crate) fn follower(&self) -> &Follower {
        &self.follower
    }

    /// How long archives are from now on.
    pub(crate) fn archive_has(&self, bytes: u64) {
        self.archive.bytes.store(bytes, Ordering::SeqCst);
    }

    /// What archives are from now on.
    pub(crate) fn archive_is(&self, content: Vec<u8>) {
        self.archive_has(content.len() as u64);
        *self.archive.content.lock() = Some(content);
    }

    /// What a server took in, or is about to.
    pub(crate) fn taken(&self, id: ServerId) -> Option<Vec<u8>> {
        let placed = self.inner.placed.lock();
        let taken = placed.get(&id)?.taken.lock();
        taken.as_ref().map(|taken| taken.bytes.clone())
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

    /// Whether servers stand down and nobody hears of it.
    pub(crate) fn loses_departures(&self, loses: bool) {
        self.archive.loses_departures.store(loses, Ordering::SeqCst);
    }

    /// Whether a server has stood down.
    pub(crate) fn has_departed(&self, id: ServerId) -> bool {
        self.archive.departed.lock().contains_key(&id)
    }

    /// How often a hold was ended early.
    pub(crate) fn let_go(&self) -> u32 {
        self.archive.let_go.load(Ordering::SeqCst)
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

    /// When every server says that it wants to be awake next, from now on.
    pub(crate) fn wants(&self, due: api::Due) {
        *self.inner.due.lock() = due;
    }

    /// What every server tells of what happened on it, from now on.
    pub(crate) fn tells(&self, events: Vec<api::EventView>) {
        *self.inner.events.lock() = events;
    }

    /// Whether a server's home is there.
    pub(crate) fn has_home(&self, id: ServerId) -> bool {
        self.inner.homes.lock().contains(&id)
    }

    /// A server that has departed is here again, and nobody is told.
    pub(crate) fn comes_back(&self, id: ServerId) -> Option<api::DepartureView> {
        self.archive.departed.lock().remove(&id)
    }

    /// So many objects of every home are left after it was deleted, from now on.
    pub(crate) fn leaves_over(&self, objects: u64) {
        self.left_over.store(objects, Ordering::SeqCst);
    }

    fn stumble(&self) -> Result<(), Error> {
        let take_one = |left: u32| left.checked_sub(1);
        match self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one) {
            Ok(_) => Err(Error::Launcher { doing: "do it", why: "the test says so".into() }),
            Err(_) => Ok(()),
        }
    }

    fn listen(&self, id: ServerId, awake: &Arc<Mutex<bool>>, taken: &Arc<Mutex<Option<Taken>>>) -> Vec<JoinHandle<()>> {
        let runtime = Runtime {
            id,
            awake: awake.clone(),
            events: self.events.clone(),
            apps: Arc::default(),
            archive: self.archive.clone(),
            taken: taken.clone(),
            follower: self.follower.clone(),
            care: self.inner.care.clone(),
            due: self.inner.due.clone(),
            tells: self.inner.events.clone(),
        };
        let router = Router::new()
            .route("/health", get(health))
            .route("/usage", get(usage))
            .route("/held", get(held))
            .route("/care", get(care))
            .route("/due", get(due).post(do_due))
            .route("/events", get(events))
            .route("/apps", get(apps).post(install))
            .route("/apps/look", post(look))
            .route("/apps/{id}", delete(remove).patch(wish))
            .route("/apps/{id}/data", delete(remove))
            .route("/apps/{id}/restore", post(restore))
            .route("/exports", get(exports).post(export))
            .route("/exports/{id}", get(exported).delete(release))
            .route("/exports/{id}/archive", get(archive))
            .route("/hold/end", post(end_hold))
            .route("/departure", get(departed).post(depart).delete(come_back))
            .route("/departure/recall", post(recall))
            .route("/renunciation", post(renounce))
            .route("/imports", post(import))
            .route("/imports/{id}", get(imported).delete(removed))
            .route("/imports/{id}/archive", patch(arriving))
            .route("/imports/{id}/check", post(check))
            .route("/imports/{id}/confirm", post(confirm))
            .route("/imports/{id}/rounds", post(announce))
            .route("/imports/{id}/rounds/{round}/archive", patch(delta).head(delta_offset))
            .route("/imports/{id}/rounds/{round}/apply", post(apply))
            .route("/imports/{id}/activate", post(activate))
            .route("/identity", get(identity))
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
            let (awake, taken) = (Arc::default(), Arc::default());
            let serving = self.listen(id, &awake, &taken);
            placed.insert(id, Placed { launch, awake, taken, serving });
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

    fn holds(&self, id: ServerId) -> HostAnswer<'_, Held> {
        Box::pin(async move {
            self.stumble()?;
            let left = self.left_over.load(Ordering::SeqCst);
            let held = Held { objects: 12, bytes: 3456 };
            Ok(if self.inner.homes.lock().contains(&id) { held } else { Held { objects: left, bytes: left } })
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
        let asked = archive.asked.lock().iter().rfind(|asked| asked.id.as_deref() == Some(id)).cloned();
        let sealed = asked.as_ref().is_some_and(|asked| asked.sealed);
        Json(api::ExportView {
            id: id.to_owned(),
            state: api::ExportState::Ready,
            done: 7,
            total: 7,
            bytes: Some(bytes),
            base: asked.as_ref().and_then(|asked| asked.base.clone()),
            held_until_ms: asked.as_ref().and_then(|asked| asked.hold_ms).map(|ms| 1_000 + ms.cast_signed()),
            archive_id: None,
            file_name: format!("anna-2026-11-21.pcc.zip{}", if sealed { ".age" } else { "" }),
            sealed,
            counts: Some(api::Counts { documents: 7, files: 1, bytes, ..api::Counts::default() }),
            omitted: Vec::new(),
            payload: Some(payload.to_string()),
            seq: Some(archive.moments.lock().get(id).copied().unwrap_or_else(|| archive.seq.load(Ordering::SeqCst))),
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

async fn due(Shared(runtime): Shared<Runtime>) -> Json<api::Due> {
    Json(*runtime.due.lock())
}

async fn do_due(Shared(runtime): Shared<Runtime>) -> Json<api::Due> {
    runtime.wake();
    Json(*runtime.due.lock())
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

async fn look(Shared(runtime): Shared<Runtime>) -> Json<api::PackageView> {
    runtime.wake();
    Json(api::PackageView { id: "org.example.notes".into(), name: "Notes".into(), ..api::PackageView::default() })
}

async fn wish(Shared(runtime): Shared<Runtime>, Json(wish): Json<api::AppWish>) -> Json<api::AppView> {
    runtime.wake();
    Json(api::AppView { pinned: wish.pinned.unwrap_or_default(), ..api::AppView::default() })
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
    let seq = runtime.archive.seq.load(Ordering::SeqCst);
    if runtime.archive.kept.lock().insert(id.clone()) {
        runtime.archive.moments.lock().insert(id.clone(), seq);
    }
    runtime.export(&id)
}

async fn end_hold(Shared(runtime): Shared<Runtime>) -> StatusCode {
    runtime.archive.let_go.fetch_add(1, Ordering::SeqCst);
    StatusCode::NO_CONTENT
}

fn refused(word: &str) -> Problem {
    let kind = format!("https://pcc.example/problems/{word}");
    Problem { kind, ..Problem::new(StatusCode::CONFLICT, "The server does not stand down for this.") }
}

async fn depart(
    Shared(runtime): Shared<Runtime>,
    Json(asked): Json<api::DepartureRequest>,
) -> Result<Json<api::DepartureView>, Problem> {
    runtime.wake();
    let archive = &runtime.archive;
    if let Some(there) = archive.departed.lock().get(&runtime.id) {
        return Ok(Json(there.clone()));
    }
    let export = runtime.export(&asked.export).0;
    if export.seq != Some(archive.seq.load(Ordering::SeqCst)) {
        return Err(refused("behind"));
    }
    if export.payload.as_ref() != Some(&asked.payload) {
        return Err(refused("differs"));
    }
    let key = own_key();
    let until = jiff::Timestamp::from_millisecond(asked.forward_until_ms).unwrap();
    let handover = Handover {
        kind: Handover::KIND.into(),
        id: asked.id.parse().unwrap(),
        server: Party { did: key.public().did(), ..asked.own },
        successor: asked.successor,
        epoch: 2,
        payload: asked.payload.parse().unwrap(),
        seq: export.seq.unwrap(),
        at: until - jiff::SignedDuration::from_hours(90 * 24),
        forward_until: until,
    };
    let guest = Guest {
        token: Digest::of(b"a token"),
        app: "org.example.notes".parse().unwrap(),
        device: "Firefox on Linux".into(),
        expires: until,
    };
    let view = api::DepartureView { handover: handover.sign(&key).unwrap(), guests: vec![guest] };
    archive.departed.lock().insert(runtime.id, view.clone());
    if archive.loses_departures.load(Ordering::SeqCst) {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The server does not answer just now."));
    }
    Ok(Json(view))
}

async fn departed(Shared(runtime): Shared<Runtime>) -> Result<Json<api::DepartureView>, StatusCode> {
    runtime.wake();
    if runtime.archive.loses_departures.load(Ordering::SeqCst) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    runtime.archive.departed.lock().get(&runtime.id).cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn come_back(Shared(runtime): Shared<Runtime>) -> StatusCode {
    runtime.archive.departed.lock().remove(&runtime.id);
    StatusCode::NO_CONTENT
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
    let said = runtime.archive.content.lock().clone();
    let all = said.unwrap_or_else(|| archive_of(runtime.archive.bytes.load(Ordering::SeqCst)));
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
            round: None,
            payload: None,
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
    if asked.follow {
        return Json(runtime.follower.begin(&asked.id.unwrap(), asked.bytes));
    }
    let fresh = Taken { bytes: Vec::new(), length: asked.bytes, state: api::ImportState::Uploading };
    runtime.taken.lock().get_or_insert(fresh).view(&asked.id.unwrap())
}

async fn imported(
    Shared(runtime): Shared<Runtime>,
    Named(id): Named<String>,
) -> Result<Json<api::ImportView>, StatusCode> {
    if runtime.follower.has(&id) {
        return runtime.follower.view(&id).map(Json);
    }
    runtime.taking(|taken| taken.view(&id))
}

async fn removed(Shared(runtime): Shared<Runtime>, Named(id): Named<String>) -> StatusCode {
    if runtime.follower.has(&id) {
        runtime.follower.discard(&id);
        return StatusCode::NO_CONTENT;
    }
    *runtime.taken.lock() = None;
    StatusCode::NO_CONTENT
}

/// Keeps whatever of a part has arrived, also when it breaks off.
async fn arriving(
    Shared(runtime): Shared<Runtime>,
    Named(id): Named<String>,
    Query(asked): Query<HashMap<String, usize>>,
    body: Body,
) -> Result<Json<api::Received>, StatusCode> {
    if runtime.follower.has(&id) {
        return following(&runtime, &id, None, asked["offset"], body).await;
    }
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
    if runtime.follower.has(&id) {
        return runtime.follower.check(&id).map(Json);
    }
    runtime.taking(|taken| {
        taken.state = api::ImportState::Checked;
        taken.view(&id)
    })
}

async fn confirm(
    Shared(runtime): Shared<Runtime>,
    Named(id): Named<String>,
) -> Result<Json<api::ImportView>, StatusCode> {
    if runtime.follower.has(&id) {
        return runtime.follower.confirm(&id).map(Json);
    }
    runtime.taking(|taken| {
        taken.state = api::ImportState::Done;
        taken.view(&id)
    })
}

/// Keeps whatever of a part has arrived.
async fn following(
    runtime: &Runtime,
    id: &str,
    round: Option<u32>,
    offset: usize,
    body: Body,
) -> Result<Json<api::Received>, StatusCode> {
    runtime.wake();
    let (mut parts, mut at) = (body.into_data_stream(), offset);
    while let Some(part) = futures::StreamExt::next(&mut parts).await {
        let part = part.map_err(|_| StatusCode::BAD_REQUEST)?;
        runtime.follower.take(id, round, at, &part)?;
        at += part.len();
    }
    runtime.follower.received(id, round).map(|offset| Json(api::Received { offset }))
}

async fn announce(
    Shared(runtime): Shared<Runtime>,
    Named(id): Named<String>,
    Json(asked): Json<api::FollowRequest>,
) -> Result<Json<api::ImportView>, StatusCode> {
    runtime.wake();
    runtime.follower.announce(&id, asked).map(Json)
}

async fn delta(
    Shared(runtime): Shared<Runtime>,
    Named((id, round)): Named<(String, u32)>,
    Query(asked): Query<HashMap<String, usize>>,
    body: Body,
) -> Result<Json<api::Received>, StatusCode> {
    following(&runtime, &id, Some(round), asked["offset"], body).await
}

async fn delta_offset(
    Shared(runtime): Shared<Runtime>,
    Named((id, round)): Named<(String, u32)>,
) -> Result<[(&'static str, String); 1], StatusCode> {
    runtime.follower.received(&id, Some(round)).map(|offset| [("upload-offset", offset.to_string())])
}

async fn apply(
    Shared(runtime): Shared<Runtime>,
    Named((id, round)): Named<(String, u32)>,
) -> Result<Json<api::ImportView>, StatusCode> {
    runtime.wake();
    runtime.follower.apply(&id, round).map(Json)
}

async fn activate(
    Shared(runtime): Shared<Runtime>,
    Named(id): Named<String>,
    Json(asked): Json<api::ActivateRequest>,
) -> axum::response::Response {
    runtime.wake();
    if runtime.follower.has_renounced(&asked.handover) {
        return refused("cancelled").into_response();
    }
    match runtime.follower.activate(&id, asked) {
        Ok(activated) => {
            // Whatever departed from here is back.
            runtime.archive.departed.lock().remove(&runtime.id);
            Json(activated).into_response()
        }
        Err(status) => status.into_response(),
    }
}

async fn renounce(
    Shared(runtime): Shared<Runtime>,
    Json(asked): Json<api::RenounceRequest>,
) -> Json<export_format::moving::RecallAnswer> {
    runtime.wake();
    Json(runtime.follower.renounce(asked))
}

async fn recall(Shared(runtime): Shared<Runtime>) -> Result<Json<Signed>, StatusCode> {
    let departed = runtime.archive.departed.lock().get(&runtime.id).cloned().ok_or(StatusCode::NOT_FOUND)?;
    let handover = Handover::open(&departed.handover).unwrap();
    let recall = Recall {
        kind: Recall::KIND.into(),
        id: handover.id,
        handover: departed.handover.digest(),
        server: handover.server,
        at: handover.at,
    };
    Ok(Json(recall.sign(&own_key()).unwrap()))
}

async fn identity() -> Json<api::IdentityView> {
    Json(api::IdentityView { did: own_key().public().did(), epoch: 1 })
}
