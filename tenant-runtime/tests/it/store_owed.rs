//! A home under bounded loss that is put to sleep while its bucket is away: what it had acknowledged is published at the
//! next wake on the same host, once, unless somebody else has written the home since.

use std::path::Path;
use std::time::Duration;

use tenant_runtime::store::{Durability, Error, Home, Kind, OWED, Options, Place};

use crate::bounds::bounded;
use crate::store_away::{DEAF, FAIR, MUTE, Moody, THEN_MUTE};
use crate::store_basics::{number, sql};

const ROWS: &str = "select count(*) * 1000 + coalesce(max(n), 0) from row";

async fn open(bucket: &Moody, cache: &Path) -> Result<Home, Error> {
    let bucket = bucket.with_patience(Duration::from_millis(1500));
    let place = Place { bucket, cache: cache.to_owned(), owner: "test".to_owned() };
    let durability = Durability::Within(Duration::from_secs(60));
    Home::open(place, Options { durability, checkpoint_bytes: 60_000, ..Options::default() }).await
}

async fn insert(home: &Home, n: u32, bytes: u32) {
    sql(home, &format!("insert into row values ({n}, hex(randomblob({bytes})))")).await.expect("it is acknowledged");
}

/// A home that has three rows in its bucket, and owes the bucket two, with so many bytes each.
async fn owing(root: &Path, bytes: u32) -> (Moody, Home) {
    let bucket = Moody::new(&root.join("bucket"));
    let home = open(&bucket, &root.join("one")).await.expect("it opens");
    sql(&home, "create table row (n integer, pad text)").await.expect("it writes");
    for n in 1..=3 {
        insert(&home, n, 3000).await;
    }
    home.checkpoint().await.expect("it folds");
    for n in 4..=5 {
        insert(&home, n, bytes).await;
    }
    (bucket, home)
}

async fn fall_asleep(home: Home, cache: &Path) {
    let end = bounded("sleep", home.sleep()).await;
    assert!(matches!(end, Err(Error::Owed { .. })), "{end:?}");
    assert!(matches!(home.ended().await, Error::Asleep));
    assert_eq!(sql(&home, "insert into row values (99, '')").await.map_err(|_| ()), Err(()), "it takes no more");
    assert!(cache.join(OWED).exists(), "the cache says that it is needed");
    drop(home);
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// A home that fell asleep in this mood has everything when it wakes, here and from the bucket alone.
async fn comes_back(mood: u8, bytes: u32) {
    let root = tempfile::tempdir().expect("a folder");
    let (bucket, home) = owing(root.path(), bytes).await;
    let cache = root.path().join("one");
    bucket.set(mood);
    fall_asleep(home, &cache).await;

    let away = bounded("a refusal", open(&bucket, &cache)).await;
    assert_eq!(away.err().expect("the bucket is away").kind(), Kind::Retry);
    assert!(cache.join(OWED).exists(), "still");

    bucket.set(FAIR);
    let home = open(&bucket, &cache).await.expect("it opens");
    assert!(!cache.join(OWED).exists(), "nothing is owed");
    assert_eq!(number(&home, ROWS).await.expect("it reads"), 5005);
    insert(&home, 6, 10).await;
    home.sleep().await.expect("it sleeps");
    for cache in ["one", "two"] {
        let home = open(&bucket, &root.path().join(cache)).await.expect("it opens");
        assert_eq!(number(&home, ROWS).await.expect("it reads"), 6006);
        home.sleep().await.expect("it sleeps");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_when_the_bucket_is_away_is_published_at_the_next_wake() {
    comes_back(DEAF, 3000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn much_that_is_owed_is_published_too() {
    comes_back(DEAF, 6_000_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_unheard_is_not_published_twice() {
    comes_back(MUTE, 3000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_that_is_cut_off_while_it_publishes_does_it_the_next_time() {
    let root = tempfile::tempdir().expect("a folder");
    let (bucket, home) = owing(root.path(), 3000).await;
    let cache = root.path().join("one");
    bucket.set(DEAF);
    fall_asleep(home, &cache).await;
    bucket.set(THEN_MUTE);
    for _ in 0..2 {
        let cut = bounded("a refusal", open(&bucket, &cache)).await;
        assert!(cut.is_err() && cache.join(OWED).exists(), "nobody knows what became of it");
        bucket.set(DEAF);
    }
    bucket.set(FAIR);
    let home = open(&bucket, &cache).await.expect("it opens");
    assert_eq!(number(&home, ROWS).await.expect("it reads"), 5005);
    assert!(!cache.join(OWED).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_host_has_overtaken_is_given_up() {
    let root = tempfile::tempdir().expect("a folder");
    let (bucket, home) = owing(root.path(), 3000).await;
    let cache = root.path().join("one");
    bucket.set(DEAF);
    fall_asleep(home, &cache).await;
    bucket.set(FAIR);
    let other = open(&bucket, &root.path().join("two")).await.expect("it opens");
    insert(&other, 7, 10).await;
    other.sleep().await.expect("it sleeps");
    let home = open(&bucket, &cache).await.expect("it opens");
    assert_eq!(number(&home, ROWS).await.expect("it reads"), 4007, "what the other host acknowledged, and no mix");
    assert!(!cache.join(OWED).exists());
}
