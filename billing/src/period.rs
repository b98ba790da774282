//! Months, counted from the day somebody signed up.
//!
//! Every boundary is the anchor plus a whole number of months, never the last boundary plus one: so who signs up on
//! 31 January is billed on 28 February and again on 31 March, and no day is lost over the years. Days are days in UTC.

use jiff::{Span, Timestamp, tz::TimeZone};

/// One month that is paid for: from the first instant up to, not including, the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// How many months after the anchor it begins.
    pub index: u32,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl Period {
    /// The month that begins `index` months after `anchor`; `None` beyond the calendar (the year 9999).
    pub fn nth(anchor: Timestamp, index: u32) -> Option<Self> {
        Some(Self { index, start: boundary(anchor, index)?, end: boundary(anchor, index.checked_add(1)?)? })
    }

    /// The month that holds `at`; the first one for an instant before the anchor.
    pub fn holding(anchor: Timestamp, at: Timestamp) -> Option<Self> {
        let mut index = months_between(anchor, at);
        loop {
            let period = Self::nth(anchor, index)?;
            if at >= period.end {
                index += 1;
            } else if at < period.start && index > 0 {
                index -= 1;
            } else {
                return Some(period);
            }
        }
    }
}

/// Every month that has begun by `now`, from the month after `billed` on (`None`: from the first).
pub fn periods_until(anchor: Timestamp, billed: Option<u32>, now: Timestamp) -> impl Iterator<Item = Period> {
    let first = billed.map_or(0, |index| index.saturating_add(1));
    (first..).map_while(move |index| Period::nth(anchor, index)).take_while(move |period| period.start <= now)
}

fn boundary(anchor: Timestamp, index: u32) -> Option<Timestamp> {
    let span = Span::new().try_months(i64::from(index)).ok()?;
    Some(anchor.to_zoned(TimeZone::UTC).checked_add(span).ok()?.timestamp())
}

/// A first guess that is at most one month off.
fn months_between(anchor: Timestamp, at: Timestamp) -> u32 {
    let count = |time: Timestamp| {
        let zoned = time.to_zoned(TimeZone::UTC);
        i32::from(zoned.year()) * 12 + i32::from(zoned.month())
    };
    u32::try_from(count(at) - count(anchor)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_end_of_january_is_not_forgotten_in_february() {
        let anchor = at("2027-01-31T09:00:00Z");
        let ends: Vec<String> = (0..3).map(|n| Period::nth(anchor, n).unwrap().end.to_string()).collect();
        assert_eq!(ends, ["2027-02-28T09:00:00Z", "2027-03-31T09:00:00Z", "2027-04-30T09:00:00Z"]);
    }

    #[test]
    fn a_bill_is_due_for_each_month_begun() {
        let anchor = at("2026-11-21T10:00:00Z");
        let begun = |billed, now| periods_until(anchor, billed, at(now)).map(|p| p.index).collect::<Vec<_>>();
        assert_eq!(begun(None, "2026-11-21T10:00:00Z"), [0]);
        assert_eq!(begun(Some(0), "2026-12-21T09:59:59Z"), Vec::<u32>::new());
        assert_eq!(begun(Some(0), "2027-02-21T10:00:00Z"), [1, 2, 3]);
    }

    fn any_time() -> impl Strategy<Value = Timestamp> {
        (0i64..4_102_444_800).prop_map(|s| Timestamp::from_second(s).unwrap())
    }

    proptest! {
        #[test]
        fn months_follow_each_other_without_gap(anchor in any_time(), index in 0u32..600) {
            let one = Period::nth(anchor, index).unwrap();
            let next = Period::nth(anchor, index + 1).unwrap();
            prop_assert!(one.start < one.end);
            prop_assert_eq!(one.end, next.start);
        }

        #[test]
        fn every_instant_lies_in_its_month(anchor in any_time(), later in 0i64..2_000_000_000) {
            let at = Timestamp::from_second(anchor.as_second() + later).unwrap();
            let period = Period::holding(anchor, at).unwrap();
            prop_assert!(period.start <= at && at < period.end);
        }
    }
}
