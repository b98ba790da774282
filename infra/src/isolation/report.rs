//! What keeps servers apart on this machine, and what is missing: measured, in words an operator reads.
//!
//! Invariant: a line says that a mechanism holds only after it was tried on this machine in this run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A way in which servers are kept apart, or kept within their share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mechanism {
    /// Each server sees a file tree of its own.
    Files,
    /// Each server sees only its own processes.
    Processes,
    /// Each server runs under a user of its own, or in a user namespace.
    User,
    /// Servers have no network but the sockets they were handed.
    Network,
    /// System calls a runtime does not need are not there.
    SystemCalls,
    /// System V memory, queues and the host name are private.
    Shared,
    /// A second lock on files, by path.
    Landlock,
    /// A server that takes too much memory is ended alone.
    MemoryLimit,
    /// A server cannot exhaust the machine's process table.
    ProcessLimit,
    /// A server cannot exhaust the machine's descriptors.
    DescriptorLimit,
    /// A server gets at most its share of the processors.
    CpuLimit,
    /// A server cannot fill the machine's disk.
    DiskLimit,
}

impl Mechanism {
    /// Every mechanism, those a provider needs first.
    pub const ALL: [Self; 12] = [
        Self::Files,
        Self::Processes,
        Self::User,
        Self::Network,
        Self::SystemCalls,
        Self::Shared,
        Self::Landlock,
        Self::MemoryLimit,
        Self::ProcessLimit,
        Self::DescriptorLimit,
        Self::CpuLimit,
        Self::DiskLimit,
    ];

    /// Whether servers of different people may share a machine without it.
    ///
    /// Needed is what keeps one server from reading another's data, and from ending the machine under all of them.
    /// Welcome is a second lock on the same door, and what only makes a greedy server slow its neighbours down.
    #[must_use]
    pub fn requirement(self) -> Requirement {
        match self {
            Self::Files | Self::Processes | Self::User | Self::Network | Self::SystemCalls => Requirement::Required,
            Self::MemoryLimit | Self::ProcessLimit | Self::DescriptorLimit | Self::DiskLimit => Requirement::Required,
            Self::Shared | Self::Landlock | Self::CpuLimit => Requirement::Welcome,
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "own file tree (mount namespace)",
            Self::Processes => "own processes (pid namespace)",
            Self::User => "own user",
            Self::Network => "no network (network namespace)",
            Self::SystemCalls => "system call filter (seccomp)",
            Self::Shared => "own IPC and host name",
            Self::Landlock => "file rules (landlock)",
            Self::MemoryLimit => "memory limit",
            Self::ProcessLimit => "process limit",
            Self::DescriptorLimit => "descriptor limit",
            Self::CpuLimit => "processor share (cgroup)",
            Self::DiskLimit => "disk limit",
        })
    }
}

/// How much a provider with several customers depends on a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Without it the provider does not start.
    Required,
    /// Its absence is reported.
    Welcome,
}

/// Whether a mechanism holds on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Holds {
    /// It was tried and works.
    On {
        /// How it is done here, for example "uids from 200000".
        how: String,
    },
    /// It does not work here.
    Missing {
        /// What was tried and what came of it.
        why: String,
        /// What an operator can do about it.
        mend: String,
    },
}

/// Each mechanism and whether it holds here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsolationReport {
    lines: Vec<(Mechanism, Holds)>,
}

impl IsolationReport {
    /// Every mechanism in the order of [`Mechanism::ALL`].
    #[must_use]
    pub fn lines(&self) -> &[(Mechanism, Holds)] {
        &self.lines
    }

    pub(crate) fn add(&mut self, mechanism: Mechanism, holds: Holds) {
        self.lines.push((mechanism, holds));
    }

    pub(crate) fn in_order(mut self) -> Self {
        self.lines.sort_by_key(|(mechanism, _)| *mechanism);
        self
    }

    /// Whether a mechanism holds.
    #[must_use]
    pub fn holds(&self, mechanism: Mechanism) -> bool {
        self.lines.iter().any(|(of, holds)| *of == mechanism && matches!(holds, Holds::On { .. }))
    }

    /// The mechanisms that strangers on one machine need and that are not there.
    #[must_use]
    pub fn lacking(&self) -> Vec<Mechanism> {
        let required = Mechanism::ALL.into_iter().filter(|m| m.requirement() == Requirement::Required);
        required.filter(|m| !self.holds(*m)).collect()
    }

    /// Whether servers of different people may share this machine.
    #[must_use]
    pub fn is_sufficient(&self) -> bool {
        self.lacking().is_empty()
    }
}

impl fmt::Display for IsolationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (mechanism, holds) in &self.lines {
            match holds {
                Holds::On { how } => writeln!(f, "on       {mechanism}: {how}")?,
                Holds::Missing { why, mend } => writeln!(f, "missing  {mechanism}: {why}; {mend}")?,
            }
        }
        Ok(())
    }
}
