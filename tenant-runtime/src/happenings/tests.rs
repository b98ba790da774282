//! Rules held against independent computations, and the queue against what it promises.
#![allow(clippy::unwrap_used)]

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::json;

use super::schedules::{self, Draft, Source, Standing};
use super::*;
use crate::schema;

const MINUTE: i64 = 60_000;

fn cron(rule: &str, zone: &str) -> Timing {
    Written { cron: Some(rule.into()), zone: Some(zone.into()), ..Written::default() }.parse().unwrap()
}

fn rrule(rule: &str, start: &str, zone: &str) -> Result<Timing, Error> {
    let written = Written { rrule: Some(rule.into()), start: Some(start.into()), zone: Some(zone.into()), cron: None };
    written.parse()
}

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn times(timing: &Timing, after: &str, count: usize) -> Vec<String> {
    let next = |at: &i64| timing.next_after(*at);
    let all = std::iter::successors(timing.next_after(ms(after)), next).take(count);
    all.map(|at| Timestamp::from_millisecond(at).unwrap().to_string()).collect()
}

#[test]
fn a_time_on_the_wall_stays_where_clocks_leap() {
    let seven = cron("0 7 * * *", "Europe/Vienna");
    assert_eq!(
        times(&seven, "2026-03-27T12:00:00Z", 3),
        ["2026-03-28T06:00:00Z", "2026-03-29T05:00:00Z", "2026-03-30T05:00:00Z"]
    );
    // 02:30 is leapt over on the 29th of March, and there twice on the 25th of October.
    let half_past_two = cron("30 2 * * *", "Europe/Vienna");
    assert_eq!(times(&half_past_two, "2026-03-28T12:00:00Z", 2), ["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]);
    assert_eq!(times(&half_past_two, "2026-10-24T12:00:00Z", 2), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    // A pace is no time on the wall: it goes through both hours, and the missing one is missing.
    let hourly = cron("30 * * * *", "Europe/Vienna");
    assert_eq!(
        times(&hourly, "2026-10-24T23:45:00Z", 3),
        ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]
    );
    assert_eq!(times(&hourly, "2026-03-29T00:00:00Z", 2), ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"]);
    let six_hours = rrule("FREQ=HOURLY;INTERVAL=6", "2026-10-24T01:00", "Europe/Vienna").unwrap();
    assert_eq!(times(&six_hours, "2026-10-24T18:00:00Z", 2), ["2026-10-24T23:00:00Z", "2026-10-25T06:00:00Z"]);
}

#[test]
fn the_examples_of_rfc_5545_come_out() {
    let shown = |rule: &str, count| {
        let timing = rrule(rule, "1997-09-02T09:00", "America/New_York").unwrap();
        let zone = TimeZone::get("America/New_York").unwrap();
        let day = |at: String| zone.to_datetime(at.parse().unwrap()).strftime("%m-%d").to_string();
        times(&timing, "1997-09-01T00:00:00Z", count).into_iter().map(day).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown("FREQ=DAILY;COUNT=3", 9), "09-02 09-03 09-04");
    assert_eq!(shown("FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH", 20).split(' ').count(), 10);
    assert_eq!(
        shown("FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH", 9),
        "09-02 09-04 09-16 09-18 09-30 10-02 10-14 10-16"
    );
    assert_eq!(shown("FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", 9), "09-22 10-20 11-17 12-22 01-19 02-16");
    assert_eq!(shown("FREQ=MONTHLY;BYMONTHDAY=-3", 3), "09-28 10-29 11-28");
    assert_eq!(shown("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", 3), "02-13 03-13 11-13");
    assert_eq!(shown("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", 9), "09-04 10-07 11-06");
    assert_eq!(shown("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", 3), "09-29 10-30 11-27");
    assert_eq!(shown("FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", 2), "11-04 11-06");
    assert_eq!(shown("FREQ=YEARLY;BYDAY=20MO", 2), "05-18 05-17");
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    for rule in [
        "",
        "* * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "5-1 * * * *",
        "*/0 * * * *",
        "0 0 30 2 *",
        "x * * * *",
        "1,,2 * * * *",
    ] {
        assert!(Written { cron: Some(rule.into()), ..Written::default() }.parse().is_err(), "{rule}");
    }
    for rule in [
        "",
        "FREQ=SECONDLY",
        "FREQ=DAILY;FREQ=DAILY",
        "INTERVAL=2",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;COUNT=3;UNTIL=20300101",
        "FREQ=DAILY;BYHOUR=24",
        "FREQ=WEEKLY;BYDAY=1MO",
        "FREQ=YEARLY;BYWEEKNO=3",
        "FREQ=DAILY;UNTIL=20200101",
        "FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2",
        "FREQ=DAILY;BYSETPOS=1",
        "FREQ=DAILY;X=1",
        "FREQ=DAILY;COUNT=1001",
        "FREQ=YEARLY;BYHOUR=0,1,2,3,4;BYMINUTE=0,5,10,15,20,25,30,35,40,45",
    ] {
        assert!(rrule(rule, "2026-11-30T07:00", "UTC").is_err(), "{rule}");
    }
    let zone = Written { cron: Some("0 7 * * *".into()), zone: Some("Europe/Nowhere".into()), ..Written::default() };
    assert!(zone.parse().unwrap_err().to_string().contains("no time zone"));
    assert!(Written { start: Some("2026-11-30T07:00Z".into()), ..Written::default() }.parse().is_err());
}

#[test]
fn rules_are_said_in_plain_words() {
    for (rule, words) in [
        ("0 7 * * 1-5", "every weekday at 07:00"),
        ("30 18 * * *", "every day at 18:30"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0 * * * *", "every hour at 0 past"),
        ("0 9 1 * *", "on the 1st of every month at 09:00"),
        ("0 9,17 * * mon,thu", "every Monday and Thursday at 09:00 and 17:00"),
        ("0 0 1-7 * 1", "by the rule “0 0 1-7 * 1”"),
    ] {
        assert_eq!(cron(rule, "UTC").words(), words, "{rule}");
    }
    for (rule, words) in [
        ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "every weekday at 07:05"),
        ("FREQ=DAILY;INTERVAL=3", "every 3 days at 07:05"),
        ("FREQ=MONTHLY;BYDAY=-1FR", "on the last Friday of every month at 07:05"),
        ("FREQ=YEARLY", "every year on 30 November at 07:05"),
        ("FREQ=DAILY;COUNT=1", "once, on 30 November 2026 at 07:05"),
    ] {
        assert_eq!(rrule(rule, "2026-11-30T07:05", "UTC").unwrap().words(), words, "{rule}");
    }
}

/// All times of a rule of five fields in some days, found by looking at every minute there is.
fn by_every_minute(rule: &super::cron::Cron, zone: &TimeZone, from: i64, days: i64) -> Vec<i64> {
    let each = rule.leap() == super::wall::Leap::Each;
    let means = |wall: DateTime| {
        rule.means(wall.date()) && rule.hours & (1 << wall.hour()) != 0 && rule.minutes & (1 << wall.minute()) != 0
    };
    let wall = |at: i64| zone.to_datetime(Timestamp::from_millisecond(at).unwrap());
    let mut found = Vec::new();
    for at in (1..=days * 24 * 60).map(|minute| from + minute * MINUTE) {
        let here = wall(at);
        let near = [at, at - 180 * MINUTE].map(|at| zone.to_offset(Timestamp::from_millisecond(at).unwrap()));
        let leaps = near[0] != near[1];
        // An hour or less ago the clock showed the same already.
        let again = leaps && (1..=180).any(|back| wall(at - back * MINUTE) == here);
        // What was leapt over happens as much later.
        let shifted = leaps
            && !each
            && (0..180).any(|back| {
                let (now, then) = (wall(at - back * MINUTE), wall(at - (back + 1) * MINUTE));
                let gap = now.duration_since(then) - SignedDuration::from_mins(1);
                gap > SignedDuration::ZERO && back < gap.as_mins() && means(here.checked_sub(gap).unwrap())
            });
        if (means(here) && (each || !again)) || shifted {
            found.push(at);
        }
    }
    found
}

fn field(first: u32, last: u32) -> impl Strategy<Value = String> {
    let number = first..=last;
    prop_oneof![
        3 => Just("*".to_owned()),
        2 => number.clone().prop_map(|n| n.to_string()),
        1 => (2..=(last / 2).max(2)).prop_map(|step| format!("*/{step}")),
        1 => proptest::collection::vec(number.clone(), 2..4)
            .prop_map(|all| all.iter().map(u32::to_string).collect::<Vec<_>>().join(",")),
        1 => (number.clone(), number).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_cron_rule_means_just_the_minutes_that_fit(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 28), weekday in field(0, 6),
        zone in prop_oneof!["Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "UTC", "America/Santiago"],
        near in prop_oneof![Just("2026-03-28T00:00:00Z"), Just("2026-10-24T00:00:00Z"), Just("2026-03-07T00:00:00Z"),
            Just("2026-04-03T12:00:00Z"), Just("2026-10-31T00:00:00Z"), Just("2026-10-03T00:00:00Z")],
    ) {
        let text = format!("{minute} {hour} {day} * {weekday}");
        let (rule, clock) = (super::cron::Cron::parse(&text).unwrap(), TimeZone::get(&zone).unwrap());
        let expected = by_every_minute(&rule, &clock, ms(near), 3);
        let timing = cron(&text, &zone);
        let end = ms(near) + 3 * 24 * 60 * MINUTE;
        let found: Vec<i64> = std::iter::successors(timing.next_after(ms(near)), |at| timing.next_after(*at))
            .take_while(|at| *at <= end).collect();
        prop_assert_eq!(found, expected, "{} in {}", text, zone);
    }

    #[test]
    fn a_recurrence_rule_means_what_another_implementation_says(
        freq in prop_oneof!["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"],
        interval in 1..4u32,
        months in proptest::collection::btree_set(1..13u32, 0..3),
        month_days in proptest::collection::btree_set(prop_oneof![1..29i32, -5..0i32], 0..3),
        days in proptest::collection::btree_set(prop_oneof!["MO", "TU", "WE", "TH", "FR", "SA", "SU"], 0..4),
        hours in proptest::collection::btree_set(0..24u32, 0..3),
        position in proptest::option::of(prop_oneof![Just(1), Just(2), Just(-1)]),
        day in 1..28u32,
    ) {
        let list = |name: &str, all: Vec<String>| if all.is_empty() { String::new() } else { format!(";{name}={}", all.join(",")) };
        let mut rule = format!("FREQ={freq};INTERVAL={interval}");
        rule += &list("BYMONTH", months.iter().map(ToString::to_string).collect());
        if freq != "WEEKLY" {
            rule += &list("BYMONTHDAY", month_days.iter().map(ToString::to_string).collect());
        }
        rule += &list("BYDAY", days.iter().cloned().collect());
        rule += &list("BYHOUR", hours.iter().map(ToString::to_string).collect());
        // The other one counts the first week from its start on, and RFC 5545 all of it.
        if let (Some(position), false, true) = (position, days.is_empty(), freq != "WEEKLY") {
            rule += &format!(";BYSETPOS={position}");
        }
        let start = format!("2025-01-{day:02}T09:30:00");
        let Ok(ours) = rrule(&rule, &start, "UTC") else { return Ok(()) };
        let text = format!("DTSTART:202501{day:02}T093000Z\nRRULE:{rule}");
        let Ok(theirs) = text.parse::<rrule::RRuleSet>() else { return Ok(()) };
        let expected: Vec<i64> = theirs.all(12).dates.iter().map(|at| at.timestamp() * 1000).collect();
        let first = ms("2024-12-31T00:00:00Z");
        let found: Vec<i64> = std::iter::successors(ours.next_after(first), |at| ours.next_after(*at)).take(expected.len()).collect();
        prop_assert_eq!(found, expected, "{}", rule);
    }
}

fn app() -> export_format::AppId {
    "com.example.tasks".parse().unwrap()
}

/// A home with an app in it.
fn home() -> Connection {
    let db = schema::in_memory();
    db.execute("insert into app (id, label, release, installed) values ('com.example.tasks', 'tasks', 1, 1)", [])
        .unwrap();
    db
}

fn daily(name: &str, action: Action) -> Draft {
    let when = Written { cron: Some("0 7 * * *".into()), zone: Some("UTC".into()), ..Written::default() };
    Draft { name: name.into(), title: "Water the plants".into(), when, action, paused: false }
}

fn water() -> Action {
    Action::Notice(notices::Words { title: "Water".into(), text: "The ficus too.".into(), link: None })
}

#[test]
fn a_time_that_has_come_is_told_once_and_missed_times_are_one() {
    let (db, start) = (home(), ms("2026-12-01T12:00:00Z"));
    schedules::put(&db, &app(), &daily("water", water()), Source::App, start).unwrap();
    let due = ms("2026-12-02T07:00:00Z");
    assert_eq!(next_due(&db).unwrap(), Some(due));
    assert_eq!(fire(&db, due - 1).unwrap(), 0);
    assert_eq!(fire(&db, due).unwrap(), 1);
    assert_eq!(fire(&db, due).unwrap(), 0, "it is over for this time");
    assert_eq!(notices::all(&db).unwrap()[0].words.title, "Water");
    // Ten days away are one happening, for the first time that was missed.
    let back = ms("2026-12-12T09:00:00Z");
    assert_eq!(fire(&db, back).unwrap(), 1);
    assert_eq!(next_due(&db).unwrap(), Some(ms("2026-12-13T07:00:00Z")));
    let told = log(&db, Some(&app()), 9).unwrap();
    assert_eq!(
        told.iter().map(|one| (one.due, one.state)).collect::<Vec<_>>(),
        [(ms("2026-12-03T07:00:00Z"), State::Done), (due, State::Done),]
    );
}

#[test]
fn a_try_of_which_nothing_more_is_heard_is_made_again_and_in_the_end_given_up() {
    let (db, start) = (home(), ms("2026-12-01T12:00:00Z"));
    schedules::put(&db, &app(), &daily("call", Action::Handler(json!({"n": 1}))), Source::App, start).unwrap();
    let mut now = ms("2026-12-02T07:00:00Z");
    fire(&db, now).unwrap();
    db.execute("update schedule set due = null", []).unwrap();
    let one = ready(&db, now, 9).unwrap().remove(0);
    assert_eq!(one.event().payload, json!({"n": 1}));
    begin(&db, &one, now).unwrap();
    assert!(ready(&db, now, 9).unwrap().is_empty(), "it is being tried");
    let mut tries = 1;
    while let Some(next) = next_due(&db).unwrap() {
        assert!(next > now);
        now = next;
        let again = ready(&db, now, 9).unwrap().remove(0);
        assert_eq!((again.id.as_str(), again.tries), (one.id.as_str(), tries));
        begin(&db, &again, now).unwrap();
        conclude(&db, &again, &Outcome::Later { why: "away".into(), after: None }, now).unwrap();
        tries += 1;
    }
    let given_up = &log(&db, None, 1).unwrap()[0];
    assert_eq!((given_up.state, given_up.why.as_deref()), (State::Failed, Some("away")));
    assert!(now - given_up.due > 24 * 60 * MINUTE, "for a day at least");
}

#[test]
fn what_the_owner_paused_stays_paused_and_an_app_that_is_removed_does_nothing() {
    let (db, start) = (home(), ms("2026-12-01T12:00:00Z"));
    let made = schedules::put(&db, &app(), &daily("water", water()), Source::App, start).unwrap();
    schedules::set_standing(&db, &made.id, false, start).unwrap();
    let again = schedules::put(&db, &app(), &daily("water", water()), Source::App, start).unwrap();
    assert_eq!((again.standing, again.id == made.id, next_due(&db).unwrap()), (Standing::Paused, true, None));
    schedules::set_standing(&db, &made.id, true, start).unwrap();
    assert!(next_due(&db).unwrap().is_some());
    db.execute("update app set removed = 5", []).unwrap();
    assert_eq!((next_due(&db).unwrap(), fire(&db, start + 999 * 24 * 60 * MINUTE).unwrap()), (None, 0));
}

#[test]
fn there_are_only_so_many_and_a_link_leads_into_the_app() {
    let (db, now) = (home(), ms("2026-12-01T12:00:00Z"));
    for n in 0..schedules::MOST_OF_APP {
        schedules::put(&db, &app(), &daily(&format!("n{n}"), water()), Source::App, now).unwrap();
    }
    let one_more = schedules::put(&db, &app(), &daily("more", water()), Source::App, now);
    assert!(matches!(one_more, Err(Error::TooMany(_))));
    schedules::put(&db, &app(), &daily("n0", water()), Source::App, now).expect("one that is there may change");
    for link in ["https://evil.example/", "//evil.example", "apps/x", ""] {
        let words = notices::Words { title: "x".into(), link: Some(link.into()), ..notices::Words::default() };
        assert!(
            matches!(
                schedules::put(&db, &app(), &daily("n1", Action::Notice(words)), Source::App, now),
                Err(Error::Wrong(_))
            ),
            "{link}"
        );
    }
}

#[test]
fn what_comes_with_an_archive_waits_and_says_the_same_until_the_owner_does() {
    let (db, now) = (home(), ms("2026-12-01T12:00:00Z"));
    schedules::put(&db, &app(), &daily("water", water()), Source::App, now).unwrap();
    schedules::put(&db, &app(), &daily("call", Action::Handler(json!(1))), Source::App, now).unwrap();
    fire(&db, ms("2026-12-02T07:00:00Z")).unwrap();
    let here = Luggage::take(&db).unwrap();
    let there = Luggage {
        schedules: here.schedules.iter().map(|one| Schedule::of_row(&one.to_row(), 0).unwrap()).collect(),
        happenings: here.happenings.iter().map(|one| Happening::of_row(&one.to_row()).unwrap()).collect(),
        notices: here.notices.iter().map(|one| Notice::of_row(&one.to_row()).unwrap()).collect(),
        ..Luggage::default()
    };
    let other = home();
    there.put(&other).unwrap();
    assert_eq!((next_due(&other).unwrap(), held(&other).unwrap()), (None, 3), "nothing starts by itself");
    let rows = |all: &Luggage| {
        all.schedules
            .iter()
            .map(|one| one.to_row())
            .chain(all.happenings.iter().map(|one| one.to_row()))
            .collect::<Vec<_>>()
    };
    assert_eq!(rows(&Luggage::take(&other).unwrap()), rows(&here));
    let later = ms("2026-12-20T00:00:00Z");
    answer_all(&other, true, later).unwrap();
    assert_eq!(next_due(&other).unwrap(), Some(later), "what waited there is done now");
    assert_eq!(schedules::get(&other, &app(), "water").unwrap().unwrap().due, Some(ms("2026-12-20T07:00:00Z")));
}
