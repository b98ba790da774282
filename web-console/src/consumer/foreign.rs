//! Other kinds of servers: bringing what one has on a freezr here, and giving what one has here to one.

use axum::extract::{Path, Query};
use control_plane::moves::foreign::{self, Foreign, ForeignId, Stage, State, Wanted, Way};
use control_plane::operations::StepState;
use control_plane::places::Secret;
use control_plane::servers::Server;
use control_plane::{Error, Kind};
use serde::Deserialize;

use super::{base, own_server};
use crate::page::{self, Answer, Field};
use crate::parts::{Bar, Fact, Step};
use crate::refusal::Refusal;
use crate::shell::Shell;
use crate::show::{self, Amount, Count};
use crate::visit::{Nothing, Posted, Visit};

/// So many apps the form has room for at first, and at most.
const ROOM: usize = 5;
const MOST_ROOM: usize = 40;

#[derive(askama::Template)]
#[template(path = "consumer/bring.html")]
struct BringPage {
    shell: Shell,
    path: String,
    past: Vec<Listed>,
}

#[derive(askama::Template)]
#[template(path = "consumer/foreign_form.html")]
struct FormPage {
    shell: Shell,
    path: String,
    giving: bool,
    problem: Option<String>,
    address: Field,
    user: Field,
    apps: Vec<AppField>,
    apps_error: Option<String>,
    more: usize,
    past: Vec<Listed>,
}

/// An app of the form and its password.
struct AppField {
    number: usize,
    name: String,
    /// Its password was exchanged a moment ago.
    let_in: bool,
}

/// A piece of work as one line of a list.
struct Listed {
    path: String,
    what: String,
    state: String,
    when: show::Moment,
}

#[derive(askama::Template)]
#[template(path = "consumer/foreign_one.html")]
struct OnePage {
    shell: Shell,
    path: String,
    here: String,
    id: String,
    giving: bool,
    title: String,
    lead: String,
    running: bool,
    problem: Option<String>,
    facts: Vec<Fact>,
    meter: Option<Bar>,
    steps: Vec<Step>,
    left: Vec<(String, String)>,
    report: Option<String>,
    next: Vec<&'static str>,
}

/// How many apps the form is to have room for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Room {
    apps: Option<usize>,
}

/// What the form sends: `app_1`, `password_1` and so on.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    address: String,
    user: String,
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, String>,
}

impl Form {
    fn wanted(&self) -> Wanted {
        let of = |name: String| self.rest.get(&name).cloned().unwrap_or_default();
        let apps = (1..=MOST_ROOM).map(|n| (of(format!("app_{n}")), Secret(of(format!("password_{n}")))));
        let apps = apps.filter(|(app, password)| !app.trim().is_empty() || !password.0.is_empty());
        Wanted { address: self.address.clone(), user: self.user.clone(), apps: apps.collect() }
    }
}

/// `GET /servers/{name}/bring`.
pub(super) async fn bring(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let path = base(&server);
    let past = past(&visit, &server, Way::Gather).await?;
    page::show(&BringPage { shell: Shell::of(&visit, "server", Some(&server)).await?, path, past })
}

/// `GET /servers/{name}/bring/ceps`.
pub(super) async fn gather_form(visit: Visit, Path(name): Path<String>, Query(room): Query<Room>) -> Answer {
    let server = own_server(&visit, &name).await?;
    form_page(&visit, &server, Way::Gather, &Wanted::default(), room.apps, None).await
}

/// `GET /servers/{name}/give`.
pub(super) async fn give_form(visit: Visit, Path(name): Path<String>, Query(room): Query<Room>) -> Answer {
    let server = own_server(&visit, &name).await?;
    form_page(&visit, &server, Way::Give, &Wanted::default(), room.apps, None).await
}

/// `POST /servers/{name}/bring/ceps`.
pub(super) async fn gather(visit: Visit, Path(name): Path<String>, Posted(form): Posted<Form>) -> Answer {
    begin(&visit, &name, Way::Gather, &form.wanted()).await
}

/// `POST /servers/{name}/give`.
pub(super) async fn give(visit: Visit, Path(name): Path<String>, Posted(form): Posted<Form>) -> Answer {
    begin(&visit, &name, Way::Give, &form.wanted()).await
}

