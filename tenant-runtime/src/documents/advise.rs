//! Noticing that the same index is missed again and again.
//!
//! An app whose maker declared no index is slow for its owner, who can do nothing about it. So an index that three
//! searches would have needed is made, once, a few for each table. What was noticed is kept in memory only: it is
//! noticed again.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::{Index, TableName};

/// How often an index must be missed.
const TIMES: u32 = 3;
/// How many different ones are remembered.
const REMEMBERED: usize = 256;

/// What was missed so far.
#[derive(Debug, Default)]
pub struct Advisor {
    missed: Mutex<HashMap<(TableName, Index), u32>>,
}

impl Advisor {
    /// Notes that a search missed an index; true when it is time to make it.
    #[must_use]
    pub fn miss(&self, table: &TableName, index: &Index) -> bool {
        let mut missed = self.missed.lock();
        if missed.len() >= REMEMBERED {
            missed.clear();
        }
        let times = missed.entry((table.clone(), index.clone())).or_default();
        *times = times.saturating_add(1);
        // Once: if it cannot be made, trying at every search would only add to the work.
        *times == TIMES
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_index_is_made_when_it_is_missed_the_third_time_and_never_again() {
        let advisor = Advisor::default();
        let table = TableName::new(&"com.example.notes".parse().unwrap(), "").unwrap();
        let (one, other) = ("a".parse().unwrap(), "b".parse().unwrap());
        let said: Vec<bool> = (0..5).map(|_| advisor.miss(&table, &one)).collect();
        assert_eq!(said, [false, false, true, false, false]);
        assert!(!advisor.miss(&table, &other));
    }
}
