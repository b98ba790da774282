//! Pages that an app has for visitors: its manifest names them under `public_pages`.
//!
//! They are the app's own pages on its own origin, without a token: what they can read is what anyone can. They are there while
//! the owner lets the app share anything at all. What their scripts and styles need lies under `public/`, or is named by the page.

use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;

use super::place::Place;
use super::{code, html, policy, wrap};
use crate::permissions::Status;
use crate::problem::Problem;
use crate::server::{Installed, Server};
use crate::sharing::KIND;

/// `/public/pages/<app>/<page>`
pub(super) async fn show(
    State(server): State<Server>,
    Path((id, name)): Path<(String, String)>,
    parts: Parts,
) -> Result<Response, Problem> {
    let nothing = || Problem::not_found("There is no public page at this address.");
    let app = id.parse().ok().and_then(|id| server.apps.get(&id)).filter(|app| is_public(&server, app));
    let app = app.ok_or_else(nothing)?;
    let page = app.manifest.public_page(&name).ok_or_else(nothing)?;
    if !matches!(Place::of(&parts), Place::App(here) if here.record.id == app.record.id) {
        let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let path = format!("/public/pages/{}/{}{query}", app.record.id, page.name);
        return Ok(
            Redirect::temporary(&format!("{}{path}", server.launch.site.app_origin(&app.record.label))).into_response()
        );
    }
    let found = code::find(&server, &app, &page.html_file).await?.ok_or_else(nothing)?;
    let text = code::text(&server, &found).await?;
    if html::is_whole(&text) {
        return code::respond(&server, &app, &found, &parts).await;
    }
    let nonce = base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; 18]>());
    let text = wrap::public_page(&server, &app, page, &text, &nonce);
    let mut response = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    policy::set(response.headers_mut(), &policy::of_app(&format!(" 'nonce-{nonce}'"), policy::Reach::Own));
    Ok(response)
}

/// Whether anyone may have a file of an app's code because one of its public pages needs it.
pub(super) fn needs(server: &Server, app: &Installed, path: &str) -> bool {
    let named = |list: &[String]| list.iter().any(|file| file.trim_start_matches("./") == path);
    let mut pages = app.manifest.public_pages.iter();
    pages.any(|page| named(&page.css_files) || named(&page.script_files) || named(&page.modules))
        && is_public(server, app)
}

/// Whether the owner lets an app share something.
fn is_public(server: &Server, app: &Installed) -> bool {
    let asked = server.apps.asked_by(&app.record.id);
    asked.iter().any(|permission| permission.kind == KIND && permission.status == Status::Granted)
}
