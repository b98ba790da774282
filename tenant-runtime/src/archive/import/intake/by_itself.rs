//! Schedules, webhooks, what came of them, and notices: rows that this server can have become its own, the others leave as
//! they came.

use std::collections::BTreeSet;

use export_format::EntryPath;
use serde_json::Value;

use super::{Checked, Intake, lines, path};
use crate::archive::error::Error;
use crate::archive::payload::by_itself::{HAPPENINGS, NOTICES, SCHEDULES, words};
use crate::archive::row::instant;
use crate::happenings::schedules::Schedule;
use crate::happenings::webhooks::Webhook;
use crate::happenings::{Happening, Notice, SCHEDULE_MEMBERS};

pub(super) fn take(archive: &Checked, rest: &mut BTreeSet<EntryPath>, intake: &mut Intake) -> Result<(), Error> {
    let taken = instant(&archive.manifest().snapshot.at).unwrap_or_default();
    let mut seen = BTreeSet::new();
    if let Some(path) = path(SCHEDULES).filter(|path| rest.remove(path)) {
        for line in lines(&archive.document(&path)?) {
            intake.schedules += 1;
            let row: Option<Value> = serde_json::from_str(line).ok();
            let is_webhook = row.as_ref().is_some_and(|row| row.get("webhook").is_some());
            let webhook = row.as_ref().filter(|_| is_webhook).and_then(|row| Webhook::of_row(row, taken));
            let schedule = row.as_ref().filter(|_| !is_webhook).and_then(|row| Schedule::of_row(row, taken));
            let names = webhook.as_ref().map(|one| (one.id.clone(), one.app.clone(), one.name.clone()));
            let names = names.or(schedule.as_ref().map(|one| (one.id.clone(), one.app.clone(), one.name.clone())));
            let Some((id, app, name)) = names.filter(|(id, app, name)| {
                let own = format!("{is_webhook}/{app}/{name}");
                !seen.contains(id) && !seen.contains(&own)
            }) else {
                intake.lines.entry(path.to_string()).or_default().push(line.to_owned());
                continue;
            };
            seen.extend([id.clone(), format!("{is_webhook}/{app}/{name}")]);
            intake.keep_of_row(words(SCHEDULES, &id), line, SCHEDULE_MEMBERS);
            intake.by_itself.schedules.extend(schedule);
            intake.by_itself.webhooks.extend(webhook);
        }
    }
    if let Some(path) = path(HAPPENINGS).filter(|path| rest.remove(path)) {
        for line in lines(&archive.document(&path)?) {
            let row = serde_json::from_str::<Value>(line).ok().as_ref().and_then(Happening::of_row);
            let key = |one: &Happening| format!("{}\n{}", one.origin, one.key);
            match row.filter(|one| seen.insert(one.id.clone()) && seen.insert(key(one))) {
                Some(happening) => intake.by_itself.happenings.push(happening),
                None => intake.lines.entry(path.to_string()).or_default().push(line.to_owned()),
            }
        }
    }
    if let Some(path) = path(NOTICES).filter(|path| rest.remove(path)) {
        for line in lines(&archive.document(&path)?) {
            let row = serde_json::from_str::<Value>(line).ok().as_ref().and_then(Notice::of_row);
            match row.filter(|one| seen.insert(one.id.clone())) {
                Some(notice) => intake.by_itself.notices.push(notice),
                None => intake.lines.entry(path.to_string()).or_default().push(line.to_owned()),
            }
        }
    }
    Ok(())
}
