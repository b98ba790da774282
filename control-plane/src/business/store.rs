//! The business in the database: one row.

use super::Business;
use crate::db::{Db, Tx, on};
use crate::{AccountId, Result, row};

#[derive(sqlx::FromRow)]
struct BusinessRow {
    name: String,
    sites_domain: String,
    currency: String,
    set_up_ms: Option<i64>,
}

pub(super) async fn business(db: &Db) -> Result<Option<Business>> {
    let found: Option<BusinessRow> = on!(db.reader(), e => sqlx::query_as(
        "select name, sites_domain, currency, set_up_ms from business where id = 'one'"
    )
    .fetch_optional(e).await)?;
    found
        .map(|found| {
            Ok(Business {
                name: found.name,
                sites_domain: found.sites_domain,
                currency: row::id(&found.currency)?,
                set_up: found.set_up_ms.map(row::time).transpose()?,
            })
        })
        .transpose()
}

/// Replaces the one-time token of an instance that belongs to nobody; false when it belongs to somebody.
pub(super) async fn put_token(db: &Db, hash: &str) -> Result<bool> {
    let done = on!(db.writer(), e => sqlx::query(
        "insert into business (id, name, sites_domain, currency, setup_token_hash) values ('one', '', '', 'EUR', $1) \
         on conflict (id) do update set setup_token_hash = excluded.setup_token_hash where business.set_up_ms is null"
    )
    .bind(hash)
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// The hash of the one-time token, and whose the instance is.
pub(super) async fn token(db: &Db) -> Result<Option<(String, Option<AccountId>)>> {
    let found: Option<(Option<String>, Option<String>)> = on!(db.reader(), e => sqlx::query_as(
        "select setup_token_hash, operator_id from business where id = 'one'"
    )
    .fetch_optional(e).await)?;
    let Some((Some(hash), operator)) = found else { return Ok(None) };
    Ok(Some((hash, operator.as_deref().map(row::id).transpose()?)))
}

/// Makes the instance somebody's; false when it is somebody's already, or the token is another one by now.
pub(super) async fn claim(tx: &mut Tx, hash: &str, business: &Business, operator: AccountId) -> Result<bool> {
    let done = on!(tx.each(), e => sqlx::query(
        "update business set name = $2, sites_domain = $3, currency = $4, set_up_ms = $5, operator_id = $6 \
         where id = 'one' and set_up_ms is null and setup_token_hash = $1"
    )
    .bind(hash)
    .bind(&business.name)
    .bind(&business.sites_domain)
    .bind(business.currency.to_string())
    .bind(business.set_up.map(|at| at.as_millisecond()))
    .bind(operator.to_string())
    .execute(e).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}
