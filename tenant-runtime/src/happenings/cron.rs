//! The five fields of cron: minute, hour, day of the month, month, day of the week.
//!
//! As crontab(5) has them: lists, ranges, steps, names, 0 and 7 for Sunday; where both days are named, either is enough, and a
//! field that begins with a star names none.

use jiff::civil::{Date, DateTime};

use super::wall::Leap;

/// A day that a rule means comes within so many days: the 29th of February, over a year like 2100.
const MOST_DAYS: usize = 9 * 366;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A rule of five fields, each as a set of bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cron {
    pub(super) minutes: u64,
    pub(super) hours: u64,
    pub(super) days: u64,
    pub(super) months: u64,
    pub(super) weekdays: u64,
    pub(super) any_day: bool,
    pub(super) any_weekday: bool,
    any_hour: bool,
}

struct Field {
    what: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

impl Cron {
    /// Reads the five fields.
    ///
    /// # Errors
    /// In words, what is wrong with them.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = match text.trim().to_ascii_lowercase().as_str() {
            "@hourly" => "0 * * * *".to_owned(),
            "@daily" | "@midnight" => "0 0 * * *".to_owned(),
            "@weekly" => "0 0 * * 0".to_owned(),
            "@monthly" => "0 0 1 * *".to_owned(),
            "@yearly" | "@annually" => "0 0 1 1 *".to_owned(),
            other => other.to_owned(),
        };
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(format!(
                "{} fields where five belong: minute, hour, day, month, day of the week",
                fields.len()
            ));
        };
        let field = |what, first, last, names| Field { what, first, last, names };
        let sundays = field("day of the week", 0, 7, &WEEKDAYS).parse(weekday)?;
        let cron = Self {
            minutes: field("minute", 0, 59, &[]).parse(minute)?,
            hours: field("hour", 0, 23, &[]).parse(hour)?,
            days: field("day", 1, 31, &[]).parse(day)?,
            months: field("month", 1, 12, &MONTHS).parse(month)?,
            weekdays: (sundays | sundays >> 7) & 0x7f,
            any_day: day.starts_with('*'),
            any_weekday: weekday.starts_with('*'),
            any_hour: hour.starts_with('*'),
        };
        let some_leap_year = DateTime::constant(2096, 1, 1, 0, 0, 0, 0);
        cron.following(some_leap_year).ok_or_else(|| "there is no such day in any year".to_owned())?;
        Ok(cron)
    }

    /// How it takes a clock that leaps.
    pub(super) fn leap(&self) -> Leap {
        if self.any_hour { Leap::Each } else { Leap::Once }
    }

    /// The first time on the wall from `from` on.
    pub(super) fn following(&self, from: DateTime) -> Option<DateTime> {
        let whole = from.with().second(0).subsec_nanosecond(0).build().ok()?;
        let from = if whole == from { whole } else { whole.checked_add(jiff::SignedDuration::from_mins(1)).ok()? };
        let (mut date, mut hour, mut minute) = (from.date(), from.hour(), from.minute());
        for _ in 0..MOST_DAYS {
            if self.means(date) {
                for hour_at in hour..24 {
                    let first = if hour_at == hour { minute } else { 0 };
                    let is_in = |set: u64, n: i8| set & (1 << n) != 0;
                    if is_in(self.hours, hour_at)
                        && let Some(found) = (first..60).find(|minute| is_in(self.minutes, *minute))
                    {
                        return Some(date.at(hour_at, found, 0, 0));
                    }
                }
            }
            date = date.tomorrow().ok()?;
            (hour, minute) = (0, 0);
        }
        None
    }

    /// Whether it means a day.
    pub(super) fn means(&self, date: Date) -> bool {
        let day = self.days & (1 << date.day()) != 0;
        let weekday = self.weekdays & (1 << date.weekday().to_sunday_zero_offset()) != 0;
        let is_day = if self.any_day || self.any_weekday { day && weekday } else { day || weekday };
        is_day && self.months & (1 << date.month()) != 0
    }
}

impl Field {
    fn parse(&self, text: &str) -> Result<u64, String> {
        text.split(',').try_fold(0, |set, item| Ok(set | self.item(item)?))
    }

    fn item(&self, item: &str) -> Result<u64, String> {
        let wrong = || format!("{item:?} is no {}", self.what);
        let (range, step) = match item.split_once('/') {
            None => (item, None),
            Some((range, step)) => {
                let step = step.parse().ok().filter(|step| (1..=self.last as usize + 1).contains(step));
                (range, Some(step.ok_or_else(wrong)?))
            }
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last.min(if self.last == 7 { 6 } else { self.last })),
            Some((first, last)) => (self.number(first).ok_or_else(wrong)?, self.number(last).ok_or_else(wrong)?),
            None => {
                let first = self.number(range).ok_or_else(wrong)?;
                (first, if step.is_some() { self.last } else { first })
            }
        };
        if first > last {
            return Err(format!("{item:?} ends before it begins"));
        }
        Ok((first..=last).step_by(step.unwrap_or(1)).fold(0, |set, n| set | 1 << n))
    }

    fn number(&self, text: &str) -> Option<u32> {
        if let Some(at) = self.names.iter().position(|name| *name == text) {
            return Some(at as u32 + self.first);
        }
        let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|n| is_plain && (self.first..=self.last).contains(n))
    }
}
