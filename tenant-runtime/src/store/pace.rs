//! When to take the next group of writes: at once, or after a moment in which it grows.
//!
//! Two reasons to wait. *Company*: callers who were just told that their writes are durable often have the next ones
//! ready; whoever takes the first of them alone makes all others wait for a whole round trip, and from then on the
//! callers alternate in two halves. So after a group of several, the next one waits briefly until as many have come
//! together. *Budget*: each group costs a request of the object store. A server may spend so many a day; from the
//! point where its allowance is half used up its groups wait longer and longer, up to a second.

use std::time::{Duration, Instant};

use super::options::Budget;

/// The longest a group waits for company.
const COMPANY: Duration = Duration::from_millis(3);

/// The part of a round trip worth waiting for company.
const SHARE: u32 = 8;

/// How long groups wait when the allowance has just become short, and when it is used up.
const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(1);

/// The allowance never holds less than this, so that a burst of a small server is not slowed down.
const BURST: f64 = 100.0;

/// How long groups of writes wait.
#[derive(Debug)]
pub(super) struct Pace {
    /// What one round trip took lately.
    trip: Duration,
    /// How many callers are likely to come at about the same time.
    expected: usize,
    allowance: Option<Allowance>,
}

#[derive(Debug)]
struct Allowance {
    per_second: f64,
    most: f64,
    left: f64,
    at: Instant,
}

impl Pace {
    pub(super) fn new(budget: Option<Budget>, now: Instant) -> Self {
        let allowance = budget.map(|Budget { requests_per_day }| {
            let most = (requests_per_day as f64 / 24.0).max(BURST);
            Allowance { per_second: requests_per_day as f64 / 86_400.0, most, left: most, at: now }
        });
        Self { trip: Duration::ZERO, expected: 1, allowance }
    }

    /// A group has been published: how long that took, how many were told, and how many were waiting already.
    pub(super) fn published(&mut self, trip: Duration, told: usize, waiting: usize) {
        self.trip = trip;
        self.expected = told + waiting;
    }

    /// Requests have been made.
    pub(super) fn spent(&mut self, requests: u32, now: Instant) {
        if let Some(allowance) = &mut self.allowance {
            allowance.refill(now);
            allowance.left = (allowance.left - f64::from(requests)).max(0.0);
        }
    }

    /// How long to wait for company, if fewer than expected are there.
    pub(super) fn company(&self, there: usize) -> Duration {
        if there < self.expected { (self.trip / SHARE).min(COMPANY) } else { Duration::ZERO }
    }

    /// How long to wait so as not to spend too much.
    pub(super) fn thrift(&mut self, now: Instant) -> Duration {
        let Some(allowance) = &mut self.allowance else { return Duration::ZERO };
        allowance.refill(now);
        let missing = 1.0 - allowance.left / (allowance.most / 2.0);
        if missing <= 0.0 { Duration::ZERO } else { SHORT + (LONG - SHORT).mul_f64(missing) }
    }
}

impl Allowance {
    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.most);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_never_waits_and_several_wait_for_each_other() {
        let mut pace = Pace::new(None, Instant::now());
        assert_eq!(pace.company(1), Duration::ZERO);
        pace.published(Duration::from_millis(16), 1, 0);
        assert_eq!(pace.company(1), Duration::ZERO);
        pace.published(Duration::from_millis(16), 10, 6);
        assert_eq!((pace.company(1), pace.company(15)), (Duration::from_millis(2), Duration::from_millis(2)));
        assert_eq!(pace.company(16), Duration::ZERO);
        pace.published(Duration::from_secs(4), 10, 6);
        assert_eq!(pace.company(1), COMPANY);
    }

    #[test]
    fn a_server_that_spends_its_allowance_is_slowed_down_and_recovers() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(Budget { requests_per_day: 24_000 }), start);
        pace.spent(499, start);
        assert_eq!(pace.thrift(start), Duration::ZERO);
        pace.spent(251, start);
        let half = pace.thrift(start);
        assert!(half > Duration::from_millis(500) && half < Duration::from_millis(550), "{half:?}");
        pace.spent(10_000, start);
        assert_eq!(pace.thrift(start), LONG);
        // An hour later the hour's allowance is there again.
        assert_eq!(pace.thrift(start + Duration::from_secs(3600)), Duration::ZERO);
    }

    #[test]
    fn without_a_budget_nobody_is_slowed_down() {
        let start = Instant::now();
        let mut pace = Pace::new(None, start);
        pace.spent(1_000_000, start);
        assert_eq!(pace.thrift(start), Duration::ZERO);
    }
}
