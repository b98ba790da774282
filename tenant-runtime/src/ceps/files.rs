//! Uploading in one go, downloading, listing.

use axum::Json;
use axum::extract::multipart::Field;
use axum::extract::{Multipart, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use export_format::AppId;
use futures::TryStreamExt as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::{Caller, by_token, is_same_origin, own_data, owner_at};
use super::body::{self, Shaped};
use super::records::answer;
use crate::changes::Kind;
use crate::documents;
use crate::files::{self, Attach, FilePath};
use crate::pages::blob::{self, Served};
use crate::pages::place::Place;
use crate::problem::Problem;
use crate::server::{Server, now};
use crate::sessions::token::Purpose;
use crate::store::Blob;

/// How an upload is to be kept.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    target_folder: Option<String>,
    file_name: Option<String>,
    overwrite: bool,
    data: Map<String, Value>,
}

/// `PUT /feps/upload/:app`, multipart with `file` and `options`.
pub(super) async fn upload(
    State(server): State<Server>,
    caller: Caller,
    Path(app): Path<String>,
    headers: HeaderMap,
    mut form: Multipart,
) -> Result<Response, Problem> {
    server.writable()?;
    let app = caller.is(&app)?.clone();
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok()).and_then(|n| n.parse().ok());
    let token = format!("form-{}", uuid::Uuid::now_v7().simple());
    server.quota.hold(&server.home, &token, announced.unwrap_or(0), now()).await?;
    let stored = receive(&server, &app, announced, &mut form).await;
    server.quota.release(&token);
    let row = stored?;
    Ok(answer(&row, json!({"nModified": 1})))
}

async fn receive(
    server: &Server,
    app: &AppId,
    announced: Option<u64>,
    form: &mut Multipart,
) -> Result<documents::Row, Problem> {
    let broken = |error: axum::extract::multipart::MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(error.status(), "too_large", error.body_text()),
        _ => Problem::bad_request("The upload broke off, or is not a multipart form."),
    };
    let (mut file, mut options) = (None, Options::default());
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name() {
            Some("file") if file.is_none() => {
                let name = field.file_name().map(str::to_owned);
                let mime = field.content_type().map(str::to_owned);
                file = Some((name, mime, store(server, field, announced).await?));
            }
            Some("options") => options = read_options(server, field).await?,
            _ => {}
        }
    }
    let (name, mime, blob) = file.ok_or_else(|| Problem::bad_request("The form has no file."))?;
    let name = options.file_name.or(name).ok_or_else(|| Problem::bad_request("The file has no name."))?;
    let path = FilePath::join(options.target_folder.as_deref().unwrap_or_default(), &name)?;
    let mime = mime.filter(|mime| mime != "application/octet-stream").unwrap_or_else(|| path.media_type());
    let attach = Attach { app: app.clone(), path, mime, overwrite: options.overwrite, data: options.data };
    attached(server, attach, blob).await
}

/// Streams a field into the store. Without an announced length the room that is left is the limit.
async fn store(server: &Server, field: Field<'_>, announced: Option<u64>) -> Result<Blob, Problem> {
    let limit = match announced {
        Some(length) => length,
        None => server.quota.free(&server.home, now()).await?,
    };
    let stream = field.map_err(std::io::Error::other);
    let blob = server.home.blobs().put(stream, Some(limit)).await?;
    if announced.is_none() {
        server.quota.take(&server.home, blob.size, now()).await?;
    }
    Ok(blob)
}

async fn read_options(server: &Server, mut field: Field<'_>) -> Result<Options, Problem> {
    let limit = server.launch.limits.record_bytes as usize;
    let mut text = Vec::new();
    while let Ok(Some(piece)) = field.chunk().await {
        text.extend_from_slice(&piece);
        if text.len() > limit {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "record_too_large", "options are too large."));
        }
    }
    let options: Options = serde_json::from_slice(&text)
        .map_err(|error| Problem::bad_request(format!("options are not as expected: {error}.")))?;
    body::check(&options.data, server.launch.limits.record_bytes)?;
    Ok(options)
}

/// Gives a stored blob its name, durably, and tells.
async fn attached(server: &Server, file: Attach, blob: Blob) -> Result<documents::Row, Problem> {
    let (table, now) = (documents::files_of(&file.app)?, now());
    let row = server.home.write(move |db| Ok::<_, Problem>(files::attach(db, file, &blob, now)?)).await?;
    server.changes.tell(&table, &row.id, row.modified, Kind::Written);
    Ok(row)
}

/// What an address of a file may carry.
#[derive(Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(rename = "fileToken")]
    file_token: Option<String>,
    download: Option<String>,
}

