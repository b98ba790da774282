//! Plain folders: texts as Markdown, other documents as JSON, people as vCards, schedules as calendars, messages as mailboxes, and files as
//! they are. Whatever has no better form is copied as it stands.

use super::apps::{apps, each_row, keeps_people, segments, text_of};
use super::out::{Making, Out};
use super::text::file_name;
use super::{ConvertError, card, mail, schedule};
use crate::entry::{App, AppPart, Kind, Table};
use crate::layout::Entry;
use crate::reader::{Reader, Verified};
use crate::row::Value;
use crate::source::Source;

pub(super) const README: &str = "These are plain folders; no program of any provider is needed to read them.

- files/APP/ holds the files of each app, under the names they had.
- documents/APP/TABLE/ holds texts as Markdown, with their other members at the head; documents/APP/TABLE.json holds the documents
  that are no texts.
- contacts/ holds vCards, for any address book. calendar/ holds iCalendar files, for any calendar.
- messages/ holds mailboxes (mbox), for any mail program. Addresses that end in .invalid are no mail addresses: they stand for the
  identifiers that the X-CEPS lines have.
- more/ holds everything else as it stood in the archive: the apps themselves, settings, permissions, bills, sealed keys.
";

/// The members that may hold a text, and those that may hold its title.
const TEXTS: [&str; 5] = ["text", "markdown", "body", "content", "note"];
const TITLES: [&str; 3] = ["title", "name", "subject"];

pub(super) fn write<S: Source>(archive: &Reader<S, Verified>, out: &mut Out<'_>) -> Result<(), ConvertError> {
    for app in &apps(archive)? {
        for table in &app.tables {
            documents(archive, app, table, out)?;
        }
    }
    for entry in archive.entries().iter().filter(|entry| entry.path().is_payload()) {
        let within = entry.path().as_str().trim_start_matches("data/");
        let beneath = |folder: &str| within.strip_prefix(folder).unwrap_or(within).to_owned();
        match Kind::of(entry.path()) {
            Kind::App(_, AppPart::Segment(_)) => {}
            Kind::App(id, AppPart::File(rest)) => {
                out.copy(archive, entry, "files", &format!("{id}/{rest}"))?;
                out.wrote("files", "files/");
            }
            Kind::Contacts => {
                out.copy(archive, entry, "contacts", &beneath("contacts/"))?;
                out.wrote("files of contacts", "contacts/");
            }
            Kind::Calendar => {
                out.copy(archive, entry, "calendar", &beneath("calendar/"))?;
                out.wrote("calendars", "calendar/");
            }
            Kind::Schedules => {
                schedules(archive, entry, out)?;
                out.copy(archive, entry, "more", within)?;
                out.wrote("other files", "more/");
            }
            Kind::Message if within.starts_with("messages/ceps/") && within.ends_with(".ndjson") => {
                mailbox(archive, entry, &beneath("messages/ceps/"), out)?;
            }
            Kind::Message => {
                out.copy(archive, entry, "messages", &beneath("messages/"))?;
                out.wrote("other files of messages", "messages/");
            }
            _ => {
                out.copy(archive, entry, "more", within)?;
                out.wrote("other files", "more/");
            }
        }
    }
    Ok(())
}

