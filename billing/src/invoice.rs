//! A bill: open until the operator says that it is paid, or that it was a mistake.

use jiff::Timestamp;

use crate::{InvoiceId, Money, Period, SubscriptionId};

/// One bill for one month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// Its name for programs.
    pub id: InvoiceId,
    /// Which agreement it bills.
    pub subscription: SubscriptionId,
    /// Its number for people and tax offices: `2026-0001`, without gaps.
    pub number: String,
    /// The month it bills.
    pub period: Period,
    /// What it asks for.
    pub amount: Money,
    /// When it was written.
    pub issued: Timestamp,
    /// Until when it is to be paid.
    pub due: Timestamp,
    /// What became of it.
    pub state: InvoiceState,
}

/// What became of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvoiceState {
    /// Waits for the money.
    Open,
    /// The operator has seen the money.
    Paid {
        /// When the operator said so.
        at: Timestamp,
    },
    /// It was a mistake, and asks for nothing.
    Void {
        /// When the operator said so.
        at: Timestamp,
    },
}

impl Invoice {
    /// Since when it is late at `now`, if it is open and late.
    pub fn late_since(&self, now: Timestamp) -> Option<Timestamp> {
        (self.state == InvoiceState::Open && self.amount.cents > 0 && self.due <= now).then_some(self.due)
    }
}
