//! Domains of one's own: what to put into DNS, how each stands, what it is for.

mod entry;

use axum::extract::{Path, Query};
use axum::response::IntoResponse as _;
use axum::response::sse::Event;
use control_plane::domains::{self, Domain, DomainId, State, Use};
use control_plane::servers::Server;
use control_plane::{Error, Kind};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::confirm::Confirm;
use super::{base, live, own_server};
use crate::page::{self, Answer, Field};
use crate::refusal::Refusal;
use crate::shell::Shell;
use crate::visit::{Nothing, Posted, Visit};

use entry::{App, Entry};

#[derive(askama::Template)]
#[template(path = "consumer/domains.html")]
struct DomainsPage {
    shell: Shell,
    path: String,
    address: String,
    domains: Vec<Entry>,
    /// Whether something may change by itself.
    live: bool,
    problem: Option<String>,
    name: Field,
    limit: u32,
    full: bool,
    apps: Vec<App>,
    next: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Added {
    domain: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Used {
    purpose: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Done {
    done: String,
}

/// `GET /servers/{name}/domains`.
pub(super) async fn show(visit: Visit, Path(name): Path<String>, Query(done): Query<Done>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let said = match done.done.as_str() {
        "added" => Some("It is added. Put the two records into DNS; we look for them by ourselves."),
        "used" => Some("It is changed."),
        "removed" => Some("It is removed and does not lead here any more. You can take the records out of DNS."),
        _ => None,
    };
    domains_page(&visit, &server, said, "", None).await
}

async fn domains_page(visit: &Visit, server: &Server, said: Option<&str>, typed: &str, error: Option<Error>) -> Answer {
    let (plane, path, error) = (visit.console.plane(), base(server), error.as_ref());
    let mut shell = Shell::of(visit, "server", Some(server)).await?;
    if let Some(said) = said {
        shell = shell.saying(said, None);
    }
    let (all, limit, addresses) = tokio::join!(
        domains::domains(plane, &visit.actor, server.id),
        domains::limit(plane, &visit.actor, server.id),
        domains::addresses(plane, &visit.actor, server.id),
    );
    let (all, limit, addresses) = (all?, limit?, addresses?);
    // Which apps there are is asked only where a domain can lead to one; a server that does not answer has none to choose.
    let apps = match all.is_empty() {
        true => Vec::new(),
        false => entry::apps(visit, server).await,
    };
    let problem = error.filter(|error| error.field() != Some("domain"));
    page::show_form(
        error,
        &DomainsPage {
            shell,
            address: server.site.host(),
            live: all.iter().any(|domain| matches!(domain.state, State::Proving | State::Failing)),
            problem: problem.map(|error| error.sentence().to_owned()),
            name: Field::judged(typed, "domain", error),
            limit,
            full: all.iter().filter(|domain| !matches!(domain.state, State::Wanted | State::GivenUp)).count()
                >= limit as usize,
            next: next(&all),
            domains: all.into_iter().map(|domain| Entry::of(domain, server, &path, &addresses)).collect(),
            apps,
            path,
        },
    )
}

fn next(all: &[Domain]) -> String {
    let has = |state| all.iter().any(|domain| domain.state == state);
    if has(State::Proving) {
        "DNS hosts take from a minute to a day to tell a change to everybody. You can close this page: we go on looking for two weeks, less often each time."
    } else if has(State::Wanted) {
        "What came with your archive or your move leads here only after you have it proved here. Until then nothing at your DNS host needs to change."
    } else if has(State::Failing) {
        "Mend the records at your DNS host. The domain goes on working until the day we wrote to you about."
    } else if all.is_empty() {
        "You add a domain that you have registered elsewhere, we tell you two records to put there, and look for them by ourselves."
    } else {
        "We look at the records a few times a day, and write to you before a domain is turned off. When you leave, your domains are in your archive, and go with you by changing one record."
    }
    .to_owned()
}

/// `POST /servers/{name}/domains`.
pub(super) async fn add(visit: Visit, Path(name): Path<String>, Posted(form): Posted<Added>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let added = domains::add(visit.console.plane(), &visit.actor, server.id, &form.domain).await;
    back_or_told(&visit, &server, added.map(drop), &form.domain, "added").await
}

/// `POST /servers/{name}/domains/{domain}/prove`: a wish that came along, or one more try.
pub(super) async fn prove(visit: Visit, path: Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let (server, domain) = mine(&visit, path).await?;
    let begun = domains::prove(visit.console.plane(), &visit.actor, domain.id).await;
    back_or_told(&visit, &server, begun.map(drop), "", "added").await
}

/// `POST /servers/{name}/domains/{domain}/look`.
pub(super) async fn look(visit: Visit, path: Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let (server, domain) = mine(&visit, path).await?;
    let looked = domains::look(visit.console.plane(), &visit.actor, domain.id).await;
    back_or_told(&visit, &server, looked.map(drop), "", "looked").await
}

/// `POST /servers/{name}/domains/{domain}/use`.
pub(super) async fn set_use(visit: Visit, path: Path<(String, String)>, Posted(form): Posted<Used>) -> Answer {
    let (server, domain) = mine(&visit, path).await?;
    let wanted = match form.purpose.as_str() {
        "primary" => Use::Primary,
        "alias" => Use::Alias,
        app => Use::App(app.to_owned()),
    };
    let set = domains::set_use(visit.console.plane(), &visit.actor, domain.id, wanted).await;
    back_or_told(&visit, &server, set, "", "used").await
}

/// `GET /servers/{name}/domains/{domain}/remove`.
pub(super) async fn ask_remove(visit: Visit, path: Path<(String, String)>) -> Answer {
    let (server, domain) = mine(&visit, path).await?;
    let here = format!("{}/domains", base(&server));
    page::show(&Confirm {
        shell: Shell::of(&visit, "server", Some(&server)).await?,
        question: format!("Remove {}?", domain.name.for_people()),
        meaning: format!(
            "It does not lead to your server any more, and links to it do not open here. Your server and all that is on it stay as they are, at {}. The domain itself stays yours, where you registered it.",
            server.site.host()
        ),
        action: format!("{here}/{}/remove", domain.id),
        back: here,
        keep: "Keep it",
        go: "Remove",
        next: "You come back to the list of your domains. To use this one again you add it once more and put a new record into DNS.".into(),
    })
}

/// `POST /servers/{name}/domains/{domain}/remove`.
pub(super) async fn remove(visit: Visit, path: Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let (server, domain) = mine(&visit, path).await?;
    let removed = domains::remove(visit.console.plane(), &visit.actor, domain.id).await;
    back_or_told(&visit, &server, removed, "", "removed").await
}

/// `GET /servers/{name}/domains/events`: one event whenever a domain stands otherwise.
pub(super) async fn events(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let (send, receive) = mpsc::channel(4);
    let stopping = visit.console.stopping().clone();
    tokio::spawn(live::until_stopped(stopping, send.clone(), async move {
        let mut shown = None;
        loop {
            let Ok(now) = domains::domains(visit.console.plane(), &visit.actor, server.id).await else { return };
            let now: Vec<_> = now.into_iter().map(|domain| (domain.state, domain.wildcard, domain.trouble)).collect();
            if shown.as_ref().is_some_and(|shown| *shown != now)
                && send.send(Event::default().data("{}")).await.is_err()
            {
                return;
            }
            shown = Some(now);
            tokio::time::sleep(live::EVERY).await;
        }
    }));
    Ok(live::stream(receive).into_response())
}

/// `GET /tls/may-certify?domain=…`: whether a proxy that ends TLS in front of us may get a certificate for a name.
pub(crate) async fn may_certify(visit: Visit, Query(asked): Query<Added>) -> Answer {
    match domains::may_certify(visit.console.plane(), &asked.domain).await {
        true => Ok("yes\n".into_response()),
        false => Ok((axum::http::StatusCode::NOT_FOUND, "no\n").into_response()),
    }
}

/// A domain of this very server.
async fn mine(visit: &Visit, Path((name, id)): Path<(String, String)>) -> Result<(Server, Domain), Refusal> {
    let server = own_server(visit, &name).await?;
    let unknown = || Refusal::of(Error::gone("Your server has no such domain."));
    let id: DomainId = id.parse().map_err(|_| unknown())?;
    let domain = domains::domain(visit.console.plane(), &visit.actor, id).await?;
    if domain.server == server.id { Ok((server, domain)) } else { Err(unknown()) }
}

async fn back_or_told(
    visit: &Visit,
    server: &Server,
    done: Result<(), Error>,
    typed: &str,
    word: &'static str,
) -> Answer {
    match done {
        Ok(()) => page::on_to(&format!("{}/domains?done={word}", base(server))),
        Err(error) if error.kind() != Kind::Bug => domains_page(visit, server, None, typed, Some(error)).await,
        Err(error) => Err(error.into()),
    }
}
