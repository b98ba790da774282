//! A host whose clock is wrong by two days and more deletes nothing too early, and in time what is old by the bucket's.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use object_store::memory::InMemory;
use tenant_runtime::launch::Limits;
use tenant_runtime::store::bucket::{Driver, Expect, Listed, Objects, Put, Version, Writer};
use tenant_runtime::store::{Bucket, Clock, Error, History, Home, Keep, Kind, Options, Place};
use tenant_runtime::{past, schema};

use crate::store_basics::{Failure, number, sql};

const HOURS: i64 = 3600;
const GRACE: Duration = Duration::from_secs(600);

/// How far the host's clock is ahead of the bucket's.
const AHEAD: [i64; 3] = [55 * HOURS, 0, -55 * HOURS];

/// A bucket whose clock is behind this machine's.
struct Behind(Objects, jiff::SignedDuration);

impl Behind {
    fn dated(&self, mut line: Listed) -> Listed {
        line.modified -= self.1;
        line
    }
}

impl Driver for Behind {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(Bytes, Version)>, Error>> {
        self.0.get(key)
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> BoxFuture<'a, Result<Bytes, Error>> {
        self.0.get_range(key, range)
    }

    fn stat<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Listed>, Error>> {
        async move { Ok(self.0.stat(key).await?.map(|line| self.dated(line))) }.boxed()
    }

    fn put<'a>(&'a self, key: &'a str, body: Bytes) -> BoxFuture<'a, Result<(), Error>> {
        self.0.put(key, body)
    }

    fn put_if<'a>(&'a self, key: &'a str, body: Bytes, expect: &'a Expect) -> BoxFuture<'a, Result<Put, Error>> {
        self.0.put_if(key, body, expect)
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.0.delete(key)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, Error>> {
        async move { Ok(self.0.list(prefix).await?.into_iter().map(|line| self.dated(line)).collect()) }.boxed()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        self.0.writer()
    }

    fn stride(&self) -> u64 {
        self.0.stride()
    }
}

fn bucket(ahead: i64) -> Bucket {
    let objects = Objects::new(Arc::new(InMemory::new()), "t/one");
    Bucket::new(Behind(objects, jiff::SignedDuration::from_secs(ahead)))
}

async fn open(bucket: &Bucket, cache: &Path, options: Options) -> Home {
    let place = Place { bucket: bucket.clone(), cache: cache.to_owned(), owner: "test".to_owned() };
    Home::open(place, options).await.expect("it opens")
}

/// Some checkpoints, each of which leaves objects behind.
async fn change(home: &Home) {
    sql(home, "create table if not exists row (n integer, pad blob)").await.expect("it writes");
    for n in 0..4 {
        let text = format!("delete from row; insert into row values ({n}, randomblob(100000))");
        sql(home, &text).await.expect("it writes");
        home.checkpoint().await.expect("it folds");
    }
}

