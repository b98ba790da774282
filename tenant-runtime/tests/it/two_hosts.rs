//! Two hosts are told to run one server at once, over networks that lose, delay and reorder, with partitions and
//! clocks that jump. Nothing acknowledged may be lost or doubled, nothing shown may vanish, and the lives of the two
//! may not interleave: once another has written, a superseded one never writes again, and it learns why.
//!
//! `FREEHOLD_HOSTS_ROUNDS` sets the number of rounds (each some lives of two hosts), `FREEHOLD_SEED` repeats a run.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use object_store::memory::InMemory;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tenant_runtime::store::bucket::{Directory, Driver, Objects};
use tenant_runtime::store::{Bucket, Error, History, Home, Keep, Kind, Options, Place};

use crate::faults::Storm;
use crate::s3_peer::S3Peer;
use crate::store_basics::{Failure, number, sql};
use crate::store_faults::seed;
use crate::store_suite::in_azure;

#[tokio::test(flavor = "multi_thread")]
async fn in_a_folder_two_hosts_lose_and_interleave_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    run(Arc::new(Directory::new(root.path().join("bucket"))), root.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_object_store_two_hosts_lose_and_interleave_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    run(Arc::new(Objects::new(Arc::new(InMemory::new()), "t/one")), root.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_s3_two_hosts_lose_and_interleave_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let Some(peer) = S3Peer::start(root.path()) else { return };
    run(Arc::new(peer.driver("t/one")), root.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_azure_two_hosts_lose_and_interleave_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let Some(driver) = in_azure("t/one").await else { return };
    run(Arc::new(driver), root.path()).await;
}

/// How long whatever may be about to be named is kept.
const GRACE: Duration = Duration::from_secs(600);

/// What clients were told, and the next numbers.
#[derive(Default)]
struct World {
    files: Mutex<BTreeSet<String>>,
    acknowledged: Mutex<BTreeSet<i64>>,
    shown: Mutex<BTreeSet<i64>>,
    row: AtomicI64,
    life: AtomicI64,
    fenced: AtomicI64,
    refused: AtomicI64,
}

async fn run(bucket: Arc<dyn Driver>, root: &Path) {
    let rounds: u64 = std::env::var("FREEHOLD_HOSTS_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let seed = seed();
    let world = Arc::new(World::default());
    {
        let calm = Storm::around(Arc::clone(&bucket), 0);
        calm.pass().await;
        let home = open(&calm, root.join("first"), "first").await.expect("it opens");
        let table = "create table row (n integer primary key autoincrement, id integer, life integer, pad text);
             create table file (digest text)";
        sql(&home, table).await.expect("it writes");
        home.sleep().await.expect("it sleeps");
    }
    for round in 0..rounds {
        let storms = [0, 1].map(|host| Storm::around(Arc::clone(&bucket), seed ^ (round << 8 | host)));
        let hosts = storms.clone().into_iter().enumerate().map(|(host, storm)| {
            let (world, cache) = (Arc::clone(&world), root.join(format!("host-{host}")));
            let rng = StdRng::seed_from_u64(seed.wrapping_add(round * 2 + host as u64));
            tokio::spawn(lives(host, storm, world, cache, rng))
        });
        for host in hosts.collect::<Vec<_>>() {
            host.await.unwrap_or_else(|e| panic!("{e}; round {round}, seed {seed}"));
        }
        for storm in &storms {
            storm.pass().await;
        }
        judge(&storms[0], &world, root.join("judge"), &format!("round {round}, seed {seed}")).await;
        println!("round {round}: host 0: {}; host 1: {}", storms[0].told(), storms[1].told());
    }
    let count = |count: &AtomicI64| count.load(Ordering::Relaxed);
    println!(
        "{rounds} rounds, seed {seed}: {} lives, {} fenced, {} writes acknowledged, {} not; 0 lost, 0 doubled, 0 interleaved",
        count(&world.life),
        count(&world.fenced),
        world.acknowledged.lock().len(),
        count(&world.refused),
    );
    assert!(!world.acknowledged.lock().is_empty() && count(&world.fenced) > 0, "both were at it (seed {seed})");
}

async fn open(storm: &Storm, cache: std::path::PathBuf, owner: &str) -> Result<Home, Error> {
    // Who judges does so in fair weather, and waits as long as a busy machine takes.
    let patience = if owner == "judge" { 30_000 } else { 150 };
    let bucket = Bucket::new(storm.clone()).with_patience(Duration::from_millis(patience));
    // The grace keeps what the other may be about to name; a clock that jumps past it must do no harm.
    let history = (owner != "host 1").then_some(History { window: GRACE, bytes: 1 << 30 });
    let clock = storm.clock();
    let options = Options { checkpoint_bytes: 60_000, grace: GRACE, history, clock, ..Options::default() };
    Home::open(Place { bucket, cache, owner: owner.to_owned() }, options).await
}

/// Stores a file and says that it is in use; whether both are known to have happened.
async fn put_file(home: &Home, content: u64) -> Result<String, Failure> {
    let bytes = bytes::Bytes::copy_from_slice(&content.to_le_bytes());
    let blob = home.blobs().put(futures::stream::iter([Ok(bytes)]), None).await?;
    let (digest, written) = (blob.digest.to_string(), blob.digest.to_string());
    home.write(move |db| Ok::<_, Failure>(db.execute("insert into file values (?1)", [written])?)).await?;
    Ok(digest)
}

/// Removes files nobody refers to, as a round of housekeeping does.
async fn tidy_files(home: &Home) -> Result<(), Failure> {
    let moment_ms = home.moments().await?.until_ms;
    let used: Vec<String> = home
        .read(|db| {
            let mut all = db.prepare("select digest from file")?;
            let all = all.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok::<_, Failure>(all)
        })
        .await?;
    let used = used.iter().map(|digest| digest.parse().expect("a digest")).collect();
    let keep = Keep { window: GRACE, bytes: 0, grace: GRACE, moment_ms };
    let unused = home.blobs().unused(&used, &keep).await?;
    home.blobs().remove(unused).await?;
    Ok(())
}

/// One host: it wakes the server again and again, whatever the other does.
async fn lives(host: usize, storm: Storm, world: Arc<World>, cache: std::path::PathBuf, mut rng: StdRng) {
    for _ in 0..6 {
        storm.jump(rng.random_range(-200_000..200_000));
        let Ok(home) = open(&storm, cache.clone(), &format!("host {host}")).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let life = world.life.fetch_add(1, Ordering::Relaxed);
        let clients = (0..3).map(|_| tokio::spawn(client(home.clone(), Arc::clone(&world), life)));
        let clients: Vec<_> = clients.collect();
        for _ in 0..rng.random_range(1..5) {
            tokio::time::sleep(Duration::from_millis(rng.random_range(5..60))).await;
            match rng.random_range(0..9) {
                0 | 1 => {
                    storm.cut(true);
                    tokio::time::sleep(Duration::from_millis(rng.random_range(10..250))).await;
                    storm.cut(false);
                }
                2 => drop(home.checkpoint().await),
                3 => {
                    storm.jump(rng.random_range(-200_000..200_000));
                    drop(home.collect_orphans(Duration::from_secs(600)).await);
                }
                4 => drop(home.snapshot(&format!("life-{life}")).await),
                5 => {
                    storm.jump(rng.random_range(-200_000..200_000));
                    drop(home.sweep().await);
                }
                6 | 7 => {
                    if let Ok(digest) = put_file(&home, rng.random()).await {
                        world.files.lock().insert(digest);
                    }
                    storm.jump(rng.random_range(-200_000..200_000));
                    drop(tidy_files(&home).await);
                }
                _ => {}
            }
        }
        for client in &clients {
            client.abort();
        }
        if rng.random_bool(0.4) {
            home.sleep().await.ok();
        }
        if matches!(home.write(|_| Ok::<_, Failure>(())).await, Err(Failure::Store(Error::Fenced))) {
            world.fenced.fetch_add(1, Ordering::Relaxed);
            assert!(matches!(home.ended().await, Error::Fenced), "a superseded one learns why it ends");
            let read = number(&home, "select 1").await;
            assert!(matches!(read, Err(Failure::Store(Error::Fenced))), "a superseded one answers: {read:?}");
        }
    }
}

/// Writes and reads until it is told that there is no more to be had here.
async fn client(home: Home, world: Arc<World>, life: i64) {
    loop {
        let id = world.row.fetch_add(1, Ordering::Relaxed);
        let written: Result<(), Failure> = home
            .write(move |db| {
                db.execute(
                    "insert into row (id, life, pad) values (?1, ?2, hex(randomblob(300)))",
                    rusqlite::params![id, life],
                )?;
                Ok(())
            })
            .await;
        match written {
            Ok(()) => drop(world.acknowledged.lock().insert(id)),
            Err(Failure::Store(error)) => {
                world.refused.fetch_add(1, Ordering::Relaxed);
                if !matches!(error.kind(), Kind::Retry) {
                    return;
                }
            }
            Err(Failure::Sql(error)) => panic!("{error}"),
        }
        let seen: Result<Vec<i64>, Failure> = home
            .read(|db| {
                let mut rows = db.prepare("select id from row order by n desc limit 20")?;
                let ids = rows.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
                Ok(ids)
            })
            .await;
        if let Ok(seen) = seen {
            world.shown.lock().extend(seen);
        }
    }
}

/// Opens the home from the bucket alone and compares it with what was told.
async fn judge(storm: &Storm, world: &World, cache: std::path::PathBuf, at: &str) {
    std::fs::remove_dir_all(&cache).ok();
    let home = open(storm, cache, "judge").await.unwrap_or_else(|e| panic!("it opens: {e:?}, {at}"));
    let rows: Result<Vec<(i64, i64)>, Failure> = home
        .read(|db| {
            let mut rows = db.prepare("select id, life from row order by n")?;
            let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
            Ok(rows)
        })
        .await;
    let rows = rows.expect("it reads");
    let once: BTreeSet<i64> = rows.iter().map(|(id, _)| *id).collect();
    assert_eq!(rows.len(), once.len(), "nothing is doubled, {at}");
    let lost: Vec<_> = world.acknowledged.lock().difference(&once).copied().collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}, {at}");
    let vanished: Vec<_> = world.shown.lock().difference(&once).copied().collect();
    assert!(vanished.is_empty(), "shown and lost: {vanished:?}, {at}");
    let mut lives: Vec<i64> = rows.iter().map(|(_, life)| *life).collect();
    lives.dedup();
    let distinct: BTreeSet<i64> = lives.iter().copied().collect();
    assert_eq!(lives.len(), distinct.len(), "two lives interleave: {lives:?}, {at}");
    let whole: Result<String, Failure> =
        home.read(|db| Ok(db.query_row("pragma integrity_check", [], |row| row.get(0))?)).await;
    assert_eq!(whole.expect("it reads"), "ok", "{at}");
    let scrubbed = home.scrub().await.expect("it looks");
    assert!(scrubbed.findings.is_empty(), "deleted too early: {:?}, {at}", scrubbed.findings);
    let files = world.files.lock().clone();
    for digest in files {
        let size = home.blobs().size(&digest.parse().expect("a digest")).await.expect("it answers");
        assert_eq!(size, Some(8), "a file in use was deleted, {at}");
    }
    home.sleep().await.expect("it sleeps");
}
