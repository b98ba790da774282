//! The segments of a table, rendered anew only where something has changed.
//!
//! Where a segment ends is said by the rows themselves (SPEC.md 10.12). So when it is known where records have changed since the
//! table was rendered last, only the segments in which these stand are made anew, and then those behind them until one ends
//! where one ended before. All others are taken as they are. Who has the former segments makes one anew from what it held and
//! what the changed records say now; who has only their digests reads its records.
//!
//! Invariant: what comes of it is to the byte what rendering every record would have made.

use std::collections::VecDeque;

use export_format::row::Segments;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::memory::Rows;
use super::{Entry, Sink};
use crate::admin::api::Omission;
use crate::archive::error::Error;
use crate::archive::row;
use crate::documents::{self, TableName, Until};

/// How many records go by between two words about progress.
const STEP: u64 = 1000;

/// A segment, and what has to be known of it to make it anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The `_id` of its last row.
    pub last: String,
    /// How many rows it has.
    pub rows: u64,
    /// Whether its last row ends it, whatever comes behind; otherwise the next one, or the end of the table, did.
    pub by_key: bool,
    /// What it is, and where it lies.
    pub entry: Entry,
}

/// A table as it was rendered before.
#[derive(Clone, Debug)]
pub struct Former {
    /// Its segments.
    pub segments: Vec<Segment>,
    /// What may have changed since.
    pub changed: Changed,
}

/// Where records of a table may have changed.
#[derive(Clone, Debug)]
pub enum Changed {
    /// In these records, in the order of their ids; what the segments held can be had ([`Sink::content`]).
    Ids(Vec<String>),
    /// Somewhere in these runs of ids.
    Runs(Vec<Run>),
}

/// A run of ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// It begins behind this one; with the first there is, if this is empty.
    pub after: String,
    /// Where it ends.
    pub until: Until,
}

impl Run {
    /// Whether it has ids behind `after` and up to `last`.
    fn meets(&self, after: Option<&str>, last: Option<&str>) -> bool {
        let begins = self.after.is_empty() || last.is_none_or(|last| self.after.as_str() < last);
        let ends = match &self.until {
            Until::Through(end) | Until::Before(end) => after.is_none_or(|after| end.as_str() > after),
            Until::End => true,
        };
        begins && ends
    }
}

impl Changed {
    /// In which segments something may have changed. What comes behind all of them belongs to the last one.
    fn touched(&self, segments: &[Segment]) -> Vec<bool> {
        let mut after = None;
        let touched = segments.iter().enumerate().map(|(at, segment)| {
            let last = (at + 1 < segments.len()).then_some(segment.last.as_str());
            let after = after.replace(segment.last.as_str());
            match self {
                Self::Ids(ids) => {
                    let first = ids.partition_point(|id| after.is_some_and(|after| id.as_str() <= after));
                    ids.get(first).is_some_and(|id| last.is_none_or(|last| id.as_str() <= last))
                }
                Self::Runs(runs) => runs.iter().any(|run| run.meets(after, last)),
            }
        });
        touched.collect()
    }
}

/// Renders the records of a table.
pub(super) fn render(db: &Connection, table: &TableName, sink: &mut dyn Sink) -> Result<Rows, Error> {
    let former = sink.former(db, table)?;
    let mut cutter = Cutter::new(table, sink);
    match former {
        None => documents::each(db, table, |record| cutter.record(&record))?,
        Some(former) => cutter.patch(db, former)?,
    }
    cutter.finish(db)
}

/// Cuts rows into segments.
struct Cutter<'a> {
    table: &'a TableName,
    sink: &'a mut dyn Sink,
    open: Segments,
    /// The last row of the open segment, and how many it has.
    last: String,
    rows: u64,
    done: Vec<Segment>,
    omitted: Vec<Omission>,
    since: u64,
}

impl<'a> Cutter<'a> {
    fn new(table: &'a TableName, sink: &'a mut dyn Sink) -> Self {
        let (open, last, done, omitted) = (Segments::default(), String::new(), Vec::new(), Vec::new());
        Self { table, sink, open, last, rows: 0, done, omitted, since: 0 }
    }

