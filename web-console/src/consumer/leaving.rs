//! Moving to another provider, as the owner sees it at the old one: consent, the move while it goes on, and what can still
//! be done here afterwards. The protocol's own calls are in `exchange`; what a press does is `moves::leaving`'s to decide.

mod back;
mod receipt;

use axum::extract::{Path, Query};
use axum::http::header;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Redirect};
use control_plane::moves::FORWARD_DAYS;
use control_plane::moves::leaving::{self, Asked, Asking, Course, Stand};
use control_plane::servers::{Desired, Server};
use control_plane::{Error, Kind, subscriptions};
use export_format::moving::SERVER_PATH;
use jiff::SignedDuration;
use serde::Deserialize;
use tokio::sync::mpsc;

pub(super) use back::{ask_back, ask_erase, erase, take_back, take_back_anyway};
pub(super) use receipt::{receipt, receipt_signature};

use receipt::Receipt;

use super::{base, export, live, own_server};
use crate::page::{self, Answer};
use crate::parts::{Badge, Banner, Fact, Html, Table};
use crate::refusal::Refusal;
use crate::shell::{Plate, Shell};
use crate::show::{self, Amount};
use crate::visit::{self, Nothing, Posted, Visit};

#[derive(askama::Template)]
#[template(path = "consumer/consent.html")]
struct ConsentPage {
    shell: Shell,
    /// Why nothing can be asked.
    problem: Option<String>,
    asking: Option<Consent>,
}

/// What the owner is asked.
struct Consent {
    asked: Asked,
    name: String,
    who: Vec<Fact>,
    from: Plate,
    going: Option<Vec<Fact>>,
    after: Vec<Fact>,
    /// A move that would end with a yes.
    other: Option<String>,
}

#[derive(askama::Template)]
#[template(path = "consumer/moving.html")]
struct MovingPage {
    shell: Shell,
    path: String,
    title: &'static str,
    lead: String,
    badge: Badge,
    from: Plate,
    /// The new address, with whether it can be followed.
    to: String,
    is_there: bool,
    facts: Vec<Fact>,
    rounds: Option<Table>,
    /// The signed word that nothing is left here.
    receipt: Option<Receipt>,
    /// Whether it still can be stopped.
    stop: bool,
    back: bool,
    erase: bool,
    live: bool,
    next: Vec<String>,
    id: String,
}

/// `GET /move/consent`: who asks for which server, and what it means.
pub(super) async fn ask(visit: Visit, Query(asked): Query<Asked>) -> Answer {
    let plane = visit.console.plane();
    match leaving::ask(plane, &visit.actor, &asked).await {
        Ok(asking) => consent_page(&visit, asked, asking).await,
        Err(error) => cannot_ask(&visit, error).await,
    }
}

/// The answer that an owner gives.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Given {
    answer: String,
    #[serde(flatten)]
    asked: Asked,
}

/// `POST /move/consent`: yes or no, and back to where they came from.
pub(super) async fn answer(visit: Visit, Posted(given): Posted<Given>) -> Answer {
    let plane = visit.console.plane();
    let back = match given.answer.as_str() {
        "yes" => leaving::consent(plane, &visit.actor, &given.asked).await,
        _ => leaving::refuse(plane, &visit.actor, &given.asked).await,
    };
    match back {
        Ok(back) => Ok(Redirect::to(&back).into_response()),
        Err(error) => cannot_ask(&visit, error).await,
    }
}

async fn cannot_ask(visit: &Visit, error: Error) -> Answer {
    if matches!(error.kind(), Kind::Bug | Kind::SignIn) {
        return Err(error.into());
    }
    let shell = Shell::of(visit, "leave", None).await?;
    let problem = Some(error.sentence().to_owned());
    page::show_as(control_plane::status_of(&error), &ConsentPage { shell, problem, asking: None })
}

async fn consent_page(visit: &Visit, asked: Asked, asking: Asking) -> Answer {
    let Asking { target, server, successor, other } = asking;
    let bill = subscriptions::bill(visit.console.plane(), &visit.actor, server.account).await?;
    let closing = bill.closing.unwrap_or(bill.if_closed);
    let until = visit.console.plane().now() + SignedDuration::from_hours(24 * i64::from(FORWARD_DAYS));
    let name: String = target.name.chars().filter(|sign| !sign.is_control()).take(80).collect();
    let mut who = vec![Fact::new("They call themselves", &name), Fact::new("Their address", &target.origin)];
    if !target.regions.is_empty() {
        who.push(Fact::new("Their machines", target.regions.join(", ").chars().take(120).collect::<String>()));
    }
    who.push(Fact::new("Your server there", &successor));
    let after = vec![
        Fact::html("Old address leads there until", show::day(until)).noted("all links, apps and files of it"),
        Fact::html("Subscription here ends", show::day(closing.ends)).noted("by itself; nothing more is charged"),
        Fact::html("What is left here is erased", show::day(closing.erased)).noted("nobody can change it until then"),
    ];
    let page = ConsentPage {
        shell: Shell::of(visit, "leave", Some(&server)).await?,
        problem: None,
        asking: Some(Consent {
            name,
            who,
            from: Plate::of(&server),
            going: export::going(visit, &server).await,
            after,
            other: other.map(|other| other.target_name),
            asked,
        }),
    };
    let mut answer = page::show(&page)?;
    // The answer to this page's form leads to the target, which browsers count as a target of the form.
    let leads_to = url::Url::parse(&target.origin).map_err(|error| Refusal::of(Error::bug(error)))?.origin();
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, visit::policy(Some(&leads_to)));
    Ok(answer)
}

