//! A server on its way from one provider to another, brought to a step of the move and kept there.
//!
//! Most steps are a call of the protocol, which the wire before the old place holds up, so that what is done to either side is
//! done at that step and at no other. Whoever adds a step has to say here how one comes to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use control_plane::moves::arriving::Step;
use loadtest::moving::Writers;
use loadtest::moving::wire::{Barrier, Part, Wire};
use loadtest::person::{OwnServer, Person};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::bounds::{PATIENCE, bounded, until};
use crate::killed::{Process, runtimes, set_up_as};
use crate::support::{NOTES, TABLE, records, write};

/// How many records a server has before it moves.
pub(crate) const BEFORE: usize = 300;
/// Below what the servers of the new place live.
pub(crate) const THERE: &str = "other.localhost";

/// The steps at which anything goes on, from the code's own list.
pub(crate) fn steps() -> Vec<Step> {
    // Before its first round a move is a row that waits for a person.
    Step::ALL.into_iter().filter(|step| *step != Step::Consent).collect()
}

/// How often everything is tried: so many rounds, or all there is.
pub(crate) enum Extent {
    /// So often each step is met, by what the seed says.
    Rounds(usize),
    /// Everything at every step.
    All,
}

impl Extent {
    pub(crate) fn wished() -> Self {
        match std::env::var("FREEHOLD_MOVE_ROUNDS").as_deref() {
            Ok("all") => Self::All,
            rounds => Self::Rounds(rounds.ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1)),
        }
    }
}

/// The call that a move stands at while it is at a step.
pub(crate) fn barrier(step: Step) -> Option<Barrier> {
    let (is, part): (fn(&str) -> bool, Part) = match step {
        Step::Consent => return None,
        Step::FirstRound => (|asked| asked.contains("/rounds/0/archive"), Part::Question),
        // Building is the new place's own work; it comes no further than this.
        Step::Staging => (|asked| is_round(asked) && !is_held(asked), Part::Question),
        Step::CatchUp => (|asked| is_round(asked) && !is_held(asked), Part::Answer),
        Step::Held => (|asked| is_round(asked) && is_held(asked), Part::Answer),
        Step::HandOver => (|asked| asked.contains("/handover "), Part::Question),
        // It has stood down, and the word of that is kept from the new place until all is ready for it to come.
        Step::Activate => (|asked| asked.contains("/handover "), Part::Answer),
        Step::Settle => (|asked| asked.contains("/settled "), Part::Question),
    };
    Some(Barrier { is, part })
}

fn is_round(asked: &str) -> bool {
    asked.contains("\"round\":") && asked.contains("\"base\":") && !asked.contains("\"base\":null")
}

fn is_held(asked: &str) -> bool {
    asked.contains("\"hold\":true")
}

/// A provider as a process, that can be brought back where it was.
pub(crate) struct Standing {
    process: Option<Process>,
    pub(crate) data: PathBuf,
    pub(crate) address: SocketAddr,
    environment: Vec<(&'static str, String)>,
}

impl Standing {
    /// Opens one, perhaps with a wire before it.
    pub(crate) async fn open(data: &Path, domain: &str, wire: Option<&Wire>) -> Self {
        let mut environment = vec![("FREEHOLD_PLACES_ALLOW_PRIVATE", "true".to_owned())];
        environment.extend(wire.map(|wire| ("FREEHOLD_PUBLIC_PORT", wire.address.port().to_string())));
        let process = Process::start_with(data, 0, environment.clone());
        if let Some(wire) = wire {
            wire.lead_to(process.address);
        }
        set_up_as(&process, domain).await;
        let address = process.address;
        Self { process: Some(process), data: data.to_owned(), address, environment }
    }

    /// Ends it in the way that `end` does, and brings it back.
    pub(crate) async fn again(&mut self, end: impl FnOnce(Process, &Path) + Send + 'static) {
        self.end(end).await;
        self.come_back().await;
    }

