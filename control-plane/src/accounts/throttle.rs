//! A limit on guessing, on signing up and on asking for what makes much work.
//!
//! Who guesses at one account from one network is stopped after a few wrong passwords, and with them nobody else: a
//! stranger must not be able to lock the owner out. Against guessing from many networks at once each account has a
//! second, slower measure: after a few dozen wrong passwords from anywhere, the next attempt must wait, longer with each
//! one. Networks from which the account was signed in to lately are not held to it.
//!
//! An attempt is counted before it is judged, so that a hundred at once are not a hundred free guesses; a right one is
//! taken off again. Counts stand in the database and outlive a restart.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::Email;
use crate::db::{Db, on};
use crate::gateway::household;
use crate::{AccountId, Error, Kind, Result};

/// So many attempts of one subject within so much time.
struct Limit {
    most: i64,
    window: SignedDuration,
}

const PER_ACCOUNT: Limit = Limit { most: 8, window: SignedDuration::from_mins(15) };
const PER_NETWORK: Limit = Limit { most: 40, window: SignedDuration::from_mins(15) };
const DRILLS: Limit = Limit { most: 6, window: SignedDuration::from_hours(24) };
const SIGN_UPS: SignedDuration = SignedDuration::from_hours(1);

/// From anywhere: so many wrong passwords are free…
const FREE: i64 = 40;
/// …each further one makes the next attempt wait a second longer, up to this many seconds…
const LONGEST: i64 = 60;
/// …and one is forgotten in this many milliseconds.
const FORGETS_MS: i64 = 120_000;

/// How long a network counts as one the account is used from.
const KNOWN: SignedDuration = SignedDuration::from_hours(90 * 24);

/// One counted attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    here: String,
    network: String,
    /// Absent where the account is known to be used from.
    anywhere: Option<String>,
    known: String,
}

/// Counts an attempt, and refuses it when there were too many.
pub(crate) async fn count(db: &Db, email: &Email, from: IpAddr, now: Timestamp) -> Result<Attempt> {
    let network = household(from);
    let known = known(email, network);
    let is_known = since(db, &known).await?.is_some_and(|since_ms| since_ms > (now - KNOWN).as_millisecond());
    let attempt = Attempt {
        here: format!("account {email} from {network}"),
        network: format!("address {network}"),
        anywhere: (!is_known).then(|| format!("anywhere {email}")),
        known,
    };
    let about = |error: Error| error.about("password");
    bounded(db, &attempt.here, &PER_ACCOUNT, SIGN_IN, now).await.map_err(about)?;
    bounded(db, &attempt.network, &PER_NETWORK, SIGN_IN, now).await.map_err(about)?;
    if let Some(anywhere) = &attempt.anywhere {
        slowed(db, anywhere, now).await.map_err(about)?;
    }
    Ok(attempt)
}

/// Counts a sign-up that is about to be made, and refuses it when there were too many from one network.
pub(crate) async fn count_sign_up(db: &Db, from: IpAddr, most: u32, now: Timestamp) -> Result<()> {
    let subject = format!("sign-up {}", household(from));
    let limit = Limit { most: most.into(), window: SIGN_UPS };
    bounded(db, &subject, &limit, "Too many people have just signed up from your network.", now).await
}

/// Counts an attempt of somebody who is signed in to name the present password, and refuses it likewise. It is counted
/// apart from signing in: who found a device that is signed in must not be able to lock the owner out.
pub(crate) async fn count_signed_in(db: &Db, account: AccountId, now: Timestamp) -> Result<SignedIn> {
    let attempt = SignedIn { subject: format!("signed in {account}") };
    let what = "There were too many attempts to name your present password. Your account is safe.";
    bounded(db, &attempt.subject, &PER_ACCOUNT, what, now).await?;
    Ok(attempt)
}

/// Counts an exit drill that is asked for, and refuses it when there were too many of one person.
pub(crate) async fn count_drill(db: &Db, account: AccountId, now: Timestamp) -> Result<()> {
    let what = "Six tests in a day are as many as one person can ask for; each of them takes your whole archive in.";
    bounded(db, &format!("drill {account}"), &DRILLS, what, now).await
}

const SIGN_IN: &str = "There were too many attempts to sign in. Your account is safe.";

async fn bounded(db: &Db, subject: &str, limit: &Limit, what: &str, now: Timestamp) -> Result<()> {
    let (count, since_ms) = count_one(db, subject, limit.window, now).await?;
    if count <= limit.most {
        return Ok(());
    }
    Err(too_often(what, since_ms + window_ms(limit.window) - now.as_millisecond()))
}

