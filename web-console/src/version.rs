//! Versions of apps, as far as they can be compared: numbers with dots between them, as most makers write them.

use std::cmp::Ordering;

/// Which of two is the later one; nothing where one of them is no such number, or they are the same in other words.
pub(crate) fn compare(a: &str, b: &str) -> Option<Ordering> {
    if a == b {
        return Some(Ordering::Equal);
    }
    let (a, b) = (numbers(a)?, numbers(b)?);
    let longest = a.len().max(b.len());
    let at = |numbers: &[u64], at: usize| numbers.get(at).copied().unwrap_or(0);
    Some((0..longest).map(|nth| at(&a, nth).cmp(&at(&b, nth))).find(|order| order.is_ne()).unwrap_or(Ordering::Equal))
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    let version = version.trim().trim_start_matches(['v', 'V']);
    version.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers_and_the_rest_is_left_alone() {
        let all = [("1.2", "1.10"), ("v2", "1.9.9"), ("1.0", "1"), ("2.0-beta", "2.0"), ("new", "new"), ("", "1")];
        let got = all.map(|(a, b)| compare(a, b));
        let (less, greater, equal) = (Some(Ordering::Less), Some(Ordering::Greater), Some(Ordering::Equal));
        assert_eq!(got, [less, greater, equal, None, equal, None]);
    }
}
