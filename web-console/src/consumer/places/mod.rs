//! Storage of one's own: places where copies of a server go and come from.

mod add;
mod archives;
mod sealing;

use axum::extract::{Path, Query};
use control_plane::places::{self, Every, Place, PlaceId, PlaceKind, Schedule};
use control_plane::servers::Server;
use control_plane::{Error, Kind};
use serde::Deserialize;

pub(super) use add::{add, add_form};
pub(super) use archives::{archives, import};
pub(super) use sealing::{ask_unseal, seal, unseal};

use self::sealing::{SealForm, Sealed};
use super::confirm::Confirm;
use super::{base, own_server};
use crate::page::{self, Answer, Field};
use crate::parts::{Fact, Line};
use crate::refusal::Refusal;
use crate::shell::Shell;
use crate::show::{self, Amount};
use crate::visit::{Nothing, Posted, Visit};

#[derive(askama::Template)]
#[template(path = "consumer/places.html")]
struct PlacesPage {
    shell: Shell,
    path: String,
    places: Vec<Listed>,
}

/// A place as one line of a list.
struct Listed {
    path: String,
    name: String,
    address: String,
    state: String,
    failed: bool,
}

#[derive(askama::Template)]
#[template(path = "consumer/place.html")]
struct PlacePage {
    shell: Shell,
    path: String,
    here: String,
    title: String,
    problem: Option<String>,
    trouble: Option<String>,
    running: Vec<Line>,
    facts: Vec<Fact>,
    name: Field,
    schedule: ScheduleForm,
    sealing: SealForm,
    copies: Vec<Copy>,
    lately: Vec<Line>,
    next: String,
}

struct ScheduleForm {
    every: &'static str,
    weekday: i8,
    hour: i8,
    zone: Field,
    keep: Field,
}

