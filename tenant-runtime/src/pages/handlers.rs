//! The owner's page about code of apps that runs on the server: when it runs, what it said, whether it was stopped.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::owner::{date, to_owner};
use super::plain::own;
use crate::ceps::auth::{self, Owner};
use crate::handlers::stops;
use crate::problem::Problem;
use crate::server::{Installed, Server};

/// The page.
const PAGE: &str = "/.freehold/code";

/// How many lines are shown of each app.
const LINES: usize = 100;

struct Line {
    at: String,
    level: String,
    loud: bool,
    text: String,
}

struct App {
    id: String,
    label: String,
    name: String,
    runs: String,
    hosts: String,
    stopped: Option<String>,
    lines: Vec<Line>,
}

#[derive(Template)]
#[template(path = "code.html")]
struct Code<'a> {
    name: &'a str,
    domain: &'a str,
    apps: Vec<App>,
}

/// Shows it.
pub(super) async fn page(State(server): State<Server>, parts: Parts) -> Response {
    if auth::owner(&server, &parts.headers).is_none() {
        return to_owner(&server, PAGE);
    }
    match read(&server).await {
        Ok(apps) => {
            let site = &server.launch.site;
            own(StatusCode::OK, &Code { name: &site.name, domain: &site.domain, apps })
        }
        Err(problem) => problem.into_response(),
    }
}

async fn read(server: &Server) -> Result<Vec<App>, Problem> {
    let mut apps = Vec::new();
    for app in server.apps.all() {
        apps.extend(shown(server, &app).await?);
    }
    Ok(apps)
}

async fn shown(server: &Server, app: &Installed) -> Result<Option<App>, Problem> {
    let Some(handlers) = &app.manifest.handlers else { return Ok(None) };
    let (id, release) = (app.record.id.clone(), app.record.release);
    let stopped = server.home.read(move |db| stops::stopped(db, &id, release)).await?;
    let lines = server.handler_log(&app.record.id, LINES).into_iter().map(|line| Line {
        at: date(line.at),
        loud: matches!(line.level.as_str(), "warn" | "error"),
        level: line.level,
        text: line.text,
    });
    let hosts: Vec<_> = handlers.hosts.iter().map(|(host, _)| host.as_str()).collect();
    Ok(Some(App {
        id: app.record.id.to_string(),
        label: app.record.label.clone(),
        name: app.record.name.clone(),
        runs: handlers.words(),
        hosts: hosts.join(", "),
        stopped,
        lines: lines.collect(),
    }))
}

/// Which app.
#[derive(Deserialize)]
pub(super) struct Whose {
    app: String,
}

/// Lets the code of an app run again that was stopped.
pub(super) async fn start_again(
    State(server): State<Server>,
    _: Owner,
    Form(whose): Form<Whose>,
) -> Result<Response, Problem> {
    let app = whose.app.parse().map_err(|_| Problem::bad_request("There is no such app."))?;
    stops::start_again(&server, app).await?;
    Ok(Redirect::to(PAGE).into_response())
}
