//! Putting a round into the stage: what differs between two archives, and nothing else.
//!
//! Both archives are sorted out as an import would, and compared. A segment of the new one whose content stood in the former
//! has its records in the stage already, and since segments follow each other in the order of ids, what lies between two such
//! is exactly what the segments between them hold. Everything else is compared by what an import would make of it.
//!
//! Invariant: afterwards the stage is what an import of the new archive would have made, whether it began as the former
//! archive's or anywhere on this very way. [`super::verify`] holds it to that.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use export_format::{AppId, Digest, EntryPath};

use super::archive::Checked;
use super::change::{Batch, Change};
use super::intake::{AppIntake, FileIntake, Installed, Intake, TableIntake};
use super::stage::{self, Plan};
use crate::archive::error::Error;
use crate::archive::payload::memory::Memory;
use crate::archive::payload::{Run, apps, kept};
use crate::archive::work;
use crate::documents::{TableName, Until};
use crate::store::Home;

/// What a round has changed, for those who compare.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Parts of the payload with an entry that differs.
    parts: BTreeSet<String>,
    /// Tables with records that differ, and in which runs of ids these stand.
    tables: BTreeMap<TableName, Vec<Run>>,
    /// Any app may have another label.
    labels: bool,
}

impl Touched {
    /// Whether a part of the payload may be rendered otherwise, or has other bytes in the archive.
    pub(super) fn part(&self, part: &str) -> bool {
        self.parts.contains(part) || (self.labels && part.starts_with(apps::ROOT))
    }

    /// Whether records of a table were changed.
    pub(super) fn table(&self, table: &TableName) -> bool {
        self.tables.contains_key(table)
    }

    /// Has forgotten what may be rendered otherwise.
    pub(super) fn forget(&self, memory: &mut Memory) {
        if self.labels {
            memory.forget_apps();
        }
        let folders = self.parts.iter().filter_map(|part| part.strip_prefix(apps::ROOT)?.strip_prefix('/'));
        folders.filter_map(|id| id.parse::<AppId>().ok()).for_each(|app| memory.forget_app(&app));
        self.tables.iter().for_each(|(table, runs)| memory.change_table(table, runs));
    }

    fn run(&mut self, table: &TableName, after: &str, until: &Until) {
        let run = Run { after: after.to_owned(), until: until.clone() };
        self.tables.entry(table.clone()).or_default().push(run);
    }
}

/// Makes the stage of `former` one of `plan`, which is that of `round`.
pub(super) async fn catch_up(staged: &Home, former: &Plan, plan: &Plan, round: u32) -> Result<Touched, Error> {
    let touched = Touched { parts: parts(&former.archive, &plan.archive), ..Touched::default() };
    plan.progress.expect(changed_bytes(&former.archive, &plan.archive));
    let mut way = Way { staged, former, plan, batch: Batch::new(staged), touched };
    way.batch.add(Change::Towards(round)).await?;
    way.words().await?;
    let was: BTreeMap<&AppId, &AppIntake> = former.intake.apps.iter().map(|app| (&app.id, app)).collect();
    let mut is = BTreeSet::new();
    for app in &plan.intake.apps {
        is.insert(&app.id);
        way.app(was.get(&app.id).copied(), app).await?;
    }
    for (id, app) in was.into_iter().filter(|(id, _)| !is.contains(id)) {
        let gone = AppIntake {
            id: id.clone(),
            name: String::new(),
            version: String::new(),
            installed: None,
            tables: Vec::new(),
            files: Vec::new(),
        };
        way.app(Some(app), &gone).await?;
    }
    way.labels().await?;
    way.carried().await?;
    way.batch.write().await?;
    Ok(way.touched)
}

/// The parts of the payload in which the two differ.
fn parts(former: &Checked, new: &Checked) -> BTreeSet<String> {
    let (was, is) = (former.entries(), new.entries());
    let other = |(path, entry): &(&EntryPath, &super::archive::Listed)| was.get(*path) != Some(*entry);
    let changed = is.iter().filter(other).map(|(path, _)| path);
    let gone = was.keys().filter(|path| !is.contains_key(*path));
    changed.chain(gone).map(|path| kept::part(path).to_owned()).collect()
}

fn changed_bytes(former: &Checked, new: &Checked) -> u64 {
    let was: HashSet<Digest> = former.entries().values().map(|entry| entry.digest).collect();
    new.entries().values().filter(|entry| !was.contains(&entry.digest)).map(|entry| entry.size).sum()
}

struct Way<'a> {
    staged: &'a Home,
    former: &'a Plan,
    plan: &'a Plan,
    batch: Batch<'a>,
    touched: Touched,
}

