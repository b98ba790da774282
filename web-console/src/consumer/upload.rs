//! The archive on its way in: in pieces with script, as one plain form without.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::IntoResponse;
use control_plane::{Error, Kind};
use serde::{Deserialize, Serialize};

use super::plain_form::{Malformed, PlainForm};
use super::{base, import, operation_of, own_server};
use crate::page::{self, Answer};
use crate::refusal::Refusal;
use crate::visit::Visit;

/// Which piece this is.
#[derive(Debug, Deserialize)]
pub(super) struct Piece {
    offset: u64,
}

/// What an upload by script announces.
#[derive(Debug, Deserialize)]
pub(super) struct Announced {
    bytes: u64,
}

/// Where the pieces go.
#[derive(Debug, Serialize)]
struct Begun {
    location: String,
}

/// How far it is.
#[derive(Debug, Serialize)]
struct Reached {
    offset: u64,
}

/// `POST /servers/{name}/imports/begin`: refuses at once what cannot fit.
pub(super) async fn begin(
    visit: Visit,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(announced): Json<Announced>,
) -> Answer {
    visit.check_header(&headers)?;
    let server = own_server(&visit, &name).await?;
    let operation = visit.console.operations().start_import(&visit.actor, server.id, announced.bytes).await?;
    Ok(Json(Begun { location: format!("{}/imports/{}", base(&server), operation.id) }).into_response())
}

/// `PATCH /servers/{name}/imports/{operation}/archive?offset=`.
pub(super) async fn piece(
    visit: Visit,
    Path((name, id)): Path<(String, String)>,
    Query(piece): Query<Piece>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    visit.check_header(&headers)?;
    let server = own_server(&visit, &name).await?;
    let operation = operation_of(&visit, &server, &id).await?;
    let offset = visit.console.operations().import_upload(&visit.actor, operation.id, piece.offset, body).await?;
    Ok(Json(Reached { offset }).into_response())
}

/// `HEAD /servers/{name}/imports/{operation}/archive`: from where to go on.
pub(super) async fn offset(visit: Visit, Path((name, id)): Path<(String, String)>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let operation = operation_of(&visit, &server, &id).await?;
    let reached = [(HeaderName::from_static("upload-offset"), operation.received.to_string())];
    Ok((StatusCode::OK, reached).into_response())
}

/// `POST /servers/{name}/imports`: the whole archive in one form, for browsers without script.
///
/// The form's first field is its token; only then is the file read, and passed on as it comes.
pub(super) async fn whole(visit: Visit, Path(name): Path<String>, headers: HeaderMap, body: Body) -> Answer {
    let server = own_server(&visit, &name).await?;
    let form = PlainForm::read(&headers, body).await.map_err(|malformed| {
        Refusal::of(Error::new(Kind::Fix, match malformed {
            Malformed::NoLength => "This browser does not say how long the upload is, so we cannot tell whether it fits. Nothing was changed; please try another browser.",
            Malformed::Other => "The upload was cut, or did not come from our form. Nothing on your server has changed; please send the file again.",
        }))
    })?;
    visit.check_token(&form.token)?;
    if form.file_name.is_empty() {
        return import::form_page(&visit, &server, Some(Error::fix("archive", "Choose the archive first."))).await;
    }
    let length = form.length;
    let archive = Body::from_stream(form.into_file());
    match visit.console.operations().import_whole(&visit.actor, server.id, length, archive).await {
        Ok(operation) => page::on_to(&format!("{}/imports/{}", base(&server), operation.id)),
        Err(error) if error.kind() != Kind::Bug => import::form_page(&visit, &server, Some(error)).await,
        Err(error) => Err(error.into()),
    }
}
