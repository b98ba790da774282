//! The operator's catalogue of plans.
//!
//! Who has taken a plan has its terms in their agreement, so editing a plan is for those who come later and takes nothing
//! from anybody. One thing is given to everybody at once: a plan that comes to lose less of what was saved when a machine
//! dies does so for all who have it. A plan is withdrawn, never removed.

use billing::{Currency, Plan, PlanDraft, PlanError, PlanId};
use jiff::Timestamp;

use crate::context::not_there;
use crate::db::{Db, Tx, on};
use crate::{Actor, ControlPlane, Error, Result, row};

/// The plans people can take, in the operator's order; the operator also sees those withdrawn.
pub async fn plans(plane: &ControlPlane, actor: &Actor) -> Result<Vec<Plan>> {
    let mut plans = all(plane.db()).await?;
    if actor.must_operate().is_err() {
        plans.retain(|plan| plan.offered);
    }
    Ok(plans)
}

/// One plan, under the same rule.
pub async fn plan(plane: &ControlPlane, actor: &Actor, id: PlanId) -> Result<Plan> {
    plans(plane, actor).await?.into_iter().find(|plan| plan.id == id).ok_or_else(not_there)
}

/// A plan that somebody can take now.
pub(crate) async fn offered(plane: &ControlPlane, id: PlanId) -> Result<Plan> {
    let offered = plan(plane, &Actor::Visitor, id).await;
    offered.map_err(|_| Error::fix("plan", "This plan is not offered any more. Choose another one."))
}

/// Adds a plan behind the others.
pub async fn add_plan(plane: &ControlPlane, actor: &Actor, terms: PlanDraft) -> Result<PlanId> {
    actor.must_operate()?;
    check(&terms)?;
    let now = plane.now();
    let plan = Plan { id: PlanId::new(now.as_millisecond()), terms, offered: true };
    let mut tx = plane.db().begin().await?;
    let position: i64 = on!(tx.each(), e => sqlx::query_scalar("select coalesce(max(position), -1) + 1 from plan")
        .fetch_one(e).await)?;
    insert(&mut tx, &plan, position, now).await?;
    tx.commit().await?;
    Ok(plan.id)
}

/// Changes a plan for those who come later.
pub async fn change_plan(plane: &ControlPlane, actor: &Actor, id: PlanId, terms: PlanDraft) -> Result<()> {
    actor.must_operate()?;
    check(&terms)?;
    let done = on!(plane.db().writer(), e => sqlx::query("update plan set terms = $2, changed_ms = $3 where id = $1")
        .bind(id.to_string())
        .bind(row::to_json(&terms)?)
        .bind(plane.now().as_millisecond())
        .execute(e).await.map(|done| done.rows_affected()))?;
    if done != 1 {
        return Err(not_there());
    }
    // What running servers promise of what was saved may have changed with it.
    plane.nudge();
    Ok(())
}

/// Offers a plan that was withdrawn.
pub async fn offer_plan(plane: &ControlPlane, actor: &Actor, id: PlanId) -> Result<()> {
    set_offered(plane, actor, id, true).await
}

/// Stops offering a plan. Those who have it keep it.
pub async fn withdraw_plan(plane: &ControlPlane, actor: &Actor, id: PlanId) -> Result<()> {
    set_offered(plane, actor, id, false).await
}

async fn set_offered(plane: &ControlPlane, actor: &Actor, id: PlanId, offered: bool) -> Result<()> {
    actor.must_operate()?;
    let done = on!(plane.db().writer(), e => sqlx::query("update plan set offered = $2, changed_ms = $3 where id = $1")
        .bind(id.to_string())
        .bind(offered)
        .bind(plane.now().as_millisecond())
        .execute(e).await.map(|done| done.rows_affected()))?;
    if done == 1 { Ok(()) } else { Err(not_there()) }
}

pub(super) async fn insert(tx: &mut Tx, plan: &Plan, position: i64, now: Timestamp) -> Result<()> {
    on!(tx.each(), e => sqlx::query(
        "insert into plan (id, position, terms, offered, changed_ms) values ($1, $2, $3, $4, $5)"
    )
    .bind(plan.id.to_string())
    .bind(position)
    .bind(row::to_json(&plan.terms)?)
    .bind(plan.offered)
    .bind(now.as_millisecond())
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

pub(super) fn check_all(plans: &[PlanDraft], currency: Currency) -> Result<()> {
    if plans.is_empty() {
        return Err(Error::fix("plans", "Offer at least one plan."));
    }
    if plans.iter().any(|plan| plan.currency != currency) {
        return Err(Error::fix("currency", "All plans are in one currency."));
    }
    plans.iter().try_for_each(check)
}

fn check(terms: &PlanDraft) -> Result<()> {
    terms.check().map_err(|error: PlanError| Error::fix(error.field(), error.to_string()))
}

async fn all(db: &Db) -> Result<Vec<Plan>> {
    let found: Vec<(String, String, bool)> = on!(db.reader(), e => sqlx::query_as(
        "select id, terms, offered from plan order by position, id"
    )
    .fetch_all(e).await)?;
    let plan = |(id, terms, offered): (String, String, bool)| {
        Ok(Plan { id: row::id(&id)?, terms: row::json(&terms)?, offered })
    };
    found.into_iter().map(plan).collect()
}
