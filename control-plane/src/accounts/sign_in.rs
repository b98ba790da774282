//! Proving who one is, by password.

use std::net::IpAddr;

use super::{Email, Session, open_session, store, throttle};
use crate::audit::{self, Note, Outcome, What, Who};
use crate::{AccountId, ControlPlane, Error, Result};

/// What the sign-in form holds.
#[derive(Clone)]
pub struct SignIn {
    /// The address they signed up with.
    pub email: String,
    /// The password they chose.
    pub password: String,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignIn { .. }")
    }
}

/// Opens a session for who knows the password. The answer does not tell a wrong password from an unknown address.
pub async fn sign_in(plane: &ControlPlane, form: SignIn, from: IpAddr) -> Result<Session> {
    let (email, now) = (form.email.parse::<Email>()?, plane.now());
    let attempt = throttle::count(plane.db(), &email, from, now).await?;
    let found = store::credentials(plane.db(), &email).await?;
    let right = plane.passwords().matches(&form.password, found.as_ref().map(|(_, hash)| hash)).await?;
    let (Some((account, _)), true) = (&found, right) else {
        if let Some((account, _)) = &found {
            // Beside the answer, which must not take longer where there is an account.
            let (noted_in, account) = (plane.clone(), *account);
            plane.spawn(async move {
                if let Err(error) = note_refusal(&noted_in, account).await {
                    tracing::warn!(
                        error = error.chain(),
                        "a refused sign-in could not be written into the activity log"
                    );
                }
            });
        }
        return Err(Error::fix("password", "E-mail and password do not belong together. Check both and try again."));
    };
    attempt.forgive(plane.db(), now).await?;
    let mut tx = plane.db().begin().await?;
    let session = open_session(&mut tx, *account, now).await?;
    let told = Note::new(Who::Owner, What::SignIn, "You signed in to the console.").ended(Outcome::Done);
    told.of_account(&mut tx, *account, now).await?;
    tx.commit().await?;
    Ok(session)
}

/// Tells the owner that somebody did not know their password: once an hour, however often it is tried.
async fn note_refusal(plane: &ControlPlane, account: AccountId) -> Result<()> {
    let now = plane.now();
    let key = format!("sign-in-failed {account} {}", now.as_second().div_euclid(3600));
    if audit::is_noted(plane.db(), &key).await? {
        return Ok(());
    }
    let text = "Somebody tried to sign in to the console with a wrong password.";
    let told = Note::new(Who::Unknown, What::SignInFailed, text).ended(Outcome::Refused).once(key);
    let mut tx = plane.db().begin().await?;
    told.of_account(&mut tx, account, now).await?;
    Ok(tx.commit().await?)
}
