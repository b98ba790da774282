//! Export: start, watch, fetch, check.

use std::time::Duration;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use control_plane::operations::{Kind, Operation, Sealing, State, StepState, check_passphrase};
use control_plane::servers::Server;
use control_plane::{Error, Kind as ErrorKind};
use serde::Deserialize;
use tenant_runtime::admin::api::Usage;

use super::{base, operation_of, own_server};
use crate::page::{self, Answer, Field};
use crate::parts::{self, Bar, Fact, Line, Step, moment};
use crate::shell::Shell;
use crate::show::{self, Amount, Count};
use crate::visit::{Nothing, Posted, Visit};

/// How long a page waits for a server to tell its size: sizes are nice to have, the page is not.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(askama::Template)]
#[template(path = "consumer/export.html")]
struct ExportPage {
    shell: Shell,
    path: String,
    problem: Option<String>,
    going: Option<Vec<Fact>>,
    sealing: &'static str,
    passphrase: Field,
    past: Vec<Line>,
}

#[derive(askama::Template)]
#[template(path = "consumer/export_one.html")]
struct OneExport {
    shell: Shell,
    path: String,
    id: String,
    title: &'static str,
    lead: String,
    running: bool,
    problem: Option<String>,
    ready: Option<Ready>,
    /// The page of the storage a copy goes to.
    place: Option<String>,
    meter: Option<Bar>,
    steps: Vec<Step>,
    next: String,
}

/// An archive that can be fetched.
struct Ready {
    file: String,
    facts: Vec<Fact>,
    omitted: Vec<Fact>,
    checks: Vec<String>,
}

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    sealing: String,
    passphrase: String,
}

/// What the form offers to seal; the first is what it begins with.
const SEALINGS: [&str; 3] = ["nothing", "archive", "keys"];

impl Form {
    /// The choice that was made, in one of the words the form knows.
    fn choice(&self) -> &'static str {
        SEALINGS.into_iter().find(|choice| *choice == self.sealing).unwrap_or(SEALINGS[0])
    }

    /// What is to be sealed, or what is wrong with the passphrase.
    fn sealing(&self) -> Result<Option<Sealing>, Error> {
        let phrase = || -> Result<String, Error> {
            if self.passphrase.is_empty() {
                return Err(Error::fix("passphrase", "Write a passphrase, or choose not to seal anything."));
            }
            check_passphrase(&self.passphrase)?;
            Ok(self.passphrase.clone())
        };
        match self.choice() {
            "archive" => phrase().map(Sealing::Archive).map(Some),
            "keys" => phrase().map(Sealing::Keys).map(Some),
            _ if !self.passphrase.is_empty() => {
                Err(Error::fix("passphrase", "You wrote a passphrase: choose above what it is to seal, or empty it."))
            }
            _ => Ok(None),
        }
    }
}

/// What an export takes along, when the server tells.
pub(super) async fn going(visit: &Visit, server: &Server) -> Option<Vec<Fact>> {
    Some(going_of(&weight(visit, server).await?))
}

/// What is on a server, when it tells.
pub(super) async fn weight(visit: &Visit, server: &Server) -> Option<Usage> {
    let asked = control_plane::servers::usage(visit.console.plane(), &visit.actor, server.id);
    tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()
}

/// The same for a page.
pub(super) fn going_of(usage: &Usage) -> Vec<Fact> {
    vec![
        Fact::new("What goes along", Amount(usage.database_bytes + usage.blob_bytes)),
        Fact::new("Apps", usage.apps.len()),
        Fact::new("Records", Count(usage.documents)),
        Fact::new("Files", Count(usage.files)),
    ]
}

/// `GET /servers/{name}/export`.
pub(super) async fn show(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    form_page(&visit, &server, SEALINGS[0], None).await
}

