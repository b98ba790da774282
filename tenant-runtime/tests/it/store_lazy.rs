//! Large homes, of which only what is read is fetched.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::memory::InMemory;
use tenant_runtime::store::bucket::{Driver, Objects};
use tenant_runtime::store::{Bucket, Error, Home, Kind, Options, Place};

use crate::store_basics::{Failure, number, sql};
use crate::store_faults::{Faults, Faulty};
use crate::store_slow::{Counts, Slow};

const NOTES: i64 = 24_000;

/// A memory that is counted, and that can fail.
struct Far {
    bucket: Bucket,
    counts: Arc<Counts>,
    faults: Faults,
}

impl Far {
    fn new() -> Self {
        let driver: Arc<dyn Driver> = Arc::new(Objects::new(Arc::new(InMemory::new()), "t/one"));
        let slow = Slow::new(driver, Duration::ZERO, 0);
        let (counts, faults) = (Arc::clone(&slow.counts), Faults::random(0, 0));
        let bucket = Bucket::new(Faulty(Arc::new(slow), faults.clone())).with_patience(Duration::from_millis(100));
        Self { bucket, counts, faults }
    }

    async fn open(&self, cache: &Path) -> Result<Home, Error> {
        let place = Place { bucket: self.bucket.clone(), cache: cache.to_owned(), owner: "test".to_owned() };
        Home::open(place, Options { grace: Duration::ZERO, ..Options::default() }).await
    }

    async fn stored(&self) -> u64 {
        self.bucket.list("pack/").await.expect("it answers").iter().map(|line| line.size).sum()
    }

    /// A home of some 60 MB that sleeps, with its cache in `cache`.
    async fn with_notes(cache: &Path) -> Self {
        let far = Self::new();
        let home = far.open(cache).await.expect("it opens");
        sql(
            &home,
            "create table note (n integer primary key, kind integer, text text); create index kind on note (kind)",
        )
        .await
        .expect("it writes");
        for part in 0..8 {
            let (from, to) = (part * NOTES / 8, (part + 1) * NOTES / 8 - 1);
            let many = format!(
                "with recursive c(i) as (select {from} union all select i + 1 from c where i < {to})
                 insert into note select i, i % 97, hex(randomblob(1000)) from c"
            );
            sql(&home, &many).await.expect("it writes");
        }
        home.sleep().await.expect("it sleeps");
        drop(home);
        far
    }
}

async fn whole(home: &Home) {
    let end: Result<String, Failure> =
        home.read(|db| Ok(db.query_row("pragma integrity_check", [], |row| row.get(0))?)).await;
    assert_eq!(end.expect("it reads"), "ok");
    assert_eq!(number(home, "select count(*) from note where length(text) = 2000").await.expect("it reads"), NOTES);
}

