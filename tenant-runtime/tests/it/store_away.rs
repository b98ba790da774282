//! A bucket that takes what is sent and does not answer: writers are told in time, readers get what is durable at
//! once, and when it answers again the write in doubt is there or is not, as it happened.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _};
use tenant_runtime::store::bucket::{Directory, Driver, Expect, Listed, Put, Version, Writer};
use tenant_runtime::store::{Bucket, Error, Finding, Home, Options, Place};

use crate::bounds::{bounded, until};
use crate::store_basics::{Failure, number, sql};

pub(crate) const FAIR: u8 = 0;
pub(crate) const DEAF: u8 = 1;
pub(crate) const MUTE: u8 = 2;
/// Answers until the head is written, and is mute from then on.
pub(crate) const THEN_MUTE: u8 = 3;

/// Answers everything; hears nothing; or does what it is told and says nothing.
#[derive(Clone)]
pub(crate) struct Moody {
    driver: Arc<dyn Driver>,
    mood: Arc<AtomicU8>,
}

impl Moody {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { driver: Arc::new(Directory::new(folder.to_owned())), mood: Arc::new(AtomicU8::new(FAIR)) }
    }

    pub(crate) fn with_patience(&self, patience: Duration) -> Bucket {
        Bucket::new(self.clone()).with_patience(patience)
    }

    pub(crate) fn set(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
    }

    async fn ask<T>(&self, call: BoxFuture<'_, Result<T, Error>>) -> Result<T, Error> {
        match self.mood.load(Ordering::SeqCst) {
            DEAF => std::future::pending().await,
            MUTE => {
                call.await.ok();
                std::future::pending().await
            }
            _ => call.await,
        }
    }
}

impl Driver for Moody {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(Bytes, Version)>, Error>> {
        self.ask(self.driver.get(key)).boxed()
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, Error>> {
        self.ask(self.driver.get_range(key, range)).boxed()
    }

    fn stat<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Listed>, Error>> {
        self.ask(self.driver.stat(key)).boxed()
    }

    fn put<'a>(&'a self, key: &'a str, body: Bytes) -> BoxFuture<'a, Result<(), Error>> {
        self.ask(self.driver.put(key, body)).boxed()
    }

    fn put_if<'a>(&'a self, key: &'a str, body: Bytes, expect: &'a Expect) -> BoxFuture<'a, Result<Put, Error>> {
        self.mood.compare_exchange(THEN_MUTE, MUTE, Ordering::SeqCst, Ordering::SeqCst).ok();
        self.ask(self.driver.put_if(key, body, expect)).boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.ask(self.driver.delete(key)).boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, Error>> {
        self.ask(self.driver.list(prefix)).boxed()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        self.ask(self.driver.writer()).boxed()
    }

    fn stride(&self) -> u64 {
        self.driver.stride()
    }
}

async fn open(bucket: &Moody, cache: &Path) -> Home {
    let bucket = Bucket::new(bucket.clone()).with_patience(Duration::from_millis(400));
    let place = Place { bucket, cache: cache.to_owned(), owner: "test".to_owned() };
    Home::open(place, Options::default()).await.expect("it opens")
}

fn insert(n: u32) -> String {
    format!("insert into row values ({n}, hex(randomblob(3000)))")
}

