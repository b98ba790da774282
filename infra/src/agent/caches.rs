//! What servers keep on this host's disk beside their homes, and keeping it within bounds.
//!
//! A cache is a copy that can be made again, so a host keeps as many as it has room for and lets the coldest go first:
//! that of the server that has slept longest. The next wake of such a server is a slow one, from the object store
//! alone. The cache of an awake server is in use and is never taken; it has a bound of its own, by its plan, and a
//! server that outgrows it is put to sleep and begins with an empty one.
//!
//! The disk itself is looked at twice a second. Where it runs short, caches go until it has its reserve again: those of
//! sleeping servers first, coldest first, and if that is not enough the largest of a server that is awake, which is
//! ended for it. So neither a server that writes its cache full nor the homes beside it take the host's last room.
//!
//! A cache in which a home has left acknowledged writes that it could not publish (`OWED`, under a plan that allows for some
//! loss) holds what is nowhere else, and is kept until its server has woken; but no longer than a week, for any server could
//! say so of itself.
//!
//! Setting a cache aside is the launcher's doing, for only there can no connection wake the server meanwhile.
//!
//! Failure: what cannot be measured counts as it did before; what could not be deleted is deleted at the next start.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Weak;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tenant_runtime::ids::ServerId;
use tenant_runtime::store::OWED;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::spawn_blocking;

use crate::storage;

use super::api::{Event, HostEvent};
use super::disk::Disk;
use super::{Agent, Inner};

/// Marks a cache that is being deleted.
const ASIDE: &str = ".evicted-";

/// How often the disk is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// After how many looks the caches of awake servers are measured, where the disk gives no reason to do so at once.
/// What a server can write in this time is what it can have beyond its bound.
const LOOKS: u32 = 10;

/// The same, for people.
pub(super) const HOW_OFTEN: &str = "every 5 s while it is awake, and at once where the disk runs short";

/// So much less room at one look than at the one before is a reason.
const SUDDEN: u64 = 64 << 20;

/// How long a server may take to end that is ended for its cache.
const HASTE: Duration = Duration::from_secs(2);

/// How long a cache is kept for what it alone holds.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The caches of one host.
#[derive(Debug)]
pub(super) struct Caches {
    folder: PathBuf,
    known: Mutex<HashMap<ServerId, Cache>>,
}

/// One server's cache, as it was measured last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cache {
    bytes: u64,
    /// When its server was awake last.
    used: SystemTime,
    /// Whether it holds acknowledged writes that are nowhere else.
    is_owing: bool,
}

impl Caches {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, known: Mutex::default() }
    }

    /// A server's cache.
    pub(super) fn of(&self, server: ServerId) -> PathBuf {
        self.folder.join(server.to_string())
    }

    /// Where a server's cache is set aside to be deleted.
    pub(super) fn aside(&self, server: ServerId) -> PathBuf {
        self.folder.join(format!("{ASIDE}{server}"))
    }

    /// Goes on deleting what a former run set aside.
    pub(super) fn finish_evicting(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(ASIDE) {
                storage::remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Measures everything that is there; a cache was last used when its folder last changed.
    fn survey(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let Ok(server) = entry.file_name().to_string_lossy().parse() else { continue };
            let used = entry.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            self.measure(server, used);
        }
    }

    /// Measures one, used at this time, and gives its size.
    fn measure(&self, server: ServerId, used: SystemTime) -> u64 {
        let mut known = self.known.lock();
        let former = known.get(&server).map_or(0, |cache| cache.bytes);
        drop(known);
        let bytes = storage::bytes_below(&self.of(server)).unwrap_or(former);
        let is_owing = self.is_owing(server);
        known = self.known.lock();
        let cache = known.entry(server).or_insert(Cache { bytes, used, is_owing });
        *cache = Cache { bytes, used: cache.used.max(used), is_owing };
        bytes
    }

    /// Whether a server's cache holds acknowledged writes that are nowhere else.
    pub(super) fn is_owing(&self, server: ServerId) -> bool {
        let Ok(note) = fs::symlink_metadata(self.of(server).join(OWED)) else { return false };
        // When it was changed is told by the kernel; when it was modified, by whoever likes.
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(note.ctime().unsigned_abs());
        SystemTime::now().duration_since(since).is_ok_and(|age| age < KEPT)
    }

    /// The servers of which that is known.
    pub(super) fn owing(&self) -> Vec<ServerId> {
        let known = self.known.lock();
        known.iter().filter(|(_, cache)| cache.is_owing).map(|(server, _)| *server).collect()
    }

    /// Forgets one that is gone.
    pub(super) fn forget(&self, server: ServerId) {
        self.known.lock().remove(&server);
    }

    /// What all take together, in bytes.
    fn bytes(&self) -> u64 {
        self.known.lock().values().map(|cache| cache.bytes).sum()
    }

    /// The one of an awake server that takes most.
    fn largest(&self, awake: &HashSet<ServerId>) -> Option<(ServerId, u64)> {
        let known = self.known.lock();
        let all =
            known.iter().filter(|(server, _)| awake.contains(server)).map(|(server, cache)| (*server, cache.bytes));
        all.max_by_key(|(_, bytes)| *bytes)
    }

    /// Those that must go so that the rest takes no more than `most`: the coldest of servers that are not awake.
    fn coldest(&self, most: u64, awake: &HashSet<ServerId>) -> Vec<ServerId> {
        let known = self.known.lock();
        let mut bytes: u64 = known.values().map(|cache| cache.bytes).sum();
        let may_go = |(server, cache): &(&ServerId, &Cache)| !awake.contains(server) && !cache.is_owing;
        let mut asleep: Vec<_> = known.iter().filter(may_go).collect();
        asleep.sort_by_key(|(_, cache)| cache.used);
        let goes = |(server, cache): (&ServerId, &Cache)| {
            let over = bytes > most;
            bytes = if over { bytes - cache.bytes } else { bytes };
            over.then_some(*server)
        };
        asleep.into_iter().map_while(goes).collect()
    }
}

