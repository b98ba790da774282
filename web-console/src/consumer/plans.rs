//! The operator's plans as people choose among them.

use billing::Plan;
use control_plane::business;

use crate::refusal::Refusal;
use crate::show::{self, Amount};
use crate::visit::Visit;

/// One plan on a page.
pub(super) struct Choice {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) price: String,
    pub(super) storage: Amount,
    pub(super) undo_days: u32,
    pub(super) saved: String,
    pub(super) first: bool,
    pub(super) cents: i64,
}

/// The plans on offer, cheapest first; the one to look at first is the second where there are several.
pub(super) async fn offered(visit: &Visit) -> Result<Vec<Choice>, Refusal> {
    let mut plans: Vec<Plan> = business::plans(visit.console.plane(), &visit.actor).await?;
    plans.retain(|plan| plan.offered);
    plans.sort_by_key(|plan| plan.terms.price_cents);
    let pick = usize::from(plans.len() > 1);
    let choice = |(at, plan): (usize, Plan)| Choice {
        id: plan.id.to_string(),
        price: plan.terms.price().to_string(),
        storage: Amount(plan.terms.storage_bytes),
        undo_days: plan.terms.undo_days,
        saved: show::saved(plan.terms.loss_window_ms),
        first: at == pick,
        cents: plan.terms.price_cents,
        name: plan.terms.name,
    };
    Ok(plans.into_iter().enumerate().map(choice).collect())
}
