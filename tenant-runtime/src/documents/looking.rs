//! A search under way: from the way that was chosen to the records of the answer.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};
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

/// So many records are looked up with one statement.
const AT_ONCE: usize = 20;

/// Shows the records of these numbers in this order, each with its place in the list, as long as `take` wants more; says
/// whether it still does.
fn look_up(
    db: &Connection,
    n: i64,
    numbers: &[i64],
    mut take: impl FnMut(usize, View<'_>) -> Result<bool, Stop>,
) -> Result<bool, Stop> {
    let one = || format!("select {NUMBERED} from document_{n} where n = ?");
    let places = || ["(?)"; AT_ONCE].join(", ");
    let several = || format!("select {NUMBERED} from (values {}) cross join document_{n} on n = column1", places());
    for (nth, some) in numbers.chunks(AT_ONCE).enumerate() {
        let mut statement = db.prepare_cached(&if some.len() == 1 { one() } else { several() })?;
        // Where fewer are left, the other places hold nothing, which is no record's number.
        let padded: [Option<i64>; AT_ONCE] = std::array::from_fn(|at| some.get(at).copied());
        let mut rows = statement.query(params_from_iter(&padded[..if some.len() == 1 { 1 } else { AT_ONCE }]))?;
        let mut at = 0;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(4)?;
            at += some[at..].iter().position(|wanted| *wanted == number).unwrap_or_default();
            if !take(nth * AT_ONCE + at, view(row)?)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Puts entries in order; where all of them pass, no more than are wanted are left.
fn put_in_order<K: Ord>(entries: &mut Vec<Entry>, wanted: usize, key: impl Fn(&Entry) -> K) {
    if wanted < entries.len() && entries.iter().all(|entry| entry.is_sure) {
        entries.select_nth_unstable_by_key(wanted, &key);
        entries.truncate(wanted);
    }
    entries.sort_unstable_by_key(key);
}

fn numbers(entries: &[Entry]) -> Vec<i64> {
    entries.iter().map(|entry| entry.n).collect()
}

/// A search under way.
pub(super) struct Looking<'a> {
    pub(super) db: &'a Connection,
    pub(super) catalogue: &'a Catalogue,
    pub(super) search: &'a Search,
    pub(super) meter: Meter,
}

const COLUMNS: &str = "_id, created, modified, doc";
const NUMBERED: &str = "_id, created, modified, doc, n";

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
        // The number of a record is asked for only where a page may end with it.
        let is_page = !matches!(search.page, Page::Whole);
        let columns = if is_page { NUMBERED } else { COLUMNS };
        let (mut text, direct) = match statement.records(columns) {
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
        let meter = &mut self.meter;
        let mut take = |view: View<'_>, n: i64| -> Result<bool, Stop> {
            meter.record(&view)?;
            if statement.is_sure || judged.holds(&reading.read(&view)?) {
                match skip {
                    0 => answer.push(view, n)?,
                    _ => skip -= 1,
                }
            }
            Ok(!answer.is_full())
        };
        if direct {
            while let Some(row) = rows.next()? {
                let number = if is_page { row.get(4)? } else { 0 };
                if !take(view(row)?, number)? {
                    break;
                }
            }
            return Ok(());
        }
        let mut numbers = Vec::with_capacity(AT_ONCE);
        loop {
            numbers.clear();
            while numbers.len() < AT_ONCE
                && let Some(row) = rows.next()?
            {
                numbers.push(row.get(1)?);
            }
            if numbers.is_empty() || !look_up(db, self.catalogue.n, &numbers, |at, view| take(view, numbers[at]))? {
                return Ok(());
            }
        }
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
        let wanted = self.search.skip.saturating_add(self.search.count);
        match Order::of(&self.search.sort) {
            Order::Newest => {
                entries.retain(|entry| after.is_none_or(|after| (entry.modified, entry.n) < after));
                put_in_order(&mut entries, wanted, |entry| Reverse((entry.modified, entry.n)));
            }
            Order::Oldest => {
                let place = |modified: i64, n: i64| (modified, Reverse(n));
                entries.retain(|entry| after.is_none_or(|(m, n)| place(entry.modified, entry.n) > place(m, n)));
                put_in_order(&mut entries, wanted, |entry| place(entry.modified, entry.n));
            }
            Order::Id { .. } | Order::Field { .. } | Order::Other => return self.best_of(Some(entries), answer),
        }
        let judged = self.search.filter.beside_words();
        let reading = Reading::of(&judged, &[]);
        let (db, n, meter) = (self.db, self.catalogue.n, &mut self.meter);
        let (mut skip, mut rest) = (self.search.skip, entries.as_slice());
        while !rest.is_empty() {
            // What passes for certain and is left out is not read.
            let left_out = rest.iter().take(skip).take_while(|entry| entry.is_sure).count();
            skip -= left_out;
            rest = &rest[left_out..];
            let to_judge = || rest.iter().take_while(|entry| !entry.is_sure).count();
            let (some, others) = rest.split_at(if skip > 0 { to_judge() } else { rest.len() });
            let more = look_up(db, n, &numbers(some), |at, found| {
                meter.record(&found)?;
                if some[at].is_sure || judged.holds(&reading.read(&found)?) {
                    match skip {
                        0 => answer.push(found, some[at].n)?,
                        _ => skip -= 1,
                    }
                }
                Ok(!answer.is_full())
            })?;
            rest = if more { others } else { &[] };
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
            let mut all = db.prepare_cached(&format!("select {NUMBERED} from document_{}", self.catalogue.n))?;
            let mut rows = all.query([])?;
            while let Some(row) = rows.next()? {
                show(&mut self.meter, view(row)?, row.get(4)?, false)?;
            }
            return Ok(());
        };
        look_up(db, self.catalogue.n, &numbers(&entries), |at, view| {
            let Entry { n, is_sure, .. } = entries[at];
            show(&mut self.meter, view, n, is_sure).map(|()| true)
        })?;
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
        let best = best.into_sorted_vec();
        let numbers: Vec<i64> = best.iter().skip(search.skip).map(|candidate| candidate.n).collect();
        look_up(db, self.catalogue.n, &numbers, |at, view| {
            answer.push(view, numbers[at])?;
            Ok(true)
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::super::search::{Key, look};
    use super::super::{Budget, Row, TableName, declare, put_kept};
    use super::*;

    fn table(db: &Connection, collection: &str, indexes: &[&str]) -> TableName {
        let table = TableName::new(&"com.example.atlas".parse().unwrap(), collection).unwrap();
        let indexes: Vec<String> = indexes.iter().map(|index| (*index).to_owned()).collect();
        declare(db, &table, &indexes).unwrap();
        let row = |nth: i64| {
            let country = if nth % 37 == 5 { json!(["c1", "c2"]) } else { json!(format!("c{}", nth % 5)) };
            let doc = json!({"country": country, "people": nth * 7 % 100, "tags": [nth % 3, nth % 7]}).to_string();
            Row { id: format!("{nth:05}"), created: nth, modified: nth * 11 % 400, doc }
        };
        put_kept(db, &table, &(0..400).map(row).collect::<Vec<_>>()).unwrap();
        table
    }

    #[test]
    fn many_records_come_as_they_do_when_every_one_is_looked_at() {
        let db = crate::schema::in_memory();
        let plain = table(&db, "plain", &[]);
        let indexed = table(&db, "indexed", &["country", "people", "each(tags)"]);
        for query in [
            json!({"country": "c1"}),
            json!({"country": {"$in": ["c1", "c3"]}}),
            json!({"people": {"$gte": 20, "$lt": 60}}),
            json!({"people": {"$gt": 20.5}, "country": "c2"}),
            json!({"tags": {"$in": [1, 5]}}),
            json!({"_id": {"$in": ["00007", "00300", "none", "00002"]}}),
            json!({"_id": "00042"}),
            json!({"_id": "00042", "country": "c3"}),
        ] {
            let filter = Filter::parse(&query).unwrap();
            for sort in [None, Some(("_date_modified", false)), Some(("people", false)), Some(("people", true))] {
                let sort: Vec<Key> = sort
                    .iter()
                    .map(|(path, descending)| Key { path: (*path).into(), descending: *descending })
                    .collect();
                for (skip, count) in [(0, 1), (0, AT_ONCE), (3, AT_ONCE + 1), (30, 50), (0, 400)] {
                    let search = Search { filter: filter.clone(), sort: sort.clone(), skip, count, page: Page::Whole };
                    let [some, all] = [&indexed, &plain].map(|table| look(&db, table, &search, Budget::default()));
                    let (some, all) = (some.unwrap(), all.unwrap());
                    assert_eq!(some.rows, all.rows, "{query} by {sort:?}, {count} after {skip}");
                    assert!(some.looked_at <= all.looked_at, "{query} by {sort:?}, {count} after {skip}");
                }
            }
        }
    }

    #[test]
    fn no_more_is_read_than_is_shown_where_nothing_is_to_be_judged() {
        let db = crate::schema::in_memory();
        let indexed = table(&db, "indexed", &["people"]);
        // 24 records.
        let filter = Filter::parse(&json!({"people": {"$gte": 20, "$lt": 26}})).unwrap();
        for (skip, count) in [(0, 5), (3, AT_ONCE), (2, AT_ONCE + 2)] {
            let search = Search { filter: filter.clone(), skip, count, ..Search::default() };
            let found = look(&db, &indexed, &search, Budget::default()).unwrap();
            assert_eq!((found.rows.len(), found.looked_at), (count, count));
        }
    }
}
