//! The page of one move: how far it is, what it says, and the way out of it.

use std::time::Duration;

use axum::extract::{Path, Query};
use axum::response::IntoResponse;
use axum::response::sse::Event;
use control_plane::Error;
use control_plane::moves::arriving::{self, Answer as Reply, Arrival, Line, State, Step as MoveStep};
use control_plane::operations::StepState;
use control_plane::servers::Server;
use serde::Deserialize;
use tenant_runtime::admin::api::ImportReport;
use tokio::sync::mpsc;

use super::super::import::{self, Report};
use super::super::live::{EVERY, stream, until_stopped};
use super::super::{base, own_server, own_servers};
use super::{arrival_of, page_of};
use crate::page::{self, Answer};
use crate::parts::{Bar, Fact, Step};
use crate::refusal::Refusal;
use crate::shell::{Plate, Shell};
use crate::show::{self, Amount, Count, Moment, Spell};
use crate::visit::Visit;

#[derive(askama::Template)]
#[template(path = "consumer/arriving/one.html")]
struct OneMove {
    shell: Shell,
    path: String,
    page: String,
    id: String,
    state: &'static str,
    step: &'static str,
    title: &'static str,
    lead: String,
    old: String,
    plate: Plate,
    running: bool,
    asked: bool,
    live: bool,
    /// What stopping it now means, while it can be.
    stop: Option<&'static str>,
    /// Why it cannot be stopped any more, while it goes on.
    no_stop: Option<String>,
    problem: Option<String>,
    /// What hinders it just now, though it goes on.
    hindrance: Option<String>,
    left: Option<String>,
    percent: Option<String>,
    meter: Option<Bar>,
    facts: Vec<Fact>,
    steps: Vec<Step>,
    report: Option<Report>,
    lines: Vec<Told>,
    next: Vec<String>,
    back: Option<String>,
}

struct Told {
    at: Moment,
    text: String,
}

/// `GET /servers/{name}/moves/{move}`.
pub(in crate::consumer) async fn one(visit: Visit, Path((name, id)): Path<(String, String)>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let arrival = arrival_of(&visit, &server, &id).await?;
    let lines = arriving::log(visit.console.plane(), &visit.actor, arrival.id).await?;
    let pace = visit.console.operations().pace().await?;
    let report = arrival.report.as_ref().map(|report| {
        let mut told = import::tell(report, &server, visit.console.catalogue().list(), &pace);
        // What is said of one moment does not hold for a server that is followed.
        told.facts.retain(|fact| !matches!(fact.label.as_str(), "Made" | "Takes"));
        told.replaces = replaces(report, &server);
        told
    });
    let running = arrival.state == State::Running;
    let (title, lead, next) = words(&arrival, &server);
    let over = matches!(arrival.state, State::Failed | State::Cancelled);
    page::show(&OneMove {
        shell: Shell::of(&visit, "server", Some(&server)).await?,
        path: base(&server),
        page: page_of(&server, &arrival),
        id: arrival.id.to_string(),
        title,
        lead,
        old: bare(&arrival.address),
        plate: Plate::of(&server),
        running,
        asked: arrival.state == State::Asked,
        live: arrival.is_live(),
        state: arrival.state.word(),
        step: arrival.step.word(),
        stop: arrival.can_stop().then(|| stopping(&arrival)),
        no_stop: no_stop(&arrival).filter(|_| running),
        problem: arrival.error.clone().filter(|_| over),
        hindrance: arrival.error.clone().filter(|_| running),
        left: left(&arrival).filter(|_| running),
        percent: arrival
            .coming
            .map(|(here, all)| format!("{} %", here.min(all) * 100 / all.max(1)))
            .filter(|_| running),
        meter: meter(&arrival).filter(|_| running),
        facts: facts(&arrival, &server),
        steps: arrival.steps.iter().map(|view| step(view, &arrival)).collect(),
        report,
        lines: lines.into_iter().rev().map(|Line { at, text }| Told { at: show::time(at), text }).collect(),
        next,
        back: arrival.is_live().then(|| {
            format!(
                "It is the same the other way: sign in at {}, open Move here there, and write {}.",
                arrival.name,
                server.site.origin()
            )
        }),
    })
}