fn one(n: i64) -> String {
    format!("select length(text) from note where n = {n}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_home_answers_before_it_is_there() {
    let root = tempfile::tempdir().expect("a folder");
    let far = Far::with_notes(&root.path().join("cache")).await;
    let stored = far.stored().await;
    assert!(stored > 20_000_000, "{stored}");
    far.counts.take();

    let cold = far.open(&root.path().join("cold")).await.expect("it opens");
    assert_eq!(number(&cold, &one(NOTES / 2)).await.expect("it reads"), 2000);
    let [requests, bytes, ..] = far.counts.take();
    assert!(requests < 8 && bytes < stored / 20, "{requests} requests, {bytes} of {stored} bytes");

    // Many readers of one place share the flights to it.
    let readers = (0..32).map(|_| {
        let cold = cold.clone();
        tokio::spawn(async move { number(&cold, &one(NOTES / 4)).await.expect("it reads") })
    });
    for reader in readers.collect::<Vec<_>>() {
        assert_eq!(reader.await.expect("it ran"), 2000);
    }
    let [requests, ..] = far.counts.take();
    assert_eq!(requests, 1);

    // A scan reads ahead, and brings nothing twice.
    whole(&cold).await;
    let [requests, bytes, ..] = far.counts.take();
    assert!(requests < 200 && bytes <= stored, "{requests} requests, {bytes} of {stored} bytes");
    whole(&cold).await;
    assert_eq!(far.counts.take()[0], 0, "all of it is here");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_can_be_changed_and_packed() {
    let root = tempfile::tempdir().expect("a folder");
    let far = Far::with_notes(&root.path().join("cache")).await;
    for round in 0..3 {
        let cold = far.open(&root.path().join(format!("cold-{round}"))).await.expect("it opens");
        let some = format!("update note set kind = 1000 + {round} where n % 3000 = {round}");
        sql(&cold, &some).await.expect("it writes");
        sql(
            &cold,
            &format!(
                "delete from note where n = {NOTES} - 1; insert into note values ({NOTES} - 1, 1, hex(zeroblob(1000)))"
            ),
        )
        .await
        .expect("it writes");
        cold.checkpoint().await.expect("it folds");
        assert_eq!(
            number(&cold, "select count(*) from note where kind >= 1000").await.expect("it reads"),
            (round + 1) * 8
        );
        if round == 1 {
            cold.sleep().await.expect("it sleeps");
        }
    }
    let cold = far.open(&root.path().join("last")).await.expect("it opens");
    assert_eq!(number(&cold, "select count(*) from note where kind >= 1000").await.expect("it reads"), 24);
    whole(&cold).await;
    assert_eq!(cold.collect_orphans(Duration::ZERO).await.expect("it looks"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_cannot_be_brought_is_a_reason_to_try_again() {
    let root = tempfile::tempdir().expect("a folder");
    let far = Far::with_notes(&root.path().join("cache")).await;
    let cold = far.open(&root.path().join("cold")).await.expect("it opens");
    far.faults.misbehave(1);
    match number(&cold, &one(NOTES / 2)).await {
        Err(Failure::Store(error @ Error::Unavailable { .. })) => assert_eq!(error.kind(), Kind::Retry),
        end => panic!("it cannot be there: {end:?}"),
    }
    // Even if who asks makes nothing of the error.
    let deaf: Result<i64, Failure> =
        cold.read(|db| Ok(db.query_row("select count(*) from note", [], |row| row.get(0)).unwrap_or(0))).await;
    assert!(matches!(deaf, Err(Failure::Store(Error::Unavailable { .. }))), "{deaf:?}");
    match sql(&cold, &format!("update note set text = '' where n = {}", NOTES / 3)).await {
        Err(Failure::Store(error)) => assert_eq!(error.kind(), Kind::Retry, "{error}"),
        end => panic!("it cannot be written: {end:?}"),
    }
    far.faults.heal();
    assert_eq!(number(&cold, &one(NOTES / 2)).await.expect("it reads"), 2000);
    sql(&cold, &format!("update note set kind = 5000 where n = {}", NOTES / 3)).await.expect("it writes");
    whole(&cold).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_what_is_read_later_is_reported_by_name() {
    let root = tempfile::tempdir().expect("a folder");
    let far = Far::with_notes(&root.path().join("cache")).await;
    for object in far.bucket.list("pack/").await.expect("it answers") {
        let good = far.bucket.expect(&object.key).await.expect("it is there");
        let mut bad = good.to_vec();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        far.bucket.put(&object.key, bad.into()).await.expect("it is written");
    }
    let hot = far.bucket.list("hot/").await.expect("it answers");
    assert_eq!(hot.len(), 1);
    let cold = far.open(&root.path().join("cold")).await.expect("it opens, for nothing damaged was read");
    match number(&cold, "select count(*) from note where length(text) = 2000").await {
        Err(Failure::Store(Error::Damaged { key, .. })) => assert!(key.starts_with("pack/"), "{key}"),
        end => panic!("it is damaged, and nobody noticed: {end:?}"),
    }
    // A damaged aid is done without.
    drop(cold);
    let mut bad = far.bucket.expect(&hot[0].key).await.expect("it is there").to_vec();
    bad[100] ^= 1;
    far.bucket.put(&hot[0].key, bad.into()).await.expect("it is written");
    let opened = far.open(&root.path().join("colder")).await;
    assert!(opened.is_ok() || matches!(opened, Err(Error::Damaged { ref key, .. }) if key.starts_with("pack/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_copy_is_used_again_even_after_others_wrote() {
    let root = tempfile::tempdir().expect("a folder");
    let (here, there) = (root.path().join("here"), root.path().join("there"));
    let far = Far::with_notes(&root.path().join("cache")).await;
    let home = far.open(&here).await.expect("it opens");
    whole(&home).await;
    home.sleep().await.expect("it sleeps");
    drop(home);
    far.counts.take();

    let warm = far.open(&here).await.expect("it opens");
    whole(&warm).await;
    assert_eq!(far.counts.take()[0], 1, "a warm wake is one request");
    warm.sleep().await.expect("it sleeps");
    drop(warm);

    let other = far.open(&there).await.expect("it opens");
    sql(&other, "update note set text = hex(zeroblob(1000)) where n between 100 and 200").await.expect("it writes");
    other.checkpoint().await.expect("it folds");
    sql(&other, "update note set text = hex(zeroblob(1000)) where n between 20000 and 20100").await.expect("it writes");
    other.sleep().await.expect("it sleeps");
    drop(other);
    let stored = far.stored().await;
    far.counts.take();

    let back = far.open(&here).await.expect("it opens");
    whole(&back).await;
    let zeros = "select count(*) from note where text = hex(zeroblob(1000))";
    assert_eq!(number(&back, zeros).await.expect("it reads"), 202);
    let [_, bytes, ..] = far.counts.take();
    assert!(bytes < stored / 5, "only what changed is fetched: {bytes} of {stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_do_not_become_waste() {
    let root = tempfile::tempdir().expect("a folder");
    let far = Far::with_notes(&root.path().join("cache")).await;
    let before = far.stored().await;
    let home = far.open(&root.path().join("cold")).await.expect("it opens");
    for round in 0..24 {
        // One note in every second group or so, elsewhere each time: packs lose their groups evenly.
        let some = format!("update note set kind = {round} where n % 120 = {round}");
        sql(&home, &some).await.expect("it writes");
        home.checkpoint().await.expect("it folds");
    }
    let after = far.stored().await;
    assert!(after < before * 5 / 2, "{before} bytes became {after}");
    drop(home);
    whole(&far.open(&root.path().join("colder")).await.expect("it opens")).await;
}
