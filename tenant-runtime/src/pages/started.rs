//! What a page of an update on trial brings along, and what it says.

use axum::Json;
use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::code;
use super::place::Place;
use crate::apps::trial::{self, Said};
use crate::ceps::auth::{is_same_origin, owner_at};
use crate::problem::Problem;
use crate::server::{Installed, Server, now};

/// Where the script is.
pub(super) const SCRIPT: &str = "/.freehold/started.js";
const TEXT: &str = include_str!("assets/started.js");

/// The tag that brings it, for an app whose update is on trial.
pub(super) fn tag(app: &Installed) -> String {
    match app.record.keeping.trial {
        Some(_) => format!("<script src=\"{SCRIPT}\" data-release=\"{}\"></script>\n", app.record.release),
        None => String::new(),
    }
}

/// A whole page with the script as the first thing in its head.
pub(super) fn watched(app: &Installed, page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let behind = |mark: &str| {
        let at = lower.find(mark)?;
        lower[at..].find('>').map(|end| at + end + 1)
    };
    let at = behind("<head").or_else(|| behind("<html")).or_else(|| behind("<!doctype")).unwrap_or(0);
    format!("{}{}{}", &page[..at], tag(app), &page[at..])
}

/// Says that a page of an app is given out; the app as it is then, for its update may have been taken back.
pub(super) async fn opening(
    server: &Server,
    app: std::sync::Arc<Installed>,
) -> Result<std::sync::Arc<Installed>, Problem> {
    if app.record.keeping.trial.is_none() || server.writable().is_err() {
        return Ok(app);
    }
    if trial::opened(&server.home, &app.record.id, now()).await? {
        return Ok(app);
    }
    server.refresh().await;
    Ok(server.apps.get(&app.record.id).unwrap_or(app))
}

/// `GET /.freehold/started.js`.
pub(super) async fn script(parts: Parts) -> Response {
    code::fixed(TEXT, "text/javascript; charset=utf-8", &parts)
}

/// What a page says.
#[derive(Debug, Deserialize)]
pub(super) struct Word {
    release: u32,
    #[serde(default)]
    started: bool,
    #[serde(default)]
    failed: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(super) struct Heard {
    back: bool,
}

/// `POST /.freehold/started`: an app's own page about that app.
pub(super) async fn hear(
    State(server): State<Server>,
    parts: Parts,
    Json(word): Json<Word>,
) -> Result<Json<Heard>, Problem> {
    let Place::App(app) = Place::of(&parts) else { return Err(Problem::not_found("There is no app here.")) };
    let id = &app.record.id;
    if owner_at(&server, &parts.headers, id).is_none() || !is_same_origin(&parts, &server) {
        return Err(Problem::unauthorized());
    }
    server.writable()?;
    let said = match word {
        Word { failed: Some(why), .. } => Said::Failed(plain(&why)),
        Word { started: true, .. } => Said::Started,
        Word { .. } => Said::Left,
    };
    let back = trial::said(&server.home, id, word.release, said, now()).await?;
    // Whether it went or stayed, it may no longer be on trial.
    server.refresh().await;
    Ok(Json(Heard { back }))
}

/// A page's words, short and in one line.
fn plain(why: &str) -> String {
    let words: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    if words.trim().is_empty() { "it said that it did not start".to_owned() } else { words.trim().to_owned() }
}
