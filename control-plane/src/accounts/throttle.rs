//! A limit on guessing: so many wrong passwords in a quarter of an hour, for one account and from one address.
//!
//! An attempt is counted before it is judged, so that a hundred at once are not a hundred free guesses; a right one is
//! taken off again. Counts stand in the database and outlive a restart.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::Email;
use crate::db::{Db, on};
use crate::{AccountId, Error, Kind, Result};

const WINDOW: SignedDuration = SignedDuration::from_mins(15);
const PER_ACCOUNT: i64 = 8;
const PER_ADDRESS: i64 = 40;

/// One counted attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    account: String,
    address: String,
}

/// Counts an attempt, and refuses it when there were too many.
pub(crate) async fn count(db: &Db, email: &Email, from: IpAddr, now: Timestamp) -> Result<Attempt> {
    let attempt = Attempt { account: format!("account {email}"), address: format!("address {}", network(from)) };
    for (subject, limit) in [(&attempt.account, PER_ACCOUNT), (&attempt.address, PER_ADDRESS)] {
        bounded(db, subject, limit, "to sign in", now).await.map_err(|error| error.about("password"))?;
    }
    Ok(attempt)
}

/// Counts an attempt of somebody who is signed in to name the present password, and refuses it likewise. It is counted
/// apart from signing in: who found a device that is signed in must not be able to lock the owner out.
pub(crate) async fn count_signed_in(db: &Db, account: AccountId, now: Timestamp) -> Result<SignedIn> {
    let attempt = SignedIn { subject: format!("signed in {account}") };
    bounded(db, &attempt.subject, PER_ACCOUNT, "to name your present password", now).await?;
    Ok(attempt)
}

async fn bounded(db: &Db, subject: &str, limit: i64, what: &str, now: Timestamp) -> Result<()> {
    let (count, since_ms) = count_one(db, subject, now).await?;
    if count <= limit {
        return Ok(());
    }
    let left = since_ms + window_ms() - now.as_millisecond();
    let minutes = left.max(1).saturating_add(59_999) / 60_000;
    let unit = if minutes == 1 { "minute" } else { "minutes" };
    let sentence = format!("There were too many attempts {what}. Your account is safe; try again in {minutes} {unit}.");
    Err(Error::new(Kind::Retry, sentence))
}

/// A counted attempt of somebody who is signed in.
#[derive(Debug)]
pub(crate) struct SignedIn {
    subject: String,
}

impl SignedIn {
    /// The password was right.
    pub(crate) async fn forgive(self, db: &Db) -> Result<()> {
        forget(db, &self.subject).await
    }
}

impl Attempt {
    /// The password was right.
    pub(crate) async fn forgive(self, db: &Db) -> Result<()> {
        forget(db, &self.account).await?;
        on!(db.writer(), e => sqlx::query("update attempt set count = count - 1 where subject = $1 and count > 0")
            .bind(&self.address).execute(e).await.map(|_| ()))?;
        Ok(())
    }
}

async fn forget(db: &Db, subject: &str) -> Result<()> {
    on!(db.writer(), e => sqlx::query("delete from attempt where subject = $1")
        .bind(subject).execute(e).await.map(|_| ()))?;
    Ok(())
}

async fn count_one(db: &Db, subject: &str, now: Timestamp) -> Result<(i64, i64)> {
    let counted = on!(db.writer(), e => sqlx::query_as(
        "insert into attempt (subject, count, since_ms) values ($1, 1, $2) \
         on conflict (subject) do update set \
         count = case when attempt.since_ms <= $3 then 1 else attempt.count + 1 end, \
         since_ms = case when attempt.since_ms <= $3 then excluded.since_ms else attempt.since_ms end \
         returning count, since_ms"
    )
    .bind(subject)
    .bind(now.as_millisecond())
    .bind(now.as_millisecond() - window_ms())
    .fetch_one(e).await)?;
    Ok(counted)
}

/// Forgets what happened longer ago than the limit looks.
pub(crate) async fn sweep(db: &Db, now: Timestamp) -> Result<()> {
    on!(db.writer(), e => sqlx::query("delete from attempt where since_ms <= $1")
        .bind(now.as_millisecond() - window_ms())
        .execute(e).await.map(|_| ()))?;
    Ok(())
}

fn window_ms() -> i64 {
    i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX)
}

/// One household has a /64 of addresses in IPv6, and counts as one.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}
