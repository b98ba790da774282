//! The wish for a server. That is all a sign-up writes; the reconciler does the rest.

use billing::SubscriptionId;
use jiff::Timestamp;
use tenant_runtime::ids::ServerId;

use super::ServerName;
use crate::db::{Tx, is_taken, on};
use crate::{AccountId, Error, Result, drills};

/// Writes down that `account` wants a server of this name. A name that is taken is a form field to mend.
pub(crate) async fn create(
    tx: &mut Tx,
    account: AccountId,
    subscription: SubscriptionId,
    name: &ServerName,
    now: Timestamp,
) -> Result<ServerId> {
    let id = ServerId::new(now.as_millisecond());
    let done = on!(tx.each(), e => sqlx::query(
        "insert into server (id, account_id, subscription_id, name, desired, desired_ms, created_ms) \
         values ($1, $2, $3, $4, 'kept', $5, $5)"
    )
    .bind(id.to_string())
    .bind(account.to_string())
    .bind(subscription.to_string())
    .bind(name.as_str())
    .bind(now.as_millisecond())
    .execute(e).await.map(|_| ()));
    match done {
        Ok(()) => {
            drills::expect(tx, id, now.checked_add(drills::A_DAY).map_err(Error::bug)?).await?;
            Ok(id)
        }
        Err(error) if is_taken(&error) => {
            Err(Error::fix("server_name", format!("{name} was taken a moment ago. Choose another address.")))
        }
        Err(error) => Err(error.into()),
    }
}
