//! By which way the records for a search are reached.
//!
//! There are three. In the wanted *order*, from an index that has it: the search stops as soon as it has enough. Through
//! *spans* of an index: every record in them is looked at and put in order afterwards. Or through everything. SQLite
//! is told which index to use, so what is decided here is what happens.
//!
//! An index has the wanted order only where no array lies in its way, for an array may pass a test by an element that
//! stands elsewhere in the order. Whether one does is looked up in the index itself.

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};
use serde_json::Value;

use super::index::{self, ARRAY, Index, Made, OBJECT};
use super::narrow::{Musts, Span, exact, symbol};
use super::query::Test;
use super::record::{ID, MODIFIED};
use super::search::{Key, Search};
use super::{Error, TableName};

/// Up to how many combinations of values are looked up one by one.
const SPANS: usize = 500;

/// How many entries of an index are counted before a choice; more than that is just many.
const COUNTED: usize = 20_000;

/// The way to the records of a search.
#[derive(Debug)]
pub(super) enum Way {
    /// The numbers of records, in the wanted order.
    Ordered(Statement),
    /// Numbers of records in any order; none comes twice.
    Spans(Vec<Statement>),
    /// All there are.
    Everything,
}

/// A condition and an order over `document_n`, and the index that has them.
#[derive(Clone, Debug, Default)]
pub(super) struct Statement {
    pub(super) index: Option<String>,
    pub(super) conditions: Vec<String>,
    pub(super) values: Vec<Sql>,
    pub(super) order: &'static str,
    ordered_by: Option<String>,
}

impl Statement {
    /// The numbers of the records, in SQL.
    pub(super) fn numbers(&self, n: i64) -> String {
        let by = match &self.index {
            Some(name) => format!(" indexed by {name}"),
            None => String::new(),
        };
        let conditions = match self.conditions.as_slice() {
            [] => String::new(),
            conditions => format!(" where {}", conditions.join(" and ")),
        };
        let order = match (&self.ordered_by, self.order) {
            (Some(first), rest) => format!(" order by {first}, {rest}"),
            (None, "") => String::new(),
            (None, order) => format!(" order by {order}"),
        };
        format!("select n from document_{n}{by}{conditions}{order}")
    }

    fn and(mut self, condition: String, value: Option<Sql>) -> Self {
        self.conditions.push(condition);
        self.values.extend(value);
        self
    }

    fn within(self, path: &str, span: &Span) -> Self {
        let mut statement = self.and(format!("{} = {}", index::kind(path), span.kind), None);
        for (operator, bound) in &span.bounds {
            statement = statement.and(format!("{} {operator} ?", index::value(path)), Some(bound.clone()));
        }
        statement
    }

    fn among_arrays(self, path: &str) -> Self {
        self.and(format!("{} = {ARRAY}", index::kind(path)), None)
    }
}

const NEWEST_FIRST: &str = "modified desc, n desc";

/// Chooses the way.
pub(super) fn choose(db: &Connection, table: &TableName, n: i64, search: &Search) -> Result<Way, Error> {
    let indexes = index::all(db, n)?;
    let musts = Musts::of(&search.filter);
    let dates = |statement: Statement| dated(statement, &musts);
    if !musts.words.is_empty() {
        let words = indexes.iter().find(|made| matches!(made.index, Index::Text(_)));
        let made = words.ok_or_else(|| Error::NoTextIndex { table: table.clone() })?;
        let all: Vec<&str> = musts.words.iter().map(|words| words.expression()).collect();
        let found = format!("n in (select rowid from {0} where {0} match ?)", made.name);
        return Ok(Way::Spans(vec![dates(Statement::default().and(found, Some(Sql::Text(all.join(" AND ")))))]));
    }
    if let Some(ids) = by_id(&musts) {
        return Ok(Way::Spans(vec![ids]));
    }
    let order = Order::of(&search.sort);
    let ordered = ordered(db, n, &indexes, &musts, &order)?.map(|(score, statement)| (score, dates(statement)));
    let spans = spans(&indexes, &musts);
    let (score, spans) = match spans {
        Some((score, spans)) => (score, spans.into_iter().map(dates).collect::<Vec<_>>()),
        None => {
            let way = ordered.map(|(_, statement)| Way::Ordered(statement));
            return Ok(way.unwrap_or(Way::Everything));
        }
    };
    match ordered {
        Some((ordered_score, statement)) if ordered_score >= score => Ok(Way::Ordered(statement)),
        Some((_, statement)) if !is_worth_it(db, n, &spans, search)? => Ok(Way::Ordered(statement)),
        _ => Ok(Way::Spans(spans)),
    }
}