fn too_often(what: &str, left_ms: i64) -> Error {
    let seconds = left_ms.max(1).saturating_add(999) / 1000;
    let (number, unit) = match seconds {
        ..90 => (seconds, "second"),
        90..5400 => ((seconds + 59) / 60, "minute"),
        _ => ((seconds + 3599) / 3600, "hour"),
    };
    let plural = if number == 1 { "" } else { "s" };
    let error = Error::new(Kind::Retry, format!("{what} Try again in {number} {unit}{plural}."));
    error.after(std::time::Duration::from_secs(seconds.unsigned_abs()))
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
    pub(crate) async fn forgive(self, db: &Db, now: Timestamp) -> Result<()> {
        forget(db, &self.here).await?;
        for subject in [Some(&self.network), self.anywhere.as_ref()].into_iter().flatten() {
            on!(db.writer(), e => sqlx::query("update attempt set count = count - 1 where subject = $1 and count > 0")
                .bind(subject).execute(e).await.map(|_| ()))?;
        }
        on!(db.writer(), e => sqlx::query(
            "insert into attempt (subject, count, since_ms) values ($1, 0, $2) \
             on conflict (subject) do update set since_ms = excluded.since_ms"
        )
        .bind(&self.known)
        .bind(now.as_millisecond())
        .execute(e).await.map(|_| ()))?;
        Ok(())
    }
}

/// A network an account is used from. Only a digest is kept: nobody needs to read from where people sign in.
fn known(email: &Email, network: IpAddr) -> String {
    format!("known {}", hex::encode(Sha256::digest(format!("{email} {network}"))))
}

async fn since(db: &Db, subject: &str) -> Result<Option<i64>> {
    let since = on!(db.reader(), e => sqlx::query_scalar("select since_ms from attempt where subject = $1")
        .bind(subject).fetch_optional(e).await)?;
    Ok(since)
}

async fn forget(db: &Db, subject: &str) -> Result<()> {
    on!(db.writer(), e => sqlx::query("delete from attempt where subject = $1")
        .bind(subject).execute(e).await.map(|_| ()))?;
    Ok(())
}

async fn count_one(db: &Db, subject: &str, window: SignedDuration, now: Timestamp) -> Result<(i64, i64)> {
    let counted = on!(db.writer(), e => sqlx::query_as(
        "insert into attempt (subject, count, since_ms) values ($1, 1, $2) \
         on conflict (subject) do update set \
         count = case when attempt.since_ms <= $3 then 1 else attempt.count + 1 end, \
         since_ms = case when attempt.since_ms <= $3 then excluded.since_ms else attempt.since_ms end \
         returning count, since_ms"
    )
    .bind(subject)
    .bind(now.as_millisecond())
    .bind(now.as_millisecond() - window_ms(window))
    .fetch_one(e).await)?;
    Ok(counted)
}

/// Counts where the next attempt must wait the longer the more there were. One that has not waited does not count, or
/// whoever keeps knocking would keep the door shut for ever. Here `since_ms` is the time of the last attempt.
async fn slowed(db: &Db, subject: &str, now: Timestamp) -> Result<()> {
    let counted: Option<i64> = on!(db.writer(), e => sqlx::query_scalar(
        "insert into attempt (subject, count, since_ms) values ($1, 1, $2) \
         on conflict (subject) do update set since_ms = excluded.since_ms, \
         count = case when attempt.count <= ($2 - attempt.since_ms) / $3 then 1 \
         when attempt.count - ($2 - attempt.since_ms) / $3 >= $4 then $4 \
         else attempt.count - ($2 - attempt.since_ms) / $3 + 1 end \
         where $2 - attempt.since_ms >= 1000 * (attempt.count - $5) \
         returning count"
    )
    .bind(subject)
    .bind(now.as_millisecond())
    .bind(FORGETS_MS)
    .bind(FREE + LONGEST)
    .bind(FREE)
    .fetch_optional(e).await)?;
    if counted.is_some() {
        return Ok(());
    }
    let (count, since_ms): (i64, i64) = on!(db.writer(), e => sqlx::query_as(
        "select count, since_ms from attempt where subject = $1"
    ).bind(subject).fetch_one(e).await)?;
    Err(too_often(SIGN_IN, since_ms + 1000 * (count - FREE) - now.as_millisecond()))
}

/// Forgets what no limit looks at any more.
pub(crate) async fn sweep(db: &Db, now: Timestamp) -> Result<()> {
    let slowest_ms = (FREE + LONGEST) * FORGETS_MS;
    for (subjects, kept_ms) in [
        ("known %", window_ms(KNOWN)),
        ("anywhere %", slowest_ms),
        ("sign-up %", window_ms(SIGN_UPS)),
        ("drill %", window_ms(DRILLS.window)),
        ("account %", window_ms(PER_ACCOUNT.window)),
        ("signed in %", window_ms(PER_ACCOUNT.window)),
        ("address %", window_ms(PER_NETWORK.window)),
    ] {
        on!(db.writer(), e => sqlx::query("delete from attempt where subject like $1 and since_ms <= $2")
            .bind(subjects)
            .bind(now.as_millisecond() - kept_ms)
            .execute(e).await.map(|_| ()))?;
    }
    Ok(())
}

fn window_ms(window: SignedDuration) -> i64 {
    i64::try_from(window.as_millis()).unwrap_or(i64::MAX)
}
