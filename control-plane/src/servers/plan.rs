//! What to do next about one server: a pure and total comparison of what is wanted with what is known.
//!
//! The steps lead from any state to the wanted one and may be cut off after each: planning again from what is there then
//! leads to the same end (the tests below do just that). No step is remembered; the next pass looks at the world again.

use std::fmt;

use tenant_runtime::ids::Generation;

use super::sight::Seen;

/// What ought to become of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired {
    /// It is kept: placed on a host, with a route to it.
    Kept,
    /// It is erased, with everything in it.
    Erased,
}

impl Desired {
    /// The word in the database and in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Erased => "erased",
        }
    }
}

impl fmt::Display for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for Desired {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "kept" => Ok(Self::Kept),
            "erased" => Ok(Self::Erased),
            other => Err(format!("{other:?} is nothing a server can be wanted to be")),
        }
    }
}

/// A fingerprint of everything a host or the gateway is told of a server. Another fingerprint means: tell again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(pub u64);

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// What ought to become of it.
    pub desired: Desired,
    /// What its host ought to be told.
    pub launch: Mark,
    /// What the gateway ought to be told.
    pub route: Mark,
}

/// What is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// What was seen of it.
    pub seen: Seen,
    /// Which placement the database counts.
    pub counted: Generation,
    /// What its host was told last, by this process.
    pub told: Option<Mark>,
    /// What the gateway was told last.
    pub routed: Option<Mark>,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Count one placement more, and note where.
    Raise,
    /// Tell the host.
    Place,
    /// Tell the gateway.
    Route,
    /// Have the gateway forget it.
    Unroute,
    /// Take it off its host; its home stays.
    Displace,
    /// Delete its home.
    Erase,
    /// Note that it is gone.
    Bury,
}

