//! Who asks, and what time it is.
//!
//! Authority is checked where the work is done, not where the request came in: every public function of a noun takes an
//! [`Actor`], and `tests/it/authority.rs` holds a table of them all.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{AccountId, Error, Result};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Somebody we do not know.
    Visitor,
    /// The owner of an account.
    Account(AccountId),
    /// Who runs the business, by their account.
    Operator(AccountId),
    /// This program itself.
    System,
}

impl Actor {
    /// The account behind it.
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Account(id) | Self::Operator(id) => Some(*id),
            Self::Visitor | Self::System => None,
        }
    }

    /// Whether it is who runs the business.
    pub fn is_operator(&self) -> bool {
        matches!(self, Self::Operator(_))
    }

    /// Only for who runs the business, and for this program.
    pub fn must_operate(&self) -> Result<()> {
        match self {
            Self::Operator(_) | Self::System => Ok(()),
            Self::Account(_) => Err(Error::denied()),
            Self::Visitor => Err(Error::sign_in()),
        }
    }

    /// Only for the owner, and for this program. Who may not know of a thing is told it is not there.
    pub fn must_own(&self, owner: AccountId) -> Result<()> {
        match self {
            Self::System => Ok(()),
            Self::Account(id) | Self::Operator(id) if *id == owner => Ok(()),
            Self::Account(_) => Err(not_there()),
            Self::Operator(_) => Err(Error::denied()),
            Self::Visitor => Err(Error::sign_in()),
        }
    }

    /// For the owner, who runs the business, and this program.
    pub fn may_see(&self, owner: AccountId) -> Result<()> {
        if self.is_operator() { Ok(()) } else { self.must_own(owner) }
    }
}

/// The same answer for what is not there and for what one may not know of.
pub(crate) fn not_there() -> Error {
    Error::gone("There is nothing here that you may see.")
}

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// A clock of one's own, for tests.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
