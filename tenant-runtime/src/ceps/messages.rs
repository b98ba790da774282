//! `/ceps/message/…`: sending a record to contacts, and what comes from them.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::Caller;
use super::body::{self, Shaped};
use crate::changes::Kind;
use crate::documents::{self, TableName};
use crate::messages::{self, Draft, Envelope, GOT, SENT, Trouble};
use crate::outside::Errand;
use crate::permissions::{Action, Status};
use crate::problem::Problem;
use crate::server::{Server, now};
use crate::sharing::{self, Person};
use crate::throttle::Rate;

/// How many messages an app may send.
const SENDS: Rate = Rate { burst: 100.0, each_second: 0.2 };
/// How often anyone may tell this server of messages.
const TOLD: Rate = Rate { burst: 120.0, each_second: 2.0 };
/// How often one other server may.
const TOLD_BY_ONE: Rate = Rate { burst: 30.0, each_second: 0.2 };
/// How often strangers may make this server look where a contact went.
const LOOKS: Rate = Rate { burst: 5.0, each_second: 0.02 };
/// To how many one call may send.
const MOST: usize = 50;
/// The longest text beside a record.
const TEXT_LIMIT: usize = 10_000;
/// The table that an app must be allowed to read to write to contacts.
const CONTACTS: &str = "dev.ceps.contacts";

/// What an app wants to send.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    app_id: Option<String>,
    sender_id: Option<String>,
    recipient_id: Option<String>,
    recipient_host: Option<String>,
    recipients: Vec<Recipient>,
    messaging_permission: String,
    contact_permission: Option<String>,
    table_id: String,
    record_id: String,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Recipient {
    recipient_id: String,
    recipient_host: String,
}

