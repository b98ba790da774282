//! Sign-up: four answers on one page.
//!
//! Every form carries a request key that was drawn when it was shown. Whoever presses *Create* twice sends the same key
//! twice, and gets the same server twice, not two servers.

use axum::Json;
use axum::extract::Query;
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use billing::PlanId;
use control_plane::accounts::{self, SignUp};
use control_plane::servers::{self, Availability};
use control_plane::{Error, Kind};
use serde::{Deserialize, Serialize};

use super::plans::{Choice, offered};
use crate::page::{self, Answer, Field};
use crate::refusal::Refusal;
use crate::shell::Shell;
use crate::visit::{Posted, Visit};

#[derive(askama::Template)]
#[template(path = "consumer/sign_up.html")]
struct SignUpPage {
    shell: Shell,
    domain: String,
    request_key: String,
    plans: Vec<Choice>,
    problem: Option<String>,
    address: Field,
    email: Field,
    password: Field,
    plan: Field,
}

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    request_key: String,
    address: String,
    email: String,
    password: String,
    plan: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    plan: String,
    name: String,
}

/// What the live check answers; the page shows it as text.
#[derive(Debug, Serialize)]
pub(super) struct Address {
    free: bool,
    says: String,
}

/// `GET /sign-up`.
pub(super) async fn show(visit: Visit, Query(wish): Query<Wish>) -> Answer {
    if visit.actor.account().is_some() {
        return page::on_to("/");
    }
    let request_key = hex::encode(rand::random::<[u8; 16]>());
    let form = Form { request_key, plan: wish.plan, address: wish.name, ..Form::default() };
    form_page(&visit, form, None).await
}

/// `GET /addresses?name=`: whether an address is free.
pub(super) async fn addresses(visit: Visit, Query(wish): Query<Wish>) -> Result<Json<Address>, Refusal> {
    let (free, says) = judge(&visit, &wish.name).await?;
    Ok(Json(Address { free, says }))
}

async fn judge(visit: &Visit, name: &str) -> Result<(bool, String), Refusal> {
    let domain = &visit.business.sites_domain;
    let meant = |suggestion: Option<servers::ServerName>| {
        suggestion.map(|name| format!(" “{name}” is free.")).unwrap_or_default()
    };
    Ok(match servers::name_available(visit.console.plane(), name).await? {
        Availability::Free(name) => (true, format!("{name}.{domain} is free.")),
        Availability::Taken { suggestion } => (false, format!("This address is taken.{}", meant(suggestion))),
        Availability::Not { why, suggestion } => (false, format!("{why}{}", meant(suggestion))),
    })
}

/// `POST /sign-up`.
pub(super) async fn send(visit: Visit, Posted(form): Posted<Form>) -> Answer {
    let plan: Result<PlanId, _> = form.plan.parse();
    let Ok(plan) = plan else {
        return form_page(&visit, form, Some(Error::fix("plan", "Choose one of the plans."))).await;
    };
    let order = SignUp {
        email: form.email.clone(),
        password: form.password.clone(),
        display_name: display_name(&form),
        plan,
        server_name: form.address.clone(),
        request_key: form.request_key.clone(),
    };
    match accounts::sign_up(visit.console.plane(), order, visit.from).await {
        Ok(made) => {
            let server = control_plane::servers::server(
                visit.console.plane(),
                &control_plane::Actor::Account(made.account),
                made.server,
            )
            .await?;
            let cookies = visit.console.cookies().keep_session(&made.session.token);
            let on = Redirect::to(&format!("/servers/{}/creating", server.name));
            Ok((AppendHeaders(cookies.map(|cookie| (header::SET_COOKIE, cookie))), on).into_response())
        }
        Err(error) if matches!(error.kind(), Kind::Fix | Kind::Conflict | Kind::Full | Kind::Retry | Kind::Denied) => {
            form_page(&visit, form, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Until they tell us another one on the account page, people are called by their address.
fn display_name(form: &Form) -> String {
    let name = form.address.trim();
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

async fn form_page(visit: &Visit, mut form: Form, error: Option<Error>) -> Result<Response, Refusal> {
    let plans = offered(visit).await?;
    if !plans.iter().any(|plan| plan.id == form.plan) {
        form.plan =
            plans.iter().find(|plan| plan.first).or(plans.first()).map(|plan| plan.id.clone()).unwrap_or_default();
    }
    let error = error.as_ref();
    let known = ["address", "server_name", "name", "email", "password", "plan"];
    let problem = error.filter(|error| !error.field().is_some_and(|field| known.contains(&field)));
    let mut address = Field::judged(&form.address, "server_name", error);
    for name in ["address", "name"] {
        address.error = address.error.or_else(|| Field::judged("", name, error).error);
    }
    if address.error.is_some()
        && let (false, says) = judge(visit, &form.address).await?
    {
        address.error = Some(says);
    }
    let sign_up = SignUpPage {
        shell: Shell::bare(visit),
        domain: visit.business.sites_domain.clone(),
        plans,
        problem: problem.map(|error| error.sentence().to_owned()),
        address,
        email: Field::judged(&form.email, "email", error),
        password: Field::judged("", "password", error),
        plan: Field::judged(&form.plan, "plan", error),
        request_key: form.request_key,
    };
    page::show_form(error, &sign_up)
}