async fn form_page(visit: &Visit, server: &Server, sealing: &'static str, error: Option<Error>) -> Answer {
    let operations = visit.console.operations().of_server(&visit.actor, server.id).await?;
    let base = base(server);
    let past = operations.iter().filter(|operation| operation.kind == Kind::Export).take(10);
    let error = error.as_ref();
    let problem = error.filter(|error| error.field() != Some("passphrase")).map(|error| error.sentence().to_owned());
    let form = ExportPage {
        shell: Shell::of(visit, "leave", Some(server)).await?,
        problem,
        going: going(visit, server).await,
        sealing,
        passphrase: Field::judged("", "passphrase", error),
        past: past.map(|operation| Line::of(operation, &base)).collect(),
        path: base,
    };
    let status = error.map_or(StatusCode::OK, |error| control_plane::status(error.kind()));
    page::show_as(status, &form)
}

/// `POST /servers/{name}/exports`.
pub(super) async fn start(visit: Visit, Path(name): Path<String>, Posted(form): Posted<Form>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let choice = form.choice();
    let sealing = match form.sealing() {
        Ok(sealing) => sealing,
        Err(error) => return form_page(&visit, &server, choice, Some(error)).await,
    };
    match visit.console.operations().start_export(&visit.actor, server.id, sealing).await {
        Ok(operation) => page::on_to(&format!("{}/exports/{}", base(&server), operation.id)),
        Err(error) if error.kind() != ErrorKind::Bug => form_page(&visit, &server, choice, Some(error)).await,
        Err(error) => Err(error.into()),
    }
}

/// `GET /servers/{name}/exports/{operation}`.
pub(super) async fn one(visit: Visit, Path((name, id)): Path<(String, String)>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let operation = operation_of(&visit, &server, &id).await?;
    let running = matches!(operation.state, State::Running | State::Waiting);
    let ready = (operation.state == State::Ready).then(|| ready(&operation));
    let (title, lead, next) = words(&operation);
    let is_sent = operation.steps.iter().any(|step| step.name == "send" && step.state == StepState::Running);
    let counted = (!is_sent).then_some("records written");
    let meter = operation.progress().filter(|_| running).map(|(done, total)| Bar::new(done, total, counted));
    page::show(&OneExport {
        shell: Shell::of(&visit, "leave", Some(&server)).await?,
        place: operation.place.map(|place| format!("{}/places/{place}", base(&server))),
        path: base(&server),
        id: operation.id.to_string(),
        title,
        lead,
        running,
        problem: operation.error.clone().filter(|_| operation.state == State::Failed),
        ready,
        meter,
        steps: parts::steps(&operation),
        next,
    })
}

/// `POST …/cancel`: a copy to storage of one's own is stopped.
pub(super) async fn cancel(visit: Visit, Path((name, id)): Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let operation = operation_of(&visit, &server, &id).await?;
    visit.console.operations().end(&visit.actor, operation.id).await?;
    page::on_to(&format!("{}/exports/{}", base(&server), operation.id))
}

/// The words about a copy to storage of one's own.
fn words_of_copy(operation: &Operation) -> (&'static str, String, String) {
    let made = show::both(moment(operation.created_ms)).words();
    match operation.state {
        State::Running | State::Waiting | State::Ready => (
            "Your server is being copied to your storage",
            "You can go on using your server. What you change from now on is not in this copy.".to_owned(),
            "When all of it lies there, this page says so. You can close it; the copy goes on by itself.".to_owned(),
        ),
        State::Done | State::Undone => (
            "A copy of your server lies in your storage",
            format!("Everything on your server as it was on {made}, under the name below."),
            "Nothing is needed. Any provider that reads the format takes this file, and so do we.".to_owned(),
        ),
        State::Failed => (
            "The copy did not get to your storage",
            "Your server and everything on it is as it was, and so is what lies in your storage.".to_owned(),
            "Look at what the storage says, mend it, and copy again. A scheduled copy is tried again by itself."
                .to_owned(),
        ),
        State::Ended => (
            "This copy was stopped",
            "What had been written of it is thrown away.".to_owned(),
            "Nothing is needed. You can copy again at any time.".to_owned(),
        ),
    }
}