/// The bound of all caches where the operator has named none: half of what the disk has left for them.
fn usual_bound(disk: &Disk, taken: u64) -> u64 {
    disk.free_bytes.saturating_add(taken) / 2
}

/// Keeps the caches within their bounds for as long as the agent is there.
pub(super) async fn keep(inner: Weak<Inner>, mut events: Receiver<HostEvent>, named: Option<u64>) {
    let Some(caches) = inner.upgrade().map(|inner| inner.folders.caches()) else { return };
    let surveyed = spawn_blocking({
        let caches = caches.clone();
        move || {
            caches.survey();
            named.unwrap_or_else(|| usual_bound(&Disk::under(&caches.folder), caches.bytes()))
        }
    });
    let Ok(most) = surveyed.await else { return };
    let mut awake = HashSet::new();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut looks, mut disk) = (0, Disk::under(&caches.folder));
    loop {
        let measured: Vec<ServerId> = tokio::select! {
            event = events.recv() => match event {
                Ok(HostEvent { server, event: Event::Woke { .. } }) => {
                    awake.insert(server);
                    continue;
                }
                Ok(HostEvent { server, .. }) => {
                    awake.remove(&server);
                    vec![server]
                }
                Err(RecvError::Lagged(_)) => {
                    let Some(inner) = inner.upgrade() else { return };
                    awake = Agent { inner }.awake().await;
                    continue;
                }
                Err(RecvError::Closed) => return,
            },
            _ = look.tick() => {
                let before = std::mem::replace(&mut disk, Disk::under(&caches.folder));
                looks += 1;
                if looks < LOOKS && disk.lacks() == 0 && disk.free_bytes.saturating_add(SUDDEN) > before.free_bytes {
                    continue;
                }
                looks = 0;
                awake.iter().copied().collect()
            }
        };
        let Some(inner) = inner.upgrade() else { return };
        let agent = Agent { inner };
        let sizes = spawn_blocking({
            let caches = caches.clone();
            move || measured.into_iter().map(|server| (server, caches.measure(server, SystemTime::now()))).collect()
        });
        let sizes: Vec<(ServerId, u64)> = sizes.await.unwrap_or_default();
        for (server, bytes) in sizes {
            if agent.cache_bound(server).is_some_and(|most| bytes > most) {
                tracing::warn!(server.id = %server, bytes, "the server's cache outgrew its plan and is emptied");
                end(&agent, server, &mut awake).await;
            }
        }
        let lacks = Disk::under(&caches.folder).lacks();
        for server in caches.coldest(most.min(caches.bytes().saturating_sub(lacks)), &awake) {
            empty(&agent, server).await;
        }
        let disk = Disk::under(&caches.folder);
        let (lacks, free, reserve) = (disk.lacks(), disk.free_bytes, disk.reserve());
        // One whose cache is not what takes the room would be ended for nothing.
        if let Some((server, bytes)) = caches.largest(&awake).filter(|(_, bytes)| lacks > 0 && *bytes > reserve) {
            tracing::error!(server.id = %server, bytes, free, reserve, "the disk runs short: the largest cache is emptied");
            end(&agent, server, &mut awake).await;
        }
    }
}

