//! A month of the calendar, in UTC, as the books are kept.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// A month, written `2026-11`. Invariant: it lies between the years 1970 and 9000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    first: Date,
}

/// A text that names no month.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no month; write 2026-11")]
pub struct BadMonth(String);

impl Month {
    /// The month a moment lies in.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let date = at.to_zoned(TimeZone::UTC).date();
        Self { first: date.first_of_month() }
    }

    /// The month before.
    #[must_use]
    pub fn previous(self) -> Self {
        Self { first: self.first.saturating_sub(Span::new().months(1)) }
    }

    /// The month after.
    #[must_use]
    pub fn next(self) -> Self {
        Self { first: self.first.saturating_add(Span::new().months(1)) }
    }

    /// Its first day.
    #[must_use]
    pub fn first_day(self) -> Date {
        self.first
    }

    /// The days since 1970 of its first day and of the first one after it.
    pub(super) fn days(self) -> (i64, i64) {
        (day_number(self.first), day_number(self.next().first))
    }
}

/// The days since 1970 of all there is in the books.
pub(super) const EVER: (i64, i64) = (0, 4_000_000);

/// How many days after 1970 a day lies.
fn day_number(day: Date) -> i64 {
    let midnight = day.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp().as_second()).unwrap_or_default();
    midnight.div_euclid(super::usage::DAY_S)
}

/// The day so many days after 1970.
pub(super) fn day(number: i64) -> Date {
    let midnight = Timestamp::from_second(number.saturating_mul(super::usage::DAY_S)).unwrap_or_default();
    midnight.to_zoned(TimeZone::UTC).date()
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

impl FromStr for Month {
    type Err = BadMonth;

    fn from_str(text: &str) -> Result<Self, BadMonth> {
        let bad = || BadMonth(text.chars().take(20).collect());
        let (year, month) = text.split_once('-').filter(|_| text.len() == 7).ok_or_else(bad)?;
        let (year, month) = (year.parse().map_err(|_| bad())?, month.parse().map_err(|_| bad())?);
        let first = Date::new(year, month, 1).map_err(|_| bad())?;
        if (1970..=9000).contains(&year) { Ok(Self { first }) } else { Err(bad()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn months_follow_one_another_and_their_days_do_not_overlap() {
        let month: Month = "2026-12".parse().unwrap();
        assert_eq!(month.next().to_string(), "2027-01");
        assert_eq!(month.previous().to_string(), "2026-11");
        assert_eq!(month.days().1, month.next().days().0);
        assert_eq!(month.days().1 - month.days().0, 31);
        assert_eq!(day(month.days().0), month.first_day());
        assert_eq!(Month::of("2026-12-31T23:59:59Z".parse().unwrap()), month);
        for bad in ["2026-13", "2026-1", "26-11", "", "2026-00", "1969-12", "2026-11-01", "-001-01"] {
            assert!(bad.parse::<Month>().is_err(), "{bad}");
        }
    }
}
