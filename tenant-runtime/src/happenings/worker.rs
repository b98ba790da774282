//! Doing what is due, for as long as the server is awake.

use std::time::Duration;

use tokio::sync::{Mutex, Notify};

use super::error::Error;
use super::{Action, Happening, Outcome, due, fire, queue};
use crate::handlers;
use crate::server::{Server, now};

/// How long to wait where nothing is due.
const IDLE: Duration = Duration::from_secs(6 * 60 * 60);
/// How long to wait after something here went wrong.
const AFTER_TROUBLE: Duration = Duration::from_secs(30);
/// How long the host may take to remember something.
const TELLING: Duration = Duration::from_secs(5);
/// How many happenings are taken up in one go.
const AT_ONCE: u32 = 20;

/// What makes things happen on time.
#[derive(Default)]
pub struct Clockwork {
    bell: Notify,
    turn: Mutex<()>,
    /// What the host was told last of when to wake the server.
    told: Mutex<Option<i64>>,
}

impl Clockwork {
    /// Something may be due sooner than it was.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// Tells the host when the server wants to be awake, where that is sooner than it knows. That it is later the host learns
    /// when it asks, which it does before every sleep. A failure is logged, and made up for by the next round.
    pub(crate) async fn tell(&self, server: &Server) {
        let Ok(outside) = server.outside() else { return };
        if server.writable().is_err() {
            return;
        }
        let mut told = self.told.lock().await;
        let next = match server.home.read(due::next_due).await {
            Ok(Some(next)) => next,
            Ok(None) => return,
            Err(error) => {
                return tracing::warn!(cause = crate::problem::chain(&error), "when it is due next is unknown");
            }
        };
        if told.is_some_and(|told| (now()..=next).contains(&told)) {
            return;
        }
        match tokio::time::timeout(TELLING, outside.remember(server.launch.server, next)).await {
            Ok(Ok(())) => *told = Some(next),
            Ok(Err(crate::outside::Error::NoWay)) => {}
            Ok(Err(error)) => tracing::warn!(cause = %error, "the host was not told when to wake the server"),
            Err(_) => tracing::warn!("the host does not say whether it will wake the server"),
        }
    }
}

/// Does what is due until the server stops.
pub async fn run(server: Server) {
    loop {
        let done = round(&server).await;
        server.clockwork.tell(&server).await;
        let pause = match done {
            Ok(None) => IDLE,
            Ok(Some(next)) => Duration::from_millis(next.saturating_sub(now()).max(0).unsigned_abs()).min(IDLE),
            Err(error) => {
                tracing::warn!(cause = crate::problem::chain(&error), "schedules could not be looked after");
                AFTER_TROUBLE
            }
        };
        tokio::select! {
            () = server.stopped() => return,
            () = server.home.departs() => return,
            () = server.clockwork.bell.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Does all that is due, and says when something is due next. Several that ask for it do it one after the other.
///
/// # Errors
/// When the home does not answer; what was written stays.
pub async fn round(server: &Server) -> Result<Option<i64>, Error> {
    if server.writable().is_err() || server.home.departed().is_some() {
        return Ok(None);
    }
    let _turn = server.clockwork.turn.lock().await;
    loop {
        let next = server.home.read(due::own).await?;
        if next.is_none_or(|next| next > now()) {
            return Ok(next);
        }
        let at = now();
        let fired = server.home.write(move |db| fire::fire(db, at)).await?;
        let ready = server.home.read(move |db| queue::ready(db, at, AT_ONCE)).await?;
        if fired == 0 && ready.is_empty() {
            return Ok(next);
        }
        for happening in ready {
            attend(server, happening).await?;
        }
    }
}

/// Has an app's code do what is to be done, and notes how it went.
async fn attend(server: &Server, happening: Happening) -> Result<(), Error> {
    let (at, begun) = (now(), happening.clone());
    server.home.write(move |db| queue::begin(db, &begun, at)).await?;
    let outcome = match Action::read(&happening.action) {
        Some(Action::Handler(_)) => handlers::handle(server, happening.app.as_str(), &happening.event()).await,
        // A notice is done where it is written down; one that came with an archive was not.
        Some(Action::Notice(words)) => {
            let (app, at) = (happening.app.clone(), now());
            return server
                .home
                .write(move |db| {
                    super::notices::add(db, &app, &words, at)?;
                    queue::conclude(db, &happening, &Outcome::Done, at)
                })
                .await;
        }
        None => Outcome::Never("what was to be done is not understood here".to_owned()),
    };
    if let Outcome::Later { why, .. } | Outcome::Never(why) = &outcome {
        tracing::info!(app.id = %happening.app, happening = happening.name, why, "something on schedule was not done");
    }
    let at = now();
    server.home.write(move |db| queue::conclude(db, &happening, &outcome, at)).await
}
