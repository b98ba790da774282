//! Comparing what was staged with the archive it came from.
//!
//! First by meaning: every record of every table, spelled canonically, on both sides. Then byte for byte: the staged
//! home is rendered as an export would render it, and where the archive said the same in other bytes, those bytes are
//! kept as an echo. In the end an export of the staged home must have exactly the archive's payload, or nothing is
//! swapped.
//!
//! A stage that follows is compared after every round. What a round has not touched is then taken from the comparison after the
//! round before: time that does not grow with the server.

use std::collections::{BTreeMap, BTreeSet};

use export_format::{Digest, EntryPath};
use sha2::{Digest as _, Sha256};

use super::catch_up::Touched;
use super::intake::TableIntake;
use super::stage::{self, Plan};
use crate::archive::error::Error;
use crate::archive::payload::kept::{self, Echo};
use crate::archive::payload::memory::Memory;
use crate::archive::payload::{self, About, Measure, Payload};
use crate::archive::{row, work};
use crate::documents::{self, TableName};
use crate::store::Home;

/// What of a staged home is proved already, since it was after an earlier round and has not changed.
pub(super) struct Proved {
    /// The renderings of what has not changed, and of what has by then.
    pub(super) memory: Memory,
    /// What has changed; all, if nothing was proved yet.
    pub(super) touched: Option<Touched>,
}

/// Proves that an export of `staged` would have the archive's payload, keeping echoes where it takes them.
pub(super) async fn verify(staged: &Home, plan: &Plan, about: &About) -> Result<(), Error> {
    let ours = about.clone();
    let own = staged.read(move |db| payload::derive_own(db, &ours, &mut Measure)).await?;
    keep_echoes(staged, plan, &own, None).await?;
    finish(staged, plan, about, own).await.map(drop)
}

/// The same for a stage that follows, deriving only what has changed since; answers with the digest of the payload manifest as
/// it comes of what is staged, and remembers for the next time.
pub(super) async fn verify_since(
    staged: &Home,
    plan: &Plan,
    about: &About,
    proved: Proved,
) -> Result<(Digest, Memory), Error> {
    let Proved { mut memory, touched } = proved;
    match &touched {
        Some(touched) => touched.forget(&mut memory),
        None => memory = Memory::default(),
    }
    let ours = about.clone();
    let (own, memory) = staged
        .read(move |db| {
            let own = memory.derive_own(db, &ours)?;
            Ok::<_, Error>((own, memory))
        })
        .await?;
    keep_echoes(staged, plan, &own, touched.as_ref()).await?;
    Ok((finish(staged, plan, about, own).await?, memory))
}

/// Keeps the archive's own bytes where it says the same as we would in others, and no bytes of an earlier archive.
async fn keep_echoes(staged: &Home, plan: &Plan, own: &Payload, touched: Option<&Touched>) -> Result<(), Error> {
    let parts = differing(plan, own);
    check_tables(staged, plan, &parts, touched).await?;
    let known = staged.read(kept::echoes).await?;
    let gone: Vec<String> = known.keys().filter(|part| !parts.contains_key(*part)).cloned().collect();
    let mut all = Vec::new();
    for (part, differences) in parts {
        let rendered = kept::rendered(own, &part);
        let is_kept = known.get(&part).is_some_and(|known| *known == rendered.to_string());
        if is_kept && touched.is_some_and(|touched| !touched.part(&part)) {
            continue;
        }
        let there: Vec<EntryPath> =
            differences.iter().filter(|(_, there)| *there).map(|(path, _)| path.clone()).collect();
        let mut contents = stage::put_all(staged, plan, there).await?.into_iter();
        let echo = |(path, there): (EntryPath, bool)| Echo { path, content: there.then(|| contents.next()).flatten() };
        all.push((part, rendered, differences.into_iter().map(echo).collect::<Vec<_>>()));
    }
    if gone.is_empty() && all.is_empty() {
        return Ok(());
    }
    staged
        .write(move |tx| {
            gone.iter().try_for_each(|part| kept::drop_echo(tx, part))?;
            all.iter().try_for_each(|(part, rendered, echoes)| {
                kept::drop_echo(tx, part)?;
                kept::keep_echo(tx, part, *rendered, echoes)
            })
        })
        .await
}

