//! The first promises of a home: what was acknowledged is there again, asleep or killed, warm or cold.

use std::path::Path;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use tenant_runtime::store::{Bucket, Error, Home, Kind, Options, Place};

pub(crate) fn place(root: &Path) -> Place {
    Place { bucket: Bucket::directory(root.join("bucket")), cache: root.join("cache"), owner: "test".to_owned() }
}

pub(crate) async fn open(root: &Path) -> Home {
    Home::open(place(root), Options::default()).await.expect("it opens")
}

#[derive(Debug)]
pub(crate) enum Failure {
    Store(Error),
    Sql(rusqlite::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

pub(crate) async fn sql(home: &Home, text: &str) -> Result<(), Failure> {
    let text = text.to_owned();
    home.write(move |db| Ok(db.execute_batch(&text)?)).await
}

pub(crate) async fn number(home: &Home, text: &str) -> Result<i64, Failure> {
    let text = text.to_owned();
    home.read(move |db| Ok(db.query_row(&text, [], |row| row.get(0))?)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_comes_back_warm_and_cold() {
    let root = tempfile::tempdir().expect("a folder");
    let home = open(root.path()).await;
    sql(&home, "create table note (n integer primary key, text text)").await.expect("it writes");
    for n in 0..50 {
        sql(&home, &format!("insert into note values ({n}, hex(randomblob(1000)))")).await.expect("it writes");
    }
    assert_eq!(number(&home, "select count(*) from note").await.expect("it reads"), 50);
    home.sleep().await.expect("it sleeps");
    assert!(matches!(sql(&home, "delete from note").await, Err(Failure::Store(Error::Asleep))));

    let warm = open(root.path()).await;
    assert_eq!(number(&warm, "select count(*) from note").await.expect("it reads"), 50);
    sql(&warm, "insert into note values (50, 'more')").await.expect("it writes");
    drop(warm); // As if killed: nobody said sleep.

    let cold = open(root.path()).await;
    assert_eq!(number(&cold, "select count(*) from note").await.expect("it reads"), 51);
    cold.sleep().await.expect("it sleeps");

    std::fs::remove_dir_all(root.path().join("cache")).expect("the cache goes");
    let elsewhere = open(root.path()).await;
    assert_eq!(number(&elsewhere, "select count(*) from note").await.expect("it reads"), 51);
    let whole: String = elsewhere
        .read(|db| Ok::<_, Failure>(db.query_row("pragma integrity_check", [], |row| row.get(0))?))
        .await
        .expect("it reads");
    assert_eq!(whole, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_takes_nobody_with_it() {
    let root = tempfile::tempdir().expect("a folder");
    let home = open(root.path()).await;
    sql(&home, "create table note (n integer primary key)").await.expect("it writes");
    let writes = (0..200).map(|n| {
        let home = home.clone();
        tokio::spawn(async move {
            home.write(move |db| {
                db.execute("insert into note values (?1)", [n])?;
                assert!(n % 50 != 7, "an operation that panics");
                if n % 2 == 0 { Ok(()) } else { Err(Failure::Sql(rusqlite::Error::InvalidQuery)) }
            })
            .await
        })
    });
    let ends = futures::future::join_all(writes.collect::<Vec<_>>()).await;
    for (n, end) in ends.into_iter().enumerate() {
        assert_eq!(end.expect("it ran").is_ok(), n % 2 == 0, "write {n}");
    }
    assert_eq!(number(&home, "select count(*) from note where n % 2 = 0").await.expect("it reads"), 100);
    assert_eq!(number(&home, "select count(*) from note").await.expect("it reads"), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_kept_by_content() {
    let root = tempfile::tempdir().expect("a folder");
    let home = open(root.path()).await;
    let piece = Bytes::from(vec![7u8; 100_000]);
    let pieces = || futures::stream::iter(vec![piece.clone(); 20]).map(Ok);
    let blob = home.blobs().put(pieces(), None).await.expect("it is stored");
    assert_eq!(blob.size, 2_000_000);
    assert_eq!(home.blobs().put(pieces(), Some(2_000_000)).await.expect("it is stored"), blob);
    assert_eq!(home.usage().await.expect("it counts").blob_bytes, 2_000_000);
    let part = home.blobs().get(&blob.digest, 1_000_000..9_000_000).await.expect("it is there");
    let part: Vec<Bytes> = part.try_collect().await.expect("it is read");
    assert_eq!(part.iter().map(Bytes::len).sum::<usize>(), 1_000_000);
    assert_eq!(home.blobs().stat(&blob.digest).await.expect("it is read"), Some(blob));
    let refused = home.blobs().put(pieces(), Some(1_999_999)).await.expect_err("it is too long");
    assert_eq!(refused.kind(), Kind::Full);

    // The same file many times at once is one, and so is another.
    let other = || futures::stream::iter([Ok(Bytes::from_static(b"other"))]);
    let many = (0..16).map(|n| {
        let (home, other) = (home.clone(), (n % 2 == 0).then(other));
        let pieces = pieces().collect::<Vec<_>>();
        tokio::spawn(async move {
            let same = futures::stream::iter(pieces.await);
            match other {
                Some(other) => home.blobs().put(other, None).await,
                None => home.blobs().put(same, None).await,
            }
        })
    });
    for put in futures::future::join_all(many).await {
        put.expect("it ran").expect("it is stored");
    }
    assert_eq!(home.usage().await.expect("it counts").blob_bytes, 2_000_005);
}
