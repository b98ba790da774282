//! From JSON to a filter, within bounds.

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::super::text::Words;
use super::{Beginning, Choices, Comparison, Element, Error, Filter, Path, Pattern, Test};

/// How deep a query may nest.
const DEPTH_LIMIT: usize = 24;
/// How many tests a query may hold.
const TESTS_LIMIT: usize = 500;
/// How many values one `$in` may list.
const LIST_LIMIT: usize = 10_000;
/// How long a regular expression may be.
const REGEX_LIMIT: usize = 1_000;

/// How much a query may still hold.
pub(super) struct Parser {
    left: usize,
}

impl Parser {
    pub(super) fn new() -> Self {
        Self { left: TESTS_LIMIT }
    }

    pub(super) fn filter(&mut self, query: &Map<String, Value>, depth: usize) -> Result<Filter, Error> {
        if depth > DEPTH_LIMIT {
            return Err(Error::TooLarge("it nests too deeply"));
        }
        let mut parts = Vec::with_capacity(query.len());
        for (key, value) in query {
            parts.push(match key.as_str() {
                "$and" => Filter::All(self.filters(key, value, depth)?),
                "$or" => Filter::Any(self.filters(key, value, depth)?),
                "$nor" => Filter::Not(Box::new(Filter::Any(self.filters(key, value, depth)?))),
                "$text" => {
                    self.take(1)?;
                    Filter::Text(words(value)?)
                }
                operator if operator.starts_with('$') => return Err(Error::Operator(operator.to_owned())),
                path => self.at(Path::parse(path), value, depth)?,
            });
        }
        Ok(Filter::All(parts))
    }

    fn filters(&mut self, operator: &str, value: &Value, depth: usize) -> Result<Vec<Filter>, Error> {
        let needs = || Error::Operand { operator: operator.to_owned(), needs: "a list of one or more queries" };
        let list = value.as_array().filter(|list| !list.is_empty()).ok_or_else(needs)?;
        list.iter().map(|part| self.filter(part.as_object().ok_or_else(needs)?, depth + 1)).collect()
    }

    fn at(&mut self, path: Path, value: &Value, depth: usize) -> Result<Filter, Error> {
        let mut parts = Vec::new();
        for (negated, test) in self.tests(value, depth)? {
            let at = Filter::At(path.clone(), test);
            parts.push(if negated { Filter::Not(Box::new(at)) } else { at });
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => Filter::All(parts),
        })
    }

    /// The tests a field's value in a query stands for, each with whether it is negated.
    fn tests(&mut self, value: &Value, depth: usize) -> Result<Vec<(bool, Test)>, Error> {
        let operators = match value.as_object() {
            Some(map) if map.keys().any(|key| key.starts_with('$')) => map,
            _ => return self.take(1).map(|()| vec![(false, Test::Eq(value.clone()))]),
        };
        let mut tests = Vec::with_capacity(operators.len());
        for (operator, operand) in operators {
            self.take(1)?;
            let needs = |needs| Error::Operand { operator: operator.clone(), needs };
            let compared = |comparison| (false, Test::Compare(comparison, operand.clone()));
            tests.push(match operator.as_str() {
                "$eq" => (false, Test::Eq(operand.clone())),
                "$ne" => (true, Test::Eq(operand.clone())),
                "$gt" => compared(Comparison::Greater),
                "$gte" => compared(Comparison::GreaterOrEqual),
                "$lt" => compared(Comparison::Less),
                "$lte" => compared(Comparison::LessOrEqual),
                "$in" | "$nin" => {
                    let list = operand.as_array().ok_or_else(|| needs("a list of values"))?;
                    if list.len() > LIST_LIMIT {
                        return Err(Error::TooLarge("a list holds more than 10,000 values"));
                    }
                    (operator == "$nin", Test::In(Choices::new(list.clone())))
                }
                "$exists" => (false, Test::Exists(truth(operand).ok_or_else(|| needs("true or false"))?)),
                "$regex" => (false, Test::Regex(regex(operand, operators.get("$options"))?)),
                "$options" if operators.contains_key("$regex") => continue,
                "$not" => {
                    tests.push((true, self.negated(operand, depth)?));
                    continue;
                }
                "$elemMatch" => {
                    let element = operand.as_object().ok_or_else(|| needs("a query"))?;
                    (false, Test::Element(Box::new(self.element(element, depth)?)))
                }
                other => return Err(Error::Operator(other.to_owned())),
            });
        }
        Ok(tests)
    }

    /// What stands under `$not`: exactly one test, itself not negated.
    fn negated(&mut self, operand: &Value, depth: usize) -> Result<Test, Error> {
        let needs = || Error::Operand { operator: "$not".into(), needs: "an object with one operator" };
        let object = operand.as_object().filter(|map| map.keys().all(|key| key.starts_with('$'))).ok_or_else(needs)?;
        if depth > DEPTH_LIMIT {
            return Err(Error::TooLarge("it nests too deeply"));
        }
        let mut tests = self.tests(&Value::Object(object.clone()), depth + 1)?;
        match (tests.pop(), tests.is_empty()) {
            (Some((false, test)), true) => Ok(test),
            _ => Err(needs()),
        }
    }

    fn element(&mut self, element: &Map<String, Value>, depth: usize) -> Result<Element, Error> {
        let of_values =
            element.keys().any(|key| key.starts_with('$') && !matches!(key.as_str(), "$and" | "$or" | "$nor"));
        if of_values {
            if depth > DEPTH_LIMIT {
                return Err(Error::TooLarge("it nests too deeply"));
            }
            self.tests(&Value::Object(element.clone()), depth + 1).map(Element::Value)
        } else {
            self.filter(element, depth + 1).map(Element::Record)
        }
    }

    fn take(&mut self, tests: usize) -> Result<(), Error> {
        self.left = self.left.checked_sub(tests).ok_or(Error::TooLarge("it holds more than 500 tests"))?;
        Ok(())
    }
}

