//! What the operator does about bills: see them, say that the money is there, say that one was a mistake.

use std::collections::HashMap;

use billing::{Invoice, InvoiceId, Standing};

use super::store;
use crate::accounts::{self, Account};
use crate::audit::{Note, What, Who};
use crate::context::not_there;
use crate::db::{Tx, on};
use crate::paging::{Ask, Page};
use crate::{AccountId, Actor, ControlPlane, Error, Result};

/// All bills with who owes them, a page at a time, for who runs the business.
pub async fn invoices(plane: &ControlPlane, actor: &Actor, ask: &Ask) -> Result<Page<(Account, Invoice)>> {
    actor.must_operate()?;
    let page = store::page(plane.db(), ask).await?;
    let owners: Vec<_> = page.items.iter().map(|(account, _)| *account).collect();
    let accounts = accounts::by_ids(plane.db(), &owners).await?;
    let by_id: HashMap<_, _> = accounts.into_iter().map(|account| (account.id, account)).collect();
    page.try_map(|(owner, invoice)| Ok((by_id.get(&owner).ok_or_else(not_there)?.clone(), invoice)))
}

/// What is owed to the business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// Bills that wait for money.
    pub open: u64,
    /// How much they come to, in cents.
    pub cents: i64,
    /// Accounts that are late with one, and whose agreement goes on.
    pub late: u64,
}

/// What is owed to the business, for who runs it.
pub async fn owed(plane: &ControlPlane, actor: &Actor) -> Result<Owed> {
    actor.must_operate()?;
    let (open, cents, late) = store::owed(plane.db(), plane.now()).await?;
    Ok(Owed { open: open.unsigned_abs(), cents, late: late.unsigned_abs() })
}

/// One bill with who owes it, for who runs the business.
pub async fn invoice(plane: &ControlPlane, actor: &Actor, id: InvoiceId) -> Result<(Account, Invoice)> {
    actor.must_operate()?;
    let (owner, invoice) = store::invoice(plane.db(), id).await?.ok_or_else(not_there)?;
    Ok((accounts::account(plane, actor, owner).await?, invoice))
}

/// Notes that the money of a bill is there. What was closed for want of it opens at once.
pub async fn mark_paid(plane: &ControlPlane, actor: &Actor, id: InvoiceId) -> Result<()> {
    settle(plane, actor, id, "paid").await
}

/// Notes that a bill was a mistake and asks for nothing.
pub async fn void(plane: &ControlPlane, actor: &Actor, id: InvoiceId) -> Result<()> {
    settle(plane, actor, id, "void").await
}

async fn settle(plane: &ControlPlane, actor: &Actor, id: InvoiceId, state: &'static str) -> Result<()> {
    actor.must_operate()?;
    let mut tx = plane.db().begin().await?;
    let settled = on!(tx.each(), e => sqlx::query(
        "update invoice set state = $2, settled_ms = $3 where id = $1 and state = 'open'"
    )
    .bind(id.to_string())
    .bind(state)
    .bind(plane.now().as_millisecond())
    .execute(e).await.map(|done| done.rows_affected()))?;
    if settled == 1 {
        let (account, invoice) = store::invoice(plane.db(), id).await?.ok_or_else(not_there)?;
        note(plane, &mut tx, actor, account, &invoice, state).await?;
        tx.commit().await?;
        plane.attend_account(account);
        return Ok(());
    }
    drop(tx);
    let is: Option<String> = on!(plane.db().reader(), e => sqlx::query_scalar("select state from invoice where id = $1")
        .bind(id.to_string())
        .fetch_optional(e).await)?;
    match is {
        None => Err(not_there()),
        Some(is) if is == state => Ok(()),
        Some(is) => Err(Error::conflict(format!("This bill is {is} already."))),
    }
}

/// Tells the activity log what became of a bill, and whether that opens what was closed.
async fn note(
    plane: &ControlPlane,
    tx: &mut Tx,
    actor: &Actor,
    account: AccountId,
    invoice: &Invoice,
    state: &str,
) -> Result<()> {
    let (what, text) = match state {
        "paid" => (What::Pay, format!("Your provider noted that the bill {} is paid.", invoice.number)),
        _ => (What::Bill, format!("Your provider took the bill {} back; it asks for nothing.", invoice.number)),
    };
    let told = Note::new(Who::of_operators(actor), what, text).about("invoice", invoice.id.to_string());
    told.of_account(tx, account, plane.now()).await?;
    let Some(agreed) = store::of_account(plane.db(), account).await? else { return Ok(()) };
    let mut open = store::open_invoices(plane.db(), std::slice::from_ref(&agreed)).await?.remove(&agreed.id);
    let open = open.get_or_insert_default();
    let is_locked = |open: &[Invoice]| {
        let standing = billing::standing(plane.now(), &agreed.subscription(), open, &plane.settings().grace);
        matches!(standing, Standing::ReadOnly { .. } | Standing::Asleep { .. })
    };
    let was_locked = is_locked(open);
    open.retain(|other| other.id != invoice.id);
    if was_locked && !is_locked(open) {
        let text = "No bill is late any more: your server is open again.";
        let told = Note::new(Who::Provider, What::Unlock, text).once(format!("unlock {}", invoice.id));
        told.of_account(tx, account, plane.now()).await?;
    }
    Ok(())
}
