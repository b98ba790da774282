//! How somebody stands with their bill, as a function of the day.
//!
//! Standing is computed, never stored: so nothing has to run at midnight for a grace time to end, a clock that was wrong
//! leaves no trace, and paying puts everything right at once. It follows the oldest bill that is late; a bill that is
//! void, paid or asks for nothing does not count.
//!
//! Architecture Invariant: no standing forbids export. [`crate::Consequence`] has no way to say so.

use jiff::{SignedDuration, Timestamp};

use crate::{Invoice, Subscription, SubscriptionState};

/// How somebody stands with their bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is late.
    Active,
    /// A bill is late; everything works.
    PastDue {
        /// When the bill was to be paid.
        since: Timestamp,
    },
    /// It is late for so long that the server can be read, not changed.
    ReadOnly {
        /// When that began.
        since: Timestamp,
    },
    /// It is late for so long that the server sleeps.
    Asleep {
        /// When that began.
        since: Timestamp,
    },
    /// The agreement is over.
    Ended {
        /// When it ended.
        since: Timestamp,
    },
}

impl Standing {
    /// One word, the same in every table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::PastDue { .. } => "past due",
            Self::ReadOnly { .. } => "read-only",
            Self::Asleep { .. } => "asleep",
            Self::Ended { .. } => "ended",
        }
    }
}

/// How long each kindness lasts, in days from the day a bill was to be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    /// Days from writing a bill until it is to be paid.
    pub due_days: u16,
    /// Days late after which the server is read-only.
    pub read_only_days: u16,
    /// Days late after which the server sleeps; never less than `read_only_days`.
    pub asleep_days: u16,
}

impl Default for Grace {
    fn default() -> Self {
        Self { due_days: 14, read_only_days: 30, asleep_days: 45 }
    }
}

impl Grace {
    /// When a bill written at `issued` is to be paid.
    pub fn due(&self, issued: Timestamp) -> Timestamp {
        later(issued, self.due_days)
    }
}

/// What happens when, if one bill stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// To be paid until then.
    pub due: Timestamp,
    /// From then on the server can be read, not changed.
    pub read_only: Timestamp,
    /// From then on the server sleeps.
    pub asleep: Timestamp,
}

/// What happens when, if a bill that is to be paid until `due` stays open.
pub fn schedule(due: Timestamp, grace: &Grace) -> Schedule {
    let read_only = later(due, grace.read_only_days);
    Schedule { due, read_only, asleep: later(due, grace.asleep_days.max(grace.read_only_days)) }
}

/// How the owner of `subscription` stands at `now`.
pub fn standing(now: Timestamp, subscription: &Subscription, invoices: &[Invoice], grace: &Grace) -> Standing {
    if let SubscriptionState::Cancelled { ends } = subscription.state
        && ends <= now
    {
        return Standing::Ended { since: ends };
    }
    let late = invoices.iter().filter(|invoice| invoice.subscription == subscription.id);
    let Some(since) = late.filter_map(|invoice| invoice.late_since(now)).min() else {
        return Standing::Active;
    };
    let plan = schedule(since, grace);
    if plan.asleep <= now {
        Standing::Asleep { since: plan.asleep }
    } else if plan.read_only <= now {
        Standing::ReadOnly { since: plan.read_only }
    } else {
        Standing::PastDue { since }
    }
}

