//! Invoices: the operator says when the money has come, or that one was a mistake.

use axum::extract::{Path, Query};
use billing::{Invoice, InvoiceId, InvoiceState};
use control_plane::accounts::Account;
use control_plane::{Error, Kind, subscriptions};

use super::listing::{Asked, Finder, Listing};
use crate::page::{self, Answer};
use crate::parts::{Badge, Html};
use crate::refusal::Refusal;
use crate::shell::Shell;
use crate::show::{self, Count};
use crate::visit::{Nothing, Posted, Visit};

#[derive(askama::Template)]
#[template(path = "operator/confirm.html")]
struct Confirm {
    shell: Shell,
    question: String,
    meaning: String,
    action: String,
    back: &'static str,
    keep: &'static str,
    go: &'static str,
    tone: &'static str,
    next: &'static str,
}

/// The columns of a table of invoices.
pub(super) const HEADS: &[&str] = &["Invoice", "Customer", "Due", "State", "#Amount", "Settle"];

pub(super) fn row(account: &Account, invoice: &Invoice) -> Vec<Html> {
    let (badge, settle) = match invoice.state {
        InvoiceState::Open => {
            let path = format!("/operator/invoices/{}", invoice.id);
            (
                Badge::new("warn", "Open"),
                Html::link(&format!("{path}/paid"), "Paid").and(Html::link(&format!("{path}/void"), "Void")),
            )
        }
        InvoiceState::Paid { at } => (Badge::new("ok", "Paid"), Html::safe(show::day(at))),
        InvoiceState::Void { at } => (Badge::new("", "Void"), Html::safe(show::day(at))),
    };
    vec![
        Html::text(&invoice.number).with_small(show::day(invoice.issued)),
        Html::link(&format!("/operator/customers/{}", account.id), account.email.as_str()),
        Html::safe(show::day(invoice.due)),
        Html::badge(&badge),
        Html::text(invoice.amount),
        settle,
    ]
}

/// `GET /operator/invoices`.
pub(super) async fn list(visit: Visit, Query(asked): Query<Asked>) -> Answer {
    let (plane, actor) = (visit.console.plane(), &visit.actor);
    let page = subscriptions::invoices(plane, actor, &asked.ask()).await?;
    let owed = subscriptions::owed(plane, actor).await?;
    let mut table = asked.or_nothing(
        HEADS,
        "No invoices yet",
        "The first one is written when somebody signs up for a plan with a price.",
    );
    for (account, invoice) in &page.items {
        table.row(row(account, invoice));
    }
    let money = billing::Money::new(owed.cents, visit.business.currency);
    let lead = format!("{} open, {money} in all. Newest first.", Count(owed.open));
    let states = &[("open", "Open"), ("paid", "Paid"), ("void", "Void")];
    Listing::new(&visit, "invoices", "Invoices", lead, table)
        .await?
        .found_by(Finder::new("/operator/invoices", "Number, name or e-mail", states, asked, &page))
        .next("When money comes in, find its invoice by the number in the reason for payment and mark it as paid. A late customer’s server wakes at once.")
        .show()
}

async fn ask(visit: &Visit, id: &str, paid: bool) -> Answer {
    let (account, invoice) = find(visit, id).await?;
    let of = format!("{} over {} of {}", invoice.number, invoice.amount, account.email.as_str());
    let path = format!("/operator/invoices/{}", invoice.id);
    page::show(&Confirm {
        shell: Shell::of(visit, "invoices", None).await?,
        question: if paid { format!("Has the money for {of} come?") } else { format!("Void invoice {of}?") },
        meaning: if paid {
            "It is then settled, and a server that was held back works again at once.".into()
        } else {
            "It then asks for nothing. Its number stays, so that the numbers have no gaps. This cannot be undone."
                .into()
        },
        action: format!("{path}/{}", if paid { "paid" } else { "void" }),
        back: "/operator/invoices",
        keep: "Leave it open",
        go: if paid { "Mark as paid" } else { "Void it" },
        tone: if paid { "main" } else { "stop" },
        next: "You come back to the invoices.",
    })
}

async fn find(visit: &Visit, id: &str) -> Result<(Account, Invoice), Refusal> {
    let found = subscriptions::invoice(visit.console.plane(), &visit.actor, invoice(id)?).await;
    found.map_err(|error| if error.kind() == Kind::Gone { no_such_invoice() } else { error.into() })
}

fn no_such_invoice() -> Refusal {
    Refusal::of(Error::gone("There is no such invoice."))
}

fn invoice(id: &str) -> Result<InvoiceId, Refusal> {
    id.parse().map_err(|_| no_such_invoice())
}

/// `GET /operator/invoices/{invoice}/paid`: the question.
pub(super) async fn ask_paid(visit: Visit, Path(id): Path<String>) -> Answer {
    ask(&visit, &id, true).await
}

/// `GET /operator/invoices/{invoice}/void`: the question.
pub(super) async fn ask_void(visit: Visit, Path(id): Path<String>) -> Answer {
    ask(&visit, &id, false).await
}

/// `POST /operator/invoices/{invoice}/paid`.
pub(super) async fn paid(visit: Visit, Path(id): Path<String>, _: Posted<Nothing>) -> Answer {
    subscriptions::mark_paid(visit.console.plane(), &visit.actor, invoice(&id)?).await?;
    page::on_to("/operator/invoices")
}

/// `POST /operator/invoices/{invoice}/void`.
pub(super) async fn void(visit: Visit, Path(id): Path<String>, _: Posted<Nothing>) -> Answer {
    subscriptions::void(visit.console.plane(), &visit.actor, invoice(&id)?).await?;
    page::on_to("/operator/invoices")
}
