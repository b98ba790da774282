//! Storage of one's own: places where copies of a server go and come from.

use axum::extract::{Path, Query};
use control_plane::places::{self, Access, Every, Place, PlaceId, PlaceKind, Schedule, Secret};
use control_plane::servers::Server;
use control_plane::{Error, Kind};
use serde::Deserialize;

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
#[template(path = "consumer/place_add.html")]
struct AddPage {
    shell: Shell,
    path: String,
    bucket_form: bool,
    problem: Option<String>,
    name: Field,
    endpoint: Field,
    region: Field,
    bucket: Field,
    prefix: Field,
    key_id: Field,
    secret: Field,
    url: Field,
    user: Field,
    password: Field,
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
}

#[derive(askama::Template)]
#[template(path = "consumer/place_archives.html")]
struct ArchivesPage {
    shell: Shell,
    path: String,
    here: String,
    title: String,
    problem: Option<String>,
    found: Vec<Archive>,
}

struct Archive {
    name: String,
    size: Amount,
    when: Option<show::Moment>,
}

#[derive(askama::Template)]
#[template(path = "consumer/confirm.html")]
struct Confirm {
    shell: Shell,
    question: String,
    meaning: String,
    action: String,
    back: String,
    keep: &'static str,
    go: &'static str,
    next: String,
}

/// What the forms that add a place send.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Added {
    name: String,
    endpoint: String,
    region: String,
    bucket: String,
    prefix: String,
    key_id: String,
    secret: Secret,
    url: String,
    user: String,
    password: Secret,
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
pub(super) struct Chosen {
    file: String,
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

/// `GET /servers/{name}/places/add/{kind}`.
pub(super) async fn add_form(visit: Visit, Path((name, kind)): Path<(String, String)>) -> Answer {
    let server = own_server(&visit, &name).await?;
    add_page(&visit, &server, kind_of(&kind)?, &Added::default(), None).await
}

async fn add_page(visit: &Visit, server: &Server, kind: PlaceKind, form: &Added, error: Option<Error>) -> Answer {
    let error = error.as_ref();
    let field = |value: &str, name: &str| Field::judged(value, name, error);
    page::show_form(
        error,
        &AddPage {
            shell: Shell::of(visit, "leave", Some(server)).await?,
            path: base(server),
            bucket_form: kind == PlaceKind::S3,
            problem: error.filter(|error| error.field().is_none()).map(|error| error.sentence().to_owned()),
            name: field(&form.name, "name"),
            endpoint: field(&form.endpoint, "endpoint"),
            region: field(&form.region, "region"),
            bucket: field(&form.bucket, "bucket"),
            prefix: field(&form.prefix, "prefix"),
            key_id: field(&form.key_id, "key_id"),
            secret: field("", "secret"),
            url: field(&form.url, "url"),
            user: field(&form.user, "user"),
            password: field("", "password"),
        },
    )
}

/// `POST /servers/{name}/places/add/{kind}`.
pub(super) async fn add(
    visit: Visit,
    Path((name, kind)): Path<(String, String)>,
    Posted(form): Posted<Added>,
) -> Answer {
    let server = own_server(&visit, &name).await?;
    let kind = kind_of(&kind)?;
    let access = match kind {
        PlaceKind::S3 => Access::S3 {
            endpoint: form.endpoint.clone(),
            region: form.region.clone(),
            bucket: form.bucket.clone(),
            prefix: form.prefix.clone(),
            key_id: form.key_id.clone(),
            secret: form.secret.clone(),
        },
        PlaceKind::Webdav => {
            Access::Webdav { url: form.url.clone(), user: form.user.clone(), password: form.password.clone() }
        }
    };
    match places::add(visit.console.plane(), &visit.actor, server.id, &form.name, access).await {
        Ok(place) => page::on_to(&format!("{}/places/{}?done=added", base(&server), place.id)),
        Err(error) if error.kind() != Kind::Bug => add_page(&visit, &server, kind, &form, Some(error)).await,
        Err(error) => Err(error.into()),
    }
}

/// `GET /servers/{name}/places/{place}`.
pub(super) async fn one(visit: Visit, path: Path<(String, String)>, Query(done): Query<Done>) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    let said = match done.done.as_str() {
        "added" => Some("It is added: a small file was written there, read and deleted."),
        "tried" => Some("It works: a small file was written there, read and deleted."),
        "named" => Some("The name is changed."),
        "planned" => Some("The schedule is changed."),
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
    let fields = ["name", "zone", "keep"];
    let problem = error.filter(|error| !error.field().is_some_and(|field| fields.contains(&field)));
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
            copies: copies
                .into_iter()
                .map(|file| Copy {
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
        meaning: "We forget its address and what opens it, and no copy goes there any more. The archives that lie there stay: they are yours.".into(),
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

/// `GET /servers/{name}/places/{place}/archives`.
pub(super) async fn archives(visit: Visit, path: Path<(String, String)>) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    archives_page(&visit, &server, &place, None).await
}

async fn archives_page(visit: &Visit, server: &Server, place: &Place, error: Option<Error>) -> Answer {
    let found = places::archives(visit.console.plane(), &visit.actor, place.id).await;
    let (found, error) = match (found, error) {
        (Ok(found), error) => (found, error),
        (Err(error), None) if error.kind() != Kind::Bug => (Vec::new(), Some(error)),
        (Err(_), Some(error)) => (Vec::new(), Some(error)),
        (Err(error), None) => return Err(error.into()),
    };
    let path = base(server);
    let archive = |file: places::Found| Archive {
        size: Amount(file.bytes),
        when: file.changed_ms.map(|ms| show::both(crate::parts::moment(ms))),
        name: file.name,
    };
    page::show_form(
        error.as_ref(),
        &ArchivesPage {
            shell: Shell::of(visit, "server", Some(server)).await?,
            here: format!("{path}/places/{}", place.id),
            title: place.name.clone(),
            problem: error.as_ref().map(|error| error.sentence().to_owned()),
            found: found.into_iter().map(archive).collect(),
            path,
        },
    )
}

/// `POST /servers/{name}/places/{place}/imports`.
pub(super) async fn import(visit: Visit, path: Path<(String, String)>, Posted(form): Posted<Chosen>) -> Answer {
    let (server, place) = mine(&visit, path).await?;
    match visit.console.operations().start_import_from(&visit.actor, place.id, &form.file).await {
        Ok(operation) => page::on_to(&format!("{}/imports/{}", base(&server), operation.id)),
        Err(error) if error.kind() != Kind::Bug => archives_page(&visit, &server, &place, Some(error)).await,
        Err(error) => Err(error.into()),
    }
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

fn kind_of(word: &str) -> Result<PlaceKind, Refusal> {
    match word {
        "s3" => Ok(PlaceKind::S3),
        "webdav" => Ok(PlaceKind::Webdav),
        _ => Err(Refusal::of(Error::gone("There is no such kind of storage."))),
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
