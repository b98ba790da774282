//! What an operator offers and for how much a month.

use serde::{Deserialize, Serialize};

use crate::{Currency, Money, PlanId};

const GB: u64 = 1_000_000_000;
const MIB: u64 = 1024 * 1024;

/// One plan of the operator's catalogue. People keep the plan they took: an edited price is for those who come later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its name for programs.
    pub id: PlanId,
    /// What it holds.
    pub terms: PlanDraft,
    /// Whether new people may take it.
    pub offered: bool,
}

impl std::ops::Deref for Plan {
    type Target = PlanDraft;

    fn deref(&self) -> &PlanDraft {
        &self.terms
    }
}

/// What a plan holds, before or apart from its place in a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDraft {
    /// Its name for people: `House`.
    pub name: String,
    /// One sentence on whom it suits.
    pub blurb: String,
    /// The price of one month, in cents.
    pub price_cents: i64,
    /// The currency of the price.
    pub currency: Currency,
    /// How much may be kept on the server, in bytes.
    pub storage_bytes: u64,
    /// The memory an awake server may take, in bytes.
    pub memory_bytes: u64,
    /// For how many days an undo is kept.
    pub undo_days: u32,
    /// The longest span of what was just saved that may be lost when a machine dies, in milliseconds; 0 for none, which
    /// is what every plan promised before this could be chosen.
    #[serde(default)]
    pub loss_window_ms: u64,
    /// How many domains of one's own may lead to the server.
    #[serde(default = "PlanDraft::usual_domains")]
    pub domains: u32,
}

/// The shortest and the longest span that a plan may put at risk.
const LOSS_WINDOW_MS: std::ops::RangeInclusive<u64> = 100..=60_000;

/// Which field of a plan cannot be, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No name, or one that does not fit a line.
    #[error("A plan needs a name of 1 to 40 letters.")]
    Name,
    /// More than a line of description.
    #[error("The description has room for 200 letters.")]
    Blurb,
    /// A price below zero or beyond what anyone pays.
    #[error("A price lies between 0 and 100,000 a month.")]
    Price,
    /// Too little to hold anything, or more than we count.
    #[error("Storage lies between 100 MB and 1,000 TB.")]
    Storage,
    /// Too little for a runtime to start in.
    #[error("Memory lies between 64 MB and 64 GB.")]
    Memory,
    /// Longer than we promise.
    #[error("Undo lies between 1 and 365 days.")]
    Undo,
    /// A span too short to gain anything, or longer than anyone should lose.
    #[error("What may be lost lies between 0.1 and 60 seconds; 0 is nothing at all.")]
    LossWindow,
    /// More names than anyone looks up for one server.
    #[error("A server can have up to 100 domains; 0 is none.")]
    Domains,
}

impl PlanError {
    /// The form field to mark.
    pub fn field(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Blurb => "blurb",
            Self::Price => "price",
            Self::Storage => "storage",
            Self::Memory => "memory",
            Self::Undo => "undo_days",
            Self::LossWindow => "loss_window",
            Self::Domains => "domains",
        }
    }
}

impl PlanDraft {
    /// How many domains a plan has that says nothing of it, as those of before this could be chosen.
    pub fn usual_domains() -> u32 {
        5
    }

    /// The plans we propose to an operator who sets up a business.
    pub fn suggested(currency: Currency) -> Vec<Self> {
        let plan = |name: &str, blurb: &str, price_cents, gigabytes: u64, memory: u64, undo_days| Self {
            name: name.into(),
            blurb: blurb.into(),
            price_cents,
            currency,
            storage_bytes: gigabytes * GB,
            memory_bytes: memory * MIB,
            undo_days,
            loss_window_ms: 0,
            domains: Self::usual_domains(),
        };
        vec![
            plan("Room", "Notes, a page of your own, a year of photographs.", 390, 10, 256, 14),
            plan("House", "Everything one person keeps, with space to grow.", 790, 50, 512, 30),
            plan("Estate", "A family's films and pictures, at full size.", 1990, 200, 1024, 60),
        ]
    }

    /// The price of one month.
    pub fn price(&self) -> Money {
        Money::new(self.price_cents, self.currency)
    }

    /// Says which field cannot be, if one cannot.
    pub fn check(&self) -> Result<(), PlanError> {
        let rules = [
            ((1..=40).contains(&self.name.trim().chars().count()), PlanError::Name),
            (self.blurb.chars().count() <= 200, PlanError::Blurb),
            ((0..=10_000_000).contains(&self.price_cents), PlanError::Price),
            ((GB / 10..=1_000_000 * GB).contains(&self.storage_bytes), PlanError::Storage),
            ((64 * 1_000_000..=64 * 1024 * MIB).contains(&self.memory_bytes), PlanError::Memory),
            ((1..=365).contains(&self.undo_days), PlanError::Undo),
            (self.loss_window_ms == 0 || LOSS_WINDOW_MS.contains(&self.loss_window_ms), PlanError::LossWindow),
            (self.domains <= 100, PlanError::Domains),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, error)| Err(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_propose_is_allowed() {
        for plan in PlanDraft::suggested(Currency::EUR) {
            assert_eq!(plan.check(), Ok(()), "{}", plan.name);
        }
    }

    #[test]
    fn each_field_is_looked_at() {
        let good = PlanDraft::suggested(Currency::EUR).remove(0);
        type Spoil = fn(&mut PlanDraft);
        let cases: [(Spoil, PlanError); 9] = [
            (|p| p.name = " ".into(), PlanError::Name),
            (|p| p.blurb = "x".repeat(201), PlanError::Blurb),
            (|p| p.price_cents = -1, PlanError::Price),
            (|p| p.storage_bytes = 1, PlanError::Storage),
            (|p| p.memory_bytes = 1, PlanError::Memory),
            (|p| p.undo_days = 0, PlanError::Undo),
            (|p| p.loss_window_ms = 99, PlanError::LossWindow),
            (|p| p.loss_window_ms = 60_001, PlanError::LossWindow),
            (|p| p.domains = 101, PlanError::Domains),
        ];
        for (spoil, error) in cases {
            let mut plan = good.clone();
            spoil(&mut plan);
            assert_eq!(plan.check(), Err(error));
        }
    }

    #[test]
    fn a_plan_of_before_promised_that_nothing_is_lost() {
        let mut old = serde_json::to_value(PlanDraft::suggested(Currency::EUR).remove(0)).expect("plain data");
        for newer in ["loss_window_ms", "domains"] {
            old.as_object_mut().expect("an object").remove(newer);
        }
        let plan: PlanDraft = serde_json::from_value(old).expect("it is still read");
        assert_eq!((plan.loss_window_ms, plan.domains, plan.check()), (0, 5, Ok(())));
    }
}
