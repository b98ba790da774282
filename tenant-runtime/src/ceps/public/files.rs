//! `GET /public/userfiles/:app/:user/*path`: a file whose record is shared.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::http::Method;
use axum::response::{IntoResponse as _, Redirect, Response};
use export_format::AppId;
use serde::Deserialize;

use super::object::{nothing, opened};
use super::shown;
use crate::documents;
use crate::files::{self, FilePath};
use crate::pages::blob::{self, Served};
use crate::problem::Problem;
use crate::server::Server;

/// What the address of a file may carry.
#[derive(Default, Deserialize)]
pub(super) struct Wanted {
    code: Option<String>,
    download: Option<String>,
}

pub(super) async fn download(
    State(server): State<Server>,
    Path((app, user, path)): Path<(String, String, String)>,
    Query(wanted): Query<Wanted>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let app: AppId = app.parse().map_err(|_| nothing())?;
    let path: FilePath = path.parse().map_err(|_| nothing())?;
    let table = documents::files_of(&app)?;
    let found = opened(&server, &table, path.as_str(), wanted.code.clone()).await?;
    let (_, opened) = found.ok_or_else(nothing)?;
    if user != server.launch.site.name {
        let path = shown::file_path(&server.launch.site, &table, path.as_str(), wanted.code.as_deref());
        return Ok(Redirect::permanent(&path).into_response());
    }
    let name = path.clone();
    let file = server.home.read(move |db| Ok::<_, Problem>(files::get(db, &app, &name)?)).await?.ok_or_else(nothing)?;
    let served = Served { digest: file.digest, size: file.size, mime: file.mime, modified: Some(file.modified) };
    let mut response = blob::respond(&server, &served, &method, &headers).await?;
    blob::untrusted(response.headers_mut(), &served.mime, path.name(), wanted.download.is_some());
    shown::headers(response.headers_mut(), &opened);
    Ok(response)
}
