//! The owner's two lists: which browsers and programs are signed in, and what apps may do.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use serde::Deserialize;

use super::enter::sign_in;
use super::plain::own;
use crate::ceps::auth::{self, Owner};
use crate::ceps::decide;
use crate::permissions::Status;
use crate::problem::Problem;
use crate::server::{Server, now};
use crate::sessions::{Kind, Session};

struct Device {
    id: String,
    what: String,
    since: String,
    seen: String,
    is_this: bool,
}

#[derive(Template)]
#[template(path = "devices.html")]
struct Devices<'a> {
    name: &'a str,
    domain: &'a str,
    devices: Vec<Device>,
}

/// Who is signed in.
pub(super) async fn devices(State(server): State<Server>, parts: Parts) -> Response {
    let Some(session) = auth::owner(&server, &parts.headers) else { return to_owner(&server, "/.freehold/devices") };
    let device = |other: &Session| Device {
        id: other.id.clone(),
        what: match &other.kind {
            Kind::Owner => other.device.clone(),
            Kind::App(app) | Kind::Guest(app) => format!("{} ({app})", other.device),
        },
        since: date(other.created),
        seen: date(other.seen),
        is_this: other.id == session.id,
    };
    let site = &server.launch.site;
    let devices = server.sessions.list(now()).iter().map(device).collect();
    own(StatusCode::OK, &Devices { name: &site.name, domain: &site.domain, devices })
}

/// Which session to end.
#[derive(Deserialize)]
pub(super) struct Which {
    id: String,
}

/// Ends a session.
pub(super) async fn end_device(
    State(server): State<Server>,
    _: Owner,
    Form(which): Form<Which>,
) -> Result<Response, Problem> {
    server.sessions.end(&which.id, now()).await?;
    Ok(Redirect::to("/.freehold/devices").into_response())
}

/// Ends every session but the asking one, those of programs too.
pub(super) async fn end_others(State(server): State<Server>, Owner(session): Owner) -> Result<Response, Problem> {
    server.sessions.end_others(&session.id, now()).await?;
    Ok(Redirect::to("/.freehold/devices").into_response())
}

struct Wish {
    app: String,
    app_id: String,
    name: String,
    text: String,
    why: String,
    granted: bool,
    denied: bool,
}

#[derive(Template)]
#[template(path = "permissions.html")]
struct Permissions<'a> {
    name: &'a str,
    domain: &'a str,
    wishes: Vec<Wish>,
}

/// What apps ask for and what the owner said.
pub(super) async fn permissions(State(server): State<Server>, parts: Parts) -> Response {
    if auth::owner(&server, &parts.headers).is_none() {
        return to_owner(&server, "/.freehold/permissions");
    }
    let mut wishes = Vec::new();
    for app in server.apps.all() {
        wishes.extend(server.apps.asked_by(&app.record.id).iter().map(|asked| Wish {
            app: app.record.name.clone(),
            app_id: asked.app.to_string(),
            name: asked.name.clone(),
            text: server.wish(asked),
            why: asked.description.clone(),
            granted: asked.status == Status::Granted,
            denied: asked.status == Status::Denied,
        }));
    }
    let site = &server.launch.site;
    own(StatusCode::OK, &Permissions { name: &site.name, domain: &site.domain, wishes })
}

/// The owner's answer.
#[derive(Deserialize)]
pub(super) struct Answer {
    app: String,
    name: String,
    answer: String,
}

/// Writes the owner's answer down.
pub(super) async fn answer(
    State(server): State<Server>,
    _: Owner,
    Form(said): Form<Answer>,
) -> Result<Response, Problem> {
    let status = if said.answer == "allow" { Status::Granted } else { Status::Denied };
    let app = said.app.parse().map_err(|_| Problem::bad_request("There is no such app."))?;
    decide(&server, app, said.name, status).await?;
    Ok(Redirect::to("/.freehold/permissions").into_response())
}

pub(super) fn to_owner(server: &Server, next: &str) -> Response {
    sign_in(server, StatusCode::UNAUTHORIZED, "This page is for the owner of this server.".into(), Some(next))
}

pub(super) fn date(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|at| at.strftime("%-d %B %Y, %H:%M UTC").to_string()).unwrap_or_default()
}
