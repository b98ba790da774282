//! What people agreed to and what they owe: pay by invoice, which needs no payment provider and is a method of its own.
//!
//! A month begins, a bill is written, the operator says when the money is there. What that means is computed by
//! [`billing::standing`] whenever somebody asks. A bill is written by the same transaction that counts its month as
//! billed, so no month is billed twice, whatever is killed when.

mod closing;
mod due;
mod invoices;
mod store;

use std::collections::HashMap;

use billing::{
    Consequence, Invoice, InvoiceState, Money, Period, PlanDraft, Schedule, Standing, Subscription, SubscriptionState,
};

use crate::context::not_there;
use crate::{AccountId, Actor, ControlPlane, Result};

pub(crate) use closing::end_with_move;
pub use closing::{Closing, cancel, resume};
pub(crate) use due::{bill_until, run};
pub use invoices::{Owed, invoice, invoices, mark_paid, owed, void};
pub(crate) use store::{Agreed, begin};

/// Everything about one account's bill.
#[derive(Debug, Clone, PartialEq)]
pub struct Bill {
    /// The agreement.
    pub subscription: Subscription,
    /// What was agreed to. A plan that is edited later changes nothing here.
    pub terms: PlanDraft,
    /// How they stand.
    pub standing: Standing,
    /// What that means.
    pub consequence: Consequence,
    /// All bills, newest first.
    pub invoices: Vec<Invoice>,
    /// What happens when, if the oldest open bill stays open.
    pub schedule: Option<Schedule>,
    /// The next month that will be billed; none after a cancelled agreement's last.
    pub next: Option<Period>,
    /// What happens when, if the agreement is cancelled.
    pub closing: Option<Closing>,
    /// What would happen when, if it were cancelled now.
    pub if_closed: Closing,
}

/// How an account stands.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) standing: Standing,
    pub(crate) terms: PlanDraft,
    pub(crate) open: Option<Money>,
    pub(crate) closing: Option<Closing>,
}

/// The bill of one account, for its owner and who runs the business.
pub async fn bill(plane: &ControlPlane, actor: &Actor, account: AccountId) -> Result<Bill> {
    actor.may_see(account)?;
    let agreed = store::of_account(plane.db(), account).await?.ok_or_else(not_there)?;
    let invoices = store::invoices_of(plane.db(), &agreed).await?;
    let (now, grace) = (plane.now(), &plane.settings().grace);
    let subscription = agreed.subscription();
    let standing = billing::standing(now, &subscription, &invoices, grace);
    let oldest = invoices.iter().filter(|i| i.state == InvoiceState::Open && i.amount.cents > 0).map(|i| i.due).min();
    let next = Period::nth(agreed.anchor, agreed.billed.map_or(0, |billed| billed.saturating_add(1)));
    Ok(Bill {
        next: next.filter(|period| agreed.ends.is_none_or(|ends| period.start < ends)),
        schedule: oldest.map(|due| billing::schedule(due, grace)),
        closing: agreed.ends.map(Closing::of),
        if_closed: closing::if_closed(&agreed, now)?,
        consequence: billing::consequence(&standing),
        terms: agreed.terms,
        subscription,
        standing,
        invoices,
    })
}

/// How some accounts stand; those without an agreement are left out.
pub(crate) async fn lines(plane: &ControlPlane, accounts: &[AccountId]) -> Result<HashMap<AccountId, Line>> {
    let agreed = store::of_accounts(plane.db(), accounts).await?;
    let mut open = store::open_invoices(plane.db(), &agreed).await?;
    let (now, grace) = (plane.now(), &plane.settings().grace);
    let line = |agreed: Agreed| {
        let bills = open.remove(&agreed.id).unwrap_or_default();
        let cents: i64 = bills.iter().map(|bill| bill.amount.cents).sum();
        let line = Line {
            standing: billing::standing(now, &agreed.subscription(), &bills, grace),
            closing: agreed.ends.map(Closing::of),
            open: (cents > 0).then(|| Money::new(cents, agreed.terms.currency)),
            terms: agreed.terms,
        };
        (agreed.account, line)
    };
    Ok(agreed.into_iter().map(line).collect())
}

impl Agreed {
    /// As the arithmetic knows it.
    pub(crate) fn subscription(&self) -> Subscription {
        let state = self.ends.map_or(SubscriptionState::Running, |ends| SubscriptionState::Cancelled { ends });
        Subscription { id: self.id, plan: self.plan, anchor: self.anchor, state }
    }
}