fn words(operation: &Operation) -> (&'static str, String, String) {
    if operation.place.is_some() {
        return words_of_copy(operation);
    }
    let made = show::both(moment(operation.created_ms)).words();
    let kept = operation.expires_ms.map(|until| show::both(moment(until)).words());
    match operation.state {
        State::Running | State::Waiting => (
            "Your archive is being made",
            "You can go on using your server. What you change from now on is not in this archive.".to_owned(),
            "When everything is written down, the link to download stands here. You can close this page; nothing is lost.".to_owned(),
        ),
        State::Ready => (
            "Your archive is ready",
            format!("Everything on your server as it was on {made}."),
            match kept {
                Some(until) => format!("Download it, and keep it somewhere safe. We hold this moment ready until {until}; you can make a new archive at any time. Your server stays as it is."),
                None => "Download it, and keep it somewhere safe. Your server stays as it is.".to_owned(),
            },
        ),
        State::Failed => (
            "The archive could not be made",
            "Your server and everything on it is as it was.".to_owned(),
            "Start another export. If it fails again, tell us the number above.".to_owned(),
        ),
        State::Ended | State::Undone | State::Done => (
            "This archive is no longer kept",
            format!("It was made on {made}."),
            "Make a new one at any time; it takes about as long as the last.".to_owned(),
        ),
    }
}

fn ready(operation: &Operation) -> Ready {
    let file = operation.file_name.clone();
    let mut facts = Vec::new();
    let mut omitted = Vec::new();
    if let Some(bytes) = operation.bytes.or(operation.export.as_ref().and_then(|export| export.bytes)) {
        facts.push(Fact::new("Size", Amount(bytes)).noted(format!("{} bytes", Count(bytes))));
    }
    if let Some(export) = &operation.export {
        if let Some(counts) = &export.counts {
            facts.push(Fact::new("Apps", counts.apps));
            facts.push(Fact::new("Records", Count(counts.documents)).noted(format!("in {} tables", counts.tables)));
            facts.push(Fact::new("Files", Count(counts.files)));
        }
        if let Some(archive) = &export.archive_id {
            facts.push(Fact::new("Number of the archive", archive));
        }
        for left_out in &export.omitted {
            omitted.push(Fact::new(&left_out.what, &left_out.why));
        }
    }
    facts.push(Fact::html("Frozen", show::both(moment(operation.created_ms))));
    if operation.export.as_ref().is_some_and(|export| export.sealed) {
        facts.push(Fact::new("Sealed", "with your passphrase, all of it").noted("we do not have it; keep it well"));
    }
    let checks = checks(&file);
    Ready { file, facts, omitted, checks }
}

/// How anybody checks the file with tools that are not ours.
fn checks(file: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let zip = file.strip_suffix(".age").unwrap_or(file);
    if zip != file {
        lines.push("# 0. open it with your passphrase (https://age-encryption.org)".to_owned());
        lines.push(format!("age -d -o {zip} {file}"));
    }
    let folder = "check-it";
    lines.extend([
        "# 1. the file is whole".to_owned(),
        format!("unzip -tq {zip}"),
        "# 2. every file in it is the one that was written".to_owned(),
        format!("unzip -q {zip} -d {folder} && cd {folder}"),
        "sha256sum --quiet -c manifest-sha256.txt && echo all good".to_owned(),
        "# 3. or with the Library of Congress’s tool: pip install bagit".to_owned(),
        "bagit.py --validate .".to_owned(),
    ]);
    lines
}

/// `GET /servers/{name}/exports/{operation}/archive`: the archive, whole or from an offset.
pub(super) async fn archive(
    visit: Visit,
    Path((name, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, crate::refusal::Refusal> {
    let server = own_server(&visit, &name).await?;
    let operation = operation_of(&visit, &server, &id).await?;
    let answer = visit.console.operations().export_download(&visit.actor, operation.id, &headers).await?;
    Ok(answer.into_response())
}
