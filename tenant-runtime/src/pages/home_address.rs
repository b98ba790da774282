//! The server's own origin: the owner's launcher, the app API for programs, and what the owner shows to visitors.

use axum::Router;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::{Note, code, enter, handlers, launcher, note, owner, people, public_page, published, schedules};
use crate::ceps;
use crate::ceps::auth;
use crate::problem::Problem;
use crate::server::Server;

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
        .route("/.freehold/code", get(handlers::page))
        .route("/.freehold/code/start-again", post(handlers::start_again))
        .route("/.freehold/people", get(people::page))
        .route("/.freehold/people/add", post(people::add))
        .route("/.freehold/people/change", post(people::change))
        .route("/.freehold/people/end", post(people::end))
        .route("/.freehold/schedules", get(schedules::page).post(schedules::change))
        .route("/.freehold/notices/dismiss", post(schedules::dismiss))
        .route("/public/pages/{app}/{page}", get(public_page::show))
        .fallback(published)
}

/// The style of our own pages.
pub(crate) async fn style(parts: Parts) -> Response {
    code::fixed(launcher::STYLE, "text/css; charset=utf-8", &parts)
}

/// `/`: the launcher for the owner, the published page or a plain one for anyone else.
async fn front(State(server): State<Server>, parts: Parts) -> Response {
    if !published::as_visitor(&parts)
        && let Some(session) = auth::owner(&server, &parts.headers)
    {
        return launcher::page(&server, &session).await;
    }
    match shown(&server, &parts).await {
        Ok(Some(mut response)) => {
            published::is_also_the_owners(response.headers_mut());
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
    match shown(&server, &parts).await {
        Ok(Some(response)) => response,
        Ok(None) => nothing(&server),
        Err(problem) => problem.into_response(),
    }
}

async fn shown(server: &Server, parts: &Parts) -> Result<Option<Response>, Problem> {
    match server.apps.at_home_address() {
        Some(app) => published::at(server, app, parts).await,
        None => Ok(None),
    }
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
