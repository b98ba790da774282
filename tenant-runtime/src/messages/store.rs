//! The two tables of messages.

use export_format::{AppId, Digest};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::documents::{self, Error, Filter, Key, Others, Row, Search, TableName};
use crate::sharing::Person;

/// The kind of permission by which records are sent.
pub(crate) const KIND: &str = "message_records";
/// The collection of what was sent.
pub(crate) const SENT: &str = "sent";
/// The collection of what came.
pub(crate) const GOT: &str = "got";

/// How often a message is tried, and after how long each time, in milliseconds: for about three days.
const PAUSES: &[i64] = &[
    15_000, 60_000, 300_000, 900_000, 3_600_000, 7_200_000, 14_400_000, 28_800_000, 43_200_000, 43_200_000, 86_400_000,
];

/// What servers say to each other of a message, without the message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Envelope {
    /// Always [`KIND`].
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The app, the same on both sides.
    pub(crate) app_id: String,
    pub(crate) sender_id: String,
    pub(crate) sender_host: String,
    pub(crate) recipient_id: String,
    pub(crate) recipient_host: String,
    pub(crate) messaging_permission: String,
    pub(crate) table_id: String,
    pub(crate) record_id: String,
    /// Names the message, and gives it to whoever knows it.
    pub(crate) nonce: String,
}

impl Envelope {
    /// Who sends.
    pub(crate) fn sender(&self) -> Option<Person> {
        format!("{}@{}", self.sender_id, self.sender_host).parse().ok()
    }

    /// To whom.
    pub(crate) fn recipient(&self) -> Option<Person> {
        format!("{}@{}", self.recipient_id, self.recipient_host).parse().ok()
    }

    fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => unreachable!("a struct of texts is an object"),
        }
    }

    fn of(row: &Row) -> Option<Self> {
        serde_json::from_str(&row.doc).ok()
    }
}

/// A message that is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) envelope: Envelope,
    pub(crate) message: String,
    /// The record as it was then, without what is only for its own app.
    pub(crate) record: Map<String, Value>,
}

/// A message under way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Letter {
    /// Its `_id` in `sent`.
    pub(crate) id: String,
    pub(crate) envelope: Envelope,
    /// How often it was tried.
    pub(crate) tries: usize,
    /// When it is to be tried again.
    pub(crate) due: i64,
}

fn table(collection: &str) -> TableName {
    let app: AppId = "dev.ceps.messages".parse().expect("an app's name");
    TableName::new(&app, collection).expect("a collection's name")
}

/// The table of what came.
pub(crate) fn got() -> TableName {
    table(GOT)
}

/// The table of what was sent.
pub(crate) fn sent() -> TableName {
    table(SENT)
}

fn is(field: &str, value: &str) -> Filter {
    Filter::one_of(field, vec![Value::from(value)])
}

/// Writes down a message that is to be sent.
pub(crate) fn put_sent(db: &Connection, draft: Draft, now: i64) -> Result<String, Error> {
    let table = table(SENT);
    if documents::number(db, &table)?.is_none() {
        documents::declare(db, &table, &["status".into(), "app_id".into(), "nonce".into()])?;
    }
    let id = uuid::Uuid::now_v7().simple().to_string();
    let mut fields = draft.envelope.fields();
    fields.insert("message".into(), draft.message.into());
    fields.insert("record".into(), draft.record.into());
    fields.insert("status".into(), "sending".into());
    fields.insert("tries".into(), 0.into());
    fields.insert("due".into(), now.into());
    documents::create(db, &table, &id, fields, now)?;
    Ok(id)
}

/// What is under way, the next one first.
pub(crate) fn letters(db: &Connection) -> Result<Vec<Letter>, Error> {
    let sort = vec![Key { path: "due".into(), descending: false }];
    let search = Search { filter: is("status", "sending"), sort, count: 100, ..Search::default() };
    let rows = documents::search(db, &table(SENT), &search)?;
    Ok(rows.iter().filter_map(letter).collect())
}

/// When the next message under way is to be tried.
pub(crate) fn next_due(db: &Connection) -> Result<Option<i64>, Error> {
    let sort = vec![Key { path: "due".into(), descending: false }];
    let search = Search { filter: is("status", "sending"), sort, count: 1, ..Search::default() };
    Ok(documents::search(db, &table(SENT), &search)?.iter().find_map(letter).map(|letter| letter.due))
}

fn letter(row: &Row) -> Option<Letter> {
    let fields = row.fields();
    let number = |name: &str| fields.get(name).and_then(Value::as_i64);
    let tries = usize::try_from(number("tries").unwrap_or(0)).unwrap_or(0);
    Some(Letter { id: row.id.clone(), envelope: Envelope::of(row)?, tries, due: number("due").unwrap_or(0) })
}

/// Notes that a message arrived.
pub(super) fn arrived(db: &Connection, id: &str, now: i64) -> Result<Row, Error> {
    set(db, id, json!({"status": "delivered", "delivered": now, "why": null}), now)
}