async fn packs(bucket: &Bucket) -> usize {
    bucket.list("pack/").await.expect("it answers").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_just_retired_or_just_written_stay_for_their_grace_time() {
    for ahead in AHEAD {
        let (root, bucket) = (tempfile::tempdir().expect("a folder"), bucket(ahead));
        let home = open(&bucket, root.path(), Options { grace: GRACE, ..Options::default() }).await;
        change(&home).await;
        assert_eq!(packs(&bucket).await, 4, "{ahead} s ahead: readers may still hold an older head");
        bucket.put("pack/on-its-way", "another owner's".into()).await.expect("it is written");
        assert_eq!(home.collect_orphans(GRACE).await.expect("it looks"), 0, "{ahead} s ahead");
        assert_eq!(packs(&bucket).await, 5);
        home.sleep().await.expect("it sleeps");

        let home = open(&bucket, root.path(), Options { grace: Duration::ZERO, ..Options::default() }).await;
        change(&home).await;
        assert_eq!(home.collect_orphans(Duration::ZERO).await.expect("it looks"), 1, "{ahead} s ahead");
        assert_eq!(packs(&bucket).await, 1, "{ahead} s ahead: what is old goes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_kept_for_its_window() {
    for ahead in AHEAD {
        let (root, bucket) = (tempfile::tempdir().expect("a folder"), bucket(ahead));
        let keeping = |window: Duration| {
            let clock = Clock::telling(move || jiff::Timestamp::now() + jiff::SignedDuration::from_secs(ahead / 2));
            Options {
                grace: Duration::ZERO,
                history: Some(History { window, bytes: 1 << 30 }),
                clock,
                ..Options::default()
            }
        };
        let home = open(&bucket, root.path(), keeping(Duration::from_secs(48 * 3600))).await;
        sql(&home, "create table row (n integer, pad blob); insert into row values (-1, null)")
            .await
            .expect("it writes");
        let moment = home.moments().await.expect("it is known").until_ms;
        tokio::time::sleep(Duration::from_millis(5)).await;
        change(&home).await;
        for _ in 0..3 {
            assert_eq!(home.sweep().await.expect("it sweeps").refused, None, "{ahead} s ahead");
            assert_eq!(packs(&bucket).await, 4, "{ahead} s ahead: all of it lies within the window");
        }
        home.snapshot_at("then", moment).await.unwrap_or_else(|error| panic!("{ahead} s ahead: {error}"));
        let then = home.open_snapshot("then").await.expect("it opens");
        let n: Result<i64, Failure> =
            then.read(|db| Ok(db.query_row("select n from row", [], |row| row.get(0))?)).await;
        assert_eq!(n.expect("it reads"), -1);
        drop(then);
        home.drop_snapshot("then").await.expect("it goes");
        home.sleep().await.expect("it sleeps");

        let home = open(&bucket, root.path(), keeping(Duration::ZERO)).await;
        home.sweep().await.expect("it lets go");
        home.sweep().await.expect("it deletes");
        assert_eq!(packs(&bucket).await, 1, "{ahead} s ahead: what is too long past goes");
        assert_eq!(home.snapshot_at("gone", moment).await.expect_err("it is gone").kind(), Kind::Gone);
        assert_eq!(number(&home, "select n from row").await.expect("it reads"), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unreferenced_files_are_kept_for_their_window() {
    for ahead in AHEAD {
        let (root, bucket) = (tempfile::tempdir().expect("a folder"), bucket(ahead));
        let home = open(&bucket, root.path(), Options::default()).await;
        sql(&home, "create table row (n integer)").await.expect("it writes");
        let moment_ms = home.moments().await.expect("it is known").until_ms;
        let file = futures::stream::iter([Ok(Bytes::from_static(b"a picture"))]);
        let blob = home.blobs().put(file, None).await.expect("it is stored");
        let keep = |grace: u64, window: u64, bytes: u64| {
            let (grace, window) = (Duration::from_secs(grace), Duration::from_secs(window));
            Keep { window, bytes, grace, moment_ms }
        };
        let round = |keep: Keep| {
            let blobs = home.blobs().clone();
            async move {
                let unused = blobs.unused(&HashSet::new(), &keep).await.expect("it looks");
                let from_ms = unused.from_ms;
                (blobs.remove(unused).await.expect("it removes").files, from_ms)
            }
        };
        let day = 24 * 3600;
        // Its row may not be written yet; then nobody refers to it, but the past may.
        assert_eq!(round(keep(2 * day, 2 * day, u64::MAX)).await, (0, None), "{ahead} s ahead");
        for _ in 0..2 {
            assert_eq!(round(keep(0, 2 * day, u64::MAX)).await, (0, None), "{ahead} s ahead");
        }
        assert_eq!(home.blobs().size(&blob.digest).await.expect("it answers"), Some(9));
        // There is no room for it any more: moments before it was found unused lack it.
        assert_eq!(round(keep(0, 2 * day, 3)).await, (1, Some(moment_ms)), "{ahead} s ahead");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_stays_open_as_long_as_it_was_promised() {
    for ahead in AHEAD {
        let (root, bucket) = (tempfile::tempdir().expect("a folder"), bucket(ahead));
        let home = open(&bucket, root.path(), Options::default()).await;
        let migrated = home.write(|db| {
            schema::migrate(db).expect("it is empty");
            Ok::<_, Failure>(())
        });
        migrated.await.expect("it is acknowledged");
        for name in ["import-undo-one", "past-before-0000000000001-two", "past-look-three", "update-four", "an-export"]
        {
            home.snapshot(name).await.expect("it is taken");
        }
        let limits = |undo_days| Limits {
            storage_bytes: 1 << 30,
            record_bytes: 1,
            memory_bytes: 1,
            undo_days,
            loss_window_ms: 0,
        };
        let names = || async {
            let mut names: Vec<String> =
                home.snapshots().await.expect("they are listed").into_iter().map(|kept| kept.name).collect();
            names.sort();
            names.join(" ")
        };
        past::forget(&home, &limits(2), home.bucket_now().await.expect("it answers")).await.expect("it looks");
        let all = "an-export import-undo-one past-before-0000000000001-two past-look-three update-four";
        assert_eq!(names().await, all, "{ahead} s ahead");
        let later = home.bucket_now().await.expect("it answers") + jiff::SignedDuration::from_hours(49);
        past::forget(&home, &limits(2), later).await.expect("it looks");
        assert_eq!(names().await, "an-export", "{ahead} s ahead");
    }
}
