//! The plan editor.

use axum::extract::Path;
use axum::http::StatusCode;
use billing::{PlanDraft, PlanId};
use control_plane::{Error, Kind, business};
use serde::Deserialize;

use super::plan_form::PlanForm;
use crate::page::{self, Answer};
use crate::refusal::Refusal;
use crate::shell::Shell;
use crate::visit::{Nothing, Posted, Visit};

#[derive(askama::Template)]
#[template(path = "operator/plans.html")]
struct PlansPage {
    shell: Shell,
    problem: Option<String>,
    currency: billing::Currency,
    plans: Vec<Edited>,
}

/// One plan in its form.
struct Edited {
    id: String,
    title: String,
    action: String,
    is_new: bool,
    offered: bool,
    name: String,
    price: String,
    storage: String,
    undo_days: String,
    loss: String,
    domains: String,
    error: Option<String>,
}

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    name: String,
    price: String,
    storage: String,
    undo: String,
    loss: String,
    domains: String,
}

impl From<Form> for PlanForm {
    fn from(form: Form) -> Self {
        Self {
            name: form.name,
            price: form.price,
            storage: form.storage,
            undo_days: form.undo,
            loss: form.loss,
            domains: form.domains,
            error: None,
        }
    }
}

/// `GET /operator/plans`.
pub(super) async fn list(visit: Visit) -> Answer {
    editor(&visit, None).await
}

/// The editor; `returned` is a form that could not be taken: of which plan (none for a new one), and why.
async fn editor(visit: &Visit, returned: Option<(Option<PlanId>, PlanForm, Error)>) -> Answer {
    let plans = business::plans(visit.console.plane(), &visit.actor).await?;
    let sent_back = |id: Option<PlanId>| returned.as_ref().filter(|(of, ..)| *of == id);
    let edited = |id: Option<PlanId>, title: String, offered: bool, shown: PlanForm| {
        let (form, error) = match sent_back(id) {
            Some((_, form, error)) => (form.clone(), Some(error.sentence().to_owned())),
            None => (shown, None),
        };
        let tag = id.map_or_else(|| "new".to_owned(), |id| id.to_string());
        let action = id.map_or_else(|| "/operator/plans".to_owned(), |id| format!("/operator/plans/{id}"));
        Edited {
            id: tag,
            title,
            action,
            is_new: id.is_none(),
            offered,
            name: form.name,
            price: form.price,
            storage: form.storage,
            undo_days: form.undo_days,
            loss: form.loss,
            domains: form.domains,
            error,
        }
    };
    let mut forms: Vec<Edited> = plans
        .iter()
        .map(|plan| edited(Some(plan.id), plan.terms.name.clone(), plan.offered, PlanForm::of(&plan.terms)))
        .collect();
    forms.push(edited(None, "One more plan".to_owned(), false, PlanForm::default()));
    let page = PlansPage {
        shell: Shell::of(visit, "plans", None).await?,
        problem: None,
        currency: visit.business.currency,
        plans: forms,
    };
    let status = returned.map_or(StatusCode::OK, |(_, _, error)| control_plane::status(error.kind()));
    page::show_as(status, &page)
}

/// `POST /operator/plans`.
pub(super) async fn add(visit: Visit, Posted(form): Posted<Form>) -> Answer {
    let form = PlanForm::from(form);
    let currency = visit.business.currency;
    let before = PlanDraft { blurb: String::new(), ..PlanDraft::suggested(currency).swap_remove(1) };
    let added = match form.read(before, currency) {
        Ok(terms) => business::add_plan(visit.console.plane(), &visit.actor, terms).await.map(drop),
        Err(error) => Err(error),
    };
    answer(&visit, None, form, added).await
}

/// `POST /operator/plans/{plan}`.
pub(super) async fn change(visit: Visit, Path(id): Path<String>, Posted(form): Posted<Form>) -> Answer {
    let id = plan_id(&id)?;
    let form = PlanForm::from(form);
    let plan = business::plan(visit.console.plane(), &visit.actor, id).await?;
    let changed = match form.read(plan.terms.clone(), visit.business.currency) {
        Ok(terms) => business::change_plan(visit.console.plane(), &visit.actor, id, terms).await.map(drop),
        Err(error) => Err(error),
    };
    answer(&visit, Some(id), form, changed).await
}

async fn answer(visit: &Visit, id: Option<PlanId>, form: PlanForm, result: Result<(), Error>) -> Answer {
    match result {
        Ok(()) => page::on_to("/operator/plans"),
        Err(error) if matches!(error.kind(), Kind::Fix | Kind::Conflict) => {
            editor(visit, Some((id, form, error))).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /operator/plans/{plan}/offer`.
pub(super) async fn offer(visit: Visit, Path(id): Path<String>, _: Posted<Nothing>) -> Answer {
    business::offer_plan(visit.console.plane(), &visit.actor, plan_id(&id)?).await?;
    page::on_to("/operator/plans")
}

/// `POST /operator/plans/{plan}/withdraw`.
pub(super) async fn withdraw(visit: Visit, Path(id): Path<String>, _: Posted<Nothing>) -> Answer {
    business::withdraw_plan(visit.console.plane(), &visit.actor, plan_id(&id)?).await?;
    page::on_to("/operator/plans")
}

fn plan_id(id: &str) -> Result<PlanId, Refusal> {
    id.parse().map_err(|_| Refusal::of(Error::gone("There is no such plan.")))
}