fn later(from: Timestamp, days: u16) -> Timestamp {
    from.checked_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Currency, InvoiceId, InvoiceState, Money, Period, PlanId, SubscriptionId, consequence};
    use proptest::prelude::*;

    const DAY: i64 = 86_400;
    const START: i64 = 1_795_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn running() -> Subscription {
        let (id, plan) = (SubscriptionId::new(1), PlanId::new(1));
        Subscription { id, plan, anchor: at(START), state: SubscriptionState::Running }
    }

    fn bill(subscription: &Subscription, due_day: i64, cents: i64, state: InvoiceState) -> Invoice {
        Invoice {
            id: InvoiceId::new(1),
            subscription: subscription.id,
            number: "2026-0001".into(),
            period: Period::nth(at(START), 0).unwrap(),
            amount: Money::new(cents, Currency::EUR),
            issued: at(START),
            due: at(START + due_day * DAY),
            state,
        }
    }

    #[test]
    fn an_open_bill_walks_through_every_standing() {
        let subscription = running();
        let bills = [bill(&subscription, 14, 790, InvoiceState::Open)];
        let word = |day: i64| standing(at(START + day * DAY), &subscription, &bills, &Grace::default()).word();
        assert_eq!(
            [0, 13, 14, 43, 44, 58, 59, 4000].map(word),
            ["active", "active", "past due", "past due", "read-only", "read-only", "asleep", "asleep"]
        );
    }

    #[test]
    fn paying_puts_everything_right_at_once() {
        let subscription = running();
        let now = at(START + 400 * DAY);
        for state in [InvoiceState::Paid { at: now }, InvoiceState::Void { at: now }] {
            let bills = [bill(&subscription, 14, 790, state)];
            assert_eq!(standing(now, &subscription, &bills, &Grace::default()), Standing::Active);
        }
    }

    #[test]
    fn a_cancelled_agreement_ends_with_its_month() {
        let ends = at(START + 30 * DAY);
        let subscription = Subscription { state: SubscriptionState::Cancelled { ends }, ..running() };
        let ask = |day: i64| standing(at(START + day * DAY), &subscription, &[], &Grace::default());
        assert_eq!(ask(29), Standing::Active);
        assert_eq!(ask(30), Standing::Ended { since: ends });
    }

    #[test]
    fn another_agreements_bill_does_not_count() {
        let other = Subscription { id: SubscriptionId::new(2), ..running() };
        let bills = [bill(&other, 0, 790, InvoiceState::Open)];
        assert_eq!(standing(at(START + 900 * DAY), &running(), &bills, &Grace::default()), Standing::Active);
    }

    fn any_state() -> impl Strategy<Value = InvoiceState> {
        prop_oneof![
            Just(InvoiceState::Open),
            Just(InvoiceState::Paid { at: at(START) }),
            Just(InvoiceState::Void { at: at(START) })
        ]
    }

    fn rank(standing: Standing) -> u8 {
        match standing {
            Standing::Active => 0,
            Standing::PastDue { .. } => 1,
            Standing::ReadOnly { .. } => 2,
            Standing::Asleep { .. } => 3,
            Standing::Ended { .. } => 4,
        }
    }

    proptest! {
        #[test]
        fn time_alone_never_mends_a_standing_and_payment_always_does(
            bills in prop::collection::vec((0i64..400, 0i64..5000, any_state()), 0..6),
            day in 0i64..800, more in 0i64..800, read_only in 0u16..90, asleep in 0u16..90,
        ) {
            let subscription = running();
            let grace = Grace { due_days: 14, read_only_days: read_only, asleep_days: asleep };
            let bills: Vec<_> = bills.iter().map(|(d, c, s)| bill(&subscription, *d, *c, *s)).collect();
            let then = standing(at(START + day * DAY), &subscription, &bills, &grace);
            let afterwards = standing(at(START + (day + more) * DAY), &subscription, &bills, &grace);
            prop_assert!(rank(then) <= rank(afterwards));

            let paid: Vec<_> = bills.iter().cloned()
                .map(|mut b| { if b.state == InvoiceState::Open { b.state = InvoiceState::Paid { at: at(START) } } b })
                .collect();
            prop_assert_eq!(standing(at(START + day * DAY), &subscription, &paid, &grace), Standing::Active);
            prop_assert!(consequence(&then).export);
            prop_assert!(consequence(&afterwards).export);
        }

        #[test]
        fn since_is_never_in_the_future(due in 0i64..400, day in 0i64..800) {
            let subscription = running();
            let now = at(START + day * DAY);
            match standing(now, &subscription, &[bill(&subscription, due, 1, InvoiceState::Open)], &Grace::default()) {
                Standing::Active => {}
                Standing::PastDue { since } | Standing::ReadOnly { since } | Standing::Asleep { since }
                | Standing::Ended { since } => prop_assert!(since <= now),
            }
        }
    }
}
