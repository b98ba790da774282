//! Which part of an index must be looked at for a field's tests.
//!
//! What is made here is *necessary*, never sufficient: [`Filter::holds`] still decides about every record that is left.
//! So it may be generous, and it must never leave out a record that the filter would take. Only tests that must hold
//! for the whole filter to hold are looked at.
//!
//! The [`Span`]s of a field never overlap, so no record is met twice. Arrays are apart from them: a record whose value is
//! an array may pass by one of its elements, whatever the test.

use rusqlite::types::Value as Sql;
use serde_json::Value;

use super::index::{BOOL, NOTHING, NUMBER, OBJECT, STRING};
use super::query::{Comparison, Filter, Test};
use super::text::Words;

/// Up to how many values of an `$in` are looked up one by one.
const LOOKUPS: usize = 500;

/// Whole numbers beyond this are not the same in SQLite and in JSON readers that use floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The tests that must hold.
#[derive(Default)]
pub(super) struct Musts<'a> {
    pub(super) tests: Vec<(&'a str, &'a Test)>,
    pub(super) words: Vec<&'a Words>,
    dotted: Vec<(String, &'a Test)>,
}

/// A stretch of one field's values: one kind, and bounds within it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) kind: i64,
    pub(super) bounds: Vec<(&'static str, Sql)>,
}

impl Span {
    fn point(kind: i64, value: Sql) -> Self {
        Self { kind, bounds: vec![("=", value)] }
    }

    /// Whether it is one value.
    pub(super) fn is_point(&self) -> bool {
        matches!(self.bounds.as_slice(), [("=", _)])
    }
}

impl<'a> Musts<'a> {
    pub(super) fn of(filter: &'a Filter) -> Self {
        let mut musts = Self::default();
        musts.add(filter);
        musts
    }

    fn add(&mut self, filter: &'a Filter) {
        match filter {
            Filter::All(parts) => parts.iter().for_each(|part| self.add(part)),
            Filter::At(path, test) => match path.only_field() {
                Some(field) => self.tests.push((field, test)),
                None => self.dotted.push((path.to_string(), test)),
            },
            Filter::Text(words) => self.words.push(words),
            Filter::Any(_) | Filter::Not(_) => {}
        }
    }

    /// The tests at one path.
    pub(super) fn at<'b>(&'b self, path: &'b str) -> impl Iterator<Item = &'a Test> + 'b {
        let plain = self.tests.iter().filter(move |(at, _)| *at == path).map(|(_, test)| *test);
        plain.chain(self.dotted.iter().filter(move |(at, _)| at == path).map(|(_, test)| *test))
    }

    /// All paths with tests, in the order of the filter.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&str, &'a Test)> {
        let plain = self.tests.iter().map(|(path, test)| (*path, *test));
        plain.chain(self.dotted.iter().map(|(path, test)| (path.as_str(), *test)))
    }

    /// The spans that the tests at a path allow, beside arrays; none when they allow everything.
    pub(super) fn spans(&self, path: &str) -> Option<Vec<Span>> {
        let tests: Vec<&Test> = self.at(path).collect();
        let exact = tests.iter().find_map(|test| match test {
            Test::Eq(value) => points([value]),
            Test::Element(_) => Some(Vec::new()),
            _ => None,
        });
        let listed = || {
            tests.iter().find_map(|test| match test {
                Test::In(choices) if choices.len() <= LOOKUPS => points(&choices.values()),
                _ => None,
            })
        };
        exact.or_else(listed).or_else(|| range(&tests))
    }
}

/// One span for each value; none when one of them cannot be looked up.
fn points<'a>(values: impl IntoIterator<Item = &'a Value>) -> Option<Vec<Span>> {
    let mut spans: Vec<Span> = Vec::new();
    for value in values {
        let span = match value {
            Value::Null => Span { kind: NOTHING, bounds: Vec::new() },
            Value::Object(_) => Span { kind: OBJECT, bounds: Vec::new() },
            // It lies where arrays lie.
            Value::Array(_) => continue,
            scalar => {
                let (kind, value) = self::scalar(scalar)?;
                Span::point(kind, value)
            }
        };
        if !spans.iter().any(|known| same(known, &span)) {
            spans.push(span);
        }
    }
    Some(spans)
}

/// Whether SQLite finds the same in both.
fn same(a: &Span, b: &Span) -> bool {
    let number = |span: &Span| match span.bounds.as_slice() {
        [(_, Sql::Integer(whole))] => Some(*whole as f64),
        [(_, Sql::Real(real))] => Some(*real),
        _ => None,
    };
    a.kind == b.kind && (a == b || number(a).is_some_and(|a| number(b) == Some(a)))
}

fn range(tests: &[&Test]) -> Option<Vec<Span>> {
    let mut span: Option<Span> = None;
    for test in tests {
        let Test::Compare(comparison, bound) = test else { continue };
        let Some((kind, bound)) = scalar(bound) else { continue };
        let span = span.get_or_insert_with(|| Span { kind, bounds: Vec::new() });
        // Bounds of two kinds can only be met by an array.
        if span.kind == kind {
            span.bounds.push((symbol(*comparison), bound));
        }
    }
    span.map(|span| vec![span])
}

/// A value that SQLite compares as we do, and its kind. Booleans show as 0 and 1 under `->>`.
pub(super) fn scalar(value: &Value) -> Option<(i64, Sql)> {
    match value {
        Value::String(text) => Some((STRING, Sql::Text(text.clone()))),
        Value::Bool(truth) => Some((BOOL, Sql::Integer((*truth).into()))),
        Value::Number(_) => exact(value).map(|number| (NUMBER, number)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number that is the same everywhere.
pub(super) fn exact(value: &Value) -> Option<Sql> {
    let number = value.as_f64().filter(|number| number.abs() < EXACT)?;
    Some(value.as_i64().map_or(Sql::Real(number), Sql::Integer))
}

pub(super) fn symbol(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn spans(query: Value) -> Option<Vec<Span>> {
        let filter = Filter::parse(&query).unwrap();
        Musts::of(&filter).spans("a")
    }

    #[test]
    fn only_what_must_hold_narrows() {
        for query in
            [json!({"$or": [{"a": 1}, {"x": 1}]}), json!({"a": {"$ne": 1}}), json!({"a": {"$exists": true}}), json!({})]
        {
            assert_eq!(spans(query.clone()), None, "{query}");
        }
        assert_eq!(spans(json!({"$and": [{"a": 1}], "x": 1})).unwrap(), [Span::point(NUMBER, Sql::Integer(1))]);
        assert_eq!(spans(json!({"a": [1]})).unwrap(), [], "arrays are looked at in any case");
    }

    #[test]
    fn spans_never_overlap() {
        assert_eq!(spans(json!({"a": {"$in": [1, 1.0, true, "1", null, {"x": 1}, {"y": 2}, [1]]}})).unwrap().len(), 5);
        let range = spans(json!({"a": {"$gt": 1, "$lte": 5, "$lt": "x"}})).unwrap();
        assert_eq!(range.len(), 1);
        assert_eq!(range[0].bounds.len(), 2, "{range:?}");
        assert_eq!(spans(json!({"a": 1e300})), None, "not the same number everywhere");
    }
}