    /// Ends it in the way that `end` does.
    pub(crate) async fn end(&mut self, end: impl FnOnce(Process, &Path) + Send + 'static) {
        let (process, data) = (self.process.take().unwrap(), self.data.clone());
        tokio::task::spawn_blocking(move || end(process, &data)).await.unwrap();
    }

    /// Brings it back where it was.
    pub(crate) async fn come_back(&mut self) {
        let (data, port, environment) = (self.data.clone(), self.address.port(), self.environment.clone());
        let back = tokio::task::spawn_blocking(move || Process::start_with(&data, port, environment));
        self.process = Some(back.await.unwrap());
    }
}

/// A server on its way, under writes.
pub(crate) struct Moving {
    pub(crate) at_a: OwnServer,
    pub(crate) at_b: OwnServer,
    pub(crate) writers: Option<Writers>,
    pub(crate) page: String,
    watch: Watch,
}

impl Moving {
    /// Two servers, of which the first is about to leave, and what both have; programs write to the first.
    pub(crate) async fn furnish(wire: &Wire, b: SocketAddr, name: &str) -> (OwnServer, OwnServer) {
        let at = wire.address;
        let person = Person::at(at, &format!("http://localhost:{}", at.port())).unwrap();
        let at_a = person.sign_up(name).await.unwrap();
        at_a.install(NOTES).await.unwrap();
        for nth in 0..BEFORE {
            write(&at_a, &json!({"nth": nth, "before": true})).await;
        }
        let there = person.elsewhere(b, &format!("http://{THERE}:{}", b.port())).unwrap();
        (at_a, there.sign_up(name).await.unwrap())
    }

    /// Begins a move that stops at the step, where the wire can stop it.
    pub(crate) async fn begin(wire: &Wire, b: SocketAddr, name: &str, step: Step) -> Self {
        let (at_a, at_b) = Self::furnish(wire, b, name).await;
        let token = at_a.token("notes", NOTES).await.unwrap();
        let writers = Writers::start(&at_a, "notes", &token, TABLE, name, 2).unwrap();
        Self::between(wire, at_a, at_b, Some(writers), step).await
    }

    /// The same between two servers that are there.
    pub(crate) async fn between(
        wire: &Wire,
        at_a: OwnServer,
        at_b: OwnServer,
        writers: Option<Writers>,
        step: Step,
    ) -> Self {
        wire.hold_up(barrier(step).expect("a step at which something goes on"));
        let page = at_b.begin_move(&at_a).await.unwrap();
        let watch = Watch::over(&at_a, &at_b, &page);
        Self { at_a, at_b, writers, page, watch }
    }

    /// Brings it to the step; which one it stands at then, as its page says. `b` is where the data of the new place lies, whose
    /// servers stand still when this is over if it is to go live only after that.
    pub(crate) async fn comes_to(&self, wire: &Wire, step: Step, b: &Path) -> String {
        if step == Step::Staging {
            return self.reaches(step).await;
        }
        bounded(step.word(), wire.holds()).await;
        if step == Step::Activate {
            runtimes(b).stop();
            wire.let_go();
            return self.reaches(step).await;
        }
        self.step().await
    }

    /// Waits until it is at a step, or a later one if that was over too soon to be seen; which one it is at then.
    async fn reaches(&self, step: Step) -> String {
        let seen = Mutex::new(String::new());
        until(step.word(), async || {
            let now = self.step().await;
            *seen.lock() = now.clone();
            ["done", "failed", "cancelled"].contains(&now.as_str()) || Step::read(&now).is_some_and(|now| now >= step)
        })
        .await;
        seen.into_inner()
    }

    /// The step it is at, or how it ended; nothing while its provider cannot be asked.
    pub(crate) async fn step(&self) -> String {
        let Ok(text) = self.at_b.person.page(&self.page).await else { return String::new() };
        let named = |name: &str| {
            let at = text.find(&format!("{name}=\""))? + name.len() + 2;
            Some(text[at..].split('"').next()?.to_owned())
        };
        match named("data-state").as_deref() {
            Some("done" | "failed" | "cancelled") => named("data-state").unwrap_or_default(),
            _ => named("data-step").unwrap_or_default(),
        }
    }