/// `GET /servers/{name}/moving`.
pub(super) async fn show(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    match newest(&visit, &server).await? {
        Some(course) => moving_page(&visit, &server, course).await,
        None => page::on_to(&format!("{}/leave", base(&server))),
    }
}

/// The last move of a server, if there ever was one.
pub(super) async fn newest(visit: &Visit, server: &Server) -> Result<Option<Course>, Error> {
    Ok(leaving::of_server(visit.console.plane(), &visit.actor, server.id).await?.into_iter().next())
}

/// What the other pages of a server say of its move, while that matters.
pub(super) fn banner(course: &Course, path: &str) -> Option<Banner> {
    let (tone, what, meaning) = match course.stand {
        Stand::Consented | Stand::Copying => (
            "",
            "This server is moving.".to_owned(),
            format!("{} takes a copy while you use it. You can stop it until the hand-over.", course.target_name),
        ),
        Stand::Handed | Stand::Settled => (
            "",
            "This server has moved.".to_owned(),
            format!("It lives at {} now, and its address here leads there.", course.successor),
        ),
        Stand::Cancelled | Stand::TakenBack => return None,
    };
    Some(Banner { tone, what, meaning, path: format!("{path}/moving"), label: "Look" })
}

async fn moving_page(visit: &Visit, server: &Server, course: Course) -> Answer {
    let is_erased = server.desired == Desired::Erased;
    let bill = subscriptions::bill(visit.console.plane(), &visit.actor, server.account).await?;
    let mut facts = vec![
        Fact::new("To", &course.target_name).noted(course.target.clone()),
        Fact::html("Allowed by you", show::both(course.consented)),
    ];
    if course.stand.is_under_way() {
        facts.push(Fact::html("Permission ends", show::both(course.until)));
    }
    if let Some(forwarded) = &course.forwarded {
        facts.push(Fact::html("Stood down here", show::both(forwarded.since)));
        if course.stand.is_gone() {
            let card = format!("{}{SERVER_PATH}", course.address);
            facts.push(Fact::html("Old address leads there until", show::day(forwarded.until)));
            facts.push(
                Fact::html("Its own word on that", Html::link(&card, "the signed hand-over"))
                    .noted("for anybody who wants to check"),
            );
        }
    }
    if let Some(settled) = course.settled {
        facts.push(Fact::html("Live there since", show::both(settled)).noted("as the new provider says"));
    }
    if course.stand.is_gone() {
        match (&bill.closing, is_erased) {
            (_, true) => facts.push(Fact::new("What was left here", "is erased")),
            (Some(closing), false) => {
                facts.push(
                    Fact::html("Subscription here ends", show::day(closing.ends)).noted("nothing more is charged"),
                );
                facts.push(
                    Fact::html("What is left here is erased", show::day(closing.erased))
                        .noted("until then you can take it back"),
                );
            }
            (None, false) => facts.push(
                Fact::new("Subscription here", "goes on")
                    .noted("until the new provider says that your server is live there"),
            ),
        }
    }
    if let Some(ended) = course.ended {
        facts.push(Fact::html("Ended", show::both(ended)));
    }
    let mut words = words(&course);
    if is_erased && let Some(last) = words.next.last_mut() {
        "Nothing more is charged here. What was left here is erased.".clone_into(last);
    }
    let page = MovingPage {
        shell: Shell::of(visit, "leave", Some(server)).await?,
        path: base(server),
        title: words.title,
        lead: words.lead,
        badge: words.badge,
        from: Plate::of(server),
        to: course.successor.clone(),
        is_there: course.stand.is_gone(),
        facts,
        rounds: rounds(&course),
        receipt: Receipt::of(visit, server).await?,
        stop: course.stand.is_under_way(),
        back: course.stand.is_gone() && !is_erased,
        erase: course.stand == Stand::Settled && !is_erased,
        live: matches!(course.stand, Stand::Consented | Stand::Copying | Stand::Handed),
        next: words.next,
        id: course.id.to_string(),
    };
    page::show(&page)
}