/// `GET …/events`: one event for every change, the last one says so.
pub(in crate::consumer) async fn events(visit: Visit, Path((name, id)): Path<(String, String)>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let first = arrival_of(&visit, &server, &id).await?;
    let (send, receive) = mpsc::channel(4);
    let console = visit.console.clone();
    tokio::spawn(until_stopped(console.stopping().clone(), send.clone(), async move {
        let mut shown: Option<Arrival> = None;
        loop {
            let Ok(mut now) = arriving::arrival(visit.console.plane(), &visit.actor, first.id).await else { return };
            // How long a step takes so far is no news.
            now.steps.iter_mut().for_each(|step| step.took_ms = None);
            let end = now.state.is_final();
            if end || shown.as_ref() != Some(&now) {
                let said = if end { r#"{"end":true}"# } else { "{}" };
                if send.send(Event::default().data(said)).await.is_err() || end {
                    return;
                }
                shown = Some(now);
            }
            tokio::time::sleep(EVERY).await;
        }
    }));
    Ok(stream(receive).into_response())
}

/// What the old provider sends people back with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::consumer) struct Back {
    #[serde(rename = "move")]
    id: String,
    code: String,
    refused: String,
}

/// `GET /move/return?move&code`, or `refused=1`.
pub(in crate::consumer) async fn returned(visit: Visit, Query(back): Query<Back>) -> Answer {
    let unknown = || Refusal::of(Error::gone("There is no such move here."));
    let id = back.id.parse().map_err(|_| unknown())?;
    let reply = if back.refused.is_empty() { Reply::Code(back.code) } else { Reply::Refused };
    let session = visit.session.clone().unwrap_or_default();
    let arrival = arriving::returned(visit.console.plane(), &visit.actor, &session, id, reply).await?;
    let servers = own_servers(&visit).await?;
    let server = servers.iter().find(|server| server.id == arrival.server).ok_or_else(unknown)?;
    page::on_to(&page_of(server, &arrival))
}

/// An address as people say it.
fn bare(address: &str) -> String {
    address.split_once("://").map_or(address, |(_, rest)| rest).to_owned()
}

fn words(arrival: &Arrival, server: &Server) -> (&'static str, String, Vec<String>) {
    let here = server.site.host();
    match arrival.state {
        _ if arrival.is_live() => (
            "Your server has moved",
            format!("It lives at {here} now, with everything. Every record and file was compared before it took over."),
            vec![
                "Sign in here to use it: a sign-in belongs to one place.".into(),
                match arrival.forwards {
                    Some(until) => format!(
                        "The old address leads here until {}. Tell those who should know the new one.",
                        show::day(until).words()
                    ),
                    None => "The old address leads here.".into(),
                },
            ],
        ),
        State::Asked => (
            "Say yes at the old place",
            format!(
                "{} asks you there whether your server may go. Nothing has changed yet, here or there.",
                arrival.name
            ),
            vec!["You sign in there, see what is handed over, and say yes. Then you are sent back here.".into()],
        ),
        State::Running | State::Done => (
            "Your server is moving",
            "You can go on using it. Until the last step everything still happens at the old place.".into(),
            vec![
                "When everything is here it takes over by itself, and this page shows the new address.".into(),
                "You can close this page; it goes on by itself, also after a break of some days.".into(),
            ],
        ),
        State::Failed | State::Cancelled if arrival.step == MoveStep::HandOver => (
            "This move was stopped at the hand-over",
            format!("Nothing of it is live here, and nothing will be. The server here is as it was; whether {} has stood down, only that place knows.", arrival.name),
            vec![
                format!("Look at your server at {}. If it is in use there, all is as before.", arrival.name),
                "If it says there that it has moved, take it back there. It asks us, and the server here signs that it never went live; what you saved is all there.".into(),
            ],
        ),
        State::Failed => (
            "This move was given up",
            format!("Your server is at {}, as it was, and so is the one here.", arrival.name),
            vec!["You can begin again at any time; it begins from the start.".into()],
        ),
        State::Cancelled => (
            "This move was stopped",
            format!("Your server is at {}, as it was, and so is the one here.", arrival.name),
            vec!["You can begin again at any time; it begins from the start.".into()],
        ),
    }
}