/// `POST /ceps/message/initiate`
pub(super) async fn initiate(
    State(server): State<Server>,
    caller: Caller,
    Shaped(asked): Shaped<Asked>,
) -> Result<Json<Value>, Problem> {
    server.writable()?;
    if let Some(app) = &asked.app_id {
        caller.is(app)?;
    }
    let me = server.launch.site.person();
    if asked.sender_id.as_ref().is_some_and(|sender| *sender != me.user) {
        return Err(Problem::forbidden(format!("This server sends for {} only.", me.user)));
    }
    let table = caller.table(&server, &asked.table_id, Action::Read)?;
    may_send(&server, &caller, &asked, &table)?;
    let message = asked.message.unwrap_or_default();
    if message.len() > TEXT_LIMIT {
        return Err(Problem::bad_request("message may have up to 10,000 bytes; put more into the record."));
    }
    let recipients = recipients(asked.recipients, asked.recipient_id, asked.recipient_host)?;
    for _ in &recipients {
        server.throttle.take(&format!("send {}", caller.app), SENDS)?;
    }
    let limit = server.launch.limits.record_bytes;
    let (id, within, app) = (asked.record_id, table.clone(), caller.app.clone());
    let permission = asked.messaging_permission;
    let now = now();
    let drafts = server
        .home
        .read(move |db| {
            let missing = || documents::Error::Missing { table: within.clone(), id: id.clone() };
            let row = documents::get(db, &within, &id)?.ok_or_else(missing)?;
            let mut record = row.to_map();
            record.remove(sharing::ACCESSIBLES);
            let mut drafts = Vec::new();
            for to in recipients {
                if !sharing::is_known(db, &to)? {
                    return Err(Problem::forbidden(format!("{to} is none of the owner's contacts, or is blocked.")));
                }
                let envelope = Envelope {
                    kind: messages::KIND.to_owned(),
                    app_id: app.to_string(),
                    sender_id: me.user.clone(),
                    sender_host: me.host.clone(),
                    recipient_id: to.user,
                    recipient_host: to.host,
                    messaging_permission: permission.clone(),
                    table_id: within.to_string(),
                    record_id: row.id.clone(),
                    nonce: hex::encode(rand::random::<[u8; 24]>()),
                };
                drafts.push(Draft { envelope, message: message.clone(), record: record.clone() });
            }
            Ok(drafts)
        })
        .await?;
    let room: u64 =
        drafts.iter().map(|draft| Value::Object(draft.record.clone()).to_string().len() as u64 + 2_048).sum();
    if drafts.first().is_some_and(|draft| Value::Object(draft.record.clone()).to_string().len() as u64 + 65_536 > limit)
    {
        let detail = "The record is too large to be sent; share it, and send a note.";
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "record_too_large", detail));
    }
    server.quota.take(&server.home, room, now).await?;
    let ids = server
        .home
        .write(move |db| {
            let put = |draft| Ok::<_, Problem>(messages::put_sent(db, draft, now)?);
            drafts.into_iter().map(put).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    ids.iter().for_each(|id| server.changes.tell(&messages::sent(), id, now, Kind::Written));
    server.bell.ring();
    Ok(Json(json!({"success": true, "message_ids": ids})))
}

/// Whether the owner lets the caller send records of a table, and read contacts.
fn may_send(server: &Server, caller: &Caller, asked: &Asked, table: &TableName) -> Result<(), Problem> {
    let all = server.apps.asked_by(&caller.app);
    let of_table = table.to_string();
    let granted = |kinds: &[&str], table: &str, name: Option<&str>| {
        all.iter().any(|p| {
            p.status == Status::Granted
                && kinds.contains(&p.kind.as_str())
                && name.is_none_or(|name| p.name == name)
                && p.tables.iter().any(|one| one == table)
        })
    };
    if caller.is_guest() || !granted(&[messages::KIND], &of_table, Some(&asked.messaging_permission)) {
        return Err(Problem::forbidden(format!(
            "{} has no permission {:?} to send records of {table}: its manifest asks for it with type message_records, and the owner allows it.",
            caller.app, asked.messaging_permission
        )));
    }
    if !granted(&["read_all", "write_all"], CONTACTS, asked.contact_permission.as_deref()) {
        return Err(Problem::forbidden(format!("{} has no permission to read {CONTACTS}.", caller.app)));
    }
    Ok(())
}

fn recipients(many: Vec<Recipient>, id: Option<String>, host: Option<String>) -> Result<Vec<Person>, Problem> {
    let one = id.zip(host).map(|(recipient_id, recipient_host)| Recipient { recipient_id, recipient_host });
    let mut all = Vec::new();
    for Recipient { recipient_id, recipient_host } in many.into_iter().chain(one) {
        let host = recipient_host.split_once("://").map_or(recipient_host.as_str(), |(_, rest)| rest);
        let text = format!("{recipient_id}@{}", host.trim_end_matches('/'));
        let person = text.parse().map_err(|error: sharing::NoGrantee| Problem::bad_request(error.to_string()))?;
        if !all.contains(&person) {
            all.push(person);
        }
    }
    match all.len() {
        1..=MOST => Ok(all),
        _ => Err(Problem::bad_request("Name 1 to 50 recipients, each with recipient_id and recipient_host.")),
    }
}

/// `POST /ceps/message/transmit`: another server says that there is a message for the owner.
pub(super) async fn transmit(
    State(server): State<Server>,
    Shaped(envelope): Shaped<Envelope>,
) -> Result<Json<Value>, Problem> {
    server.throttle.take("transmit", TOLD)?;
    server.writable()?;
    let (sender, app) = addressed(&server, &envelope)?;
    server.throttle.take(&format!("transmit {}", sender.host), TOLD_BY_ONE)?;
    let (known, from, id) = (sender.clone(), sender.clone(), messages::got_id(&envelope));
    let (is_known, has_it) = server
        .home
        .read(move |db| Ok::<_, Problem>((sharing::is_known(db, &known)?, messages::has_got(db, &id)?)))
        .await?;
    if !is_known && !has_moved_here(&server, &from).await? {
        return Err(Problem::new(StatusCode::FORBIDDEN, "no_contact", "The owner does not take messages from you."));
    }
    if has_it {
        return Ok(Json(json!({"success": true})));
    }
    let takes = |p: &crate::permissions::Permission| p.kind == messages::KIND && p.status == Status::Granted;
    if !server.apps.asked_by(&app).iter().any(takes) {
        return Err(Problem::forbidden(format!("The owner takes no messages of {app}.")));
    }
    let body = serde_json::to_value(&envelope).expect("texts are JSON");
    let reply = server.outside()?.carry(Errand::post(&sender.host, "/ceps/message/verify", &body)).await?;
    let said: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let record = match said {
        Value::Object(mut said) if reply.status == 200 && said.get("success") == Some(&Value::Bool(true)) => {
            let text = said.get("message").and_then(Value::as_str).unwrap_or_default();
            let text: String = text.chars().take(TEXT_LIMIT).collect();
            said.remove("record")
                .and_then(|record| if let Value::Object(record) = record { Some((record, text)) } else { None })
        }
        _ => None,
    };
    let Some((record, text)) = record else {
        let detail = "The sender's server does not confirm this message.";
        let status =
            if (500..600).contains(&reply.status) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::FORBIDDEN };
        return Err(Problem::new(status, "not_verified", detail));
    };
    let room = body::check(
        &Map::from_iter([("record".to_owned(), Value::Object(record.clone()))]),
        server.launch.limits.record_bytes,
    )?;
    let now = now();
    server.quota.take(&server.home, room + 2_048, now).await?;
    let row =
        server.home.write(move |db| Ok::<_, Problem>(messages::put_got(db, &envelope, record, &text, now)?)).await?;
    if let Some(row) = row {
        server.changes.tell(&messages::got(), &row.id, row.modified, Kind::Written);
    }
    Ok(Json(json!({"success": true})))
}

