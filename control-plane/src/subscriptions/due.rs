//! Writing the bills that are due: at sign-up for the first month, and by a loop for every month that begins. The same
//! loop reminds of what is late and follows what was closed.

use std::time::Duration;

use billing::{Grace, Invoice, InvoiceId, InvoiceState, Standing, periods_until};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use tokio_util::sync::CancellationToken;

use super::closing;
use super::store::{self, Agreed};
use crate::audit::{self, Note, What, Who};
use crate::business::{self, Business};
use crate::db::Tx;
use crate::{Actor, ControlPlane, Result, accounts, mail};

/// Looks for months that have begun this often.
const EVERY: Duration = Duration::from_secs(600);
/// So many agreements at a time, and so long between one page of them and the next.
const PAGE: i64 = 200;
const BETWEEN_PAGES: Duration = Duration::from_millis(500);
const A_WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Writes a bill for every month of `agreed` that has begun by `now` and has none. A plan that costs nothing has no bills.
pub(crate) async fn bill_until(tx: &mut Tx, agreed: &Agreed, grace: &Grace, now: Timestamp) -> Result<Vec<Invoice>> {
    let mut bills = Vec::new();
    let ends = agreed.ends.unwrap_or(Timestamp::MAX);
    for period in periods_until(agreed.anchor, agreed.billed, now).take_while(|period| period.start < ends) {
        if !store::count_billed(tx, agreed.id, period).await? {
            break;
        }
        if agreed.terms.price_cents == 0 {
            continue;
        }
        let year = now.to_zoned(TimeZone::UTC).year();
        let invoice = Invoice {
            id: InvoiceId::new(now.as_millisecond()),
            subscription: agreed.id,
            number: format!("{year}-{:04}", store::next_number(tx).await?),
            period,
            amount: agreed.terms.price(),
            issued: now,
            due: grace.due(now),
            state: InvoiceState::Open,
        };
        store::insert_invoice(tx, &invoice).await?;
        let told = format!("The bill {} over {} was written.", invoice.number, invoice.amount);
        let told = Note::new(Who::Provider, What::Bill, told).about("invoice", invoice.id.to_string());
        told.of_account(tx, agreed.account, now).await?;
        bills.push(invoice);
    }
    Ok(bills)
}

/// Writes due bills until `stop`.
pub(crate) async fn run(plane: ControlPlane, stop: CancellationToken) {
    loop {
        if let Err(error) = pass(&plane, &stop).await {
            tracing::warn!(error = error.chain(), "bills cannot be written just now");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Reminds of bills that are late: once when they are, and once a week before each thing that changes because of it. A
/// letter that was written is not written again, so this may run as often as it likes.
async fn remind(plane: &ControlPlane, business: &Business, agreed: &Agreed, open: &[Invoice]) -> Result<()> {
    let now = plane.now();
    for bill in open {
        let Some(due) = bill.late_since(now) else { continue };
        let next = billing::schedule(due, &plane.settings().grace);
        let before = |at: Timestamp| at.checked_sub(A_WEEK).unwrap_or(at) <= now;
        let stage = if before(next.asleep) {
            "asleep"
        } else if before(next.read_only) {
            "read-only"
        } else {
            "late"
        };
        let key = format!("reminder {} {stage}", bill.id);
        if mail::written(plane.db(), &key).await?.is_some() {
            continue;
        }
        let letter = mail::Letter::Reminder { number: bill.number.clone(), amount: bill.amount, due, next };
        let account = accounts::account(plane, &Actor::System, agreed.account).await?;
        let mut tx = plane.db().begin().await?;
        mail::write(plane, &mut tx, business, &account, &letter, &key).await?;
        tx.commit().await?;
        plane.nudge_post();
    }
    Ok(())
}

/// Tells the activity log what an open bill has come to, with the day on which it did.
async fn note_lock(plane: &ControlPlane, agreed: &Agreed, open: &[Invoice]) -> Result<()> {
    let (since, word, text) =
        match billing::standing(plane.now(), &agreed.subscription(), open, &plane.settings().grace) {
            Standing::ReadOnly { since } => (
                since,
                "read-only",
                "A bill stayed open: your server could be read and exported, and nothing changed on it.",
            ),
            Standing::Asleep { since } => {
                (since, "asleep", "A bill stayed open: your server slept, and could be exported.")
            }
            Standing::Active | Standing::PastDue { .. } | Standing::Ended { .. } => return Ok(()),
        };
    let key = format!("lock {} {word} {}", agreed.id, since.as_millisecond());
    if audit::is_noted(plane.db(), &key).await? {
        return Ok(());
    }
    let mut tx = plane.db().begin().await?;
    let told = Note::new(Who::Provider, What::Lock, text).about("standing", word).once(key);
    told.of_account(&mut tx, agreed.account, since).await?;
    Ok(tx.commit().await?)
}

/// Looks at every agreement, a page at a time and with a pause between pages, so that many of them never keep the
/// database busy.
async fn pass(plane: &ControlPlane, stop: &CancellationToken) -> Result<()> {
    let business = business::business(plane).await?;
    let mut after = None;
    loop {
        let agreed = store::behind(plane.db(), after, PAGE).await?;
        let Some(last) = agreed.last() else { return Ok(()) };
        after = Some(last.id);
        let open = store::open_invoices(plane.db(), &agreed).await?;
        for agreed in &agreed {
            let open = open.get(&agreed.id).map_or(&[][..], Vec::as_slice);
            follow(plane, &business, agreed, open).await?;
        }
        if i64::try_from(agreed.len()).is_ok_and(|found| found < PAGE) {
            return Ok(());
        }
        if stop.run_until_cancelled(tokio::time::sleep(BETWEEN_PAGES)).await.is_none() {
            return Ok(());
        }
    }
}

/// Takes the steps that are due about one agreement.
async fn follow(plane: &ControlPlane, business: &Business, agreed: &Agreed, open: &[Invoice]) -> Result<()> {
    let now = plane.now();
    remind(plane, business, agreed, open).await?;
    note_lock(plane, agreed, open).await?;
    closing::follow(plane, business, agreed).await?;
    if periods_until(agreed.anchor, agreed.billed, now).next().is_none() {
        return Ok(());
    }
    // Read again, because the page it stood on may be older than a cancellation.
    let Some(agreed) = store::of_account(plane.db(), agreed.account).await? else { return Ok(()) };
    let account = accounts::account(plane, &Actor::System, agreed.account).await?;
    let mut tx = plane.db().begin().await?;
    for bill in bill_until(&mut tx, &agreed, &plane.settings().grace, now).await? {
        mail::write_invoice(plane, &mut tx, business, &account, &agreed.terms, &bill).await?;
    }
    tx.commit().await?;
    plane.nudge_post();
    Ok(())
}
