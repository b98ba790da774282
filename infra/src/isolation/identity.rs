//! Who a runtime is to the kernel.

use serde::{Deserialize, Serialize};

/// Who runtimes are to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Identity {
    /// Each server has a user id of its own on this machine.
    UserEach,
    /// Each runtime has a user namespace of its own; outside it is the provider's user, without any power.
    NamespaceEach,
    /// All are the provider's user.
    Shared,
}

impl Identity {
    /// The first user id given to servers; nobody's account is that high.
    pub(crate) const FIRST_USER: u32 = 200_000;
}