    fn record(&mut self, record: &documents::Row) -> Result<(), Error> {
        match row::to_line(record) {
            Ok(line) => self.push(&record.id, line.trim_end_matches('\n')),
            Err(why) => {
                let what = format!("the record {:?} of {}", record.id, self.table);
                self.omitted.push(Omission { what, why: why.to_string() });
                Ok(())
            }
        }
    }

    fn push(&mut self, id: &str, line: &str) -> Result<(), Error> {
        if let Some(segment) = self.open.push(id, line) {
            self.close(&segment, false)?;
        }
        id.clone_into(&mut self.last);
        self.rows += 1;
        if let Some(segment) = self.open.end() {
            self.close(&segment, true)?;
        }
        self.told(1);
        Ok(())
    }

    fn close(&mut self, segment: &[u8], by_key: bool) -> Result<(), Error> {
        let (last, rows) = (std::mem::take(&mut self.last), std::mem::take(&mut self.rows));
        self.done.push(Segment { last, rows, by_key, entry: self.sink.keep(segment)? });
        Ok(())
    }

    fn told(&mut self, rows: u64) {
        self.since += rows;
        if self.since >= STEP {
            self.sink.rendered(std::mem::take(&mut self.since));
        }
    }

    /// Takes former segments as they are where nothing has changed.
    fn patch(&mut self, db: &Connection, former: Former) -> Result<(), Error> {
        let Former { segments, changed } = former;
        if segments.is_empty() {
            return documents::each(db, self.table, |record| self.record(&record));
        }
        let mut is_touched = changed.touched(&segments);
        // One that its last row did not end depends on what comes behind.
        for at in (1..segments.len()).rev() {
            is_touched[at - 1] |= is_touched[at] && !segments[at - 1].by_key;
        }
        let mut changed = match changed {
            Changed::Ids(ids) => Some(VecDeque::from(ids)),
            Changed::Runs(_) => None,
        };
        let (mut after, mut left) = (None, segments.len());
        for (segment, is_touched) in segments.into_iter().zip(is_touched) {
            left -= 1;
            let last = segment.last.clone();
            match &mut changed {
                _ if !is_touched && self.open.is_empty() => {
                    self.told(segment.rows);
                    self.done.push(segment);
                }
                Some(ids) if left == 0 => self.merge(db, &segment, std::mem::take(ids))?,
                Some(ids) => self.merge(db, &segment, upto(ids, &last))?,
                None => {
                    let through = (left > 0).then_some(last.as_str());
                    documents::between(db, self.table, after.as_deref(), through, |record| self.record(&record))?;
                }
            }
            after = Some(last);
        }
        Ok(())
    }

    /// The rows of a former segment, with what has changed of them and among them.
    fn merge(&mut self, db: &Connection, segment: &Segment, mut changed: VecDeque<String>) -> Result<(), Error> {
        let content = self.sink.content(segment)?;
        let broken = || Error::Bug(format!("a former segment of {} cannot be read", self.table));
        let content = String::from_utf8(content).map_err(|_| broken())?;
        for line in content.split_terminator('\n') {
            let Known { id } = serde_json::from_str(line)
                .map_err(|_| Error::Bug(format!("a former segment of {} cannot be read", self.table)))?;
            let before = upto(&mut changed, &id);
            let is_changed = before.back() == Some(&id);
            before.iter().try_for_each(|id| self.now(db, id))?;
            if !is_changed {
                self.push(&id, line)?;
            }
        }
        changed.iter().try_for_each(|id| self.now(db, id))
    }

    /// A record as it is now, if it is there.
    fn now(&mut self, db: &Connection, id: &str) -> Result<(), Error> {
        match documents::get(db, self.table, id)? {
            Some(record) => self.record(&record),
            None => Ok(()),
        }
    }

