//! What every bucket must do, and what a home must keep whatever its bucket does, held against each driver.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::RetryConfig;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::memory::InMemory;
use parking_lot::Mutex;
use tenant_runtime::store::bucket::{Brokered, Directory, Driver, Expect, Objects, Put, serve};
use tenant_runtime::store::{Bucket, Error, Home, Kind, Options, Place};

use crate::azure_peer::{self, Container};
use crate::store_basics::{Failure, number, sql};
use crate::store_faults::{Faults, Faulty, seed};

/// Runs a test against each driver, with a folder for its caches.
macro_rules! on_each_driver {
    ($($test:ident),+ $(,)?) => {
        mod directory {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() {
                let root = tempfile::tempdir().expect("a folder");
                super::$test(Directory::new(root.path().join("bucket")), root.path()).await;
            })+
        }
        mod objects {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() {
                let root = tempfile::tempdir().expect("a folder");
                super::$test(Objects::new(Arc::new(InMemory::new()), "t/one"), root.path()).await;
            })+
        }
        mod brokered {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() {
                let root = tempfile::tempdir().expect("a folder");
                super::$test(behind_a_broker(Objects::new(Arc::new(InMemory::new()), "t/one")).await, root.path()).await;
            })+
        }
        mod s3 {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() {
                let root = tempfile::tempdir().expect("a folder");
                let Some(peer) = crate::s3_peer::S3Peer::start(root.path()) else { return };
                super::$test(peer.driver("t/one"), root.path()).await;
            })+
        }
        mod azure {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() {
                let root = tempfile::tempdir().expect("a folder");
                let Some(driver) = super::in_azure("t/one").await else { return };
                super::$test(driver, root.path()).await;
            })+
        }
    };
}

/// The same objects as a runtime in a sandbox has them: through a socket, from a broker.
pub(crate) async fn behind_a_broker(driver: impl Driver) -> Brokered {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("it is a socket");
    let theirs = tokio::net::UnixStream::from_std(theirs).expect("it is a socket");
    tokio::spawn(serve(theirs, Arc::new(driver)));
    Brokered::over(ours).await.expect("a broker")
}

/// The objects under `prefix` in a fresh container of Azure's kind.
pub(crate) async fn in_azure(prefix: &str) -> Option<impl Driver + use<>> {
    let container = Container::make().await?;
    // Another test may have been first.
    tokio_rustls::rustls::crypto::ring::default_provider().install_default().ok();
    let store = MicrosoftAzureBuilder::new()
        .with_endpoint(container.endpoint)
        .with_allow_http(true)
        .with_account(azure_peer::ACCOUNT)
        .with_access_key(azure_peer::key())
        .with_container_name(container.name)
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .build()
        .expect("a client");
    Some(Objects::new(Arc::new(store), prefix))
}

on_each_driver!(
    objects_are_written_and_listed,
    of_two_conditional_writes_one_wins,
    faults_lose_and_double_nothing,
    two_owners_lose_and_double_nothing,
    a_full_bucket_takes_nothing_and_loses_nothing,
    a_flipped_bit_is_reported_not_served,
    an_exchange_cut_off_anywhere_is_all_or_nothing,
    uploads_go_on_after_a_crash,
);

async fn objects_are_written_and_listed(driver: impl Driver, _: &Path) {
    let bucket = Bucket::new(driver);
    assert!(bucket.get("none").await.expect("it answers").is_none());
    assert!(bucket.list("").await.expect("it answers").is_empty());
    bucket.put("a/b/one", "1".into()).await.expect("it is written");
    bucket.put("a/b/one", "11".into()).await.expect("it is written over");
    bucket.put("a/two", "22".into()).await.expect("it is written");
    bucket.put("ab", "3".into()).await.expect("it is written");
    let keys = |prefix: &'static str| {
        let bucket = bucket.clone();
        async move {
            let lines = bucket.list(prefix).await.expect("it answers");
            lines.into_iter().map(|line| (line.key, line.size)).collect::<BTreeSet<_>>()
        }
    };
    let line = |key: &str, size| (key.to_owned(), size);
    assert_eq!(keys("a/").await, BTreeSet::from([line("a/b/one", 2), line("a/two", 2)]));
    assert_eq!(keys("a").await.len(), 3);
    assert_eq!(keys("a/b/o").await, BTreeSet::from([line("a/b/one", 2)]));
    assert_eq!(bucket.get_range("a/two", 1..2).await.expect("it answers"), "2");
    assert_eq!(bucket.get_range("none", 0..1).await.expect_err("it is missing").kind(), Kind::Gone);
    bucket.delete("a/two").await.expect("it goes");
    bucket.delete("a/two").await.expect("it is gone already");
    assert!(bucket.stat("a/two").await.expect("it answers").is_none());
    let mut draft = bucket.writer().await.expect("it begins");
    draft.write(vec!["one ".into(), "two".into()]).await.expect("it takes them");
    assert_eq!(keys("a/").await.len(), 1, "a draft is not seen");
    draft.commit("a/draft".to_owned()).await.expect("it appears");
    assert_eq!(bucket.expect("a/draft").await.expect("it is there"), "one two");
}

