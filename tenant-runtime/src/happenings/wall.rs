//! From the clock on the wall to moments.
//!
//! Twice a year most clocks leap. What is planned for a time that is leapt over happens as much later as the leap is long; what
//! is planned for a time that comes twice happens the first time. A rule that says *every hour* is no time on the wall but a
//! pace: it happens in both of the two hours and not in the missing one.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// What a rule means by a time that comes twice or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leap {
    /// It is meant once, whatever the clock does.
    Once,
    /// It is meant as often as the clock shows it.
    Each,
}

/// Clocks leap by a day at most: where a country changed sides of the date line.
const LEAP: SignedDuration = SignedDuration::from_hours(26);
/// How many times on the wall are looked at; leaps have far fewer near them.
const MOST: usize = 10_000;

/// The first moment after `after` that `following` means; that gives the first time on the wall from the one it is asked for.
pub(super) fn next(
    zone: &TimeZone,
    after: Timestamp,
    leap: Leap,
    following: impl Fn(DateTime) -> Option<DateTime>,
) -> Option<Timestamp> {
    let here = zone.to_datetime(after);
    let offset = zone.to_offset(after);
    let is_even = [after.saturating_sub(LEAP), after.saturating_add(LEAP)]
        .into_iter()
        .all(|near| near.is_ok_and(|near| zone.to_offset(near) == offset));
    let mut from = if is_even { here } else { here.saturating_sub(LEAP) };
    let mut best: Option<Timestamp> = None;
    for _ in 0..MOST {
        let Some(wall) = following(from) else { break };
        let ambiguous = zone.to_ambiguous_timestamp(wall).offset();
        let (first, second) = match (ambiguous, leap) {
            (AmbiguousOffset::Unambiguous { offset }, _) => (Some(offset), None),
            (AmbiguousOffset::Gap { before, .. }, Leap::Once) => (Some(before), None),
            (AmbiguousOffset::Gap { .. }, Leap::Each) => (None, None),
            (AmbiguousOffset::Fold { before, .. }, Leap::Once) => (Some(before), None),
            (AmbiguousOffset::Fold { before, after }, Leap::Each) => (Some(before), Some(after)),
        };
        let moments = [first, second].into_iter().flatten().filter_map(|offset| offset.to_timestamp(wall).ok());
        best = moments.filter(|moment| *moment > after).chain(best).min();
        // Nothing that comes later on the wall can be sooner than one that is there once.
        if best.is_some() && matches!(ambiguous, AmbiguousOffset::Unambiguous { .. }) {
            break;
        }
        from = wall.checked_add(SignedDuration::from_secs(1)).ok()?;
    }
    best
}