impl Way<'_> {
    /// What stands in documents about the person, and what others said of anything.
    async fn words(&mut self) -> Result<(), Error> {
        let (was, is): (&Intake, &Intake) = (&self.former.intake, &self.plan.intake);
        if was.settings != is.settings {
            self.batch.add(Change::Settings(is.settings.clone())).await?;
        }
        if was.permissions != is.permissions {
            self.batch.add(Change::Permissions(is.permissions.clone())).await?;
        }
        if was.by_itself != is.by_itself {
            self.batch.add(Change::ByItself(Box::new(is.by_itself.clone()))).await?;
        }
        for of in differing(&was.members, &is.members) {
            self.batch.add(Change::Members(of.clone(), is.members.get(of).cloned())).await?;
        }
        for of in differing(&was.lines, &is.lines) {
            self.batch.add(Change::Lines(of.clone(), is.lines.get(of).cloned())).await?;
        }
        Ok(())
    }

    async fn app(&mut self, was: Option<&AppIntake>, is: &AppIntake) -> Result<(), Error> {
        let before: &[TableIntake] = was.map_or(&[], |app| &app.tables);
        let names: BTreeSet<&TableName> = is.tables.iter().map(|table| &table.table).collect();
        for gone in before.iter().filter(|table| !names.contains(&table.table)) {
            self.touched.run(&gone.table, "", &Until::End);
            self.batch.add(Change::DropTable(gone.table.clone())).await?;
        }
        for table in &is.tables {
            self.table(before.iter().find(|other| other.table == table.table), table).await?;
        }
        self.files(was.map_or(&[], |app| &app.files), is).await?;
        self.code(was, is).await
    }

    /// The app itself.
    async fn code(&mut self, was: Option<&AppIntake>, is: &AppIntake) -> Result<(), Error> {
        let before = was.and_then(|app| Some((app, app.installed.as_ref()?)));
        let Some(installed) = &is.installed else {
            if before.is_some() {
                self.touched.labels = true;
                self.batch.add(Change::DropApp(is.id.clone())).await?;
            }
            return Ok(());
        };
        let same = |(app, before): (&AppIntake, &Installed)| {
            let listed = |plan: &Plan, code: &Installed| -> Vec<(String, Option<Digest>)> {
                let digest = |entry: &EntryPath| plan.archive.entries().get(entry).map(|entry| entry.digest);
                code.code.iter().map(|(truly, entry)| (truly.clone(), digest(entry))).collect()
            };
            (&app.name, &app.version, &before.manifest, before.installed_ms, before.removed_ms)
                == (&is.name, &is.version, &installed.manifest, installed.installed_ms, installed.removed_ms)
                && before.keeping == installed.keeping
                && listed(self.former, before) == listed(self.plan, installed)
        };
        if before.is_some_and(same) {
            return Ok(());
        }
        let entries = installed.code.iter().map(|(_, entry)| entry.clone()).collect();
        let blobs = stage::put_all(self.staged, self.plan, entries).await?;
        let named = installed.code.iter().zip(blobs);
        let code = named.map(|((truly, _), blob)| stage::code_file(truly, blob)).collect();
        let record = Box::new(stage::record(is, self.plan.taken_ms));
        self.touched.labels = true;
        self.batch.add(Change::PutApp(record, code)).await
    }

    /// Labels are made unique in the order in which apps come, so all of them depend on each other.
    async fn labels(&mut self) -> Result<(), Error> {
        let wishes = |intake: &Intake| -> Vec<(AppId, String)> {
            let label = |app: &AppIntake| Some((app.id.clone(), app.installed.as_ref()?.label.clone()));
            intake.apps.iter().filter_map(label).collect()
        };
        let (was, is) = (wishes(&self.former.intake), wishes(&self.plan.intake));
        if was != is || self.touched.labels {
            self.touched.labels = true;
            self.batch.add(Change::Labels(is)).await?;
        }
        Ok(())
    }

    async fn table(&mut self, was: Option<&TableIntake>, is: &TableIntake) -> Result<(), Error> {
        let table = &is.table;
        if was.is_none_or(|was| was.indexes != is.indexes) {
            self.batch.add(Change::Declare(table.clone(), is.indexes.clone())).await?;
        }
        let digest = |archive: &Checked, segment: &EntryPath| archive.entries().get(segment).map(|entry| entry.digest);
        let before: Vec<Option<Digest>> = was
            .map(|was| was.segments.iter().map(|segment| digest(&self.former.archive, segment)).collect())
            .unwrap_or_default();
        let now: Vec<(&EntryPath, Option<Digest>)> =
            is.segments.iter().map(|segment| (segment, digest(&self.plan.archive, segment))).collect();
        let known: HashSet<Option<Digest>> = before.iter().copied().collect();
        let mut before = before.into_iter().peekable();
        let stays: HashSet<Option<Digest>> =
            now.iter().map(|(_, digest)| *digest).filter(|d| known.contains(d)).collect();
        let (mut after, mut run) = (String::new(), Vec::new());
        for (segment, digest) in now {
            if !stays.contains(&digest) {
                run.push(segment);
                continue;
            }
            // What stood before it and is not there any more.
            let mut gone = false;
            while before.next_if(|other| *other != digest).is_some() {
                gone = true;
            }
            before.next();
            let (first, last) = self.ids(segment).await?;
            if gone || !run.is_empty() {
                self.run(table, &after, Until::Before(first), &run).await?;
                run.clear();
            }
            after = last;
        }
        if before.next().is_some() || !run.is_empty() || was.is_none() {
            self.run(table, &after, Until::End, &run).await?;
        }
        Ok(())
    }

    /// Between two ids stand exactly the records of these segments.
    async fn run(
        &mut self,
        table: &TableName,
        after: &str,
        until: Until,
        segments: &[&EntryPath],
    ) -> Result<(), Error> {
        self.touched.run(table, after, &until);
        let mut after = after.to_owned();
        let records = |after: String, until, rows| Change::Records { table: table.clone(), after, until, rows };
        for (at, segment) in segments.iter().enumerate() {
            let rows = self.rows(segment).await?;
            self.plan.progress.add(self.plan.archive.size(segment));
            let last = rows.last().map_or_else(|| after.clone(), |row| row.id.clone());
            let until = if at + 1 == segments.len() { until.clone() } else { Until::Through(last.clone()) };
            self.batch.add(records(std::mem::replace(&mut after, last), until, rows)).await?;
        }
        if segments.is_empty() {
            self.batch.add(records(after, until, Vec::new())).await?;
        }
        Ok(())
    }

    async fn rows(&self, segment: &EntryPath) -> Result<Vec<crate::documents::Row>, Error> {
        let (archive, segment, taken_ms) = (self.plan.archive.clone(), segment.clone(), self.plan.taken_ms);
        work::blocking(move || stage::rows(&archive, &segment, taken_ms)).await
    }

    /// The first and the last id of a segment.
    async fn ids(&self, segment: &EntryPath) -> Result<(String, String), Error> {
        if let Some((first, last)) = self.plan.archive.ids(segment) {
            return Ok((first.to_owned(), last.to_owned()));
        }
        let rows = self.rows(segment).await?;
        let id = |row: Option<&crate::documents::Row>| row.map(|row| row.id.clone()).unwrap_or_default();
        Ok((id(rows.first()), id(rows.last())))
    }

    async fn files(&mut self, was: &[FileIntake], is: &AppIntake) -> Result<(), Error> {
        let before: BTreeMap<_, _> = was.iter().map(|file| (&file.path, file)).collect();
        let now: BTreeSet<_> = is.files.iter().map(|file| &file.path).collect();
        for gone in before.keys().filter(|path| !now.contains(*path)) {
            self.batch.add(Change::DropFile(is.id.clone(), (*gone).clone())).await?;
        }
        let said = |plan: &Plan, file: &FileIntake| {
            let digest = plan.archive.entries().get(&file.entry).map(|entry| entry.digest);
            (digest, file.mime.clone(), file.created_ms, file.modified_ms)
        };
        let differ = |file: &&FileIntake| {
            let other = before.get(&file.path);
            other.is_none_or(|other| said(self.former, other) != said(self.plan, file))
        };
        let differing: Vec<&FileIntake> = is.files.iter().filter(differ).collect();
        for some in differing.chunks(stage::BATCH) {
            let entries = some.iter().map(|file| file.entry.clone()).collect();
            let blobs = stage::put_all(self.staged, self.plan, entries).await?;
            for (file, blob) in some.iter().zip(blobs) {
                let record = stage::file_record(is, file, blob, self.plan.taken_ms);
                self.batch.add(Change::PutFile(Box::new(record))).await?;
            }
        }
        Ok(())
    }

    async fn carried(&mut self) -> Result<(), Error> {
        let listed = |plan: &Plan| -> BTreeMap<EntryPath, Option<Digest>> {
            let digest = |path: &EntryPath| plan.archive.entries().get(path).map(|entry| entry.digest);
            plan.intake.carried.iter().map(|path| (path.clone(), digest(path))).collect()
        };
        let (was, is) = (listed(self.former), listed(self.plan));
        let changed: Vec<&EntryPath> = differing(&was, &is).collect();
        for some in changed.chunks(stage::BATCH) {
            let there: Vec<EntryPath> =
                some.iter().filter(|path| is.contains_key(**path)).map(|path| (*path).clone()).collect();
            for gone in some.iter().filter(|path| !is.contains_key(**path)) {
                self.batch.add(Change::DropCarried((*gone).clone())).await?;
            }
            let blobs = stage::put_all(self.staged, self.plan, there.clone()).await?;
            for (path, blob) in there.into_iter().zip(blobs) {
                self.batch.add(Change::Carry(path, blob)).await?;
            }
        }
        Ok(())
    }
}

/// The keys under which two maps have something else, or only one of them has something.
fn differing<'m, K: Ord, V: PartialEq>(was: &'m BTreeMap<K, V>, is: &'m BTreeMap<K, V>) -> impl Iterator<Item = &'m K> {
    let gone = was.keys().filter(|key| !is.contains_key(*key));
    gone.chain(is.iter().filter(|(key, value)| was.get(*key) != Some(*value)).map(|(key, _)| key))
}
