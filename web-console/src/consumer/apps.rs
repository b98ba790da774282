//! Apps: what is on the server, what the catalogue offers; install, update, remove, and undo.

use axum::extract::{Path, Query};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use control_plane::catalogue::Listing;
use control_plane::servers::{self, Server};
use control_plane::{Error, Kind};
use export_format::AppId;
use serde::Deserialize;
use tenant_runtime::admin::api::AppView;

use super::confirm::Confirm;
use super::{base, own_server};
use crate::page::{self, Answer};
use crate::parts::{self, Html, moment};
use crate::refusal::Refusal;
use crate::shell::Shell;
use crate::show::{self, Amount};
use crate::visit::{Nothing, Posted, Visit};

/// How long the page waits for a server to tell its apps before it says that it does not.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(8);

#[derive(askama::Template)]
#[template(path = "consumer/apps.html")]
struct AppsPage {
    shell: Shell,
    path: String,
    problem: Option<String>,
    installed: Vec<Shelved>,
    removed: Vec<Shelved>,
    offered: Vec<Shelved>,
    shelf_empty: bool,
    undo_days: u32,
    source: String,
}

/// One app on a shelf.
struct Shelved {
    id: String,
    tile: Html,
    name: String,
    version: String,
    newer: String,
    size: String,
    summary: String,
    maker: String,
    open: String,
    removed: Html,
    notice: String,
    on_trial: bool,
    pinned: bool,
    undo: bool,
    waiting: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Done {
    done: String,
    app: String,
}

/// The path on the person's server that opens an app.
pub(super) fn open_path(id: &str) -> String {
    format!("/open/{id}")
}

/// `GET /servers/{name}/apps`.
pub(super) async fn show(visit: Visit, Path(name): Path<String>, Query(done): Query<Done>) -> Answer {
    let server = own_server(&visit, &name).await?;
    shelf(&visit, &server, done, None).await
}

async fn shelf(visit: &Visit, server: &Server, done: Done, error: Option<Error>) -> Answer {
    let plane = visit.console.plane();
    let (bill, apps) = tokio::join!(
        control_plane::subscriptions::bill(plane, &visit.actor, server.account),
        tokio::time::timeout(PATIENCE, servers::apps(plane, &visit.actor, server.id))
    );
    let undo_days = bill?.terms.undo_days;
    let late = || {
        Error::retry(
            "Your server does not answer just now, so its apps are not shown. What is saved is safe; reload the page in a moment.",
        )
    };
    let (apps, mut problem) = match apps.unwrap_or_else(|_| Err(late())) {
        Ok(apps) => (apps, None),
        Err(error) if matches!(error.kind(), Kind::Retry | Kind::Full | Kind::Conflict) => {
            (Vec::new(), Some(error.sentence().to_owned()))
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(error) = &error {
        problem = Some(error.sentence().to_owned());
    }
    let catalogue = visit.console.catalogue();
    let listings = catalogue.list();
    let (removed, installed): (Vec<&AppView>, Vec<&AppView>) = apps.iter().partition(|app| app.removed_ms.is_some());
    let mine = |app: &AppView| Shelved::mine(app, listings.iter().find(|listing| listing.id.to_string() == app.id));
    let here = |listing: &&Listing| !installed.iter().any(|app| app.id == listing.id.to_string());
    let mut shell = Shell::of(visit, "apps", Some(server)).await?;
    let named = apps.iter().find(|app| app.id == done.app);
    if let Some(app) = named {
        shell = match done.done.as_str() {
            "installed" => shell.saying(format!("{} is on your server.", app.name), None),
            "removed" => shell
                .saying(format!("{} is removed.", app.name), Some(format!("{}/apps/{}/restore", base(server), app.id))),
            "pinned" => shell.saying(format!("{} stays at {}.", app.name, app.version), None),
            "unpinned" => shell.saying(format!("{} takes updates again.", app.name), None),
            "restored" => shell.saying(format!("{} is back, with everything in it.", app.name), None),
            _ => shell,
        };
    }
    let count = listings.len();
    let page = AppsPage {
        path: base(server),
        problem,
        installed: installed.iter().map(|app| mine(app)).collect(),
        removed: removed.iter().map(|app| mine(app)).collect(),
        offered: listings.iter().filter(here).map(Shelved::offered).collect(),
        shelf_empty: listings.is_empty(),
        undo_days,
        source: format!(
            "The catalogue of {}: {count} apps, listed {}. Its list is signed, and every package is checked against that list before it comes to your server.",
            visit.business.name,
            show::day(moment(catalogue.made())).words()
        ),
        shell,
    };
    page::show_as(error.map_or(StatusCode::OK, |error| control_plane::status(error.kind())), &page)
}

impl Shelved {
    fn mine(app: &AppView, listing: Option<&Listing>) -> Self {
        let newer = listing
            .filter(|listing| {
                tenant_runtime::apps::version::compare(&listing.version, &app.version) == std::cmp::Ordering::Greater
            })
            .map(|listing| listing.version.clone());
        Self {
            id: app.id.clone(),
            tile: parts::tile(&app.id, &app.name, listing.is_some()),
            name: app.name.clone(),
            version: app.version.clone(),
            newer: newer.unwrap_or_default(),
            size: format!("since {}", show::day(moment(app.installed_ms)).words()),
            summary: String::new(),
            maker: String::new(),
            open: open_path(&app.id),
            removed: app.removed_ms.map(|at| Html::safe(show::day(moment(at)))).unwrap_or_default(),
            notice: app.notice.clone().unwrap_or_default(),
            on_trial: app.on_trial,
            pinned: app.pinned,
            undo: app.undo,
            waiting: app.waiting.iter().map(|ask| ask.may.clone()).collect(),
        }
    }

    fn offered(listing: &Listing) -> Self {
        let id = listing.id.to_string();
        Self {
            tile: parts::tile(&id, &listing.name, true),
            name: listing.name.clone(),
            version: listing.version.clone(),
            newer: String::new(),
            size: Amount(listing.size).to_string(),
            summary: listing.description.clone(),
            maker: String::new(),
            open: open_path(&id),
            removed: Html::default(),
            notice: String::new(),
            on_trial: false,
            pinned: false,
            undo: false,
            waiting: Vec::new(),
            id,
        }
    }
}

/// `POST /servers/{name}/apps/{app}/install`: installs it, or brings it to the catalogue's version.
pub(super) async fn install(visit: Visit, Path((name, app)): Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let id = app_id(&app)?;
    let package = visit.console.catalogue().package(&id).await.map_err(from_catalogue);
    let installed = match package {
        Ok(package) => servers::install(visit.console.plane(), &visit.actor, server.id, package).await,
        Err(error) => Err(error),
    };
    match installed {
        Ok(_) => page::on_to(&format!("{}/apps?done=installed&app={id}", base(&server))),
        Err(error) => failed(&visit, &server, error).await,
    }
}

/// `GET /servers/{name}/apps/{app}/remove`: the question, for browsers without script.
pub(super) async fn confirm_remove(visit: Visit, Path((name, app)): Path<(String, String)>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let apps = servers::apps(visit.console.plane(), &visit.actor, server.id).await?;
    let found = apps.iter().find(|known| known.id == app && known.removed_ms.is_none());
    let app = found.ok_or_else(|| Refusal::of(Error::gone("There is no such app on your server.")))?;
    let undo_days =
        control_plane::subscriptions::bill(visit.console.plane(), &visit.actor, server.account).await?.terms.undo_days;
    let shelf = format!("{}/apps", base(&server));
    page::show(&Confirm {
        shell: Shell::of(&visit, "apps", Some(&server)).await?,
        question: format!("Remove {}?", app.name),
        meaning: format!(
            "It leaves your home screen at once. Its data is kept for {undo_days} days and stays in your exports; until then one tap brings it back."
        ),
        action: format!("{shelf}/{}/remove", app.id),
        back: shelf,
        keep: "Keep it",
        go: "Remove",
        next: "You come back to your apps, where Undo stands beside it.".into(),
    })
}

/// `POST /servers/{name}/apps/{app}/remove`.
pub(super) async fn remove(visit: Visit, Path((name, app)): Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let id = app_id(&app)?;
    match servers::remove(visit.console.plane(), &visit.actor, server.id, id.as_str()).await {
        Ok(()) => page::on_to(&format!("{}/apps?done=removed&app={id}", base(&server))),
        Err(error) => failed(&visit, &server, error).await,
    }
}

/// `POST /servers/{name}/apps/{app}/restore`: takes a removal back.
pub(super) async fn restore(visit: Visit, Path((name, app)): Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let id = app_id(&app)?;
    match servers::restore(visit.console.plane(), &visit.actor, server.id, id.as_str()).await {
        Ok(()) => page::on_to(&format!("{}/apps?done=restored&app={id}", base(&server))),
        Err(error) => failed(&visit, &server, error).await,
    }
}

async fn failed(visit: &Visit, server: &Server, error: Error) -> Answer {
    if error.kind() == Kind::Bug {
        return Err(error.into());
    }
    shelf(visit, server, Done::default(), Some(error)).await
}

/// `GET /catalogue/icons/{app}`: a drawing by somebody else, shown as a picture and never run as a page.
pub(super) async fn icon(visit: Visit, Path(app): Path<String>) -> Answer {
    let id = app_id(&app)?;
    let icon = visit.console.catalogue().icon(&id).await.map_err(|error| Refusal::of(from_catalogue(error)))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    Ok((headers, icon).into_response())
}

/// `GET /catalogue/{file}`: the catalogue as static files, so that others can follow it. Only what the index names.
pub(super) async fn file(visit: Visit, Path(file): Path<String>) -> Answer {
    let unknown = || Refusal::of(Error::gone("The catalogue has no such file."));
    let catalogue = visit.console.catalogue();
    let fixed = ["index.json", "index.json.sig", "key.pub"].contains(&file.as_str());
    let listed = catalogue.list().iter().any(|listing| listing.package == file || listing.icon == file);
    let folder = catalogue.folder().filter(|_| fixed || listed).ok_or_else(unknown)?;
    let bytes = tokio::fs::read(folder.join(&file)).await.map_err(|_| unknown())?;
    let kind = match file.rsplit('.').next() {
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("zip") => "application/zip",
        _ => "text/plain; charset=utf-8",
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    Ok((headers, bytes).into_response())
}

fn app_id(text: &str) -> Result<AppId, Refusal> {
    text.parse().map_err(|_| Refusal::of(Error::gone("There is no such app.")))
}

fn from_catalogue(error: control_plane::catalogue::Error) -> Error {
    match error {
        control_plane::catalogue::Error::Unknown { .. } => Error::gone("The catalogue has no such app."),
        other => Error::retry("The catalogue could not give this app just now. Nothing on your server has changed.")
            .because(other),
    }
}