/// What stopping means at the step where it is.
fn stopping(arrival: &Arrival) -> &'static str {
    match arrival.step {
        MoveStep::HandOver => {
            "The old place was asked to stand down and its answer is not here. Nothing is live here before it is, so you need not wait for it: stop here, and take your server back there if it has stood down."
        }
        _ => {
            "Up to “The new place takes over” you can stop. Until the old place hands over all stays exactly as it was."
        }
    }
}

/// Why it cannot be stopped, and until when.
fn no_stop(arrival: &Arrival) -> Option<String> {
    let name = &arrival.name;
    match arrival.step {
        MoveStep::Activate => Some(format!(
            "{name} has stood down in writing for the server here, so stopping now would leave you with none. It goes live as soon as what hinders it has passed, and is tried for as long as it takes. Until then you can take it back at {name}: it asks us, and only one of the two goes on."
        )),
        MoveStep::Settle if !arrival.state.is_final() => Some(format!(
            "Your server is live here. {name} is told for seven days; whether it hears of it changes nothing here."
        )),
        _ => None,
    }
}

fn step(view: &arriving::StepView, arrival: &Arrival) -> Step {
    let hint = match (view.step, view.state) {
        (MoveStep::Consent, StepState::Done) => format!("You confirmed at {} what is handed over.", arrival.name),
        (MoveStep::Held, StepState::Done) if arrival.paused_ms.is_some() => {
            format!("Saving waited for {}.", Spell(arrival.paused_ms.unwrap_or_default()))
        }
        (MoveStep::Settle, _) => match arrival.forwards {
            Some(until) => format!("Old links lead here until {}.", show::day(until).words()),
            None => view.step.hint().to_owned(),
        },
        _ => view.step.hint().to_owned(),
    };
    Step {
        words: view.step.title().to_owned(),
        hint,
        took: view.took_ms.map(|took| Spell(took).to_string()).unwrap_or_default(),
        state: view.state,
    }
}

fn replaces(report: &ImportReport, server: &Server) -> Vec<String> {
    let (now, host) = (&report.replaced, server.site.host());
    if now.documents == 0 && now.files == 0 && now.apps == 0 {
        return vec![format!("{host} was empty before, so nothing is lost.")];
    }
    vec![format!(
        "What was on {host} before makes room when the new place takes over: {} apps, {} records, {} files, {}. It is kept for {} days.",
        now.apps,
        Count(now.documents),
        Count(now.files),
        Amount(now.bytes),
        report.undo_days
    )]
}

fn meter(arrival: &Arrival) -> Option<Bar> {
    match (arrival.coming, arrival.progress) {
        (Some((here, all)), _) => Some(Bar::new(here, all, None)),
        (None, Some((done, total))) => Some(Bar::new(done, total, Some("done"))),
        (None, None) => None,
    }
}

/// How long the present round still takes, as one says it.
fn left(arrival: &Arrival) -> Option<String> {
    let (here, all) = arrival.coming?;
    let seconds = all.saturating_sub(here).checked_div(arrival.speed)?;
    (here < all).then(|| {
        let about = show::about(Duration::from_secs(seconds));
        let mut letters = about.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    })
}

fn facts(arrival: &Arrival, server: &Server) -> Vec<Fact> {
    let mut facts = Vec::new();
    if arrival.is_live() {
        facts.push(Fact::new("New address", server.site.origin()));
        if let Some(paused) = arrival.paused_ms {
            facts.push(Fact::new("Saving waited", Spell(paused)));
        }
    }
    let data = match arrival.coming {
        Some((here, all)) if !arrival.is_live() => format!("{} of {}", Amount(here.min(all)), Amount(all)),
        _ => Amount(arrival.arrived).to_string(),
    };
    facts.push(Fact::new("Data", data));
    let counts = arrival.report.as_ref().map(|report| (report.counts.documents, report.counts.files));
    let offered = arrival.offered.as_ref().map(|offer| (offer.documents, offer.files));
    if let Some((documents, files)) = counts.or(offered) {
        facts.push(Fact::new("Records", Count(documents)));
        facts.push(Fact::new("Files", Count(files)));
    }
    if arrival.speed > 0 && !arrival.is_live() {
        facts.push(Fact::new("Speed", format!("{}/s", Amount(arrival.speed))));
    }
    facts
}
