//! Operations: exports and imports with their steps and errors.

use axum::extract::{Path, Query};
use control_plane::Error;
use control_plane::operations::{Operation, OperationId};
use control_plane::servers::{self, Server};

use super::listing::{Asked, Finder, Listing};
use crate::page::{self, Answer};
use crate::parts::{self, Badge, Fact, Html, Step, Table, moment};
use crate::refusal::Refusal;
use crate::shell::Shell;
use crate::show::{self, Amount};
use crate::visit::Visit;

#[derive(askama::Template)]
#[template(path = "operator/operation.html")]
struct OperationPage {
    shell: Shell,
    title: String,
    id: String,
    state: Badge,
    problem: Option<String>,
    steps: Vec<Step>,
    facts: Vec<Fact>,
    next: String,
}

fn server_name(operation: &Operation, servers: &[Server]) -> String {
    let server = servers.iter().find(|server| server.id == operation.server);
    server.map_or_else(|| operation.server.to_string(), |server| server.name.to_string())
}

/// The columns of a table of operations.
const HEADS: &[&str] = &["Operation", "Server", "State", "Step", "Started"];

/// Operations as rows.
pub(super) fn table(operations: &[Operation], servers: &[Server]) -> Table {
    let table = Table::new(HEADS, "No operations", "Exports and imports stand here while they run and afterwards.");
    filled(table, operations, servers)
}

fn filled(mut table: Table, operations: &[Operation], servers: &[Server]) -> Table {
    for operation in operations {
        table.row(vec![
            Html::link(&format!("/operator/operations/{}", operation.id), parts::what(operation)),
            Html::text(server_name(operation, servers)),
            Html::badge(&parts::operation_badge(operation)),
            Html::text(operation.error.clone().unwrap_or_else(|| parts::state(operation))),
            Html::safe(show::both(moment(operation.created_ms))),
        ]);
    }
    table
}

/// The servers that operations are about, for who runs the business.
pub(super) async fn servers_of(visit: &Visit, operations: &[Operation]) -> Result<Vec<Server>, Refusal> {
    let mut ids: Vec<_> = operations.iter().map(|operation| operation.server).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(servers::some(visit.console.plane(), &visit.actor, &ids).await?)
}

/// `GET /operator/operations`.
pub(super) async fn list(visit: Visit, Query(asked): Query<Asked>) -> Answer {
    let page = visit.console.operations().all(&visit.actor, &asked.ask()).await?;
    let servers = servers_of(&visit, &page.items).await?;
    let table =
        asked.or_nothing(HEADS, "No operations", "Exports and imports stand here while they run and afterwards.");
    let table = filled(table, &page.items, &servers);
    let states = &[("running", "Running"), ("waiting", "Waiting"), ("failed", "Failed"), ("done", "Done")];
    Listing::new(&visit, "operations", "Operations", "Newest first.".to_owned(), table)
        .await?
        .beside("/operator/moves", "Moves")
        .beside("/operator/drills", "Exit drills")
        .found_by(Finder::new("/operator/operations", "Address of the server", states, asked, &page))
        .next("What runs goes on by itself, also after a restart. What failed has changed nothing, and its owner can start it again.")
        .show()
}

/// `GET /operator/operations/{operation}`.
pub(super) async fn one(visit: Visit, Path(id): Path<String>) -> Answer {
    let id: OperationId = id.parse().map_err(|_| Refusal::of(Error::gone("There is no such operation.")))?;
    let operation = visit.console.operations().operation(&visit.actor, id).await?;
    let name = server_name(&operation, &servers_of(&visit, std::slice::from_ref(&operation)).await?);
    let mut facts = vec![
        Fact::new("Server", &name),
        Fact::html("Started", show::both(moment(operation.created_ms))),
        Fact::html("Got on last", show::both(moment(operation.updated_ms))),
    ];
    if let Some(bytes) = operation.bytes {
        facts.push(Fact::new("Archive", Amount(bytes)).noted(format!("{} received", Amount(operation.received))));
    }
    if let Some(until) = operation.expires_ms {
        facts.push(Fact::html("Kept until", show::both(moment(until))));
    }
    if let Some(until) = operation.undo_until_ms {
        facts.push(Fact::html("Undo until", show::both(moment(until))));
    }
    page::show(&OperationPage {
        shell: Shell::of(&visit, "operations", None).await?,
        title: format!("{} of {name}", parts::what(&operation)),
        id: operation.id.to_string(),
        state: parts::operation_badge(&operation),
        problem: operation.error.clone(),
        steps: parts::steps(&operation),
        facts,
        next: parts::state(&operation),
    })
}
