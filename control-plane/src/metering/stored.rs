//! How much a server keeps, asked of it whenever it is about to fall asleep, with what happened on it and when it wants to be awake next; and, at most once an
//! hour, how well it is kept.
//!
//! Asleep it keeps what it kept, so nobody has to wake it to know. While it is awake, and after a crash until its next
//! sleep, the books go by what it said last.

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use http::{Request, header};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use serde::de::DeserializeOwned;
use tenant_runtime::admin::api::{CareView, Due, EventView, Held};
use tenant_runtime::ids::ServerId;

use super::store;
use crate::context::Clock;
use crate::db::Db;
use crate::servers::Host;
use crate::{Error, Result, audit, care, drills, gateway, wakes};

/// How long a server may take to say it; its sleep waits no longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what it said of how well it is kept is good enough: asking reads an object.
const CARED: SignedDuration = SignedDuration::from_hours(1);
/// The most it may say.
const MOST: usize = 1 << 20;

/// Asks a server how much it keeps and notes it. Only for the gate that was just closed behind its last visitor: nobody
/// else may talk to a server without a pass.
pub(crate) async fn note_before_sleep(db: &Db, clock: &Clock, host: &dyn Host, server: ServerId) {
    let socket = host.admin_socket(server);
    let asked = async {
        let held: Held = ask(&socket, "/held").await?;
        store::note_stored(db, server, held.database_bytes + held.blob_bytes, clock.now()).await?;
        if let Some(seq) = held.seq {
            drills::note_told(db, server, seq).await?;
        }
        let before = wakes::store::told(db, &[server]).await?.remove(&server);
        let due: Due = ask(&socket, "/due").await?;
        wakes::store::note(db, server, before, due.next_ms, Some(due.notices)).await?;
        let lately = clock.now().checked_sub(CARED).unwrap_or(clock.now());
        if !care::noted_since(db, server, lately).await? {
            let told: CareView = ask(&socket, "/care").await?;
            care::note(db, server, &told, clock.now()).await?;
        }
        let told: Vec<EventView> = ask(&socket, &audit::path(db, server).await?).await?;
        audit::take(db, server, told, clock.now()).await
    };
    let noted = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(noted) => noted,
        Err(late) => Err(Error::retry("The server did not say in time how much it keeps.").because(late)),
    };
    if let Err(error) = noted {
        tracing::warn!(server.id = %server, error = error.chain(), "how much a server keeps is noted at its next sleep");
    }
}

async fn ask<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T> {
    let away = || "The server did not say how much it keeps.";
    let stream = gateway::reach(socket, Duration::ZERO).await.map_err(|e| Error::retry(away()).because(e))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| Error::retry(away()).because(e))?;
    tokio::spawn(connection);
    let request = Request::get(path).header(header::HOST, "admin").body(Body::empty()).map_err(Error::bug)?;
    let answer = sender.send_request(request).await.map_err(|e| Error::retry(away()).because(e))?;
    let bytes = Limited::new(answer.into_body(), MOST).collect().await.map_err(Error::bug)?.to_bytes();
    serde_json::from_slice(&bytes).map_err(Error::bug)
}
