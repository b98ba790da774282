//! Finding records: which, in what order, and from where on.
//!
//! Records are shown as SQLite has them, without a copy of any but those that are kept, so memory is bounded by what is asked
//! for, not by what is stored. Where an index has the wanted order, the search stops as soon as it has enough; where it answers
//! all that is asked, no record is read but those of the answer. Otherwise the search keeps only the places of the best so far
//! and reads the records themselves at the end.
//!
//! No search looks at more than its [`Budget`]: one that would is refused and told which index would spare it.

use rusqlite::Connection;

use super::Error;
use super::advise::suggest;
use super::budget::{Budget, Meter, Stop};
use super::catalogue::{self, Catalogue};
use super::index::Index;
use super::looking::{Answer, Looking};
use super::order::{Candidate, Part};
use super::plan::{self, Order, Way};
use super::position::Position;
use super::query::Filter;
use super::record::{Row, View};
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
    /// Whether this is one of several pages.
    pub page: Page,
}

impl Default for Search {
    fn default() -> Self {
        Self { filter: Filter::everything(), sort: Vec::new(), skip: 0, count: COUNT, page: Page::Whole }
    }
}

/// Which part of all that is found is wanted.
#[derive(Clone, Debug, Default)]
pub enum Page {
    /// What fits the count; nobody will ask for more.
    #[default]
    Whole,
    /// The first page, and where the next one begins.
    First,
    /// The page after a position.
    After(Position),
}

impl Page {
    pub(super) fn after(&self) -> Option<&Position> {
        match self {
            Self::After(position) => Some(position),
            Self::Whole | Self::First => None,
        }
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

/// What a search found, and what it took.
#[derive(Debug)]
pub struct Found {
    /// The records, in order.
    pub rows: Vec<Row>,
    /// How many records were looked at.
    pub looked_at: usize,
    /// The index that would have spared most of that.
    pub missed: Option<Index>,
    /// Where the next page begins, if this one is full and there are to be pages.
    pub next: Option<Position>,
}

/// What a search took.
#[derive(Debug)]
pub struct Looked {
    /// How many records were looked at.
    pub looked_at: usize,
    /// The index that would have spared most of that.
    pub missed: Option<Index>,
    /// Where the next page begins, if this one is full and there are to be pages.
    pub next: Option<Position>,
}

/// The records that pass, in order.
pub fn search(db: &Connection, table: &TableName, search: &Search) -> Result<Vec<Row>, Error> {
    Ok(look(db, table, search, Budget::default())?.rows)
}

/// The records that pass, in order, if they can be found within the budget. Error: [`Error::TooBroad`].
pub fn look(db: &Connection, table: &TableName, search: &Search, budget: Budget) -> Result<Found, Error> {
    let mut rows = Vec::new();
    let Looked { looked_at, missed, next } = show(db, table, search, budget, |view| rows.push(Row::from(view)))?;
    Ok(Found { rows, looked_at, missed, next })
}

/// Shows the records that pass, in order, if they can be found within the budget; what was shown before an error counts for
/// nothing. Errors: [`Error::TooBroad`], [`Error::AnswerTooLarge`], [`Error::PageGone`].
pub fn show(
    db: &Connection,
    table: &TableName,
    search: &Search,
    budget: Budget,
    mut show: impl FnMut(View<'_>),
) -> Result<Looked, Error> {
    let Some(catalogue) = catalogue::of(db, table)? else {
        return Ok(Looked { looked_at: 0, missed: None, next: None });
    };
    let gone = |id: i64| !catalogue.indexes.iter().any(|made| made.id == id);
    if search.page.after().and_then(|position| position.index).is_some_and(gone) {
        return Err(Error::PageGone { table: table.clone() });
    }
    let mut looking = Looking { db, catalogue: &catalogue, search, meter: Meter::new(budget) };
    let mut answer = Answer::new(search, &mut show);
    let way = plan::choose(db, table, &catalogue, search)?;
    let found = looking.go(way, &mut answer);
    let missed = || suggest(&search.filter, &search.sort);
    let looked_at = looking.meter.looked_at;
    match found {
        Ok(index) => {
            let many = looked_at > MANY && looked_at / 20 > answer.shown + search.skip;
            let next = match answer.last.take() {
                Some(last) => Some(position(db, &catalogue, search, last, index)?),
                None => None,
            };
            Ok(Looked { looked_at, missed: if many { missed() } else { None }, next })
        }
        Err(Stop::Spent) => Err(Error::TooBroad { table: table.clone(), looked_at, index: missed().map(Box::new) }),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// The position of the last record of a page.
fn position(
    db: &Connection,
    Catalogue { n, indexes }: &Catalogue,
    search: &Search,
    last: Candidate,
    index: Option<i64>,
) -> Result<Position, Error> {
    let is_real = |part: &Part| part.value.is_number() && part.value.as_i64().is_none();
    let columns = || indexes.iter().filter(|made| !made.repeats).flat_map(|made| &made.columns);
    let real = match (Order::of(&search.sort), last.keys.first().is_some_and(is_real)) {
        (Order::Field { path, .. }, true) => match columns().find(|column| column.path == path) {
            Some(column) => {
                let text = format!("select {} from document_{n} where n = ?1", column.value);
                db.prepare_cached(&text)?.query_row([last.n], |row| row.get(0))?
            }
            None => None,
        },
        _ => None,
    };
    let keys = last.keys.into_iter().map(|part| part.value).collect();
    Ok(Position { keys, real, modified: last.modified, n: last.n, index })
}

/// The ids of all records that pass. Changing many at once may look at more than reading them.
pub fn ids(db: &Connection, table: &TableName, filter: &Filter) -> Result<Vec<String>, Error> {
    let usual = Budget::default();
    let budget = Budget { records: usual.records * 20, bytes: usual.bytes * 20, ..usual };
    let search = Search { filter: filter.clone(), count: usize::MAX, ..Search::default() };
    let mut ids = Vec::new();
    let Some(catalogue) = catalogue::of(db, table)? else { return Ok(ids) };
    let mut looking = Looking { db, catalogue: &catalogue, search: &search, meter: Meter::new(budget) };
    let entries = match plan::choose(db, table, &catalogue, &search)? {
        Way::Ordered(statement) => looking.gather(&[statement], false, false),
        Way::Spans { spans, repeats, .. } => looking.gather(&spans, repeats, false),
        Way::Everything => Ok(None),
    };
    let judged = entries.and_then(|entries| {
        looking.judge(entries, |view, _, _| {
            ids.push(view.id.to_owned());
            Ok(())
        })
    });
    match judged {
        Ok(()) => Ok(ids),
        Err(Stop::Failed(error)) => Err(error),
        Err(Stop::Spent) => {
            let index = suggest(filter, &[]).map(Box::new);
            Err(Error::TooBroad { table: table.clone(), looked_at: looking.meter.looked_at, index })
        }
    }
}

/// From so many records on it is worth knowing that an index was missed.
const MANY: usize = 1_000;