fn documents<S: Source>(
    archive: &Reader<S, Verified>,
    app: &App,
    table: &Table,
    out: &mut Out<'_>,
) -> Result<(), ConvertError> {
    let name = file_name(&table.name);
    let mut list: Option<Making> = None;
    let mut cards: Option<Making> = None;
    for segment in segments(archive, app, table) {
        each_row(archive, segment, &mut |row| {
            if keeps_people(table) {
                match card::of_row(row) {
                    Some(card) => {
                        let file = match &mut cards {
                            Some(file) => file,
                            None => cards.insert(out.create("contacts", &format!("{} {name}.vcf", app.id))?),
                        };
                        file.put(card)?;
                        out.wrote("people as vCards", "contacts/");
                    }
                    None => out.leave("people as vCards", "the document names nobody; it stands in documents/"),
                }
            }
            if let Some((title, text)) = text_in(row) {
                let mut file = out.create("documents", &format!("{}/{name}/{title}.md", app.id))?;
                file.put(text)?;
                file.finish()?;
                out.wrote("texts as Markdown", "documents/");
                return Ok(());
            }
            let file = match &mut list {
                Some(file) => {
                    file.put(",\n")?;
                    file
                }
                None => {
                    let file = list.insert(out.create("documents", &format!("{}/{name}.json", app.id))?);
                    file.put("[\n")?;
                    file
                }
            };
            file.put(row.to_stored())?;
            out.wrote("documents as JSON", "documents/");
            Ok(())
        })?;
        out.pass(segment.size());
    }
    if let Some(mut file) = list {
        file.put("\n]\n")?;
        file.finish()?;
    }
    cards.map_or(Ok(()), Making::finish)
}

/// The title of a document that is a text, and the text as Markdown with all else at its head.
fn text_in(row: &Value) -> Option<(String, String)> {
    let Value::Object(members) = row else { return None };
    let name = TEXTS.into_iter().find(|name| row.get(name).and_then(Value::as_text).is_some())?;
    let text = row.get(name).and_then(Value::as_text)?;
    let first_line = text.lines().map(|line| line.trim_start_matches('#').trim()).find(|line| !line.is_empty());
    let title = text_of(row, &TITLES).or(first_line).or_else(|| text_of(row, &["_id"])).map(file_name);
    let title = title.filter(|title| !title.is_empty()).unwrap_or_else(|| "untitled".to_owned());
    // YAML reads JSON, in which no text leaves its line.
    let mut page = "---\n".to_owned();
    for (member, value) in members.iter().filter(|(member, _)| member.as_str() != name) {
        page.push_str(&Value::Text(member.as_str().to_owned()).to_stored());
        page.push_str(": ");
        page.push_str(&value.to_stored());
        page.push('\n');
    }
    page.push_str("---\n\n");
    page.push_str(text);
    if !text.ends_with('\n') {
        page.push('\n');
    }
    Some((title, page))
}

fn mailbox<S: Source>(
    archive: &Reader<S, Verified>,
    entry: &Entry,
    name: &str,
    out: &mut Out<'_>,
) -> Result<(), ConvertError> {
    let at = archive.manifest().snapshot.at.parse().unwrap_or_default();
    let mut file = out.create("messages", &format!("{}.mbox", name.trim_end_matches(".ndjson")))?;
    each_row(archive, entry, &mut |row| {
        file.put(mail::of_row(row, at))?;
        out.wrote("messages", "messages/");
        Ok(())
    })?;
    out.pass(entry.size());
    file.finish()
}

fn schedules<S: Source>(archive: &Reader<S, Verified>, entry: &Entry, out: &mut Out<'_>) -> Result<(), ConvertError> {
    let at: jiff::Timestamp = archive.manifest().snapshot.at.parse().unwrap_or_default();
    let (day, stamp) = (at.to_zoned(jiff::tz::TimeZone::UTC).date(), at.strftime("%Y%m%dT%H%M%SZ").to_string());
    let mut file: Option<Making> = None;
    each_row(archive, entry, &mut |row| {
        let Some(event) = schedule::of_row(row, day, &stamp) else {
            out.leave("schedules", "their rules cannot stand in a calendar; they stand in more/schedules.ndjson");
            return Ok(());
        };
        let making = match &mut file {
            Some(file) => file,
            None => {
                let begun = file.insert(out.create("calendar", "schedules.ics")?);
                begun.put(schedule::BEGIN)?;
                begun
            }
        };
        making.put(event)?;
        out.wrote("schedules", "calendar/schedules.ics");
        Ok(())
    })?;
    if let Some(mut file) = file {
        file.put(schedule::END)?;
        file.finish()?;
    }
    Ok(())
}
