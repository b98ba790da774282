//! Which pages of a local copy are there: one bit a page, and runs of them for the note a sleeping home leaves.

use std::ops::Range;

/// Pages counted from 0. Whatever lies at or behind the limit was made here and is there by nature.
#[derive(Clone, Debug, Default)]
pub(super) struct Presence {
    words: Vec<u64>,
    limit: u32,
}

impl Presence {
    /// None of the first `limit` pages is there.
    pub(super) fn none(limit: u32) -> Self {
        Self { words: vec![0; limit.div_ceil(64) as usize], limit }
    }

    /// Exactly the pages in `runs` are there, of the first `limit`.
    pub(super) fn of(runs: &[(u32, u32)], limit: u32) -> Self {
        let mut presence = Self::none(limit);
        for (from, to) in runs {
            presence.add(*from..*to);
        }
        presence
    }

    pub(super) fn has(&self, page: u32) -> bool {
        page >= self.limit || self.words[page as usize / 64] >> (page % 64) & 1 == 1
    }

    pub(super) fn has_all(&self, mut pages: Range<u32>) -> bool {
        pages.all(|page| self.has(page))
    }

    pub(super) fn add(&mut self, pages: Range<u32>) {
        for page in pages.start..pages.end.min(self.limit) {
            self.words[page as usize / 64] |= 1 << (page % 64);
        }
    }

    pub(super) fn remove(&mut self, pages: Range<u32>) {
        for page in pages.start..pages.end.min(self.limit) {
            self.words[page as usize / 64] &= !(1 << (page % 64));
        }
    }

    /// The pages of `within` that are not there, as runs.
    pub(super) fn gaps(&self, within: Range<u32>) -> Vec<Range<u32>> {
        runs(within, |page| !self.has(page))
    }

    /// The pages of `within` that are there, as runs.
    pub(super) fn runs(&self, within: Range<u32>) -> Vec<(u32, u32)> {
        runs(within, |page| self.has(page)).into_iter().map(|run| (run.start, run.end)).collect()
    }
}

fn runs(within: Range<u32>, holds: impl Fn(u32) -> bool) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    for page in within.filter(|page| holds(*page)) {
        match runs.last_mut() {
            Some(run) if run.end == page => run.end += 1,
            _ => runs.push(page..page + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_gaps_are_each_others_rest() {
        let mut presence = Presence::none(200);
        presence.add(3..70);
        presence.add(128..129);
        presence.remove(64..66);
        assert_eq!(presence.runs(0..200), [(3, 64), (66, 70), (128, 129)]);
        assert_eq!(presence.gaps(60..131), [64..66, 70..128, 129..131]);
        assert!(presence.has_all(3..64) && !presence.has_all(3..65));
        let again = Presence::of(&presence.runs(0..200), 200);
        assert_eq!(again.runs(0..200), presence.runs(0..200));
    }

    #[test]
    fn what_lies_behind_the_limit_is_there() {
        let mut presence = Presence::none(10);
        assert!(presence.has(10) && presence.has(1000) && !presence.has(9));
        presence.add(8..300);
        assert_eq!(presence.runs(0..12), [(8, 12)]);
        let gaps = presence.gaps(0..20);
        assert_eq!((gaps.len(), gaps[0].clone()), (1, 0..8));
    }
}
