//! The machines that servers live on. In this version one: the machine under the provider.

use std::path::Path;

use infra::agent::Disk;
use infra::hosts::HostId;
use infra::isolation::IsolationReport;
use jiff::Timestamp;

use crate::db::on;
use crate::servers::placement::Room;
use crate::{Actor, ControlPlane, Result, keys, row, servers};

/// A machine as who runs the business sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostView {
    /// Its name for programs.
    pub id: HostId,
    /// Its name for people.
    pub name: String,
    /// Since when it is ours.
    pub joined: Timestamp,
    /// Servers placed there.
    pub placed: u64,
    /// How many of them have a process.
    pub awake: u64,
    /// All of its memory, in bytes.
    pub memory_total: u64,
    /// Memory that is free to be used, in bytes.
    pub memory_available: u64,
    /// The disks that caches and homes lie on there.
    pub disks: Vec<Disk>,
    /// How well servers are kept apart there.
    pub isolation: IsolationReport,
    /// When this was seen.
    pub seen_at: Timestamp,
}

/// The id of the machine under this provider, kept in its data directory.
pub fn local_id(data_dir: &Path) -> Result<HostId> {
    let path = data_dir.join("keys").join("host.id");
    let text = keys::kept(&path, || HostId::new(Timestamp::now().as_millisecond()).to_string())?;
    text.trim().parse().map_err(|_| keys::KeyError::Spoiled(path).into())
}

/// Every machine, for who runs the business.
pub async fn hosts(plane: &ControlPlane, actor: &Actor) -> Result<Vec<HostView>> {
    actor.must_operate()?;
    let rows: Vec<(String, String, i64)> = on!(plane.db().reader(), e => sqlx::query_as(
        "select id, name, joined_ms from host order by joined_ms, id"
    )
    .fetch_all(e).await)?;
    let (_, counts) = servers::counts(plane).await?;
    let memory = Memory::now();
    let view = |(id, name, joined_ms): (String, String, i64)| {
        let id: HostId = row::id(&id)?;
        // What is seen is seen on the machine under this provider.
        let (placed, awake) = if id == plane.here() { (counts.placed, counts.awake) } else { (0, 0) };
        Ok(HostView {
            id,
            name,
            joined: row::time(joined_ms)?,
            placed,
            awake,
            memory_total: memory.total,
            memory_available: memory.available,
            disks: plane.host().disks(),
            isolation: plane.host().isolation(),
            seen_at: plane.now(),
        })
    };
    rows.into_iter().map(view).collect()
}

/// Notes that the machine under this provider takes part.
pub(crate) async fn join(plane: &ControlPlane) -> Result<()> {
    on!(plane.db().writer(), e => sqlx::query(
        "insert into host (id, name, joined_ms) values ($1, $2, $3) on conflict (id) do update set name = excluded.name"
    )
    .bind(plane.here().to_string())
    .bind(host_name())
    .bind(plane.now().as_millisecond())
    .execute(e).await.map(|_| ()))?;
    Ok(())
}

/// The machines as far as placing goes.
pub(crate) fn room(plane: &ControlPlane, placed: u64) -> Vec<Room> {
    vec![Room { host: plane.here(), open: true, placed, memory_bytes: Memory::now().total }]
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "this machine".into() } else { name.trim().into() }
}

/// What the kernel says of this machine's memory, in bytes.
struct Memory {
    total: u64,
    available: u64,
}

impl Memory {
    fn now() -> Self {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self { total: Self::line(&text, "MemTotal:"), available: Self::line(&text, "MemAvailable:") }
    }

    fn line(text: &str, name: &str) -> u64 {
        let rest = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let kib: u64 = rest.trim().trim_end_matches(" kB").parse().unwrap_or(0);
        kib * 1024
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_machine_keeps_its_id() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(local_id(dir.path()).unwrap(), local_id(dir.path()).unwrap());
        std::fs::write(dir.path().join("keys/host.id"), "spoiled").unwrap();
        assert_eq!(local_id(dir.path()).unwrap_err().kind(), crate::Kind::Fix);
    }

    #[test]
    fn memory_is_what_the_kernel_says() {
        assert_eq!(Memory::line("MemTotal:       16384 kB\nMemAvailable:   1 kB\n", "MemTotal:"), 16 << 20);
        let memory = Memory::now();
        assert!(memory.total >= memory.available && memory.available > 0);
    }
}
