//! Finding records: which, in what order, and from where on.
//!
//! Records are judged as SQLite shows them, so memory is bounded by what is asked for, not by what is stored. In the
//! usual order, newest first, the search stops as soon as it has enough; in any other order it keeps only the keys of
//! the best so far and reads the records themselves at the end.

use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};

use rusqlite::{Connection, params_from_iter};
use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::Error;
use super::narrow::Narrow;
use super::query::{self, Filter};
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

/// The records that pass, in order.
pub fn search(db: &Connection, table: &TableName, search: &Search) -> Result<Vec<Row>, Error> {
    let Some((n, indexes)) = find(db, table)? else { return Ok(Vec::new()) };
    let narrow = Narrow::of(&search.filter, &indexes);
    let newest_first = match search.sort.as_slice() {
        [] => true,
        [only] => only.path == MODIFIED && only.descending,
        _ => false,
    };
    if newest_first && !narrow.looks_up {
        in_stored_order(db, n, search, &narrow)
    } else {
        in_any_order(db, n, search, &narrow)
    }
}

/// The ids of all records that pass.
pub fn ids(db: &Connection, table: &TableName, filter: &Filter) -> Result<Vec<String>, Error> {
    let Some((n, indexes)) = find(db, table)? else { return Ok(Vec::new()) };
    let narrow = Narrow::of(filter, &indexes);
    let mut query = db.prepare(&format!("select _id, created, modified, doc from document_{n}{}", narrow.clause()))?;
    let mut rows = query.query(params_from_iter(&narrow.values))?;
    let reading = Reading::of(filter, &[]);
    let mut ids = Vec::new();
    while let Some(found) = rows.next()? {
        if filter.holds(&reading.read(found)?) {
            ids.push(found.get(0)?);
        }
    }
    Ok(ids)
}

fn in_stored_order(db: &Connection, n: i64, search: &Search, narrow: &Narrow) -> Result<Vec<Row>, Error> {
    let clause = narrow.clause();
    let text = format!("select _id, created, modified, doc from document_{n}{clause} order by modified desc, n desc");
    let mut query = db.prepare_cached(&text)?;
    let mut rows = query.query(params_from_iter(&narrow.values))?;
    let reading = Reading::of(&search.filter, &[]);
    let mut found = Page::new(search.count);
    let mut skip = search.skip;
    while !found.is_full() {
        let Some(next) = rows.next()? else { break };
        if !reading.wanted.is_empty() && !search.filter.holds(&reading.read(next)?) {
            continue;
        }
        match skip {
            0 => found.push(row(next)?)?,
            _ => skip -= 1,
        }
    }
    Ok(found.rows)
}

fn in_any_order(db: &Connection, n: i64, search: &Search, narrow: &Narrow) -> Result<Vec<Row>, Error> {
    let text = format!("select _id, created, modified, doc, n from document_{n}{}", narrow.clause());
    let mut query = db.prepare(&text)?;
    let mut rows = query.query(params_from_iter(&narrow.values))?;
    let reading = Reading::of(&search.filter, &search.sort);
    let wanted = search.skip.saturating_add(search.count);
    let mut best: BinaryHeap<Candidate> = BinaryHeap::new();
    while let Some(next) = rows.next()? {
        let fields = reading.read(next)?;
        if !search.filter.holds(&fields) {
            continue;
        }
        let keys = search.sort.iter().map(|key| Part::of(key, &fields)).collect();
        let candidate = Candidate { keys, modified: next.get(2)?, n: next.get(4)? };
        if best.len() < wanted {
            best.push(candidate);
        } else if best.peek().is_some_and(|worst| candidate < *worst) {
            best.pop();
            best.push(candidate);
        }
    }
    let mut get = db.prepare_cached(&format!("select _id, created, modified, doc from document_{n} where n = ?1"))?;
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
