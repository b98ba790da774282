//! The owner's page about what starts by itself, and what the owner is told.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::enter::sign_in;
use super::plain::{Note, note, own};
use crate::ceps::auth::{self, Owner};
use crate::happenings::queue::{self, Happening, State as Stage};
use crate::happenings::schedules::{self, Schedule, Standing};
use crate::happenings::webhooks::{self, Secret, Webhook};
use crate::happenings::{self, Error, notices};
use crate::problem::Problem;
use crate::server::{Server, now};
use crate::settings;

/// The page.
const PAGE: &str = "/.freehold/schedules";
/// How many of the last runs are shown.
const MOST: u32 = 50;

struct Planned {
    id: String,
    title: String,
    app: String,
    words: String,
    zone: String,
    next: Option<String>,
    last: Option<String>,
    on: bool,
    over: bool,
}

struct Address {
    id: String,
    title: String,
    app: String,
    last: Option<String>,
    on: bool,
}

struct Run {
    title: String,
    app: String,
    at: String,
    state: &'static str,
    failed: bool,
    why: Option<String>,
    again: Option<String>,
}

#[derive(Template)]
#[template(path = "schedules.html")]
struct Schedules<'a> {
    name: &'a str,
    domain: &'a str,
    held: u64,
    zone: String,
    read_only: bool,
    planned: Vec<Planned>,
    addresses: Vec<Address>,
    runs: Vec<Run>,
}

/// Shows it.
pub(super) async fn page(State(server): State<Server>, parts: Parts) -> Response {
    if auth::owner(&server, &parts.headers).is_none() {
        let text = "This page is for the owner of this server.".into();
        return sign_in(&server, StatusCode::UNAUTHORIZED, text, Some(PAGE));
    }
    let whose = server.clone();
    let read = server.home.read(move |db| {
        let zone = happenings::zone(db)?;
        let clock = TimeZone::get(&zone).unwrap_or(TimeZone::UTC);
        let mut all = schedules::all(db)?;
        all.sort_by_key(|one| (one.due.unwrap_or(i64::MAX), one.standing == Standing::Over));
        let planned = all.iter().map(|one| planned(&whose, one)).collect();
        let addresses = webhooks::all(db)?.iter().map(|one| address(&whose, one, &clock)).collect();
        let runs = queue::log(db, None, MOST)?.iter().map(|one| run(&whose, one, &clock)).collect();
        let site = &whose.launch.site;
        let page = Schedules {
            name: &site.name,
            domain: &site.domain,
            held: happenings::held(db)?,
            read_only: whose.writable().is_err(),
            zone,
            planned,
            addresses,
            runs,
        };
        Ok::<_, Error>(own(StatusCode::OK, &page))
    });
    read.await.unwrap_or_else(|error| Problem::from(error).into_response())
}

fn planned(server: &Server, schedule: &Schedule) -> Planned {
    let timing = schedule.when.parse().ok();
    let shown = |at: Option<i64>| at.and_then(|at| timing.as_ref().map(|timing| timing.shown(at)));
    Planned {
        id: schedule.id.clone(),
        title: schedule.title.clone(),
        app: server.called(&schedule.app),
        words: timing.as_ref().map(happenings::Timing::words).unwrap_or_default(),
        zone: schedule.when.zone.clone().unwrap_or_default(),
        next: shown(schedule.due),
        last: shown(schedule.last),
        on: schedule.standing == Standing::On,
        over: schedule.standing == Standing::Over,
    }
}

fn address(server: &Server, webhook: &Webhook, clock: &TimeZone) -> Address {
    Address {
        id: webhook.id.clone(),
        title: webhook.title.clone(),
        app: server.called(&webhook.app),
        last: webhook.last.map(|at| shown(at, clock)),
        on: webhook.standing == Standing::On,
    }
}

fn run(server: &Server, happening: &Happening, clock: &TimeZone) -> Run {
    Run {
        title: happening.title.clone(),
        app: server.called(&happening.app),
        at: shown(happening.due, clock),
        state: match happening.state {
            Stage::Done => "Done",
            Stage::Failed => "Failed",
            Stage::Held => "Paused",
            Stage::Waiting if happening.tries > 0 => "Tried",
            Stage::Waiting => "Waiting",
        },
        failed: happening.state == Stage::Failed,
        why: happening.why.clone(),
        again: happening.next.filter(|_| happening.tries > 0).map(|at| shown(at, clock)),
    }
}

fn shown(at: i64, clock: &TimeZone) -> String {
    let at = jiff::Timestamp::from_millisecond(at).map(|at| clock.to_datetime(at));
    at.map(|at| at.strftime("%a %-d %B %Y, %H:%M").to_string()).unwrap_or_default()
}

/// What to do, and with which one.
#[derive(Deserialize)]
pub(super) struct Wish {
    #[serde(default)]
    id: String,
    act: String,
    #[serde(default)]
    zone: String,
}

/// Does it.
pub(super) async fn change(
    State(server): State<Server>,
    _: Owner,
    Form(wish): Form<Wish>,
) -> Result<Response, Problem> {
    server.writable()?;
    if wish.act == "rotate-webhook" {
        return rotate(&server, wish.id).await;
    }
    let now = now();
    let done = server.home.write(move |db| {
        let id = wish.id.as_str();
        match wish.act.as_str() {
            "pause" => schedules::set_standing(db, id, false, now),
            "resume" => schedules::set_standing(db, id, true, now),
            "remove" => schedules::remove(db, id).map(drop),
            "run" => happenings::run_now(db, id, now),
            "pause-webhook" => webhooks::set_on(db, id, false),
            "resume-webhook" => webhooks::set_on(db, id, true),
            "remove-webhook" => webhooks::remove(db, id).map(drop),
            "resume-all" => happenings::answer_all(db, true, now),
            "keep-paused" => happenings::answer_all(db, false, now),
            "zone" if TimeZone::get(wish.zone.trim()).is_ok() => Ok(settings::put(db, "time_zone", wish.zone.trim())?),
            "zone" => {
                Err(Error::Wrong("That is no time zone. Write one like Europe/Vienna or America/New_York.".into()))
            }
            _ => Err(Error::Wrong("There is no such thing to do with a schedule.".into())),
        }
    });
    done.await?;
    server.due_changed().await;
    Ok(Redirect::to(PAGE).into_response())
}

/// Gives a webhook another address, and shows it this once.
async fn rotate(server: &Server, id: String) -> Result<Response, Problem> {
    let Secret(secret) = server.home.write(move |db| webhooks::rotate(db, &id)).await?;
    let site = &server.launch.site;
    let shown = Note {
        title: "The new address".into(),
        text: format!(
            "{}/hooks/{secret} is shown this once: copy it to where the old one was in use. The old one leads nowhere any more.",
            site.origin()
        ),
        link: PAGE.into(),
        action: "Back to what starts by itself".into(),
        host: site.host(),
    };
    Ok(note(StatusCode::OK, shown))
}

/// Which notice to put away; all of them where none is named.
#[derive(Deserialize)]
pub(super) struct Which {
    id: Option<String>,
}

/// Puts a notice away.
pub(super) async fn dismiss(
    State(server): State<Server>,
    _: Owner,
    Form(which): Form<Which>,
) -> Result<Response, Problem> {
    server.home.write(move |db| notices::dismiss(db, which.id.as_deref())).await?;
    Ok(Redirect::to("/").into_response())
}
