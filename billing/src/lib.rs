//! Plans, subscriptions and what it means when a bill stays open.
//!
//! Everything here is arithmetic: no clock, no database, no network. The control plane keeps the rows and asks; this
//! crate answers. So the one question that decides whether somebody can still write on their own server, [`standing`],
//! is a function that a test can ask about any day of any year.
//!
//! Reading order: [`Money`], [`Plan`], [`Period`], [`Invoice`], [`Subscription`], [`Standing`], [`Consequence`].

mod consequence;
mod ident;
mod invoice;
mod money;
mod period;
mod plan;
mod standing;
mod subscription;

pub use consequence::{Banner, Consequence, Use, consequence};
pub use ident::{CustomerId, InvoiceId, PlanId, SubscriptionId};
pub use invoice::{Invoice, InvoiceState};
pub use money::{Currency, CurrencyError, Money};
pub use period::{Period, periods_until};
pub use plan::{Plan, PlanDraft, PlanError};
pub use standing::{Grace, Schedule, Standing, schedule, standing};
pub use subscription::{Subscription, SubscriptionState};
