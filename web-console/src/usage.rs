//! What servers use, as their owners and who runs the business read it: the same figures in the same words.

use control_plane::metering::{Month, Used};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::parts::{Fact, Html};
use crate::show::{Amount, Spell};

/// Which month a page is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wish {
    month: String,
}

/// A month on a page, with the ways to the ones beside it.
#[derive(Debug, Clone)]
pub(crate) struct Pick {
    pub(crate) month: Month,
    /// `November 2026`.
    pub(crate) words: String,
    /// Where to go for the month before.
    pub(crate) before: String,
    /// Where to go for the month after; this month has none.
    pub(crate) after: Option<String>,
    /// The part of the month that has passed, in seconds.
    seconds: u64,
}

impl Pick {
    /// The month that is asked for; the present one when none is, when it is no month, or when it is yet to come.
    pub(crate) fn of(wish: &Wish, now: Timestamp) -> Self {
        let present = Month::of(now);
        let month = wish.month.parse().ok().filter(|month| *month <= present).unwrap_or(present);
        let first = midnight(month);
        let end = if month == present { now } else { midnight(month.next()) };
        Self {
            month,
            words: month.first_day().strftime("%B %Y").to_string(),
            before: month.previous().to_string(),
            after: (month < present).then(|| month.next().to_string()),
            seconds: u64::try_from(end.duration_since(first).as_secs()).unwrap_or_default(),
        }
    }

    /// How much was kept on average over the part of the month that has passed.
    pub(crate) fn average(&self, used: &Used) -> Amount {
        Amount(used.average_stored(self.seconds))
    }
}

fn midnight(month: Month) -> Timestamp {
    month.first_day().to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).unwrap_or_default()
}

/// The heads of a table of usage; `first` is what its rows are.
pub(crate) fn heads(first: &'static str) -> [&'static str; 5] {
    [first, "#Came in", "#Went out", "#Awake", "#Processor"]
}

/// The cells of a row after its first.
pub(crate) fn cells(used: &Used) -> Vec<Html> {
    vec![
        Html::text(Amount(used.bytes_in)),
        Html::text(Amount(used.bytes_out)),
        Html::text(Spell(used.awake_ms)),
        Html::text(Spell(used.cpu_us / 1000)),
    ]
}

/// A whole month as facts.
pub(crate) fn facts(pick: &Pick, used: &Used, stored_now: Option<u64>) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(bytes) = stored_now {
        facts.push(Fact::new("Kept now", Amount(bytes)));
    }
    // What a server keeps is learned when it falls asleep; before that there is nothing to tell.
    if used.stored_byte_seconds > 0 {
        facts.push(Fact::new("Kept on average", pick.average(used)).noted("over the month so far"));
    }
    facts.extend([
        Fact::new("Came in", Amount(used.bytes_in)).noted("uploads and what apps sent"),
        Fact::new("Went out", Amount(used.bytes_out)).noted("pages, files and answers"),
        Fact::new("Awake", Spell(used.awake_ms)).noted("asleep it costs nothing but its storage"),
        Fact::new("Processor time", Spell(used.cpu_us / 1000)),
    ]);
    facts
}

/// A day of a table.
pub(crate) fn day(day: jiff::civil::Date) -> Html {
    Html::text(day.strftime("%-d %B"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pick(month: &str) -> Pick {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        Pick::of(&Wish { month: month.to_owned() }, now)
    }

    #[test]
    fn a_month_that_is_over_is_told_whole_and_the_present_one_so_far() {
        let used = Used { stored_byte_seconds: 30 * 24 * 3600 * 1000, ..Used::default() };
        let past = pick("2026-09");
        assert_eq!(
            (past.words.as_str(), past.before.as_str(), past.after.as_deref()),
            ("September 2026", "2026-08", Some("2026-10"))
        );
        assert_eq!(past.average(&used), Amount(1000));
        let present = pick("2026-11");
        assert_eq!((present.after.clone(), present.seconds), (None, (20 * 24 + 12) * 3600));
        for nonsense in ["", "2027-01", "November", "2026-13", "../x"] {
            assert_eq!(pick(nonsense).month, present.month, "{nonsense:?}");
        }
    }
}