fn words(value: &Value) -> Result<Words, Error> {
    let needs = || Error::Operand { operator: "$text".into(), needs: "an object with $search, the words to be found" };
    let operand = value.as_object().filter(|operand| operand.keys().all(|key| key == "$search")).ok_or_else(needs)?;
    Words::parse(operand.get("$search").and_then(Value::as_str).ok_or_else(needs)?)
}

fn truth(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_i64().map(|number| number != 0))
}

fn regex(pattern: &Value, options: Option<&Value>) -> Result<Pattern, Error> {
    let needs = |needs| Error::Operand { operator: "$regex".into(), needs };
    let pattern = pattern.as_str().ok_or_else(|| needs("a pattern in a string"))?;
    let options = options.map_or(Some(""), Value::as_str).ok_or_else(|| needs("$options in a string"))?;
    let refused = |reason: String| Error::Regex { pattern: pattern.chars().take(80).collect(), reason };
    if pattern.len() > REGEX_LIMIT {
        return Err(refused(format!("it is longer than {REGEX_LIMIT} characters")));
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(1 << 20).dfa_size_limit(1 << 20).nest_limit(50);
    for option in options.chars() {
        match option {
            'i' => builder.case_insensitive(true),
            'm' => builder.multi_line(true),
            's' => builder.dot_matches_new_line(true),
            'x' => builder.ignore_whitespace(true),
            'u' => builder.unicode(true),
            other => return Err(refused(format!("there is no option {other:?}"))),
        };
    }
    let regex: Regex =
        builder.build().map_err(|error| refused(error.to_string().lines().last().unwrap_or_default().to_owned()))?;
    // These change what `^` or the letters behind it mean.
    let plain = !options.contains(['i', 'm', 'x']);
    Ok(Pattern { regex, beginning: plain.then(|| beginning(pattern)).flatten() })
}

/// The letters behind a `^` that stand for themselves.
fn beginning(pattern: &str) -> Option<Beginning> {
    let rest = pattern.strip_prefix('^')?;
    if rest.contains('|') {
        return None;
    }
    let mut text = String::new();
    let mut letters = rest.chars().peekable();
    let is_all = loop {
        let Some(letter) = letters.next() else { break true };
        let letter = match letter {
            '\\' => match letters.next() {
                Some(sign) if sign.is_ascii_punctuation() && !matches!(sign, '<' | '>') => sign,
                _ => break false,
            },
            '.' | '[' | ']' | '(' | ')' | '{' | '}' | '*' | '+' | '?' | '^' | '$' => break false,
            letter => letter,
        };
        // What may be there any number of times need not be there.
        if matches!(letters.peek(), Some('*' | '+' | '?' | '{')) {
            break false;
        }
        text.push(letter);
    };
    (!text.is_empty()).then_some(Beginning { text, is_all })
}
