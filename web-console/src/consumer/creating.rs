//! The second in which a server comes to be.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use control_plane::operations::StepState;
use control_plane::servers::{self, Progress};

use super::{base, own_server};
use crate::page::{self, Answer};
use crate::parts::Step;
use crate::shell::{Plate, Shell};
use crate::visit::Visit;

#[derive(askama::Template)]
#[template(path = "consumer/creating.html")]
struct Creating {
    shell: Shell,
    plate: Plate,
    path: String,
    steps: Vec<Step>,
    done: usize,
}

/// `GET /servers/{name}/creating`: moves on by itself once the server answers.
pub(super) async fn show(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let progress = servers::progress(visit.console.plane(), &visit.actor, server.id).await?;
    if progress.ready {
        return Ok(Redirect::to(&base(&server)).into_response());
    }
    let steps = steps(&progress);
    let done = steps.iter().filter(|step| step.state == StepState::Done).count();
    let mut shell = Shell::bare(&visit);
    shell.leave_path = format!("{}/leave", base(&server));
    page::show(&Creating { shell, plate: Plate::of(&server), path: base(&server), steps, done })
}

/// The first step that is not done is the one that runs; what troubles it stands beside it.
fn steps(progress: &Progress) -> Vec<Step> {
    let mut running = false;
    let step = |(words, done): &(&'static str, bool)| {
        let now = !done && !running;
        running |= now;
        Step {
            words: (*words).to_owned(),
            hint: if now { progress.trouble.clone().unwrap_or_default() } else { String::new() },
            took: String::new(),
            state: match (done, now) {
                (true, _) => StepState::Done,
                (false, true) => StepState::Running,
                (false, false) => StepState::Waiting,
            },
        }
    };
    progress.steps.iter().map(step).collect()
}
