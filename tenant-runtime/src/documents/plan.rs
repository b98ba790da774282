//! By which way the records for a search are reached.
//!
//! There are three. In the wanted *order*, from an index that has it: the search stops as soon as it has enough. Through
//! *spans* of an index: every record in them is looked at and put in order afterwards. Or through everything. SQLite
//! is told which index to use, so what is decided here is what happens.
//!
//! An index has the wanted order only where no array lies in its way, for an array may pass a test by an element that
//! stands elsewhere in the order. Whether one does is looked up in the index itself. For each statement it is known whether
//! what it finds still has to be judged.

use std::ops::RangeInclusive;

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};
use serde_json::Value;

use super::catalogue::Catalogue;
use super::index::{ARRAY, Column, Index, Made, NOTHING, OBJECT, is_indexable};
use super::narrow::{Answered, Musts, Narrowed, Span, exact, symbol};
use super::position::Position;
use super::query::Test;
use super::record::{ID, MODIFIED};
use super::search::{Key, Search};
use super::{Error, TableName};

/// How much room the conditions of a statement are given at first, in bytes.
const LENGTH: usize = 768;

/// Up to how many combinations of values are looked up one by one.
const SPANS: usize = 500;

/// The way to the records of a search.
#[derive(Debug)]
pub(super) enum Way {
    /// The records in the wanted order.
    Ordered(Statement),
    /// Records in any order; the same one may come from two of the spans, or twice from one, where that is said.
    Spans {
        spans: Vec<Statement>,
        repeats: bool,
        /// A way in the wanted order, better when the spans hold many.
        otherwise: Option<Statement>,
    },
    /// All there are.
    Everything,
}

/// A part of a collection, found by an index.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// The index, if it is one of the collection's own.
    pub(super) index: Option<i64>,
    from: String,
    /// What leads from there to the records, where they are not there.
    join: String,
    /// The columns there that hold the date of the last change and the record's number.
    columns: [&'static str; 2],
    conditions: String,
    pub(super) values: Vec<Sql>,
    order: String,
    /// Whether SQLite has to put in order what it finds.
    sorts: bool,
    /// Which tests hold for all it finds.
    answered: Answered,
    /// Whether no test is left that does not.
    pub(super) is_sure: bool,
}

impl Statement {
    /// The dates of the last change and the numbers of the records, in SQL.
    pub(super) fn entries(&self) -> String {
        let Self { from, columns: [modified, n], conditions, order, .. } = self;
        ["select ", modified, ", ", n, " from ", from, conditions, order].concat()
    }

    /// These columns of the records, in SQL; none where sorting would carry them about.
    pub(super) fn records(&self, columns: &str) -> Option<String> {
        let Self { from, join, conditions, order, .. } = self;
        (!self.sorts).then(|| ["select ", columns, " from ", from, join, conditions, order].concat())
    }

    /// All records of the collection `n`, by SQLite's index of this name.
    fn by(n: i64, name: &str) -> Self {
        Self {
            index: None,
            from: format!("document_{n} indexed by {name}"),
            join: String::new(),
            columns: ["modified", "n"],
            conditions: String::new(),
            values: Vec::new(),
            order: String::new(),
            sorts: false,
            answered: Answered::default(),
            is_sure: false,
        }
    }

    fn of(n: i64, made: &Made) -> Self {
        let start = Self { index: Some(made.id), ..Self::by(n, &made.name) };
        let join = |number| format!(" cross join document_{n} on n = {number}");
        match made.index {
            Index::Fields(_) => start,
            Index::Each(_) => {
                Self { from: made.name.clone(), join: join("record"), columns: ["changed", "record"], ..start }
            }
            // It has no dates.
            Index::Text(_) => {
                Self { from: format!("{0}{1}", made.name, join(&format!("{}.rowid", made.name))), ..start }
            }
        }
    }

    fn and(mut self, condition: &[&str], values: impl IntoIterator<Item = Sql>) -> Self {
        if self.conditions.is_empty() {
            // Most are shorter, and none is much longer.
            self.conditions.reserve(LENGTH);
        }
        self.conditions.push_str(if self.conditions.is_empty() { " where " } else { " and " });
        self.conditions.extend(condition.iter().copied());
        self.values.extend(values);
        self
    }

