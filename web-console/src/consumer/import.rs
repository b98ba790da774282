//! Import: the report before anything changes, the consent, the undo.

use std::cmp::Ordering;

use axum::extract::Path;
use axum::http::StatusCode;
use control_plane::catalogue::Listing;
use control_plane::operations::{Kind, Operation, Pace, State, StepState};
use control_plane::servers::Server;
use control_plane::{Error, Kind as ErrorKind};
use serde::Deserialize;
use tenant_runtime::admin::api::{ImportReport, SignatureView};

use super::{base, operation_of, own_server};
use crate::page::{self, Answer, Field};
use crate::parts::{self, Bar, Fact, Line, Step, moment};
use crate::shell::Shell;
use crate::show::{self, Amount, Count};
use crate::version;
use crate::visit::{Nothing, Posted, Visit};

#[derive(askama::Template)]
#[template(path = "consumer/import.html")]
struct ImportPage {
    shell: Shell,
    path: String,
    problem: Option<String>,
    free: String,
    past: Vec<Line>,
}

#[derive(askama::Template)]
#[template(path = "consumer/import_one.html")]
struct OneImport {
    shell: Shell,
    path: String,
    id: String,
    crumb: &'static str,
    title: String,
    lead: String,
    running: bool,
    problem: Option<Trouble>,
    report: Option<Report>,
    unlock: Option<Field>,
    confirm: bool,
    done: bool,
    undo: bool,
    show_steps: bool,
    meter: Option<Bar>,
    steps: Vec<Step>,
    next: Vec<String>,
}

struct Trouble {
    what: &'static str,
    why: String,
}

/// The report as the page tells it.
pub(super) struct Report {
    pub(super) whole: bool,
    pub(super) checked: String,
    pub(super) facts: Vec<Fact>,
    pub(super) comes: Vec<Item>,
    /// Apps that come in another version than there is here, or that there is not here.
    pub(super) versions: Vec<Item>,
    pub(super) stays: Vec<Item>,
    pub(super) replaces: Vec<String>,
}

pub(super) struct Item {
    pub(super) what: String,
    pub(super) why: String,
}

impl Item {
    fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

/// `GET /servers/{name}/import`.
pub(super) async fn show(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    form_page(&visit, &server, None).await
}

/// The form that takes an archive, and why the last one was not taken.
pub(super) async fn form_page(visit: &Visit, server: &Server, error: Option<Error>) -> Answer {
    let operations = visit.console.operations().of_server(&visit.actor, server.id).await?;
    let base = base(server);
    let asked = control_plane::servers::usage(visit.console.plane(), &visit.actor, server.id);
    let usage = tokio::time::timeout(std::time::Duration::from_secs(4), asked).await.ok().and_then(Result::ok);
    let free = usage.map_or_else(
        || "room on your plan that your server did not tell just now".to_owned(),
        |usage| Amount(usage.limit_bytes.saturating_sub(usage.database_bytes + usage.blob_bytes)).to_string(),
    );
    let past = operations.iter().filter(|operation| operation.kind == Kind::Import).take(10);
    let form = ImportPage {
        shell: Shell::of(visit, "server", Some(server)).await?,
        problem: error.as_ref().map(|error| error.sentence().to_owned()),
        free,
        past: past.map(|operation| Line::of(operation, &base)).collect(),
        path: base,
    };
    let status = error.map_or(StatusCode::OK, |error| control_plane::status(error.kind()));
    page::show_as(status, &form)
}

/// `GET /servers/{name}/imports/{operation}`.
pub(super) async fn one(visit: Visit, Path((name, id)): Path<(String, String)>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let operation = operation_of(&visit, &server, &id).await?;
    one_page(&visit, &server, &operation, None).await
}

/// An import as it stands, and why a passphrase did not open it.
async fn one_page(visit: &Visit, server: &Server, operation: &Operation, error: Option<Error>) -> Answer {
    let stage = Stage::of(operation);
    let running = operation.state == State::Running;
    let pace = visit.console.operations().pace().await?;
    let told = |report: &ImportReport| tell(report, server, visit.console.catalogue().list(), &pace);
    let report = operation.report.as_ref().filter(|_| matches!(stage, Stage::Report | Stage::Failed)).map(told);
    let undo_until = operation.undo_until_ms.map(|until| show::both(moment(until)).words());
    let (crumb, title, lead, next) = match (stage, operation.place) {
        (Stage::Uploading, Some(_)) => (
            ", step 1 of 3",
            "The archive is being fetched from your storage".to_owned(),
            "Nothing on your server has changed.".to_owned(),
            vec![
                "When all of it is here, every part is checked. You can close this page; it goes on by itself."
                    .to_owned(),
            ],
        ),
        _ => stage.words(undo_until.as_deref()),
    };
    let meter = operation.progress().filter(|_| matches!(stage, Stage::Uploading | Stage::Checking | Stage::Building));
    let meter = match stage {
        Stage::Uploading => operation.bytes.map(|bytes| Bar::new(operation.received, bytes, None)),
        _ => meter.map(|(done, total)| Bar::new(done, total, Some("done"))),
    };
    // What holds up work that goes on stands beside its step; only an end is a problem.
    let problem = operation
        .error
        .clone()
        .filter(|_| operation.state == State::Failed)
        .map(|why| Trouble { what: "It was not taken in, and nothing on your server has changed.", why });
    let status = error.as_ref().map_or(StatusCode::OK, |error| control_plane::status(error.kind()));
    page::show_as(
        status,
        &OneImport {
            shell: Shell::of(visit, "server", Some(server)).await?,
            path: base(server),
            id: operation.id.to_string(),
            crumb,
            title,
            lead,
            running,
            problem,
            unlock: matches!(stage, Stage::Locked).then(|| Field::judged("", "passphrase", error.as_ref())),
            confirm: matches!(stage, Stage::Report)
                && operation.report.as_ref().is_some_and(|report| report.acceptable),
            done: operation.state == State::Done,
            undo: operation.state == State::Done
                && operation.undo_until_ms.is_some_and(|until| until > visit.console.plane().now().as_millisecond()),
            show_steps: !matches!(stage, Stage::Report),
            report,
            meter,
            steps: parts::steps(operation),
            next,
        },
    )
}

/// What opens a sealed archive.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Passphrase {
    passphrase: String,
}

