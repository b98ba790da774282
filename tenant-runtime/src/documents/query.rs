//! What a mongo-like query means, and whether a record meets it.
//!
//! A query is parsed once into a [`Filter`]; records are then judged one by one, each parsed no further than the
//! fields the query names. `narrow` derives from the same filter which rows SQLite need not even look at, so
//! there is one place that decides what matches.
//!
//! The rules are MongoDB's, as far as they go: a path leads through arrays to every element; a test on an array holds
//! when it holds for the array or for one of its elements; a missing field equals `null`; `$gt` and its like compare
//! numbers with numbers and strings with strings only. Regular expressions run in linear time and are bounded in size.
//! Operators that run code (`$where` and its like) and operators we do not know are refused, never ignored.

mod parse;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};

use regex::Regex;
use serde_json::{Map, Number, Value};

use super::text::Words;
use parse::Parser;

/// Why a query was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An operator that we do not have, or that runs code.
    #[error("the operator {0} is not supported in queries")]
    Operator(String),
    /// An operator with an operand of the wrong kind.
    #[error("{operator} needs {needs}")]
    Operand {
        /// The operator.
        operator: String,
        /// What it needs.
        needs: &'static str,
    },
    /// A regular expression that cannot be used.
    #[error("the regular expression {pattern:?} cannot be used: {reason}")]
    Regex {
        /// The pattern.
        pattern: String,
        /// Why not.
        reason: String,
    },
    /// A query larger than the limits.
    #[error("the query is too large: {0}")]
    TooLarge(&'static str),
    /// A query that is not an object.
    #[error("a query is a JSON object")]
    NotAnObject,
}

/// A parsed query.
#[derive(Clone, Debug)]
pub enum Filter {
    /// Every part holds; an empty one always holds.
    All(Vec<Filter>),
    /// Some part holds.
    Any(Vec<Filter>),
    /// The part does not hold.
    Not(Box<Filter>),
    /// The test holds at the path.
    At(Path, Test),
    /// The words occur in the record. Only a text index knows: by itself it holds for nothing.
    Text(Words),
}

/// The dotted way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: String,
    names: Vec<String>,
}

impl Path {
    pub(super) fn parse(text: &str) -> Self {
        Self { text: text.to_owned(), names: text.split('.').map(str::to_owned).collect() }
    }

    /// As it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The field of the record the path starts at.
    fn field(&self) -> &str {
        &self.names[0]
    }
}

/// A test of one value.
#[derive(Clone, Debug)]
pub enum Test {
    /// Equal, or one element is.
    Eq(Value),
    /// Ordered so against the value.
    Compare(Comparison, Value),
    /// Equal to one of them.
    In(Choices),
    /// Present, or absent.
    Exists(bool),
    /// A string the expression finds itself in.
    Regex(Pattern),
    /// An array with an element that passes.
    Element(Box<Element>),
}

/// A regular expression, and the text that everything it finds itself in begins with.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    pub(super) beginning: Option<Beginning>,
}

/// How a text must begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beginning {
    pub(super) text: String,
    /// Whether that is all there is to the expression.
    pub(super) is_all: bool,
}

/// What an element of an array is held against.
#[derive(Clone, Debug)]
pub enum Element {
    /// A query on the element's own fields.
    Record(Filter),
    /// Tests on the element itself, all of which hold; with `true` the test is negated.
    Value(Vec<(bool, Test)>),
}

/// The four orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `$gt`
    Greater,
    /// `$gte`
    GreaterOrEqual,
    /// `$lt`
    Less,
    /// `$lte`
    LessOrEqual,
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
        }
    }
}

/// The values of an `$in`: strings in a set, so that a long list costs one look-up.
#[derive(Clone, Debug)]
pub struct Choices {
    strings: HashSet<String>,
    others: Vec<Value>,
}

impl Choices {
    fn new(values: Vec<Value>) -> Self {
        let mut choices = Self { strings: HashSet::new(), others: Vec::new() };
        for value in values {
            match value {
                Value::String(text) => drop(choices.strings.insert(text)),
                other => choices.others.push(other),
            }
        }
        choices
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.strings.len() + self.others.len()
    }

