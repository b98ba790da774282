//! An app's own schedules, and what came of them. What they are is told in [`crate::happenings`].

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::body::Shaped;
use crate::happenings::{self, Action, Draft, Error, Happening, Schedule, Source, Written};
use crate::problem::Problem;
use crate::server::{Server, now};

/// About how much a schedule takes beside its action.
const AROUND: u64 = 1_024;

/// A schedule as an app says it.
#[derive(Default, Deserialize)]
pub(super) struct Wish {
    title: Option<String>,
    #[serde(flatten)]
    when: Written,
    notice: Option<happenings::notices::Words>,
    handler: Option<Value>,
    #[serde(default)]
    paused: bool,
}

/// `GET /feps/schedules`: those of the calling app.
pub(super) async fn list(State(server): State<Server>, caller: Caller) -> Result<Json<Value>, Problem> {
    let app = own(&caller)?.app.clone();
    let all = server.home.read(move |db| happenings::of_app(db, &app)).await?;
    Ok(Json(all.iter().map(view).collect()))
}

/// `GET /feps/schedules/:name`
pub(super) async fn one(
    State(server): State<Server>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let app = own(&caller)?.app.clone();
    let found = server.home.read(move |db| happenings::get(db, &app, &name)).await?;
    found.map(|schedule| Json(view(&schedule))).ok_or_else(|| Problem::not_found("There is no such schedule."))
}

/// `PUT /feps/schedules/:name`: makes it, or makes it another. Saying the same twice is saying it once.
pub(super) async fn put(
    State(server): State<Server>,
    caller: Caller,
    Path(name): Path<String>,
    Shaped(wish): Shaped<Wish>,
) -> Result<Json<Value>, Problem> {
    server.writable()?;
    let app = own(&caller)?.app.clone();
    let action = action(wish.notice, wish.handler)?;
    let title = wish.title.unwrap_or_else(|| name.clone());
    let now = now();
    server.quota.take(&server.home, AROUND + action.written().len() as u64, now).await?;
    let made = server
        .home
        .write(move |db| {
            let when = wish.when.completed(&happenings::zone(db)?, now);
            let draft = Draft { name, title, when, action, paused: wish.paused };
            happenings::put(db, &app, &draft, Source::App, now)
        })
        .await?;
    server.due_changed().await;
    Ok(Json(view(&made)))
}

/// `DELETE /feps/schedules/:name`
pub(super) async fn remove(
    State(server): State<Server>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    server.writable()?;
    let app = own(&caller)?.app.clone();
    let gone = server.home.write(move |db| match happenings::get(db, &app, &name)? {
        Some(schedule) => happenings::remove(db, &schedule.id),
        None => Ok(false),
    });
    match gone.await? {
        true => Ok(Json(json!({"success": true}))),
        false => Err(Problem::not_found("There is no such schedule.")),
    }
}

/// How many to show.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    count: Option<u32>,
}

/// `GET /feps/happenings`: what came of the calling app's schedules and webhooks, the newest first.
pub(super) async fn log(
    State(server): State<Server>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Problem> {
    let app = own(&caller)?.app.clone();
    let most = wanted.count.unwrap_or(100).min(500);
    let all = server.home.read(move |db| happenings::log(db, Some(&app), most)).await?;
    Ok(Json(all.iter().map(told).collect()))
}

/// Programs of a former provider do nothing that outlasts them.
pub(super) fn own(caller: &Caller) -> Result<&Caller, Problem> {
    match caller.is_guest() {
        true => Err(Problem::forbidden("This token is of the server before the move. Open the app anew.")),
        false => Ok(caller),
    }
}

/// What is to be done, of which there is one.
pub(super) fn action(notice: Option<happenings::notices::Words>, handler: Option<Value>) -> Result<Action, Error> {
    match (notice, handler) {
        (Some(words), None) => Ok(Action::Notice(words)),
        (None, Some(payload)) => Ok(Action::Handler(payload)),
        _ => Err(Error::Wrong("Say what is to be done: either notice or handler.".into())),
    }
}

fn view(schedule: &Schedule) -> Value {
    let mut view = json!({
        "name": schedule.name,
        "title": schedule.title,
        "zone": schedule.when.zone,
        "state": schedule.standing.word(),
        "next": schedule.due,
        "last": schedule.last,
        "words": schedule.when.parse().map(|timing| timing.words()).unwrap_or_default(),
    });
    let when = [("cron", &schedule.when.cron), ("rrule", &schedule.when.rrule), ("start", &schedule.when.start)];
    for (name, value) in when.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))) {
        view[name] = value.into();
    }
    add_action(&mut view, &schedule.action);
    view
}

pub(super) fn add_action(view: &mut Value, action: &str) {
    if let Some(action) = Action::read(action) {
        let (name, what) = match action {
            Action::Notice(words) => ("notice", json!(words)),
            Action::Handler(payload) => ("handler", payload),
        };
        view[name] = what;
    }
}

fn told(happening: &Happening) -> Value {
    json!({
        "id": happening.id,
        "kind": happening.kind,
        "name": happening.name,
        "due": happening.due,
        "state": happening.state.word(),
        "tries": happening.tries,
        "next": happening.next,
        "why": happening.why,
        "ended": happening.ended,
    })
}
