//! Checkpoints, snapshots, stages and exchanges of content.

use std::time::Duration;

use tenant_runtime::store::{Error, Home, Kind, Options, Snapshot};

use crate::store_basics::{Failure, number, open, place, sql};

async fn in_snapshot(snapshot: &Snapshot, text: &str) -> i64 {
    let text = text.to_owned();
    snapshot.read(move |db| Ok::<_, Failure>(db.query_row(&text, [], |row| row.get(0))?)).await.expect("it reads")
}

async fn whole(home: &Home) {
    let end: Result<String, Failure> =
        home.read(|db| Ok(db.query_row("pragma integrity_check", [], |row| row.get(0))?)).await;
    assert_eq!(end.expect("it reads"), "ok");
}

fn eager() -> Options {
    Options { checkpoint_bytes: 100_000, grace: Duration::ZERO, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_keep_the_log_short_and_lose_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let home = Home::open(place(root.path()), eager()).await.expect("it opens");
    sql(&home, "create table note (n integer primary key, text text)").await.expect("it writes");
    for n in 0..60 {
        let many = format!(
            "with recursive c(i) as (select 0 union all select i + 1 from c where i < 40)
             insert into note (text) select hex(randomblob(1500)) from c; update note set text = 'x' where n = {n}"
        );
        sql(&home, &many).await.expect("it writes");
    }
    sql(&home, "delete from note where n % 3 = 0; vacuum").await.expect_err("vacuum needs no transaction");
    home.checkpoint().await.expect("it folds");
    let logs = || std::fs::read_dir(root.path().join("bucket/seg")).map_or(0, Iterator::count);
    assert_eq!(logs(), 0, "the log is folded and collected");
    whole(&home).await;
    drop(home);
    std::fs::remove_dir_all(root.path().join("cache")).expect("the cache goes");
    let cold = open(root.path()).await;
    assert_eq!(number(&cold, "select count(*) from note").await.expect("it reads"), 60 * 41);
    whole(&cold).await;
    assert_eq!(cold.collect_orphans(Duration::ZERO).await.expect("it looks"), 0, "nothing was left lying about");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_write_is_cut_into_parts() {
    let root = tempfile::tempdir().expect("a folder");
    let home = open(root.path()).await;
    let many = "create table big (text text);
        with recursive c(i) as (select 1 union all select i + 1 from c where i < 9000)
        insert into big select hex(randomblob(1000)) from c";
    sql(&home, many).await.expect("it writes");
    drop(home);
    let cold = open(root.path()).await;
    assert_eq!(number(&cold, "select count(*) from big").await.expect("it reads"), 9000);
    whole(&cold).await;
}

/// A list in which every note names the next; a snapshot that mixed two moments would have a loose end.
#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_of_one_moment_while_writes_go_on() {
    let root = tempfile::tempdir().expect("a folder");
    let home = Home::open(place(root.path()), eager()).await.expect("it opens");
    sql(&home, "create table link (n integer primary key, next integer, pad text); insert into link values (0, 1, '')")
        .await
        .expect("it writes");
    let writing = {
        let home = home.clone();
        tokio::spawn(async move {
            for n in 1..400 {
                let add = format!("insert into link values ({n}, {n} + 1, hex(randomblob(700)))");
                sql(&home, &add).await.expect("it writes");
            }
        })
    };
    for n in 0..8 {
        let name = format!("moment-{n}");
        home.snapshot(&name).await.expect("it is taken");
        let snapshot = home.open_snapshot(&name).await.expect("it opens");
        let loose = "select count(*) from link a where not exists (select 1 from link b where b.n = a.next)";
        assert_eq!(in_snapshot(&snapshot, loose).await, 1, "only the last has no next");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    writing.await.expect("it ran");
    assert_eq!(home.snapshot("moment-0").await.expect_err("the name is taken").kind(), Kind::Fix);
    let all = home.snapshots().await.expect("they are listed");
    assert_eq!(all.len(), 8);
    assert!(all.windows(2).all(|two| two[0].seq <= two[1].seq && two[0].at_ms <= two[1].at_ms));

    // What snapshots pin outlives checkpoints, and goes with them.
    home.checkpoint().await.expect("it folds");
    let old = home.open_snapshot("moment-0").await.expect("it opens");
    assert!(in_snapshot(&old, "select count(*) from link").await < 400);
    for line in all {
        home.drop_snapshot(&line.name).await.expect("it is dropped");
    }
    assert_eq!(home.drop_snapshot("moment-0").await.expect_err("it is gone").kind(), Kind::Gone);
    home.sleep().await.expect("it sleeps");
    let home = Home::open(place(root.path()), eager()).await.expect("it opens");
    assert_eq!(home.collect_orphans(Duration::ZERO).await.expect("it looks"), 0, "all were collected by name");
    assert_eq!(number(&home, "select count(*) from link").await.expect("it reads"), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_becomes_live_and_can_be_undone() {
    let root = tempfile::tempdir().expect("a folder");
    let home = open(root.path()).await;
    sql(&home, "create table note (text text); insert into note values ('old')").await.expect("it writes");
    let stage = home.stage("import").await.expect("it opens");
    sql(&stage, "create table note (text text); insert into note values ('new'), ('newer')").await.expect("it writes");
    drop(stage);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let stage = home.stage("import").await.expect("it goes on where it was");
    assert_eq!(number(&stage, "select count(*) from note").await.expect("it reads"), 2);
    sql(&stage, "insert into note values ('newest')").await.expect("it writes");
    assert_eq!(number(&home, "select count(*) from note").await.expect("it reads"), 1, "nothing is live yet");

    // Calls go on all the time, and none fails.
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let home = home.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    sql(&home, "insert into note values ('meanwhile')").await.expect("it writes");
                    number(&home, "select count(*) from note").await.expect("it reads");
                }
            })
        })
        .collect();
    home.adopt(stage.clone(), "undo").await.expect("it is adopted");
    for task in busy {
        task.await.expect("it ran");
    }
    assert!(matches!(sql(&stage, "select 1").await, Err(Failure::Store(Error::Asleep))));
    let new = "select count(*) from note where text like 'new%'";
    let old = "select count(*) from note where text = 'old'";
    assert_eq!(number(&home, new).await.expect("it reads"), 3);
    assert_eq!(number(&home, old).await.expect("it reads"), 0);

    home.restore("undo", "redo").await.expect("it is undone");
    assert_eq!(number(&home, old).await.expect("it reads"), 1);
    sql(&home, "insert into note values ('later')").await.expect("it writes");
    drop(home);
    let home = open(root.path()).await;
    assert_eq!(number(&home, old).await.expect("it reads"), 1);
    home.restore("redo", "undo-2").await.expect("it is done again");
    home.restore("redo", "undo-2").await.expect("asking twice changes nothing");
    assert_eq!(number(&home, new).await.expect("it reads"), 3);
    let names: Vec<_> = home.snapshots().await.expect("they are listed").into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["undo", "redo", "undo-2"]);
    assert_eq!(home.restore("redo", "undo").await.expect_err("the name is taken").kind(), Kind::Fix);
    whole(&home).await;

    // The same stage name again is an empty stage; discarding leaves nothing behind.
    let stage = home.stage("import").await.expect("it opens");
    sql(&stage, "create table note (text text)").await.expect("it is empty");
    drop(stage);
    tokio::time::sleep(Duration::from_millis(50)).await;
    home.discard_stage("import").await.expect("it is discarded");
    assert!(!root.path().join("bucket/stage/import").exists());
    assert_eq!(number(&home, new).await.expect("it reads"), 3);
}