/// Compares the whole payload with the archive's.
async fn finish(staged: &Home, plan: &Plan, about: &About, own: Payload) -> Result<Digest, Error> {
    let about = about.clone();
    let whole = staged.read(move |db| payload::complete(db, &about, &mut Measure, own)).await?;
    compare(plan, &whole)?;
    Ok(whole.digest())
}

/// By part, the entries whose bytes differ, and whether the archive has them at all.
fn differing(plan: &Plan, own: &Payload) -> BTreeMap<String, Vec<(EntryPath, bool)>> {
    let theirs = plan.archive.entries();
    let mut parts: BTreeMap<String, Vec<(EntryPath, bool)>> = BTreeMap::new();
    let mut note =
        |path: &EntryPath, there| parts.entry(kept::part(path).to_owned()).or_default().push((path.clone(), there));
    for (path, entry) in theirs.iter().filter(|(path, _)| !plan.intake.carried.contains(*path)) {
        if own.entries.get(path).is_none_or(|ours| ours.summary.digest != entry.digest) {
            note(path, true);
        }
    }
    for path in own.entries.keys().filter(|path| !theirs.contains_key(*path)) {
        note(path, false);
    }
    parts
}

/// For the apps whose bytes differ: the records must still be the same.
async fn check_tables(
    staged: &Home,
    plan: &Plan,
    parts: &BTreeMap<String, Vec<(EntryPath, bool)>>,
    touched: Option<&Touched>,
) -> Result<(), Error> {
    let differ: BTreeSet<&str> = parts.values().flatten().map(|(path, _)| path.as_str()).collect();
    for table in plan.intake.apps.iter().flat_map(|app| &app.tables) {
        let is_proved = touched.is_some_and(|touched| !touched.table(&table.table));
        if is_proved || table.segments.iter().all(|segment| !differ.contains(segment.as_str())) {
            continue;
        }
        let theirs = sum_of_archive(plan, table).await?;
        let name = table.table.clone();
        let ours = staged.read(move |db| sum_of_staged(db, &name)).await?;
        if ours != theirs {
            return Err(Error::Differs(format!("the table {}", table.table)));
        }
    }
    Ok(())
}

/// A sum over records that does not depend on their order, with their number.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    records: u64,
    halves: [u128; 2],
}

impl Sum {
    fn add(&mut self, line: &str) {
        let digest: [u8; 32] = Sha256::digest(line.as_bytes()).into();
        for (half, bytes) in self.halves.iter_mut().zip(digest.chunks_exact(16)) {
            let mut word = [0; 16];
            word.copy_from_slice(bytes);
            *half = half.wrapping_add(u128::from_le_bytes(word));
        }
        self.records += 1;
    }
}

async fn sum_of_archive(plan: &Plan, table: &TableIntake) -> Result<Sum, Error> {
    let mut sum = Sum::default();
    for segment in &table.segments {
        let (archive, segment, taken) = (plan.archive.clone(), segment.clone(), plan.taken_ms);
        let mut part = sum;
        sum = work::blocking(move || {
            for record in stage::rows(&archive, &segment, taken)? {
                part.add(&row::to_line(&record).map_err(|why| Error::Refused(why.to_string()))?);
            }
            Ok(part)
        })
        .await?;
    }
    Ok(sum)
}

fn sum_of_staged(db: &rusqlite::Connection, table: &TableName) -> Result<Sum, Error> {
    let mut sum = Sum::default();
    documents::each(db, table, |record| {
        sum.add(&row::to_line(&record).map_err(|why| Error::Refused(why.to_string()))?);
        Ok::<(), Error>(())
    })?;
    Ok(sum)
}

fn compare(plan: &Plan, whole: &Payload) -> Result<(), Error> {
    let ours: BTreeMap<&EntryPath, Digest> =
        whole.entries.iter().map(|(path, entry)| (path, entry.summary.digest)).collect();
    let theirs: BTreeMap<&EntryPath, Digest> =
        plan.archive.entries().iter().map(|(path, entry)| (path, entry.digest)).collect();
    if ours == theirs {
        return Ok(());
    }
    let paths: BTreeSet<&EntryPath> = ours.keys().chain(theirs.keys()).copied().collect();
    let first = paths.into_iter().find(|path| ours.get(path) != theirs.get(path));
    Err(Error::Differs(first.map_or_else(|| "the payload".into(), ToString::to_string)))
}
