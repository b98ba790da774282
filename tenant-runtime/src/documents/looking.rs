//! A search under way: from the way that was chosen to the records of the answer.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use rusqlite::types::Value as Sql;
use rusqlite::{CachedStatement, Connection, params_from_iter};
use serde_json::{Map, Value};

use super::Error;
use super::budget::{Meter, Stop};
use super::catalogue::Catalogue;
use super::order::{Candidate, Part};
use super::plan::{Order, Statement, Way};
use super::position::Position;
use super::query::Filter;
use super::reading::Reading;
use super::record::View;
use super::search::{BYTES_LIMIT, Page, Search};

/// A record's place, as an index tells it.
pub(super) struct Entry {
    modified: i64,
    n: i64,
    /// Whether the record passes for certain.
    is_sure: bool,
}

/// The records of one answer, bounded in bytes.
pub(super) struct Answer<'a> {
    search: &'a Search,
    show: &'a mut dyn FnMut(View<'_>),
    pub(super) shown: usize,
    bytes: usize,
    /// The last record of a full page, if there are to be pages.
    pub(super) last: Option<Candidate>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(search: &'a Search, show: &'a mut dyn FnMut(View<'_>)) -> Self {
        Self { search, show, shown: 0, bytes: 0, last: None }
    }

    fn is_full(&self) -> bool {
        self.shown >= self.search.count
    }

    fn push(&mut self, view: View<'_>, n: i64) -> Result<(), Error> {
        self.bytes += view.doc.len();
        if self.bytes > BYTES_LIMIT {
            return Err(Error::AnswerTooLarge { found: self.shown });
        }
        (self.show)(view);
        self.shown += 1;
        if self.is_full() && !matches!(self.search.page, Page::Whole) {
            self.last = Some(Candidate { keys: keys(self.search, &view)?, modified: view.modified, n });
        }
        Ok(())
    }
}

/// The values a record is put in order by.
fn keys(search: &Search, view: &View<'_>) -> Result<Vec<Part>, Error> {
    let fields = Reading::of(&Filter::everything(), &search.sort).read(view)?;
    Ok(search.sort.iter().map(|key| Part::of(key, &fields)).collect())
}

/// A record that was selected.
fn view<'a>(row: &'a rusqlite::Row<'_>) -> rusqlite::Result<View<'a>> {
    let id = row.get_ref(0)?.as_str()?;
    Ok(View { id, created: row.get(1)?, modified: row.get(2)?, doc: row.get_ref(3)?.as_str()? })
}

/// One record, by its number.
fn one(db: &Connection, n: i64) -> Result<CachedStatement<'_>, Stop> {
    Ok(db.prepare_cached(&format!("select {COLUMNS} from document_{n} where n = ?1"))?)
}

/// A search under way.
pub(super) struct Looking<'a> {
    pub(super) db: &'a Connection,
    pub(super) catalogue: &'a Catalogue,
    pub(super) search: &'a Search,
    pub(super) meter: Meter,
}

const COLUMNS: &str = "_id, created, modified, doc, n";

