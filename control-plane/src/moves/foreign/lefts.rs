//! What did not come along or did not go: counted by its reason, and bounded, for a stranger decides how much there is of it.

use std::collections::BTreeMap;

/// So many kinds are told apart; what is more is counted together.
const MOST: usize = 200;
/// The longest text that is kept of each.
const LONGEST: usize = 300;

/// Things of one kind that were left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// What they are.
    pub what: String,
    /// How many; 0 where they are not counted.
    pub count: u64,
    /// Why.
    pub why: String,
}

/// All that was left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Lefts(BTreeMap<(String, String), u64>);

impl Lefts {
    /// One more thing that is left out.
    pub(super) fn note(&mut self, what: &str, why: &str) {
        self.note_all(1, what, why);
    }

    /// Something of which it is not known how much there is.
    pub(super) fn say(&mut self, what: &str, why: &str) {
        self.note_all(0, what, why);
    }

    pub(super) fn note_all(&mut self, count: u64, what: &str, why: &str) {
        let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(LONGEST).collect::<String>();
        let key = (short(what), short(why));
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            *self.0.entry(("other things".into(), "for other reasons".into())).or_default() += count;
            return;
        }
        *self.0.entry(key).or_default() += count;
    }

    pub(super) fn all(&self) -> Vec<Left> {
        let all = self.0.iter();
        all.map(|((what, why), count)| Left { what: what.clone(), count: *count, why: why.clone() }).collect()
    }
}

impl Left {
    /// What they are, with their number.
    #[must_use]
    pub fn counted(&self) -> String {
        if self.count > 0 { format!("{} ({})", self.what, self.count) } else { self.what.clone() }
    }
}
