//! Apps from anywhere: a zip, a folder, a page, an address. What it is is shown first; one tap installs it.

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Multipart, Path, Request};
use axum::http::StatusCode;
use control_plane::packages::{self, Handed, LIMIT, Waiting};
use control_plane::servers::{self, Server};
use control_plane::{Error, Kind};
use serde::Deserialize;
use tenant_runtime::admin::api::{AskView, PackageView};

use super::confirm::Confirm;
use super::{base, own_server};
use crate::page::{self, Answer, Field};
use crate::refusal::Refusal;
use crate::shell::Shell;
use crate::show::{Amount, Count};
use crate::visit::{Nothing, Posted, Visit};

/// The most files a folder may have.
const FILES: usize = 5_000;

#[derive(askama::Template)]
#[template(path = "consumer/package_add.html")]
struct AddPage {
    shell: Shell,
    path: String,
    problem: Option<String>,
    address: Field,
}

#[derive(askama::Template)]
#[template(path = "consumer/package.html")]
struct PackagePage {
    shell: Shell,
    path: String,
    id: String,
    problem: Option<String>,
    title: String,
    lead: String,
    from: String,
    app: PackageView,
    size: String,
    made: Maker,
    asks: Vec<AskView>,
    asked_before: usize,
    go: String,
}

/// Who made a package, as far as it can be known.
struct Maker {
    badge: &'static str,
    tone: &'static str,
    words: String,
    /// What the owner accepts by going on, where that is another maker than before.
    accept: Option<String>,
}

/// `GET /servers/{name}/add`.
pub(super) async fn show(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    add_page(&visit, &server, "", None).await
}

async fn add_page(visit: &Visit, server: &Server, address: &str, error: Option<Error>) -> Answer {
    let page = AddPage {
        shell: Shell::of(visit, "apps", Some(server)).await?,
        path: base(server),
        problem: error.as_ref().filter(|error| error.field() != Some("address")).map(|e| e.sentence().to_owned()),
        address: Field::judged(address, "address", error.as_ref()),
    };
    page::show_form(error.as_ref(), &page)
}

/// `POST /servers/{name}/add`: one form with files, or with an address.
pub(super) async fn add(visit: Visit, Path(name): Path<String>, request: Request) -> Answer {
    let server = own_server(&visit, &name).await?;
    let form = Multipart::from_request(request, &()).await.map_err(|_| cut())?;
    let (files, address) = read(&visit, form).await?;
    let found = async {
        let (bytes, from) = match address.trim() {
            "" => packages::gather(files).await?,
            address => (packages::fetch(visit.console.plane(), address).await?, address.to_owned()),
        };
        packages::look(visit.console.plane(), &visit.actor, server.id, bytes, &from).await
    };
    match found.await {
        Ok(waiting) => page::on_to(&format!("{}/packages/{}", base(&server), waiting.id)),
        Err(error) if error.kind() == Kind::Bug => Err(error.into()),
        Err(error) => add_page(&visit, &server, &address, Some(error)).await,
    }
}

/// Reads the form. Its token comes first, and nothing is read of a form that is not ours.
async fn read(visit: &Visit, mut form: Multipart) -> Result<(Vec<Handed>, String), Refusal> {
    let (mut files, mut address, mut left, mut ours) = (Vec::new(), String::new(), LIMIT, false);
    while let Some(mut field) = form.next_field().await.map_err(|_| cut())? {
        let name = field.name().unwrap_or_default().to_owned();
        let file = field.file_name().map(str::to_owned);
        let mut bytes = Vec::new();
        while let Some(part) = field.chunk().await.map_err(|_| cut())? {
            left = left.checked_sub(part.len() as u64).ok_or_else(|| {
                too_much("This is larger than the 32 MB that an app may have. Nothing was installed.")
            })?;
            bytes.extend_from_slice(&part);
        }
        if name == "token" {
            visit.check_token(&String::from_utf8_lossy(&bytes))?;
            ours = true;
        } else if !ours {
            visit.check_token("")?;
        } else if let Some(file) = file.filter(|file| !file.is_empty()) {
            files.push(Handed { name: file, bytes: Bytes::from(bytes) });
            if files.len() > FILES {
                return Err(too_much("This folder has more than 5,000 files. Nothing was installed."));
            }
        } else if name == "address" {
            address = String::from_utf8_lossy(&bytes).chars().take(2_000).collect();
        }
    }
    Ok((files, address))
}

fn cut() -> Refusal {
    Refusal::of(Error::new(
        Kind::Fix,
        "The upload was cut, or did not come from our form. Nothing was installed; please send it again.",
    ))
}

fn too_much(sentence: &'static str) -> Refusal {
    Refusal::of(Error::new(Kind::Fix, sentence))
}

/// `GET /servers/{name}/packages/{package}`: what it is.
pub(super) async fn one(visit: Visit, Path((name, id)): Path<(String, String)>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let waiting = packages::waiting(visit.console.plane(), &visit.actor, server.id, &id).await?;
    package_page(&visit, &server, waiting, None).await
}