    /// The strings.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.strings.iter().map(String::as_str)
    }

    /// All of them, the strings in their order.
    pub(super) fn values(&self) -> Vec<Value> {
        let mut strings: Vec<&str> = self.texts().collect();
        strings.sort_unstable();
        strings.into_iter().map(Value::from).chain(self.others.iter().cloned()).collect()
    }

    fn hold(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.strings.contains(text),
            other => self.others.iter().any(|choice| equal(choice, other)),
        }
    }
}

impl Filter {
    /// The filter everything passes.
    #[must_use]
    pub fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// Parses a query.
    pub fn parse(query: &Value) -> Result<Self, Error> {
        let query = query.as_object().ok_or(Error::NotAnObject)?;
        let filter = Parser::new().filter(query, 0)?;
        if filter.hides_words() {
            let needs = "to stand at the top of the query, or there in $and";
            return Err(Error::Operand { operator: "$text".into(), needs });
        }
        Ok(filter)
    }

    /// Both filters together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::All(vec![self, other])
    }

    /// A filter of one test.
    #[must_use]
    pub fn field(name: &str, test: Test) -> Self {
        Self::At(Path::parse(name), test)
    }

    /// A filter for any of the values.
    #[must_use]
    pub fn one_of(name: &str, values: Vec<Value>) -> Self {
        Self::field(name, Test::In(Choices::new(values)))
    }

    /// Whether the record passes.
    #[must_use]
    pub fn holds(&self, record: &Map<String, Value>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(record)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(record)),
            Self::Not(part) => !part.holds(record),
            Self::At(path, test) => test.holds_at(record, &path.names),
            Self::Text(_) => false,
        }
    }

    /// The same, for records of which a text index has said that they hold the words.
    pub(super) fn beside_words(&self) -> Cow<'_, Self> {
        match self {
            Self::Text(_) => Cow::Owned(Self::everything()),
            Self::All(parts) if parts.iter().any(|part| matches!(part.beside_words(), Cow::Owned(_))) => {
                Cow::Owned(Self::All(parts.iter().map(|part| part.beside_words().into_owned()).collect()))
            }
            other => Cow::Borrowed(other),
        }
    }

    /// Whether words stand where they need not hold.
    fn hides_words(&self) -> bool {
        match self {
            Self::All(parts) => parts.iter().any(Self::hides_words),
            Self::Any(parts) => parts.iter().any(Self::mentions_words),
            Self::Not(part) => part.mentions_words(),
            Self::At(_, Test::Element(element)) => {
                matches!(&**element, Element::Record(filter) if filter.mentions_words())
            }
            Self::At(..) | Self::Text(_) => false,
        }
    }

    fn mentions_words(&self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::mentions_words),
            Self::Not(part) => part.mentions_words(),
            other => other.hides_words(),
        }
    }

    /// Whether the filter looks at a field of the record.
    #[must_use]
    pub fn mentions(&self, field: &str) -> bool {
        let mut fields = BTreeSet::new();
        self.fields(&mut fields);
        fields.contains(field)
    }

    /// The fields of the record that the filter looks at.
    pub(super) fn fields(&self, into: &mut BTreeSet<String>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.fields(into)),
            Self::Not(part) => part.fields(into),
            Self::At(path, _) => drop(into.insert(path.field().to_owned())),
            Self::Text(_) => {}
        }
    }
}

impl Test {
    fn holds_at(&self, record: &Map<String, Value>, path: &[String]) -> bool {
        let mut held = false;
        let mut judge = |value: Option<&Value>| {
            held = held || self.holds(value);
            held
        };
        lead(record, path, &mut judge);
        match self {
            // A field is absent when no way leads to it.
            Self::Exists(false) => !Self::Exists(true).holds_at(record, path),
            _ => held,
        }
    }

