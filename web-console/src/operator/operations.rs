//! Operations: exports and imports with their steps and errors.

use axum::extract::Path;
use control_plane::Error;
use control_plane::operations::{Operation, OperationId};
use control_plane::servers::{self, Server};

use super::listing::Listing;
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

/// Operations as rows.
pub(super) fn table(operations: &[Operation], servers: &[Server]) -> Table {
    let mut table = Table::new(
        &["Operation", "Server", "State", "Step", "Started"],
        "No operations",
        "Exports and imports stand here while they run and afterwards.",
    );
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

/// `GET /operator/operations`.
pub(super) async fn list(visit: Visit) -> Answer {
    let plane = visit.console.plane();
    let desk = visit.console.operations();
    let (operations, servers) = tokio::join!(desk.all(&visit.actor), servers::all(plane, &visit.actor));
    let (operations, servers) = (operations?, servers?);
    let lead = format!("{} in all, newest first.", operations.len());
    Listing::new(&visit, "operations", "Operations", lead, table(&operations, &servers))
        .await?
        .next("What runs goes on by itself, also after a restart. What failed has changed nothing, and its owner can start it again.")
        .show()
}

/// `GET /operator/operations/{operation}`.
pub(super) async fn one(visit: Visit, Path(id): Path<String>) -> Answer {
    let id: OperationId = id.parse().map_err(|_| Refusal::of(Error::gone("There is no such operation.")))?;
    let plane = visit.console.plane();
    let operations = visit.console.operations().all(&visit.actor).await?;
    let operation = operations.into_iter().find(|operation| operation.id == id);
    let operation = operation.ok_or_else(|| Refusal::of(Error::gone("There is no such operation.")))?;
    let servers = servers::all(plane, &visit.actor).await?;
    let name = server_name(&operation, &servers);
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
