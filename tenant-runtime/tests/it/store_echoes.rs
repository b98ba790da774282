//! Requests that land later than anybody expects: once more, when nobody waits for them any more, or when their sender
//! owns nothing any more.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use object_store::memory::InMemory;
use parking_lot::Mutex;
use tenant_runtime::store::bucket::{Driver, Expect, Listed, Objects, Put, Version, Writer};
use tenant_runtime::store::{Bucket, Error, Home, Options, Place};

use crate::store_basics::{Failure, number, sql};

/// What was written, and on which condition.
type Written = (Bytes, Option<Expect>);

/// What becomes of an object's conditional writes.
#[derive(Clone, Copy, PartialEq)]
enum Line {
    Open,
    /// They happen, but nobody is told, and nobody can look from the first of them on.
    Deaf,
    /// They are under way, longer than anybody waits.
    Slow,
}

/// A bucket that can do the first write of some object over again, or only then.
#[derive(Clone)]
struct Echo {
    driver: Arc<dyn Driver>,
    key: &'static str,
    first: Arc<Mutex<Option<Written>>>,
    line: Arc<Mutex<Line>>,
    /// When this object is deleted, the first write arrives once more.
    again_without: Arc<Mutex<Option<&'static str>>>,
}

impl Echo {
    fn of(key: &'static str) -> Self {
        let driver = Arc::new(Objects::new(Arc::new(InMemory::new()), "t/one"));
        Self {
            driver,
            key,
            first: Arc::default(),
            line: Arc::new(Mutex::new(Line::Open)),
            again_without: Arc::default(),
        }
    }

    /// From now on; the next write is the first.
    fn set(&self, line: Line) {
        *self.first.lock() = None;
        *self.line.lock() = line;
    }

    fn is(&self, line: Line, key: &str) -> bool {
        key == self.key && *self.line.lock() == line
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
        let bucket = Bucket::new(self.clone()).with_patience(Duration::from_secs(1));
        let place = Place { bucket, cache: cache.join(owner), owner: owner.to_owned() };
        Home::open(place, Options::default()).await.expect("it opens")
    }
}

fn lost(key: &str) -> Error {
    let source = Arc::new(std::io::Error::other("an injected fault"));
    Error::Unavailable { doing: "reach", key: key.to_owned(), source }
}

