//! The one-time page by which an operator sets up the business.

use std::collections::HashMap;

use askama::Template as _;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use billing::{Currency, PlanDraft};
use control_plane::business::{self, SetUp};
use control_plane::{Error, Kind};
use serde::Deserialize;

use super::plan_form::PlanForm;
use crate::page::{self, Answer, Field};
use crate::shell::Shell;
use crate::visit::{Posted, Visit};

/// How many plans the page offers to fill in.
const PLANS: usize = 3;

#[derive(askama::Template)]
#[template(path = "operator/setup.html")]
struct SetupPage {
    shell: Shell,
    setup: String,
    problem: Option<String>,
    business_name: Field,
    sites_domain: Field,
    display_name: Field,
    email: Field,
    password: Field,
    plans: Vec<PlanForm>,
    currency: Currency,
}

#[derive(askama::Template)]
#[template(path = "operator/not_set_up.html")]
struct Closed {
    shell: Shell,
    stale: bool,
}

#[derive(askama::Template)]
#[template(path = "operator/opened.html")]
struct Opened {
    shell: Shell,
    origin: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ticket {
    token: String,
}

/// What stands at the front door before the business is set up; `stale` for a link that opens nothing.
pub(crate) fn closed(visit: &Visit, stale: bool) -> Response {
    match (Closed { shell: Shell::bare(visit), stale }).render() {
        Ok(html) => page::page(StatusCode::SERVICE_UNAVAILABLE, html),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// `GET /setup?token=`.
pub(super) async fn show(visit: Visit, Query(ticket): Query<Ticket>) -> Answer {
    if visit.business.set_up.is_some() {
        return page::on_to("/sign-in?next=/operator");
    }
    if !business::setup_token_holds(visit.console.plane(), &ticket.token).await? {
        let mut response = closed(&visit, true);
        *response.status_mut() = StatusCode::FORBIDDEN;
        return Ok(response);
    }
    let currency = visit.business.currency;
    let mut form = HashMap::from([
        ("setup".to_owned(), ticket.token),
        ("sites_domain".to_owned(), visit.console.proposed_domain().to_owned()),
    ]);
    for (at, terms) in PlanDraft::suggested(currency).iter().take(PLANS).enumerate() {
        let plan = PlanForm::of(terms);
        for (key, value) in
            [("name", plan.name), ("price", plan.price), ("storage", plan.storage), ("undo", plan.undo_days)]
        {
            form.insert(format!("plan_{at}_{key}"), value);
        }
    }
    form_page(&visit, &form, None)
}

/// `POST /setup`: signs the operator in. The same form twice is one set-up.
pub(super) async fn send(visit: Visit, headers: HeaderMap, Posted(form): Posted<HashMap<String, String>>) -> Answer {
    let plans = match plans(&form, visit.business.currency) {
        Ok(plans) => plans,
        Err(error) => return form_page(&visit, &form, Some(error)),
    };
    let order = SetUp {
        token: text(&form, "setup"),
        business_name: text(&form, "business_name"),
        sites_domain: text(&form, "sites_domain"),
        email: text(&form, "email"),
        password: text(&form, "password"),
        display_name: text(&form, "display_name"),
        plans,
    };
    let plane = visit.console.plane();
    match business::set_up(plane, order, visit.from).await {
        Ok(session) => {
            let cookies = visit.console.cookies().keep_session(&session.token);
            let cookies = AppendHeaders(cookies.map(|cookie| (header::SET_COOKIE, cookie)));
            let origin = business::console_origin(plane).await?;
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            if origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host)) {
                return Ok((cookies, Redirect::to("/operator")).into_response());
            }
            // The console has just moved to the new domain, where this browser is not signed in yet.
            page::show(&Opened { shell: Shell::bare(&visit), origin })
        }
        Err(error) if error.kind() != Kind::Bug => form_page(&visit, &form, Some(error)),
        Err(error) => Err(error.into()),
    }
}

fn text(form: &HashMap<String, String>, name: &str) -> String {
    form.get(name).map(|text| text.trim_matches(['\r', '\n']).to_owned()).unwrap_or_default()
}

fn plan_forms(form: &HashMap<String, String>) -> Vec<PlanForm> {
    let plan = |at: usize| PlanForm {
        name: text(form, &format!("plan_{at}_name")),
        price: text(form, &format!("plan_{at}_price")),
        storage: text(form, &format!("plan_{at}_storage")),
        undo_days: text(form, &format!("plan_{at}_undo")),
        // Chosen later, by whoever wants it: a new business loses nothing.
        loss: String::new(),
        domains: String::new(),
        error: None,
    };
    (0..PLANS).map(plan).collect()
}

/// The plans that were filled in; one without a name is left out.
fn plans(form: &HashMap<String, String>, currency: Currency) -> Result<Vec<PlanDraft>, Error> {
    let suggested = PlanDraft::suggested(currency);
    let filled = plan_forms(form).into_iter().zip(suggested).filter(|(plan, _)| !plan.name.trim().is_empty());
    let plans = filled.map(|(plan, before)| {
        let blurb = if plan.name.trim() == before.name { before.blurb.clone() } else { String::new() };
        plan.read(PlanDraft { blurb, ..before }, currency)
    });
    let plans = plans.collect::<Result<Vec<_>, _>>()?;
    if plans.is_empty() {
        return Err(Error::new(Kind::Fix, "People need at least one plan to choose from. Fill in one of the three."));
    }
    Ok(plans)
}

fn form_page(visit: &Visit, form: &HashMap<String, String>, error: Option<Error>) -> Answer {
    let error = error.as_ref();
    let fields = ["business_name", "sites_domain", "display_name", "email", "password"];
    let currency = visit.business.currency;
    let mut plans = plan_forms(form);
    for (plan, before) in plans.iter_mut().zip(PlanDraft::suggested(currency)) {
        if !plan.name.trim().is_empty() {
            plan.error =
                plan.read(before, currency).err().filter(|_| error.is_some()).map(|error| error.sentence().to_owned());
        }
    }
    let beside = error.is_some_and(|error| error.field().is_some_and(|field| fields.contains(&field)))
        || plans.iter().any(|plan| plan.error.is_some());
    let page = SetupPage {
        shell: Shell::bare(visit),
        setup: text(form, "setup"),
        problem: error.filter(|_| !beside).map(|error| error.sentence().to_owned()),
        business_name: Field::judged(text(form, "business_name"), "business_name", error),
        sites_domain: Field::judged(text(form, "sites_domain"), "sites_domain", error),
        display_name: Field::judged(text(form, "display_name"), "display_name", error),
        email: Field::judged(text(form, "email"), "email", error),
        password: Field::judged("", "password", error),
        plans,
        currency,
    };
    page::show_as(error.map_or(StatusCode::OK, |error| control_plane::status(error.kind())), &page)
}
