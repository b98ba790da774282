//! Accounts in the database.

use jiff::Timestamp;

use super::{Account, Email, PasswordHash};
use crate::db::{Db, Tx, numbered, on};
use crate::paging::{Ask, Page, Select, fetch};
use crate::{AccountId, Error, Result, row};

#[derive(sqlx::FromRow)]
struct AccountRow {
    id: String,
    email: String,
    display_name: String,
    operator: bool,
    created_ms: i64,
}

impl TryFrom<AccountRow> for Account {
    type Error = Error;

    fn try_from(found: AccountRow) -> Result<Self> {
        Ok(Self {
            id: row::id(&found.id)?,
            email: row::id(&found.email)?,
            display_name: found.display_name,
            operator: found.operator,
            created: row::time(found.created_ms)?,
        })
    }
}

/// Writes a new account down. An address that is taken is a form field to mend.
pub(crate) async fn insert(tx: &mut Tx, account: &Account, hash: &PasswordHash) -> Result<()> {
    let done = on!(tx.each(), e => sqlx::query(
        "insert into account (id, email, display_name, password_hash, operator, created_ms) values ($1, $2, $3, $4, $5, $6)"
    )
    .bind(account.id.to_string())
    .bind(account.email.as_str())
    .bind(&account.display_name)
    .bind(&hash.0)
    .bind(account.operator)
    .bind(account.created.as_millisecond())
    .execute(e).await.map(|_| ()));
    done.map_err(|error| {
        if crate::db::is_taken(&error) {
            Error::fix("email", "There is an account with this e-mail already. Sign in, or use another one.")
        } else {
            error.into()
        }
    })
}

pub(crate) async fn by_id(db: &Db, id: AccountId) -> Result<Option<Account>> {
    let found: Option<AccountRow> = on!(db.reader(), e => sqlx::query_as(
        "select id, email, display_name, operator, created_ms from account where id = $1"
    )
    .bind(id.to_string())
    .fetch_optional(e).await)?;
    found.map(Account::try_from).transpose()
}

const COLUMNS: &str = "select account.id, email, display_name, operator, account.created_ms from account";

/// Some accounts, in no order.
pub(crate) async fn by_ids(db: &Db, ids: &[AccountId]) -> Result<Vec<Account>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} where id in ({})", numbered(1, ids.len())));
    let found: Vec<AccountRow> = on!(db.reader(), e => {
        let mut query = sqlx::query_as(sql);
        for id in ids {
            query = query.bind(id.to_string());
        }
        query.fetch_all(e).await
    })?;
    found.into_iter().map(Account::try_from).collect()
}

/// One page of all accounts, found by address, name, or the name of a server.
pub(super) async fn page(db: &Db, ask: &Ask) -> Result<Page<Account>> {
    let mut select = Select::by("account.id", ask);
    if let Some(wanted) = select.wanted() {
        let has_server = format!("account.id in (select account_id from server where {})", wanted.within("name"));
        select.any(&[wanted.within("email"), wanted.within("display_name"), has_server, wanted.is("account.id")]);
    }
    let found: Vec<AccountRow> = fetch!(select, COLUMNS, db.reader())?;
    select.page(found, |row| row.id.clone()).try_map(Account::try_from)
}

pub(crate) async fn credentials(db: &Db, email: &Email) -> Result<Option<(AccountId, PasswordHash)>> {
    let found: Option<(String, String)> = on!(db.reader(), e => sqlx::query_as(
        "select id, password_hash from account where email = $1"
    )
    .bind(email.as_str())
    .fetch_optional(e).await)?;
    found.map(|(id, hash)| Ok((row::id(&id)?, PasswordHash(hash)))).transpose()
}

/// What one press of *Create* made, if it made something.
pub(super) async fn signed_up(
    db: &Db,
    request_key: &str,
) -> Result<Option<(AccountId, tenant_runtime::ids::ServerId)>> {
    let found: Option<(String, String)> = on!(db.reader(), e => sqlx::query_as(
        "select account_id, server_id from sign_up where request_key = $1"
    )
    .bind(crate::keys::digest(request_key))
    .fetch_optional(e).await)?;
    found.map(|(account, server)| Ok((row::id(&account)?, row::id(&server)?))).transpose()
}

pub(super) async fn note_sign_up(
    tx: &mut Tx,
    request_key: &str,
    account: AccountId,
    server: tenant_runtime::ids::ServerId,
    now: Timestamp,
) -> Result<()> {
    on!(tx.each(), e => sqlx::query(
        "insert into sign_up (request_key, account_id, server_id, created_ms) values ($1, $2, $3, $4)"
    )
    .bind(crate::keys::digest(request_key))
    .bind(account.to_string())
    .bind(server.to_string())
    .bind(now.as_millisecond())
    .execute(e).await.map(|_| ()))?;
    Ok(())
}