    fn of_kind(self, column: &Column, kind: i64) -> Self {
        self.and(&[&column.kind, " = ", digit(kind)], None)
    }

    fn within(self, column: &Column, span: &Span) -> Self {
        let mut statement = self.of_kind(column, span.kind);
        if span.kind == NOTHING {
            statement = statement.and(&[&column.nothing], None);
        }
        for (operator, bound) in &span.bounds {
            statement = statement.and(&[&column.value, " ", operator, " ?"], Some(bound.clone()));
        }
        statement
    }

    fn answers(mut self, answered: Answered) -> Self {
        self.answered = self.answered.and(answered);
        self
    }

    /// The same, within the dates that the filter allows.
    fn dated(mut self, musts: &Musts<'_>) -> Self {
        for (place, test) in musts.at(MODIFIED) {
            let (operator, date) = match test {
                Test::Eq(date) => ("=", date),
                Test::Compare(comparison, date) => (symbol(*comparison), date),
                _ => continue,
            };
            if let Some(date) = exact(date) {
                let modified = self.columns[0];
                self = self.and(&[modified, " ", operator, " ?"], Some(date)).answers(place);
            }
        }
        self
    }

    fn newest_first(mut self) -> Self {
        self.order = format!(" order by {} desc, {} desc", self.columns[0], self.columns[1]);
        self
    }

    fn judged_by(mut self, musts: &Musts<'_>) -> Self {
        self.is_sure = musts.are_all(self.answered);
        self
    }
}

/// Chooses the way.
pub(super) fn choose(db: &Connection, table: &TableName, catalogue: &Catalogue, search: &Search) -> Result<Way, Error> {
    let Catalogue { n, indexes } = catalogue;
    let musts = Musts::of(&search.filter);
    let finish = |statement: Statement| statement.dated(&musts).judged_by(&musts);
    if !musts.words.is_empty() {
        let words = indexes.iter().find(|made| matches!(made.index, Index::Text(_)));
        let made = words.ok_or_else(|| Error::NoTextIndex { table: table.clone() })?;
        let all: Vec<&str> = musts.words.iter().map(|words| words.expression()).collect();
        let found = Statement::of(*n, made).and(&[&made.name, " match ?"], Some(Sql::Text(all.join(" AND "))));
        return Ok(Way::Spans { spans: vec![finish(found)], repeats: false, otherwise: None });
    }
    if let Some(ids) = by_id(*n, &musts) {
        let ids = finish(ids);
        // A single record is in any order.
        return Ok(match ids.values.len() {
            1 if search.page.after().is_none() => Way::Ordered(ids),
            _ => Way::Spans { spans: vec![ids], repeats: false, otherwise: None },
        });
    }
    let ordered = ordered(db, *n, indexes, &musts, search)?;
    let ordered = ordered.map(|(score, statement)| (score, finish(statement)));
    let Some((score, made, columns)) = spans(indexes, &musts) else {
        return Ok(ordered.map_or(Way::Everything, |(_, statement)| Way::Ordered(statement)));
    };
    Ok(match ordered {
        Some((ordered_score, statement)) if ordered_score >= score => Way::Ordered(statement),
        ordered => {
            let mut spans = Vec::new();
            combine(Statement::of(*n, made), &columns, &mut spans);
            let otherwise = ordered.map(|(_, statement)| statement);
            Way::Spans { spans: spans.into_iter().map(finish).collect(), repeats: made.repeats, otherwise }
        }
    })
}

/// The order in which the records are wanted.
#[derive(Clone, Copy)]
pub(super) enum Order<'a> {
    /// The last changed first.
    Newest,
    /// The last changed last.
    Oldest,
    /// By the id.
    Id { descending: bool },
    /// By a field.
    Field { path: &'a str, descending: bool },
    /// By something no index has.
    Other,
}