/// The order in which the records are wanted.
enum Order<'a> {
    /// By the last change, or by the id.
    Kept { order: &'static str },
    /// By a field.
    Field { path: &'a str, order: &'static str },
    /// By something no index has.
    Other,
}

impl<'a> Order<'a> {
    fn of(sort: &'a [Key]) -> Self {
        match sort {
            [] => Self::Kept { order: NEWEST_FIRST },
            [key] => match (key.path.as_str(), key.descending) {
                (MODIFIED, true) => Self::Kept { order: NEWEST_FIRST },
                (MODIFIED, false) => Self::Kept { order: "modified, n desc" },
                (ID, true) => Self::Kept { order: "_id desc" },
                (ID, false) => Self::Kept { order: "_id" },
                (path, true) if index::is_indexable(path) => Self::Field { path, order: "desc" },
                (path, false) if index::is_indexable(path) => Self::Field { path, order: "asc" },
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// The best statement that has the order, with how much of the filter its index knows.
fn ordered(
    db: &Connection,
    n: i64,
    indexes: &[Made],
    musts: &Musts<'_>,
    order: &Order<'_>,
) -> Result<Option<(usize, Statement)>, Error> {
    let mut best = match order {
        Order::Kept { order } => Some((0, Statement { order, ..Statement::default() })),
        Order::Field { .. } | Order::Other => None,
    };
    for made in indexes {
        let Index::Fields(paths) = &made.index else { continue };
        let equal: Vec<(&str, Span)> =
            paths.iter().map_while(|path| Some((path.as_str(), point(musts, path)?))).collect();
        let candidate = match order {
            Order::Kept { order: NEWEST_FIRST } if equal.len() == paths.len() => (None, &equal[..]),
            Order::Field { path, order } => match paths.iter().position(|indexed| indexed == path) {
                Some(at) if at <= equal.len() => (Some((*path, *order)), &equal[..at]),
                _ => continue,
            },
            Order::Kept { .. } | Order::Other => continue,
        };
        let (by, equal) = candidate;
        let mut statement = Statement { index: Some(made.name.clone()), order: NEWEST_FIRST, ..Statement::default() };
        let mut in_order = true;
        for (path, span) in equal {
            in_order &= !is_any(db, n, statement.clone().among_arrays(path))?;
            statement = statement.within(path, span);
        }
        let mut score = equal.len() * 2;
        if let Some((path, direction)) = by {
            for kind in [OBJECT, ARRAY] {
                in_order &= !is_any(db, n, statement.clone().and(format!("{} = {kind}", index::kind(path)), None))?;
            }
            let value = format!("{} {direction}", index::value(path));
            statement.ordered_by = match musts.spans(path).as_deref() {
                // Of one kind; SQLite would not see that the kind need not be sorted by.
                Some([span]) => {
                    statement = statement.within(path, span);
                    score += 1;
                    Some(value)
                }
                _ => Some(format!("{} {direction}, {value}", index::kind(path))),
            };
        }
        if in_order && best.as_ref().is_none_or(|(known, _)| score > *known) {
            best = Some((score, statement));
        }
    }
    Ok(best)
}

/// The one value a path must have.
fn point(musts: &Musts<'_>, path: &str) -> Option<Span> {
    let [span] = <[Span; 1]>::try_from(musts.spans(path)?).ok()?;
    span.is_point().then_some(span)
}

/// The spans of the index that knows most of the filter, with how much that is.
fn spans(indexes: &[Made], musts: &Musts<'_>) -> Option<(usize, Vec<Statement>)> {
    let mut best: Option<(usize, Vec<Statement>)> = None;
    for made in indexes {
        let Index::Fields(paths) = &made.index else { continue };
        let (mut columns, mut score, mut combinations) = (Vec::new(), 0, 1);
        for path in paths {
            let Some(spans) = musts.spans(path) else { break };
            combinations *= spans.len() + 1;
            if combinations > SPANS + 1 {
                break;
            }
            let points = spans.iter().all(Span::is_point);
            score += if points { 2 } else { 1 };
            columns.push((path.as_str(), spans));
            if !points {
                break;
            }
        }
        if score > best.as_ref().map_or(0, |(known, _)| *known) {
            let start = Statement { index: Some(made.name.clone()), ..Statement::default() };
            let mut all = Vec::new();
            combine(start, &columns, &mut all);
            best = Some((score, all));
        }
    }
    best
}

/// Every combination of the columns' spans. Where a column has arrays, the columns behind it are left open.
fn combine(so_far: Statement, columns: &[(&str, Vec<Span>)], all: &mut Vec<Statement>) {
    let Some(((path, spans), rest)) = columns.split_first() else {
        all.push(so_far);
        return;
    };
    for span in spans {
        combine(so_far.clone().within(path, span), rest, all);
    }
    all.push(so_far.among_arrays(path));
}

/// Records by their ids.
fn by_id(musts: &Musts<'_>) -> Option<Statement> {
    let ids: Vec<Sql> = musts.at(ID).find_map(|test| match test {
        Test::Eq(Value::String(id)) => Some(vec![Sql::Text(id.clone())]),
        Test::In(choices) if choices.len() <= SPANS => Some(choices.texts().map(|id| Sql::Text(id.into())).collect()),
        _ => None,
    })?;
    let marks = vec!["?"; ids.len()].join(",");
    Some(Statement { conditions: vec![format!("_id in ({marks})")], values: ids, ..Statement::default() })
}

/// The same, within the dates that the filter allows.
fn dated(mut statement: Statement, musts: &Musts<'_>) -> Statement {
    for test in musts.at(MODIFIED) {
        let (operator, date) = match test {
            Test::Eq(date) => ("=", date),
            Test::Compare(comparison, date) => (symbol(*comparison), date),
            _ => continue,
        };
        if let Some(date) = exact(date) {
            statement = statement.and(format!("modified {operator} ?"), Some(date));
        }
    }
    statement
}

fn is_any(db: &Connection, n: i64, statement: Statement) -> Result<bool, Error> {
    let statement = Statement { order: "", ordered_by: None, ..statement };
    Ok(db.prepare_cached(&statement.numbers(n))?.exists(params_from_iter(&statement.values))?)
}

/// Whether looking at all of the spans is less work than going through the records in their order until there are
/// enough, if those that pass lie evenly among the others.
fn is_worth_it(db: &Connection, n: i64, spans: &[Statement], search: &Search) -> Result<bool, Error> {
    let mut found = 0;
    for span in spans {
        let text = format!("select count(*) from ({} limit {})", span.numbers(n), COUNTED - found + 1);
        let count: i64 = db.prepare_cached(&text)?.query_row(params_from_iter(&span.values), |row| row.get(0))?;
        found += usize::try_from(count).unwrap_or_default();
        if found > COUNTED {
            return Ok(false);
        }
    }
    let last: Option<i64> = db.query_row(&format!("select max(n) from document_{n}"), [], |row| row.get(0))?;
    let all = usize::try_from(last.unwrap_or_default()).unwrap_or_default().max(found);
    let wanted = search.skip.saturating_add(search.count);
    Ok(found.saturating_mul(found) <= wanted.saturating_mul(all))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::query::Filter;
    use super::super::{Row, declare, put_kept};
    use super::*;
    use serde_json::json;

    /// A thousand places in ten countries, and their table.
    fn places(indexes: &[&str]) -> (Connection, TableName) {
        let db = crate::schema::in_memory();
        let table = TableName::new(&"com.example.atlas".parse().unwrap(), "places").unwrap();
        let indexes: Vec<String> = indexes.iter().map(|index| (*index).to_owned()).collect();
        declare(&db, &table, &indexes).unwrap();
        let row = |nth: i64| {
            Row {
            id: format!("{nth:05}"),
            created: nth,
            modified: nth,
            doc: json!({"country": format!("c{}", nth % 10), "people": nth * 7 % 1000, "at": {"lat": nth % 90}, "name": format!("place {nth}")}).to_string(),
        }
        };
        put_kept(&db, &table, &(0..1000).map(row).collect::<Vec<_>>()).unwrap();
        (db, table)
    }

    fn key(path: &str, descending: bool) -> Key {
        Key { path: path.into(), descending }
    }

    /// What SQLite says it will do for a search, one line a step.
    fn steps(db: &Connection, table: &TableName, query: Value, sort: &[Key], count: usize) -> (&'static str, String) {
        let filter = Filter::parse(&query).unwrap();
        let search = Search { filter, sort: sort.to_vec(), skip: 0, count };
        let (way, statements) = match choose(db, table, 1, &search).unwrap() {
            Way::Ordered(statement) => ("ordered", vec![statement]),
            Way::Spans(spans) => ("spans", spans),
            Way::Everything => return ("everything", String::new()),
        };
        let mut lines = Vec::new();
        for statement in statements {
            let mut explain = db.prepare(&format!("explain query plan {}", statement.numbers(1))).unwrap();
            let steps = explain.query_map(params_from_iter(&statement.values), |row| row.get::<_, String>(3)).unwrap();
            lines.extend(steps.map(Result::unwrap));
        }
        (way, lines.join("\n"))
    }

    #[test]
    fn equal_values_and_ranges_are_searched_in_the_index() {
        let (db, table) = places(&["country", "people", "at.lat"]);
        for query in [
            json!({"country": "c3"}),
            json!({"people": {"$gt": 990}}),
            json!({"people": {"$gte": 100, "$lt": 110}}),
            json!({"country": {"$in": ["c1", "c2"]}}),
            json!({"at.lat": 5}),
        ] {
            let (way, steps) = steps(&db, &table, query.clone(), &[key("name", false)], 10);
            assert_eq!(way, "spans", "{query}");
            for step in steps.lines() {
                assert!(
                    step.starts_with("SEARCH document_1 USING") && step.contains("document_1_index_"),
                    "{query}: {step}"
                );
                assert!(step.contains("(<expr>=?"), "{query}: {step}");
            }
        }
    }

    #[test]
    fn an_order_comes_from_the_index_without_sorting() {
        let (db, table) = places(&["country, people", "people"]);
        for (query, sort) in [
            (json!({}), key("people", true)),
            (json!({"country": "c3"}), key("people", true)),
            (json!({"people": {"$gt": 10}}), key("people", true)),
            (json!({}), key("_id", false)),
            (json!({}), key("_date_modified", true)),
        ] {
            let (way, steps) = steps(&db, &table, query.clone(), &[sort], 10);
            assert_eq!(way, "ordered", "{query}");
            assert!(!steps.contains("TEMP B-TREE"), "{query}: {steps}");
        }
        // Upwards, only records of the same value are put in order among themselves.
        let (_, steps) = steps(&db, &table, json!({"country": "c3"}), &[key("people", false)], 10);
        assert!(steps.contains("TEMP B-TREE FOR LAST"), "{steps}");
    }

    #[test]
    fn the_newest_of_one_value_come_straight_from_its_index() {
        let (db, table) = places(&["country"]);
        let (way, steps) = steps(&db, &table, json!({"country": "c3"}), &[], 10);
        assert!(way == "ordered" && steps.contains("index_1") && !steps.contains("TEMP"), "{way}: {steps}");
    }

    #[test]
    fn an_array_in_the_way_makes_the_order_worthless() {
        let (db, table) = places(&["country", "people"]);
        let odd =
            Row { id: "x".into(), created: 1, modified: 1, doc: json!({"country": ["c3"], "people": [1]}).to_string() };
        put_kept(&db, &table, &[odd]).unwrap();
        assert_eq!(steps(&db, &table, json!({"country": "c3"}), &[], 500).0, "spans");
        assert_eq!(steps(&db, &table, json!({}), &[key("people", true)], 10).0, "everything");
    }

    #[test]
    fn what_most_records_have_is_not_gathered_to_be_sorted() {
        let (db, table) = places(&["country", "people"]);
        // A tenth of all: ten of them are found sooner by going through the order.
        assert_eq!(steps(&db, &table, json!({"country": "c3"}), &[key("people", true)], 3).0, "ordered");
        assert_eq!(steps(&db, &table, json!({"country": "none"}), &[key("people", true)], 3).0, "spans");
    }

    #[test]
    fn words_are_looked_up_and_need_an_index() {
        let (db, table) = places(&["text(name)"]);
        let (way, steps) = steps(&db, &table, json!({"$text": {"$search": "place 7"}}), &[], 10);
        assert!(way == "spans" && steps.contains("VIRTUAL TABLE INDEX"), "{steps}");
        let (db, table) = places(&["name"]);
        let filter = Filter::parse(&json!({"$text": {"$search": "place"}})).unwrap();
        let search = Search { filter, ..Search::default() };
        assert!(matches!(choose(&db, &table, 1, &search), Err(Error::NoTextIndex { .. })));
    }
}