/// Who sends by which app, where the message is for this owner.
fn addressed(server: &Server, envelope: &Envelope) -> Result<(Person, export_format::AppId), Problem> {
    let wrong =
        || Problem::bad_request("Say type message_records, app_id, sender, recipient and nonce as CEPS has them.");
    let sender = envelope.sender().ok_or_else(wrong)?;
    let app = envelope.app_id.parse().map_err(|_| wrong())?;
    if envelope.kind != messages::KIND || !(16..=200).contains(&envelope.nonce.len()) {
        return Err(wrong());
    }
    let me = server.launch.site.person();
    if envelope.recipient().ok_or_else(wrong)? != me {
        return Err(Problem::forbidden(format!("This server is that of {me}.")));
    }
    Ok((sender, app))
}

/// Whether somebody is a contact whose server went to where they write from now.
async fn has_moved_here(server: &Server, sender: &Person) -> Result<bool, Problem> {
    let contacts = server.home.read(|db| Ok::<_, Problem>(sharing::contacts(db)?)).await?;
    let same = contacts.into_iter().filter(|contact| !contact.blocked && contact.person.user == sender.user);
    for contact in same.take(3) {
        server.throttle.take("look", LOOKS)?;
        if let Ok(Some(person)) = sharing::follow(server, &contact.person).await
            && person == *sender
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `POST /ceps/message/verify`: a recipient's server comes for a message it was told of.
pub(super) async fn verify(
    State(server): State<Server>,
    Shaped(envelope): Shaped<Envelope>,
) -> Result<Json<Value>, Problem> {
    server.throttle.take("verify message", TOLD)?;
    let is_mine = envelope.sender_id == server.launch.site.name;
    let found = server.home.read(move |db| Ok::<_, Problem>(messages::claimed(db, &envelope)?)).await?;
    match found.filter(|_| is_mine) {
        Some((record, message)) => Ok(Json(json!({"success": true, "record": record, "message": message}))),
        None => Err(Problem::not_found("There is no such message under way.")),
    }
}

/// Which messages were read.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Read {
    message_ids: Option<Vec<String>>,
    #[serde(alias = "markAll")]
    mark_all: bool,
}

/// `POST /ceps/message/mark_read`
pub(super) async fn mark_read(
    State(server): State<Server>,
    caller: Caller,
    Shaped(read): Shaped<Read>,
) -> Result<Json<Value>, Problem> {
    server.writable()?;
    let ids = match (read.mark_all, read.message_ids) {
        (true, _) => None,
        (false, Some(ids)) if ids.len() <= 1_000 => Some(ids),
        _ => return Err(Problem::bad_request("Send message_ids, up to 1,000, or mark_all: true.")),
    };
    let (app, now) = (caller.app.clone(), now());
    let many =
        server.home.write(move |db| Ok::<_, Problem>(messages::mark_read(db, &app, ids.as_deref(), now)?)).await?;
    Ok(Json(json!({"success": true, "nModified": many})))
}

/// Which messages to show.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    unread: bool,
    count: Option<usize>,
}

/// `GET /ceps/message/got`: what came for the calling app (our extension).
pub(super) async fn got(server: State<Server>, caller: Caller, wanted: Query<Wanted>) -> Result<Json<Value>, Problem> {
    list(server, caller, wanted, GOT).await
}

/// `GET /ceps/message/sent`: what the calling app sent (our extension).
pub(super) async fn sent(server: State<Server>, caller: Caller, wanted: Query<Wanted>) -> Result<Json<Value>, Problem> {
    list(server, caller, wanted, SENT).await
}

async fn list(
    State(server): State<Server>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
    collection: &'static str,
) -> Result<Json<Value>, Problem> {
    let count = wanted.count.unwrap_or(100).min(500);
    let (app, unread) = (caller.app.clone(), wanted.unread && collection == GOT);
    let found =
        server.home.read(move |db| Ok::<_, Problem>(messages::of_app(db, collection, &app, unread, count)?)).await?;
    Ok(Json(found.into_iter().map(Value::Object).collect()))
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        let (why, after) = match trouble {
            Trouble::Later(why, after) => (why, after.unwrap_or(60_000)),
            Trouble::Never(why) => (why, 3_600_000),
        };
        let detail = format!("The other server could not be asked: {why}.");
        let seconds = u32::try_from(after / 1_000).unwrap_or(60);
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "other_server_away", detail).retry_after(seconds)
    }
}

impl From<crate::outside::Error> for Problem {
    fn from(error: crate::outside::Error) -> Self {
        Trouble::from(error).into()
    }
}