async fn of_two_conditional_writes_one_wins(driver: impl Driver, _: &Path) {
    let bucket = Bucket::new(driver);
    let mut version = Expect::Absent;
    for round in 0..20 {
        let tries = (0..4).map(|n| {
            let (bucket, version) = (bucket.clone(), version.clone());
            tokio::spawn(async move { bucket.put_if("head", format!("{round} {n}").into(), &version).await })
        });
        let mut won = Vec::new();
        for end in futures::future::join_all(tries.collect::<Vec<_>>()).await {
            if let Put::Done(version) = end.expect("it ran").expect("it answers") {
                won.push(version);
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        assert_ne!(version, Expect::Version(won[0].clone()));
        version = Expect::Version(won.remove(0));
        let (_, seen) = bucket.get("head").await.expect("it answers").expect("it is there");
        assert_eq!(version, Expect::Version(seen));
    }
}

fn eager() -> Options {
    // However small the home is, its pages come one by one: every fault meets reads as well.
    Options { checkpoint_bytes: 60_000, whole_bytes: 0, grace: Duration::ZERO, ..Options::default() }
}

fn place(bucket: &Bucket, cache: std::path::PathBuf, owner: &str) -> Place {
    Place { bucket: bucket.clone(), cache, owner: owner.to_owned() }
}

/// What clients were told: rows acknowledged, and rows that a read has shown.
#[derive(Clone, Default)]
struct Told {
    acknowledged: BTreeSet<i64>,
    shown: BTreeSet<i64>,
}

async fn insert(home: &Home, id: i64) -> Result<(), Failure> {
    home.write(move |db| {
        db.execute("insert into row values (?1, hex(randomblob(400)))", [id])?;
        Ok(())
    })
    .await
}

async fn ids(home: &Home) -> Result<Vec<i64>, Failure> {
    home.read(|db| {
        let mut rows = db.prepare("select id from row")?;
        let ids = rows.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(ids)
    })
    .await
}

/// Everything acknowledged and everything shown is there once.
async fn check(home: &Home, told: &Told, seed: u64) {
    let all = ids(home).await.expect("it reads");
    let once: BTreeSet<i64> = all.iter().copied().collect();
    assert_eq!(all.len(), once.len(), "nothing is doubled (seed {seed})");
    let lost: Vec<_> = told.acknowledged.difference(&once).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?} (seed {seed})");
    let lost: Vec<_> = told.shown.difference(&once).collect();
    assert!(lost.is_empty(), "shown and lost: {lost:?} (seed {seed})");
    let whole: Result<String, Failure> =
        home.read(|db| Ok(db.query_row("pragma integrity_check", [], |row| row.get(0))?)).await;
    assert_eq!(whole.expect("it reads"), "ok");
}

async fn faults_lose_and_double_nothing(driver: impl Driver, root: &Path) {
    let seed = seed();
    let faults = Faults::random(seed, 0);
    let bucket = Bucket::new(Faulty(Arc::new(driver), faults.clone())).with_patience(Duration::from_millis(120));
    let home = Home::open(place(&bucket, root.join("cache"), "one"), eager()).await.expect("it opens");
    sql(&home, "create table row (id integer, pad text)").await.expect("it writes");
    let told = Arc::new(Mutex::new(Told::default()));
    faults.misbehave(5);
    let tasks = (0..6).map(|task| {
        let (home, told) = (home.clone(), Arc::clone(&told));
        tokio::spawn(async move {
            let (mut refused, begun) = (0, std::time::Instant::now());
            for n in 0..60 {
                // A slow bucket on a bad day shows as much with fewer.
                if n > 5 && begun.elapsed() > Duration::from_secs(10) {
                    break;
                }
                let id = task * 1000 + n;
                match insert(&home, id).await {
                    Ok(()) => drop(told.lock().acknowledged.insert(id)),
                    Err(Failure::Store(error)) => {
                        assert_eq!(error.kind(), Kind::Retry, "{error}");
                        refused += 1;
                    }
                    Err(Failure::Sql(error)) => panic!("{error}"),
                }
                if let Ok(seen) = ids(&home).await {
                    told.lock().shown.extend(seen);
                }
            }
            refused
        })
    });
    let tasks = tasks.collect::<Vec<_>>();
    // Somebody reads all the time, also while a write is committed here and not yet durable there.
    let looking = {
        let (home, told) = (home.clone(), Arc::clone(&told));
        tokio::spawn(async move {
            loop {
                match ids(&home).await {
                    Ok(seen) => told.lock().shown.extend(seen),
                    // A home that has ended says so at once; without a pause this could not be stopped.
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        })
    };
    let mut refused = 0;
    for task in tasks {
        refused += task.await.expect("it ran");
    }
    looking.abort();
    let acknowledged = told.lock().acknowledged.len();
    println!("{acknowledged} acknowledged, {refused} not");
    assert!(acknowledged > 0, "some got through (seed {seed})");
    faults.heal();
    let end = told.lock().clone();
    check(&home, &end, seed).await;
    // Another record each time, for one whose fate nobody knows may be there.
    let mut again = 0;
    while let Err(error) = insert(&home, 99_999 + again).await {
        again += 1;
        assert!(again < 600, "it works again by itself: {error:?} (seed {seed})");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(home);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let cold = Home::open(place(&bucket, root.join("elsewhere"), "two"), eager()).await.expect("it opens");
    check(&cold, &end, seed).await;
}

async fn two_owners_lose_and_double_nothing(driver: impl Driver, root: &Path) {
    let seed = seed();
    let faults = Faults::random(seed, 40);
    let bucket = Bucket::new(Faulty(Arc::new(driver), faults.clone())).with_patience(Duration::from_millis(200));
    let told = Arc::new(Mutex::new(Told::default()));
    let owners = (0..2).map(|owner: i64| {
        let (bucket, told, root) = (bucket.clone(), Arc::clone(&told), root.to_owned());
        tokio::spawn(async move {
            let (mut next, mut fenced) = (owner * 1_000_000, 0);
            for _ in 0..12 {
                let cache = root.join(format!("cache-{owner}"));
                let Ok(home) = Home::open(place(&bucket, cache, &format!("owner {owner}")), eager()).await else {
                    continue;
                };
                sql(&home, "create table if not exists row (id integer, pad text)").await.ok();
                for _ in 0..15 {
                    next += 1;
                    match insert(&home, next).await {
                        Ok(()) => drop(told.lock().acknowledged.insert(next)),
                        Err(Failure::Store(Error::Fenced)) => {
                            fenced += 1;
                            assert!(matches!(insert(&home, -next).await, Err(Failure::Store(Error::Fenced))));
                            let read = number(&home, "select 1").await;
                            assert!(matches!(read, Err(Failure::Store(Error::Fenced))));
                            break;
                        }
                        Err(_) => {}
                    }
                }
                drop(home);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            fenced
        })
    });
    let mut fenced = 0;
    for owner in owners.collect::<Vec<_>>() {
        fenced += owner.await.expect("it ran");
    }
    println!("{} acknowledged, {fenced} times fenced", told.lock().acknowledged.len());
    faults.heal();
    let home = Home::open(place(&bucket, root.join("third"), "judge"), eager()).await.expect("it opens");
    let end = told.lock().clone();
    check(&home, &end, seed).await;
    assert!(number(&home, "select count(*) from row where id < 0").await.expect("it reads") == 0);
}

async fn a_full_bucket_takes_nothing_and_loses_nothing(driver: impl Driver, root: &Path) {
    let faults = Faults::random(0, 0);
    let bucket = Bucket::new(Faulty(Arc::new(driver), faults.clone()));
    let home = Home::open(place(&bucket, root.join("cache"), "one"), eager()).await.expect("it opens");
    sql(&home, "create table row (id integer, pad text)").await.expect("it writes");
    insert(&home, 1).await.expect("it writes");
    faults.fill(true);
    for id in 2..5 {
        match insert(&home, id).await {
            Err(Failure::Store(error)) => assert_eq!(error.kind(), Kind::Full, "{error}"),
            end => panic!("it is full: {end:?}"),
        }
        assert_eq!(number(&home, "select count(*) from row").await.expect("reading goes on"), 1);
    }
    assert_eq!(home.snapshot("full").await.expect_err("it is full").kind(), Kind::Full);
    faults.fill(false);
    insert(&home, 9).await.expect("there is room again");
    let told = Told { acknowledged: BTreeSet::from([1, 9]), shown: BTreeSet::from([1]) };
    check(&home, &told, 0).await;
    assert_eq!(number(&home, "select count(*) from row").await.expect("it reads"), 2, "refused is refused");
    home.sleep().await.expect("it sleeps");
    let cold = Home::open(place(&bucket, root.join("cold"), "two"), eager()).await.expect("it opens");
    assert_eq!(number(&cold, "select count(*) from row").await.expect("it reads"), 2);
}

async fn a_flipped_bit_is_reported_not_served(driver: impl Driver, root: &Path) {
    let bucket = Bucket::new(driver);
    // Fetched whole, so that it shows at once; what is read later has a test of its own.
    let eager = || Options { whole_bytes: u64::MAX, ..eager() };
    let home = Home::open(place(&bucket, root.join("cache"), "one"), eager()).await.expect("it opens");
    sql(&home, "create table row (id integer, pad text)").await.expect("it writes");
    for id in 0..200 {
        insert(&home, id).await.expect("it writes");
    }
    home.checkpoint().await.expect("it folds");
    home.sleep().await.expect("it sleeps");
    let mut objects = bucket.list("pack/").await.expect("it answers");
    objects.extend(bucket.list("seg/").await.expect("it answers"));
    assert!(!objects.is_empty());
    objects.extend(bucket.stat("head").await.expect("it answers"));
    for (n, object) in objects.into_iter().enumerate() {
        let good = bucket.expect(&object.key).await.expect("it is there");
        let mut bad = good.to_vec();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        bucket.put(&object.key, bad.into()).await.expect("it is written");
        let end = Home::open(place(&bucket, root.join(format!("cold-{n}")), "two"), eager()).await;
        let error = end.err().unwrap_or_else(|| panic!("{} is damaged, and nobody noticed", object.key));
        assert!(matches!(&error, Error::Damaged { key, .. } if *key == object.key), "{error:?}");
        bucket.put(&object.key, good).await.expect("it is mended");
    }
    let cold = Home::open(place(&bucket, root.join("cold"), "two"), eager()).await.expect("it opens");
    assert_eq!(number(&cold, "select count(*) from row").await.expect("it reads"), 200);
}

async fn an_exchange_cut_off_anywhere_is_all_or_nothing(driver: impl Driver, root: &Path) {
    let driver: Arc<dyn Driver> = Arc::new(driver);
    let good = Bucket::new(Faulty(Arc::clone(&driver), Faults::random(0, 0)));
    let home = Home::open(place(&good, root.join("cache"), "one"), eager()).await.expect("it opens");
    sql(&home, "create table side (name text); insert into side values ('old')").await.expect("it writes");
    home.snapshot("start").await.expect("it is taken");
    home.sleep().await.expect("it sleeps");
    let (mut olds, mut news) = (0, 0);
    for changes in 1..40 {
        for last_lands in [false, true] {
            let undo = format!("undo-{changes}-{last_lands}");
            let home = Home::open(place(&good, root.join("cache"), "one"), eager()).await.expect("it opens");
            home.restore("start", &format!("before-{changes}-{last_lands}")).await.expect("it starts over");
            home.discard_stage("import").await.expect("nothing is left");
            let stage = home.stage("import").await.expect("it opens");
            sql(&stage, "create table side (name text); insert into side values ('new')").await.expect("it writes");
            stage.sleep().await.expect("it sleeps");
            home.sleep().await.expect("it sleeps");
            drop((stage, home));
            tokio::time::sleep(Duration::from_millis(2)).await;

            let faults = Faults::crash_after(changes, last_lands);
            let bad = Bucket::new(Faulty(Arc::clone(&driver), faults.clone()));
            let bad = bad.with_patience(Duration::from_millis(300));
            let cut = async {
                let home = Home::open(place(&bad, root.join("cache"), "one"), eager()).await?;
                let stage = home.stage("import").await?;
                home.adopt(stage, &undo).await
            };
            let end = cut.await;
            tokio::time::sleep(Duration::from_millis(5)).await;

            let home = Home::open(place(&good, root.join("cache"), "two"), eager()).await.expect("it opens");
            let side =
                "select count(*) filter (where name = 'old') * 10 + count(*) filter (where name = 'new') from side";
            match number(&home, side).await.expect("it reads") {
                10 => {
                    assert!(end.is_err(), "{changes}: acknowledged and not done");
                    olds += 1;
                    // Asking again goes through.
                    let stage = home.stage("import").await.expect("it is still there");
                    assert_eq!(number(&stage, side).await.expect("it reads"), 1);
                    home.adopt(stage, &undo).await.expect("it is adopted");
                    assert_eq!(number(&home, side).await.expect("it reads"), 1);
                }
                1 => news += 1,
                mixed => panic!("{changes}, {last_lands}: a mix, {mixed}"),
            }
            // The way back is open in any case.
            home.restore(&undo, &format!("redo-{changes}-{last_lands}")).await.expect("it is undone");
            assert_eq!(number(&home, side).await.expect("it reads"), 10);
            home.sleep().await.expect("it sleeps");
            drop(home);
            tokio::time::sleep(Duration::from_millis(2)).await;
            if !faults.crashed() && end.is_ok() {
                println!("cut at each of {changes} changes: {olds} times old, {news} times new");
                assert!(olds > 1 && news > 1);
                return;
            }
        }
    }
    panic!("an exchange takes more than 40 changes");
}

async fn uploads_go_on_after_a_crash(driver: impl Driver, root: &Path) {
    use futures::StreamExt as _;
    let bucket = Bucket::new(driver);
    let open = |cache: &str| Home::open(place(&bucket, root.join(cache), "one"), Options::default());
    let home = open("first").await.expect("it opens");
    let content: Vec<u8> = (0..20_000_000u32).map(|n| (n / 7) as u8).collect();
    let from = |at: usize, to: usize| {
        let pieces: Vec<_> = content[at..to].chunks(60_000).map(bytes::Bytes::copy_from_slice).collect();
        futures::stream::iter(pieces).map(Ok)
    };
    assert_eq!(home.blobs().upload_offset("film").await.expect_err("it has not begun").kind(), Kind::Gone);
    assert_eq!(home.blobs().upload_begin("film").await.expect("it begins"), 0);
    let at = home.blobs().upload_part("film", 0, from(0, 1_000_000)).await.expect("it arrives");
    assert_eq!(at, 1_000_000);
    let broken = from(at as usize, 12_000_000).chain(futures::stream::iter([Err(std::io::Error::other("cut"))]));
    let error = home.blobs().upload_part("film", at, broken).await.expect_err("it breaks off");
    assert_eq!(error.kind(), Kind::Retry);
    drop(home); // And nobody said sleep.

    let home = open("second").await.expect("it opens");
    let at = home.blobs().upload_offset("film").await.expect("it is known");
    assert_eq!(at, 12_000_000, "what came before the cut is kept");
    let wrong = home.blobs().upload_part("film", at + 1, from(0, 1)).await.expect_err("that is the wrong place");
    assert!(matches!(wrong, Error::WrongOffset { at: 12_000_000, .. }));
    home.blobs().upload_part("film", at, from(at as usize, content.len())).await.expect("it arrives");
    let blob = home.blobs().upload_finish("film").await.expect("it is whole");
    assert_eq!(blob.size, content.len() as u64);
    assert_eq!(blob.digest, export_format::Digest::of(&content));
    assert_eq!(home.blobs().upload_finish("film").await.expect("it may be asked again"), blob);
    home.blobs().upload_abort("film").await.expect("it is forgotten");
    assert!(bucket.list("upload/").await.expect("it answers").is_empty());
    assert_eq!(home.blobs().size(&blob.digest).await.expect("it answers"), Some(blob.size));

    let spared = home.blobs().sweep(&[blob.digest].into(), Duration::ZERO).await.expect("it sweeps");
    assert_eq!(spared.files, 0);
    let fresh = home.blobs().sweep(&[].into(), Duration::from_secs(600)).await.expect("it sweeps");
    assert_eq!((fresh.files, fresh.spared), (0, 1));
    let swept = home.blobs().sweep(&[].into(), Duration::ZERO).await.expect("it sweeps");
    assert_eq!((swept.files, swept.bytes), (1, blob.size));
    assert_eq!(home.usage().await.expect("it counts").blob_bytes, 0);
}
