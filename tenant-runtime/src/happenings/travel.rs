//! What starts by itself, in archives and through time.
//!
//! `data/schedules.ndjson` has schedules and webhooks, `data/happenings.ndjson` what came of them and what is still to be done,
//! `data/notices.ndjson` what the owner has not put away. Everything that comes waits for the owner's word; it is rendered as it
//! was where it came from until then.

use export_format::AppId;
use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::error::Error;
use super::queue::{self, Happening, State};
use super::schedules::{self, Schedule, Source, Standing};
use super::timing::Written;
use super::webhooks::{self, Proof, Webhook};
use super::{Kind, Notice, notices};
use crate::archive::row::{instant, written};

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Luggage {
    pub(crate) schedules: Vec<Schedule>,
    pub(crate) webhooks: Vec<Webhook>,
    pub(crate) happenings: Vec<Happening>,
    pub(crate) notices: Vec<Notice>,
}

impl Luggage {
    /// Reads all there is.
    pub(crate) fn take(db: &Connection) -> Result<Self, Error> {
        Ok(Self {
            schedules: schedules::all(db)?,
            webhooks: webhooks::all(db)?,
            happenings: queue::all(db)?,
            notices: notices::all(db)?,
        })
    }

    /// Puts this there and nothing else.
    pub(crate) fn put(&self, db: &Connection) -> Result<(), Error> {
        for table in ["schedule", "webhook", "happening", "notice"] {
            db.execute(&format!("delete from {table}"), [])?;
        }
        self.schedules.iter().try_for_each(|one| schedules::put_as_it_is(db, one))?;
        self.webhooks.iter().try_for_each(|one| webhooks::put_as_it_is(db, one))?;
        self.happenings.iter().try_for_each(|one| queue::put(db, one).map(drop))?;
        self.notices.iter().try_for_each(|one| notices::put_as_it_is(db, one))
    }
}

/// What of it belongs to the present and not to a moment that is brought back.
#[derive(Debug)]
pub struct Now(Luggage);

impl Now {
    /// Reads it from the live server.
    pub fn take(db: &Connection) -> Result<Self, Error> {
        Luggage::take(db).map(Self)
    }

    /// Puts it into what takes the server's place: what was done is not done again, what waits still waits, and schedules go on
    /// from `now` and not from then.
    pub fn put(&self, db: &Connection, now: i64) -> Result<(), Error> {
        db.execute_batch("delete from happening; delete from notice")?;
        self.0.happenings.iter().try_for_each(|one| queue::put(db, one).map(drop))?;
        self.0.notices.iter().try_for_each(|one| notices::put_as_it_is(db, one))?;
        for schedule in schedules::all(db)?.iter().filter(|one| one.standing == Standing::On) {
            schedules::set_standing(db, &schedule.id, true, now)?;
        }
        Ok(())
    }
}

impl Schedule {
    /// Its row.
    pub(crate) fn to_row(&self) -> Value {
        let mut row = json!({
            "id": self.id,
            "name": self.name,
            "title": self.title,
            "app": self.app,
            "enabled": matches!(self.standing, Standing::On | Standing::Held),
            "tz": self.when.zone,
            "action": action(&self.action),
            "source": self.source.word(),
            "created": written(self.made),
        });
        let when = [("cron", &self.when.cron), ("rrule", &self.when.rrule), ("start", &self.when.start)];
        for (name, value) in when.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))) {
            row[name] = value.into();
        }
        if self.standing == Standing::Over {
            row["over"] = true.into();
        }
        if let Some(last) = self.last.and_then(written) {
            row["last"] = last.into();
        }
        row
    }

    /// What a row says, paused, if this server can have it; `otherwise` for the moments that it does not say.
    pub(crate) fn of_row(row: &Value, otherwise: i64) -> Option<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let when = Written { cron: text("cron"), rrule: text("rrule"), start: text("start"), zone: text("tz") };
        let when = when.completed("UTC", otherwise);
        let is_rule = when.parse().is_ok();
        let standing = match (row.get("over"), row.get("enabled").and_then(Value::as_bool)) {
            (Some(Value::Bool(true)), _) => Standing::Over,
            (_, Some(false)) => Standing::Paused,
            _ => Standing::Held,
        };
        let name = text("name").or_else(|| text("id"))?;
        let schedule = Self {
            id: text("id")?,
            app: app(row)?,
            title: text("title").unwrap_or_else(|| name.clone()),
            name,
            when,
            action: row.get("action")?.to_string(),
            source: source(row),
            standing,
            made: text("created").and_then(|at| instant(&at)).unwrap_or(otherwise),
            due: None,
            last: text("last").and_then(|at| instant(&at)),
        };
        (is_rule && is_short(&schedule.id) && is_short(&schedule.name) && is_short(&schedule.title)).then_some(schedule)
    }
}

