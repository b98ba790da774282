//! Telling recipients' servers of what is under way, until they have it.

use std::time::Duration;

use serde_json::Value;

use super::store::{self, Envelope, Letter};
use crate::outside::{self, Errand, Reply};
use crate::problem::Problem;
use crate::server::{Server, now};
use crate::sharing;

/// How long to wait where nothing is under way.
const IDLE: Duration = Duration::from_secs(6 * 60 * 60);
/// How long to wait after something here went wrong.
const AFTER_TROUBLE: Duration = Duration::from_secs(30);

/// How an attempt ended that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It may work later, at the earliest after so many milliseconds.
    Later(String, Option<i64>),
    /// It never will.
    Never(String),
}

impl From<outside::Error> for Trouble {
    fn from(error: outside::Error) -> Self {
        match error {
            outside::Error::Never(why) => Self::Never(why),
            other => Self::Later(other.to_string(), None),
        }
    }
}

/// Delivers for as long as the server is awake.
pub(crate) async fn run(server: Server) {
    loop {
        let pause = match round(&server).await {
            Ok(pause) => pause,
            Err(problem) => {
                tracing::warn!(cause = problem.detail, "messages could not be looked after");
                AFTER_TROUBLE
            }
        };
        server.clockwork.tell(&server).await;
        tokio::select! {
            () = server.stopped() => return,
            () = server.home.departs() => return,
            () = server.bell.rung() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Tries what is due, and says when the next one is.
async fn round(server: &Server) -> Result<Duration, Problem> {
    if server.writable().is_err() || server.outside().is_err() {
        return Ok(IDLE);
    }
    loop {
        let letters = server.home.read(|db| Ok::<_, Problem>(store::letters(db)?)).await?;
        let Some(next) = letters.into_iter().next() else { return Ok(IDLE) };
        let wait = next.due.saturating_sub(now());
        if wait > 0 {
            return Ok(Duration::from_millis(wait.unsigned_abs()).min(IDLE));
        }
        attempt(server, next).await?;
    }
}

async fn attempt(server: &Server, letter: Letter) -> Result<(), Problem> {
    let told = tell(server, &letter.envelope).await;
    let now = now();
    let id = letter.id.clone();
    let row = server
        .home
        .write(move |db| {
            Ok::<_, Problem>(match &told {
                Ok(Told::Arrived) => store::arrived(db, &letter.id, now)?,
                Ok(Told::Moved(to)) => store::redirect(db, &letter.id, to, now)?,
                Err(Trouble::Later(why, after)) => store::failed(db, &letter, why, *after, now)?,
                Err(Trouble::Never(why)) => store::refused(db, &letter, why, now)?,
            })
        })
        .await?;
    tracing::debug!(message = id, "a message was tried");
    server.changes.tell(&store::sent(), &row.id, row.modified, crate::changes::Kind::Written);
    Ok(())
}

enum Told {
    Arrived,
    Moved(sharing::Person),
}

async fn tell(server: &Server, envelope: &Envelope) -> Result<Told, Trouble> {
    // It may have been written before this server moved.
    let me = server.launch.site.person();
    let sent = Envelope { sender_id: me.user, sender_host: me.host, ..envelope.clone() };
    let body = serde_json::to_value(&sent).expect("texts are JSON");
    let carrier = server.outside()?;
    let reply = carrier.carry(Errand::post(&envelope.recipient_host, "/ceps/message/transmit", &body)).await?;
    if reply.status == 308 || reply.status == 410 {
        let to = envelope.recipient().ok_or_else(|| Trouble::Never("it is addressed to nobody".into()))?;
        return match crate::sharing::follow(server, &to).await {
            Ok(Some(person)) => Ok(Told::Moved(person)),
            Ok(None) => Err(Trouble::Later("their server says that it has moved, and does not prove it".into(), None)),
            Err(trouble) => Err(trouble),
        };
    }
    judge(&reply).map(|()| Told::Arrived)
}

/// What another server's answer means for what was asked of it.
fn judge(reply: &Reply) -> Result<(), Trouble> {
    let said: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let words = |fallback: &str| {
        let said = said["message"].as_str().or(said["error"].as_str()).unwrap_or(fallback);
        said.chars().filter(|c| !c.is_control()).take(300).collect::<String>()
    };
    match reply.status {
        200..=299 if said["success"] == Value::Bool(true) => Ok(()),
        400 | 401 | 403 | 404 | 413 => Err(Trouble::Never(words("their server refused it"))),
        status => {
            let after = reply.retry_after.map(|seconds| i64::from(seconds).min(86_400) * 1000);
            Err(Trouble::Later(words(&format!("their server answered with {status}")), after))
        }
    }
}
