//! Which rows SQLite need not even read for a filter.
//!
//! The condition made here is *necessary*, never sufficient: [`Filter::holds`] still decides about every row that is
//! left. So it may be generous, and it must never leave out a row that the filter would take. It looks at `_id`, at
//! `_date_modified` and at fields with an index, and only at tests that must hold for the whole filter to hold.
//!
//! An index is over `doc ->> '$.field'`, where an array shows as its text, `[…`. A test may hold for one of an array's
//! elements, so every condition also takes the short range of the index where arrays lie.

use rusqlite::types::Value as Sql;
use serde_json::Value;

use super::query::{Choices, Comparison, Filter, Test};
use super::record::{CREATED, ID, MODIFIED};

/// Up to how many values of an `$in` are looked up one by one.
const LOOKUPS: usize = 500;

/// Whole numbers beyond this are not the same in SQLite and in JSON readers that use floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A condition in SQL with its values.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Narrow {
    conditions: Vec<String>,
    pub(super) values: Vec<Sql>,
    /// Whether an index other than that of `_date_modified` finds the rows.
    pub(super) looks_up: bool,
}

impl Narrow {
    /// The condition for `filter` on a table with `indexes`.
    pub(super) fn of(filter: &Filter, indexes: &[String]) -> Self {
        let mut narrow = Self::default();
        narrow.add(filter, indexes);
        narrow
    }

    /// ` where …`, or nothing.
    pub(super) fn clause(&self) -> String {
        match self.conditions.as_slice() {
            [] => String::new(),
            conditions => format!(" where {}", conditions.join(" and ")),
        }
    }

    fn add(&mut self, filter: &Filter, indexes: &[String]) {
        match filter {
            Filter::All(parts) => parts.iter().for_each(|part| self.add(part, indexes)),
            Filter::At(path, test) => match path.only_field() {
                Some(ID) => self.add_id(test),
                Some(MODIFIED) => self.add_date(test),
                Some(CREATED) | None => {}
                Some(field) if indexes.iter().any(|index| index == field) => self.add_indexed(field, test),
                Some(_) => {}
            },
            Filter::Any(_) | Filter::Not(_) => {}
        }
    }

    fn add_id(&mut self, test: &Test) {
        let ids: Vec<Sql> = match test {
            Test::Eq(Value::String(id)) => vec![Sql::Text(id.clone())],
            Test::In(choices) if choices.strings.len() <= LOOKUPS => {
                choices.strings.iter().map(|id| Sql::Text(id.clone())).collect()
            }
            _ => return,
        };
        self.conditions.push(format!("_id in ({})", marks(ids.len())));
        self.values.extend(ids);
        self.looks_up = true;
    }

    fn add_date(&mut self, test: &Test) {
        let (operator, date) = match test {
            Test::Eq(date) => ("=", date),
            Test::Compare(comparison, date) => (symbol(*comparison), date),
            _ => return,
        };
        if let Some(date) = exact(date) {
            self.conditions.push(format!("modified {operator} ?"));
            self.values.push(date);
        }
    }

    fn add_indexed(&mut self, field: &str, test: &Test) {
        let column = column(field);
        let (condition, values) = match test {
            Test::Eq(value) => match scalar(value) {
                Some(value) => (format!("{column} = ?"), vec![value]),
                None => return,
            },
            Test::Compare(comparison, value @ (Value::String(_) | Value::Number(_))) => match scalar(value) {
                Some(value) => (format!("{column} {} ?", symbol(*comparison)), vec![value]),
                None => return,
            },
            Test::In(choices) => match listed(choices) {
                Some(values) => (format!("{column} in ({})", marks(values.len())), values),
                None => return,
            },
            _ => return,
        };
        // '\' follows '[' in every collation of bytes, so this is where texts of arrays lie.
        self.conditions.push(format!("({condition} or ({column} >= '[' and {column} < '\\'))"));
        self.values.extend(values);
        self.looks_up = true;
    }
}

/// The expression an index on `field` is over. Only for names that [`is_indexable`].
pub(super) fn column(field: &str) -> String {
    format!("doc ->> '$.{field}'")
}

/// Whether a field's name can stand in an index expression as it is.
pub(super) fn is_indexable(field: &str) -> bool {
    let plain = field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain && !field.is_empty() && field.len() <= 64 && ![ID, CREATED, MODIFIED].contains(&field)
}

fn symbol(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
    }
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(",")
}

fn listed(choices: &Choices) -> Option<Vec<Sql>> {
    if choices.strings.len() + choices.others.len() > LOOKUPS {
        return None;
    }
    let strings = choices.strings.iter().map(|text| Some(Sql::Text(text.clone())));
    strings.chain(choices.others.iter().map(scalar)).collect()
}

/// A value that SQLite compares as we do. Booleans show as 0 and 1 under `->>`, objects and arrays as text.
fn scalar(value: &Value) -> Option<Sql> {
    match value {
        Value::String(text) => Some(Sql::Text(text.clone())),
        Value::Bool(truth) => Some(Sql::Integer((*truth).into())),
        Value::Number(_) => exact(value),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn exact(value: &Value) -> Option<Sql> {
    let number = value.as_f64().filter(|number| number.abs() < EXACT)?;
    Some(value.as_i64().map_or(Sql::Real(number), Sql::Integer))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn narrow(query: Value) -> Narrow {
        Narrow::of(&Filter::parse(&query).unwrap(), &["album".to_owned()])
    }

    #[test]
    fn only_what_must_hold_narrows() {
        assert!(narrow(json!({"$or": [{"album": "a"}, {"x": 1}]})).conditions.is_empty());
        assert!(narrow(json!({"album": {"$ne": "a"}})).conditions.is_empty());
        assert!(narrow(json!({"album": null})).conditions.is_empty());
        assert!(narrow(json!({"title": "a"})).conditions.is_empty());
        assert_eq!(narrow(json!({"$and": [{"album": "a"}], "x": 1})).values.len(), 1);
        assert_eq!(narrow(json!({"_id": {"$in": ["a", "b"]}})).clause(), " where _id in (?,?)");
        assert!(!narrow(json!({"_date_modified": {"$gt": 5}})).looks_up);
    }

    #[test]
    fn names_that_would_need_quoting_are_not_indexed() {
        assert!(is_indexable("album_2") && !is_indexable("a.b") && !is_indexable("a'b") && !is_indexable("_id"));
    }
}
