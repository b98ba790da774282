//! One account's agreement to one plan, paid by invoice.

use jiff::Timestamp;

use crate::{PlanId, SubscriptionId};

/// An agreement: which plan, since when, until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its name for programs.
    pub id: SubscriptionId,
    /// The plan it is for.
    pub plan: PlanId,
    /// When it began; months are counted from here.
    pub anchor: Timestamp,
    /// Whether it goes on.
    pub state: SubscriptionState,
}

/// Whether an agreement goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionState {
    /// It renews itself every month.
    Running,
    /// It was cancelled and ends with the month that was paid for.
    Cancelled {
        /// The first instant after the last month.
        ends: Timestamp,
    },
}