impl Looking<'_> {
    /// Goes the way to the answer, and says which index led there in its order.
    pub(super) fn go(&mut self, way: Way, answer: &mut Answer<'_>) -> Result<Option<i64>, Stop> {
        match way {
            _ if answer.is_full() => Ok(None),
            Way::Ordered(statement) => self.in_order(&statement, answer).map(|()| statement.index),
            Way::Spans { spans, repeats, otherwise } => {
                let index = spans.first().and_then(|span| span.index);
                match self.gather(&spans, repeats, otherwise.is_some())? {
                    Some(entries) => self.through(entries, answer).map(|()| index),
                    None => match otherwise {
                        Some(statement) => self.in_order(&statement, answer).map(|()| statement.index),
                        None => Err(Stop::Spent),
                    },
                }
            }
            Way::Everything => self.best_of(None, answer).map(|()| None),
        }
    }

    /// Takes records from a statement that has the order, until there are enough.
    fn in_order(&mut self, statement: &Statement, answer: &mut Answer<'_>) -> Result<(), Stop> {
        let (db, search) = (self.db, self.search);
        let records = statement.records();
        let (mut text, direct) = match records {
            Some(text) => (text, true),
            None => (statement.entries(), false),
        };
        let mut values: Vec<&Sql> = statement.values.iter().collect();
        let bounds = [search.count, search.skip].map(|number| Sql::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
        if statement.is_sure {
            // Nothing is judged, so SQLite may leave out what is skipped without reading it.
            text.push_str(" limit ? offset ?");
            values.extend(&bounds);
        }
        let mut skip = if statement.is_sure { 0 } else { search.skip };
        let judged = search.filter.beside_words();
        let reading = Reading::of(&judged, &[]);
        let mut all = db.prepare_cached(&text)?;
        let mut rows = all.query(params_from_iter(values))?;
        let mut one = if direct { None } else { Some(one(db, self.catalogue.n)?) };
        let mut take = |meter: &mut Meter, view: View<'_>, n: i64| -> Result<bool, Stop> {
            meter.record(&view)?;
            if statement.is_sure || judged.holds(&reading.read(&view)?) {
                match skip {
                    0 => answer.push(view, n)?,
                    _ => skip -= 1,
                }
            }
            Ok(!answer.is_full())
        };
        while let Some(row) = rows.next()? {
            let more = match &mut one {
                None => take(&mut self.meter, view(row)?, row.get(4)?)?,
                Some(one) => {
                    let n: i64 = row.get(1)?;
                    let mut rows = one.query([n])?;
                    match rows.next()? {
                        Some(row) => take(&mut self.meter, view(row)?, n)?,
                        None => true,
                    }
                }
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// The entries of all spans, each record once; none when there are so many that it is less work to go through the records
    /// in their order until there are enough, if those that pass lie evenly among the others.
    pub(super) fn gather(
        &mut self,
        spans: &[Statement],
        repeats: bool,
        may_turn_back: bool,
    ) -> Result<Option<Vec<Entry>>, Stop> {
        let wanted = self.search.skip.saturating_add(self.search.count);
        let mut most = if may_turn_back { Some(wanted) } else { None };
        let (mut entries, mut met) = (Vec::new(), HashSet::new());
        for span in spans {
            let mut found = self.db.prepare_cached(&span.entries())?;
            let mut found = found.query(params_from_iter(&span.values))?;
            while let Some(row) = found.next()? {
                let (modified, n) = (row.get(0)?, row.get(1)?);
                if repeats && !met.insert(n) {
                    continue;
                }
                if most.is_some_and(|most| entries.len() >= most) {
                    let enough = self.root_of_all(wanted)?;
                    if entries.len() >= enough {
                        return Ok(None);
                    }
                    most = Some(enough);
                }
                self.meter.entry()?;
                entries.push(Entry { modified, n, is_sure: span.is_sure });
            }
        }
        Ok(Some(entries))
    }

    /// How many entries are worth being put in order when so many records are wanted.
    fn root_of_all(&self, wanted: usize) -> Result<usize, Stop> {
        let text = format!("select max(n) from document_{}", self.catalogue.n);
        let last: Option<i64> = self.db.prepare_cached(&text)?.query_row([], |row| row.get(0))?;
        let all = usize::try_from(last.unwrap_or_default()).unwrap_or_default();
        Ok(wanted.saturating_mul(all).isqrt().max(wanted))
    }

    /// Puts what was gathered in order and takes what is wanted of it.
    fn through(&mut self, mut entries: Vec<Entry>, answer: &mut Answer<'_>) -> Result<(), Stop> {
        let after = self.search.page.after().map(|position| (position.modified, position.n));
        match Order::of(&self.search.sort) {
            Order::Newest => {
                entries.retain(|entry| after.is_none_or(|after| (entry.modified, entry.n) < after));
                entries.sort_unstable_by_key(|entry| Reverse((entry.modified, entry.n)));
            }
            Order::Oldest => {
                let place = |modified: i64, n: i64| (modified, Reverse(n));
                entries.retain(|entry| after.is_none_or(|(m, n)| place(entry.modified, entry.n) > place(m, n)));
                entries.sort_unstable_by_key(|entry| place(entry.modified, entry.n));
            }
            Order::Id { .. } | Order::Field { .. } | Order::Other => return self.best_of(Some(entries), answer),
        }
        let judged = self.search.filter.beside_words();
        let reading = Reading::of(&judged, &[]);
        let db = self.db;
        let mut one = one(db, self.catalogue.n)?;
        let mut skip = self.search.skip;
        for Entry { n, is_sure, .. } in entries {
            if is_sure && skip > 0 {
                skip -= 1;
                continue;
            }
            let mut rows = one.query([n])?;
            let Some(row) = rows.next()? else { continue };
            let found = view(row)?;
            self.meter.record(&found)?;
            if is_sure || judged.holds(&reading.read(&found)?) {
                match skip {
                    0 => answer.push(found, n)?,
                    _ => skip -= 1,
                }
            }
            if answer.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// Shows all of the entries' records that pass, or all there are, with the fields that are judged or sorted by.
    pub(super) fn judge(
        &mut self,
        entries: Option<Vec<Entry>>,
        mut take: impl FnMut(View<'_>, i64, &Map<String, Value>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let (db, search) = (self.db, self.search);
        let judged = search.filter.beside_words();
        let reading = Reading::of(&judged, &search.sort);
        let needs_reading = !search.sort.is_empty();
        let mut show = |meter: &mut Meter, view: View<'_>, n: i64, is_sure: bool| {
            meter.record(&view)?;
            let fields = if is_sure && !needs_reading { Map::new() } else { reading.read(&view)? };
            if is_sure || judged.holds(&fields) { take(view, n, &fields) } else { Ok(()) }
        };
        let Some(entries) = entries else {
            let mut all = db.prepare_cached(&format!("select {COLUMNS} from document_{}", self.catalogue.n))?;
            let mut rows = all.query([])?;
            while let Some(row) = rows.next()? {
                show(&mut self.meter, view(row)?, row.get(4)?, false)?;
            }
            return Ok(());
        };
        let mut one = one(db, self.catalogue.n)?;
        for Entry { n, is_sure, .. } in entries {
            let mut rows = one.query([n])?;
            if let Some(row) = rows.next()? {
                show(&mut self.meter, view(row)?, n, is_sure)?;
            }
        }
        Ok(())
    }

    /// Looks at all of the entries, or at everything, and takes the best.
    fn best_of(&mut self, entries: Option<Vec<Entry>>, answer: &mut Answer<'_>) -> Result<(), Stop> {
        let (db, search) = (self.db, self.search);
        let wanted = search.skip.saturating_add(search.count);
        let parts = |position: &Position| -> Vec<Part> {
            let keys = search.sort.iter().zip(&position.keys);
            keys.map(|(key, value)| Part { value: value.clone(), descending: key.descending }).collect()
        };
        let after = search.page.after().map(|at| Candidate { keys: parts(at), modified: at.modified, n: at.n });
        let mut best: BinaryHeap<Candidate> = BinaryHeap::new();
        self.judge(entries, |view, n, fields| {
            let keys = search.sort.iter().map(|key| Part::of(key, fields)).collect();
            let candidate = Candidate { keys, modified: view.modified, n };
            if after.as_ref().is_some_and(|after| candidate <= *after) {
                return Ok(());
            }
            if best.len() < wanted {
                best.push(candidate);
            } else if best.peek().is_some_and(|worst| candidate < *worst) {
                best.pop();
                best.push(candidate);
            }
            Ok(())
        })?;
        let mut one = one(db, self.catalogue.n)?;
        for candidate in best.into_sorted_vec().into_iter().skip(search.skip) {
            let mut rows = one.query([candidate.n])?;
            if let Some(row) = rows.next()? {
                answer.push(view(row)?, candidate.n)?;
            }
        }
        Ok(())
    }
}
