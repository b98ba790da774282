//! Which part of an index must be looked at for a field's tests.
//!
//! What is made here is *necessary*: it may be generous, and it must never leave out a record that the filter would take.
//! Often it is *sufficient* too, for a record that stands there by a value that is no array: then the tests it [`Answered`]
//! need not be asked of the record again, and where these are all there are, no record is read to be judged. Only tests that
//! must hold for the whole filter to hold are looked at.
//!
//! The [`Span`]s of a field never overlap, so no record is met twice. Arrays are apart from them: a record whose value is
//! an array may pass by one of its elements, whatever the test. In an index over elements the elements stand in the spans,
//! so there one bound is all that is certain: `{"$gt": 1, "$lt": 5}` holds for `[0, 9]`.

use rusqlite::types::Value as Sql;
use serde_json::Value;

use super::index::{BOOL, NOTHING, NUMBER, OBJECT, STRING};
use super::query::{Comparison, Element, Filter, Pattern, Test};
use super::text::Words;

/// Up to how many values of an `$in` are looked up one by one.
const LOOKUPS: usize = 500;

/// Whole numbers beyond this are not the same in SQLite and in JSON readers that use floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The tests that must hold.
#[derive(Default)]
pub(super) struct Musts<'a> {
    tests: Vec<(&'a str, &'a Test)>,
    pub(super) words: Vec<&'a Words>,
    /// Whether the filter has something beside these.
    more: bool,
}

/// Which tests of a filter hold for all that was found, by their places among the [`Musts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answered(u64);

impl Answered {
    fn one(place: usize) -> Self {
        Self(u32::try_from(place).ok().and_then(|place| 1_u64.checked_shl(place)).unwrap_or(0))
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
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

    /// Whether it is one value, or a kind that has but one.
    pub(super) fn is_point(&self) -> bool {
        matches!(self.bounds.as_slice(), [("=", _)]) || self.kind == NOTHING
    }
}

/// The spans of a field that its tests allow, and which of the tests that settles.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Narrowed {
    pub(super) spans: Vec<Span>,
    pub(super) answered: Answered,
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
            Filter::At(path, test) => self.tests.push((path.as_str(), test)),
            Filter::Text(words) => self.words.push(words),
            Filter::Any(_) | Filter::Not(_) => self.more = true,
        }
    }

    /// Whether a record of which these tests hold need not be judged.
    pub(super) fn are_all(&self, answered: Answered) -> bool {
        let all = (0..self.tests.len()).fold(Answered::default(), |all, place| all.and(Answered::one(place)));
        !self.more && self.tests.len() <= 64 && answered == all
    }

    /// The tests at one path, with their places.
    pub(super) fn at<'b>(&'b self, path: &'b str) -> impl Iterator<Item = (Answered, &'a Test)> + 'b {
        let all = self.tests.iter().enumerate().filter(move |(_, (at, _))| *at == path);
        all.map(|(place, (_, test))| (Answered::one(place), *test))
    }

    /// All paths with tests, in the order of the filter.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&'a str, &'a Test)> + '_ {
        self.tests.iter().copied()
    }

    /// The spans that the tests at a path allow, beside arrays; none when they allow everything.
    pub(super) fn spans(&self, path: &str) -> Option<Narrowed> {
        let inside = || {
            let any = self.at(path).any(|(_, test)| matches!(test, Test::Element(_)));
            any.then(|| Narrowed { spans: Vec::new(), answered: Answered::default() })
        };
        self.exactly(path).or_else(inside).or_else(|| range(self.at(path)))
    }

    /// The spans that the tests at a path allow of an array's elements, and of what is no array.
    pub(super) fn spans_of_elements(&self, path: &str) -> Option<Narrowed> {
        let holds_whole_arrays = |test: &Test| match test {
            Test::Eq(value) => value.is_array(),
            Test::In(choices) => choices.values().iter().any(Value::is_array),
            _ => false,
        };
        if self.at(path).any(|(_, test)| holds_whole_arrays(test)) {
            return None;
        }
        let element = || {
            self.at(path).find_map(|(_, test)| match test {
                Test::Element(element) => match &**element {
                    Element::Value(tests) => of_element(tests),
                    Element::Record(_) => None,
                },
                _ => None,
            })
        };
        let one_bound = || self.at(path).find_map(|test| range(std::iter::once(test)));
        self.exactly(path).or_else(element).or_else(one_bound)
    }

    fn exactly(&self, path: &str) -> Option<Narrowed> {
        let equal = self.at(path).find_map(|(place, test)| match test {
            Test::Eq(value) => points([value], place),
            _ => None,
        });
        let listed = || {
            self.at(path).find_map(|(place, test)| match test {
                Test::In(choices) if choices.len() <= LOOKUPS => points(&choices.values(), place),
                _ => None,
            })
        };
        equal.or_else(listed)
    }
}

