//! What needs the operator, and the figures that add up.

use billing::{InvoiceState, Standing};
use control_plane::operations::State;
use control_plane::servers::{Desired, Doing, Seen, Server};
use control_plane::{accounts, servers, subscriptions};

use super::{hosts, operations};
use crate::page::{self, Answer};
use crate::parts::{Banner, Table};
use crate::shell::Shell;
use crate::show::{self, Count};
use crate::visit::Visit;

#[derive(askama::Template)]
#[template(path = "operator/overview.html")]
struct Overview {
    shell: Shell,
    seen: show::Moment,
    summary: String,
    needs: Vec<Banner>,
    cards: Vec<Card>,
    hosts: Table,
    operations: Table,
    next: Vec<String>,
}

struct Card {
    label: &'static str,
    value: String,
    note: String,
    hint: String,
}

/// `GET /operator`.
pub(super) async fn show(visit: Visit) -> Answer {
    let (plane, actor) = (visit.console.plane(), &visit.actor);
    let desk = visit.console.operations();
    let (customers, all, invoices, letters, jobs) = tokio::join!(
        accounts::customers(plane, actor),
        servers::all(plane, actor),
        subscriptions::invoices(plane, actor),
        control_plane::mail::outbox(plane, actor),
        desk.all(actor)
    );
    let (customers, all, invoices, letters, jobs) = (customers?, all?, invoices?, letters?, jobs?);
    let kept: Vec<&Server> = all.iter().filter(|server| server.desired == Desired::Kept).collect();
    let astray: Vec<&&Server> = kept.iter().filter(|server| !as_wanted(server)).collect();
    let awake = kept
        .iter()
        .filter(|server| matches!(server.seen.seen, Seen::Placed { doing: Doing::Awake { .. }, .. }))
        .count();
    let open: Vec<_> = invoices
        .iter()
        .filter(|(_, invoice)| invoice.state == InvoiceState::Open && invoice.amount.cents > 0)
        .collect();
    let owed = open.iter().map(|(_, invoice)| invoice.amount.cents).sum::<i64>();
    let late = customers
        .iter()
        .filter(|customer| {
            matches!(
                customer.standing,
                Some(Standing::PastDue { .. } | Standing::ReadOnly { .. } | Standing::Asleep { .. })
            )
        })
        .count();
    let failed: Vec<_> = jobs.iter().filter(|job| job.state == State::Failed).collect();
    let going: Vec<_> = jobs.iter().filter(|job| matches!(job.state, State::Running | State::Waiting)).collect();
    let stuck_letters = letters.iter().filter(|letter| letter.last_error.is_some()).count();

    let mut needs = Vec::new();
    let mut need = |tone, what: String, meaning: &str, path: &str, label| {
        needs.push(Banner { tone, what, meaning: meaning.to_owned(), path: path.to_owned(), label });
    };
    if !astray.is_empty() {
        need(
            "danger",
            format!("{} not as wanted.", many(astray.len(), "server is", "servers are")),
            "We keep trying; the reason stands beside each.",
            "/operator/servers",
            "Look at them",
        );
    }
    if let Some(job) = failed.first().filter(|job| recent(plane.now(), job.updated_ms)) {
        need(
            "warn",
            format!("{} failed lately.", many(failed.len(), "operation has", "operations have")),
            "Nothing was changed on the servers; their owners were told.",
            &format!("/operator/operations/{}", job.id),
            "Look at the newest",
        );
    }
    if late > 0 {
        need(
            "warn",
            format!("{} late with an invoice.", many(late, "customer is", "customers are")),
            "When the money has come, mark the invoice as paid.",
            "/operator/invoices",
            "Open invoices",
        );
    }
    if stuck_letters > 0 {
        need(
            "warn",
            format!("{} not leave.", many(stuck_letters, "letter could", "letters could")),
            "The mail server did not take them.",
            "/operator/outbox",
            "Outbox",
        );
    }
    let needed = match needs.len() {
        0 => "Nothing needs you.".to_owned(),
        1 => "One thing needs you.".to_owned(),
        several => format!("{several} things need you."),
    };
    let money = billing::Money::new(owed, visit.business.currency);
    let cards = vec![
        Card {
            label: "Customers",
            value: Count(customers.len() as u64).to_string(),
            note: String::new(),
            hint: format!("{late} late with an invoice"),
        },
        Card {
            label: "Open invoices",
            value: money.to_string(),
            note: String::new(),
            hint: format!("{} invoices", open.len()),
        },
        Card {
            label: "Servers awake now",
            value: Count(awake as u64).to_string(),
            note: format!("of {}", kept.len()),
            hint: "the others wake at the first request".into(),
        },
        Card {
            label: "Operations",
            value: Count(going.len() as u64).to_string(),
            note: "now".into(),
            hint: format!("{} since the start", jobs.len()),
        },
    ];
    let mut next = Vec::new();
    if visit.business.set_up.is_some() && customers.len() <= 1 {
        next.push(format!(
            "People can sign up at {}. Tell them.",
            control_plane::business::console_origin(plane).await?
        ));
    }
    next.push(
        "Invoices are written and sent by themselves each month; you mark them as paid when the money has come."
            .to_owned(),
    );
    next.push("Servers sleep and wake by themselves.".to_owned());
    let shown: Vec<_> = going.into_iter().cloned().collect();
    page::show(&Overview {
        shell: Shell::of(&visit, "overview", None).await?,
        seen: show::time(plane.now()),
        summary: format!(
            "{} wanted, {} as wanted. {needed}",
            many(kept.len(), "server is", "servers are"),
            kept.len() - astray.len()
        ),
        needs,
        cards,
        hosts: hosts::table(&visit).await?,
        operations: operations::table(&shown, &all),
        next,
    })
}

/// Whether what is seen is what is wanted.
pub(super) fn as_wanted(server: &Server) -> bool {
    match (server.desired, &server.seen.seen) {
        (Desired::Kept, Seen::Placed { doing, .. }) => !matches!(doing, Doing::Crashing { .. }),
        (Desired::Erased, Seen::Erased) => true,
        (Desired::Kept, Seen::Unsure) => server.trouble.is_none(),
        _ => false,
    }
}

fn recent(now: jiff::Timestamp, ms: i64) -> bool {
    now.as_millisecond().saturating_sub(ms) < 86_400_000
}

fn many(count: usize, one: &str, several: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {several}", Count(count as u64)) }
}
