//! `GET /public/readobject/@user/app_table/id`, or by its public name: one record, as JSON or, to a browser, as a page.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

use super::shown;
use crate::documents::{self, Row, TableName};
use crate::pages::trouble::is_visit;
use crate::problem::Problem;
use crate::server::Server;
use crate::sharing::{self, Grantee, Standing};

/// What an address may carry.
#[derive(Default, Deserialize)]
pub(super) struct Link {
    pub(super) code: Option<String>,
}

pub(super) async fn read(
    State(server): State<Server>,
    Path(path): Path<String>,
    Query(link): Query<Link>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let code = link.code;
    let (table, id) = match path.strip_prefix('@') {
        Some(rest) => {
            let (user, rest) = rest.split_once('/').ok_or_else(nothing)?;
            let (table, id) = rest.split_once('/').ok_or_else(nothing)?;
            let table = table_called(&server, table).ok_or_else(nothing)?;
            if user != server.launch.site.name {
                return elsewhere(&server, &table, id, code).await;
            }
            (table, id.to_owned())
        }
        None => {
            let found = server.home.read(move |db| Ok::<_, Problem>(sharing::publicid_owner(db, &path)?)).await?;
            found.ok_or_else(nothing)?
        }
    };
    let given = code.clone();
    let (row, opened) = opened(&server, &table, &id, code).await?.ok_or_else(nothing)?;
    let tag = HeaderValue::from_str(&format!("\"{}\"", row.modified)).expect("digits and quotes");
    let mut response = if is_visit(&headers) {
        crate::pages::shared::page(&server, &table, &row, file_of(&server, &table, &row, given.as_deref()))
    } else if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let text = Value::Object(shown::fields(&row, &table, &server.launch.site)).to_string();
        ([(header::CONTENT_TYPE, "application/json")], text).into_response()
    };
    response.headers_mut().insert(header::ETAG, tag);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept, sec-fetch-mode"));
    shown::headers(response.headers_mut(), &opened);
    Ok(response)
}

/// The path and type of the file that a record is about.
fn file_of(server: &Server, table: &TableName, row: &Row, code: Option<&str>) -> Option<(String, String)> {
    let mime = row.fields().get("_mime_type").and_then(Value::as_str).map(str::to_owned)?;
    table.holds_files().then(|| (shown::file_path(&server.launch.site, table, &row.id, code), mime))
}

/// The table of an installed app.
pub(super) fn table_called(server: &Server, text: &str) -> Option<TableName> {
    let app = server.apps.owner_of(text)?;
    TableName::within(&app, text)?.ok()
}

/// A record and what opens it, if anything does for whoever has this code.
pub(super) async fn opened(
    server: &Server,
    table: &TableName,
    id: &str,
    code: Option<String>,
) -> Result<Option<(Row, Grantee)>, Problem> {
    let standing = Standing::of(&server.apps);
    let (table, id) = (table.clone(), id.to_owned());
    server
        .home
        .read(move |db| {
            let Some(opened) = sharing::opening(db, &standing, &table, &id, code.as_deref())? else { return Ok(None) };
            Ok::<_, Problem>(documents::get(db, &table, &id)?.map(|row| (row, opened)))
        })
        .await
}

/// An address of before the owner's name changed leads on, where it led to something that may be seen.
async fn elsewhere(server: &Server, table: &TableName, id: &str, code: Option<String>) -> Result<Response, Problem> {
    opened(server, table, id, code.clone()).await?.ok_or_else(nothing)?;
    let path = shown::record_path(&server.launch.site, table, id, code.as_deref());
    Ok(axum::response::Redirect::permanent(&path).into_response())
}

/// The answer for what is not there and for what is not shared.
pub(super) fn nothing() -> Problem {
    let detail = "There is nothing public at this address: it may be mistyped, or no longer be shared.";
    Problem::new(StatusCode::NOT_FOUND, "no related records exist", detail)
}
