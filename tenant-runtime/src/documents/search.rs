//! Finding records: which, in what order, and from where on.
//!
//! Records are judged as SQLite shows them, so memory is bounded by what is asked for, not by what is stored. Where an
//! index has the wanted order, the search stops as soon as it has enough; otherwise it keeps only the keys of the best so
//! far and reads the records themselves at the end.
//!
//! No search looks at more than its [`Budget`]: one that would is refused and told which index would spare it.

use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::{Duration, Instant};

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};
use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::Error;
use super::index::{self, Index};
use super::narrow::Musts;
use super::plan::{self, Statement, Way};
use super::query::{self, Filter, Test};
use super::record::{CREATED, ID, MODIFIED, Row};
use super::store::{find, row};
use super::table::TableName;

/// How many records are given when nobody says.
pub const COUNT: usize = 500;
/// How many records one answer may hold at most.
pub const COUNT_LIMIT: usize = 10_000;
/// How many bytes of records one answer may hold at most.
pub const BYTES_LIMIT: usize = 48 * 1024 * 1024;
/// How far in one may ask to start.
pub const SKIP_LIMIT: usize = 1_000_000;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Search {
    /// Which records.
    pub filter: Filter,
    /// By which fields, the first one first; newest first where this is empty or equal.
    pub sort: Vec<Key>,
    /// How many to leave out from the start.
    pub skip: usize,
    /// How many at most.
    pub count: usize,
}

impl Default for Search {
    fn default() -> Self {
        Self { filter: Filter::everything(), sort: Vec::new(), skip: 0, count: COUNT }
    }
}

/// One field of an order.
#[derive(Clone, Debug)]
pub struct Key {
    /// The dotted path.
    pub path: String,
    /// Whether the greatest come first.
    pub descending: bool,
}

/// How much one search may look at.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Records.
    pub records: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// And for how long.
    pub time: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { records: 50_000, bytes: 64 << 20, time: Duration::from_secs(10) }
    }
}

/// What a search found, and what it took.
#[derive(Debug)]
pub struct Found {
    /// The records, in order.
    pub rows: Vec<Row>,
    /// How many records were looked at.
    pub looked_at: usize,
    /// The index that would have spared most of that.
    pub missed: Option<Index>,
}

/// The records that pass, in order.
pub fn search(db: &Connection, table: &TableName, search: &Search) -> Result<Vec<Row>, Error> {
    Ok(look(db, table, search, Budget::default())?.rows)
}

