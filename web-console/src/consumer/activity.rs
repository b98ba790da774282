//! The activity log: who did what when, on one's server and one's account.

use axum::extract::{Path, Query};
use control_plane::audit::{self, Event, Outcome, Who};
use control_plane::paging::{Ask, Page, Place};
use serde::Deserialize;

use super::{base, own_server};
use crate::page::{self, Answer};
use crate::parts::{Badge, Html, Table};
use crate::shell::Shell;
use crate::show;
use crate::visit::Visit;

#[derive(askama::Template)]
#[template(path = "consumer/activity.html")]
struct ActivityPage {
    shell: Shell,
    path: String,
    events: Table,
    /// The ways to the other pages of the log.
    newest: bool,
    newer: Option<String>,
    older: Option<String>,
}

/// Which page of the log.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    older: String,
    newer: String,
}

impl Wish {
    fn place(&self) -> Place {
        let cut = |text: &str| text.chars().take(100).collect::<String>();
        match (self.older.as_str(), self.newer.as_str()) {
            ("", "") => Place::Newest,
            ("", newer) => Place::NewerThan(cut(newer)),
            (older, _) => Place::OlderThan(cut(older)),
        }
    }
}

/// `GET /servers/{name}/activity`.
pub(super) async fn show(visit: Visit, Path(name): Path<String>, Query(wish): Query<Wish>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let ask = Ask { place: wish.place(), ..Ask::default() };
    let Page { items, newer, older } = audit::events(visit.console.plane(), &visit.actor, server.id, &ask).await?;
    let (empty, hint) = match ask.place {
        Place::Newest => ("Nothing yet", "What you do here, and what goes on by itself, stands here from now on."),
        _ => ("Nothing more", "The log ends here."),
    };
    let mut events = Table::new(&["When", "Who", "What"], empty, hint);
    for event in items {
        let who = who(&event, &visit.business.name);
        events.row(vec![Html::safe(show::both(event.at)), Html::text(who), told(&event)]);
    }
    page::show(&ActivityPage {
        shell: Shell::of(&visit, "server", Some(&server)).await?,
        path: base(&server),
        events,
        newest: ask.place != Place::Newest,
        newer: newer.map(|id| format!("?newer={id}")),
        older: older.map(|id| format!("?older={id}")),
    })
}

fn who(event: &Event, business: &str) -> String {
    match event.who {
        Who::Owner => "You".to_owned(),
        Who::Operator => business.to_owned(),
        Who::Provider => format!("{business}, by itself"),
        Who::Unknown => "Somebody".to_owned(),
    }
}

/// The sentence; with a badge where it did not end as it should.
fn told(event: &Event) -> Html {
    let sentence = Html::text(&event.text);
    match event.outcome {
        Some(Outcome::Refused) => sentence.and(Html::badge(&Badge::new("warn", "Refused"))),
        Some(Outcome::Failed) => sentence.and(Html::badge(&Badge::new("danger", "Failed"))),
        Some(Outcome::Done) | None => sentence,
    }
}