impl Driver for Echo {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(Bytes, Version)>, Error>> {
        match self.is(Line::Deaf, key) && self.first.lock().is_some() {
            true => async move { Err(lost(key)) }.boxed(),
            false => self.driver.get(key),
        }
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
        async move {
            if self.is(Line::Slow, key) {
                return Err(lost(key));
            }
            let end = self.driver.put_if(key, body, expect).await;
            if self.is(Line::Deaf, key) { Err(lost(key)) } else { end }
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            self.driver.delete(key).await?;
            if self.again_without.lock().take_if(|gone| *gone == key).is_some() {
                self.again().await;
            }
            Ok(())
        }
        .boxed()
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

/// A home with so much log in its head that it has been written into an object of its own, which the next head will name.
async fn with_log_beside_its_head(root: &Path, echo: &Echo) -> Home {
    let home = echo.open(root, "first").await;
    sql(&home, "create table row (n, text)").await.expect("it writes");
    sql(&home, "insert into row values (1, hex(randomblob(100000)))").await.expect("it writes");
    let written = async {
        while echo.driver.list("seg/").await.expect("it is listed").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.expect("the log is written beside the head");
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_head_in_doubt_names_is_not_tidied_away() {
    let (root, echo) = (tempfile::tempdir().expect("a folder"), Echo::of("head"));
    let home = with_log_beside_its_head(root.path(), &echo).await;
    echo.set(Line::Deaf);
    let doubtful = sql(&home, "insert into row values (2, '')").await;
    assert!(doubtful.is_err(), "nobody knows");
    let tidying = tokio::spawn({
        let home = home.clone();
        async move {
            loop {
                // A question is asked every second, and nobody waits longer than that for its answer.
                match home.collect_orphans(Duration::from_secs(600)).await {
                    Err(Error::Away) => {}
                    end => return end,
                }
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    echo.set(Line::Open);
    let tidied = tokio::time::timeout(Duration::from_secs(20), tidying).await.expect("it ends").expect("it ran");
    assert_eq!(tidied.expect("it looks"), 0);
    drop(home); // As if killed.
    let second = echo.open(root.path(), "second").await;
    assert_eq!(number(&second, "select sum(length(text)) from row").await.expect("it reads"), 200_000);
    assert_eq!(number(&second, "select max(n) from row").await.expect("it reads"), 2, "it had landed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_lands_after_all_finds_what_it_names() {
    let (root, echo) = (tempfile::tempdir().expect("a folder"), Echo::of("head"));
    let home = with_log_beside_its_head(root.path(), &echo).await;
    echo.set(Line::Slow);
    assert!(sql(&home, "insert into row values (2, '')").await.is_err(), "nobody knows");
    *echo.line.lock() = Line::Open;
    home.sleep().await.expect("it sleeps");
    echo.again().await;
    let second = echo.open(root.path(), "second").await;
    assert_eq!(number(&second, "select sum(length(text)) from row").await.expect("it reads"), 200_000);
    assert_eq!(number(&second, "select max(n) from row").await.expect("it reads"), 2, "it landed after all");
}

/// A home with a stage beside it that is to become live, and an attempt at that whose outcome nobody learned.
async fn with_an_exchange_in_doubt(root: &Path, echo: &Echo, line: Line) -> Home {
    let home = echo.open(root, "first").await;
    sql(&home, "create table side (name text); insert into side values ('old')").await.expect("it writes");
    let stage = home.stage("import").await.expect("it opens");
    sql(&stage, "create table side (name text); insert into side values ('new')").await.expect("it writes");
    stage.clone().sleep().await.expect("it sleeps");
    echo.set(line);
    let end = home.adopt(stage, "undo").await;
    assert!(matches!(end, Err(Error::Unavailable { .. })), "nobody knows: {end:?}");
    *echo.line.lock() = Line::Open;
    home
}

const NEW: &str = "select count(*) from side where name = 'new'";

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_is_found_to_have_happened_can_be_undone_and_is_told_of() {
    let (root, echo) = (tempfile::tempdir().expect("a folder"), Echo::of("head"));
    let home = with_an_exchange_in_doubt(root.path(), &echo, Line::Deaf).await;
    let times = tokio::time::timeout(Duration::from_secs(20), home.exchanged_late(0)).await;
    assert_eq!(times.expect("it is told of though nobody asks"), 1);
    assert_eq!(number(&home, NEW).await.expect("it reads"), 1);
    assert_eq!(home.undos().await.expect("they are known"), ["undo"]);
    home.restore("undo", "redo").await.expect("it is undone");
    assert_eq!(number(&home, NEW).await.expect("it reads"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_lands_while_it_is_tried_again_leaves_the_way_to_undo_it() {
    let (root, echo) = (tempfile::tempdir().expect("a folder"), Echo::of("head"));
    let home = with_an_exchange_in_doubt(root.path(), &echo, Line::Slow).await;
    assert_eq!(number(&home, NEW).await.expect("it reads"), 0, "it has not landed");
    assert!(home.undos().await.expect("they are known").is_empty(), "what was kept for it is no sign that it happened");
    *echo.again_without.lock() = Some("snap/undo");
    let again = async {
        let stage = home.stage("import").await?;
        home.adopt(stage, "undo").await
    };
    let end = again.await;
    drop(home);
    let second = echo.open(root.path(), "second").await;
    assert!(end.is_ok() || number(&second, NEW).await.expect("it reads") == 1, "{end:?}");
    second.restore("undo", "redo").await.expect("it can be undone");
    assert_eq!(number(&second, NEW).await.expect("it reads"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_lands_when_its_home_sleeps_leaves_the_way_to_undo_it() {
    let (root, echo) = (tempfile::tempdir().expect("a folder"), Echo::of("head"));
    let home = with_an_exchange_in_doubt(root.path(), &echo, Line::Slow).await;
    home.discard_stage("import").await.expect("whoever imports gives up");
    home.sleep().await.expect("it sleeps");
    drop(home);
    echo.again().await;
    let second = echo.open(root.path(), "first").await;
    let landed = number(&second, NEW).await.expect("it reads");
    if landed == 1 {
        assert_eq!(second.undos().await.expect("they are known"), ["undo"]);
        second.restore("undo", "redo").await.expect("it can be undone");
    }
    assert_eq!(number(&second, NEW).await.expect("it reads"), 0);
    second.checkpoint().await.expect("what it consists of is all there");
}
