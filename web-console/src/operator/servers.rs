//! Servers: what is wanted and what is seen, apart, with the time of each.

use control_plane::accounts;
use control_plane::servers::{self, Doing, Seen, Server};

use super::listing::Listing;
use super::overview::as_wanted;
use crate::page::Answer;
use crate::parts::{Badge, Fact, Html, Table};
use crate::show::{self, Amount};
use crate::visit::Visit;

/// `GET /operator/servers`.
pub(super) async fn list(visit: Visit) -> Answer {
    let (plane, actor) = (visit.console.plane(), &visit.actor);
    let (all, customers) = tokio::join!(servers::all(plane, actor), accounts::customers(plane, actor));
    let (all, customers) = (all?, customers?);
    let mut table = Table::new(
        &["Server", "Owner", "Wanted", "Seen", "#Generation", "#Memory"],
        "No servers yet",
        "The first one appears when somebody signs up.",
    );
    for server in &all {
        let owner = customers.iter().find(|customer| customer.account.id == server.account);
        let email = owner.map_or_else(|| server.account.to_string(), |owner| owner.account.email.as_str().to_owned());
        let mut name = Html::text(&server.name);
        if let Some(trouble) = &server.trouble {
            name = name.with_small(Html::text(trouble));
        }
        table.row(vec![
            name,
            Html::link(&format!("/operator/customers/{}", server.account), email),
            Html::text(server.desired.word())
                .with_small(Html::text(format!("since {}", show::both(server.desired_since).words()))),
            Html::badge(&seen(server)).with_small(show::time(server.seen.at)),
            Html::text(server.generation),
            Html::text(memory(server).map(|bytes| Amount(bytes).to_string()).unwrap_or_default()),
        ]);
    }
    let astray = all.iter().filter(|server| !as_wanted(server)).count();
    let lead = match (all.len(), astray) {
        (0, _) => String::new(),
        (_, 0) => "All are as wanted.".to_owned(),
        (_, astray) => format!("{astray} not as wanted."),
    };
    let next = "What is not as wanted is tried again by itself; a reason stands beside it. A sleeping server has no process and wakes at the first request.";
    Listing::new(&visit, "servers", "Servers", lead, table)
        .await?
        .beside("/operator/usage", "What they used")
        .next(next)
        .show()
}

/// What was seen, as a badge.
pub(super) fn seen(server: &Server) -> Badge {
    let tone = match &server.seen.seen {
        Seen::Placed { doing: Doing::Awake { .. }, .. } => "ok",
        Seen::Placed { doing: Doing::Asleep, .. } | Seen::Unsure | Seen::Erased => "",
        Seen::Placed { doing: Doing::Crashing { .. }, .. } => "danger",
        Seen::Nothing => "warn",
    };
    Badge::new(tone, server.seen.seen.word())
}

fn memory(server: &Server) -> Option<u64> {
    match server.seen.seen {
        Seen::Placed { doing: Doing::Awake { memory_bytes, .. }, .. } => memory_bytes,
        _ => None,
    }
}

/// One server as facts, for the customer's page.
pub(super) fn facts(server: &Server) -> Vec<Fact> {
    let seen_words = match &server.seen.seen {
        Seen::Placed { doing: Doing::Crashing { why, times }, .. } => {
            format!("crashing, {times} times in a row: {why}")
        }
        other => other.word().to_owned(),
    };
    let agreed = if as_wanted(server) { "as wanted" } else { "not as wanted" };
    let mut facts = vec![
        Fact::new("Wanted", server.desired.word()).noted(format!("since {}", show::both(server.desired_since).words())),
        Fact::new("Seen", seen_words).noted(format!("{}, {agreed}", show::both(server.seen.at).words())),
        Fact::new("Generation", server.generation),
        Fact::new("Made", show::day(server.created).words()),
        Fact::new("Number", server.id),
    ];
    if let Some(host) = &server.host {
        facts.insert(2, Fact::new("Host", host));
    }
    if let Some(trouble) = &server.trouble {
        facts.push(Fact::new("Trouble", trouble));
    }
    facts
}
