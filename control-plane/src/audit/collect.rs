//! Taking over what a server itself has to tell.
//!
//! A runtime says what it likes: it is taken for no more than sentences about this very server, in the words it may use, at
//! moments that can be, and only so many a day.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tenant_runtime::admin::api::EventView;
use tenant_runtime::ids::ServerId;

use super::{KEPT, Note, What, Who, store};
use crate::db::Db;
use crate::{Actor, ControlPlane, Result, row, servers};

/// What a server may tell of.
const MAY: [What; 5] = [What::SignIn, What::SignOut, What::Grant, What::Revoke, What::Update];
/// How many events of a day are taken.
const A_DAY: i64 = 1000;
/// How long an awake server may take to tell.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a server tells what happened since its last event that is known.
pub(crate) async fn path(db: &Db, server: ServerId) -> Result<String> {
    let (last, _) = store::told(db, server, i64::MAX).await?;
    Ok(format!("/events?since_ms={last}"))
}

/// Asks a server, which is woken for it, and takes what it tells. That it does not is told to the program's log: whoever reads
/// the activity log, or leaves, is not kept from it.
pub(crate) async fn collect(plane: &ControlPlane, server: ServerId) {
    let asked = async {
        let admin = servers::admin(plane, &Actor::System, server).await?;
        let told: Vec<EventView> = admin.get_json(&path(plane.db(), server).await?).await?;
        take(plane.db(), server, told, plane.now()).await
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(server.id = %server, error = error.chain(), "a server did not tell what happened on it")
        }
        Err(_) => tracing::warn!(server.id = %server, "a server did not tell in time what happened on it"),
    }
}

/// Takes what a server told.
pub(crate) async fn take(db: &Db, server: ServerId, told: Vec<EventView>, now: Timestamp) -> Result<()> {
    if told.is_empty() {
        return Ok(());
    }
    let yesterday = now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(now);
    let (_, today) = store::told(db, server, yesterday.as_millisecond()).await?;
    let room = usize::try_from(A_DAY - today).unwrap_or(0);
    let oldest = now.checked_sub(KEPT).unwrap_or(now);
    let mut tx = db.begin().await?;
    for event in told.into_iter().take(room) {
        let Some(what) = What::read(&event.what).filter(|what| MAY.contains(what)) else { continue };
        let Ok(id) = event.id.parse::<super::EventId>() else { continue };
        let at = row::time(event.at_ms.clamp(oldest.as_millisecond(), now.as_millisecond()))?;
        let mut note = Note::new(Who::Owner, what, event.text);
        for (name, value) in event.about.into_iter().take(8) {
            if let Some(text) = value.as_str() {
                note =
                    note.about(&name.chars().take(40).collect::<String>(), text.chars().take(200).collect::<String>());
            }
        }
        // What it told of before stands there under the same id.
        let written = store::Row { id: id.to_string(), from_server: true, ..note.written(at)? };
        store::insert_of_server(&mut tx, &written, server).await?;
    }
    Ok(tx.commit().await?)
}
