//! Which bytes a request wants: `Range`, `If-Range` and `If-None-Match` (RFC 9110), one range at a time.

use std::ops::Range;

use axum::http::{HeaderMap, header};

/// What to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Nothing: the caller has it.
    Unchanged,
    /// Nothing: there are no such bytes.
    Beyond,
}

/// Reads what is wanted of something with this length and this tag. What cannot be read counts as not said.
pub(super) fn wanted(headers: &HeaderMap, len: u64, etag: &str) -> Wanted {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    if text(header::IF_NONE_MATCH)
        .is_some_and(|tags| tags.split(',').any(|tag| matches!(tag.trim(), "*") || tag.trim() == etag))
    {
        return Wanted::Unchanged;
    }
    let still = text(header::IF_RANGE).is_none_or(|tag| tag.trim() == etag);
    match text(header::RANGE).and_then(|range| range.trim().strip_prefix("bytes=")) {
        Some(range) if still => part(range, len),
        _ => Wanted::Whole,
    }
}

fn part(range: &str, len: u64) -> Wanted {
    let Some((from, to)) = range.split_once('-') else { return Wanted::Whole };
    let number = |text: &str| text.parse::<u64>().ok();
    let part = match (from.trim(), to.trim()) {
        ("", last) => number(last).map(|last| len.saturating_sub(last)..len),
        (from, "") => number(from).map(|from| from..len),
        (from, to) => number(from)
            .zip(number(to))
            .filter(|(from, to)| from <= to)
            .map(|(from, to)| from..to.saturating_add(1).min(len)),
    };
    match part {
        None => Wanted::Whole,
        Some(part) if part.start >= len || part.is_empty() => Wanted::Beyond,
        Some(part) => Wanted::Part(part),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(pairs: &[(header::HeaderName, &str)]) -> Wanted {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        wanted(&headers, 100, "\"t\"")
    }

    #[test]
    fn ranges_are_read_as_browsers_write_them() {
        assert_eq!(of(&[]), Wanted::Whole);
        assert_eq!(of(&[(header::RANGE, "bytes=0-9")]), Wanted::Part(0..10));
        assert_eq!(of(&[(header::RANGE, "bytes=90-")]), Wanted::Part(90..100));
        assert_eq!(of(&[(header::RANGE, "bytes=-5")]), Wanted::Part(95..100));
        assert_eq!(of(&[(header::RANGE, "bytes=90-5000")]), Wanted::Part(90..100));
        assert_eq!(of(&[(header::RANGE, "bytes=100-")]), Wanted::Beyond);
        assert_eq!(of(&[(header::RANGE, "bytes=5-1")]), Wanted::Whole);
        assert_eq!(of(&[(header::RANGE, "bytes=0-1,5-6")]), Wanted::Whole);
        assert_eq!(of(&[(header::RANGE, "lines=0-1")]), Wanted::Whole);
    }

    #[test]
    fn a_changed_archive_is_not_continued() {
        assert_eq!(of(&[(header::RANGE, "bytes=50-"), (header::IF_RANGE, "\"t\"")]), Wanted::Part(50..100));
        assert_eq!(of(&[(header::RANGE, "bytes=50-"), (header::IF_RANGE, "\"u\"")]), Wanted::Whole);
        assert_eq!(of(&[(header::IF_NONE_MATCH, "\"t\"")]), Wanted::Unchanged);
    }
}
