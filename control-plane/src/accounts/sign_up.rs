//! From a filled-in form to an account, an agreement, a bill and a server, all at once or not at all.
//!
//! One press of *Create* carries one request key. A second press with the same key, at the same moment or after a lost
//! answer, finds what the first one made. Everything stands in one transaction; what takes time (placing the server,
//! sending the letters) is found by the loops in the rows it leaves.

use std::net::IpAddr;

use billing::PlanId;
use tenant_runtime::ids::ServerId;

use super::{Account, Email, Session, display_name, open_session, password, store, throttle};
use crate::audit::{Note, What, Who};
use crate::servers::{self, ServerName};
use crate::{AccountId, ControlPlane, Error, Result, business, mail, subscriptions};

/// What the sign-up form holds.
#[derive(Clone)]
pub struct SignUp {
    /// Where we write to.
    pub email: String,
    /// What they prove themselves with.
    pub password: String,
    /// What we call them.
    pub display_name: String,
    /// The plan they take.
    pub plan: PlanId,
    /// The name of their server, as they typed it.
    pub server_name: String,
    /// Names this press of *Create*: random, made when the form was shown.
    pub request_key: String,
}

impl std::fmt::Debug for SignUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignUp")
            .field("plan", &self.plan)
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// What a sign-up made.
#[derive(Debug, Clone)]
pub struct SignedUp {
    /// The account.
    pub account: AccountId,
    /// Its server, which is being placed.
    pub server: ServerId,
    /// A session, so that nobody has to sign in to what they just made.
    pub session: Session,
}

/// Signs somebody up. Repeating it with the same key and password gives the same account and server.
pub async fn sign_up(plane: &ControlPlane, form: SignUp, from: IpAddr) -> Result<SignedUp> {
    if !(16..=200).contains(&form.request_key.len()) {
        return Err(Error::new(
            crate::Kind::Fix,
            "This form is not complete. Load the page again and send it once more.",
        ));
    }
    if let Some(made) = repeated(plane, &form, from).await? {
        return Ok(made);
    }
    let wanted = Wanted::check(plane, &form).await?;
    throttle::count_sign_up(plane.db(), from, plane.settings().sign_ups_per_hour, plane.now()).await?;
    let hash = plane.passwords().hash(&form.password).await?;
    match write(plane, &form, wanted, &hash).await {
        Ok(made) => {
            plane.attend(made.server);
            plane.nudge_post();
            Ok(made)
        }
        // What is taken may be taken by the first press of the same button.
        Err(error) => repeated(plane, &form, from).await?.ok_or(error),
    }
}

/// A form whose every field can be.
struct Wanted {
    email: Email,
    display_name: String,
    name: ServerName,
    plan: billing::Plan,
    business: business::Business,
}

impl Wanted {
    async fn check(plane: &ControlPlane, form: &SignUp) -> Result<Self> {
        let business = business::ready(plane).await?;
        let name = ServerName::parse(&form.server_name)?;
        let email: Email = form.email.parse()?;
        let display_name = display_name(&form.display_name)?;
        let local_part = email.as_str().split('@').next().unwrap_or_default();
        password::judge(&form.password, &[email.as_str(), local_part, &display_name, name.as_str()])?;
        let plan = business::offered_plan(plane, form.plan).await?;
        Ok(Self { email, display_name, name, plan, business })
    }
}

async fn write(plane: &ControlPlane, form: &SignUp, wanted: Wanted, hash: &super::PasswordHash) -> Result<SignedUp> {
    let now = plane.now();
    let ms = now.as_millisecond();
    let account = Account {
        id: AccountId::new(ms),
        email: wanted.email,
        display_name: wanted.display_name,
        operator: false,
        created: now,
    };
    let site = servers::site(plane, &wanted.business, &wanted.name);
    let mut tx = plane.db().begin().await?;
    store::insert(&mut tx, &account, hash).await?;
    let agreed = subscriptions::begin(&mut tx, account.id, &wanted.plan, now).await?;
    let server = servers::create(&mut tx, account.id, agreed.id, &wanted.name, now).await?;
    store::note_sign_up(&mut tx, &form.request_key, account.id, server, now).await?;
    let bills = subscriptions::bill_until(&mut tx, &agreed, &plane.settings().grace, now).await?;
    let welcome = mail::Letter::Welcome { address: site.origin(), plan: wanted.plan.name.clone() };
    mail::write(plane, &mut tx, &wanted.business, &account, &welcome, &format!("welcome {}", account.id)).await?;
    for bill in &bills {
        mail::write_invoice(plane, &mut tx, &wanted.business, &account, &agreed.terms, bill).await?;
    }
    let session = open_session(&mut tx, account.id, now).await?;
    let told = format!("You signed up and took the plan {}; your server {} was made.", wanted.plan.name, site.origin());
    Note::new(Who::Owner, What::Create, told).of_server(&mut tx, server, now).await?;
    tx.commit().await?;
    Ok(SignedUp { account: account.id, server, session })
}

/// What an earlier press of the same button made. The password is asked again, so that a key alone opens nothing.
async fn repeated(plane: &ControlPlane, form: &SignUp, from: IpAddr) -> Result<Option<SignedUp>> {
    let Some((account, server)) = store::signed_up(plane.db(), &form.request_key).await? else { return Ok(None) };
    let email: Email = form.email.parse()?;
    let attempt = throttle::count(plane.db(), &email, from, plane.now()).await?;
    let found = store::credentials(plane.db(), &email).await?.filter(|(id, _)| *id == account);
    if !plane.passwords().matches(&form.password, found.as_ref().map(|(_, hash)| hash)).await? {
        return Err(Error::conflict(
            "This form was sent before, with other answers. Load the page again to start afresh.",
        ));
    }
    attempt.forgive(plane.db(), plane.now()).await?;
    let mut tx = plane.db().begin().await?;
    let session = open_session(&mut tx, account, plane.now()).await?;
    tx.commit().await?;
    Ok(Some(SignedUp { account, server, session }))
}
