//! What one's server uses: kept, moved, computed, awake; day by day.

use axum::extract::{Path, Query};
use control_plane::metering;

use super::{base, own_server};
use crate::page::{self, Answer};
use crate::parts::{Fact, Table};
use crate::shell::Shell;
use crate::usage::{self, Pick, Wish};
use crate::visit::Visit;

#[derive(askama::Template)]
#[template(path = "consumer/usage.html")]
struct UsagePage {
    shell: Shell,
    path: String,
    pick: Pick,
    facts: Vec<Fact>,
    days: Table,
}

/// `GET /servers/{name}/usage?month=2026-11`.
pub(super) async fn show(visit: Visit, Path(name): Path<String>, Query(wish): Query<Wish>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let plane = visit.console.plane();
    let pick = Pick::of(&wish, plane.now());
    let used = metering::usage(plane, &visit.actor, server.id, pick.month).await?;
    let mut days =
        Table::new(&usage::heads("Day"), "Nothing was used", "Days on which the server slept are not listed.");
    for day in &used.days {
        days.row(std::iter::once(usage::day(day.day)).chain(usage::cells(&day.used)).collect());
    }
    page::show(&UsagePage {
        shell: Shell::of(&visit, "server", Some(&server)).await?,
        path: base(&server),
        facts: usage::facts(&pick, &used.total, used.stored_now),
        pick,
        days,
    })
}