/// `GET /feps/userfiles/:app/:user/*path`
pub(super) async fn download(
    State(server): State<Server>,
    Path((app, user, path)): Path<(String, String, String)>,
    Query(wanted): Query<Wanted>,
    method: Method,
    caller: Result<Caller, Problem>,
    parts: Parts,
) -> Result<Response, Problem> {
    own_data(&server, Some(&user))?;
    let by_address = wanted.file_token.as_deref().and_then(|token| by_token(&server, token, at(&parts)));
    let caller = match by_address.or_else(|| by_visit(&server, &parts)) {
        Some(caller) => caller,
        None => caller?,
    };
    if let Place::App(here) = Place::of(&parts)
        && here.record.id != caller.app
    {
        return Err(Problem::forbidden("This token is for another app than the one whose address this is."));
    }
    let app = caller.is(&app)?.clone();
    let path: FilePath = path.parse()?;
    let (wanted_app, wanted_path) = (app, path.clone());
    let file = server.home.read(move |db| Ok::<_, Problem>(files::get(db, &wanted_app, &wanted_path)?)).await?;
    let file = file.ok_or_else(|| Problem::not_found(format!("There is no file {path}.")))?;
    let served = Served { digest: file.digest, size: file.size, mime: file.mime, modified: Some(file.modified) };
    let mut response = blob::respond(&server, &served, &method, &parts.headers).await?;
    blob::untrusted(response.headers_mut(), &served.mime, path.name(), wanted.download.is_some());
    Ok(response)
}

/// What a file's token is good for, by the origin it is given out and used on.
fn at(parts: &Parts) -> Purpose {
    match Place::of(parts) {
        Place::Server => Purpose::ServerFiles,
        _ => Purpose::Files,
    }
}

/// The owner opening a file of an app by its address, in a tab of its own.
fn by_visit(server: &Server, parts: &Parts) -> Option<Caller> {
    let Place::App(app) = Place::of(parts) else { return None };
    let known = owner_at(server, &parts.headers, &app.record.id).filter(|_| is_same_origin(parts, server))?;
    let (session, token) = known;
    Some(Caller { app: app.record.id.clone(), session, token })
}

/// `GET /feps/getuserfiletoken/self/:app/:user`
pub(super) async fn file_token(
    State(server): State<Server>,
    caller: Caller,
    Path((app, user)): Path<(String, String)>,
    parts: Parts,
) -> Result<Response, Problem> {
    own_data(&server, Some(&user))?;
    let app = caller.is(&app)?;
    if caller.is_guest() {
        return Err(Problem::forbidden(
            "A token of the former provider opens files, and is exchanged for no other token.",
        ));
    }
    let token = server.sessions.token(&caller.session, at(&parts), Some(app), now());
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(json!({"success": true, "fileToken": token}))).into_response())
}

/// What part of the tree.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Tree {
    sub_path: String,
    read_sub_folders: bool,
    max_files: usize,
    include_metadata: bool,
}

impl Default for Tree {
    fn default() -> Self {
        Self { sub_path: String::new(), read_sub_folders: false, max_files: 1_000, include_metadata: false }
    }
}

/// `POST /feps/read_user_file_tree/:app`
pub(super) async fn tree(
    State(server): State<Server>,
    caller: Caller,
    Path(app): Path<String>,
    Shaped(wanted): Shaped<Tree>,
) -> Result<Json<Value>, Problem> {
    let app = caller.is(&app)?.clone();
    let tree = server.home.read(move |db| read_tree(db, &app, &wanted)).await?;
    Ok(Json(tree))
}

fn read_tree(db: &rusqlite::Connection, app: &AppId, wanted: &Tree) -> Result<Value, Problem> {
    let folder = match wanted.sub_path.trim_matches('/') {
        "" => String::new(),
        folder => format!("{folder}/"),
    };
    let limit = wanted.max_files.clamp(1, 10_000);
    let (mut found, mut folders, mut after) = (Vec::new(), std::collections::BTreeSet::new(), folder.clone());
    let mut is_complete = false;
    while found.len() < limit && !is_complete {
        let page = files::page(db, app, &after, 500)?;
        is_complete = page.len() < 500;
        for file in page {
            after = file.path.as_str().to_owned();
            let Some(rest) = after.strip_prefix(&folder) else {
                is_complete = true;
                break;
            };
            if let (Some((sub, _)), false) = (rest.split_once('/'), wanted.read_sub_folders) {
                folders.insert(format!("{folder}{sub}"));
                continue;
            }
            if found.len() == limit {
                break;
            }
            found.push(match wanted.include_metadata {
                true => json!({"path": file.path.as_str(), "name": file.path.name(), "size": file.size,
                    "mime_type": file.mime, "created": file.created, "modified": file.modified}),
                false => json!({"path": file.path.as_str(), "name": file.path.name()}),
            });
        }
    }
    Ok(json!({"success": true, "files": found, "folders": folders, "complete": is_complete}))
}
