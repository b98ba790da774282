//! Servers: what is wanted and what is seen, apart, with the time of each.

use axum::extract::Query;
use control_plane::care::{self, Care};
use control_plane::domains::Domain;
use control_plane::paging::Page;
use control_plane::servers::{self, Doing, Seen, Server};

use super::listing::{Asked, Finder, Listing};
use super::overview::as_wanted;
use crate::page::Answer;
use crate::parts::{Badge, Fact, Html, Table};
use crate::show::{self, Amount, Count};
use crate::visit::Visit;

/// `GET /operator/servers`; `only=astray` lists those that are not as wanted.
pub(super) async fn list(visit: Visit, Query(asked): Query<Asked>) -> Answer {
    let (plane, actor) = (visit.console.plane(), &visit.actor);
    let few = |items: Vec<Server>| Page { items, newer: None, older: None };
    let heads = ["Server", "Owner", "Wanted", "Seen", "Data", "#Generation", "#Memory"];
    let (page, mut table, lead) = match asked.only.as_str() {
        "astray" => (
            few(servers::astray(plane, actor).await?),
            Table::new(
                &heads,
                "None with a reason",
                "What is only being placed is not listed here; it takes a moment.",
            ),
            "Those that crash or could not be brought to where they ought to be.",
        ),
        "damaged" => (
            few(servers::some(plane, actor, &care::spoiled(plane, actor).await?).await?),
            Table::new(&heads, "Nothing is damaged", "As far as the servers that were checked have told."),
            "Those with something that their check found damaged and could not mend. Their owners read what it is.",
        ),
        _ => (
            servers::servers(plane, actor, &asked.ask()).await?,
            asked.or_nothing(&heads, "No servers yet", "The first one appears when somebody signs up."),
            "Newest first.",
        ),
    };
    let ids: Vec<_> = page.items.iter().map(|server| server.id).collect();
    let cared = care::of_servers(plane, actor, &ids).await?;
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
            data(cared.get(&server.id)),
            Html::text(server.generation),
            Html::text(memory(server).map(|bytes| Amount(bytes).to_string()).unwrap_or_default()),
        ]);
    }
    let next = "What is not as wanted is tried again by itself; a reason stands beside it. A sleeping server has no process and wakes at the first request.";
    let states = &[("astray", "Not as wanted"), ("damaged", "Damaged data")];
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

/// How well its data is kept, for a table.
fn data(cared: Option<&Care>) -> Html {
    let Some((care, at)) = cared.and_then(|care| Some((care, care.checked?))) else {
        return Html::badge(&Badge::new("", "never checked"));
    };
    let badge = match (care.unmended(), care.damaged) {
        (0, 0) => Badge::new("ok", "whole"),
        (0, mended) => Badge::new("ok", format!("{mended} mended")),
        (unmended, _) => Badge::new("danger", format!("{unmended} not mended")),
    };
    Html::badge(&badge).with_small(show::day(at))
}

/// How well its data is kept, as facts; with the time it was told, because nobody is woken to be asked.
fn kept(cared: Option<&Care>) -> Vec<Fact> {
    let Some((care, told)) = cared.and_then(|care| Some((care, care.told?))) else {
        let nothing = "the server has not told yet; it does on its way to sleep";
        return vec![Fact::new("Data checked", "never, as far as we know").noted(nothing)];
    };
    let told = format!("told {}", show::both(told).words());
    let mut facts = match care.checked {
        None => vec![Fact::new("Data checked", "never checked").noted(told)],
        Some(at) => vec![
            Fact::html("Data checked", show::both(at)).noted(format!(
                "{} objects, {}; {told}",
                Count(care.objects),
                Amount(care.bytes)
            )),
            Fact::new("Damaged", Count(care.damaged)).noted(format!(
                "{} mended, {} not mended",
                Count(care.mended),
                Count(care.unmended())
            )),
        ],
    };
    if let Some(at) = care.swept {
        let refused = if care.refused { "; an improbable amount was kept for now" } else { "" };
        let removed = format!("{} objects removed, {}{refused}", Count(care.swept_objects), Amount(care.swept_bytes));
        facts.push(Fact::html("Tidied up", show::both(at)).noted(removed));
    }
    facts
}

/// One server as facts, for the customer's page.
pub(super) fn facts(server: &Server, cared: Option<&Care>, owned: &[Domain]) -> Vec<Fact> {
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
    facts.extend(kept(cared));
    facts.extend(owned.iter().map(|domain| {
        let trouble = domain.trouble.as_deref().map(|trouble| format!("; {trouble}")).unwrap_or_default();
        let since =
            format!("{} since {}{trouble}", domain.state.word().replace('_', " "), show::both(domain.since).words());
        Fact::new("Domain", domain.name.for_people()).noted(since)
    }));
    facts
}