/// Notes that a message could not be delivered this time; the last time, for good.
pub(super) fn failed(db: &Connection, letter: &Letter, why: &str, after: Option<i64>, now: i64) -> Result<Row, Error> {
    let fields = match PAUSES.get(letter.tries) {
        Some(pause) => {
            let due = now + after.unwrap_or(0).max(*pause);
            json!({"tries": letter.tries + 1, "due": due, "why": why})
        }
        None => json!({"status": "failed", "tries": letter.tries + 1, "why": why}),
    };
    set(db, &letter.id, fields, now)
}

/// Notes that a message never will be delivered.
pub(super) fn refused(db: &Connection, letter: &Letter, why: &str, now: i64) -> Result<Row, Error> {
    set(db, &letter.id, json!({"status": "failed", "tries": letter.tries + 1, "why": why}), now)
}

/// Notes that the recipient's server is elsewhere now.
pub(super) fn redirect(db: &Connection, id: &str, to: &Person, now: i64) -> Result<Row, Error> {
    set(db, id, json!({"recipient_id": to.user, "recipient_host": to.host, "due": now}), now)
}

fn set(db: &Connection, id: &str, fields: Value, now: i64) -> Result<Row, Error> {
    let Value::Object(fields) = fields else { unreachable!("it was written as an object") };
    documents::update(db, &table(SENT), id, fields, Others::Kept, now)
}

/// A record, and what was said beside it.
type Content = (Map<String, Value>, String);

/// What a recipient's server comes for: the message of this nonce, while it is under way.
pub(crate) fn claimed(db: &Connection, envelope: &Envelope) -> Result<Option<Content>, Error> {
    let filter = is("nonce", &envelope.nonce).and(is("status", "sending"));
    let rows = documents::search(db, &table(SENT), &Search { filter, count: 1, ..Search::default() })?;
    let Some(row) = rows.first() else { return Ok(None) };
    let Some(known) = Envelope::of(row) else { return Ok(None) };
    let same = known.app_id == envelope.app_id
        && known.recipient() == envelope.recipient()
        && known.table_id == envelope.table_id
        && known.record_id == envelope.record_id;
    let mut fields = row.fields();
    let record = match fields.remove("record") {
        Some(Value::Object(record)) if same => record,
        _ => return Ok(None),
    };
    let message = fields.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Some((record, message)))
}

/// The id of a message that came: the same however often it comes, and from wherever its sender is by then.
pub(crate) fn got_id(envelope: &Envelope) -> String {
    Digest::of(envelope.nonce.as_bytes()).to_string()[..32].to_owned()
}

/// Whether it has come already.
pub(crate) fn has_got(db: &Connection, id: &str) -> Result<bool, Error> {
    Ok(documents::get(db, &table(GOT), id)?.is_some())
}

/// Keeps a message that came; one that is there already stays as it is.
pub(crate) fn put_got(
    db: &Connection,
    envelope: &Envelope,
    record: Map<String, Value>,
    message: &str,
    now: i64,
) -> Result<Option<Row>, Error> {
    let table = table(GOT);
    if documents::number(db, &table)?.is_none() {
        documents::declare(db, &table, &["app_id".into()])?;
    }
    let mut fields = envelope.fields();
    // It has done its work.
    fields.remove("nonce");
    fields.insert("record".into(), record.into());
    fields.insert("message".into(), message.into());
    fields.insert("status".into(), "verified".into());
    fields.insert("marked_read".into(), false.into());
    match documents::create(db, &table, &got_id(envelope), fields, now) {
        Ok(row) => Ok(Some(row)),
        Err(Error::Exists { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Messages of one app, the newest first, without their nonces.
pub(crate) fn of_app(
    db: &Connection,
    collection: &str,
    app: &AppId,
    unread: bool,
    count: usize,
) -> Result<Vec<Map<String, Value>>, Error> {
    let mut filter = is("app_id", app.as_str());
    if unread {
        filter = filter.and(Filter::one_of("marked_read", vec![Value::Bool(false)]));
    }
    let rows = documents::search(db, &table(collection), &Search { filter, count, ..Search::default() })?;
    let view = |row: &Row| {
        let mut fields = row.to_map();
        fields.remove("nonce");
        fields
    };
    Ok(rows.iter().map(view).collect())
}

/// Notes that messages of one app were read: these, or all.
pub(crate) fn mark_read(db: &Connection, app: &AppId, ids: Option<&[String]>, now: i64) -> Result<usize, Error> {
    let table = table(GOT);
    let mut filter = is("app_id", app.as_str()).and(Filter::one_of("marked_read", vec![Value::Bool(false)]));
    if let Some(ids) = ids {
        filter = filter.and(Filter::one_of("_id", ids.iter().map(|id| Value::from(id.as_str())).collect()));
    }
    let found = documents::ids(db, &table, &filter)?;
    for id in &found {
        let fields = Map::from_iter([("marked_read".to_owned(), Value::Bool(true))]);
        documents::update(db, &table, id, fields, Others::Kept, now)?;
    }
    Ok(found.len())
}