    /// Whether the value a path led to passes; `None` where the path led nowhere.
    fn holds(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::Exists(wanted), value) => value.is_some() == *wanted,
            (Self::Element(element), Some(Value::Array(items))) => items.iter().any(|item| element.holds(item)),
            (Self::Element(_), _) => false,
            (test, None) => test.holds_for(&Value::Null),
            (test, Some(value)) => {
                test.holds_for(value) || value.as_array().is_some_and(|items| items.iter().any(|i| test.holds_for(i)))
            }
        }
    }

    fn holds_for(&self, value: &Value) -> bool {
        match self {
            Self::Eq(wanted) => equal(wanted, value),
            Self::Compare(comparison, bound) => compare(value, bound).is_some_and(|order| comparison.holds(order)),
            Self::In(choices) => choices.hold(value),
            Self::Regex(pattern) => value.as_str().is_some_and(|text| pattern.regex.is_match(text)),
            Self::Exists(wanted) => *wanted,
            Self::Element(_) => self.holds(Some(value)),
        }
    }
}

impl Element {
    /// Whether the elements themselves are tested, not what is in them.
    pub(super) fn is_of_values(&self) -> bool {
        matches!(self, Self::Value(_))
    }

    fn holds(&self, item: &Value) -> bool {
        match (self, item) {
            (Self::Record(filter), Value::Object(fields)) => filter.holds(fields),
            (Self::Record(_), _) => false,
            (Self::Value(tests), item) => tests.iter().all(|(negated, test)| test.holds(Some(item)) != *negated),
        }
    }
}

/// Follows a path, also through arrays, and shows each value at its end to `judge` until that is content.
fn lead(map: &Map<String, Value>, path: &[String], judge: &mut dyn FnMut(Option<&Value>) -> bool) -> bool {
    match map.get(&path[0]) {
        Some(value) if path.len() == 1 => judge(Some(value)),
        Some(value) => lead_into(value, &path[1..], judge),
        None => judge(None),
    }
}

fn lead_into(value: &Value, path: &[String], judge: &mut dyn FnMut(Option<&Value>) -> bool) -> bool {
    match value {
        Value::Object(map) => lead(map, path, judge),
        Value::Array(items) => {
            let mut led = false;
            if let Some(item) = path[0].parse::<usize>().ok().and_then(|index| items.get(index)) {
                led = true;
                let content = if path.len() == 1 { judge(Some(item)) } else { lead_into(item, &path[1..], judge) };
                if content {
                    return true;
                }
            }
            for map in items.iter().filter_map(Value::as_object) {
                led = true;
                if lead(map, path, judge) {
                    return true;
                }
            }
            !led && judge(None)
        }
        _ => judge(None),
    }
}

/// Whether two values are the same; 1 and 1.0 are.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => compare(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// The order of two values of the same kind.
pub(super) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => numbers(x, y),
        (Value::String(x), Value::String(y)) => Some(x.cmp(y)),
        (Value::Bool(x), Value::Bool(y)) => Some(x.cmp(y)),
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        _ => None,
    }
}

