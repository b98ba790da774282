//! Adding storage of one's own.

use axum::extract::Path;
use control_plane::places::{self, Access, PlaceKind, Secret};
use control_plane::servers::Server;
use control_plane::{Error, Kind};
use serde::Deserialize;

use crate::consumer::{base, own_server};
use crate::page::{self, Answer, Field};
use crate::refusal::Refusal;
use crate::shell::Shell;
use crate::visit::{Posted, Visit};

#[derive(askama::Template)]
#[template(path = "consumer/place_add.html")]
struct AddPage {
    shell: Shell,
    path: String,
    bucket_form: bool,
    problem: Option<String>,
    name: Field,
    endpoint: Field,
    region: Field,
    bucket: Field,
    prefix: Field,
    key_id: Field,
    secret: Field,
    url: Field,
    user: Field,
    password: Field,
}

/// What the forms that add a place send.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::consumer) struct Added {
    name: String,
    endpoint: String,
    region: String,
    bucket: String,
    prefix: String,
    key_id: String,
    secret: Secret,
    url: String,
    user: String,
    password: Secret,
}

/// `GET /servers/{name}/places/add/{kind}`.
pub(in crate::consumer) async fn add_form(visit: Visit, Path((name, kind)): Path<(String, String)>) -> Answer {
    let server = own_server(&visit, &name).await?;
    add_page(&visit, &server, kind_of(&kind)?, &Added::default(), None).await
}

async fn add_page(visit: &Visit, server: &Server, kind: PlaceKind, form: &Added, error: Option<Error>) -> Answer {
    let error = error.as_ref();
    let field = |value: &str, name: &str| Field::judged(value, name, error);
    page::show_form(
        error,
        &AddPage {
            shell: Shell::of(visit, "leave", Some(server)).await?,
            path: base(server),
            bucket_form: kind == PlaceKind::S3,
            problem: error.filter(|error| error.field().is_none()).map(|error| error.sentence().to_owned()),
            name: field(&form.name, "name"),
            endpoint: field(&form.endpoint, "endpoint"),
            region: field(&form.region, "region"),
            bucket: field(&form.bucket, "bucket"),
            prefix: field(&form.prefix, "prefix"),
            key_id: field(&form.key_id, "key_id"),
            secret: field("", "secret"),
            url: field(&form.url, "url"),
            user: field(&form.user, "user"),
            password: field("", "password"),
        },
    )
}

/// `POST /servers/{name}/places/add/{kind}`.
pub(in crate::consumer) async fn add(
    visit: Visit,
    Path((name, kind)): Path<(String, String)>,
    Posted(form): Posted<Added>,
) -> Answer {
    let server = own_server(&visit, &name).await?;
    let kind = kind_of(&kind)?;
    let access = match kind {
        PlaceKind::S3 => Access::S3 {
            endpoint: form.endpoint.clone(),
            region: form.region.clone(),
            bucket: form.bucket.clone(),
            prefix: form.prefix.clone(),
            key_id: form.key_id.clone(),
            secret: form.secret.clone(),
        },
        PlaceKind::Webdav => {
            Access::Webdav { url: form.url.clone(), user: form.user.clone(), password: form.password.clone() }
        }
    };
    match places::add(visit.console.plane(), &visit.actor, server.id, &form.name, access).await {
        Ok(place) => page::on_to(&format!("{}/places/{}?done=added", base(&server), place.id)),
        Err(error) if error.kind() != Kind::Bug => add_page(&visit, &server, kind, &form, Some(error)).await,
        Err(error) => Err(error.into()),
    }
}

fn kind_of(word: &str) -> Result<PlaceKind, Refusal> {
    match word {
        "s3" => Ok(PlaceKind::S3),
        "webdav" => Ok(PlaceKind::Webdav),
        _ => Err(Refusal::of(Error::gone("There is no such kind of storage."))),
    }
}