async fn begin(visit: &Visit, name: &str, way: Way, wanted: &Wanted) -> Answer {
    let server = own_server(visit, name).await?;
    let (plane, actor) = (visit.console.plane(), &visit.actor);
    let begun = match way {
        Way::Gather => foreign::gather(plane, actor, server.id, wanted.clone()).await,
        Way::Give => foreign::give(plane, actor, server.id, wanted.clone()).await,
    };
    match begun {
        Ok(work) => page::on_to(&here(&server, &work)),
        Err(error) if error.kind() != Kind::Bug => form_page(visit, &server, way, wanted, None, Some(error)).await,
        Err(error) => Err(error.into()),
    }
}

async fn form_page(
    visit: &Visit,
    server: &Server,
    way: Way,
    wanted: &Wanted,
    room: Option<usize>,
    error: Option<Error>,
) -> Answer {
    let error = error.as_ref();
    let let_in = foreign::let_in(visit.console.plane(), &visit.actor, server.id, wanted).await?;
    let room = room.unwrap_or(ROOM).max(wanted.apps.len() + 1).clamp(1, MOST_ROOM);
    let field = |number: usize| {
        let name = wanted.apps.get(number - 1).map(|(app, _)| app.trim().to_owned()).unwrap_or_default();
        AppField { number, let_in: let_in.contains(&name), name }
    };
    let fields = ["address", "user", "apps"];
    let problem = error.filter(|error| error.field().is_none_or(|field| !fields.contains(&field)));
    page::show_form(
        error,
        &FormPage {
            shell: Shell::of(visit, if way == Way::Give { "leave" } else { "server" }, Some(server)).await?,
            path: base(server),
            giving: way == Way::Give,
            problem: problem.map(|error| error.sentence().to_owned()),
            address: Field::judged(&*wanted.address, "address", error),
            user: Field::judged(&*wanted.user, "user", error),
            apps: (1..=room).map(field).collect(),
            apps_error: Field::judged("", "apps", error).error,
            more: (room + 10).min(MOST_ROOM),
            past: past(visit, server, way).await?,
        },
    )
}

async fn past(visit: &Visit, server: &Server, way: Way) -> Result<Vec<Listed>, Refusal> {
    let all = foreign::foreigns(visit.console.plane(), &visit.actor, server.id).await?;
    let listed = all.iter().filter(|work| work.way == way).map(|work| Listed {
        path: here(server, work),
        what: match work.way {
            Way::Gather => format!("From {}", work.host),
            Way::Give => format!("To {}", work.host),
        },
        state: state(work).to_owned(),
        when: show::both(work.begun),
    });
    Ok(listed.collect())
}

/// `GET /servers/{name}/foreign/{work}`.
pub(super) async fn one(visit: Visit, path: Path<(String, String)>) -> Answer {
    let (server, work) = mine(&visit, path).await?;
    let running = !work.state.is_final();
    let (title, lead, next) = words(&work);
    let mut facts = vec![
        Fact::new("The other server", format!("{}, as {}", work.host, work.user)),
        Fact::new("Apps", work.apps.join(", ")),
        Fact::new(if work.way == Way::Give { "Records written" } else { "Records here" }, Count(work.records)),
        Fact::new(if work.way == Way::Give { "Files written" } else { "Files here" }, Count(work.files)),
        Fact::new("Bytes", Amount(work.bytes)),
    ];
    if work.there > 0 {
        facts.push(Fact::new("Records that were there already", Count(work.there)));
    }
    let done = work.records + work.files + work.there;
    let meter = work.of.filter(|_| running && work.stage == Stage::HandOver);
    let report = work.import.filter(|_| work.state == State::Done);
    page::show(&OnePage {
        shell: Shell::of(&visit, if work.way == Way::Give { "leave" } else { "server" }, Some(&server)).await?,
        path: base(&server),
        here: here(&server, &work),
        id: work.id.to_string(),
        giving: work.way == Way::Give,
        title,
        lead,
        running,
        problem: work.error.clone(),
        facts,
        meter: meter.map(|of| Bar::new(done, of, Some("records and files"))),
        steps: steps(&work),
        left: work.left.iter().map(|left| (left.counted(), left.why.clone())).collect(),
        report: report.map(|import| format!("{}/imports/{import}", base(&server))),
        next,
    })
}

/// `POST …/stop`.
pub(super) async fn stop(visit: Visit, path: Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let (server, work) = mine(&visit, path).await?;
    let work = foreign::stop(visit.console.plane(), &visit.actor, work.id).await?;
    page::on_to(&here(&server, &work))
}

