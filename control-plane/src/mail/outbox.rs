//! The outbox: every letter we wrote, whether it could leave or not.

use billing::{Invoice, PlanDraft};
use jiff::Timestamp;

use super::letter::{From, Letter, Rendered};
use crate::accounts::{self, Account};
use crate::business::{self, Business};
use crate::context::not_there;
use crate::db::{Db, Tx, on};
use crate::paging::{Ask, Page, Select, fetch};
use crate::{AccountId, Actor, ControlPlane, Error, LetterId, Result, row};

/// One letter in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its name for programs.
    pub id: LetterId,
    /// Whom it is for.
    pub account: AccountId,
    /// Where it goes.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// The same for readers that show HTML.
    pub html: String,
    /// What became of it.
    pub state: State,
    /// How often we tried to send it.
    pub attempts: u32,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// When it was written.
    pub created: Timestamp,
    /// When it left.
    pub sent: Option<Timestamp>,
}

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There was no way to send it; it is here to be read.
    Kept,
    /// It waits to be sent, or to be tried again.
    Waiting,
    /// It has left.
    Sent,
    /// It could not be sent, and is not tried again.
    Failed,
}

impl State {
    /// The word in the database and in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Kept, Self::Waiting, Self::Sent, Self::Failed];
        all.into_iter().find(|state| state.word() == text).ok_or_else(|| format!("{text:?} is no state of a letter"))
    }
}

/// Writes to somebody, once for each `key`.
pub async fn post(plane: &ControlPlane, actor: &Actor, to: AccountId, letter: &Letter, key: &str) -> Result<()> {
    actor.must_operate()?;
    let business = business::business(plane).await?;
    let account = accounts::account(plane, &Actor::System, to).await?;
    let mut tx = plane.db().begin().await?;
    write(plane, &mut tx, &business, &account, letter, key).await?;
    tx.commit().await?;
    plane.nudge_post();
    Ok(())
}

/// All letters, a page at a time, for who runs the business; found by whom they went to and what they are about.
pub async fn outbox(plane: &ControlPlane, actor: &Actor, ask: &Ask) -> Result<Page<OutboxEntry>> {
    actor.must_operate()?;
    let mut select = Select::by("id", ask);
    select.only("state");
    if let Some(wanted) = select.wanted() {
        let found = [wanted.within("recipient"), wanted.within("subject"), wanted.is("id")].join(" or ");
        // Looked up in an index that holds just this: letters are long.
        select.and(format!("id in (select id from letter where {found})"));
    }
    let found: Vec<LetterRow> = fetch!(select, LETTERS, plane.db().reader())?;
    select.page(found, |row| row.id.clone()).try_map(OutboxEntry::try_from)
}

const LETTERS: &str = "select id, account_id, recipient, subject, body_text, body_html, state, attempts, last_error, \
     created_ms, sent_ms from letter";

/// How many letters could not leave when they were last tried.
pub(crate) async fn in_trouble(db: &Db) -> Result<u64> {
    let count: i64 = on!(db.reader(), e => sqlx::query_scalar(
        "select count(*) from letter where last_error is not null"
    )
    .fetch_one(e).await)?;
    Ok(count.unsigned_abs())
}

/// One letter, for who runs the business.
pub async fn letter(plane: &ControlPlane, actor: &Actor, id: LetterId) -> Result<OutboxEntry> {
    actor.must_operate()?;
    by_id(plane.db(), id).await?.ok_or_else(not_there)
}

async fn by_id(db: &Db, id: LetterId) -> Result<Option<OutboxEntry>> {
    let found: Option<LetterRow> = on!(db.reader(), e => sqlx::query_as(
        "select id, account_id, recipient, subject, body_text, body_html, state, attempts, last_error, created_ms, sent_ms \
         from letter where id = $1"
    )
    .bind(id.to_string())
    .fetch_optional(e).await)?;
    found.map(OutboxEntry::try_from).transpose()
}

