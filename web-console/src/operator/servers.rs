//! Servers: what is wanted and what is seen, apart, with the time of each.

use axum::extract::Query;
use control_plane::paging::Page;
use control_plane::servers::{self, Doing, Seen, Server};

use super::listing::{Asked, Finder, Listing};
use super::overview::as_wanted;
use crate::page::Answer;
use crate::parts::{Badge, Fact, Html, Table};
use crate::show::{self, Amount};
use crate::visit::Visit;

/// `GET /operator/servers`; `only=astray` lists those that are not as wanted.
pub(super) async fn list(visit: Visit, Query(asked): Query<Asked>) -> Answer {
    let (plane, actor) = (visit.console.plane(), &visit.actor);
    let astray = asked.only == "astray";
    let page = if astray {
        Page { items: servers::astray(plane, actor).await?, newer: None, older: None }
    } else {
        servers::servers(plane, actor, &asked.ask()).await?
    };
    let heads = ["Server", "Owner", "Wanted", "Seen", "#Generation", "#Memory"];
    let mut table = if astray {
        Table::new(&heads, "None with a reason", "What is only being placed is not listed here; it takes a moment.")
    } else {
        asked.or_nothing(&heads, "No servers yet", "The first one appears when somebody signs up.")
    };
    for server in &page.items {
        let mut name = Html::text(&server.name);
        if let Some(trouble) = &server.trouble {
            name = name.with_small(Html::text(trouble));
        }
        table.row(vec![
            name,
            Html::link(&format!("/operator/customers/{}", server.account), &server.owner),
            Html::text(server.desired.word())
                .with_small(Html::text(format!("since {}", show::both(server.desired_since).words()))),
            Html::badge(&seen(server)).with_small(show::time(server.seen.at)),
            Html::text(server.generation),
            Html::text(memory(server).map(|bytes| Amount(bytes).to_string()).unwrap_or_default()),
        ]);
    }
    let lead =
        if astray { "Those that crash or could not be brought to where they ought to be." } else { "Newest first." };
    let next = "What is not as wanted is tried again by itself; a reason stands beside it. A sleeping server has no process and wakes at the first request.";
    let states = &[("astray", "Not as wanted")];
    Listing::new(&visit, "servers", "Servers", lead.to_owned(), table)
        .await?
        .beside("/operator/usage", "What they used")
        .found_by(Finder::new("/operator/servers", "Address or e-mail of the owner", states, asked, &page))
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
