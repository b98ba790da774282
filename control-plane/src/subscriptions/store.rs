//! Agreements and bills in the database.

use std::collections::HashMap;

use billing::{Invoice, InvoiceId, InvoiceState, Money, Period, Plan, PlanDraft, PlanId, SubscriptionId};
use jiff::Timestamp;

use crate::db::{Db, Tx, numbered, on};
use crate::paging::{Ask, Page, Select, fetch};
use crate::{AccountId, Error, Result, row};

/// An agreement as its row has it. Its terms are those that were agreed to, with one exception: where the plan has come
/// to promise more of what was saved than it did then, that holds for everybody who has it.
#[derive(Debug, Clone)]
pub(crate) struct Agreed {
    pub(crate) id: SubscriptionId,
    pub(crate) account: AccountId,
    pub(crate) plan: PlanId,
    pub(crate) terms: PlanDraft,
    pub(crate) anchor: Timestamp,
    pub(crate) ends: Option<Timestamp>,
    /// The last month that was billed.
    pub(crate) billed: Option<u32>,
}

#[derive(sqlx::FromRow)]
struct AgreedRow {
    id: String,
    account_id: String,
    plan_id: String,
    terms: String,
    anchor_ms: i64,
    ends_ms: Option<i64>,
    billed: Option<i64>,
    plan_terms: String,
}

impl TryFrom<AgreedRow> for Agreed {
    type Error = Error;

