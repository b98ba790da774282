//! How figures are told to people: amounts of data, counts, times (money tells itself). One module, so that a figure reads the same on
//! every page.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// An amount of data in decimal units, as on a disk's label: `12.4 GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount(pub(crate) u64);

impl fmt::Display for Amount {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
        let mut value = self.0 as f64;
        let mut unit = 0;
        while value >= 999.95 && unit < UNITS.len() - 1 {
            value /= 1000.0;
            unit += 1;
        }
        let unit = UNITS[unit];
        if self.0 < 1000 || value >= 99.95 {
            return write!(to, "{value:.0} {unit}");
        }
        let figure = format!("{value:.1}");
        write!(to, "{} {unit}", figure.strip_suffix(".0").unwrap_or(&figure))
    }
}

/// Thousands apart: `104,212`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count(pub(crate) u64);

impl fmt::Display for Count {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                to.write_str(",")?;
            }
            write!(to, "{digit}")?;
        }
        Ok(())
    }
}

/// A stretch of time in milliseconds, in its two largest units: `3 h 12 min`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spell(pub(crate) u64);

impl fmt::Display for Spell {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, hours) = (self.0 / 86_400_000, self.0 / 3_600_000 % 24);
        let (minutes, seconds) = (self.0 / 60_000 % 60, self.0 / 1000 % 60);
        match (days, hours, minutes, seconds) {
            (0, 0, 0, 0) => write!(to, "{} ms", self.0),
            (0, 0, 0, _) => write!(to, "{:.1} s", self.0 as f64 / 1000.0),
            (0, 0, _, _) => write!(to, "{minutes} min {seconds} s"),
            (0, _, _, _) => write!(to, "{hours} h {minutes} min"),
            _ => write!(to, "{days} d {hours} h"),
        }
    }
}

/// How long something will take, as one says it: `about 5 minutes`.
pub(crate) fn about(span: std::time::Duration) -> String {
    let (seconds, minutes, hours) = (span.as_secs(), (span.as_secs() + 30) / 60, (span.as_secs() + 1800) / 3600);
    match (seconds, minutes, hours) {
        (0..10, ..) => "a few seconds".to_owned(),
        (10..45, ..) => "less than a minute".to_owned(),
        (_, 0..=1, _) => "about a minute".to_owned(),
        (_, 2..=54, _) => format!("about {minutes} minutes"),
        (.., 0..=1) => "about an hour".to_owned(),
        (.., 2..=36) => format!("about {hours} hours"),
        _ => format!("about {} days", (hours + 12) / 24),
    }
}

/// What a plan promises of what was saved, when at most the last so many milliseconds of it may be lost.
pub(crate) fn saved(loss_window_ms: u64) -> String {
    match loss_window_ms {
        0 => "what is saved is safe before your server says so".to_owned(),
        ms => format!("if a machine dies, what was saved in the last {} may be lost", Spell(ms)),
    }
}

/// How much of a moment is told.
#[derive(Debug, Clone, Copy)]
enum Face {
    Day,
    Time,
    Both,
}

/// A moment as a `time` element. Without script it is told in UTC and says so; with script on the reader's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    at: Timestamp,
    face: Face,
}

/// `21 November 2026`.
pub(crate) fn day(at: Timestamp) -> Moment {
    Moment { at, face: Face::Day }
}

/// `09:15:04 UTC`.
pub(crate) fn time(at: Timestamp) -> Moment {
    Moment { at, face: Face::Time }
}

/// `21 November 2026, 09:15 UTC`.
pub(crate) fn both(at: Timestamp) -> Moment {
    Moment { at, face: Face::Both }
}

impl Moment {
    /// The same in words only, for attributes and mails.
    pub(crate) fn words(&self) -> String {
        let at = self.at.to_zoned(TimeZone::UTC);
        match self.face {
            Face::Day => at.strftime("%-d %B %Y").to_string(),
            Face::Time => at.strftime("%H:%M:%S UTC").to_string(),
            Face::Both => at.strftime("%-d %B %Y, %H:%M UTC").to_string(),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let face = match self.face {
            Face::Day => "day",
            Face::Time => "time",
            Face::Both => "both",
        };
        write!(
            to,
            r#"<time datetime="{}" data-clock="{face}">{}</time>"#,
            self.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            self.words()
        )
    }
}

impl askama::filters::HtmlSafe for Moment {}

/// Whether there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fullness {
    /// There is.
    Roomy,
    /// Not for long.
    Near,
    /// There is none.
    Full,
}

/// How much of something is used.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    pub(crate) used: u64,
    pub(crate) of: u64,
}

impl Meter {
    /// From 85 % it asks to be looked at.
    pub(crate) fn fullness(&self) -> Fullness {
        match (self.used, self.of) {
            (_, 0) => Fullness::Roomy,
            (used, of) if used >= of => Fullness::Full,
            (used, of) if used as f64 >= of as f64 * 0.85 => Fullness::Near,
            _ => Fullness::Roomy,
        }
    }

    /// In words, for those who do not see the bar.
    pub(crate) fn words(&self) -> String {
        format!("{} of {} used", Amount(self.used), Amount(self.of))
    }

    /// What is left.
    pub(crate) fn free(&self) -> Amount {
        Amount(self.of.saturating_sub(self.used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_are_told_in_their_two_largest_units() {
        let all = [0, 999, 1_500, 61_000, 3_720_000, 90_061_000].map(|ms| Spell(ms).to_string());
        assert_eq!(all, ["0 ms", "999 ms", "1.5 s", "1 min 1 s", "1 h 2 min", "1 d 1 h"]);
    }

    #[test]
    fn what_something_will_take_is_told_as_one_says_it() {
        let told =
            [1, 30, 60, 100, 330, 3_400, 7_300, 200_000].map(|seconds| about(std::time::Duration::from_secs(seconds)));
        let expected = [
            "a few seconds",
            "less than a minute",
            "about a minute",
            "about 2 minutes",
            "about 6 minutes",
            "about an hour",
            "about 2 hours",
            "about 2 days",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn amounts_are_told_in_the_nearest_unit() {
        let told = [0, 999, 1000, 1500, 999_960, 12_400_000_000, 50_000_000_000].map(|bytes| Amount(bytes).to_string());
        assert_eq!(told, ["0 bytes", "999 bytes", "1 kB", "1.5 kB", "1 MB", "12.4 GB", "50 GB"]);
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([Count(7), Count(1000), Count(104_212)].map(|n| n.to_string()), ["7", "1,000", "104,212"]);
    }

    #[test]
    fn a_meter_warns_when_nearly_full() {
        let meter = |used| Meter { used, of: 1_000_000 };
        assert_eq!(
            [1, 900_000, 2_000_000].map(|used| meter(used).fullness()),
            [Fullness::Roomy, Fullness::Near, Fullness::Full]
        );
        assert_eq!(meter(2_000_000).free(), Amount(0));
    }
}