/// The spans in which an element stands that passes all of the tests.
fn of_element(tests: &[(bool, Test)]) -> Option<Narrowed> {
    let tests = || tests.iter().filter(|(negated, _)| !negated).map(|(_, test)| (Answered::default(), test));
    let exactly = tests().find_map(|(place, test)| match test {
        Test::Eq(value) if !value.is_array() => points([value], place),
        Test::In(choices) if choices.len() <= LOOKUPS && !choices.values().iter().any(Value::is_array) => {
            points(&choices.values(), place)
        }
        _ => None,
    });
    exactly.or_else(|| range(tests()))
}

/// One span for each value; none when one of them cannot be looked up.
fn points<'a>(values: impl IntoIterator<Item = &'a Value>, place: Answered) -> Option<Narrowed> {
    let (mut spans, mut answered): (Vec<Span>, _) = (Vec::new(), place);
    for value in values {
        let span = match value {
            Value::Null => Span { kind: NOTHING, bounds: Vec::new() },
            Value::Object(_) => {
                answered = Answered::default();
                Span { kind: OBJECT, bounds: Vec::new() }
            }
            // It lies where arrays lie.
            Value::Array(_) => continue,
            scalar => match self::scalar(scalar)? {
                (kind, Sql::Real(real)) => {
                    answered = Answered::default();
                    let [from, to] = around(real);
                    Span { kind, bounds: vec![(">=", Sql::Real(from)), ("<=", Sql::Real(to))] }
                }
                (kind, value) => Span::point(kind, value),
            },
        };
        if spans.contains(&span) {
            continue;
        }
        if spans.iter().any(|known| overlap(known, &span)) {
            return None;
        }
        spans.push(span);
    }
    Some(Narrowed { spans, answered })
}

/// Whether a number can lie in both.
fn overlap(a: &Span, b: &Span) -> bool {
    let ends = |span: &Span| match span.bounds.as_slice() {
        [(_, Sql::Integer(whole))] if span.kind == NUMBER => Some([*whole as f64; 2]),
        [(_, Sql::Real(from)), (_, Sql::Real(to))] => Some([*from, *to]),
        _ => None,
    };
    matches!((ends(a), ends(b)), (Some([a_from, a_to]), Some([b_from, b_to])) if a_from <= b_to && b_from <= a_to)
}

/// What SQLite may read for a number with a fraction, and what the filter may: their last digits need not be the same.
fn around(real: f64) -> [f64; 2] {
    let slack = real.abs() * f64::EPSILON * 4.0;
    [real - slack, real + slack]
}