/// The work of this very server that the address names.
pub(super) async fn mine(
    visit: &Visit,
    Path((name, id)): Path<(String, String)>,
) -> Result<(Server, Foreign), Refusal> {
    let server = own_server(visit, &name).await?;
    let unknown = || {
        Refusal::of(Error::gone(
            "We know nothing of this work with another server any more: it was long ago, or we were restarted meanwhile. Nothing was changed here by it; begin it again.",
        ))
    };
    let id: ForeignId = id.parse().map_err(|_| unknown())?;
    match foreign::foreign(visit.console.plane(), &visit.actor, id).await {
        Ok(work) if work.server == server.id => Ok((server, work)),
        Err(error) if error.kind() != Kind::Gone => Err(error.into()),
        _ => Err(unknown()),
    }
}

fn here(server: &Server, work: &Foreign) -> String {
    format!("{}/foreign/{}", base(server), work.id)
}

fn steps(work: &Foreign) -> Vec<Step> {
    let words = match work.way {
        Way::Gather => ["Read what the apps have there", "Lay it out as an archive", "Hand it to the import"],
        Way::Give => ["Make an archive of your server", "Check it", "Write it there"],
    };
    let stages = [Stage::Read, Stage::LayOut, Stage::HandOver];
    let step = |(stage, words): (Stage, &str)| {
        let state = match (stage.cmp(&work.stage), work.state) {
            (std::cmp::Ordering::Less, _) | (_, State::Done) => StepState::Done,
            (std::cmp::Ordering::Equal, State::Running) => StepState::Running,
            (std::cmp::Ordering::Equal, State::Failed) => StepState::Failed,
            _ => StepState::Waiting,
        };
        let hint = if state == StepState::Running { work.doing.clone() } else { String::new() };
        Step { words: words.to_owned(), hint, took: String::new(), state }
    };
    stages.into_iter().zip(words).map(step).collect()
}

/// How it stands, for a list.
fn state(work: &Foreign) -> &'static str {
    match (work.state, work.way) {
        (State::Waiting, _) => "It waits for its turn.",
        (State::Running, _) => "It goes on by itself.",
        (State::Done, Way::Gather) => "It became an import.",
        (State::Done, Way::Give) => "All of it was written.",
        (State::Failed, _) => "It did not get to its end.",
        (State::Ended, _) => "Stopped.",
    }
}

fn words(work: &Foreign) -> (String, String, Vec<&'static str>) {
    let host = &work.host;
    match (work.way, work.state) {
        (Way::Gather, State::Waiting | State::Running) => (
            format!("Gathering from {host}"),
            "Nothing on your server changes by this.".into(),
            vec![
                "Then you see what would come in and what would not, and decide.",
                "You can close this page; it goes on by itself.",
            ],
        ),
        (Way::Gather, State::Done) => (
            format!("All that {host} gave is here"),
            "It is an archive now, and waits for you. Nothing on your server has changed.".into(),
            vec!["Read the report: what comes, what does not, what is replaced. Then say yes or no; you can undo it."],
        ),
        (Way::Give, State::Waiting | State::Running) => (
            format!("Giving to {host}"),
            "Your server here stays as it is. freezr takes one record at a time and 300 in a minute; 10,000 records take a little over half an hour.".into(),
            vec!["You can close this page; it goes on by itself.", "If it breaks off, begin it again: what is there already is not written twice."],
        ),
        (Way::Give, State::Done) => (
            format!("{host} has what has a place there"),
            "Your server here is as it was.".into(),
            vec!["Look around there. Under “What has no place there” you see what stayed here alone."],
        ),
        (Way::Gather, State::Failed) => (
            format!("Not all could be gathered from {host}"),
            "Your server is as it was.".into(),
            vec!["Make new passwords there and begin it again."],
        ),
        (Way::Give, State::Failed) => (
            format!("Not all could be given to {host}"),
            "Your server here is as it was; what was written there stays there.".into(),
            vec!["Make new passwords there and begin it again: what is there already is not written twice."],
        ),
        (Way::Gather, State::Ended) => (
            "The gathering was stopped".into(),
            "Your server is as it was, and what had come is thrown away.".into(),
            vec!["Nothing is needed. You can begin it again with new passwords."],
        ),
        (Way::Give, State::Ended) => (
            "The giving was stopped".into(),
            "Your server here is as it was; what was written there stays there.".into(),
            vec!["Nothing is needed. You can begin it again with new passwords."],
        ),
    }
}