/// A copy that we wrote there.
struct Copy {
    name: String,
    size: Amount,
    when: show::Moment,
    scheduled: bool,
    sealed: Sealed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Renamed {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Planned {
    every: String,
    weekday: String,
    hour: String,
    zone: String,
    keep: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Done {
    done: String,
}

/// `GET /servers/{name}/places`.
pub(super) async fn show(visit: Visit, Path(name): Path<String>, Query(done): Query<Done>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let places = places::places(visit.console.plane(), &visit.actor, server.id).await?;
    let mut shell = Shell::of(&visit, "leave", Some(&server)).await?;
    if done.done == "removed" {
        shell = shell.saying("It is removed, and what opened it is forgotten. What lies there stays.", None);
    }
    let path = base(&server);
    let places = places.iter().map(|place| Listed::of(place, &path)).collect();
    page::show(&PlacesPage { shell, path, places })
}

/// `GET /servers/{name}/places/{place}`.
pub(super) async fn one(visit: Visit, path: Path<(String, String)>, Query(done): Query<Done>) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    let said = match done.done.as_str() {
        "added" => Some("It is added: a small file was written there, read and deleted."),
        "tried" => Some("It works: a small file was written there, read and deleted."),
        "named" => Some("The name is changed."),
        "planned" => Some("The schedule is changed."),
        "sealed" => Some("Copies are sealed from now on. Write the passphrase down."),
        "unsealed" => Some("Copies go there open from now on."),
        _ => None,
    };
    place_page(&visit, &server, &place, said, None).await
}

async fn place_page(visit: &Visit, server: &Server, place: &Place, said: Option<&str>, error: Option<Error>) -> Answer {
    let plane = visit.console.plane();
    let path = base(server);
    let error = error.as_ref();
    let operations = visit.console.operations().of_server(&visit.actor, server.id).await?;
    let own = || operations.iter().filter(|operation| operation.place == Some(place.id));
    let line = |operation| Line::of(operation, &path);
    let copies = places::written(plane, &visit.actor, place.id).await?;
    let mut shell = Shell::of(visit, "leave", Some(server)).await?;
    if let Some(said) = said {
        shell = shell.saying(said, None);
    }
    let known = |field: &str| ["name", "zone", "keep"].contains(&field) || sealing::FIELDS.contains(&field);
    let problem = error.filter(|error| !error.field().is_some_and(known));
    let schedule = &place.schedule;
    page::show_form(
        error,
        &PlacePage {
            shell,
            here: format!("{path}/places/{}", place.id),
            title: place.name.clone(),
            problem: problem.map(|error| error.sentence().to_owned()),
            trouble: trouble(place),
            running: own().filter(|operation| !operation.state.is_final()).map(line).collect(),
            facts: facts(place),
            name: Field::judged(&place.name, "name", error),
            schedule: ScheduleForm {
                every: schedule.every.word(),
                weekday: match schedule.every {
                    Every::Weekly(day) => day.to_monday_one_offset(),
                    Every::Never | Every::Daily => 7,
                },
                hour: schedule.hour,
                zone: Field::judged(&schedule.zone, "zone", error),
                keep: Field::judged(schedule.keep.to_string(), "keep", error),
            },
            sealing: SealForm::of(place, own(), error),
            copies: copies
                .into_iter()
                .map(|file| Copy {
                    sealed: Sealed::of_copy(file.sealed_since, place),
                    name: file.name,
                    size: Amount(file.bytes),
                    when: show::both(file.at),
                    scheduled: file.scheduled,
                })
                .collect(),
            lately: own().filter(|operation| operation.state.is_final()).take(6).map(line).collect(),
            next: match place.next {
                Some(next) => format!(
                    "The next copy goes there by itself on {}. If it fails, we write to you and try again.",
                    show::both(next).words()
                ),
                None => "Nothing goes there by itself. Copy now, or say below when a copy is to go.".to_owned(),
            },
            path,
        },
    )
}

/// `POST /servers/{name}/places/{place}/copies`.
pub(super) async fn copy(visit: Visit, path: Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    let operation = visit.console.operations().start_copy(&visit.actor, place.id).await?;
    page::on_to(&format!("{}/exports/{}", base(&server), operation.id))
}

/// `POST /servers/{name}/places/{place}/try`.
pub(super) async fn try_it(visit: Visit, path: Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    let tried = places::try_it(visit.console.plane(), &visit.actor, place.id).await;
    back_or_told(&visit, &server, &place, tried, "tried").await
}

/// `POST /servers/{name}/places/{place}/name`.
pub(super) async fn rename(visit: Visit, path: Path<(String, String)>, Posted(form): Posted<Renamed>) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    let named = places::rename(visit.console.plane(), &visit.actor, place.id, &form.name).await;
    back_or_told(&visit, &server, &place, named, "named").await
}

/// `POST /servers/{name}/places/{place}/schedule`.
pub(super) async fn plan(visit: Visit, path: Path<(String, String)>, Posted(form): Posted<Planned>) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    let every = Every::read(&form.every, form.weekday.parse().unwrap_or(7));
    let every = every.ok_or_else(|| Refusal::of(Error::fix("every", "Choose never, each day or each week.")))?;
    let schedule = Schedule {
        every,
        hour: form.hour.parse().unwrap_or(-1),
        zone: form.zone.trim().to_owned(),
        keep: form.keep.trim().parse().unwrap_or(0),
    };
    let planned = places::set_schedule(visit.console.plane(), &visit.actor, place.id, schedule.clone()).await;
    let wished = Place { schedule, ..place };
    back_or_told(&visit, &server, &wished, planned.map(drop), "planned").await
}

/// `GET /servers/{name}/places/{place}/remove`.
pub(super) async fn ask_remove(visit: Visit, path: Path<(String, String)>) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    let here = format!("{}/places/{}", base(&server), place.id);
    page::show(&Confirm {
        shell: Shell::of(&visit, "leave", Some(&server)).await?,
        question: format!("Remove {}?", place.name),
        meaning: "We forget its address, what opens it and the passphrase of its copies, and no copy goes there any more. The archives that lie there stay: they are yours, and sealed ones open with their passphrase alone.".into(),
        action: format!("{here}/remove"),
        back: here,
        keep: "Keep it",
        go: "Remove",
        next: "You come back to the list of your places. To use this one again, add it once more.".into(),
    })
}

