//! The two clocks of a home, which are never compared.
//!
//! The *host's* clock names moments: when a write was committed, when a snapshot was taken. It may be wrong by days and
//! may jump; then moments have odd names, and nothing worse. The *bucket's* clock says how old an object is
//! ([`super::Bucket::now`]): whatever is deleted because it is old enough is judged by that one alone, so that a host with a
//! wrong clock deletes nothing too early.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// A host's clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that tells what `now` says.
    #[must_use]
    pub fn telling(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// What it tells.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

/// The clock of this machine.
impl Default for Clock {
    fn default() -> Self {
        Self::telling(Timestamp::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}
