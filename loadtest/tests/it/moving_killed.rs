//! kill -9 of either provider, of its launcher, or of the servers themselves, one at a time, at every step of a move.
//!
//! Both providers run as processes of their own. Programs write all the time; a provider that is killed comes back at once, as a
//! service manager would bring it back, and whatever else is killed is its provider's to bring back. In the end the server is at
//! exactly one of the two, with every acknowledged write once.
//!
//! `FREEHOLD_MOVE_ROUNDS` sets how often each step is met by a kill of the seed's choice, and `all` tries every one at every
//! step; `FREEHOLD_SEED` repeats a run's choices.

use std::path::Path;
use std::time::Duration;

use control_plane::moves::arriving::Step;
use loadtest::moving::wire::{Weather, Wire};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;

use crate::bounds::{bounded, until};
use crate::en_route::{Extent, Moving, Standing, THERE, steps};
use crate::killed::{Victim, launcher, runtimes, seed};
use crate::support::{payload, write};

/// What is killed, alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Struck {
    /// The provider, with its agent; launcher and servers follow it by themselves.
    Provider,
    /// The provider, its launcher and all servers at the same moment.
    Tree,
    /// The launcher, which takes the servers along.
    Launcher,
    /// The servers.
    Runtimes,
}

/// Whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Source,
    Target,
}

/// When: at a step, or with the old place's word lost on the way after it has stood down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    At(Step),
    Unheard,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    moment: Moment,
    side: Side,
    struck: Struck,
}

const STRUCK: [Struck; 4] = [Struck::Provider, Struck::Tree, Struck::Launcher, Struck::Runtimes];
/// So many people have signed up from one network when no more may for a while.
const FULL: usize = 16;
const SIDES: [Side; 2] = [Side::Source, Side::Target];

fn moments() -> Vec<Moment> {
    steps().into_iter().map(Moment::At).chain([Moment::Unheard]).collect()
}