async fn package_page(visit: &Visit, server: &Server, waiting: Waiting, error: Option<Error>) -> Answer {
    let Waiting { id, from, view: app } = waiting;
    let (title, go) = match (&app.installed, app.removed, app.order) {
        (None, ..) => (format!("Install {}?", app.name), "Install".to_owned()),
        (Some(_), true, _) => (format!("Bring {} back?", app.name), "Install".to_owned()),
        (Some(_), _, 1) => (format!("Update {} to {}?", app.name, app.version), "Update".to_owned()),
        (Some(_), _, 0) => (format!("Install {} {} again?", app.name, app.version), "Install again".to_owned()),
        (Some(_), ..) => (format!("Go back to {} {}?", app.name, app.version), "Install the older one".to_owned()),
    };
    let lead = match &app.installed {
        Some(version) if !app.removed => format!(
            "You have {version}. Before anything changes, the state of now is kept; if the new version does not start, you get it back."
        ),
        _ => "Nothing is installed before you say so.".to_owned(),
    };
    let made = maker(&app);
    let (asks, before): (Vec<_>, Vec<_>) = app.asks.iter().cloned().partition(|ask| ask.new);
    let page = PackagePage {
        shell: Shell::of(visit, "apps", Some(server)).await?,
        path: base(server),
        id,
        problem: error.as_ref().map(|error| error.sentence().to_owned()),
        title,
        lead,
        from,
        size: format!(
            "{} in {} {}",
            Amount(app.bytes),
            Count(app.files),
            if app.files == 1 { "file" } else { "files" }
        ),
        go: if made.accept.is_some() { format!("Trust it, and {}", go.to_lowercase()) } else { go },
        made,
        asks,
        asked_before: before.len(),
        app,
    };
    page::show_as(error.map_or(StatusCode::OK, |error| control_plane::status(error.kind())), &page)
}

fn maker(app: &PackageView) -> Maker {
    let said = |badge, tone, words: String| Maker { badge, tone, words, accept: None };
    match (&app.maker, &app.known_maker) {
        (Some(key), Some(known)) if key == known => said(
            "Signed, same maker",
            "ok",
            format!("It is signed by the same key as the version you have ({key}), and nobody has changed it since."),
        ),
        (Some(key), Some(known)) => Maker {
            accept: Some(key.clone()),
            ..said(
                "Another maker",
                "danger",
                format!(
                    "The version you have is signed by {known}, this one by another key, {key}. Either its maker has a new key, or somebody else made this and could read what the app keeps. Go on only if its maker has told you of the new key."
                ),
            )
        },
        (None, Some(known)) => Maker {
            accept: Some("none".to_owned()),
            ..said(
                "Not signed any more",
                "danger",
                format!(
                    "The version you have is signed by {known}; nobody signed this one. Whoever gave it to you could have changed it, and it could read what the app keeps."
                ),
            )
        },
        (Some(key), None) => said(
            "Signed",
            "ok",
            format!("It is signed by {key}, and nobody has changed it since. We remember this key: updates by another one are not taken without your word."),
        ),
        (None, None) => said(
            "Nobody signed it",
            "warn",
            "Nobody signed this package, so nobody can tell whether it was changed on its way to you. Install it if you trust where you have it from.".to_owned(),
        ),
    }
}

/// What the owner accepts.
#[derive(Deserialize)]
pub(super) struct Yes {
    #[serde(default)]
    maker: String,
}

/// `POST /servers/{name}/packages/{package}/install`.
pub(super) async fn install(
    visit: Visit,
    Path((name, id)): Path<(String, String)>,
    Posted(yes): Posted<Yes>,
) -> Answer {
    let server = own_server(&visit, &name).await?;
    let (plane, actor) = (visit.console.plane(), &visit.actor);
    let maker = Some(yes.maker.as_str()).filter(|maker| !maker.is_empty());
    match packages::install(plane, actor, server.id, &id, maker).await {
        Ok(app) => page::on_to(&format!("{}/apps?done=installed&app={}", base(&server), app.id)),
        Err(error) if error.kind() == Kind::Bug || error.kind() == Kind::Gone => Err(error.into()),
        Err(error) => {
            let waiting = packages::waiting(plane, actor, server.id, &id).await?;
            package_page(&visit, &server, waiting, Some(error)).await
        }
    }
}

/// `POST /servers/{name}/apps/{app}/pin`: keeps this version and no other.
pub(super) async fn pin(visit: Visit, path: Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    set_pin(visit, path, true).await
}

/// `POST /servers/{name}/apps/{app}/unpin`: takes updates again.
pub(super) async fn unpin(visit: Visit, path: Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    set_pin(visit, path, false).await
}

async fn set_pin(visit: Visit, Path((name, app)): Path<(String, String)>, pinned: bool) -> Answer {
    let server = own_server(&visit, &name).await?;
    servers::pin_app(visit.console.plane(), &visit.actor, server.id, &app, pinned).await?;
    let done = if pinned { "pinned" } else { "unpinned" };
    page::on_to(&format!("{}/apps?done={done}&app={app}", base(&server)))
}

/// `GET /servers/{name}/apps/{app}/erase`: the question.
pub(super) async fn ask_erase(visit: Visit, Path((name, app)): Path<(String, String)>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let apps = servers::apps(visit.console.plane(), &visit.actor, server.id).await?;
    let found = apps.iter().find(|known| known.id == app && known.removed_ms.is_some());
    let app = found.ok_or_else(|| Refusal::of(Error::gone("There is no removed app of this name on your server.")))?;
    let shelf = format!("{}/apps", base(&server));
    page::show(&Confirm {
        shell: Shell::of(&visit, "apps", Some(&server)).await?,
        question: format!("Erase what {} keeps?", app.name),
        meaning: "Its records, its files and the app itself go. Undo cannot bring them back afterwards; going back in time can, for as long as your plan keeps the past. Take an archive first if you want to keep them.".into(),
        action: format!("{shelf}/{}/erase", app.id),
        back: shelf,
        keep: "Keep it",
        go: "Erase its data",
        next: "You come back to your apps, and the room it took is free once the past that your plan keeps is over.".into(),
    })
}

/// `POST /servers/{name}/apps/{app}/erase`.
pub(super) async fn erase(visit: Visit, Path((name, app)): Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let server = own_server(&visit, &name).await?;
    servers::erase_app(visit.console.plane(), &visit.actor, server.id, &app).await?;
    page::on_to(&format!("{}/apps?done=erased", base(&server)))
}
