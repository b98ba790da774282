//! Uploads that may break off and go on (our extension): announce, send parts, finish.
//!
//! `POST /feps/uploads/:app {targetFolder, fileName, size, type, overwrite, data}` → 201 `{upload_id, offset}`; room
//! for the whole file is held from then on. `PATCH …/:id?offset=N` takes raw bytes and answers with the new offset,
//! or with 409 and the true one. `GET` and `HEAD …/:id` tell the offset after a break. The part that completes the
//! file also finishes it; `POST …/:id/finish` gives the same answer again. `DELETE …/:id` gives up.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use export_format::AppId;
use futures::TryStreamExt as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::Caller;
use super::body::{self, Shaped};
use super::records::answer;
use crate::changes::Kind;
use crate::documents;
use crate::files::uploads::{self, Upload};
use crate::files::{self, Attach, FilePath};
use crate::problem::Problem;
use crate::server::{Server, now};

/// An upload as it is announced.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Announced {
    target_folder: String,
    file_name: String,
    size: Option<u64>,
    #[serde(rename = "type")]
    mime: Option<String>,
    overwrite: bool,
    data: Map<String, Value>,
}

/// Announces an upload; one of the same file that broke off is gone on with.
pub(super) async fn begin(
    State(server): State<Server>,
    caller: Caller,
    Path(app): Path<String>,
    Shaped(sent): Shaped<Announced>,
) -> Result<Response, Problem> {
    server.writable()?;
    let app = caller.is(&app)?.clone();
    let path = FilePath::join(&sent.target_folder, &sent.file_name)?;
    let size = sent.size.ok_or_else(|| Problem::bad_request("size must say how many bytes will come."))?;
    body::check(&sent.data, server.launch.limits.record_bytes)?;
    let now = now();
    let upload = Upload {
        id: uuid::Uuid::now_v7().simple().to_string(),
        mime: sent.mime.filter(|mime| is_media_type(mime)).unwrap_or_else(|| path.media_type()),
        app,
        path,
        size,
        overwrite: sent.overwrite,
        data: sent.data,
        started: now,
        is_done: false,
    };
    let wanted = upload.clone();
    let before = server
        .home
        .read(move |db| {
            if !wanted.overwrite && files::get(db, &wanted.app, &wanted.path)?.is_some() {
                let table = documents::files_of(&wanted.app)?;
                return Err(documents::Error::Exists { table, id: wanted.path.to_string() }.into());
            }
            Ok::<_, Problem>(uploads::unfinished(db, &wanted.app, &wanted.path, wanted.size)?)
        })
        .await?;
    let upload = match before {
        Some(before) if before.overwrite == upload.overwrite && before.data == upload.data => before,
        _ => {
            server.quota.hold(&server.home, &upload.id, size, now).await?;
            let row = upload.clone();
            let put = server.home.write(move |db| Ok::<_, Problem>(uploads::put(db, &row)?)).await;
            let put = match put {
                Ok(()) => server.home.blobs().upload_begin(&upload.id).await.map_err(Problem::from),
                Err(problem) => Err(problem),
            };
            put.inspect_err(|_| server.quota.release(&upload.id))?;
            upload
        }
    };
    let offset = server.home.blobs().upload_offset(&upload.id).await?;
    let place = format!("/feps/uploads/{}/{}", upload.app, upload.id);
    let body = json!({"success": true, "upload_id": upload.id, "offset": offset, "size": upload.size});
    let mut response = told(offset, upload.size, StatusCode::CREATED, body);
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(&place).expect("ids are plain"));
    Ok(response)
}

