//! Deletes objects that are proved to be unreferenced, a few at a time and never in haste.
//!
//! The proof rests on one rule of this store: a name gets into a head only from whoever has just written the object, or
//! from another head. So an object that no head names at one instant, and that nobody has just written, will never be
//! named again; *unreferenced* is for good, and deleting may take its time. The instant is made like this: objects are
//! listed first, then all other heads are read, and then the keeper, through which alone heads come into being, takes
//! out what its own head names and what heads name that came meanwhile, and makes sure that it still owns the home.
//!
//! A head that is let go (a moment too long ago, a dropped snapshot) is not simply deleted: it becomes a *tombstone*,
//! which names what it held and holds it for a delay. Only when the delay is over do the objects go, and the tombstone
//! last, so that a crash in between loses no track. What no tombstone explains was left by a crash; there should be
//! little of it. A run that would delete more of that than a share of all objects refuses and says so, for then
//! something else is wrong; and no run deletes more than half of everything. All ages are told by the bucket's clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::bucket::{Bucket, Listed};
use super::error::Error;
use super::garbage;
use super::head::Head;
use super::history::{self, Kept};
use super::home::Home;
use super::keeper::Keeper;
use super::options::History;

/// Where tombstones lie.
pub(super) const TOMBSTONES: &str = "gone/";

/// How long an object that no head explains must have lain there.
const ORPHAN: Duration = Duration::from_secs(3600);

/// So few objects may always go, whatever share of all they are.
const FEW: usize = 64;

/// What a run found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Objects that are in use by something.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these, bytes that are kept for the past alone.
    pub past_bytes: u64,
    /// Objects deleted.
    pub deleted: u64,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Why something was not deleted that nothing seems to need.
    pub refused: Option<String>,
}

/// What the keeper says of the live head.
pub(super) struct Live {
    since_ms: Option<i64>,
    names: BTreeSet<String>,
}

/// One head and what it names.
struct Root {
    key: String,
    modified: Timestamp,
    names: BTreeSet<String>,
}

impl Home {
    /// Lets go of what is too long past, and deletes what nothing names any more.
    pub async fn sweep(&self) -> Result<Sweep, Error> {
        let options = self.options();
        let grace = options.grace;
        if let Some(history) = options.history {
            self.let_go(&history).await?;
        }
        let live = self.begin_sweep().await?;
        let bucket = self.bucket();
        let now = bucket.now().await?;
        let is_older = |modified: Timestamp, than: Duration| modified <= now - than;
        let mut all: BTreeMap<String, Listed> = BTreeMap::new();
        for folder in garbage::NAMED {
            all.extend(bucket.list(folder).await?.into_iter().map(|line| (line.key.clone(), line)));
        }
        let roots = others(bucket, &self.key()).await?;
        let ripe = |root: &&Root| root.key.starts_with(TOMBSTONES) && is_older(root.modified, grace);
        let mut doomed: Vec<&Root> = roots.iter().filter(ripe).collect();
        doomed.sort_by_key(|root| root.modified);
        let most = (all.len() / 2).max(FEW);
        let mut report = Sweep::default();
        let (explained, doomed) = choose(&roots, doomed, &all, most);
        let held: BTreeSet<&String> = roots
            .iter()
            .filter(|root| !doomed.iter().any(|gone| gone.key == root.key))
            .flat_map(|root| &root.names)
            .collect();
        let unexplained: Vec<&Listed> = all
            .values()
            .filter(|line| !held.contains(&line.key) && !explained.contains(&line.key))
            .filter(|line| {
                is_older(line.modified, ORPHAN.max(grace)) || (grace.is_zero() && is_older(line.modified, grace))
            })
            .collect();
        let mut candidates: Vec<Listed> = explained.iter().filter_map(|key| all.get(key).cloned()).collect();
        candidates.extend(unexplained.into_iter().cloned());
        let Some(condemned) = self.judge(candidates).await? else { return Ok(report) };
        let orphans = condemned.iter().filter(|line| !explained.contains(&line.key)).count();
        let refuse = orphans > (all.len() / 4).max(FEW);
        for line in condemned.iter().filter(|line| !refuse || explained.contains(&line.key)) {
            bucket.delete(&line.key).await?;
            all.remove(&line.key);
            report.deleted += 1;
            report.deleted_bytes += line.size;
        }
        for tombstone in &doomed {
            bucket.delete(&tombstone.key).await?;
        }
        if refuse {
            report.refused = Some(format!(
                "{orphans} of {} objects seem to be referred to by nothing; that is more than a crash leaves behind, and they were left alone",
                all.len()
            ));
            tracing::error!(orphans, objects = all.len(), "too much seems to be unreferenced; it was left alone");
        }
        (report.objects, report.bytes) = all.values().fold((0, 0), |(n, bytes), line| (n + 1, bytes + line.size));
        report.past_bytes = past_bytes(&roots, &live.names, &all);
        Ok(report)
    }

