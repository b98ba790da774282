//! The recurrence rules of iCalendar (RFC 5545, 3.3.10), on the clock on the wall.
//!
//! A rule is walked period by period (years, months, weeks, days, hours, minutes), and the times of each are what its `BY…`
//! parts make of it. Without `COUNT` the walk begins at the period that is asked about. What is not here is refused in words:
//! `BYYEARDAY`, `BYWEEKNO`, `BYSECOND`, and a frequency of seconds.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::wall::Leap;

/// How many periods are walked without finding anything; a rule that needs more is refused when it comes.
const MOST_PERIODS: usize = 20_000;
/// The greatest `COUNT`: a rule that counts is walked from its beginning.
const MOST_COUNT: u32 = 1_000;
/// How many times a day a rule of days or longer may mean; all of a period are worked out together.
const MOST_TIMES: usize = 48;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Freq {
    Minutely,
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Never,
    Count(u32),
    Until(DateTime),
}

/// A rule, and when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recurrence {
    pub(super) freq: Freq,
    pub(super) interval: i64,
    pub(super) end: End,
    pub(super) months: Vec<i8>,
    pub(super) month_days: Vec<i8>,
    /// Which one of the month or year, 0 for all of them.
    pub(super) days: Vec<(i8, Weekday)>,
    pub(super) hours: Vec<i8>,
    pub(super) minutes: Vec<i8>,
    pub(super) positions: Vec<i16>,
    week_start: Weekday,
    pub(super) start: DateTime,
}

