//! What every server used in a month: what hosting it costs.

use axum::extract::Query;
use control_plane::metering;

use super::listing::{Asked, Finder};
use crate::page::{self, Answer};
use crate::parts::{Fact, Html, Table};
use crate::shell::Shell;
use crate::show::Amount;
use crate::usage::{self, Pick, Wish};
use crate::visit::Visit;

#[derive(askama::Template)]
#[template(path = "operator/usage.html")]
struct UsagePage {
    shell: Shell,
    pick: Pick,
    facts: Vec<Fact>,
    servers: Table,
    finder: Finder,
}

/// `GET /operator/usage?month=2026-11`.
pub(super) async fn show(visit: Visit, Query(wish): Query<Wish>, Query(asked): Query<Asked>) -> Answer {
    let plane = visit.console.plane();
    let pick = Pick::of(&wish, plane.now());
    let page = metering::usage_of_all(plane, &visit.actor, pick.month, &asked.ask()).await?;
    let (total, stored) = metering::usage_in_all(plane, &visit.actor, pick.month).await?;
    let [first, rest @ ..] = usage::heads("Server");
    let heads: Vec<_> = [first, "#Kept now", "#On average"].into_iter().chain(rest).collect();
    let mut servers = asked.or_nothing(&heads, "No servers yet", "The first one appears when somebody signs up.");
    for one in &page.items {
        let stored = one.stored_now.map(|bytes| Amount(bytes).to_string()).unwrap_or_default();
        let average = match one.total.stored_byte_seconds {
            0 => String::new(),
            _ => pick.average(&one.total).to_string(),
        };
        let kept = [Html::text(&one.name), Html::text(stored), Html::text(average)];
        servers.row(kept.into_iter().chain(usage::cells(&one.total)).collect());
    }
    page::show(&UsagePage {
        shell: Shell::of(&visit, "servers", None).await?,
        facts: usage::facts(&pick, &total, (stored > 0).then_some(stored)),
        finder: Finder::new("/operator/usage", "Address or e-mail of the owner", &[], asked, &page),
        pick,
        servers,
    })
}
