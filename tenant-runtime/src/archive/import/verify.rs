//! Comparing what was staged with the archive it came from.
//!
//! First by meaning: every record of every table, spelled canonically, on both sides. Then byte for byte: the staged
//! home is rendered as an export would render it, and where the archive said the same in other bytes, those bytes are
//! kept as an echo. In the end an export of the staged home must have exactly the archive's payload, or nothing is
//! swapped.

use std::collections::{BTreeMap, BTreeSet};

use export_format::digest::Summary;
use export_format::{Digest, EntryPath};
use sha2::{Digest as _, Sha256};

use super::intake::TableIntake;
use super::stage::{self, Plan};
use crate::archive::error::Error;
use crate::archive::payload::kept::{self, Echo};
use crate::archive::payload::{self, About, Measure, Payload};
use crate::archive::{row, work};
use crate::documents::{self, TableName};
use crate::store::Home;

/// Proves that an export of `staged` would have the archive's payload, keeping echoes where it takes them.
pub(super) async fn verify(staged: &Home, plan: &Plan, about: &About) -> Result<(), Error> {
    let ours = about.clone();
    let own = staged.read(move |db| payload::derive_own(db, &ours, &mut Measure)).await?;
    let parts = differing(plan, &own);
    check_tables(staged, plan, &parts).await?;
    for (part, differences) in parts {
        let mut echoes = Vec::with_capacity(differences.len());
        for (path, there) in differences {
            let content: Option<Summary> = match there {
                true => Some(stage::put_entry(staged, plan, &path).await?),
                false => None,
            };
            echoes.push(Echo { path, content });
        }
        let rendered = kept::rendered(&own, &part);
        staged.write(move |tx| kept::keep_echo(tx, &part, rendered, &echoes)).await?;
    }
    let about = about.clone();
    let whole = staged.read(move |db| payload::derive(db, &about, &mut Measure)).await?;
    compare(plan, &whole)
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
) -> Result<(), Error> {
    let differ: BTreeSet<&str> = parts.values().flatten().map(|(path, _)| path.as_str()).collect();
    for table in plan.intake.apps.iter().flat_map(|app| &app.tables) {
        if table.segments.iter().all(|segment| !differ.contains(segment.as_str())) {
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
