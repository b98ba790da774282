//! How much a server keeps: asked of it whenever it is about to fall asleep.
//!
//! Asleep it keeps what it kept, so nobody has to wake it to know. While it is awake, and after a crash until its next
//! sleep, the books go by what it said last.

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use http::{Request, header};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use tenant_runtime::admin::api::Held;
use tenant_runtime::ids::ServerId;

use super::store;
use crate::context::Clock;
use crate::db::Db;
use crate::servers::Host;
use crate::{Error, Result, gateway};

/// How long a server may take to say it; its sleep waits no longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks a server how much it keeps and notes it. Only for the gate that was just closed behind its last visitor: nobody
/// else may talk to a server without a pass.
pub(crate) async fn note_before_sleep(db: &Db, clock: &Clock, host: &dyn Host, server: ServerId) {
    let socket = host.admin_socket(server);
    let noted = match tokio::time::timeout(PATIENCE, ask(&socket)).await {
        Ok(Ok(held)) => store::note_stored(db, server, held.database_bytes + held.blob_bytes, clock.now()).await,
        Ok(Err(error)) => Err(error),
        Err(late) => Err(Error::retry("The server did not say in time how much it keeps.").because(late)),
    };
    if let Err(error) = noted {
        tracing::warn!(server.id = %server, error = error.chain(), "how much a server keeps is noted at its next sleep");
    }
}

async fn ask(socket: &Path) -> Result<Held> {
    let away = || "The server did not say how much it keeps.";
    let stream = gateway::reach(socket, Duration::ZERO).await.map_err(|e| Error::retry(away()).because(e))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| Error::retry(away()).because(e))?;
    tokio::spawn(connection);
    let request = Request::get("/held").header(header::HOST, "admin").body(Body::empty()).map_err(Error::bug)?;
    let answer = sender.send_request(request).await.map_err(|e| Error::retry(away()).because(e))?;
    let bytes = Limited::new(answer.into_body(), 4096).collect().await.map_err(Error::bug)?.to_bytes();
    serde_json::from_slice(&bytes).map_err(Error::bug)
}
