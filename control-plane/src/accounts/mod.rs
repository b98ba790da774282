//! People: how they sign up, prove who they are, and are known from one request to the next.

mod email;
mod password;
mod profile;
mod session;
mod sign_in;
mod sign_up;
mod store;
mod sweep;
mod throttle;

use billing::{Money, Standing};
use jiff::Timestamp;
use tenant_runtime::ids::ServerId;

use crate::context::not_there;
use crate::paging::{Ask, Page};
use crate::{AccountId, Actor, ControlPlane, Result, subscriptions};

pub use email::Email;
pub use password::judge as judge_password;
pub(crate) use password::{PasswordHash, Passwords};
pub use profile::{change_password, rename};
pub(crate) use session::open as open_session;
pub use session::{Session, SessionView, actor, end_other_sessions, end_session, session_id, sessions, sign_out};
pub use sign_in::{SignIn, sign_in};
pub use sign_up::{SignUp, SignedUp, sign_up};
pub(crate) use store::{by_ids, insert};
pub(crate) use sweep::run as run_sweeps;
pub(crate) use throttle::count_drill;

/// Somebody who has signed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name for programs.
    pub id: AccountId,
    /// Where we write to.
    pub email: Email,
    /// What we call them.
    pub display_name: String,
    /// Whether they run the business.
    pub operator: bool,
    /// When they signed up.
    pub created: Timestamp,
}

/// An account as who runs the business sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Who.
    pub account: Account,
    /// How they stand; `None` without a subscription.
    pub standing: Option<Standing>,
    /// What happens when, if they have closed their server.
    pub closing: Option<subscriptions::Closing>,
    /// What is open on their bills, if anything is.
    pub open: Option<Money>,
    /// Their servers, with names.
    pub servers: Vec<(ServerId, String)>,
}

/// One account, for its owner and who runs the business.
pub async fn account(plane: &ControlPlane, actor: &Actor, id: AccountId) -> Result<Account> {
    actor.may_see(id)?;
    store::by_id(plane.db(), id).await?.ok_or_else(not_there)
}

/// Everybody who has signed up, a page at a time, for who runs the business.
pub async fn customers(plane: &ControlPlane, actor: &Actor, ask: &Ask) -> Result<Page<Customer>> {
    actor.must_operate()?;
    let page = store::page(plane.db(), ask).await?;
    let ids: Vec<_> = page.items.iter().map(|account| account.id).collect();
    let mut lines = subscriptions::lines(plane, &ids).await?;
    let mut servers = crate::servers::names_by_account(plane, &ids).await?;
    let customer = |account: Account| {
        let line = lines.remove(&account.id);
        let (standing, closing) =
            (line.as_ref().map(|line| line.standing), line.as_ref().and_then(|line| line.closing));
        let open = line.and_then(|line| line.open);
        Ok(Customer { standing, closing, open, servers: servers.remove(&account.id).unwrap_or_default(), account })
    };
    page.try_map(customer)
}

/// A name as people want to be called: something, and no more than a line.
pub(crate) fn display_name(text: &str) -> Result<String> {
    let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() || name.chars().count() > 80 || name.chars().any(char::is_control) {
        return Err(crate::Error::fix("display_name", "Say what we should call you, in 1 to 80 letters."));
    }
    Ok(name)
}