/// `POST /servers/{name}/places/{place}/remove`.
pub(super) async fn remove(visit: Visit, path: Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    places::remove(visit.console.plane(), &visit.actor, place.id).await?;
    page::on_to(&format!("{}/places?done=removed", base(&server)))
}

/// A place of this very server.
async fn mine(visit: &Visit, Path((name, id)): Path<(String, String)>) -> Result<(Server, Place), Refusal> {
    let server = own_server(visit, &name).await?;
    let unknown = || Refusal::of(Error::gone("Your server has no such place."));
    let id: PlaceId = id.parse().map_err(|_| unknown())?;
    let place = places::place(visit.console.plane(), &visit.actor, id).await?;
    if place.server == server.id { Ok((server, place)) } else { Err(unknown()) }
}

async fn back_or_told(
    visit: &Visit,
    server: &Server,
    place: &Place,
    done: Result<(), Error>,
    word: &'static str,
) -> Answer {
    match done {
        Ok(()) => page::on_to(&format!("{}/places/{}?done={word}", base(server), place.id)),
        Err(error) if error.kind() != Kind::Bug => place_page(visit, server, place, None, Some(error)).await,
        Err(error) => Err(error.into()),
    }
}

/// What is wrong with the copies to a place, when the last one did not get there.
pub(super) fn trouble(place: &Place) -> Option<String> {
    let why = place.last_error.as_ref()?;
    let when = place.failed.map(|at| format!(" on {}", show::both(at).words())).unwrap_or_default();
    let again = match place.next {
        Some(next) => format!(" The next try is on {}.", show::both(next).words()),
        None => String::new(),
    };
    Some(format!("The last copy to {} did not get there{when}. {why}{again}", place.name))
}

fn facts(place: &Place) -> Vec<Fact> {
    let kind = match place.kind {
        PlaceKind::S3 => "storage that speaks S3",
        PlaceKind::Webdav => "a WebDAV folder",
    };
    let mut facts = vec![Fact::new("Where", &place.address).noted(kind)];
    facts.push(match place.sealed_since {
        Some(_) => Fact::new("Copies", "sealed").noted("with your passphrase"),
        None => Fact::new("Copies", "open").noted("whoever reads this storage can read them"),
    });
    facts.push(match place.copied {
        Some(at) => Fact::html("Last copy", show::both(at)),
        None => Fact::new("Last copy", "none yet"),
    });
    facts.push(match place.next {
        Some(at) => Fact::html("Next copy", show::both(at)),
        None => Fact::new("Next copy", "when you say so"),
    });
    facts
}

impl Listed {
    fn of(place: &Place, path: &str) -> Self {
        let last = match place.copied {
            Some(at) => format!("Last copy on {}", show::both(at).words()),
            None => "No copy yet".to_owned(),
        };
        let next = match place.next {
            Some(at) => format!(", the next on {}", show::both(at).words()),
            None => String::new(),
        };
        Self {
            path: format!("{path}/places/{}", place.id),
            name: place.name.clone(),
            address: place.address.clone(),
            state: trouble(place).unwrap_or(format!("{last}{next}.")),
            failed: place.last_error.is_some(),
        }
    }
}

/// The pages of storage that failed, for the server's own page.
pub(super) async fn troubles(visit: &Visit, server: &Server) -> Vec<(String, String)> {
    let places = places::places(visit.console.plane(), &visit.actor, server.id).await.unwrap_or_default();
    let told = |place: &Place| Some((trouble(place)?, format!("{}/places/{}", base(server), place.id)));
    places.iter().filter_map(told).collect()
}
