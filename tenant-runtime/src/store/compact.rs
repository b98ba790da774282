//! Keeps packs from becoming waste: each checkpoint leaves behind, in older packs, the groups it wrote anew.
//!
//! A pack less than half of which is still in use is given up by writing the rest of it into a new one; so are small
//! packs when there are many, because each costs a request when the home is fetched. A checkpoint takes on a bounded
//! part of that work, the worst packs first, so compaction never costs more than the checkpoint that carries it.

use std::collections::{BTreeMap, BTreeSet};

use super::head::Base;

/// The most groups a checkpoint takes on for compaction.
const MOST: usize = 64;

/// A pack with less in use than this is small.
const SMALL: u64 = 512 << 10;

/// So many small packs may be.
const SMALL_PACKS: usize = 8;

/// Adds to `groups`, which are written anew in any case, those that share a pack with too much waste.
pub(super) fn join_in(base: &Base, groups: &mut BTreeSet<u32>) {
    let mut used: BTreeMap<u32, (u64, Vec<u32>)> = BTreeMap::new();
    for (group, at) in base.groups.iter().enumerate() {
        if let Some(at) = at.filter(|_| !groups.contains(&(group as u32))) {
            let (bytes, members) = used.entry(at.0).or_default();
            *bytes += u64::from(at.2);
            members.push(group as u32);
        }
    }
    let small = used.values().filter(|(bytes, _)| *bytes < SMALL).count() > SMALL_PACKS;
    // A pack whose length was never noted is as long as what is in use: not waste.
    let length = |pack: &u32, bytes: u64| base.lens.get(pack).map_or(bytes, |len| u64::from(*len));
    let mut poor: Vec<(u64, Vec<u32>)> = used
        .into_iter()
        .filter(|(pack, (bytes, _))| bytes * 2 < length(pack, *bytes) || (small && *bytes < SMALL))
        .map(|(_, members)| members)
        .collect();
    poor.sort_by_key(|(bytes, _)| *bytes);
    let mut taken = 0;
    for (_, members) in poor {
        if taken + members.len() > MOST {
            break;
        }
        taken += members.len();
        groups.extend(members);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::head::GroupAt;

    fn base(packs: &[(u32, u32, &[u32])]) -> Base {
        let mut base = Base::default();
        for (pack, len, groups) in packs {
            base.lens.insert(*pack, *len);
            for group in *groups {
                base.groups.resize(base.groups.len().max(*group as usize + 1), None);
                base.groups[*group as usize] = Some(GroupAt(*pack, 0, 100_000, 0));
            }
        }
        base
    }

    #[test]
    fn packs_mostly_waste_are_given_up_and_others_left_alone() {
        let base = base(&[(0, 1_000_000, &[0, 1, 2, 3, 4]), (1, 1_000_000, &[5, 6, 7, 8]), (2, 300_000, &[9, 10])]);
        let mut groups = BTreeSet::from([20]);
        join_in(&base, &mut groups);
        assert_eq!(groups, BTreeSet::from([5, 6, 7, 8, 20]), "pack 0 is just half in use, and pack 2 more");
        let mut groups = BTreeSet::from([4]);
        join_in(&base, &mut groups);
        assert_eq!(groups, (0..9).collect(), "what is written anew counts as waste already");
    }

    #[test]
    fn many_small_packs_are_joined() {
        let packs: Vec<(u32, u32, Vec<u32>)> = (0..12).map(|n| (n, 100_000, vec![n])).collect();
        let packs: Vec<(u32, u32, &[u32])> =
            packs.iter().map(|(pack, len, groups)| (*pack, *len, &groups[..])).collect();
        let mut groups = BTreeSet::new();
        join_in(&base(&packs), &mut groups);
        assert_eq!(groups.len(), 12);
        let mut groups = BTreeSet::new();
        join_in(&base(&packs[..8]), &mut groups);
        assert!(groups.is_empty());
    }

    #[test]
    fn the_work_of_one_checkpoint_is_bounded() {
        let packs: Vec<(u32, u32, Vec<u32>)> =
            (0..40).map(|n| (n, 9_000_000, (n * 10..n * 10 + 10).collect())).collect();
        let packs: Vec<(u32, u32, &[u32])> =
            packs.iter().map(|(pack, len, groups)| (*pack, *len, &groups[..])).collect();
        let mut groups = BTreeSet::new();
        join_in(&base(&packs), &mut groups);
        assert_eq!(groups.len(), 60);
    }
}
