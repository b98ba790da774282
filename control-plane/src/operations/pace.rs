//! How long an import will take: as the runtime reckons from bytes, entries and records, corrected by how the last ones on
//! this provider went.
//!
//! The runtime reckons for a small machine and knows nothing of this one's disk or object store. Its figure stands in
//! every report, and the turns of an operation say how long it truly took from the owner's yes; so what is off by the same
//! factor each time corrects itself, and before the first import the runtime's figure stands as it is.

use std::time::Duration;

use tenant_runtime::admin::api::ImportReport;

/// So many of the last imports are looked at.
pub(super) const LOOKED_AT: u32 = 20;
/// By how much they correct at most, in either direction.
const MOST: f64 = 20.0;

/// How the last imports went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// How many they were.
    pub imports: u32,
    /// How long they took.
    took: Duration,
    /// How long they should have taken.
    reckoned: Duration,
}

impl Pace {
    /// Takes in one more.
    pub(super) fn note(&mut self, report: &ImportReport, took: Duration) {
        self.imports += 1;
        self.took += took;
        self.reckoned += Duration::from_secs(report.estimate_seconds.max(1));
    }

    /// How long an import will probably take from its owner's yes.
    #[must_use]
    pub fn expects(&self, report: &ImportReport) -> Duration {
        let reckoned = report.estimate_seconds.max(1) as f64;
        let factor = match self.imports {
            0 => 1.0,
            _ => (self.took.as_secs_f64() / self.reckoned.as_secs_f64().max(1.0)).clamp(1.0 / MOST, MOST),
        };
        Duration::try_from_secs_f64(reckoned * factor).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_as_far_off_as_the_last_ones_were_and_then_no_more() {
        let report = |estimate_seconds| ImportReport { estimate_seconds, ..ImportReport::default() };
        let mut pace = Pace::default();
        assert_eq!(pace.expects(&report(30)), Duration::from_secs(30), "nobody knows better yet");
        assert_eq!(pace.expects(&report(0)), Duration::from_secs(1));
        pace.note(&report(10), Duration::from_secs(25));
        pace.note(&report(90), Duration::from_secs(275));
        assert_eq!(pace.expects(&report(30)), Duration::from_secs(90), "this machine takes three times as long");
        assert_eq!(pace.imports, 2);
        pace.note(&report(1), Duration::from_secs(1_000_000));
        assert_eq!(
            pace.expects(&report(30)),
            Duration::from_secs(600),
            "one that hung does not count for ever so much"
        );
    }
}
