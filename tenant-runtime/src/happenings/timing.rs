//! When something happens: a rule, on the clock on the wall of a time zone.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::cron::Cron;
use super::error::Error;
use super::recur::Recurrence;
use super::wall::{self, Leap};
use super::words;

/// The most letters of a rule.
const MOST_RULE: usize = 500;

/// When something happens, as it is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Written {
    /// Five fields as in a crontab.
    pub cron: Option<String>,
    /// A recurrence rule of iCalendar, which begins at `start`.
    pub rrule: Option<String>,
    /// A time on the wall, `2026-12-24T18:00`. Without a rule it happens once, then.
    #[serde(alias = "at")]
    pub start: Option<String>,
    /// A time zone of the IANA database, like `Europe/Vienna`.
    #[serde(alias = "tz", alias = "timeZone")]
    pub zone: Option<String>,
}

/// When something happens.
#[derive(Clone, Debug)]
pub struct Timing {
    rule: Rule,
    zone: TimeZone,
}

/// The rule of it.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    Cron(Cron, String),
    Recurs(Recurrence, String),
    Once(DateTime),
}

impl Written {
    /// The same with everything said: where no zone is named, this one, and where a recurrence names no start, the minute of
    /// `now`.
    #[must_use]
    pub fn completed(mut self, zone: &str, now: i64) -> Self {
        self.zone.get_or_insert_with(|| zone.to_owned());
        if self.rrule.is_some() && self.start.is_none() {
            let zone = self.zone.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
            let here = Timestamp::from_millisecond(now).map(|now| zone.to_datetime(now));
            self.start = here.ok().map(|here| here.strftime("%Y-%m-%dT%H:%M").to_string());
        }
        self
    }

    /// Reads it.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(&self) -> Result<Timing, Error> {
        let zone = self.zone.as_deref().unwrap_or("UTC");
        let zone = TimeZone::get(zone).map_err(|_| {
            Error::Wrong(format!("{zone:?} is no time zone. Name one of the IANA database, like \"Europe/Vienna\"."))
        })?;
        let start = self.start.as_deref().map(start).transpose()?;
        let too_long = |text: &String| text.len() > MOST_RULE;
        if self.cron.as_ref().is_some_and(too_long) || self.rrule.as_ref().is_some_and(too_long) {
            return Err(Error::TooLong(format!("A rule may have up to {MOST_RULE} letters.")));
        }
        let rule = match (&self.cron, &self.rrule, start) {
            (Some(_), Some(_), _) => return Err(Error::Wrong("Say either cron or rrule, not both.".into())),
            (Some(cron), None, _) => {
                let parsed =
                    Cron::parse(cron).map_err(|why| Error::Wrong(format!("The cron rule is wrong: {why}.")))?;
                Rule::Cron(parsed, cron.clone())
            }
            (None, Some(_), None) => return Err(Error::Wrong("An rrule needs a start, like 2026-12-24T18:00.".into())),
            (None, Some(rrule), Some(start)) => {
                let parsed = Recurrence::parse(rrule, start, &zone)
                    .map_err(|why| Error::Wrong(format!("The recurrence rule is wrong: {why}.")))?;
                Rule::Recurs(parsed, rrule.clone())
            }
            (None, None, Some(start)) => Rule::Once(start),
            (None, None, None) => {
                let detail = "Say when: cron (five fields), rrule with a start, or at for once.";
                return Err(Error::Wrong(detail.into()));
            }
        };
        Ok(Timing { rule, zone })
    }
}

/// A time on the wall, also with seconds or a blank instead of the T.
fn start(text: &str) -> Result<DateTime, Error> {
    let wrong =
        || Error::Wrong(format!("{text:?} is no time on the wall like 2026-12-24T18:00, without a zone behind it."));
    if text.ends_with(['z', 'Z']) || text.contains('[') {
        return Err(wrong());
    }
    text.trim().parse().map_err(|_| wrong())
}

impl Timing {
    /// The first time after a moment, both in Unix milliseconds; none when it is over.
    #[must_use]
    pub fn next_after(&self, after: i64) -> Option<i64> {
        let after = Timestamp::from_millisecond(after).ok()?;
        let next = match &self.rule {
            Rule::Cron(cron, _) => wall::next(&self.zone, after, cron.leap(), |from| cron.following(from)),
            Rule::Recurs(rule, _) => wall::next(&self.zone, after, rule.leap(), |from| rule.following(from)),
            Rule::Once(at) => wall::next(&self.zone, after, Leap::Once, |from| (from <= *at).then_some(*at)),
        };
        next.map(Timestamp::as_millisecond)
    }

    /// The rule for people: `every weekday at 07:00`.
    #[must_use]
    pub fn words(&self) -> String {
        words::of(&self.rule)
    }

    /// A moment as the clock on the wall shows it: `Thu 24 December, 18:00`.
    #[must_use]
    pub fn shown(&self, at: i64) -> String {
        let at = Timestamp::from_millisecond(at).map(|at| self.zone.to_datetime(at));
        at.map(|at| at.strftime("%a %-d %B %Y, %H:%M").to_string()).unwrap_or_default()
    }
}
