//! Proving who one is, by password.

use std::net::IpAddr;

use super::{Email, Session, open_session, store, throttle};
use crate::{ControlPlane, Error, Result};

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
    let (Some((account, _)), true) = (found, right) else {
        return Err(Error::fix("password", "E-mail and password do not belong together. Check both and try again."));
    };
    attempt.forgive(plane.db(), now).await?;
    let mut tx = plane.db().begin().await?;
    let session = open_session(&mut tx, account, now).await?;
    tx.commit().await?;
    Ok(session)
}
