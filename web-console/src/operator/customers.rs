//! Customers, and one customer: who, in which standing and why, every cent.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use billing::{InvoiceState, Standing};
use control_plane::accounts::{self, Customer};
use control_plane::moves;
use control_plane::paging::Ask;
use control_plane::subscriptions::{self, Bill, Closing};
use control_plane::{AccountId, Error, Kind};
use control_plane::{care, domains, servers};

use super::listing::{Asked, Finder, Listing};
use super::{invoices, operations};
use crate::page::{self, Answer};
use crate::parts::{Badge, Fact, Html, Table};
use crate::refusal::Refusal;
use crate::shell::{Plate, Shell};
use crate::show;
use crate::visit::Visit;

#[derive(askama::Template)]
#[template(path = "operator/customer.html")]
struct CustomerPage {
    shell: Shell,
    person: String,
    email: String,
    since: show::Moment,
    standing: Badge,
    servers: Vec<Housed>,
    bill: Vec<Fact>,
    invoices: Table,
    operations: Table,
    moves: Table,
    moves_at: String,
    next: String,
}

struct Housed {
    plate: Plate,
    facts: Vec<Fact>,
}

/// `GET /operator/customers`.
pub(super) async fn list(visit: Visit, Query(asked): Query<Asked>) -> Answer {
    let plane = visit.console.plane();
    let page = accounts::customers(plane, &visit.actor, &asked.ask()).await?;
    let mut table = asked.or_nothing(
        &["Customer", "Server", "Standing", "#Open", "Since"],
        "No customers yet",
        "They appear here when they sign up on the front page.",
    );
    for customer in &page.items {
        table.row(row(customer));
    }
    let lead = "Newest first.".to_owned();
    Listing::new(&visit, "customers", "Customers", lead, table)
        .await?
        .found_by(Finder::new("/operator/customers", "Name, e-mail or address", &[], asked, &page))
        .next("Nothing is needed. Who is late gets letters by itself; an invoice is settled on its own page.")
        .show()
}

fn row(customer: &Customer) -> Vec<Html> {
    let account = &customer.account;
    let name = if account.display_name.is_empty() { account.email.as_str() } else { &account.display_name };
    let names: Vec<&str> = customer.servers.iter().map(|(_, name)| name.as_str()).collect();
    let badge = if account.operator && customer.servers.is_empty() {
        Badge::new("info", "operator")
    } else {
        standing(customer.standing.as_ref(), customer.closing.as_ref())
    };
    vec![
        Html::link(&format!("/operator/customers/{}", account.id), name).with_small(Html::text(account.email.as_str())),
        Html::text(names.join(", ")),
        Html::badge(&badge),
        Html::text(customer.open.filter(|open| open.cents > 0).map(|open| open.to_string()).unwrap_or_default()),
        Html::safe(show::day(account.created)),
    ]
}

fn standing(standing: Option<&Standing>, closing: Option<&Closing>) -> Badge {
    match standing {
        None => Badge::new("", "no subscription"),
        Some(Standing::Active) if closing.is_some() => Badge::new("warn", "closing"),
        Some(Standing::Active) => Badge::new("ok", "active"),
        Some(late @ Standing::PastDue { .. }) => Badge::new("warn", late.word()),
        Some(other) => Badge::new("danger", other.word()),
    }
}

