//! Setting the business up, once, by whoever can read what the first start printed.

use std::net::IpAddr;

use billing::{Currency, Plan, PlanDraft, PlanId};
use subtle::ConstantTimeEq as _;

use super::{Business, plans, store};
use crate::accounts::{self, Account, Email, Session, SignIn};
use crate::keys::{digest, random_text};
use crate::{AccountId, ControlPlane, Error, Result};

/// What the setup form holds.
#[derive(Clone)]
pub struct SetUp {
    /// The one-time token of the link.
    pub token: String,
    /// The name of the business.
    pub business_name: String,
    /// The domain below which servers get their addresses.
    pub sites_domain: String,
    /// The operator's address.
    pub email: String,
    /// The operator's password.
    pub password: String,
    /// What we call the operator.
    pub display_name: String,
    /// The plans to begin with; all in one currency.
    pub plans: Vec<PlanDraft>,
}

impl std::fmt::Debug for SetUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetUp").field("business_name", &self.business_name).finish_non_exhaustive()
    }
}

/// A one-time token, as long as the instance belongs to nobody. A token of an earlier start is good no more; asked again
/// within one run it is the same.
pub async fn setup_token(plane: &ControlPlane) -> Result<Option<String>> {
    let handed_out = plane.handed_out_token().lock().clone();
    if let Some(token) = handed_out {
        return Ok(if super::business(plane).await?.set_up.is_none() { Some(token) } else { None });
    }
    let token = random_text();
    if !store::put_token(plane.db(), &digest(&token)).await? {
        return Ok(None);
    }
    *plane.handed_out_token().lock() = Some(token.clone());
    Ok(Some(token))
}

/// Whether this token can still set the business up.
pub async fn setup_token_holds(plane: &ControlPlane, token: &str) -> Result<bool> {
    let known = store::token(plane.db()).await?;
    Ok(known.is_some_and(|(hash, operator)| operator.is_none() && same(&hash, token)))
}

/// Sets the business up and signs its operator in. Sending the same form twice is sending it once.
pub async fn set_up(plane: &ControlPlane, form: SetUp, from: IpAddr) -> Result<Session> {
    let Some((hash, operator)) = store::token(plane.db()).await?.filter(|(hash, _)| same(hash, &form.token)) else {
        return Err(Error::gone(
            "This link is not good any more. Start the program again: it prints a new one, unless the \
                                provider is set up already.",
        ));
    };
    if operator.is_some() {
        return repeated(plane, form, from).await;
    }
    let now = plane.now();
    let business = Business {
        name: business_name(&form.business_name)?,
        sites_domain: sites_domain(&form.sites_domain)?,
        currency: form.plans.first().map_or(Currency::EUR, |plan| plan.currency),
        set_up: Some(now),
    };
    let email: Email = form.email.parse()?;
    let display_name = accounts::display_name(&form.display_name)?;
    accounts::judge_password(&form.password, &[email.as_str(), &display_name, &business.name])?;
    plans::check_all(&form.plans, business.currency)?;
    let password = plane.passwords().hash(&form.password).await?;
    let id = AccountId::new(now.as_millisecond());
    let account = Account { id, email, display_name, operator: true, created: now };

    let mut tx = plane.db().begin().await?;
    if !store::claim(&mut tx, &hash, &business, id).await? {
        drop(tx);
        return repeated(plane, form, from).await;
    }
    accounts::insert(&mut tx, &account, &password).await?;
    for (position, terms) in form.plans.into_iter().enumerate() {
        let plan = Plan { id: PlanId::new(now.as_millisecond()), terms, offered: true };
        plans::insert(&mut tx, &plan, i64::try_from(position).map_err(Error::bug)?, now).await?;
    }
    let session = accounts::open_session(&mut tx, id, now).await?;
    tx.commit().await?;
    plane.nudge();
    Ok(session)
}

/// The form came twice. Who set the business up is signed in; anybody else is told that it is done.
async fn repeated(plane: &ControlPlane, form: SetUp, from: IpAddr) -> Result<Session> {
    let sign_in = SignIn { email: form.email, password: form.password };
    accounts::sign_in(plane, sign_in, from)
        .await
        .map_err(|error| Error::conflict("This provider is set up already. Sign in as its operator.").because(error))
}

pub(super) fn business_name(text: &str) -> Result<String> {
    let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() || name.chars().count() > 60 || name.chars().any(char::is_control) {
        return Err(Error::fix("business_name", "A business has a name of 1 to 60 letters."));
    }
    Ok(name)
}

/// A domain in the form that browsers send: lower case, ASCII.
fn sites_domain(text: &str) -> Result<String> {
    let refused =
        || Error::fix("sites_domain", "This is not a domain name. It looks like sites.example.org, or localhost.");
    let text = text.trim().trim_end_matches('.');
    let domain = idna::domain_to_ascii_strict(text).map_err(|_| refused())?;
    let is_number =
        domain.parse::<IpAddr>().is_ok() || domain.rsplit('.').next().is_some_and(|l| l.parse::<u64>().is_ok());
    // A server's name and an app's label still go in front.
    if domain.is_empty() || domain.len() > 150 || is_number {
        return Err(refused());
    }
    Ok(domain)
}

fn same(hash: &str, token: &str) -> bool {
    hash.as_bytes().ct_eq(digest(token).as_bytes()).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_domain_is_read_as_browsers_send_it() {
        for (text, domain) in [
            ("localhost", "localhost"),
            (" Sites.Example.ORG. ", "sites.example.org"),
            ("höfe.example", "xn--hfe-sna.example"),
        ] {
            assert_eq!(sites_domain(text).unwrap(), domain);
        }
        for text in
            ["", ".", "a b.example", "http://x.example", "127.0.0.1", "10.1", "x..example", "x_y.example", "-x.example"]
        {
            assert_eq!(sites_domain(text).unwrap_err().field(), Some("sites_domain"), "{text:?}");
        }
    }
}
