//! What lies in storage of one's own, and bringing it here.

use axum::extract::Path;
use control_plane::places::{self, Place};
use control_plane::servers::Server;
use control_plane::{Error, Kind};
use serde::Deserialize;

use super::mine;
use super::sealing::Sealed;
use crate::consumer::base;
use crate::page::{self, Answer};
use crate::shell::Shell;
use crate::show::{self, Amount};
use crate::visit::{Posted, Visit};

#[derive(askama::Template)]
#[template(path = "consumer/place_archives.html")]
struct ArchivesPage {
    shell: Shell,
    path: String,
    here: String,
    title: String,
    problem: Option<String>,
    found: Vec<Archive>,
}

struct Archive {
    name: String,
    size: Amount,
    when: Option<show::Moment>,
    sealed: Sealed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::consumer) struct Chosen {
    file: String,
}

/// `GET /servers/{name}/places/{place}/archives`.
pub(in crate::consumer) async fn archives(visit: Visit, path: Path<(String, String)>) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    archives_page(&visit, &server, &place, None).await
}

async fn archives_page(visit: &Visit, server: &Server, place: &Place, error: Option<Error>) -> Answer {
    let found = places::archives(visit.console.plane(), &visit.actor, place.id).await;
    let (found, error) = match (found, error) {
        (Ok(found), error) => (found, error),
        (Err(error), None) if error.kind() != Kind::Bug => (Vec::new(), Some(error)),
        (Err(_), Some(error)) => (Vec::new(), Some(error)),
        (Err(error), None) => return Err(error.into()),
    };
    let written = places::written(visit.console.plane(), &visit.actor, place.id).await?;
    let path = base(server);
    let archive = |file: places::Found| Archive {
        size: Amount(file.bytes),
        when: file.changed_ms.map(|ms| show::both(crate::parts::moment(ms))),
        sealed: Sealed::of_archive(&file.name, &written, place),
        name: file.name,
    };
    page::show_form(
        error.as_ref(),
        &ArchivesPage {
            shell: Shell::of(visit, "server", Some(server)).await?,
            here: format!("{path}/places/{}", place.id),
            title: place.name.clone(),
            problem: error.as_ref().map(|error| error.sentence().to_owned()),
            found: found.into_iter().map(archive).collect(),
            path,
        },
    )
}

/// `POST /servers/{name}/places/{place}/imports`.
pub(in crate::consumer) async fn import(
    visit: Visit,
    path: Path<(String, String)>,
    Posted(form): Posted<Chosen>,
) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    match visit.console.operations().start_import_from(&visit.actor, place.id, &form.file).await {
        Ok(operation) => page::on_to(&format!("{}/imports/{}", base(&server), operation.id)),
        Err(error) if error.kind() != Kind::Bug => archives_page(&visit, &server, &place, Some(error)).await,
        Err(error) => Err(error.into()),
    }
}
