//! The pages on which a server comes here from another provider: who is asked, what it would replace, how far it is.

mod form;
mod progress;
mod words;

use axum::Json;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Redirect};
use control_plane::Error;
use control_plane::moves::arriving::{self, Arrival};
use control_plane::servers::Server;
use serde_json::json;
use uuid::Uuid;

use super::confirm::Confirm;
use super::{base, own_server};
use crate::page::{self, Answer};
use crate::refusal::Refusal;
use crate::shell::Shell;
use crate::visit::{Nothing, Posted, Visit};

pub(super) use form::{begin, here, look, show};
pub(super) use progress::{events, one, returned};
pub(super) use words::{Card, card};

/// A move of this very server, by the name in its address.
async fn arrival_of(visit: &Visit, server: &Server, id: &str) -> Result<Arrival, Refusal> {
    let unknown = || Refusal::of(Error::gone("Your server has no such move."));
    let id: Uuid = id.parse().map_err(|_| unknown())?;
    let arrival = arriving::arrival(visit.console.plane(), &visit.actor, id).await?;
    if arrival.server == server.id { Ok(arrival) } else { Err(unknown()) }
}

async fn mine(visit: &Visit, (name, id): (String, String)) -> Result<(String, Arrival), Refusal> {
    let server = own_server(visit, &name).await?;
    let arrival = arrival_of(visit, &server, &id).await?;
    Ok((page_of(&server, &arrival), arrival))
}

/// Where the page of a move is.
fn page_of(server: &Server, arrival: &Arrival) -> String {
    format!("{}/moves/{}", base(server), arrival.id)
}

/// `GET …/go`: on to the page of the other provider. A link, as a form's answer may not lead to another origin.
pub(super) async fn go(visit: Visit, Path(path): Path<(String, String)>) -> Answer {
    let (_, arrival) = mine(&visit, path).await?;
    let url = arriving::consent(visit.console.plane(), &visit.actor, arrival.id).await?;
    Ok(Redirect::to(url.as_str()).into_response())
}

/// `GET …/stop`: asks before it is stopped.
pub(super) async fn ask_stop(visit: Visit, Path((name, id)): Path<(String, String)>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let arrival = arrival_of(&visit, &server, &id).await?;
    let back = page_of(&server, &arrival);
    if !arrival.can_stop() {
        return page::on_to(&back);
    }
    let name = &arrival.name;
    let (meaning, next) = match arrival.step {
        arriving::Step::HandOver => (
            format!(
                "{name} was asked to hand over and has not answered, so your server there may have stood down already. Nothing of it is live here. After this nothing will be, and what has come here so far is thrown away."
            ),
            format!(
                "Look at your server at {name}. If it says there that it has moved, take it back there: it asks us, and the server here signs that it never went live. Nothing you saved is lost by that."
            ),
        ),
        _ => (
            format!(
                "Your server stays at {name}, with everything, and what has come here so far is thrown away. Beginning again begins from the start."
            ),
            "Both places are as they were before. The old place is told that the permission is no longer used.".into(),
        ),
    };
    page::show(&Confirm {
        shell: Shell::of(&visit, "server", Some(&server)).await?,
        question: "Stop this move?".into(),
        meaning,
        action: format!("{back}/stop"),
        back,
        keep: "Let it go on",
        go: "Stop and stay there",
        next,
    })
}

/// `POST …/stop`.
pub(super) async fn stop(visit: Visit, Path(path): Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let (back, arrival) = mine(&visit, path).await?;
    arriving::cancel(visit.console.plane(), &visit.actor, arrival.id).await?;
    page::on_to(&back)
}

/// `POST …/hurry`: tries at once what waits for a pause to be over.
pub(super) async fn hurry(visit: Visit, Path(path): Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let (back, arrival) = mine(&visit, path).await?;
    arriving::hurry(visit.console.plane(), &visit.actor, arrival.id).await?;
    page::on_to(&back)
}

/// `GET …/log`: the log as a file of text.
pub(super) async fn log(visit: Visit, Path(path): Path<(String, String)>) -> Answer {
    let (_, arrival) = mine(&visit, path).await?;
    let lines = arriving::log(visit.console.plane(), &visit.actor, arrival.id).await?;
    let mut text = format!("Move {} from {} ({})\n\n", arrival.id, arrival.address, arrival.name);
    for line in lines {
        text.push_str(&format!("{}  {}\n", line.at.strftime("%Y-%m-%d %H:%M:%S UTC"), line.text));
    }
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"move-{}.txt\"", arrival.id)),
    ];
    Ok((headers, text).into_response())
}

/// `GET /move/v1/arrivals/{move}`: whether a move went live here, for the provider the server came from.
pub(super) async fn whether(visit: Visit, Path(id): Path<String>) -> Answer {
    let whether = match id.parse() {
        Ok(id) => arriving::whether(visit.console.plane(), id).await?,
        Err(_) => arriving::Whether::Unknown,
    };
    Ok(Json(json!({ "state": whether.word() })).into_response())
}