/// Ends an awake server and empties its cache.
async fn end(agent: &Agent, server: ServerId, awake: &mut HashSet<ServerId>) {
    // What could not be ended keeps its cache, and is met again at the next look.
    let _ = agent.end(server, HASTE).await;
    awake.remove(&server);
    empty(agent, server).await;
}

async fn empty(agent: &Agent, server: ServerId) {
    let caches = agent.inner.folders.caches();
    if spawn_blocking(move || caches.is_owing(server)).await.unwrap_or(true) {
        return tracing::warn!(server.id = %server, "its cache holds acknowledged writes that are nowhere else, and is kept until it wakes");
    }
    match agent.evict(server).await {
        Ok(true) => tracing::debug!(server.id = %server, "its cache was let go of"),
        // It woke meanwhile, and is not the coldest any more.
        Ok(false) => {}
        Err(e) => tracing::warn!(server.id = %server, error = %e, "its cache could not be let go of"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coldest_sleeping_ones_go_first_and_no_more_than_must() {
        let folder = tempfile::tempdir().expect("a folder");
        let caches = Caches::new(folder.path().to_path_buf());
        let servers = [1, 2, 3, 4].map(ServerId::new);
        for (nth, server) in servers.into_iter().enumerate() {
            fs::create_dir(caches.of(server)).expect("a folder");
            fs::write(caches.of(server).join("db"), vec![1; 100_000]).expect("a file");
            caches.measure(server, SystemTime::UNIX_EPOCH + Duration::from_secs(nth as u64));
        }
        let all = caches.bytes();
        assert!(all >= 400_000);
        assert_eq!(caches.coldest(all, &HashSet::new()), []);
        assert_eq!(caches.coldest(all - 1, &HashSet::new()), servers[..1]);
        assert_eq!(caches.coldest(all - 1, &HashSet::from([servers[0]])), servers[1..2]);
        assert_eq!(caches.coldest(0, &HashSet::from([servers[1]])), [servers[0], servers[2], servers[3]]);

        // One that holds what is nowhere else stays, whatever is asked for.
        fs::write(caches.of(servers[0]).join(OWED), "x").expect("a file");
        caches.measure(servers[0], SystemTime::UNIX_EPOCH);
        assert_eq!(caches.coldest(0, &HashSet::from([servers[1]])), [servers[2], servers[3]]);
        assert_eq!(caches.owing(), servers[..1]);
        fs::remove_file(caches.of(servers[0]).join(OWED)).expect("it was published");

        // Used again, it is the warmest.
        caches.measure(servers[0], SystemTime::now());
        assert_eq!(caches.coldest(all / 2, &HashSet::new()), servers[1..3]);
        caches.forget(servers[1]);
        assert_eq!(caches.coldest(all - 100_000, &HashSet::new()), []);
    }

    #[test]
    fn what_a_former_run_set_aside_is_deleted_and_the_rest_is_found_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let caches = Caches::new(folder.path().to_path_buf());
        let (gone, there) = (ServerId::new(1), ServerId::new(2));
        fs::create_dir(caches.aside(gone)).expect("a folder");
        fs::write(caches.aside(gone).join("db"), "x").expect("a file");
        fs::create_dir(caches.of(there)).expect("a folder");
        fs::write(caches.of(there).join("db"), vec![1; 100_000]).expect("a file");
        caches.finish_evicting().expect("deleted");
        caches.survey();
        assert!(!caches.aside(gone).exists() && caches.bytes() >= 100_000);
        assert_eq!(caches.coldest(0, &HashSet::new()), [there]);
        assert!(usual_bound(&Disk::under(folder.path()), 100) > 50);
    }
}