    /// Turns kept heads that no moment of the window needs, or that there is no room for, into tombstones.
    async fn let_go(&self, history: &History) -> Result<(), Error> {
        let bucket = self.bucket();
        let kept = history::kept(bucket).await?;
        let live = self.begin_sweep().await?;
        let mut gone = history::passed(&kept, bucket.now().await?, history.window);
        let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
        for folder in garbage::NAMED {
            sizes.extend(bucket.list(folder).await?.into_iter().map(|line| (line.key, line.size)));
        }
        let mut held = live.names;
        for root in others(bucket, &self.key()).await?.into_iter().filter(|root| !root.key.starts_with(history::FOLDER))
        {
            held.extend(root.names);
        }
        // Newest first, as long as there is room.
        let mut bytes = 0;
        for at in (gone..kept.len()).rev() {
            let Kept { key, size, .. } = &kept[at];
            let Some((body, _)) = bucket.get(key).await? else { continue };
            bytes += size;
            for name in garbage::named(bucket, &Head::decode(key, &body)?).await? {
                bytes += if held.contains(&name) { 0 } else { sizes.get(&name).copied().unwrap_or_default() };
                held.insert(name);
            }
            if bytes > history.bytes {
                gone = at + 1;
                break;
            }
        }
        let from_ms = kept.get(gone).map(|kept| kept.since_ms).or(live.since_ms);
        if let Some(from_ms) = from_ms.filter(|_| gone > 0) {
            self.shorten_history(from_ms).await?;
        }
        for past in &kept[..gone] {
            bury(bucket, &past.key).await?;
        }
        Ok(())
    }
}

impl Keeper {
    /// From here on, what new heads name is remembered until [`Keeper::judge`].
    pub(super) async fn begin_sweep(&mut self) -> Result<Live, Error> {
        self.resolve().await?;
        self.fresh = Some(BTreeSet::new());
        self.kept_bytes = 0;
        Ok(Live { since_ms: self.head.since_ms, names: garbage::named(&self.bucket, &self.head).await? })
    }

    /// Remembers what a head names that comes into being beside the live one; to be called before it does.
    pub(super) async fn note_head(&mut self, head: &Head) -> Result<(), Error> {
        if self.fresh.is_some() {
            let names = garbage::named(&self.bucket, head).await?;
            if let Some(fresh) = &mut self.fresh {
                fresh.extend(names);
            }
        }
        Ok(())
    }

    /// Of the candidates, those that no head names or will name; nothing when another sweep came between.
    pub(super) async fn judge(&mut self, candidates: Vec<Listed>) -> Result<Option<Vec<Listed>>, Error> {
        self.resolve().await?;
        self.await_build().await?;
        let Some(mut held) = self.fresh.take() else { return Ok(None) };
        held.extend(garbage::named(&self.bucket, &self.head).await?);
        held.extend(self.head.retired.iter().map(|old| old.key.clone()));
        held.extend(self.spilling().cloned());
        self.still_ours().await?;
        Ok(Some(candidates.into_iter().filter(|line| !held.contains(&line.key)).collect()))
    }
}

/// A head becomes a tombstone.
pub(super) async fn bury(bucket: &Bucket, key: &str) -> Result<(), Error> {
    if let Some((body, _)) = bucket.get(key).await? {
        let name = key.replace('/', ".");
        bucket.put(&format!("{TOMBSTONES}{name}-{:08x}", rand::random::<u32>()), body).await?;
        bucket.delete(key).await?;
    }
    Ok(())
}

/// All heads but our own, with what they name.
async fn others(bucket: &Bucket, own: &str) -> Result<Vec<Root>, Error> {
    let mut roots = Vec::new();
    for folder in garbage::HEADS.into_iter().chain([TOMBSTONES]) {
        for line in bucket.list(folder).await?.into_iter().filter(|line| line.key != own) {
            let Some((body, _)) = bucket.get(&line.key).await? else { continue };
            let head = Head::decode(&line.key, &body)?;
            let mut names = garbage::named(bucket, &head).await?;
            // A stage deletes what it has retired by itself, and hands that on when it is adopted.
            names.extend(head.retired.into_iter().map(|old| old.key).filter(|_| line.key.starts_with("stage/")));
            roots.push(Root { key: line.key, modified: line.modified, names });
        }
    }
    Ok(roots)
}

/// Of the tombstones whose time has come, the oldest ones that together give up no more than `most` objects.
fn choose<'a>(
    roots: &[Root],
    doomed: Vec<&'a Root>,
    all: &BTreeMap<String, Listed>,
    most: usize,
) -> (BTreeSet<String>, Vec<&'a Root>) {
    let mut explained = BTreeSet::new();
    let mut chosen: Vec<&Root> = Vec::new();
    for root in doomed {
        let is_left = |other: &&Root| other.key != root.key && !chosen.iter().any(|gone| gone.key == other.key);
        let held: BTreeSet<&String> = roots.iter().filter(is_left).flat_map(|other| &other.names).collect();
        let candidates = root.names.iter().chain(chosen.iter().flat_map(|gone| &gone.names));
        let frees: BTreeSet<String> =
            candidates.filter(|key| !held.contains(key) && all.contains_key(*key)).cloned().collect();
        if frees.len() > most && !chosen.is_empty() {
            break;
        }
        explained = frees;
        chosen.push(root);
    }
    (explained, chosen)
}

/// The bytes of what only the past names.
fn past_bytes(roots: &[Root], live: &BTreeSet<String>, all: &BTreeMap<String, Listed>) -> u64 {
    let is_past = |root: &&Root| root.key.starts_with(history::FOLDER);
    let past: BTreeSet<&String> = roots.iter().filter(is_past).flat_map(|root| &root.names).collect();
    let present: BTreeSet<&String> = roots.iter().filter(|root| !is_past(root)).flat_map(|root| &root.names).collect();
    past.difference(&present)
        .filter(|key| !live.contains(**key))
        .filter_map(|key| all.get(*key))
        .map(|line| line.size)
        .sum()
}