/// `POST …/unlock`: tries a passphrase; a wrong one is said so, and asked for again.
pub(super) async fn unlock(
    visit: Visit,
    Path((name, id)): Path<(String, String)>,
    Posted(form): Posted<Passphrase>,
) -> Answer {
    let server = own_server(&visit, &name).await?;
    let operation = operation_of(&visit, &server, &id).await?;
    if form.passphrase.is_empty() {
        let error = Error::fix("passphrase", "Write the passphrase the archive was sealed with.");
        return one_page(&visit, &server, &operation, Some(error)).await;
    }
    match visit.console.operations().unlock_import(&visit.actor, operation.id, form.passphrase).await {
        Ok(operation) => page::on_to(&format!("{}/imports/{}", base(&server), operation.id)),
        Err(error) if error.kind() == ErrorKind::Fix => {
            let error = Error::fix("passphrase", error.sentence().to_owned());
            one_page(&visit, &server, &operation, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST …/confirm`.
pub(super) async fn confirm(visit: Visit, path: Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let (back, operation) = mine(&visit, path).await?;
    visit.console.operations().confirm_import(&visit.actor, operation.id).await?;
    page::on_to(&back)
}

/// `POST …/undo`.
pub(super) async fn undo(visit: Visit, path: Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let (back, operation) = mine(&visit, path).await?;
    visit.console.operations().undo_import(&visit.actor, operation.id).await?;
    page::on_to(&back)
}

/// `POST …/cancel`.
pub(super) async fn cancel(visit: Visit, path: Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let (back, operation) = mine(&visit, path).await?;
    visit.console.operations().end(&visit.actor, operation.id).await?;
    page::on_to(&back)
}

async fn mine(
    visit: &Visit,
    Path((name, id)): Path<(String, String)>,
) -> Result<(String, Operation), crate::refusal::Refusal> {
    let server = own_server(visit, &name).await?;
    let operation = operation_of(visit, &server, &id).await?;
    Ok((format!("{}/imports/{}", base(&server), operation.id), operation))
}

/// Where an import stands, as its owner sees it.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Uploading,
    /// The archive is sealed and waits for its passphrase.
    Locked,
    Checking,
    Report,
    Building,
    Done,
    Undone,
    Failed,
    Ended,
}

impl Stage {
    fn of(operation: &Operation) -> Self {
        let uploaded = operation.steps.first().is_some_and(|step| step.state == StepState::Done);
        match operation.state {
            State::Done => Self::Done,
            State::Undone => Self::Undone,
            State::Failed => Self::Failed,
            State::Ended => Self::Ended,
            State::Waiting if operation.is_locked() => Self::Locked,
            State::Waiting if operation.report.is_some() => Self::Report,
            _ if !uploaded => Self::Uploading,
            _ if operation.report.is_some() => Self::Building,
            _ => Self::Checking,
        }
    }

    fn words(self, undo_until: Option<&str>) -> (&'static str, String, String, Vec<String>) {
        let (crumb, title, lead, next): (&str, &str, String, Vec<String>) = match self {
            Self::Uploading => (
                ", step 1 of 3",
                "The archive is not all here yet",
                "Nothing on your server has changed.".into(),
                vec!["Choose the same file on the import page again: with script it goes on where it stopped.".into()],
            ),
            Self::Locked => (
                ", step 2 of 3",
                "The archive is sealed",
                "It is all here. To read it we need the passphrase it was sealed with. Nothing on your server has changed."
                    .into(),
                vec![
                    "The passphrase is tried and not kept. Then every part of the archive is checked.".into(),
                    "You see what would come in and what would not, and decide.".into(),
                ],
            ),
            Self::Checking => (
                ", step 2 of 3",
                "Every part is being checked",
                "We read the archive and do not use it yet. Nothing on your server has changed.".into(),
                vec![
                    "Then you see what would come in and what would not, and decide.".into(),
                    "You can close this page; the check goes on.".into(),
                ],
            ),
            Self::Report => (
                ", step 2 of 3",
                "Before anything changes",
                "We have read the archive, not used it. This is what would come in, and what would not.".into(),
                vec![
                    "Everything is built beside your present server and compared with the archive.".into(),
                    "Only when all of it matches do the two change places, in a moment.".into(),
                    "If anything does not match, we stop, tell you what, and your server stays as it is.".into(),
                ],
            ),
            Self::Building => (
                ", step 3 of 3",
                "Your server is being filled",
                "It is built beside your present one. Until the last step everything stays as it is.".into(),
                vec![
                    "When all of it matches the archive, the two change places and this page says so.".into(),
                    "You can close this page; it goes on by itself.".into(),
                ],
            ),
            Self::Done => (
                "",
                "Your server has everything",
                "Every record and file was compared with the archive before the two changed places.".into(),
                vec![match undo_until {
                    Some(until) => format!(
                        "Look around on your server. What was there before is kept until {until}; Undo brings it back."
                    ),
                    None => "Look around on your server.".into(),
                }],
            ),
            Self::Undone => (
                "",
                "The import was taken back",
                "Your server is as it was before.".into(),
                vec!["Nothing is needed. You can import another archive at any time.".into()],
            ),
            Self::Failed => (
                "",
                "This archive was not taken in",
                "Your server is as it was.".into(),
                vec!["Make a fresh archive at the old place, or download it once more, and try again.".into()],
            ),
            Self::Ended => (
                "",
                "This import was stopped",
                "Your server is as it was, and the upload is thrown away.".into(),
                vec!["Nothing is needed. You can import an archive at any time.".into()],
            ),
        };
        (crumb, title.to_owned(), lead, next)
    }
}

pub(super) fn tell(report: &ImportReport, server: &Server, shelf: &[Listing], pace: &Pace) -> Report {
    let signed = match &report.signature {
        SignatureView::None => "Nobody signed it, so nobody vouches for where it comes from.".to_owned(),
        SignatureView::Valid { own: true, .. } => "It is signed by your own key.".to_owned(),
        SignatureView::Valid { fingerprint, .. } => format!("It is signed by the key {fingerprint}."),
        SignatureView::Broken { why } => format!("Its signature does not hold: {why}"),
    };
    let mut comes: Vec<Item> = Vec::new();
    for app in &report.apps {
        let holds = format!(
            "version {}, {} records, {} files, {}",
            app.version,
            Count(app.documents),
            Count(app.files),
            Amount(app.bytes)
        );
        comes.push(Item::new(&app.name, holds));
    }
    if report.counts.documents > 0 {
        comes.push(Item::new(
            format!("{} records", Count(report.counts.documents)),
            format!("in {} tables", Count(report.counts.tables)),
        ));
    }
    if report.counts.files > 0 {
        comes.push(Item::new(format!("{} files", Count(report.counts.files)), "in full size"));
    }
    for carried in &report.carried {
        let why = format!("{}; kept as it came, nothing here works with it yet", Amount(carried.bytes));
        comes.push(Item::new(&carried.what, why));
    }
    let mut stays: Vec<Item> = report.left_out.iter().map(|left| Item::new(&left.what, &left.why)).collect();
    for app in &report.apps {
        if let Some(why) = &app.dormant {
            stays.push(Item::new(
                format!("{} does not start here", app.name),
                format!("{why} Its data comes and is kept."),
            ));
        }
    }
    for grant in &report.grants {
        stays.push(Item::new(
            format!("What {} may do with {}", grant.grantee, grant.resource),
            format!("{}: asked again here at the first use", grant.actions.join(", ")),
        ));
    }
    for domain in &report.domains {
        stays.push(Item::new(
            format!("The domain {}", domain.name),
            "It leads here once you have it proved on the page Domains; until then it is a wish and nothing more.",
        ));
    }
    if report.schedules_paused > 0 {
        stays.push(Item::new(
            format!("{} schedules wait", report.schedules_paused),
            "They stay paused until you start them, so that nothing runs twice.",
        ));
    }
    for finding in &report.findings {
        stays.push(Item::new("A fault in the archive", finding));
    }
    let mut facts = Vec::new();
    if !report.domain.is_empty() {
        facts.push(Fact::new("From", &report.domain).noted(&report.provider));
    }
    facts.push(Fact::html("Made", show::both(moment(report.taken_ms))).noted("later changes there are not in it"));
    let size = Fact::new("Size", Amount(report.counts.bytes));
    facts.push(match report.acceptable {
        true => size.noted(format!("fits: {} stay free afterwards", Amount(report.free_bytes))),
        false => size,
    });
    if report.acceptable {
        let from = match pace.imports {
            0 => "a guess: no import has been measured here yet".to_owned(),
            1 => "going by the last import here".to_owned(),
            several => format!("going by the last {several} imports here"),
        };
        facts.push(Fact::new("Takes", show::about(pace.expects(report))).noted(from));
    }
    facts.push(Fact::new("Format", format!("version {}", report.version)).noted(&report.archive_id));
    Report {
        whole: report.acceptable,
        checked: format!("All {} parts were checked against their fingerprints. {signed}", Count(report.entries)),
        facts,
        comes,
        versions: versions(report, shelf),
        stays,
        replaces: replaced(report, server),
    }
}

/// Which apps could do with another version than they come in.
fn versions(report: &ImportReport, shelf: &[Listing]) -> Vec<Item> {
    let mut versions = Vec::new();
    for app in report.apps.iter().filter(|app| app.dormant.is_none()) {
        let comes = format!("{} comes as version {}", app.name, app.version);
        let Some(here) = shelf.iter().find(|listing| listing.id.to_string() == app.id) else {
            // What was never installed there is data that another app works with.
            if !app.version.is_empty() {
                let why =
                    "The catalogue here does not have it. It works as it came; updates for it do not come from here.";
                versions.push(Item::new(comes, why));
            }
            continue;
        };
        match version::compare(&app.version, &here.version) {
            Some(Ordering::Equal) => {}
            Some(Ordering::Less) => versions.push(Item::new(
                comes,
                format!("The catalogue here has {}, which is newer. It works as it came; bring it up to date on the page of your apps.", here.version),
            )),
            Some(Ordering::Greater) => versions.push(Item::new(
                comes,
                format!("The catalogue here has {}, which is older. Keep what comes until there is a newer one here.", here.version),
            )),
            None => versions.push(Item::new(
                comes,
                format!("The catalogue here has {}. It works as it came; you can change to that one on the page of your apps.", here.version),
            )),
        }
    }
    versions
}

fn replaced(report: &ImportReport, server: &Server) -> Vec<String> {
    let now = &report.replaced;
    let address = format!("{}.{}", server.site.name, server.site.domain);
    let undo = format!("It is kept for {} days; one tap on Undo brings it back as it was.", report.undo_days);
    if now.documents == 0 && now.files == 0 && now.apps == 0 {
        return vec![format!("{address} is empty, so nothing is lost. {undo}")];
    }
    vec![
        format!(
            "What is on {address} now is replaced: {} apps, {} records, {} files, {}.",
            now.apps,
            Count(now.documents),
            Count(now.files),
            Amount(now.bytes)
        ),
        undo,
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tenant_runtime::admin::api::AppComing;

    use super::*;

    #[test]
    fn apps_that_could_do_with_another_version_are_named_and_the_others_are_not() {
        let listing = |id: &str, version: &str| -> Listing {
            serde_json::from_value(serde_json::json!({
                "id": id, "name": "", "version": version, "description": "", "icon": "", "icon_sha256": "",
                "package": "", "size": 1, "sha256": "",
            }))
            .unwrap()
        };
        let shelf =
            [listing("org.example.old", "1.10"), listing("org.example.same", "2"), listing("org.example.new", "3")];
        let app = |name: &str, version: &str| AppComing {
            id: format!("org.example.{name}"),
            name: name.into(),
            version: version.into(),
            ..AppComing::default()
        };
        let dormant = AppComing { dormant: Some("it does not run here".into()), ..app("old", "1") };
        let apps =
            vec![app("old", "1.9"), app("same", "2.0"), app("new", "4"), app("other", "1"), app("data", ""), dormant];
        let told = versions(&ImportReport { apps, ..ImportReport::default() }, &shelf);
        let told: Vec<_> = told.iter().map(|item| (item.what.as_str(), item.why.as_str())).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].0 == "old comes as version 1.9" && told[0].1.contains("1.10, which is newer"), "{told:?}");
        assert!(told[1].0.starts_with("new") && told[1].1.contains("3, which is older"), "{told:?}");
        assert!(told[2].0.starts_with("other") && told[2].1.contains("does not have it"), "{told:?}");
    }
}