/// What happens to a write whose answer is lost, in this mood.
async fn lost_answer(mood: u8) {
    let landed = mood == MUTE;
    let root = tempfile::tempdir().expect("a folder");
    let bucket = Moody::new(&root.path().join("bucket"));
    let home = open(&bucket, &root.path().join("one")).await;
    sql(&home, "create table row (n integer, pad text)").await.expect("it writes");
    sql(&home, &insert(1)).await.expect("it writes");
    let count = async || bounded("a read", number(&home, "select count(*) from row")).await;

    bucket.set(mood);
    let refused = bounded("a refusal", sql(&home, &insert(2))).await;
    assert!(matches!(&refused, Err(Failure::Store(Error::Unavailable { .. } | Error::Away))), "{refused:?}");
    // One after the other while nobody answers: what is durable, and nothing else.
    for _ in 0..100 {
        assert_eq!(count().await.expect("what is durable can be read"), 1);
    }
    let next = bounded("the next refusal", sql(&home, &insert(3))).await;
    assert!(matches!(&next, Err(Failure::Store(Error::Away))), "{next:?}");
    assert_eq!(count().await.expect("it reads"), 1);

    bucket.set(FAIR);
    until("a write that is taken again", async || sql(&home, &insert(4)).await.is_ok()).await;
    let there = i64::from(landed) + 2;
    assert_eq!(count().await.expect("it reads"), there);
    let second = number(&home, "select count(*) from row where n = 2").await.expect("it reads");
    assert_eq!(second, i64::from(landed), "it is there if it arrived");
    home.sleep().await.expect("it sleeps");

    let warm = open(&bucket, &root.path().join("one")).await;
    assert_eq!(number(&warm, "select count(*) from row").await.expect("it reads"), there);
    let cold = open(&bucket, &root.path().join("two")).await;
    assert_eq!(number(&cold, "select count(*) from row").await.expect("it reads"), there);
    let whole =
        cold.read(|db| Ok::<_, Failure>(db.query_row("pragma integrity_check", [], |r| r.get::<_, String>(0))?));
    assert_eq!(whole.await.expect("it reads"), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_never_arrived_is_taken_back_and_readers_do_not_wait_for_it() {
    lost_answer(DEAF).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_arrived_unheard_is_put_back_and_readers_do_not_wait_for_it() {
    lost_answer(MUTE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_of_a_newer_layout_is_refused_before_anything_is_touched() {
    let root = tempfile::tempdir().expect("a folder");
    let place = || crate::store_basics::place(root.path());
    let home = Home::open(place(), Options::default()).await.expect("it opens");
    sql(&home, "create table row (n integer); pragma user_version = 7").await.expect("it writes");
    home.sleep().await.expect("it sleeps");
    let head = std::fs::read(root.path().join("bucket/head")).expect("a head");
    for (known, opens) in [(Some(6), false), (Some(7), true), (None, true)] {
        let opened = Home::open(place(), Options { layout: known, ..Options::default() }).await;
        match opened {
            Ok(home) => {
                assert!(opens, "{known:?}");
                home.sleep().await.expect("it sleeps");
            }
            Err(Error::NewerLayout { found: 7, known: 6 }) => assert!(!opens),
            Err(error) => panic!("{error}"),
        }
        if !opens {
            assert_eq!(std::fs::read(root.path().join("bucket/head")).expect("a head"), head);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_file_that_a_scrub_found_damaged_no_part_is_given_out_in_the_next_run_either() {
    let root = tempfile::tempdir().expect("a folder");
    let open = || Home::open(crate::store_basics::place(root.path()), Options::default());
    let home = open().await.expect("it opens");
    let long = Bytes::from(vec![7; 1_000_000]);
    let store = |home: &Home| {
        let (blobs, long) = (home.blobs().clone(), long.clone());
        async move { blobs.put(futures::stream::iter([Ok(long)]), None).await.expect("it is stored") }
    };
    let blob = store(&home).await;
    let file = root.path().join("bucket/blob").join(blob.digest.to_string());
    std::fs::write(&file, vec![8; 1_000_000]).expect("it is damaged");
    let found = home.scrub_files([blob.digest]).await.expect("it looks").findings;
    assert!(matches!(&found[..], [Finding { repaired: false, .. }]), "{found:?}");
    let care = home.care().await.expect("it reads");
    home.note_care(&tenant_runtime::store::Care { findings: found, ..care }).await.expect("it notes");
    home.sleep().await.expect("it sleeps");

    let home = open().await.expect("it opens");
    let part = home.blobs().get(&blob.digest, 10..20).await;
    assert!(matches!(part.err(), Some(Error::Damaged { .. })));
    assert_eq!(store(&home).await, blob, "stored again, it is whole again");
    let part: Vec<_> = home.blobs().get(&blob.digest, 10..20).await.expect("it is there").collect().await;
    assert_eq!(part.into_iter().map(|piece| piece.expect("it reads")).collect::<Vec<_>>().concat(), [7; 10]);
}
