//! When a write is acknowledged: durable, or durable soon.

use std::sync::Arc;
use std::time::Duration;

use object_store::memory::InMemory;
use tenant_runtime::store::bucket::{Driver, Objects};
use tenant_runtime::store::{Bucket, Budget, Durability, Error, Home, Kind, Options, Place};

use crate::store_basics::{Failure, number, sql};
use crate::store_faults::{Faults, Faulty};
use crate::store_slow::Slow;

const SPAN: Duration = Duration::from_millis(1000);

fn soon() -> Options {
    Options {
        durability: Durability::Within(SPAN),
        checkpoint_bytes: 60_000,
        grace: Duration::ZERO,
        ..Options::default()
    }
}

fn place(bucket: &Bucket, cache: &std::path::Path) -> Place {
    Place { bucket: bucket.clone(), cache: cache.to_owned(), owner: "test".to_owned() }
}

fn memory() -> Arc<dyn Driver> {
    Arc::new(Objects::new(Arc::new(InMemory::new()), "t/one"))
}

#[tokio::test(flavor = "multi_thread")]
async fn within_a_span_writes_share_requests_and_sleep_loses_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let slow = Slow::new(memory(), Duration::ZERO, 0);
    let counts = Arc::clone(&slow.counts);
    let bucket = Bucket::new(slow);
    let home = Home::open(place(&bucket, &root.path().join("one")), soon()).await.expect("it opens");
    assert_eq!(home.durability(), Durability::Within(SPAN));
    assert_eq!(home.usage().await.expect("it counts").loss_window_ms, 1000);
    sql(&home, "create table note (n integer)").await.expect("it writes");
    counts.take();
    for n in 0..200 {
        sql(&home, &format!("insert into note values ({n})")).await.expect("it writes");
        assert_eq!(number(&home, "select count(*) from note").await.expect("it reads"), n + 1);
    }
    let [_, _, writes, _] = counts.take();
    assert!(writes < 100, "{writes} requests for 200 writes");
    let snapshot = home.snapshot("now").await.expect("it is taken");
    let seen: Result<i64, Failure> = home
        .open_snapshot(&snapshot.name)
        .await
        .expect("it opens")
        .read(|db| Ok(db.query_row("select count(*) from note", [], |row| row.get(0))?))
        .await;
    assert_eq!(seen.expect("it reads"), 200, "a snapshot has what was acknowledged before it");
    sql(&home, "insert into note values (200)").await.expect("it writes");
    home.sleep().await.expect("it sleeps");
    drop(home);
    let cold = Home::open(place(&bucket, &root.path().join("two")), Options::default()).await.expect("it opens");
    assert_eq!(cold.usage().await.expect("it counts").loss_window_ms, 0);
    assert_eq!(number(&cold, "select count(*) from note").await.expect("it reads"), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_bucket_is_away_no_more_than_the_span_is_at_stake() {
    let root = tempfile::tempdir().expect("a folder");
    let faults = Faults::random(0, 0);
    let bucket = Bucket::new(Faulty(memory(), faults.clone())).with_patience(Duration::from_millis(50));
    let home = Home::open(place(&bucket, &root.path().join("one")), soon()).await.expect("it opens");
    sql(&home, "create table note (n integer)").await.expect("it writes");
    tokio::time::sleep(SPAN).await;
    faults.misbehave(1);
    let (mut told, mut refused) = (0, 0);
    let begun = std::time::Instant::now();
    while begun.elapsed() < SPAN * 3 {
        match sql(&home, &format!("insert into note values ({told})")).await {
            Ok(()) => {
                assert!(begun.elapsed() < SPAN + Duration::from_millis(500), "acknowledged while nothing can be kept");
                told += 1;
            }
            Err(Failure::Store(error)) => {
                assert_eq!(error.kind(), Kind::Retry, "{error}");
                refused += 1;
            }
            Err(Failure::Sql(error)) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(told > 0 && refused > 0, "{told} told, {refused} refused");
    faults.heal();
    let all = number(&home, "select count(*) from note").await.expect("it reads");
    assert_eq!(all, told, "what was acknowledged is still seen");
    sql(&home, "insert into note values (-1)").await.expect("it works again");
    home.checkpoint().await.expect("it folds");
    drop(home);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let cold = Home::open(place(&bucket, &root.path().join("two")), soon()).await.expect("it opens");
    assert_eq!(number(&cold, "select count(*) from note").await.expect("it reads"), told + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_home_acknowledges_nothing_more_than_the_span() {
    let root = tempfile::tempdir().expect("a folder");
    let bucket = Bucket::new(Objects::new(Arc::new(InMemory::new()), "t/one"));
    let old = Home::open(place(&bucket, &root.path().join("one")), soon()).await.expect("it opens");
    sql(&old, "create table note (n integer)").await.expect("it writes");
    old.checkpoint().await.expect("it folds");
    let new = Home::open(place(&bucket, &root.path().join("two")), soon()).await.expect("it opens");
    sql(&new, "insert into note values (1)").await.expect("it writes");
    new.checkpoint().await.expect("it folds");
    sql(&old, "insert into note values (2)").await.ok();
    assert!(matches!(old.ended().await, Error::Fenced), "it learns of it by itself");
    assert!(matches!(sql(&old, "insert into note values (3)").await, Err(Failure::Store(Error::Fenced))));
    sql(&new, "insert into note values (4)").await.expect("it writes");
    assert_eq!(number(&new, "select sum(n) from note").await.expect("it reads"), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_beyond_its_budget_makes_its_writers_share() {
    let root = tempfile::tempdir().expect("a folder");
    let slow = Slow::new(memory(), Duration::ZERO, 0);
    let counts = Arc::clone(&slow.counts);
    let budget = Some(Budget { requests_per_day: 1 });
    let options = Options { budget, ..Options::default() };
    let home = Home::open(place(&Bucket::new(slow), &root.path().join("one")), options).await.expect("it opens");
    sql(&home, "create table note (n integer)").await.expect("it writes");
    for n in 0..60 {
        sql(&home, &format!("insert into note values ({n})")).await.expect("it writes");
    }
    counts.take();
    let writers = (0..40).map(|n| {
        let home = home.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(n)).await;
            sql(&home, &format!("insert into note values ({n})")).await.expect("it writes");
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("it ran");
    }
    let [_, _, writes, _] = counts.take();
    assert!(writes <= 8, "{writes} requests for 40 writers");
}
