//! A small working host in memory: it keeps servers and answers their administration on real sockets.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::Path;
use axum::routing::{get, post};
use axum::{Json, Router};
use control_plane::servers::{Host, HostAnswer};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use infra::agent::{Error, HostEvent, RunId, RunReading, SandboxLimits, SeenServer, State};
use infra::isolation::IsolationReport;
use parking_lot::Mutex;
use tenant_runtime::admin::api::{AppUsage, AppView, EventView, Usage};
use tenant_runtime::ids::ServerId;
use tenant_runtime::launch::Launch;
use tokio::net::UnixListener;
use tokio::sync::broadcast;

type Apps = Arc<Mutex<Vec<AppView>>>;

pub(crate) struct SmallHost {
    folder: PathBuf,
    placed: Mutex<HashMap<ServerId, Launch>>,
    events: broadcast::Sender<HostEvent>,
}

impl SmallHost {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, placed: Mutex::default(), events: broadcast::channel(16).0 }
    }

    fn serve(&self, id: ServerId, limit_bytes: u64) {
        let listener = UnixListener::bind(self.admin_socket(id)).unwrap();
        let apps: Apps = Arc::default();
        let usage = {
            let apps = Arc::clone(&apps);
            move || {
                let installed = apps.lock().iter().filter(|app| app.removed_ms.is_none()).map(used).collect();
                let usage = Usage {
                    database_bytes: 81_920,
                    blob_bytes: 2_000,
                    documents: 1234,
                    files: 1,
                    apps: installed,
                    limit_bytes,
                    loss_window_ms: Some(0),
                };
                async move { Json(usage) }
            }
        };
        let list = {
            let apps = Arc::clone(&apps);
            move || {
                let apps = apps.lock().clone();
                async move { Json(apps) }
            }
        };
        let install = {
            let apps = Arc::clone(&apps);
            move || {
                let app = AppView {
                    id: "dev.freehold.notes".into(),
                    name: "Notes".into(),
                    label: "notes".into(),
                    version: "1".into(),
                    ..AppView::default()
                };
                let mut apps = apps.lock();
                apps.retain(|known| known.id != app.id);
                apps.push(app.clone());
                async move { Json(app) }
            }
        };
        let change = |removed_ms: Option<i64>| {
            let apps = Arc::clone(&apps);
            move |Path(id): Path<String>| {
                apps.lock().iter_mut().filter(|app| app.id == id).for_each(|app| app.removed_ms = removed_ms);
                async { Json(serde_json::json!({})) }
            }
        };
        let router = Router::new()
            .route("/usage", get(usage))
            .route("/events", get(|| async { Json(Vec::<EventView>::new()) }))
            .route("/apps", get(list).post(install))
            .route("/apps/{id}", axum::routing::delete(change(Some(1))))
            .route("/apps/{id}/restore", post(change(None)))
            .merge(crate::past::router())
            .merge(crate::leaving::router());
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
}

fn used(app: &AppView) -> AppUsage {
    AppUsage {
        id: app.id.clone(),
        name: app.name.clone(),
        label: app.label.clone(),
        version: app.version.clone(),
        bytes: 2_000,
    }
}

fn done<T: Send + 'static>(value: T) -> HostAnswer<'static, T> {
    async move { Ok::<T, Error>(value) }.boxed()
}

impl Host for SmallHost {
    fn holds(&self, id: ServerId) -> HostAnswer<'_, infra::storage::Held> {
        let objects = u64::from(self.placed.lock().contains_key(&id));
        done(infra::storage::Held { objects, bytes: 100 * objects })
    }

    fn place(&self, launch: Launch, _: SandboxLimits) -> HostAnswer<'_, ()> {
        let (id, limit) = (launch.server, launch.limits.storage_bytes);
        if self.placed.lock().insert(id, launch).is_none() {
            self.serve(id, limit);
        }
        done(())
    }

    fn sleep(&self, _: ServerId) -> HostAnswer<'_, ()> {
        done(())
    }

    fn displace(&self, id: ServerId) -> HostAnswer<'_, ()> {
        self.placed.lock().remove(&id);
        done(())
    }

    fn erase(&self, id: ServerId) -> HostAnswer<'_, ()> {
        self.displace(id)
    }

    fn seen(&self) -> BoxFuture<'_, Vec<SeenServer>> {
        let seen =
            |launch: &Launch| SeenServer { server: launch.server, generation: launch.generation, state: State::Asleep };
        let seen: Vec<SeenServer> = self.placed.lock().values().map(seen).collect();
        async move { seen }.boxed()
    }

    fn readings(&self) -> BoxFuture<'_, Vec<RunReading>> {
        async { Vec::new() }.boxed()
    }

    fn acknowledge(&self, _: Vec<RunId>) -> HostAnswer<'_, ()> {
        done(())
    }

    fn events(&self) -> broadcast::Receiver<HostEvent> {
        self.events.subscribe()
    }

    fn public_socket(&self, id: ServerId) -> PathBuf {
        self.folder.join(format!("{id}.pub"))
    }

    fn admin_socket(&self, id: ServerId) -> PathBuf {
        self.folder.join(format!("{id}.adm"))
    }

    fn isolation(&self) -> IsolationReport {
        IsolationReport::default()
    }
}
