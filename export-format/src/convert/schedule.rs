//! What was planned to run, as events that repeat (iCalendar, RFC 5545).

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};

use super::apps::text_of;
use super::text::{escaped, folded, one_line};
use crate::row::Value;

pub(super) const BEGIN: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Freehold//freehold-archive//EN\r\n";
pub(super) const END: &str = "END:VCALENDAR\r\n";

/// A row of `schedules.ndjson` as an event, the first on or after `from`, at `stamp` (a time in the form of iCalendar); none if its rule
/// cannot stand there. Times are those of the clock on the wall, since a calendar knows time zones by their whole history only.
pub(super) fn of_row(row: &Value, from: Date, stamp: &str) -> Option<String> {
    let rule = text_of(row, &["rrule"])?.trim();
    let parts = parts(rule)?;
    let begin = first(&parts, from)?;
    let mut event = folded("BEGIN:VEVENT");
    let mut add = |property: &str, value: &str| event.push_str(&folded(&format!("{property}:{value}")));
    let id = text_of(row, &["id", "_id"]).unwrap_or(rule);
    add("UID", &escaped(&one_line(id)));
    add("DTSTAMP", stamp);
    add("DTSTART", &begin);
    add("RRULE", rule);
    add("SUMMARY", &escaped(text_of(row, &["name"]).unwrap_or("schedule")));
    let mut words = vec![];
    if let Some(app) = text_of(row, &["app"]) {
        words.push(format!("Run by the app {app}."));
    }
    if let Some(zone) = text_of(row, &["tz"]) {
        words.push(format!("Times are of {zone}."));
    }
    if row.get("enabled") == Some(&Value::Bool(false)) {
        words.push("It was switched off.".to_owned());
    }
    if let Some(action) = row.get("action") {
        words.push(format!("What it did: {}", action.to_stored()));
    }
    add("DESCRIPTION", &escaped(&words.join(" ")));
    add("TRANSP", "TRANSPARENT");
    event.push_str(&folded("END:VEVENT"));
    Some(event)
}

/// The parts of a rule, if it consists of nothing else and repeats by the day or more seldom.
fn parts(rule: &str) -> Option<Vec<(&str, &str)>> {
    let sound = |value: &str| {
        !value.is_empty()
            && value.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b',' | b'+' | b'-'))
    };
    let parts: Option<Vec<(&str, &str)>> =
        rule.split(';').map(|part| part.split_once('=').filter(|(name, value)| sound(name) && sound(value))).collect();
    let parts = parts.filter(|_| rule.len() <= 500)?;
    let freq = parts.iter().filter(|(name, _)| *name == "FREQ").map(|(_, value)| *value).collect::<Vec<_>>();
    matches!(freq.as_slice(), ["SECONDLY" | "MINUTELY" | "HOURLY" | "DAILY" | "WEEKLY" | "MONTHLY" | "YEARLY"])
        .then_some(parts)
}

/// The first time the rule means, at the start of the day where it says no hour.
fn first(parts: &[(&str, &str)], from: Date) -> Option<String> {
    let get = |wanted: &str| parts.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    let number = |name: &str, most: u8| match get(name) {
        None => Some(0),
        Some(list) => list.split(',').next()?.parse::<u8>().ok().filter(|number| *number <= most),
    };
    let (hour, minute, second) = (number("BYHOUR", 23)?, number("BYMINUTE", 59)?, number("BYSECOND", 59)?);
    let day_of = |text: &str| match text.get(text.len().checked_sub(2)?..)? {
        "MO" => Some(Weekday::Monday),
        "TU" => Some(Weekday::Tuesday),
        "WE" => Some(Weekday::Wednesday),
        "TH" => Some(Weekday::Thursday),
        "FR" => Some(Weekday::Friday),
        "SA" => Some(Weekday::Saturday),
        "SU" => Some(Weekday::Sunday),
        _ => None,
    };
    let fits = |date: &Date| {
        let in_list = |name: &str, number: i8| {
            get(name).is_none_or(|list| list.split(',').any(|item| item.parse::<i8>() == Ok(number)))
        };
        get("BYDAY").is_none_or(|list| list.split(',').any(|item| day_of(item) == Some(date.weekday())))
            && in_list("BYMONTHDAY", date.day())
            && in_list("BYMONTH", date.month())
    };
    let mut date = from;
    // A rule that means the 29th of February has its day within eight years.
    for _ in 0..8 * 366 {
        if fits(&date) {
            return Some(format!(
                "{:04}{:02}{:02}T{hour:02}{minute:02}{second:02}",
                date.year(),
                date.month(),
                date.day()
            ));
        }
        date = date.checked_add(1.day()).ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn event(rule: &str) -> Option<String> {
        let row = serde_json::json!({"id": "s-1", "name": "a\r\nBEGIN:VALARM", "rrule": rule, "tz": "Europe/Vienna"});
        of_row(&Value::from_stored(&row.to_string()).unwrap(), "2026-11-21".parse().unwrap(), "20261121T070000Z")
    }

    #[test]
    fn the_first_time_is_one_the_rule_means() {
        for (rule, begin) in [
            ("FREQ=DAILY;BYHOUR=7", "20261121T070000"),
            ("FREQ=WEEKLY;BYDAY=MO;BYHOUR=6;BYMINUTE=30", "20261123T063000"),
            ("FREQ=MONTHLY;BYMONTHDAY=1", "20261201T000000"),
            ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "20280229T000000"),
        ] {
            assert!(event(rule).unwrap().contains(&format!("\r\nDTSTART:{begin}\r\nRRULE:{rule}\r\n")), "{rule}");
        }
    }

    #[test]
    fn nothing_breaks_out_of_an_event() {
        assert!(event("FREQ=DAILY").unwrap().contains("SUMMARY:a\\nBEGIN:VALARM\r\n"));
        for rule in [
            "",
            "FREQ=DAILY\r\nATTACH:file:///etc/passwd",
            "FREQ=SOMETIMES",
            "BYHOUR=7",
            "FREQ=DAILY;BYHOUR=99",
            "FREQ=DAILY;;",
        ] {
            assert_eq!(event(rule), None, "{rule:?}");
        }
    }
}
