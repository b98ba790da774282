//! What starts by itself: schedules and webhooks, what came of them, and notices (`happenings::travel` has their rows).

use rusqlite::Connection;
use serde_json::Value;

use super::{Payload, Sink, kept, render};
use crate::archive::error::Error;
use crate::happenings::Luggage;

/// Where schedules and webhooks stand.
pub(crate) const SCHEDULES: &str = "data/schedules.ndjson";
/// Where stands what came of them.
pub(crate) const HAPPENINGS: &str = "data/happenings.ndjson";
/// Where stands what the owner has not put away.
pub(crate) const NOTICES: &str = "data/notices.ndjson";

pub(super) fn render(db: &Connection, sink: &mut dyn Sink, payload: &mut Payload) -> Result<(), Error> {
    let all = Luggage::take(db)?;
    let schedules = all.schedules.iter().map(|one| one.to_row()).chain(all.webhooks.iter().map(|one| one.to_row()));
    document(db, SCHEDULES, schedules.collect(), sink, payload)?;
    document(db, HAPPENINGS, all.happenings.iter().map(|one| one.to_row()).collect(), sink, payload)?;
    document(db, NOTICES, all.notices.iter().map(|one| one.to_row()).collect(), sink, payload)
}

/// One of the documents; none where there is nothing to say.
fn document(
    db: &Connection,
    at: &str,
    rows: Vec<Value>,
    sink: &mut dyn Sink,
    payload: &mut Payload,
) -> Result<(), Error> {
    let path = render::path(at)?;
    let mut lines = Vec::with_capacity(rows.len());
    for ours in rows {
        let id = ours.get("id").and_then(Value::as_str).unwrap_or_default();
        let theirs = kept::members_text(db, &words(at, id))?;
        lines.push(render::Line { ours, theirs });
    }
    let content = render::lines(db, &path, lines)?;
    if !content.is_empty() {
        payload.add(path, sink.keep(&content)?)?;
    }
    Ok(())
}

/// Under which name it is kept what another writer said in a row.
pub(crate) fn words(document: &str, id: &str) -> String {
    format!("{document}/{id}")
}
