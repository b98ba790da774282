//! The page where people leave: every way there is, and the end, if wished.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use control_plane::operations::{Kind, State};
use control_plane::servers::Server;
use control_plane::{Error, subscriptions};

use super::landing::without_server;
use super::ways::Times;
use super::{base, close, drills, export, leaving, own_server, own_servers};
use crate::page::{self, Answer};
use crate::parts::{Banner, Fact, moment};
use crate::shell::Shell;
use crate::show;
use crate::visit::Visit;

#[derive(askama::Template)]
#[template(path = "consumer/leave.html")]
struct Leave {
    shell: Shell,
    path: String,
    /// Why a test that was asked for is not made.
    refused: Option<String>,
    going: Option<Vec<Fact>>,
    last_export: Option<show::Moment>,
    times: Times,
    /// Where another provider is told that this server is.
    address: String,
    /// That it moves, or has moved.
    moving: Option<Banner>,
    has_moved: bool,
    tested: drills::Tested,
    /// The days of the closing, when the server is closed.
    closing: Option<Vec<Fact>>,
    kept_until: String,
}

/// `GET /leave`: the door in the last line of pages that know no server.
pub(super) async fn find(visit: Visit) -> Answer {
    match own_servers(&visit).await?.first() {
        Some(server) => Ok(Redirect::to(&format!("{}/leave", base(server))).into_response()),
        None => without_server(&visit, "leave").await,
    }
}

/// `GET /servers/{name}/leave`.
pub(super) async fn show(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    leave_page(&visit, server, None).await
}

/// The page; with why a test that was asked for is not made.
pub(super) async fn leave_page(visit: &Visit, server: Server, refused: Option<Error>) -> Answer {
    let usage = export::weight(visit, &server).await;
    let bytes = usage.as_ref().map(|usage| usage.database_bytes + usage.blob_bytes);
    let going = usage.as_ref().map(export::going_of);
    let spans = visit.console.operations().spans(&visit.actor, server.id).await?;
    let operations = visit.console.operations().of_server(&visit.actor, server.id).await?;
    let last = operations
        .iter()
        .find(|operation| operation.kind == Kind::Export && matches!(operation.state, State::Ready | State::Done));
    let last_export = last.map(|operation| show::both(moment(operation.created_ms)));
    let tested = drills::Tested::of(visit, &server).await?;
    let bill = subscriptions::bill(visit.console.plane(), &visit.actor, server.account).await?;
    let kept_until = show::day(bill.closing.unwrap_or(bill.if_closed).erased).words();
    let closing = bill.closing.as_ref().map(close::days);
    let shell = Shell::of(visit, "leave", Some(&server)).await?;
    let path = base(&server);
    let course = leaving::newest(visit, &server).await?;
    let has_moved = course.as_ref().is_some_and(|course| course.stand.is_gone());
    let moving = course.and_then(|course| leaving::banner(&course, &path));
    let address = server.site.origin();
    let told = refused.as_ref().map(|error| error.sentence().to_owned());
    let page = Leave {
        shell,
        path,
        refused: told,
        going,
        last_export,
        times: Times::of(&spans, bytes),
        address,
        moving,
        has_moved,
        tested,
        closing,
        kept_until,
    };
    page::show_form(refused.as_ref(), &page)
}