/// Writes to somebody as part of `tx`, once for each `key`.
pub(crate) async fn write(
    plane: &ControlPlane,
    tx: &mut Tx,
    business: &Business,
    account: &Account,
    letter: &Letter,
    key: &str,
) -> Result<()> {
    let console = business::console_origin_of(plane, business);
    let from = From { business: &business.name, console: &console, reader: &account.display_name };
    let Rendered { subject, text, html } = letter.render(&from)?;
    let state = if plane.settings().smtp.is_some() { State::Waiting } else { State::Kept };
    let now = plane.now().as_millisecond();
    on!(tx.each(), e => sqlx::query(
        "insert into letter (id, once_key, account_id, recipient, subject, body_text, body_html, state, next_ms, created_ms) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) on conflict (once_key) do nothing"
    )
    .bind(LetterId::new(now).to_string())
    .bind(key)
    .bind(account.id.to_string())
    .bind(account.email.as_str())
    .bind(&subject)
    .bind(&text)
    .bind(&html)
    .bind(state.word())
    .bind(now)
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// When the letter of a key was written, if it was.
pub(crate) async fn written(db: &Db, key: &str) -> Result<Option<Timestamp>> {
    let found: Option<i64> = on!(db.reader(), e => sqlx::query_scalar("select created_ms from letter where once_key = $1").bind(key).fetch_optional(e).await)?;
    found.map(row::time).transpose()
}

/// Sends a bill to who owes it.
pub(crate) async fn write_invoice(
    plane: &ControlPlane,
    tx: &mut Tx,
    business: &Business,
    account: &Account,
    terms: &PlanDraft,
    invoice: &Invoice,
) -> Result<()> {
    let letter = Letter::Invoice {
        number: invoice.number.clone(),
        plan: terms.name.clone(),
        from: invoice.period.start,
        until: invoice.period.end,
        amount: invoice.amount,
        due: invoice.due,
    };
    write(plane, tx, business, account, &letter, &format!("invoice {}", invoice.id)).await
}

#[derive(sqlx::FromRow)]
struct LetterRow {
    id: String,
    account_id: String,
    recipient: String,
    subject: String,
    body_text: String,
    body_html: String,
    state: String,
    attempts: i64,
    last_error: Option<String>,
    created_ms: i64,
    sent_ms: Option<i64>,
}

impl TryFrom<LetterRow> for OutboxEntry {
    type Error = Error;

    fn try_from(found: LetterRow) -> Result<Self> {
        Ok(Self {
            id: row::id(&found.id)?,
            account: row::id(&found.account_id)?,
            to: found.recipient,
            subject: found.subject,
            text: found.body_text,
            html: found.body_html,
            state: row::id(&found.state)?,
            attempts: u32::try_from(found.attempts).map_err(Error::bug)?,
            last_error: found.last_error,
            created: row::time(found.created_ms)?,
            sent: found.sent_ms.map(row::time).transpose()?,
        })
    }
}

/// Letters that are due to be sent, the oldest first.
pub(super) async fn due(db: &Db, now: Timestamp) -> Result<Vec<OutboxEntry>> {
    let found: Vec<LetterRow> = on!(db.reader(), e => sqlx::query_as(
        "select id, account_id, recipient, subject, body_text, body_html, state, attempts, last_error, created_ms, sent_ms \
         from letter where state = 'waiting' and next_ms <= $1 order by next_ms, id limit 20"
    )
    .bind(now.as_millisecond())
    .fetch_all(e).await)?;
    found.into_iter().map(OutboxEntry::try_from).collect()
}

/// Notes that a letter has left.
pub(super) async fn note_sent(db: &Db, id: LetterId, now: Timestamp) -> Result<()> {
    on!(db.writer(), e => sqlx::query(
        "update letter set state = 'sent', sent_ms = $2, attempts = attempts + 1, last_error = null \
         where id = $1 and state = 'waiting'"
    )
    .bind(id.to_string())
    .bind(now.as_millisecond())
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Notes that a letter could not leave, and when to try again; never, without a time.
pub(super) async fn note_failure(db: &Db, id: LetterId, why: &str, again: Option<Timestamp>) -> Result<()> {
    let state = if again.is_some() { State::Waiting } else { State::Failed };
    on!(db.writer(), e => sqlx::query(
        "update letter set state = $2, attempts = attempts + 1, last_error = $3, next_ms = coalesce($4, next_ms) \
         where id = $1 and state = 'waiting'"
    )
    .bind(id.to_string())
    .bind(state.word())
    .bind(why)
    .bind(again.map(Timestamp::as_millisecond))
    .execute(e).await.map(|_| ()))?;
    Ok(())
}
