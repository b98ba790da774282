//! Following a launcher for as long as it lives, and starting another when it ends unasked.
//!
//! A launcher that ends takes its runtimes with it, and the connections in its servers' queues. Everything that was
//! placed is placed again with the next one, so that the first new connection finds its server.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tenant_runtime::ids::{Generation, ServerId};
use tokio::sync::broadcast;
use tokio::task::spawn_blocking;

use crate::launcher::wire::{News, Order, SetUp, Spec};
use crate::launcher::{self, PROCESS_FILE, Process};

use super::api::{Event, HostEvent};
use super::link::{Answer, Hearing, Link, set_up};
use super::meter::Meter;
use super::sweep;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A server that is placed here.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) generation: Generation,
    pub(super) spec: Spec,
}

/// What the agent's callers and the task that follows its launcher share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) set_up: SetUp,
    pub(super) link: Link,
    pub(super) placed: Mutex<HashMap<ServerId, Placed>>,
    pub(super) events: broadcast::Sender<HostEvent>,
    pub(super) meter: Meter,
    /// Set before the launcher is asked to end.
    pub(super) draining: AtomicBool,
}

/// Follows one launcher after the other until the agent drains.
pub(super) async fn follow(common: Arc<Common>, mut hearing: Hearing) {
    loop {
        listen(&common, &mut hearing).await;
        common.link.disconnect();
        // It closes its end of the channel a moment before it is gone.
        let pidfd = hearing.pidfd;
        let gone = spawn_blocking(move || sweep::wait_for(&[pidfd])).await;
        if let Ok(Err(e)) = gone {
            tracing::warn!(error = %e, "the launcher has let go of its agent and lives");
        }
        if common.draining.load(Ordering::SeqCst) {
            return;
        }
        tracing::error!("the launcher ended unasked, and its servers with it; another one is started");
        let mut pause = FIRST_PAUSE;
        hearing = loop {
            tokio::time::sleep(pause).await;
            if common.draining.load(Ordering::SeqCst) {
                return;
            }
            match replace(&common).await {
                Ok(hearing) => break hearing,
                Err(e) => tracing::error!(error = %e, "the launcher could not be replaced"),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        place_again(&common);
    }
}

async fn listen(common: &Common, hearing: &mut Hearing) {
    loop {
        match hearing.next().await {
            Ok(Some(news)) => take(common, news),
            Ok(None) => return,
            Err(e) => {
                tracing::error!(error = %e, "the launcher was not understood");
                return;
            }
        }
    }
}

async fn replace(common: &Common) -> std::io::Result<Hearing> {
    let order = common.set_up.clone();
    let parts = spawn_blocking({
        let order = order.clone();
        move || {
            sweep::leftovers(&order.run_dir)?;
            let handle = launcher::start().map_err(std::io::Error::other)?;
            note(&order, handle.pid())?;
            Ok::<_, std::io::Error>(handle.into_parts())
        }
    });
    let parts = parts.await.map_err(std::io::Error::other)??;
    let (_, hearing, write) = set_up(parts, order).await?;
    common.link.connect(write);
    Ok(hearing)
}

/// Writes down which process the launcher is, for the sweep after a kill -9.
pub(super) fn note(set_up: &SetUp, pid: u32) -> std::io::Result<()> {
    Process::living(pid.cast_signed())?.note(&set_up.run_dir.join(PROCESS_FILE))
}

fn place_again(common: &Arc<Common>) {
    let placed: Vec<Spec> = common.placed.lock().values().map(|placed| placed.spec.clone()).collect();
    let common = Arc::clone(common);
    tokio::spawn(async move {
        for spec in placed {
            let server = spec.server;
            let answer = common.link.ask(|number| Order::Place { number, spec: Box::new(spec) }).await;
            if !matches!(answer, Some(Answer::Done)) {
                tracing::error!(server.id = %server, ?answer, "the server could not be placed again");
            }
        }
    });
}

fn take(common: &Common, news: News) {
    let tell = |server, event| {
        // Nobody may be listening.
        let _ = common.events.send(HostEvent { server, event });
    };
    match news {
        News::Done { number } => common.link.answer(number, Answer::Done),
        News::Failed { number, why } => common.link.answer(number, Answer::Failed(why)),
        News::Unknown { number } => common.link.answer(number, Answer::Unknown),
        News::Busy { number } => common.link.answer(number, Answer::Busy),
        News::Listed { number, servers } => common.link.answer(number, Answer::Listed(servers)),
        News::Woke { server, ms } => {
            tracing::debug!(server.id = %server, duration_ms = ms, "the server woke");
            tell(server, Event::Woke { ms });
        }
        News::Ran { spent } => common.meter.note(spent),
        News::Slept { server } => {
            tracing::debug!(server.id = %server, "the server went to sleep");
            tell(server, Event::Slept);
        }
        News::Crashed { server, status } => {
            tracing::warn!(server.id = %server, "the server {status}");
            tell(server, Event::Crashed { status });
        }
        News::Said { server, line } => repeat(server, &line),
        News::Trouble { what } => tracing::error!("the launcher reports: {what}"),
        News::Ready { .. } => {}
    }
}

/// Repeats a runtime's line in the provider's log, as loud as it was said.
fn repeat(server: ServerId, line: &str) {
    let says = |level: &str| {
        line.split_whitespace().take(3).any(|word| word == level) || line.contains(&format!("\"{level}\""))
    };
    if says("ERROR") || line.starts_with("thread '") {
        tracing::error!(server.id = %server, "{line}");
    } else if says("WARN") {
        tracing::warn!(server.id = %server, "{line}");
    } else {
        tracing::debug!(server.id = %server, "{line}");
    }
}