/// Tells how far an upload has come.
pub(super) async fn offset(
    State(server): State<Server>,
    caller: Caller,
    Path((app, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let upload = find(&server, caller.is(&app)?, &id).await?;
    let offset = match upload.is_done {
        true => upload.size,
        false => server.home.blobs().upload_offset(&upload.id).await?,
    };
    let body = json!({"success": true, "offset": offset, "size": upload.size, "done": upload.is_done});
    Ok(told(offset, upload.size, StatusCode::OK, body))
}

/// Where a part begins.
#[derive(Deserialize)]
pub(super) struct At {
    offset: Option<u64>,
}

/// Takes the next part.
pub(super) async fn part(
    State(server): State<Server>,
    caller: Caller,
    Path((app, id)): Path<(String, String)>,
    Query(at): Query<At>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    server.writable()?;
    let number = |name: &str| headers.get(name).and_then(|n| n.to_str().ok()).and_then(|n| n.parse::<u64>().ok());
    let upload = find(&server, caller.is(&app)?, &id).await?;
    if upload.is_done {
        return finished(&server, &upload).await;
    }
    let at = at.offset.or_else(|| number("upload-offset"));
    let at = at.ok_or_else(|| Problem::bad_request("Say where the part begins, with ?offset= or Upload-Offset."))?;
    let room = upload.size.saturating_sub(at);
    let too_long =
        || Problem::bad_request("The part goes beyond the size that was announced.").with("size", upload.size);
    if number("content-length").is_some_and(|length| length > room) {
        return Err(too_long());
    }
    server.quota.hold(&server.home, &upload.id, upload.size, now()).await?;
    let mut left = room;
    let stream = body.into_data_stream().map_err(std::io::Error::other).and_then(move |piece| {
        let fits = left.checked_sub(piece.len() as u64);
        left = fits.unwrap_or(0);
        futures::future::ready(fits.map(|_| piece).ok_or_else(|| std::io::Error::other("longer than announced")))
    });
    let offset = server.home.blobs().upload_part(&upload.id, at, stream).await?;
    match offset == upload.size {
        true => settle(&server, upload).await,
        false => Ok(told(offset, upload.size, StatusCode::OK, json!({"success": true, "offset": offset}))),
    }
}

/// Makes a complete upload a file; asked again, answers the same.
pub(super) async fn finish(
    State(server): State<Server>,
    caller: Caller,
    Path((app, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let upload = find(&server, caller.is(&app)?, &id).await?;
    if upload.is_done {
        return finished(&server, &upload).await;
    }
    server.writable()?;
    let offset = server.home.blobs().upload_offset(&upload.id).await?;
    if offset != upload.size {
        let detail = format!("The upload stands at byte {offset} of {}.", upload.size);
        return Err(Problem::new(StatusCode::CONFLICT, "not_complete", detail).with("offset", offset));
    }
    settle(&server, upload).await
}

/// Gives an upload up.
pub(super) async fn abort(
    State(server): State<Server>,
    caller: Caller,
    Path((app, id)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let upload = find(&server, caller.is(&app)?, &id).await?;
    let gone = upload.id.clone();
    server.home.write(move |db| Ok::<_, Problem>(uploads::remove(db, &gone)?)).await?;
    if !upload.is_done {
        server.home.blobs().upload_abort(&upload.id).await?;
    }
    server.quota.release(&upload.id);
    Ok(Json(json!({"success": true})))
}

async fn settle(server: &Server, upload: Upload) -> Result<Response, Problem> {
    let blob = server.home.blobs().upload_finish(&upload.id).await?;
    let file = Attach {
        app: upload.app.clone(),
        path: upload.path.clone(),
        mime: upload.mime.clone(),
        overwrite: upload.overwrite,
        data: upload.data.clone(),
    };
    let (table, id, now) = (documents::files_of(&upload.app)?, upload.id.clone(), now());
    // One write, so that an upload that was cut off here is either still to be finished or a file, never both.
    let row = server
        .home
        .write(move |db| {
            uploads::finish(db, &id)?;
            Ok::<_, Problem>(files::attach(db, file, &blob, now)?)
        })
        .await?;
    server.changes.tell(&table, &row.id, row.modified, Kind::Written);
    server.quota.release(&upload.id);
    finished(server, &upload).await
}

/// The answer at the end of an upload.
async fn finished(server: &Server, upload: &Upload) -> Result<Response, Problem> {
    let (table, id) = (documents::files_of(&upload.app)?, upload.path.to_string());
    let row = server.home.read(move |db| Ok::<_, Problem>(documents::get(db, &table, &id)?)).await?;
    let row = row.ok_or_else(|| Problem::not_found("The file was removed after it was uploaded."))?;
    Ok(answer(&row, json!({"done": true, "offset": upload.size})))
}

async fn find(server: &Server, app: &AppId, id: &str) -> Result<Upload, Problem> {
    let (app, wanted) = (app.clone(), id.to_owned());
    let found = server.home.read(move |db| Ok::<_, Problem>(uploads::get(db, &app, &wanted)?)).await?;
    found.ok_or_else(|| Problem::not_found("There is no such upload (any more). Begin it again."))
}

fn told(offset: u64, size: u64, status: StatusCode, body: Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert("upload-offset", offset.into());
    headers.insert("upload-length", size.into());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn is_media_type(text: &str) -> bool {
    let plain =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    text.len() <= 100 && text.split_once('/').is_some_and(|(kind, sub)| plain(kind) && plain(sub))
}
