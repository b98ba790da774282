//! Any kept moment of a home opens as it was, and can be brought back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tenant_runtime::store::bucket::Directory;
use tenant_runtime::store::{Bucket, History, Home, Kind, Options, Place};

use crate::store_basics::{Failure, number, place, sql};
use crate::store_faults::{Faults, Faulty, seed};

fn keeping() -> Options {
    let history = Some(History { window: Duration::from_secs(3600), bytes: 1 << 30 });
    // Pages come as they are read, so that whatever is swept too early is missed.
    Options { checkpoint_bytes: 60_000, grace: Duration::ZERO, history, whole_bytes: 0, ..Options::default() }
}

async fn open(root: &Path) -> Home {
    // One that was dropped and not put to sleep may finish what it was at, and fence whoever comes too early.
    for _ in 0..100 {
        match Home::open(place(root), keeping()).await {
            Err(error) if error.kind() == Kind::Conflict => tokio::time::sleep(Duration::from_millis(20)).await,
            end => return end.expect("it opens"),
        }
    }
    panic!("somebody goes on writing this home")
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The number of rows and the sum of what stands in them.
async fn state(home: &Home, name: &str, at_ms: i64) -> (i64, i64) {
    home.snapshot_at(name, at_ms).await.unwrap_or_else(|error| panic!("{at_ms} opens: {error}"));
    let snapshot = home.open_snapshot(name).await.expect("it opens");
    let found = snapshot.read(|db| {
        let whole: String = db.query_row("pragma integrity_check", [], |row| row.get(0))?;
        assert_eq!(whole, "ok");
        let sum = "select count(*), coalesce(sum(n), 0) from row";
        Ok::<_, Failure>(db.query_row(sql_or_none(db, sum)?, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
    });
    let found = found.await.expect("it reads");
    home.drop_snapshot(name).await.expect("it goes");
    found
}

/// Before the table was made there was nothing.
fn sql_or_none<'a>(db: &rusqlite::Connection, sql: &'a str) -> Result<&'a str, Failure> {
    let made: bool = db.query_row("select count(*) from sqlite_schema where name = 'row'", [], |row| row.get(0))?;
    Ok(if made { sql } else { "select 0, 0" })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_moment_opens_as_it_was() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let root = tempfile::tempdir().expect("a folder");
    let mut home = open(root.path()).await;
    sql(&home, "create table row (id integer primary key, n integer, pad blob)").await.expect("it writes");
    let mut moments = Vec::new();
    for step in 0..160_i64 {
        let pad = [200, 3_000, 60_000][rng.random_range(0..3)];
        let change = match rng.random_range(0..10) {
            0..6 => format!("insert into row (n, pad) values ({step}, randomblob({pad}))"),
            6..8 => format!("update row set n = n + {step}, pad = randomblob({pad}) where id % 7 = {}", step % 7),
            _ => format!("delete from row where id % 11 = {}", step % 11),
        };
        sql(&home, &change).await.expect("it writes");
        match rng.random_range(0..24) {
            0 => home.checkpoint().await.expect("it folds"),
            1 => {
                home.sleep().await.expect("it sleeps");
                home = open(root.path()).await;
            }
            2 => {
                drop(home); // As if killed.
                tokio::time::sleep(Duration::from_millis(20)).await;
                std::fs::remove_dir_all(root.path().join("cache")).ok();
                home = open(root.path()).await;
            }
            4 => drop(home.sweep().await.expect("it sweeps")),
            5 => {
                home.snapshot(&format!("kept-{step}")).await.expect("it is taken");
            }
            6 => {
                let stage = home.stage("beside").await.expect("it opens");
                sql(&stage, "create table if not exists row (id integer, n integer, pad blob)")
                    .await
                    .expect("it writes");
                sql(&stage, "insert into row values (1, 1, randomblob(100000))").await.expect("it writes");
                stage.sleep().await.expect("it sleeps");
            }
            3 if !moments.is_empty() => {
                let (at, _, _) = moments[rng.random_range(0..moments.len())];
                home.snapshot_at("back", at).await.expect("it is kept");
                home.restore("back", &format!("undo-{step}")).await.expect("it is brought back");
                home.drop_snapshot("back").await.expect("it goes");
            }
            _ => {}
        }
        let count = number(&home, "select count(*) from row").await.expect("it reads");
        let sum = number(&home, "select coalesce(sum(n), 0) from row").await.expect("it reads");
        moments.push((now(), count, sum));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let range = home.moments().await.expect("it is known");
    assert!(range.kept > 5 && range.from_ms <= moments[0].0, "{range:?}");
    println!("{} moments in {} kept heads", moments.len(), range.kept);
    for (at, count, sum) in &moments {
        assert_eq!(state(&home, "then", *at).await, (*count, *sum), "seed {seed}, {at}");
    }
    let found = home.scrub().await.expect("it looks");
    assert!(found.findings.is_empty() && found.objects > 0, "seed {seed}: {found:?}");
    assert_eq!(home.snapshot_at("never", range.from_ms - 1).await.expect_err("too long ago").kind(), Kind::Gone);
    home.shorten_history(moments[50].0).await.expect("it forgets");
    assert_eq!(home.snapshot_at("gone", moments[40].0).await.expect_err("it is forgotten").kind(), Kind::Gone);
    assert_eq!(home.moments().await.expect("it is known").from_ms, moments[50].0);
    assert_eq!(state(&home, "still", moments[60].0).await, (moments[60].1, moments[60].2), "seed {seed}");

    // When nothing needs them any more, they go, and what is needed stays.
    for snapshot in home.snapshots().await.expect("they are listed") {
        home.drop_snapshot(&snapshot.name).await.expect("it goes");
    }
    home.discard_stage("beside").await.expect("it goes");
    home.sleep().await.expect("it sleeps");
    let none = Options { history: Some(History { window: Duration::ZERO, bytes: 1 << 30 }), ..keeping() };
    let home = Home::open(place(root.path()), none).await.expect("it opens");
    let mut last = home.sweep().await.expect("it sweeps");
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(3)).await;
        last = home.sweep().await.expect("it sweeps");
    }
    let (_, count, sum) = moments[moments.len() - 1];
    let needed = home.scrub().await.expect("it looks");
    assert_eq!(
        (last.objects, last.deleted, needed.objects),
        (needed.objects, 0, last.objects),
        "seed {seed}: {last:?}"
    );
    assert!(needed.findings.is_empty(), "seed {seed}: {needed:?}");
    assert_eq!(number(&home, "select count(*) from row").await.expect("it reads"), count);
    assert_eq!(number(&home, "select coalesce(sum(n), 0) from row").await.expect("it reads"), sum);
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_and_deleting_for_ever_fills_no_disk() {
    let root = tempfile::tempdir().expect("a folder");
    let history = Some(History { window: Duration::from_secs(3600), bytes: 400_000 });
    let home = Home::open(place(root.path()), Options { history, ..keeping() }).await.expect("it opens");
    sql(&home, "create table row (id integer primary key, n integer, pad blob)").await.expect("it writes");
    let (mut first, mut most, mut filled) = (0, 0, 0);
    for step in 0..60 {
        sql(&home, "delete from row; insert into row (n, pad) values (1, randomblob(100000))")
            .await
            .expect("it writes");
        if step == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
            filled = now();
        }
        if step % 5 == 4 {
            home.sweep().await.expect("it lets go");
            tokio::time::sleep(Duration::from_millis(3)).await;
            let swept = home.sweep().await.expect("it deletes");
            assert_eq!(swept.refused, None);
            assert!(swept.past_bytes <= 400_000, "{swept:?}");
            most = most.max(swept.bytes);
            let from_ms = home.moments().await.expect("it is known").from_ms;
            assert!(from_ms >= first);
            first = from_ms;
            let (count, _) = state(&home, "first", from_ms).await;
            // As long as nothing had to go, the first moment is that of the empty home.
            assert_eq!(count, i64::from(from_ms >= filled), "what is offered opens");
        }
    }
    assert!(first >= filled, "the beginning is let go of");
    assert!(most < 2_500_000, "{most} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_garbage_is_left_alone() {
    let root = tempfile::tempdir().expect("a folder");
    let home = open(root.path()).await;
    sql(&home, "create table row (id integer primary key, n integer, pad blob)").await.expect("it writes");
    home.checkpoint().await.expect("it folds");
    let bucket = place(root.path()).bucket;
    for n in 0..10 {
        bucket.put(&format!("pack/lost-{n}"), "left by a crash".into()).await.expect("it is written");
    }
    let few = home.sweep().await.expect("it sweeps");
    assert_eq!((few.deleted, few.refused), (10, None));
    for n in 0..200 {
        bucket.put(&format!("pack/lost-{n}"), "far too many".into()).await.expect("it is written");
    }
    let many = home.sweep().await.expect("it sweeps");
    assert_eq!(many.deleted, 0);
    assert!(many.refused.expect("it says why").contains("200 of 20"));
    assert_eq!(bucket.list("pack/lost").await.expect("it answers").len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_found_and_mended_where_it_can_be() {
    let root = tempfile::tempdir().expect("a folder");
    let home = open(root.path()).await;
    sql(&home, "create table row (id integer primary key, n integer, pad blob)").await.expect("it writes");
    for _ in 0..5 {
        sql(&home, "delete from row; insert into row (n, pad) values (1, randomblob(200000))")
            .await
            .expect("it writes");
        home.checkpoint().await.expect("it folds");
    }
    let bucket = place(root.path()).bucket;
    let packs = bucket.list("pack/").await.expect("it answers");
    assert!(packs.len() > 3);
    for line in &packs {
        let mut body = bucket.expect(&line.key).await.expect("it is there").to_vec();
        let middle = body.len() / 2;
        body[middle] ^= 16;
        bucket.put(&line.key, body.into()).await.expect("it is written");
    }
    let found = home.scrub().await.expect("it looks");
    let all: std::collections::BTreeSet<_> = found.findings.iter().map(|finding| &finding.key).collect();
    assert_eq!(all.len(), packs.len(), "{found:?}");
    let mended: Vec<_> = found.findings.iter().filter(|finding| finding.repaired).collect();
    assert!(!mended.is_empty(), "the present is still on this machine: {found:?}");
    let lost = found.findings.iter().filter(|finding| !finding.repaired);
    for finding in lost {
        assert!(finding.what.contains("as they were from") && finding.why.contains("does not match"), "{finding:?}");
    }
    let elsewhere = tempfile::tempdir().expect("a folder");
    let mut cold = place(root.path());
    cold.cache = elsewhere.path().to_owned();
    drop(home);
    let cold = Home::open(cold, keeping()).await.expect("it opens");
    assert_eq!(number(&cold, "select sum(length(pad)) from row").await.expect("it reads"), 200_000);
}

/// Whatever call to the bucket is the last one before a crash: the content is that of now or that of the moment, never
/// the moment's without what was carried over, and the way there is open.
#[tokio::test(flavor = "multi_thread")]
async fn going_back_cut_off_anywhere_is_all_or_nothing() {
    let state = "select count(*) filter (where name = 'now') * 10 + count(*) filter (where name = 'then')
         + 100 * count(*) filter (where name = 'carried') from side";
    let (mut nows, mut thens) = (0, 0);
    for changes in 1..60 {
        for last_lands in [false, true] {
            let root = tempfile::tempdir().expect("a folder");
            let home = open(root.path()).await;
            sql(&home, "create table side (name text); insert into side values ('then')").await.expect("it writes");
            home.checkpoint().await.expect("it folds");
            tokio::time::sleep(Duration::from_millis(2)).await;
            let moment = now();
            tokio::time::sleep(Duration::from_millis(2)).await;
            sql(&home, "update side set name = 'now'").await.expect("it writes");
            home.sleep().await.expect("it sleeps");
            drop(home);

            let faults = Faults::crash_after(changes, last_lands);
            let driver = Arc::new(Directory::new(root.path().join("bucket")));
            let bad = Bucket::new(Faulty(driver, faults.clone())).with_patience(Duration::from_millis(200));
            let go = |home: Home| async move {
                home.snapshot_at("look", moment).await?;
                let stage = home.stage_from("look", "past").await?;
                stage.write(|db| Ok::<_, Failure>(db.execute_batch("insert into side values ('carried')")?)).await?;
                home.adopt(stage, "before").await?;
                Ok::<_, Failure>(home)
            };
            let end = match Home::open(Place { bucket: bad, ..place(root.path()) }, keeping()).await {
                Ok(home) => go(home).await.map(drop),
                Err(error) => Err(error.into()),
            };
            let at = format!("{changes} changes, {last_lands}");
            let home = open(root.path()).await;
            match number(&home, state).await.expect("it reads") {
                10 => {
                    assert!(end.is_err(), "{at}: acknowledged and not done");
                    nows += 1;
                    home.drop_snapshot("look").await.ok();
                    let home = go(home.clone()).await.unwrap_or_else(|error| panic!("{at}: {error:?}"));
                    assert_eq!(number(&home, state).await.expect("it reads"), 101, "{at}");
                }
                101 => thens += 1,
                mixed => panic!("{at}: a mix, {mixed}"),
            }
            home.sweep().await.expect("it sweeps");
            assert!(home.scrub().await.expect("it looks").findings.is_empty(), "{at}");
            home.restore("before", "after").await.expect("it is undone");
            assert_eq!(number(&home, state).await.expect("it reads"), 10, "{at}");
            if !faults.crashed() && end.is_ok() {
                println!("cut at each of {changes} changes: {nows} times as now, {thens} times as then");
                assert!(nows > 1 && thens > 1);
                return;
            }
        }
    }
    panic!("going back takes more than 60 changes");
}
