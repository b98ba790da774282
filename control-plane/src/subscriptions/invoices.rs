//! What the operator does about bills: see them, say that the money is there, say that one was a mistake.

use std::collections::HashMap;

use billing::{Invoice, InvoiceId};

use super::store;
use crate::accounts::{self, Account};
use crate::context::not_there;
use crate::db::on;
use crate::paging::{Ask, Page};
use crate::{Actor, ControlPlane, Error, Result};

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
    let settled = on!(plane.db().writer(), e => sqlx::query(
        "update invoice set state = $2, settled_ms = $3 where id = $1 and state = 'open'"
    )
    .bind(id.to_string())
    .bind(state)
    .bind(plane.now().as_millisecond())
    .execute(e).await.map(|done| done.rows_affected()))?;
    if settled == 1 {
        if let Some((account, _)) = store::invoice(plane.db(), id).await? {
            plane.attend_account(account);
        }
        return Ok(());
    }
    let is: Option<String> = on!(plane.db().reader(), e => sqlx::query_scalar("select state from invoice where id = $1")
        .bind(id.to_string())
        .fetch_optional(e).await)?;
    match is {
        None => Err(not_there()),
        Some(is) if is == state => Ok(()),
        Some(is) => Err(Error::conflict(format!("This bill is {is} already."))),
    }
}
