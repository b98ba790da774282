//! The order of records: by any fields, and the newest first where these are equal.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::query;
use super::search::Key;

/// A record on its way into the answer. The least candidate comes first in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) keys: Vec<Part>,
    pub(super) modified: i64,
    pub(super) n: i64,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) value: Value,
    pub(super) descending: bool,
}

impl Part {
    pub(super) fn of(key: &Key, fields: &Map<String, Value>) -> Self {
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
