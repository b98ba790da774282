//! What needs the operator, and the figures that add up.

use control_plane::operations::State;
use control_plane::overview;
use control_plane::paging::Ask;
use control_plane::servers::{Desired, Doing, Seen, Server};

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
    let all = overview::overview(plane, actor).await?;
    let newest_failed = match all.failed {
        0 => None,
        _ => {
            let failed = Ask { only: State::Failed.word().into(), ..Ask::default() };
            visit.console.operations().all(actor, &failed).await?.items.into_iter().next()
        }
    };

    let short_of_disk = hosts::short_of_disk(&control_plane::hosts::hosts(plane, actor).await?);
    let mut needs: Vec<Banner> = short_of_disk.into_iter().collect();
    let mut need = |tone, what: String, meaning: &str, path: &str, label| {
        needs.push(Banner { tone, what, meaning: meaning.to_owned(), path: path.to_owned(), label });
    };
    if all.astray > 0 {
        need(
            "danger",
            format!("{} not as wanted.", many(all.astray, "server is", "servers are")),
            "We keep trying; the reason stands beside each.",
            "/operator/servers?only=astray",
            "Look at them",
        );
    }
    if all.care.spoiled > 0 {
        need(
            "danger",
            format!(
                "{} data that is damaged and could not be mended.",
                many(all.care.spoiled, "server has", "servers have")
            ),
            &format!(
                "{} in all. Look at the disk or the object store they lie on. Their owners read what it is, and can go back in time.",
                many(all.care.unmended, "object is damaged", "objects are damaged")
            ),
            "/operator/servers?only=damaged",
            "Look at them",
        );
    }
    if let Some(job) = newest_failed.filter(|job| recent(plane.now(), job.updated_ms)) {
        need(
            "warn",
            format!("{} failed lately.", many(all.failed, "operation has", "operations have")),
            "Nothing was changed on the servers; their owners were told.",
            &format!("/operator/operations/{}", job.id),
            "Look at the newest",
        );
    }
    if all.drills.failed > 0 {
        need(
            "danger",
            format!("{} not pass the last exit drill.", many(all.drills.failed, "server did", "servers did")),
            "What was exported could not be taken in elsewhere as it was. The reason stands beside each; their owners read it too.",
            "/operator/drills?only=failed",
            "Look at them",
        );
    }
    if all.drills.hindered > 0 {
        need(
            "warn",
            format!("{} not be tried.", many(all.drills.hindered, "exit drill could", "exit drills could")),
            "This machine could not do it, most often for want of room. The reason stands beside each.",
            "/operator/drills?only=hindered",
            "Look at them",
        );
    }
    if all.late > 0 {
        need(
            "warn",
            format!("{} late with an invoice.", many(all.late, "customer is", "customers are")),
            "When the money has come, mark the invoice as paid.",
            "/operator/invoices?only=open",
            "Open invoices",
        );
    }
    if all.stuck_letters > 0 {
        need(
            "warn",
            format!("{} not leave.", many(all.stuck_letters, "letter could", "letters could")),
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
    let cards = vec![
        Card {
            label: "Customers",
            value: Count(all.accounts).to_string(),
            note: String::new(),
            hint: format!("{} late with an invoice", Count(all.late)),
        },
        Card {
            label: "Open invoices",
            value: all.owed.to_string(),
            note: String::new(),
            hint: format!("{} invoices", Count(all.open)),
        },
        Card {
            label: "Servers awake now",
            value: Count(all.awake).to_string(),
            note: format!("of {}", Count(all.kept)),
            hint: "the others wake at the first request".into(),
        },
        Card {
            label: "Servers checked",
            value: Count(all.care.checked).to_string(),
            note: format!("of {}", Count(all.kept)),
            hint: match (all.care.checked, all.care.mended, all.care.unmended) {
                (0, ..) => "the first check comes within a week".into(),
                (_, 0, 0) => "all their data was whole".into(),
                (_, mended, unmended) => format!("{} mended, {} not mended", Count(mended), Count(unmended)),
            },
        },
        Card {
            label: "Exports tested",
            value: Count(all.drills.passed).to_string(),
            note: format!("of {}", Count(all.kept)),
            hint: match all.drills.oldest {
                None => "no exit drill has passed yet".into(),
                Some(at) => format!("by exit drills, the oldest on {}", show::day(at).words()),
            },
        },
        Card {
            label: "Operations",
            value: Count(all.going_count).to_string(),
            note: "now".into(),
            hint: format!("{} since the start", Count(all.operations)),
        },
    ];
    let mut next = Vec::new();
    if visit.business.set_up.is_some() && all.accounts <= 1 {
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
    let about = operations::servers_of(&visit, &all.going).await?;
    page::show(&Overview {
        shell: Shell::of(&visit, "overview", None).await?,
        seen: show::time(plane.now()),
        summary: format!(
            "{} wanted, {} as wanted. {needed}",
            many(all.kept, "server is", "servers are"),
            Count(all.kept.saturating_sub(all.astray))
        ),
        needs,
        cards,
        hosts: hosts::table(&visit).await?,
        operations: operations::table(&all.going, &about),
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

fn many(count: u64, one: &str, several: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {several}", Count(count)) }
}