    fn try_from(found: AgreedRow) -> Result<Self> {
        let (mut terms, plan): (PlanDraft, PlanDraft) = (row::json(&found.terms)?, row::json(&found.plan_terms)?);
        terms.loss_window_ms = terms.loss_window_ms.min(plan.loss_window_ms);
        Ok(Self {
            id: row::id(&found.id)?,
            account: row::id(&found.account_id)?,
            plan: row::id(&found.plan_id)?,
            terms,
            anchor: row::time(found.anchor_ms)?,
            ends: found.ends_ms.map(row::time).transpose()?,
            billed: found.billed.map(u32::try_from).transpose().map_err(Error::bug)?,
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct InvoiceRow {
    id: String,
    subscription_id: String,
    number: String,
    period: i64,
    amount_cents: i64,
    currency: String,
    issued_ms: i64,
    due_ms: i64,
    state: String,
    settled_ms: Option<i64>,
}

impl InvoiceRow {
    fn of(self, anchor: Timestamp) -> Result<Invoice> {
        let index = u32::try_from(self.period).map_err(Error::bug)?;
        let at = || row::time(self.settled_ms.unwrap_or(self.issued_ms));
        let state = match self.state.as_str() {
            "open" => InvoiceState::Open,
            "paid" => InvoiceState::Paid { at: at()? },
            "void" => InvoiceState::Void { at: at()? },
            other => return Err(Error::bug(format!("a bill is in the state {other:?}"))),
        };
        Ok(Invoice {
            id: row::id(&self.id)?,
            subscription: row::id(&self.subscription_id)?,
            number: self.number,
            period: Period::nth(anchor, index)
                .ok_or_else(|| Error::bug("a bill is for a month beyond the calendar"))?,
            amount: Money::new(self.amount_cents, row::id(&self.currency)?),
            issued: row::time(self.issued_ms)?,
            due: row::time(self.due_ms)?,
            state,
        })
    }
}

/// Writes down that `account` takes `plan` from now on.
pub(crate) async fn begin(tx: &mut Tx, account: AccountId, plan: &Plan, now: Timestamp) -> Result<Agreed> {
    let agreed = Agreed {
        id: SubscriptionId::new(now.as_millisecond()),
        account,
        plan: plan.id,
        terms: plan.terms.clone(),
        // What the column can hold, so that the month of a bill is the same before and after it was written.
        anchor: row::time(now.as_millisecond())?,
        ends: None,
        billed: None,
    };
    on!(tx.each(), e => sqlx::query(
        "insert into subscription (id, account_id, plan_id, terms, anchor_ms) values ($1, $2, $3, $4, $5)"
    )
    .bind(agreed.id.to_string())
    .bind(account.to_string())
    .bind(plan.id.to_string())
    .bind(row::to_json(&plan.terms)?)
    .bind(now.as_millisecond())
    .execute(e).await.map(|_| ()))?;
    Ok(agreed)
}

const AGREED: &str = "select subscription.id, account_id, plan_id, subscription.terms, anchor_ms, ends_ms, billed, \
     plan.terms as plan_terms from subscription join plan on plan.id = subscription.plan_id";

pub(crate) async fn of_account(db: &Db, account: AccountId) -> Result<Option<Agreed>> {
    Ok(of_accounts(db, &[account]).await?.pop())
}

/// Some of all agreements, in the order of their ids: those behind `after`.
pub(super) async fn behind(db: &Db, after: Option<SubscriptionId>, limit: i64) -> Result<Vec<Agreed>> {
    let sql = sqlx::AssertSqlSafe(format!("{AGREED} where subscription.id > $1 order by subscription.id limit $2"));
    let found: Vec<AgreedRow> = on!(db.reader(), e => sqlx::query_as(sql)
        .bind(after.map(|id| id.to_string()).unwrap_or_default())
        .bind(limit)
        .fetch_all(e).await)?;
    found.into_iter().map(Agreed::try_from).collect()
}

/// The agreements of some accounts.
pub(super) async fn of_accounts(db: &Db, accounts: &[AccountId]) -> Result<Vec<Agreed>> {
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    let sql = sqlx::AssertSqlSafe(format!("{AGREED} where account_id in ({})", numbered(1, accounts.len())));
    let found: Vec<AgreedRow> = on!(db.reader(), e => {
        let mut query = sqlx::query_as(sql);
        for account in accounts {
            query = query.bind(account.to_string());
        }
        query.fetch_all(e).await
    })?;
    found.into_iter().map(Agreed::try_from).collect()
}

pub(super) async fn set_end(tx: &mut Tx, id: SubscriptionId, ends: Option<Timestamp>) -> Result<()> {
    on!(tx.each(), e => sqlx::query("update subscription set ends_ms = $2 where id = $1")
        .bind(id.to_string())
        .bind(ends.map(Timestamp::as_millisecond))
        .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// Counts one month as billed; false when somebody else has, or it is not the next one.
pub(super) async fn count_billed(tx: &mut Tx, id: SubscriptionId, period: Period) -> Result<bool> {
    let done = on!(tx.each(), e => sqlx::query(
        "update subscription set billed = $2 where id = $1 and coalesce(billed, -1) = $2 - 1"
    )
    .bind(id.to_string())
    .bind(i64::from(period.index))
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// The next number of a bill; numbers have no gaps, because the count and the bill are one transaction.
pub(super) async fn next_number(tx: &mut Tx) -> Result<i64> {
    Ok(on!(tx.each(), e => sqlx::query_scalar(
        "update business set last_invoice = last_invoice + 1 where id = 'one' returning last_invoice"
    )
    .fetch_one(e).await)?)
}

pub(super) async fn insert_invoice(tx: &mut Tx, invoice: &Invoice) -> Result<()> {
    on!(tx.each(), e => sqlx::query(
        "insert into invoice (id, subscription_id, number, period, amount_cents, currency, issued_ms, due_ms, state) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, 'open')"
    )
    .bind(invoice.id.to_string())
    .bind(invoice.subscription.to_string())
    .bind(&invoice.number)
    .bind(i64::from(invoice.period.index))
    .bind(invoice.amount.cents)
    .bind(invoice.amount.currency.to_string())
    .bind(invoice.issued.as_millisecond())
    .bind(invoice.due.as_millisecond())
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

pub(super) async fn invoices_of(db: &Db, agreed: &Agreed) -> Result<Vec<Invoice>> {
    let found: Vec<InvoiceRow> = on!(db.reader(), e => sqlx::query_as(
        "select id, subscription_id, number, period, amount_cents, currency, issued_ms, due_ms, state, settled_ms \
         from invoice where subscription_id = $1 order by period desc"
    )
    .bind(agreed.id.to_string())
    .fetch_all(e).await)?;
    found.into_iter().map(|found| found.of(agreed.anchor)).collect()
}

/// The open bills of some agreements.
pub(super) async fn open_invoices(db: &Db, agreed: &[Agreed]) -> Result<HashMap<SubscriptionId, Vec<Invoice>>> {
    let mut by: HashMap<_, Vec<_>> = HashMap::new();
    if agreed.is_empty() {
        return Ok(by);
    }
    let sql = sqlx::AssertSqlSafe(format!(
        "select id, subscription_id, number, period, amount_cents, currency, issued_ms, due_ms, state, settled_ms \
         from invoice where state = 'open' and subscription_id in ({})",
        numbered(1, agreed.len())
    ));
    let found: Vec<InvoiceRow> = on!(db.reader(), e => {
        let mut query = sqlx::query_as(sql);
        for agreed in agreed {
            query = query.bind(agreed.id.to_string());
        }
        query.fetch_all(e).await
    })?;
    let anchors: HashMap<_, _> = agreed.iter().map(|agreed| (agreed.id.to_string(), agreed.anchor)).collect();
    for found in found {
        let Some(anchor) = anchors.get(&found.subscription_id) else { continue };
        let invoice = found.of(*anchor)?;
        by.entry(invoice.subscription).or_default().push(invoice);
    }
    Ok(by)
}

/// A bill with what is needed to read it, and who owes it.
#[derive(sqlx::FromRow)]
struct OwedRow {
    #[sqlx(flatten)]
    invoice: InvoiceRow,
    anchor_ms: i64,
    account_id: String,
}

const OWED: &str = "select invoice.id, subscription_id, number, period, amount_cents, currency, issued_ms, due_ms, state, \
     settled_ms, anchor_ms, account_id from invoice join subscription on subscription.id = invoice.subscription_id";

impl OwedRow {
    fn owed(self) -> Result<(AccountId, Invoice)> {
        Ok((row::id(&self.account_id)?, self.invoice.of(row::time(self.anchor_ms)?)?))
    }
}

/// One page of all bills, found by their number or whoever owes them.
pub(super) async fn page(db: &Db, ask: &Ask) -> Result<Page<(AccountId, Invoice)>> {
    let mut select = Select::by("invoice.id", ask);
    select.only("state");
    if let Some(wanted) = select.wanted() {
        let owes = format!(
            "account_id in (select id from account where {} or {})",
            wanted.within("email"),
            wanted.within("display_name")
        );
        select.any(&[wanted.within("number"), owes, wanted.is("invoice.id")]);
    }
    let found: Vec<OwedRow> = fetch!(select, OWED, db.reader())?;
    select.page(found, |row| row.invoice.id.clone()).try_map(OwedRow::owed)
}

/// One bill with who owes it.
pub(super) async fn invoice(db: &Db, id: InvoiceId) -> Result<Option<(AccountId, Invoice)>> {
    let sql = sqlx::AssertSqlSafe(format!("{OWED} where invoice.id = $1"));
    let found: Option<OwedRow> =
        on!(db.reader(), e => sqlx::query_as(sql).bind(id.to_string()).fetch_optional(e).await)?;
    found.map(OwedRow::owed).transpose()
}

/// How many bills wait for money, how much they come to, and how many accounts are late with one at `now`.
pub(super) async fn owed(db: &Db, now: Timestamp) -> Result<(i64, i64, i64)> {
    let (open, cents): (i64, i64) = on!(db.reader(), e => sqlx::query_as(
        "select count(*), cast(coalesce(sum(amount_cents), 0) as bigint) from invoice \
         where state = 'open' and amount_cents > 0"
    )
    .fetch_one(e).await)?;
    let late: i64 = on!(db.reader(), e => sqlx::query_scalar(
        "select count(distinct subscription_id) from invoice join subscription on subscription.id = subscription_id \
         where state = 'open' and amount_cents > 0 and due_ms <= $1 and (ends_ms is null or ends_ms > $1)"
    )
    .bind(now.as_millisecond())
    .fetch_one(e).await)?;
    Ok((open, cents, late))
}
