//! How well the data of servers is kept, for who runs the business: when it was last checked, what was damaged and what
//! could be mended.
//!
//! A server checks its own home while it is awake (`tenant_runtime::housekeeping`) and tells of it on its way to sleep, at
//! most once an hour, and whenever its owner looks. So nobody is woken for a page; what stands on it says when it was
//! told. Names of what is damaged stay with the owner: only counts come here.
//!
//! A server that nobody uses would never be checked. So one that was not for [`UNCHECKED`] is woken for it, a few at a
//! time, and only while nothing waits behind them; one that could not be is left alone for a day. What that takes counts
//! as the server's own use, as everything that it does. One that fell asleep owing its storage what it had acknowledged is
//! woken at once, until that is published.

mod owing;
mod rounds;
mod store;

use std::collections::HashMap;

use jiff::Timestamp;
use tenant_runtime::admin::api::CareView;
use tenant_runtime::ids::ServerId;

use crate::db::Db;
use crate::{Actor, ControlPlane, Result};

pub use owing::wake_owing;
pub use rounds::{UNCHECKED, check_unchecked};
pub(crate) use store::noted_since;
pub(crate) use {owing::run as run_owing, rounds::run};

/// What a server last told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Care {
    /// When everything was last checked, if it ever was.
    pub checked: Option<Timestamp>,
    /// How many objects were checked then.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many were not as they were written.
    pub damaged: u64,
    /// How many of those could be mended.
    pub mended: u64,
    /// When what nobody needs was last removed.
    pub swept: Option<Timestamp>,
    /// How many objects were removed then.
    pub swept_objects: u64,
    /// Their bytes.
    pub swept_bytes: u64,
    /// Whether more than is probable seemed to be needed by nobody, and was therefore kept.
    pub refused: bool,
    /// When it told so; `None` before it ever did.
    pub told: Option<Timestamp>,
}

/// What is known of all servers that are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Servers that were ever checked.
    pub checked: u64,
    /// Servers with something damaged that could not be mended.
    pub spoiled: u64,
    /// How much of all of them could not be mended.
    pub unmended: u64,
    /// How much could.
    pub mended: u64,
}

impl Care {
    /// What is damaged and could not be mended.
    pub fn unmended(&self) -> u64 {
        self.damaged.saturating_sub(self.mended)
    }
}

/// What some servers last told; those that never told are left out. For who runs the business.
pub async fn of_servers(plane: &ControlPlane, actor: &Actor, servers: &[ServerId]) -> Result<HashMap<ServerId, Care>> {
    actor.must_operate()?;
    store::of(plane.db(), servers).await
}

/// The newest servers with something that could not be mended, for who runs the business.
pub async fn spoiled(plane: &ControlPlane, actor: &Actor) -> Result<Vec<ServerId>> {
    actor.must_operate()?;
    store::spoiled(plane.db()).await
}

/// What is known of all servers that are kept.
pub(crate) async fn sums(db: &Db) -> Result<Sums> {
    store::sums(db).await
}

/// Keeps what a server told.
pub(crate) async fn note(db: &Db, server: ServerId, told: &CareView, now: Timestamp) -> Result<()> {
    store::note(db, server, told, now).await
}
