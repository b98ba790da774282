//! What an owner can still do at the old place after the hand-over: have the server back, or what is left of it erased.

use axum::extract::Path;
use axum::http::StatusCode;
use control_plane::Error;
use control_plane::moves::leaving::{self, Back, Course};
use control_plane::servers::Server;
use serde::Deserialize;

use super::super::confirm::Confirm;
use super::super::{base, close, own_server};
use super::newest;
use crate::page::{self, Answer, Field};
use crate::shell::{Plate, Shell};
use crate::show;
use crate::visit::{Nothing, Posted, Visit};

#[derive(askama::Template)]
#[template(path = "consumer/typed.html")]
struct TypedPage {
    shell: Shell,
    question: String,
    plate: Plate,
    means: Vec<String>,
    action: String,
    back: String,
    keep: &'static str,
    go: &'static str,
    address: Field,
    next: &'static str,
}

/// What a typed answer sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::consumer) struct Typed {
    address: String,
}

/// `GET /servers/{name}/moving/back`: what it means; the new place is asked by the press.
pub(in crate::consumer) async fn ask_back(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let course = gone(&visit, &server).await?;
    let there = &course.successor;
    page::show(&Confirm {
        shell: Shell::of(&visit, "leave", Some(&server)).await?,
        question: "Take your server back here?".to_owned(),
        meaning: format!(
            "It goes on here as it stood when it left, on {}. First we ask {} whether it went live. If it has, it stays there. If it has not, the server there signs that it never will, and yours lives here again at once.",
            since(&course),
            course.target_name
        ),
        action: format!("{}/moving/back", base(&server)),
        back: format!("{}/moving", base(&server)),
        keep: "Leave it there",
        go: "Ask there, and take it back",
        next: format!(
            "Its address here leads to {there} no longer, and your subscription here goes on. If nobody answers there, you are told what that means before anything is done."
        ),
    })
}

/// `POST /servers/{name}/moving/back`.
pub(in crate::consumer) async fn take_back(visit: Visit, Path(name): Path<String>, _: Posted<Nothing>) -> Answer {
    let server = own_server(&visit, &name).await?;
    match leaving::take_back(visit.console.plane(), &visit.actor, server.id, false).await? {
        Back::Here => page::on_to(&format!("{}/moving", base(&server))),
        Back::Silent(why) => back_page(&visit, &server, Field::default(), &why, None).await,
    }
}

/// `POST /servers/{name}/moving/back/anyway`: nobody there answers, and its owner typed which server they mean.
pub(in crate::consumer) async fn take_back_anyway(
    visit: Visit,
    Path(name): Path<String>,
    Posted(form): Posted<Typed>,
) -> Answer {
    let server = own_server(&visit, &name).await?;
    if let Some(error) = not_meant(&server, &form.address) {
        let field = Field::judged(&form.address, "address", Some(&error));
        return back_page(&visit, &server, field, "", Some(error)).await;
    }
    leaving::take_back(visit.console.plane(), &visit.actor, server.id, true).await?;
    page::on_to(&format!("{}/moving", base(&server)))
}

/// `GET /servers/{name}/moving/erase`.
pub(in crate::consumer) async fn ask_erase(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    erase_page(&visit, &server, Field::default(), None).await
}

/// `POST /servers/{name}/moving/erase`.
pub(in crate::consumer) async fn erase(visit: Visit, Path(name): Path<String>, Posted(form): Posted<Typed>) -> Answer {
    let server = own_server(&visit, &name).await?;
    if let Some(error) = not_meant(&server, &form.address) {
        let field = Field::judged(&form.address, "address", Some(&error));
        return erase_page(&visit, &server, field, Some(error)).await;
    }
    leaving::erase_left(visit.console.plane(), &visit.actor, server.id).await?;
    page::on_to(&format!("{}/moving", base(&server)))
}

fn not_meant(server: &Server, typed: &str) -> Option<Error> {
    let words = || format!("Type {} to say that you mean this server.", server.site.host());
    (!close::is_meant(server, typed)).then(|| Error::fix("address", words()))
}

/// The move that the visitor's server has made.
async fn gone(visit: &Visit, server: &Server) -> Result<Course, Error> {
    let course = newest(visit, server).await?.filter(|course| course.stand.is_gone());
    course.ok_or_else(|| Error::conflict("This server lives here; it has not moved."))
}

fn since(course: &Course) -> String {
    course.forwarded.as_ref().map(|forwarded| show::both(forwarded.since).words()).unwrap_or_default()
}

/// Nobody could say whether it is live there: what that risks. `why` is what hindered the question.
async fn back_page(visit: &Visit, server: &Server, address: Field, why: &str, error: Option<Error>) -> Answer {
    let course = gone(visit, server).await?;
    let there = &course.target_name;
    let risk = match course.settled {
        Some(settled) => format!(
            "On {} it had said that your server is live there. If it still is, there are two of it from then on, and neither knows what is written on the other.",
            show::both(settled).words()
        ),
        None => format!(
            "{there} may have made it live without our hearing of it, or may still do so. Then there are two of it, and neither knows what is written on the other."
        ),
    };
    let page = TypedPage {
        shell: Shell::of(visit, "leave", Some(server)).await?,
        question: format!("{there} does not say whether your server is live there"),
        plate: Plate::of(server),
        means: [
            (!why.is_empty()).then(|| format!("We asked just now, and nothing was changed. {why}")),
            Some(risk),
            Some(format!(
                "If you take it back all the same, it goes on here as it stood when it left, on {}. Whatever was written at {} since stays there.",
                since(&course),
                course.successor
            )),
            Some("It is safe to wait: what is here stays as it is, and you can ask again at any time.".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect(),
        action: format!("{}/moving/back/anyway", base(server)),
        back: format!("{}/moving", base(server)),
        keep: "Wait, and ask again later",
        go: "Take it back all the same",
        address,
        next: "We ask once more. If nobody answers, your server answers here again at once. If there is one at the new provider, close it there.",
    };
    page::show_as(error.map_or(StatusCode::CONFLICT, |error| control_plane::status(error.kind())), &page)
}

async fn erase_page(visit: &Visit, server: &Server, address: Field, error: Option<Error>) -> Answer {
    let course = gone(visit, server).await?;
    let page = TypedPage {
        shell: Shell::of(visit, "leave", Some(server)).await?,
        question: "Erase what is left here now?".to_owned(),
        plate: Plate::of(server),
        means: vec![
            "Everything of this server that is still here is erased at once, without a copy. It cannot be taken back."
                .to_owned(),
            format!("Your server at {} is not touched, and the address here goes on leading there.", course.successor),
            "Look at your server there first: this is the last copy of how it was when it left.".to_owned(),
        ],
        action: format!("{}/moving/erase", base(server)),
        back: format!("{}/moving", base(server)),
        keep: "Keep it for now",
        go: "Erase it now",
        address,
        next: "Without this it is erased by itself on the day that stands on the page of the move.",
    };
    page::show_as(error.map_or(StatusCode::OK, |error| control_plane::status(error.kind())), &page)
}
