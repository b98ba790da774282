//! Closing a server: what is cancelled today runs to the end of its month, is kept for a while after that, and only then
//! goes for good.
//!
//! Until the last day all of it can be taken back and everything can be exported. The person is written to when they
//! close and once more before anything is erased; without that second letter, and without a week after it, nothing is
//! erased, so that a clock that is wrong costs a week and not a home.

use billing::Period;
use jiff::{SignedDuration, Timestamp};

use super::store::{self, Agreed};
use crate::audit::{Note, What, Who};
use crate::business::{self, Business};
use crate::context::not_there;
use crate::{AccountId, Actor, ControlPlane, Error, Result, accounts, mail, servers};

/// How long a server is kept after its subscription has ended.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long before a server is erased its owner is told once more.
const TOLD: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What happens when, once a server is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    /// Everything works until then; afterwards the server sleeps and can be exported.
    pub ends: Timestamp,
    /// It can be taken back until then; afterwards the server is erased with everything on it.
    pub erased: Timestamp,
}

impl Closing {
    /// What follows when a subscription ends at `ends`.
    pub(super) fn of(ends: Timestamp) -> Self {
        Self { ends, erased: ends.checked_add(KEPT).unwrap_or(Timestamp::MAX) }
    }

    fn last_letter(&self) -> Timestamp {
        self.erased.checked_sub(TOLD).unwrap_or(self.erased)
    }
}

/// What would happen when, if the agreement were cancelled at `now`.
pub(super) fn if_closed(agreed: &Agreed, now: Timestamp) -> Result<Closing> {
    let month = Period::holding(agreed.anchor, now).ok_or_else(|| Error::bug("no month holds today"))?;
    Ok(Closing::of(month.end))
}

/// Ends the agreement with the month that is paid for, and with it, some time later, the account's servers. Saying it
/// twice is saying it once.
pub async fn cancel(plane: &ControlPlane, actor: &Actor, account: AccountId) -> Result<Closing> {
    actor.must_own(account)?;
    let agreed = store::of_account(plane.db(), account).await?.ok_or_else(not_there)?;
    if let Some(ends) = agreed.ends {
        return Ok(Closing::of(ends));
    }
    let closing = if_closed(&agreed, plane.now())?;
    let business = business::business(plane).await?;
    let mut tx = plane.db().begin().await?;
    store::set_end(&mut tx, agreed.id, Some(closing.ends)).await?;
    let ends = closing.ends.strftime("%-d %B %Y");
    let told = format!("You closed your server: everything works until {ends}, and it can be taken back after that.");
    Note::new(Who::of_owners(actor), What::Close, told).of_account(&mut tx, account, plane.now()).await?;
    // Whoever takes it back and closes again is told again: the moment stands in the key.
    let key = format!("closing {} {}", agreed.id, plane.now().as_millisecond());
    write(plane, &mut tx, &business, &agreed, closing, &key).await?;
    tx.commit().await?;
    plane.attend_account(account);
    plane.nudge_post();
    Ok(closing)
}

/// Ends the agreement with the month that is paid for, because the account's server has moved to another provider. A letter
/// has told its owner so before.
pub(crate) async fn end_with_move(plane: &ControlPlane, tx: &mut crate::db::Tx, account: AccountId) -> Result<()> {
    let agreed = store::of_account(plane.db(), account).await?.ok_or_else(not_there)?;
    if agreed.ends.is_some() {
        return Ok(());
    }
    let closing = if_closed(&agreed, plane.now())?;
    store::set_end(tx, agreed.id, Some(closing.ends)).await?;
    let ends = closing.ends.strftime("%-d %B %Y");
    let told = format!("Your agreement here ends on {ends}, because your server has moved. Nothing more is charged.");
    Note::new(Who::Provider, What::Close, told).of_account(tx, account, plane.now()).await
}

/// Takes a cancellation back, while what it is about is still there. A month that has begun meanwhile is billed.
pub async fn resume(plane: &ControlPlane, actor: &Actor, account: AccountId) -> Result<()> {
    actor.must_own(account)?;
    let agreed = store::of_account(plane.db(), account).await?.ok_or_else(not_there)?;
    if agreed.ends.is_some_and(|ends| Closing::of(ends).erased <= plane.now()) {
        return Err(Error::conflict("This server has been closed for good, and there is nothing left to take back."));
    }
    let mut tx = plane.db().begin().await?;
    store::set_end(&mut tx, agreed.id, None).await?;
    if agreed.ends.is_some() {
        let told = "You took the closing of your server back.";
        Note::new(Who::of_owners(actor), What::Reopen, told).of_account(&mut tx, account, plane.now()).await?;
    }
    tx.commit().await?;
    plane.attend_account(account);
    Ok(())
}

async fn write(
    plane: &ControlPlane,
    tx: &mut crate::db::Tx,
    business: &Business,
    agreed: &Agreed,
    closing: Closing,
    key: &str,
) -> Result<()> {
    let account = accounts::account(plane, &Actor::System, agreed.account).await?;
    let closing_here = mail::Letter::Closing { ends: closing.ends, erased: closing.erased };
    let letter = left_behind(plane, agreed.account, closing).await?.unwrap_or(closing_here);
    mail::write(plane, tx, business, &account, &letter, key).await
}

/// What is written instead to somebody whose server lives elsewhere by now.
async fn left_behind(plane: &ControlPlane, account: AccountId, closing: Closing) -> Result<Option<mail::Letter>> {
    let kept = servers::servers_of(plane, &Actor::System, account).await?;
    let kept: Vec<_> = kept.iter().filter(|server| server.desired == servers::Desired::Kept).collect();
    let [only] = kept[..] else { return Ok(None) };
    let letter = |moved: std::sync::Arc<crate::gateway::Moved>| mail::Letter::LeftBehind {
        to: moved.to.clone(),
        erased: closing.erased,
        until: moved.until,
    };
    Ok(plane.leaving().moved(only.id).map(letter))
}

/// Takes the steps that are due about one cancelled agreement: the last letter, and a week after it the end.
pub(super) async fn follow(plane: &ControlPlane, business: &Business, agreed: &Agreed) -> Result<()> {
    let now = plane.now();
    if agreed.ends.map(Closing::of).is_none_or(|closing| now < closing.last_letter()) {
        return Ok(());
    }
    // Read again: what was taken back since the page with it was read is not closing any more.
    let agreed = &store::of_account(plane.db(), agreed.account).await?.ok_or_else(not_there)?;
    let Some(closing) = agreed.ends.map(Closing::of) else { return Ok(()) };
    let mut kept = servers::servers_of(plane, &Actor::System, agreed.account).await?;
    kept.retain(|server| server.desired == servers::Desired::Kept);
    if kept.is_empty() {
        return Ok(());
    }
    let key = format!("last letter {} {}", agreed.id, closing.erased.as_millisecond());
    let told = mail::written(plane.db(), &key).await?;
    let Some(told) = told else {
        let mut tx = plane.db().begin().await?;
        // A week from now at the earliest, whatever was planned.
        let erased = closing.erased.max(now.checked_add(TOLD).unwrap_or(Timestamp::MAX));
        write(plane, &mut tx, business, agreed, Closing { erased, ..closing }, &key).await?;
        tx.commit().await?;
        plane.nudge_post();
        return Ok(());
    };
    if now < closing.erased || now < told.checked_add(TOLD).unwrap_or(Timestamp::MAX) {
        return Ok(());
    }
    for server in kept {
        tracing::info!(server.id = %server.id, "a closed server has been kept for its term and is erased now");
        servers::erase(plane, &Actor::System, server.id).await?;
    }
    Ok(())
}
