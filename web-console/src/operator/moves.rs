//! Moves in and out: whose server, from or to where, how far, and what hinders it.

use axum::extract::Query;
use control_plane::moves::{Direction, Standing, fleet, fleet_sums};
use control_plane::{moves::Line, moves::Sums};

use super::listing::{Asked, Extra, Finder, Listing};
use crate::page::Answer;
use crate::parts::{Badge, Fact, Html, Table};
use crate::show::{self, Amount, Count};
use crate::visit::Visit;

/// The columns of a table of moves.
pub(super) const HEADS: &[&str] = &["Server", "Owner", "Where", "State", "#Data", "Since"];
const EMPTY: &str = "No moves yet";
const EMPTY_HINT: &str = "A move stands here from when its owner asks for it, in either direction.";
const STATES: &[(&str, &str)] = &[
    ("going", "Under way"),
    ("hindered", "Hindered"),
    ("failed", "Given up"),
    ("stopped", "Stopped"),
    ("done", "Done"),
];

/// `GET /operator/moves`.
pub(super) async fn list(visit: Visit, Query(asked): Query<Asked>) -> Answer {
    let (plane, actor) = (visit.console.plane(), &visit.actor);
    let page = fleet(plane, actor, &asked.ask()).await?;
    let sums = fleet_sums(plane, actor).await?;
    let table = filled(asked.or_nothing(HEADS, EMPTY, EMPTY_HINT), &page.items);
    let lead = "Servers that come from other providers and that leave for them. Newest first.";
    let mut listing = Listing::new(&visit, "operations", "Moves", lead.to_owned(), table)
        .await?
        .beside("/operator/operations", "Operations")
        .beside("/operator/drills", "Exit drills")
        .found_by(Finder::new("/operator/moves", "Address here or there, owner, or number of the move", STATES, asked, &page))
        .next("Moves go on by themselves, also after a restart: a server that comes is tried for seven days, and after the hand-over for as long as it takes. Only its owner begins, stops or takes back.");
    listing.problem = problem(&sums);
    listing.extras.push(Extra {
        title: "Just now".into(),
        facts: vec![
            Fact::new("Coming", Count(sums.coming)),
            Fact::new("Leaving", Count(sums.leaving)),
            Fact::new("Comes in", format!("{}/s", Amount(sums.speed)))
                .noted(format!("all moves together; {}/s at most", Amount(sums.most))),
        ],
    });
    listing.show()
}

/// Moves as rows of a table of their own.
pub(super) fn table(moves: &[Line]) -> Table {
    filled(Table::new(HEADS, EMPTY, EMPTY_HINT), moves)
}

fn filled(mut table: Table, moves: &[Line]) -> Table {
    for line in moves {
        table.row(row(line));
    }
    table
}

fn row(line: &Line) -> Vec<Html> {
    let way = match line.direction {
        Direction::In => "Comes from",
        Direction::Out => "Leaves for",
    };
    let badge = match line.standing {
        Standing::Going => Badge::new("info", "Under way"),
        Standing::Hindered => Badge::new("warn", "Hindered"),
        Standing::Done => Badge::new("ok", "Done"),
        Standing::Failed => Badge::new("danger", "Given up"),
        Standing::Stopped => Badge::new("", "Stopped"),
    };
    let told = match &line.trouble {
        Some(trouble) => format!("{}. {trouble}", line.step),
        None => line.step.clone(),
    };
    let data = match line.coming {
        Some((here, all)) => format!("{} of {}", Amount(here), Amount(all)),
        None => Amount(line.bytes).to_string(),
    };
    let mut data = Html::text(data);
    if line.speed > 0 {
        data = data.with_small(Html::text(format!("{}/s", Amount(line.speed))));
    }
    let mut since = Html::safe(show::both(line.since));
    if let Some(updated) = line.updated {
        since = since.with_small(Html::text("got on ").and(Html::safe(show::time(updated))));
    }
    vec![
        Html::text(&line.name).with_small(Html::text(line.id)),
        Html::link(&format!("/operator/customers/{}", line.account), &line.owner),
        Html::text(way).with_small(Html::text(&line.address)),
        Html::badge(&badge).with_small(Html::text(told)),
        data,
        since,
    ]
}

/// What needs somebody.
fn problem(sums: &Sums) -> Option<String> {
    match sums.hindered {
        0 => None,
        1 => Some(
            "1 move is hindered, or its new place has not said that it is live. Its owner reads the same reason."
                .to_owned(),
        ),
        several => Some(format!(
            "{} moves are hindered, or their new places have not said that they are live. Their owners read the same reasons.",
            Count(several)
        )),
    }
}
