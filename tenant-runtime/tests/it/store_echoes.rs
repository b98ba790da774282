//! Requests that land later than anybody expects: once more, or when their sender owns nothing any more.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use object_store::memory::InMemory;
use parking_lot::Mutex;
use tenant_runtime::store::bucket::{Driver, Expect, Listed, Objects, Put, Version, Writer};
use tenant_runtime::store::{Bucket, Error, Home, Options, Place};

use crate::store_basics::{Failure, number, sql};

/// What was written, and on which condition.
type Written = (Bytes, Option<Expect>);

/// A bucket that can do the first write of some object over again.
#[derive(Clone)]
struct Echo {
    driver: Arc<dyn Driver>,
    key: &'static str,
    first: Arc<Mutex<Option<Written>>>,
}

impl Echo {
    fn of(key: &'static str) -> Self {
        let driver = Arc::new(Objects::new(Arc::new(InMemory::new()), "t/one"));
        Self { driver, key, first: Arc::default() }
    }

    fn hear(&self, key: &str, body: &Bytes, expect: Option<&Expect>) {
        if key == self.key {
            self.first.lock().get_or_insert_with(|| (body.clone(), expect.cloned()));
        }
    }

    /// The first write arrives once more, as one does whose sender gave up waiting and sent it again.
    async fn again(&self) {
        let (body, expect) = self.first.lock().clone().expect("it was written");
        match expect {
            Some(expect) => drop(self.driver.put_if(self.key, body, &expect).await.expect("it answers")),
            None => self.driver.put(self.key, body).await.expect("it answers"),
        }
    }

    async fn open(&self, cache: &Path, owner: &str) -> Home {
        let place = Place { bucket: Bucket::new(self.clone()), cache: cache.join(owner), owner: owner.to_owned() };
        Home::open(place, Options::default()).await.expect("it opens")
    }
}

impl Driver for Echo {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(Bytes, Version)>, Error>> {
        self.driver.get(key)
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, Error>> {
        self.driver.get_range(key, range)
    }

    fn stat<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Listed>, Error>> {
        self.driver.stat(key)
    }

    fn put<'a>(&'a self, key: &'a str, body: Bytes) -> BoxFuture<'a, Result<(), Error>> {
        self.hear(key, &body, None);
        self.driver.put(key, body)
    }

    fn put_if<'a>(&'a self, key: &'a str, body: Bytes, expect: &'a Expect) -> BoxFuture<'a, Result<Put, Error>> {
        self.hear(key, &body, Some(expect));
        async move { self.driver.put_if(key, body, expect).await }.boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.driver.delete(key)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, Error>> {
        self.driver.list(prefix)
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        self.driver.writer()
    }

    fn stride(&self) -> u64 {
        self.driver.stride()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_beginning_of_a_stage_that_lands_once_more_undoes_nothing() {
    let (root, echo) = (tempfile::tempdir().expect("a folder"), Echo::of("stage/back"));
    let home = echo.open(root.path(), "host").await;
    sql(&home, "create table row (n); insert into row values (1)").await.expect("it writes");
    home.snapshot("then").await.expect("it is taken");
    sql(&home, "update row set n = 2").await.expect("it writes");
    let stage = home.stage_from("then", "back").await.expect("it begins");
    sql(&stage, "insert into row values (10)").await.expect("it is carried over");
    stage.clone().sleep().await.expect("it sleeps");
    echo.again().await;
    home.adopt(stage, "undo").await.expect("it becomes live");
    assert_eq!(number(&home, "select sum(n) from row").await.expect("it reads"), 11, "with what was carried over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_owner_keeps_no_snapshot() {
    let (root, echo) = (tempfile::tempdir().expect("a folder"), Echo::of("none"));
    let first = echo.open(root.path(), "first").await;
    sql(&first, "create table row (n); insert into row values (1)").await.expect("it writes");
    let second = echo.open(root.path(), "second").await;
    let end = first.snapshot("late").await;
    assert!(matches!(end, Err(Error::Fenced)), "{end:?}");
    assert!(matches!(first.ended().await, Error::Fenced), "it learns that it owns nothing any more");
    assert!(second.snapshots().await.expect("they are listed").is_empty());
    let written: Result<(), Failure> = sql(&second, "insert into row values (2)").await;
    written.expect("it writes");
}
