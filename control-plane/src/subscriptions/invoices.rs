//! What the operator does about bills: see them, say that the money is there, say that one was a mistake.

use std::collections::HashMap;

use billing::{Invoice, InvoiceId};

use super::store;
use crate::accounts::{self, Account};
use crate::context::not_there;
use crate::db::on;
use crate::{Actor, ControlPlane, Error, Result};

/// Every bill with who owes it, newest first, for who runs the business.
pub async fn invoices(plane: &ControlPlane, actor: &Actor) -> Result<Vec<(Account, Invoice)>> {
    actor.must_operate()?;
    let agreed = store::all(plane.db()).await?;
    let accounts = accounts::all(plane.db()).await?;
    let by_account: HashMap<_, _> = accounts.into_iter().map(|account| (account.id, account)).collect();
    let owner: HashMap<_, _> = agreed.iter().map(|agreed| (agreed.id, agreed.account)).collect();
    let all = store::all_invoices(plane.db(), &agreed).await?.into_iter();
    let with_owner = all.filter_map(|invoice| {
        let account = by_account.get(owner.get(&invoice.subscription)?)?;
        Some((account.clone(), invoice))
    });
    Ok(with_owner.collect())
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
        plane.nudge();
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