/// `GET /operator/customers/{account}`.
pub(super) async fn one(visit: Visit, Path(id): Path<String>) -> Answer {
    let id: AccountId = id.parse().map_err(|_| Refusal::of(Error::gone("There is no such customer.")))?;
    let (plane, actor) = (visit.console.plane(), &visit.actor);
    let account = accounts::account(plane, actor, id).await?;
    let (housed, bill) = tokio::join!(servers::servers_of(plane, actor, id), subscriptions::bill(plane, actor, id));
    let housed = housed?;
    let bill = match bill {
        Ok(bill) => Some(bill),
        Err(error) if error.kind() == Kind::Gone => None,
        Err(error) => return Err(error.into()),
    };
    let ids: Vec<_> = housed.iter().map(|server| server.id).collect();
    let cared = care::of_servers(plane, actor, &ids).await?;
    let (mut jobs, mut owned) = (Vec::new(), HashMap::new());
    for server in &housed {
        jobs.extend(visit.console.operations().of_server(actor, server.id).await?);
        owned.insert(server.id, domains::domains(plane, actor, server.id).await?);
    }
    let ask = Ask { search: account.email.as_str().to_owned(), ..Ask::default() };
    let mut moves = moves::fleet(plane, actor, &ask).await?.items;
    moves.retain(|line| line.account == id);
    let search = url::form_urlencoded::Serializer::new(String::new()).append_pair("q", account.email.as_str()).finish();
    let person =
        if account.display_name.is_empty() { account.email.as_str().to_owned() } else { account.display_name.clone() };
    let mut table = Table::new(invoices::HEADS, "No invoices", "Nothing was billed to this account yet.");
    for invoice in bill.iter().flat_map(|bill| bill.invoices.iter()) {
        table.row(invoices::row(&account, invoice));
    }
    page::show(&CustomerPage {
        shell: Shell::of(&visit, "customers", None).await?,
        person,
        email: account.email.as_str().to_owned(),
        since: show::day(account.created),
        standing: standing(
            bill.as_ref().map(|bill| &bill.standing),
            bill.as_ref().and_then(|bill| bill.closing.as_ref()),
        ),
        operations: operations::table(&jobs, &housed),
        moves: super::moves::table(&moves),
        moves_at: format!("/operator/moves?{search}"),
        servers: housed
            .iter()
            .map(|server| Housed {
                plate: Plate::of(server),
                facts: super::servers::facts(
                    server,
                    cared.get(&server.id),
                    owned.get(&server.id).map(Vec::as_slice).unwrap_or_default(),
                ),
            })
            .collect(),
        next: bill.as_ref().map_or_else(|| "This account has no subscription; nothing is billed.".to_owned(), next),
        bill: bill.as_ref().map(facts).unwrap_or_else(|| vec![Fact::new("Plan", "none")]),
        invoices: table,
    })
}

fn facts(bill: &Bill) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new("Plan", &bill.terms.name).noted(format!("{} a month", bill.terms.price())),
        Fact::new("Saving", show::saved(bill.terms.loss_window_ms)),
        Fact::html("Since", show::day(bill.subscription.anchor)),
    ];
    if let Some(closing) = &bill.closing {
        facts.push(Fact::html("Closed by its owner, works until", show::day(closing.ends)));
        facts.push(Fact::html("Erased, unless taken back", show::day(closing.erased)));
    }
    if let Some(schedule) = &bill.schedule {
        facts.push(Fact::html("Read-only, if unpaid", show::day(schedule.read_only)));
        facts.push(Fact::html("Asleep, if unpaid", show::day(schedule.asleep)));
    }
    if let Some(period) = &bill.next {
        facts.push(Fact::html("Next invoice", show::day(period.start)));
    }
    facts
}

fn next(bill: &Bill) -> String {
    let open = bill.invoices.iter().find(|invoice| invoice.state == InvoiceState::Open);
    if let (Some(closing), None) = (&bill.closing, open) {
        return format!(
            "The owner has closed this server. It is erased by itself on {}, a week after a last letter, unless they take that back.",
            show::day(closing.erased).words()
        );
    }
    match (open, &bill.next) {
        (Some(invoice), _) => format!(
            "Invoice {} is to be paid until {}. Mark it as paid when the money has come.",
            invoice.number,
            show::day(invoice.due).words()
        ),
        (None, Some(period)) => {
            format!("The next invoice is written by itself on {}.", show::day(period.start).words())
        }
        (None, None) => "Nothing more is billed.".to_owned(),
    }
}
