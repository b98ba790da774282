//! Rules in plain words, as far as there are any; else the rule itself is shown.

use jiff::civil::Weekday;

use super::cron::Cron;
use super::recur::{End, Freq, Recurrence};
use super::timing::Rule;

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) fn of(rule: &Rule) -> String {
    match rule {
        Rule::Cron(cron, text) => of_cron(cron).unwrap_or_else(|| format!("by the rule “{text}”")),
        Rule::Recurs(rule, text) => of_recurrence(rule).unwrap_or_else(|| format!("by the rule “{text}”")),
        Rule::Once(at) => format!("once, on {}", at.strftime("%-d %B %Y at %H:%M")),
    }
}

fn of_cron(cron: &Cron) -> Option<String> {
    let (minutes, hours) = (members(cron.minutes), members(cron.hours));
    let every_day = cron.any_day && cron.any_weekday && cron.weekdays == 0x7f && members(cron.days).len() == 31;
    let every_month = members(cron.months).len() == 12;
    if hours.len() == 24 && every_day && every_month {
        return match minutes.as_slice() {
            [minute] => Some(format!("every hour at {minute} past")),
            all if all.len() == 60 => Some("every minute".to_owned()),
            all => even(all, 60).map(|step| format!("every {step} minutes")),
        };
    }
    let [minute] = minutes.as_slice() else { return None };
    let times = match even(&hours, 24).filter(|_| hours.len() > 3 && hours[0] == 0) {
        Some(step) => format!("every {step} hours at {minute} past"),
        None if hours.len() <= 6 => {
            format!("at {}", list(hours.iter().map(|hour| format!("{hour:02}:{minute:02}")).collect()))
        }
        None => return None,
    };
    let weekdays: Vec<usize> = members(cron.weekdays).into_iter().map(|day| (day as usize + 6) % 7).collect();
    let days = match (cron.any_day, cron.any_weekday) {
        (true, true) if every_day => "every day".to_owned(),
        (true, false) if members(cron.days).len() == 31 => weekly(weekdays),
        (false, true) if cron.weekdays == 0x7f => {
            let days = list(members(cron.days).into_iter().map(|day| nth(day as i64)).collect());
            let months = members(cron.months);
            let months = list(months.into_iter().map(|month| MONTHS[month as usize - 1].to_owned()).collect());
            return Some(match every_month {
                true => format!("on the {days} of every month {times}"),
                false => format!("on the {days} of {months} {times}"),
            });
        }
        _ => return None,
    };
    every_month.then(|| if times.starts_with("every") { format!("{days}, {times}") } else { format!("{days} {times}") })
}

fn of_recurrence(rule: &Recurrence) -> Option<String> {
    if !rule.positions.is_empty() || !rule.months.is_empty() && rule.freq != Freq::Yearly {
        return None;
    }
    let hours = if rule.hours.is_empty() { vec![rule.start.hour()] } else { rule.hours.clone() };
    let minutes = if rule.minutes.is_empty() { vec![rule.start.minute()] } else { rule.minutes.clone() };
    let [minute] = minutes.as_slice() else { return None };
    let at = format!("at {}", list(hours.iter().map(|hour| format!("{hour:02}:{minute:02}")).collect()));
    let plain = rule.days.iter().all(|(nth, _)| *nth == 0);
    let every = |unit: &str| match rule.interval {
        1 => format!("every {unit}"),
        n => format!("every {n} {unit}s"),
    };
    let days: Vec<usize> = rule.days.iter().map(|(_, day)| at_monday(*day)).collect();
    let (bare, no_days) = (rule.month_days.is_empty(), rule.days.is_empty());
    let words = match rule.freq {
        Freq::Minutely if bare && no_days && rule.hours.is_empty() && rule.minutes.is_empty() => every("minute"),
        Freq::Hourly if bare && no_days && rule.hours.is_empty() => format!("{} at {minute} past", every("hour")),
        Freq::Daily if bare && no_days => format!("{} {at}", every("day")),
        Freq::Daily if bare && rule.interval == 1 => format!("{} {at}", weekly(days)),
        Freq::Weekly => {
            let days = if no_days { vec![at_monday(rule.start.date().weekday())] } else { days };
            match rule.interval {
                1 => format!("{} {at}", weekly(days)),
                n => format!("every {n} weeks on {} {at}", list(names(days))),
            }
        }
        Freq::Monthly if no_days => {
            let days = if bare { vec![rule.start.day()] } else { rule.month_days.clone() };
            let days = list(days.into_iter().map(|day| nth(day.into())).collect());
            format!("on the {days} of {} {at}", every("month"))
        }
        Freq::Monthly if bare && !plain => {
            let days =
                rule.days.iter().map(|(which, day)| format!("{} {}", nth((*which).into()), DAYS[at_monday(*day)]));
            format!("on the {} of {} {at}", list(days.collect()), every("month"))
        }
        Freq::Yearly if no_days && bare && rule.months.len() <= 1 => {
            let month = rule.months.first().copied().unwrap_or(rule.start.month());
            format!("{} on {} {} {at}", every("year"), rule.start.day(), MONTHS[month as usize - 1])
        }
        _ => return None,
    };
    Some(match rule.end {
        End::Never => words,
        End::Count(1) => format!("once, on {}", rule.start.strftime("%-d %B %Y at %H:%M")),
        End::Count(count) => format!("{words}, {count} times"),
        End::Until(until) => format!("{words}, until {}", until.strftime("%-d %B %Y")),
    })
}

fn members(set: u64) -> Vec<u32> {
    (0..64).filter(|n| set & (1 << n) != 0).collect()
}

/// The step between numbers that lie evenly in a circle of `all`.
fn even(numbers: &[u32], all: u32) -> Option<u32> {
    let step = all.checked_div(u32::try_from(numbers.len()).ok()?)?;
    let fits = numbers.iter().enumerate().all(|(at, number)| *number == numbers[0] + step * at as u32);
    (numbers.len() > 1 && fits && all.is_multiple_of(step) && numbers[0] < step).then_some(step)
}

fn at_monday(day: Weekday) -> usize {
    day.to_monday_zero_offset() as usize
}

fn names(days: Vec<usize>) -> Vec<String> {
    days.into_iter().map(|day| DAYS[day].to_owned()).collect()
}

fn weekly(mut days: Vec<usize>) -> String {
    days.sort_unstable();
    days.dedup();
    match days.as_slice() {
        [0, 1, 2, 3, 4] => "every weekday".to_owned(),
        [5, 6] => "every Saturday and Sunday".to_owned(),
        [0, 1, 2, 3, 4, 5, 6] => "every day".to_owned(),
        _ => format!("every {}", list(names(days))),
    }
}

fn nth(number: i64) -> String {
    match number {
        -1 => "last".to_owned(),
        back if back < 0 => format!("{} last", nth(-back)),
        0 => "every".to_owned(),
        11..=13 => format!("{number}th"),
        n => match n % 10 {
            1 => format!("{n}st"),
            2 => format!("{n}nd"),
            3 => format!("{n}rd"),
            _ => format!("{n}th"),
        },
    }
}

fn list(items: Vec<String>) -> String {
    match items.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
