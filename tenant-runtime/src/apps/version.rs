//! Which of two versions is the newer one.
//!
//! Makers write versions as they like. Numbers between dots are compared as numbers, a version with letters behind a
//! hyphen comes before the one without (`1.2.0-beta` before `1.2.0`), and everything else by its letters.

use std::cmp::Ordering;

/// Compares two versions.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let split = |version: &str| {
        let version = version.trim().trim_start_matches(['v', 'V']);
        let version = version.split('+').next().unwrap_or_default();
        let (main, before) = version.split_once('-').map_or((version, None), |(main, before)| (main, Some(before)));
        (main.to_owned(), before.map(str::to_owned))
    };
    let ((main_a, before_a), (main_b, before_b)) = (split(a), split(b));
    parts(&main_a, &main_b).then_with(|| match (&before_a, &before_b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => parts(a, b),
    })
}

fn parts(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let (one, other) = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (one, other) => (one.unwrap_or("0"), other.unwrap_or("0")),
        };
        let order = match (one.parse::<u64>(), other.parse::<u64>()) {
            (Ok(one), Ok(other)) => one.cmp(&other),
            _ => one.cmp(other),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_put_in_the_order_people_mean() {
        let rising = ["0.9", "1.0.0-alpha.2", "1.0.0-alpha.10", "1.0.0-beta", "1.0.0", "1.2", "1.10", "2", "2.0.1"];
        for (n, low) in rising.iter().enumerate() {
            for high in &rising[n + 1..] {
                assert_eq!(compare(low, high), Ordering::Less, "{low} {high}");
                assert_eq!(compare(high, low), Ordering::Greater, "{high} {low}");
            }
        }
        assert_eq!(compare("v1.2", "1.2.0"), Ordering::Equal);
        assert_eq!(compare("1.0+build5", "1.0"), Ordering::Equal);
    }
}