/// What is tried: all of it, or for each moment what the seed says.
fn cases(seed: u64) -> Vec<Case> {
    let mut rng = StdRng::seed_from_u64(seed);
    match Extent::wished() {
        Extent::All => moments()
            .into_iter()
            .flat_map(|moment| SIDES.map(|side| STRUCK.map(|struck| Case { moment, side, struck })))
            .flatten()
            .collect(),
        Extent::Rounds(rounds) => (0..rounds)
            .flat_map(|_| moments())
            .map(|moment| {
                let (side, struck) = (SIDES[rng.random_range(0..2)], STRUCK[rng.random_range(0..4)]);
                Case { moment, side, struck }
            })
            .collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_at_whatever_step_the_server_ends_at_one_place_with_every_write() {
    let seed = seed();
    let cases = cases(seed);
    println!("{} kills, FREEHOLD_SEED={seed}", cases.len());
    let dir = tempfile::tempdir().unwrap();
    let mut place = Places::open(dir.path()).await;
    let (mut acknowledged, mut failed, mut met) = (0, 0, 0);
    for (nth, case) in cases.iter().enumerate() {
        if nth > 0 && nth.is_multiple_of(FULL) {
            place = Places::open(&dir.path().join(format!("again{nth}"))).await;
        }
        let what = format!("{case:?}, seed {seed}");
        let step = match case.moment {
            Moment::At(step) => step,
            Moment::Unheard => Step::Activate,
        };
        let moving = Moving::begin(&place.wire, place.b.address, &format!("kill{nth}"), step).await;
        let seen = match case.moment {
            Moment::At(step) => moving.comes_to(&place.wire, step, &place.b.data).await,
            Moment::Unheard => {
                bounded("the hand-over", place.wire.holds()).await;
                moving.step().await
            }
        };
        println!("{what}: met at {seen}");
        met += usize::from(seen == step.word() || case.moment == Moment::Unheard);
        place.strike(case).await;
        if case.moment == Moment::Unheard {
            place.wire.set(Weather::Cut);
            tokio::time::sleep(Duration::from_millis(100)).await;
            place.wire.set(Weather::Fair);
        }
        place.wire.let_go();
        let (wrote, refused) = moving.ends_well(&format!("{what}, met at {seen}")).await;
        (acknowledged, failed) = (acknowledged + wrote, failed + refused);
    }
    println!(
        "kills {}, {met} of them at their very step, seed {seed}, acknowledged {acknowledged}, lost 0, doubled 0, \
         failed while somebody was killed {failed}",
        cases.len()
    );
    assert!(met + cases.len() / 4 >= cases.len(), "moves are met where they should be: {met} of {}", cases.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_line_to_the_old_place_breaks_the_server_ends_at_one_place_with_every_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut outages = vec![("short", Weather::Cut, Duration::from_millis(600))];
    if matches!(Extent::wished(), Extent::All) {
        // Longer than anybody waits for an answer, once with a word to those who wait and once without.
        outages.push(("long", Weather::Cut, Duration::from_secs(40)));
        outages.push(("silent", Weather::Still, Duration::from_secs(70)));
    }
    for (called, weather, length) in outages {
        let place = Places::open(&dir.path().join(called)).await;
        for (nth, step) in steps().into_iter().enumerate() {
            // First a line on which things take their time, then none at all.
            place.wire.set(Weather::Slow(4_000_000));
            let moving = Moving::begin(&place.wire, place.b.address, &format!("{called}{nth}"), step).await;
            let seen = moving.comes_to(&place.wire, step, &place.b.data).await;
            let what = format!("{called} cut at {}, met at {seen}", step.word());
            println!("{what}");
            place.wire.set(weather);
            place.wire.let_go();
            runtimes(&place.b.data).go_on();
            tokio::time::sleep(length).await;
            place.wire.set(Weather::Fair);
            moving.hurry().await;
            moving.ends_well(&what).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_is_stopped_before_the_hand_over_leaves_the_old_place_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let place = Places::open(dir.path()).await;
    let (at_a, at_b) = Moving::furnish(&place.wire, place.b.address, "anna").await;
    let before = payload(&at_a, dir.path()).await;
    for step in steps().into_iter().filter(|step| *step < Step::HandOver) {
        let moving = Moving::between(&place.wire, at_a.clone(), at_b.clone(), None, step).await;
        let seen = moving.comes_to(&place.wire, step, &place.b.data).await;
        let stop = format!("{}/stop", moving.page);
        let form = at_b.person.form(&stop, &stop).await.unwrap();
        at_b.person.submit(form).await.unwrap();
        place.wire.let_go();
        println!("stopped at {}, met at {seen}", step.word());
        until("it is stopped", async || moving.step().await == "cancelled").await;
        let after = payload(&at_a, dir.path()).await;
        let differs: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
        assert!(after == before, "stopped at {}: {differs:#?}", step.word());
    }
    write(&at_a, &json!({"after": "all of it"})).await;
}

/// Two providers, with a wire before the first.
struct Places {
    a: Standing,
    b: Standing,
    wire: Wire,
}

impl Places {
    async fn open(dir: &Path) -> Self {
        let wire = Wire::new().await.unwrap();
        let a = Standing::open(&dir.join("a"), "localhost", Some(&wire)).await;
        let b = Standing::open(&dir.join("b"), THERE, None).await;
        Self { a, b, wire }
    }

    /// Kills what the case says, and brings back what nobody else does.
    async fn strike(&mut self, case: &Case) {
        let struck = match case.side {
            Side::Source => &mut self.a,
            Side::Target => &mut self.b,
        };
        match case.struck {
            Struck::Provider => struck.again(|process, data| Victim::Provider.strike(process, data)).await,
            Struck::Tree => struck.again(|process, data| Victim::Tree.strike(process, data)).await,
            Struck::Launcher => launcher(&struck.data).kill(),
            Struck::Runtimes => runtimes(&struck.data).kill(),
        }
        // Those that were kept still while something else was killed.
        runtimes(&self.b.data).go_on();
    }
}
