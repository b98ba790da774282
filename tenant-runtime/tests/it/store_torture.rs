//! kill -9 in mid-write, many times: a child of this very test binary writes and notes what was acknowledged, is
//! killed at a random moment, and the home is opened and compared. Between rounds the cache may be lost, wholly or in
//! part, and in every second round pages come as they are read, however small the home is.
//!
//! `FREEHOLD_TORTURE_ROUNDS` sets the number of rounds, `FREEHOLD_SEED` repeats a run.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tenant_runtime::store::{Home, Options};

use crate::store_basics::{Failure, place, sql};
use crate::store_faults::seed;

const CHILD: &str = "FREEHOLD_TORTURE_CHILD";

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    if let Ok(told) = std::env::var(CHILD) {
        return write_until_killed(&told).await;
    }
    let rounds: u32 = std::env::var("FREEHOLD_TORTURE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(30);
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let root = tempfile::tempdir().expect("a folder");
    let home = Home::open(place(root.path()), options(0)).await.expect("it opens");
    sql(&home, "create table row (id integer, pad text)").await.expect("it writes");
    home.sleep().await.expect("it sleeps");
    drop(home);

    let mut acknowledged = 0;
    for round in 0..rounds {
        let told = root.path().join("acknowledged");
        let mut child = Command::new(std::env::current_exe().expect("this test is a program"))
            .args(["--exact", "store_torture::killed_at_any_moment_nothing_acknowledged_is_lost", "--nocapture"])
            .env(CHILD, format!("{round} {}", root.path().display()))
            .stdout(Stdio::null())
            .spawn()
            .expect("the child starts");
        tokio::time::sleep(Duration::from_millis(rng.random_range(10..250))).await;
        child.kill().expect("it is killed");
        child.wait().expect("it is dead");
        lose(&root.path().join("cache"), rng.random_range(0..10));
        let told = fs::read_to_string(&told).unwrap_or_default();
        acknowledged = compare(root.path(), &told, rng.random_bool(0.5), round, seed).await;
    }
    println!("rounds {rounds}, seed {seed}, acknowledged {acknowledged}, lost 0, doubled 0");
    assert!(acknowledged > 0, "the children got to write");
}

fn options(round: u32) -> Options {
    let whole_bytes = if round.is_multiple_of(2) { 0 } else { Options::default().whole_bytes };
    Options { checkpoint_bytes: 150_000, whole_bytes, grace: Duration::ZERO, ..Options::default() }
}

/// The cache is lost: all of it, the note of the last sleep, the log beside the copies, or nothing.
fn lose(cache: &Path, dice: u32) {
    match dice {
        0..3 => drop(fs::remove_dir_all(cache)),
        3 => drop(fs::remove_file(cache.join("asleep.json"))),
        4 => {
            for copy in fs::read_dir(cache).into_iter().flatten().flatten() {
                fs::remove_file(copy.path().join("main.db-wal")).ok();
            }
        }
        _ => {}
    }
}

/// Opens the home and compares; returns how many writes were acknowledged so far.
async fn compare(root: &Path, told: &str, sleep: bool, round: u32, seed: u64) -> usize {
    let at = format!("round {round}, seed {seed}");
    let home = Home::open(place(root), options(round)).await.unwrap_or_else(|e| panic!("it opens: {e:?}, {at}"));
    let found: Result<(Vec<i64>, String), Failure> = home
        .read(|db| {
            let mut rows = db.prepare("select id from row")?;
            let ids = rows.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok((ids, db.query_row("pragma integrity_check", [], |row| row.get(0))?))
        })
        .await;
    let (all, whole) = found.expect("it reads");
    assert_eq!(whole, "ok", "{at}");
    let once: BTreeSet<i64> = all.iter().copied().collect();
    assert_eq!(all.len(), once.len(), "nothing is doubled, {at}");
    // The last line may be cut in the middle; then nobody has read it.
    let whole_lines = told.rfind('\n').map_or("", |end| &told[..end]);
    let ids: Vec<i64> = whole_lines.lines().map(|line| line.parse().expect("a number")).collect();
    let lost: Vec<_> = ids.iter().filter(|id| !once.contains(id)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}, {at}");
    if sleep {
        home.sleep().await.expect("it sleeps");
    }
    drop(home);
    ids.len()
}

/// What the child does: eight writers, and snapshots that come and go, until the end.
async fn write_until_killed(told: &str) {
    let (round, root) = told.split_once(' ').expect("a round and a folder");
    let (round, root): (u32, _) = (round.parse().expect("a number"), Path::new(root));
    let told = File::options().create(true).append(true).open(root.join("acknowledged")).expect("a file");
    let told = Arc::new(told);
    let home = Home::open(place(root), options(round)).await.expect("it opens");
    for task in 0..8 {
        let (home, told) = (home.clone(), Arc::clone(&told));
        tokio::spawn(async move {
            for n in 0.. {
                let id = (i64::from(round) * 10 + task) * 1_000_000 + n;
                let written: Result<(), Failure> = home
                    .write(move |db| {
                        db.execute("insert into row values (?1, hex(randomblob(200)))", [id])?;
                        Ok(())
                    })
                    .await;
                written.expect("it writes");
                (&*told).write_all(format!("{id}\n").as_bytes()).expect("it is noted");
            }
        });
    }
    // It is killed long before; should nobody be left to do that, it ends by itself.
    for n in 0..1500 {
        let name = format!("round-{round}-{}", n % 3);
        home.drop_snapshot(&name).await.ok();
        home.snapshot(&name).await.expect("it is taken");
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}
