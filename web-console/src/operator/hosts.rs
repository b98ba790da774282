//! Hosts: how much they carry, and how well they keep servers apart.

use control_plane::hosts::{self, HostView};
use infra::agent::Disk;
use infra::isolation::Holds;

use super::listing::{Extra, Listing};
use crate::page::Answer;
use crate::parts::{Banner, Fact, Html, Table};
use crate::refusal::Refusal;
use crate::show::{self, Amount};
use crate::visit::Visit;

/// Hosts as rows.
pub(super) async fn table(visit: &Visit) -> Result<Table, Refusal> {
    Ok(rows(&hosts::hosts(visit.console.plane(), &visit.actor).await?))
}

fn rows(hosts: &[HostView]) -> Table {
    let mut table = Table::new(
        &["Host", "#Servers", "#Awake", "Memory free", "Disk free", "Seen"],
        "No hosts",
        "This provider has no host to place servers on.",
    );
    for host in hosts {
        let memory = format!("{} of {}", Amount(host.memory_available), Amount(host.memory_total));
        table.row(vec![
            Html::text(&host.name),
            Html::text(host.placed),
            Html::text(host.awake),
            Html::text(memory),
            Html::text(free_disk(host)),
            Html::safe(show::time(host.seen_at)),
        ]);
    }
    table
}

/// The disk that is nearest to being full.
fn free_disk(host: &HostView) -> String {
    let fullest = host.disks.iter().min_by_key(|disk| disk.free_bytes);
    let told = |disk: &Disk| format!("{} of {}", Amount(disk.free_bytes), Amount(disk.total_bytes));
    fullest.map_or_else(|| "not known".to_owned(), told)
}

/// What needs the operator: a disk that runs short.
pub(super) fn short_of_disk(hosts: &[HostView]) -> Option<Banner> {
    let short =
        |host: &HostView| host.disks.iter().find(|disk| disk.lacks() > 0).map(|disk| (host.name.clone(), disk.clone()));
    let (name, disk) = hosts.iter().find_map(short)?;
    Some(Banner {
        tone: "danger",
        what: format!("{name} runs out of disk: {} free at {}.", Amount(disk.free_bytes), disk.folder.display()),
        meaning: "Where nothing is left, servers refuse to save, and say that it is your disk. Make room or enlarge it; they go on by themselves.".to_owned(),
        path: "/operator/hosts".to_owned(),
        label: "Hosts",
    })
}

/// `GET /operator/hosts`.
pub(super) async fn list(visit: Visit) -> Answer {
    let hosts = hosts::hosts(visit.console.plane(), &visit.actor).await?;
    let mut listing = Listing::new(&visit, "hosts", "Hosts", format!("{} in all.", hosts.len()), rows(&hosts)).await?;
    listing.extras = hosts.iter().map(isolation).collect();
    listing.next("Nothing is needed. A mechanism that is missing is named with the mend; it counts from the next start of the provider.").show()
}

/// What keeps one person's server from another's, mechanism by mechanism.
fn isolation(host: &HostView) -> Extra {
    let facts = host.isolation.lines().iter().map(|(mechanism, holds)| match holds {
        Holds::On { how } => Fact::new(&mechanism.to_string(), "holds").noted(how),
        Holds::Missing { why, mend } => Fact::new(&mechanism.to_string(), "missing").noted(format!("{why}. {mend}")),
    });
    Extra { title: format!("How {} keeps servers apart", host.name), facts: facts.collect() }
}
