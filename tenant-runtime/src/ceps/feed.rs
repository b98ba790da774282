//! `GET /feps/changes/:table`: server-sent events that tell a page what has just changed (our extension).
//!
//! Each event is named `change` and carries `{"op":"write"|"delete","_id","_date_modified"}`; its id is the date. A
//! browser that reconnects sends the last id, and first gets the writes since then. Removals it missed it cannot
//! learn, and after falling far behind it gets `lagged`: in both cases it should read again.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::auth::Caller;
use crate::changes::{Change, Kind};
use crate::documents::query::{Comparison, Test};
use crate::documents::{self, COUNT_LIMIT, Filter, Search, TableName};
use crate::permissions::Action;
use crate::problem::Problem;
use crate::server::{Server, now};

/// Listens to one table until the page goes, the server stops or departs, or whoever listens may no longer.
pub(super) async fn feed(
    State(server): State<Server>,
    caller: Caller,
    Path(table): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let (name, table) = (table.clone(), caller.table(&server, &table, Action::Read)?);
    let changes = server.changes.listen();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let missed = match last {
        Some(last) => missed(&server, &table, last).await?,
        None => Vec::new(),
    };
    let live = stream::unfold(changes, move |mut changes| {
        let table = table.clone();
        async move {
            loop {
                match changes.recv().await {
                    Ok(change) if change.table == table => return Some((event(&change), changes)),
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return Some((Event::default().event("lagged").data("{}"), changes)),
                    Err(RecvError::Closed) => return None,
                }
            }
        }
    });
    // Telling at once that it works also tells every proxy on the way to pass things on.
    let hello = stream::once(async { Event::default().comment("listening") });
    let ended = async move {
        tokio::select! {
            () = server.stopped() => {}
            () = server.home.departs() => {}
            () = barred(&server, &caller, &name) => {}
        }
    };
    let events = hello.chain(stream::iter(missed)).chain(live).take_until(Box::pin(ended)).map(Ok);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(25))))
}

/// Returns once the caller may no longer hear of the table: signed out, the app removed, a permission taken back.
async fn barred(server: &Server, caller: &Caller, table: &str) {
    let (mut sessions, mut apps) = (server.sessions.revisions(), server.apps.revisions());
    loop {
        let now = now();
        let installed = server.apps.get(&caller.app).is_some();
        let holds = installed && server.sessions.holds(&caller.token, now);
        if !holds || caller.table(server, table, Action::Read).is_err() {
            return;
        }
        let left = Duration::from_millis(caller.token.expires.min(caller.session.expires).abs_diff(now));
        tokio::select! {
            _ = sessions.changed() => {}
            _ = apps.changed() => {}
            () = tokio::time::sleep(left) => {}
        }
    }
}

async fn missed(server: &Server, table: &TableName, last: i64) -> Result<Vec<Event>, Problem> {
    let since = Test::Compare(Comparison::Greater, Value::from(last));
    let search = Search { filter: Filter::field("_date_modified", since), count: COUNT_LIMIT, ..Search::default() };
    let within = table.clone();
    let rows = server.home.read(move |db| Ok::<_, Problem>(documents::search(db, &within, &search)?)).await?;
    let change = |row: &documents::Row| {
        event(&Change { table: table.clone(), id: row.id.clone(), at: row.modified, kind: Kind::Written })
    };
    Ok(rows.iter().rev().map(change).collect())
}

fn event(change: &Change) -> Event {
    let op = match change.kind {
        Kind::Written => "write",
        Kind::Removed => "delete",
    };
    let data = json!({"op": op, "_id": change.id, "_date_modified": change.at});
    Event::default().event("change").id(change.at.to_string()).data(data.to_string())
}