    /// Presses *Try now*, where the page has it.
    pub(crate) async fn hurry(&self) {
        let hurry = format!("{}/hurry", self.page);
        if let Ok(form) = self.at_b.person.form(&self.page, &hurry).await {
            let _ = self.at_b.person.send(form).await;
        }
    }

    /// It arrives, with everything; how many writes were acknowledged, and how many failed.
    pub(crate) async fn ends_well(mut self, what: &str) -> (usize, usize) {
        let arrived = self.at_b.arrived_by_move(&self.page).await;
        arrived.unwrap_or_else(|error| panic!("{what}: {error:#}"));
        let writers = self.writers.take().unwrap();
        writers.some_more(10).await.unwrap_or_else(|error| panic!("{what}: {error:#}"));
        let journal = writers.stop().await.unwrap();
        self.watch.ends(what).await;
        self.at_b.open(NOTES).await.unwrap();
        let found = records(&self.at_b).await;
        let marks: Vec<String> =
            found.values().filter_map(|record| Some(record["mark"].as_str()?.to_owned())).collect();
        let verdict = journal.judge(&marks);
        assert!(verdict.lost.is_empty() && verdict.doubled.is_empty(), "{what}: {verdict:?}");
        assert_eq!(found.values().filter(|record| record["before"] == true).count(), BEFORE, "{what}");
        // There is one live server: the old address leads to it.
        let led = self.at_a.person.ask(&self.at_a.address().unwrap()).await.unwrap();
        assert!(led.url().host_str().unwrap().ends_with(THERE), "{what}: {}", led.url());
        (verdict.acknowledged, verdict.failed.len())
    }

    /// It was ended before the hand-over: the old place goes on with everything.
    pub(crate) async fn stays(mut self, what: &str) {
        let writers = self.writers.take().unwrap();
        writers.some_more(10).await.unwrap_or_else(|error| panic!("{what}: {error:#}"));
        let journal = writers.stop().await.unwrap();
        self.watch.ends(what).await;
        self.at_a.open(NOTES).await.unwrap();
        let found = records(&self.at_a).await;
        let marks: Vec<String> =
            found.values().filter_map(|record| Some(record["mark"].as_str()?.to_owned())).collect();
        let verdict = journal.judge(&marks);
        assert!(verdict.lost.is_empty() && verdict.doubled.is_empty(), "{what}: {verdict:?}");
        assert_eq!(found.values().filter(|record| record["before"] == true).count(), BEFORE, "{what}");
    }
}

/// Looks all the time at who says to be live.
struct Watch {
    task: JoinHandle<()>,
    two: Arc<Mutex<Vec<String>>>,
}

impl Watch {
    fn over(at_a: &OwnServer, at_b: &OwnServer, page: &str) -> Self {
        let id = page.rsplit('/').next().unwrap();
        let (there, here) =
            (format!("/move/v1/arrivals/{id}"), format!("{}/.well-known/pcc-server", at_a.address().unwrap()));
        let (person, two) = (at_b.person.clone(), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&two);
        let task = tokio::spawn(async move {
            loop {
                // Once the new one is live, the old one is not, whenever it is asked after that.
                let new = asked(&person, &there).await;
                if new["state"] == "active" {
                    let old = asked(&person, &here).await;
                    if old["state"] == "here" {
                        seen.lock().push(format!("{new} and {old}"));
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self { task, two }
    }

    async fn ends(&self, what: &str) {
        self.task.abort();
        let two = self.two.lock().clone();
        assert!(two.is_empty(), "{what}: two live servers: {two:?}");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn asked(person: &Person, path: &str) -> Value {
    let ask = async { person.ask(path).await.ok()?.json().await.ok() };
    tokio::time::timeout(PATIENCE, ask).await.ok().flatten().unwrap_or_default()
}
