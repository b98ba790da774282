//! Who people sign up with: a name, a domain for servers, a catalogue of plans, and one operator.
//!
//! A new instance belongs to nobody. The first start makes a one-time token, which the binary prints as a link; who opens
//! it sets the business up and is its operator from then on.

mod plans;
mod setup;
mod store;

use billing::Currency;
use jiff::Timestamp;

use crate::db::on;
use crate::{Actor, ControlPlane, Error, Kind, Result};

pub(crate) use plans::offered as offered_plan;
pub use plans::{add_plan, change_plan, offer_plan, plan, plans, withdraw_plan};
pub use setup::{SetUp, set_up, setup_token, setup_token_holds};

/// The business that runs this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Business {
    /// Its name, as people read it.
    pub name: String,
    /// Servers have their addresses below this domain; the console is at it.
    pub sites_domain: String,
    /// What prices are in.
    pub currency: Currency,
    /// When it was set up; `None` for an instance that belongs to nobody yet.
    pub set_up: Option<Timestamp>,
}

/// The business, as everybody may know it.
pub async fn business(plane: &ControlPlane) -> Result<Business> {
    let nobody = || Business {
        name: "Freehold".into(),
        sites_domain: plane.settings().public.host.clone(),
        currency: Currency::EUR,
        set_up: None,
    };
    Ok(store::business(plane.db()).await?.filter(|business| business.set_up.is_some()).unwrap_or_else(nobody))
}

/// The business, once somebody can sign up with it.
pub(crate) async fn ready(plane: &ControlPlane) -> Result<Business> {
    let business = business(plane).await?;
    if business.set_up.is_none() {
        return Err(Error::new(Kind::Retry, "Nobody has set this provider up yet. Come back soon."));
    }
    Ok(business)
}

/// Where the console is: at the business's domain, or before there is one where we listen.
pub async fn console_origin(plane: &ControlPlane) -> Result<String> {
    Ok(console_origin_of(plane, &business(plane).await?))
}

pub(crate) fn console_origin_of(plane: &ControlPlane, business: &Business) -> String {
    plane.settings().public.origin(&business.sites_domain)
}

/// Changes the name of the business; servers learn it at their next wake.
pub async fn rename(plane: &ControlPlane, actor: &Actor, name: &str) -> Result<()> {
    actor.must_operate()?;
    let name = setup::business_name(name)?;
    on!(plane.db().writer(), e => sqlx::query("update business set name = $1 where id = 'one'")
        .bind(&name)
        .execute(e).await.map(|_| ()))?;
    plane.nudge();
    Ok(())
}
