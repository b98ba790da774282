//! Closing one's server: what happens when, a yes that cannot slip out, and the way back.
//!
//! Nothing is deleted here. The page tells the days before it asks, the address is typed to say that this very server
//! is meant, and until the last of the days one press takes everything back.

use axum::extract::Path;
use axum::http::StatusCode;
use control_plane::Error;
use control_plane::servers::Server;
use control_plane::subscriptions::{self, Closing};
use serde::Deserialize;

use super::{base, own_server};
use crate::page::{self, Answer, Field};
use crate::parts::Fact;
use crate::shell::{Plate, Shell};
use crate::show;
use crate::visit::{Nothing, Posted, Visit};

#[derive(askama::Template)]
#[template(path = "consumer/close.html")]
struct ClosePage {
    shell: Shell,
    path: String,
    plate: Plate,
    address: Field,
    days: Vec<Fact>,
    erased: String,
    closed: bool,
    open: Vec<Fact>,
}

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    address: String,
}

/// The days of a closing, in their order.
pub(super) fn days(closing: &Closing) -> Vec<Fact> {
    let (ends, erased) = (show::day(closing.ends), show::day(closing.erased));
    vec![
        Fact::html("Works until", ends).noted("as before"),
        Fact::html("Sleeps from", ends).noted("and can be exported"),
        Fact::html("Erased on", erased).noted("without a copy; until then you can take it back"),
    ]
}

/// `GET /servers/{name}/close`.
pub(super) async fn ask(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    close_page(&visit, &server, Field::default(), None).await
}

/// `POST /servers/{name}/close`.
pub(super) async fn close(visit: Visit, Path(name): Path<String>, Posted(form): Posted<Form>) -> Answer {
    let server = own_server(&visit, &name).await?;
    if !is_meant(&server, &form.address) {
        let error = Error::fix("address", format!("Type {} to say that you mean this server.", server.site.host()));
        let field = Field::judged(&form.address, "address", Some(&error));
        return close_page(&visit, &server, field, Some(error)).await;
    }
    subscriptions::cancel(visit.console.plane(), &visit.actor, server.account).await?;
    page::on_to(&format!("{}/leave", base(&server)))
}

/// `POST /servers/{name}/keep`: takes the closing back.
pub(super) async fn keep(visit: Visit, Path(name): Path<String>, _: Posted<Nothing>) -> Answer {
    let server = own_server(&visit, &name).await?;
    subscriptions::resume(visit.console.plane(), &visit.actor, server.account).await?;
    page::on_to(&base(&server))
}

/// Whether what was typed names this server: its name, or its address as browsers show it.
pub(super) fn is_meant(server: &Server, typed: &str) -> bool {
    let typed = typed.trim().to_lowercase();
    let typed = typed.split_once("://").map_or(typed.as_str(), |(_, rest)| rest);
    let typed = typed.trim_end_matches('/');
    let host = server.site.host();
    typed == server.name.as_str() || typed.split(':').next() == Some(&host)
}

async fn close_page(visit: &Visit, server: &Server, address: Field, error: Option<Error>) -> Answer {
    let bill = subscriptions::bill(visit.console.plane(), &visit.actor, server.account).await?;
    let closing = bill.closing.unwrap_or(bill.if_closed);
    let open = bill.invoices.iter().filter(|invoice| invoice.state == billing::InvoiceState::Open);
    let open = open.map(|invoice| {
        Fact::new(&format!("Invoice {}", invoice.number), invoice.amount).noted("stays open: it is for a month you had")
    });
    let page = ClosePage {
        shell: Shell::of(visit, "leave", Some(server)).await?,
        path: base(server),
        plate: Plate::of(server),
        address,
        days: days(&closing),
        erased: show::day(closing.erased).words(),
        closed: bill.closing.is_some(),
        open: open.collect(),
    };
    page::show_as(error.map_or(StatusCode::OK, |error| control_plane::status(error.kind())), &page)
}