struct Words {
    title: &'static str,
    lead: String,
    badge: Badge,
    next: Vec<String>,
}

fn words(course: &Course) -> Words {
    let target = &course.target_name;
    let holds = course.rounds.first().is_some_and(|round| round.holds);
    let (title, lead, badge, next) = match course.stand {
        Stand::Consented => (
            "Your server is about to move",
            format!("You allowed {target} to take it over. It has not begun to fetch yet."),
            Badge::new("info", "Allowed"),
            vec![
                format!("{target} comes with the permission you gave within ten minutes; otherwise it ends by itself."),
                "You go on using your server here. Nothing has changed.".to_owned(),
            ],
        ),
        Stand::Copying => (
            "Your server is moving",
            "You can go on using it. Until the last step everything still happens here.".to_owned(),
            if holds { Badge::new("warn", "Writing pauses") } else { Badge::new("info", "Being copied") },
            vec![
                "What you change meanwhile is copied in short, further rounds.".to_owned(),
                "At the end saving pauses for a moment, both sides are compared, and the new place takes over by itself.".to_owned(),
                "Up to then you can stop, and all stays as it was.".to_owned(),
            ],
        ),
        Stand::Handed => (
            "Your server has moved",
            format!("It stood down here and goes on at the new address. {target} has not told us yet that it is live there."),
            Badge::new("ok", "Moved"),
            vec![
                "Links to the old address lead to the new one.".to_owned(),
                "Normally the new provider tells within seconds that your server is live. Your subscription here ends then, by itself.".to_owned(),
                "If it never answers there, you can take your server back here, as it stood when it left.".to_owned(),
            ],
        ),
        Stand::Settled => (
            "Your server has moved",
            "It is live at its new place, with everything it had here.".to_owned(),
            Badge::new("ok", "Moved"),
            vec![
                "Tell people the new address; the old one leads there for a limited time.".to_owned(),
                "Nothing more is charged here. What is left here is erased by itself.".to_owned(),
            ],
        ),
        Stand::Cancelled => (
            "The move was stopped",
            course.why.clone().unwrap_or_else(|| "Your server stayed here.".to_owned()),
            Badge::new("", "Stopped"),
            vec!["Your server is here as it was. You can begin again from the new provider at any time.".to_owned()],
        ),
        Stand::TakenBack => (
            "You took your server back",
            "It lives here again, as it stood when it left.".to_owned(),
            Badge::new("", "Taken back"),
            vec![format!("What was written at {target} meanwhile stayed there. If there is a server of yours there, close it there.")],
        ),
    };
    Words { title, lead, badge, next }
}

fn rounds(course: &Course) -> Option<Table> {
    if course.rounds.is_empty() {
        return None;
    }
    let mut table = Table::new(&["Round", "What", "Asked for", "#Size"], "", "");
    for round in &course.rounds {
        let what = match (&round.error, round.is_delta, round.held) {
            (Some(error), _, _) => format!("Could not be made: {error}"),
            (None, false, _) => "Everything".to_owned(),
            (None, true, false) => "What changed since".to_owned(),
            (None, true, true) => "The last changes, while writing paused".to_owned(),
        };
        let size = round.bytes.map_or_else(|| Html::text("…"), |bytes| Html::text(Amount(bytes)));
        table.row(vec![Html::text(round.number + 1), Html::text(what), Html::safe(show::time(round.at)), size]);
    }
    Some(table)
}

/// `GET /servers/{name}/moving/events`: one event for every change, the last one says so.
pub(super) async fn events(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let (send, receive) = mpsc::channel(4);
    let console = visit.console.clone();
    tokio::spawn(live::until_stopped(console.stopping().clone(), send.clone(), async move {
        let mut shown: Option<Course> = None;
        loop {
            let Ok(Some(now)) = newest(&visit, &server).await else { return };
            let end = !matches!(now.stand, Stand::Consented | Stand::Copying | Stand::Handed);
            if end || shown.as_ref() != Some(&now) {
                let said = if end { r#"{"end":true}"# } else { "{}" };
                if send.send(Event::default().data(said)).await.is_err() || end {
                    return;
                }
                shown = Some(now);
            }
            tokio::time::sleep(live::EVERY).await;
        }
    }));
    Ok(live::stream(receive).into_response())
}

/// `POST /servers/{name}/moving/stop`.
pub(super) async fn stop(visit: Visit, Path(name): Path<String>, _: Posted<Nothing>) -> Answer {
    let server = own_server(&visit, &name).await?;
    leaving::stop(visit.console.plane(), &visit.actor, server.id).await?;
    page::on_to(&format!("{}/moving", base(&server)))
}