impl<'a> Order<'a> {
    pub(super) fn of(sort: &'a [Key]) -> Self {
        match sort {
            [] => Self::Newest,
            [key] => match key.path.as_str() {
                MODIFIED if key.descending => Self::Newest,
                MODIFIED => Self::Oldest,
                ID => Self::Id { descending: key.descending },
                path if is_indexable(path) => Self::Field { path, descending: key.descending },
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// Columns of an index, the first ones first, and what their tests allow.
type Known<'a> = Vec<(&'a Column, Narrowed)>;

/// A statement that has the order if no array lies in its way.
struct Candidate<'a> {
    score: usize,
    made: &'a Made,
    equal: Known<'a>,
    by: Option<&'a Column>,
}

/// The best statement that has the order, with how much of the filter its index knows.
fn ordered(
    db: &Connection,
    n: i64,
    indexes: &[Made],
    musts: &Musts<'_>,
    search: &Search,
) -> Result<Option<(usize, Statement)>, Error> {
    let order = Order::of(&search.sort);
    let after = search.page.after();
    let mut candidates: Vec<Candidate<'_>> = indexes.iter().filter_map(|made| candidate(made, musts, order)).collect();
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.score));
    for candidate in candidates {
        let score = candidate.score;
        if let Some(statement) = settle(db, n, candidate, musts, order, after)? {
            return Ok(Some((score, statement)));
        }
    }
    Ok(kept(n, musts, order, after).map(|statement| (0, statement)))
}

/// Through all records in an order that every collection has.
fn kept(n: i64, musts: &Musts<'_>, order: Order<'_>, after: Option<&Position>) -> Option<Statement> {
    let by_date = || Statement::by(n, &format!("document_{n}_modified"));
    Some(match order {
        Order::Newest => after_newest(by_date().newest_first(), after),
        Order::Oldest => {
            let mut statement = by_date();
            (statement.order, statement.sorts) = (" order by modified, n desc".into(), true);
            let Some(Position { modified, n, .. }) = after else { return Some(statement) };
            let values = [*modified, *modified, *modified, *n].map(Sql::Integer);
            statement.and(&["modified >= ? and (modified > ? or (modified = ? and n < ?))"], values)
        }
        Order::Id { descending } => {
            let mut statement = Statement::by(n, &format!("sqlite_autoindex_document_{n}_1"));
            statement.order = if descending { " order by _id desc" } else { " order by _id" }.into();
            for (place, test) in musts.at(ID) {
                if let Test::Compare(comparison, Value::String(bound)) = test {
                    let condition = ["_id ", symbol(*comparison), " ?"];
                    statement = statement.and(&condition, Some(Sql::Text(bound.clone()))).answers(place);
                }
            }
            match after.map(Position::id) {
                None => statement,
                Some(id) => {
                    let condition = if descending { "_id < ?" } else { "_id > ?" };
                    statement.and(&[condition], Some(Sql::Text(id.to_owned())))
                }
            }
        }
        Order::Field { .. } | Order::Other => return None,
    })
}

fn after_newest(statement: Statement, after: Option<&Position>) -> Statement {
    let Some(Position { modified, n, .. }) = after else { return statement };
    let condition = format!("({}, {}) < (?, ?)", statement.columns[0], statement.columns[1]);
    statement.and(&[&condition], [*modified, *n].map(Sql::Integer))
}

fn candidate<'a>(made: &'a Made, musts: &Musts<'_>, order: Order<'_>) -> Option<Candidate<'a>> {
    let columns = &made.columns;
    let mut equal: Known<'_> = columns.iter().map_while(|c| Some((c, point(made, musts, c)?))).collect();
    match order {
        Order::Newest if !columns.is_empty() && equal.len() == columns.len() => {
            Some(Candidate { score: equal.len() * 2, made, equal, by: None })
        }
        Order::Field { path, .. } if !made.repeats => {
            let at = columns.iter().position(|column| column.path == path).filter(|at| *at <= equal.len())?;
            equal.truncate(at);
            let narrowed = musts.spans(path).is_some_and(|narrowed| narrowed.spans.len() == 1);
            Some(Candidate { score: equal.len() * 2 + usize::from(narrowed), made, equal, by: Some(&columns[at]) })
        }
        _ => None,
    }
}