/// The records that pass, in order, if they can be found within the budget. Error: [`Error::TooBroad`].
pub fn look(db: &Connection, table: &TableName, search: &Search, budget: Budget) -> Result<Found, Error> {
    let Some(n) = find(db, table)? else { return Ok(Found { rows: Vec::new(), looked_at: 0, missed: None }) };
    let mut meter = Meter::new(budget);
    let found = match plan::choose(db, table, n, search)? {
        Way::Ordered(statement) => in_order(db, n, search, &statement, &mut meter),
        Way::Spans(spans) => in_any_order(db, n, search, Some(&spans), &mut meter),
        Way::Everything => in_any_order(db, n, search, None, &mut meter),
    };
    let missed = || suggest(&search.filter, &search.sort);
    match found {
        Ok(rows) => {
            let many = meter.looked_at > MANY && meter.looked_at / 20 > rows.len() + search.skip;
            Ok(Found { rows, looked_at: meter.looked_at, missed: if many { missed() } else { None } })
        }
        Err(Stop::Spent) => {
            Err(Error::TooBroad { table: table.clone(), looked_at: meter.looked_at, index: missed().map(Box::new) })
        }
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// The ids of all records that pass. Changing many at once may look at more than reading them.
pub fn ids(db: &Connection, table: &TableName, filter: &Filter) -> Result<Vec<String>, Error> {
    let usual = Budget::default();
    let budget = Budget { records: usual.records * 20, bytes: usual.bytes * 20, ..usual };
    let Some(n) = find(db, table)? else { return Ok(Vec::new()) };
    let wanted = Search { filter: filter.clone(), sort: Vec::new(), skip: 0, count: usize::MAX };
    let judged = filter.beside_words();
    let reading = Reading::of(&judged, &[]);
    let mut meter = Meter::new(budget);
    let mut ids = Vec::new();
    let spans = match plan::choose(db, table, n, &wanted)? {
        Way::Ordered(statement) => Some(vec![statement]),
        Way::Spans(spans) => Some(spans),
        Way::Everything => None,
    };
    let each = each(db, n, spans.as_deref(), |row| {
        meter.count(row)?;
        if reading.wanted.is_empty() || judged.holds(&reading.read(row)?) {
            ids.push(row.get(0)?);
        }
        Ok(true)
    });
    match each {
        Ok(()) => Ok(ids),
        Err(Stop::Failed(error)) => Err(error),
        Err(Stop::Spent) => {
            let index = suggest(filter, &[]).map(Box::new);
            Err(Error::TooBroad { table: table.clone(), looked_at: meter.looked_at, index })
        }
    }
}

/// From so many records on it is worth knowing that an index was missed.
const MANY: usize = 1_000;

/// Why a search ended early.
enum Stop {
    /// It looked at all it may.
    Spent,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What a search has looked at.
struct Meter {
    looked_at: usize,
    bytes: usize,
    began: Instant,
    budget: Budget,
}

impl Meter {
    fn new(budget: Budget) -> Self {
        Self { looked_at: 0, bytes: 0, began: Instant::now(), budget }
    }

    fn count(&mut self, row: &rusqlite::Row<'_>) -> Result<(), Stop> {
        self.bytes += row.get_ref(3)?.as_bytes().map_err(rusqlite::Error::from)?.len();
        let late = self.looked_at % 256 == 255 && self.began.elapsed() > self.budget.time;
        if late || self.looked_at >= self.budget.records || self.bytes > self.budget.bytes {
            return Err(Stop::Spent);
        }
        self.looked_at += 1;
        Ok(())
    }
}

/// The index that would serve a search: equal fields first, then the order or a range.
fn suggest(filter: &Filter, sort: &[Key]) -> Option<Index> {
    let musts = Musts::of(filter);
    let (mut equal, mut ranges, mut patterns) = (Vec::new(), Vec::new(), Vec::new());
    for (path, test) in musts.paths() {
        match test {
            Test::Eq(_) | Test::In(_) => equal.push(path),
            Test::Compare(..) => ranges.push(path),
            Test::Regex(_) => patterns.push(path),
            Test::Exists(_) | Test::Element(_) => {}
        }
    }
    equal.truncate(2);
    let last = match sort {
        [key] => Some(key.path.as_str()),
        _ => ranges.first().copied(),
    };
    let mut paths = equal;
    paths.extend(last);
    paths.retain(|path| index::is_indexable(path));
    paths.dedup();
    Index::over(&paths).or_else(|| match Index::over(patterns.get(..1)?)? {
        Index::Fields(paths) | Index::Text(paths) => Some(Index::Text(paths)),
    })
}

const COLUMNS: &str = "_id, created, modified, doc, n";

/// Shows the records of every span, or all there are, until `show` has enough.
fn each(
    db: &Connection,
    n: i64,
    spans: Option<&[Statement]>,
    mut show: impl FnMut(&rusqlite::Row<'_>) -> Result<bool, Stop>,
) -> Result<(), Stop> {
    let Some(spans) = spans else {
        let mut all = db.prepare_cached(&format!("select {COLUMNS} from document_{n}"))?;
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            if !show(row)? {
                return Ok(());
            }
        }
        return Ok(());
    };
    let mut get = db.prepare_cached(&format!("select {COLUMNS} from document_{n} where n = ?1"))?;
    for span in spans {
        let mut numbers = db.prepare_cached(&span.numbers(n))?;
        let mut numbers = numbers.query(params_from_iter(&span.values))?;
        while let Some(number) = numbers.next()? {
            let mut one = get.query([number.get::<_, i64>(0)?])?;
            if let Some(row) = one.next()?
                && !show(row)?
            {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn in_order(
    db: &Connection,
    n: i64,
    search: &Search,
    statement: &Statement,
    meter: &mut Meter,
) -> Result<Vec<Row>, Stop> {
    let reading = Reading::of(&search.filter, &[]);
    let mut page = Page::new(search.count);
    if page.is_full() {
        return Ok(page.rows);
    }
    if reading.wanted.is_empty() {
        // Nothing is judged, so SQLite may leave out what is skipped without reading it.
        let text = format!("{} limit ? offset ?", statement.numbers(n));
        let bounds = [search.count, search.skip].map(|number| Sql::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
        let mut numbers = db.prepare_cached(&text)?;
        let mut numbers = numbers.query(params_from_iter(statement.values.iter().chain(&bounds)))?;
        let mut get = db.prepare_cached(&format!("select {COLUMNS} from document_{n} where n = ?1"))?;
        while let Some(number) = numbers.next()? {
            page.push(get.query_row([number.get::<_, i64>(0)?], row)?)?;
        }
        return Ok(page.rows);
    }
    let mut skip = search.skip;
    each(db, n, Some(std::slice::from_ref(statement)), |found| {
        meter.count(found)?;
        if search.filter.holds(&reading.read(found)?) {
            match skip {
                0 => page.push(row(found)?)?,
                _ => skip -= 1,
            }
        }
        Ok(!page.is_full())
    })?;
    Ok(page.rows)
}

fn in_any_order(
    db: &Connection,
    n: i64,
    search: &Search,
    spans: Option<&[Statement]>,
    meter: &mut Meter,
) -> Result<Vec<Row>, Stop> {
    let judged = search.filter.beside_words();
    let reading = Reading::of(&judged, &search.sort);
    let wanted = search.skip.saturating_add(search.count);
    let mut best: BinaryHeap<Candidate> = BinaryHeap::new();
    each(db, n, spans, |found| {
        meter.count(found)?;
        let fields = reading.read(found)?;
        if judged.holds(&fields) {
            let keys = search.sort.iter().map(|key| Part::of(key, &fields)).collect();
            let candidate = Candidate { keys, modified: found.get(2)?, n: found.get(4)? };
            if best.len() < wanted {
                best.push(candidate);
            } else if best.peek().is_some_and(|worst| candidate < *worst) {
                best.pop();
                best.push(candidate);
            }
        }
        Ok(true)
    })?;
    let mut get = db.prepare_cached(&format!("select {COLUMNS} from document_{n} where n = ?1"))?;
    let mut found = Page::new(search.count);
    for candidate in best.into_sorted_vec().into_iter().skip(search.skip) {
        found.push(get.query_row([candidate.n], row)?)?;
    }
    Ok(found.rows)
}

/// The records of one answer, bounded in bytes.
struct Page {
    rows: Vec<Row>,
    count: usize,
    bytes: usize,
}

impl Page {
    fn new(count: usize) -> Self {
        Self { rows: Vec::new(), count, bytes: 0 }
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= self.count
    }

    fn push(&mut self, row: Row) -> Result<(), Error> {
        self.bytes += row.doc.len();
        if self.bytes > BYTES_LIMIT {
            return Err(Error::AnswerTooLarge { found: self.rows.len() });
        }
        self.rows.push(row);
        Ok(())
    }
}

/// A record on its way into the answer. The least candidate comes first in the answer.
#[derive(PartialEq, Eq)]
struct Candidate {
    keys: Vec<Part>,
    modified: i64,
    n: i64,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let keys = self.keys.iter().zip(&other.keys).map(|(a, b)| a.cmp(b)).find(|order| order.is_ne());
        keys.unwrap_or_else(|| (other.modified, other.n).cmp(&(self.modified, self.n)))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One field's value in an order.
#[derive(PartialEq, Eq)]
struct Part {
    value: Value,
    descending: bool,
}

impl Part {
    fn of(key: &Key, fields: &Map<String, Value>) -> Self {
        let mut names = key.path.split('.');
        let first = names.next().and_then(|name| fields.get(name));
        let value = names.fold(first, |value, name| value.and_then(|value| value.get(name)));
        Self { value: value.cloned().unwrap_or(Value::Null), descending: key.descending }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let order = order(&self.value, &other.value);
        if self.descending { order.reverse() } else { order }
    }
}

/// The order of any two values: first by kind, as MongoDB has it, then within the kind.
fn order(a: &Value, b: &Value) -> Ordering {
    let kind = |value: &Value| match value {
        Value::Null => 0,
        Value::Number(_) => 1,
        Value::String(_) => 2,
        Value::Object(_) => 3,
        Value::Array(_) => 4,
        Value::Bool(_) => 5,
    };
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            let items = a.iter().zip(b).map(|(a, b)| order(a, b)).find(|order| order.is_ne());
            items.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        _ => query::compare(a, b).unwrap_or_else(|| kind(a).cmp(&kind(b))),
    }
}

/// Reads of each record only the fields a search looks at.
struct Reading {
    wanted: BTreeSet<String>,
}

impl Reading {
    fn of(filter: &Filter, sort: &[Key]) -> Self {
        let mut wanted = BTreeSet::new();
        filter.fields(&mut wanted);
        wanted.extend(sort.iter().map(|key| key.path.split('.').next().unwrap_or_default().to_owned()));
        Self { wanted }
    }

    fn read(&self, found: &rusqlite::Row<'_>) -> Result<Map<String, Value>, Error> {
        let text = found.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let mut fields = (&mut reader).deserialize_map(Fields(&self.wanted)).map_err(Error::Damaged)?;
        if self.wanted.contains(ID) {
            fields.insert(ID.into(), found.get::<_, String>(0)?.into());
        }
        if self.wanted.contains(CREATED) {
            fields.insert(CREATED.into(), found.get::<_, i64>(1)?.into());
        }
        if self.wanted.contains(MODIFIED) {
            fields.insert(MODIFIED.into(), found.get::<_, i64>(2)?.into());
        }
        Ok(fields)
    }
}

struct Fields<'a>(&'a BTreeSet<String>);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the fields of a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key_seed(Name(self.0))? {
            match name {
                Some(name) => drop(fields.insert(name.to_owned(), map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(fields)
    }
}

/// Recognises a wanted field's name without copying the others.
struct Name<'a>(&'a BTreeSet<String>);

impl<'de, 'a> DeserializeSeed<'de> for Name<'a> {
    type Value = Option<&'a str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Name<'a> {
    type Value = Option<&'a str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.get(name).map(String::as_str))
    }
}