fn range<'a>(tests: impl Iterator<Item = (Answered, &'a Test)>) -> Option<Narrowed> {
    let mut narrowed: Option<(Span, Answered)> = None;
    for (place, test) in tests {
        let (kind, bounds, settled) = match test {
            Test::Compare(comparison, bound) => match scalar(bound) {
                Some((kind, Sql::Real(real))) => {
                    let [from, to] = around(real);
                    let (operator, bound) = match comparison {
                        Comparison::Greater | Comparison::GreaterOrEqual => (">=", from),
                        Comparison::Less | Comparison::LessOrEqual => ("<=", to),
                    };
                    (kind, vec![(operator, Sql::Real(bound))], false)
                }
                Some((kind, bound)) => (kind, vec![(symbol(*comparison), bound)], true),
                None => continue,
            },
            Test::Regex(Pattern { beginning: Some(beginning), .. }) => {
                let mut bounds = vec![(">=", Sql::Text(beginning.text.clone()))];
                bounds.extend(after_all(&beginning.text).map(|end| ("<", Sql::Text(end))));
                (STRING, bounds, beginning.is_all)
            }
            _ => continue,
        };
        let (span, answered) = narrowed.get_or_insert_with(|| (Span { kind, bounds: Vec::new() }, Answered::default()));
        // Bounds of two kinds can only be met by an array.
        if span.kind == kind {
            span.bounds.extend(bounds);
            if settled {
                *answered = answered.and(place);
            }
        }
    }
    narrowed.map(|(span, answered)| Narrowed { spans: vec![span], answered })
}

/// The least text that comes after every text with this beginning.
fn after_all(beginning: &str) -> Option<String> {
    let mut text = beginning.to_owned();
    while let Some(last) = text.pop() {
        // Between these two lie the surrogates, which are no characters.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
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
    Some(if number.fract() == 0.0 { Sql::Integer(number as i64) } else { Sql::Real(number) })
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

    fn narrowed(query: Value) -> Option<(Vec<Span>, bool)> {
        let filter = Filter::parse(&query).unwrap();
        let musts = Musts::of(&filter);
        musts.spans("a").map(|narrowed| (narrowed.spans, musts.are_all(narrowed.answered)))
    }

    fn spans(query: Value) -> Option<Vec<Span>> {
        narrowed(query).map(|(spans, _)| spans)
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
        assert_eq!(spans(json!({"a": {"$in": [0.5, 1.5, 2, 2.0]}})).unwrap().len(), 3);
        assert_eq!(spans(json!({"a": {"$in": [0.1, 0.100_000_000_000_000_02]}})), None);
    }

    #[test]
    fn it_is_known_when_nothing_is_left_to_judge() {
        let settled = |query: Value| narrowed(query).unwrap().1;
        for query in [
            json!({"a": "x"}),
            json!({"a": null}),
            json!({"a": {"$gt": 1, "$lte": 5}}),
            json!({"a": {"$in": ["x", 1]}}),
            json!({"a": {"$regex": "^ab\\."}}),
        ] {
            assert!(settled(query.clone()), "{query}");
        }
        for query in [
            json!({"a": 0.5}),
            json!({"a": {"$gt": 0.5}}),
            json!({"a": "x", "b": 1}),
            json!({"a": {}}),
            json!({"a": {"$gt": 1, "$lt": "x"}}),
            json!({"a": "x", "$or": [{"b": 1}]}),
            json!({"a": {"$regex": "^ab."}}),
            json!({"a": {"$elemMatch": {"$gt": 1}}}),
        ] {
            assert!(!settled(query.clone()), "{query}");
        }
    }

    #[test]
    fn a_beginning_is_a_span() {
        let span = |pattern: &str| spans(json!({"a": {"$regex": pattern}}));
        let between = |from: &str, to: &str| {
            let bounds = vec![(">=", Sql::Text(from.into())), ("<", Sql::Text(to.into()))];
            Some(vec![Span { kind: STRING, bounds }])
        };
        assert_eq!(span("^abc"), between("abc", "abd"));
        assert_eq!(span("^abc*d"), between("ab", "ac"));
        assert_eq!(span("^a\\.b[x]"), between("a.b", "a.c"));
        assert_eq!(span("^\u{d7ff}"), between("\u{d7ff}", "\u{e000}"));
        assert_eq!(span("^a\u{10ffff}"), between("a\u{10ffff}", "b"));
        for anywhere in ["abc", "^", "^a|b", "^a?", "^.a", "(?i)^a", "^\\d", "^[a]"] {
            assert_eq!(span(anywhere), None, "{anywhere}");
        }
        assert_eq!(spans(json!({"a": {"$regex": "^a", "$options": "i"}})), None);
    }
}
