//! The form that takes the old address, and the page that says who is there before anything is asked for.

use axum::extract::{Path, Query};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use control_plane::Error;
use control_plane::moves::arriving::{self, Found, Looked};
use control_plane::servers::Server;
use serde::Deserialize;

use super::super::landing::without_server;
use super::super::{base, own_server, own_servers};
use crate::page::{self, Answer, Field};
use crate::parts::Fact;
use crate::shell::{Plate, Shell};
use crate::show::{Amount, Count, Spell};
use crate::visit::{self, Posted, Visit};

/// How long the page waits for a server to tell what it holds.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(4);

#[derive(askama::Template)]
#[template(path = "consumer/arriving/form.html")]
struct FormPage {
    shell: Shell,
    path: String,
    plate: Plate,
    address: Field,
    problem: Option<String>,
    /// The address to which the server has moved meanwhile.
    moved: Option<String>,
    past: Vec<super::words::Past>,
}

#[derive(askama::Template)]
#[template(path = "consumer/arriving/found.html")]
struct FoundPage {
    shell: Shell,
    path: String,
    plate: Plate,
    name: String,
    address: String,
    facts: Vec<Fact>,
    replaces: String,
}

#[derive(askama::Template)]
#[template(path = "consumer/arriving/here.html")]
struct HerePage {
    shell: Shell,
    from: String,
    servers: Vec<Choice>,
}

struct Choice {
    plate: Plate,
    path: String,
}

/// Where from, in the address of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::consumer) struct Wish {
    from: String,
}

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::consumer) struct Form {
    address: String,
}

/// `GET /servers/{name}/move?from=`.
pub(in crate::consumer) async fn show(visit: Visit, Path(name): Path<String>, Query(wish): Query<Wish>) -> Answer {
    let server = own_server(&visit, &name).await?;
    form_page(&visit, &server, wish.from.chars().take(300).collect(), None, None).await
}

/// `POST /servers/{name}/move`: asks who is there.
pub(in crate::consumer) async fn look(visit: Visit, Path(name): Path<String>, Posted(form): Posted<Form>) -> Answer {
    let server = own_server(&visit, &name).await?;
    match arriving::look(visit.console.plane(), &visit.actor, server.id, &form.address).await {
        Ok(Looked::Here(found)) => found_page(&visit, &server, found).await,
        Ok(Looked::Moved(to)) => form_page(&visit, &server, form.address, None, Some(to)).await,
        Err(error) => form_page(&visit, &server, form.address, Some(error), None).await,
    }
}

/// `POST /servers/{name}/moves`: writes it down, and leads to the page on which the owner agrees.
pub(in crate::consumer) async fn begin(visit: Visit, Path(name): Path<String>, Posted(form): Posted<Form>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let session = visit.session.clone().unwrap_or_default();
    match arriving::begin(visit.console.plane(), &visit.actor, &session, server.id, &form.address).await {
        Ok(url) => Ok(Redirect::to(url.as_str()).into_response()),
        Err(error) => form_page(&visit, &server, form.address, Some(error), None).await,
    }
}

/// `GET /move/here?from=`: where the old provider sends people who want to come here.
pub(in crate::consumer) async fn here(visit: Visit, Query(wish): Query<Wish>) -> Answer {
    let servers = own_servers(&visit).await?;
    let from: String = wish.from.chars().take(300).collect();
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("from", &from).finish();
    let choices: Vec<_> = servers
        .iter()
        .map(|server| Choice { plate: Plate::of(server), path: format!("{}/move?{query}", base(server)) })
        .collect();
    match choices.as_slice() {
        [] => without_server(&visit, "server").await,
        [only] => page::on_to(&only.path),
        _ => {
            let shell = Shell::of(&visit, "server", servers.first()).await?;
            page::show(&HerePage { shell, from, servers: choices })
        }
    }
}

async fn form_page(
    visit: &Visit,
    server: &Server,
    address: String,
    error: Option<Error>,
    moved: Option<String>,
) -> Answer {
    let error = error.as_ref();
    let arrivals = arriving::arrivals(visit.console.plane(), &visit.actor, server.id).await?;
    let form = FormPage {
        shell: Shell::of(visit, "server", Some(server)).await?,
        path: base(server),
        plate: Plate::of(server),
        problem: error.filter(|error| error.field() != Some("address")).map(|error| error.sentence().to_owned()),
        address: Field::judged(address, "address", error),
        past: arrivals.iter().take(10).map(|arrival| super::words::past(server, arrival)).collect(),
        moved,
    };
    if form.moved.is_some() {
        return page::show_as(StatusCode::CONFLICT, &form);
    }
    page::show_form(error, &form)
}

async fn found_page(visit: &Visit, server: &Server, found: Found) -> Answer {
    let asked = control_plane::servers::usage(visit.console.plane(), &visit.actor, server.id);
    let usage = tokio::time::timeout(PATIENCE, asked).await.ok().and_then(Result::ok);
    let replaces = match usage {
        Some(usage) if usage.documents == 0 && usage.files == 0 => {
            "It is empty, so nothing of it is lost.".to_owned()
        }
        Some(usage) => format!(
            "It holds {} records and {} files, {}. They are replaced by what comes, and kept for some days as after any import.",
            Count(usage.documents),
            Count(usage.files),
            Amount(usage.database_bytes + usage.blob_bytes)
        ),
        None => "What it holds is replaced by what comes, and kept for some days as after any import. It did not tell just now how much that is.".to_owned(),
    };
    let mut facts =
        vec![Fact::new("Server", &found.address), Fact::new("Provider", &found.name).noted(&found.provider)];
    if !found.regions.is_empty() {
        facts.push(Fact::new("Machines", found.regions.join(", ")));
    }
    facts.push(Fact::new("Saving waits", format!("{} at most", Spell(found.hold_ms))).noted("once, at the very end"));
    facts.push(Fact::new("Old address", format!("leads here for {} days", found.forward_days)));
    let origin = url::Url::parse(&found.provider).map_err(Error::bug)?.origin();
    let shown = page::show(&FoundPage {
        shell: Shell::of(visit, "server", Some(server)).await?,
        path: base(server),
        plate: Plate::of(server),
        name: found.name,
        address: found.address,
        facts,
        replaces,
    })?;
    Ok(leading_to(shown, &origin))
}

/// Lets the form's answer lead to the provider that is named on the page.
fn leading_to(mut shown: Response, origin: &url::Origin) -> Response {
    shown.headers_mut().insert(header::CONTENT_SECURITY_POLICY, visit::policy(Some(origin)));
    shown
}
