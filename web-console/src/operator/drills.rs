//! Exit drills of all servers: how many could leave today, which was tested longest ago, what did not pass and why.

use axum::extract::Query;
use control_plane::drills::{self, Failed, Fault, Line, Now};

use super::listing::{Asked, Extra, Finder, Listing};
use crate::consumer::took;
use crate::page::Answer;
use crate::parts::{Badge, Fact, Html};
use crate::show::{self, Amount, Count};
use crate::visit::Visit;

const HEADS: &[&str] = &["Server", "Last drill", "Last passed", "#Archive", "#Took", "Next turn"];
const STATES: &[(&str, &str)] = &[
    ("failed", "Did not pass"),
    ("hindered", "Could not be done"),
    ("untested", "Never passed"),
    ("going", "Waiting or running"),
];

/// `GET /operator/drills`.
pub(super) async fn list(visit: Visit, Query(asked): Query<Asked>) -> Answer {
    let (plane, actor) = (visit.console.plane(), &visit.actor);
    let page = drills::fleet(plane, actor, &asked.ask()).await?;
    let sums = drills::fleet_sums(plane, actor).await?;
    let mut table = asked.or_nothing(HEADS, "No servers yet", "Each server stands here with its last exit drill.");
    for line in &page.items {
        table.row(row(line));
    }
    let turn = match plane.settings().drills_every {
        None => "only when an owner asks".to_owned(),
        Some(every) => format!("every {} days", every.as_secs() / 86_400),
    };
    let oldest = sums.oldest.map_or_else(
        || Fact::new("Tested longest ago", "none yet"),
        |at| Fact::html("Tested longest ago", show::both(at)),
    );
    let lead = "Each server's archive is made, taken in by a stand-in on this machine, given out again and compared. Newest servers first.";
    let mut listing = Listing::new(&visit, "operations", "Exit drills", lead.to_owned(), table)
        .await?
        .beside("/operator/operations", "Operations")
        .beside("/operator/moves", "Moves")
        .found_by(Finder::new("/operator/drills", "Address or e-mail of the owner", STATES, asked, &page))
        .next("Drills go on by themselves, one at a time. What did not pass is tried again after a day, and its owner reads the same reason. A sleeping server that has not changed since it passed is not woken for long.");
    listing.problem = problem(&sums);
    listing.extras.push(Extra {
        title: "All servers".into(),
        facts: vec![
            Fact::new("Passed one", Count(sums.passed)),
            Fact::new("Last one did not pass", Count(sums.failed)),
            Fact::new("Last one could not be done", Count(sums.hindered)),
            Fact::new("Waiting or running", Count(sums.going)),
            oldest,
            Fact::new("Each server's turn", turn).noted("drills.every_days"),
        ],
    });
    listing.show()
}

fn row(line: &Line) -> Vec<Html> {
    let drills = &line.drills;
    let last = match (&drills.failed, &drills.passed) {
        (Some(Failed { at, fault, why }), _) => {
            let badge = match fault {
                Fault::Archive => Badge::new("danger", "Did not pass"),
                Fault::Provider => Badge::new("warn", "Could not be done"),
            };
            Html::badge(&badge).and(Html::text(why)).with_small(show::both(*at))
        }
        (None, Some(_)) => Html::badge(&Badge::new("ok", "Passed")),
        (None, None) => Html::badge(&Badge::new("", "Never tested")),
    };
    let last = match drills.now {
        Now::Resting => last,
        Now::Waiting => last.and(Html::badge(&Badge::new("", "Waiting"))),
        Now::Running => last.and(Html::badge(&Badge::new("info", "Running"))),
    };
    let passed = drills.passed.as_ref();
    vec![
        Html::text(&line.name),
        last,
        passed.map_or_else(|| Html::text("never"), |passed| Html::safe(show::both(passed.at))),
        passed.map_or_else(Html::default, |passed| Html::text(Amount(passed.bytes))),
        passed.map_or_else(Html::default, |passed| Html::text(took(passed))),
        drills.next.map_or_else(Html::default, |at| Html::safe(show::day(at))),
    ]
}

/// What needs somebody.
fn problem(sums: &drills::Sums) -> Option<String> {
    let servers = |count: u64, one: &str, several: &str| match count {
        1 => format!("1 server {one}"),
        _ => format!("{} servers {several}", Count(count)),
    };
    let failed = servers(
        sums.failed,
        "did not pass its last drill: its owner could perhaps not leave.",
        "did not pass their last drill: their owners could perhaps not leave.",
    );
    let hindered = servers(sums.hindered, "could not be tried by this machine.", "could not be tried by this machine.");
    match (sums.failed, sums.hindered) {
        (0, 0) => None,
        (_, 0) => Some(failed),
        (0, _) => Some(hindered),
        (_, _) => Some(format!("{failed} {hindered}")),
    }
}
