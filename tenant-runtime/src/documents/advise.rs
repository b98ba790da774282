//! Which index would spare a search its work, and noticing that the same one is missed again and again.
//!
//! An app whose maker declared no index is slow for its owner, who can do nothing about it. So an index that three
//! searches would have needed is made, once, a few for each table. What was noticed is kept in memory only: it is
//! noticed again.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::narrow::Musts;
use super::query::{Filter, Test};
use super::search::Key;
use super::{Index, TableName, index};

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

/// The index that would serve a search: equal fields first, then the order or a range.
pub(super) fn suggest(filter: &Filter, sort: &[Key]) -> Option<Index> {
    let musts = Musts::of(filter);
    let (mut equal, mut ranges, mut elements, mut patterns) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (path, test) in musts.paths() {
        match test {
            Test::Eq(_) | Test::In(_) => equal.push(path),
            Test::Compare(..) => ranges.push(path),
            Test::Regex(pattern) if pattern.beginning.is_some() => ranges.push(path),
            Test::Regex(_) => patterns.push(path),
            Test::Element(element) if element.is_of_values() => elements.push(path),
            Test::Exists(_) | Test::Element(_) => {}
        }
    }
    equal.truncate(2);
    let last = match sort {
        [key] => Some(key.path.as_str()),
        _ => ranges.first().copied(),
    };
    let mut paths = equal;
    paths.extend(last);
    paths.retain(|path| index::is_indexable(path));
    paths.dedup();
    let each = || elements.iter().find(|path| index::is_indexable(path)).map(|path| Index::Each((*path).to_owned()));
    Index::over(&paths).or_else(each).or_else(|| match Index::over(patterns.get(..1)?)? {
        Index::Fields(paths) | Index::Text(paths) => Some(Index::Text(paths)),
        Index::Each(_) => None,
    })
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
