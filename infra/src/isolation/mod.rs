//! The sandbox one runtime lives in.
//!
//! Servers of strangers share a machine, so a runtime that was taken over must find nothing there but its own home:
//! no other process, no other file, no network, few system calls. The walls are Linux's own (namespaces, cgroups,
//! landlock, seccomp), raised here without a helper program because a wake has milliseconds.
//!
//! - `Walls` is what this machine can do, tried once when the launcher starts; [`IsolationReport`] says it in words.
//! - `Walls::confine` makes one runtime behind these walls.
//!
//! Architecture Invariant: this is the one module with unsafe code, but for the lines by which a runtime takes over the
//! listeners it inherits. `clone3`, mounts, `seccomp` and `prctl` have no safe interface, and the child between `clone3`
//! and `execve` may call only what is safe in the copy of a process: everything it needs is prepared before, and it
//! allocates nothing.
//!
//! Failure: a wall that cannot be raised at start is reported as missing. One that fails for a single runtime ends
//! that runtime before its program begins, and the launcher hears which step it was.
#![allow(unsafe_code)]

mod child;
mod filter;
mod groups;
mod identity;
mod libraries;
mod report;
mod room;
mod rules;
mod settled;
mod skeleton;
mod sys;
mod walls;

pub use report::{Holds, IsolationReport, Mechanism, Requirement};

pub(crate) use groups::sweep as sweep_groups;
pub(crate) use identity::Identity;
pub(crate) use room::{Confined, Notice, Room, Tenant, notice};
pub(crate) use skeleton::{INNER_CACHE, INNER_HOME};
pub(crate) use sys::{out_of_reach, spent_cpu_us, termination};
pub(crate) use walls::{Walls, WallsOptions};
