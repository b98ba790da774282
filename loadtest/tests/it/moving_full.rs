//! The new place's disk runs full, at every step of a move: the move waits and says why, or ends in words; nothing is lost on
//! either side; and once there is room it goes on by itself, or at one press.
//!
//! `FREEHOLD_MOVE_ROUNDS=all` tries every disk at every step; otherwise the seed says which at which.

use control_plane::moves::arriving::Step;
use loadtest::disk::SmallDisk;
use loadtest::moving::Writers;
use loadtest::moving::wire::Wire;
use loadtest::platform::{Ground, Platform, Wish};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::bounds::PATIENCE;
use crate::en_route::{Extent, Moving, Standing, THERE, steps};
use crate::killed::{runtimes, seed};
use crate::support::{NOTES, PHOTOS, TABLE, get_file, noise, put_file};

/// What of a provider's data lies on the disk that runs full: what its hosts keep beside the homes, or the homes.
const PARTS: [&str; 2] = ["cache", "objects"];
/// What is said of a step that needs no room.
const WENT_ON: &str = "went on";
/// How large it is.
const DISK: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn at_whatever_step_the_new_place_runs_out_of_room_it_says_so_and_goes_on_when_there_is_some() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    println!("FREEHOLD_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let wire = Wire::new().await.unwrap();
    let a = Standing::open(&dir.path().join("a"), "localhost", Some(&wire)).await;
    let chosen: Vec<_> = steps().into_iter().map(|step| (step, PARTS[rng.random_range(0..PARTS.len())])).collect();
    let mut acknowledged = 0;
    for (nth, part) in PARTS.into_iter().enumerate() {
        let here: Vec<Step> = match Extent::wished() {
            Extent::All => steps(),
            Extent::Rounds(_) => chosen.iter().filter(|(_, on)| *on == part).map(|(step, _)| *step).collect(),
        };
        if here.is_empty() {
            continue;
        }
        let Some(ground) = Ground::with_small_disk(part, DISK).unwrap() else { return };
        let b = Platform::open_on(ground, Wish { domain: THERE.to_owned(), ..Wish::default() }).await.unwrap();
        for step in here {
            acknowledged += full_at(&wire, &b, step, &format!("d{nth}-{}", step.word())).await;
        }
        b.close().await.unwrap();
    }
    drop(a);
    println!("acknowledged {acknowledged}, lost 0, doubled 0, seed {seed}");
}

/// One move whose new place has no room at a step.
async fn full_at(wire: &Wire, b: &Platform, step: Step, name: &str) -> usize {
    let disk = b.disk().unwrap();
    let (at_a, at_b) = Moving::furnish(wire, b.address(), name).await;
    at_a.install(PHOTOS).await.unwrap();
    put_file(&at_a, "one.jpg", noise(7, 900_000)).await;
    let token = at_a.token("notes", NOTES).await.unwrap();
    let writers = Writers::start(&at_a, "notes", &token, TABLE, name, 2).unwrap();
    let moving = Moving::between(wire, at_a, at_b, Some(writers), step).await;
    let seen = moving.comes_to(wire, step, &b.data()).await;
    disk.fill().unwrap();
    wire.let_go();
    runtimes(&b.data()).go_on();
    let said = while_full(&moving, disk).await;
    println!("{name}: met at {seen}, {said}");
    disk.make_room().unwrap();
    if said.starts_with("failed") {
        moving.stays(name).await;
        return 0;
    }
    moving.hurry().await;
    let (at_b, what) = (moving.at_b.clone(), format!("{name}: {said}"));
    let (acknowledged, failed) = moving.ends_well(&what).await;
    // Where it is live already, a full disk refuses writes as anywhere else; before that nobody who writes notices.
    assert!(failed == 0 || said == WENT_ON, "{what}: {failed} writes failed");
    at_b.open(PHOTOS).await.unwrap();
    assert_eq!(get_file(&at_b, "one.jpg").await, noise(7, 900_000));
    acknowledged
}

/// Keeps the disk full until the move's page says so, or it is over without having needed room; in which words.
async fn while_full(moving: &Moving, disk: &SmallDisk) -> String {
    let begun = std::time::Instant::now();
    while begun.elapsed() < PATIENCE {
        disk.fill().unwrap();
        let page = moving.at_b.person.page(&moving.page).await.unwrap();
        for words in ["own disk", "disk is full", "no room", "disk runs", "has no room"] {
            if let Some(at) = page.find(words) {
                let state = if page.contains("data-state=\"failed\"") { "failed" } else { "waits" };
                let from = page[..at].rfind('>').map_or(0, |from| from + 1);
                return format!("{state}: {}", page[from..].split('<').next().unwrap_or_default());
            }
        }
        assert!(!page.contains("data-state=\"failed\""), "it ends without saying why: {page}");
        if page.contains("data-state=\"done\"") {
            return WENT_ON.to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("it neither goes on nor says why: {}", moving.at_b.person.page(&moving.page).await.unwrap_or_default());
}