/// The statement, unless an array lies in its way.
fn settle(
    db: &Connection,
    n: i64,
    Candidate { made, equal, by, .. }: Candidate<'_>,
    musts: &Musts<'_>,
    order: Order<'_>,
    after: Option<&Position>,
) -> Result<Option<Statement>, Error> {
    let mut statement = Statement::of(n, made);
    for (column, narrowed) in equal {
        if is_any(db, &statement, column, ARRAY..=ARRAY)? {
            return Ok(None);
        }
        for span in &narrowed.spans {
            statement = statement.within(column, span);
        }
        statement = statement.answers(narrowed.answered);
    }
    let (Some(column), Order::Field { descending, .. }) = (by, order) else {
        return Ok(Some(after_newest(statement.newest_first(), after)));
    };
    if is_any(db, &statement, column, OBJECT..=ARRAY)? {
        return Ok(None);
    }
    let direction = if descending { "desc" } else { "asc" };
    let Column { kind, value, .. } = column;
    let one_kind = match musts.spans(&column.path) {
        Some(Narrowed { spans, answered }) if spans.len() == 1 => {
            statement = statement.within(column, &spans[0]).answers(answered);
            true
        }
        _ => false,
    };
    // Of one kind; SQLite would not see that the kind need not be sorted by.
    let by_kind: [&str; 4] = if one_kind { [""; 4] } else { [kind, " ", direction, ", "] };
    statement.order = [" order by ", &by_kind.concat(), value, " ", direction, ", modified desc, n desc"].concat();
    statement.sorts = !descending;
    Ok(Some(match after {
        Some(position) => after_value(statement, column, descending, position),
        None => statement,
    }))
}

/// What comes after a position in the order of a column.
fn after_value(statement: Statement, column: &Column, descending: bool, position: &Position) -> Statement {
    let Column { kind, value, .. } = column;
    let beyond = if descending { "<" } else { ">" };
    let (own_kind, own) = position.sql();
    let tie = [Sql::Integer(position.modified), Sql::Integer(position.n)];
    // First a bound that SQLite can look up, then what is meant.
    let bounded = statement.and(&[kind, beyond, "= ", digit(own_kind)], None);
    match own {
        Some(own) => {
            let same_kind = format!("({value} {beyond} ? or ({value} = ? and (modified, n) < (?, ?)))");
            let values = [own.clone(), own].into_iter().chain(tie);
            bounded.and(&[&format!("({kind} {beyond} {own_kind} or ({kind} = {own_kind} and {same_kind}))")], values)
        }
        None => {
            let condition = format!("({kind} {beyond} {own_kind} or ({kind} = {own_kind} and (modified, n) < (?, ?)))");
            bounded.and(&[&condition], tie)
        }
    }
}

/// What an index knows of a column's tests.
fn narrowed(made: &Made, musts: &Musts<'_>, column: &Column) -> Option<Narrowed> {
    if made.repeats { musts.spans_of_elements(&column.path) } else { musts.spans(&column.path) }
}

/// The one value a column must have.
fn point(made: &Made, musts: &Musts<'_>, column: &Column) -> Option<Narrowed> {
    narrowed(made, musts, column).filter(|narrowed| matches!(narrowed.spans.as_slice(), [span] if span.is_point()))
}

/// The index that knows most of the filter, with how much that is, and the columns that know it.
fn spans<'a>(indexes: &'a [Made], musts: &Musts<'_>) -> Option<(usize, &'a Made, Known<'a>)> {
    let mut best: Option<(usize, &Made, Known<'_>)> = None;
    for made in indexes {
        let (mut columns, mut score, mut combinations) = (Vec::new(), 0, 1);
        for column in &made.columns {
            let Some(narrowed) = narrowed(made, musts, column) else { break };
            combinations *= narrowed.spans.len() + 1;
            if combinations > SPANS + 1 {
                break;
            }
            let points = narrowed.spans.iter().all(Span::is_point);
            score += if points { 2 } else { 1 };
            columns.push((column, narrowed));
            if !points {
                break;
            }
        }
        if score > best.as_ref().map_or(0, |(known, ..)| *known) {
            best = Some((score, made, columns));
        }
    }
    best
}

/// Every combination of the columns' spans. Where a column has arrays, the columns behind it are left open.
fn combine(so_far: Statement, columns: &[(&Column, Narrowed)], all: &mut Vec<Statement>) {
    let Some(((column, narrowed), rest)) = columns.split_first() else {
        all.push(so_far);
        return;
    };
    for span in &narrowed.spans {
        combine(so_far.clone().within(column, span).answers(narrowed.answered), rest, all);
    }
    // An array may pass by another of its elements, so nothing is answered by where it stands.
    all.push(Statement { answered: Answered::default(), ..so_far.of_kind(column, ARRAY) });
}

