//! The server's own origin: the owner's launcher, the app API for programs, and what the owner shows to visitors.

use axum::Router;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::blob::{self, Served};
use super::{Note, code, enter, launcher, note, owner, people, policy, public_page};
use crate::ceps;
use crate::ceps::auth;
use crate::files::{self, FilePath};
use crate::problem::Problem;
use crate::server::Server;

/// The folder of an app's files that visitors see.
const FOLDER: &str = "public/";

/// Every route of the server's origin.
pub(crate) fn router() -> Router<Server> {
    ceps::router()
        .route("/", get(front))
        .route("/open/{app}", get(enter::open))
        .route("/.freehold/enter", get(enter::enter))
        .route("/.freehold/sign-out", post(enter::sign_out))
        .route("/.freehold/style.css", get(style))
        .route("/.freehold/icon/{app}", get(launcher::icon))
        .route("/.freehold/devices", get(owner::devices))
        .route("/.freehold/devices/end", post(owner::end_device))
        .route("/.freehold/devices/end-others", post(owner::end_others))
        .route("/.freehold/permissions", get(owner::permissions))
        .route("/.freehold/permissions/answer", post(owner::answer))
        .route("/.freehold/people", get(people::page))
        .route("/.freehold/people/add", post(people::add))
        .route("/.freehold/people/change", post(people::change))
        .route("/.freehold/people/end", post(people::end))
        .route("/public/pages/{app}/{page}", get(public_page::show))
        .fallback(published)
}

/// The style of our own pages.
pub(crate) async fn style(parts: Parts) -> Response {
    code::fixed(launcher::STYLE, "text/css; charset=utf-8", &parts)
}

/// `/`: the launcher for the owner, the published page or a plain one for anyone else.
async fn front(State(server): State<Server>, parts: Parts) -> Response {
    let as_visitor = parts.uri.query().is_some_and(|query| query.split('&').any(|part| part == "as=visitor"));
    if !as_visitor && let Some(session) = auth::owner(&server, &parts.headers) {
        return launcher::page(&server, &session).await;
    }
    match file(&server, "index.html", &parts).await {
        Ok(Some(mut response)) => {
            // The owner's browser must ask again, for the same address is also the launcher.
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
            response.headers_mut().insert(header::VARY, HeaderValue::from_static("cookie"));
            response
        }
        Ok(None) => launcher::visitor(&server),
        Err(problem) => problem.into_response(),
    }
}

/// Any other path: a file of the app that may show its public folder here.
async fn published(State(server): State<Server>, parts: Parts) -> Response {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Problem::not_found("There is nothing to send this to.").into_response();
    }
    let path = percent_encoding::percent_decode_str(parts.uri.path()).decode_utf8_lossy().into_owned();
    let path = path.trim_start_matches('/');
    let wanted = if path.ends_with('/') { format!("{path}index.html") } else { path.to_owned() };
    match file(&server, &wanted, &parts).await {
        Ok(Some(response)) => response,
        Ok(None) => nothing(&server),
        Err(problem) => problem.into_response(),
    }
}

async fn file(server: &Server, path: &str, parts: &Parts) -> Result<Option<Response>, Problem> {
    let Some(app) = server.apps.at_home_address() else { return Ok(None) };
    let Ok(path) = format!("{FOLDER}{path}").parse::<FilePath>() else { return Ok(None) };
    let found = server.home.read(move |db| Ok::<_, Problem>(files::get(db, &app, &path)?)).await?;
    let Some(found) = found else { return Ok(None) };
    let mime = match found.mime.as_str() {
        text if text.starts_with("text/") && !text.contains("charset") => format!("{text}; charset=utf-8"),
        other => other.to_owned(),
    };
    let served = Served { digest: found.digest, size: found.size, mime, modified: Some(found.modified) };
    let mut response = blob::respond(server, &served, &parts.method, &parts.headers).await?;
    let headers = response.headers_mut();
    policy::set(headers, policy::PUBLISHED);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
    // The page is sandboxed and therefore of no origin; its own pictures must reach it all the same.
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    Ok(Some(response))
}

fn nothing(server: &Server) -> Response {
    note(
        StatusCode::NOT_FOUND,
        Note {
            title: "There is no such page".into(),
            text: "The address may be mistyped, or what was here is no longer shown.".into(),
            link: "/".into(),
            action: "To the start".into(),
            host: server.launch.site.host(),
        },
    )
}
