//! A place in an order, from which the next page begins.
//!
//! It is the place of the last record that was shown, not of the record itself: that one may be gone or changed by the time
//! the next page is asked for. Who keeps the order's fields unchanged is met exactly once.

use rusqlite::types::Value as Sql;
use serde_json::Value;

use super::index::{ARRAY, BOOL, NOTHING, NUMBER, OBJECT, STRING};

/// A place in an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// The values of the fields sorted by.
    pub keys: Vec<Value>,
    /// The first of them as SQLite reads it, where that is a number with a fraction or beyond all integers: the last digit may
    /// be another.
    pub real: Option<f64>,
    /// The date of the last change.
    pub modified: i64,
    /// The record's number in its table.
    pub n: i64,
    /// The index that led there, by its number; it must still be there.
    pub index: Option<i64>,
}

impl Position {
    /// The id, where records are ordered by it.
    pub(super) fn id(&self) -> &str {
        self.keys.first().and_then(Value::as_str).unwrap_or_default()
    }

    /// The kind and the value of the first key, as indexes have them.
    pub(super) fn sql(&self) -> (i64, Option<Sql>) {
        match self.keys.first().unwrap_or(&Value::Null) {
            Value::Null => (NOTHING, None),
            Value::Bool(truth) => (BOOL, Some(Sql::Integer((*truth).into()))),
            Value::Number(number) => {
                let real = || Sql::Real(self.real.or(number.as_f64()).unwrap_or_default());
                (NUMBER, Some(number.as_i64().map_or_else(real, Sql::Integer)))
            }
            Value::String(text) => (STRING, Some(Sql::Text(text.clone()))),
            Value::Object(_) => (OBJECT, None),
            Value::Array(_) => (ARRAY, None),
        }
    }
}