/// Records by their ids.
fn by_id(n: i64, musts: &Musts<'_>) -> Option<Statement> {
    let (place, ids) = musts.at(ID).find_map(|(place, test)| match test {
        Test::Eq(Value::String(id)) => Some((place, vec![Sql::Text(id.clone())])),
        Test::In(choices) if choices.len() <= SPANS => {
            Some((place, choices.texts().map(|id| Sql::Text(id.into())).collect()))
        }
        _ => None,
    })?;
    let by_id = Statement::by(n, &format!("sqlite_autoindex_document_{n}_1"));
    let places = vec!["?"; ids.len()].join(",");
    Some(by_id.and(&["_id in (", &places, ")"], ids).answers(place))
}

/// A kind, in SQL.
fn digit(kind: i64) -> &'static str {
    ["0", "1", "2", "3", "4", "5"][kind as usize]
}

/// Whether the statement finds any record in which the column's value is of these kinds.
fn is_any(
    db: &Connection,
    statement: &Statement,
    Column { kind, .. }: &Column,
    kinds: RangeInclusive<i64>,
) -> Result<bool, Error> {
    let Statement { from, conditions, values, .. } = statement;
    let joint = if conditions.is_empty() { " where " } else { " and " };
    let (least, most) = kinds.into_inner();
    let within = [" between ", digit(least), " and ", digit(most), " limit 1"].concat();
    let text = ["select 1 from ", from, conditions, joint, kind, &within].concat();
    Ok(db.prepare_cached(&text)?.exists(params_from_iter(values))?)
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
        let search = Search { filter, sort: sort.to_vec(), count, ..Search::default() };
        let catalogue = super::super::catalogue::of(db, table).unwrap().unwrap();
        let (way, statements) = match choose(db, table, &catalogue, &search).unwrap() {
            Way::Ordered(statement) => ("ordered", vec![statement]),
            Way::Spans { spans, .. } => ("spans", spans),
            Way::Everything => return ("everything", String::new()),
        };
        let mut lines = Vec::new();
        for statement in statements {
            let mut explain = db.prepare(&format!("explain query plan {}", statement.entries())).unwrap();
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
        let looked_at = |query: Value| {
            let filter = Filter::parse(&query).unwrap();
            let search = Search { filter, sort: vec![key("people", true)], count: 3, ..Search::default() };
            super::super::look(&db, &table, &search, super::super::Budget::default()).unwrap().looked_at
        };
        // A tenth of all: three of them are found sooner by going through the order.
        assert!((3..100).contains(&looked_at(json!({"country": "c3"}))));
        assert_eq!(looked_at(json!({"country": "none"})), 0);
    }

    #[test]
    fn elements_of_arrays_are_searched_in_their_index() {
        let (db, table) = places(&["each(tags)"]);
        let tagged = |id: &str, tags: Value| {
            let doc = json!({"tags": tags}).to_string();
            put_kept(&db, &table, &[Row { id: id.into(), created: 1, modified: 1, doc }]).unwrap();
        };
        tagged("one", json!(["a", "b", "a"]));
        let (way, steps_taken) = steps(&db, &table, json!({"tags": "a"}), &[], 10);
        assert!(
            way == "ordered" && steps_taken.contains("PRIMARY KEY") && !steps_taken.contains("TEMP"),
            "{steps_taken}"
        );
        assert_eq!(steps(&db, &table, json!({"tags": {"$in": ["a", "b"]}}), &[], 10).0, "spans");
        tagged("two", json!([["a"]]));
        assert_eq!(steps(&db, &table, json!({"tags": "a"}), &[], 10).0, "spans", "a list in the list is in the way");
    }

    #[test]
    fn words_are_looked_up_and_need_an_index() {
        let (db, table) = places(&["text(name)"]);
        let (way, steps) = steps(&db, &table, json!({"$text": {"$search": "place 7"}}), &[], 10);
        assert!(way == "spans" && steps.contains("VIRTUAL TABLE INDEX"), "{steps}");
        let (db, table) = places(&["name"]);
        let filter = Filter::parse(&json!({"$text": {"$search": "place"}})).unwrap();
        let search = Search { filter, ..Search::default() };
        let catalogue = super::super::catalogue::of(&db, &table).unwrap().unwrap();
        assert!(matches!(choose(&db, &table, &catalogue, &search), Err(Error::NoTextIndex { .. })));
    }
}
