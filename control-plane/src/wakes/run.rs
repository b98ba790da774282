//! Calling servers at their time, as the plan says.

use std::collections::HashMap;
use std::time::Duration;

use billing::{Use, consequence};
use infra::agent::Event;
use tenant_runtime::admin::api::Due;
use tenant_runtime::ids::ServerId;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::plan::{Answer, HORIZON_MS, Plan, Row};
use super::store::{self, Told};
use crate::gateway::Pass;
use crate::servers::{Desired, admin, server};
use crate::{Actor, ControlPlane, Kind, Result, subscriptions};

/// How often rows are read.
const EVERY: Duration = Duration::from_secs(1);
/// How many are read at a time.
const MOST: u32 = 5_000;

/// What came of a call.
struct Called {
    server: ServerId,
    before: Option<Told>,
    answer: Answer,
    notices: Option<u64>,
    /// Keeps the server awake.
    pass: Option<Pass>,
}

/// Calls servers until `stop`.
pub(crate) async fn run(plane: ControlPlane, stop: CancellationToken) {
    let mut plan = Plan::default();
    let mut kept: HashMap<ServerId, Pass> = HashMap::new();
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut read = Instant::now();
    let mut events = plane.host().events();
    loop {
        if read <= Instant::now() {
            read = Instant::now() + EVERY;
            match store::due(plane.db(), now(&plane) + HORIZON_MS, MOST).await {
                Ok(rows) => plan.learn(&rows),
                Err(error) => tracing::warn!(error = error.chain(), "it is not known just now whom to wake"),
            }
        }
        for server in plan.call(now(&plane)) {
            let (plane, tell, stop) = (plane.clone(), tell.clone(), stop.clone());
            tokio::spawn(async move {
                if let Some(called) = stop.run_until_cancelled(call(&plane, server)).await {
                    // When nobody listens any more, we are stopping.
                    let _ = tell.send(called);
                }
            });
        }
        let wait =
            plan.next().map(|next| Duration::from_millis(next.saturating_sub(now(&plane)).max(0).unsigned_abs()));
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(called) = told.recv() => take(&plane, &mut plan, &mut kept, called).await,
            Ok(event) = events.recv() => {
                if matches!(event.event, Event::Crashed { .. }) {
                    plan.lost(event.server);
                }
            }
            () = tokio::time::sleep_until(read) => {}
            () = tokio::time::sleep(wait.unwrap_or(EVERY)) => {}
        }
    }
}

fn now(plane: &ControlPlane) -> i64 {
    plane.now().as_millisecond()
}

async fn take(plane: &ControlPlane, plan: &mut Plan, kept: &mut HashMap<ServerId, Pass>, called: Called) {
    let Called { server, before, answer, notices, pass } = called;
    let row = plan.told(server, answer, now(plane));
    match pass.filter(|_| plan.keeps(server)) {
        Some(pass) => drop(kept.insert(server, pass)),
        None => drop(kept.remove(&server)),
    }
    let due = match row {
        Row::Stays => return,
        Row::Says(due) => due,
    };
    if let Err(error) = store::note(plane.db(), server, before, due, notices).await {
        tracing::warn!(server.id = %server, error = error.chain(), "when a server wants to be awake is noted at its next call");
    }
}

/// Wakes one server, has it do what is due, and asks when something is due next.
async fn call(plane: &ControlPlane, server: ServerId) -> Called {
    let mut called = Called { server, before: None, answer: Answer::Failed, notices: None, pass: None };
    let asked = async {
        called.before = store::told(plane.db(), &[server]).await?.remove(&server);
        if let Some(answer) = unwakeable(plane, server).await? {
            return Ok(answer);
        }
        let client = admin(plane, &Actor::System, server).await?;
        called.pass = Some(plane.gates().enter(server).await);
        let due: Due = client.post_json("/due", &()).await?;
        called.notices = Some(due.notices);
        Ok(if due.busy { Answer::Busy } else { Answer::Next(due.next_ms) })
    };
    let answer: Result<Answer> = asked.await;
    called.answer = answer.unwrap_or_else(|error| {
        if error.kind() == Kind::Gone {
            return Answer::Gone;
        }
        tracing::warn!(server.id = %server, error = error.chain(), "a server could not be woken for what is due on it; it is tried again");
        Answer::Failed
    });
    called
}

/// Why a server is not to be woken, if it is not.
async fn unwakeable(plane: &ControlPlane, id: ServerId) -> Result<Option<Answer>> {
    let server = server(plane, &Actor::System, id).await?;
    if server.desired == Desired::Erased || plane.leaving().moved(id).is_some() {
        return Ok(Some(Answer::Gone));
    }
    let lines = subscriptions::lines(plane, &[server.account]).await?;
    let sleeps = lines.get(&server.account).is_none_or(|line| consequence(&line.standing).using == Use::Asleep);
    Ok(sleeps.then_some(Answer::Suspended))
}
