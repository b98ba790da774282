//! When a copy goes by itself: pure reckoning with days and clocks of the person's own time zone.

use std::time::Duration;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::{Error, Result};

/// How often a copy goes by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Every {
    /// Only by a tap.
    #[default]
    Never,
    /// Each day.
    Daily,
    /// Each week, on this day.
    Weekly(Weekday),
}

impl Every {
    /// The word kept in the database and sent by forms.
    pub fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Daily => "daily",
            Self::Weekly(_) => "weekly",
        }
    }

    /// What the word and the number of the day (Monday is 1) stand for.
    pub fn read(word: &str, weekday: i8) -> Option<Self> {
        match word {
            "never" => Some(Self::Never),
            "daily" => Some(Self::Daily),
            "weekly" => Weekday::from_monday_one_offset(weekday).ok().map(Self::Weekly),
            _ => None,
        }
    }
}

/// When copies go by themselves, and how many of them stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How often.
    pub every: Every,
    /// At which hour of the day, 0 to 23.
    pub hour: i8,
    /// In which time zone, by its IANA name.
    pub zone: String,
    /// How many of the copies that we wrote stay there; older ones are deleted.
    pub keep: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { every: Every::Never, hour: 3, zone: "UTC".into(), keep: 7 }
    }
}

/// The most copies that may be kept.
const MOST: u32 = 365;

impl Schedule {
    /// Whether it can be.
    pub(super) fn check(&self) -> Result<()> {
        if !(0..24).contains(&self.hour) {
            return Err(Error::fix("hour", "Choose an hour from 0 to 23."));
        }
        if !(1..=MOST).contains(&self.keep) {
            return Err(Error::fix("keep", "Keep at least 1 copy and at most 365."));
        }
        zone(&self.zone).map(drop)
    }

    /// The first time after `now`.
    pub(super) fn next(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        if self.every == Every::Never {
            return Ok(None);
        }
        let here = now.to_zoned(zone(&self.zone)?);
        for ahead in 0..=8 {
            let day = here.date().checked_add(ahead.days()).map_err(Error::bug)?;
            if matches!(self.every, Every::Weekly(weekday) if day.weekday() != weekday) {
                continue;
            }
            // Where the clock leaps over this hour, it is the hour after.
            let at = day.at(self.hour, 0, 0, 0).to_zoned(here.time_zone().clone()).map_err(Error::bug)?.timestamp();
            if at > now {
                return Ok(Some(at));
            }
        }
        Err(Error::bug("a week without the wished day"))
    }
}

fn zone(name: &str) -> Result<TimeZone> {
    TimeZone::get(name)
        .map_err(|error| Error::fix("zone", "Write a time zone by its name, like Europe/Berlin or UTC.").because(error))
}

/// How long to wait after so many failures in a row: an hour, and each time twice as long, up to a day.
pub(super) fn pause(failures: u32) -> Duration {
    let hours = 1_u64 << failures.saturating_sub(1).min(5);
    Duration::from_secs(hours.min(24) * 3600)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn next(every: Every, hour: i8, zone: &str, now: &str) -> String {
        let schedule = Schedule { every, hour, zone: zone.into(), keep: 1 };
        schedule.next(now.parse().unwrap()).unwrap().unwrap().to_string()
    }

    #[test]
    fn the_next_time_is_after_now_on_the_persons_own_clock() {
        assert_eq!(next(Every::Daily, 3, "UTC", "2026-11-29T02:59:59Z"), "2026-11-29T03:00:00Z");
        assert_eq!(next(Every::Daily, 3, "UTC", "2026-11-29T03:00:00Z"), "2026-11-30T03:00:00Z");
        assert_eq!(next(Every::Daily, 3, "Europe/Berlin", "2026-11-29T01:30:00Z"), "2026-11-29T02:00:00Z");
        assert_eq!(next(Every::Weekly(Weekday::Sunday), 3, "UTC", "2026-11-29T03:00:00Z"), "2026-12-06T03:00:00Z");
        assert_eq!(next(Every::Weekly(Weekday::Monday), 0, "UTC", "2026-11-29T03:00:00Z"), "2026-11-30T00:00:00Z");
        assert_eq!(Schedule::default().next("2026-11-29T03:00:00Z".parse().unwrap()).unwrap(), None);
    }

    #[test]
    fn an_hour_that_the_clock_leaps_over_or_has_twice_comes_once() {
        assert_eq!(next(Every::Daily, 2, "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00Z");
        assert_eq!(next(Every::Daily, 2, "Europe/Berlin", "2026-10-24T12:00:00Z"), "2026-10-25T00:00:00Z");
        assert_eq!(next(Every::Daily, 2, "Europe/Berlin", "2026-10-25T00:00:00Z"), "2026-10-26T01:00:00Z");
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_field() {
        let bad = |schedule: Schedule| schedule.check().unwrap_err().field();
        assert_eq!(bad(Schedule { hour: 24, ..Schedule::default() }), Some("hour"));
        assert_eq!(bad(Schedule { keep: 0, ..Schedule::default() }), Some("keep"));
        assert_eq!(bad(Schedule { zone: "Middle/Earth".into(), ..Schedule::default() }), Some("zone"));
        assert!(Schedule::default().check().is_ok());
    }

    #[test]
    fn pauses_grow_to_a_day_and_no_further() {
        let hours: Vec<_> = [1, 2, 3, 4, 5, 6, 100].iter().map(|n| pause(*n).as_secs() / 3600).collect();
        assert_eq!(hours, [1, 2, 4, 8, 16, 24, 24]);
    }
}