/// The order of two numbers, exactly, as SQLite has it: what is beyond 64 bits is a float.
fn numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (Some(a), None) => Some(whole_and_float(a, b.as_f64()?)),
        (None, Some(b)) => Some(whole_and_float(b, a.as_f64()?).reverse()),
        (None, None) => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn whole_and_float(whole: i64, float: f64) -> Ordering {
    // The cast keeps what is beyond 128 bits on its side.
    let behind = if float > float.floor() { Ordering::Less } else { Ordering::Equal };
    i128::from(whole).cmp(&(float.floor() as i128)).then(behind)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn holds(query: Value, record: Value) -> bool {
        Filter::parse(&query).unwrap().holds(record.as_object().unwrap())
    }

    #[test]
    fn paths_lead_through_arrays() {
        let order = json!({"lines": [{"item": "tea", "n": 2}, {"item": "cup"}], "tags": ["hot", "red"]});
        assert!(holds(json!({"lines.item": "cup"}), order.clone()));
        assert!(holds(json!({"lines.0.item": "tea"}), order.clone()));
        assert!(!holds(json!({"lines.1.item": "tea"}), order.clone()));
        assert!(holds(json!({"tags": "red"}), order.clone()));
        assert!(holds(json!({"tags": ["hot", "red"]}), order.clone()));
        assert!(holds(json!({"tags.1": {"$regex": "^R", "$options": "i"}}), order.clone()));
        assert!(holds(json!({"lines": {"$elemMatch": {"item": "tea", "n": {"$gte": 2}}}}), order.clone()));
        assert!(!holds(json!({"lines": {"$elemMatch": {"item": "cup", "n": {"$gte": 2}}}}), order.clone()));
        assert!(holds(json!({"tags": {"$elemMatch": {"$gt": "h", "$lt": "i"}}}), order));
    }

    #[test]
    fn absence_equals_null_and_negation_includes_it() {
        assert!(holds(json!({"a": null}), json!({})));
        assert!(holds(json!({"a": {"$ne": 1}}), json!({})));
        assert!(holds(json!({"a": {"$nin": [1]}}), json!({"a": 2})));
        assert!(holds(json!({"a": {"$not": {"$gt": 1}}}), json!({"a": "x"})));
        assert!(holds(json!({"a": {"$exists": true}}), json!({"a": null})));
        assert!(holds(json!({"a.b": {"$exists": false}}), json!({"a": 3})));
        assert!(!holds(json!({"a.b": {"$exists": false}}), json!({"a": [{}, {"b": 1}]})));
    }

    #[test]
    fn kinds_do_not_mix() {
        assert!(!holds(json!({"a": {"$gt": 1}}), json!({"a": "2"})));
        assert!(!holds(json!({"a": 1}), json!({"a": true})));
        assert!(holds(json!({"a": 1}), json!({"a": 1.0})));
        let (large, next) = (9_007_199_254_740_992_i64, 9_007_199_254_740_993_i64);
        assert!(holds(json!({"a": large}), json!({"a": large as f64})));
        assert!(!holds(json!({"a": next}), json!({"a": large as f64})), "though it is the same float");
        assert!(
            holds(json!({"a": {"$gt": -1.5}}), json!({"a": -1}))
                && holds(json!({"a": {"$lt": 1e300}}), json!({"a": 1}))
        );
        assert!(holds(json!({"a": {"$in": [1, "x"]}}), json!({"a": "x"})));
    }

    #[test]
    fn what_runs_code_or_is_unknown_is_refused() {
        for query in [
            json!({"$where": "1"}),
            json!({"$expr": {}}),
            json!({"a": {"$function": {}}}),
            json!({"a": {"$accumulator": {}}}),
            json!({"a": {"$near": 1}}),
            json!({"a": {"$not": {"$where": "1"}}}),
            json!({"a": {"$elemMatch": {"$where": "1"}}}),
            json!({"a": {"$elemMatch": {"$or": [{"$where": "1"}]}}}),
        ] {
            assert!(matches!(Filter::parse(&query), Err(Error::Operator(_))), "{query}");
        }
        for query in [json!({"$or": []}), json!({"a": {"$in": 3}}), json!({"a": {"$gt": 1, "b": 2}}), json!([])] {
            assert!(Filter::parse(&query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_query_is_bounded() {
        let mut deep = json!({"a": 1});
        for _ in 0..40 {
            deep = json!({"$and": [deep]});
        }
        assert!(matches!(Filter::parse(&deep), Err(Error::TooLarge(_))));
        let wide: Vec<Value> = (0..600).map(|n| json!({"a": n})).collect();
        assert!(matches!(Filter::parse(&json!({"$or": wide})), Err(Error::TooLarge(_))));
        assert!(matches!(Filter::parse(&json!({"a": {"$regex": "(a{1000}){1000}"}})), Err(Error::Regex { .. })));
        assert!(matches!(Filter::parse(&json!({"a": {"$regex": "x".repeat(1001)}})), Err(Error::Regex { .. })));
        assert!(matches!(Filter::parse(&json!({"a": {"$regex": "("}})), Err(Error::Regex { .. })));
    }
}
