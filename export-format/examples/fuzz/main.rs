//! Fuzzes every parser of the crate: `cargo run --release -p export-format --example fuzz -- TARGET|all SECONDS SEED`.
//!
//! Inputs are the vectors, cut, joined and spoiled by a seeded generator; so a run can be repeated, and needs nothing
//! but a stable compiler. A target panics when a property does not hold; the input is then written to a file that is
//! named. Printed is how many inputs each target had, and how many of them it took, because a target that takes nothing
//! tries nothing.

#[path = "../vectors/catalogue/mod.rs"]
mod catalogue;
mod mutate;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use mutate::Mutator;
use targets::{Corpus, TARGETS, Target};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parsed = match arguments.as_slice() {
        [which, seconds, seed] => seconds.parse::<f64>().ok().zip(seed.parse::<u64>().ok()).map(|both| (which, both)),
        _ => None,
    };
    let Some((which, (seconds, seed))) = parsed else {
        eprintln!("usage: fuzz TARGET|all SECONDS SEED; targets: {}", names());
        std::process::exit(2);
    };
    let wanted: Vec<&Target> = TARGETS.iter().filter(|target| which == "all" || target.name == which).collect();
    if wanted.is_empty() {
        eprintln!("there is no target {which}; there are: {}", names());
        std::process::exit(2);
    }
    let corpus = Corpus::load();
    let mut broken = false;
    for target in wanted {
        broken |= !run(target, &corpus, Duration::from_secs_f64(seconds), seed);
    }
    if broken {
        std::process::exit(1);
    }
}

fn names() -> String {
    TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(" ")
}

/// Whether the target held.
fn run(target: &Target, corpus: &Corpus, span: Duration, seed: u64) -> bool {
    let seeds = (target.corpus)(corpus);
    let mut mutator = Mutator::new(seed);
    let (begun, mut inputs, mut taken) = (Instant::now(), 0_u64, 0_u64);
    while begun.elapsed() < span {
        for _ in 0..16 {
            let input = mutator.next(&seeds);
            inputs += 1;
            match catch_unwind(AssertUnwindSafe(|| (target.run)(&input))) {
                Ok(was_taken) => taken += u64::from(was_taken),
                Err(_) => {
                    let path = std::env::temp_dir().join(format!("fuzz-{}-{seed}-{inputs}", target.name));
                    let kept = std::fs::write(&path, &input);
                    println!("{}: input {inputs} of seed {seed} broke it; {} ({kept:?})", target.name, path.display());
                    return false;
                }
            }
        }
    }
    println!("{:<10} {inputs:>10} inputs, {taken:>9} taken, seed {seed}", target.name);
    true
}
