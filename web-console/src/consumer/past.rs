//! Going back in time: which moments are kept, what one of them would change, a yes, and the way back from there.
//!
//! A moment is picked from a list of things that happened or by day and time. Without script the time is in UTC and the
//! page says so; with script it is on the reader's own clock, and the form carries how far that is from UTC.

use axum::extract::{Path, Query};
use control_plane::Error;
use control_plane::servers;
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::Deserialize;
use tenant_runtime::admin::api::{PastPreview, PastView, RestoreView};

use super::{base, own_server};
use crate::page::{self, Answer};
use crate::parts::{Fact, moment};
use crate::shell::Shell;
use crate::show::{self, Amount, Count};
use crate::visit::{Nothing, Posted, Visit};

#[derive(askama::Template)]
#[template(path = "consumer/past.html")]
struct PastPage {
    shell: Shell,
    path: String,
    kept: bool,
    window: Vec<Fact>,
    first_day: String,
    last_day: String,
    time: String,
    problem: Option<String>,
    moments: Vec<Happened>,
    gone_back: Vec<GoneBack>,
    days: u32,
}

/// Something that happened, to go back to the moment before it.
struct Happened {
    at_ms: i64,
    what: String,
    when: show::Moment,
}

/// A going back that was done.
struct GoneBack {
    id: String,
    to: show::Moment,
    when: show::Moment,
    undo_until: Option<show::Moment>,
    undone: bool,
}

#[derive(askama::Template)]
#[template(path = "consumer/past_preview.html")]
struct PreviewPage {
    shell: Shell,
    path: String,
    at_ms: i64,
    to: show::Moment,
    request_key: String,
    lines: Vec<String>,
    days: u32,
}

/// A moment as it is picked: in milliseconds, or by day and time so many minutes ahead of UTC.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    at: String,
    day: String,
    time: String,
    ahead: String,
}

/// How long a picked minute lasts.
const MINUTE_MS: i64 = 60_000;

impl Wish {
    /// A minute means the state at its end, as far as it has come: the minute in which a server was made has no state
    /// at its beginning.
    fn moment(&self, now_ms: i64) -> Option<i64> {
        if let Ok(at) = self.at.parse() {
            return Some(at);
        }
        let (day, time): (Date, Time) = (self.day.parse().ok()?, self.time.parse().ok()?);
        let utc = day.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond();
        let ahead: i64 = self.ahead.parse().unwrap_or_default();
        let begins = utc - ahead * MINUTE_MS;
        let ends = if begins <= now_ms { now_ms.min(begins + MINUTE_MS - 1) } else { begins };
        (ahead.abs() <= 16 * 60).then_some(ends)
    }
}

/// What the yes sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Yes {
    at: String,
    request_key: String,
}

/// `GET /servers/{name}/past`.
pub(super) async fn show(visit: Visit, Path(name): Path<String>) -> Answer {
    let server = own_server(&visit, &name).await?;
    past_page(&visit, &server, None).await
}