    fn finish(mut self, db: &Connection) -> Result<Rows, Error> {
        if let Some(segment) = std::mem::take(&mut self.open).finish() {
            self.close(&segment, false)?;
        }
        self.sink.rendered(self.since);
        let is_whole = self.omitted.is_empty();
        self.sink.learn(db, self.table, is_whole.then_some(&self.done[..]))?;
        Ok(Rows { segments: self.done, omitted: self.omitted })
    }
}

/// As much of a row as has to be known here.
#[derive(Deserialize)]
struct Known {
    #[serde(rename = "_id")]
    id: String,
}

/// Takes from the front all ids up to and including this one. They stand in the order of their bytes, as rows do.
fn upto(ids: &mut VecDeque<String>, last: &str) -> VecDeque<String> {
    let count = ids.iter().take_while(|id| id.as_str() <= last).count();
    ids.drain(..count).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::super::Source;
    use super::*;
    use crate::documents::{Row, noting};
    use crate::schema::in_memory;

    /// Keeps segments in memory, and has them for the next rendering.
    #[derive(Default)]
    struct Kept {
        contents: Vec<Vec<u8>>,
        former: Option<Former>,
        learnt: Vec<Segment>,
    }

    impl Sink for Kept {
        fn keep(&mut self, content: &[u8]) -> Result<Entry, Error> {
            let source = Source::Frozen { file: 0, at: self.contents.len() as u64, stored: 0, deflated: false };
            self.contents.push(content.to_vec());
            Ok(Entry { summary: export_format::digest::Summary::of(content), source })
        }

        fn rendered(&mut self, _records: u64) {}

        fn former(&mut self, _db: &Connection, _table: &TableName) -> Result<Option<Former>, Error> {
            Ok(self.former.take())
        }

        fn content(&mut self, segment: &Segment) -> Result<Vec<u8>, Error> {
            let Source::Frozen { at, .. } = segment.entry.source else { return Err(Error::Bug("elsewhere".into())) };
            Ok(self.contents[at as usize].clone())
        }

        fn learn(&mut self, _db: &Connection, _table: &TableName, all: Option<&[Segment]>) -> Result<(), Error> {
            self.learnt = all.unwrap_or_default().to_vec();
            Ok(())
        }
    }

    /// What is said of segments, but for where they lie.
    fn said(segments: &[Segment]) -> Vec<(String, u64, bool, export_format::digest::Summary)> {
        segments.iter().map(|one| (one.last.clone(), one.rows, one.by_key, one.entry.summary)).collect()
    }

    /// An id that begins so, and ends a segment that is long enough.
    fn ending(start: &str) -> String {
        let ends = |id: &String| export_format::digest::Summary::of(id.as_bytes()).crc32.is_multiple_of(4096);
        (0..1_000_000).map(|n| format!("{start}-{n}")).find(ends).unwrap()
    }

    fn row(id: String, bytes: usize, rng: &mut StdRng) -> Row {
        // Texts that are awkward to find an id among.
        let doc =
            serde_json::json!({"x": rng.random_range(0..1000), "text": "\"_id\":\"ü\n".repeat(bytes / 12), "$a": 0.5});
        Row { id, created: 1, modified: rng.random_range(0..1000), doc: doc.to_string() }
    }

    fn table() -> TableName {
        TableName::new(&"org.example.notes".parse().unwrap(), "pages").unwrap()
    }

    /// What is known to whoever has only the digests of segments, and which ids have changed.
    fn around(segments: &[Segment], changed: &[String]) -> Former {
        let run = |id: &String| {
            let mut after = id.clone();
            after.pop();
            let until =
                if id.len().is_multiple_of(2) { Until::Through(id.clone()) } else { Until::Before(format!("{id}\0")) };
            Run { after, until }
        };
        Former { segments: segments.to_vec(), changed: Changed::Runs(changed.iter().map(run).collect()) }
    }

    /// Random edits round after round: whatever they were, what is taken over and what is made anew are together what
    /// rendering everything makes.
    fn edited(seed: u64, bytes: usize, rows: usize, ends_every: usize, rounds: usize) {
        let (db, table, mut rng) = (in_memory(), table(), StdRng::seed_from_u64(seed));
        let id = |n: usize| match n % ends_every {
            0 => ending(&format!("{n:06}")),
            _ => format!("{n:06}"),
        };
        let first: Vec<Row> = (0..rows).map(|n| row(id(n), bytes, &mut rng)).collect();
        documents::put_kept(&db, &table, &first).unwrap();
        noting::begin(&db, None).unwrap();
        let mut kept = Kept::default();
        render(&db, &table, &mut kept).unwrap();
        let mut made = 0;
        for round in 0..rounds {
            let since = noting::of(&db).unwrap().unwrap();
            noting::begin(&db, Some(&since)).unwrap();
            for _ in 0..rng.random_range(0..4) {
                let (n, size) = (rng.random_range(0..rows + 5), rng.random_range(12..bytes * 2));
                let change = match rng.random_range(0..6) {
                    0 => Some(row(id(n), size, &mut rng)),
                    1 => Some(row(format!("{n:06}~"), size, &mut rng)),
                    2 => Some(row(ending(&format!("{n:06}!")), size, &mut rng)),
                    3 => Some(row(if n % 2 == 0 { "".into() } else { "zzz\u{e9}".into() }, size, &mut rng)),
                    4 => {
                        let _ = documents::remove(&db, &table, &id(n));
                        None
                    }
                    _ => {
                        let (from, to) = (format!("{n:06}"), format!("{:06}", n + rows / 9));
                        let text = "delete from document_1 where _id between ?1 and ?2";
                        db.execute(text, (from, to)).unwrap();
                        None
                    }
                };
                documents::put_kept(&db, &table, &change.into_iter().collect::<Vec<_>>()).unwrap();
            }
            let changed = noting::since(&db, 1, since.generation).unwrap();
            let before = kept.contents.len();
            let segments = std::mem::take(&mut kept.learnt);
            let mut read = Kept { former: Some(around(&segments, &changed)), ..Kept::default() };
            kept.former = Some(Former { segments, changed: Changed::Ids(changed) });
            let ours = render(&db, &table, &mut kept).unwrap();
            made += kept.contents.len() - before;
            let mut all = Kept::default();
            let whole = render(&db, &table, &mut all).unwrap();
            assert_eq!(said(&kept.learnt), said(&all.learnt), "seed {seed}, round {round}");
            assert_eq!((ours.segments, ours.omitted), (kept.learnt.clone(), whole.omitted));
            render(&db, &table, &mut read).unwrap();
            assert_eq!(said(&read.learnt), said(&all.learnt), "seed {seed}, round {round}, read");
            for (segment, content) in kept.learnt.clone().iter().zip(&all.contents) {
                assert!(kept.content(segment).unwrap() == *content, "seed {seed}, round {round}");
            }
        }
        println!("seed {seed}: {} segments, {made} made anew in {rounds} rounds", kept.learnt.len());
    }

    #[test]
    fn after_any_edits_it_is_what_rendering_everything_makes() {
        // Segments that end by the keys of their rows; such as end by their length; and one.
        edited(rand::random(), 12_000, 300, 95, 6);
        edited(rand::random(), 100_000, 110, 1_000_000, 4);
        edited(rand::random(), 200, 300, 7, 12);
    }

    #[test]
    fn nothing_changed_is_nothing_rendered() {
        let (db, table) = (in_memory(), table());
        let mut rng = StdRng::seed_from_u64(1);
        let rows: Vec<Row> = (0..50).map(|n| row(format!("{n}"), 100, &mut rng)).collect();
        documents::put_kept(&db, &table, &rows).unwrap();
        let mut kept = Kept::default();
        let first = render(&db, &table, &mut kept).unwrap();
        for changed in [Changed::Ids(Vec::new()), Changed::Runs(Vec::new())] {
            kept.former = Some(Former { segments: std::mem::take(&mut kept.learnt), changed });
            let again = render(&db, &table, &mut kept).unwrap();
            assert_eq!((&first.segments, kept.contents.len()), (&again.segments, 1));
        }
    }
}