impl Webhook {
    /// Its row.
    pub(crate) fn to_row(&self) -> Value {
        let mut row = json!({
            "id": self.id,
            "name": self.name,
            "title": self.title,
            "app": self.app,
            "enabled": matches!(self.standing, Standing::On | Standing::Held),
            "webhook": {"digest": self.digest},
            "action": action(&self.action),
            "source": self.source.word(),
            "created": written(self.made),
        });
        if let Some(proof) = &self.proof {
            row["webhook"]["header"] = proof.header.as_str().into();
        }
        if let Some(last) = self.last.and_then(written) {
            row["last"] = last.into();
        }
        row
    }

    /// What a row says, paused, if this server can have it.
    pub(crate) fn of_row(row: &Value, otherwise: i64) -> Option<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let of_webhook = |name: &str| row.get("webhook")?.get(name)?.as_str().map(str::to_owned);
        let digest = of_webhook("digest").filter(|digest| digest.parse::<export_format::Digest>().is_ok())?;
        let enabled = row.get("enabled").and_then(Value::as_bool) != Some(false);
        let name = text("name").or_else(|| text("id"))?;
        let webhook = Self {
            id: text("id")?,
            app: app(row)?,
            title: text("title").unwrap_or_else(|| name.clone()),
            name,
            digest,
            proof: of_webhook("header").map(|header| Proof { header, key: None }),
            action: row.get("action")?.to_string(),
            source: source(row),
            standing: if enabled { Standing::Held } else { Standing::Paused },
            made: text("created").and_then(|at| instant(&at)).unwrap_or(otherwise),
            last: text("last").and_then(|at| instant(&at)),
        };
        (is_short(&webhook.id) && is_short(&webhook.name) && is_short(&webhook.title)).then_some(webhook)
    }
}

impl Happening {
    /// Its row.
    pub(crate) fn to_row(&self) -> Value {
        let state = if self.state == State::Held { State::Waiting } else { self.state };
        let mut row = json!({
            "id": self.id,
            "app": self.app,
            "kind": self.kind.word(),
            "origin": self.origin,
            "name": self.name,
            "title": self.title,
            "key": self.key,
            "due": written(self.due),
            "action": action(&self.action),
            "payload": action(&self.payload),
            "state": state.word(),
            "tries": self.tries,
            "created": written(self.made),
        });
        if let Some(why) = &self.why {
            row["why"] = why.as_str().into();
        }
        if let Some(ended) = self.ended.and_then(written) {
            row["ended"] = ended.into();
        }
        row
    }

    /// What a row says; what waited there waits for the owner here.
    pub(crate) fn of_row(row: &Value) -> Option<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let at = |name: &str| text(name).and_then(|at| instant(&at));
        let state = match text("state")?.parse().ok()? {
            State::Waiting => State::Held,
            state => state,
        };
        Some(Self {
            id: text("id")?,
            app: app(row)?,
            kind: text("kind")?.parse::<Kind>().ok()?,
            origin: text("origin")?,
            name: text("name")?,
            title: text("title")?,
            key: text("key")?,
            due: at("due")?,
            action: row.get("action")?.to_string(),
            payload: row.get("payload")?.to_string(),
            state,
            tries: row.get("tries").and_then(Value::as_u64).and_then(|tries| tries.try_into().ok())?,
            next: None,
            why: text("why"),
            made: at("created")?,
            ended: at("ended"),
        })
    }
}

impl Notice {
    /// Its row.
    pub(crate) fn to_row(&self) -> Value {
        let words = &self.words;
        let mut row =
            json!({"id": self.id, "app": self.app, "title": words.title, "text": words.text, "at": written(self.at)});
        if let Some(link) = &words.link {
            row["link"] = link.as_str().into();
        }
        row
    }

    /// What a row says.
    pub(crate) fn of_row(row: &Value) -> Option<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let words = notices::Words { title: text("title")?, text: text("text")?, link: text("link") };
        words.check().ok()?;
        Some(Self { id: text("id")?, app: app(row)?, words, at: text("at").and_then(|at| instant(&at))? })
    }
}

/// Members of the rows that are said here.
pub(crate) const SCHEDULE_MEMBERS: &[&[&str]] = &[
    &["id"],
    &["name"],
    &["title"],
    &["app"],
    &["enabled"],
    &["tz"],
    &["action"],
    &["source"],
    &["created"],
    &["cron"],
    &["rrule"],
    &["start"],
    &["over"],
    &["last"],
    &["webhook", "digest"],
    &["webhook", "header"],
];

fn action(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::Object(Map::new()))
}

fn app(row: &Value) -> Option<AppId> {
    row.get("app")?.as_str()?.parse().ok()
}

fn source(row: &Value) -> Source {
    row.get("source").and_then(Value::as_str).and_then(|text| text.parse().ok()).unwrap_or(Source::App)
}

fn is_short(text: &str) -> bool {
    !text.is_empty() && text.len() <= 400 && !text.chars().any(char::is_control)
}