async fn past_page(visit: &Visit, server: &servers::Server, problem: Option<String>) -> Answer {
    let plane = visit.console.plane();
    let past: PastView = servers::past(plane, &visit.actor, server.id).await?;
    let now = plane.now();
    let is_open = |restore: &RestoreView| !restore.undone && now.as_millisecond() < restore.undo_until_ms;
    let gone_back = past.restores.iter().map(|restore| GoneBack {
        to: show::both(moment(restore.at_ms)),
        when: show::both(moment(restore.done_ms)),
        undo_until: is_open(restore).then(|| show::day(moment(restore.undo_until_ms))),
        undone: restore.undone,
        id: restore.id.clone(),
    });
    let moments = past.moments.iter().map(|happened| Happened {
        at_ms: happened.at_ms,
        what: capital(&happened.what),
        when: show::both(moment(happened.at_ms)),
    });
    let clock = |at: Timestamp, format: &str| at.to_zoned(TimeZone::UTC).strftime(format).to_string();
    page::show_as(
        problem.as_ref().map_or(axum::http::StatusCode::OK, |_| axum::http::StatusCode::UNPROCESSABLE_ENTITY),
        &PastPage {
            shell: Shell::of(visit, "server", Some(server)).await?,
            path: base(server),
            kept: past.kept && past.from_ms < past.until_ms,
            window: window(&past),
            first_day: clock(moment(past.from_ms), "%Y-%m-%d"),
            last_day: clock(moment(past.until_ms), "%Y-%m-%d"),
            time: clock(moment(past.until_ms), "%H:%M"),
            problem,
            moments: moments.collect(),
            gone_back: gone_back.collect(),
            days: past.window_days,
        },
    )
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn window(past: &PastView) -> Vec<Fact> {
    let from = Fact::html("From", show::both(moment(past.from_ms)));
    let from = match past.shortened {
        true => from.noted(format!(
            "later than {} days ago: the server is younger, or its past took too much room",
            past.window_days
        )),
        false => from.noted(format!("{} days, as your plan says", past.window_days)),
    };
    let mut facts = vec![
        from,
        Fact::html("To", show::both(moment(past.until_ms))).noted("any minute in between, as it was at its end"),
    ];
    // It is counted now and then; before the first time there is nothing to tell.
    if past.bytes > 0 {
        facts.push(Fact::new("Room the past takes", Amount(past.bytes)).noted("not counted against your plan"));
    }
    facts
}

/// `GET /servers/{name}/past/preview`.
pub(super) async fn preview(visit: Visit, Path(name): Path<String>, Query(wish): Query<Wish>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let plane = visit.console.plane();
    let Some(at_ms) = wish.moment(plane.now().as_millisecond()) else {
        return past_page(&visit, &server, Some("Choose a day and a time.".into())).await;
    };
    let preview: PastPreview = match servers::preview(plane, &visit.actor, server.id, at_ms).await {
        Ok(preview) => preview,
        Err(error) if error.kind() == control_plane::Kind::Gone => {
            return past_page(&visit, &server, Some(error.sentence().to_owned())).await;
        }
        Err(error) => return Err(error.into()),
    };
    let bill = control_plane::subscriptions::bill(plane, &visit.actor, server.account).await?;
    page::show(&PreviewPage {
        shell: Shell::of(&visit, "server", Some(&server)).await?,
        path: base(&server),
        at_ms: preview.at_ms,
        to: show::both(moment(preview.at_ms)),
        request_key: hex::encode(rand::random::<[u8; 16]>()),
        lines: differences(&preview),
        days: bill.terms.undo_days,
    })
}

/// What differs, in sentences.
fn differences(preview: &PastPreview) -> Vec<String> {
    let mut lines = Vec::new();
    // The records of files differ as the files do, which are told below.
    for table in preview.tables.iter().filter(|table| table.table != "files") {
        let what = match table.table.as_str() {
            "" => table.app_name.clone(),
            name => format!("{}, {name}", table.app_name),
        };
        lines.extend(difference(&what, "record", table.returning, table.changing, table.leaving));
    }
    for files in &preview.files {
        lines.extend(difference(&files.app_name, "file", files.returning, files.changing, files.leaving));
    }
    for app in &preview.apps {
        lines.push(match (&app.now, &app.then) {
            (Some(now), Some(then)) => format!("{} goes from version {now} back to {then}.", app.name),
            (None, Some(then)) => format!("{} {then} is installed again.", app.name),
            (Some(_), None) => format!("{} is not installed any more.", app.name),
            (None, None) => return lines,
        });
    }
    if preview.settings > 0 {
        lines.push(format!("{} change.", many(preview.settings, "setting")));
    }
    lines
}

fn difference(place: &str, noun: &str, returning: u64, changing: u64, leaving: u64) -> Option<String> {
    let mut parts = Vec::new();
    if returning > 0 {
        parts.push(format!("{} {} back", many(returning, noun), if returning == 1 { "comes" } else { "come" }));
    }
    if changing > 0 {
        let back = if changing == 1 { "changes back to what it was" } else { "change back to what they were" };
        parts.push(format!("{} {back}", many(changing, noun)));
    }
    if leaving > 0 {
        parts.push(format!("{} made since {}", many(leaving, noun), if leaving == 1 { "goes" } else { "go" }));
    }
    (!parts.is_empty()).then(|| format!("{place}: {}.", parts.join(", ")))
}

fn many(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{} {noun}s", Count(count)),
    }
}

/// `POST /servers/{name}/past`: goes back.
pub(super) async fn go_back(visit: Visit, Path(name): Path<String>, Posted(yes): Posted<Yes>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let at_ms = yes.at.parse().map_err(|_| Error::new(control_plane::Kind::Fix, "Choose a moment first."))?;
    servers::go_back(visit.console.plane(), &visit.actor, server.id, &yes.request_key, at_ms).await?;
    page::on_to(&format!("{}/past", base(&server)))
}

/// `POST /servers/{name}/past/{restore}/undo`: comes back from there.
pub(super) async fn undo(visit: Visit, Path((name, restore)): Path<(String, String)>, _: Posted<Nothing>) -> Answer {
    let server = own_server(&visit, &name).await?;
    let known = restore.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !known {
        return Err(Error::gone("Your server never went back under this number.").into());
    }
    servers::come_back(visit.console.plane(), &visit.actor, server.id, &restore).await?;
    page::on_to(&format!("{}/past", base(&server)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_in_milliseconds_or_on_any_clock() {
        let wish = |at: &str, day: &str, time: &str, ahead: &str| Wish {
            at: at.into(),
            day: day.into(),
            time: time.into(),
            ahead: ahead.into(),
        };
        let noon = 1_795_262_400_000; // 21 November 2026, 12:00 UTC
        let later = noon + 10 * MINUTE_MS;
        let end = Some(noon + MINUTE_MS - 1);
        assert_eq!(wish(&noon.to_string(), "", "", "").moment(later), Some(noon));
        assert_eq!(wish("", "2026-11-21", "12:00", "0").moment(later), end);
        assert_eq!(wish("", "2026-11-21", "13:00", "60").moment(later), end);
        assert_eq!(wish("", "2026-11-21", "06:30", "-330").moment(later), end);
        assert_eq!(wish("", "2026-11-21", "12:00", "").moment(later), end, "without script it is UTC");
        assert_eq!(wish("", "2026-11-21", "12:00", "0").moment(noon + 5), Some(noon + 5), "this minute is not over");
        assert_eq!(wish("", "2026-11-21", "12:00", "0").moment(noon - 5), Some(noon), "one to come stays so");
        for (day, time, ahead) in [("", "12:00", "0"), ("2026-11-21", "", "0"), ("2026-11-21", "12:00", "99999")] {
            assert_eq!(wish("", day, time, ahead).moment(later), None);
        }
    }

    #[test]
    fn differences_read_as_sentences() {
        assert_eq!(
            difference("Notes", "record", 12, 3, 1).as_deref(),
            Some("Notes: 12 records come back, 3 records change back to what they were, 1 record made since goes.")
        );
        assert_eq!(difference("Notes", "record", 0, 0, 0), None);
        assert_eq!(many(1, "file"), "1 file");
        assert_eq!(many(2_000, "file"), "2,000 files");
    }
}