impl Recurrence {
    /// Reads the value of an `RRULE` that begins at `start`.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub(crate) fn parse(text: &str, start: DateTime, zone: &TimeZone) -> Result<Self, String> {
        let text = text.trim();
        let text = text.strip_prefix("RRULE:").unwrap_or(text);
        let mut rule = Self {
            freq: Freq::Yearly,
            interval: 1,
            end: End::Never,
            months: Vec::new(),
            month_days: Vec::new(),
            days: Vec::new(),
            hours: Vec::new(),
            minutes: Vec::new(),
            positions: Vec::new(),
            week_start: Weekday::Monday,
            start: start.with().subsec_nanosecond(0).build().map_err(|why| why.to_string())?,
        };
        let mut seen = Vec::new();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("{part:?} has no value"))?;
            let name = name.to_ascii_uppercase();
            if seen.contains(&name) {
                return Err(format!("{name} stands there twice"));
            }
            rule.take(&name, &value.to_ascii_uppercase(), zone)?;
            seen.push(name);
        }
        if !seen.iter().any(|name| name == "FREQ") {
            return Err("it says no FREQ".to_owned());
        }
        rule.check()?;
        Ok(rule)
    }

    fn take(&mut self, name: &str, value: &str, zone: &TimeZone) -> Result<(), String> {
        let wrong = || format!("{value:?} is no {name}");
        match name {
            "FREQ" => {
                self.freq = match value {
                    "MINUTELY" => Freq::Minutely,
                    "HOURLY" => Freq::Hourly,
                    "DAILY" => Freq::Daily,
                    "WEEKLY" => Freq::Weekly,
                    "MONTHLY" => Freq::Monthly,
                    "YEARLY" => Freq::Yearly,
                    _ => return Err(wrong()),
                }
            }
            "INTERVAL" => {
                self.interval = value.parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or_else(wrong)?;
            }
            "COUNT" | "UNTIL" if self.end != End::Never => return Err("it has both COUNT and UNTIL".to_owned()),
            "COUNT" => {
                let most = format!("COUNT may be up to {MOST_COUNT}");
                self.end = End::Count(value.parse().ok().filter(|n| (1..=MOST_COUNT).contains(n)).ok_or(most)?);
            }
            "UNTIL" => self.end = End::Until(until(value, zone).ok_or_else(wrong)?),
            "BYMONTH" => self.months = numbers(value, |n| (1..=12).contains(&n)).ok_or_else(wrong)?,
            "BYMONTHDAY" => {
                self.month_days = numbers(value, |n| n != 0 && (-31..=31).contains(&n)).ok_or_else(wrong)?;
            }
            "BYHOUR" => self.hours = numbers(value, |n| (0..=23).contains(&n)).ok_or_else(wrong)?,
            "BYMINUTE" => self.minutes = numbers(value, |n| (0..=59).contains(&n)).ok_or_else(wrong)?,
            "BYDAY" => self.days = value.split(',').map(day).collect::<Option<_>>().ok_or_else(wrong)?,
            "BYSETPOS" => {
                let fits = |n: &i16| *n != 0 && (-366..=366).contains(n);
                let all = value.split(',').map(|text| text.parse().ok().filter(fits)).collect::<Option<Vec<i16>>>();
                self.positions = all.ok_or_else(wrong)?;
            }
            "WKST" => {
                self.week_start = day(value).filter(|(nth, _)| *nth == 0).ok_or_else(wrong)?.1;
            }
            "BYYEARDAY" | "BYWEEKNO" | "BYSECOND" => return Err(format!("{name} is not known here")),
            _ => return Err(format!("{name} is no part of a rule")),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let has_nth = self.days.iter().any(|(nth, _)| *nth != 0);
        if has_nth && !matches!(self.freq, Freq::Monthly | Freq::Yearly) {
            return Err("a BYDAY with a number belongs to months and years".to_owned());
        }
        if has_nth && !self.month_days.is_empty() {
            return Err("a BYDAY with a number does not go with BYMONTHDAY".to_owned());
        }
        if !self.month_days.is_empty() && self.freq == Freq::Weekly {
            return Err("BYMONTHDAY does not go with weeks".to_owned());
        }
        let is_bare = [self.months.len(), self.month_days.len(), self.days.len(), self.hours.len(), self.minutes.len()];
        if !self.positions.is_empty() && is_bare.iter().all(|length| *length == 0) {
            return Err("BYSETPOS needs another BY… to choose from".to_owned());
        }
        if self.freq >= Freq::Daily && self.hours.len().max(1) * self.minutes.len().max(1) > MOST_TIMES {
            return Err(format!("it means more than {MOST_TIMES} times a day: say HOURLY or MINUTELY"));
        }
        let over = "it is over before it begins, or means a day that never comes";
        self.following(self.start).map(drop).ok_or_else(|| over.to_owned())
    }

    /// How it takes a clock that leaps.
    pub(super) fn leap(&self) -> Leap {
        if self.freq <= Freq::Hourly { Leap::Each } else { Leap::Once }
    }

    /// The first time on the wall from `from` on.
    pub(super) fn following(&self, from: DateTime) -> Option<DateTime> {
        let from = from.max(self.start);
        let mut period = if matches!(self.end, End::Count(_)) { 0 } else { self.period_of(from) };
        let mut counted = 0;
        for _ in 0..MOST_PERIODS {
            let (times, next) = self.period(period)?;
            for at in times.into_iter().filter(|at| *at >= self.start) {
                match self.end {
                    End::Until(until) if at > until => return None,
                    End::Count(most) if counted == most => return None,
                    _ => counted += 1,
                }
                if at >= from {
                    return Some(at);
                }
            }
            period = next;
        }
        None
    }

    /// The last period that begins no later than `at`.
    fn period_of(&self, at: DateTime) -> i64 {
        let (start, months) = (self.start, |date: Date| i64::from(date.year()) * 12 + i64::from(date.month()));
        let units = match self.freq {
            Freq::Yearly => i64::from(at.year()) - i64::from(start.year()),
            Freq::Monthly => months(at.date()) - months(start.date()),
            Freq::Weekly => days_between(self.week_of(start.date()), self.week_of(at.date())) / 7,
            Freq::Daily => days_between(start.date(), at.date()),
            Freq::Hourly => at.duration_since(self.first_hour()).as_hours(),
            Freq::Minutely => at.duration_since(self.first_minute()).as_mins(),
        };
        units.div_euclid(self.interval).max(0)
    }

    fn week_of(&self, date: Date) -> Date {
        let into = date.weekday().to_monday_zero_offset() - self.week_start.to_monday_zero_offset();
        date.saturating_sub(SignedDuration::from_hours(24 * i64::from(into.rem_euclid(7))))
    }

    fn first_hour(&self) -> DateTime {
        self.start.date().at(self.start.hour(), 0, 0, 0)
    }

    fn first_minute(&self) -> DateTime {
        self.start.date().at(self.start.hour(), self.start.minute(), 0, 0)
    }

    /// The times of a period, and which period to look at next. Nothing beyond the calendar.
    fn period(&self, nth: i64) -> Option<(Vec<DateTime>, i64)> {
        let units = nth.checked_mul(self.interval)?;
        let mut times: Vec<DateTime> = match self.freq {
            Freq::Hourly => {
                let hour = self.first_hour().checked_add(SignedDuration::from_hours(units)).ok()?;
                if !self.means(hour.date()) {
                    return Some((Vec::new(), self.next_day(self.first_hour(), hour, 60)?));
                }
                let is_in = self.hours.is_empty() || self.hours.contains(&hour.hour());
                let minutes = if self.minutes.is_empty() { &[self.start.minute()][..] } else { &self.minutes };
                let at = |minute: &i8| hour.date().at(hour.hour(), *minute, self.start.second(), 0);
                if is_in { minutes.iter().map(at).collect() } else { Vec::new() }
            }
            Freq::Minutely => {
                let minute = self.first_minute().checked_add(SignedDuration::from_mins(units)).ok()?;
                if !self.means(minute.date()) {
                    return Some((Vec::new(), self.next_day(self.first_minute(), minute, 1)?));
                }
                let is_in = (self.hours.is_empty() || self.hours.contains(&minute.hour()))
                    && (self.minutes.is_empty() || self.minutes.contains(&minute.minute()));
                let at = minute.date().at(minute.hour(), minute.minute(), self.start.second(), 0);
                if is_in { vec![at] } else { Vec::new() }
            }
            _ => self.days_of(units)?.into_iter().flat_map(|date| self.times_of(date)).collect(),
        };
        times.sort_unstable();
        times.dedup();
        if !self.positions.is_empty() {
            let count = times.len() as i64;
            let place = |position: &i16| match i64::from(*position) {
                back if back < 0 => count + back,
                forth => forth - 1,
            };
            let mut chosen: Vec<i64> = self.positions.iter().map(place).filter(|at| (0..count).contains(at)).collect();
            chosen.sort_unstable();
            chosen.dedup();
            times = chosen.into_iter().map(|at| times[at as usize]).collect();
        }
        Some((times, nth + 1))
    }

    /// The first period that begins on a later day than `at`, where a unit has so many minutes.
    fn next_day(&self, first: DateTime, at: DateTime, minutes: i64) -> Option<i64> {
        let midnight = at.date().tomorrow().ok()?.at(0, 0, 0, 0);
        let long = minutes * self.interval;
        Some((midnight.duration_since(first).as_mins() + long - 1) / long)
    }

    /// The days of the period that begins so many years, months, weeks or days after the first.
    fn days_of(&self, units: i64) -> Option<Vec<Date>> {
        let start = self.start.date();
        let after = |days: i64| start_plus(start, days);
        match self.freq {
            Freq::Yearly => {
                let year = i16::try_from(i64::from(start.year()) + units).ok()?;
                Date::new(year, 1, 1).ok()?;
                Some(self.days_of_year(year))
            }
            Freq::Monthly => {
                let month = i64::from(start.year()) * 12 + i64::from(start.month()) - 1 + units;
                let (year, month) = (i16::try_from(month.div_euclid(12)).ok()?, month.rem_euclid(12) as i8 + 1);
                Date::new(year, month, 1).ok()?;
                Some(if self.in_months(month) { self.days_of_month(year, month) } else { Vec::new() })
            }
            Freq::Weekly => {
                let week = start_plus(self.week_of(start), units.checked_mul(7)?)?;
                let is_meant = |date: &Date| {
                    let weekday = date.weekday();
                    let named = self.days.iter().any(|(_, named)| *named == weekday);
                    self.in_months(date.month()) && (named || self.days.is_empty() && weekday == start.weekday())
                };
                Some((0..7).filter_map(|day| start_plus(week, day)).filter(is_meant).collect())
            }
            _ => {
                let date = after(units)?;
                Some(if self.means(date) { vec![date] } else { Vec::new() })
            }
        }
    }

    fn days_of_year(&self, year: i16) -> Vec<Date> {
        if !self.days.is_empty() && self.months.is_empty() && self.month_days.is_empty() {
            let Ok(first) = Date::new(year, 1, 1) else { return Vec::new() };
            return self.nth_days(first, i64::from(first.days_in_year()));
        }
        let months: Vec<i8> = match (self.months.is_empty(), self.month_days.is_empty()) {
            (false, _) => self.months.clone(),
            (true, false) => (1..=12).collect(),
            (true, true) => vec![self.start.month()],
        };
        months.into_iter().flat_map(|month| self.days_of_month(year, month)).collect()
    }

    fn days_of_month(&self, year: i16, month: i8) -> Vec<Date> {
        let Ok(first) = Date::new(year, month, 1) else { return Vec::new() };
        let length = first.days_in_month();
        if self.month_days.is_empty() && !self.days.is_empty() {
            return self.nth_days(first, i64::from(length));
        }
        let own = [self.start.day()];
        let days = if self.month_days.is_empty() { &own[..] } else { &self.month_days };
        let dates = days.iter().filter_map(|day| {
            let day = if *day < 0 { length + 1 + *day } else { *day };
            (1..=length).contains(&day).then(|| Date::new(year, month, day).ok()).flatten()
        });
        let named = |date: &Date| self.days.is_empty() || self.days.iter().any(|(_, day)| *day == date.weekday());
        dates.filter(named).collect()
    }

    /// The named days of the week among so many from `first` on.
    fn nth_days(&self, first: Date, length: i64) -> Vec<Date> {
        let is_meant = |at: i64, date: Date| {
            let (from_start, from_end) = (at / 7 + 1, -((length - 1 - at) / 7 + 1));
            self.days.iter().any(|(nth, day)| {
                *day == date.weekday() && (*nth == 0 || [from_start, from_end].contains(&i64::from(*nth)))
            })
        };
        let dates = (0..length).filter_map(|at| Some((at, start_plus(first, at)?)));
        dates.filter(|(at, date)| is_meant(*at, *date)).map(|(_, date)| date).collect()
    }

    fn times_of(&self, date: Date) -> Vec<DateTime> {
        let (hour, minute, second) = (self.start.hour(), self.start.minute(), self.start.second());
        let hours = if self.hours.is_empty() { &[hour][..] } else { &self.hours };
        let minutes = if self.minutes.is_empty() { &[minute][..] } else { &self.minutes };
        hours.iter().flat_map(|hour| minutes.iter().map(move |minute| date.at(*hour, *minute, second, 0))).collect()
    }

    /// Whether a day is meant, where the period is a day or shorter.
    fn means(&self, date: Date) -> bool {
        let in_month = |day: &i8| *day == date.day() || *day == date.day() - date.days_in_month() - 1;
        self.in_months(date.month())
            && (self.month_days.is_empty() || self.month_days.iter().any(in_month))
            && (self.days.is_empty() || self.days.iter().any(|(_, day)| *day == date.weekday()))
    }

    fn in_months(&self, month: i8) -> bool {
        self.months.is_empty() || self.months.contains(&month)
    }
}