/// What to do, in this order.
pub fn plan(want: &Want, known: &Known) -> Vec<Step> {
    match (want.desired, &known.seen) {
        (_, Seen::Erased) => known.routed.map_or(Vec::new(), |_| vec![Step::Unroute]),
        // Who has not looked does not act, but whom nobody shall reach is made unreachable at once.
        (Desired::Kept, Seen::Unsure) => Vec::new(),
        (Desired::Erased, Seen::Unsure) => known.routed.map_or(Vec::new(), |_| vec![Step::Unroute]),
        (Desired::Kept, Seen::Nothing) => vec![Step::Raise, Step::Place, Step::Route],
        // A placement that was counted and not told, or told by somebody who counts otherwise, is made anew.
        (Desired::Kept, Seen::Placed { generation, .. })
            if *generation != known.counted || known.told != Some(want.launch) =>
        {
            vec![Step::Raise, Step::Place, Step::Route]
        }
        (Desired::Kept, Seen::Placed { .. }) if known.routed != Some(want.route) => vec![Step::Route],
        (Desired::Kept, Seen::Placed { .. }) => Vec::new(),
        (Desired::Erased, seen) => {
            let unroute = known.routed.map(|_| Step::Unroute);
            let displace = matches!(seen, Seen::Placed { .. }).then_some(Step::Displace);
            unroute.into_iter().chain(displace).chain([Step::Erase, Step::Bury]).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::sight::Doing;
    use proptest::prelude::*;

    /// A world small enough to see through: one server, one host, one gateway, one row.
    #[derive(Debug, Clone, PartialEq)]
    struct World {
        generation: u64,
        placed: Option<(u64, Mark)>,
        home: bool,
        routed: Option<Mark>,
        told: Option<Mark>,
        looked: bool,
        buried: bool,
    }

    impl World {
        fn known(&self) -> Known {
            let seen = match (self.buried, self.looked, self.placed) {
                (true, ..) => Seen::Erased,
                (_, false, _) => Seen::Unsure,
                (_, true, None) => Seen::Nothing,
                (_, true, Some((generation, _))) => {
                    Seen::Placed { generation: Generation(generation), doing: Doing::Asleep }
                }
            };
            let counted = Generation(self.generation);
            Known { seen, counted, told: self.told, routed: self.routed }
        }

        fn take(&mut self, step: Step, want: &Want) {
            match step {
                Step::Raise => self.generation += 1,
                Step::Place => {
                    assert!(
                        self.placed.is_none_or(|(generation, _)| generation < self.generation),
                        "placed twice alike"
                    );
                    self.placed = Some((self.generation, want.launch));
                    self.told = Some(want.launch);
                    self.home = true;
                }
                Step::Route => {
                    assert!(self.placed.is_some(), "a route to nowhere");
                    self.routed = Some(want.route);
                }
                Step::Unroute => self.routed = None,
                Step::Displace => {
                    assert!(self.routed.is_none(), "displaced under a route");
                    self.placed = None;
                }
                Step::Erase => {
                    assert!(self.placed.is_none(), "erased under a runtime");
                    self.home = false;
                }
                Step::Bury => {
                    assert!(!self.home, "buried with a home left");
                    self.buried = true;
                }
            }
        }

        /// What a pass does that is never cut off, from a new look on.
        fn settle(&mut self, want: &Want) {
            for _ in 0..10 {
                self.looked = true;
                let steps = plan(want, &self.known());
                if steps.is_empty() {
                    return;
                }
                steps.into_iter().for_each(|step| self.take(step, want));
            }
            panic!("it never settles: {self:?}");
        }

        fn is_right(&self, want: &Want) -> bool {
            match want.desired {
                Desired::Kept => self.placed == Some((self.generation, want.launch)) && self.routed == Some(want.route),
                Desired::Erased => self.buried && !self.home && self.placed.is_none() && self.routed.is_none(),
            }
        }
    }

    fn any_mark() -> impl Strategy<Value = Mark> {
        (0u64..3).prop_map(Mark)
    }

    fn any_want() -> impl Strategy<Value = Want> {
        (prop_oneof![Just(Desired::Kept), Just(Desired::Erased)], any_mark(), any_mark())
            .prop_map(|(desired, launch, route)| Want { desired, launch, route })
    }

    /// Every state a crash of the control plane, of the host, or of both can leave behind.
    fn any_world() -> impl Strategy<Value = World> {
        (
            0u64..5,
            prop::option::of(any_mark()),
            any::<bool>(),
            any::<bool>(),
            prop::option::of(any_mark()),
            any::<bool>(),
        )
            .prop_map(|(generation, mark, home, remembers, routed, looked)| {
                let placed = mark.map(|mark| (generation, mark));
                World {
                    generation,
                    home: home || placed.is_some(),
                    told: mark.filter(|_| remembers),
                    routed: routed.filter(|_| placed.is_some()),
                    placed,
                    looked,
                    buried: false,
                }
            })
    }

    proptest! {
        #[test]
        fn cut_off_after_every_step_it_still_ends_right(world in any_world(), want in any_want(), other in any_want()) {
            let mut uncut = world.clone();
            uncut.settle(&want);
            prop_assert!(uncut.is_right(&want), "{uncut:?}");

            let mut looked = world.clone();
            looked.looked = true;
            for cut in 0..=plan(&want, &looked.known()).len() {
                // The process dies after `cut` steps and forgets what it told and routed and saw; the host lives on.
                let mut world = looked.clone();
                plan(&want, &world.known()).into_iter().take(cut).for_each(|step| world.take(step, &want));
                let mut reborn = World { told: None, routed: None, looked: false, ..world.clone() };
                reborn.settle(&want);
                prop_assert!(reborn.is_right(&want), "after {cut} steps: {reborn:?}");

                // The machine dies: nothing is placed any more.
                let mut rebooted = World { placed: None, told: None, routed: None, looked: false, ..world.clone() };
                rebooted.settle(&want);
                prop_assert!(rebooted.is_right(&want), "after {cut} steps: {rebooted:?}");

                // The wish changes half-way. What is buried stays so.
                if !world.buried {
                    world.settle(&other);
                    prop_assert!(world.is_right(&other), "after {cut} steps: {world:?}");
                }
            }
        }

        #[test]
        fn what_is_right_needs_nothing(world in any_world(), want in any_want()) {
            let mut world = world;
            world.settle(&want);
            prop_assert_eq!(plan(&want, &world.known()), Vec::new());
        }
    }
}
