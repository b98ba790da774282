//! What people change about their own account.

use super::{display_name, password, session, store, throttle};
use crate::audit::{Note, What, Who};
use crate::db::on;
use crate::{Actor, ControlPlane, Error, Result};

/// Changes what we call the asker; their servers learn it at the next wake.
pub async fn rename(plane: &ControlPlane, actor: &Actor, name: &str) -> Result<()> {
    let account = actor.account().ok_or_else(Error::sign_in)?;
    let name = display_name(name)?;
    let mut tx = plane.db().begin().await?;
    on!(tx.each(), e => sqlx::query("update account set display_name = $2 where id = $1")
        .bind(account.to_string())
        .bind(&name)
        .execute(e).await.map(|_| ()))?;
    let told = Note::new(Who::Owner, What::Settings, format!("You changed what we call you to {name}."));
    told.of_account(&mut tx, account, plane.now()).await?;
    tx.commit().await?;
    plane.attend_account(account);
    Ok(())
}

/// Changes the asker's password and ends all their sessions but the one that holds `keep`.
pub async fn change_password(
    plane: &ControlPlane,
    actor: &Actor,
    current: &str,
    fresh: &str,
    keep: Option<&str>,
) -> Result<()> {
    let id = actor.account().ok_or_else(Error::sign_in)?;
    let account = store::by_id(plane.db(), id).await?.ok_or_else(Error::sign_in)?;
    let attempt =
        throttle::count_signed_in(plane.db(), id, plane.now()).await.map_err(|error| error.about("current"))?;
    let known = store::credentials(plane.db(), &account.email).await?;
    if !plane.passwords().matches(current, known.as_ref().map(|(_, hash)| hash)).await? {
        return Err(Error::fix("current", "This is not your present password."));
    }
    attempt.forgive(plane.db()).await?;
    let email = account.email.as_str();
    password::judge(fresh, &[email, &account.display_name]).map_err(|error| error.about("fresh"))?;
    let hash = plane.passwords().hash(fresh).await?;
    let mut tx = plane.db().begin().await?;
    on!(tx.each(), e => sqlx::query("update account set password_hash = $2 where id = $1")
        .bind(id.to_string())
        .bind(&hash.0)
        .execute(e).await.map(|_| ()))?;
    session::end_others(&mut tx, id, keep).await?;
    let told = "You changed your password, and all other devices were signed out of the console.";
    Note::new(Who::Owner, What::Settings, told).of_account(&mut tx, id, plane.now()).await?;
    Ok(tx.commit().await?)
}