fn start_plus(date: Date, days: i64) -> Option<Date> {
    date.checked_add(SignedDuration::from_hours(days.checked_mul(24)?)).ok()
}

fn days_between(from: Date, to: Date) -> i64 {
    to.duration_since(from).as_hours() / 24
}

fn numbers(text: &str, fits: impl Fn(i8) -> bool) -> Option<Vec<i8>> {
    text.split(',').map(|text| text.parse().ok().filter(|n| fits(*n))).collect()
}

fn day(text: &str) -> Option<(i8, Weekday)> {
    let (nth, day) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let nth = match nth {
        "" => 0,
        nth => nth.parse().ok().filter(|n: &i8| *n != 0 && (-53..=53).contains(n))?,
    };
    let day = match day {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    };
    Some((nth, day))
}

/// A last moment: a day, a time on the wall, or a time in UTC.
fn until(text: &str, zone: &TimeZone) -> Option<DateTime> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let part = |text: &str, from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
    if date.len() != 8 || !digits(date) {
        return None;
    }
    let (month, day) = (i8::try_from(part(date, 4, 6)?).ok()?, i8::try_from(part(date, 6, 8)?).ok()?);
    let day = Date::new(part(date, 0, 4)?, month, day).ok()?;
    let Some(time) = time else { return Some(day.at(23, 59, 59, 0)) };
    let (time, is_utc) = time.strip_suffix('Z').map_or((time, false), |time| (time, true));
    if time.len() != 6 || !digits(time) {
        return None;
    }
    let number = |from, to| i8::try_from(part(time, from, to)?).ok();
    let at = jiff::civil::Time::new(number(0, 2)?, number(2, 4)?, number(4, 6)?, 0).ok()?;
    let at = day.to_datetime(at);
    let moment = || TimeZone::UTC.to_timestamp(at).ok().map(|moment: Timestamp| zone.to_datetime(moment));
    if is_utc { moment() } else { Some(at) }
}
